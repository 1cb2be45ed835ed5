//! The tables of the database: names, columns and keys of every object.

use super::columns::{Holds, PhysicalColumn, columns};
use super::model::{Hierarchy, Kind, Model, Object, Part, Row, Section, Usage};

/// A logical property and its columns.
#[derive(Clone, Debug)]
pub(super) struct Property {
    pub(super) name: String,
    pub(super) columns: Vec<PhysicalColumn>,
}

impl Property {
    fn new(name: &str, column: &str, holds: Holds) -> Self {
        Self {
            name: name.to_owned(),
            columns: vec![PhysicalColumn::new(column, holds)],
        }
    }

    fn of(name: &str, columns: Vec<PhysicalColumn>) -> Self {
        Self {
            name: name.to_owned(),
            columns,
        }
    }
}

/// A logical table and the physical one behind it.
pub(super) struct Table<'a> {
    /// `Справочник.Номенклатура.Изменения`
    pub(super) logical: String,
    /// `_ReferenceChngR150`
    pub(super) physical: String,
    pub(super) properties: Vec<Property>,
    pub(super) rows: &'a [Row],
    /// Columns of its unique indexes.
    pub(super) keys: Vec<Vec<String>>,
    /// The type code of its object.
    pub(super) code: u32,
}

const UUID: Holds = Holds::Bytes(16);

/// All tables.
pub(super) fn tables(model: &Model) -> Vec<Table<'_>> {
    let mut all = Vec::new();
    for object in &model.objects {
        let Some(token) = object.kind.token() else {
            continue;
        };
        let (code, name) = (model.code(object), object.full_name());
        let main = main(model, object);
        let physical = format!("_{token}{code}");
        let mut push = |logical: String, physical: String, properties: Vec<Property>, rows| {
            let keys = keys(&logical, &properties, object);
            all.push(Table {
                logical,
                physical,
                properties,
                rows,
                keys,
                code,
            });
        };
        for section in &object.sections {
            let number = model.number(section.uuid, "VT");
            let properties = section_properties(model, object, section, &physical);
            let logical = format!("{name}.{}", section.name);
            push(
                logical,
                format!("{physical}_VT{number}"),
                properties,
                &section.rows[..],
            );
        }
        if let Some(token) = object.changes_token() {
            let table = format!("_{token}{}", model.number(object.uuid, &token));
            let properties = changes(model, object, &main);
            push(
                format!("{name}.Изменения"),
                table,
                properties,
                &object.change_rows[..],
            );
        }
        for token in &object.tables {
            let number = model.number(object.uuid, token);
            let table = match *token {
                "ExtDim" => format!("{physical}_{token}{number}"),
                _ => format!("_{token}{number}"),
            };
            let (word, properties) = dependent(model, object, token, &main);
            push(format!("{name}.{word}"), table, properties, &[]);
        }
        push(name, physical.clone(), main, &object.rows[..]);
    }
    all
}

/// The columns of a table that its unique index is made of.
fn keys(logical: &str, properties: &[Property], object: &Object) -> Vec<Vec<String>> {
    let columns = || properties.iter().flat_map(|property| &property.columns);
    let names = |wanted: &dyn Fn(&str) -> bool| -> Vec<String> {
        columns()
            .map(|column| column.name.clone())
            .filter(|name| wanted(name))
            .collect()
    };
    let node = ["_NodeTRef", "_NodeRRef"].map(str::to_owned).to_vec();
    if logical.ends_with(".Изменения") {
        let key = names(&|name| !name.starts_with("_Node") && name != "_MessageNo");
        let number = vec!["_MessageNo".to_owned()];
        return vec![
            [node.clone(), number, key.clone()].concat(),
            [key, node].concat(),
        ];
    }
    let fixed = |name: &str| ["_IDRRef", "_KeyField", "_RecordKey"].contains(&name);
    let analytics = |name: &str| {
        logical.ends_with(".ЗначенияСубконто") && ["_Correspond", "_KindRRef"].contains(&name)
    };
    let mut key = names(&|name| {
        fixed(name) || name.starts_with("_Recorder") || name == "_LineNo" || analytics(name)
    });
    if columns().any(|column| column.name == "_KeyField") {
        key = vec![
            columns().map(|c| c.name.clone()).next().unwrap_or_default(),
            "_KeyField".into(),
        ];
    }
    if key.is_empty() {
        let is_key = |property: &&Property| {
            property.name == "Период" || object.dimensions.iter().any(|d| d.name == property.name)
        };
        let parts = properties.iter().filter(is_key).flat_map(|p| &p.columns);
        key = parts.map(|column| column.name.clone()).collect();
    }
    if key.is_empty() {
        Vec::new()
    } else {
        vec![key]
    }
}

fn common(model: &Model, object: &Object, separators: bool) -> Vec<Property> {
    let used = model.commons(object);
    let used = used
        .into_iter()
        .filter(|c| !separators || c.common.separates);
    used.map(|common| {
        let base = format!("_Fld{}", model.number(common.uuid, "Fld"));
        Property::of(&common.name, columns(model, &base, &common.value))
    })
    .collect()
}

/// The properties of the main table in the order of its columns.
fn main(model: &Model, object: &Object) -> Vec<Property> {
    let mut properties = match object.kind {
        Kind::Enumeration => vec![
            Property::new("Ссылка", "_IDRRef", UUID),
            Property::new("Порядок", "_EnumOrder", Holds::Number(10, 0)),
        ],
        Kind::Catalog | Kind::Characteristics => catalog(model, object),
        Kind::Document => document(object),
        Kind::ExchangePlan => exchange_plan(object),
        Kind::Constant => {
            let base = format!("_Fld{}", model.number(object.uuid, "Fld"));
            vec![
                Property::of("Значение", columns(model, &base, &object.value)),
                Property::new("RecordKey", "_RecordKey", Holds::Bytes(1)),
            ]
        }
        Kind::Account => account(object),
        Kind::Task => task(model, object),
        Kind::BusinessProcess => business_process(model, object),
        _ => register(model, object),
    };
    let folders = object.hierarchy == Hierarchy::Folders;
    for field in object.fields() {
        let base = format!("_Fld{}", model.number(field.uuid, "Fld"));
        if object.correspondence && !field.balance {
            for (ending, side) in [("Дт", "Dt"), ("Кт", "Ct")] {
                let columns = columns(model, &format!("{base}{side}"), &field.types);
                let columns = columns.into_iter().map(PhysicalColumn::nullable).collect();
                properties.push(Property::of(&format!("{}{ending}", field.name), columns));
            }
            continue;
        }
        let mut columns = columns(model, &base, &field.types);
        if folders && field.usage != Usage::Both {
            columns = columns.into_iter().map(PhysicalColumn::nullable).collect();
        }
        properties.push(Property::of(field.name, columns));
    }
    properties.extend(common(model, object, false));
    properties
}

fn reference_head() -> Vec<Property> {
    vec![
        Property::new("Ссылка", "_IDRRef", UUID),
        Property::new("ВерсияДанных", "_Version", Holds::Version),
        Property::new("ПометкаУдаления", "_Marked", Holds::Boolean),
    ]
}

fn code(object: &Object) -> Holds {
    match object.code_is_number {
        true => Holds::Number(object.code, 0),
        false => Holds::Text(Some(object.code)),
    }
}

fn catalog(model: &Model, object: &Object) -> Vec<Property> {
    let mut properties = reference_head();
    properties.push(Property::new("Предопределённый", "_PredefinedID", UUID));
    let owners: Vec<Part> = object.owners.iter().map(|(k, n)| Part::To(*k, n)).collect();
    match owners[..] {
        [] => {}
        [_] => properties.push(Property::new("Владелец", "_OwnerIDRRef", UUID)),
        _ => properties.push(Property::of(
            "Владелец",
            columns(model, "_OwnerID", &owners),
        )),
    }
    if object.hierarchy != Hierarchy::Flat {
        properties.push(Property::new("Родитель", "_ParentIDRRef", UUID));
    }
    if object.hierarchy == Hierarchy::Folders {
        properties.push(Property::new("ЭтоГруппа", "_Folder", Holds::Boolean));
    }
    if object.code > 0 {
        properties.push(Property::new("Код", "_Code", code(object)));
    }
    if object.description > 0 {
        let holds = Holds::Text(Some(object.description));
        properties.push(Property::new("Наименование", "_Description", holds));
    }
    if object.kind == Kind::Characteristics {
        let column = PhysicalColumn::new("_Type", Holds::Blob).nullable();
        properties.push(Property::of("ТипЗначения", vec![column]));
    }
    properties
}

/// What documents and business processes begin with.
fn dated_head(object: &Object) -> Vec<Property> {
    let mut properties = reference_head();
    properties.push(Property::new("Дата", "_Date_Time", Holds::Date));
    if object.number_period {
        properties.push(Property::new("ПериодНомера", "_NumberPrefix", Holds::Date));
    }
    if object.code > 0 {
        properties.push(Property::new("Номер", "_Number", code(object)));
    }
    properties
}

fn document(object: &Object) -> Vec<Property> {
    let mut properties = dated_head(object);
    properties.push(Property::new("Проведён", "_Posted", Holds::Boolean));
    properties
}

fn exchange_plan(object: &Object) -> Vec<Property> {
    let mut properties = reference_head();
    properties.extend([
        Property::new("Код", "_Code", code(object)),
        Property::new(
            "Наименование",
            "_Description",
            Holds::Text(Some(object.description)),
        ),
        Property::new("НомерОтправленного", "_SentNo", Holds::Number(10, 0)),
        Property::new("НомерПринятого", "_ReceivedNo", Holds::Number(10, 0)),
        Property::new("Предопределённый", "_PredefinedID", UUID),
    ]);
    properties
}

fn recorder(model: &Model, object: &Object) -> Option<Property> {
    let mut columns = vec![PhysicalColumn::new("_RecorderRRef", UUID)];
    match model.recorders(object).len() {
        0 => return None,
        1 => {}
        _ => columns.insert(0, PhysicalColumn::new("_RecorderTRef", Holds::Bytes(4))),
    }
    Some(Property::of("Регистратор", columns))
}

fn register(model: &Model, object: &Object) -> Vec<Property> {
    let mut properties = Vec::new();
    let accumulates = object.kind == Kind::AccumulationRegister;
    let accounts = object.kind == Kind::AccountingRegister;
    if accumulates || accounts || object.periodicity > 0 {
        properties.push(Property::new("Период", "_Period", Holds::Date));
    }
    if let Some(recorder) = recorder(model, object) {
        properties.push(recorder);
        properties.push(Property::new("НомерСтроки", "_LineNo", Holds::Number(9, 0)));
        properties.push(Property::new("Активность", "_Active", Holds::Boolean));
    }
    if accumulates && !object.turnovers {
        properties.push(Property::new(
            "ВидДвижения",
            "_RecordKind",
            Holds::Number(1, 0),
        ));
    }
    if accounts {
        properties.extend(sides(model, object));
    }
    properties
}

fn section_properties(
    model: &Model,
    object: &Object,
    section: &Section,
    owner: &str,
) -> Vec<Property> {
    let mut properties = vec![Property::new("Ссылка", &format!("{owner}_IDRRef"), UUID)];
    if object.kind != Kind::ExchangePlan {
        properties.extend(common(model, object, true));
    }
    let line = format!("_LineNo{}", model.number(section.uuid, "LineNo"));
    properties.push(Property::new("KeyField", "_KeyField", Holds::Bytes(4)));
    properties.push(Property::new("НомерСтроки", &line, Holds::Number(5, 0)));
    properties.extend(section.attributes.iter().map(|field| {
        let base = format!("_Fld{}", model.number(field.uuid, "Fld"));
        Property::of(field.name, columns(model, &base, &field.types))
    }));
    properties
}

fn changes(model: &Model, object: &Object, main: &[Property]) -> Vec<Property> {
    let node = vec![
        PhysicalColumn::new("_NodeTRef", Holds::Bytes(4)),
        PhysicalColumn::new("_NodeRRef", UUID),
    ];
    let number = PhysicalColumn::new("_MessageNo", Holds::Number(10, 0)).nullable();
    let mut properties = vec![
        Property::of("УзелОбмена", node),
        Property::of("НомерСообщения", vec![number]),
    ];
    let of_main = |name: &str| main.iter().find(|property| property.name == name).cloned();
    let key = of_main("Ссылка").or_else(|| of_main("Регистратор"));
    if object.kind == Kind::Constant {
        properties.push(Property::new("ConstID", "_ConstID", UUID));
    } else if let Some(key) = key {
        properties.push(key);
    } else {
        let dimensions = object.dimensions.iter().filter(|d| d.main_filter);
        let names = std::iter::once("Период").chain(dimensions.map(|d| d.name));
        // A part of the filter may be missing.
        properties.extend(names.filter_map(of_main).map(|property| {
            let columns = property.columns.into_iter();
            Property::of(
                &property.name,
                columns.map(PhysicalColumn::nullable).collect(),
            )
        }));
    }
    properties.extend(common(model, object, true));
    properties
}

/// The word and the properties of a table that belongs to a register.
fn dependent(
    model: &Model,
    object: &Object,
    token: &str,
    main: &[Property],
) -> (&'static str, Vec<Property>) {
    let slice = || {
        let own = ["НомерСтроки", "Активность"];
        main.iter()
            .filter(|property| !own.contains(&&*property.name))
            .cloned()
            .collect()
    };
    match token {
        "InfoRgSL" => ("СрезПоследних", slice()),
        "InfoRgSF" => ("СрезПервых", slice()),
        "InfoRgOpt" => (
            "Настройки",
            vec![Property::new("SliceUsing", "_SliceUsing", Holds::Boolean)],
        ),
        "AccumRgT" | "AccumRgTn" => ("Итоги", totals(object, main)),
        "AccumRgOpt" | "AccRgOpt" => ("Настройки", settings()),
        "AccRgED" => ("ЗначенияСубконто", analytic_values(model, object, main)),
        "ExtDim" => ("ВидыСубконто", analytic_kinds(model, object)),
        _ => panic!("there are no tables {token} of {}", model.seed),
    }
}

fn totals(object: &Object, main: &[Property]) -> Vec<Property> {
    let wanted = |property: &&Property| {
        let dimension = object.dimensions.iter().find(|d| d.name == property.name);
        property.name == "Период" || dimension.is_some_and(|d| !object.turnovers || d.main_filter)
    };
    let mut properties: Vec<Property> = main.iter().filter(wanted).cloned().collect();
    let is_resource =
        |property: &&Property| object.resources.iter().any(|r| r.name == property.name);
    properties.extend(
        main.iter()
            .filter(is_resource)
            .cloned()
            .map(|mut property| {
                if let Holds::Number(digits, scale) = property.columns[0].holds {
                    property.columns[0].holds = Holds::Number(digits + 6, scale);
                }
                property
            }),
    );
    properties.push(Property::new("Splitter", "_Splitter", Holds::Number(10, 0)));
    properties
}

fn settings() -> Vec<Property> {
    let columns = [
        ("RegID", UUID),
        ("Period", Holds::Date),
        ("ActualPeriod", Holds::Boolean),
        ("Periodicity", Holds::Number(2, 0)),
        ("RepetitionFactor", Holds::Number(2, 0)),
        ("UseTotals", Holds::Number(1, 0)),
        ("MinPeriod", Holds::Date),
        ("UseSplitter", Holds::Boolean),
        ("MinCalculatedPeriod", Holds::Date),
    ];
    columns
        .map(|(name, holds)| Property::new(name, &format!("_{name}"), holds))
        .to_vec()
}

fn account(object: &Object) -> Vec<Property> {
    let mut properties = reference_head();
    properties.extend([
        Property::new("Предопределённый", "_PredefinedID", UUID),
        Property::new("Родитель", "_ParentIDRRef", UUID),
        Property::new("Код", "_Code", code(object)),
        Property::new(
            "Наименование",
            "_Description",
            Holds::Text(Some(object.description)),
        ),
    ]);
    if object.order > 0 {
        let holds = Holds::Text(Some(object.order));
        properties.push(Property::new("Порядок", "_OrderField", holds));
    }
    properties.extend([
        Property::new("Вид", "_Kind", Holds::Number(1, 0)),
        Property::new("Забалансовый", "_OffBalance", Holds::Boolean),
    ]);
    properties
}

/// The types of the values that the analytics of a chart of accounts have.
fn analytic_types<'a>(model: &'a Model, accounts: &Object) -> &'a [Part] {
    &model.object(Kind::Characteristics, accounts.chart).value
}

/// The accounts of a record, and from 8.3.15 on their analytics.
fn sides(model: &Model, object: &Object) -> Vec<Property> {
    let mut properties = Vec::new();
    let sides: &[(&str, &str)] = match object.correspondence {
        true => &[("СчётДт", "Dt"), ("СчётКт", "Ct")],
        false => &[("Счёт", "")],
    };
    if !object.correspondence {
        let holds = Holds::Number(1, 0);
        properties.push(Property::new("ВидДвижения", "_Correspond", holds));
    }
    for (name, side) in sides {
        properties.push(Property::new(name, &format!("_Account{side}RRef"), UUID));
    }
    let accounts = model.object(Kind::Account, object.chart);
    let count = if model.mode < 80_315 {
        0
    } else {
        accounts.analytics
    };
    for number in 1..=count {
        for (_, side) in sides {
            let (value, kind) = (
                format!("Value{side}{number}"),
                format!("Kind{side}{number}"),
            );
            let types = analytic_types(model, accounts);
            properties.push(Property::of(
                &value,
                columns(model, &format!("_{value}"), types),
            ));
            properties.push(Property::new(&kind, &format!("_{kind}RRef"), UUID));
        }
    }
    properties
}

fn analytic_values(model: &Model, object: &Object, main: &[Property]) -> Vec<Property> {
    let of_main = ["Период", "Регистратор", "НомерСтроки"];
    let of_main = of_main.map(|name| main.iter().find(|property| property.name == name));
    let mut properties: Vec<Property> = of_main.into_iter().flatten().cloned().collect();
    if object.correspondence {
        let holds = Holds::Number(1, 0);
        properties.push(Property::new("ВидДвижения", "_Correspond", holds));
    }
    let accounts = model.object(Kind::Account, object.chart);
    let types = analytic_types(model, accounts);
    properties.push(Property::new("Вид", "_KindRRef", UUID));
    properties.push(Property::of("Значение", columns(model, "_Value", types)));
    properties
}

fn analytic_kinds(model: &Model, object: &Object) -> Vec<Property> {
    let owner = format!("_Acc{}_IDRRef", model.code(object));
    let mut properties = vec![
        Property::new("Ссылка", &owner, UUID),
        Property::new("KeyField", "_KeyField", Holds::Bytes(4)),
        Property::new("НомерСтроки", "_LineNo", Holds::Number(5, 0)),
        Property::new("ВидСубконто", "_DimKindRRef", UUID),
        Property::new("Предопределённый", "_DimIsMetadata", Holds::Boolean),
        Property::new("ТолькоОбороты", "_TurnoverOnly", Holds::Boolean),
    ];
    properties.extend(object.analytic_flags.iter().map(|flag| {
        let base = format!("_Fld{}", model.number(flag.uuid, "Fld"));
        Property::of(flag.name, columns(model, &base, &flag.types))
    }));
    properties
}

/// A reference to one of so many objects: in one column if there is only one of them.
fn reference_to(count: usize, name: &str, base: &str) -> Option<Property> {
    let column = |ending: &str, holds| PhysicalColumn::new(format!("{base}{ending}"), holds);
    let columns = match count {
        0 => return None,
        1 => vec![column("RRef", UUID)],
        _ => vec![
            column("_TYPE", Holds::Bytes(1)),
            column("_RTRef", Holds::Bytes(4)),
            column("_RRRef", UUID),
        ],
    };
    Some(Property::of(name, columns))
}

fn task(model: &Model, object: &Object) -> Vec<Property> {
    let mut properties = reference_head();
    let processes = model.of(Kind::BusinessProcess);
    let count = processes
        .filter(|process| process.chart == object.name)
        .count();
    properties.extend(reference_to(count, "БизнесПроцесс", "_BusinessProcess"));
    properties.extend(reference_to(count, "ТочкаМаршрута", "_Point"));
    properties.push(Property::new("Дата", "_Date_Time", Holds::Date));
    if object.code > 0 {
        properties.push(Property::new("Номер", "_Number", code(object)));
    }
    if object.description > 0 {
        let holds = Holds::Text(Some(object.description));
        properties.push(Property::new("Наименование", "_Name", holds));
    }
    properties.push(Property::new("Выполнена", "_Executed", Holds::Boolean));
    properties
}

fn business_process(model: &Model, object: &Object) -> Vec<Property> {
    let mut properties = dated_head(object);
    properties.push(Property::new("Завершён", "_Completed", Holds::Boolean));
    let tasks = model.of(Kind::Task).count();
    properties.extend(reference_to(tasks, "ВедущаяЗадача", "_HeadTask"));
    properties.push(Property::new("Стартован", "_Started", Holds::Boolean));
    properties
}
