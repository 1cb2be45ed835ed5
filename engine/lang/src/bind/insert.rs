//! `INSERT`: which value goes into which column.

use std::sync::Arc;

use bytes::Bytes;
use dajet_core::query::{self, Function, Part};
use dajet_core::schema::{ColumnRole, Defaults, Omitted};
use dajet_core::{Column, DataType, Diagnostic, Entity, PhysicalColumn, Span, Table, Value};

use super::Binder;
use super::columns::{lacking, part_of, why, with_role};
use super::typing::{share, value_type};
use crate::ast::Name;
use crate::machine::convert::empty_of;
use crate::names::{self, Expr, ExprKind};

/// An insertion in the making.
pub(super) struct Making {
    pub(super) table: Arc<Table>,
    columns: Vec<(Arc<Column>, query::Expr)>,
    /// Output columns of the query, if there is one.
    outputs: Option<Vec<query::Output>>,
}

impl Binder<'_> {
    pub(super) fn insert(&mut self, insert: &names::Insert) -> Option<query::Insert> {
        let table = self.table(&insert.table);
        let (from, joins) = self.sources(&insert.select)?;
        let table = table?;
        let outputs = from.is_some().then(Vec::new);
        let mut making = Making {
            table: Arc::clone(&table),
            columns: Vec::new(),
            outputs,
        };
        let mut named: Vec<Arc<str>> = Vec::new();
        for (name, expr) in self.items(&insert.select.columns) {
            let Some(column) = self.target(&table, &name) else {
                continue;
            };
            if named.contains(&column.name) {
                let message = format!("column \"{}\" stands twice in the list", column.name);
                self.error("E_BIND", name.span, message);
                continue;
            }
            named.push(Arc::clone(&column.name));
            self.store(&mut making, &column, &expr, name.span);
        }
        if table.defaults == Defaults::EmptyValue {
            for column in table
                .columns
                .iter()
                .filter(|column| !named.contains(&column.name))
            {
                self.fill(&mut making, column);
            }
        }
        let query = match (from, making.outputs) {
            (Some(from), Some(mut columns)) => {
                if columns.is_empty() {
                    let expr = query::Expr::Literal(Value::Integer(1));
                    columns.push(query::Output {
                        name: "c1".into(),
                        expr,
                        data_type: Some(DataType::Integer),
                    });
                }
                let select = &insert.select;
                Some(query::Select {
                    distinct: select.distinct,
                    top: self.count(select.top.as_ref()),
                    columns,
                    from: Some(from),
                    joins,
                    filter: select.filter.as_ref().map(|filter| self.condition(filter)),
                    group: select
                        .group
                        .iter()
                        .flat_map(|key| self.physical(key))
                        .collect(),
                    having: select.having.as_ref().map(|having| self.condition(having)),
                    unions: Vec::new(),
                    order: self.order(&select.order, &[]),
                    offset: self.count(select.offset.as_ref()),
                })
            }
            _ => None,
        };
        Some(query::Insert {
            table,
            columns: making.columns,
            query,
        })
    }

    /// The SELECT list, `*` expanded to the columns of the table in FROM.
    fn items(&mut self, columns: &[names::Column]) -> Vec<(Name, Expr)> {
        let mut items = Vec::new();
        for column in columns {
            match column {
                names::Column::Star(span) => {
                    let span = *span;
                    let starred = self.starred().into_iter().map(|(alias, column)| {
                        let name = Name::new(Arc::clone(&column.name), span);
                        let qualified = Name::qualified(&alias, &column.name, span);
                        let kind = ExprKind::Column(qualified);
                        (name, Expr { kind, span })
                    });
                    items.extend(starred);
                }
                names::Column::Named { name, expr } => items.push((name.clone(), expr.clone())),
            }
        }
        items
    }

    /// The target column of a name.
    pub(super) fn target(&mut self, table: &Arc<Table>, name: &Name) -> Option<Arc<Column>> {
        if table.column(&name.text).is_none() && table.lacks(&name.text) {
            self.errors.push(lacking(&name.text, name.span, table));
            return None;
        }
        let Some(column) = table.column(&name.text) else {
            let message = format!(
                "unknown column \"{}\" in table \"{}\"",
                name.text, table.name
            );
            let hint = why(&name.text, table);
            self.errors
                .push(Diagnostic::error("E_BIND", name.span, message).maybe_hint(hint));
            return None;
        };
        if column.parts.iter().any(|part| part.generated) {
            let message = format!(
                "column \"{}\" is filled by the database itself",
                column.name
            );
            let hint = "Leave it out of the list.";
            self.errors
                .push(Diagnostic::error("E_BIND", name.span, message).hint(hint));
            return None;
        }
        Some(Arc::new(column.clone()))
    }

    /// A value as a column keeps it: without the fractions of seconds that it has no room for.
    fn kept(&mut self, column: &Column, expr: &Expr, value: query::Expr) -> query::Expr {
        if !column.whole_seconds {
            return value;
        }
        match (&expr.kind, &value) {
            (ExprKind::Parameter(index), _) => {
                self.adaptations[*index].whole_seconds = true;
                value
            }
            (_, query::Expr::Literal(_) | query::Expr::Parameter { .. }) => value,
            _ if self.type_of(expr) == Some(DataType::DateTime) => {
                query::Expr::Call(Function::WholeSeconds, vec![value])
            }
            _ => value,
        }
    }

    /// Stores a value into a column, part by part where a reference stands in several.
    fn store(&mut self, making: &mut Making, column: &Arc<Column>, expr: &Expr, span: Span) {
        // References of several kinds have a tag, too, in most places.
        let tagged = with_role(column, ColumnRole::Tag).is_some();
        let column = &match tagged && column.data_type != DataType::Union {
            true => Arc::new(Column {
                data_type: DataType::Union,
                ..(**column).clone()
            }),
            false => Arc::clone(column),
        };
        self.keep_kind(column, expr);
        let is_reference = matches!(column.data_type, DataType::Entity(_));
        if let Some(copied) = self.copied(expr)
            && (is_reference || column.data_type == DataType::Union)
        {
            self.store_column(making, column, expr, &copied);
            return;
        }
        if column.data_type == DataType::Union {
            self.store_union(making, column, expr);
            return;
        }
        if !is_reference {
            self.whole(column, expr);
            self.no_number_as_bytes(Some(column.data_type), expr);
            let of_expr = self.type_of(expr);
            let value = match (column.data_type, of_expr) {
                (DataType::Text, of_expr) if of_expr != Some(DataType::Union) => {
                    self.text_operand(expr)
                }
                // as text, not as the bytes that its column may keep
                (DataType::Any, Some(DataType::Uuid | DataType::Entity(_))) => {
                    self.text_operand(expr)
                }
                (data_type, _) => self.operand(expr, Some(data_type)),
            };
            let value = self.kept(column, expr, value);
            self.put(making, column, expr, value);
            return;
        }
        if self.never_refers(column, expr) {
            return;
        }
        for (role, part) in [
            (ColumnRole::TypeCode, Part::TypeCode),
            (ColumnRole::Reference, Part::Reference),
        ] {
            let physical = match (with_role(column, role), column.single()) {
                (Some(physical), _) => physical,
                (None, Some(only)) if part == Part::Reference => only,
                _ => continue,
            };
            let target = part_of(column, physical);
            let errors = self.errors.len();
            match self.part(expr, column, part) {
                Some(value) => self.put(making, &target, expr, value),
                // the value itself is a mistake
                None if self.errors.len() > errors => {}
                None => self.lacks_code(column, span),
            }
        }
    }

    /// A number with a fraction does not go into a column of whole numbers, and no database shall round it.
    fn whole(&mut self, column: &Column, expr: &Expr) {
        let number = with_role(column, ColumnRole::Number).or_else(|| column.single());
        let keeps_whole = column.data_type == DataType::Integer
            || number.is_some_and(|part| part.scale() == Some(0));
        if let ExprKind::Literal(Value::Decimal(number)) = &expr.kind
            && keeps_whole
            && number.trimmed(0).scale() != 0
        {
            let message = format!("column \"{}\" cannot hold {number}", column.name);
            let hint = "It keeps whole numbers: write CAST(… AS integer) to cut the fraction off.";
            let error = Diagnostic::error("E_TYPE", expr.span, message).hint(hint);
            self.errors.push(error);
        }
    }

    /// Stores a value into a column of several types. What the database computes is shared out here: its type is known.
    fn store_union(&mut self, making: &mut Making, column: &Arc<Column>, expr: &Expr) {
        let wanted = Some(value_type(column));
        self.keep_code(column, expr);
        self.whole(column, expr);
        let value = match &expr.kind {
            ExprKind::Literal(value) if !value.is_null() => {
                self.sent(value.clone(), DataType::Union)
            }
            _ => self.expr(expr, wanted),
        };
        let value = self.kept(column, expr, value);
        if matches!(
            value,
            query::Expr::Parameter { .. } | query::Expr::Literal(_)
        ) {
            self.put(making, column, expr, value);
            return;
        }
        let shared = self.type_of(expr).and_then(share);
        let Some((tag, role)) = shared.filter(|(_, role)| *role != ColumnRole::Reference) else {
            let message = format!(
                "column \"{}\" cannot take an expression of this type",
                column.name
            );
            let hint = "Give it a variable or a column.";
            let error = Diagnostic::error("E_UNSUPPORTED", expr.span, message).hint(hint);
            self.errors.push(error);
            return;
        };
        if with_role(column, role).is_none() {
            let message = format!("column \"{}\" never holds such values", column.name);
            self.error("E_TYPE", expr.span, message);
            return;
        }
        let operand = Box::new(value.clone());
        for part in &column.parts {
            let target = typed_part(column, part, type_of_part(column, part));
            let empty = self.empty(&target);
            if part.role == role {
                self.put(making, &target, expr, value.clone());
            } else if part.role == ColumnRole::Tag {
                let tag = Value::Binary(Bytes::copy_from_slice(&[tag]));
                let tag = self.constant(tag, DataType::Binary, Part::Whole);
                let is_null = query::Expr::IsNull {
                    operand: operand.clone(),
                    negated: false,
                };
                let tag = query::Expr::Case {
                    branches: vec![(is_null, empty)],
                    otherwise: Some(Box::new(tag)),
                };
                self.add(making, &target, tag);
            } else {
                making.columns.push((target, empty));
            }
        }
    }

    /// Adds a target column. NULL for a column that does not take it becomes its empty value, where the table wants that.
    pub(super) fn put(
        &mut self,
        making: &mut Making,
        column: &Arc<Column>,
        expr: &Expr,
        value: query::Expr,
    ) {
        let wants_empty = making.table.defaults == Defaults::EmptyValue && !column.nullable();
        let value = match (&expr.kind, value) {
            (ExprKind::Parameter(index), value) if wants_empty => {
                self.adaptations[*index].empty = Some(empty_of(column.data_type));
                value
            }
            (_, query::Expr::Literal(Value::Null)) if wants_empty => self.empty(column),
            (ExprKind::Column(name), value) if self.value(name).is_some() => value,
            (ExprKind::Column(_) | ExprKind::Case(..) | ExprKind::Cast(..), value)
                if wants_empty && column.parts.len() == 1 =>
            {
                let operand = Box::new(value.clone());
                let is_null = query::Expr::IsNull {
                    operand,
                    negated: false,
                };
                let branches = vec![(is_null, self.empty(column))];
                query::Expr::Case {
                    branches,
                    otherwise: Some(Box::new(value)),
                }
            }
            (_, value) => value,
        };
        self.add(making, column, value);
    }

    /// Adds a target column with what is stored in it.
    pub(super) fn add(&mut self, making: &mut Making, column: &Arc<Column>, value: query::Expr) {
        let from_query = !is_sequence(&value);
        let value = match &mut making.outputs {
            Some(outputs) if from_query => {
                let name: Arc<str> = format!("c{}", outputs.len() + 1).into();
                let data_type = Some(column.data_type);
                outputs.push(query::Output {
                    name,
                    expr: value,
                    data_type,
                });
                query::Expr::Output(outputs.len() - 1)
            }
            _ => value,
        };
        making.columns.push((Arc::clone(column), value));
    }

    /// The empty value of a column of one part.
    pub(super) fn empty(&mut self, column: &Column) -> query::Expr {
        let role = column.single().map_or(ColumnRole::Value, |part| part.role);
        match (role, column.data_type) {
            (ColumnRole::Value, data_type) => {
                let part = match data_type {
                    DataType::Entity(_) => Part::Reference,
                    _ => Part::Whole,
                };
                self.constant(empty_of(data_type), data_type, part)
            }
            (ColumnRole::Reference, DataType::Entity(code)) => {
                let data_type = DataType::Entity(code);
                self.constant(empty_of(data_type), data_type, Part::Reference)
            }
            (ColumnRole::Reference, _) => self.value_part(Entity::default(), Part::Reference),
            (ColumnRole::TypeCode, _) => self.value_part(Entity::default(), Part::TypeCode),
            (ColumnRole::Tag, _) => {
                let undefined = Value::Binary(Bytes::from_static(&[1]));
                self.constant(undefined, DataType::Binary, Part::Whole)
            }
            (ColumnRole::Boolean, _) => query::Expr::Literal(Value::Boolean(false)),
            (ColumnRole::Number, _) => query::Expr::Literal(Value::Integer(0)),
            (ColumnRole::DateTime, _) => self.constant(
                empty_of(DataType::DateTime),
                DataType::DateTime,
                Part::Whole,
            ),
            (ColumnRole::Text, _) => {
                self.constant(empty_of(DataType::Text), DataType::Text, Part::Whole)
            }
        }
    }

    /// A column that the script does not name.
    fn fill(&mut self, making: &mut Making, column: &Column) {
        match column.omitted {
            Omitted::Empty => {}
            Omitted::Null => return,
            Omitted::Bytes(bytes) => {
                let value = Value::Binary(Bytes::from_static(bytes));
                let value = self.constant(value, column.data_type, Part::Whole);
                making.columns.push((Arc::new(column.clone()), value));
                return;
            }
        }
        for part in column.parts.iter().filter(|part| !part.generated) {
            let target = typed_part(column, part, type_of_part(column, part));
            let value = self.empty(&target);
            making.columns.push((target, value));
        }
    }
}

/// The type of what stands in one part of a column.
pub(super) fn type_of_part(column: &Column, part: &PhysicalColumn) -> DataType {
    match part.role {
        ColumnRole::Value | ColumnRole::Reference => column.data_type,
        ColumnRole::TypeCode | ColumnRole::Tag => DataType::Binary,
        ColumnRole::Boolean => DataType::Boolean,
        ColumnRole::Number => DataType::Decimal,
        ColumnRole::DateTime => DataType::DateTime,
        ColumnRole::Text => DataType::Text,
    }
}

pub(super) fn typed_part(
    column: &Column,
    part: &PhysicalColumn,
    data_type: DataType,
) -> Arc<Column> {
    let parts = vec![part.clone()];
    Arc::new(Column {
        year_offset: column.year_offset,
        ..Column::new(Arc::clone(&column.name), data_type, parts)
    })
}

/// VECTOR stands in the outermost list only.
fn is_sequence(value: &query::Expr) -> bool {
    matches!(value, query::Expr::Call(Function::Vector(_), _))
}
