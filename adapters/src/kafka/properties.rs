//! Properties of the client library that a script may set, by side, as its manual (`CONFIGURATION.md`) lists them.
//!
//! The library can be asked whether it knows a name, but not for its list; this one serves to find the nearest name and
//! to tell a consumer's property in a producer. A test holds that the linked library knows every name of it.

/// Properties of a producer, and those that both sides have.
pub(super) const PRODUCER: &[&str] = &[
    "acks",
    "allow.auto.create.topics",
    "api.version.fallback.ms",
    "api.version.request",
    "api.version.request.timeout.ms",
    "batch.num.messages",
    "batch.size",
    "bootstrap.servers",
    "broker.address.family",
    "broker.address.ttl",
    "broker.version.fallback",
    "client.dns.lookup",
    "client.id",
    "client.rack",
    "compression.codec",
    "compression.level",
    "compression.type",
    "connections.max.idle.ms",
    "debug",
    "delivery.timeout.ms",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "enable.metrics.push",
    "enable.random.seed",
    "enable.sasl.oauthbearer.unsecure.jwt",
    "enable.ssl.certificate.verification",
    "https.ca.location",
    "https.ca.pem",
    "linger.ms",
    "log.connection.close",
    "log.thread.name",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "message.copy.max.bytes",
    "message.max.bytes",
    "message.send.max.retries",
    "message.timeout.ms",
    "metadata.broker.list",
    "metadata.max.age.ms",
    "metadata.recovery.rebootstrap.trigger.ms",
    "metadata.recovery.strategy",
    "partitioner",
    "plugin.library.paths",
    "produce.offset.report",
    "queue.buffering.backpressure.threshold",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.messages",
    "queue.buffering.max.ms",
    "queuing.strategy",
    "receive.message.max.bytes",
    "reconnect.backoff.jitter.ms",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "request.required.acks",
    "request.timeout.ms",
    "retries",
    "retry.backoff.max.ms",
    "retry.backoff.ms",
    "sasl.kerberos.keytab",
    "sasl.kerberos.kinit.cmd",
    "sasl.kerberos.min.time.before.relogin",
    "sasl.kerberos.principal",
    "sasl.kerberos.service.name",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.oauthbearer.assertion.algorithm",
    "sasl.oauthbearer.assertion.claim.aud",
    "sasl.oauthbearer.assertion.claim.exp.seconds",
    "sasl.oauthbearer.assertion.claim.iss",
    "sasl.oauthbearer.assertion.claim.jti.include",
    "sasl.oauthbearer.assertion.claim.nbf.seconds",
    "sasl.oauthbearer.assertion.claim.sub",
    "sasl.oauthbearer.assertion.file",
    "sasl.oauthbearer.assertion.jwt.template.file",
    "sasl.oauthbearer.assertion.private.key.file",
    "sasl.oauthbearer.assertion.private.key.passphrase",
    "sasl.oauthbearer.assertion.private.key.pem",
    "sasl.oauthbearer.client.credentials.client.id",
    "sasl.oauthbearer.client.credentials.client.secret",
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.config",
    "sasl.oauthbearer.extensions",
    "sasl.oauthbearer.grant.type",
    "sasl.oauthbearer.metadata.authentication.type",
    "sasl.oauthbearer.method",
    "sasl.oauthbearer.scope",
    "sasl.oauthbearer.token.endpoint.url",
    "sasl.password",
    "sasl.username",
    "security.protocol",
    "socket.blocking.max.ms",
    "socket.connection.setup.timeout.ms",
    "socket.keepalive.enable",
    "socket.max.fails",
    "socket.nagle.disable",
    "socket.receive.buffer.bytes",
    "socket.send.buffer.bytes",
    "socket.timeout.ms",
    "ssl.ca.certificate.stores",
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.certificate.pem",
    "ssl.cipher.suites",
    "ssl.crl.location",
    "ssl.curves.list",
    "ssl.endpoint.identification.algorithm",
    "ssl.engine.id",
    "ssl.engine.location",
    "ssl.key.location",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.providers",
    "ssl.sigalgs.list",
    "statistics.interval.ms",
    "sticky.partitioning.linger.ms",
    "topic.metadata.propagation.max.ms",
    "topic.metadata.refresh.fast.cnt",
    "topic.metadata.refresh.fast.interval.ms",
    "topic.metadata.refresh.interval.ms",
    "topic.metadata.refresh.sparse",
];

/// Properties that only a consumer has.
pub(super) const CONSUMER: &[&str] = &[
    "auto.commit.enable",
    "auto.commit.interval.ms",
    "auto.offset.reset",
    "check.crcs",
    "consume.callback.max.messages",
    "coordinator.query.interval.ms",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.partition.eof",
    "fetch.error.backoff.ms",
    "fetch.max.bytes",
    "fetch.message.max.bytes",
    "fetch.min.bytes",
    "fetch.queue.backoff.ms",
    "fetch.wait.max.ms",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "group.protocol.type",
    "group.remote.assignor",
    "heartbeat.interval.ms",
    "isolation.level",
    "max.partition.fetch.bytes",
    "max.poll.interval.ms",
    "offset.store.method",
    "offset.store.path",
    "offset.store.sync.interval.ms",
    "partition.assignment.strategy",
    "queued.max.messages.kbytes",
    "queued.min.messages",
    "session.timeout.ms",
];

/// Properties of [`PRODUCER`] that a consumer does not have.
pub(super) const PRODUCER_ONLY: &[&str] = &[
    "acks",
    "batch.num.messages",
    "batch.size",
    "compression.codec",
    "compression.level",
    "compression.type",
    "delivery.timeout.ms",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "linger.ms",
    "message.send.max.retries",
    "message.timeout.ms",
    "partitioner",
    "produce.offset.report",
    "queue.buffering.backpressure.threshold",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.messages",
    "queue.buffering.max.ms",
    "queuing.strategy",
    "request.required.acks",
    "request.timeout.ms",
    "retries",
    "sticky.partitioning.linger.ms",
];

/// Properties that would break what a sink promises: our own transactions and reports are what it is made of.
pub(super) const UNSUPPORTED: &[&str] = &[
    "delivery.report.only.error",
    "transaction.timeout.ms",
    "transactional.id",
];

/// Properties whose value is never printed.
pub(super) const SECRET: &[&str] = &[
    "sasl.oauthbearer.assertion.private.key.passphrase",
    "sasl.oauthbearer.assertion.private.key.pem",
    "sasl.oauthbearer.client.credentials.client.secret",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.config",
    "sasl.password",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.password",
];

/// Which side a property belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// A producer has it.
    Producer,
    /// Only a consumer has it.
    Consumer,
    /// The library has it, a sink must not.
    Unsupported,
    /// Nobody knows it.
    Unknown,
}

/// Finds out whose a property is.
pub(super) fn side(property: &str) -> Side {
    if UNSUPPORTED.contains(&property) {
        Side::Unsupported
    } else if PRODUCER.contains(&property) {
        Side::Producer
    } else if CONSUMER.contains(&property) {
        Side::Consumer
    } else {
        Side::Unknown
    }
}

/// Finds out whose a property is, as a source sees it: what both have is [`Side::Consumer`].
pub(super) fn source_side(property: &str) -> Side {
    if PRODUCER_ONLY.contains(&property) || UNSUPPORTED.contains(&property) {
        Side::Producer
    } else if PRODUCER.contains(&property) || CONSUMER.contains(&property) {
        Side::Consumer
    } else {
        Side::Unknown
    }
}

/// Maps the name of an option to a property: `BootstrapServers` to `bootstrap.servers`; dotted names stay as they are.
pub(super) fn property(option: &str) -> String {
    if option.contains(['.', '_']) {
        return option.to_owned();
    }
    let mut property = String::with_capacity(option.len() + 4);
    for letter in option.chars() {
        if letter.is_uppercase() {
            if !property.is_empty() {
                property.push('.');
            }
            property.extend(letter.to_lowercase());
        } else {
            property.push(letter);
        }
    }
    property
}

/// Writes a property as an option: `bootstrap.servers` as `BootstrapServers`.
pub(super) fn option(property: &str) -> String {
    if property.contains('_') {
        return property.to_owned();
    }
    property
        .split('.')
        .flat_map(|word| {
            let mut letters = word.chars();
            letters
                .next()
                .map(|first| first.to_uppercase().chain(letters).collect::<String>())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use rdkafka::ClientConfig;
    use rdkafka::error::KafkaError;
    use rdkafka::types::RDKafkaConfRes;

    use super::*;

    #[test]
    fn maps_names_of_options_both_ways() {
        for (written, meant) in [
            ("BootstrapServers", "bootstrap.servers"),
            ("MaxInFlight", "max.in.flight"),
            ("MessageTimeoutMs", "message.timeout.ms"),
            ("Acks", "acks"),
        ] {
            assert_eq!(property(written), meant);
            assert_eq!(option(meant), written);
            assert_eq!(property(meant), meant);
        }
        assert_eq!(property("log_level"), "log_level");
    }

    #[test]
    fn every_listed_property_is_known_to_the_linked_library() {
        for name in [PRODUCER, CONSUMER, UNSUPPORTED, SECRET].concat() {
            let mut config = ClientConfig::new();
            config.set(name, "?");
            let unknown = matches!(
                config.create_native_config(),
                Err(KafkaError::ClientConfig(
                    RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN,
                    ..
                ))
            );
            assert!(!unknown, "{name}");
        }
    }

    #[test]
    fn tells_what_a_source_has() {
        assert!(PRODUCER_ONLY.iter().all(|name| PRODUCER.contains(name)));
        assert_eq!(source_side("linger.ms"), Side::Producer);
        assert_eq!(source_side("bootstrap.servers"), Side::Consumer);
        assert_eq!(source_side("group.id"), Side::Consumer);
        assert_eq!(source_side("group.di"), Side::Unknown);
    }

    #[test]
    fn every_listed_property_can_be_written_as_an_option() {
        for name in [PRODUCER, CONSUMER].concat() {
            assert_eq!(property(&option(name)), name);
        }
    }
}
