//! What a script's author and its operator see.

use std::time::Duration;

use actix::System;
use dajet_actors::{Arbiters, Outcome, State, run};
use dajet_core::testing::{Fault, FaultPlan, Operation};
use dajet_core::{ErrorClass, Value};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::scene::{CONSUME, COPY, PRODUCE, Scene, ended, failed, gave_up};
use crate::stage::{QUEUE, create_tables, fill, on_virtual_time, world};

#[test]
fn ends_when_the_source_is_idle_and_runs_nothing_behind_it() {
    on_virtual_time(async {
        let scene = Scene::new(10);
        ended(scene.run(&scene.drain(PRODUCE, "PRINT 'после'")).await);
        assert_eq!(scene.sent(), (1..=10).collect::<Vec<_>>());
        assert_eq!((scene.left(), scene.world.open_claims()), (0, 0));
        assert_eq!(scene.printed(), [""; 0]);
        let snapshot = scene.stage.observer.snapshot();
        assert_eq!(
            (snapshot.records, snapshot.batches, snapshot.errors),
            (10, 3, 0)
        );
        assert_eq!((snapshot.state, snapshot.in_flight), (State::Ended, 0));
        assert!(snapshot.bytes > 0 && snapshot.batch_latency.is_some());
    });
}

#[test]
fn break_leaves_the_source_and_gives_the_batch_back() {
    on_virtual_time(async {
        let scene = Scene::new(10);
        let body = format!("{PRODUCE}\nIF @m.Номер = 6 THEN BREAK END");
        ended(scene.run(&scene.drain(&body, "PRINT 'после'")).await);
        assert_eq!(
            scene.sent(),
            [1, 2, 3, 4],
            "the batch before the one that was left"
        );
        assert_eq!((scene.left(), scene.world.open_claims()), (6, 0));
        assert_eq!(scene.printed(), ["после"]);
    });
}

#[test]
fn break_keeps_what_the_committed_batches_have_set() {
    on_virtual_time(async {
        let scene = Scene::new(10);
        let body =
            "SET @счёт = @счёт + 1\nSET @всё.последний = @m.Номер\nIF @m.Номер = 6 THEN BREAK END";
        let text = format!(
            "DECLARE @счёт integer\nDECLARE @всё object = SELECT первый = 0\nDECLARE @то_же object = @всё\n{}",
            scene.drain(
                body,
                "PRINT @счёт\nPRINT JSON(@всё)\nSET @всё.первый = 7\nPRINT JSON(@то_же)\nPRINT @m"
            )
        );
        ended(scene.run(&text).await);
        let printed = scene.printed();
        let both = [
            r#"{"первый":0,"последний":4}"#,
            r#"{"первый":7,"последний":4}"#,
        ];
        assert_eq!(printed, ["4", both[0], both[1], "null"]);
    });
}

#[test]
fn return_ends_the_script_with_its_value() {
    on_virtual_time(async {
        let scene = Scene::new(10);
        let body = format!("{PRODUCE}\nIF @m.Номер = 6 THEN RETURN @m.Тело END");
        let returned = ended(scene.run(&scene.drain(&body, "PRINT 'после'")).await);
        assert_eq!(returned, Some(Value::text("сообщение 6")));
        assert_eq!((scene.left(), scene.printed()), (6, Vec::new()));
    });
}

#[test]
fn a_stop_drains_and_runs_nothing_behind_the_source() {
    on_virtual_time(async {
        let mut scene = Scene::new(10);
        scene.settings.until_idle = false;
        let stop = CancellationToken::new();
        let text = scene.drain(PRODUCE, "PRINT 'после'");
        let running = scene.run_with(&text, stop.clone());
        let stopping = async {
            sleep(Duration::from_secs(5)).await;
            assert_eq!(scene.stage.observer.snapshot().state, State::Idle);
            stop.cancel();
        };
        let (outcome, ()) = tokio::join!(running, stopping);
        assert!(matches!(outcome, Outcome::Stopped), "{outcome:?}");
        assert_eq!(
            (scene.left(), scene.sent().len(), scene.printed()),
            (0, 10, Vec::new())
        );
    });
}

#[test]
fn a_stop_in_a_pause_of_the_body_gives_the_batch_back() {
    on_virtual_time(async {
        let mut scene = Scene::new(10);
        scene.settings.until_idle = false;
        let stop = CancellationToken::new();
        let body = format!("PRINT 'до'\nSLEEP 30\nPRINT 'после'\n{PRODUCE}");
        let text = scene.drain(&body, "");
        let stopping = async {
            sleep(Duration::from_secs(5)).await;
            stop.cancel();
        };
        let (outcome, ()) = tokio::join!(scene.run_with(&text, stop.clone()), stopping);
        assert!(matches!(outcome, Outcome::Stopped), "{outcome:?}");
        assert_eq!((scene.left(), scene.sent().len()), (10, 0));
        assert_eq!(scene.printed(), ["до"]);
        assert_eq!(scene.world.open_claims(), 0);
    });
}

#[test]
fn gives_the_batch_back_when_the_grace_period_is_over() {
    on_virtual_time(async {
        let mut scene = Scene::new(4);
        scene.settings.until_idle = false;
        scene.settings.stop_grace = Duration::from_secs(3);
        let stop = CancellationToken::new();
        let stall = Fault::Stall(Duration::from_secs(1_000));
        scene.world.fail_next(Operation::Acknowledge, stall);
        let text = scene.drain(PRODUCE, "");
        let started = Instant::now();
        let stopping = async {
            sleep(Duration::from_secs(1)).await;
            stop.cancel();
        };
        let (outcome, ()) = tokio::join!(scene.run_with(&text, stop.clone()), stopping);
        assert!(matches!(outcome, Outcome::Stopped), "{outcome:?}");
        assert!(started.elapsed() < Duration::from_secs(5));
        assert_eq!((scene.left(), scene.world.open_claims()), (4, 0));
    });
}

#[test]
fn gives_up_a_batch_that_can_never_pass_and_names_the_row() {
    on_virtual_time(async {
        let scene = Scene::new(10);
        scene
            .world
            .refuse("target", "Копии", Some(Value::Integer(6)));
        let started = Instant::now();
        let error = gave_up(scene.run(&scene.drain(COPY, "")).await);
        assert_eq!(error.class(), ErrorClass::Rejected);
        assert!(error.to_string().contains("= 6"), "names the row: {error}");
        assert_eq!(
            scene.copied(),
            [1, 2, 3, 4],
            "nothing of the refused batch, all before it"
        );
        assert_eq!((scene.left(), scene.world.open_claims()), (6, 0));
        let waited = started.elapsed();
        assert!(waited > Duration::from_secs(59) && waited < Duration::from_secs(65));
        assert_eq!(scene.stage.observer.snapshot().state, State::Failed);
    });
}

#[test]
fn goes_on_by_itself_when_the_target_accepts_again() {
    on_virtual_time(async {
        let scene = Scene::new(10);
        scene
            .world
            .refuse("target", "Копии", Some(Value::Integer(6)));
        let text = scene.drain(COPY, "");
        let repairing = async {
            sleep(Duration::from_secs(20)).await;
            assert_eq!(scene.stage.observer.snapshot().state, State::Waiting);
            scene.world.refuse("target", "Копии", None);
        };
        let (outcome, ()) = tokio::join!(scene.run(&text), repairing);
        ended(outcome);
        assert_eq!(scene.copied(), (1..=10).collect::<Vec<_>>(), "each once");
        let snapshot = scene.stage.observer.snapshot();
        assert!(snapshot.errors > 1 && snapshot.retries == snapshot.errors);
    });
}

#[test]
fn ends_after_the_attempts_that_the_settings_allow() {
    on_virtual_time(async {
        let mut scene = Scene::new(4);
        scene.settings.max_attempts = Some(3);
        scene
            .world
            .refuse("target", "Копии", Some(Value::Integer(2)));
        gave_up(scene.run(&scene.drain(COPY, "")).await);
        assert_eq!(scene.stage.observer.snapshot().errors, 3);
    });
}

#[test]
fn a_stop_wakes_a_pipeline_that_waits_after_an_error() {
    on_virtual_time(async {
        let mut scene = Scene::new(4);
        scene.settings.until_idle = false;
        scene
            .world
            .refuse("target", "Копии", Some(Value::Integer(2)));
        let (stop, text) = (CancellationToken::new(), scene.drain(COPY, ""));
        let stopping = async {
            sleep(Duration::from_secs(100)).await;
            stop.cancel();
            Instant::now()
        };
        let (outcome, stopped) = tokio::join!(scene.run_with(&text, stop.clone()), stopping);
        assert!(matches!(outcome, Outcome::Stopped), "{outcome:?}");
        assert!(stopped.elapsed() < Duration::from_millis(10));
    });
}

#[test]
fn a_batch_that_fails_in_the_body_does_not_hold_up_the_one_before() {
    on_virtual_time(async {
        let scene = Scene::new(8);
        let body = format!("IF @m.Номер = 5 THEN THROW 'нет' END\n{PRODUCE}");
        let error = gave_up(scene.run(&scene.drain(&body, "")).await);
        assert_eq!(error.code(), "E_THROW");
        assert!(
            error.span().is_some() && error.to_string().contains("= 5"),
            "{error}"
        );
        assert_eq!(scene.sent(), [1, 2, 3, 4], "once");
        assert_eq!(scene.left(), 4);
    });
}

#[test]
fn an_unknown_table_at_the_first_bind_ends_the_script() {
    on_virtual_time(async {
        let scene = Scene::new(4);
        let text = scene
            .drain(PRODUCE, "")
            .replace("FROM Очередь", "FROM Очередз");
        let error = failed(scene.run(&text).await);
        assert_eq!(error.code(), "E_BIND");
        assert!(!error.diagnostics().is_empty() && error.span().is_some());
    });
}

#[test]
fn an_unknown_column_in_the_body_ends_the_script_and_gives_the_batch_back() {
    on_virtual_time(async {
        let scene = Scene::new(4);
        let text = scene.drain(&COPY.replace("Тело =", "Тедо ="), "");
        let error = failed(scene.run(&text).await);
        assert_eq!(error.code(), "E_BIND");
        assert_eq!((scene.left(), scene.world.open_claims()), (4, 0));
    });
}

#[test]
fn a_database_that_is_down_at_the_start_is_waited_for() {
    on_virtual_time(async {
        let scene = Scene::new(4);
        // the first time it is asked before the script runs
        for _ in 0..1 + 3 {
            scene
                .world
                .fail_next(Operation::Describe, Fault::Refuse(ErrorClass::Transient));
        }
        ended(scene.run(&scene.drain(PRODUCE, "")).await);
        assert_eq!((scene.sent(), scene.left()), (vec![1, 2, 3, 4], 0));
        assert_eq!(scene.stage.observer.snapshot().retries, 3);
    });
}

#[test]
fn a_panic_in_a_sink_restarts_the_pipeline_and_loses_nothing() {
    on_virtual_time(async {
        for operation in [
            Operation::Deliver,
            Operation::Acknowledge,
            Operation::CommitSource,
        ] {
            let scene = Scene::new(10);
            scene.world.fail_next(operation, Fault::Panic);
            ended(scene.run(&scene.drain(PRODUCE, "")).await);
            let mut sent = scene.sent();
            sent.sort_unstable();
            sent.dedup();
            assert_eq!(sent, (1..=10).collect::<Vec<_>>(), "{operation:?}");
            let snapshot = scene.stage.observer.snapshot();
            assert_eq!((snapshot.errors, scene.left()), (1, 0), "{operation:?}");
            assert!(snapshot.last_error.unwrap_or_default().contains("panicked"));
        }
    });
}

#[test]
fn nothing_reaches_a_target_while_the_broker_is_down() {
    on_virtual_time(async {
        let scene = Scene::new(4);
        for _ in 0..4 {
            scene
                .world
                .fail_next(Operation::Acknowledge, Fault::Refuse(ErrorClass::Transient));
        }
        let text = scene.drain(&format!("{COPY}\n{PRODUCE}"), "");
        let looking = async {
            for _ in 0..14 {
                sleep(Duration::from_millis(500)).await;
                assert_eq!(scene.copied(), [0; 0]);
            }
        };
        let (outcome, ()) = tokio::join!(scene.run(&text), looking);
        ended(outcome);
        assert_eq!(scene.copied(), [1, 2, 3, 4], "once");
    });
}

#[test]
fn a_batch_past_the_byte_limit_goes_ahead_in_parts() {
    on_virtual_time(async {
        let mut scene = Scene::new(40);
        scene.settings.batch_bytes = 500;
        let text = scene
            .drain(&format!("{PRODUCE}\n{COPY}"), "")
            .replace("TOP 4", "TOP 20");
        ended(scene.run(&text).await);
        let all: Vec<i64> = (1..=40).collect();
        assert_eq!(
            (scene.sent(), scene.copied(), scene.left()),
            (all.clone(), all, 0)
        );
    });
}

#[test]
fn before_the_first_commit_parts_wait_for_their_batch_if_it_is_not_many_times_too_big() {
    // The 38 messages before the failure take a little less than 40,000 bytes.
    for (batch_bytes, goes_ahead) in [(4_000, true), (10_000, false)] {
        on_virtual_time(async {
            let mut scene = Scene::new(40);
            scene.settings.batch_bytes = batch_bytes;
            let body = format!(
                "PRODUCE '{{topic}}' SELECT Key = @m.Номер, Value = '{}'\nIF @m.Номер = 39 THEN THROW 'нет' END",
                "x".repeat(1000)
            );
            let text = scene.drain(&body, "").replace("TOP 4", "TOP 40");
            let error = gave_up(scene.run(&text).await);
            assert_eq!((error.code(), scene.left()), ("E_THROW", 40));
            assert_eq!(!scene.sent().is_empty(), goes_ahead, "{batch_bytes}");
        });
    }
}

#[test]
fn what_is_produced_outside_of_a_source_is_acknowledged_before_the_script_goes_on() {
    on_virtual_time(async {
        let scene = Scene::new(0);
        let produce = "PRODUCE '{topic}' SELECT Key = 7, Value = 'привет'";
        ended(
            scene
                .run(&scene.text(&format!("{produce}\nPRINT 'после'")))
                .await,
        );
        assert_eq!(
            (scene.sent(), scene.printed()),
            (vec![7], vec!["после".to_owned()])
        );
        scene
            .world
            .fail_next(Operation::Acknowledge, Fault::Refuse(ErrorClass::Transient));
        failed(scene.run(&scene.text(produce)).await);
    });
}

#[test]
fn an_error_outside_of_a_source_ends_the_script() {
    on_virtual_time(async {
        for fault in [Fault::Refuse(ErrorClass::Transient), Fault::Panic] {
            let scene = Scene::new(4);
            let text =
                "DECLARE @все array\nUSE '{queue}'\nSELECT Номер INTO @все FROM Очередь\nEND";
            scene.world.fail_next(Operation::Execute, fault);
            failed(scene.run(&scene.text(text)).await);
            assert_eq!(scene.left(), 4);
        }
    });
}

#[test]
fn a_parallel_loop_runs_a_pipeline_for_each_part() {
    on_virtual_time(async {
        let scene = Scene::new(0);
        fill(&scene.world, QUEUE, 1..=12, 3);
        for part in 0..3 {
            scene
                .world
                .insert("queue", "Части", vec![Value::Integer(part)]);
        }
        let consume = CONSUME.replace("ORDER", "WHERE Часть = @часть.Часть ORDER");
        let text = scene.text(&format!(
            "DECLARE @части array\nDECLARE @часть object\nUSE '{{queue}}'\n\
             SELECT Часть INTO @части FROM Части\nFOR @часть IN @части MAXDOP 2\n{consume}\n\
             {PRODUCE}\nEND\nEND\nPRINT 'после'"
        ));
        ended(scene.run(&text).await);
        let mut sent = scene.sent();
        sent.sort_unstable();
        assert_eq!((sent, scene.left()), ((1..=12).collect(), 0));
    });
}

#[test]
fn an_address_that_is_no_database_is_retried_with_its_reason() {
    on_virtual_time(async {
        let scene = Scene::new(1);
        let text = scene.drain(PRODUCE, "").replace("memory://", "topic://");
        let error = gave_up(scene.run(&text).await);
        assert_eq!(
            (error.code(), error.class()),
            ("E_URI", ErrorClass::Misconfigured)
        );
    });
}

#[test]
fn actors_live_on_the_threads_of_their_arbiters() {
    let system = System::new();
    system.block_on(async {
        let quick = FaultPlan {
            delay_max: Duration::ZERO,
            ..FaultPlan::none()
        };
        let world = world(quick);
        create_tables(&world);
        fill(&world, QUEUE, 1..=40, 1);
        let scene = Scene {
            world,
            ..Scene::new(0)
        };
        let mut spec = scene
            .stage
            .spec(&scene.drain(PRODUCE, ""), scene.settings.clone());
        spec.arbiters = Arbiters::new(2);
        ended(run(spec, CancellationToken::new(), CancellationToken::new()).await);
        assert_eq!((scene.sent(), scene.left()), ((1..=40).collect(), 0));
    });
}

const ONE_SHOT: &str = "PRODUCE '{topic}' SELECT Key = 1, Value = 'раз'\n";

#[test]
fn a_kill_in_a_delivery_outside_of_sources_is_an_error() {
    on_virtual_time(async {
        let scene = Scene::new(0);
        let stall = Fault::Stall(Duration::from_secs(1_000));
        scene.world.fail_next(Operation::Acknowledge, stall);
        let (stop, kill) = (CancellationToken::new(), CancellationToken::new());
        let spec = scene
            .stage
            .spec(&scene.text(ONE_SHOT), scene.settings.clone());
        let killing = async {
            sleep(Duration::from_secs(1)).await;
            stop.cancel();
            sleep(Duration::from_secs(20)).await;
            kill.cancel();
        };
        let (outcome, ()) = tokio::join!(run(spec, stop.clone(), kill.clone()), killing);
        let error = failed(outcome);
        assert_eq!(
            (error.code(), error.to_string().as_str()),
            (
                "E_CONFIRM",
                "the script was stopped before all was delivered"
            )
        );
        assert!(error.span().is_some());
    });
}

#[test]
fn a_stop_outside_of_sources_delivers_what_is_gathered() {
    on_virtual_time(async {
        let scene = Scene::new(0);
        let stop = CancellationToken::new();
        let text = scene.text(&format!("{ONE_SHOT}SLEEP 30\nPRINT 'после'\n"));
        let stopping = async {
            sleep(Duration::from_secs(5)).await;
            stop.cancel();
        };
        let (outcome, ()) = tokio::join!(scene.run_with(&text, stop.clone()), stopping);
        assert!(matches!(outcome, Outcome::Stopped), "{outcome:?}");
        assert_eq!((scene.sent(), scene.printed()), (vec![1], Vec::new()));
    });
}

#[test]
fn a_script_without_a_source_is_running_and_its_errors_have_places() {
    on_virtual_time(async {
        let scene = Scene::new(0);
        let text = scene.text("SLEEP 30\nTHROW 'нет'\n");
        let looking = async {
            sleep(Duration::from_secs(5)).await;
            scene.stage.observer.snapshot().state
        };
        let (outcome, state) = tokio::join!(scene.run(&text), looking);
        failed(outcome);
        assert_eq!(state, State::Running);
        let told = scene.stage.observer.snapshot().last_error;
        assert!(
            told.as_deref()
                .is_some_and(|told| told.starts_with("3:7: ")),
            "{told:?}"
        );
    });
}
