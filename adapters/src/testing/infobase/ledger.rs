//! What the business keeps of its money and its work: accounts and their registers, processes and their tasks.

use uuid::Uuid;

use super::model::{Attribute, Hierarchy, Kind, Object, Part, Row, Section, Value};
use super::shop::row_uuid;

const GOODS: Part = Part::To(Kind::Catalog, "Номенклатура");
const PARTNERS: Part = Part::To(Kind::Catalog, "Контрагенты");
const ACCOUNT: Part = Part::To(Kind::Account, "Хозрасчётный");
const DEPARTMENT: Part = Part::To(Kind::Catalog, "Подразделения");

/// Everything, in the order in which the configuration lists it.
pub(super) fn objects() -> Vec<Object> {
    let mut objects = documents();
    objects.extend([kinds_of_analytics(), accounts()]);
    objects.extend(registers());
    objects.extend(tasks());
    objects.extend(processes());
    objects
}

fn unbalanced(name: &'static str, types: &[Part]) -> Attribute {
    Attribute {
        balance: false,
        ..Attribute::new(name, types)
    }
}

fn documents() -> Vec<Object> {
    let both = [
        (Kind::AccountingRegister, "Хозрасчётный"),
        (Kind::AccountingRegister, "Налоговый"),
    ];
    let mut operation = Object::new(Kind::Document, "Операция");
    operation.registers = both.to_vec();
    operation.attributes = vec![
        Attribute::new("Содержание", &[Part::TextOf(150)]),
        Attribute::new("СчётУчёта", &[ACCOUNT]),
    ];
    let mut payroll = Object::new(Kind::Document, "НачислениеЗарплаты");
    payroll.registers = vec![both[0]];
    // Any account, any task, any process: of which there are one, two and three.
    payroll.attributes = vec![
        Attribute::new("СчётРасходов", &[Part::Any(Some(Kind::Account))]),
        Attribute::new("Поручение", &[Part::Any(Some(Kind::Task))]),
        Attribute::new("Согласование", &[Part::Any(Some(Kind::BusinessProcess))]),
    ];
    vec![operation, payroll]
}

fn kinds_of_analytics() -> Object {
    let mut chart = Object::new(Kind::Characteristics, "ВидыСубконто");
    chart.value = vec![PARTNERS, GOODS, Part::TextOf(40)];
    chart.description = 100;
    chart.predefined = vec![
        ["Контрагенты", "00001", "Контрагенты {и \"прочие\"}"],
        ["Номенклатура", "00002", "Номенклатура"],
    ];
    let row = |name: &'static str, code: &'static str| -> Row {
        vec![
            ("Ссылка", Value::Uuid(row_uuid(name))),
            ("Код", Value::Text(code)),
            ("Наименование", Value::Text(name)),
        ]
    };
    chart.rows = vec![
        row("вид Контрагенты", "00001"),
        row("вид Номенклатура", "00002"),
    ];
    let known = Value::Uuid(chart.predefined_uuid("Контрагенты"));
    chart.rows[0].push(("Предопределённый", known));
    chart
}

fn accounts() -> Object {
    let mut chart = Object::new(Kind::Account, "Хозрасчётный");
    chart.synonym = "План счетов, \"хозрасчётный\"";
    chart.hierarchy = Hierarchy::Items;
    (chart.chart, chart.analytics) = ("ВидыСубконто", 3);
    (chart.code, chart.description, chart.order) = (8, 120, 5);
    chart.attributes = vec![Attribute::new("ЗапретитьИспользовать", &[Part::Boolean])];
    chart.more = vec![
        Attribute::new("Валютный", &[Part::Boolean]),
        Attribute::new("Количественный", &[Part::Boolean]),
    ];
    chart.analytic_flags = vec![Attribute::new("Суммовой", &[Part::Boolean])];
    chart.sections = vec![Section {
        name: "Замены",
        attributes: vec![Attribute::new("Счёт", &[ACCOUNT])],
        rows: Vec::new(),
        uuid: Uuid::nil(),
    }];
    chart.tables = vec!["ExtDim"];
    chart.tracked = true;
    chart.predefined = vec![["РасчётыСПокупателями", "62.01", "Расчёты"]];
    let account = |name: &'static str, code: &'static str, kind: &'static str| -> Row {
        vec![
            ("Ссылка", Value::Uuid(row_uuid(name))),
            ("Код", Value::Text(code)),
            ("Наименование", Value::Text(name)),
            ("Вид", Value::Number(kind)),
            ("Количественный", Value::Boolean(true)),
        ]
    };
    chart.rows = vec![
        account("счёт 62.01", "62.01", "2"),
        account("счёт 90.01", "90.01", "1"),
    ];
    let known = Value::Uuid(chart.predefined_uuid("РасчётыСПокупателями"));
    chart.rows[0].push(("Предопределённый", known));
    chart
}

fn account(row: &str) -> Value {
    Value::To(Kind::Account, "Хозрасчётный", row_uuid(row))
}

fn registers() -> Vec<Object> {
    let mut business = Object::new(Kind::AccountingRegister, "Хозрасчётный");
    (business.chart, business.correspondence) = ("Хозрасчётный", true);
    business.dimensions = vec![
        Attribute::new("Организация", &[PARTNERS]),
        unbalanced("Подразделение", &[DEPARTMENT]),
    ];
    business.resources = vec![
        Attribute::new("Сумма", &[Part::Number(15, 2)]),
        unbalanced("Количество", &[Part::Number(15, 3)]),
    ];
    business.attributes = vec![Attribute::new("Содержание", &[Part::TextOf(150)])];
    business.tables = vec!["AccRgED", "AccRgOpt"];
    business.tracked = true;
    let operation = |row| Value::To(Kind::Document, "Операция", row_uuid(row));
    let partner = Value::To(Kind::Catalog, "Контрагенты", row_uuid("Василёк"));
    let of_partner = Value::To(
        Kind::Characteristics,
        "ВидыСубконто",
        row_uuid("вид Контрагенты"),
    );
    business.rows = vec![vec![
        ("Период", Value::Date("2024-03-01 12:00:00")),
        ("Регистратор", operation("операция 1")),
        ("НомерСтроки", Value::Number("1")),
        ("Активность", Value::Boolean(true)),
        ("СчётДт", account("счёт 62.01")),
        ("СчётКт", account("счёт 90.01")),
        ("ValueDt1", partner),
        ("KindDt1", of_partner),
        ("Сумма", Value::Number("1530.00")),
        ("КоличествоКт", Value::Number("2.000")),
    ]];
    let mut taxes = Object::new(Kind::AccountingRegister, "Налоговый");
    taxes.chart = "Хозрасчётный";
    // Without correspondence nothing stands twice.
    taxes.dimensions = vec![unbalanced("ВидУчёта", &[Part::TextOf(2)])];
    taxes.resources = vec![unbalanced("Сумма", &[Part::Number(15, 2)])];
    taxes.tables = vec!["AccRgED"];
    vec![business, taxes]
}

fn tasks() -> Vec<Object> {
    let mut task = Object::new(Kind::Task, "ЗадачаИсполнителя");
    (task.code, task.description) = (14, 250);
    task.attributes = vec![Attribute::new("Описание", &[Part::Text])];
    task.more = vec![
        Attribute::new("Исполнитель", &[Part::To(Kind::Catalog, "Сотрудники")]),
        Attribute::new("Роль", &[Part::TextOf(50)]),
    ];
    task.sections = vec![Section {
        name: "Файлы",
        attributes: vec![Attribute::new("Имя", &[Part::TextOf(100)])],
        rows: Vec::new(),
        uuid: Uuid::nil(),
    }];
    task.tracked = true;
    task.rows = vec![vec![
        ("Ссылка", Value::Uuid(row_uuid("задача 1"))),
        ("Дата", Value::Date("2024-03-02 09:00:00")),
        ("Номер", Value::Text("00000000000001")),
        ("Наименование", Value::Text("Согласовать \"заказ\"")),
        ("Роль", Value::Text("Директор")),
    ]];
    let mut errand = Object::new(Kind::Task, "Поручение");
    (errand.code, errand.code_is_number) = (9, true);
    errand.description = 0;
    vec![task, errand]
}

fn processes() -> Vec<Object> {
    let process = |name, task| {
        let mut object = Object::new(Kind::BusinessProcess, name);
        object.chart = task;
        object.attributes = vec![Attribute::new("Предмет", &[GOODS, PARTNERS])];
        object
    };
    let mut approval = process("Согласование", "ЗадачаИсполнителя");
    (approval.code, approval.number_period) = (11, true);
    approval.tracked = true;
    approval.sections = vec![Section {
        name: "Участники",
        attributes: vec![Attribute::new(
            "Кто",
            &[Part::To(Kind::Catalog, "Сотрудники")],
        )],
        rows: Vec::new(),
        uuid: Uuid::nil(),
    }];
    approval.rows = vec![vec![
        ("Ссылка", Value::Uuid(row_uuid("согласование 1"))),
        ("Дата", Value::Date("2024-03-02 08:00:00")),
        ("Номер", Value::Text("00000000001")),
        ("Стартован", Value::Boolean(true)),
    ]];
    let mut bare = process("Ознакомление", "ЗадачаИсполнителя");
    bare.code = 0;
    vec![approval, bare, process("Исполнение", "Поручение")]
}
