//! The laws of offsets that a database keeps.

use std::sync::Arc;

use dajet_core::{Advance, ErrorClass, KeptOffset, OffsetTable, Service};

pub const TOPIC: &str = "заказы";

pub fn table(group: &str) -> OffsetTable {
    OffsetTable {
        name: "Смещения".into(),
        group: group.into(),
    }
}

fn kept(partition: i32, next: i64) -> KeptOffset {
    KeptOffset {
        topic: TOPIC.into(),
        partition,
        next,
    }
}

fn advance(partition: i32, began: i64, next: i64) -> Advance {
    Advance {
        topic: TOPIC.into(),
        partition,
        began,
        next,
    }
}

async fn stored(service: &dyn Service, table: &OffsetTable) -> Vec<(i32, i64)> {
    let kept = service.keep_offsets(table, &[]).await;
    let mut all: Vec<_> = kept
        .expect("they are read")
        .iter()
        .map(|one| (one.partition, one.next))
        .collect();
    all.sort_unstable();
    all
}

/// Makes, reads, adds and moves offsets.
pub async fn check(service: Arc<dyn Service>) {
    let (ours, others) = (table("группа"), table("другая группа"));
    assert_eq!(stored(&*service, &ours).await, [], "the table is made");
    let beginnings = [kept(0, 5), kept(1, 7)];
    let added = service.keep_offsets(&ours, &beginnings).await;
    assert_eq!(added.expect("they are added").len(), 2);
    let added = service
        .keep_offsets(&ours, &[kept(0, 99), kept(2, 1)])
        .await;
    added.expect("one is new");
    let all = [(0, 5), (1, 7), (2, 1)];
    assert_eq!(stored(&*service, &ours).await, all, "what is there stays");
    assert_eq!(stored(&*service, &others).await, []);

    let mut claim = service.begin().await.expect("it begins");
    let moves = [advance(0, 5, 10), advance(1, 7, 8)];
    claim
        .advance_offsets(&ours, &moves)
        .await
        .expect("both stand there");
    claim.release().await.expect("it is released");
    assert_eq!(stored(&*service, &ours).await, all, "nothing is final");

    let mut claim = service.begin().await.expect("it begins");
    claim
        .advance_offsets(&ours, &moves)
        .await
        .expect("both stand there");
    claim.commit().await.expect("it is committed");
    let all = [(0, 10), (1, 8), (2, 1)];
    assert_eq!(stored(&*service, &ours).await, all);

    let mut claim = service.begin().await.expect("it begins");
    let moves = [advance(0, 10, 11), advance(1, 7, 9)];
    let error = claim.advance_offsets(&ours, &moves).await;
    let error = error.expect_err("one of them stands elsewhere");
    assert_eq!(
        (error.code, error.class),
        ("E_OFFSET", ErrorClass::Transient)
    );
    assert!(error.message.contains("группа"), "{}", error.message);
    claim.commit().await.expect_err("the claim is poisoned");
    assert_eq!(stored(&*service, &ours).await, all);
}

/// Of two that move the same offset, the second waits for the first and is refused. For databases that let two begin.
pub async fn check_rivals(service: Arc<dyn Service>) {
    let ours = table("соперники");
    service.keep_offsets(&ours, &[]).await.expect("it is made");
    service
        .keep_offsets(&ours, &[kept(0, 0)])
        .await
        .expect("it is added");
    let mut first = service.begin().await.expect("it begins");
    let mut second = service.begin().await.expect("it begins");
    let moves = [advance(0, 0, 4)];
    first
        .advance_offsets(&ours, &moves)
        .await
        .expect("it stands there");
    let (refused, committed) = tokio::join!(second.advance_offsets(&ours, &moves), first.commit());
    committed.expect("it is committed");
    assert_eq!(refused.expect_err("it is overtaken").code, "E_OFFSET");
    assert_eq!(stored(&*service, &ours).await, [(0, 4)]);
}
