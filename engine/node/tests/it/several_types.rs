//! Columns that hold values of several types in statements of a database: what kind of value a row holds, what is equal, and what may be copied.

use super::node::Run;
use super::twins::Twins;

/// What PostgreSQL prints, and what SQLite with its mapping file says.
#[track_caller]
fn print(twins: &Twins, statements: &str, expected: &[&str]) -> Run {
    let mut runs = twins.run(statements).into_iter();
    let run = runs.next().expect("PostgreSQL ran");
    run.expect(0, &[]);
    assert_eq!(run.out.lines().collect::<Vec<_>>(), expected, "{run}");
    runs.next().expect("SQLite ran")
}

#[test]
fn a_reference_of_the_only_kind_beside_other_values_is_told_by_its_type() {
    let twins = Twins::new();
    let state = twins.infobase.code("Перечисление.СостоянияЗаказов");
    let sqlite = print(
        &twins,
        "SELECT Код, Вид = TYPEOF(Метка) INTO @t FROM Справочник.Номенклатура
         WHERE Метка IS Перечисление.СостоянияЗаказов AND TYPEOF(Метка) > TYPEOF(entity) AND Метка = TYPEOF('Перечисление.СостоянияЗаказов')
         PRINT JSON(@t)
         SELECT Код INTO @t FROM Справочник.Номенклатура
         WHERE NOT (Метка IS Перечисление.СостоянияЗаказов) AND Код LIKE 'ПС-%' AND Код < 'ПС-3' ORDER BY TYPEOF(Метка) DESC
         PRINT JSON(@t)
         SELECT в.Метка, n = TYPEOF(в.Метка) INTO @o FROM (SELECT Метка FROM Справочник.Номенклатура WHERE Код = 'ПС-2') AS в
         IF @o.n = TYPEOF(@o.Метка) AND @o.Метка IS Перечисление.СостоянияЗаказов THEN PRINT 'во вложенном' END
         CONSUME TOP 10 Код, Метка INTO @o FROM Справочник.Номенклатура
         WHERE Метка IS NOT Перечисление.СостоянияЗаказов AND Код LIKE 'ПС-_%' AND Код < 'ПС-3' ORDER BY Код
         PRINT @o.Метка",
        &[
            &format!(r#"[{{"Код":"ПС-2","Вид":{state}}}]"#),
            r#"[{"Код":"ПС-1   "}]"#,
            "во вложенном",
            "метка",
        ],
    );
    let untold = "nobody tells the kind of references in column \"Метка\"";
    sqlite.expect(3, &["error[E_UNSUPPORTED]", untold, "UUIDOF"]);
}

/// A document of another kind with the uuid of an order, and a row that a register keeps of that order.
const TWICE: &str = "SELECT TOP 1 Ссылка INTO @o FROM Документ.ЗаказПокупателя
    INSERT Документ.УстановкаЦен SELECT Ссылка = ENTITY('Документ.УстановкаЦен', UUIDOF(@o.Ссылка)), Номер = 99
    INSERT РегистрСведений.ИсторияСостояний SELECT Регистратор = @o.Ссылка, НомерСтроки = 1
    INSERT РегистрСведений.ЖурналИзменений SELECT Предмет = @o.Ссылка, Данные = 'заказ'
    INSERT РегистрСведений.ЖурналИзменений SELECT Предмет = NULL, Данные = 'пусто'
    INSERT Документ.ЗаказПокупателя SELECT Ссылка = ENTITY('Документ.ЗаказПокупателя')
    ";

#[test]
fn type_codes_are_compared_on_whichever_side_they_stand() {
    let twins = Twins::new();
    let statements = "SELECT n = COUNT(*) INTO @o FROM РегистрСведений.ИсторияСостояний AS р JOIN Документ.УстановкаЦен AS д ON р.Регистратор = д.Ссылка
        SELECT n = COUNT(*) INTO @t FROM РегистрСведений.ИсторияСостояний AS р JOIN Документ.УстановкаЦен AS д ON д.Ссылка = р.Регистратор
        PRINT CONCAT(@o.n, JSON(@t))
        SELECT n = COUNT(*) INTO @t FROM Документ.УстановкаЦен AS д
        WHERE EXISTS (SELECT 1 AS x FROM РегистрСведений.ИсторияСостояний AS р WHERE д.Ссылка = р.Регистратор)
        PRINT JSON(@t)
        SELECT n = COUNT(*) INTO @t FROM Документ.УстановкаЦен AS д JOIN
          (SELECT Регистратор, Номер = НомерСтроки FROM РегистрСведений.ИсторияСостояний) AS р ON NOT (д.Ссылка <> р.Регистратор)
        PRINT JSON(@t)
        SELECT n = COUNT(*) INTO @t FROM Документ.УстановкаЦен WHERE Ссылка IN (SELECT Регистратор FROM РегистрСведений.ИсторияСостояний)
        PRINT JSON(@t)
        SELECT ж.Данные INTO @t FROM Документ.ЗаказПокупателя AS д JOIN РегистрСведений.ЖурналИзменений AS ж ON ISNULL(д.Ссылка, д.Ссылка) = ж.Предмет
        PRINT JSON(@t)
        SELECT ж.Данные INTO @t FROM Документ.ЗаказПокупателя AS д JOIN РегистрСведений.ЖурналИзменений AS ж ON д.Ссылка = ж.Предмет
        PRINT JSON(@t)";
    let printed = [
        r#"0[{"n":0}]"#,
        r#"[{"n":0}]"#,
        r#"[{"n":0}]"#,
        r#"[{"n":0}]"#,
        r#"[{"Данные":"заказ"}]"#,
        r#"[{"Данные":"заказ"}]"#,
    ];
    print(&twins, &format!("{TWICE}{statements}"), &printed);
}

#[test]
fn conditions_of_a_source_have_their_values() {
    let twins = Twins::new();
    twins.print(
        "CONSUME TOP 10 Код, СтавкаНДС INTO @o FROM Справочник.Номенклатура
         WHERE СтавкаНДС = Перечисление.СтавкиНДС.НДС20 AND Источник = 'строка' AND TYPEOF(Источник) = 5 AND ДатаСоздания < '2024-01-01'
           AND Метка IN ('x', '', Перечисление.СостоянияЗаказов.Новый) ORDER BY Код
         PRINT @o.Код",
        &["ПС-2"],
    );
}
