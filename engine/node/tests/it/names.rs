//! Names of an infobase's metadata in scripts: values of enumerations, type codes, columns of several types.

use dajet_adapters::testing::infobase::Infobase;

use super::node::{dajet, run_script};
use super::servers::Database;

fn infobase() -> (Infobase, Database) {
    let infobase = Infobase::new(1);
    let database = Database::create("names", &infobase.sql());
    (infobase, database)
}

#[test]
fn names_of_values_and_objects_stand_in_expressions() {
    let (infobase, database) = infobase();
    let folder = tempfile::tempdir().expect("a folder");
    let script = format!(
        "DECLARE @o object
         DECLARE @имя string = 'Справочник.Номенклатура'
         USE '{}'
           DECLARE @ставка entity = Перечисление.СтавкиНДС.НДС10
           PRINT TYPEOF(@ставка)
           PRINT UUID1C(@ставка)
           IF @ставка = enumeration.ставкиНДС.ндс10 THEN PRINT 'та же' END
           DECLARE @товар Справочник.Номенклатура
           PRINT TYPEOF(@товар)
           PRINT NAMEOF(@товар) + ' ' + NAMEOF(TYPEOF('Перечисление.СтавкиНДС'))
           IF ENTITY(@имя) = @товар AND @товар IS Справочник.Номенклатура THEN PRINT 'пустая' END
           SET @o = METADATA(@имя)
           PRINT @o.ПолноеИмя + ' ' + @o.Код + ' ' + @o.Таблица
           SELECT ставка = Перечисление.СтавкиНДС.НДС20, n = COUNT(*) INTO @o FROM Справочник.Номенклатура
           PRINT TYPEOF(@o.ставка)
         END",
        database.address()
    );
    let rates = infobase.code("Перечисление.СтавкиНДС");
    let goods = infobase.code("Справочник.Номенклатура");
    let uuid = infobase.mapping();
    let uuid = uuid
        .lines()
        .find(|line| line.starts_with("Перечисление.СтавкиНДС.НДС10\t"))
        .and_then(|line| line.split('\t').nth(3))
        .expect("the value is in the mapping");
    let table = format!("_Reference{goods}");
    let run = run_script(folder.path(), &script, &[]);
    run.expect(0, &[]);
    let lines: Vec<String> = run.out.lines().map(str::to_lowercase).collect();
    let expected = [
        rates.to_string(),
        uuid.to_owned(),
        "та же".into(),
        goods.to_string(),
        "Справочник.Номенклатура Перечисление.СтавкиНДС".into(),
        "пустая".into(),
        format!("Справочник.Номенклатура {goods} {table}"),
        rates.to_string(),
    ];
    assert_eq!(lines, expected.map(|line| line.to_lowercase()), "{run}");
}

#[test]
fn wrong_names_are_found_by_check_and_at_the_first_bind() {
    let (_, database) = infobase();
    let folder = tempfile::tempdir().expect("a folder");
    let script = format!(
        "DECLARE @o object
         USE '{}'
           SELECT Код INTO @o FROM Справочник.Номенклатура WHERE Код = Перечисление.СтавкиНДС.НДС11
           PRINT Перечисление.СтавкиНДС.НДС11
           PRINT ENTITY('Справочник.Номенклатра')
         END",
        database.address()
    );
    let run = run_script(folder.path(), &script, &[]);
    run.expect(3, &["unknown name \"Перечисление.СтавкиНДС.НДС11\""]);
    std::fs::write(folder.path().join("s.djs"), &script).expect("a file");
    let check = dajet(folder.path(), &["check", "--connect", "s.djs"]);
    check.expect(
        3,
        &[
            ":3:",
            ":4:",
            ":5:",
            "unknown name \"Справочник.Номенклатра\"",
            "Did you mean \"Справочник.Номенклатура\"?",
        ],
    );
}

/// The sequence of steps that the test of writing runs.
fn writing(address: &str) -> String {
    format!(
        "DECLARE @t array
         DECLARE @код string = 'Ю-1'
         USE '{address}'
           DECLARE @кто entity = ENTITY('Справочник.Контрагенты', '643c479d-cacf-4048-11f0-2426af738206')
           INSERT Справочник.Номенклатура SELECT Ссылка = NEWUUID(), Код = @код, Источник = 5
           INSERT Справочник.Номенклатура SELECT Ссылка = NEWUUID(), Код = 'Ю-2', Источник = 'текст'
           INSERT Справочник.Номенклатура SELECT Ссылка = NEWUUID(), Код = 'Ю-3', Источник = true
           INSERT Справочник.Номенклатура SELECT Ссылка = NEWUUID(), Код = 'Ю-4', Источник = @кто, СтавкаНДС = Перечисление.СтавкиНДС.НДС10
           INSERT Справочник.Номенклатура SELECT Ссылка = NEWUUID(), Код = 'Ю-5'
           INSERT Документ.ЗаказПокупателя SELECT Ссылка = NEWUUID(), Дата = '2024-05-06'
           SELECT Код, Вид = TYPEOF(Источник) INTO @t FROM Справочник.Номенклатура WHERE Код LIKE 'Ю-%' ORDER BY Код
           PRINT JSON(@t)
           SELECT Код INTO @t FROM Справочник.Номенклатура
           WHERE Код LIKE 'Ю-%' AND (Источник = 5 OR Источник = 'текст' OR Источник = @кто) ORDER BY Код
           PRINT JSON(@t)
           SELECT Код INTO @t FROM Справочник.Номенклатура
           WHERE Код LIKE 'Ю-%' AND Источник IS Справочник.Контрагенты AND TYPEOF(Источник) > TYPEOF(entity)
             AND Источник = TYPEOF(@кто) AND СтавкаНДС = Перечисление.СтавкиНДС.НДС10
           PRINT JSON(@t)
           INSERT Справочник.Номенклатура SELECT Ссылка = NEWUUID(), Код = 'Ю-6', Источник = n.Источник
           FROM Справочник.Номенклатура AS n WHERE n.Источник = @кто AND n.Код LIKE 'Ю-%'
           SELECT n = COUNT(*) INTO @t FROM Справочник.Номенклатура AS a JOIN Справочник.Номенклатура AS b ON a.Источник = b.Источник
           WHERE a.Код = 'Ю-6' AND b.Код = 'Ю-4'
           PRINT JSON(@t)
         END"
    )
}

#[test]
fn columns_of_several_types_are_written_read_and_compared() {
    let infobase = Infobase::new(1).with_year_offset(2000);
    let database = Database::create("several_types", &infobase.sql());
    let folder = tempfile::tempdir().expect("a folder");
    let run = run_script(folder.path(), &writing(&database.address()), &[]);
    run.expect(0, &[]);
    let partners = infobase.code("Справочник.Контрагенты");
    let kinds = [3, 5, 2, partners, 1];
    let items: Vec<_> = (1..)
        .zip(kinds)
        .map(|(n, kind)| format!(r#"{{"Код":"Ю-{n}","Вид":{kind}}}"#))
        .collect();
    let lines: Vec<String> = run.out.lines().map(|line| line.replace(' ', "")).collect();
    let expected = [
        format!("[{}]", items.join(",")),
        r#"[{"Код":"Ю-1"},{"Код":"Ю-2"},{"Код":"Ю-4"}]"#.into(),
        r#"[{"Код":"Ю-4"}]"#.into(),
        r#"[{"n":1}]"#.into(),
    ];
    assert_eq!(lines, expected, "{run}");
    let goods = "Справочник.Номенклатура";
    let column = |name: &str| format!("[{goods}.{name}]");
    let defaults = format!(
        "SELECT concat_ws('/', {}, {}, {}, length({}), encode({}, 'hex'), length({}), trim({})) FROM [{goods}] WHERE {} LIKE 'Ю-5%'",
        column("Вес"),
        column("Активен"),
        column("ДатаСоздания"),
        column("Картинка"),
        column("ВнешнийКод"),
        column("СтавкаНДС"),
        column("Описание"),
        column("Код"),
    );
    let found = database.column(&infobase.physical(&defaults));
    let expected = format!("0.000/f/2001-01-01 00:00:00/0/{}/16/", "00".repeat(16));
    assert_eq!(found, [expected]);
}

#[test]
fn references_of_several_kinds_are_written_with_their_tag() {
    let infobase = Infobase::new(2);
    let database = Database::create("tagged_references", &infobase.sql());
    let folder = tempfile::tempdir().expect("a folder");
    let script = |insert: &str| {
        format!(
            "DECLARE @t array
             USE '{}'
               DECLARE @кто entity = ENTITY('Справочник.Контрагенты', '643c479d-cacf-4048-11f0-2426af738206')
               {insert}
               SELECT Код, Замена INTO @t FROM Справочник.Номенклатура WHERE Код LIKE 'Т-%' ORDER BY Код
               PRINT JSON(@t)
             END",
            database.address()
        )
    };
    let run = run_script(
        folder.path(),
        &script(
            "INSERT Справочник.Номенклатура SELECT Ссылка = NEWUUID(), Код = 'Т-1', Замена = @кто
             INSERT Справочник.Номенклатура SELECT Ссылка = NEWUUID(), Код = 'Т-2', Замена = NULL
             INSERT Справочник.Номенклатура SELECT Ссылка = NEWUUID(), Код = 'Т-3', Замена = n.Замена
               FROM Справочник.Номенклатура AS n WHERE n.Код LIKE 'Т-1%'",
        ),
        &[],
    );
    run.expect(0, &[]);
    let stored = "SELECT concat(encode([Справочник.Номенклатура.Замена], 'hex')) FROM [Справочник.Номенклатура] \
                  WHERE [Справочник.Номенклатура.Код] LIKE 'Т-%' ORDER BY [Справочник.Номенклатура.Код]";
    let column = infobase.physical("[Справочник.Номенклатура.Замена]");
    let tag = column.split(',').next().expect("a column").to_owned();
    let stored = infobase.physical(&stored.replace("[Справочник.Номенклатура.Замена]", &tag));
    assert_eq!(database.column(&stored), ["08", "01", "08"], "{run}");
    let code = infobase.code("Справочник.Контрагенты");
    assert_eq!(
        run.out.matches(&format!("{{{code}:643c479d")).count(),
        2,
        "{run}"
    );

    for (insert, refused) in [
        (
            "Метка = 12",
            "column \"Метка\" cannot hold a value of type integer",
        ),
        (
            "Замена = 'текст'",
            "column \"Замена\" cannot hold a value of type string",
        ),
    ] {
        let insert = format!(
            "INSERT Справочник.Номенклатура SELECT Ссылка = NEWUUID(), Код = 'Т-9', {insert}"
        );
        run_script(folder.path(), &script(&insert), &[]).expect(1, &[refused]);
    }
}

#[test]
fn hints_are_true_and_a_mistake_is_told_once() {
    let (_, database) = infobase();
    let folder = tempfile::tempdir().expect("a folder");
    let address = database.address();
    let script = format!(
        "DECLARE @o object
         USE '{address}'
           SELECT Ссылка INTO @o FROM Справочник.Склады.Изменения
           SELECT Код INTO @o FROM Справочник.Номенклатура WHERE Замена = Перечисление.СтавкиНДС.НДС11
           INSERT Справочник.Номенклатура SELECT Ссылка = NEWUUID(), СтавкаНДС = ISNULL(СтавкаНДС, Перечисление.СтавкиНДС.НДС12) FROM Справочник.Номенклатура
           INSERT Справочник.Номенклатура SELECT Ссылка = NEWUUID(), Замена = Перечисление.СтавкиНДС.НДС13 FROM Справочник.Номенклатура AS n
         END"
    );
    std::fs::write(folder.path().join("s.djs"), &script).expect("a file");
    let check = dajet(folder.path(), &["check", "--connect", "s.djs"]);
    check.expect(3, &["unknown table \"Справочник.Склады.Изменения\""]);
    assert!(
        !check
            .err
            .contains("Did you mean \"Справочник.Склады.Изменения\""),
        "{check}"
    );
    assert_eq!(check.err.matches("error[").count(), 4, "{check}");

    let schema = dajet(
        folder.path(),
        &["schema", &address, "Справочник.Номенклатура.код"],
    );
    schema.expect(
        2,
        &[
            "unknown table \"Справочник.Номенклатура.код\"",
            "\"Код\" is a property of \"Справочник.Номенклатура\"",
        ],
    );
}

/// Goods and rates of taxes, as a mapping file tells them of SQLite.
const MAPPING: &str = "\
Справочник.Товары.Ссылка\tтовары\t_IDRRef\tbinary(16)\tbytea\t36
Справочник.Товары.Предопределённый\tтовары\t_PredefinedID\tbinary(16)\tbytea\t36
Справочник.Товары.Ставка\tтовары\tставкаRRef\tbinary(16)\tbytea\t36
Справочник.Товары.Упаковка\tтовары\t=value 0\t\t000102030405060708090a0b0c0d0e0f\t36
Перечисление.Ставки.НДС10\t_Enum59\t=value 1\t2bff0a0d-ca47-11ee-9d10-ec086ba0b1a1\t9d10ec086ba0b1a111eeca472bff0a0d\t59
";

#[test]
fn names_of_a_mapping_file_stand_in_expressions() {
    let folder = tempfile::tempdir().expect("a folder");
    super::sqlite::make(
        folder.path(),
        "база.db",
        "CREATE TABLE товары (_IDRRef BLOB NOT NULL, _PredefinedID BLOB NOT NULL, ставкаRRef BLOB NOT NULL);
         INSERT INTO товары VALUES (x'9d473c64cfca484011f02426af738206', x'000102030405060708090a0b0c0d0e0f',
             x'9d10ec086ba0b1a111eeca472bff0a0d'), (x'01', zeroblob(16), zeroblob(16))",
    );
    std::fs::write(folder.path().join("карта.tsv"), MAPPING).expect("a file");
    let script = "DECLARE @o object
         USE 'sqlite://база.db?map=карта.tsv'
           DECLARE @ставка entity = enum.ставки.ндс10
           PRINT TYPEOF(@ставка)
           PRINT UUID1C(@ставка)
           PRINT NAMEOF(@ставка) + ' ' + NAMEOF(36)
           IF ENTITY('catalog.товары') IS Справочник.Товары THEN PRINT 'товар' END
           PRINT Справочник.Товары.Упаковка
           SET @o = METADATA('Catalog.Товары')
           PRINT @o.Тип + ' ' + @o.Код + ' ' + @o.Таблица
           SELECT n = COUNT(*) INTO @o FROM Catalog.Товары WHERE Ставка = Перечисление.Ставки.НДС10
           PRINT @o.n
         END";
    let run = run_script(folder.path(), script, &[]);
    run.expect(0, &[]);
    let expected = [
        "59",
        "2bff0a0d-ca47-11ee-9d10-ec086ba0b1a1",
        "Перечисление.Ставки Справочник.Товары",
        "товар",
        "{36:643c479d-cacf-4048-11f0-2426af738206}",
        "Справочник 36 товары",
        "1",
    ];
    assert_eq!(run.out.lines().collect::<Vec<_>>(), expected, "{run}");
    let wrong = script.replace("enum.ставки.ндс10", "enum.ставки.ндс11");
    let run = run_script(folder.path(), &wrong, &[]);
    run.expect(
        3,
        &[
            "unknown name",
            "Did you mean \"Перечисление.Ставки.НДС10\"?",
        ],
    );
}

#[test]
fn a_script_tells_which_file_of_the_metadata_is_damaged() {
    let (infobase, database) = infobase();
    let folder = tempfile::tempdir().expect("a folder");
    let script = format!(
        "DECLARE @o object
         USE '{}'
           SELECT Код INTO @o FROM Справочник.Номенклатура
           PRINT ENTITY('Справочник.Номенклатура')
         END",
        database.address()
    );
    // the head is sound, what follows it is not
    let file = infobase.file_of("Справочник.Номенклатура");
    database.execute(&format!(
        "UPDATE config SET binarydata = substr(binarydata, 1, length(binarydata) - 40) WHERE filename = '{file}'"
    ));
    let told = format!("cannot read file \"{file}\": its compressed bytes are cut off");
    run_script(folder.path(), &script, &[])
        .expect(3, &["unknown table \"Справочник.Номенклатура\"", &told]);
    // nothing of it is sound: whatever is unknown of its kind may be this
    database.execute(&format!(
        "UPDATE config SET binarydata = '\\xff' WHERE filename = '{file}'"
    ));
    let told = format!("cannot read file \"{file}\": its compressed bytes are damaged");
    run_script(folder.path(), &script, &[])
        .expect(3, &["unknown table \"Справочник.Номенклатура\"", &told]);
}

#[test]
fn a_column_of_several_types_is_cast_to_the_reference_that_it_holds() {
    let (infobase, database) = infobase();
    let folder = tempfile::tempdir().expect("a folder");
    let script = format!(
        "DECLARE @t array
         USE '{}'
           DECLARE @кто entity = ENTITY('Справочник.Контрагенты', '643c479d-cacf-4048-11f0-2426af738206')
           INSERT Справочник.Номенклатура SELECT Ссылка = NEWUUID(), Код = 'К-1', Источник = @кто
           INSERT Справочник.Номенклатура SELECT Ссылка = NEWUUID(), Код = 'К-2', Источник = 7
           INSERT Справочник.Номенклатура SELECT Ссылка = NEWUUID(), Код = 'К-3', Поставщик = CAST(n.Источник AS entity)
             FROM Справочник.Номенклатура AS n WHERE CAST(n.Источник AS entity) = @кто AND n.Код LIKE 'К-%'
           SELECT Код, o = CAST(Источник AS entity), p = Поставщик INTO @t FROM Справочник.Номенклатура
           WHERE Код LIKE 'К-%' ORDER BY CAST(Источник AS entity) DESC, Код
           PRINT JSON(@t)
         END",
        database.address()
    );
    let run = run_script(folder.path(), &script, &[]);
    run.expect(0, &[]);
    let partners = infobase.code("Справочник.Контрагенты");
    let who = format!("{{{partners}:643c479d-cacf-4048-11f0-2426af738206}}");
    let nobody = |code| format!("{{{code}:00000000-0000-0000-0000-000000000000}}");
    let row = |name: &str, o: &str, p: &str| format!(r#"{{"Код":"{name}","o":"{o}","p":"{p}"}}"#);
    let expected = [
        row("К-1", &who, &nobody(partners)),
        row("К-2", &nobody(0), &nobody(partners)),
        row("К-3", &nobody(0), &who),
    ];
    assert_eq!(run.out.trim(), format!("[{}]", expected.join(",")), "{run}");
}

#[test]
fn a_reference_of_a_foreign_kind_is_stored_with_a_warning() {
    let (_, database) = infobase();
    let folder = tempfile::tempdir().expect("a folder");
    let script = format!(
        "USE '{}'
           INSERT Справочник.Номенклатура SELECT Ссылка = NEWUUID(), Код = 'Ч-1', СтавкаНДС = n.Поставщик
             FROM Справочник.Номенклатура AS n WHERE n.Код = 'нет'
           INSERT Справочник.Номенклатура SELECT Ссылка = NEWUUID(), Код = 'Ч-2', Поставщик = Перечисление.СтавкиНДС.НДС10, СтавкаНДС = Перечисление.СтавкиНДС.НДС10
           DECLARE @товар entity = ENTITY('Справочник.Номенклатура', NEWUUID())
           INSERT Справочник.Номенклатура SELECT Ссылка = @товар, Код = 'Ч-3', Поставщик = @товар
         END",
        database.address()
    );
    let warning = "keeps references of one kind";
    let run = run_script(folder.path(), &script, &[]);
    run.expect(0, &["column \"СтавкаНДС\" keeps", "W016"]);
    assert_eq!(run.err.matches(warning).count(), 3, "{run}");
    let check = dajet(folder.path(), &["check", "--connect", "script.djs"]);
    check.expect(0, &["script.djs:2:", "script.djs:4:", "warning[W016]"]);
    assert_eq!(check.err.matches(warning).count(), 2, "{check}");
}

#[test]
fn what_an_expression_changes_is_changed_once_though_it_asks_the_metadata() {
    let (infobase, database) = infobase();
    let folder = tempfile::tempdir().expect("a folder");
    let script = format!(
        "DECLARE @a array = ARRAY_CREATE()
         DECLARE @n integer
         DECLARE @имя string = 'Справочник.Номенклатура'
         USE '{}'
           SET @n = ARRAY_APPEND(@a, 'x') + TYPEOF(@имя)
           PRINT @n
           PRINT ARRAY_COUNT(@a)
           IF ARRAY_INSERT(@a, 0, 'y') + TYPEOF('Справочник.Контрагенты') > 0 THEN PRINT JSON(@a) END
         END",
        database.address()
    );
    let run = run_script(folder.path(), &script, &[]);
    run.expect(0, &[]);
    let code = infobase.code("Справочник.Номенклатура");
    assert_eq!(run.out, format!("{code}\n1\n[\"y\",\"x\"]\n"), "{run}");
}

#[test]
fn a_queue_is_read_in_the_order_of_a_column_of_several_parts() {
    let infobase = Infobase::new(1);
    let database = Database::create("compound_order", &infobase.sql());
    let folder = tempfile::tempdir().expect("a folder");
    let queue = "РегистрСведений.ЖурналИзменений";
    let address = database.address();
    let filled = format!(
        "USE '{address}'
           DECLARE @кто entity = ENTITY('Справочник.Контрагенты', '643c479d-cacf-4048-11f0-2426af738206')
           DECLARE @что entity = ENTITY('Справочник.Номенклатура', '643c479d-cacf-4048-11f0-2426af738207')
           INSERT {queue} SELECT Предмет = @что, Данные = 'товар'
           INSERT {queue} SELECT Предмет = @кто, Данные = 'контрагент'
         END"
    );
    run_script(folder.path(), &filled, &[]).expect(0, &[]);
    let (partners, goods) = (
        infobase.code("Справочник.Контрагенты"),
        infobase.code("Справочник.Номенклатура"),
    );
    let mut expected = [(partners, "контрагент"), (goods, "товар")];
    expected.sort_unstable();
    let expected: Vec<_> = expected.iter().map(|(_, kind)| *kind).collect();
    let read = |select: &str, order: &str| {
        let script = format!(
            "DECLARE @m object
             USE '{address}'
               CONSUME TOP 2 {select} INTO @m FROM {order}
               PRINT {select}
             END"
        );
        let script = script.replace("PRINT Данные", "PRINT @m.Данные");
        let script = script.replace("PRINT УзелОбмена", "PRINT NAMEOF(@m.УзелОбмена)");
        run_script(folder.path(), &script, &[])
    };
    let run = read("Данные", &format!("{queue} ORDER BY Предмет, Узел"));
    run.expect(0, &[]);
    assert_eq!(run.out.lines().collect::<Vec<_>>(), expected, "{run}");
    let changes = "Справочник.Номенклатура.Изменения ORDER BY УзелОбмена DESC, Ссылка";
    let run = read("УзелОбмена", changes);
    run.expect(0, &[]);
    let nodes = ["ПланОбмена.ПланОбменаРИБ"; 4];
    assert_eq!(run.out.lines().collect::<Vec<_>>(), nodes, "{run}");
}

#[test]
fn sqlite_reads_a_queue_in_the_order_of_a_column_of_several_parts() {
    let folder = tempfile::tempdir().expect("a folder");
    super::sqlite::make(
        folder.path(),
        "база.db",
        "CREATE TABLE q (узелTRef BLOB NOT NULL, узелRRef BLOB NOT NULL, n INTEGER NOT NULL);
         INSERT INTO q VALUES (x'00000024', zeroblob(16), 1), (x'0000003b', zeroblob(16), 2),
             (x'00000024', x'9d473c64cfca484011f02426af738206', 3)",
    );
    let mapping = "Изменения.Товары.Узел\tq\tузелTRef,узелRRef\tbinary(4);binary(16)\tbytea;bytea\t0\n\
                   Изменения.Товары.Номер\tq\tn\tnumeric(5,0)\tnumeric(5)\t0\n";
    std::fs::write(folder.path().join("карта.tsv"), mapping).expect("a file");
    let script = "DECLARE @m object
         USE 'sqlite://база.db?map=карта.tsv'
           CONSUME TOP 2 Номер INTO @m FROM Изменения.Товары ORDER BY Узел DESC
           PRINT @m.Номер
         END";
    let run = run_script(folder.path(), script, &[]);
    run.expect(0, &[]);
    assert_eq!(
        run.out.lines().collect::<Vec<_>>(),
        ["2", "3", "1"],
        "{run}"
    );
}

#[test]
fn a_value_of_the_table_that_is_read_is_found_behind_its_columns() {
    let (_, database) = infobase();
    let folder = tempfile::tempdir().expect("a folder");
    let script = |value: &str| {
        format!(
            "DECLARE @t array
             USE '{}'
               SELECT Справочник.Номенклатура.Код INTO @t FROM Справочник.Номенклатура WHERE Ссылка = Справочник.Номенклатура.{value}
               PRINT ARRAY_COUNT(@t)
             END",
            database.address()
        )
    };
    let run = run_script(folder.path(), &script("Доставка"), &[]);
    run.expect(0, &[]);
    assert_eq!(run.out.trim(), "1", "{run}");
    run_script(folder.path(), &script("Доставки"), &[])
        .expect(3, &["unknown column \"Доставки\" in table"]);
    let rates = format!(
        "DECLARE @t array
         USE '{}'
           SELECT * INTO @t FROM Перечисление.СтавкиНДС WHERE Ссылка = Перечисление.СтавкиНДС.НДС10
           PRINT JSON(@t)
           PRINT Перечисление.СтавкиНДС.НДС10
         END",
        database.address()
    );
    let run = run_script(folder.path(), &rates, &[]);
    run.expect(0, &[]);
    let (rows, rate) = run.out.trim().split_once('\n').expect("two lines");
    assert!(
        rows.starts_with(&format!("[{{\"Ссылка\":\"{rate}\",\"Порядок\":")),
        "{run}"
    );
    assert_eq!(rows.matches("Порядок").count(), 1, "{run}");
}

#[test]
fn a_row_of_a_record_takes_a_reference_that_the_script_makes() {
    let (infobase, database) = infobase();
    let folder = tempfile::tempdir().expect("a folder");
    let insert = "INSERT Справочник.Номенклатура SELECT Ссылка = ENTITY('Справочник.Номенклатура', NEWUUID()), Код = 'Е-1'";
    let script = |from: &str| {
        let insert = format!("{insert}{from}");
        format!("USE '{}'\n{insert}\n{insert}\nEND", database.address())
    };
    run_script(folder.path(), &script(""), &[]).expect(0, &[]);
    let query = "SELECT count(DISTINCT [Справочник.Номенклатура.Ссылка]) FROM [Справочник.Номенклатура] WHERE [Справочник.Номенклатура.Код] LIKE 'Е-1%'";
    assert_eq!(database.column(&infobase.physical(query)), ["2"]);
    run_script(folder.path(), &script(" FROM Справочник.Контрагенты"), &[])
        .expect(3, &["function ENTITY over a column"]);
}

#[test]
fn a_variable_of_another_kind_takes_no_turns_with_a_reference() {
    let (_, database) = infobase();
    let folder = tempfile::tempdir().expect("a folder");
    let script = |kind: &str| {
        format!(
            "DECLARE @t array
             USE '{}'
               DECLARE @k entity = ENTITY('Справочник.{kind}', NEWUUID())
               SELECT a = ISNULL(Поставщик, @k) INTO @t FROM Справочник.Номенклатура
               PRINT 'есть'
             END",
            database.address()
        )
    };
    run_script(folder.path(), &script("Контрагенты"), &[]).expect(0, &[]);
    run_script(folder.path(), &script("Номенклатура"), &[]).expect(
        1,
        &["references of different kinds take turns", "script.djs:4:"],
    );
}
