//! What can be said about the options of a statement without a broker.

use std::collections::BTreeMap;

use dajet_core::contract::{OptionUse, Usage};
use dajet_core::diagnostic::nearest;
use dajet_core::options::{self, OptionDef};
use dajet_core::{Diagnostic, Span, Value};

use super::message::{Member, too_long};
use super::settings::{CYCLE, SinkOptions, SourceOptions};

/// The same wish has another name in either statement.
const HEARTBEAT: &str = "Heartbeat";
const REQUESTED_HEARTBEAT: &str = "RequestedHeartbeat";

/// Checks the options of a statement.
pub(super) fn check(usage: Usage, whole: Span, uses: &[OptionUse]) -> Vec<Diagnostic> {
    match usage {
        Usage::Sink => check_sink(whole, uses),
        Usage::BrokerSource(_) => check_source(whole, uses),
        Usage::Database => vec![
            Diagnostic::error("E_URI", whole, "rabbitmq is no database")
                .hint("Write to it by PRODUCE 'amqp://…', read from it by CONSUME 'amqp://…'."),
        ],
    }
}

fn check_sink(whole: Span, uses: &[OptionUse]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut seen: BTreeMap<&str, bool> = BTreeMap::new();
    for option in uses {
        found.extend(
            match (
                Member::of(&option.name),
                def(SinkOptions::DEFS, &option.name),
            ) {
                (Some(member), _) => check_member(member, option),
                (None, Some(def)) => {
                    options::check_literal(def, option).or_else(|| check_zero(option))
                }
                (None, None) => Some(unknown(option)),
            },
        );
        match seen.insert(&option.name, option.of_message) {
            Some(before) if before == option.of_message => found.push(options::repeated(option)),
            Some(_) => found.push(
                options::repeated(option)
                    .hint("The one in WITH wins and is the same for every message."),
            ),
            None => {}
        }
    }
    found.extend(no_queue(uses));
    if !seen.contains_key("Exchange") && !seen.contains_key("RoutingKey") {
        let message = "neither option \"Exchange\" nor option \"RoutingKey\" is given";
        found.push(
            Diagnostic::error("E_PARAM", whole, message)
                .hint("Without Exchange, RoutingKey is the name of the queue."),
        );
    }
    found
}

/// An empty routing key names no queue, and no exchange stands before it.
fn no_queue(uses: &[OptionUse]) -> Option<Diagnostic> {
    let is_empty = |option: &OptionUse| match &option.literal {
        Some(Value::Null) => true,
        Some(Value::Text(text)) => text.is_empty(),
        _ => false,
    };
    let given = |name: &str, empty: bool| {
        uses.iter()
            .find(|option| &*option.name == name && is_empty(option) == empty)
    };
    let key = given("RoutingKey", true)?;
    let exchange = given("Exchange", false);
    let message = "option \"RoutingKey\" takes the name of a queue, for no exchange is given";
    exchange
        .is_none()
        .then(|| Diagnostic::error("E_PARAM", key.span, message))
}

fn check_member(member: Member, option: &OptionUse) -> Option<Diagnostic> {
    let literal = option.literal.as_ref()?;
    let takes = member.refuses(literal)?;
    let found = match literal {
        Value::Boolean(_) | Value::Integer(_) => literal.to_string(),
        Value::Text(text) if text.chars().count() <= 40 => format!("'{text}'"),
        other => too_long(other).unwrap_or_else(|| other.type_name().to_owned()),
    };
    let message = format!("option \"{}\" takes {takes}, not {found}", option.name);
    Some(Diagnostic::error("E_PARAM", option.span, message))
}

fn unknown(option: &OptionUse) -> Diagnostic {
    let (name, span) = (&option.name, option.span);
    if def(SourceOptions::DEFS, name).is_some() {
        let message = format!("option \"{name}\" has no effect in PRODUCE");
        let hint = match &**name {
            HEARTBEAT => "It is an option of CONSUME. Did you mean \"RequestedHeartbeat\"?",
            _ => "It is an option of CONSUME.",
        };
        return Diagnostic::warning("W020", span, message).hint(hint);
    }
    let names = Member::NAMES
        .iter()
        .copied()
        .chain(SinkOptions::DEFS.iter().map(|def| def.name));
    let near = nearest(name, names).or_else(|| {
        let heartbeat = nearest(name, [HEARTBEAT]);
        heartbeat.map(|_| REQUESTED_HEARTBEAT)
    });
    Diagnostic::warning("W020", span, format!("unknown option \"{name}\""))
        .maybe_hint(near.map(|near| format!("Did you mean \"{near}\"?")))
}

fn check_source(whole: Span, uses: &[OptionUse]) -> Vec<Diagnostic> {
    let of_produce = |option: &OptionUse| {
        let name = &*option.name;
        def(SourceOptions::DEFS, name).is_none()
            && (Member::of(name).is_some() || def(SinkOptions::DEFS, name).is_some())
    };
    let (foreign, own): (Vec<_>, Vec<_>) = uses.iter().cloned().partition(of_produce);
    let mut found = options::check(SourceOptions::DEFS, whole, &own);
    for option in foreign {
        let message = format!("option \"{}\" has no effect in CONSUME", option.name);
        let hint = match &*option.name {
            REQUESTED_HEARTBEAT => "It is an option of PRODUCE. Did you mean \"Heartbeat\"?",
            _ => "It is an option of PRODUCE.",
        };
        found.push(Diagnostic::warning("W020", option.span, message).hint(hint));
    }
    let given = |name: &str| uses.iter().any(|option| &*option.name == name);
    found.extend(check_letters(uses));
    for option in uses {
        if &*option.name == "DeadLetter" && !given("MaxAttempts") {
            let message = "option \"DeadLetter\" needs \"MaxAttempts\"";
            found.push(Diagnostic::error("E_PARAM", option.span, message));
        }
        found.extend(check_zero(option));
        let name = &*option.name;
        let is_empty = matches!(&option.literal, Some(Value::Text(text)) if text.is_empty());
        if ["QueueName", "DeadLetter"].contains(&name) && is_empty {
            let message = format!("option \"{name}\" takes a text that is not empty");
            found.push(Diagnostic::error("E_PARAM", option.span, message));
        }
    }
    found
}

/// Messages that are put aside must be taken by somebody, and not by the same queue.
fn check_letters(uses: &[OptionUse]) -> Option<Diagnostic> {
    let find = |name: &str| uses.iter().find(|option| &*option.name == name);
    let attempts = find("MaxAttempts")?;
    let is_absent = |option: &&OptionUse| option.literal != Some(Value::Null);
    let Some(letters) = find("DeadLetter").filter(is_absent) else {
        let message = "a message that has failed too often is rejected, and lost unless its queue has a dead-letter exchange";
        let hint = "Give DeadLetter, the exchange or queue that takes it.";
        return Some(Diagnostic::warning("W017", attempts.span, message).hint(hint));
    };
    let same = letters.literal.is_some() && letters.literal == find("QueueName")?.literal;
    same.then(|| Diagnostic::error("E_PARAM", letters.span, CYCLE))
}

/// Numbers and times of which 0 makes no sense.
fn check_zero(option: &OptionUse) -> Option<Diagnostic> {
    let takes = match &*option.name {
        "BatchSize" | "MaxAttempts" | "ConfirmWindow" => "a whole number from 1",
        "PublisherConfirmsTimeout" | "ContinuationTimeout" | "RequestedConnectionTimeout" => {
            "a time above 0"
        }
        _ => return None,
    };
    let message = format!("option \"{}\" takes {takes}, not 0", option.name);
    (option.literal == Some(Value::Integer(0)))
        .then(|| Diagnostic::error("E_PARAM", option.span, message))
}

fn def(defs: &'static [OptionDef], name: &str) -> Option<&'static OptionDef> {
    defs.iter().find(|def| def.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dajet_core::Targets;

    type Given<'a> = (&'a str, Option<Value>);

    fn found(usage: Usage, with: &[Given<'_>], select: &[Given<'_>]) -> Vec<String> {
        let all = with
            .iter()
            .map(|o| (o, false))
            .chain(select.iter().map(|o| (o, true)));
        let uses: Vec<_> = all
            .enumerate()
            .map(|(index, ((name, literal), of_message))| OptionUse {
                name: (*name).into(),
                span: Span::new(index as u32, index as u32 + 1),
                literal: literal.clone(),
                of_message,
            })
            .collect();
        check(usage, Span::new(90, 99), &uses)
            .into_iter()
            .map(|d| {
                let hint = d.hint.map_or(String::new(), |hint| format!(" | {hint}"));
                format!("{} {} {}{hint}", d.span.start, d.code, d.message)
            })
            .collect()
    }

    #[test]
    fn accepts_the_options_of_the_original() {
        let with = [
            ("RequestedHeartbeat", Some(Value::Integer(60))),
            ("AutomaticRecoveryEnabled", Some(Value::Boolean(true))),
            ("NetworkRecoveryInterval", Some(Value::Integer(5))),
            ("ContinuationTimeout", Some(Value::Integer(30))),
            ("RequestedConnectionTimeout", Some(Value::Integer(30))),
            ("PublisherConfirmsTimeout", Some(Value::Integer(60))),
        ];
        let select = [
            ("Exchange", Some(Value::text("dajet-exchange"))),
            ("RoutingKey", None),
            ("Mandatory", Some(Value::Integer(1))),
            ("Body", None),
            ("Priority", Some(Value::Integer(0))),
            ("CarbonCopy", Some(Value::text("a,b"))),
            ("Headers", None),
        ];
        assert_eq!(found(Usage::Sink, &with, &select), [""; 0]);
        assert_eq!(
            found(Usage::Sink, &[], &[with.as_slice(), &select].concat()),
            [""; 0]
        );
    }

    #[test]
    fn tells_mistakes_of_produce_at_their_place() {
        let with = [
            ("ConfirmWindow", Some(Value::text("viel"))),
            ("QueueName", None),
        ];
        let select = [
            ("Exchnage", None),
            ("DeliveryMode", Some(Value::Integer(3))),
        ];
        assert_eq!(
            found(Usage::Sink, &with, &select),
            [
                "0 E_PARAM option \"ConfirmWindow\" takes a whole number from 0, not 'viel'",
                "1 W020 option \"QueueName\" has no effect in PRODUCE | It is an option of CONSUME.",
                "2 W020 unknown option \"Exchnage\" | Did you mean \"Exchange\"?",
                "3 E_PARAM option \"DeliveryMode\" takes 1 or 2, not 3",
                "90 E_PARAM neither option \"Exchange\" nor option \"RoutingKey\" is given | Without Exchange, RoutingKey is the name of the queue.",
            ]
        );
        assert_eq!(
            found(
                Usage::Sink,
                &[("RoutingKey", None)],
                &[("RoutingKey", None)]
            ),
            [
                "1 W020 option \"RoutingKey\" is given twice | The one in WITH wins and is the same for every message."
            ]
        );
    }

    #[test]
    fn knows_that_a_heartbeat_has_two_names() {
        let key = ("RoutingKey", None);
        assert_eq!(
            found(
                Usage::Sink,
                &[("Hearbeat", None), ("Heartbeat", None)],
                &[key]
            ),
            [
                "0 W020 unknown option \"Hearbeat\" | Did you mean \"RequestedHeartbeat\"?",
                "1 W020 option \"Heartbeat\" has no effect in PRODUCE | It is an option of CONSUME. Did you mean \"RequestedHeartbeat\"?",
            ]
        );
        let with = [("QueueName", None), ("RequestedHeartbeat", None)];
        assert_eq!(
            found(Usage::BrokerSource(Targets::None), &with, &[]),
            [
                "1 W020 option \"RequestedHeartbeat\" has no effect in CONSUME | It is an option of PRODUCE. Did you mean \"Heartbeat\"?"
            ]
        );
    }

    #[test]
    fn tells_what_no_queue_and_no_time_can_be() {
        let with = [
            ("ConfirmWindow", Some(Value::Integer(0))),
            ("PublisherConfirmsTimeout", Some(Value::Integer(0))),
        ];
        let select = [("RoutingKey", Some(Value::text("")))];
        assert_eq!(
            found(Usage::Sink, &with, &select),
            [
                "0 E_PARAM option \"ConfirmWindow\" takes a whole number from 1, not 0",
                "1 E_PARAM option \"PublisherConfirmsTimeout\" takes a time above 0, not 0",
                "2 E_PARAM option \"RoutingKey\" takes the name of a queue, for no exchange is given",
            ]
        );
        let select = [("RoutingKey", Some(Value::text(""))), ("Exchange", None)];
        assert_eq!(found(Usage::Sink, &[], &select), [""; 0]);
        let queue = [("QueueName", Some(Value::text("")))];
        assert_eq!(
            found(Usage::BrokerSource(Targets::None), &queue, &[]),
            ["0 E_PARAM option \"QueueName\" takes a text that is not empty"]
        );
    }

    #[test]
    fn tells_mistakes_of_consume_at_their_place() {
        let with = [
            ("QueueNam", None),
            ("PrefetchCount", Some(Value::Integer(70_000))),
            ("DeadLetter", Some(Value::text("письма"))),
            ("BatchSize", Some(Value::Integer(0))),
            ("Exchange", None),
        ];
        assert_eq!(
            found(Usage::BrokerSource(Targets::None), &with, &[]),
            [
                "0 W020 unknown option \"QueueNam\" | Did you mean \"QueueName\"?",
                "1 E_PARAM option \"PrefetchCount\" takes a whole number from 0 to 65535, not 70000",
                "90 E_PARAM option \"QueueName\" is missing",
                "4 W020 option \"Exchange\" has no effect in CONSUME | It is an option of PRODUCE.",
                "2 E_PARAM option \"DeadLetter\" needs \"MaxAttempts\"",
                "3 E_PARAM option \"BatchSize\" takes a whole number from 1, not 0",
            ]
        );
        assert_eq!(
            found(
                Usage::BrokerSource(Targets::None),
                &[("QueueName", None)],
                &[]
            ),
            [""; 0]
        );
        let letters = |letters: &[Given<'_>]| {
            let queue = ("QueueName", Some(Value::text("очередь")));
            let attempts = ("MaxAttempts", Some(Value::Integer(3)));
            let with = [&[queue, attempts], letters].concat();
            found(Usage::BrokerSource(Targets::None), &with, &[])
        };
        assert_eq!(
            letters(&[]),
            [
                "1 W017 a message that has failed too often is rejected, and lost unless its queue has a dead-letter exchange | Give DeadLetter, the exchange or queue that takes it."
            ]
        );
        assert_eq!(
            letters(&[("DeadLetter", Some(Value::text("очередь")))]),
            ["2 E_PARAM option \"DeadLetter\" takes another queue than the one that is read"]
        );
        assert_eq!(letters(&[("DeadLetter", None)]), [""; 0]);
        assert_eq!(
            found(Usage::Database, &[], &[]),
            [
                "90 E_URI rabbitmq is no database | Write to it by PRODUCE 'amqp://…', read from it by CONSUME 'amqp://…'."
            ]
        );
    }
}
