//! Several members of one group: partitions change hands, and nothing is lost.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dajet_core::{ErrorClass, Read, Source, Value};

use super::broker::{committed, make_topic, members, write_numbers};
use super::source::{batch, group, read, source};

const PATIENCE: Duration = Duration::from_secs(30);

/// Reads until `until` says that it is enough; every batch is committed. Messages are counted.
async fn consume(
    source: &mut dyn Source,
    seen: &mut BTreeMap<String, usize>,
    mut until: impl FnMut(&BTreeMap<String, usize>) -> bool,
) {
    let begun = Instant::now();
    while !until(seen) {
        assert!(begun.elapsed() < PATIENCE, "it is never enough");
        if let Read::Batch { records, claim, .. } = read(source, false).await.expect("it reads") {
            if claim.commit().await.is_err() {
                continue;
            }
            for row in records.rows {
                *seen.entry(row[1].to_string()).or_default() += 1;
            }
        }
    }
}

#[tokio::test]
async fn finishes_a_batch_before_its_partition_is_given_up() {
    let (topic, group) = (make_topic("handover", 2, &[]).await, group());
    for partition in 0..2 {
        let first = partition as usize * 100;
        write_numbers(&topic, partition, first..first + 50).await;
    }
    let options = [("HeartbeatIntervalMs", Value::Integer(200))];
    let mut first = source(&topic, &group, &options);
    // It may take two batches until both partitions have sent.
    let mut held = vec![batch(&mut *first).await];
    while held.iter().map(|b| b.records.rows.len()).sum::<usize>() < 100 {
        held.push(batch(&mut *first).await);
    }
    let mut second = source(&topic, &group, &options);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        let answer = read(&mut *second, false).await.expect("it reads");
        assert!(matches!(answer, Read::Empty { .. }), "it is not ours yet");
    }
    for batch in held {
        batch.commit().await;
    }
    for partition in 0..2 {
        assert_eq!(committed(&group, &topic, partition).await, Some(50));
        let first = partition as usize * 100;
        write_numbers(&topic, partition, first + 50..first + 60).await;
    }
    // Each has one partition now.
    let (mut of_first, mut of_second) = (BTreeMap::new(), BTreeMap::new());
    tokio::join!(
        consume(&mut *first, &mut of_first, |seen| seen.len() == 10),
        consume(&mut *second, &mut of_second, |seen| seen.len() == 10),
    );
    of_first.append(&mut of_second);
    assert_eq!(of_first.len(), 20);
    assert!(of_first.values().all(|times| *times == 1));
}

#[tokio::test]
async fn loses_nothing_when_members_come_and_go() {
    const MESSAGES: usize = 3000;
    let (topic, group) = (make_topic("members", 4, &[]).await, group());
    for partition in 0..4 {
        let first = partition as usize * MESSAGES;
        write_numbers(&topic, partition, first..first + MESSAGES).await;
    }
    let options = [
        ("BatchSize", Value::Integer(50)),
        ("HeartbeatIntervalMs", Value::Integer(200)),
    ];
    let mut seen = BTreeMap::new();
    let mut first = source(&topic, &group, &options);
    consume(&mut *first, &mut seen, |seen| seen.len() >= 500).await;
    let mut second = source(&topic, &group, &options);
    let mut of_second = BTreeMap::new();
    let goal = seen.len() + 500;
    tokio::join!(
        consume(&mut *first, &mut seen, |seen| seen.len() >= goal),
        consume(&mut *second, &mut of_second, |seen| seen.len() >= 500),
    );
    // It goes with an open batch: nobody commits it.
    let open = batch(&mut *first).await;
    drop(first);
    drop(open);
    for (message, times) in of_second {
        *seen.entry(message).or_default() += times;
    }
    consume(&mut *second, &mut seen, |seen| seen.len() == 4 * MESSAGES).await;
    assert!(seen.values().all(|times| *times == 1), "each once");
    for partition in 0..4 {
        let end = committed(&group, &topic, partition).await;
        assert_eq!(end, Some(MESSAGES as i64));
    }
}

/// The group would keep the partitions for the session's time otherwise.
#[tokio::test]
async fn has_left_its_group_when_it_is_closed() {
    let (topic, group) = (make_topic("leaving", 1, &[]).await, group());
    write_numbers(&topic, 0, 0..30).await;
    let options = [
        ("BatchSize", Value::Integer(10)),
        ("SessionTimeoutMs", Value::Integer(60_000)),
    ];
    let mut idle = source(&topic, &group, &options);
    batch(&mut *idle).await.commit().await;
    assert_eq!(members(&group).await, 1);
    idle.close().await;
    assert_eq!(members(&group).await, 0, "after its last batch");

    let mut busy = source(&topic, &group, &options);
    let open = batch(&mut *busy).await;
    busy.close().await;
    assert_eq!(members(&group).await, 1, "a batch is open");
    open.commit().await;
    assert_eq!(members(&group).await, 0, "with its last batch");
    assert_eq!(committed(&group, &topic, 0).await, Some(20));

    let mut cut_off = source(&topic, &group, &options);
    batch(&mut *cut_off).await.commit().await;
    let nothing = tokio::time::timeout(Duration::from_millis(50), read(&mut *cut_off, true));
    drop(nothing.await);
    cut_off.close().await;
    assert_eq!(members(&group).await, 0, "after a read that was given up");
}

#[tokio::test]
async fn cannot_commit_what_the_group_has_given_to_another() {
    let (topic, group) = (make_topic("lost", 2, &[]).await, group());
    for partition in 0..2 {
        write_numbers(&topic, partition, 0..10).await;
    }
    let session = ("SessionTimeoutMs", Value::Integer(6000));
    let beat = ("HeartbeatIntervalMs", Value::Integer(200));
    // A short limit of silence makes the time for handing over short, too.
    let silence = ("MaxPollIntervalMs", Value::Integer(6000));
    let mut first = source(&topic, &group, &[session.clone(), beat.clone(), silence]);
    let mut held = vec![batch(&mut *first).await];
    while held.iter().map(|b| b.records.rows.len()).sum::<usize>() < 20 {
        held.push(batch(&mut *first).await);
    }
    let mut second = source(&topic, &group, &[session, beat]);
    let taken = batch(&mut *second).await;
    assert_eq!(taken.records.rows.len(), 10);
    let mut refusals = Vec::new();
    for batch in held {
        refusals.extend(batch.claim.commit().await.err());
    }
    assert!(!refusals.is_empty());
    assert!(refusals.iter().all(|e| e.class == ErrorClass::Transient));
    let named = format!("of topic \"{topic}\" was given to another member of the group");
    assert!(refusals[0].message.ends_with(&named), "{}", refusals[0]);
    taken.commit().await;
}
