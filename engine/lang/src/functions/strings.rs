//! Texts. Positions count Unicode scalar values from 1. NULL in, NULL out, except where the reference says otherwise.

use bytestring::ByteString;
use dajet_core::{Value, query};

use super::{Evaluator, Function, InDatabase, MANY};
use crate::machine::failure::Failure;
use crate::machine::heap::{Datum, NULL};
use crate::machine::memory::Memory;
use crate::machine::operate::text_of;

/// A function of one text, over columns too.
const fn simple(
    name: &'static str,
    runtime: Evaluator,
    function: query::Function,
    text: bool,
    reference: &'static str,
) -> Function {
    let database = Some(InDatabase::OverColumns(function));
    let runtime = Some(runtime);
    Function {
        name,
        arguments: "text",
        least: 1,
        most: 1,
        runtime,
        database,
        text,
        reference,
    }
}

pub(super) static TABLE: &[Function] = &[
    simple(
        "LTRIM",
        ltrim,
        query::Function::LTrim,
        true,
        "Cuts white space in front; in a database, spaces.",
    ),
    simple(
        "RTRIM",
        rtrim,
        query::Function::RTrim,
        true,
        "Cuts white space behind; in a database, spaces.",
    ),
    simple(
        "LOWER",
        lower,
        query::Function::Lower,
        true,
        "Lower case, whatever the language of the system.",
    ),
    simple(
        "UPPER",
        upper,
        query::Function::Upper,
        true,
        "Upper case, whatever the language of the system.",
    ),
    simple(
        "CHARLENGTH",
        charlength,
        query::Function::CharLength,
        false,
        "The number of characters.",
    ),
    simple(
        "DATALENGTH",
        datalength,
        query::Function::DataLength,
        false,
        "The number of bytes; of a text, in UTF-8.",
    ),
    Function {
        name: "SUBSTRING",
        arguments: "text, start[, length]",
        least: 2,
        most: 3,
        runtime: Some(substring),
        database: Some(InDatabase::OverColumns(query::Function::Substring)),
        text: true,
        reference: "A part of a text. Positions count from 1; a start below 1 shortens the result. Without a length: the \
                    rest.",
    },
    Function {
        name: "CHARINDEX",
        arguments: "text, search",
        least: 2,
        most: 2,
        runtime: Some(charindex),
        database: None,
        text: false,
        reference: "The first position of the searched text, from 1; 0 if it is absent or empty.",
    },
    Function {
        name: "REPLACE",
        arguments: "text, find, new",
        least: 3,
        most: 3,
        runtime: Some(replace),
        database: Some(InDatabase::OverColumns(query::Function::Replace)),
        text: true,
        reference: "The text with every occurrence replaced, literally.",
    },
    Function {
        name: "CONCAT",
        arguments: "value, …",
        least: 1,
        most: MANY,
        runtime: Some(concat),
        database: Some(InDatabase::OverColumns(query::Function::Concat)),
        text: true,
        reference: "The text forms in one text; NULL counts as empty.",
    },
    Function {
        name: "CONCAT_WS",
        arguments: "separator, value, …",
        least: 2,
        most: MANY,
        runtime: Some(concat_ws),
        database: Some(InDatabase::OverColumns(query::Function::ConcatWs)),
        text: true,
        reference: "The text forms in one text with the separator between them; NULL is left out. NULL as separator gives NULL.",
    },
];

/// Applies `change` to the text form, or answers NULL for NULL.
fn over_text(value: &Datum, change: impl FnOnce(&str) -> Datum) -> Result<Datum, Failure> {
    match value {
        Datum::Scalar(Value::Null) => Ok(NULL),
        Datum::Scalar(Value::Text(text)) => Ok(change(text)),
        Datum::Scalar(other) => Ok(change(&other.to_string())),
        other => Err(Failure::of_type(format!(
            "a text function does not take {}",
            other.type_name()
        ))),
    }
}

fn ltrim(_: &mut Memory, args: &[Datum]) -> Result<Datum, Failure> {
    over_text(&args[0], |text| Datum::text(text.trim_start()))
}

fn rtrim(_: &mut Memory, args: &[Datum]) -> Result<Datum, Failure> {
    over_text(&args[0], |text| Datum::text(text.trim_end()))
}

fn lower(_: &mut Memory, args: &[Datum]) -> Result<Datum, Failure> {
    over_text(&args[0], |text| Datum::text(text.to_lowercase()))
}

fn upper(_: &mut Memory, args: &[Datum]) -> Result<Datum, Failure> {
    over_text(&args[0], |text| Datum::text(text.to_uppercase()))
}

fn charlength(_: &mut Memory, args: &[Datum]) -> Result<Datum, Failure> {
    over_text(&args[0], |text| integer(text.chars().count()))
}

fn datalength(_: &mut Memory, args: &[Datum]) -> Result<Datum, Failure> {
    match &args[0] {
        Datum::Scalar(Value::Binary(bytes)) => Ok(integer(bytes.len())),
        other => over_text(other, |text| integer(text.len())),
    }
}

fn integer(value: usize) -> Datum {
    Datum::Scalar(Value::Integer(i64::try_from(value).unwrap_or(i64::MAX)))
}

/// A position or length; fractions are cut.
pub(super) fn position(value: &Datum) -> Result<i64, Failure> {
    match value {
        Datum::Scalar(Value::Integer(value)) => Ok(*value),
        Datum::Scalar(Value::Decimal(value)) => value
            .truncate()
            .ok_or_else(|| Failure::new("E_RANGE", "the position is too large")),
        other => Err(Failure::of_type(format!(
            "a position cannot be {}",
            other.type_name()
        ))),
    }
}

fn substring(_: &mut Memory, args: &[Datum]) -> Result<Datum, Failure> {
    if args.iter().any(Datum::is_null) {
        return Ok(NULL);
    }
    let start = position(&args[1])?;
    let end = match args.get(2).map(position).transpose()? {
        Some(length) if length < 0 => {
            return Err(Failure::of_type("the length of a text cannot be negative"));
        }
        Some(length) => start.saturating_add(length),
        None => i64::MAX,
    };
    let first = start.max(1);
    let (skip, take) = (as_count(first - 1), as_count(end.saturating_sub(first)));
    over_text(&args[0], |text| {
        Datum::text(text.chars().skip(skip).take(take).collect::<String>())
    })
}

fn as_count(value: i64) -> usize {
    usize::try_from(value.max(0)).unwrap_or(usize::MAX)
}

fn charindex(memory: &mut Memory, args: &[Datum]) -> Result<Datum, Failure> {
    if args[1].is_null() {
        return Ok(NULL);
    }
    let search = text_of(&memory.heap, &args[1])?;
    over_text(&args[0], |text| match text.find(&search) {
        Some(at) if !search.is_empty() => integer(text[..at].chars().count() + 1),
        _ => integer(0),
    })
}

fn replace(memory: &mut Memory, args: &[Datum]) -> Result<Datum, Failure> {
    if args.iter().any(Datum::is_null) {
        return Ok(NULL);
    }
    let (find, new) = (
        text_of(&memory.heap, &args[1])?,
        text_of(&memory.heap, &args[2])?,
    );
    over_text(&args[0], |text| {
        Datum::text(if find.is_empty() {
            text.to_owned()
        } else {
            text.replace(&find, &new)
        })
    })
}

fn concat(memory: &mut Memory, args: &[Datum]) -> Result<Datum, Failure> {
    let mut joined = String::new();
    for arg in args {
        joined.push_str(&text_of(&memory.heap, arg)?);
    }
    Ok(Datum::Scalar(Value::Text(ByteString::from(joined))))
}

fn concat_ws(memory: &mut Memory, args: &[Datum]) -> Result<Datum, Failure> {
    let [separator, values @ ..] = args else {
        return Ok(NULL);
    };
    if separator.is_null() {
        return Ok(NULL);
    }
    let separator = text_of(&memory.heap, separator)?;
    let mut forms = Vec::with_capacity(values.len());
    for value in values.iter().filter(|value| !value.is_null()) {
        forms.push(text_of(&memory.heap, value)?);
    }
    Ok(Datum::text(forms.join(&separator)))
}
