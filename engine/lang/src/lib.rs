//! The language: text becomes a plan, and machines run it. Pure and synchronous: no I/O, no clock, no runtime. Names become
//! columns later, by [`bind()`], when a statement first runs at a resolved address.
#![deny(missing_docs)]

pub mod ast;
pub mod bind;
mod check;
pub mod functions;
pub mod lexer;
mod lower;
pub mod machine;
mod members;
mod names;
pub mod parser;
pub mod plan;
mod program;

use dajet_core::{Diagnostic, Severity};

pub use bind::{Bound, bind};
pub use machine::{
    Clock, Ended, Knowledge, Machine, MachineSpec, Question, Resume, Run, ScriptError, SinkId,
    SinkSpec, Step, Variables,
};
pub use parser::parse;
pub use plan::{
    NamePlan, PipelineId, PipelinePlan, Plan, ProgramId, RootVariable, SourceParameters,
    SourceStart, StatementId, StatementKind, StatementPlan,
};

/// Parses, checks and lowers a script. The plan is `None` if there is at least one error; syntax and static errors are
/// reported together, in the order of the text. Never panics.
pub fn compile(text: &str) -> (Option<Plan>, Vec<Diagnostic>) {
    let (script, mut diagnostics) = parser::parse(text);
    let (plan, found) = lower::lower(text, &script);
    diagnostics.extend(found);
    let diagnostics = parser::in_order(diagnostics);
    let failed = diagnostics
        .iter()
        .any(|diagnostic| diagnostic.severity == Severity::Error);
    (plan.filter(|_| !failed), diagnostics)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_behind_many_warnings_is_reported() {
        let text = "IF true THEN END\n".repeat(300) + "SET @нет = 1\nPRINT )";
        let (plan, diagnostics) = compile(&text);
        assert!(plan.is_none());
        let codes: Vec<_> = diagnostics.iter().map(|d| d.code).collect();
        assert!(
            codes.contains(&"E_BIND") && codes.contains(&"E_PARSE"),
            "{codes:?}"
        );
    }

    #[test]
    fn no_text_gives_more_than_a_hundred_diagnostics() {
        let (plan, diagnostics) = compile(&"SET @нет = 1\n".repeat(3000));
        assert!(plan.is_none());
        assert_eq!(diagnostics.len(), 100);
    }
}
