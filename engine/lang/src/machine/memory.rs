//! What expressions see: variables, heap, caches of column indexes, the time and the seed; and their evaluation.

use std::sync::Arc;

use dajet_core::{Address, Diagnostic, Shape, Value};

use super::Clock;
use super::convert;
use super::failure::{Failure, Outcome};
use super::heap::{Datum, Handle, Heap, NULL, Node};
use super::knowledge::{Asking, Knowledge};
use super::operate;
use super::patterns::Patterns;
use crate::ast::{BinaryOp, UnaryOp};
use crate::program::{Expr, ExprKind, PathStep, Slot};

/// The state that expressions read.
#[derive(Debug)]
pub(crate) struct Memory {
    pub slots: Vec<Datum>,
    pub heap: Heap,
    /// For each place where a member is read: the shape seen last, and the column found in it.
    pub sites: Vec<Option<(Arc<Shape>, Option<usize>)>>,
    /// The time; none where no time is known (parameters of a source).
    pub clock: Option<Clock>,
    /// State of the generator behind NEWUUID.
    pub random: u64,
    /// Length of the heap when the record began: what lies behind is forgotten at its end.
    pub base: usize,
    /// True if something outside of the record holds what the record made, or handles have moved.
    pub escaped: bool,
    /// Regular expressions in use.
    pub patterns: Patterns,
    /// The resolved addresses of the USE blocks.
    pub addresses: Vec<Option<Address>>,
    /// What databases have told of names.
    pub knowledge: Knowledge,
    /// While an operation may have to be begun again: the arrays that it has changed, as they were, in the order of the changes.
    pub replaced: Option<Vec<(Handle, Node)>>,
    /// What the author is told before the next operation.
    pub warning: Option<Box<Diagnostic>>,
}

impl Memory {
    pub(crate) fn evaluate(&mut self, expr: &Expr) -> Outcome<Datum> {
        match &expr.kind {
            ExprKind::Constant(value) => Ok(Datum::Scalar(value.clone())),
            ExprKind::Slot(slot) => Ok(self.slots[*slot].clone()),
            ExprKind::Member { slot, name, site } => Ok(self.read_member(*slot, name, *site)),
            ExprKind::Path { slot, steps } => self.read_path(*slot, steps),
            ExprKind::Binary { op, sides, text } => self.binary(expr, *op, sides, *text),
            ExprKind::Unary(op, operand) => self.unary(expr, *op, operand),
            ExprKind::IsNull(operand, negated) => {
                let is_null = self.evaluate(operand)?.is_null();
                Ok(boolean(is_null != *negated))
            }
            ExprKind::IsType(operand, wanted, negated) => {
                let operand = self.evaluate(operand)?;
                Ok(boolean(operate::is_type(&operand, *wanted) != *negated))
            }
            ExprKind::InList(operand, list, negated) => self.in_list(expr, operand, list, *negated),
            ExprKind::Like(sides, negated) => self.like(expr, sides, *negated),
            ExprKind::Between(parts, negated) => self.between(expr, parts, *negated),
            ExprKind::Case(branches, otherwise) => self.case(branches, otherwise.as_deref()),
            ExprKind::Call(function, args) => {
                let args = args
                    .iter()
                    .map(|arg| self.evaluate(arg))
                    .collect::<Outcome<Vec<_>>>()?;
                let Some(evaluator) = function.runtime else {
                    let message = format!("function {} needs a database", function.name);
                    return Err(Failure::new("E_BIND", message).at(expr.span));
                };
                evaluator(self, &args).map_err(|failure| failure.at(expr.span))
            }
            ExprKind::Ask {
                asked,
                args,
                place,
                name,
            } => self.ask(&Asking {
                asked,
                args,
                place: *place,
                name: *name,
                span: expr.span,
            }),
            ExprKind::Cast(operand, target) => {
                let operand = self.evaluate(operand)?;
                convert::cast(operand, *target).map_err(|failure| failure.at(expr.span))
            }
            ExprKind::Object(members) => {
                let mut object = Vec::with_capacity(members.len());
                for (name, value) in members {
                    object.push((Arc::clone(name), self.evaluate(value)?));
                }
                Ok(self.heap.object(object))
            }
            ExprKind::List(item) => {
                let item = self.evaluate(item)?;
                Ok(self.heap.array(vec![item]))
            }
            ExprKind::Copy(operand) => {
                let value = self.evaluate_out(operand)?;
                Ok(self.heap.import(value))
            }
            ExprKind::Modify {
                object,
                delete,
                members,
            } => self.modify(object, delete, members),
        }
    }

    /// Evaluates to a value that leaves the machine. Constants, variables and columns of a record, which is nearly all that
    /// leaves it, take the short way.
    pub(crate) fn evaluate_out(&mut self, expr: &Expr) -> Outcome<Value> {
        match &expr.kind {
            ExprKind::Constant(value) => return Ok(value.clone()),
            ExprKind::Slot(slot) => {
                if let Datum::Scalar(value) = &self.slots[*slot] {
                    return Ok(value.clone());
                }
            }
            ExprKind::Member { slot, name, site } => {
                if let Some(value) = self.column(*slot, name, *site) {
                    return Ok(value.cloned().unwrap_or_default());
                }
            }
            _ => {}
        }
        match self.evaluate(expr)? {
            Datum::Scalar(value) => Ok(value),
            other => operate::export(&self.heap, &other).map_err(|failure| failure.at(expr.span)),
        }
    }

    /// `MODIFY`: members go first, then others come; their values see what was there before.
    fn modify(
        &mut self,
        object: &Expr,
        delete: &[Arc<str>],
        members: &[(Arc<str>, Expr)],
    ) -> Outcome<Datum> {
        let changed = match self.evaluate(object)? {
            Datum::Scalar(Value::Null) => self.heap.object(Vec::new()),
            changed => changed,
        };
        let Datum::Object(handle) = changed else {
            let message = format!("MODIFY does not take {}", changed.type_name());
            return Err(Failure::of_type(message).at(object.span));
        };
        for name in delete {
            self.heap.remove_member(handle, name);
        }
        let mut values = Vec::with_capacity(members.len());
        for (_, value) in members {
            values.push(self.evaluate(value)?);
        }
        for ((name, _), value) in members.iter().zip(values) {
            self.note_store(handle, &value);
            self.heap.set_member(handle, name, value);
        }
        Ok(changed)
    }

    /// Evaluates a condition.
    pub(crate) fn condition(&mut self, expr: &Expr) -> Outcome<bool> {
        let value = self.evaluate(expr)?;
        operate::truth(&value).map_err(|failure| failure.at(expr.span))
    }

    fn unary(&mut self, expr: &Expr, op: UnaryOp, operand: &Expr) -> Outcome<Datum> {
        if op == UnaryOp::Not {
            return Ok(boolean(!self.condition(operand)?));
        }
        let operand = self.evaluate(operand)?;
        let zero = Datum::Scalar(Value::Integer(0));
        let op = if op == UnaryOp::Minus {
            BinaryOp::Subtract
        } else {
            BinaryOp::Add
        };
        if matches!(operand, Datum::Scalar(Value::Null)) {
            return Ok(NULL);
        }
        if !matches!(
            operand,
            Datum::Scalar(Value::Integer(_) | Value::Decimal(_))
        ) {
            let message = format!("a sign does not go with {}", operand.type_name());
            return Err(Failure::of_type(message).at(expr.span));
        }
        operate::arithmetic(&self.heap, op, false, &zero, &operand).map_err(|f| f.at(expr.span))
    }

    fn binary(
        &mut self,
        expr: &Expr,
        op: BinaryOp,
        sides: &(Expr, Expr),
        text: bool,
    ) -> Outcome<Datum> {
        match op {
            BinaryOp::And => {
                return Ok(boolean(
                    self.condition(&sides.0)? && self.condition(&sides.1)?,
                ));
            }
            BinaryOp::Or => {
                return Ok(boolean(
                    self.condition(&sides.0)? || self.condition(&sides.1)?,
                ));
            }
            _ => {}
        }
        let (a, b) = (self.evaluate(&sides.0)?, self.evaluate(&sides.1)?);
        let result = match op {
            BinaryOp::Equal => operate::equal(&self.heap, &a, &b).map(boolean),
            BinaryOp::NotEqual => operate::equal(&self.heap, &a, &b).map(|equal| boolean(!equal)),
            BinaryOp::Less
            | BinaryOp::LessOrEqual
            | BinaryOp::Greater
            | BinaryOp::GreaterOrEqual => operate::compare(op, &a, &b).map(boolean),
            _ => operate::arithmetic(&self.heap, op, text, &a, &b),
        };
        result.map_err(|failure| failure.at(expr.span))
    }

    fn in_list(
        &mut self,
        expr: &Expr,
        operand: &Expr,
        list: &[Expr],
        negated: bool,
    ) -> Outcome<Datum> {
        let operand = self.evaluate(operand)?;
        for item in list {
            let item = self.evaluate(item)?;
            if operate::equal(&self.heap, &operand, &item).map_err(|f| f.at(expr.span))? {
                return Ok(boolean(!negated));
            }
        }
        Ok(boolean(negated))
    }

    fn like(&mut self, expr: &Expr, sides: &(Expr, Expr), negated: bool) -> Outcome<Datum> {
        let (text, pattern) = (self.evaluate(&sides.0)?, self.evaluate(&sides.1)?);
        if text.is_null() || pattern.is_null() {
            return Ok(boolean(false));
        }
        let form = |d: &Datum| operate::text_of(&self.heap, d).map_err(|f| f.at(expr.span));
        Ok(boolean(
            operate::like(&form(&text)?, &form(&pattern)?) != negated,
        ))
    }

    fn between(
        &mut self,
        expr: &Expr,
        parts: &(Expr, Expr, Expr),
        negated: bool,
    ) -> Outcome<Datum> {
        let operand = self.evaluate(&parts.0)?;
        let (low, high) = (self.evaluate(&parts.1)?, self.evaluate(&parts.2)?);
        if operand.is_null() || low.is_null() || high.is_null() {
            return Ok(boolean(false));
        }
        let holds =
            |op, bound: &Datum| operate::compare(op, &operand, bound).map_err(|f| f.at(expr.span));
        let inside = holds(BinaryOp::GreaterOrEqual, &low)? && holds(BinaryOp::LessOrEqual, &high)?;
        Ok(boolean(inside != negated))
    }

    fn case(&mut self, branches: &[(Expr, Expr)], otherwise: Option<&Expr>) -> Outcome<Datum> {
        for (condition, value) in branches {
            if self.condition(condition)? {
                return self.evaluate(value);
            }
        }
        otherwise.map_or(Ok(NULL), |otherwise| self.evaluate(otherwise))
    }

    /// `@x.name`
    fn read_member(&mut self, slot: Slot, name: &Arc<str>, site: usize) -> Datum {
        match self.column(slot, name, site) {
            Some(value) => value.map_or(NULL, |value| Datum::Scalar(value.clone())),
            None => {
                let value = self.slots[slot].clone();
                self.member_of(value, name)
            }
        }
    }

    /// The column of a record, without a search; `None` if the variable holds something else.
    #[inline]
    fn column(&mut self, slot: Slot, name: &str, site: usize) -> Option<Option<&Value>> {
        let Datum::Object(handle) = self.slots[slot] else {
            return None;
        };
        let Node::Row(shape, record) = self.heap.node(handle) else {
            return None;
        };
        let index = match &self.sites[site] {
            Some((seen, index)) if Arc::ptr_eq(seen, shape) => *index,
            _ => {
                let index = shape.index(name);
                self.sites[site] = Some((Arc::clone(shape), index));
                index
            }
        };
        Some(index.map(|index| &record[index]))
    }

    fn read_path(&mut self, slot: Slot, steps: &[PathStep]) -> Outcome<Datum> {
        let start = self.slots[slot].clone();
        self.walk(start, steps)
    }

    /// Follows a path; a step that finds nothing gives NULL.
    pub(crate) fn walk(&mut self, start: Datum, steps: &[PathStep]) -> Outcome<Datum> {
        let mut value = start;
        let mut at = 0;
        while let Some(step) = steps.get(at) {
            value = self.unfold(value);
            at += 1;
            value = match step {
                PathStep::Member { name, site } => match self.cached_member(&value, name, *site) {
                    Some(found) => found,
                    None => {
                        let (found, used) = self.dotted_member(&value, name, &steps[at..]);
                        at += used;
                        found
                    }
                },
                PathStep::Index(index) => self.item(&value, *index),
                PathStep::Selector {
                    member,
                    value: wanted,
                } => {
                    let wanted = self.evaluate(wanted)?;
                    self.select(&value, member, &wanted, wanted_span(step))?
                }
            };
        }
        Ok(value)
    }

    /// A text that begins with `{` or `[` becomes what it says, if it is JSON.
    fn unfold(&mut self, value: Datum) -> Datum {
        match &value {
            Datum::Scalar(Value::Text(text)) if text.trim_start().starts_with(['{', '[']) => {
                Value::from_json(text).map_or(NULL, |tree| self.heap.import(tree))
            }
            _ => value,
        }
    }

    fn member_of(&mut self, value: Datum, name: &str) -> Datum {
        let value = self.unfold(value);
        self.find_member(&value, name).unwrap_or(NULL)
    }

    fn cached_member(&mut self, value: &Datum, name: &str, site: usize) -> Option<Datum> {
        let Datum::Object(handle) = value else {
            return None;
        };
        let Node::Row(shape, record) = self.heap.node(*handle) else {
            return self.find_member(value, name);
        };
        let index = match &self.sites[site] {
            Some((seen, index)) if Arc::ptr_eq(seen, shape) => *index,
            _ => {
                let index = shape.index(name);
                self.sites[site] = Some((Arc::clone(shape), index));
                index
            }
        };
        index.map(|index| Datum::Scalar(record[index].clone()))
    }

    /// Finds a member by its exact name.
    pub(crate) fn find_member(&self, value: &Datum, name: &str) -> Option<Datum> {
        let Datum::Object(handle) = value else {
            return None;
        };
        match self.heap.node(*handle) {
            Node::Row(shape, record) => shape
                .index(name)
                .map(|index| Datum::Scalar(record[index].clone())),
            Node::Object(members) => members
                .iter()
                .find(|(n, _)| &**n == name)
                .map(|(_, v)| v.clone()),
            Node::Array(_) => None,
        }
    }

    /// A column with a dotted alias: `@r.Key.Sub` finds the member `Key.Sub`. Returns how many further steps it used.
    fn dotted_member(&self, value: &Datum, name: &str, rest: &[PathStep]) -> (Datum, usize) {
        let mut dotted = name.to_owned();
        for (used, step) in rest.iter().enumerate() {
            let PathStep::Member { name, .. } = step else {
                break;
            };
            dotted.push('.');
            dotted.push_str(name);
            if let Some(found) = self.find_member(value, &dotted) {
                return (found, used + 1);
            }
        }
        (NULL, 0)
    }

    fn item(&self, value: &Datum, index: u64) -> Datum {
        let Some(items) = self.items(value) else {
            return NULL;
        };
        let item = usize::try_from(index)
            .ok()
            .and_then(|index| items.get(index));
        item.cloned().unwrap_or(NULL)
    }

    /// The items of an array.
    pub(crate) fn items(&self, value: &Datum) -> Option<&[Datum]> {
        let Datum::Array(handle) = value else {
            return None;
        };
        match self.heap.node(*handle) {
            Node::Array(items) => Some(items),
            _ => None,
        }
    }

    /// `[name=value]`: the first element whose member equals the value, compared as text.
    fn select(
        &self,
        value: &Datum,
        member: &str,
        wanted: &Datum,
        span: dajet_core::Span,
    ) -> Outcome<Datum> {
        let form = |datum: &Datum| operate::text_of(&self.heap, datum).map_err(|f| f.at(span));
        let wanted = form(wanted)?;
        for item in self.items(value).unwrap_or_default() {
            if let Some(found) = self.find_member(item, member)
                && form(&found)? == wanted
            {
                return Ok(item.clone());
            }
        }
        Ok(NULL)
    }

    /// `SET @x.a.b = value`. Steps but the last must lead to an object or array; the last member is made if it is missing.
    pub(crate) fn write_path(
        &mut self,
        slot: Slot,
        steps: &[PathStep],
        value: Datum,
    ) -> Outcome<Result<Option<Handle>, Failure>> {
        let Some((last, before)) = steps.split_last() else {
            return Ok(Ok(None));
        };
        let owner = self.read_path(slot, before)?;
        if owner.is_null() && before.is_empty() {
            let object = self.heap.object(Vec::new());
            self.slots[slot] = object;
            return self.write_path(slot, steps, value);
        }
        Ok(match (last, &owner) {
            (PathStep::Member { name, .. }, Datum::Object(handle)) => {
                self.heap.set_member(*handle, name, value);
                Ok(Some(*handle))
            }
            (PathStep::Index(index), Datum::Array(handle)) => {
                let Node::Array(items) = self.heap.node_mut(*handle) else {
                    return Ok(Ok(None));
                };
                let item = usize::try_from(*index)
                    .ok()
                    .and_then(|index| items.get_mut(index));
                match item {
                    Some(item) => {
                        *item = value;
                        Ok(Some(*handle))
                    }
                    None => Err(Failure::of_type(format!(
                        "the array has no element {index}"
                    ))),
                }
            }
            (PathStep::Member { name, .. }, owner) => {
                let message = format!("cannot set member \"{name}\" of {}", owner.type_name());
                Err(Failure::of_type(message))
            }
            (_, owner) => Err(Failure::of_type(format!(
                "cannot set an element of {}",
                owner.type_name()
            ))),
        })
    }

    /// An array is about to change.
    pub(crate) fn note_change(&mut self, array: Handle) {
        if let Some(replaced) = &mut self.replaced {
            replaced.push((array, self.heap.node(array).clone()));
        }
    }

    /// Undoes the changes of the operation.
    pub(crate) fn put_back(&mut self) {
        for (array, node) in self.replaced.take().into_iter().flatten().rev() {
            *self.heap.node_mut(array) = node;
        }
    }

    /// Something is put into the object or array `owner`: if that is older than the record, it keeps what the record made.
    pub(crate) fn note_store(&mut self, owner: Handle, datum: &Datum) {
        let young = match datum {
            Datum::Object(handle) | Datum::Array(handle) => *handle as usize >= self.base,
            Datum::Scalar(_) => false,
        };
        self.escaped |= young && (owner as usize) < self.base;
    }

    /// The next number of the generator (SplitMix64).
    pub(crate) fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

fn wanted_span(step: &PathStep) -> dajet_core::Span {
    match step {
        PathStep::Selector { value, .. } => value.span,
        PathStep::Member { .. } | PathStep::Index(_) => dajet_core::Span::default(),
    }
}

fn boolean(value: bool) -> Datum {
    Datum::Scalar(Value::Boolean(value))
}
