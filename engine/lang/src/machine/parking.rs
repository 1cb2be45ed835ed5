//! Records that are set aside while others run: each keeps what belongs to it, all share the heap.

use dajet_core::Address;

use super::Clock;
use super::heap::{Datum, NULL};
use super::run::{Pending, State};
use crate::plan::Plan;
use crate::program::Counter;

/// A record that was set aside.
#[derive(Debug)]
pub struct Parked(usize);

/// What belongs to a record.
#[derive(Debug)]
pub(super) struct Frame {
    counter: Counter,
    pending: Pending,
    clock: Option<Clock>,
    /// The values of [`crate::program::Joining::own`].
    values: Vec<Datum>,
    /// The addresses of [`crate::program::Joining::places`].
    addresses: Vec<Option<Address>>,
    iterators: Vec<(Vec<Datum>, usize)>,
}

impl Frame {
    /// What it holds of the heap.
    pub(super) fn roots(&mut self) -> impl Iterator<Item = &mut Datum> {
        let items = self.iterators.iter_mut().flat_map(|(items, _)| items);
        self.values.iter_mut().chain(items)
    }
}

impl State {
    pub(super) fn park(&mut self, plan: &Plan) -> Parked {
        let pending = std::mem::replace(&mut self.pending, Pending::Start);
        let mut frame = Frame {
            counter: self.counter,
            pending,
            clock: self.memory.clock,
            values: Vec::new(),
            addresses: Vec::new(),
            iterators: Vec::new(),
        };
        if let Some(joining) = &plan.program(self.program).joining {
            let slots = &mut self.memory.slots;
            let take = |slot: &usize| std::mem::replace(&mut slots[*slot], NULL);
            frame.values = joining.own.iter().map(take).collect();
            let places = joining.places.iter();
            frame.addresses = places
                .map(|place| self.memory.addresses[*place].take())
                .collect();
            if self.iterators.iter().any(|(items, _)| !items.is_empty()) {
                frame.iterators = self.iterators.iter_mut().map(std::mem::take).collect();
            }
        }
        self.parked.push(Some(frame));
        Parked(self.parked.len() - 1)
    }

    pub(super) fn take_up(&mut self, plan: &Plan, parked: Parked) {
        let Some(frame) = self.discard(parked) else {
            return;
        };
        (self.counter, self.pending) = (frame.counter, frame.pending);
        self.memory.clock = frame.clock;
        if let Some(joining) = &plan.program(self.program).joining {
            for (slot, value) in joining.own.iter().zip(frame.values) {
                self.memory.slots[*slot] = value;
            }
            for (place, address) in joining.places.iter().zip(frame.addresses) {
                self.memory.addresses[*place] = address;
            }
        }
        for (iterator, saved) in self.iterators.iter_mut().zip(frame.iterators) {
            *iterator = saved;
        }
    }

    pub(super) fn discard(&mut self, parked: Parked) -> Option<Frame> {
        let frame = self.parked.get_mut(parked.0).and_then(Option::take);
        while matches!(self.parked.last(), Some(None)) {
            self.parked.pop();
        }
        frame
    }

    /// No record is set aside any more.
    pub(super) fn settle(&mut self) {
        self.ahead = false;
        self.parked.clear();
        self.clean();
    }
}
