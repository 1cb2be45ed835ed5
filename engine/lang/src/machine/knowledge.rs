//! What the database's metadata tells of names and type codes. An expression that needs what is not known yet stops its
//! operation by an error that nobody sees: the machine asks ([`super::Step::Ask`]), remembers the answer and runs the
//! operation again.

use std::collections::HashMap;
use std::sync::Arc;

use dajet_core::schema::{Known, MetadataKey};
use dajet_core::{Address, Entity, Span, Value};
use uuid::Uuid;

use super::failure::{Failure, Outcome};
use super::heap::{Datum, NULL};
use super::memory::Memory;
use crate::functions::identity;
use crate::plan::NameId;
use crate::program::{Asked, Expr, Place};

/// Most names and codes that are remembered; beyond that all are forgotten.
const KNOWN_MAX: usize = 10_000;

/// What is asked of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The database.
    pub address: Address,
    /// The name, or the type code.
    pub key: MetadataKey,
    /// The expression that needs it.
    pub span: Span,
    /// The name as the script writes it, if it does.
    pub(crate) name: Option<NameId>,
}

impl Question {
    /// True if the script writes the name, false if it computes it.
    pub fn is_written(&self) -> bool {
        self.name.is_some()
    }
}

/// What was answered, and what is lacking.
#[derive(Debug, Default)]
pub struct Knowledge {
    known: HashMap<(Address, MetadataKey), Arc<Known>>,
    lacking: Option<Question>,
}

impl Knowledge {
    /// Remembers an answer.
    pub fn learn(&mut self, question: Question, known: Known) {
        if self.known.len() >= KNOWN_MAX {
            self.known.clear();
        }
        let key = (question.address, question.key);
        self.known.insert(key, Arc::new(known));
    }

    /// What the evaluation that has just failed needs to know.
    pub(crate) fn lacking(&mut self) -> Option<Question> {
        self.lacking.take()
    }
}

/// An expression that needs the metadata.
pub(crate) struct Asking<'a> {
    pub asked: &'a Asked,
    pub args: &'a [Expr],
    pub place: Place,
    pub name: Option<NameId>,
    pub span: Span,
}

impl Memory {
    pub(super) fn ask(&mut self, asking: &Asking<'_>) -> Outcome<Datum> {
        let mut args = Vec::with_capacity(asking.args.len());
        for arg in asking.args {
            args.push(self.evaluate(arg)?);
        }
        match asking.asked {
            Asked::Value(name) => {
                let known = self.known(asking, MetadataKey::Name(Arc::clone(name)))?;
                let value = known.value.ok_or_else(|| unknown(name, &known));
                let value = value.map_err(|failure| failure.at(asking.span))?;
                Ok(Datum::Scalar(Value::Entity(value)))
            }
            Asked::TypeOf { sure } => self.type_of(asking, &args[0], *sure),
            Asked::Entity => self.entity(asking, &args),
            Asked::NameOf => self.name_of(asking, &args[0]),
            Asked::Metadata => self.metadata(asking, &args[0]),
            Asked::Is { name, negated } => {
                let is = match &args[0] {
                    Datum::Scalar(Value::Entity(entity)) => {
                        Some(entity.code) == self.code_of(asking, name)?
                    }
                    _ => false,
                };
                Ok(Datum::Scalar(Value::Boolean(is != *negated)))
            }
        }
    }

    /// What is known; an error that is not shown if the database must be asked first.
    fn known(&mut self, asking: &Asking<'_>, key: MetadataKey) -> Outcome<Arc<Known>> {
        let Some(address) = self.addresses.get(asking.place).cloned().flatten() else {
            let message = "a name of the metadata stands outside of USE";
            return Err(Failure::new("E_BIND", message).at(asking.span));
        };
        let at = (address, key);
        if let Some(known) = self.knowledge.known.get(&at) {
            return Ok(Arc::clone(known));
        }
        self.knowledge.lacking = Some(Question {
            address: at.0,
            key: at.1,
            span: asking.span,
            name: asking.name,
        });
        let message = "a name of the metadata is not known here";
        Err(Failure::new("E_UNSUPPORTED", message).at(asking.span))
    }

    /// The type code of the object with this name.
    fn code_of(&mut self, asking: &Asking<'_>, name: &str) -> Outcome<Option<i32>> {
        let known = self.known(asking, MetadataKey::Name(name.trim().into()))?;
        Ok(known.object.as_ref().map(|object| object.code))
    }

    /// A text is the name of an object. One that is not surely a name, and names nothing, is a value of its own.
    fn type_of(&mut self, asking: &Asking<'_>, of: &Datum, sure: bool) -> Outcome<Datum> {
        let nothing = if sure {
            0
        } else {
            identity::type_code("string")
        };
        let code = match of {
            Datum::Scalar(Value::Entity(entity)) => i64::from(entity.code),
            Datum::Scalar(Value::Text(name)) if is_name(name) => {
                let code = self.code_of(asking, name)?;
                code.map_or(nothing, i64::from)
            }
            Datum::Scalar(Value::Text(_)) => nothing,
            other => identity::type_code(other.type_name()),
        };
        Ok(Datum::Scalar(Value::Integer(code)))
    }

    fn entity(&mut self, asking: &Asking<'_>, args: &[Datum]) -> Outcome<Datum> {
        let Datum::Scalar(Value::Text(name)) = &args[0] else {
            return identity::entity(self, args).map_err(|failure| failure.at(asking.span));
        };
        let uuid = match args.get(1) {
            None => Some(Uuid::nil()),
            Some(uuid) => identity::identity("ENTITY", uuid).map_err(|f| f.at(asking.span))?,
        };
        let Some(uuid) = uuid else {
            return Ok(NULL);
        };
        let key = MetadataKey::Name(name.trim().into());
        let known = self.known(asking, key)?;
        match &known.object {
            Some(object) => Ok(Datum::Scalar(Value::Entity(Entity {
                code: object.code,
                uuid,
            }))),
            None => Err(unknown(name, &known).at(asking.span)),
        }
    }

    fn name_of(&mut self, asking: &Asking<'_>, of: &Datum) -> Outcome<Datum> {
        if of.is_null() {
            return Ok(NULL);
        }
        let Some(code) = code_in(of) else {
            let message = format!("NAMEOF does not take {}", of.type_name());
            return Err(Failure::of_type(message).at(asking.span));
        };
        let known = self.known(asking, MetadataKey::Code(code))?;
        Ok(match &known.object {
            Some(object) => Datum::text(object.full_name.to_string()),
            None => NULL,
        })
    }

    fn metadata(&mut self, asking: &Asking<'_>, of: &Datum) -> Outcome<Datum> {
        let key = match of {
            Datum::Scalar(Value::Null) => return Ok(NULL),
            Datum::Scalar(Value::Text(name)) => Some(MetadataKey::Name(name.trim().into())),
            of => code_in(of).map(MetadataKey::Code),
        };
        let Some(key) = key else {
            let message = format!("METADATA does not take {}", of.type_name());
            return Err(Failure::of_type(message).at(asking.span));
        };
        let known = self.known(asking, key)?;
        let Some(object) = &known.object else {
            return Ok(NULL);
        };
        let text = |text: &str| Datum::text(text.to_owned());
        let perhaps = |name: &Option<Arc<str>>| name.as_deref().map_or(NULL, text);
        let members = [
            ("Ссылка", Datum::Scalar(Value::Uuid(object.uuid))),
            ("Код", Datum::Scalar(Value::Integer(object.code.into()))),
            ("Тип", text(&object.kind)),
            ("Имя", text(&object.name)),
            ("ПолноеИмя", text(&object.full_name)),
            ("Таблица", perhaps(&object.table)),
            ("Владелец", perhaps(&object.owner)),
        ];
        let members = members.map(|(name, value)| (Arc::from(name), value));
        Ok(self.heap.object(members.into()))
    }
}

/// The type code that a value says: that of a reference, or a number. One that is too large is nobody's.
fn code_in(of: &Datum) -> Option<i32> {
    let number = match of {
        Datum::Scalar(Value::Entity(entity)) => return Some(entity.code),
        Datum::Scalar(Value::Integer(code)) => Some(*code),
        Datum::Scalar(Value::Decimal(code)) => code.to_integer(),
        _ => return None,
    };
    let code = number.and_then(|code| i32::try_from(code).ok());
    Some(code.unwrap_or_default())
}

/// Why a name means nothing.
pub(crate) fn unknown(name: &str, known: &Known) -> Failure {
    let failure = Failure::new("E_BIND", format!("unknown name \"{name}\""));
    match (&known.reason, near(name, known)) {
        (Some(reason), _) => failure.hint(reason.clone()),
        (None, Some(near)) => failure.hint(format!("Did you mean \"{near}\"?")),
        (None, None) => failure,
    }
}

/// The name that was probably meant.
pub(crate) fn near<'a>(name: &str, known: &'a Known) -> Option<&'a str> {
    let suggestions = || known.suggestions.iter().map(|name| &**name);
    dajet_core::diagnostic::nearest(name, suggestions()).or_else(|| suggestions().next())
}

/// Names of objects have at least two parts.
fn is_name(text: &str) -> bool {
    let is_word = |part: &str| {
        let mut chars = part.chars();
        chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
            && chars.all(|c| c.is_alphanumeric() || c == '_')
    };
    let text = text.trim();
    text.contains('.') && text.split('.').all(is_word)
}
