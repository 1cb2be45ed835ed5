//! Regular expressions, and the parts of a text. Matching takes linear time whatever the expression.

use std::sync::Arc;

use dajet_core::Value;

use super::Function;
use crate::machine::failure::Failure;
use crate::machine::heap::{Datum, NULL};
use crate::machine::memory::Memory;
use crate::machine::operate::{text_of, truth};

pub(super) static TABLE: &[Function] = &[
    Function::of_runtime(
        "SPLIT",
        "text, separator",
        (2, 2),
        split,
        "An array of objects with the member `Value`: the parts between the separators, without blanks around them; empty \
         parts are left out. NULL and empty text give an empty array.",
    ),
    Function::of_runtime(
        "REGEXP",
        "text, pattern[, ignore case]",
        (2, 3),
        matches,
        "An array of objects with the member `Value`: all that matches the regular expression. Back-references and \
         look-around are not known. A literal pattern is checked before the script runs.",
    ),
    Function {
        name: "REGEXP_REPLACE",
        arguments: "text, pattern, new",
        least: 3,
        most: 3,
        runtime: Some(replace),
        database: None,
        text: true,
        reference: "The text with all that matches the regular expression replaced; `$1` stands for the first group.",
    },
];

/// An array of objects with the member `Value`.
fn values<'t>(memory: &mut Memory, texts: impl Iterator<Item = &'t str>) -> Datum {
    let name: Arc<str> = "Value".into();
    let items = texts
        .map(|text| {
            let member = (Arc::clone(&name), Datum::text(text));
            memory.heap.object(vec![member])
        })
        .collect();
    memory.heap.array(items)
}

fn split(memory: &mut Memory, args: &[Datum]) -> Result<Datum, Failure> {
    let text = text_of(&memory.heap, &args[0])?;
    let separator = text_of(&memory.heap, &args[1])?;
    let parts: Vec<&str> = match separator.is_empty() {
        true => vec![&*text],
        false => text.split(&*separator).collect(),
    };
    let parts = parts.into_iter().map(str::trim);
    Ok(values(memory, parts.filter(|part| !part.is_empty())))
}

fn matches(memory: &mut Memory, args: &[Datum]) -> Result<Datum, Failure> {
    if args[0].is_null() || args[1].is_null() {
        return Ok(NULL);
    }
    let text = text_of(&memory.heap, &args[0])?;
    let pattern = text_of(&memory.heap, &args[1])?;
    let ignore_case = args.get(2).map(truth).transpose()?.unwrap_or(false);
    let regex = memory.patterns.get(&pattern, ignore_case)?;
    let found = regex.find_iter(&text).map(|found| found.as_str());
    Ok(values(memory, found))
}

fn replace(memory: &mut Memory, args: &[Datum]) -> Result<Datum, Failure> {
    if args.iter().any(Datum::is_null) {
        return Ok(NULL);
    }
    let text = text_of(&memory.heap, &args[0])?;
    let pattern = text_of(&memory.heap, &args[1])?;
    let new = with_braces(&text_of(&memory.heap, &args[2])?);
    let regex = memory.patterns.get(&pattern, false)?;
    let replaced = regex.replace_all(&text, new.as_str()).into_owned();
    Ok(Datum::Scalar(Value::text(replaced)))
}

/// `$1x` becomes `${1}x`: the digits are the number of the group, what follows is text.
fn with_braces(new: &str) -> String {
    let mut text = String::with_capacity(new.len());
    let mut rest = new;
    while let Some(at) = rest.find('$') {
        let behind = &rest[at + 1..];
        let digits = behind.len()
            - behind
                .trim_start_matches(|c: char| c.is_ascii_digit())
                .len();
        text.push_str(&rest[..=at]);
        let step = match behind.chars().next() {
            Some('$') => {
                text.push('$');
                1
            }
            _ if digits > 0 => {
                text.push_str(&format!("{{{}}}", &behind[..digits]));
                digits
            }
            _ => 0,
        };
        rest = &behind[step..];
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_digits_behind_a_dollar_as_the_group() {
        assert_eq!(with_braces("$1x-$$2-$12"), "${1}x-$$2-${12}");
        assert_eq!(with_braces("цена $"), "цена $");
    }
}
