//! What can be said about the options of a statement without a broker.

use std::collections::BTreeMap;

use dajet_core::contract::{OptionUse, Usage};
use dajet_core::diagnostic::nearest;
use dajet_core::value::parse_datetime;
use dajet_core::{Diagnostic, Span, Value, options};

use super::check_source::check_source;
use super::literal;
use super::message::Member;
use super::properties::{self, PRODUCER, Side, side};
use super::settings::{BROKERS, SinkOptions, TIMEOUT, known, probe};

/// Checks the options of a statement.
pub(super) fn check(usage: Usage, whole: Span, uses: &[OptionUse]) -> Vec<Diagnostic> {
    match usage {
        Usage::Sink => check_sink(whole, uses),
        Usage::BrokerSource(targets) => check_source(whole, uses, targets),
        Usage::Database => vec![
            Diagnostic::error("E_URI", whole, "kafka is no database")
                .hint("Write to it by PRODUCE 'kafka', read from it by CONSUME 'kafka'."),
        ],
    }
}

fn check_sink(whole: Span, uses: &[OptionUse]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut seen: BTreeMap<String, bool> = BTreeMap::new();
    for option in uses {
        let (canonical, diagnostic) = match Member::of(&option.name) {
            Some(member) => (format!("{member:?}"), check_member(member, option)),
            None if option.of_message => (option.name.to_string(), Some(misplaced(option))),
            None => (properties::property(&option.name), check_property(option)),
        };
        found.extend(diagnostic);
        match seen.insert(canonical, option.of_message) {
            Some(of_message) if of_message == option.of_message => {
                found.push(options::repeated(option))
            }
            Some(_) => found.push(
                options::repeated(option)
                    .hint("The one in WITH wins and is the same for every message."),
            ),
            None => {}
        }
    }
    let given = |names: &[&str]| names.iter().any(|name| seen.contains_key(*name));
    if !given(&BROKERS) {
        found.push(
            Diagnostic::error("E_PARAM", whole, "option \"BootstrapServers\" is missing")
                .hint("Give it in WITH as a list 'host:port, host:port'."),
        );
    }
    if !given(&["Topic"]) {
        found.push(
            Diagnostic::error("E_PARAM", whole, "option \"Topic\" is missing")
                .hint("Give it in SELECT."),
        );
    }
    found
}

fn check_member(member: Member, option: &OptionUse) -> Option<Diagnostic> {
    let expected = match (member, option.literal.as_ref()?) {
        (Member::Topic, Value::Text(text)) if literal::is_topic(text) => return None,
        (Member::Topic, _) => literal::TOPIC,
        (Member::Partition, Value::Null) => return None,
        (Member::Partition, Value::Integer(number))
            if i32::try_from(*number).is_ok_and(|n| n >= 0) =>
        {
            return None;
        }
        (Member::Partition, _) => "a whole number from 0",
        (Member::Headers, Value::Text(_) | Value::Integer(_) | Value::Boolean(_)) => "an object",
        (Member::Timestamp, Value::Text(text)) if parse_datetime(text).is_some() => return None,
        (Member::Timestamp, Value::Text(_) | Value::Integer(_) | Value::Boolean(_)) => "a datetime",
        _ => return None,
    };
    Some(Diagnostic::error(
        "E_PARAM",
        option.span,
        format!("option \"{}\" takes {expected}", option.name),
    ))
}

fn misplaced(option: &OptionUse) -> Diagnostic {
    if side(&properties::property(&option.name)) == Side::Producer {
        return Diagnostic::warning(
            "W020",
            option.span,
            format!("option \"{}\" has no effect in SELECT", option.name),
        )
        .hint("Move it to WITH.");
    }
    unknown(
        &option.name,
        option.span,
        nearest(&option.name, Member::NAMES).map(str::to_owned),
    )
}

fn check_property(option: &OptionUse) -> Option<Diagnostic> {
    let property = properties::property(&option.name);
    if TIMEOUT.contains(&&*property) {
        let named = OptionUse {
            name: "MessageTimeoutMs".into(),
            ..option.clone()
        };
        return options::check_literal(&SinkOptions::DEFS[0], &named);
    }
    match side(&property) {
        Side::Producer => check_value(option, &property),
        Side::Consumer => Some(
            Diagnostic::warning(
                "W020",
                option.span,
                format!("option \"{}\" has no effect in PRODUCE", option.name),
            )
            .hint("It is an option of CONSUME."),
        ),
        Side::Unsupported => Some(Diagnostic::error(
            "E_UNSUPPORTED",
            option.span,
            format!("option \"{}\" is not supported", option.name),
        )),
        Side::Unknown => check_unlisted(option, &property, nearest_option),
    }
}

/// Checks a literal that is passed on to the library.
pub(super) fn check_value(option: &OptionUse, property: &str) -> Option<Diagnostic> {
    let text = match option.literal.as_ref()? {
        Value::Null => return None,
        Value::Text(text) => text.to_string(),
        Value::Boolean(value) => value.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Decimal(number) => number.to_string(),
        other => {
            let message = format!(
                "option \"{}\" takes a text, a number or a boolean, not {}",
                option.name,
                other.type_name()
            );
            return Some(Diagnostic::error("E_PARAM", option.span, message));
        }
    };
    let error = probe(&option.name, property, &text, nearest_option).err()?;
    Some(Diagnostic::error("E_PARAM", option.span, error.message).maybe_hint(error.hint))
}

/// Checks an option that no list of ours has: the library knows more, and refuses what it does not know.
pub(super) fn check_unlisted(
    option: &OptionUse,
    property: &str,
    nearest_option: fn(&str) -> Option<String>,
) -> Option<Diagnostic> {
    match known(&option.name, property, nearest_option) {
        Ok(()) => check_value(option, property),
        Err(error) => {
            Some(Diagnostic::error("E_PARAM", option.span, error.message).maybe_hint(error.hint))
        }
    }
}

/// The warning of a part of the message that nobody knows.
fn unknown(name: &str, span: Span, near: Option<String>) -> Diagnostic {
    Diagnostic::warning("W020", span, format!("unknown option \"{name}\""))
        .maybe_hint(near.map(|near| format!("Did you mean \"{near}\"?")))
}

/// Finds the nearest option in WITH, in the spelling of `name`.
pub(super) fn nearest_option(name: &str) -> Option<String> {
    nearest_property(name, PRODUCER.iter().copied())
}

/// Finds the nearest of these properties, in the spelling of `name`.
pub(super) fn nearest_property<'a>(
    name: &str,
    properties: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let near = nearest(&properties::property(name), properties)?;
    Some(if name.contains('.') {
        near.to_owned()
    } else {
        properties::option(near)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Options in WITH, then in SELECT; each has the place of its index.
    fn found(with: &[(&str, Option<Value>)], select: &[(&str, Option<Value>)]) -> Vec<String> {
        let of = |(name, literal): &(&str, Option<Value>), index: usize, of_message| OptionUse {
            name: (*name).into(),
            span: Span::new(index as u32, index as u32 + 1),
            literal: literal.clone(),
            of_message,
        };
        let mut uses: Vec<_> = with
            .iter()
            .enumerate()
            .map(|(i, o)| of(o, i, false))
            .collect();
        uses.extend(
            select
                .iter()
                .enumerate()
                .map(|(i, o)| of(o, with.len() + i, true)),
        );
        check(Usage::Sink, Span::new(90, 99), &uses)
            .into_iter()
            .map(|d| {
                format!(
                    "{} {} {}{}",
                    d.span.start,
                    d.code,
                    d.message,
                    d.hint.map_or(String::new(), |h| format!(" | {h}"))
                )
            })
            .collect()
    }

    const BOOTSTRAP: (&str, Option<Value>) = ("BootstrapServers", None);
    const TOPIC: (&str, Option<Value>) = ("Topic", None);

    #[test]
    fn accepts_the_options_of_the_published_samples() {
        let with = [
            ("Acks", Some(Value::text("all"))),
            ("ClientId", Some(Value::text("dajet"))),
            ("MaxInFlight", Some(Value::Integer(1))),
            BOOTSTRAP,
            ("MessageTimeoutMs", Some(Value::Integer(30_000))),
            ("EnableIdempotence", Some(Value::Boolean(false))),
        ];
        assert_eq!(
            found(&with, &[("Key", None), ("Value", None), TOPIC]),
            [""; 0]
        );
        let dotted = [
            ("bootstrap.servers", None),
            ("linger.ms", Some(Value::text("5"))),
            ("compression.type", Some(Value::text("zstd"))),
        ];
        let time = ("Timestamp", Some(Value::text("2020-01-02T03:04:05")));
        assert_eq!(found(&dotted, &[("topic", None), time]), [""; 0]);
    }

    #[test]
    fn reports_what_is_missing_at_the_statement() {
        assert_eq!(
            found(&[], &[("Value", None)]),
            [
                "90 E_PARAM option \"BootstrapServers\" is missing | Give it in WITH as a list 'host:port, host:port'.",
                "90 E_PARAM option \"Topic\" is missing | Give it in SELECT.",
            ]
        );
    }

    #[test]
    fn tells_unknown_names_with_the_nearest() {
        assert_eq!(
            found(
                &[
                    BOOTSTRAP,
                    ("LingrMs", None),
                    ("linger.mss", None),
                    ("GroupId", None)
                ],
                &[TOPIC, ("Valeu", None), ("LingerMs", None)]
            ),
            [
                "1 E_PARAM unknown option \"LingrMs\" | Did you mean \"LingerMs\"?",
                "2 E_PARAM unknown option \"linger.mss\" | Did you mean \"linger.ms\"?",
                "3 W020 option \"GroupId\" has no effect in PRODUCE | It is an option of CONSUME.",
                "5 W020 unknown option \"Valeu\" | Did you mean \"Value\"?",
                "6 W020 option \"LingerMs\" has no effect in SELECT | Move it to WITH.",
            ]
        );
    }

    #[test]
    fn reports_wrong_literals_at_their_place() {
        let with = [
            BOOTSTRAP,
            ("Acks", Some(Value::text("maybe"))),
            ("LingerMs", Some(Value::text("скоро"))),
            ("MessageTimeoutMs", Some(Value::text("never"))),
            ("TransactionalId", Some(Value::text("x"))),
        ];
        assert_eq!(
            found(
                &with,
                &[
                    ("Topic", Some(Value::text(""))),
                    ("Partition", Some(Value::Integer(-1)))
                ]
            ),
            [
                "1 E_PARAM option \"Acks\" takes 'all', '-1', '0' or '1', not 'maybe'",
                "2 E_PARAM option \"LingerMs\" does not take 'скоро'",
                "3 E_PARAM option \"MessageTimeoutMs\" takes a length of time (a whole number, or a text such as '500ms', '30s', '5m'), not 'never'",
                "4 E_UNSUPPORTED option \"TransactionalId\" is not supported",
                "5 E_PARAM option \"Topic\" takes a name of at most 249 letters a to z, digits, '.', '_' and '-'",
                "6 E_PARAM option \"Partition\" takes a whole number from 0",
            ]
        );
    }

    #[test]
    fn reports_what_the_library_would_find_only_later() {
        let with = [
            ("BootstrapServers", Some(Value::text("host:порт"))),
            ("SaslMechanism", Some(Value::text("PLAIM"))),
            ("acks", Some(Value::Integer(7))),
        ];
        let select = [
            ("Topic", Some(Value::text("a b"))),
            ("Timestamp", Some(Value::text("вчера"))),
        ];
        assert_eq!(
            found(&with, &select),
            [
                "0 E_PARAM option \"BootstrapServers\" takes a list 'host:port, host:port', not 'host:порт'",
                "1 E_PARAM option \"SaslMechanism\" takes 'PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'GSSAPI' or 'OAUTHBEARER', not 'PLAIM' | Did you mean 'PLAIN'?",
                "2 E_PARAM option \"acks\" takes 'all', '-1', '0' or '1', not '7'",
                "3 E_PARAM option \"Topic\" takes a name of at most 249 letters a to z, digits, '.', '_' and '-'",
                "4 E_PARAM option \"Timestamp\" takes a datetime",
            ]
        );
    }

    #[test]
    fn warns_of_repeated_options() {
        assert_eq!(
            found(
                &[BOOTSTRAP, ("bootstrap.servers", None), ("Topic", None)],
                &[TOPIC]
            ),
            [
                "1 W020 option \"bootstrap.servers\" is given twice",
                "3 W020 option \"Topic\" is given twice | The one in WITH wins and is the same for every message.",
            ]
        );
    }
}
