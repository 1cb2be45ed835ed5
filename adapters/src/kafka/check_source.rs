//! What can be said about the options of `CONSUME 'kafka'` without a broker.

use std::collections::BTreeMap;

use dajet_core::contract::OptionUse;
use dajet_core::diagnostic::nearest;
use dajet_core::{Diagnostic, Span, Targets, Value, options};

use super::check::{check_unlisted, check_value, nearest_property};
use super::literal;
use super::properties::{self, CONSUMER, PRODUCER, PRODUCER_ONLY, Side, source_side};
use super::settings::BROKERS;
use super::source_settings::{GROUP, SourceOptions, is_ours_alone, is_table, ours};

/// Checks the options of a source.
pub(super) fn check_source(whole: Span, uses: &[OptionUse], targets: Targets) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut seen: BTreeMap<String, Span> = BTreeMap::new();
    // NULL says the same as absence.
    for option in uses
        .iter()
        .filter(|option| option.literal != Some(Value::Null))
    {
        let canonical = match ours(&option.name) {
            Some(name) => {
                found.extend(check_ours(name, option));
                if name == "OffsetTable" && option.literal != Some(Value::Null) {
                    found.extend(check_targets(option.span, targets));
                }
                name.to_owned()
            }
            None => {
                found.extend(check_property(option));
                properties::property(&option.name)
            }
        };
        if seen.insert(canonical, option.span).is_some() {
            found.push(options::repeated(option));
        }
    }
    let given = |names: &[&str]| names.iter().any(|name| seen.contains_key(*name));
    let mut missing = |name: &str, hint: &str| {
        let message = format!("option \"{name}\" is missing");
        found.push(Diagnostic::error("E_PARAM", whole, message).hint(hint));
    };
    if !given(&BROKERS) {
        missing(
            "BootstrapServers",
            "Give it as a list 'host:port, host:port'.",
        );
    }
    if !given(&[GROUP]) {
        missing(
            "GroupId",
            "The brokers keep what is read under this name: give each script its own.",
        );
    }
    if !given(&["Topic"]) {
        missing(
            "Topic",
            "Give a topic, a list with commas, or a pattern that begins with ^.",
        );
    }
    found.extend(check_cycle(uses));
    for (one, other) in [
        ("MaxAttempts", "DeadLetterTopic"),
        ("DeadLetterTopic", "MaxAttempts"),
    ] {
        if let (Some(span), None) = (seen.get(one), seen.get(other)) {
            let message = format!("option \"{one}\" needs \"{other}\"");
            found.push(Diagnostic::error("E_PARAM", *span, message));
        }
    }
    found
}

/// Messages that are put aside must not be read again.
fn check_cycle(uses: &[OptionUse]) -> Option<Diagnostic> {
    let text = |wanted: &str| {
        let option = uses
            .iter()
            .find(|option| ours(&option.name) == Some(wanted))?;
        match &option.literal {
            Some(Value::Text(text)) => Some((option.span, text)),
            _ => None,
        }
    };
    let ((span, letters), (_, list)) = (text("DeadLetterTopic")?, text("Topic")?);
    let read = literal::surely_reads(list, letters);
    read.then(|| Diagnostic::error("E_PARAM", span, literal::CYCLE))
}

fn check_ours(name: &str, option: &OptionUse) -> Option<Diagnostic> {
    let def = SourceOptions::DEFS.iter().find(|def| def.name == name)?;
    if let ("Topic", Some(Value::Text(text))) = (name, &option.literal)
        && let Some(pattern) = literal::wrong_pattern(text)
    {
        let message = format!(
            "option \"{}\" takes no such pattern: '{pattern}'",
            option.name
        );
        let wrong = Diagnostic::error("E_PARAM", option.span, message);
        return Some(wrong.hint(literal::PATTERN));
    }
    let expected = match (name, option.literal.as_ref()?) {
        ("Topic", Value::Text(text)) if !literal::is_topic_list(text) => {
            "names of topics, each of letters a to z, digits, '.', '_' and '-', or patterns that begin with ^"
        }
        ("OffsetTable", Value::Text(text)) if !is_table(text) => "the name of a table",
        ("DeadLetterTopic", Value::Text(text)) if !literal::is_topic(text) => literal::TOPIC,
        ("BatchSize" | "MaxAttempts", Value::Integer(0)) => "a whole number from 1, not 0",
        _ => return options::check_literal(def, option),
    };
    let message = format!("option \"{}\" takes {expected}", option.name);
    Some(Diagnostic::error("E_PARAM", option.span, message))
}

/// Offsets are kept in the transaction of the rows, so there must be one.
fn check_targets(span: Span, targets: Targets) -> Option<Diagnostic> {
    let message = match targets {
        Targets::One => return None,
        Targets::None => "option \"OffsetTable\" needs a database that the script writes to",
        Targets::Several => {
            "option \"OffsetTable\" needs one database, the script writes to several"
        }
        Targets::Varying => {
            "option \"OffsetTable\" needs a database whose address is the same for every message"
        }
    };
    let hint = "Offsets are kept in the database that gets the rows, in the same transaction.";
    Some(Diagnostic::error("E_PARAM", span, message).hint(hint))
}

fn check_property(option: &OptionUse) -> Option<Diagnostic> {
    let property = properties::property(&option.name);
    let no_effect = |hint: &str| {
        let message = format!("option \"{}\" has no effect in CONSUME", option.name);
        Some(Diagnostic::warning("W020", option.span, message).hint(hint))
    };
    match source_side(&property) {
        Side::Unknown => check_unlisted(option, &property, nearest_option),
        Side::Consumer if is_ours_alone(&property) => {
            let weakens = property != "enable.partition.eof"
                && option
                    .literal
                    .as_ref()
                    .is_some_and(|literal| match literal {
                        Value::Boolean(value) => *value,
                        Value::Text(text) => text.trim().eq_ignore_ascii_case("true"),
                        _ => false,
                    });
            if weakens {
                return no_effect(
                    "Offsets are committed when their batch is delivered, and only then.",
                );
            }
            check_value(option, &property)
        }
        Side::Consumer => check_value(option, &property),
        Side::Producer | Side::Unsupported => no_effect("It is an option of PRODUCE."),
    }
}

/// Finds the nearest option, in the spelling of `name`.
pub(super) fn nearest_option(name: &str) -> Option<String> {
    if let Some(near) = nearest(name, SourceOptions::DEFS.iter().map(|def| def.name)) {
        return Some(near.to_owned());
    }
    let all = PRODUCER.iter().chain(CONSUMER).copied();
    nearest_property(
        name,
        all.filter(|property| !PRODUCER_ONLY.contains(property)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each option has the place of its index.
    fn found(options: &[(&str, Option<Value>)]) -> Vec<String> {
        let uses: Vec<_> = options
            .iter()
            .enumerate()
            .map(|(index, (name, literal))| OptionUse {
                name: (*name).into(),
                span: Span::new(index as u32, index as u32 + 1),
                literal: literal.clone(),
                of_message: false,
            })
            .collect();
        check_source(Span::new(90, 99), &uses, Targets::None)
            .into_iter()
            .map(|d| {
                let hint = d.hint.map_or(String::new(), |hint| format!(" | {hint}"));
                format!("{} {} {}{hint}", d.span.start, d.code, d.message)
            })
            .collect()
    }

    const NEEDED: [(&str, Option<Value>); 3] = [
        ("BootstrapServers", None),
        ("GroupId", None),
        ("Topic", None),
    ];

    #[test]
    fn accepts_the_options_of_the_published_samples() {
        let mut all = NEEDED.to_vec();
        all.extend([
            ("ClientId", Some(Value::text("dajet"))),
            ("EnableAutoCommit", Some(Value::text("false"))),
            ("AutoOffsetReset", Some(Value::text("earliest"))),
            ("SessionTimeoutMs", Some(Value::Integer(60_000))),
            ("HeartbeatIntervalMs", Some(Value::Integer(20_000))),
        ]);
        assert_eq!(found(&all), [""; 0]);
    }

    #[test]
    fn reports_what_is_missing_at_the_statement() {
        let told = found(&[("MaxAttempts", None), ("GroupId", Some(Value::Null))]);
        let short: Vec<_> = told.iter().map(|d| d.split(" |").next().unwrap()).collect();
        assert_eq!(
            short,
            [
                "90 E_PARAM option \"BootstrapServers\" is missing",
                "90 E_PARAM option \"GroupId\" is missing",
                "90 E_PARAM option \"Topic\" is missing",
                "0 E_PARAM option \"MaxAttempts\" needs \"DeadLetterTopic\"",
            ]
        );
    }

    #[test]
    fn warns_of_names_that_have_no_effect() {
        let mut all = NEEDED.to_vec();
        all.extend([
            ("GruopId", None),
            ("BachSize", None),
            ("LingerMs", None),
            ("EnableAutoCommit", Some(Value::Boolean(true))),
            ("group.id", None),
        ]);
        assert_eq!(
            found(&all),
            [
                "3 E_PARAM unknown option \"GruopId\" | Did you mean \"GroupId\"?",
                "4 E_PARAM unknown option \"BachSize\" | Did you mean \"BatchSize\"?",
                "5 W020 option \"LingerMs\" has no effect in CONSUME | It is an option of PRODUCE.",
                "6 W020 option \"EnableAutoCommit\" has no effect in CONSUME | Offsets are committed when their batch is delivered, and only then.",
                "7 W020 option \"group.id\" is given twice",
            ]
        );
    }

    #[test]
    fn reports_wrong_literals_at_their_place() {
        let mut all = NEEDED.to_vec();
        all[2].1 = Some(Value::text(" , "));
        all.extend([
            ("BatchSize", Some(Value::Integer(0))),
            ("AutoOffsetReset", Some(Value::text("никогда"))),
            ("OffsetTable", Some(Value::text("t"))),
            ("DeadLetterTopic", Some(Value::text(""))),
            ("MaxAttempts", Some(Value::Integer(2))),
        ]);
        all[1].1 = Some(Value::text(" "));
        assert_eq!(
            found(&all),
            [
                "1 E_PARAM option \"GroupId\" takes a text that is not empty, not ' '",
                "2 E_PARAM option \"Topic\" takes names of topics, each of letters a to z, digits, '.', '_' and '-', or patterns that begin with ^",
                "3 E_PARAM option \"BatchSize\" takes a whole number from 1, not 0",
                "4 E_PARAM option \"AutoOffsetReset\" takes 'earliest', 'latest', 'error', 'beginning', 'end', 'smallest' or 'largest', not 'никогда'",
                "5 E_PARAM option \"OffsetTable\" needs a database that the script writes to | Offsets are kept in the database that gets the rows, in the same transaction.",
                "6 E_PARAM option \"DeadLetterTopic\" takes a name of at most 249 letters a to z, digits, '.', '_' and '-'",
            ]
        );
    }

    #[test]
    fn reports_patterns_that_are_none_and_letters_that_would_be_read_again() {
        let with = |topic: &str, letters: &str| {
            let mut all = NEEDED.to_vec();
            all[2].1 = Some(Value::text(topic));
            all.push(("DeadLetterTopic", Some(Value::text(letters))));
            all.push(("MaxAttempts", Some(Value::Integer(2))));
            found(&all)
        };
        assert_eq!(
            with("a, ^eyes_(", "b"),
            [
                "2 E_PARAM option \"Topic\" takes no such pattern: '^eyes_(' | A pattern is a regular expression: close its brackets, or write \\ before a sign that is meant as it is."
            ]
        );
        let cycle =
            ["3 E_PARAM option \"DeadLetterTopic\" takes another topic than those that are read"];
        assert_eq!(with("a, b", "b"), cycle);
        assert_eq!(with("^orders.*", "orders-dead"), cycle);
        assert_eq!(with("^orders$", "orders-dead"), [""; 0]);
    }

    #[test]
    fn keeps_offsets_only_where_one_database_gets_the_rows() {
        let told = |targets| check_targets(Span::new(0, 1), targets).map(|told| told.message);
        assert_eq!(told(Targets::One), None);
        for (targets, part) in [
            (Targets::None, "needs a database"),
            (Targets::Several, "writes to several"),
            (Targets::Varying, "the same for every message"),
        ] {
            let message = told(targets).expect("it is an error");
            assert!(message.contains(part), "{message}");
        }
    }
}
