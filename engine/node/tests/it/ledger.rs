//! Accounts, accounting registers, processes and tasks of an infobase in scripts, in Russian and in English.

use dajet_adapters::testing::infobase::Infobase;

use super::node::run_script;
use super::servers::Database;

/// The lines that a script prints, run at an infobase.
fn printed(infobase: &Infobase, database: &Database, body: &str) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let script = format!(
        "DECLARE @t array\nDECLARE @o object\nUSE '{}'\n{body}\nEND",
        database.address()
    );
    let run = run_script(folder.path(), &script, &[]);
    run.expect(0, &[]);
    assert!(
        !run.err.contains("left out"),
        "{}: {run}",
        infobase.mapping()
    );
    run.out.lines().map(str::to_owned).collect()
}

/// The text with the names of objects in angle brackets replaced by their type codes.
fn coded(infobase: &Infobase, text: &str) -> String {
    let mut parts = text.split('<');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('>').unwrap_or((part, ""));
        out.push_str(&infobase.code(name).to_string());
        out.push_str(rest);
    }
    out
}

fn create(infobase: &Infobase) -> Database {
    Database::create("ledger", &infobase.sql())
}

#[test]
fn records_of_accounts_are_read_and_written_in_either_language() {
    let infobase = Infobase::new(31).with_year_offset(2000);
    let database = create(&infobase);
    let out = printed(
        &infobase,
        &database,
        "SELECT код = ПланСчетов.Хозрасчётный.РасчётыСПокупателями INTO @o
         SELECT Период, Сумма, КоличествоДт, КоличествоКт, Вид = TYPEOF(СубконтоДт1), Пусто = TYPEOF(СубконтоКт1)
         INTO @t FROM РегистрБухгалтерии.Хозрасчётный WHERE СчётДт = @o.код
         PRINT JSON(@t)
         DECLARE @документ entity = ENTITY('Документ.НачислениеЗарплаты', '643c479d-cacf-4048-11f0-2426af738206')
         DECLARE @сотрудник entity = ENTITY('Справочник.Контрагенты', '643c479d-cacf-4048-11f0-2426af738207')
         INSERT AccountingRegister.Хозрасчётный
         SELECT Period = '2024-04-30', Recorder = @документ, LineNumber = 1, Active = true, AccountDr = @o.код,
                AccountCr = ENTITY('Account.Хозрасчётный', '643c479d-cacf-4048-11f0-2426af738208'),
                ExtDimensionDr1 = @сотрудник, ExtDimensionCr2 = 'текст', Сумма = 12.5, КоличествоDr = 3
         SELECT Period, AccountDr = TYPEOF(AccountDr), AccountCr = TYPEOF(AccountCr), n = КоличествоDr,
                dr = TYPEOF(ExtDimensionDr1), cr = ValueCt2, kind = TYPEOF(ВидСубконтоКт2), recorder = TYPEOF(Recorder)
         INTO @t FROM AccountingRegister.Хозрасчётный WHERE LineNumber = 1 AND Recorder = @документ
         PRINT JSON(@t)
         INSERT РегистрБухгалтерии.Налоговый SELECT Период = '2024-05-01', НомерСтроки = 7, ВидДвижения = 1, Счёт = @o.код, ВидУчёта = 'НУ',
                Сумма = 1, Субконто1 = @сотрудник
         SELECT Account = TYPEOF(Account), RecordType, ВидУчёта, ExtDimension1 = TYPEOF(ExtDimension1), Recorder = TYPEOF(Recorder)
         INTO @t FROM AccountingRegister.Налоговый
         PRINT JSON(@t)
         INSERT AccountingRegister.Хозрасчётный.ExtDimensionValues
         SELECT Period = '2024-04-30', Recorder = @документ, LineNumber = 1, RecordType = 0, Value = @сотрудник
         SELECT n = COUNT(*) INTO @o FROM РегистрБухгалтерии.Хозрасчётный.ЗначенияСубконто WHERE Значение = @сотрудник AND Регистратор = @документ
         PRINT @o.n",
    );
    let read = r#"[{"Период":"2024-03-01T12:00:00","Сумма":1530.00,"КоличествоДт":null,"КоличествоКт":2.000,"Вид":<Справочник.Контрагенты>,"Пусто":1}]"#;
    let expected = [
        read,
        r#"[{"Period":"2024-04-30T00:00:00","AccountDr":<ПланСчетов.Хозрасчётный>,"AccountCr":<ПланСчетов.Хозрасчётный>,"n":3.000,"dr":<Справочник.Контрагенты>,"cr":"текст","kind":<ПланВидовХарактеристик.ВидыСубконто>,"recorder":<Документ.НачислениеЗарплаты>}]"#,
        r#"[{"Account":<ПланСчетов.Хозрасчётный>,"RecordType":1,"ВидУчёта":"НУ","ExtDimension1":<Справочник.Контрагенты>,"Recorder":<Документ.Операция>}]"#,
        "1",
    ];
    assert_eq!(out, expected.map(|text| coded(&infobase, text)));
    let record = "РегистрБухгалтерии.Хозрасчётный";
    let written = infobase.physical(&format!(
        "SELECT concat_ws(' ', extract(year FROM [{record}.Период])::int, encode([{record}.KindDt1], 'hex') = repeat('0', 32)) \
         FROM [{record}] WHERE [{record}.Сумма] = 12.5"
    ));
    assert_eq!(database.column(&written), ["4024 t"]);
}

#[test]
fn accounts_tasks_and_processes_are_read_and_written_in_either_language() {
    let infobase = Infobase::new(32);
    let database = create(&infobase);
    let out = printed(
        &infobase,
        &database,
        "SELECT Code, Вид, OffBalance, Количественный, Родитель = TYPEOF(Parent) INTO @t FROM Account.Хозрасчётный ORDER BY Код
         PRINT JSON(@t)
         INSERT ПланСчетов.Хозрасчётный SELECT Ref = NEWUUID(), Код = '76.05', Order = '7605', Kind = 2, Валютный = true
         INSERT Account.Хозрасчётный.ExtDimensionTypes
         SELECT Ref = c.Ссылка, LineNumber = 1, ВидСубконто = ПланВидовХарактеристик.ВидыСубконто.Контрагенты, Суммовой = true
         FROM Account.Хозрасчётный AS c WHERE c.Code = '76.05'
         SELECT a.Порядок, Kind = k.Description, d.TurnoverOnly INTO @t FROM ПланСчетов.Хозрасчётный.ВидыСубконто AS d
         JOIN Account.Хозрасчётный AS a ON d.Ссылка = a.Ссылка
         JOIN Characteristic.ВидыСубконто AS k ON d.ВидСубконто = k.Ссылка
         PRINT JSON(@t)
         DECLARE @процесс entity = ENTITY('BusinessProcess.Ознакомление', '643c479d-cacf-4048-11f0-2426af738206')
         INSERT Task.ЗадачаИсполнителя SELECT Ref = NEWUUID(), Date = '2024-03-03', Description = 'Прочесть', Роль = 'Все', BusinessProcess = @процесс
         SELECT Номер, Description, Executed, Роль, процесс = TYPEOF(БизнесПроцесс) INTO @t FROM Задача.ЗадачаИсполнителя ORDER BY Дата
         PRINT JSON(@t)
         INSERT БизнесПроцесс.Исполнение SELECT Ссылка = NEWUUID(), Дата = '2024-03-04', Предмет = ENTITY('Справочник.Контрагенты', '643c479d-cacf-4048-11f0-2426af738209'),
                ВедущаяЗадача = ENTITY('Task.Поручение', '643c479d-cacf-4048-11f0-2426af738210')
         SELECT Completed, Started, HeadTask = TYPEOF(HeadTask), Предмет = TYPEOF(Предмет) INTO @t FROM BusinessProcess.Исполнение
         PRINT JSON(@t)
         INSERT Task.Поручение SELECT Ссылка = NEWUUID(), Номер = 5
         SELECT Number, процесс = TYPEOF(BusinessProcess) INTO @t FROM Task.Поручение
         PRINT JSON(@t)
         INSERT Задача.ЗадачаИсполнителя.Изменения SELECT УзелОбмена = ENTITY('ПланОбмена.ПланОбменаРИБ', '643c479d-cacf-4048-11f0-2426af738211'), Ссылка = t.Ref
         FROM Task.ЗадачаИсполнителя AS t
         SELECT n = COUNT(*) INTO @o FROM Task.ЗадачаИсполнителя.Changes
         PRINT @o.n",
    );
    let expected = [
        r#"[{"Code":"62.01","Вид":2,"OffBalance":false,"Количественный":true,"Родитель":<ПланСчетов.Хозрасчётный>},{"Code":"90.01","Вид":1,"OffBalance":false,"Количественный":true,"Родитель":<ПланСчетов.Хозрасчётный>}]"#,
        r#"[{"Порядок":"7605","Kind":"вид Контрагенты","TurnoverOnly":false}]"#,
        r#"[{"Номер":"00000000000001","Description":"Согласовать \"заказ\"","Executed":false,"Роль":"Директор","процесс":0},{"Номер":"","Description":"Прочесть","Executed":false,"Роль":"Все","процесс":<БизнесПроцесс.Ознакомление>}]"#,
        r#"[{"Completed":false,"Started":false,"HeadTask":<Задача.Поручение>,"Предмет":<Справочник.Контрагенты>}]"#,
        r#"[{"Number":5,"процесс":<БизнесПроцесс.Исполнение>}]"#,
        "2",
    ];
    assert_eq!(out, expected.map(|text| coded(&infobase, text)));
}
