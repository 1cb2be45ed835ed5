//! The options of RabbitMQ that are not parts of a message.

use std::sync::Arc;
use std::time::Duration;

use dajet_core::{SystemError, Value, options};

use super::message::Member;

options! {
    /// Options of a RabbitMQ sink, beside those of the message.
    pub struct SinkOptions {
        /// How often the broker and we show each other a sign of life; one that is silent for twice as long is given up. 0 leaves it to the broker.
        "RequestedHeartbeat" => heartbeat: Duration = "60s",
        /// Accepted without effect: after a failure the batch is given back and a new connection is made.
        "AutomaticRecoveryEnabled" => automatic_recovery: bool = "true",
        /// Accepted without effect: the delay after a failure is the script's own.
        "NetworkRecoveryInterval" => network_recovery_interval: Duration = "5s",
        /// Longest wait for the answer of the broker to a call.
        "ContinuationTimeout" => continuation_timeout: Duration = "30s",
        /// Longest wait for a connection.
        "RequestedConnectionTimeout" => connection_timeout: Duration = "30s",
        /// Deadline of a batch: what is not confirmed by then is given up and read again. While the broker blocks publishers (for want of memory
        /// or disk space) so long is waited, too.
        "PublisherConfirmsTimeout" => confirms_timeout: Duration = "60s",
        /// Most messages on their way without a confirmation. With more than 1, a broker that refuses one message (overflow `reject-publish`) may
        /// already have taken later ones; 1 keeps the order even then, and is about ten times slower.
        "ConfirmWindow" => confirm_window: usize = "2000",
    }
}

options! {
    /// Options of a RabbitMQ source.
    pub struct SourceOptions {
        /// The queue. It must exist.
        "QueueName" => queue: Arc<str>,
        /// How often the connection is checked; the signs of life exchanged with the broker come every 10 seconds at least.
        "Heartbeat" => heartbeat: Duration = "60s",
        /// Most bytes of messages delivered ahead, kept by us (the broker cannot); 0 leaves it to the size of batches.
        "PrefetchSize" => prefetch_size: u64 = "0",
        /// Most messages delivered and not yet acknowledged. Without it two batches; with 1 a batch has one message.
        "PrefetchCount" => prefetch_count: Option<u16>,
        /// After so many failures a message is put aside instead of being read again for ever.
        "MaxAttempts" => max_attempts: Option<u32>,
        /// Exchange, or else queue, that takes the messages put aside. Without it they are rejected: the queue's own dead-letter exchange takes them.
        "DeadLetter" => dead_letter: Option<Arc<str>>,
        /// Most messages of a batch.
        "BatchSize" => batch_size: Option<usize>,
        /// How long a batch that has begun waits for more messages. A number counts seconds: write '20ms'.
        "BatchTimeout" => batch_timeout: Duration = "20ms",
    }
}

/// Messages of a batch if the script sets nothing.
const BATCH_SIZE: usize = 1000;

/// Parses the options of a sink; parts of the message among them are left to others. NULL says the same as absence, and so does a name that
/// nobody knows.
///
/// # Errors
/// `Misconfigured`: a value that does not fit.
pub(super) fn sink_options(given: &[(Arc<str>, Value)]) -> Result<SinkOptions, SystemError> {
    let pairs = given
        .iter()
        .filter(|(name, value)| Member::of(name).is_none() && !value.is_null())
        .map(|(name, value)| (&**name, value));
    let parsed = SinkOptions::parse(options::effective(SinkOptions::DEFS, pairs))?;
    positive("ConfirmWindow", parsed.confirm_window)?;
    Ok(parsed)
}

/// Parses the options of a source; NULL says the same as absence, and so does a name that nobody knows.
///
/// # Errors
/// `Misconfigured`: a value that does not fit, no queue.
pub(super) fn source_options(given: &[(Arc<str>, Value)]) -> Result<SourceOptions, SystemError> {
    let pairs = given.iter().filter(|(_, value)| !value.is_null());
    let pairs = pairs.map(|(name, value)| (&**name, value));
    let parsed = SourceOptions::parse(options::effective(SourceOptions::DEFS, pairs))?;
    if parsed.queue.is_empty() || parsed.queue.len() > 255 {
        let message = "option \"QueueName\" takes a text of 1 to 255 bytes";
        return Err(SystemError::misconfigured("E_PARAM", message));
    }
    positive("BatchSize", parsed.batch_max())?;
    positive("MaxAttempts", parsed.max_attempts.unwrap_or(1) as usize)?;
    if parsed.dead_letter.is_some() && parsed.max_attempts.is_none() {
        return Err(SystemError::misconfigured(
            "E_PARAM",
            "option \"DeadLetter\" needs \"MaxAttempts\"",
        ));
    }
    if parsed.dead_letter.as_ref() == Some(&parsed.queue) {
        return Err(SystemError::misconfigured("E_PARAM", CYCLE));
    }
    Ok(parsed)
}

/// A message that is put aside would be read again.
pub(super) const CYCLE: &str =
    "option \"DeadLetter\" takes another queue than the one that is read";

fn positive(name: &str, number: usize) -> Result<(), SystemError> {
    if number == 0 {
        let message = format!("option \"{name}\" takes a whole number from 1, not 0");
        return Err(SystemError::misconfigured("E_PARAM", message));
    }
    Ok(())
}

impl SourceOptions {
    /// Most messages of a batch.
    pub fn batch_max(&self) -> usize {
        match self.prefetch_count.filter(|count| *count > 0) {
            Some(count) => self.batch_size.unwrap_or(BATCH_SIZE).min(count.into()),
            None => self.batch_size.unwrap_or(BATCH_SIZE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(pairs: &[(&str, Value)]) -> Result<SourceOptions, String> {
        let options: Vec<_> = pairs
            .iter()
            .map(|(name, value)| (Arc::from(*name), value.clone()))
            .collect();
        source_options(&options).map_err(|error| error.message)
    }

    #[test]
    fn reads_one_by_one_where_the_script_asks_for_it() {
        let queue = ("QueueName", Value::text("очередь"));
        let made = |more: &[(&str, Value)]| {
            let mut all = vec![queue.clone()];
            all.extend_from_slice(more);
            source(&all).expect("it is valid").batch_max()
        };
        assert_eq!(made(&[]), 1000);
        assert_eq!(made(&[("PrefetchCount", Value::Integer(1))]), 1);
        assert_eq!(made(&[("PrefetchCount", Value::Integer(0))]), 1000);
        assert_eq!(
            made(&[
                ("PrefetchCount", Value::Integer(50)),
                ("BatchSize", Value::Integer(20))
            ]),
            20
        );
    }

    #[test]
    fn goes_on_without_what_the_author_was_warned_of() {
        let queue = ("QueueName", Value::text("очередь"));
        let size = |size| ("BatchSize", Value::Integer(size));
        let made = source(&[queue, ("BatchSiz", Value::Integer(3)), size(5), size(7)]);
        assert_eq!(made.expect("it is valid").batch_max(), 7);
        let sink = [
            ("Headerz".into(), Value::Integer(1)),
            ("ConfirmWindow".into(), Value::Integer(9)),
        ];
        assert_eq!(sink_options(&sink).expect("it is valid").confirm_window, 9);
    }

    #[test]
    fn tells_what_is_wrong_with_a_source() {
        let fails = |pairs: &[(&str, Value)]| source(pairs).expect_err("it is wrong");
        let queue = ("QueueName", Value::text("q"));
        assert_eq!(fails(&[]), "option \"QueueName\" is missing");
        assert_eq!(
            fails(&[queue.clone(), ("DeadLetter", Value::text("x"))]),
            "option \"DeadLetter\" needs \"MaxAttempts\""
        );
        let attempts = ("MaxAttempts", Value::Integer(1));
        assert_eq!(
            fails(&[queue.clone(), attempts, ("DeadLetter", Value::text("q"))]),
            "option \"DeadLetter\" takes another queue than the one that is read"
        );
        assert_eq!(
            fails(&[queue, ("BatchSize", Value::Integer(0))]),
            "option \"BatchSize\" takes a whole number from 1, not 0"
        );
    }
}
