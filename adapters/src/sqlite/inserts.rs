//! The text of an INSERT: what it stores for a record, for many records at once, and for the rows of a query.

use std::sync::Arc;

use dajet_core::query::{Expr, Function, Insert, Select};
use dajet_core::schema::{Column, ColumnRole, DataType};
use dajet_core::{SystemError, Value};

use super::dialect::{Writer, distinct, quote, table_name, unsupported};
use super::functions;
use super::kind::Kind;
use super::texts::data_type_of;

/// An INSERT of several records.
#[derive(Clone, Debug)]
pub struct Bulk {
    /// The text; what is bound for a record follows what is bound for the one before.
    pub sql: String,
    /// How many records it takes.
    pub records: usize,
}

/// Most records of one INSERT: beyond these little is gained.
const BULK_RECORDS_MAX: usize = 20;
/// Most parameters of one INSERT.
const BULK_PARAMETERS_MAX: usize = 500;

impl Writer {
    /// An INSERT, of a record or of the rows of a query.
    pub(super) fn insert(&mut self, insert: &Insert) -> Result<(), SystemError> {
        let mut names = Vec::new();
        let mut values = Writer {
            out: std::mem::take(&mut self.out),
            before: 0,
        };
        let mut query = String::new();
        if let Some(select) = &insert.query {
            // Materialised, so that sequences number the rows in the order of the query.
            let names: Vec<_> = (0..select.columns.len()).map(|i| format!("c{i}")).collect();
            values.push(&format!("WITH q({}) AS MATERIALIZED (", names.join(", ")));
            values.select_for(insert, select)?;
            values.push(") ");
            query = std::mem::take(&mut values.out.sql);
        }
        for (column, _) in &insert.columns {
            names.extend(column.parts.iter().map(|part| quote(&part.name)));
        }
        values.values(insert)?;
        let list = std::mem::take(&mut values.out.sql);
        self.out = values.out;
        self.push(&query);
        let table = table_name(&insert.table);
        self.push(&format!("INSERT INTO {table}"));
        self.out.grows = insert.query.is_none().then(|| table.into());
        match (names.is_empty(), insert.query.is_some()) {
            (true, false) => self.push(" DEFAULT VALUES"),
            (true, true) => {
                return Err(unsupported("an INSERT from a query that names no column"));
            }
            (false, true) => {
                self.push(&format!(" ({}) SELECT {list} FROM q", names.join(", ")));
            }
            (false, false) => {
                self.push(&format!(" ({}) VALUES ({list})", names.join(", ")));
                self.out.bulk = self.bulk(insert)?;
            }
        }
        Ok(())
    }

    /// What an INSERT stores for one record.
    fn values(&mut self, insert: &Insert) -> Result<(), SystemError> {
        let mut first = true;
        for (column, expr) in &insert.columns {
            for part in &column.parts {
                if !std::mem::take(&mut first) {
                    self.push(", ");
                }
                self.value(column, part.role, expr)?;
            }
        }
        Ok(())
    }

    /// The INSERT that has been built, for many records. Numbers of sequences belong to single records.
    fn bulk(&self, insert: &Insert) -> Result<Option<Bulk>, SystemError> {
        let width = self.out.bindings.len();
        let records = BULK_PARAMETERS_MAX
            .checked_div(width)
            .map_or(0, |records| records.min(BULK_RECORDS_MAX));
        if records < 2 || !self.out.sequences.is_empty() {
            return Ok(None);
        }
        let mut sql = self.out.sql.clone();
        for record in 1..records {
            let mut values = Writer {
                before: record * width,
                ..Writer::default()
            };
            values.values(insert)?;
            sql.push_str(&format!(", ({})", values.out.sql));
        }
        Ok(Some(Bulk { sql, records }))
    }

    /// What an INSERT stores in one physical column.
    fn value(&mut self, column: &Column, role: ColumnRole, expr: &Expr) -> Result<(), SystemError> {
        if column.parts.len() > 1 {
            return self.part_value(column, role, expr);
        }
        let kind = Kind::of_column(column);
        match expr {
            Expr::Parameter { index, part, .. } => {
                let kind = Kind::of_part(*part, kind);
                self.bind(*index, kind, Some(Arc::clone(&column.name)));
            }
            Expr::Call(Function::NewUuid, _)
                if matches!(kind, Kind::Binary | Kind::Uuid { blob: true }) =>
            {
                self.out.volatile = true;
                self.push(functions::NEW_UUID_BYTES);
                self.push("()");
            }
            Expr::Literal(value) => self.stored_literal(value, kind, &column.name)?,
            expr if kind == Kind::Integer => self.whole(expr)?,
            expr if column.data_type == DataType::Any
                && data_type_of(expr) == Some(DataType::Decimal) =>
            {
                self.natural(expr)?;
            }
            expr => self.exact(expr)?,
        }
        Ok(())
    }

    fn part_value(
        &mut self,
        column: &Column,
        role: ColumnRole,
        expr: &Expr,
    ) -> Result<(), SystemError> {
        let kind = match (column.data_type, role) {
            (DataType::Entity(_), ColumnRole::TypeCode) => Kind::TypeCode,
            (DataType::Entity(code), ColumnRole::Reference) => Kind::Reference(code),
            _ => return Err(unsupported("a write to a union column")),
        };
        match expr {
            Expr::Parameter { index, .. } => {
                self.bind(*index, kind, Some(Arc::clone(&column.name)));
                Ok(())
            }
            Expr::Literal(Value::Null) => {
                self.push("NULL");
                Ok(())
            }
            _ => Err(unsupported(
                "this expression for a reference of several types",
            )),
        }
    }

    /// The query of an INSERT: parameters are stored as the target columns keep them.
    fn select_for(&mut self, insert: &Insert, select: &Select) -> Result<(), SystemError> {
        self.push(distinct(select));
        for (index, output) in select.columns.iter().enumerate() {
            if index > 0 {
                self.push(", ");
            }
            let target = insert.columns.iter().find(|(column, expr)| {
                column.parts.len() == 1 && matches!(expr, Expr::Output(i) if *i == index)
            });
            match target {
                Some((column, _)) => self.value(column, column.parts[0].role, &output.expr)?,
                None => self.expr(&output.expr)?,
            }
        }
        self.rest(select)
    }
}
