//! References and columns of several types in queries: the same answers of PostgreSQL and of SQLite.

use super::node::run_script;
use super::servers::Database;
use super::twins::Twins;

#[test]
fn identities_of_references_are_computed_by_databases_and_by_the_script() {
    let twins = Twins::new();
    let goods = twins.infobase.code("Справочник.Номенклатура");
    twins.print(
        "DECLARE @u uuid
         DECLARE @e entity
         SELECT TOP 1 Ссылка INTO @e FROM Справочник.Номенклатура WHERE Код LIKE 'ПС-1%'
         SELECT a = UUIDOF(Ссылка), b = UUID1C(UUIDOF(Ссылка)), c = UUIDDB(UUID1C(Ссылка)), d = CAST(Ссылка AS uuid),
                e = UUIDDB(Ссылка), f = UUID1C(Источник), g = CAST(Источник AS uuid), h = UUID1C(ISNULL(Поставщик, Поставщик))
         INTO @o FROM Справочник.Номенклатура WHERE Ссылка = @e
         IF @o.a = UUIDOF(@e) AND @o.b = UUID1C(@e) AND @o.c = @o.a AND @o.d = @o.a AND @o.e = UUIDDB(@e) THEN PRINT 'ссылка' END
         IF @o.f = UUID1C(@o.g) AND @o.f = @o.h THEN PRINT 'источник' END
         SET @u = UUID1C(@e)
         SELECT n = COUNT(*) INTO @o FROM Справочник.Номенклатура
         WHERE UUID1C(Ссылка) = @u AND UUIDOF(Ссылка) IN (UUIDDB(@u)) AND UUIDDB(@u) IN (UUIDOF(Поставщик), UUIDOF(Ссылка))
           AND UUIDOF(Ссылка) = Ссылка AND UUID1C(Ссылка) = UUID1C(UUIDOF(Ссылка))
         PRINT @o.n
         SET @o = METADATA(@e)
         PRINT @o.ПолноеИмя + ' ' + @o.Код + ' ' + NAMEOF(TYPEOF(@e))",
        &[
            "ссылка",
            "источник",
            "1",
            &format!("Справочник.Номенклатура {goods} Справочник.Номенклатура"),
        ],
    );
    twins.refuse(
        "SELECT a = UUIDOF(Код) INTO @t FROM Справочник.Номенклатура",
        3,
        &["UUIDOF does not take string", "script.djs:4:"],
    );
    twins.refuse(
        "SELECT a = NAMEOF(TYPEOF(Источник)) INTO @t FROM Справочник.Номенклатура",
        3,
        &[
            "function NAMEOF over a column",
            "It is computed by the script",
        ],
    );
}

#[test]
fn references_and_columns_of_several_types_are_counted_and_grouped() {
    let twins = Twins::new();
    twins.print(
        "SELECT n = COUNT(DISTINCT Источник), m = COUNT(Источник), k = COUNT(DISTINCT Ссылка), z = COUNT(DISTINCT Замена), b = MAX(Активен)
         INTO @o FROM Справочник.Номенклатура
         PRINT JSON(@o)
         SELECT a = MAX(CAST(Источник AS datetime)), b = CAST(MIN(CAST(Источник AS number)) * 10 AS integer), c = MAX(CAST(Источник AS string)),
                d = MAX(CAST(Источник AS integer))
         INTO @o FROM Справочник.Номенклатура
         PRINT JSON(@o)
         SELECT наибольшая = MAX(Ссылка), наименьшая = MIN(UUIDOF(Ссылка)) INTO @o FROM Справочник.Номенклатура
         SELECT n = COUNT(*) INTO @t FROM Справочник.Номенклатура WHERE Ссылка = @o.наибольшая OR UUIDOF(Ссылка) = @o.наименьшая
         PRINT JSON(@t)
         SELECT n = COUNT(*) INTO @t FROM Справочник.Номенклатура GROUP BY TYPEOF(Источник) ORDER BY TYPEOF(Источник)
         PRINT JSON(@t)
         SELECT имя = ISNULL(Код, 'нет'), вид = TYPEOF(Источник), n = COUNT(*) INTO @t FROM Справочник.Номенклатура
         WHERE Код LIKE 'ПС-2' GROUP BY ISNULL(Код, 'нет'), TYPEOF(Источник) ORDER BY ISNULL(Код, 'нет')
         PRINT JSON(@t)",
        &[
            r#"{"n":7,"m":8,"k":8,"z":1,"b":false}"#,
            r#"{"a":"2024-02-29T23:59:59","b":-125,"c":"строка","d":0}"#,
            r#"[{"n":2}]"#,
            r#"[{"n":2},{"n":1},{"n":1},{"n":1},{"n":1},{"n":1},{"n":1}]"#,
            r#"[{"имя":"ПС-2","вид":5,"n":1}]"#,
        ],
    );
    twins.refuse(
        "SELECT a = MAX(Источник) INTO @t FROM Справочник.Номенклатура",
        3,
        &["MAX takes no column of several types", "script.djs:4:16"],
    );
}

#[test]
fn a_wrong_word_for_a_kind_and_every_unknown_column_are_told() {
    let twins = Twins::new();
    let meant = "Did you mean \"Справочник.Номенклатура\"?";
    for wrong in ["Справочники", "Catalogs", "РегистрСведений"] {
        let table = format!("SELECT Код INTO @t FROM {wrong}.Номенклатура");
        twins.refuse(&table, 3, &["unknown table", meant]);
        let name = format!("PRINT ENTITY('{wrong}.Номенклатура')");
        twins.refuse(&name, 3, &["unknown name", meant]);
    }
    twins.refuse(
        "SELECT Кодд, Имя, Весс INTO @t FROM Справочник.Номенклатура WHERE Источникк = 1",
        3,
        &[
            "script.djs:4:8",
            "Did you mean \"Код\"?",
            "script.djs:4:14",
            "unknown column \"Имя\"",
            "script.djs:4:19",
            "Did you mean \"Вес\"?",
            "script.djs:4:67",
            "Did you mean \"Источник\"?",
        ],
    );
}

#[test]
fn columns_of_several_types_are_compared_with_each_other_and_with_expressions() {
    let twins = Twins::new();
    let codes = |filter: &str| {
        format!(
            "SELECT Код INTO @t FROM Справочник.Номенклатура AS a WHERE {filter} ORDER BY Код
             FOR @o IN @t PRINT RTRIM(@o.Код) END
             PRINT '-'"
        )
    };
    let prepared = "DECLARE @e entity
         DECLARE @n union
         SELECT Ссылка INTO @e FROM Справочник.Контрагенты WHERE Код = '000000001'
         SELECT Источник INTO @n FROM Справочник.Номенклатура WHERE Код = 'ПС-2'";
    let all = [
        "Источник IN (@e, 'строка', -12.5, true)",
        "Источник = @n OR @e IN (Источник, Замена)",
        "Источник IN (@n, Поставщик)",
        "Источник = LOWER('СТРОКА') OR Источник = Вес - Вес - 12.5",
        "Источник IN (SELECT Ссылка FROM Справочник.Контрагенты)",
        "Источник IN (SELECT Источник FROM Справочник.Номенклатура WHERE Код IN ('ПС-2', 'ПС-4'))",
        "Поставщик NOT IN (SELECT b.Источник FROM Справочник.Номенклатура AS b WHERE b.Код LIKE 'ПС-1%')",
        "@n IN (SELECT b.Источник FROM Справочник.Номенклатура AS b WHERE b.Код = a.Код)",
        "Источник = CAST(Источник AS entity) AND Источник <> Поставщик",
    ];
    let expected = [
        "ПС-1 ПС-2 ПС-3 ПС-5",
        "ПС-1 ПС-2",
        "ПС-1 ПС-2",
        "ПС-2 ПС-3",
        "ПС-1",
        "ПС-2 ПС-4",
        "00000000001",
        "ПС-2",
        "ПС-6",
    ];
    let statements = all.map(codes).join("\n");
    let lines: Vec<&str> = expected
        .iter()
        .flat_map(|line| line.split(' ').chain(["-"]))
        .collect();
    twins.print(&format!("{prepared}\n{statements}"), &lines);
}

#[test]
fn columns_of_several_types_are_joined_and_united() {
    let twins = Twins::new();
    twins.print(
        "SELECT n.Код, k.Наименование INTO @t FROM Справочник.Номенклатура AS n JOIN Справочник.Контрагенты AS k ON n.Источник = k.Ссылка
         FOR @o IN @t PRINT RTRIM(@o.Код) + ' ' + @o.Наименование END
         SELECT a = n.Код, b = k.Код INTO @t FROM Справочник.Номенклатура AS n
         JOIN Справочник.Номенклатура AS k ON n.Источник = k.Источник AND n.Код <> k.Код ORDER BY n.Код
         PRINT JSON(@t)
         SELECT n = COUNT(*) INTO @o FROM Справочник.Номенклатура AS n JOIN Справочник.Номенклатура AS k ON n.Источник = k.Метка
         PRINT @o.n
         SELECT что = Источник INTO @t FROM Справочник.Номенклатура WHERE Код = 'ПС-2'
         UNION SELECT Источник FROM Справочник.Номенклатура WHERE Код IN ('ПС-2', 'ПС-5', 'ПС-4', 'ПС-7') ORDER BY что
         PRINT JSON(@t)
         SELECT n = COUNT(*) INTO @t FROM (SELECT что = Метка FROM Справочник.Номенклатура UNION SELECT Метка FROM Справочник.Номенклатура) AS q
         PRINT JSON(@t)
         SELECT Код INTO @t FROM ПланОбмена.ПланОбменаРИБ WHERE Ссылка IN (SELECT УзелОбмена FROM Справочник.Номенклатура.Изменения) ORDER BY Код
         PRINT JSON(@t)",
        &[
            "ПС-1 ООО \"Василёк\"",
            r#"[{"a":"00000000001","b":"ПС-7"},{"a":"ПС-7","b":"00000000001"}]"#,
            "12",
            r#"[{"что":null},{"что":true},{"что":"2024-02-29T23:59:59"},{"что":"строка"}]"#,
            r#"[{"n":3}]"#,
            r#"[{"Код":"FILIAL-1"},{"Код":"KAFKA"}]"#,
        ],
    );
    twins.refuse(
        "SELECT a = Источник INTO @t FROM Справочник.Номенклатура UNION SELECT Код FROM Справочник.Номенклатура",
        3,
        &["column \"a\" of the UNION consists of different parts", "script.djs:4:"],
    );
}

#[test]
fn the_key_of_a_line_is_bytes_and_no_number() {
    let twins = Twins::new();
    let lines = "Справочник.Номенклатура.Штрихкоды";
    twins.print(
        &format!(
            "DECLARE @k integer = 77
             INSERT {lines} SELECT KeyField = CAST(@k AS binary), Штрихкод = 'ключ'
             SELECT k = CAST(KeyField AS integer), KeyField INTO @t FROM {lines} WHERE KeyField = CAST(77 AS binary)
             PRINT JSON(@t)"
        ),
        &[r#"[{"k":77,"KeyField":"AAAATQ=="}]"#],
    );
    let hint = "CAST(… AS binary) makes bytes of";
    for wrong in [
        format!("SELECT Штрихкод INTO @t FROM {lines} WHERE KeyField = 1"),
        format!("INSERT {lines} SELECT KeyField = 5"),
    ] {
        twins.refuse(&wrong, 3, &["a number stands where bytes are", hint]);
    }
    let computed = format!("SELECT k = 1 INTO @o\nINSERT {lines} SELECT KeyField = @o.k");
    twins.refuse(&computed, 1, &["KeyField", hint]);
}

#[test]
fn a_name_in_brackets_is_one_part_with_its_dots() {
    let tables = "CREATE TABLE \"склад.товары\" (\"цена.нетто\" integer NOT NULL, \"имя\" text);
         INSERT INTO \"склад.товары\" VALUES (2, 'гвоздь')";
    let database = Database::create("brackets", tables);
    let folder = tempfile::tempdir().expect("a folder");
    super::sqlite::make(folder.path(), "склад.db", tables);
    for address in [&database.address(), "sqlite://склад.db"] {
        let script = |column: &str| {
            format!(
                "DECLARE @o object
                 DECLARE @t array
                 USE '{address}'
                   INSERT [склад.товары] SELECT [цена.нетто] = т.{column} + 1, имя = 'шуруп' FROM [склад.товары] AS т
                   SELECT [цена.нетто], имя INTO @t FROM [склад.товары] WHERE [склад.товары].[цена.нетто] > 1 ORDER BY [цена.нетто]
                   FOR @o IN @t PRINT @o.[цена.нетто] + ' ' + @o.имя END
                 END"
            )
        };
        let run = run_script(folder.path(), &script("[цена.нетто]"), &[]);
        run.expect(0, &[]);
        assert_eq!(run.out, "2 гвоздь\n3 шуруп\n", "{run}");
        run_script(folder.path(), &script("[т.цена]"), &[]).expect(
            3,
            &[
                "unknown column \"т.цена\"",
                "A name in brackets is one part",
            ],
        );
    }
}
