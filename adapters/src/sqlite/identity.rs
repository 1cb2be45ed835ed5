//! Uuids and references in expressions: some stand as texts, some as bytes.

use dajet_core::query::{Expr, Function, Part};
use dajet_core::{DataType, SystemError};

use super::dialect::{Writer, unsupported};
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
