//! The Kafka source with offsets in a database: it begins where the database says, whatever the group has committed.

use std::sync::Arc;

use dajet_adapters::{kafka, sqlite};
use dajet_core::{Address, BrokerSpec, Environment, Service, Source, SystemError, Value};

use super::broker::{brokers, committed, make_topic, write_numbers};
use super::source::{Batch, batch, group};
use crate::offsets::table;

struct Scene {
    service: Arc<dyn Service>,
    topic: String,
    group: String,
    _folder: tempfile::TempDir,
}

impl Scene {
    async fn with(messages: usize) -> Self {
        let (topic, group) = (make_topic("kept", 1, &[]).await, group());
        write_numbers(&topic, 0, 0..messages).await;
        let folder = tempfile::tempdir().expect("a folder can be made");
        let environment = Environment {
            root: folder.path().into(),
            ..Environment::default()
        };
        let open = sqlite::CONNECTOR.service.expect("it is a database");
        let service = open(&Address::new("sqlite://цель.db"), &environment);
        Self {
            service: service.expect("the address is right"),
            topic,
            group,
            _folder: folder,
        }
    }

    fn open(&self, target: Option<Address>) -> Result<Box<dyn Source>, SystemError> {
        let options = [
            ("BootstrapServers", brokers()),
            ("Topic", self.topic.clone()),
            ("GroupId", self.group.clone()),
            ("AutoOffsetReset", "earliest".to_owned()),
            ("OffsetTable", "Смещения".to_owned()),
            ("BatchSize", "10".to_owned()),
            ("SessionTimeoutMs", "6000".to_owned()),
        ];
        let options = options.into_iter().map(|(name, value)| {
            let number = value.parse().map(Value::Integer);
            (Arc::from(name), number.unwrap_or(Value::text(value)))
        });
        let spec = BrokerSpec {
            address: Address::new("kafka"),
            options: options.collect(),
            permits: 2,
            target,
        };
        let open = kafka::CONNECTOR.broker.expect("kafka gives messages");
        open(&spec, &Environment::default(), &|_| {
            Ok(self.service.clone())
        })
    }

    fn source(&self) -> Box<dyn Source> {
        self.open(Some(Address::new("sqlite://цель.db")))
            .expect("the options are valid")
    }

    async fn stored(&self) -> Option<i64> {
        let kept = self.service.keep_offsets(&table(&self.group), &[]).await;
        kept.expect("it is read").first().map(|one| one.next)
    }

    /// What the target's transaction does, without rows.
    async fn commit_target(&self, batch: &Batch) -> Result<(), SystemError> {
        let advances = batch.claim.advances().expect("offsets are kept");
        let mut claim = self.service.begin().await?;
        claim
            .advance_offsets(&advances.table, &advances.list)
            .await?;
        claim.commit().await
    }
}

#[tokio::test]
async fn begins_behind_what_the_database_holds_when_the_offset_commit_was_lost() {
    let scene = Scene::with(30).await;
    let mut source = scene.source();
    let first = batch(&mut *source).await;
    assert_eq!(scene.stored().await, Some(0), "it is there from the begin");
    scene.commit_target(&first).await.expect("it stands there");
    // The process dies before the offset is committed to the brokers.
    drop(first);
    drop(source);
    assert_eq!(committed(&scene.group, &scene.topic, 0).await, None);

    let mut source = scene.source();
    let second = batch(&mut *source).await;
    assert_eq!(second.column("Value")[0], "10");
    assert_eq!(
        committed(&scene.group, &scene.topic, 0).await,
        Some(10),
        "the brokers are told where the group stands"
    );
    scene.commit_target(&second).await.expect("it stands there");
    second.commit().await;
    assert_eq!(scene.stored().await, Some(20));
    let third = batch(&mut *source).await;
    assert_eq!(third.column("Value")[0], "20");
    third.claim.release().await.expect("it is given back");
}

#[tokio::test]
async fn a_batch_of_a_predecessor_is_refused() {
    let scene = Scene::with(20).await;
    let mut source = scene.source();
    let late = batch(&mut *source).await;
    let advances = late.claim.advances().expect("offsets are kept").clone();
    drop(late);
    drop(source);
    let mut source = scene.source();
    let again = batch(&mut *source).await;
    assert_eq!(again.column("Value")[0], "0");
    scene.commit_target(&again).await.expect("it stands there");
    again.commit().await;
    let mut claim = scene.service.begin().await.expect("it begins");
    let refused = claim.advance_offsets(&advances.table, &advances.list).await;
    assert_eq!(refused.expect_err("it comes too late").code, "E_OFFSET");
    claim.release().await.expect("it is released");
}

#[tokio::test]
async fn needs_a_database_to_keep_offsets_in() {
    let scene = Scene::with(1).await;
    let Err(error) = scene.open(None) else {
        panic!("there is no database");
    };
    assert_eq!(
        error.message,
        "option \"OffsetTable\" needs one database that the script writes to"
    );
}
