//! What a program does as a whole: which addresses and options cannot change while it runs, what is gathered and what is
//! called, and what a source must know of its body.

use super::Lowering;
use super::builder::Builder;
use super::expressions::walk;
use dajet_core::Targets;

use crate::plan::{Detail, StatementId, StatementKind, StatementPlan, Variable};
use crate::program::{Expr, ExprKind, Op, PathStep, Place, Purpose, Template, TemplatePart, Type};

/// What a source must know of its body.
pub(super) struct Effects {
    pub feeds_back: bool,
    pub reads_own_writes: bool,
    pub changes_variables: bool,
}

impl Lowering {
    /// Called when all the statements of a program are lowered.
    pub(super) fn analyze(&mut self, builder: &mut Builder) {
        if builder.purpose == Purpose::Body {
            self.gather(builder);
        }
        for place in &builder.places {
            let invariant =
                is_invariant_address(&self.scopes.variables, builder, &self.uses[*place]);
            self.uses[*place].invariant = invariant;
        }
        for id in &builder.statements {
            let statement = &mut self.statements[id.0 as usize];
            if let Detail::Message(message) = &mut statement.detail {
                message.invariant =
                    is_invariant_address(&self.scopes.variables, builder, &message.address)
                        && message
                            .options
                            .iter()
                            .all(|(_, value)| is_invariant(&self.scopes.variables, builder, value));
            }
        }
    }

    /// An INSERT of a body is gathered unless another statement of the body could see its effect, or it theirs.
    fn gather(&mut self, builder: &mut Builder) {
        for at in 0..builder.ops.len() {
            let Op::Call { statement: id, .. } = builder.ops[at] else {
                continue;
            };
            if self.statement_of(id).kind == StatementKind::Insert && self.may_wait(builder, id) {
                self.statements[id.0 as usize].called = false;
                builder.ops[at] = Op::EmitRow(id);
            }
        }
    }

    fn may_wait(&self, builder: &Builder, id: StatementId) -> bool {
        let insert = self.statement_of(id);
        builder.statements.iter().all(|other| {
            let other_plan = self.statement_of(*other);
            if !may_be_same_place(insert, other_plan) {
                return true;
            }
            !meet(insert.written(), other_plan.read()) && !meet(other_plan.written(), insert.read())
        })
    }

    fn statement_of(&self, id: StatementId) -> &StatementPlan {
        &self.statements[id.0 as usize]
    }

    /// What the source must know of the body that is being lowered. (Before it is closed.)
    pub(super) fn body_effects(&mut self, source: StatementId) -> Effects {
        let Some(mut builder) = self.builders.pop() else {
            return Effects {
                feeds_back: true,
                reads_own_writes: true,
                changes_variables: true,
            };
        };
        self.gather(&mut builder);
        let parameters = &self.statement_of(source).parameters;
        let called = |id: &&StatementId| self.statement_of(**id).called;
        let touches = |call: &StatementPlan| {
            call.writes
                || builder.statements.iter().any(|other| {
                    let other = self.statement_of(*other);
                    other.writes
                        && may_be_same_place(call, other)
                        && meet(other.written(), call.read())
                })
        };
        let outlives =
            |slot: &&usize| !builder.locals.contains(slot) && builder.record != Some(**slot);
        let effects = Effects {
            feeds_back: !parameters
                .iter()
                .all(|value| is_invariant(&self.scopes.variables, &builder, value)),
            reads_own_writes: builder
                .statements
                .iter()
                .filter(called)
                .any(|id| touches(self.statement_of(*id))),
            changes_variables: builder.mutates || builder.sets.iter().any(|slot| outlives(&slot)),
        };
        self.builders.push(builder);
        effects
    }
}

impl Lowering {
    /// Which databases the tail of a source of messages writes to: the body that is being lowered, and its loops. (Before it is closed.)
    pub(super) fn find_targets(&mut self, source: StatementId) {
        let tail = &self.statements[source.0 as usize + 1..];
        let writes =
            |statement: &&StatementPlan| statement.writes && !statement.kind.is_of_broker();
        let mut places: Vec<Place> = Vec::new();
        for place in tail.iter().filter(writes).filter_map(|plan| plan.place) {
            let same = |known: &Place| {
                let address = self.uses[*known].constant();
                *known == place || address.is_some() && address == self.uses[place].constant()
            };
            if !places.iter().any(same) {
                places.push(place);
            }
        }
        let (targets, target) = match places[..] {
            [] => (Targets::None, None),
            [place] if self.stays(place) => (Targets::One, Some(place)),
            [_] => (Targets::Varying, None),
            _ => (Targets::Several, None),
        };
        if let Detail::Broker(broker) = &mut self.statements[source.0 as usize].detail {
            (broker.targets, broker.target) = (targets, target);
        }
    }

    /// True if every record finds the same address at a place of the body that is being lowered.
    fn stays(&self, place: Place) -> bool {
        let address = &self.uses[place];
        let fixed = |part: &TemplatePart| !matches!(part, TemplatePart::Value { .. });
        self.places.contains(&place)
            || address.parts.iter().all(fixed)
            || self.builders.last().is_some_and(|builder| {
                builder.places.contains(&place)
                    && is_invariant_address(&self.scopes.variables, builder, address)
            })
    }
}

impl StatementPlan {
    /// The table that it writes.
    fn written(&self) -> &[std::sync::Arc<str>] {
        if self.kind == StatementKind::Insert {
            &self.tables[..1]
        } else {
            &[]
        }
    }

    /// The tables that it reads.
    fn read(&self) -> &[std::sync::Arc<str>] {
        use crate::names::Body;
        let body = match &self.detail {
            Detail::Names(body) => &**body,
            Detail::Message(_) | Detail::Broker(_) => return &[],
        };
        match body {
            Body::Insert(insert) if insert.reads_itself => &self.tables,
            Body::Insert(_) => &self.tables[1..],
            Body::Select(_) => &self.tables,
            Body::Drain(_) | Body::Sequence(_) => &[],
        }
    }
}

/// False if two statements surely go to different places.
fn may_be_same_place(a: &StatementPlan, b: &StatementPlan) -> bool {
    match (&a.address, &b.address) {
        (Some(a), Some(b)) => a == b || !are_plainly_different(a, b),
        _ => true,
    }
}

/// Two constant addresses differ in their scheme, or in what stands before the query. (Host names may be aliases of each
/// other, so that a difference within them proves nothing.)
fn are_plainly_different(a: &str, b: &str) -> bool {
    let parts = |address: &str| {
        let (scheme, rest) = address.split_once("://").unwrap_or((address, ""));
        let path = rest.split('?').next().unwrap_or(rest);
        let base = path.rsplit('/').next().unwrap_or(path);
        (scheme.to_lowercase(), base.to_lowercase())
    };
    parts(a) != parts(b)
}

/// True if two lists of tables may name the same one: `orders` and `public.orders` do.
fn meet(a: &[std::sync::Arc<str>], b: &[std::sync::Arc<str>]) -> bool {
    a.iter().any(|a| b.iter().any(|b| may_be_same_table(a, b)))
}

fn may_be_same_table(a: &str, b: &str) -> bool {
    let (a, b) = (a.to_lowercase(), b.to_lowercase());
    let ends = |long: &str, short: &str| {
        long.strip_suffix(short)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    ends(&a, &b) || ends(&b, &a)
}

fn is_invariant_address(variables: &[Variable], builder: &Builder, template: &Template) -> bool {
    template.parts.iter().all(|part| match part {
        TemplatePart::Text(_) | TemplatePart::Environment { .. } => true,
        TemplatePart::Value { expr, .. } => is_invariant(variables, builder, expr),
    })
}

/// True if the program cannot change what the expression reads. Members are only safe where no object is changed at all.
fn is_invariant(variables: &[Variable], builder: &Builder, expr: &Expr) -> bool {
    let mut invariant = true;
    let holds_object = |slot: usize| matches!(variables[slot].declared, Type::Object | Type::Array);
    walk(expr, &mut |expr| {
        let changes = match &expr.kind {
            ExprKind::Slot(slot) => {
                builder.sets.contains(slot) || (builder.mutates && holds_object(*slot))
            }
            ExprKind::Member { slot, .. } => builder.mutates || builder.sets.contains(slot),
            ExprKind::Path { slot, steps } => {
                let selects = |step: &PathStep| matches!(step, PathStep::Selector { .. });
                builder.mutates || builder.sets.contains(slot) || steps.iter().any(selects)
            }
            ExprKind::Call(function, _) => matches!(function.name, "NOW" | "UTC" | "NEWUUID"),
            _ => false,
        };
        invariant &= !changes;
    });
    invariant
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_tables_for_the_same_where_they_may_be() {
        assert!(may_be_same_table("orders", "public.Orders"));
        assert!(may_be_same_table("Справочник.Товары", "справочник.товары"));
        assert!(!may_be_same_table(
            "Справочник.Товары",
            "Справочник.Товары.Изменения"
        ));
        assert!(!may_be_same_table("new_orders", "orders"));
    }

    #[test]
    fn takes_addresses_for_different_only_where_they_are() {
        assert!(are_plainly_different("pgsql://host/a", "pgsql://host/b"));
        assert!(are_plainly_different("pgsql://host/a", "sqlite://a"));
        assert!(!are_plainly_different(
            "pgsql://host/a",
            "pgsql://127.0.0.1/a?map=x"
        ));
    }
}
