//! `MODIFY`.

use std::sync::Arc;

use super::Lowering;
use crate::ast::{Name, OptionItem, Path};
use crate::program::{Expr, ExprKind, Op, Type};

impl Lowering {
    /// `MODIFY @t FROM @s DELETE names SELECT name = expr`, in this order.
    pub(super) fn modify(
        &mut self,
        target: &Path,
        from: Option<&Path>,
        delete: &[Name],
        select: &[OptionItem],
    ) {
        let Some(found) = self.scopes.resolve(&target.variable, &mut self.diagnostics) else {
            return;
        };
        if target.steps.is_empty() && !matches!(found.declared, Type::Object | Type::Union) {
            let message = format!(
                "MODIFY needs an object; \"@{}\" is {}",
                target.variable.text,
                found.declared.word()
            );
            self.error("E_TYPE", target.span, message);
        }
        self.members.change(found.slot);
        if let Some(from) = from {
            let operand = Box::new(self.path(from));
            let span = operand.span;
            let kind = ExprKind::Copy(operand);
            self.store(target, (found.slot, found.declared), Expr { kind, span });
        }
        let mut members: Vec<(Arc<str>, Expr)> = Vec::with_capacity(select.len());
        for item in select {
            let name = Arc::clone(&item.name.text);
            if members.iter().any(|(earlier, _)| *earlier == name) {
                let message = format!("member \"{name}\" stands twice in the list");
                self.error("E_BIND", item.name.span, message);
            }
            members.push((name, self.expr(&item.value)));
        }
        if delete.is_empty() && members.is_empty() {
            return;
        }
        let object = Box::new(self.path(target));
        self.note_change(&object);
        let delete = delete.iter().map(|name| Arc::clone(&name.text)).collect();
        let kind = ExprKind::Modify {
            object,
            delete,
            members: members.into(),
        };
        let span = target.span;
        self.store(target, (found.slot, found.declared), Expr { kind, span });
    }

    /// Assigns to a variable or to a member of it.
    fn store(&mut self, target: &Path, (slot, declared): (usize, Type), value: Expr) {
        self.builder().set(slot);
        if target.steps.is_empty() {
            self.builder().emit(Op::Assign {
                slot,
                declared,
                value,
            });
            return;
        }
        let steps = self.path_steps(&target.steps);
        let span = target.span;
        self.builder().emit(Op::AssignMember {
            slot,
            steps,
            value,
            span,
        });
    }
}
