//! Runs the cases. `UPDATE=1 cargo test` rewrites the expected sections; review the difference.

use std::path::Path;

use dajet_core::span::position;
use dajet_core::{Diagnostic, Span};

use crate::case::{Case, files};
use crate::trace::trace;

/// The sections that can be expected, and what makes them from a case.
const SECTIONS: &[(&str, fn(&Case) -> String)] = &[
    ("syntax", syntax),
    ("diagnostics", diagnostics),
    ("plan", plan),
    ("mermaid", mermaid),
    ("trace", trace),
];

#[test]
fn every_case_gives_what_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let update = std::env::var_os("UPDATE").is_some_and(|v| v == "1");
    let mut failures = Vec::new();
    let paths = files(&folder).unwrap();
    assert!(!paths.is_empty(), "no cases in {}", folder.display());
    for path in paths {
        let mut case = Case::read(&path).unwrap();
        if let Err(failure) = run(&mut case, update) {
            let name = path.strip_prefix(&folder).unwrap().display();
            failures.push(format!("{name}: {failure}"));
        }
    }
    assert!(
        failures.is_empty(),
        "{} cases differ\n\n{}",
        failures.len(),
        failures.join("\n\n")
    );
}

fn run(case: &mut Case, update: bool) -> Result<(), String> {
    case.section("script")
        .ok_or("there is no section \"script\"")?;
    let mut expected: Vec<String> = case.expected().map(str::to_owned).collect();
    if expected.is_empty() {
        expected.push("syntax".to_owned());
    }
    for name in expected {
        let (_, make) = SECTIONS
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| format!("there is no section \"{name}\""))?;
        let actual = make(case);
        if update {
            case.set(&name, &actual);
        } else if case.section(&name) != Some(&actual) {
            let written = case.section(&name).unwrap_or_default();
            return Err(format!(
                "{name} expected:\n{written}\n{name} found:\n{actual}"
            ));
        }
    }
    if update {
        case.write().map_err(|e| e.to_string())
    } else {
        Ok(())
    }
}

/// What the parser alone has to say.
fn syntax(case: &Case) -> String {
    let script = case.section("script").unwrap_or_default();
    show(script, &dajet_lang::parse(script).1)
}

/// What the compiler has to say: the parser's and the static mistakes together.
fn diagnostics(case: &Case) -> String {
    let script = case.section("script").unwrap_or_default();
    show(script, &dajet_lang::compile(script).1)
}

/// The actor graph as a chart.
fn mermaid(case: &Case) -> String {
    let script = case.section("script").unwrap_or_default();
    let plan = dajet_lang::compile(script).0;
    plan.map_or_else(String::new, |plan| {
        plan.explain_mermaid().trim_end().to_owned()
    })
}

/// The actor graph.
fn plan(case: &Case) -> String {
    let script = case.section("script").unwrap_or_default();
    let (plan, diagnostics) = dajet_lang::compile(script);
    plan.map_or_else(
        || show(script, &diagnostics),
        |plan| plan.explain().trim_end().to_owned(),
    )
}

/// One line for each: `CODE line:column-line:column message / hint`, its labels indented below.
pub fn show(script: &str, diagnostics: &[Diagnostic]) -> String {
    let mut lines = Vec::new();
    for diagnostic in diagnostics {
        check_style(diagnostic);
        let (code, message) = (diagnostic.code, &diagnostic.message);
        let hint = diagnostic
            .hint
            .as_ref()
            .map(|h| format!(" / {h}"))
            .unwrap_or_default();
        lines.push(format!(
            "{code} {} {message}{hint}",
            place(script, diagnostic.span)
        ));
        for label in &diagnostic.labels {
            lines.push(format!(
                "    {} {}",
                place(script, label.span),
                label.message
            ));
        }
    }
    lines.join("\n")
}

pub fn place(script: &str, span: Span) -> String {
    let (start, end) = (position(script, span.start), position(script, span.end));
    format!(
        "{}:{}-{}:{}",
        start.line, start.column, end.line, end.column
    )
}

/// Messages are fragments in lower case, which keywords and quoted names may begin; hints are sentences.
fn check_style(diagnostic: &Diagnostic) {
    let message = &diagnostic.message;
    let first_word = message.split(' ').next().unwrap_or_default();
    let is_fragment =
        first_word == first_word.to_lowercase() || first_word == first_word.to_uppercase();
    assert!(
        is_fragment || message.starts_with('"'),
        "not in lower case: {message}"
    );
    assert!(!message.ends_with('.'), "final period: {message}");
    if let Some(hint) = &diagnostic.hint {
        assert!(hint.ends_with(['.', '?']), "no sentence: {hint}");
        assert!(
            hint.starts_with(|c: char| !c.is_lowercase()),
            "no sentence: {hint}"
        );
    }
}
