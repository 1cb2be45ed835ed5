//! Brokers as sources.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dajet_actors::State;
use dajet_core::testing::{Event, Fault, INBOX, Operation};
use dajet_core::{ErrorClass, Value};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::scene::{COPY, PRODUCE, Scene, ended, gave_up};
use crate::stage::{fill, on_virtual_time};

const MESSAGES: (&str, &str) = (INBOX, "Вход");

/// A scene whose inbox holds so many messages.
fn scene(messages: i64) -> Scene {
    let scene = Scene::new(0);
    fill(&scene.world, MESSAGES, 1..=messages, 1);
    scene
}

/// A script that does this with each message.
fn consume(scene: &Scene, options: &str, body: &str) -> String {
    scene.text(&format!(
        "CONSUME '{{inbox}}' WITH BatchSize = 4{options} INTO @m\n{body}\n"
    ))
}

fn left(scene: &Scene) -> usize {
    scene.world.rows(INBOX, "Вход").len()
}

#[test]
fn ends_when_the_broker_has_nothing_more() {
    on_virtual_time(async {
        for options in ["", ", Claims = 1", ", Acknowledge = 'offsets'"] {
            let scene = scene(10);
            ended(
                scene
                    .run(&consume(&scene, options, &format!("{PRODUCE}\n{COPY}")))
                    .await,
            );
            let all: Vec<i64> = (1..=10).collect();
            assert_eq!(
                (scene.sent(), scene.copied()),
                (all.clone(), all),
                "{options}"
            );
            assert_eq!(
                (left(&scene), scene.world.open_claims()),
                (0, 0),
                "{options}"
            );
            let snapshot = scene.stage.observer.snapshot();
            assert_eq!((snapshot.records, snapshot.batches), (10, 3));
            assert_eq!((snapshot.state, snapshot.in_flight), (State::Ended, 0));
        }
    });
}

#[test]
fn a_failed_batch_of_messages_comes_again() {
    on_virtual_time(async {
        for options in ["", ", Acknowledge = 'offsets'"] {
            let scene = scene(10);
            let refused = Fault::Refuse(ErrorClass::Transient);
            scene.world.fail_next(Operation::CommitTarget, refused);
            scene
                .world
                .fail_next(Operation::CommitSource, Fault::LoseReply);
            ended(scene.run(&consume(&scene, options, COPY)).await);
            assert_eq!((scene.copied(), left(&scene)), ((1..=10).collect(), 0));
            assert_eq!(scene.stage.observer.snapshot().retries, 2, "{options}");
        }
    });
}

#[test]
fn a_refused_message_is_named_where_the_broker_names_messages() {
    on_virtual_time(async {
        for (options, named) in [("", false), (", Acknowledge = 'offsets'", true)] {
            let scene = scene(6);
            scene
                .world
                .refuse("target", "Копии", Some(Value::Integer(6)));
            let error = gave_up(scene.run(&consume(&scene, options, COPY)).await);
            assert_eq!(error.class(), ErrorClass::Rejected);
            assert_eq!(
                error.chain().contains("Offset = "),
                named,
                "{}",
                error.chain()
            );
            assert_eq!((scene.copied(), left(&scene)), (vec![1, 2, 3, 4], 2));
        }
    });
}

#[test]
fn messages_are_to_blame_for_a_refusal_and_not_for_an_outage() {
    on_virtual_time(async {
        for (class, blamed) in [(ErrorClass::Transient, 0), (ErrorClass::Rejected, 1)] {
            for operation in [Operation::Execute, Operation::CommitTarget] {
                let scene = scene(4);
                let seen = Arc::new(AtomicUsize::new(0));
                let count = seen.clone();
                scene.world.watch(Box::new(move |_, event, _| {
                    if matches!(event, Event::Blamed { .. }) {
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                }));
                scene.world.fail_next(operation, Fault::Refuse(class));
                ended(scene.run(&consume(&scene, "", COPY)).await);
                assert_eq!(scene.copied(), [1, 2, 3, 4]);
                assert_eq!(
                    seen.load(Ordering::Relaxed),
                    blamed,
                    "{class:?} {operation:?}"
                );
            }
        }
    });
}

#[test]
fn options_are_evaluated_at_each_start_with_the_variables_of_the_latest_commit() {
    on_virtual_time(async {
        let scene = scene(9);
        // A batch of 2; then the acknowledgement of the second one fails, and a batch is as large as the body has set.
        let text = scene.text(&format!(
            "DECLARE @пачка integer = 2\nCONSUME '{{inbox}}' WITH BatchSize = @пачка, Claims = 1 INTO @m\n\
             SET @пачка = 7\n{PRODUCE}\n"
        ));
        let refused = Fault::Refuse(ErrorClass::Transient);
        let world = scene.world.clone();
        let failing = async move {
            while world.records("out").len() < 2 {
                sleep(Duration::from_millis(1)).await;
            }
            world.fail_next(Operation::Deliver, refused);
        };
        let (outcome, ()) = tokio::join!(scene.run(&text), failing);
        ended(outcome);
        let snapshot = scene.stage.observer.snapshot();
        assert_eq!(
            (snapshot.records, snapshot.batches),
            (9, 2),
            "2, then 7 at once"
        );
        assert_eq!(left(&scene), 0);
    });
}

#[test]
fn a_message_that_comes_late_does_not_wait_for_the_pause_of_tables() {
    on_virtual_time(async {
        let mut scene = scene(1);
        scene.settings.until_idle = false;
        scene.settings.idle_delay = Duration::from_secs(3_600);
        let stop = CancellationToken::new();
        let text = consume(&scene, "", PRODUCE);
        let world = scene.world.clone();
        let late = async {
            sleep(Duration::from_secs(60)).await;
            fill(&world, MESSAGES, 2..=2, 1);
            let came = Instant::now();
            while world.records("out").len() < 2 {
                sleep(Duration::from_millis(1)).await;
            }
            stop.cancel();
            came.elapsed()
        };
        let (_, waited) = tokio::join!(scene.run_with(&text, stop.clone()), late);
        assert!(waited < Duration::from_millis(500), "{waited:?}");
    });
}

#[test]
fn break_leaves_a_broker_and_gives_the_batch_back() {
    on_virtual_time(async {
        let scene = scene(10);
        let body = format!("{PRODUCE}\nIF @m.Номер = 6 THEN BREAK END");
        let text = format!(
            "USE '{{queue}}'\nCONSUME '{{inbox}}' WITH BatchSize = 4 INTO @m\n{body}\nEND\nPRINT 'после'"
        );
        ended(scene.run(&scene.text(&text)).await);
        assert_eq!((scene.sent(), left(&scene)), (vec![1, 2, 3, 4], 6));
        assert_eq!(scene.printed(), ["после"]);
    });
}

#[test]
fn a_wrong_option_or_address_is_retried_with_its_reason() {
    on_virtual_time(async {
        let scene = scene(1);
        let error = gave_up(
            scene
                .run(&consume(&scene, ", Claims = 'много'", PRODUCE))
                .await,
        );
        assert_eq!(
            (error.code(), error.class()),
            ("E_OPTION", ErrorClass::Misconfigured)
        );
        let text = consume(&scene, "", PRODUCE).replace("inbox://", "topic://");
        let error = gave_up(scene.run(&text).await);
        assert_eq!(
            (error.code(), error.class()),
            ("E_URI", ErrorClass::Misconfigured)
        );
        assert!(
            error.chain().contains("gives no messages"),
            "{}",
            error.chain()
        );
    });
}
