//! What every sink of messages promises.

use std::time::Instant;

use dajet_core::{BoxFuture, ErrorClass, Receipt, Record, Sink, SystemError};

use super::{Harness, PATIENCE, in_time, numbers};

/// A place at a broker that takes messages.
pub trait Target: Harness {
    /// Its name, as messages tell it.
    fn name(&self) -> &str;

    /// A sink of a new generation.
    fn sink(&self) -> Box<dyn Sink>;

    /// A record for it.
    fn record(&self, body: &str) -> Record;

    /// A record that the broker or the adapter refuses.
    fn refused(&self) -> Record;

    /// All that is there now, in order. Nothing may be there afterwards.
    async fn bodies(&self) -> Vec<String>;

    /// Removes the place itself.
    async fn remove(&self);
}

type ReceiptFuture = BoxFuture<'static, Result<Receipt, SystemError>>;

async fn hand_over<T: Target>(target: &T, sink: &mut dyn Sink, bodies: &[String]) -> ReceiptFuture {
    let records = bodies.iter().map(|body| target.record(body)).collect();
    let handed_over = in_time("a hand-over", sink.deliver(records)).await;
    handed_over.expect("the records are handed over")
}

async fn delivered(receipt: ReceiptFuture, records: usize) {
    let receipt = in_time("a delivery", receipt)
        .await
        .expect("it is delivered");
    assert_eq!(receipt, Receipt { records });
}

/// Delivers what may be refused.
async fn try_to_deliver(sink: &mut dyn Sink, records: Vec<Record>) -> Result<Receipt, SystemError> {
    in_time("a delivery", async {
        match sink.deliver(records).await {
            Ok(receipt) => receipt.await,
            Err(error) => Err(error),
        }
    })
    .await
}

pub async fn a_receipt_means_that_the_records_are_there<T: Target>(target: &T) {
    let mut sink = target.sink();
    let receipt = hand_over(target, &mut *sink, &numbers(0..1000)).await;
    delivered(receipt, 1000).await;
    assert_eq!(target.bodies().await, numbers(0..1000));
}

pub async fn keeps_order_whatever_receipt_is_awaited_first<T: Target>(target: &T) {
    let mut sink = target.sink();
    let first = hand_over(target, &mut *sink, &numbers(0..500)).await;
    let second = hand_over(target, &mut *sink, &numbers(500..700)).await;
    let third = hand_over(target, &mut *sink, &numbers(700..1000)).await;
    delivered(third, 300).await;
    delivered(first, 500).await;
    delivered(second, 200).await;
    assert_eq!(target.bodies().await, numbers(0..1000));
}

pub async fn carries_odd_bodies<T: Target>(target: &T) {
    let bodies = [
        "",
        "😀\u{10ffff}",
        "а\0б",
        "\r\n\t'\"\\",
        &"ё".repeat(400_000),
        "",
    ];
    let bodies = bodies.map(str::to_owned);
    let receipt = hand_over(target, &mut *target.sink(), &bodies).await;
    delivered(receipt, bodies.len()).await;
    assert!(target.bodies().await == bodies);
}

pub async fn a_refused_record_is_named<T: Target>(target: &T) {
    let mut sink = target.sink();
    let mut records: Vec<_> = numbers(0..1000).iter().map(|b| target.record(b)).collect();
    records[700] = target.refused();
    let error = try_to_deliver(&mut *sink, records)
        .await
        .expect_err("it is refused");
    assert_eq!(error.record, Some(700), "{error}");
    assert_ne!(error.class, ErrorClass::Transient, "{error}");
    // The next generation works, and nothing is out of order.
    let receipt = hand_over(target, &mut *target.sink(), &numbers(1000..1010)).await;
    delivered(receipt, 10).await;
    is_in_order(&target.bodies().await, 1010);
}

pub async fn a_dropped_receipt_gives_the_batch_up<T: Target>(target: &T) {
    let mut sink = target.sink();
    drop(hand_over(target, &mut *sink, &numbers(0..5000)).await);
    // What follows on this sink would overtake what is given up.
    let later = vec![target.record("тело 9999")];
    let error = try_to_deliver(&mut *sink, later)
        .await
        .expect_err("it is given up");
    assert_eq!(error.class, ErrorClass::Transient, "{error}");
    drop(sink);
    let receipt = hand_over(target, &mut *target.sink(), &numbers(5000..5010)).await;
    delivered(receipt, 10).await;
    is_in_order(&target.bodies().await, 5010);
}

/// Bodies are ascending numbers, the last ten without a gap.
fn is_in_order(bodies: &[String], end: usize) {
    let number = |body: &String| body.trim_start_matches("тело ").parse().expect("a number");
    let found: Vec<usize> = bodies.iter().map(number).collect();
    assert!(found.is_sorted(), "{found:?}");
    assert!(
        found.ends_with(&(end - 10..end).collect::<Vec<_>>()),
        "{found:?}"
    );
}

pub async fn a_dropped_sink_leaves_nobody_waiting<T: Target>(target: &T) {
    let mut sink = target.sink();
    let receipt = hand_over(target, &mut *sink, &numbers(0..1000)).await;
    drop(sink);
    if in_time("a delivery", receipt).await.is_ok() {
        assert_eq!(target.bodies().await, numbers(0..1000));
    }
}

pub async fn a_target_that_vanishes_is_an_error<T: Target>(target: &T) {
    let mut sink = target.sink();
    let receipt = hand_over(target, &mut *sink, &numbers(0..10)).await;
    delivered(receipt, 10).await;
    target.remove().await;
    let begun = Instant::now();
    let error = loop {
        assert!(begun.elapsed() < PATIENCE, "nobody tells");
        // A broker may take messages for a moment after it has said that it will delete the place.
        let records = vec![target.record("тело")];
        if let Err(error) = try_to_deliver(&mut *sink, records).await {
            break error;
        }
    };
    assert!(error.message.contains(target.name()), "{error}");
    let again = try_to_deliver(&mut *target.sink(), vec![target.record("тело")]).await;
    let error = again.expect_err("it is gone");
    assert!(error.message.contains(target.name()), "{error}");
    assert_eq!(error.class, ErrorClass::Misconfigured, "{error}");
}

pub async fn answers_a_batch_without_records_at_once<T: Target>(target: &T) {
    let receipt = hand_over(target, &mut *target.sink(), &[]).await;
    delivered(receipt, 0).await;
}
