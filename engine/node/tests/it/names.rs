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
