//! Statements about sequences.

use std::sync::Arc;

use dajet_core::query::{Sequence, SequenceAction};
use dajet_core::{DataType, Table};

use super::Binder;
use crate::ast::{self, Name};

impl Binder<'_> {
    pub(super) fn sequence(&mut self, sequence: &ast::Sequence) -> Option<Sequence> {
        let action = match &sequence.action {
            ast::SequenceAction::Create {
                start,
                increment,
                cache,
            } => SequenceAction::Create {
                start: *start,
                increment: *increment,
                cache: *cache,
            },
            ast::SequenceAction::Drop => SequenceAction::Drop,
            ast::SequenceAction::Apply {
                table,
                column,
                recalculate,
            } => {
                let table = self.table(table)?;
                SequenceAction::Apply {
                    column: self.numbered(&table, column)?,
                    table,
                    recalculate: *recalculate,
                }
            }
            ast::SequenceAction::Revoke { table } => SequenceAction::Revoke {
                table: self.table(table)?,
            },
        };
        Some(Sequence {
            name: Arc::clone(&sequence.name.text),
            action,
        })
    }

    /// The column that gets the numbers.
    fn numbered(&mut self, table: &Arc<Table>, name: &Name) -> Option<Arc<str>> {
        let column = self.target(table, name)?;
        let is_number = matches!(column.data_type, DataType::Integer | DataType::Decimal);
        match column.single().filter(|_| is_number) {
            Some(only) => Some(Arc::clone(&only.name)),
            None => {
                let message = format!("column \"{}\" does not hold numbers", column.name);
                self.error("E_TYPE", name.span, message);
                None
            }
        }
    }
}
