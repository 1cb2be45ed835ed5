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
mod names;
pub mod parser;
pub mod plan;
mod program;

use dajet_core::{Diagnostic, Severity};

pub use bind::{Bound, bind};
pub use machine::{
    Clock, Ended, Machine, MachineSpec, Resume, Run, ScriptError, SinkId, SinkSpec, Step, Variables,
};
pub use parser::parse;
pub use plan::{
    PipelineId, PipelinePlan, Plan, ProgramId, RootVariable, SourceStart, StatementId,
    StatementKind, StatementPlan,
};

/// Parses, checks and lowers a script. The plan is `None` if there is at least one error; syntax and static errors are
/// reported together, in the order of the text. Never panics.
pub fn compile(text: &str) -> (Option<Plan>, Vec<Diagnostic>) {
    let (script, mut diagnostics) = parser::parse(text);
    let (plan, found) = lower::lower(text, &script);
    diagnostics.extend(found);
    diagnostics.sort_by_key(|diagnostic| diagnostic.span.start);
    let failed = diagnostics
        .iter()
        .any(|diagnostic| diagnostic.severity == Severity::Error);
    (plan.filter(|_| !failed), diagnostics)
}
