//! The fault plan: what goes wrong, and when, drawn from a seed.

use std::collections::VecDeque;
use std::time::Duration;

use crate::error::ErrorClass;

/// What a system is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Look tables up.
    Describe,
    /// Read a batch.
    Read,
    /// Open a transaction.
    Begin,
    /// Run a statement.
    Execute,
    /// Commit the claim of a read.
    CommitSource,
    /// Commit a target claim.
    CommitTarget,
    /// Release a claim.
    Release,
    /// Hand messages over.
    Deliver,
    /// Acknowledge messages.
    Acknowledge,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// The operation fails and has no effect.
    Refuse(ErrorClass),
    /// The operation panics in its caller's thread.
    Panic,
    /// The operation has its effect, and its caller sees a failure.
    LoseReply,
    /// The operation takes so long. Never drawn.
    Stall(Duration),
}

/// How often things go wrong, of a thousand operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chances {
    /// Refusals.
    pub refuse: u64,
    /// Panics.
    pub panic: u64,
    /// Lost replies.
    pub lose_reply: u64,
}

/// What a world draws its faults from.
#[derive(Clone, Debug)]
pub struct FaultPlan {
    /// The seed.
    pub seed: u64,
    /// How often what goes wrong.
    pub chances: Chances,
    /// Longest delay of an ordinary operation.
    pub delay_max: Duration,
    /// False if the reply to the commit of a read is never lost: a body that counts records cannot know then what was counted.
    pub source_commits_may_hide: bool,
}

impl FaultPlan {
    /// Nothing goes wrong.
    pub fn none() -> Self {
        Self {
            seed: 0,
            chances: Chances::default(),
            delay_max: Duration::from_millis(2),
            source_commits_may_hide: false,
        }
    }
}

/// The faults of one world.
pub(super) struct Faults {
    plan: FaultPlan,
    random: Random,
    forced: VecDeque<(Operation, Fault)>,
    count: usize,
}

impl Faults {
    pub(super) fn new(plan: FaultPlan) -> Self {
        let random = Random(plan.seed);
        Self {
            plan,
            random,
            forced: VecDeque::new(),
            count: 0,
        }
    }

    pub(super) fn stop(&mut self) {
        self.plan.chances = Chances::default();
        self.forced.clear();
    }

    pub(super) fn force(&mut self, operation: Operation, fault: Fault) {
        self.forced.push_back((operation, fault));
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The delay of an operation and what goes wrong with it.
    pub(super) fn draw(&mut self, operation: Operation) -> (Duration, Fault) {
        let delay_us = u64::try_from(self.plan.delay_max.as_micros()).unwrap_or(u64::MAX);
        // Most operations are quick.
        let slow = if self.random.below(8) == 0 {
            delay_us
        } else {
            delay_us / 16
        };
        let pause = Duration::from_micros(self.random.below(slow + 1));
        let fault = self.fault(operation);
        if fault != Fault::None {
            self.count += 1;
        }
        (pause, fault)
    }

    fn fault(&mut self, operation: Operation) -> Fault {
        if let Some(place) = self.forced.iter().position(|(at, _)| *at == operation) {
            return self
                .forced
                .remove(place)
                .map_or(Fault::None, |(_, fault)| fault);
        }
        let Chances {
            refuse,
            panic,
            lose_reply,
        } = self.plan.chances;
        let drawn = self.random.below(1000);
        if drawn < refuse {
            let classes = [
                ErrorClass::Transient,
                ErrorClass::Rejected,
                ErrorClass::Misconfigured,
            ];
            Fault::Refuse(classes[self.random.below(3) as usize])
        } else if drawn < refuse + panic {
            Fault::Panic
        } else if drawn < refuse + panic + lose_reply {
            let hidden = operation != Operation::CommitSource || self.plan.source_commits_may_hide;
            if hidden {
                Fault::LoseReply
            } else {
                Fault::None
            }
        } else {
            Fault::None
        }
    }

    /// A number below `limit`, or 0.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.random.below(limit)
    }
}

/// Random numbers from a seed (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)).checked_rem(limit).unwrap_or(0)
    }
}
