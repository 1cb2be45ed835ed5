//! Uuids and references in expressions: some stand as texts, some as bytes.

use std::sync::Arc;

use dajet_core::query::{Expr, Function, Part};
use dajet_core::schema::{Column, ColumnRole, PhysicalColumn};
use dajet_core::{DataType, SystemError};

use super::dialect::{Writer, quote, unsupported};
use super::functions;
use super::kind::Kind;

type Written = Result<(), SystemError>;

impl Writer {
    /// UUIDOF: of a uuid it is the uuid, whatever it is kept as.
    pub(super) fn uuid_of(&mut self, arguments: &[Expr]) -> Written {
        match arguments {
            [Expr::Parameter { index, .. }] => {
                self.bind(*index, Kind::of_part(Part::Reference, Kind::Dynamic), None);
                Ok(())
            }
            [other] => self.expr(other),
            _ => Err(unsupported("UUIDOF without argument")),
        }
    }

    /// A column of several types equals a parameter: by its tag, and by the part that a value of such a tag has.
    pub(super) fn equal_parts(
        &mut self,
        (alias, column): (&str, &Column),
        index: usize,
        negated: bool,
    ) -> Written {
        let is_tag = |part: &&PhysicalColumn| part.role == ColumnRole::Tag;
        let tag = column.parts.iter().find(is_tag);
        let tag = tag.ok_or_else(|| unsupported("a column of several parts in an expression"))?;
        self.push(if negated { "(NOT (" } else { "(" });
        self.push(&format!("{}.{} = ", quote(alias), quote(&tag.name)));
        self.bind(index, Kind::Share(ColumnRole::Tag), None);
        for part in column.parts.iter().filter(|part| !is_tag(part)) {
            let share = Kind::Share(part.role);
            self.push(" AND (");
            self.bind(index, share, None);
            self.push(" IS NULL OR ");
            let own = Column::new(
                Arc::clone(&column.name),
                column.data_type,
                vec![part.clone()],
            );
            self.keyed(&Expr::Column {
                alias: alias.into(),
                column: Arc::new(own),
            })?;
            self.push(" = ");
            self.bind(index, share, None);
            self.push(")");
        }
        self.push(if negated { "))" } else { ")" });
        Ok(())
    }

    /// `COUNT(DISTINCT …)` of a value, or of the parts of one, all of which are NULL if it is.
    pub(super) fn count_distinct(&mut self, arguments: &[Expr]) -> Written {
        self.push("count(DISTINCT ");
        let [first, _, ..] = arguments else {
            for argument in arguments {
                self.argument(&Function::CountDistinct, argument)?;
            }
            self.push(")");
            return Ok(());
        };
        self.push(&format!("{}(", functions::JOINED));
        for (index, part) in arguments.iter().enumerate() {
            self.push(if index > 0 { ", " } else { "" });
            self.expr(part)?;
        }
        self.wrapped(")) FILTER (WHERE ", first, " IS NOT NULL)")
    }
}

/// A column of several types beside a parameter.
pub(super) fn parted<'e>(left: &'e Expr, right: &'e Expr) -> Option<(&'e str, &'e Column, usize)> {
    match (left, right) {
        (Expr::Column { alias, column }, Expr::Parameter { index, part, .. })
        | (Expr::Parameter { index, part, .. }, Expr::Column { alias, column })
            if *part == Part::Whole && column.parts.len() > 1 =>
        {
            Some((alias, column, *index))
        }
        _ => None,
    }
}

/// How the uuid or the reference is kept that an expression gives; `None` for everything else.
pub(super) fn kept(expr: &Expr) -> Option<Kind> {
    match expr {
        Expr::Column { column, .. } => match column.data_type {
            DataType::Uuid | DataType::Entity(_) if column.parts.len() == 1 => {
                Some(Kind::of_column(column))
            }
            _ => None,
        },
        Expr::Call(Function::UuidOf | Function::Max | Function::Min, arguments) => {
            arguments.first().and_then(kept)
        }
        Expr::Call(Function::Uuid1c | Function::UuidDb, _) => Some(Kind::Uuid { blob: true }),
        Expr::Case { branches, .. } => branches.iter().find_map(|(_, value)| kept(value)),
        Expr::Subquery(query) => query.columns.first().and_then(|output| kept(&output.expr)),
        _ => None,
    }
}
