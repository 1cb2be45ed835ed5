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
mod told;

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
    let (script, mut diagnostics, untold) = parser::parse_counted(text);
    let is_whole = diagnostics.iter().all(|d| d.severity != Severity::Error);
    let (plan, found) = lower::lower(text, &script, is_whole);
    diagnostics.extend(found);
    let diagnostics = told::in_order(diagnostics, untold, text);
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
    fn of_more_than_a_hundred_mistakes_the_rest_is_counted() {
        let check = |text: &str, expected: Option<&str>| {
            let (_, mut diagnostics) = compile(text);
            let last = diagnostics.pop_if(|last| last.code == "W008");
            assert!(diagnostics.len() <= 100, "{}", diagnostics.len());
            assert_eq!(last.as_ref().map(|last| &*last.message), expected);
        };
        let unknown = "SET @нет = 1\n";
        check(&unknown.repeat(100), None);
        let one = "1 more error is not shown";
        check(&unknown.repeat(101), Some(one));
        let many = "2950 more errors and 7 more warnings are not shown";
        let text = "IF true THEN END\n".repeat(7) + &unknown.repeat(3000) + &"PRINT )\n".repeat(50);
        check(&text, Some(many));
        let bytes = "899 more errors are not shown";
        check(&("\u{1} ".repeat(998) + unknown), Some(bytes));
    }
}
