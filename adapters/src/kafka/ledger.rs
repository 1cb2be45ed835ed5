//! Who waits for which reports: messages have numbers, a batch is a range of them.
//!
//! One number per message costs nothing (it travels as the library's opaque pointer) and names the record that was
//! refused.

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
    /// True if the message has no key.
    pub(super) keyless: bool,
}

impl Failure {
    /// A failure that is not of one record.
    fn of_batch(code: Code, topic: &str) -> Self {
        Self {
            code,
            record: None,
            topic: topic.to_owned(),
            bytes: 0,
            keyless: false,
        }
    }

    /// True if this is likelier the cause than `known`. The library gives all messages of a refused request the same
    /// code: of these the largest one is too large, and one without key is invalid.
    fn explains_more_than(&self, known: &Failure) -> bool {
        if is_consequence(known.code) {
            return !is_consequence(self.code);
        }
        known.code == self.code
            && match self.code {
                Code::InvalidRecord => self.keyless && !known.keyless,
                _ => self.bytes > known.bytes,
            }
    }
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
    /// Opens a batch of `total` messages, at least one; answers the number of its first message and the signal of its
    /// end: the last confirmation, or the first failure.
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

    /// Notes that a message was not delivered; `failure` need not know its record. Reports of the batches behind may
    /// never come: they end too.
    pub(super) fn fail(&mut self, number: usize, mut failure: Failure) {
        let Some(position) = self.open.iter().position(|batch| batch.holds(number)) else {
            return;
        };
        let behind = Failure::of_batch(Code::PurgeQueue, &failure.topic);
        for batch in self.open.iter_mut().skip(position + 1) {
            batch.fail(behind.clone());
        }
        let batch = &mut self.open[position];
        failure.record = Some(number.wrapping_sub(batch.first));
        batch.fail(failure);
    }

    /// Ends every batch: the producer is of no use any more.
    pub(super) fn fail_all(&mut self, code: Code) {
        for batch in &mut self.open {
            batch.fail(Failure::of_batch(code, ""));
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

    /// How many messages of the batch are not confirmed.
    pub(super) fn left(&self, first: usize) -> usize {
        self.open
            .iter()
            .find(|batch| batch.first == first)
            .map_or(0, |batch| batch.left)
    }

    /// Forgets a batch.
    pub(super) fn close(&mut self, first: usize) {
        self.open.retain(|batch| batch.first != first);
    }
}

impl Open {
    fn holds(&self, number: usize) -> bool {
        number.wrapping_sub(self.first) < self.total
    }

    fn fail(&mut self, failure: Failure) {
        if self
            .failure
            .as_ref()
            .is_none_or(|known| failure.explains_more_than(known))
        {
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

    fn failure(code: Code, bytes: usize) -> Failure {
        Failure {
            bytes,
            ..Failure::of_batch(code, "заказы")
        }
    }

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
        ledger.close(first);
        assert_eq!(ledger.open.len(), 1);
    }

    #[test]
    fn ends_a_batch_and_those_behind_with_the_first_failure() {
        let mut ledger = Ledger::default();
        let (before, mut zero) = ledger.open(1);
        let (first, mut one) = ledger.open(3);
        let (second, mut two) = ledger.open(1);
        ledger.fail(first + 1, failure(Code::MessageSizeTooLarge, 10));
        assert!(zero.try_recv().is_err());
        assert!(one.try_recv().is_ok());
        assert!(two.try_recv().is_ok());
        assert_eq!(ledger.failure(before), None);
        assert_eq!(ledger.failure(first).and_then(|f| f.record), Some(1));
        assert_eq!(
            ledger.failure(second).map(|f| f.code),
            Some(Code::PurgeQueue)
        );
        assert_eq!(ledger.left(first), 3);
    }

    #[test]
    fn keeps_the_cause_rather_than_its_consequences() {
        let mut ledger = Ledger::default();
        let (first, _ended) = ledger.open(3);
        ledger.fail_all(Code::Fatal);
        ledger.fail(first, failure(Code::MessageSizeTooLarge, 10));
        ledger.fail(first + 2, failure(Code::MessageSizeTooLarge, 900));
        ledger.fail(first + 1, failure(Code::MessageSizeTooLarge, 20));
        ledger.fail(first + 1, failure(Code::GaplessGuarantee, 2000));
        let failure = ledger.failure(first).expect("it failed");
        assert_eq!((failure.record, failure.bytes), (Some(2), 900));
    }
    #[test]
    fn takes_a_message_without_key_for_the_invalid_one() {
        let mut ledger = Ledger::default();
        let (first, _ended) = ledger.open(3);
        ledger.fail(first, failure(Code::InvalidRecord, 9));
        let keyless = Failure {
            keyless: true,
            ..failure(Code::InvalidRecord, 1)
        };
        ledger.fail(first + 1, keyless);
        ledger.fail(first + 2, failure(Code::InvalidRecord, 99));
        assert_eq!(ledger.failure(first).and_then(|f| f.record), Some(1));
    }
}
