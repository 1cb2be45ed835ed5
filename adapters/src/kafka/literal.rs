//! What a property takes, where the library itself takes anything and fails later, or does not say what it would take.

use dajet_core::SystemError;
use dajet_core::diagnostic::nearest;
use rdkafka::ClientConfig;
use regex::Regex;

use super::settings::BROKERS;
use super::source_settings::GROUP;

/// Properties that take one of a few words; by all their names.
const CHOICES: &[(&[&str], &[&str])] = &[
    (&["acks", "request.required.acks"], &["all", "-1", "0", "1"]),
    (
        &["auto.offset.reset"],
        &[
            "earliest",
            "latest",
            "error",
            "beginning",
            "end",
            "smallest",
            "largest",
        ],
    ),
    (
        &["compression.codec", "compression.type"],
        &["none", "gzip", "snappy", "lz4", "zstd"],
    ),
    (
        &["isolation.level"],
        &["read_committed", "read_uncommitted"],
    ),
    (
        &["partitioner"],
        &[
            "consistent_random",
            "consistent",
            "random",
            "murmur2_random",
            "murmur2",
            "fnv1a_random",
            "fnv1a",
        ],
    ),
    (
        &["sasl.mechanism", "sasl.mechanisms"],
        &[
            "PLAIN",
            "SCRAM-SHA-256",
            "SCRAM-SHA-512",
            "GSSAPI",
            "OAUTHBEARER",
        ],
    ),
    (
        &["security.protocol"],
        &["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"],
    ),
];

/// Most bytes of a topic's name.
const TOPIC_BYTES_MAX: usize = 249;

/// What the broker takes as the name of a topic.
pub(super) const TOPIC: &str = "a name of at most 249 letters a to z, digits, '.', '_' and '-'";

/// True if the broker takes the name.
pub(super) fn is_topic(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ['.', '_', '-'].contains(&c);
    (1..=TOPIC_BYTES_MAX).contains(&name.len())
        && name.chars().all(allowed)
        && name != "."
        && name != ".."
}

/// True if it is a list of topics and patterns, be they valid or not.
pub(super) fn is_topic_list(text: &str) -> bool {
    let mut any = false;
    topics(text).all(|name| {
        any = true;
        name.starts_with('^') || is_topic(name)
    }) && any
}

/// The topics and patterns of a list.
pub(super) fn topics(list: &str) -> impl Iterator<Item = &str> {
    list.split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
}

/// Finds a pattern that the library does not understand.
pub(super) fn wrong_pattern(list: &str) -> Option<&str> {
    topics(list).find(|name| {
        // A property that takes patterns, too: a client for the question would be dear.
        let mut asked = ClientConfig::new();
        asked.set("topic.blacklist", *name);
        name.starts_with('^') && asked.create_native_config().is_err()
    })
}

/// What to do about a pattern that is wrong.
pub(super) const PATTERN: &str = "A pattern is a regular expression: close its brackets, or write \\ before a sign that is meant as it is.";

/// Tells whether a name of a list is this topic, or a pattern matches it; `None` of a pattern that only the library understands.
pub(super) fn reads(name: &str, topic: &str) -> Option<bool> {
    match name.starts_with('^') {
        true => Some(Regex::new(name).ok()?.is_match(topic)),
        false => Some(name == topic),
    }
}

/// True if a list reads the topic for certain.
pub(super) fn surely_reads(list: &str, topic: &str) -> bool {
    topics(list).any(|name| reads(name, topic) == Some(true))
}

/// A dead letter would be read again.
pub(super) const CYCLE: &str =
    "option \"DeadLetterTopic\" takes another topic than those that are read";

/// Checks a value of a property; `name` is the option as written.
///
/// # Errors
/// `Misconfigured`, with the nearest word.
pub(super) fn check(name: &str, property: &str, value: &str) -> Result<(), SystemError> {
    let (takes, near) = if let Some(words) = choices(property) {
        if words
            .iter()
            .any(|word| word.eq_ignore_ascii_case(value.trim()))
        {
            return Ok(());
        }
        // One character is near to any other.
        let near = nearest(value, words.iter().copied()).filter(|_| value.len() > 1);
        (listed(words), near)
    } else if BROKERS.contains(&property) && !is_broker_list(value) {
        ("a list 'host:port, host:port'".to_owned(), None)
    } else if property == GROUP && value.trim().is_empty() {
        ("a text that is not empty".to_owned(), None)
    } else {
        return Ok(());
    };
    let message = format!("option \"{name}\" takes {takes}, not '{value}'");
    let error = SystemError::misconfigured("E_PARAM", message);
    Err(match near {
        Some(near) => error.with_hint(format!("Did you mean '{near}'?")),
        None => error,
    })
}

/// The words that a property takes, if it takes only these.
fn choices(property: &str) -> Option<&'static [&'static str]> {
    let found = CHOICES
        .iter()
        .find(|(names, _)| names.contains(&property))?;
    Some(found.1)
}

fn listed(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
    match quoted.split_last() {
        Some((last, first)) if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => quoted.concat(),
    }
}

/// True for `host`, `host:port` and `protocol://host:port`, one or more with commas.
fn is_broker_list(text: &str) -> bool {
    text.split(',').map(str::trim).all(|broker| {
        let place = broker.split_once("://").map_or(broker, |(_, place)| place);
        // The colons of an IPv6 address stand in brackets.
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (place, None),
        };
        let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
        !host.is_empty() && !host.contains(char::is_whitespace) && port.is_none_or(is_port)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_lists_of_brokers() {
        for good in [
            "h",
            "h:9092",
            "a:1, b:2",
            "PLAINTEXT://h:1",
            "[::1]:9092",
            "[::1]",
        ] {
            assert!(is_broker_list(good), "{good}");
        }
        for bad in ["", "h:port", "h:0", ":9092", "a:1,,b:2", "a b:1", "h:70000"] {
            assert!(!is_broker_list(bad), "{bad}");
        }
    }

    #[test]
    fn knows_names_of_topics() {
        assert!(is_topic("dajet.orders_1-new") && is_topic_list("a, ^b.*"));
        assert!(!is_topic("a b") && !is_topic("") && !is_topic("заказы") && !is_topic(".."));
        assert!(!is_topic_list(" , ") && !is_topic_list("a, b c"));
        assert_eq!(wrong_pattern("a, ^b(c|d)$, ^eyes_("), Some("^eyes_("));
        assert!(surely_reads("a, ^заказы.*", "заказы-1") && surely_reads("a, b", "b"));
        assert!(!surely_reads("a, ^b$, ^(", "bc"));
    }

    #[test]
    fn lists_the_words_that_a_property_takes_and_finds_the_nearest() {
        let error = check("Acks", "acks", "al").expect_err("it is no word of the list");
        assert_eq!(
            error.message,
            "option \"Acks\" takes 'all', '-1', '0' or '1', not 'al'"
        );
        assert_eq!(error.hint.as_deref(), Some("Did you mean 'all'?"));
        assert!(check("Acks", "acks", "ALL").is_ok());
        assert!(check("LingerMs", "linger.ms", "5").is_ok());
    }
}
