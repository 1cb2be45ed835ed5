//! From the options of a script to the settings of a producer: what the author gave, what a sink forces, and what it
//! adds.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use dajet_core::{Environment, SystemError, Value, options};
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;

use super::limits;
use super::literal;
use super::message::Member;
use super::properties::{self, SECRET, Side, side};

options! {
    /// Options of a Kafka sink that are ours and not the library's.
    pub struct SinkOptions {
        /// Deadline of a batch: what is not confirmed by then is given up and read again.
        "MessageTimeoutMs" => message_timeout: Duration = "60000",
    }
}

/// Property in whose place our own deadline stands, and its other name.
pub(super) const TIMEOUT: [&str; 2] = ["message.timeout.ms", "delivery.timeout.ms"];
/// The property that must be given, and its other name.
pub(super) const BROKERS: [&str; 2] = ["bootstrap.servers", "metadata.broker.list"];

/// What makes the order of messages certain; the author's other wishes are strengthened to it.
const FORCED: &[(&str, &str)] = &[
    ("enable.idempotence", "true"),
    ("enable.gapless.guarantee", "true"),
    ("acks", "all"),
    ("queuing.strategy", "fifo"),
    ("message.timeout.ms", "0"),
];

/// What is set unless the author sets it. The second list of names are other names of the same property.
const DEFAULTS: &[(&str, &str, &[&str])] = &[
    ("linger.ms", "1", &["queue.buffering.max.ms"]),
    // Far above permits x batch: the bytes bound the queue.
    ("queue.buffering.max.messages", "1000000", &[]),
    ("queue.buffering.max.kbytes", "65536", &[]),
    // The library's 10 s would add to the outage of every restarted broker.
    ("reconnect.backoff.max.ms", "1000", &[]),
    ("socket.keepalive.enable", "true", &[]),
];

/// The library's own bound of a message, if the author sets none.
const MESSAGE_BYTES_MAX: usize = 1_000_000;

/// What a producer is made of.
#[derive(Clone)]
pub(super) struct Settings {
    /// For the library.
    pub(super) client: ClientConfig,
    /// The broker list, for messages.
    pub(super) brokers: Arc<str>,
    /// Deadline of a batch.
    pub(super) timeout: Duration,
    /// Bytes of the largest message that the library takes.
    pub(super) message_bytes_max: usize,
    /// Wishes of the author that are not fulfilled as written: names of options.
    pub(super) strengthened: Vec<String>,
}

/// Not the properties: some are secret.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("brokers", &self.brokers)
            .field("timeout", &self.timeout)
            .field("strengthened", &self.strengthened)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// Makes settings of evaluated options; NULL says the same as absence.
    ///
    /// # Errors
    /// `Misconfigured`: a missing broker list, an unknown name, a value that the library refuses.
    pub(super) fn new(
        options: &[(Arc<str>, Value)],
        environment: &Environment,
    ) -> Result<Self, SystemError> {
        let mut settings = Self {
            client: ClientConfig::new(),
            brokers: "".into(),
            timeout: SinkOptions::parse([])?.message_timeout,
            message_bytes_max: MESSAGE_BYTES_MAX,
            strengthened: Vec::new(),
        };
        settings.client.set_log_level(RDKafkaLogLevel::Warning);
        for (name, value) in options {
            if !value.is_null() && Member::of(name).is_none() {
                settings.set(name, value)?;
            }
        }
        if settings.brokers.is_empty() {
            return Err(SystemError::misconfigured(
                "E_PARAM",
                "option \"BootstrapServers\" is missing",
            )
            .with_hint("Give it in WITH as a list host:port, host:port."));
        }
        settings.complete(environment);
        settings
            .client
            .create_native_config()
            .map_err(|error| refused(&error))?;
        Ok(settings)
    }

    fn set(&mut self, name: &str, value: &Value) -> Result<(), SystemError> {
        let property = properties::property(name);
        if TIMEOUT.contains(&&*property) {
            let timeout = SinkOptions::parse([("MessageTimeoutMs", value)])?.message_timeout;
            if timeout.is_zero() {
                // "For ever" in the library; every wait of ours has an end.
                self.strengthened.push(name.to_owned());
            } else {
                self.timeout = timeout;
            }
            return Ok(());
        }
        let text = text(name, value)?;
        match side(&property) {
            Side::Consumer => return Ok(()),
            Side::Unsupported => return Err(unsupported(name)),
            Side::Producer | Side::Unknown => {}
        }
        if let Some(kept) = strengthen(&property, &text) {
            self.strengthened.push(name.to_owned());
            if !kept.is_empty() {
                self.client.set(property, kept);
            }
            return Ok(());
        }
        probe(name, &property, &text, super::check::nearest_option)?;
        if BROKERS.contains(&&*property) {
            self.brokers = text.as_str().into();
        }
        if property == "message.max.bytes" {
            self.message_bytes_max = text.trim().parse().unwrap_or(MESSAGE_BYTES_MAX);
        }
        self.client.set(property, text);
        Ok(())
    }

    fn complete(&mut self, environment: &Environment) {
        // Two names of one property would let the order of a hash map decide.
        for alias in ["request.required.acks", "delivery.timeout.ms"] {
            self.client.remove(alias);
        }
        for (property, value) in FORCED {
            self.client.set(*property, *value);
        }
        for (property, value, aliases) in DEFAULTS {
            if self.client.get(property).is_none()
                && aliases.iter().all(|a| self.client.get(a).is_none())
            {
                self.client.set(*property, *value);
            }
        }
        if let Some(limit) = limits::request_bytes(&self.brokers)
            && self
                .client
                .get("batch.size")
                .and_then(|size| size.trim().parse().ok())
                .is_none_or(|size: usize| size > limit)
        {
            self.client.set("batch.size", limit.max(1).to_string());
        }
        if self.client.get("client.id").is_none() {
            self.client.set("client.id", client_id(environment));
        }
    }
}

/// The name by which brokers know us if the script gives none.
pub(super) fn client_id(environment: &Environment) -> &str {
    let name = &*environment.session_name;
    let plain = name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    if plain && !name.is_empty() {
        name
    } else {
        "dajet"
    }
}

/// What is set in place of a wish that would weaken the order: `None` if the wish stands, an empty text if nothing is
/// set.
pub(super) fn strengthen(property: &str, value: &str) -> Option<&'static str> {
    let value = value.trim();
    let number = value.parse::<i64>().ok();
    match property {
        "enable.idempotence" | "enable.gapless.guarantee" => {
            value.eq_ignore_ascii_case("false").then_some("")
        }
        "acks" | "request.required.acks" => number.filter(|n| *n >= 0).map(|_| ""),
        "queuing.strategy" => value.eq_ignore_ascii_case("lifo").then_some(""),
        "max.in.flight" | "max.in.flight.requests.per.connection" => {
            number.filter(|n| *n > 5).map(|_| "5")
        }
        "retries" | "message.send.max.retries" => number.filter(|n| *n < 1).map(|_| ""),
        "queue.buffering.backpressure.threshold" => number.filter(|n| *n > 1).map(|_| ""),
        _ => None,
    }
}

/// The text form of an option's value.
pub(super) fn text(name: &str, value: &Value) -> Result<String, SystemError> {
    match value {
        Value::Text(text) => Ok(text.to_string()),
        Value::Boolean(value) => Ok(value.to_string()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Decimal(number) => Ok(number.to_string()),
        other => Err(SystemError::misconfigured(
            "E_PARAM",
            format!(
                "option \"{name}\" takes a text, a number or a boolean, not {}",
                other.type_name()
            ),
        )),
    }
}

/// True if values of the property may be printed.
fn is_public(property: &str) -> bool {
    side(property) != Side::Unknown && !SECRET.contains(&property)
}

/// Asks the library whether it has such a property; `nearest_option` finds what an unknown name may mean.
///
/// # Errors
/// `Misconfigured`.
pub(super) fn known(
    name: &str,
    property: &str,
    nearest_option: fn(&str) -> Option<String>,
) -> Result<(), SystemError> {
    if !refusal(property, "").is_some_and(|told| told.contains("No such configuration")) {
        return Ok(());
    }
    let error = SystemError::misconfigured("E_PARAM", format!("unknown option \"{name}\""));
    Err(match nearest_option(name) {
        Some(near) => error.with_hint(format!("Did you mean \"{near}\"?")),
        None => error,
    })
}

/// What the library says of a property and its value, if it does not take them.
fn refusal(property: &str, value: &str) -> Option<String> {
    let mut one = ClientConfig::new();
    one.set(property, value);
    match one.create_native_config().err()? {
        KafkaError::ClientConfig(_, told, ..) => Some(told),
        _ => Some(String::new()),
    }
}

/// Asks the library whether it takes the value; `nearest_option` finds what an unknown name may mean.
///
/// # Errors
/// `Misconfigured`, which does not show a secret.
pub(super) fn probe(
    name: &str,
    property: &str,
    value: &str,
    nearest_option: fn(&str) -> Option<String>,
) -> Result<(), SystemError> {
    let Some(told) = refusal(property, value) else {
        return literal::check(name, property, value);
    };
    known(name, property, nearest_option)?;
    literal::check(name, property, value)?;
    let message = if told.contains("not supported in this build") {
        format!("option \"{name}\" is not supported by this build")
    } else if !is_public(property) {
        // A value of what nobody knows may be a secret.
        format!("option \"{name}\" does not take this value")
    } else {
        format!("option \"{name}\" does not take '{value}'")
    };
    Err(SystemError::misconfigured("E_PARAM", message))
}

/// The error of a property that a sink must not have.
fn unsupported(name: &str) -> SystemError {
    SystemError::misconfigured(
        "E_UNSUPPORTED",
        format!("option \"{name}\" is not supported"),
    )
    .with_hint("A batch is confirmed as a whole by the reports of its messages.")
}

/// The error of settings that the library refuses as a whole.
pub(super) fn refused(error: &KafkaError) -> SystemError {
    let told = match error {
        // The library may quote the value.
        KafkaError::ClientConfig(_, _, key, _) if !is_public(key) => {
            format!("option \"{}\" is refused", properties::option(key))
        }
        KafkaError::ClientConfig(_, told, ..) | KafkaError::ClientCreation(told) => told.clone(),
        other => other.to_string(),
    };
    SystemError::misconfigured(
        "E_PARAM",
        format!(
            "kafka options are refused: {}",
            super::error::lower_case(&told)
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(options: &[(&str, Value)]) -> Result<Settings, String> {
        let options: Vec<_> = options
            .iter()
            .map(|(name, value)| (Arc::from(*name), value.clone()))
            .collect();
        Settings::new(&options, &Environment::default()).map_err(|error| error.message)
    }

    const BROKERS: (&str, Value) = (
        "BootstrapServers",
        Value::Text(bytestring::ByteString::from_static("host:9092")),
    );

    #[test]
    fn passes_options_on_and_adds_its_own() {
        let made = settings(&[
            BROKERS,
            ("compression.type", Value::text("lz4")),
            ("LingerMs", Value::Integer(7)),
            ("MessageTimeoutMs", Value::Integer(2000)),
            ("ClientId", Value::Null),
        ])
        .expect("they are valid");
        let get = |name| made.client.get(name);
        assert_eq!(get("bootstrap.servers"), Some("host:9092"));
        assert_eq!(get("compression.type"), Some("lz4"));
        assert_eq!(get("linger.ms"), Some("7"));
        assert_eq!(get("message.timeout.ms"), Some("0"));
        assert_eq!(get("enable.gapless.guarantee"), Some("true"));
        assert_eq!(get("client.id"), Some("dajet"));
        assert_eq!(made.timeout, Duration::from_secs(2));
        assert_eq!(made.strengthened, [""; 0]);
    }

    #[test]
    fn strengthens_what_would_break_the_order() {
        let made = settings(&[
            BROKERS,
            ("EnableIdempotence", Value::Boolean(false)),
            ("Acks", Value::Integer(1)),
            ("MaxInFlight", Value::Integer(100)),
            ("Retries", Value::Integer(0)),
        ])
        .expect("they are valid");
        assert_eq!(
            made.strengthened,
            ["EnableIdempotence", "Acks", "MaxInFlight", "Retries"]
        );
        assert_eq!(made.client.get("enable.idempotence"), Some("true"));
        assert_eq!(made.client.get("acks"), Some("all"));
        assert_eq!(made.client.get("max.in.flight"), Some("5"));
        assert_eq!(made.client.get("retries"), None);
    }

    #[test]
    fn refuses_what_is_missing_unknown_or_wrong() {
        let refused = |options: &[(&str, Value)]| settings(options).expect_err("they are wrong");
        assert_eq!(refused(&[]), "option \"BootstrapServers\" is missing");
        assert_eq!(
            refused(&[BROKERS, ("LingrMs", Value::Integer(1))]),
            "unknown option \"LingrMs\""
        );
        assert_eq!(
            refused(&[BROKERS, ("Acks", Value::text("maybe"))]),
            "option \"Acks\" takes 'all', '-1', '0' or '1', not 'maybe'"
        );
        assert_eq!(
            refused(&[BROKERS, ("TransactionalId", Value::text("x"))]),
            "option \"TransactionalId\" is not supported"
        );
    }

    #[test]
    fn never_prints_a_secret() {
        let options = [BROKERS, ("SaslPassword", Value::text("geheim"))];
        let made = settings(&options).expect("they are valid");
        assert!(!format!("{made:?}").contains("geheim"));
        let wrong = settings(&[BROKERS, ("SslKeyPem", Value::text("geheim"))]);
        assert!(!format!("{wrong:?}").contains("geheim"), "{wrong:?}");
        let foreign = settings(&[BROKERS, ("sasl.jaas.config", Value::text("geheim"))]);
        assert_eq!(
            foreign.expect_err("it is none of the library"),
            "option \"sasl.jaas.config\" does not take this value"
        );
    }
}
