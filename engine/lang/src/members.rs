//! Which members the variables of a script have, as far as its text tells: a wrong name gives NULL and no error, so that only a
//! warning (W018) finds a slip of the pen. A variable is known if statements with a list of names are all that it gets; where
//! anything else may reach it, nothing is said.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dajet_core::diagnostic::nearest;
use dajet_core::{Diagnostic, Span};

use crate::ast::{Name, Path, PathStep};
use crate::plan::{StatementId, Variable};
use crate::program::{Slot, Type};

/// How many places a warning shows where members come from.
const LABELS_MAX: usize = 3;

/// How many members a hint tells.
const TOLD_MAX: usize = 8;

/// What a variable gets.
pub(crate) enum Content {
    /// Objects with these members.
    Listed(Vec<Arc<str>>),
    /// What another variable holds, or an element of it.
    Of(Slot),
    /// Messages of the broker that this statement consumes.
    Messages(StatementId),
    /// NULL, which has no members.
    Nothing,
    /// Nobody knows before a run.
    Unknown,
}

/// A member that the script reads.
#[derive(Debug)]
struct Use {
    slot: Slot,
    /// The variable's name.
    variable: Arc<str>,
    member: Name,
}

/// What the statements that are lowered say of members.
#[derive(Debug, Default)]
pub(crate) struct Members {
    lists: Vec<(Slot, Span, Vec<Arc<str>>)>,
    messages: Vec<(Slot, Span, StatementId)>,
    /// Variables that may hold the same objects.
    links: Vec<(Slot, Slot)>,
    unknown: BTreeSet<Slot>,
    assigned: BTreeSet<Slot>,
    /// Variables of the script itself: a caller may give them values.
    parameters: BTreeSet<Slot>,
    /// Blocks around the statement, each of which a run may leave out.
    branches: usize,
    /// Objects that may have another name than their variable: in an array, in a member.
    shared: BTreeSet<Slot>,
    changes_members: bool,
    changes_arrays: bool,
    /// By their place: a condition of a query may be lowered twice.
    uses: BTreeMap<u32, Use>,
    /// The group of each variable, named by one of its variables: those that may hold the same objects have one.
    groups: Vec<Slot>,
}

/// What is told of variables that may hold the same objects.
#[derive(Default)]
struct Told<'a> {
    members: BTreeSet<&'a str>,
    /// Where, the first places.
    places: Vec<(Span, &'static str)>,
}

impl Members {
    /// A variable gets something, told at `span`.
    pub(crate) fn assign(&mut self, slot: Slot, span: Span, content: Content) {
        if self.assigned.insert(slot) && self.branches > 0 && self.parameters.contains(&slot) {
            // Where the branch is left out, the caller's value stays.
            self.unknown.insert(slot);
        }
        match content {
            Content::Listed(names) => self.lists.push((slot, span, names)),
            Content::Of(other) => self.links.push((slot, other)),
            Content::Messages(statement) => self.messages.push((slot, span, statement)),
            Content::Nothing => {}
            Content::Unknown => {
                self.unknown.insert(slot);
            }
        }
    }

    /// A block begins that a run may leave out.
    pub(crate) fn enter_branch(&mut self) {
        self.branches += 1;
    }

    /// It ends.
    pub(crate) fn leave_branch(&mut self) {
        self.branches -= 1;
    }

    /// A variable of the script itself; what it begins with may come from the caller.
    pub(crate) fn parameter(&mut self, slot: Slot, has_value: bool) {
        self.parameters.insert(slot);
        if has_value {
            self.unknown.insert(slot);
        }
    }

    /// What a variable holds may have another name from now on.
    pub(crate) fn share(&mut self, slot: Slot) {
        self.shared.insert(slot);
    }

    /// Members are set, added or removed through a variable.
    pub(crate) fn change(&mut self, slot: Slot) {
        self.unknown.insert(slot);
        self.changes_members = true;
    }

    /// Elements are added to an array, or removed.
    pub(crate) fn change_array(&mut self, slot: Option<Slot>) {
        self.unknown.extend(slot);
        self.changes_arrays = true;
    }

    /// Notes the member that a path of an expression or of a template reads first.
    pub(crate) fn read(&mut self, slot: Slot, declared: Type, path: &Path) {
        if self.parameters.contains(&slot) && !self.assigned.contains(&slot) {
            // What is read before the script has given it anything is given by the caller.
            self.unknown.insert(slot);
        }
        let steps = path.steps.as_slice();
        let (selected, steps) = match (declared, steps) {
            (Type::Object, steps) => (None, steps),
            (Type::Array, [PathStep::Index(..), steps @ ..]) => (None, steps),
            (Type::Array, [PathStep::Selector { member, .. }, steps @ ..]) => (Some(member), steps),
            _ => return,
        };
        let read = match steps {
            [PathStep::Member(member), ..] => Some(member),
            _ => None,
        };
        for member in selected.into_iter().chain(read) {
            let (variable, member) = (Arc::clone(&path.variable.text), member.clone());
            let used = Use {
                slot,
                variable,
                member,
            };
            self.uses.insert(used.member.span.start, used);
        }
    }

    /// All statements are lowered: what is unknown is a matter of groups from now on.
    pub(crate) fn settle(&mut self, variables: &[Variable]) {
        let given = self.parameters.difference(&self.assigned).copied();
        self.unknown.extend(given);
        let is_array = |slot: &&Slot| variables[**slot].declared == Type::Array;
        if self.changes_members {
            self.unknown.extend(&self.shared);
        } else if self.changes_arrays {
            self.unknown.extend(self.shared.iter().filter(is_array));
        }
        let mut groups: Vec<Slot> = (0..variables.len()).collect();
        for (a, b) in &self.links {
            let (a, b) = (top(&mut groups, *a), top(&mut groups, *b));
            groups[a] = b;
        }
        self.groups = (0..variables.len())
            .map(|slot| top(&mut groups, slot))
            .collect();
        self.unknown = self.unknown.iter().map(|slot| self.groups[*slot]).collect();
    }

    /// Warns of members that are surely not there, of variables that get no messages.
    pub(crate) fn warnings(&self) -> Vec<Diagnostic> {
        let mut told = self.told();
        for (slot, ..) in &self.messages {
            told.remove(&self.groups[*slot]);
        }
        self.compare(&told)
    }

    /// The same of those that get messages, whose members `members_of` knows.
    pub(crate) fn warnings_of_messages(
        &self,
        members_of: impl Fn(StatementId) -> Option<&'static [&'static str]>,
    ) -> Vec<Diagnostic> {
        let mut lists = self.told();
        let mut told = BTreeMap::new();
        let mut unknown = BTreeSet::new();
        for (slot, span, statement) in &self.messages {
            let group = self.groups[*slot];
            let Some(members) = members_of(*statement) else {
                unknown.insert(group);
                continue;
            };
            let told = told
                .entry(group)
                .or_insert_with(|| lists.remove(&group).unwrap_or_default());
            told.members.extend(members);
            told.places.push((*span, "it gets messages here"));
        }
        told.retain(|group, _| !unknown.contains(group));
        self.compare(&told)
    }

    /// What lists tell.
    fn told(&self) -> BTreeMap<Slot, Told<'_>> {
        let mut told: BTreeMap<Slot, Told<'_>> = BTreeMap::new();
        for (slot, span, names) in &self.lists {
            let told = told.entry(self.groups[*slot]).or_default();
            told.members.extend(names.iter().map(|name| &**name));
            told.places.push((*span, "its members are told here"));
        }
        told
    }

    fn compare(&self, told: &BTreeMap<Slot, Told<'_>>) -> Vec<Diagnostic> {
        let warning = |used: &Use| {
            let group = self.groups[used.slot];
            let told = told.get(&group).filter(|_| !self.unknown.contains(&group));
            told?.warning(used)
        };
        self.uses.values().filter_map(warning).collect()
    }
}

/// The variable that names the group; the way to it is halved.
fn top(group: &mut [Slot], mut slot: Slot) -> Slot {
    while group[slot] != slot {
        group[slot] = group[group[slot]];
        slot = group[slot];
    }
    slot
}

impl Told<'_> {
    /// The warning, if none of the lists has the member.
    fn warning(&self, used: &Use) -> Option<Diagnostic> {
        let name = &*used.member.text;
        // A column may have a dotted name, which a path finds by several steps.
        let dotted = format!("{name}.");
        let mut behind = self.members.range(&*dotted..);
        let is_dotted = behind.next().is_some_and(|next| next.starts_with(&dotted));
        if self.members.contains(name) || is_dotted {
            return None;
        }
        let hint = match nearest(name, self.members.iter().copied()) {
            Some(near) if near.to_lowercase() == name.to_lowercase() => {
                format!("Did you mean \"{near}\"? Names of members are told apart by their case.")
            }
            Some(near) => format!("Did you mean \"{near}\"?"),
            None => self.list(),
        };
        let variable = &used.variable;
        let message = format!("\"@{variable}\" has no member \"{name}\": it is always NULL");
        let mut warning = Diagnostic::warning("W018", used.member.span, message).hint(hint);
        for (span, label) in self.places.iter().take(LABELS_MAX) {
            warning = warning.label(*span, *label);
        }
        Some(warning)
    }

    fn list(&self) -> String {
        let quoted = self.members.iter().map(|name| format!("\"{name}\""));
        let shown = quoted.take(TOLD_MAX).collect::<Vec<_>>().join(", ");
        match self.members.len().saturating_sub(TOLD_MAX) {
            0 => format!("It has {shown}."),
            more => format!("It has {shown} and {more} more."),
        }
    }
}

#[cfg(test)]
mod tests {
    fn check(script: &str, expected: &[&str]) {
        let (plan, diagnostics) = crate::compile(script);
        assert!(diagnostics.is_empty(), "{diagnostics:?}");
        let members_of = |start: &str| match start {
            "kafka" => Some(&["Ключ", "Value"] as &[&str]),
            "amqp://" => Some(&["Body"] as &[&str]),
            _ => None,
        };
        let found = plan.unwrap().unknown_members(members_of);
        let messages: Vec<_> = found.iter().map(|d| &*d.message).collect();
        assert_eq!(messages, expected);
    }

    #[test]
    fn messages_have_the_members_of_their_broker() {
        check(
            "DECLARE @m object CONSUME 'kafka' WITH a = 1 INTO @m PRINT @m.Value + @m.ключ + @m.Ключ",
            &["\"@m\" has no member \"ключ\": it is always NULL"],
        );
        check(
            "DECLARE @m object CONSUME 'amqp://{$HOST}/' INTO @m PRINT @m.Body + @m.Value.x",
            &["\"@m\" has no member \"Value\": it is always NULL"],
        );
        check(
            "DECLARE @m object CONSUME '{$HOST}' INTO @m PRINT @m.Value",
            &[],
        );
        check(
            "DECLARE @m object CONSUME 'x://' INTO @m PRINT @m.Value",
            &[],
        );
    }

    #[test]
    fn a_branch_that_is_left_out_leaves_what_the_caller_gave() {
        for script in [
            "DECLARE @x object DECLARE @b boolean IF @b THEN SET @x = SELECT a = 1 END PRINT @x.y",
            "DECLARE @x object WHILE @x IS NULL SET @x = SELECT a = 1 END PRINT @x.y",
            "DECLARE @x object CASE WHEN @x IS NULL THEN SET @x = SELECT a = 1 END PRINT @x.y",
        ] {
            let (plan, diagnostics) = crate::compile(script);
            assert!(plan.is_some() && diagnostics.is_empty(), "{diagnostics:?}");
        }
        let always = "DECLARE @x object SET @x = SELECT a = 1 IF @x.a = 1 THEN SET @x = SELECT b = 1 END PRINT @x.y";
        let (_, diagnostics) = crate::compile(always);
        assert_eq!(diagnostics.len(), 1, "{diagnostics:?}");
    }

    #[test]
    fn messages_that_are_changed_or_given_lists_beside_have_what_these_add() {
        check(
            "DECLARE @m object CONSUME 'kafka' INTO @m SET @m.x = 1 PRINT @m.y",
            &[],
        );
        check(
            "DECLARE @m object CONSUME 'kafka' INTO @m SET @m = SELECT x = 1 PRINT @m.x + @m.y",
            &["\"@m\" has no member \"y\": it is always NULL"],
        );
    }
}
