//! Whether the look-ups of the records of a batch may be answered together. They may if what each record does in front of them
//! touches nothing outside of that record; whatever does stands behind the last look-up and is done in the order of the records.

use dajet_core::query::Function as DatabaseFunction;

use super::Lowering;
use super::expressions::walk;
use crate::names::{self, Body};
use crate::plan::{Detail, StatementId, StatementKind, StatementPlan};
use crate::program::{
    Counter, Expr, ExprKind, Joining, Op, PathStep, Place, Program, Slot, Template, TemplatePart,
};

/// What is known of the operations of a body.
struct Analysis<'a> {
    program: &'a Program,
    statements: &'a [StatementPlan],
    uses: &'a [Template],
}

impl Lowering {
    /// How the look-ups of a finished body are joined; `None` if they are not, or if there are none.
    pub(super) fn joining(&self, program: &Program, places: &[Place]) -> Option<Joining> {
        let body = Analysis {
            program,
            statements: &self.statements,
            uses: &self.uses,
        };
        let varying = |place: &&Place| !self.uses[**place].invariant;
        body.joining(places.iter().filter(varying).copied().collect())
    }

    /// Which operations of a finished program ask the metadata and change objects or arrays.
    pub(super) fn repeats(&self, program: &Program) -> Vec<bool> {
        let (statements, uses) = (&self.statements, &self.uses);
        let all = Analysis {
            program,
            statements,
            uses,
        };
        let repeats = |op| {
            let (mut asks, mut changes) = (false, false);
            all.expressions(op, &mut |expr| match &expr.kind {
                ExprKind::Ask { .. } => asks = true,
                ExprKind::Call(function, _) => changes |= function.mutates(),
                ExprKind::Modify { .. } => changes = true,
                _ => {}
            });
            asks && changes
        };
        program.ops.iter().map(repeats).collect()
    }
}

impl Analysis<'_> {
    fn joining(&self, places: Vec<Place>) -> Option<Joining> {
        let ops = &self.program.ops;
        if !ops.iter().all(|op| self.is_known(op)) || !ops.iter().any(|op| look_up(op).is_some()) {
            return None;
        }
        let before = self.in_front_of_look_ups();
        let outer = self.outer_slots();
        let (own, shared): (Vec<Slot>, Vec<Slot>) = outer
            .iter()
            .partition(|slot| self.sets_before_reading(**slot));
        let mut ordered = Vec::with_capacity(ops.len());
        for (at, op) in ops.iter().enumerate() {
            let effect = is_effect(op) || written(op).iter().any(|slot| shared.contains(slot));
            let reads_shared = || shared.iter().any(|slot| self.reads(op, *slot));
            if before[at] && (effect || reads_shared()) {
                return None;
            }
            // The last record leaves its values in the variables that outlive it.
            let ends = matches!(op, Op::Done) && !outer.is_empty();
            ordered.push(effect || ends);
        }
        let mut own = own;
        own.extend(&self.program.locals);
        own.extend(self.program.record);
        own.sort_unstable();
        own.dedup();
        Some(Joining {
            own,
            places,
            ordered,
        })
    }

    /// False for what changes something that another record could see, or what is not known well enough.
    fn is_known(&self, op: &Op) -> bool {
        let safe = match op {
            Op::Call { .. } | Op::Append { .. } => {
                look_up(op).is_some_and(|id| is_look_up(&self.statements[id.0 as usize]))
            }
            Op::AssignMember { slot, steps, .. } => {
                matches!(&**steps, [PathStep::Member { .. }]) && self.holds_its_own(*slot)
            }
            Op::Fresh(_)
            | Op::Assign { .. }
            | Op::Jump(_)
            | Op::JumpUnless(..)
            | Op::Use(_)
            | Op::ForBegin { .. }
            | Op::ForNext { .. }
            | Op::EmitRow(_)
            | Op::EmitMessage(_)
            | Op::Flush
            | Op::Print(_)
            | Op::Sleep(_)
            | Op::Throw(_)
            | Op::Return(_)
            | Op::Leave
            | Op::Done => true,
            _ => false,
        };
        let mut pure = true;
        self.expressions(op, &mut |expr| match &expr.kind {
            ExprKind::Call(function, _) => pure &= !function.mutates(),
            ExprKind::Modify { object, .. } => pure &= self.is_record(object),
            _ => {}
        });
        safe && pure
    }

    fn is_record(&self, expr: &Expr) -> bool {
        matches!(expr.kind, ExprKind::Slot(slot) if self.program.record == Some(slot))
    }

    /// True if the variable holds nothing but objects that this record has made.
    fn holds_its_own(&self, slot: Slot) -> bool {
        if self.program.record == Some(slot) {
            return true;
        }
        self.program.ops.iter().all(|op| match op {
            Op::Assign {
                slot: set, value, ..
            } => *set != slot || value.kind.is_fresh(),
            Op::ForNext { slot: set, .. } => *set != slot,
            _ => true,
        }) && (self.program.is_local[slot] || self.sets_before_reading(slot))
    }

    /// For each operation: true if a look-up may follow it, or is it.
    fn in_front_of_look_ups(&self) -> Vec<bool> {
        let ops = &self.program.ops;
        let mut before: Vec<bool> = ops.iter().map(|op| look_up(op).is_some()).collect();
        loop {
            let mut changed = false;
            for at in (0..ops.len()).rev() {
                if !before[at] && successors(ops, at).iter().any(|next| before[*next]) {
                    before[at] = true;
                    changed = true;
                }
            }
            if !changed {
                return before;
            }
        }
    }

    /// The variables that are set here and outlive the record.
    fn outer_slots(&self) -> Vec<Slot> {
        let mut slots: Vec<Slot> = self.program.ops.iter().flat_map(written).collect();
        slots.retain(|slot| !self.program.is_local[*slot] && self.program.record != Some(*slot));
        slots.sort_unstable();
        slots.dedup();
        slots
    }

    /// True if no way leads to a use of the variable that does not lead past a statement which sets it.
    fn sets_before_reading(&self, slot: Slot) -> bool {
        let ops = &self.program.ops;
        let mut seen = vec![false; ops.len()];
        let mut ahead = vec![0];
        while let Some(at) = ahead.pop() {
            if std::mem::replace(&mut seen[at], true) {
                continue;
            }
            if self.reads(&ops[at], slot) {
                return false;
            }
            if !written(&ops[at]).contains(&slot) {
                ahead.extend(successors(ops, at));
            }
        }
        true
    }

    fn reads(&self, op: &Op, slot: Slot) -> bool {
        let mut reads = match op {
            Op::AssignMember { slot: object, .. } | Op::Append { slot: object, .. } => {
                *object == slot
            }
            _ => false,
        };
        self.expressions(op, &mut |expr| {
            reads |= matches!(
                &expr.kind,
                ExprKind::Slot(read) | ExprKind::Member { slot: read, .. } | ExprKind::Path { slot: read, .. }
                    if *read == slot
            );
        });
        reads
    }

    /// Calls `visit` for all the expressions of an operation and those below them.
    fn expressions(&self, op: &Op, visit: &mut dyn FnMut(&Expr)) {
        match op {
            Op::Assign { value, .. }
            | Op::JumpUnless(value, _)
            | Op::Print(value)
            | Op::Sleep(value)
            | Op::Throw(value)
            | Op::Return(Some(value))
            | Op::ForBegin {
                collection: value, ..
            } => walk(value, visit),
            Op::AssignMember { steps, value, .. } => {
                for step in steps {
                    if let PathStep::Selector { value, .. } = step {
                        walk(value, visit);
                    }
                }
                walk(value, visit);
            }
            Op::Use(place) => template(&self.uses[*place], visit),
            Op::Call { statement, .. }
            | Op::Append { statement, .. }
            | Op::EmitRow(statement)
            | Op::EmitMessage(statement) => {
                let statement = &self.statements[statement.0 as usize];
                statement
                    .parameters
                    .iter()
                    .for_each(|value| walk(value, visit));
                if let Detail::Message(message) = &statement.detail {
                    message
                        .options
                        .iter()
                        .for_each(|(_, value)| walk(value, visit));
                    template(&message.address, visit);
                }
            }
            _ => {}
        }
    }
}

fn template(template: &Template, visit: &mut dyn FnMut(&Expr)) {
    for part in &template.parts {
        if let TemplatePart::Value { expr, .. } = part {
            walk(expr, visit);
        }
    }
}

fn look_up(op: &Op) -> Option<StatementId> {
    match op {
        Op::Call { statement, .. } | Op::Append { statement, .. } => Some(*statement),
        _ => None,
    }
}

/// True for what happens outside of the record.
fn is_effect(op: &Op) -> bool {
    matches!(op, Op::Print(_) | Op::Sleep(_) | Op::Return(_) | Op::Leave)
}

fn written(op: &Op) -> Vec<Slot> {
    match op {
        Op::Fresh(variables) => variables.iter().map(|(slot, _)| *slot).collect(),
        Op::Assign { slot, .. } | Op::ForNext { slot, .. } => vec![*slot],
        Op::Call {
            into: Some(target), ..
        } => vec![target.slot],
        _ => Vec::new(),
    }
}

fn successors(ops: &[Op], at: Counter) -> Vec<Counter> {
    match &ops[at] {
        Op::Jump(target) => vec![*target],
        Op::JumpUnless(_, target) | Op::ForNext { end: target, .. } => vec![at + 1, *target],
        Op::Throw(_) | Op::Return(_) | Op::Leave | Op::Done => Vec::new(),
        _ => vec![at + 1],
    }
}

/// True for a SELECT without an effect: one that draws from a sequence has one.
fn is_look_up(statement: &StatementPlan) -> bool {
    let Detail::Names(body) = &statement.detail else {
        return false;
    };
    match &**body {
        Body::Select(select) => statement.kind == StatementKind::Select && !draws(select),
        Body::Insert(_) | Body::Drain(_) | Body::Sequence(_) => false,
    }
}

fn draws(select: &names::Select) -> bool {
    let of_column = |column: &names::Column| match column {
        names::Column::Star(_) => false,
        names::Column::Named { expr, .. } => draws_within(expr),
    };
    let of_table = |table: &names::Table| table.query.as_ref().is_some_and(|query| draws(query));
    select.columns.iter().any(of_column)
        || select.from.as_ref().is_some_and(of_table)
        || select.joins.iter().any(|join| of_table(&join.table))
        || select.filter.as_ref().is_some_and(draws_within)
        || select.order.iter().any(|key| draws_within(&key.expr))
        || select.unions.iter().any(|(_, next)| draws(next))
}

fn draws_within(expr: &names::Expr) -> bool {
    use names::ExprKind;
    match &expr.kind {
        ExprKind::Call(DatabaseFunction::Vector(_), _) => true,
        ExprKind::Column(_) | ExprKind::Parameter(_) | ExprKind::Literal(_) => false,
        ExprKind::Unary(_, operand)
        | ExprKind::IsNull(operand, _)
        | ExprKind::Cast(operand, _)
        | ExprKind::TypeOf(operand) => draws_within(operand),
        ExprKind::Binary(_, sides) => draws_within(&sides.0) || draws_within(&sides.1),
        ExprKind::InList(operand, list, _) => {
            draws_within(operand) || list.iter().any(draws_within)
        }
        ExprKind::InQuery(operand, query, _) => draws_within(operand) || draws(query),
        ExprKind::Exists(query) | ExprKind::Subquery(query) => draws(query),
        ExprKind::Case(branches, otherwise) => {
            let of_branch =
                |(c, v): &(names::Expr, names::Expr)| draws_within(c) || draws_within(v);
            branches.iter().any(of_branch) || otherwise.as_deref().is_some_and(draws_within)
        }
        ExprKind::Call(_, arguments) => arguments.iter().any(draws_within),
    }
}
