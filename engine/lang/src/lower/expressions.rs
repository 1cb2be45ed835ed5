//! Expressions that the machine evaluates.

use std::sync::Arc;

use dajet_core::{Diagnostic, Value};

use super::Lowering;
use crate::ast::{self, BinaryOp, Name, Path, TypeKind, TypeName, UnaryOp};
use crate::functions::identity::type_code;
use crate::functions::{self, Found, Function};
use crate::program::{CastTarget, Expr, ExprKind, PathStep, Type};

impl Lowering {
    /// Lowers an expression of the runtime.
    pub(super) fn expr(&mut self, expr: &ast::Expr) -> Expr {
        let kind = match &expr.kind {
            ast::ExprKind::Literal(value) => ExprKind::Constant(value.clone()),
            ast::ExprKind::Path(path) => return self.kept(path),
            ast::ExprKind::Column(name) => self.named_value(name),
            ast::ExprKind::Unary(op, operand) => self.unary(*op, operand),
            ast::ExprKind::Binary(op, a, b) => {
                let sides = (self.looked_at(a), self.looked_at(b));
                let text = *op == BinaryOp::Add
                    && [&sides.0, &sides.1]
                        .into_iter()
                        .any(|side| self.static_type(side) == Some(Type::String));
                ExprKind::Binary {
                    op: *op,
                    sides: Box::new(sides),
                    text,
                }
            }
            ast::ExprKind::IsNull { .. }
            | ast::ExprKind::IsType { .. }
            | ast::ExprKind::InList { .. }
            | ast::ExprKind::Like { .. }
            | ast::ExprKind::Between { .. } => self.predicate(expr),
            ast::ExprKind::Case {
                branches,
                otherwise,
            } => {
                let branches = branches
                    .iter()
                    .map(|(c, v)| (self.expr(c), self.expr(v)))
                    .collect();
                ExprKind::Case(branches, otherwise.as_ref().map(|e| Box::new(self.expr(e))))
            }
            ast::ExprKind::Call { name, args, star } => self.runtime_call(name, args, *star),
            ast::ExprKind::Cast { operand, type_name } => {
                let operand = Box::new(self.expr(operand));
                let to = self.type_of(type_name);
                let target = CastTarget {
                    to,
                    size: type_name.size,
                    scale: type_name.scale,
                };
                ExprKind::Cast(operand, target)
            }
            ast::ExprKind::InQuery { .. }
            | ast::ExprKind::Exists(_)
            | ast::ExprKind::Subquery(_)
            | ast::ExprKind::Distinct(_) => {
                let message = "a query cannot stand here";
                let hint = "Select into a variable first.";
                self.hinted("E_UNSUPPORTED", expr.span, message, hint);
                ExprKind::Constant(Value::Null)
            }
            ast::ExprKind::Error => ExprKind::Constant(Value::Null),
        };
        Expr {
            kind,
            span: expr.span,
        }
    }

    /// IS, IN, LIKE and BETWEEN.
    fn predicate(&mut self, expr: &ast::Expr) -> ExprKind {
        match &expr.kind {
            ast::ExprKind::IsNull { operand, negated } => {
                ExprKind::IsNull(Box::new(self.looked_at(operand)), *negated)
            }
            ast::ExprKind::IsType {
                operand,
                type_name,
                negated,
            } => {
                let operand = self.expr(operand);
                if let TypeKind::Named(name) = &type_name.kind {
                    return self.is_object(operand, name, type_name.span, *negated);
                }
                ExprKind::IsType(Box::new(operand), self.type_of(type_name), *negated)
            }
            ast::ExprKind::InList {
                operand,
                list,
                negated,
            } => {
                let operand = Box::new(self.expr(operand));
                ExprKind::InList(
                    operand,
                    list.iter().map(|e| self.expr(e)).collect(),
                    *negated,
                )
            }
            ast::ExprKind::Like {
                operand,
                pattern,
                negated,
            } => ExprKind::Like(Box::new((self.expr(operand), self.expr(pattern))), *negated),
            ast::ExprKind::Between {
                operand,
                low,
                high,
                negated,
            } => {
                let parts = (self.expr(operand), self.expr(low), self.expr(high));
                ExprKind::Between(Box::new(parts), *negated)
            }
            _ => ExprKind::Constant(Value::Null),
        }
    }

    fn unary(&mut self, op: UnaryOp, operand: &ast::Expr) -> ExprKind {
        let operand = self.expr(operand);
        match (op, &operand.kind) {
            (UnaryOp::Minus, ExprKind::Constant(Value::Integer(value))) if *value != i64::MIN => {
                ExprKind::Constant(Value::Integer(-value))
            }
            (UnaryOp::Minus, ExprKind::Constant(Value::Decimal(value))) => {
                let negative = value.negate();
                match negative.to_integer() {
                    Some(integer) if negative.scale() == 0 => {
                        ExprKind::Constant(Value::Integer(integer))
                    }
                    _ => ExprKind::Constant(Value::Decimal(negative)),
                }
            }
            (UnaryOp::Plus, ExprKind::Constant(Value::Integer(_) | Value::Decimal(_))) => {
                operand.kind
            }
            _ => ExprKind::Unary(op, Box::new(operand)),
        }
    }

    pub(super) fn stray_column(&mut self, name: &Name) -> ExprKind {
        let message = format!("unknown name \"{}\"", name.text);
        let hint = format!(
            "A variable is written \"@{}\"; a text stands in quotes.",
            name.text
        );
        self.hinted("E_BIND", name.span, message, &hint);
        ExprKind::Constant(Value::Null)
    }

    /// A type that is written in an expression.
    pub(super) fn type_of(&mut self, type_name: &TypeName) -> Type {
        Type::of(&type_name.kind).unwrap_or_else(|| {
            let message = "metadata types in expressions are not supported yet";
            self.error("E_UNSUPPORTED", type_name.span, message);
            Type::Entity
        })
    }

    /// Finds a function and checks the number of its arguments.
    pub(super) fn function(&mut self, name: &Name, count: usize) -> Option<&'static Function> {
        match functions::find(&name.text) {
            Found::Known(function) => {
                if (function.least..=function.most).contains(&count) {
                    return Some(function);
                }
                let plural = if count == 1 { "" } else { "s" };
                let message = format!(
                    "function {} does not take {count} argument{plural}",
                    function.name
                );
                let hint = format!("Write {}({}).", function.name, function.arguments);
                self.hinted("E_BIND", name.span, message, &hint);
            }
            Found::NotBuilt => {
                let message = format!("function {} is not supported yet", name.text);
                self.error("E_UNSUPPORTED", name.span, message);
            }
            Found::Unknown(near) => {
                let message = format!("unknown function \"{}\"", name.text);
                let hint = near.map(|near| format!("Did you mean \"{near}\"?"));
                self.diagnostics
                    .push(Diagnostic::error("E_BIND", name.span, message).maybe_hint(hint));
            }
        }
        None
    }

    fn runtime_call(&mut self, name: &Name, args: &[ast::Expr], star: bool) -> ExprKind {
        let nothing = ExprKind::Constant(Value::Null);
        let function = self.function(name, if star { 0 } else { args.len() });
        if function.is_some_and(|function| function.name == "TYPEOF")
            && let Some(code) = args.first().and_then(code_of_word)
        {
            return ExprKind::Constant(Value::Integer(code));
        }
        let keeps = function.is_none_or(Function::keeps);
        let lower = |arg| {
            if keeps {
                self.expr(arg)
            } else {
                self.looked_at(arg)
            }
        };
        let args: Box<[Expr]> = args.iter().map(lower).collect();
        let Some(function) = function else {
            return nothing;
        };
        if function.runtime.is_none() {
            let message = format!(
                "function {} needs a database statement around it",
                function.name
            );
            let hint = "Use it inside SELECT … FROM or INSERT.";
            self.hinted("E_BIND", name.span, message, hint);
            return nothing;
        }
        if matches!(function.name, "NOW" | "UTC") {
            self.builder().uses_clock = true;
        }
        self.check_arguments(function, &args);
        if let Some(asked) = self.asked(function, &args) {
            return self.ask(asked, args, name.span);
        }
        if function.mutates() {
            self.note_change(&args[0]);
        }
        ExprKind::Call(function, args)
    }

    /// What can be said of the arguments before the script runs.
    fn check_arguments(&mut self, function: &Function, args: &[Expr]) {
        if let ("REGEXP" | "REGEXP_REPLACE", [_, pattern, ..]) = (function.name, args)
            && let ExprKind::Constant(Value::Text(text)) = &pattern.kind
            && let Err(failure) = crate::machine::patterns::compile(text, false)
        {
            self.error(failure.code, pattern.span, failure.message);
        }
    }

    /// A function changes what its argument holds.
    pub(super) fn note_change(&mut self, changed: &Expr) {
        let slot = match &changed.kind {
            ExprKind::Slot(slot) | ExprKind::Member { slot, .. } | ExprKind::Path { slot, .. } => {
                *slot
            }
            _ => {
                self.members.change_array(None);
                self.builder().mutates = true;
                return;
            }
        };
        self.members.change_array(Some(slot));
        let builder = self.builder();
        builder.set(slot);
        if builder.record != Some(slot) {
            builder.mutates = true;
        }
    }

    /// A path that begins with a variable.
    pub(super) fn path(&mut self, path: &Path) -> Expr {
        let span = path.span;
        let Some(found) = self.scopes.resolve(&path.variable, &mut self.diagnostics) else {
            self.path_steps(&path.steps);
            return Expr {
                kind: ExprKind::Constant(Value::Null),
                span,
            };
        };
        let slot = found.slot;
        let kind = match path.steps.as_slice() {
            [] => ExprKind::Slot(slot),
            [ast::PathStep::Member(name)] => {
                let site = self.site();
                ExprKind::Member {
                    slot,
                    name: Arc::clone(&name.text),
                    site,
                }
            }
            steps => ExprKind::Path {
                slot,
                steps: self.path_steps(steps),
            },
        };
        self.check_members(path, found.declared);
        self.members.read(slot, found.declared, path);
        Expr { kind, span }
    }

    /// Numbers and dates have no members; a text may be JSON.
    fn check_members(&mut self, path: &Path, declared: Type) {
        let may_have = matches!(
            declared,
            Type::Object | Type::Array | Type::Union | Type::String
        );
        if !path.steps.is_empty() && !may_have {
            let message = format!("a variable of type {} has no members", declared.word());
            self.error("E_TYPE", path.span, message);
        }
    }

    pub(super) fn path_steps(&mut self, steps: &[ast::PathStep]) -> Box<[PathStep]> {
        let lower = |step: &ast::PathStep| match step {
            ast::PathStep::Member(name) => PathStep::Member {
                name: Arc::clone(&name.text),
                site: self.site(),
            },
            ast::PathStep::Index(index, _) => PathStep::Index(*index),
            ast::PathStep::Selector { member, value, .. } => PathStep::Selector {
                member: Arc::clone(&member.text),
                value: Box::new(self.expr(value)),
            },
        };
        steps.iter().map(lower).collect()
    }
}

/// `TYPEOF(entity)`: the argument is the word of a type.
pub(super) fn code_of_word(arg: &ast::Expr) -> Option<i64> {
    const WORDS: [&str; 12] = [
        "boolean", "number", "integer", "decimal", "datetime", "string", "binary", "uuid",
        "entity", "union", "object", "array",
    ];
    match &arg.kind {
        ast::ExprKind::Column(name) if WORDS.contains(&&*name.text) => Some(type_code(&name.text)),
        _ => None,
    }
}

/// A constant NULL.
pub(super) fn is_null(expr: &ast::Expr) -> bool {
    matches!(&expr.kind, ast::ExprKind::Literal(Value::Null))
}

/// Calls `visit` for the expression and all below it.
pub(crate) fn walk<'a>(expr: &'a Expr, visit: &mut dyn FnMut(&'a Expr)) {
    visit(expr);
    match &expr.kind {
        ExprKind::Constant(_) | ExprKind::Slot(_) | ExprKind::Member { .. } => {}
        ExprKind::Path { steps, .. } => {
            for step in steps {
                if let PathStep::Selector { value, .. } = step {
                    walk(value, visit);
                }
            }
        }
        ExprKind::Unary(_, operand)
        | ExprKind::IsNull(operand, _)
        | ExprKind::IsType(operand, ..)
        | ExprKind::Cast(operand, _)
        | ExprKind::List(operand)
        | ExprKind::Copy(operand) => walk(operand, visit),
        ExprKind::Modify {
            object, members, ..
        } => {
            walk(object, visit);
            members.iter().for_each(|(_, value)| walk(value, visit));
        }
        ExprKind::Binary { sides, .. } | ExprKind::Like(sides, _) => {
            walk(&sides.0, visit);
            walk(&sides.1, visit);
        }
        ExprKind::InList(operand, list, _) => {
            walk(operand, visit);
            list.iter().for_each(|item| walk(item, visit));
        }
        ExprKind::Between(parts, _) => {
            walk(&parts.0, visit);
            walk(&parts.1, visit);
            walk(&parts.2, visit);
        }
        ExprKind::Case(branches, otherwise) => {
            for (condition, value) in branches {
                walk(condition, visit);
                walk(value, visit);
            }
            if let Some(otherwise) = otherwise {
                walk(otherwise, visit);
            }
        }
        ExprKind::Call(_, args) | ExprKind::Ask { args, .. } => {
            args.iter().for_each(|arg| walk(arg, visit))
        }
        ExprKind::Object(members) => members.iter().for_each(|(_, value)| walk(value, visit)),
    }
}
