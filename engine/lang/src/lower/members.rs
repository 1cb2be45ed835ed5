//! Which members the variables of a script have, as far as its text tells: a wrong name gives NULL and no error, so that only a
//! warning (W018) finds a slip of the pen. A variable is known if statements with a list of names are all that it gets; where
//! anything else may reach it, nothing is said.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dajet_core::diagnostic::nearest;
use dajet_core::{Diagnostic, Span, Value};

use super::Lowering;
use crate::ast::{self, ColumnItem, Name, Path, PathStep, Query};
use crate::plan::Variable;
use crate::program::{Expr, ExprKind, Slot, Type};

/// How many places a warning shows where members come from.
const LABELS_MAX: usize = 3;

/// How many members a hint tells.
const TOLD_MAX: usize = 8;

/// What a variable gets.
pub(super) enum Content {
    /// Objects with these members.
    Listed(Vec<Arc<str>>),
    /// What another variable holds, or an element of it.
    Of(Slot),
    /// NULL, which has no members.
    Nothing,
    /// Nobody knows before a run.
    Unknown,
}

/// A member that the script reads.
struct Use {
    slot: Slot,
    /// The variable's name.
    variable: Arc<str>,
    member: Name,
}

/// What the statements that are lowered say of members.
#[derive(Default)]
pub(super) struct Members {
    lists: Vec<(Slot, Span, Vec<Arc<str>>)>,
    /// Variables that may hold the same objects.
    links: Vec<(Slot, Slot)>,
    unknown: BTreeSet<Slot>,
    assigned: BTreeSet<Slot>,
    /// Variables of the script itself: a caller may give them values.
    parameters: BTreeSet<Slot>,
    /// Objects that may have another name than their variable: in an array, in a member.
    shared: BTreeSet<Slot>,
    changes_members: bool,
    changes_arrays: bool,
    /// By their place: a condition of a query may be lowered twice.
    uses: BTreeMap<u32, Use>,
}

/// What is told of variables that may hold the same objects.
#[derive(Default)]
struct Told<'a> {
    members: BTreeSet<&'a str>,
    /// Where, the first places.
    spans: Vec<Span>,
}

impl Members {
    /// A variable gets something, told at `span`.
    pub(super) fn assign(&mut self, slot: Slot, span: Span, content: Content) {
        self.assigned.insert(slot);
        match content {
            Content::Listed(names) => self.lists.push((slot, span, names)),
            Content::Of(other) => self.links.push((slot, other)),
            Content::Nothing => {}
            Content::Unknown => {
                self.unknown.insert(slot);
            }
        }
    }

    /// A variable of the script itself; what it begins with may come from the caller.
    pub(super) fn parameter(&mut self, slot: Slot, has_value: bool) {
        self.parameters.insert(slot);
        if has_value {
            self.unknown.insert(slot);
        }
    }

    /// Members are set, added or removed through a variable.
    pub(super) fn change(&mut self, slot: Slot) {
        self.unknown.insert(slot);
        self.changes_members = true;
    }

    /// Elements are added to an array, or removed.
    pub(super) fn change_array(&mut self, slot: Option<Slot>) {
        self.unknown.extend(slot);
        self.changes_arrays = true;
    }

    /// Notes the member that a path of an expression or of a template reads first.
    pub(super) fn read(&mut self, slot: Slot, declared: Type, path: &Path) {
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

    /// Warns of members that are surely not there.
    pub(super) fn warnings(mut self, variables: &[Variable]) -> Vec<Diagnostic> {
        let given = self.parameters.difference(&self.assigned).copied();
        self.unknown.extend(given);
        let is_array = |slot: &&Slot| variables[**slot].declared == Type::Array;
        if self.changes_members {
            self.unknown.extend(&self.shared);
        } else if self.changes_arrays {
            self.unknown.extend(self.shared.iter().filter(is_array));
        }
        let group = self.groups(variables.len());
        let unknown: BTreeSet<Slot> = self.unknown.iter().map(|slot| group[*slot]).collect();
        let mut told: BTreeMap<Slot, Told<'_>> = BTreeMap::new();
        for (slot, span, names) in &self.lists {
            let told = told.entry(group[*slot]).or_default();
            told.members.extend(names.iter().map(|name| &**name));
            if told.spans.len() < LABELS_MAX {
                told.spans.push(*span);
            }
        }
        let checked = self.uses.values();
        let checked = checked.filter(|used| !unknown.contains(&group[used.slot]));
        checked
            .filter_map(|used| told.get(&group[used.slot])?.warning(used))
            .collect()
    }

    /// The group of each variable, named by one of its variables: those that may hold the same objects have one.
    fn groups(&self, variables: usize) -> Vec<Slot> {
        let mut group: Vec<Slot> = (0..variables).collect();
        for (a, b) in &self.links {
            let (a, b) = (top(&mut group, *a), top(&mut group, *b));
            group[a] = b;
        }
        (0..variables).map(|slot| top(&mut group, slot)).collect()
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
        for span in &self.spans {
            warning = warning.label(*span, "its members are told here");
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

impl Lowering {
    /// Lowers an expression whose value may be kept: an object that it gives can be reached by another name from then on.
    pub(super) fn kept(&mut self, path: &Path) -> Expr {
        let value = self.path(path);
        if let ExprKind::Slot(slot) = value.kind {
            self.members.shared.insert(slot);
        }
        value
    }

    /// Lowers an expression whose value is looked at, and not kept.
    pub(super) fn looked_at(&mut self, expr: &ast::Expr) -> Expr {
        match &expr.kind {
            ast::ExprKind::Path(path) => self.path(path),
            _ => self.expr(expr),
        }
    }
}

/// What an expression gives.
pub(super) fn content_of(value: &Expr) -> Content {
    match &value.kind {
        ExprKind::Slot(slot) => Content::Of(*slot),
        ExprKind::Constant(Value::Null) => Content::Nothing,
        _ => Content::Unknown,
    }
}

/// What the rows of a query are.
pub(super) fn content_of_query(query: &Query) -> Content {
    let appended = query
        .appends
        .iter()
        .map(|append| Arc::clone(&append.name.text));
    content_of_columns(&query.columns, appended)
}

/// What records with these columns are.
pub(super) fn content_of_columns(
    columns: &[ColumnItem],
    appended: impl Iterator<Item = Arc<str>>,
) -> Content {
    let mut names = Vec::with_capacity(columns.len());
    for (index, item) in columns.iter().enumerate() {
        match item {
            ColumnItem::Star(_) => return Content::Unknown,
            ColumnItem::Expr { alias, expr } => {
                names.push(match written_name(alias.as_ref(), expr) {
                    Some(name) => name.text,
                    None => name_of_place(index),
                })
            }
        }
    }
    names.extend(appended);
    Content::Listed(names)
}

/// The name of a column: the alias, else the last part of the column's name.
pub(super) fn written_name(alias: Option<&Name>, expr: &ast::Expr) -> Option<Name> {
    match (alias, &expr.kind) {
        (Some(alias), _) => Some(alias.clone()),
        (None, ast::ExprKind::Column(name)) => Some(Name::new(name.last(), name.span)),
        _ => None,
    }
}

/// The name of a column that has none.
pub(super) fn name_of_place(index: usize) -> Arc<str> {
    format!("Column{}", index + 1).into()
}
