//! A program in the making.

use crate::plan::{ProgramId, StatementId};
use crate::program::{Counter, Op, Place, Program, Purpose, Slot};

/// A loop of the program that is open.
#[derive(Debug)]
struct Loop {
    /// Where CONTINUE goes.
    next: Counter,
    /// Jumps of BREAK that wait for the loop's end.
    breaks: Vec<Counter>,
}

/// A program in the making.
#[derive(Debug)]
pub(super) struct Builder {
    pub id: ProgramId,
    pub purpose: Purpose,
    pub ops: Vec<Op>,
    pub locals: Vec<Slot>,
    pub sets: Vec<Slot>,
    pub record: Option<Slot>,
    /// True if members of other objects than the record are set.
    pub mutates: bool,
    /// True if it asks for the time.
    pub uses_clock: bool,
    /// True if a BREAK leaves it.
    pub is_left: bool,
    /// The statements that it runs.
    pub statements: Vec<StatementId>,
    /// The USE blocks that it enters.
    pub places: Vec<Place>,
    loops: Vec<Loop>,
    /// Jumps of CONTINUE to the program's end.
    ends: Vec<Counter>,
}

impl Builder {
    pub(super) fn new(id: ProgramId, purpose: Purpose) -> Self {
        Self {
            id,
            purpose,
            ops: Vec::new(),
            locals: Vec::new(),
            sets: Vec::new(),
            record: None,
            mutates: false,
            uses_clock: false,
            is_left: false,
            statements: Vec::new(),
            places: Vec::new(),
            loops: Vec::new(),
            ends: Vec::new(),
        }
    }

    pub(super) fn here(&self) -> Counter {
        self.ops.len()
    }

    pub(super) fn emit(&mut self, op: Op) -> Counter {
        self.ops.push(op);
        self.ops.len() - 1
    }

    /// Lets the jump at `at` go to the present place.
    pub(super) fn land(&mut self, at: Counter) {
        let here = self.here();
        match &mut self.ops[at] {
            Op::Jump(target)
            | Op::JumpUnless(_, target)
            | Op::Override { target, .. }
            | Op::RunPipeline { end: target, .. }
            | Op::ForNext { end: target, .. } => *target = here,
            _ => {}
        }
    }

    pub(super) fn set(&mut self, slot: Slot) {
        if !self.sets.contains(&slot) {
            self.sets.push(slot);
        }
    }

    pub(super) fn open_loop(&mut self, next: Counter) {
        self.loops.push(Loop {
            next,
            breaks: Vec::new(),
        });
    }

    pub(super) fn close_loop(&mut self) {
        for at in self.loops.pop().map(|l| l.breaks).unwrap_or_default() {
            self.land(at);
        }
    }

    /// BREAK; false if there is nothing to leave.
    pub(super) fn emit_break(&mut self) -> bool {
        if self.loops.is_empty() {
            if self.purpose == Purpose::Root {
                return false;
            }
            self.is_left = true;
            self.emit(Op::Leave);
            return true;
        }
        let at = self.emit(Op::Jump(0));
        if let Some(innermost) = self.loops.last_mut() {
            innermost.breaks.push(at);
        }
        true
    }

    /// CONTINUE; false if there is nothing to go on with.
    pub(super) fn emit_continue(&mut self) -> bool {
        match self.loops.last().map(|l| l.next) {
            Some(next) => {
                self.emit(Op::Jump(next));
            }
            None if self.purpose == Purpose::Root => return false,
            None => {
                let at = self.emit(Op::Jump(0));
                self.ends.push(at);
            }
        }
        true
    }

    /// The finished program; `variables` is the number of all the plan's variables.
    pub(super) fn finish(mut self, variables: usize) -> Program {
        for at in std::mem::take(&mut self.ends) {
            self.land(at);
        }
        self.emit(Op::Done);
        let flags = |slots: &[Slot]| {
            let mut flags = vec![false; variables];
            slots.iter().for_each(|slot| flags[*slot] = true);
            flags
        };
        Program {
            purpose: self.purpose,
            is_local: flags(&self.locals),
            ops: self.ops,
            locals: self.locals,
            record: self.record,
            joining: None,
            repeats: Vec::new(),
        }
    }
}
