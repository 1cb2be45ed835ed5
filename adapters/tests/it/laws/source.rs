//! What every source promises.

use std::time::Instant;

use dajet_core::{Claim, Limit, Read, Source, SystemError};

use super::{Harness, PATIENCE, Waiver, in_time, numbers};

/// A queue of one system.
pub trait Queue: Harness {
    /// The column or member that holds the body.
    const BODY: &str;
    /// How many times a batch may pass the limit of bytes: a database knows the mean size of rows only.
    const EXCESS: usize = 1;

    /// Its name, as messages tell it.
    fn name(&self) -> &str;

    /// Puts bodies behind all that is there, in order.
    async fn fill(&self, bodies: &[String]);

    /// The source of a new generation: at most so many records in a read, at most three open claims.
    async fn source(&self, top: usize) -> Box<dyn Source>;

    /// Records that no commit has removed.
    async fn left(&self) -> usize;

    /// Cuts the connections of its sources.
    async fn sever(&self) -> Result<(), Waiver>;

    /// Removes the queue itself.
    async fn remove(&self);
}

/// As the reads of a pipeline that has nothing open.
const FIRST: Limit = Limit {
    bytes: 16 << 20,
    wait_for_locked: true,
};
/// As the reads behind open claims.
const NEXT: Limit = Limit {
    bytes: 16 << 20,
    wait_for_locked: false,
};

struct Batch {
    bodies: Vec<String>,
    claim: Box<dyn Claim>,
}

async fn read(source: &mut dyn Source, limit: Limit) -> Result<Read, SystemError> {
    in_time("a read", source.read(limit, &[])).await
}

/// Reads until there is a batch.
async fn batch<Q: Queue>(source: &mut dyn Source, limit: Limit) -> Batch {
    let begun = Instant::now();
    loop {
        let read = read(source, limit).await.expect("it is read");
        let Read::Batch {
            records,
            keys,
            claim,
        } = read
        else {
            assert!(begun.elapsed() < PATIENCE, "nothing comes");
            continue;
        };
        assert!(!records.rows.is_empty());
        for index in 0..records.rows.len() {
            assert!(keys.describe(index).is_some(), "a record has no name");
        }
        let column = records.shape.index(Q::BODY).expect("it is a column");
        let bodies = records
            .rows
            .iter()
            .map(|row| row[column].to_string())
            .collect();
        return Batch { bodies, claim };
    }
}

/// Reads and commits until nothing is left for sure; all that came.
async fn rest<Q: Queue>(source: &mut dyn Source) -> Vec<String> {
    let (mut all, begun) = (Vec::new(), Instant::now());
    loop {
        assert!(begun.elapsed() < PATIENCE, "it does not become empty");
        match read(source, FIRST).await.expect("it is read") {
            Read::Empty { complete: true } => return all,
            Read::Empty { complete: false } => {}
            Read::Batch { records, claim, .. } => {
                let column = records.shape.index(Q::BODY).expect("it is a column");
                all.extend(records.rows.iter().map(|row| row[column].to_string()));
                commit(claim).await;
            }
        }
    }
}

async fn commit(claim: Box<dyn Claim>) {
    in_time("a commit", claim.commit())
        .await
        .expect("it is committed");
}

/// Waits until the system holds nothing any more.
async fn is_drained<Q: Queue>(queue: &Q) {
    let begun = Instant::now();
    while queue.left().await > 0 {
        assert!(
            begun.elapsed() < PATIENCE,
            "{} are left",
            queue.left().await
        );
    }
}

pub async fn reads_in_order_and_at_most_the_limit<Q: Queue>(queue: &Q) {
    const RECORDS: usize = 1000;
    queue.fill(&numbers(0..RECORDS)).await;
    let mut source = queue.source(64).await;
    let (mut seen, mut before): (_, Option<Box<dyn Claim>>) = (Vec::new(), None);
    while seen.len() < RECORDS {
        // Two claims are open at a time, and are committed in order.
        let limit = if before.is_some() { NEXT } else { FIRST };
        let batch = batch::<Q>(&mut *source, limit).await;
        assert!(batch.bodies.len() <= 64, "{} at once", batch.bodies.len());
        seen.extend(batch.bodies);
        if let Some(before) = before.replace(batch.claim) {
            commit(before).await;
        }
    }
    commit(before.expect("there is a last one")).await;
    assert_eq!(seen, numbers(0..RECORDS));
    assert!(rest::<Q>(&mut *source).await.is_empty());
    queue.fill(&numbers(RECORDS..RECORDS + 10)).await;
    let later = batch::<Q>(&mut *source, FIRST).await;
    assert_eq!(later.bodies[0], format!("тело {RECORDS}"));
    commit(later.claim).await;
    rest::<Q>(&mut *source).await;
    drop(source);
    is_drained(queue).await;
}

pub async fn is_empty_for_sure_only_when_nothing_is_open<Q: Queue>(queue: &Q) {
    let mut source = queue.source(10).await;
    assert!(rest::<Q>(&mut *source).await.is_empty());
    queue.fill(&numbers(0..1)).await;
    let open = batch::<Q>(&mut *source, FIRST).await;
    let answer = read(&mut *source, NEXT).await.expect("it is read");
    assert!(matches!(answer, Read::Empty { complete: false }));
    commit(open.claim).await;
    assert!(rest::<Q>(&mut *source).await.is_empty());
}

pub async fn gives_back_in_order_what_is_released_or_dropped<Q: Queue>(queue: &Q) {
    queue.fill(&numbers(0..30)).await;
    for way in [
        "release",
        "release the later first",
        "drop",
        "drop with the source",
    ] {
        let mut source = queue.source(10).await;
        let first = batch::<Q>(&mut *source, FIRST).await;
        let second = batch::<Q>(&mut *source, NEXT).await;
        let mut both = first.bodies;
        both.extend(second.bodies);
        assert_eq!(both, numbers(0..both.len()), "before: {way}");
        let (first, second) = (first.claim, second.claim);
        match way {
            "release" => {
                in_time(way, first.release())
                    .await
                    .expect("it is given back");
                in_time(way, second.release())
                    .await
                    .expect("it is given back");
            }
            "release the later first" => {
                drop(source);
                in_time(way, second.release())
                    .await
                    .expect("it is given back");
                in_time(way, first.release())
                    .await
                    .expect("it is given back");
            }
            "drop" => drop((first, second)),
            _ => drop((source, second, first)),
        }
    }
    assert_eq!(
        rest::<Q>(&mut *queue.source(10).await).await,
        numbers(0..30)
    );
}

pub async fn commits_what_stands_before_a_batch_that_is_given_back<Q: Queue>(queue: &Q) {
    queue.fill(&numbers(0..60)).await;
    let mut next = 0;
    for way in ["release", "drop"] {
        let mut source = queue.source(10).await;
        let first = batch::<Q>(&mut *source, FIRST).await;
        let second = batch::<Q>(&mut *source, NEXT).await;
        assert_eq!(first.bodies, numbers(next..next + first.bodies.len()));
        next += first.bodies.len();
        match way {
            "release" => in_time(way, second.claim.release())
                .await
                .expect("it is given back"),
            _ => drop(second.claim),
        }
        commit(first.claim).await;
    }
    // What is committed never comes again, what is given back comes first.
    assert_eq!(
        rest::<Q>(&mut *queue.source(10).await).await,
        numbers(next..60)
    );
}

pub async fn commits_what_is_open_after_the_source_is_gone<Q: Queue>(queue: &Q) {
    queue.fill(&numbers(0..30)).await;
    let mut source = queue.source(10).await;
    let first = batch::<Q>(&mut *source, FIRST).await;
    let second = batch::<Q>(&mut *source, NEXT).await;
    let read = first.bodies.len() + second.bodies.len();
    drop(source);
    commit(first.claim).await;
    commit(second.claim).await;
    assert_eq!(
        rest::<Q>(&mut *queue.source(10).await).await,
        numbers(read..30)
    );
    is_drained(queue).await;
}

pub async fn ends_a_batch_at_the_limit_of_bytes<Q: Queue>(queue: &Q) {
    const SIZE: usize = 60_000;
    let bodies: Vec<_> = (0..20).map(|n| format!("{n:0>SIZE$}")).collect();
    queue.fill(&bodies).await;
    let mut source = queue.source(100).await;
    let of = |bytes| Limit { bytes, ..FIRST };
    // A record that is larger than the limit comes alone.
    let first = batch::<Q>(&mut *source, of(SIZE / 2)).await;
    assert_eq!(first.bodies.len(), 1);
    let mut seen = first.bodies;
    commit(first.claim).await;
    while seen.len() < bodies.len() {
        let next = batch::<Q>(&mut *source, of(5 * SIZE)).await;
        assert!(next.bodies.len() <= 5 * Q::EXCESS, "{}", next.bodies.len());
        seen.extend(next.bodies);
        commit(next.claim).await;
    }
    assert!(seen == bodies);
}

pub async fn a_read_that_is_broken_off_takes_nothing<Q: Queue>(queue: &Q) {
    queue.fill(&numbers(0..20)).await;
    for polls in 1..20 {
        let mut source = queue.source(5).await;
        let mut read = source.read(FIRST, &[]);
        for _ in 0..polls {
            if futures::poll!(&mut read).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(read);
    }
    assert_eq!(rest::<Q>(&mut *queue.source(5).await).await, numbers(0..20));
}

pub async fn a_claim_dies_with_its_connection<Q: Queue>(queue: &Q) {
    queue.fill(&numbers(0..20)).await;
    let mut source = queue.source(10).await;
    let open = batch::<Q>(&mut *source, FIRST).await;
    if let Err(waiver) = queue.sever().await {
        println!("waived: {waiver}");
        return;
    }
    let answer = in_time("a commit", open.claim.commit()).await;
    answer.expect_err("nothing can be committed");
    drop(source);
    assert_eq!(
        rest::<Q>(&mut *queue.source(10).await).await,
        numbers(0..20)
    );
}

pub async fn a_queue_that_vanishes_is_an_error<Q: Queue>(queue: &Q) {
    queue.fill(&numbers(0..20)).await;
    let mut source = queue.source(5).await;
    commit(batch::<Q>(&mut *source, FIRST).await.claim).await;
    queue.remove().await;
    let begun = Instant::now();
    let error = loop {
        assert!(begun.elapsed() < PATIENCE, "nobody tells");
        match read(&mut *source, FIRST).await {
            Err(error) => break error,
            // What the client had already is no lie.
            Ok(Read::Batch { claim, .. }) => {
                let _ = in_time("a commit", claim.commit()).await;
            }
            Ok(Read::Empty { .. }) => {}
        }
    };
    assert!(error.message.contains(queue.name()), "{error}");
}
