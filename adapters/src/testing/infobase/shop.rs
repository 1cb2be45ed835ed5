//! The objects of the infobase: a small trade business, and one of every shape that metadata may have.

use uuid::Uuid;

use super::columns::raw;
use super::model::{Attribute, CommonUse, Hierarchy, Kind, Object, Part, Row, Section, Value, uid};
use super::objects::this_node;

const GOODS: Part = Part::To(Kind::Catalog, "Номенклатура");
const PARTNERS: Part = Part::To(Kind::Catalog, "Контрагенты");
const ORDER: Part = Part::To(Kind::Document, "ЗаказПокупателя");
const STATE: Part = Part::To(Kind::Enumeration, "СостоянияЗаказов");
const RATE: Part = Part::To(Kind::Enumeration, "СтавкиНДС");
const NODE: Part = Part::To(Kind::ExchangePlan, "ПланОбменаРИБ");

/// The uuid of a row, in the form of 1C.
pub(super) fn row_uuid(name: &str) -> Uuid {
    uid(&["row", name])
}

fn to(kind: Kind, object: &'static str, row: &str) -> Value {
    Value::To(kind, object, row_uuid(row))
}

fn item(row: &str) -> Value {
    to(Kind::Catalog, "Номенклатура", row)
}

fn node(row: &str) -> Value {
    to(Kind::ExchangePlan, "ПланОбменаРИБ", row)
}

fn order(row: &str) -> Value {
    to(Kind::Document, "ЗаказПокупателя", row)
}

/// Everything, in the order in which the configuration lists it.
pub(super) fn objects() -> Vec<Object> {
    let mut objects = enumerations();
    objects.push(exchange_plan());
    objects.extend(catalogs());
    objects.push(goods());
    objects.extend(documents());
    objects.extend(constants());
    objects.extend(aliases());
    objects.extend(queues());
    objects.extend(information_registers());
    objects.extend(accumulation_registers());
    objects.extend(common_attributes());
    objects
}

fn enumerations() -> Vec<Object> {
    let enumeration = |name, synonym, values: &[(&'static str, &'static str)]| {
        let mut object = Object::new(Kind::Enumeration, name);
        object.synonym = synonym;
        object.values = values.to_vec();
        let orders = ["0", "1", "2", "3"];
        let row = |((value, _), order): (&(&'static str, _), &'static str)| -> Row {
            let uuid = Value::Uuid(object.value_uuid(value));
            vec![("Ссылка", uuid), ("Порядок", Value::Number(order))]
        };
        object.rows = values.iter().zip(orders).map(row).collect();
        object
    };
    vec![
        enumeration(
            "СтавкиНДС",
            "Ставки НДС",
            &[
                ("БезНДС", "Без НДС"),
                ("НДС10", "10%"),
                ("НДС20", "20 %, {новая}"),
                ("НДС7", ""),
            ],
        ),
        enumeration(
            "СостоянияЗаказов",
            "Состояния \"заказов\"",
            &[
                ("Новый", "Новый"),
                ("Оплачен", "\"Оплачен\""),
                ("Отгружен", "Отгружен\r\n{полностью}"),
            ],
        ),
    ]
}

fn exchange_plan() -> Object {
    let mut plan = Object::new(Kind::ExchangePlan, "ПланОбменаРИБ");
    plan.synonym = "План обмена, распределённый";
    plan.attributes = vec![Attribute::new("АдресДоставки", &[Part::TextOf(100)])];
    let this = Value::Uuid(this_node(&plan));
    let row = |name: &'static str, deleted| -> Row {
        vec![
            ("Ссылка", Value::Uuid(row_uuid(name))),
            ("Код", Value::Text(name)),
            ("ПометкаУдаления", Value::Boolean(deleted)),
        ]
    };
    plan.rows = vec![
        row("MAIN", false),
        row("KAFKA", false),
        row("FILIAL-1", false),
        row("RABBIT", true),
    ];
    plan.rows[0].push(("Предопределённый", this));
    plan
}

fn catalogs() -> Vec<Object> {
    let partners = {
        let mut object = Object::new(Kind::Catalog, "Контрагенты");
        object.attributes = vec![
            Attribute::new("ИНН", &[Part::FixedText(12)]),
            Attribute::new("Сайт", &[Part::Text]),
        ];
        object.tracked = true;
        object.rows = vec![
            vec![
                ("Ссылка", Value::Uuid(row_uuid("Василёк"))),
                ("Код", Value::Text("000000001")),
                ("Наименование", Value::Text("ООО \"Василёк\"")),
                ("ИНН", Value::Text("7712345678")),
            ],
            vec![
                ("Ссылка", Value::Uuid(row_uuid("Кот"))),
                ("Код", Value::Text("000000002")),
                ("Наименование", Value::Text("ИП Кот д'Ивуар")),
                ("ПометкаУдаления", Value::Boolean(true)),
            ],
        ];
        object
    };
    let mut contracts = Object::new(Kind::Catalog, "Договоры");
    contracts.owners = vec![(Kind::Catalog, "Контрагенты")];
    (contracts.code, contracts.code_is_number) = (5, true);
    contracts.attributes = vec![Attribute::new("ДатаДоговора", &[Part::Day])];
    let mut files = Object::new(Kind::Catalog, "ПрисоединённыеФайлы");
    files.owners = vec![
        (Kind::Catalog, "Контрагенты"),
        (Kind::Catalog, "Номенклатура"),
    ];
    files.code = 0;
    files.attributes = vec![Attribute::new("Данные", &[Part::Storage])];
    let mut departments = Object::new(Kind::Catalog, "Подразделения");
    departments.hierarchy = Hierarchy::Items;
    departments.comment = "комментарий с \"кавычками\", {скобками}\r\nи второй строкой";
    departments.description = 100;
    let mut staff = Object::new(Kind::Catalog, "Сотрудники");
    staff.tracked = true;
    staff.sections = vec![Section {
        name: "Телефоны",
        attributes: vec![Attribute::new("Номер", &[Part::TextOf(20)])],
        rows: Vec::new(),
        uuid: Uuid::nil(),
    }];
    let mut anonymous = Object::new(Kind::Catalog, "Метки");
    anonymous.description = 0;
    vec![partners, contracts, files, departments, staff, anonymous]
}

fn goods() -> Object {
    let mut goods = Object::new(Kind::Catalog, "Номенклатура");
    goods.synonym = "Товары {и \"услуги\"}";
    (goods.code, goods.description) = (11, 100);
    goods.hierarchy = Hierarchy::Folders;
    goods.tracked = true;
    let source = [
        Part::TextOf(50),
        PARTNERS,
        Part::Boolean,
        Part::Number(10, 2),
        ORDER,
        Part::Date,
    ];
    goods.attributes = vec![
        Attribute::new("Артикул", &[Part::TextOf(25)]),
        Attribute::new("СтавкаНДС", &[RATE]),
        Attribute::new("Вес", &[Part::Number(15, 3)]),
        Attribute::everywhere("ДатаСоздания", &[Part::Date]),
        Attribute::new("Поставщик", &[PARTNERS]),
        Attribute::everywhere("Описание", &[Part::Text]),
        Attribute::new("Картинка", &[Part::Storage]),
        Attribute::everywhere("ВнешнийКод", &[Part::Uuid]),
        Attribute::everywhere("Источник", &source),
        Attribute::everywhere("Активен", &[Part::Boolean]),
        Attribute::everywhere("Метка", &[Part::TextOf(20), STATE]),
        Attribute::new("Замена", &[Part::Defined("ВладелецСвойств")]),
        Attribute {
            usage: super::model::Usage::Folders,
            ..Attribute::new("Раздел", &[Part::Number(3, 0)])
        },
    ];
    goods.sections = goods_sections();
    goods.predefined = vec![
        ["Доставка", "ПС-5", "Доставка \"до двери\", {курьером}"],
        ["Упаковка", "ПС-8", "Упаковка"],
    ];
    goods.rows = goods_rows();
    let known = (
        "Предопределённый",
        Value::Uuid(goods.predefined_uuid("Доставка")),
    );
    let named = |row: &&mut Row| {
        row.iter()
            .any(|(_, value)| matches!(value, Value::Text("доставка")))
    };
    goods
        .rows
        .iter_mut()
        .filter(named)
        .for_each(|row| row.push(known.clone()));
    let change = |to, of, number: Option<&'static str>| -> Row {
        let mut row = vec![("УзелОбмена", node(to)), ("Ссылка", item(of))];
        row.extend(number.map(|number| ("НомерСообщения", Value::Number(number))));
        row
    };
    goods.change_rows = vec![
        change("KAFKA", "чайник", None),
        change("KAFKA", "чашка", None),
        change("FILIAL-1", "чайник", Some("3")),
        change("FILIAL-1", "поднос", None),
    ];
    goods
}

fn goods_sections() -> Vec<Section> {
    vec![
        Section {
            name: "Штрихкоды",
            attributes: vec![
                Attribute::new("Штрихкод", &[Part::TextOf(200)]),
                Attribute::new("Упаковка", &[Part::Number(10, 3)]),
            ],
            rows: vec![
                barcode("чайник", 1),
                barcode("чайник", 2),
                barcode("чашка", 1),
            ],
            uuid: Uuid::nil(),
        },
        // As a fixed word is called: the section wins.
        Section {
            name: "Настройки",
            attributes: vec![Attribute::new("Ключ", &[Part::TextOf(10)])],
            rows: Vec::new(),
            uuid: Uuid::nil(),
        },
    ]
}

fn barcode(owner: &str, line: u8) -> Row {
    let number = if line == 1 { "1" } else { "2" };
    vec![
        ("Ссылка", item(owner)),
        ("KeyField", Value::Bytes(vec![0, 0, 0, line])),
        ("НомерСтроки", Value::Number(number)),
        ("Штрихкод", Value::Text("4600000000017")),
    ]
}

fn goods_rows() -> Vec<Row> {
    let good = |name: &'static str, code: &'static str, source: Option<Value>| -> Row {
        let mut row = vec![
            ("Ссылка", Value::Uuid(row_uuid(name))),
            ("Код", Value::Text(code)),
            ("Наименование", Value::Text(name)),
            // Stored inverted.
            ("ЭтоГруппа", Value::Boolean(true)),
            ("Артикул", Value::Text("")),
            ("Вес", Value::Number("1.250")),
            ("Картинка", Value::Bytes(vec![1, 1, 0xef])),
            ("СтавкаНДС", rate("НДС20")),
            ("Поставщик", to(Kind::Catalog, "Контрагенты", "Василёк")),
        ];
        row.extend(source.map(|value| ("Источник", value)));
        row
    };
    let partner = to(Kind::Catalog, "Контрагенты", "Василёк");
    let mut rows = vec![
        vec![
            ("Ссылка", Value::Uuid(row_uuid("посуда"))),
            ("Код", Value::Text("00000000001")),
            ("Наименование", Value::Text("Посуда")),
            ("ЭтоГруппа", Value::Boolean(false)),
            ("Раздел", Value::Number("7")),
        ],
        good("чайник", "ПС-1   ", Some(partner)),
        good("чашка", "ПС-2", Some(Value::Text("строка"))),
        good("ложка", "ПС-3", Some(Value::Number("-12.50"))),
        good("тарелка", "ПС-4", Some(Value::Date("2024-02-29 23:59:59"))),
        good("доставка", "ПС-5", Some(Value::Boolean(true))),
        good("поднос", "ПС-6", Some(order("заказ 1"))),
        good("вилка", "ПС-7", None),
    ];
    rows[1].push(("Метка", Value::Text("метка")));
    let state = Object::new(Kind::Enumeration, "СостоянияЗаказов").value_uuid("Новый");
    rows[2].push((
        "Метка",
        Value::To(Kind::Enumeration, "СостоянияЗаказов", state),
    ));
    rows[1].push(("ВнешнийКод", Value::Uuid(uid(&["external"]))));
    rows[2].push(("Замена", item("чайник")));
    rows
}

fn rate(value: &str) -> Value {
    let uuid = Object::new(Kind::Enumeration, "СтавкиНДС").value_uuid(value);
    Value::To(Kind::Enumeration, "СтавкиНДС", uuid)
}

fn documents() -> Vec<Object> {
    let mut order = Object::new(Kind::Document, "ЗаказПокупателя");
    (order.code, order.number_period, order.tracked) = (11, true, true);
    order.registers = vec![
        (Kind::InformationRegister, "ИсторияСостояний"),
        (Kind::AccumulationRegister, "ТоварыНаСкладах"),
        (Kind::AccumulationRegister, "Продажи"),
    ];
    order.attributes = vec![
        Attribute::new("Контрагент", &[PARTNERS]),
        Attribute::new("Состояние", &[STATE]),
        Attribute::new("Сумма", &[Part::Number(15, 2)]),
        Attribute::new("Комментарий", &[Part::Text]),
        Attribute::new("Основание", &[Part::Any(Some(Kind::Document))]),
    ];
    order.sections = vec![Section {
        name: "Товары",
        attributes: vec![
            Attribute::new("Номенклатура", &[GOODS]),
            Attribute::new("Количество", &[Part::Number(15, 3)]),
            Attribute::new("СтавкаНДС", &[RATE]),
            Attribute::new("Характеристика", &[Part::TextOf(30), Part::Number(5, 0)]),
        ],
        rows: Vec::new(),
        uuid: Uuid::nil(),
    }];
    order.rows = vec![vec![
        ("Ссылка", Value::Uuid(row_uuid("заказ 1"))),
        ("Дата", Value::Date("2024-03-01 10:15:00")),
        ("ПериодНомера", Value::Date("2024-01-01 00:00:00")),
        ("Номер", Value::Text("00000000001")),
        ("Проведён", Value::Boolean(true)),
        ("Сумма", Value::Number("1530.00")),
    ]];
    let mut prices = Object::new(Kind::Document, "УстановкаЦен");
    (prices.code, prices.code_is_number) = (6, true);
    prices.registers = vec![
        (Kind::InformationRegister, "ИсторияСостояний"),
        (Kind::InformationRegister, "КурсыВалют"),
        (Kind::AccumulationRegister, "Продажи"),
    ];
    prices.attributes = vec![Attribute::new("Ответственный", &[Part::TextOf(40)])];
    let mut bare = Object::new(Kind::Document, "Напоминание");
    bare.code = 0;
    vec![order, prices, bare]
}

fn constants() -> Vec<Object> {
    let constant = |name, value: &[Part]| {
        let mut object = Object::new(Kind::Constant, name);
        object.value = value.to_vec();
        object
    };
    let key = ("RecordKey", Value::Bytes(vec![0x31]));
    let mut enabled = constant("ИспользоватьОбмен", &[Part::Boolean]);
    enabled.tracked = true;
    enabled.rows = vec![vec![("Значение", Value::Boolean(true)), key.clone()]];
    // Any exchange plan where only one is: a single reference.
    let mut main = constant("ГлавныйУзел", &[Part::Any(Some(Kind::ExchangePlan))]);
    main.rows = vec![vec![("Значение", node("MAIN")), key]];
    let everything = constant("ПоследнийОбъект", &[Part::Any(None)]);
    let mixed = constant("Порог", &[Part::Boolean, Part::Number(7, 1)]);
    vec![
        enabled,
        main,
        everything,
        mixed,
        constant("КлючБазы", &[Part::Uuid]),
    ]
}

fn aliases() -> Vec<Object> {
    let mut owner = Object::new(Kind::DefinedType, "ВладелецСвойств");
    owner.value = vec![GOODS, PARTNERS];
    let mut amount = Object::new(Kind::DefinedType, "ДенежнаяСумма");
    amount.value = vec![Part::Number(17, 2)];
    let mut chart = Object::new(Kind::Characteristics, "ДополнительныеСвойства");
    chart.value = vec![
        Part::Boolean,
        Part::Number(15, 3),
        Part::TextOf(100),
        PARTNERS,
    ];
    chart.hierarchy = Hierarchy::Folders;
    chart.attributes = vec![Attribute::everywhere("Подсказка", &[Part::Text])];
    vec![owner, amount, chart]
}

fn queues() -> Vec<Object> {
    let queue = |name, synonym, party| {
        let mut object = Object::new(Kind::InformationRegister, name);
        object.synonym = synonym;
        object.dimensions = vec![Attribute::new("НомерСообщения", &[Part::Number(19, 0)])];
        object.resources = vec![
            Attribute::new("Заголовки", &[Part::Text]),
            Attribute::new("ТипСообщения", &[Part::TextOf(1024)]),
            Attribute::new("ТелоСообщения", &[Part::Text]),
        ];
        object.attributes = vec![
            Attribute::new(party, &[Part::TextOf(36)]),
            Attribute::new("ОтметкаВремени", &[Part::Date]),
        ];
        object
    };
    vec![
        queue("ИсходящиеСообщения", "Исходящие сообщения", "Получатель"),
        queue(
            "ВходящиеСообщения",
            "Входящие, \"сообщения\"",
            "Отправитель",
        ),
    ]
}

fn register(name: &str, dimensions: Vec<Attribute>, resources: Vec<Attribute>) -> Object {
    let mut object = Object::new(Kind::InformationRegister, name);
    (object.dimensions, object.resources) = (dimensions, resources);
    object
}

fn prices() -> Object {
    let currency = Attribute {
        main_filter: false,
        ..Attribute::new("Валюта", &[Part::TextOf(3)])
    };
    let mut prices = register(
        "ЦеныНоменклатуры",
        vec![Attribute::new("Номенклатура", &[GOODS]), currency],
        vec![Attribute::new("Цена", &[Part::Defined("ДенежнаяСумма")])],
    );
    prices.attributes = vec![Attribute::new("Автор", &[Part::TextOf(40)])];
    (prices.periodicity, prices.tracked) = (4, true);
    prices.tables = vec!["InfoRgSL", "InfoRgSF", "InfoRgOpt"];
    let price = |period, of, price| -> Row {
        vec![
            ("Период", Value::Date(period)),
            ("Номенклатура", item(of)),
            ("Валюта", Value::Text("RUB")),
            ("Цена", Value::Number(price)),
        ]
    };
    prices.rows = vec![
        price("2024-02-01 00:00:00", "чайник", "1200.00"),
        price("2024-01-01 00:00:00", "чайник", "1000.50"),
        price("2024-02-01 00:00:00", "чашка", "110.00"),
    ];
    prices
}

fn information_registers() -> Vec<Object> {
    let mut history = register(
        "ИсторияСостояний",
        vec![Attribute::new("Заказ", &[ORDER])],
        vec![Attribute::new("Состояние", &[STATE])],
    );
    (history.periodicity, history.tracked) = (6, true);
    let mut rates = register(
        "КурсыВалют",
        vec![Attribute::new("Валюта", &[Part::TextOf(3)])],
        vec![Attribute::new("Курс", &[Part::Number(10, 4)])],
    );
    (rates.periodicity, rates.tracked) = (6, true);
    let chart = Part::To(Kind::Characteristics, "ДополнительныеСвойства");
    let value = Part::Characteristics("ДополнительныеСвойства");
    let properties = register(
        "ЗначенияСвойств",
        vec![
            Attribute::new("Объект", &[Part::Defined("ВладелецСвойств")]),
            Attribute::new("Свойство", &[chart]),
        ],
        vec![Attribute::new("Значение", &[value])],
    );
    let mut log = register(
        "ЖурналИзменений",
        vec![
            Attribute::new("Узел", &[NODE]),
            Attribute::new("Предмет", &[GOODS, PARTNERS, ORDER]),
        ],
        vec![Attribute::new("Данные", &[Part::Text])],
    );
    log.tracked = true;
    let pause = Attribute::new("Пауза", &[Part::Number(5, 0)]);
    let single = register("НастройкиОбмена", Vec::new(), vec![pause]);
    vec![prices(), history, rates, properties, log, single]
}

fn accumulation_registers() -> Vec<Object> {
    let mut stock = Object::new(Kind::AccumulationRegister, "ТоварыНаСкладах");
    stock.dimensions = vec![Attribute::new("Номенклатура", &[GOODS])];
    stock.resources = vec![Attribute::new("Количество", &[Part::Number(15, 3)])];
    stock.tables = vec!["AccumRgT", "AccumRgOpt"];
    stock.tracked = true;
    let mut sales = Object::new(Kind::AccumulationRegister, "Продажи");
    sales.turnovers = true;
    let partner = Attribute {
        main_filter: false,
        ..Attribute::new("Контрагент", &[PARTNERS])
    };
    sales.dimensions = vec![Attribute::new("Номенклатура", &[GOODS]), partner];
    sales.resources = vec![Attribute::new("Сумма", &[Part::Number(15, 2)])];
    sales.attributes = vec![Attribute::new("Пояснение", &[Part::TextOf(50)])];
    sales.tables = vec!["AccumRgTn"];
    vec![stock, sales]
}

fn common_attributes() -> Vec<Object> {
    let common = |name, value: &[Part], common| {
        let mut object = Object::new(Kind::CommonAttribute, name);
        object.value = value.to_vec();
        object.common = common;
        object
    };
    let area = CommonUse {
        separates: true,
        automatic: false,
        said: vec![
            (Kind::Catalog, "Сотрудники", true),
            (Kind::Catalog, "Номенклатура", false),
        ],
    };
    let origin = CommonUse {
        separates: false,
        automatic: false,
        said: vec![
            (Kind::Catalog, "Подразделения", true),
            (Kind::Document, "УстановкаЦен", true),
        ],
    };
    vec![
        common("ОбластьДанных", &[Part::Number(7, 0)], area),
        common("Происхождение", &[Part::TextOf(9), PARTNERS], origin),
    ]
}

/// Catalogs beside those of the business, all alike.
pub(super) fn more_catalogs(count: usize) -> impl Iterator<Item = Object> {
    (1..=count).map(|number| {
        let mut object = Object::new(Kind::Catalog, format!("Дополнительный{number:05}"));
        object.attributes = vec![
            Attribute::new("Артикул", &[Part::TextOf(25)]),
            Attribute::new("Поставщик", &[PARTNERS]),
            Attribute::new("Вес", &[Part::Number(15, 3)]),
        ];
        object
    })
}

/// The bytes of the row of an item, as they stand in `_IDRRef`.
pub(super) fn row_bytes(name: &str) -> [u8; 16] {
    raw(row_uuid(name))
}
