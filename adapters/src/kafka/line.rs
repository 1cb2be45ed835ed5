//! What the reading task, the source and its claims share: messages that are not yet read, the partitions that are ours, and the open batches.
//!
//! A partition may be taken from us at any time. Its messages that are not yet read are thrown away then; a batch that holds some of them may be
//! finished first. A batch that is given back ends the line: the source opens another one, which begins at what is committed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dajet_core::{Signs, SystemError};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::letter::{Letter, Place};

/// Longest wait for leaving the group.
const LEAVING: Duration = Duration::from_secs(5);

/// Consecutive messages of one partition in a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) place: Place,
    /// Which time the partition was ours.
    pub(super) epoch: u64,
    /// Where the partition stood when the batch was taken: messages may be missing before the first.
    pub(super) began: i64,
    pub(super) first: i64,
    /// The offset behind the last message.
    pub(super) next: i64,
    pub(super) count: usize,
}

/// A partition that is ours.
#[derive(Clone, Debug)]
struct Partition {
    epoch: u64,
    /// Soon given to another member: no more of its messages are read.
    leaving: bool,
    /// The offset behind the last message that came.
    position: i64,
    /// The offset behind the last message that was taken into a batch.
    taken: i64,
    /// The offset behind the last message that is committed.
    committed: i64,
    /// The end of the partition when it was asked for.
    high: Option<i64>,
    /// The end as the brokers told it when the library had nothing more to fetch.
    end: Option<i64>,
}

#[derive(Default)]
struct State {
    letters: VecDeque<Letter>,
    bytes: usize,
    partitions: BTreeMap<Place, Partition>,
    /// How many partitions of each number have no more messages. (The library does not tell the topic.)
    ends: BTreeMap<i32, usize>,
    /// No topic is there that we would read.
    unmatched: bool,
    /// When the group has given us partitions, perhaps none.
    assigned: Option<Instant>,
    /// The open batches, in order.
    open: BTreeMap<u64, Vec<Stretch>>,
    batches: u64,
    epochs: u64,
    /// The earliest batch that was given back: nothing from there on can be committed.
    given_back: Option<u64>,
    /// The source is gone.
    abandoned: bool,
    failure: Option<SystemError>,
    failed: bool,
    closed: bool,
}

/// See the module.
pub(super) struct Line {
    state: Mutex<State>,
    letters_max: usize,
    bytes_max: AtomicUsize,
    /// Where the lag is shown.
    signs: Signs,
    /// Something has come for the source.
    pub(super) arrived: Notify,
    /// Something is to be done by the reading task.
    pub(super) stir: Notify,
    /// A batch is no longer open, or the line is closed.
    settled: Notify,
}

/// What a batch is made of.
pub(super) struct Taken {
    pub(super) number: u64,
    pub(super) letters: Vec<Letter>,
    pub(super) stretches: Vec<Stretch>,
}

impl Line {
    /// Makes a line that takes about so many messages ahead.
    pub(super) fn new(letters_max: usize, bytes_max: usize, signs: Signs) -> Self {
        Self {
            state: Mutex::default(),
            letters_max,
            bytes_max: AtomicUsize::new(bytes_max),
            signs,
            arrived: Notify::new(),
            stir: Notify::new(),
            settled: Notify::new(),
        }
    }

    /// Sets how many bytes are taken ahead.
    pub(super) fn limit(&self, bytes: usize) {
        self.bytes_max.store(bytes, Ordering::Relaxed);
    }

    // ---- For the reading task.

    /// True if no more messages are to be taken for now.
    pub(super) fn is_full(&self) -> bool {
        let state = self.state.lock();
        state.letters.len() >= self.letters_max
            || state.bytes >= self.bytes_max.load(Ordering::Relaxed)
    }

    /// True if half of the room is free.
    pub(super) fn has_room(&self) -> bool {
        let state = self.state.lock();
        state.letters.len() <= self.letters_max / 2
            && state.bytes <= self.bytes_max.load(Ordering::Relaxed) / 2
    }

    /// Takes messages in; those of partitions that are not ours are thrown away.
    pub(super) fn push(&self, letters: Vec<Letter>) {
        let mut state = self.state.lock();
        let state = &mut *state;
        if state.is_ending() {
            return;
        }
        for letter in letters {
            let Some(partition) = state.partitions.get_mut(&letter.place) else {
                continue;
            };
            state.ends.remove(&letter.place.1);
            if partition.leaving {
                continue;
            }
            partition.position = letter.offset + 1;
            partition.end = None;
            state.bytes += letter.size();
            state.letters.push_back(letter);
        }
        self.arrived.notify_one();
    }

    /// Notes that a partition of this number has no more messages.
    pub(super) fn end_of(&self, partition: i32) {
        *self.state.lock().ends.entry(partition).or_default() += 1;
        self.arrived.notify_one();
    }

    /// Notes that partitions are ours, from these offsets on.
    pub(super) fn assign(&self, places: impl IntoIterator<Item = (Place, i64)>) {
        let mut state = self.state.lock();
        state.epochs += 1;
        let epoch = state.epochs;
        for (place, position) in places {
            state.ends.remove(&place.1);
            let partition = Partition {
                epoch,
                leaving: false,
                position,
                taken: position,
                committed: position,
                high: None,
                end: None,
            };
            state.partitions.insert(place, partition);
        }
        state.assigned = Some(Instant::now());
        self.arrived.notify_one();
    }

    /// Notes that partitions are to be given up: nothing more of them is read.
    pub(super) fn leave(&self, places: &[Place]) {
        let mut state = self.state.lock();
        for place in places {
            if let Some(partition) = state.partitions.get_mut(place) {
                partition.leaving = true;
            }
        }
        state.throw_away(places);
    }

    /// Notes that partitions are no longer ours: batches that hold messages of them cannot be committed.
    pub(super) fn lose(&self, places: &[Place]) {
        let mut state = self.state.lock();
        for place in places {
            state.partitions.remove(place);
            state.ends.remove(&place.1);
        }
        state.throw_away(places);
        state.assigned = Some(Instant::now());
    }

    /// Waits until no open batch holds messages of these partitions; false if one still does at the deadline.
    pub(super) async fn let_go(&self, places: &[Place], deadline: Instant) -> bool {
        let held = || {
            let state = self.state.lock();
            let mut stretches = state.open.values().flatten();
            stretches.any(|stretch| places.contains(&stretch.place))
        };
        self.until(|| !held(), deadline).await
    }

    /// The partitions that are ours.
    pub(super) fn places(&self) -> Vec<Place> {
        self.state.lock().partitions.keys().cloned().collect()
    }

    /// Notes the ends of partitions.
    pub(super) fn measure(&self, heights: Vec<(Place, i64)>) {
        let mut state = self.state.lock();
        for (place, height) in heights {
            if let Some(partition) = state.partitions.get_mut(&place) {
                partition.high = Some(height);
            }
        }
        state.show_lag(&self.signs);
    }

    /// Notes whether there is no topic that we would read.
    pub(super) fn set_unmatched(&self, unmatched: bool) {
        self.state.lock().unmatched = unmatched;
    }

    /// True if there is no topic that we would read.
    pub(super) fn is_unmatched(&self) -> bool {
        let state = self.state.lock();
        state.unmatched && state.partitions.is_empty()
    }

    /// Ends the line with an error for the next read.
    pub(super) fn fail(&self, error: SystemError) {
        let mut state = self.state.lock();
        if !state.failed {
            state.failed = true;
            state.failure = Some(error);
        }
        self.arrived.notify_one();
    }

    /// True if the consumer is of no more use: no more reads, no open batch.
    pub(super) fn is_over(&self) -> bool {
        let state = self.state.lock();
        state.is_ending() && state.open.is_empty()
    }

    /// True if no more messages are read.
    pub(super) fn is_ending(&self) -> bool {
        self.state.lock().is_ending()
    }

    /// Notes that the consumer is gone.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.settled.notify_waiters();
    }

    // ---- For the source.

    /// The error that ended the line, once; a later call gets a short one.
    pub(super) fn failure(&self) -> Option<SystemError> {
        let mut state = self.state.lock();
        if let Some(error) = state.failure.take() {
            return Some(error);
        }
        let ended = || SystemError::transient("E_KAFKA", "the consumer has ended");
        state.failed.then(ended)
    }

    /// Messages that wait and their bytes.
    pub(super) fn waiting(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.letters.len(), state.bytes)
    }

    /// Looks at the waiting messages.
    pub(super) fn look<T>(&self, at: impl FnOnce(&VecDeque<Letter>) -> T) -> T {
        at(&self.state.lock().letters)
    }

    /// Opens a batch of the first messages; `None` if none is there (any more).
    pub(super) fn take(&self, letters_max: usize, bytes_max: usize) -> Option<Taken> {
        let mut state = self.state.lock();
        let mut letters = Vec::with_capacity(state.letters.len().min(letters_max));
        let mut bytes = 0;
        while let Some(letter) = state.letters.front()
            && letters.len() < letters_max
        {
            let size = letter.size();
            if !letters.is_empty() && bytes + size > bytes_max {
                break;
            }
            bytes += size;
            letters.extend(state.letters.pop_front());
        }
        state.bytes -= bytes;
        if letters.is_empty() {
            return None;
        }
        let stretches = state.stretches(&letters);
        for stretch in &stretches {
            if let Some(partition) = state.partitions.get_mut(&stretch.place) {
                partition.taken = stretch.next;
            }
        }
        let number = state.batches;
        state.batches += 1;
        state.open.insert(number, stretches.clone());
        self.stir.notify_one();
        Some(Taken {
            number,
            letters,
            stretches,
        })
    }

    /// How long the group has given us nothing; `None` if it has given us something, or has not answered.
    pub(super) fn idle_member(&self) -> Option<Duration> {
        let state = self.state.lock();
        state
            .assigned
            .filter(|_| state.partitions.is_empty())
            .map(|since| since.elapsed())
    }

    /// True if no batch is open, no message waits, and the library says that no partition has more.
    pub(super) fn seems_at_end(&self) -> bool {
        let state = self.state.lock();
        state.is_quiet()
            && state
                .partitions
                .keys()
                .all(|place| state.has_ended(place.1))
    }

    /// Partitions whose end has to be asked for; `None` if there is something to do or to wait for.
    pub(super) fn quiet(&self) -> Option<Vec<Place>> {
        let state = self.state.lock();
        state
            .is_quiet()
            .then(|| state.partitions.keys().cloned().collect())
    }

    /// True if every partition stands at the end that the brokers tell. Where the last messages are none for us (marks of transactions) the library's
    /// word is taken, if the end has not moved since the last time.
    pub(super) fn is_at_end(&self, ends: &[(Place, i64)]) -> bool {
        let mut state = self.state.lock();
        let mut all = state.is_quiet() && ends.len() == state.partitions.len();
        for (place, end) in ends {
            let ended = state.has_ended(place.1);
            let Some(partition) = state.partitions.get_mut(place) else {
                return false;
            };
            let told = ended && partition.end.replace(*end) == Some(*end);
            all &= partition.position >= *end || told;
        }
        all
    }

    /// Batches that are open.
    pub(super) fn open(&self) -> usize {
        self.state.lock().open.len()
    }

    /// Waits until no batch is open; false if one still is at the deadline.
    pub(super) async fn alone(&self, deadline: Instant) -> bool {
        self.until(|| self.open() == 0, deadline).await
    }

    /// The source is gone: what waits is thrown away, open batches may be finished.
    pub(super) fn abandon(&self) {
        let mut state = self.state.lock();
        state.abandoned = true;
        state.letters.clear();
        state.bytes = 0;
        self.stir.notify_one();
    }

    // ---- For the claims.

    /// Tells whether a batch can be committed.
    ///
    /// # Errors
    /// `Transient` if it was given back or holds messages of a partition that is no longer ours; `Fault` if it is not the earliest.
    pub(super) fn may_commit(&self, number: u64) -> Result<(), SystemError> {
        let state = self.state.lock();
        if state.given_back.is_some_and(|limit| limit <= number) {
            let message = "the messages were given back with an earlier batch";
            return Err(SystemError::transient("E_KAFKA", message));
        }
        if state.open.first_key_value().map(|(first, _)| *first) != Some(number) {
            return Err(SystemError::fault("offsets are committed out of order"));
        }
        let lost = state.open[&number].iter().find(|stretch| {
            let ours = state.partitions.get(&stretch.place);
            ours.is_none_or(|partition| partition.epoch != stretch.epoch)
        });
        match lost {
            Some(Stretch { place, .. }) => Err(SystemError::transient(
                "E_KAFKA",
                format!(
                    "partition {} of topic \"{}\" was given to another member of the group",
                    place.1, place.0
                ),
            )),
            None => Ok(()),
        }
    }

    /// Notes that a batch is committed.
    pub(super) fn commit(&self, number: u64) {
        {
            let mut state = self.state.lock();
            for stretch in state.open.remove(&number).unwrap_or_default() {
                if let Some(partition) = state.partitions.get_mut(&stretch.place) {
                    partition.committed = stretch.next;
                }
            }
            state.show_lag(&self.signs);
        }
        self.settle();
    }

    /// Notes that a batch is given back, and all behind it; true if it was the earliest and no earlier one was given back before.
    pub(super) fn give_back(&self, number: u64) -> bool {
        let at_head = {
            let mut state = self.state.lock();
            let first = state.open.keys().next() == Some(&number);
            let at_head = first && state.given_back.is_none_or(|limit| limit >= number);
            state.given_back = Some(state.given_back.map_or(number, |limit| limit.min(number)));
            state.open.remove(&number);
            state.letters.clear();
            state.bytes = 0;
            at_head
        };
        self.settle();
        self.arrived.notify_one();
        at_head
    }

    /// Waits until the consumer has left its group, so that a successor begins at once; not if a batch is still open, or a source may still read.
    pub(super) async fn left(&self) {
        if self.is_over() {
            // If it takes longer, the group finds out by itself.
            let deadline = Instant::now() + LEAVING;
            self.until(|| self.state.lock().closed, deadline).await;
        }
    }

    fn settle(&self) {
        self.settled.notify_waiters();
        self.stir.notify_one();
    }

    async fn until(&self, reached: impl Fn() -> bool, deadline: Instant) -> bool {
        loop {
            let settled = self.settled.notified();
            if reached() {
                return true;
            }
            if timeout_at(deadline, settled).await.is_err() {
                return reached();
            }
        }
    }
}

impl State {
    fn is_ending(&self) -> bool {
        self.abandoned || self.failed || self.given_back.is_some()
    }

    /// Shows how many messages are behind the last commits, if the end of every partition is known.
    fn show_lag(&self, signs: &Signs) {
        let behind = |partition: &Partition| {
            let behind = partition.high? - partition.committed;
            Some(u64::try_from(behind).unwrap_or(0))
        };
        let lag: Option<u64> = self.partitions.values().map(behind).sum();
        if let Some(lag) = lag.filter(|_| self.assigned.is_some()) {
            signs.show_lag(lag);
        }
    }

    fn is_quiet(&self) -> bool {
        self.assigned.is_some()
            && self.open.is_empty()
            && self.letters.is_empty()
            && self.partitions.values().all(|partition| !partition.leaving)
    }

    /// True if as many partitions of this number have ended as we have.
    fn has_ended(&self, number: i32) -> bool {
        let ours = self.partitions.keys().filter(|place| place.1 == number);
        self.ends.get(&number).copied().unwrap_or(0) >= ours.count()
    }

    fn throw_away(&mut self, places: &[Place]) {
        self.letters
            .retain(|letter| !places.contains(&letter.place));
        self.bytes = self.letters.iter().map(Letter::size).sum();
    }

    fn stretches(&self, letters: &[Letter]) -> Vec<Stretch> {
        let mut stretches: Vec<Stretch> = Vec::new();
        let mut last = 0;
        for letter in letters {
            if stretches.get(last).is_none_or(|s| s.place != letter.place) {
                last = stretches
                    .iter()
                    .position(|stretch| stretch.place == letter.place)
                    .unwrap_or(stretches.len());
            }
            match stretches.get_mut(last) {
                Some(stretch) => {
                    stretch.next = letter.offset + 1;
                    stretch.count += 1;
                }
                None => {
                    // Messages of partitions that are not ours were thrown away.
                    let ours = self.partitions.get(&letter.place);
                    stretches.push(Stretch {
                        place: letter.place.clone(),
                        epoch: ours.map_or(0, |partition| partition.epoch),
                        began: ours.map_or(letter.offset, |partition| partition.taken),
                        first: letter.offset,
                        next: letter.offset + 1,
                        count: 1,
                    })
                }
            }
        }
        stretches
    }
}

#[cfg(test)]
mod tests {
    use super::super::letter::tests::letter;
    use super::*;

    const TOPIC: &str = "заказы";

    fn place(partition: i32) -> Place {
        (TOPIC.into(), partition)
    }

    /// A line with partitions 0 and 1, from offset 0 on.
    fn line() -> Line {
        let line = Line::new(4, 1 << 20, Signs::default());
        line.assign([(place(0), 0), (place(1), 0)]);
        line
    }

    fn take(line: &Line) -> Taken {
        line.take(2, usize::MAX).expect("there are messages")
    }

    #[test]
    fn commits_batches_in_order_and_none_behind_one_that_was_given_back() {
        let line = line();
        line.push((0..6).map(|offset| letter(TOPIC, 0, offset)).collect());
        assert!(line.is_full());
        let (first, second, third) = (take(&line), take(&line), take(&line));
        assert!(line.has_room() && line.open() == 3);
        assert_eq!(
            (second.stretches[0].first, second.stretches[0].next),
            (2, 4)
        );
        let early = line
            .may_commit(second.number)
            .expect_err("it is not the first");
        assert_eq!(early.code, "E_FAULT");
        assert!(!line.give_back(second.number), "it is not at the head");
        assert!(line.is_ending() && !line.is_over());
        line.may_commit(first.number).expect("it stands before it");
        line.commit(first.number);
        assert!(line.may_commit(third.number).is_err());
        assert!(!line.give_back(third.number), "an earlier one is at fault");
        assert!(line.is_over());
    }

    #[test]
    fn the_lag_counts_from_the_commit_to_the_end() {
        let line = line();
        line.push((0..4).map(|offset| letter(TOPIC, 0, offset)).collect());
        let taken = take(&line);
        line.measure(vec![(place(0), 10)]);
        assert_eq!(
            line.signs.lag(),
            None,
            "the end of partition 1 is not known"
        );
        line.measure(vec![(place(1), 5)]);
        assert_eq!(line.signs.lag(), Some(15));
        line.commit(taken.number);
        assert_eq!(line.signs.lag(), Some(13));
        line.lose(&[place(0)]);
        line.measure(vec![(place(0), 10)]);
        assert_eq!(line.signs.lag(), Some(5));
    }

    #[tokio::test(start_paused = true)]
    async fn throws_messages_away_when_their_partition_leaves() {
        let line = line();
        line.push(vec![letter(TOPIC, 0, 0), letter(TOPIC, 1, 0)]);
        let held = line.take(1, usize::MAX).expect("there are messages");
        line.push(vec![letter(TOPIC, 0, 1), letter(TOPIC, 7, 0)]);
        line.leave(&[place(0)]);
        line.push(vec![letter(TOPIC, 0, 2)]);
        assert_eq!(line.waiting().0, 1);
        let soon = Instant::now() + Duration::from_secs(1);
        assert!(!line.let_go(&[place(0)], soon).await, "it is held");
        line.may_commit(held.number).expect("it is still ours");
        line.lose(&[place(0)]);
        let error = line.may_commit(held.number).expect_err("it is another's");
        assert_eq!(
            error.message,
            "partition 0 of topic \"заказы\" was given to another member of the group"
        );
        // Given back and come again is not the same.
        line.assign([(place(0), 0)]);
        assert!(line.may_commit(held.number).is_err());
    }

    #[test]
    fn stands_at_the_end_when_the_brokers_or_the_library_say_so() {
        let line = line();
        let ends = |first, second| [(place(0), first), (place(1), second)];
        assert!(!line.seems_at_end());
        assert!(line.is_at_end(&ends(0, 0)) && !line.is_at_end(&ends(0, 1)));
        line.end_of(0);
        line.end_of(1);
        assert!(line.seems_at_end());
        // A mark of a transaction stands behind the last message.
        assert!(!line.is_at_end(&ends(0, 1)) && line.is_at_end(&ends(0, 1)));
        assert!(!line.is_at_end(&ends(0, 2)));
        line.push(vec![letter(TOPIC, 1, 1)]);
        assert!(!line.seems_at_end() && line.quiet().is_none());
        let taken = take(&line);
        assert!(!line.is_at_end(&ends(0, 2)), "a batch is open");
        line.commit(taken.number);
        assert!(line.is_at_end(&ends(0, 2)));
    }
}
