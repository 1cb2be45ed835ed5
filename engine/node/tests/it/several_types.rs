//! Columns that hold values of several types in statements of a database: what kind of value a row holds, what is equal, and what may be copied.

use dajet_adapters::testing::infobase::Infobase;

use super::node::{Run, run_script};
use super::servers::Database;
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

#[test]
fn columns_of_several_types_are_copied_with_their_types() {
    let twins = Twins::new();
    let copied = "INSERT Справочник.Номенклатура SELECT Ссылка = NEWUUID(), Код = 'к' + т.Код, Источник = т.Источник, Метка = т.Метка, Замена = т.Замена
         FROM Справочник.Номенклатура AS т WHERE т.Код LIKE 'ПС-%'
        SELECT n = COUNT(*) INTO @o FROM Справочник.Номенклатура AS т JOIN Справочник.Номенклатура AS к ON к.Код = 'к' + т.Код
         WHERE т.Источник = к.Источник AND т.Метка = к.Метка
        PRINT @o.n
        INSERT Справочник.Номенклатура SELECT Ссылка = NEWUUID(), Код = 'л1', Источник = п.Замена, Метка = п.Метка
         FROM Справочник.Номенклатура AS т LEFT JOIN Справочник.Номенклатура AS п ON п.Код = 'ПС-2' AND т.Код = 'ПС-3' WHERE т.Код = 'ПС-3'
        INSERT Справочник.Номенклатура SELECT Ссылка = NEWUUID(), Код = 'л2', Источник = п.Замена, Метка = п.Метка, Замена = п.Ссылка
         FROM Справочник.Номенклатура AS т LEFT JOIN Справочник.Номенклатура AS п ON т.Код = 'нет' WHERE т.Код = 'ПС-3'
        SELECT Код, Источник, Замена, n = CAST(Метка AS string) INTO @t FROM Справочник.Номенклатура WHERE Код LIKE 'л_' ORDER BY Код";
    let chosen = "SELECT а = Замена INTO @o FROM Справочник.Номенклатура WHERE Код = 'ПС-2'
        IF @o.а = @t[0].Источник THEN PRINT 'замена' END
        IF @t[0].Замена IS Справочник.Номенклатура OR @t[1].Источник IS Справочник.Номенклатура THEN PRINT 'не пусто' END";
    twins.print(&format!("{copied}\n{chosen}"), &["7", "замена"]);
}

#[test]
fn the_only_kind_of_a_column_is_stored_where_type_codes_are() {
    let twins = Twins::new();
    let sqlite = print(
        &twins,
        "INSERT Справочник.Номенклатура SELECT Ссылка = NEWUUID(), Код = 'м', Метка = Перечисление.СостоянияЗаказов.Новый
         INSERT РегистрСведений.ИсторияСостояний SELECT Регистратор = ENTITY('Документ.ЗаказПокупателя', '08ec109d-a06b-a1b1-11ee-ca472bff0a0d'), НомерСтроки = 7
         INSERT Справочник.Номенклатура SELECT Ссылка = NEWUUID(), Код = 'ж1', Источник = Регистратор FROM РегистрСведений.ИсторияСостояний
         INSERT Справочник.Номенклатура SELECT Ссылка = NEWUUID(), Код = 'ж2', Источник = Поставщик FROM Справочник.Номенклатура WHERE Код = 'ПС-2'
         INSERT РегистрСведений.ЖурналИзменений SELECT Предмет = Поставщик FROM Справочник.Номенклатура WHERE Код = 'ПС-2'
         SELECT Код, Источник INTO @t FROM Справочник.Номенклатура WHERE Код LIKE 'ж%' ORDER BY Код
         SELECT Предмет INTO @o FROM РегистрСведений.ЖурналИзменений
         PRINT NAMEOF(@t[0].Источник) + ' ' + NAMEOF(@t[1].Источник) + ' ' + NAMEOF(@o.Предмет)",
        &["Документ.ЗаказПокупателя Справочник.Контрагенты Справочник.Контрагенты"],
    );
    sqlite.expect(3, &["error["]);
}

#[test]
fn what_a_column_may_hold_must_have_room_in_the_one_that_takes_it() {
    let twins = Twins::new();
    for (copy, place, parts) in [
        (
            "Метка = Источник",
            67,
            [
                "column \"Метка\" has no room for what column \"Источник\" may hold: boolean, decimal, datetime",
                "by TYPEOF or IS",
            ],
        ),
        (
            "Поставщик = Источник",
            71,
            [
                "column \"Поставщик\" has no room for what column \"Источник\" may hold",
                "boolean, decimal, datetime, string",
            ],
        ),
        (
            "Поставщик = Замена",
            71,
            [
                "column \"Поставщик\" keeps references of one kind, and column \"Замена\" may hold others",
                "UUIDOF",
            ],
        ),
        (
            "Поставщик = UPPER(Код)",
            71,
            [
                "column \"Поставщик\" holds references, never string",
                "error[E_TYPE]",
            ],
        ),
    ] {
        let first = "INSERT Справочник.Номенклатура SELECT Ссылка = NEWUUID(), Код = 'до'\n";
        let statement = format!(
            "{first}INSERT Справочник.Номенклатура SELECT Ссылка = NEWUUID(), {copy} FROM Справочник.Номенклатура"
        );
        for run in twins.run(&statement) {
            run.expect(3, &parts)
                .expect(3, &[&format!("script.djs:5:{place}")]);
        }
    }
    twins.print("SELECT n = COUNT(*) INTO @o FROM Справочник.Номенклатура WHERE Ссылка = NULL OR Код NOT LIKE 'ПС-%' AND Код NOT LIKE '0%' AND Код <> 'до' PRINT @o.n", &["0"]);
}

#[test]
fn a_number_with_a_fraction_does_not_go_where_whole_numbers_are_kept() {
    let infobase = Infobase::new(1);
    let database = Database::create("whole_numbers", &infobase.sql());
    let folder = tempfile::tempdir().expect("a folder");
    let run = |statements: &str| {
        let address = database.address();
        let script = format!(
            "DECLARE @x number = 1000.5\nDECLARE @o object\nUSE '{address}'\n{statements}\nEND"
        );
        run_script(folder.path(), &script, &["--set", "GiveUpAfter=1"])
    };
    let queue = "INSERT РегистрСведений.ИсходящиеСообщения SELECT НомерСообщения =";
    for (statement, code, part) in [
        (format!("{queue} 1000.5"), 3, "\"НомерСообщения\" cannot hold 1000.5"),
        (format!("{queue} @x"), 1, "\"НомерСообщения\" cannot hold this decimal as a whole number"),
        (format!("{queue} Вес * 2 FROM Справочник.Номенклатура WHERE Код = 'ПС-2'"), 1, "22P02"),
        (format!("{queue} SUM(Вес) FROM Справочник.Номенклатура WHERE Код = 'ПС-2'"), 1, "22P02"),
        (format!("{queue} CASE WHEN Код = '1' THEN 1 ELSE Вес END FROM Справочник.Номенклатура WHERE Код = 'ПС-2'"), 1, "22P02"),
        ("INSERT Документ.ЗаказПокупателя.Товары SELECT Характеристика = @x".into(), 1, "\"Характеристика\" cannot hold this decimal as a whole number"),
        ("INSERT Документ.ЗаказПокупателя.Товары SELECT Характеристика = 0.5".into(), 3, "\"Характеристика\" cannot hold 0.5"),
        ("INSERT Документ.ЗаказПокупателя.Товары SELECT Характеристика = Вес FROM Справочник.Номенклатура".into(), 1, "22P02"),
        (format!("CONSUME TOP 9 Вес INTO @o FROM Справочник.Номенклатура ORDER BY Код {queue} @o.Вес"), 1, "cannot hold this decimal"),
    ] {
        run(&statement).expect(code, &[part]);
    }
    let whole = run(&format!(
        "{queue} 7.00\n{queue} @x * 2\n{queue} CAST(Вес AS integer) FROM Справочник.Номенклатура WHERE Код = 'ПС-2'
         {queue} 9223372036854775808.0\n{queue} COUNT(*) FROM Справочник.Номенклатура
         SELECT a = MAX(НомерСообщения), n = COUNT(*), b = SUM(НомерСообщения) INTO @o FROM РегистрСведений.ИсходящиеСообщения WHERE НомерСообщения > 0
         PRINT JSON(@o)"
    ));
    whole.expect(0, &[]);
    assert_eq!(
        whole.out.trim(),
        r#"{"a":9223372036854775808,"n":5,"b":9223372036854777825}"#
    );
}

#[test]
fn databases_write_references_and_identities_as_the_script_does() {
    let twins = Twins::new();
    let script = "SELECT Ссылка, Поставщик, ВнешнийКод, Замена, Источник INTO @o FROM Справочник.Номенклатура WHERE Код = 'ПС-2'
        SELECT а = CAST(Ссылка AS string), б = CAST(UUIDOF(Ссылка) AS string), в = CAST(UUID1C(Ссылка) AS string), г = CONCAT('x', Поставщик, '!'),
               д = CAST(ВнешнийКод AS string), е = 'y' + Поставщик, ж = CAST(Замена AS string), з = UPPER(UUIDOF(Поставщик)), и = REPLACE(Ссылка, '{', '['),
               к = CONCAT_WS('/', Ссылка, Замена), л = CAST(Источник AS string)
        INTO @t FROM Справочник.Номенклатура WHERE Код = 'ПС-2' AND Ссылка LIKE '{%}' AND UUIDOF(Ссылка) LIKE '%-%-%-%-%'
        IF @t[0].а = CAST(@o.Ссылка AS string) AND @t[0].б = CAST(UUIDOF(@o.Ссылка) AS string) AND @t[0].в = CAST(UUID1C(@o.Ссылка) AS string)
         THEN PRINT 'ссылка' END
        IF @t[0].г = CONCAT('x', @o.Поставщик, '!') AND @t[0].д = CAST(@o.ВнешнийКод AS string) AND @t[0].е = 'y' + @o.Поставщик THEN PRINT 'сложение' END
        IF @t[0].ж = CAST(@o.Замена AS string) AND @t[0].з = UPPER(CAST(UUIDOF(@o.Поставщик) AS string)) THEN PRINT 'замена' END
        IF @t[0].и = REPLACE(CAST(@o.Ссылка AS string), '{', '[') AND @t[0].к = CONCAT_WS('/', @o.Ссылка, @o.Замена) THEN PRINT @t[0].л END
        SELECT Код, а = CAST(Источник AS string), б = Источник, в = CAST(Замена AS string) INTO @t FROM Справочник.Номенклатура WHERE Код LIKE 'ПС-_' ORDER BY Код
        FOR @o IN @t
          IF @o.а = CAST(@o.б AS string) OR @o.а = NULL AND @o.б = NULL THEN PRINT @o.Код END
        END
        INSERT Справочник.Контрагенты SELECT Ссылка = NEWUUID(), Код = 'т', Наименование = н.Поставщик, Сайт = CAST(н.Источник AS string)
          FROM Справочник.Номенклатура AS н WHERE н.Код = 'ПС-7'
        SELECT н.Поставщик, к.Наименование, к.Сайт INTO @o FROM Справочник.Контрагенты AS к JOIN Справочник.Номенклатура AS н ON н.Код = 'ПС-7' WHERE к.Код = 'т'
        IF @o.Наименование = CAST(@o.Поставщик AS string) AND @o.Сайт = '' THEN PRINT 'записано' END";
    twins.print(
        script,
        &[
            "ссылка",
            "сложение",
            "замена",
            "строка",
            "ПС-2",
            "ПС-3",
            "ПС-4",
            "ПС-5",
            "ПС-6",
            "ПС-7",
            "записано",
        ],
    );
}

#[test]
fn a_value_that_is_no_reference_equals_none_and_stops_no_queue() {
    let twins = Twins::new();
    let statements = "DECLARE @k object
        CONSUME TOP 10 Код, Источник INTO @o FROM Справочник.Номенклатура WHERE Код LIKE 'ПС-%' ORDER BY Код
        SELECT TOP 1 Наименование INTO @k FROM Справочник.Контрагенты WHERE Ссылка = @o.Источник
        SELECT n = COUNT(*) INTO @t FROM Справочник.Контрагенты WHERE Ссылка <> @o.Источник
        APPEND SELECT x = COUNT(*) INTO @t FROM Справочник.Номенклатура WHERE Замена = @o.Источник OR Метка = @o.Источник AND Код = 'нет'
        PRINT CONCAT(@k.Наименование, ' ', @t[0].n)";
    let statements = statements.replace(
        "        APPEND SELECT x = COUNT(*) INTO @t FROM",
        "        SELECT Код INTO @k FROM",
    );
    let statements = statements.replace("@k.Наименование", "@o.Код");
    let lines = [
        "ПС-1    1",
        "ПС-2 2",
        "ПС-3 2",
        "ПС-4 2",
        "ПС-5 2",
        "ПС-6 2",
        "ПС-7 0",
    ];
    twins.print(&statements, &lines);
}

#[test]
fn the_text_of_a_reference_is_one_in_columns_that_keep_no_texts() {
    let twins = Twins::new();
    let statements = "SET @o = JSON('{\"x\":\"\"}')
        SELECT TOP 1 Ссылка INTO @t FROM Справочник.Контрагенты ORDER BY Код
        SET @o.x = CAST(@t[0].Ссылка AS string)
        INSERT РегистрСведений.ЖурналИзменений SELECT Предмет = @o.x, Данные = 'текст'
        SELECT Предмет INTO @t FROM РегистрСведений.ЖурналИзменений WHERE Предмет = @o.x
        PRINT NAMEOF(@t[0].Предмет)";
    let sqlite = print(&twins, statements, &["Справочник.Контрагенты"]);
    sqlite.expect(3, &["a write to a union column"]);
    twins.refuse(
        "SELECT Код INTO @t FROM Справочник.Номенклатура WHERE Поставщик = 'кто'",
        3,
        &[
            "column \"Поставщик\" holds references, never this text",
            "script.djs:4:",
        ],
    );
}

#[test]
fn texts_that_take_turns_with_a_date_are_dates() {
    let twins = Twins::new();
    twins.print(
        "SELECT n = COUNT(*) INTO @o FROM Документ.ЗаказПокупателя
         WHERE ISNULL(Дата, '2024-01-01') = '2024-03-01T10:15:00' AND '2024-03-01T10:15:00' = COALESCE(Дата, '2024-01-01')
           AND CASE WHEN Номер = '1' THEN '2024-01-01' ELSE Дата END > '2024-02-29'
         PRINT @o.n",
        &["1"],
    );
}
