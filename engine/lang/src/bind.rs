//! Binding: names become columns of a schema. Pure; called when a statement first runs at a resolved address.

mod columns;
mod compare;
mod copying;
mod insert;
mod kinds;
pub(crate) mod parts;
mod select;
mod sequence;
mod texts;
mod typing;
mod unions;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dajet_core::query::{self, Body, Part};
use dajet_core::{DataType, Diagnostic, Entity, Record, Schema, Span, Table, Value};
use jiff::civil::DateTime;

use crate::ast::{BinaryOp, Name, UnaryOp};
use crate::machine::convert::adapt;
use crate::names::{self, ExprKind, last_part};
use crate::plan::{Detail, Plan, StatementId, StatementPlan, Variable};
use crate::program::{self, Type};

/// A bound statement.
#[derive(Debug)]
pub struct Bound {
    /// What the database is given.
    pub statement: Arc<query::Statement>,
    /// What the author should know.
    pub warnings: Vec<Diagnostic>,
    /// What becomes of each parameter before it is sent.
    pub(crate) adaptations: Vec<Adaptation>,
    /// Values of the parameters behind those of the script: empty values of columns that it does not name.
    pub(crate) constants: Vec<Value>,
    /// The author has been told of a reference of a foreign kind.
    told: AtomicBool,
}

/// What becomes of a parameter before it is sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Adaptation {
    /// The type of the column that it is compared with or stored in.
    pub data_type: Option<DataType>,
    /// What takes the place of NULL: the column does not take it, and its table wants empty values.
    pub empty: Option<Value>,
    /// True if a reference with its type code is wanted: a uuid alone says too little, and so does one of no known kind.
    pub coded: bool,
    /// True if its place keeps no fractions of a second.
    pub whole_seconds: bool,
    /// The type code of the only kind of references that its column keeps, and the name of the column.
    pub kind: Option<(i32, Arc<str>)>,
    /// The type code of the references that it takes turns with.
    pub alike: Option<i32>,
}

impl Bound {
    /// Converts the values of the script's parameters to the types of their columns, where that is documented.
    pub fn adapt(&self, record: Record) -> Record {
        let values = record.into_iter().enumerate();
        let adapted = values.map(|(index, value)| self.adapt_one(index, value));
        adapted.chain(self.constants.iter().cloned()).collect()
    }

    /// True if the value of a parameter, as it is sent, lacks the type code that its place wants.
    pub(crate) fn lacks_code(&self, index: usize, value: &Value) -> bool {
        let coded = self.adaptations.get(index).is_some_and(|a| a.coded);
        coded
            && match value {
                Value::Uuid(_) => true,
                Value::Entity(Entity { code: 0, uuid }) => !uuid.is_nil(),
                _ => false,
            }
    }

    /// True if a reference is of another kind than those that it takes turns with.
    pub(crate) fn stands_out(&self, index: usize, value: &Value) -> bool {
        let alike = self.adaptations.get(index).and_then(|a| a.alike);
        matches!((value, alike), (Value::Entity(own), Some(code)) if own.code != 0 && own.code != code)
    }

    /// The column that keeps references of another kind than this one, told once.
    #[inline]
    pub(crate) fn loses_kind(&self, index: usize, value: &Value) -> Option<&str> {
        let Value::Entity(Entity { code, .. }) = value else {
            return None;
        };
        let (kept, column) = self.adaptations.get(index)?.kind.as_ref()?;
        let foreign = *code != 0 && code != kept;
        (foreign && !self.told.swap(true, Ordering::Relaxed)).then_some(column)
    }

    #[inline]
    pub(crate) fn adapt_one(&self, index: usize, value: Value) -> Value {
        let Some(adaptation) = self.adaptations.get(index) else {
            return value;
        };
        let value = match (&adaptation.empty, adaptation.data_type) {
            (Some(empty), _) if value.is_null() => empty.clone(),
            (_, Some(data_type)) => adapt(value, data_type),
            _ => value,
        };
        match value {
            Value::DateTime(time) if adaptation.whole_seconds => {
                Value::DateTime(whole_seconds(time))
            }
            value => value,
        }
    }
}

/// The second that a time lies in.
fn whole_seconds(time: DateTime) -> DateTime {
    let cut = time.with().subsec_nanosecond(0).build();
    cut.unwrap_or(time)
}

/// Binds a statement of the plan. The schema is the answer about [`StatementPlan::tables`].
///
/// # Errors
/// Unknown and ambiguous names (E_BIND), and what a column cannot take; all of them, each with its place.
pub fn bind(
    plan: &Plan,
    statement: StatementId,
    schema: &Schema,
) -> Result<Bound, Vec<Diagnostic>> {
    let statement = plan.statement(statement);
    let Detail::Names(names) = &statement.detail else {
        let message = "a statement for a broker has no columns to bind";
        return Err(vec![Diagnostic::error("E_FAULT", statement.span, message)]);
    };
    let mut binder = Binder::new(statement, &plan.variables, schema);
    let body = match &**names {
        names::Body::Select(select) => binder
            .select(select)
            .map(|select| Body::Select(unions::whole(select))),
        names::Body::Insert(insert) => binder.insert(insert).map(Body::Insert),
        names::Body::Drain(drain) => binder.drain(drain).map(Body::Drain),
        names::Body::Sequence(sequence) => binder.sequence(sequence).map(Body::Sequence),
    };
    match body {
        Some(body) if binder.errors.is_empty() => {
            let parameters = statement.parameters.len() + binder.constants.len();
            Ok(Bound {
                statement: query::Statement::new(parameters, body),
                warnings: binder.warnings,
                adaptations: binder.adaptations,
                constants: binder.constants,
                told: AtomicBool::new(false),
            })
        }
        _ => Err(binder.mistakes()),
    }
}

/// The type that a database has for a declared one.
fn data_type(declared: Type) -> Option<DataType> {
    Some(match declared {
        Type::Boolean => DataType::Boolean,
        Type::Integer => DataType::Integer,
        Type::Number | Type::Decimal => DataType::Decimal,
        Type::DateTime => DataType::DateTime,
        Type::String => DataType::Text,
        Type::Binary => DataType::Binary,
        Type::Uuid => DataType::Uuid,
        Type::Entity | Type::Union | Type::Object | Type::Array => return None,
    })
}

/// A table in FROM.
#[derive(Clone)]
struct Source {
    table: Arc<Table>,
    alias: Arc<str>,
}

/// The state of one binding.
struct Binder<'a> {
    plan: &'a StatementPlan,
    variables: &'a [Variable],
    schema: &'a Schema,
    /// The tables that columns may name, query by query, the innermost last.
    scopes: Vec<Vec<Source>>,
    /// Tables beside a query in FROM, which it does not see.
    beside: Vec<Source>,
    adaptations: Vec<Adaptation>,
    constants: Vec<Value>,
    /// True behind GROUP BY: what is written again there is the same parameter, or the database would not know it again.
    again: bool,
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
}

impl<'a> Binder<'a> {
    fn new(plan: &'a StatementPlan, variables: &'a [Variable], schema: &'a Schema) -> Self {
        Self {
            plan,
            variables,
            schema,
            scopes: vec![Vec::new()],
            beside: Vec::new(),
            adaptations: vec![Adaptation::default(); plan.parameters.len()],
            constants: Vec::new(),
            again: false,
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The errors, each once: a name that is bound part by part may be found unknown for each of them.
    fn mistakes(self) -> Vec<Diagnostic> {
        let mut mistakes: Vec<Diagnostic> = Vec::with_capacity(self.errors.len());
        for error in self.errors {
            let same = |known: &Diagnostic| {
                known.code == error.code
                    && known.span == error.span
                    && known.message == error.message
            };
            if !mistakes.iter().any(same) {
                mistakes.push(error);
            }
        }
        mistakes
    }

    fn error(&mut self, code: &'static str, span: Span, message: impl Into<String>) {
        self.errors.push(Diagnostic::error(code, span, message));
    }

    /// Finds a table in the schema.
    fn table(&mut self, name: &Name) -> Option<Arc<Table>> {
        if let Some(table) = self.schema.table(&name.text) {
            return Some(Arc::clone(table));
        }
        let reason = self.schema.reason(&name.text).map(str::to_owned);
        let near = || self.schema.near(&name.text);
        let hint = reason.or_else(|| near().map(|near| format!("Did you mean \"{near}\"?")));
        let message = format!("unknown table \"{}\"", name.text);
        let error = Diagnostic::error("E_BIND", name.span, message);
        self.errors.push(error.maybe_hint(hint));
        None
    }

    fn drain(&mut self, drain: &names::Drain) -> Option<query::Drain> {
        let from = self.from(&drain.from)?;
        let columns = self.outputs(&drain.columns, &[]);
        for order in &drain.order {
            if let ExprKind::Column(name) = &order.expr.kind
                && let Some((_, column)) = self.quietly(name)
                && column.nullable()
            {
                let message = format!("column \"{}\" may hold NULL", name.text);
                let hint = "Rows without a value stand where the database sorts NULL.";
                self.warnings
                    .push(Diagnostic::warning("W013", name.span, message).hint(hint));
            }
        }
        let order = self.order(&drain.order, &columns);
        Some(query::Drain {
            from,
            columns,
            filter: drain.filter.as_ref().map(|filter| self.condition(filter)),
            order,
            top: self.expr(&drain.top, Some(DataType::Integer)),
            strict: drain.strict,
        })
    }

    fn condition(&mut self, expr: &names::Expr) -> query::Expr {
        self.expr(expr, Some(DataType::Boolean))
    }

    /// A parameter with the type that its place asks for.
    fn parameter(&mut self, index: usize, data_type: Option<DataType>, part: Part) -> query::Expr {
        let index = match self.again {
            true => self.written_before(index, data_type),
            false => index,
        };
        let adaptation = &mut self.adaptations[index];
        adaptation.data_type = adaptation.data_type.or(data_type);
        adaptation.coded |= part == Part::TypeCode;
        query::Expr::Parameter {
            index,
            data_type: data_type.or(adaptation.data_type),
            part,
        }
    }

    /// The first parameter of the same value and type: a text or a variable.
    fn written_before(&self, index: usize, data_type: Option<DataType>) -> usize {
        use program::ExprKind::{Constant, Slot};
        let parameters = &self.plan.parameters;
        let same = |other: &usize| {
            let written = match (&parameters[*other].kind, &parameters[index].kind) {
                (Constant(a), Constant(b)) => a == b,
                (Slot(a), Slot(b)) => a == b,
                _ => false,
            };
            written && self.adaptations[*other].data_type == data_type
        };
        (0..index).find(same).unwrap_or(index)
    }

    /// A constant that may not stand in the text: a parameter behind those of the script.
    fn constant(&mut self, value: Value, data_type: DataType, part: Part) -> query::Expr {
        match value {
            value @ (Value::Null | Value::Boolean(_) | Value::Integer(_) | Value::Decimal(_)) => {
                query::Expr::Literal(value)
            }
            value => self.sent_part(value, data_type, part),
        }
    }

    /// A constant that is sent as a parameter whatever it is.
    fn sent(&mut self, value: Value, data_type: DataType) -> query::Expr {
        self.sent_part(value, data_type, Part::Whole)
    }

    fn sent_part(&mut self, value: Value, data_type: DataType, part: Part) -> query::Expr {
        let known = self.constants.iter().position(|known| *known == value);
        let place = known.unwrap_or_else(|| {
            self.constants.push(value);
            self.constants.len() - 1
        });
        let index = self.plan.parameters.len() + place;
        query::Expr::Parameter {
            index,
            data_type: Some(data_type),
            part,
        }
    }

    /// The type that a parameter surely has.
    fn type_of_parameter(&self, index: usize) -> Option<DataType> {
        match &self.plan.parameters[index].kind {
            program::ExprKind::Constant(Value::Text(_)) => Some(DataType::Text),
            program::ExprKind::Binary { text: true, .. } => Some(DataType::Text),
            kind @ program::ExprKind::Binary { .. } => self.type_of_numbers(kind),
            program::ExprKind::Slot(slot) => data_type(self.variables[*slot].declared),
            program::ExprKind::Unary(UnaryOp::Minus, operand) => {
                self.type_of_numbers(&operand.kind)
            }
            program::ExprKind::Cast(_, target) => data_type(target.to),
            program::ExprKind::Call(function, _) => function.result(),
            _ => None,
        }
    }

    /// The type of arithmetic, where it is one of numbers that are known to be such.
    fn type_of_numbers(&self, kind: &program::ExprKind) -> Option<DataType> {
        match kind {
            program::ExprKind::Constant(Value::Integer(_)) => Some(DataType::Integer),
            program::ExprKind::Constant(Value::Decimal(_)) => Some(DataType::Decimal),
            program::ExprKind::Unary(UnaryOp::Minus, operand) => {
                self.type_of_numbers(&operand.kind)
            }
            program::ExprKind::Slot(slot) => match self.variables[*slot].declared {
                Type::Integer => Some(DataType::Integer),
                Type::Number | Type::Decimal => Some(DataType::Decimal),
                _ => None,
            },
            program::ExprKind::Binary { op, sides, .. } => {
                use BinaryOp::{Add, Divide, Multiply, Remainder, Subtract};
                if !matches!(op, Add | Subtract | Multiply | Divide | Remainder) {
                    return None;
                }
                match (
                    self.type_of_numbers(&sides.0.kind)?,
                    self.type_of_numbers(&sides.1.kind)?,
                ) {
                    (DataType::Integer, DataType::Integer) => Some(DataType::Integer),
                    _ => Some(DataType::Decimal),
                }
            }
            _ => None,
        }
    }

    /// True if `qualifier` names the table in FROM: its alias, its name or the last part of it.
    fn names_source(source: &Source, qualifier: &str) -> bool {
        let same = |name: &str| name.to_lowercase() == qualifier.to_lowercase();
        same(&source.alias) || same(&source.table.name) || same(last_part(&source.table.name))
    }
}
