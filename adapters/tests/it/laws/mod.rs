//! The laws that every connector keeps, written once. A connector supplies a harness in its own folder and lists there, with
//! reasons, the laws that do not hold for it.

pub mod proxy;
pub mod service;
pub mod sink;
pub mod source;

use std::future::Future;
use std::time::Duration;

/// How long a system may take for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Why a law does not hold for a connector.
pub type Waiver = &'static str;

/// What a connector supplies for the laws of one kind.
pub trait Harness: Sized {
    /// Makes a place of its own at the system.
    async fn fresh() -> Self;

    /// Removes it.
    async fn close(self) {}
}

/// Awaits what must end.
pub async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(PATIENCE, future).await;
    ended.unwrap_or_else(|_| panic!("{what} does not end within {PATIENCE:?}"))
}

/// The bodies of a range.
pub fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("тело {n}")).collect()
}

/// Makes a test of each law of sources for a harness.
macro_rules! laws_of_sources {
    ($name:ident, $harness:ty) => {
        crate::laws::tests!(
            $name,
            source,
            $harness,
            [
                reads_in_order_and_at_most_the_limit,
                is_empty_for_sure_only_when_nothing_is_open,
                gives_back_in_order_what_is_released_or_dropped,
                commits_what_stands_before_a_batch_that_is_given_back,
                commits_what_is_open_after_the_source_is_gone,
                ends_a_batch_at_the_limit_of_bytes,
                a_read_that_is_broken_off_takes_nothing,
                a_claim_dies_with_its_connection,
                a_queue_that_vanishes_is_an_error,
            ]
        );
    };
}

/// Makes a test of each law of sinks for a harness.
macro_rules! laws_of_sinks {
    ($name:ident, $harness:ty) => {
        crate::laws::tests!(
            $name,
            sink,
            $harness,
            [
                a_receipt_means_that_the_records_are_there,
                keeps_order_whatever_receipt_is_awaited_first,
                carries_odd_bodies,
                a_refused_record_is_named,
                a_dropped_receipt_gives_the_batch_up,
                a_dropped_sink_leaves_nobody_waiting,
                a_target_that_vanishes_is_an_error,
                answers_a_batch_without_records_at_once,
            ]
        );
    };
}

/// Makes a test of each law of databases for a harness.
macro_rules! laws_of_services {
    ($name:ident, $harness:ty) => {
        crate::laws::tests!(
            $name,
            service,
            $harness,
            [
                a_commit_makes_writes_visible_and_final,
                a_rehearsal_tells_what_the_commit_would_and_makes_nothing_final,
                release_and_drop_write_nothing,
                a_failed_statement_poisons_the_claim,
                writes_join_the_claim_of_the_source,
                a_refused_write_leaves_the_queue_as_it_was,
                a_call_without_transaction_is_all_or_nothing,
                tells_that_a_name_is_unknown,
            ]
        );
    };
}

/// Makes a module of tests.
macro_rules! tests {
    ($name:ident, $of:ident, $harness:ty, [$($law:ident),* $(,)?]) => {
        mod $name {
            use super::*;
            $(
                #[tokio::test]
                async fn $law() {
                    let harness = <$harness as crate::laws::Harness>::fresh().await;
                    crate::laws::$of::$law(&harness).await;
                    crate::laws::Harness::close(harness).await;
                }
            )*
        }
    };
}

pub(crate) use {laws_of_services, laws_of_sinks, laws_of_sources, tests};
