//! Sequences: numbers that a trigger gives to the rows of a table.

use dajet_adapters::testing::infobase::Infobase;

use super::node::run_script;
use super::servers::Database;

#[test]
fn a_sequence_numbers_rows_old_and_new() {
    let tables = "CREATE TABLE _inforg7 (_fld8 numeric(15,0) NOT NULL, _fld9 varchar(20) NOT NULL);
        CREATE UNIQUE INDEX _inforg7_1 ON _inforg7 (_fld8);
        INSERT INTO _inforg7 VALUES (30, 'третья'), (3, 'первая'), (4, 'вторая');
        CREATE TABLE \"Мои заказы\" (n bigint, \"имя\" text);
        CREATE TABLE \"о'кей\" (n bigint)";
    let database = Database::create("sequences", tables);
    let folder = tempfile::tempdir().expect("a folder");
    let address = database.address();
    let setup = format!(
        "USE '{address}'
           CREATE SEQUENCE so_Очередь START WITH 3
           CREATE SEQUENCE so_Очередь
           APPLY SEQUENCE so_Очередь ON _inforg7(_fld8) RECALCULATE
           APPLY SEQUENCE so_Очередь ON _inforg7(_fld8)
           CREATE SEQUENCE so_b INCREMENT BY 10
           APPLY SEQUENCE so_b ON [Мои заказы](n)
           APPLY SEQUENCE public.so_B ON [о'кей](n)
           INSERT _inforg7 SELECT _fld8 = 0, _fld9 = 'четвертая'
           INSERT [Мои заказы] SELECT имя = 'а'
           INSERT [Мои заказы] SELECT имя = 'б'
         END"
    );
    run_script(folder.path(), &setup, &[]).expect(0, &[]);
    let numbered = "SELECT _fld8 || ' ' || _fld9 FROM _inforg7 ORDER BY _fld8";
    assert_eq!(
        database.column(numbered),
        ["3 первая", "4 вторая", "5 третья", "6 четвертая"]
    );
    let orders = "SELECT n || \"имя\" FROM \"Мои заказы\" ORDER BY n";
    assert_eq!(database.column(orders), ["1а", "11б"]);
    let early = format!("USE '{address}' DROP SEQUENCE so_b END");
    let run = run_script(folder.path(), &early, &[]);
    let refused = "cannot drop sequence \"so_b\": it numbers the rows of table \"Мои заказы\", table \"о'кей\"";
    run.expect(1, &[refused, "REVOKE SEQUENCE"]);
    let teardown = format!(
        "USE '{address}'
           REVOKE SEQUENCE so_Очередь ON _inforg7
           REVOKE SEQUENCE so_Очередь ON _inforg7
           INSERT _inforg7 SELECT _fld8 = 100, _fld9 = 'сама'
           DROP SEQUENCE so_Очередь
           INSERT [Мои заказы] SELECT имя = 'в'
           REVOKE SEQUENCE so_b ON [Мои заказы]
           REVOKE SEQUENCE so_b ON [о'кей]
           DROP SEQUENCE so_b
           DROP SEQUENCE so_Очередь
         END"
    );
    let run = run_script(folder.path(), &teardown, &[]);
    run.expect(1, &["cannot drop sequence \"so_Очередь\""]);
    assert_eq!(
        database.column("SELECT _fld9 FROM _inforg7 WHERE _fld8 = 100"),
        ["сама"]
    );
    assert_eq!(database.column(orders), ["1а", "11б", "21в"]);
    let missing = format!("USE '{address}' APPLY SEQUENCE нет ON _inforg7(_fld8) RECALCULATE END");
    let run = run_script(folder.path(), &missing, &[]);
    run.expect(1, &["cannot apply sequence \"нет\" to table \"_inforg7\""]);
}

#[test]
fn a_register_of_an_infobase_is_numbered_by_its_own_names() {
    let infobase = Infobase::new(1);
    let database = Database::create("numbered", &infobase.sql());
    let folder = tempfile::tempdir().expect("a folder");
    let register = "РегистрСведений.ВходящиеСообщения";
    let script = format!(
        "DECLARE @n array
         USE '{}'
           CREATE SEQUENCE so_вх
           APPLY SEQUENCE so_вх ON {register}(НомерСообщения) RECALCULATE
           INSERT {register} SELECT ТелоСообщения = 'новое'
           SELECT НомерСообщения, ТелоСообщения INTO @n FROM {register} WHERE ТелоСообщения = 'новое'
           PRINT ARRAY_COUNT(@n)
           IF @n[0].НомерСообщения > 0 THEN PRINT 'есть номер' END
         END",
        database.address()
    );
    let run = run_script(folder.path(), &script, &[]);
    run.expect(0, &[]);
    assert_eq!(run.out, "1\nесть номер\n", "{run}");
}
