//! Topics that go while they are read or written, and topics that were never there.

use std::time::{Duration, Instant};

use dajet_core::{ErrorClass, Read, Value};

use super::broker::{delete_topic, make_topic, write_numbers};
use super::source::{batch, fails, group, read, source};
use super::{hand_over, numbered, refused, sink};

/// Longest wait of a test.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_sink_names_a_topic_that_was_deleted() {
    let topic = make_topic("gone", 1, &[]).await;
    let timeout = ("MessageTimeoutMs", Value::text("20m"));
    let mut sink = sink(&["Topic", "Value"], &[timeout]);
    let receipt = hand_over(&mut *sink, numbered(&topic, 0..3)).await;
    receipt.await.expect("it is delivered");
    delete_topic(&topic).await;
    let error = refused(&mut *sink, numbered(&topic, 3..6)).await;
    assert_eq!(error.message, format!("topic \"{topic}\" does not exist"));
    assert_eq!(error.class, ErrorClass::Misconfigured);
    assert_eq!(error.hint.as_deref(), Some("Create it, or correct Topic."));
}

#[tokio::test]
async fn a_source_names_a_topic_that_was_deleted() {
    let topic = make_topic("gone", 1, &[]).await;
    write_numbers(&topic, 0, 0..3).await;
    // The library itself looks for changes every five minutes.
    let mut source = source(&topic, &group(), &[]);
    batch(&mut *source).await.commit().await;
    delete_topic(&topic).await;
    let error = fails(&mut *source).await;
    assert_eq!(error.message, format!("topic \"{topic}\" does not exist"));
    assert_eq!(error.class, ErrorClass::Misconfigured);
}

#[tokio::test]
async fn a_pattern_that_matches_nothing_is_idle_until_a_topic_comes() {
    let prefix = format!("dajet-later{}", uuid::Uuid::new_v4().simple());
    let pattern = format!("^{prefix}.*");
    let refresh = ("topic.metadata.refresh.interval.ms", Value::Integer(500));
    let mut source = source(&pattern, &group(), &[refresh]);
    let begun = Instant::now();
    while !matches!(
        read(&mut *source, true).await.expect("it reads"),
        Read::Empty { complete: true }
    ) {
        assert!(begun.elapsed() < PATIENCE, "it is never idle");
    }
    // The name of a topic begins with "dajet-", its subject and a hyphen.
    let topic = make_topic(&prefix["dajet-".len()..], 1, &[]).await;
    write_numbers(&topic, 0, 0..3).await;
    assert_eq!(batch(&mut *source).await.records.rows.len(), 3);
    delete_topic(&topic).await;
}

#[tokio::test]
async fn names_the_topic_that_is_to_take_dead_letters() {
    let topic = make_topic("letters", 1, &[]).await;
    let options = [
        ("MaxAttempts", Value::Integer(2)),
        ("DeadLetterTopic", Value::text("dajet-nowhere")),
    ];
    let error = fails(&mut *source(&topic, &group(), &options)).await;
    assert_eq!(error.message, "topic \"dajet-nowhere\" does not exist");
    assert_eq!(
        error.hint.as_deref(),
        Some("Create it, or correct DeadLetterTopic.")
    );
}
