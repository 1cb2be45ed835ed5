//! Columns and expressions.

use std::sync::Arc;

use dajet_core::diagnostic::nearest;
use dajet_core::query::{self, Binary, Function, Part};
use dajet_core::schema::ColumnRole;
use dajet_core::{Column, DataType, Diagnostic, Entity, PhysicalColumn, Span, Table, Value};

use super::{Binder, Source};
use crate::ast::Name;
use crate::names::{Expr, ExprKind};

/// A column with the alias of its table.
pub(super) type FoundColumn = (Arc<str>, Arc<Column>);

impl Binder<'_> {
    /// Finds a column without reporting anything.
    pub(super) fn quietly(&self, name: &Name) -> Option<FoundColumn> {
        match self.resolve(name) {
            Resolved::Found(found) => Some(found),
            Resolved::Ambiguous(_) | Resolved::Nothing => None,
        }
    }

    /// Looks in the tables of the innermost query first, then in those around it.
    fn resolve(&self, name: &Name) -> Resolved {
        for scope in self.scopes.iter().rev() {
            let mut found = Vec::new();
            for source in addressed(name, scope) {
                let column = split(name, source).and_then(|column| source.table.column(column));
                found.extend(column.map(|column| (Arc::clone(&source.alias), column)));
            }
            match found.as_slice() {
                [] => {}
                [(alias, column)] => {
                    let column = Arc::new((*column).clone());
                    return Resolved::Found((Arc::clone(alias), column));
                }
                _ => {
                    let aliases = found.into_iter().map(|(alias, _)| alias);
                    return Resolved::Ambiguous(aliases.collect());
                }
            }
        }
        Resolved::Nothing
    }

    /// Finds a column, or reports why there is none.
    pub(super) fn column(&mut self, name: &Name) -> Option<FoundColumn> {
        let error = match self.resolve(name) {
            Resolved::Found(found) => return Some(found),
            Resolved::Ambiguous(aliases) => {
                let message = format!(
                    "column \"{}\" stands in several tables: {}",
                    name.text,
                    quoted(&aliases)
                );
                let hint = format!("Write it as \"{}.{}\".", aliases[0], name.last());
                Diagnostic::error("E_BIND", name.span, message).hint(hint)
            }
            Resolved::Nothing => self.unknown(name),
        };
        self.errors.push(error);
        None
    }

    /// The value that a name stands for: `Перечисление.СтавкиНДС.НДС10`. Columns come first.
    pub(super) fn value(&self, name: &Name) -> Option<Entity> {
        let value = self.schema.value(&name.text)?;
        matches!(self.resolve(name), Resolved::Nothing).then_some(value)
    }

    /// The value of a name, or a part of it, as a parameter.
    pub(super) fn value_part(&mut self, value: Entity, part: Part) -> query::Expr {
        self.constant(Value::Entity(value), DataType::Entity(value.code), part)
    }

    /// Why there is no such column.
    fn unknown(&self, name: &Name) -> Diagnostic {
        let sources: Vec<_> = self.scopes.iter().rev().flatten().collect();
        let of_source = |source: &&Source| split(name, source).is_some();
        if self.plan.values.contains(&name.text) && !sources.iter().any(of_source) {
            let near = || self.schema.near(&name.text);
            let reason = self.schema.reason(&name.text).map(str::to_owned);
            let hint = reason.or_else(|| near().map(|near| format!("Did you mean \"{near}\"?")));
            let message = format!("unknown name \"{}\"", name.text);
            return Diagnostic::error("E_BIND", name.span, message).maybe_hint(hint);
        }
        if sources.is_empty() {
            let message = format!(
                "column \"{}\" stands in a statement without FROM",
                name.text
            );
            return Diagnostic::error("E_BIND", name.span, message);
        }
        let mut candidates = sources
            .iter()
            .filter_map(|source| Some((*source, split(name, source)?)));
        match (candidates.next(), candidates.next()) {
            (Some((source, column)), None) => {
                let mut error = unknown(column, name, &source.table);
                error.hint = error.hint.or_else(|| self.hint_of_selected(name));
                error
            }
            (Some(_), Some(_)) => {
                let columns = sources.iter().flat_map(|source| &source.table.columns);
                let near = nearest(&name.text, columns.map(|column| &*column.name));
                let message = format!("unknown column \"{}\"", name.text);
                let hint = near.map(|near| format!("Did you mean \"{near}\"?"));
                Diagnostic::error("E_BIND", name.span, message).maybe_hint(hint)
            }
            (None, _) => {
                let qualifier = name.qualifier().unwrap_or(&name.text);
                let message = format!("unknown table or alias \"{qualifier}\"");
                let aliases: Vec<_> = sources.iter().map(|s| Arc::clone(&s.alias)).collect();
                let hint = self
                    .hint_of_unseen(name)
                    .unwrap_or_else(|| match aliases.as_slice() {
                        [only] => format!("The table of this statement is \"{only}\"."),
                        all => format!("The tables of this query are {}.", quoted(all)),
                    });
                Diagnostic::error("E_BIND", name.span, message).hint(hint)
            }
        }
    }

    /// How to come by a column of a table that is there and not seen: that of the query which an APPEND belongs to, or one beside a query in FROM.
    fn hint_of_unseen(&self, name: &Name) -> Option<String> {
        let (qualifier, column) = (name.qualifier()?, name.last());
        let lower = qualifier.to_lowercase();
        if let Some(main) = &self.plan.main
            && main.names.iter().any(|known| known.to_lowercase() == lower)
        {
            let selects = main.star || main.selects(column);
            let first = if selects { "" } else { "select it there and " };
            let into = &main.into;
            return Some(format!(
                "APPEND does not see the tables of its query, but what that has selected: {first}write @{into}.{column}."
            ));
        }
        let beside = |source: &Source| Self::names_source(source, qualifier);
        self.beside.iter().any(beside).then(|| {
            "A query in FROM does not see the tables beside it: compare its columns with theirs in ON or in WHERE.".to_owned()
        })
    }

    /// The same for a column without its table.
    fn hint_of_selected(&self, name: &Name) -> Option<String> {
        let main = self.plan.main.as_ref()?;
        let (into, column) = (&main.into, &name.text);
        let hint =
            || format!("For what the query of this APPEND has selected write @{into}.{column}.");
        main.selects(column).then(hint)
    }

    /// Binds an expression; `wanted` is the type that its place asks for.
    pub(super) fn expr(&mut self, expr: &Expr, wanted: Option<DataType>) -> query::Expr {
        match &expr.kind {
            ExprKind::Column(name) => {
                if let Some(value) = self.value(name) {
                    return self.value_part(value, Part::Whole);
                }
                match self.column(name) {
                    Some((alias, column)) => query::Expr::Column { alias, column },
                    None => query::Expr::Literal(Value::Null),
                }
            }
            ExprKind::Parameter(index) => self.parameter(*index, wanted, Part::Whole),
            ExprKind::Literal(value) => query::Expr::Literal(value.clone()),
            ExprKind::Unary(op, operand) => {
                query::Expr::Unary(*op, Box::new(self.operand(operand, wanted)))
            }
            ExprKind::Binary(op, sides) => self.binary(*op, &sides.0, &sides.1, wanted),
            ExprKind::IsNull(operand, negated) => {
                let operand = self.physical(operand).pop();
                let operand = Box::new(operand.unwrap_or(query::Expr::Literal(Value::Null)));
                query::Expr::IsNull {
                    operand,
                    negated: *negated,
                }
            }
            ExprKind::InList(operand, list, negated) => self.in_list(operand, list, *negated),
            ExprKind::InQuery(operand, query, negated) => self.in_query(operand, query, *negated),
            ExprKind::Exists(query) => match self.select(query) {
                Some(query) => query::Expr::Exists(Box::new(query)),
                None => query::Expr::Literal(Value::Null),
            },
            ExprKind::Subquery(query) => match self.single(query) {
                Some(query) => query::Expr::Subquery(Box::new(query)),
                None => query::Expr::Literal(Value::Null),
            },
            ExprKind::Case(branches, otherwise) => {
                let own = self.type_of(expr);
                // a date beside a text that is one: ISNULL(Дата, '2024-01-01') = '2024-01-02'
                let wanted = match own {
                    Some(DataType::DateTime) => own,
                    own => wanted.or(own),
                };
                self.case(branches, otherwise.as_deref(), wanted)
            }
            ExprKind::Call(function, args) => {
                query::Expr::Call(function.clone(), self.arguments(function, args))
            }
            ExprKind::TypeOf(operand) => self.type_code(operand),
            ExprKind::Cast(operand, data_type) => self.cast(operand, *data_type),
        }
    }

    fn arguments(&mut self, function: &Function, args: &[Expr]) -> Vec<query::Expr> {
        match (function, args) {
            (Function::UuidOf | Function::Uuid1c | Function::UuidDb, [arg]) => {
                vec![self.identified(function, arg)]
            }
            // a column of several parts is NULL in all of them or in none
            (Function::Count, [arg]) => self.physical(arg).drain(..1).collect(),
            (Function::CountDistinct, [arg]) => self.physical(arg),
            (Function::Max | Function::Min, [arg]) => vec![self.ordered(function, arg)],
            _ => {
                let args = args.iter().enumerate();
                let args = args.map(|(index, arg)| match argument_type(function, index) {
                    Some(DataType::Text) => self.text_operand(arg),
                    wanted => self.operand(arg, wanted),
                });
                args.collect()
            }
        }
    }

    fn case(
        &mut self,
        branches: &[(Expr, Expr)],
        otherwise: Option<&Expr>,
        wanted: Option<DataType>,
    ) -> query::Expr {
        let errors = self.errors.len();
        let bind = |(condition, value): &(Expr, Expr)| {
            let value = self.operand(value, wanted);
            (self.condition(condition), value)
        };
        let bound: Vec<_> = branches.iter().map(bind).collect();
        let last = otherwise.map(|expr| (self.operand(expr, wanted), expr.span));
        if self.errors.len() == errors {
            let values = bound.iter().zip(branches);
            let values = values.map(|((_, value), (_, written))| (value, written.span));
            let values = values.chain(last.iter().map(|(value, span)| (value, *span)));
            self.of_one_kind(&values.collect());
        }
        query::Expr::Case {
            branches: bound,
            otherwise: last.map(|(value, _)| Box::new(value)),
        }
    }

    fn binary(&mut self, op: Binary, a: &Expr, b: &Expr, wanted: Option<DataType>) -> query::Expr {
        let (type_a, type_b) = (self.type_of(a), self.type_of(b));
        let text = Some(DataType::Text);
        let (op, want_a, want_b) = match op {
            Binary::And | Binary::Or => (op, Some(DataType::Boolean), Some(DataType::Boolean)),
            Binary::Equal
            | Binary::NotEqual
            | Binary::Less
            | Binary::LessOrEqual
            | Binary::Greater
            | Binary::GreaterOrEqual => return self.comparison(op, a, b),
            Binary::Like | Binary::NotLike | Binary::Concat => (op, text, text),
            Binary::Add if type_a == text || type_b == text => (Binary::Concat, text, text),
            _ => (
                op,
                type_a.or(type_b).or(wanted),
                type_b.or(type_a).or(wanted),
            ),
        };
        let sides = match op {
            Binary::Like | Binary::NotLike | Binary::Concat => {
                (self.text_operand(a), self.text_operand(b))
            }
            _ => (self.operand(a, want_a), self.operand(b, want_b)),
        };
        query::Expr::Binary(op, Box::new(sides.0), Box::new(sides.1))
    }

    /// The logical type of an expression, where it is known.
    pub(super) fn type_of(&self, expr: &Expr) -> Option<DataType> {
        match &expr.kind {
            ExprKind::Column(name) => match self.value(name) {
                Some(value) => Some(DataType::Entity(value.code)),
                None => self.quietly(name).map(|(_, column)| column.data_type),
            },
            ExprKind::Parameter(index) => self.type_of_parameter(*index),
            ExprKind::Literal(value) => match value {
                Value::Boolean(_) => Some(DataType::Boolean),
                Value::Integer(_) => Some(DataType::Integer),
                Value::Decimal(_) => Some(DataType::Decimal),
                _ => None,
            },
            ExprKind::Unary(query::Unary::Not, _)
            | ExprKind::IsNull(..)
            | ExprKind::InList(..)
            | ExprKind::InQuery(..)
            | ExprKind::Exists(_) => Some(DataType::Boolean),
            ExprKind::Subquery(_) => None,
            ExprKind::Unary(query::Unary::Negate, operand) => {
                arithmetic_type(self.type_of(operand), None)
            }
            ExprKind::Binary(op, sides) => match op {
                Binary::Add
                | Binary::Subtract
                | Binary::Multiply
                | Binary::Divide
                | Binary::Remainder => {
                    arithmetic_type(self.type_of(&sides.0), self.type_of(&sides.1))
                }
                Binary::Concat => Some(DataType::Text),
                _ => Some(DataType::Boolean),
            },
            ExprKind::Case(branches, otherwise) => {
                let values = branches.iter().map(|(_, value)| value);
                let values = values.chain(otherwise.as_deref());
                let typed = |value| Some((value, self.type_of(value)?));
                let mut types = values.filter_map(typed);
                let (value, first) = types.next()?;
                let text = matches!(value.kind, ExprKind::Parameter(_)) && first == DataType::Text;
                match text && types.any(|(_, other)| other == DataType::DateTime) {
                    true => Some(DataType::DateTime),
                    false => Some(first),
                }
            }
            ExprKind::Call(function, args) => match function {
                Function::Max | Function::Min => args.first().and_then(|arg| self.type_of(arg)),
                other => result_type(other),
            },
            ExprKind::TypeOf(_) => Some(DataType::Integer),
            ExprKind::Cast(_, DataType::Entity(_)) => {
                self.reference(expr).map(|(_, column)| column.data_type)
            }
            ExprKind::Cast(_, data_type) => Some(*data_type),
        }
    }
}

/// What a name of a column means.
enum Resolved {
    Found(FoundColumn),
    /// The aliases of the tables that have it.
    Ambiguous(Vec<Arc<str>>),
    Nothing,
}

/// The tables of a query that a name may speak of: those with its alias, if there are any.
fn addressed<'s>(name: &Name, scope: &'s [Source]) -> Vec<&'s Source> {
    let qualifier = name.qualifier().map(str::to_lowercase);
    let named = |source: &&Source| Some(source.alias.to_lowercase()) == qualifier;
    let by_alias: Vec<_> = scope.iter().filter(named).collect();
    match by_alias.is_empty() {
        true => scope.iter().collect(),
        false => by_alias,
    }
}

fn quoted(names: &[Arc<str>]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("\"{name}\"")).collect();
    names.join(", ")
}

/// The part of a name that is the column; `None` if the part in front does not name the table.
fn split<'n>(name: &'n Name, source: &Source) -> Option<&'n str> {
    match name.qualifier() {
        Some(qualifier) if !Binder::names_source(source, qualifier) => None,
        _ => Some(name.last()),
    }
}

fn unknown(column: &str, name: &Name, table: &Table) -> Diagnostic {
    let lower = column.to_lowercase();
    let matches = table
        .columns
        .iter()
        .filter(|c| c.name.to_lowercase() == lower)
        .count();
    if matches > 1 {
        let message = format!(
            "column \"{column}\" of table \"{}\" is ambiguous",
            table.name
        );
        let hint = "Write it with the letters that the database has.";
        return Diagnostic::error("E_BIND", name.span, message).hint(hint);
    }
    if table.lacks(column) {
        return lacking(column, name.span, table);
    }
    let message = format!("unknown column \"{column}\" in table \"{}\"", table.name);
    Diagnostic::error("E_BIND", name.span, message).maybe_hint(why(column, table))
}

/// Why a table has no such column, or the name that was meant.
pub(super) fn why(column: &str, table: &Table) -> Option<String> {
    let near = || nearest(column, table.columns.iter().map(|column| &*column.name));
    let reason = table.reason(column).map(str::to_owned);
    let apart = || {
        let hint =
            "A name in brackets is one part, its dots too: give each part brackets of its own.";
        column.contains('.').then(|| hint.to_owned())
    };
    let meant = || near().map(|near| format!("Did you mean \"{near}\"?"));
    reason.or_else(meant).or_else(apart)
}

/// The column is nobody's mistake: it may come back.
pub(super) fn lacking(column: &str, span: Span, table: &Table) -> Diagnostic {
    let message = format!(
        "table \"{}\" has no column for \"{column}\", which metadata knows: is the configuration being updated",
        table.name
    );
    Diagnostic::error("E_DB", span, message)
}

fn arithmetic_type(a: Option<DataType>, b: Option<DataType>) -> Option<DataType> {
    match (a, b) {
        (Some(DataType::Text), _) | (_, Some(DataType::Text)) => Some(DataType::Text),
        // the seconds between two times
        (Some(DataType::DateTime), Some(DataType::DateTime)) => Some(DataType::Decimal),
        (Some(DataType::Decimal), _) | (_, Some(DataType::Decimal)) => Some(DataType::Decimal),
        (Some(DataType::Any), _) | (Some(DataType::Integer), Some(DataType::Any)) => {
            Some(DataType::Decimal)
        }
        (Some(a), _) => Some(a),
        (None, b) => b,
    }
}

fn result_type(function: &Function) -> Option<DataType> {
    Some(match function {
        Function::Vector(_)
        | Function::DataLength
        | Function::CharLength
        | Function::Count
        | Function::CountDistinct => DataType::Integer,
        Function::Average | Function::Sum => DataType::Decimal,
        Function::StringAgg => DataType::Text,
        Function::Now | Function::Utc | Function::WholeSeconds => DataType::DateTime,
        Function::NewUuid | Function::UuidOf | Function::Uuid1c | Function::UuidDb => {
            DataType::Uuid
        }
        Function::LTrim
        | Function::RTrim
        | Function::Upper
        | Function::Lower
        | Function::Substring
        | Function::Replace
        | Function::Concat
        | Function::ConcatWs => DataType::Text,
        Function::Max | Function::Min => return None,
    })
}

/// The type that a parameter has as argument: where text is wanted it is sent as its text form.
fn argument_type(function: &Function, index: usize) -> Option<DataType> {
    match function {
        Function::Substring if index > 0 => Some(DataType::Decimal),
        Function::Substring | Function::Replace | Function::Concat | Function::ConcatWs => {
            Some(DataType::Text)
        }
        Function::LTrim
        | Function::RTrim
        | Function::Upper
        | Function::Lower
        | Function::CharLength
        | Function::StringAgg => Some(DataType::Text),
        _ => None,
    }
}

/// The column with one physical part only.
pub(super) fn part_of(column: &Column, part: &PhysicalColumn) -> Arc<Column> {
    let parts = vec![part.clone()];
    Arc::new(Column {
        year_offset: column.year_offset,
        ..Column::new(Arc::clone(&column.name), column.data_type, parts)
    })
}

/// The physical column with this role.
pub(super) fn with_role(column: &Column, role: ColumnRole) -> Option<&PhysicalColumn> {
    column.parts.iter().find(|part| part.role == role)
}
