//! Registers, and the tables that depend on an object: changes, slices, totals, settings, analytics.

use uuid::Uuid;

use super::derive::Making;
use super::derived::Derived;
use super::kind::{Kind, id};
use super::model::{Attribute, attributes};
use super::name::Dependent;
use super::types::{Resolved, Stored, Targets, resolve};

/// Totals hold so many digits more than the records that they sum up.
const DIGITS_OF_TOTALS: u32 = 6;
/// The mode from which on settings tell of the first period that is calculated.
const MODE_MIN_CALCULATED: u32 = 80_303;
/// The mode from which on records of accounting registers hold analytics themselves.
const MODE_ANALYTICS: u32 = 80_315;
/// Most analytics of an account.
const ANALYTICS_MAX: i64 = 20;

/// A side of an accounting record: what the names of its properties and columns end with.
#[derive(Clone, Copy, Default)]
struct Side {
    russian: &'static str,
    english: &'static str,
    column: &'static str,
}

/// Debit and credit.
const SIDES: [Side; 2] = [
    Side {
        russian: "Дт",
        english: "Dr",
        column: "Dt",
    },
    Side {
        russian: "Кт",
        english: "Cr",
        column: "Ct",
    },
];

/// The classes of the collections of a register.
struct Classes {
    dimensions: Uuid,
    resources: Uuid,
    attributes: Uuid,
}

const fn classes(kind: Kind) -> Classes {
    match kind {
        Kind::AccumulationRegister => Classes {
            dimensions: id("b64d9a43-1642-11d6-a3c7-0050bae0a776"),
            resources: id("b64d9a41-1642-11d6-a3c7-0050bae0a776"),
            attributes: id("b64d9a42-1642-11d6-a3c7-0050bae0a776"),
        },
        Kind::AccountingRegister => Classes {
            dimensions: id("35b63b9d-0adf-4625-a047-10ae874c19a3"),
            resources: id("63405499-7491-4ce3-ac72-43433cbe4112"),
            attributes: id("9d28ee33-9c7e-4a1b-8f13-50aa9b36607b"),
        },
        _ => Classes {
            dimensions: id("13134203-f60b-11d5-a3c7-0050bae0a776"),
            resources: id("13134202-f60b-11d5-a3c7-0050bae0a776"),
            attributes: id("a2207540-1400-11d6-a3c7-0050bae0a776"),
        },
    }
}

impl<'a> Making<'a> {
    fn classes(&self) -> Classes {
        classes(self.object.kind)
    }

    fn has_period(&self) -> bool {
        self.object.kind != Kind::InformationRegister || self.setting(18) != 0
    }

    fn has_recorder(&self) -> bool {
        self.object.kind != Kind::InformationRegister || self.setting(19) == 1
    }

    fn period(&mut self) {
        if self.has_period() {
            self.fixed("Период", &["Period"], "_Period", Stored::Date);
        }
    }

    fn recorder(&mut self) {
        if self.has_recorder() {
            let documents = self.model.recorders.get(&self.object.uuid);
            let targets = Targets::of(documents.into_iter().flatten().copied());
            self.pair("Регистратор", &["Recorder"], "_Recorder", targets);
        }
    }

    /// The columns of a register's main table, common attributes excepted.
    pub(super) fn register(&mut self) {
        self.period();
        self.recorder();
        if self.has_recorder() {
            self.fixed(
                "НомерСтроки",
                &["LineNumber"],
                "_LineNo",
                Stored::Number(9, 0),
            );
            self.fixed("Активность", &["Active"], "_Active", Stored::Boolean);
        }
        let classes = self.classes();
        match self.object.kind {
            Kind::AccumulationRegister if self.setting(15) == 0 => {
                let aliases = ["RecordType"];
                self.fixed("ВидДвижения", &aliases, "_RecordKind", Stored::Number(1, 0));
            }
            Kind::AccountingRegister => self.accounts(),
            _ => {}
        }
        for class in [classes.dimensions, classes.resources] {
            match self.object.kind == Kind::AccountingRegister && self.setting(20) == 1 {
                true => self.doubled(class),
                false => self.attributes(class),
            }
        }
        self.attributes(classes.attributes);
        if self.object.kind == Kind::InformationRegister {
            self.fixed("SimpleKey", &[], "_SimpleKey", Stored::Uuid);
            self.optional();
        }
    }

    /// The accounts of a record, and its analytics.
    fn accounts(&mut self) {
        let chart = self
            .body(18)
            .uuid()
            .and_then(|uuid| self.model.index.by_uuid(uuid));
        let accounts = chart.map_or(Targets::None, Targets::One);
        let sides = match self.setting(20) == 1 {
            true => &SIDES[..],
            false => &[Side::default()],
        };
        if self.setting(20) != 1 {
            self.fixed(
                "ВидДвижения",
                &["RecordType"],
                "_Correspond",
                Stored::Number(1, 0),
            );
        }
        for Side {
            russian,
            english,
            column,
        } in sides
        {
            let (name, alias) = (format!("Счёт{russian}"), format!("Account{english}"));
            self.pair(&name, &[&alias], &format!("_Account{column}"), accounts);
        }
        if self.model.configuration.mode < MODE_ANALYTICS {
            return;
        }
        let (values, kinds, count) = self.analytics();
        for number in 1..=count {
            for Side {
                russian,
                english,
                column,
            } in sides
            {
                let own = format!("Субконто{russian}{number}");
                let alias = format!("ExtDimension{english}{number}");
                let name = format!("Value{column}{number}");
                self.value(&name, &[&own, &alias], &format!("_{name}"), &values);
                self.optional();
                let own = format!("ВидСубконто{russian}{number}");
                let alias = format!("ExtDimensionType{english}{number}");
                let name = format!("Kind{column}{number}");
                self.pair(&name, &[&own, &alias], &format!("_{name}"), kinds);
                self.optional();
            }
        }
    }

    /// What values the analytics of this register's accounts have, the chart of their kinds, and how many an account has.
    fn analytics(&self) -> (Resolved, Targets, i64) {
        let index = self.model.index;
        let found = || {
            let accounts = index.by_uuid(self.body(18).uuid()?)?;
            let body = self.model.body(accounts)?.root().at(1);
            let kinds = index.by_uuid(body.at(19).uuid()?)?;
            let pattern = self.model.body(kinds)?.root().path(&[1, 18]);
            let count = body.at(20).number()?.clamp(0, ANALYTICS_MAX);
            Some((resolve(pattern, self.model), Targets::One(kinds), count))
        };
        found().unwrap_or_default()
    }

    /// With correspondence a dimension or resource that is not of the balance stands on both sides.
    fn doubled(&mut self, class: Uuid) {
        for attribute in attributes(self.tree, class) {
            if attribute.flag(2) == Some(1) {
                self.attribute(&attribute);
                continue;
            }
            let (name, resolved) = (attribute.name(), resolve(attribute.pattern, self.model));
            let Some(number) = self.number(&attribute) else {
                continue;
            };
            for side in SIDES {
                let Side {
                    russian,
                    english,
                    column,
                } = side;
                let (own, alias) = (format!("{name}{russian}"), format!("{name}{english}"));
                self.value(&own, &[&alias], &format!("_Fld{number}{column}"), &resolved);
            }
        }
    }

    /// The columns of a table that depends on the object.
    pub(super) fn dependent(mut self, dependent: Dependent) -> Derived {
        match dependent {
            Dependent::Changes => self.changes(),
            Dependent::SliceLast | Dependent::SliceFirst => {
                let classes = self.classes();
                self.period();
                self.recorder();
                self.attributes(classes.dimensions);
                self.attributes(classes.resources);
                self.attributes(classes.attributes);
            }
            Dependent::Totals => self.totals(),
            Dependent::Settings => self.settings(),
            Dependent::ExtDimensionValues => self.dimension_values(),
            Dependent::ExtDimensionTypes => self.dimension_types(),
        }
        self.commons();
        self.derived
    }

    fn changes(&mut self) {
        self.pair("УзелОбмена", &["Node"], "_Node", Targets::Many);
        self.fixed(
            "НомерСообщения",
            &["MessageNo"],
            "_MessageNo",
            Stored::Number(10, 0),
        );
        match self.object.kind {
            Kind::Constant => self.fixed("ConstID", &[], "_ConstID", Stored::Uuid),
            kind if kind.is_reference() => {
                self.reference("Ссылка", &["Ref"], "_ID", Targets::One(self.place));
            }
            _ if self.has_recorder() => self.recorder(),
            _ => {
                // flags stand there by default even where they have no effect: the real columns decide
                if self.has_period() {
                    self.period();
                    self.optional();
                }
                for dimension in attributes(self.tree, self.classes().dimensions) {
                    self.maybe(&dimension, dimension.flag(5) == Some(1));
                }
            }
        }
    }

    /// An attribute that may be missing, unless it is `certain`.
    fn maybe(&mut self, attribute: &Attribute<'_>, certain: bool) {
        let before = self.derived.properties.len();
        self.attribute(attribute);
        if !certain && self.derived.properties.len() > before {
            self.optional();
        }
    }

    fn totals(&mut self) {
        let classes = self.classes();
        self.period();
        let turnovers = self.setting(15) == 1;
        for dimension in attributes(self.tree, classes.dimensions) {
            self.maybe(&dimension, !turnovers || dimension.flag(5) == Some(1));
        }
        let first = self.derived.properties.len();
        self.attributes(classes.resources);
        for resource in &mut self.derived.properties[first..] {
            for part in &mut resource.parts {
                if let Stored::Number(precision, scale) = part.stored {
                    part.stored = Stored::Number(precision + DIGITS_OF_TOTALS, scale);
                }
            }
        }
        self.fixed("Splitter", &[], "_Splitter", Stored::Number(10, 0));
        self.optional();
    }

    fn settings(&mut self) {
        if self.object.kind == Kind::InformationRegister {
            self.fixed("SliceUsing", &[], "_SliceUsing", Stored::Boolean);
            return;
        }
        let columns = [
            ("RegID", Stored::Uuid),
            ("Period", Stored::Date),
            ("ActualPeriod", Stored::Boolean),
            ("Periodicity", Stored::Number(2, 0)),
            ("RepetitionFactor", Stored::Number(2, 0)),
            ("UseTotals", Stored::Number(1, 0)),
            ("MinPeriod", Stored::Date),
            ("UseSplitter", Stored::Boolean),
        ];
        for (name, stored) in columns {
            self.fixed(name, &[], &format!("_{name}"), stored);
        }
        if self.model.configuration.mode >= MODE_MIN_CALCULATED {
            self.fixed(
                "MinCalculatedPeriod",
                &[],
                "_MinCalculatedPeriod",
                Stored::Date,
            );
        }
    }

    fn dimension_values(&mut self) {
        self.period();
        self.recorder();
        self.fixed(
            "НомерСтроки",
            &["LineNumber"],
            "_LineNo",
            Stored::Number(9, 0),
        );
        if self.setting(20) == 1 {
            self.fixed(
                "ВидДвижения",
                &["RecordType"],
                "_Correspond",
                Stored::Number(1, 0),
            );
        }
        let (values, kinds, _) = self.analytics();
        self.pair("Вид", &["Kind"], "_Kind", kinds);
        self.value("Значение", &["Value"], "_Value", &values);
    }

    fn dimension_types(&mut self) {
        let owner = self.object.table().unwrap_or_default();
        self.reference(
            "Ссылка",
            &["Ref"],
            &format!("{owner}_ID"),
            Targets::One(self.place),
        );
        self.fixed("KeyField", &["КлючСтроки"], "_KeyField", Stored::Code);
        self.fixed(
            "НомерСтроки",
            &["LineNumber"],
            "_LineNo",
            Stored::Number(5, 0),
        );
        let chart = self
            .body(19)
            .uuid()
            .and_then(|uuid| self.model.index.by_uuid(uuid));
        let kinds = chart.map_or(Targets::None, Targets::One);
        self.pair(
            "ВидСубконто",
            &["ExtDimensionType", "DimKind"],
            "_DimKind",
            kinds,
        );
        let aliases = ["Predefined", "DimIsMetadata"];
        self.fixed(
            "Предопределённый",
            &aliases,
            "_DimIsMetadata",
            Stored::Boolean,
        );
        self.fixed(
            "ТолькоОбороты",
            &["TurnoverOnly"],
            "_TurnoverOnly",
            Stored::Boolean,
        );
        self.attributes(id("c70ca527-5042-4cad-a315-dcb4007e32a3"));
    }
}
