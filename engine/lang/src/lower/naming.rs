//! Names of the metadata: those that stand for values, and those of objects.

use std::sync::Arc;

use dajet_core::{Span, Value};

use super::Lowering;
use super::expressions::code_of_word;
use crate::ast::{self, Name, TypeKind, TypeName};
use crate::functions::Function;
use crate::names;
use crate::plan::{Meaning, NameId, NamePlan};
use crate::program::{Asked, Expr, ExprKind, Place, Type};

impl Lowering {
    /// A name in an expression of the runtime: `Перечисление.СтавкиНДС.НДС10`.
    pub(super) fn named_value(&mut self, name: &Name) -> ExprKind {
        if !may_be_value(name) {
            return self.stray_column(name);
        }
        let Some(place) = self.place_of_name(name.span) else {
            return ExprKind::Constant(Value::Null);
        };
        let text = Arc::clone(&name.text);
        let id = self.add_name(&text, name.span, place, Meaning::Value);
        ExprKind::Ask {
            asked: Asked::Value(text),
            args: Box::default(),
            place,
            name: Some(id),
        }
    }

    /// Notes a name in a database statement that may stand for a value.
    pub(super) fn note_value(&mut self, name: &Name) {
        if may_be_value(name) && !self.values.contains(&name.text) {
            self.values.push(Arc::clone(&name.text));
        }
    }

    /// `x IS Справочник.Номенклатура`
    pub(super) fn is_object(
        &mut self,
        operand: Expr,
        name: &Arc<str>,
        span: Span,
        negated: bool,
    ) -> ExprKind {
        let Some(place) = self.place_of_name(span) else {
            return ExprKind::Constant(Value::Null);
        };
        let id = self.add_name(name, span, place, Meaning::Object);
        let name = Arc::clone(name);
        ExprKind::Ask {
            asked: Asked::Is { name, negated },
            args: Box::new([operand]),
            place,
            name: Some(id),
        }
    }

    /// `TYPEOF(column)`
    pub(super) fn query_type_of(
        &mut self,
        arg: &ast::Expr,
        parameters: &mut Vec<Expr>,
    ) -> names::ExprKind {
        if let Some(code) = code_of_word(arg) {
            return names::ExprKind::Literal(Value::Integer(code));
        }
        if !matches!(arg.kind, ast::ExprKind::Column(_)) {
            let message = "in a query TYPEOF takes a column, or what holds no column";
            self.error("E_UNSUPPORTED", arg.span, message);
        }
        names::ExprKind::TypeOf(Box::new(self.query_expr(arg, parameters)))
    }

    /// `column IS [NOT] type`: TYPEOF compared with the numbers of the type, or with the code of the object.
    pub(super) fn query_is_type(
        &mut self,
        operand: &ast::Expr,
        type_name: &TypeName,
        negated: bool,
        parameters: &mut Vec<Expr>,
    ) -> names::ExprKind {
        let span = type_name.span;
        let of = names::Expr {
            kind: self.query_type_of(operand, parameters),
            span: operand.span,
        };
        let codes = match &type_name.kind {
            TypeKind::Named(name) => {
                let code = self.code_of_object(name, span);
                parameters.push(Expr { kind: code, span });
                vec![names::ExprKind::Parameter(parameters.len() - 1)]
            }
            _ => {
                let codes: &[i64] = match self.type_of(type_name) {
                    Type::Number | Type::Integer | Type::Decimal => &[3, 10],
                    Type::Boolean => &[2],
                    Type::DateTime => &[4],
                    Type::String => &[5],
                    Type::Binary => &[6],
                    Type::Uuid => &[7],
                    Type::Entity | Type::Union | Type::Object | Type::Array => {
                        let message =
                            "a column is tested for scalar types and metadata objects only";
                        let hint = "Any reference: TYPEOF(column) > TYPEOF(entity).";
                        self.hinted("E_UNSUPPORTED", span, message, hint);
                        &[0]
                    }
                };
                let literal = |code: &i64| names::ExprKind::Literal(Value::Integer(*code));
                codes.iter().map(literal).collect()
            }
        };
        let codes = codes.into_iter().map(|kind| names::Expr { kind, span });
        names::ExprKind::InList(Box::new(of), codes.collect(), negated)
    }

    /// The type code of an object that must be there.
    fn code_of_object(&mut self, name: &Arc<str>, span: Span) -> ExprKind {
        let Some(place) = self.place_of_name(span) else {
            return ExprKind::Constant(Value::Null);
        };
        let id = self.add_name(name, span, place, Meaning::Object);
        let kind = ExprKind::Constant(Value::text(&**name));
        ExprKind::Ask {
            asked: Asked::TypeOf { sure: true },
            args: Box::new([Expr { kind, span }]),
            place,
            name: Some(id),
        }
    }

    /// `DECLARE @x Справочник.Номенклатура`
    pub(super) fn empty_reference(&mut self, name: &Arc<str>, span: Span) -> ExprKind {
        let kind = ExprKind::Constant(Value::text(&**name));
        self.ask(Asked::Entity, Box::new([Expr { kind, span }]), span)
    }

    /// What a function asks of the metadata; nothing if its arguments say all.
    pub(super) fn asked(&self, function: &Function, args: &[Expr]) -> Option<Asked> {
        let first = args.first()?;
        let known = self.static_type(first);
        let needs_name = known == Some(Type::String);
        let may_be_name = matches!(known, None | Some(Type::String | Type::Union));
        let is_here = !self.places.is_empty();
        match function.name {
            "NAMEOF" => Some(Asked::NameOf),
            "METADATA" => Some(Asked::Metadata),
            "TYPEOF" if needs_name || (may_be_name && is_here) => {
                Some(Asked::TypeOf { sure: needs_name })
            }
            "ENTITY" if needs_name || args.len() == 1 || (may_be_name && is_here) => {
                Some(Asked::Entity)
            }
            _ => None,
        }
    }

    pub(super) fn ask(&mut self, asked: Asked, args: Box<[Expr]>, span: Span) -> ExprKind {
        let Some(place) = self.place_of_name(span) else {
            return ExprKind::Constant(Value::Null);
        };
        let meaning = match asked {
            Asked::Entity => Meaning::Object,
            _ => Meaning::Perhaps,
        };
        let name = match args.first().map(|first| (&first.kind, first.span)) {
            Some((ExprKind::Constant(Value::Text(name)), span)) => {
                let name: Arc<str> = name.to_string().into();
                Some(self.add_name(&name, span, place, meaning))
            }
            _ => None,
        };
        ExprKind::Ask {
            asked,
            args,
            place,
            name,
        }
    }

    /// The USE around a name.
    fn place_of_name(&mut self, span: Span) -> Option<Place> {
        let place = self.places.last().copied();
        if place.is_none() {
            let message = "a name of the metadata stands outside of USE";
            let hint = "Put it between USE 'address' and END.";
            self.hinted("E_BIND", span, message, hint);
        }
        place
    }

    fn add_name(&mut self, name: &Arc<str>, span: Span, place: Place, meaning: Meaning) -> NameId {
        let id = NameId(self.names.len() as u32);
        self.names.push(NamePlan {
            name: Arc::clone(name),
            span,
            place,
            meaning,
        });
        id
    }
}

/// Values have names of three parts: the kind, the object and the value.
fn may_be_value(name: &Name) -> bool {
    name.qualifier().is_some_and(|front| front.contains('.'))
}
