//! Puts aside messages that have failed too often: copies them, as they are, to a topic of their own.

use std::sync::Arc;

use dajet_core::{
    Address, Environment, MessageSpec, Object, Record, Shape, Sink, SystemError, Value,
};

use super::letter::Letter;
use super::sink::KafkaSink;
use super::source_settings::SourceSettings;

/// Where messages are put aside.
pub(super) struct DeadLetters {
    topic: Arc<str>,
    spec: MessageSpec,
    environment: Environment,
    sink: Option<KafkaSink>,
}

impl DeadLetters {
    /// `None` if the settings name no topic.
    pub(super) fn new(settings: &SourceSettings, environment: &Environment) -> Option<Self> {
        let topic = settings.options.dead_letter.clone()?;
        let spec = MessageSpec {
            address: Address::new("kafka"),
            options: settings.shared.clone(),
            columns: Shape::new(["Topic", "Key", "Value", "Timestamp", "Headers"]),
        };
        Some(Self {
            topic,
            spec,
            environment: environment.clone(),
            sink: None,
        })
    }

    /// Name of the topic.
    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    /// Sends a copy and waits until it is confirmed.
    ///
    /// # Errors
    /// Any class.
    pub(super) async fn send(&mut self, letter: &Letter, failures: u32) -> Result<(), SystemError> {
        let mut sink = match self.sink.take() {
            Some(sink) => sink,
            None => KafkaSink::new(&self.spec, &self.environment)?,
        };
        let record = self.record(letter, failures);
        sink.deliver(vec![record]).await?.await?;
        self.sink = Some(sink);
        tracing::warn!(
            topic = %letter.place.0, partition = letter.place.1, offset = letter.offset, failures,
            dead_letter = %self.topic, "message put aside after too many failures"
        );
        Ok(())
    }

    fn record(&self, letter: &Letter, failures: u32) -> Record {
        let mut members = letter.headers.clone();
        members.extend([
            ("dajet-topic".into(), Value::Text(letter.place.0.clone())),
            (
                "dajet-partition".into(),
                Value::Integer(letter.place.1.into()),
            ),
            ("dajet-offset".into(), Value::Integer(letter.offset)),
            ("dajet-failures".into(), Value::Integer(failures.into())),
        ]);
        // A time that a sink would refuse must not hold the message back.
        let time = match letter.timestamp_ms {
            Some(ms) if ms > 0 => letter.time(),
            _ => Value::Null,
        };
        vec![
            Value::text(&*self.topic),
            letter.key.clone(),
            letter.value.clone(),
            time,
            Value::Object(Box::new(Object { members })),
        ]
    }
}
