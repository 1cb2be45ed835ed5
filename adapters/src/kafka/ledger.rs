//! Who waits for which reports: messages have numbers, a batch is a range of them.
//!
//! One number per message costs nothing (it travels as the library's opaque pointer) and names the record that was refused.

use std::collections::VecDeque;

use rdkafka::error::RDKafkaErrorCode as Code;
use tokio::sync::oneshot;

use super::error::is_consequence;

/// A message that was not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// What the library says.
    pub(super) code: Code,
    /// Index of the record in its batch; `None` if the failure is not of one record.
    pub(super) record: Option<usize>,
    /// Topic of the message.
    pub(super) topic: String,
    /// Bytes of the message.
    pub(super) bytes: usize,
}

/// A batch whose reports are awaited.
#[derive(Debug)]
struct Open {
    first: usize,
    total: usize,
    left: usize,
    failure: Option<Failure>,
    ended: Option<oneshot::Sender<()>>,
}

/// The open batches of one producer, in order.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    next: usize,
    open: VecDeque<Open>,
}

impl Ledger {
    /// Opens a batch of `total` messages, at least one; answers the number of its first message and the signal of its end: the last
    /// confirmation, or the first failure.
    pub(super) fn open(&mut self, total: usize) -> (usize, oneshot::Receiver<()>) {
        let (ended, signal) = oneshot::channel();
        let first = self.next;
        self.next = first.wrapping_add(total);
        self.open.push_back(Open {
            first,
            total,
            left: total,
            failure: None,
            ended: Some(ended),
        });
        (first, signal)
    }

    /// Notes that a message is durable.
    pub(super) fn confirm(&mut self, number: usize) {
        let Some(batch) = self.open.iter_mut().find(|batch| batch.holds(number)) else {
            return;
        };
        batch.left -= 1;
        if batch.left == 0 {
            batch.end();
        }
    }

    /// Notes that a message was not delivered. Reports of the batches behind may never come: they end too.
    pub(super) fn fail(&mut self, number: usize, code: Code, topic: &str, bytes: usize) {
        let Some(position) = self.open.iter().position(|batch| batch.holds(number)) else {
            return;
        };
        for (index, batch) in self.open.iter_mut().enumerate().skip(position) {
            let failure = if index == position {
                let record = Some(number.wrapping_sub(batch.first));
                Failure {
                    code,
                    record,
                    topic: topic.to_owned(),
                    bytes,
                }
            } else {
                Failure {
                    code: Code::PurgeQueue,
                    record: None,
                    topic: topic.to_owned(),
                    bytes: 0,
                }
            };
            batch.fail(failure);
        }
    }

    /// Ends every batch: the producer is of no use any more.
    pub(super) fn fail_all(&mut self, code: Code) {
        for batch in &mut self.open {
            batch.fail(Failure {
                code,
                record: None,
                topic: String::new(),
                bytes: 0,
            });
        }
    }

    /// The best known reason of the batch's failure.
    pub(super) fn failure(&self, first: usize) -> Option<&Failure> {
        self.open
            .iter()
            .find(|batch| batch.first == first)?
            .failure
            .as_ref()
    }

    /// Forgets a batch; answers how many of its messages are not confirmed.
    pub(super) fn close(&mut self, first: usize) -> usize {
        let Some(position) = self.open.iter().position(|batch| batch.first == first) else {
            return 0;
        };
        self.open.remove(position).map_or(0, |batch| batch.left)
    }
}

impl Open {
    fn holds(&self, number: usize) -> bool {
        number.wrapping_sub(self.first) < self.total
    }

    fn fail(&mut self, failure: Failure) {
        let better = match &self.failure {
            None => true,
            Some(known) if is_consequence(known.code) => !is_consequence(failure.code),
            // A refused request fails all its messages: the largest one is the likeliest cause.
            Some(known) => known.code == failure.code && failure.bytes > known.bytes,
        };
        if better {
            self.failure = Some(failure);
        }
        self.end();
    }

    fn end(&mut self) {
        if let Some(ended) = self.ended.take() {
            // Nobody may wait any more: the batch was given up.
            let _ = ended.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_a_batch_with_its_last_confirmation() {
        let mut ledger = Ledger::default();
        let (first, mut one) = ledger.open(2);
        let (second, mut two) = ledger.open(1);
        ledger.confirm(second);
        assert!(two.try_recv().is_ok());
        ledger.confirm(first);
        assert!(one.try_recv().is_err());
        ledger.confirm(first + 1);
        assert!(one.try_recv().is_ok());
        assert_eq!(ledger.failure(first), None);
        assert_eq!(ledger.close(first), 0);
    }

    #[test]
    fn ends_a_batch_and_those_behind_with_the_first_failure() {
        let mut ledger = Ledger::default();
        let (before, mut zero) = ledger.open(1);
        let (first, mut one) = ledger.open(3);
        let (second, mut two) = ledger.open(1);
        ledger.fail(first + 1, Code::MessageSizeTooLarge, "заказы", 10);
        assert!(zero.try_recv().is_err());
        assert!(one.try_recv().is_ok());
        assert!(two.try_recv().is_ok());
        assert_eq!(ledger.failure(before), None);
        assert_eq!(ledger.failure(first).and_then(|f| f.record), Some(1));
        assert_eq!(
            ledger.failure(second).map(|f| f.code),
            Some(Code::PurgeQueue)
        );
        assert_eq!(ledger.close(first), 3);
    }

    #[test]
    fn keeps_the_cause_rather_than_its_consequences() {
        let mut ledger = Ledger::default();
        let (first, _ended) = ledger.open(3);
        ledger.fail_all(Code::Fatal);
        ledger.fail(first, Code::MessageSizeTooLarge, "t", 10);
        ledger.fail(first + 2, Code::MessageSizeTooLarge, "t", 900);
        ledger.fail(first + 1, Code::MessageSizeTooLarge, "t", 20);
        ledger.fail(first + 1, Code::GaplessGuarantee, "t", 2000);
        let failure = ledger.failure(first).expect("it failed");
        assert_eq!((failure.record, failure.bytes), (Some(2), 900));
    }
}
