//! Scopes and variables: which name means which slot, and the mistakes that can be made with names.

use std::sync::Arc;

use dajet_core::diagnostic::nearest;
use dajet_core::{Diagnostic, Span};

use crate::ast::{Block, Name, StatementKind};
use crate::plan::Variable;
use crate::program::{Slot, Type};

/// A variable as a scope knows it.
#[derive(Debug)]
struct Known {
    name: Arc<str>,
    slot: Slot,
    span: Span,
    /// True when its DECLARE has been passed.
    declared: bool,
}

/// A block.
#[derive(Debug, Default)]
struct Scope {
    known: Vec<Known>,
    /// Depth of the program that the block's statements now belong to: one deeper in the tail of a source.
    program: usize,
    /// Variables that are used before their DECLARE, with the depth of the program that must give them their default.
    early: Vec<(usize, Slot)>,
}

/// A variable that was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FoundVariable {
    pub slot: Slot,
    pub declared: Type,
}

/// The open blocks, and all the variables of the plan.
#[derive(Debug, Default)]
pub(crate) struct Scopes {
    open: Vec<Scope>,
    pub variables: Vec<Variable>,
}

impl Scopes {
    /// Opens a block: all that it declares is known from its start.
    pub(crate) fn enter(
        &mut self,
        block: &Block,
        program: usize,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        let mut scope = Scope {
            program,
            ..Scope::default()
        };
        for statement in block {
            let StatementKind::Declare {
                variable,
                type_name,
                ..
            } = &statement.kind
            else {
                continue;
            };
            if let Some(first) = scope.known.iter().find(|known| known.name == variable.text) {
                let message = format!("variable \"@{}\" is declared twice", variable.text);
                let error = Diagnostic::error("E_BIND", variable.span, message);
                diagnostics.push(error.label(first.span, "first declared here"));
                continue;
            }
            if let Some(outer) = self.find(&variable.text) {
                let message = format!("variable \"@{}\" hides an outer one", variable.text);
                let warning = Diagnostic::warning("W002", variable.span, message);
                diagnostics.push(warning.label(outer.span, "the outer one"));
            }
            let declared = Type::of(&type_name.kind).unwrap_or(Type::Entity);
            let name = Arc::clone(&variable.text);
            let slot = self.variables.len();
            self.variables.push(Variable { declared });
            scope.known.push(Known {
                name,
                slot,
                span: variable.span,
                declared: false,
            });
        }
        self.open.push(scope);
    }

    /// The innermost block goes on in the tail of a source.
    pub(crate) fn enter_tail(&mut self) {
        if let Some(scope) = self.open.last_mut() {
            scope.program += 1;
        }
    }

    /// The variables of the innermost block that its tail must give defaults.
    pub(crate) fn leave_tail(&mut self) -> Vec<(Slot, Type)> {
        let Some(scope) = self.open.last_mut() else {
            return Vec::new();
        };
        let depth = scope.program;
        scope.program -= 1;
        let (inner, outer) = scope
            .early
            .iter()
            .partition(|(program, _)| *program == depth);
        scope.early = outer;
        self.typed(inner)
    }

    /// Closes the innermost block; the variables that it must give defaults at its start.
    pub(crate) fn leave(&mut self) -> Vec<(Slot, Type)> {
        let early = self.open.pop().map(|scope| scope.early).unwrap_or_default();
        self.typed(early)
    }

    fn typed(&self, early: Vec<(usize, Slot)>) -> Vec<(Slot, Type)> {
        early
            .into_iter()
            .map(|(_, slot)| (slot, self.variables[slot].declared))
            .collect()
    }

    /// True if the innermost block is the script itself.
    pub(crate) fn at_root(&self) -> bool {
        self.open.len() == 1
    }

    fn find(&self, name: &str) -> Option<&Known> {
        let mut scopes = self.open.iter().rev();
        scopes.find_map(|scope| scope.known.iter().find(|known| &*known.name == name))
    }

    /// The DECLARE of a variable is passed. `None` for the second one of a name.
    pub(crate) fn declare(&mut self, variable: &Name) -> Option<FoundVariable> {
        let scope = self.open.last_mut()?;
        let known = scope
            .known
            .iter_mut()
            .find(|known| known.span == variable.span)?;
        known.declared = true;
        Some(FoundVariable {
            slot: known.slot,
            declared: self.variables[known.slot].declared,
        })
    }

    /// The name of a variable that is known here, without `@`.
    pub(crate) fn name_of(&self, slot: usize) -> Option<&Arc<str>> {
        let mut known = self.open.iter().rev().flat_map(|scope| &scope.known);
        let found = known.find(|known| known.slot == slot)?;
        Some(&found.name)
    }

    /// Finds the variable that a name means; reports an unknown one, and one that is used before its DECLARE.
    pub(crate) fn resolve(
        &mut self,
        name: &Name,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<FoundVariable> {
        for scope in self.open.iter_mut().rev() {
            let Some(known) = scope.known.iter().find(|known| known.name == name.text) else {
                continue;
            };
            let slot = known.slot;
            if !known.declared && !scope.early.contains(&(scope.program, slot)) {
                let message = format!("variable \"@{}\" is used before it is declared", name.text);
                let warning = Diagnostic::warning("W003", name.span, message);
                diagnostics.push(warning.label(known.span, "declared here"));
                scope.early.push((scope.program, slot));
            }
            return Some(FoundVariable {
                slot,
                declared: self.variables[slot].declared,
            });
        }
        let candidates = self
            .open
            .iter()
            .flat_map(|scope| scope.known.iter().map(|k| &*k.name));
        let hint = nearest(&name.text, candidates).map(|near| format!("Did you mean \"@{near}\"?"));
        let message = format!("unknown variable \"@{}\"", name.text);
        diagnostics.push(Diagnostic::error("E_BIND", name.span, message).maybe_hint(hint));
        None
    }
}
