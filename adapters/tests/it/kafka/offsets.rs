//! The Kafka source with offsets in a database: it begins where the database says, whatever the group has committed.

use std::sync::Arc;

use dajet_adapters::{kafka, sqlite};
use dajet_core::{Address, BrokerSpec, Environment, Service, Source, SystemError, Value};

use super::broker::{brokers, committed, delete_topic, make_topic, remake_topic, write_numbers};
use super::source::{Batch, batch, fails, group};
use crate::offsets::table;
use crate::told::Told;

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
        self.open_from("earliest", target)
    }

    fn open_from(
        &self,
        reset: &str,
        target: Option<Address>,
    ) -> Result<Box<dyn Source>, SystemError> {
        let options = [
            ("BootstrapServers", brokers()),
            ("Topic", self.topic.clone()),
            ("GroupId", self.group.clone()),
            ("AutoOffsetReset", reset.to_owned()),
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

    fn source_from(&self, reset: &str) -> Box<dyn Source> {
        self.open_from(reset, Some(Address::new("sqlite://цель.db")))
            .expect("the options are valid")
    }

    /// Reads a batch, makes it final, and deletes the topic and makes it anew.
    async fn remake(&self, messages: usize) {
        let mut source = self.source();
        let read = batch(&mut *source).await;
        self.commit_target(&read).await.expect("it stands there");
        read.commit().await;
        drop(source);
        delete_topic(&self.topic).await;
        remake_topic(&self.topic, 1).await;
        write_numbers(&self.topic, 0, 0..messages).await;
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

#[tokio::test]
async fn a_topic_that_was_made_anew_is_read_from_its_first_message_with_a_warning() {
    let scene = Scene::with(10).await;
    scene.remake(4).await;
    assert_eq!(scene.stored().await, Some(10));
    let told = Told::begin();
    // What was not read is not skipped, although groups that have read nothing begin at the end.
    let mut source = scene.source_from("latest");
    let first = batch(&mut *source).await;
    assert_eq!(first.column("Value")[0], "0");
    assert_eq!(scene.stored().await, Some(0));
    let wanted = format!(
        "offset 10 (table \"Смещения\") is not in partition 0 of topic \"{}\", which goes from 0 to 4: \
         it was made anew or has lost messages: reading begins at 0",
        scene.topic
    );
    assert_eq!(told.of(&wanted).len(), 1);
    scene.commit_target(&first).await.expect("it stands there");
    let read = first.column("Value").len();
    first.commit().await;
    assert_eq!(scene.stored().await, Some(read as i64));
}

#[tokio::test]
async fn an_offset_that_is_not_in_its_topic_is_refused_by_who_wants_no_other_beginning() {
    let scene = Scene::with(10).await;
    scene.remake(0).await;
    let error = fails(&mut *scene.source_from("error")).await;
    assert_eq!(error.code, "E_OFFSET");
    let (message, hint) = (&error.message, error.hint.as_deref());
    assert!(message.contains("which goes from 0 to 0"), "{message}");
    assert!(hint.is_some_and(|hint| hint.contains("in the table")));
    assert_eq!(scene.stored().await, Some(10), "it is as it was");
}
