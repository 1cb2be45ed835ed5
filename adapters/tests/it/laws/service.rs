//! What every database promises of its claims and calls.

use std::sync::Arc;

use dajet_core::query::Statement;

use dajet_core::{Claim, ErrorClass, Limit, Read, Record, Service, Source, SystemError, Value};

use super::{Harness, in_time};

/// A database with a queue `q (id, body)` of the rows 1 to 10 and an empty target `t (id, body)`, whose `id` is the key and whose
/// `body` must not be NULL.
pub trait Base: Harness {
    /// The database under test.
    fn service(&self) -> Arc<dyn Service>;

    /// A source of id and body of `q` in the order of `id`: a new generation's, three rows in a read.
    async fn source(&self) -> Box<dyn Source>;

    /// An insertion of id and body into `t`.
    async fn insertion(&self) -> Arc<Statement>;

    /// The ids in a table, in order, as somebody else sees them.
    async fn ids(&self, table: &str) -> Vec<i64>;

    /// Removes `t`.
    async fn remove_target(&self);
}

const FIRST: Limit = Limit {
    bytes: 16 << 20,
    wait_for_locked: true,
};

/// Three rows and the claim to them.
async fn batch(source: &mut dyn Source) -> (Vec<Record>, Box<dyn Claim>) {
    match in_time("a read", source.read(FIRST, &[])).await {
        Ok(Read::Batch { records, claim, .. }) => (records.rows, claim),
        Ok(Read::Empty { .. }) => panic!("nothing comes"),
        Err(error) => panic!("{error}"),
    }
}

fn rows(ids: std::ops::Range<i64>) -> Vec<Record> {
    ids.map(|id| vec![Value::Integer(id), Value::text(format!("тело {id}"))])
        .collect()
}

async fn begin(service: &Arc<dyn Service>) -> Box<dyn Claim> {
    in_time("a begin", service.begin())
        .await
        .expect("it begins")
}

async fn commit(claim: Box<dyn Claim>) -> Result<(), SystemError> {
    in_time("a commit", claim.commit()).await
}

pub async fn a_commit_makes_writes_visible_and_final<B: Base>(base: &B) {
    let (service, insertion) = (base.service(), base.insertion().await);
    let mut claim = begin(&service).await;
    assert_eq!(claim.identity(), service.identity());
    for part in [rows(0..500), rows(500..501), rows(501..1000)] {
        let answer = claim
            .execute(&insertion, &part)
            .await
            .expect("it is written");
        assert_eq!(answer.groups.len(), part.len());
        assert!(base.ids("t").await.is_empty());
    }
    commit(claim).await.expect("it is committed");
    assert_eq!(base.ids("t").await, (0..1000).collect::<Vec<_>>());
}

pub async fn release_and_drop_write_nothing<B: Base>(base: &B) {
    let (service, insertion) = (base.service(), base.insertion().await);
    for releases in [true, false] {
        let mut claim = begin(&service).await;
        let written = claim.execute(&insertion, &rows(1..4)).await;
        written.expect("it is written");
        match releases {
            true => in_time("a release", claim.release())
                .await
                .expect("it is given back"),
            false => drop(claim),
        }
        assert!(base.ids("t").await.is_empty());
    }
    // The same keys stand in nobody's way.
    let mut claim = begin(&service).await;
    let written = in_time("an insertion", claim.execute(&insertion, &rows(1..4))).await;
    written.expect("it is written");
    commit(claim).await.expect("it is committed");
    assert_eq!(base.ids("t").await, [1, 2, 3]);
}

pub async fn a_failed_statement_poisons_the_claim<B: Base>(base: &B) {
    let (service, insertion) = (base.service(), base.insertion().await);
    for null in [true, false] {
        let mut records = rows(0..1000);
        records[700] = match null {
            true => vec![Value::Integer(5000), Value::Null],
            false => vec![Value::Integer(7), Value::text("дважды")],
        };
        let mut claim = begin(&service).await;
        let good = claim.execute(&insertion, &rows(2000..2010)).await;
        good.expect("it is written");
        let failed = claim.execute(&insertion, &records).await;
        let error = failed.expect_err("a record is refused");
        assert_eq!(
            (error.class, error.record),
            (ErrorClass::Rejected, Some(700)),
            "{error}"
        );
        assert!(error.message.contains("\"t\""), "{error}");
        commit(claim)
            .await
            .expect_err("a poisoned claim commits nothing");
        assert!(base.ids("t").await.is_empty());
    }
}

pub async fn writes_join_the_claim_of_the_source<B: Base>(base: &B) {
    let (service, insertion) = (base.service(), base.insertion().await);
    for way in ["drop", "release", "commit"] {
        let mut source = base.source().await;
        let (records, mut claim) = batch(&mut *source).await;
        assert_eq!(claim.identity(), service.identity());
        let answer = claim
            .execute(&insertion, &records)
            .await
            .expect("it is written");
        assert_eq!(answer.groups.len(), 3);
        assert!(base.ids("t").await.is_empty(), "only the commit shows it");
        match way {
            "drop" => drop(claim),
            "release" => in_time(way, claim.release())
                .await
                .expect("it is given back"),
            _ => commit(claim).await.expect("it is committed"),
        }
    }
    assert_eq!(base.ids("t").await, [1, 2, 3]);
    assert_eq!(base.ids("q").await, (4..=10).collect::<Vec<_>>());
}

pub async fn a_rehearsal_tells_what_the_commit_would_and_makes_nothing_final<B: Base>(base: &B) {
    let (service, insertion) = (base.service(), base.insertion().await);
    let mut source = base.source().await;
    let (mut records, mut claim) = batch(&mut *source).await;
    let written = claim.execute(&insertion, &records).await;
    written.expect("it is written");
    in_time("a rehearsal", claim.rehearse())
        .await
        .expect("nothing is wrong");
    assert!(base.ids("t").await.is_empty());
    assert_eq!(base.ids("q").await, (1..=10).collect::<Vec<_>>());
    commit(claim).await.expect("it is committed");
    assert_eq!(base.ids("t").await, [1, 2, 3]);
    assert_eq!(base.ids("q").await, (4..=10).collect::<Vec<_>>());

    let (_, mut claim) = batch(&mut *source).await;
    records[1][1] = Value::Null;
    // Some write when they are told, others when they commit: those refuse the rehearsal.
    let error = match claim.execute(&insertion, &records[1..]).await {
        Err(error) => error,
        Ok(_) => claim.rehearse().await.expect_err("a record is refused"),
    };
    assert_eq!(
        (error.class, error.record),
        (ErrorClass::Rejected, Some(0)),
        "{error}"
    );
    commit(claim)
        .await
        .expect_err("a poisoned claim commits nothing");
    assert_eq!(base.ids("q").await, (4..=10).collect::<Vec<_>>());

    let mut claim = begin(&service).await;
    let written = claim.execute(&insertion, &rows(20..23)).await;
    written.expect("it is written");
    in_time("a rehearsal", claim.rehearse())
        .await
        .expect("nothing is wrong");
    assert_eq!(base.ids("t").await, [1, 2, 3]);
    commit(claim).await.expect("it is committed");
    assert_eq!(base.ids("t").await, [1, 2, 3, 20, 21, 22]);
}

pub async fn a_refused_write_leaves_the_queue_as_it_was<B: Base>(base: &B) {
    let insertion = base.insertion().await;
    let mut source = base.source().await;
    let (mut records, mut claim) = batch(&mut *source).await;
    records[1][1] = Value::Null;
    // Some write when they are told, others when they commit.
    let error = match claim.execute(&insertion, &records).await {
        Err(error) => {
            commit(claim)
                .await
                .expect_err("a poisoned claim commits nothing");
            error
        }
        Ok(_) => commit(claim).await.expect_err("a record is refused"),
    };
    assert_eq!(
        (error.class, error.record),
        (ErrorClass::Rejected, Some(1)),
        "{error}"
    );
    assert_eq!(base.ids("q").await, (1..=10).collect::<Vec<_>>());
    assert!(base.ids("t").await.is_empty());
    drop(source);
    let (again, _) = batch(&mut *base.source().await).await;
    assert_eq!(again[0][0], Value::Integer(1));
}

pub async fn a_call_without_transaction_is_all_or_nothing<B: Base>(base: &B) {
    let (service, insertion) = (base.service(), base.insertion().await);
    let mut records = rows(1..4);
    records[2][0] = Value::Integer(1);
    let failed = service.execute(&insertion, &records).await;
    let error = failed.expect_err("a record is refused");
    assert_eq!(
        (error.class, error.record),
        (ErrorClass::Rejected, Some(2)),
        "{error}"
    );
    assert!(base.ids("t").await.is_empty());
    let written = service.execute(&insertion, &rows(1..4)).await;
    assert_eq!(written.expect("it is written").groups.len(), 3);
    assert_eq!(base.ids("t").await, [1, 2, 3]);
}

pub async fn tells_that_a_name_is_unknown<B: Base>(base: &B) {
    let (service, insertion) = (base.service(), base.insertion().await);
    base.remove_target().await;
    let failed = service.execute(&insertion, &rows(1..2)).await;
    let error = failed.expect_err("the table is gone");
    assert!(error.unknown_name, "{error}");
    assert_eq!(error.class, ErrorClass::Misconfigured, "{error}");
    service.forget();
    let names = ["q".into(), "t".into()];
    let schema = service.describe(&names).await.expect("the catalog answers");
    assert!(schema.table("q").is_some() && schema.table("t").is_none());
}
