//! From the options of a script to the settings of a consumer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use dajet_core::{Environment, Identity, SystemError, Value, options};
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use super::literal;
use super::properties::{self, Side, source_side};
use super::settings::{BROKERS, client_id, probe, refused, text};

options! {
    /// Options of a Kafka source that are ours and not the library's.
    pub struct SourceOptions {
        /// What to read: a topic, a list of topics with commas, or a pattern of topics that begins with `^`.
        "Topic" => topic: Arc<str>,
        /// Most messages of a batch.
        "BatchSize" => batch_size: usize = "1000",
        /// How long a batch that has begun waits for more messages. A number counts seconds: write '20ms'.
        "BatchTimeout" => batch_timeout: Duration = "20ms",
        /// After so many failures, of whatever cause, a message is put aside instead of being read again for ever. Needs `DeadLetterTopic`.
        "MaxAttempts" => max_attempts: Option<u32>,
        /// Topic that takes the messages put aside. It must exist.
        "DeadLetterTopic" => dead_letter: Option<Arc<str>>,
        /// Table for the offsets of the group, in the database that the script writes to; made if it is missing. Offsets are moved in the transaction of
        /// their batch: every message leaves its rows exactly once.
        "OffsetTable" => offset_table: Option<Arc<str>>,
    }
}

/// The property that must be given.
pub(super) const GROUP: &str = "group.id";

/// Where to begin if nothing is committed.
const RESET: &str = "auto.offset.reset";

/// What makes the commit ours alone.
const FORCED: &[(&str, &str)] = &[
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("enable.partition.eof", "true"),
];

/// What is set unless the author sets it.
const DEFAULTS: &[(&str, &str)] = &[
    // The library's 64 MB for each source would add up.
    ("queued.max.messages.kbytes", "8192"),
    // Whenever that much is waiting the library pauses its fetching; its second of pause would outlast what waits by far.
    ("fetch.queue.backoff.ms", "10"),
    // The library's 10 s would add to the outage of every restarted broker.
    ("reconnect.backoff.max.ms", "1000"),
    ("socket.keepalive.enable", "true"),
];

/// What is set unless the author sets it, in groups whose members share the partitions out among themselves.
const GROUP_DEFAULTS: &[(&str, &str, &[&str])] = &[
    (
        "partition.assignment.strategy",
        "cooperative-sticky",
        &["partition.assignment.strategy"],
    ),
    // So long the messages of a process that died stay with it: the library's 45 s are long for a restart.
    (
        "session.timeout.ms",
        "10000",
        &[
            "session.timeout.ms",
            "heartbeat.interval.ms",
            "max.poll.interval.ms",
        ],
    ),
];

/// Longest wait for a batch that holds messages of partitions that are wanted by the group.
const HANDOVER: Duration = Duration::from_secs(30);

/// How soon a pattern finds new topics; the library looks every five minutes.
const PATTERN_REFRESH_MS: &str = "30000";

/// What a consumer is made of.
#[derive(Clone)]
pub(super) struct SourceSettings {
    /// For the library.
    pub(super) client: ClientConfig,
    /// The broker list, for messages.
    pub(super) brokers: Arc<str>,
    /// The consumer group.
    pub(super) group: Arc<str>,
    /// Topics, or patterns of topics.
    pub(super) topics: Vec<Arc<str>>,
    /// Where to begin if nothing is committed.
    pub(super) reset: Reset,
    /// Our own options.
    pub(super) options: SourceOptions,
    /// Wishes of the author that are not fulfilled: names of options.
    pub(super) overruled: Vec<Arc<str>>,
    /// The options that a producer has too, for messages put aside.
    pub(super) shared: Vec<(Arc<str>, Value)>,
}

/// Not the properties: some are secret.
impl fmt::Debug for SourceSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceSettings")
            .field("brokers", &self.brokers)
            .field("group", &self.group)
            .field("topics", &self.topics)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl SourceSettings {
    /// Makes settings of evaluated options; NULL says the same as absence.
    ///
    /// # Errors
    /// `Misconfigured`: an option is missing, unknown or wrong.
    pub(super) fn new(
        given: &[(Arc<str>, Value)],
        environment: &Environment,
    ) -> Result<Self, SystemError> {
        let given = || given.iter().filter(|(_, value)| !value.is_null());
        let ours = given().filter_map(|(name, value)| Some((ours(name)?, value)));
        let parsed = SourceOptions::parse(options::effective(SourceOptions::DEFS, ours))?;
        validate(&parsed)?;
        let mut settings = Self {
            client: ClientConfig::new(),
            brokers: "".into(),
            group: "".into(),
            topics: topics(&parsed.topic),
            reset: Reset::Latest,
            options: parsed,
            overruled: Vec::new(),
            shared: Vec::new(),
        };
        settings.client.set_log_level(RDKafkaLogLevel::Warning);
        for (name, value) in given().filter(|(name, _)| self::ours(name).is_none()) {
            settings.set(name, value)?;
        }
        settings.complete(environment)?;
        Ok(settings)
    }

    fn set(&mut self, name: &Arc<str>, value: &Value) -> Result<(), SystemError> {
        let property = properties::property(name);
        let text = text(name, value)?;
        if source_side(&property) == Side::Producer {
            return Ok(());
        }
        if is_ours_alone(&property) {
            if text.trim().eq_ignore_ascii_case("true") && property != "enable.partition.eof" {
                self.overruled.push(name.clone());
            }
            return Ok(());
        }
        probe(name, &property, &text, super::check_source::nearest_option)?;
        if BROKERS.contains(&&*property) {
            self.brokers = text.as_str().into();
        }
        if property == GROUP {
            self.group = text.as_str().into();
        }
        if !properties::CONSUMER.contains(&&*property) {
            self.shared.push((name.clone(), value.clone()));
        }
        self.client.set(property, text);
        Ok(())
    }

    fn complete(&mut self, environment: &Environment) -> Result<(), SystemError> {
        if self.brokers.is_empty() {
            return Err(missing("BootstrapServers")
                .with_hint("Give it in WITH as a list host:port, host:port."));
        }
        if self.group.is_empty() {
            return Err(missing("GroupId").with_hint(
                "The brokers keep what is read under this name: give each script its own.",
            ));
        }
        let given = |client: &ClientConfig, names: &[&str]| {
            names.iter().any(|name| client.get(name).is_some())
        };
        for (property, value) in DEFAULTS {
            if !given(&self.client, &[property]) {
                self.client.set(*property, *value);
            }
        }
        let by_broker = self.client.get("group.protocol") == Some("consumer");
        for (property, value, names) in GROUP_DEFAULTS {
            if !by_broker && !given(&self.client, names) {
                self.client.set(*property, *value);
            }
        }
        let refresh = "topic.metadata.refresh.interval.ms";
        if self.has_pattern() && !given(&self.client, &[refresh]) {
            self.client.set(refresh, PATTERN_REFRESH_MS);
        }
        for (property, value) in FORCED {
            self.client.set(*property, *value);
        }
        self.reset = reset(&self.client);
        // We begin at offsets alone. The library would go to the end where one is not in its topic any more, and tell nobody.
        self.client.set(RESET, "error");
        if !given(&self.client, &["client.id"]) {
            self.client.set("client.id", client_id(environment));
        }
        self.client
            .create_native_config()
            .map_err(|error| refused(&error))?;
        Ok(())
    }

    /// True if a topic is named by a pattern.
    pub(super) fn has_pattern(&self) -> bool {
        self.topics.iter().any(|topic| topic.starts_with('^'))
    }

    /// True if no topic is named.
    pub(super) fn has_only_patterns(&self) -> bool {
        self.topics.iter().all(|topic| topic.starts_with('^'))
    }

    /// True if a topic of this name may be read.
    pub(super) fn may_read(&self, topic: &str) -> bool {
        let reads = |name: &Arc<str>| literal::reads(name, topic);
        self.topics.iter().any(|name| reads(name) != Some(false))
    }

    /// How long partitions that the group wants are kept for the batches that hold messages of them: well below the time after which a silent
    /// member is put out.
    pub(super) fn handover(&self) -> Duration {
        let silence = self.client.get("max.poll.interval.ms");
        let silence = silence.and_then(|ms| ms.trim().parse().ok());
        silence.map_or(HANDOVER, |ms| HANDOVER.min(Duration::from_millis(ms) / 2))
    }

    /// What makes two sources readers of the same.
    pub(super) fn identity(&self) -> Identity {
        Identity::new(format!("kafka://{}/{}", self.brokers, self.group))
    }
}

/// Where a consumer begins if nothing is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reset {
    /// At the first message that is there.
    Earliest,
    /// Behind the last one.
    Latest,
    /// Nowhere.
    Error,
}

/// The definition's name of an option of ours; `topic` is an old way to write `Topic`.
pub(super) fn ours(name: &str) -> Option<&'static str> {
    let name = if name == "topic" { "Topic" } else { name };
    SourceOptions::DEFS
        .iter()
        .map(|def| def.name)
        .find(|known| *known == name)
}

/// True for properties that decide when an offset is committed, and for the one that tells the ends of partitions.
pub(super) fn is_ours_alone(property: &str) -> bool {
    property == "auto.commit.enable" || FORCED.iter().any(|(name, _)| *name == property)
}

fn reset(client: &ClientConfig) -> Reset {
    match client.get(RESET).map(str::trim) {
        Some("earliest" | "smallest" | "beginning") => Reset::Earliest,
        Some("error") => Reset::Error,
        _ => Reset::Latest,
    }
}

fn topics(list: &str) -> Vec<Arc<str>> {
    let mut topics: Vec<Arc<str>> = Vec::new();
    for topic in literal::topics(list) {
        if !topics.iter().any(|known| &**known == topic) {
            topics.push(topic.into());
        }
    }
    topics
}

/// True for a name of a table, perhaps with its schema.
pub(super) fn is_table(name: &str) -> bool {
    name.split('.').count() <= 2 && name.split('.').all(|part| !part.trim().is_empty())
}

fn validate(options: &SourceOptions) -> Result<(), SystemError> {
    let wrong = |message: &str| Err(SystemError::misconfigured("E_PARAM", message));
    if topics(&options.topic).is_empty() {
        return wrong("option \"Topic\" takes a text that is not empty");
    }
    if options
        .offset_table
        .as_deref()
        .is_some_and(|name| !is_table(name))
    {
        return wrong("option \"OffsetTable\" takes the name of a table");
    }
    if options.batch_size == 0 {
        return wrong("option \"BatchSize\" takes a whole number from 1, not 0");
    }
    if options.max_attempts == Some(0) {
        return wrong("option \"MaxAttempts\" takes a whole number from 1, not 0");
    }
    if let Some(pattern) = literal::wrong_pattern(&options.topic) {
        let message = format!("option \"Topic\" takes no such pattern: '{pattern}'");
        return wrong(&message).map_err(|error| error.with_hint(literal::PATTERN));
    }
    let letters = options.dead_letter.as_deref();
    if letters.is_some_and(|topic| literal::surely_reads(&options.topic, topic)) {
        return wrong(literal::CYCLE);
    }
    match (&options.max_attempts, &options.dead_letter) {
        (Some(_), None) => wrong("option \"MaxAttempts\" needs \"DeadLetterTopic\""),
        (None, Some(_)) => wrong("option \"DeadLetterTopic\" needs \"MaxAttempts\""),
        _ => Ok(()),
    }
}

fn missing(name: &str) -> SystemError {
    SystemError::misconfigured("E_PARAM", format!("option \"{name}\" is missing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(options: &[(&str, Value)]) -> Result<SourceSettings, String> {
        let mut all = vec![("BootstrapServers".into(), Value::text("host:9092"))];
        all.extend(
            options
                .iter()
                .map(|(name, value)| (Arc::from(*name), value.clone())),
        );
        SourceSettings::new(&all, &Environment::default()).map_err(|error| error.message)
    }

    fn made(options: &[(&str, Value)]) -> SourceSettings {
        let mut all = vec![("Topic", Value::text("t")), ("GroupId", Value::text("g"))];
        all.extend_from_slice(options);
        settings(&all).expect("they are valid")
    }

    #[test]
    fn keeps_the_commit_to_itself() {
        let made = made(&[
            ("EnableAutoCommit", Value::Boolean(true)),
            ("enable.auto.offset.store", Value::text("true")),
            ("EnablePartitionEof", Value::Boolean(false)),
        ]);
        assert_eq!(
            made.overruled.iter().map(|n| &**n).collect::<Vec<_>>(),
            ["EnableAutoCommit", "enable.auto.offset.store"]
        );
        for (property, value) in FORCED {
            assert_eq!(made.client.get(property), Some(*value));
        }
    }

    #[test]
    fn adds_what_the_author_has_not_set() {
        let made_of = made(&[("ClientId", Value::text("узел"))]);
        let get = |name| made_of.client.get(name);
        assert_eq!(
            get("partition.assignment.strategy"),
            Some("cooperative-sticky")
        );
        assert_eq!(get("session.timeout.ms"), Some("10000"));
        assert_eq!(get("client.id"), Some("узел"));
        assert_eq!(made_of.reset, Reset::Latest);
        assert_eq!(get("auto.offset.reset"), Some("error"), "it is ours");
        let sample = made(&[
            ("SessionTimeoutMs", Value::Integer(60_000)),
            ("HeartbeatIntervalMs", Value::Integer(20_000)),
            ("AutoOffsetReset", Value::text("earliest")),
            ("LingerMs", Value::Integer(5)),
        ]);
        assert_eq!(sample.client.get("session.timeout.ms"), Some("60000"));
        assert_eq!(sample.client.get("linger.ms"), None);
        assert_eq!(sample.reset, Reset::Earliest);
        let by_broker = made(&[("GroupProtocol", Value::text("consumer"))]);
        assert_eq!(by_broker.client.get("session.timeout.ms"), None);
    }

    #[test]
    fn reads_lists_and_patterns() {
        let topics = |text: &str| {
            let all = [("topic", Value::text(text)), ("GroupId", Value::text("g"))];
            let made = settings(&all).expect("they are valid");
            (made.topics.join("|"), made.has_pattern())
        };
        assert_eq!(topics("a, b,,a"), ("a|b".to_owned(), false));
        assert_eq!(topics("^заказы-.*"), ("^заказы-.*".to_owned(), true));
    }

    #[test]
    fn refuses_what_is_missing_unknown_or_wrong() {
        let refused = |options: &[(&str, Value)]| settings(options).expect_err("they are wrong");
        let (topic, group) = (("Topic", Value::text("t")), ("GroupId", Value::text("g")));
        assert_eq!(refused(&[]), "option \"Topic\" is missing");
        assert_eq!(
            refused(std::slice::from_ref(&topic)),
            "option \"GroupId\" is missing"
        );
        let with = |name, value| refused(&[topic.clone(), group.clone(), (name, value)]);
        assert_eq!(
            with("GruopId", Value::text("x")),
            "unknown option \"GruopId\""
        );
        assert_eq!(
            with("AutoOffsetReset", Value::text("never")),
            "option \"AutoOffsetReset\" takes 'earliest', 'latest', 'error', 'beginning', 'end', 'smallest' or 'largest', not 'never'"
        );
        assert_eq!(
            refused(&[("Topic", Value::text("t, ^eyes_(")), group.clone()]),
            "option \"Topic\" takes no such pattern: '^eyes_('"
        );
        assert_eq!(
            with("DeadLetterTopic", Value::text("t")),
            "option \"DeadLetterTopic\" takes another topic than those that are read"
        );
        assert_eq!(
            with("MaxAttempts", Value::Integer(3)),
            "option \"MaxAttempts\" needs \"DeadLetterTopic\""
        );
        assert_eq!(
            with("BatchSize", Value::Integer(0)),
            "option \"BatchSize\" takes a whole number from 1, not 0"
        );
        assert_eq!(
            with("OffsetTable", Value::text("схема.")),
            "option \"OffsetTable\" takes the name of a table"
        );
    }

    #[test]
    fn never_prints_a_secret() {
        let made = made(&[("SaslPassword", Value::text("geheim"))]);
        assert!(!format!("{made:?}").contains("geheim"));
    }
}
