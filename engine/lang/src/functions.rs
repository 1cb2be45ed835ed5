//! The functions of the language: one file for each family, one table here. A function is found by its name without regard
//! to case.

mod arrays;
pub(crate) mod identity;
mod numbers;
mod objects;
mod regexp;
mod strings;
mod structure;
mod time;

use std::fmt;

use dajet_core::diagnostic::nearest;
use dajet_core::{DataType, query};

use crate::machine::failure::Failure;
use crate::machine::heap::Datum;
use crate::machine::memory::Memory;

/// Evaluates a function in the machine.
pub(crate) type Evaluator = fn(&mut Memory, &[Datum]) -> Result<Datum, Failure>;

/// A function.
pub struct Function {
    /// The name, upper case.
    pub name: &'static str,
    /// The arguments as the reference shows them.
    pub arguments: &'static str,
    /// Fewest arguments.
    pub(crate) least: usize,
    /// Most arguments.
    pub(crate) most: usize,
    /// How the machine evaluates it; `None` if only a database can.
    pub(crate) runtime: Option<Evaluator>,
    /// How a database evaluates it; `None` if it cannot.
    pub(crate) database: Option<InDatabase>,
    /// True if the result is text, so that `+` joins.
    pub(crate) text: bool,
    /// What the reference says.
    pub reference: &'static str,
}

/// Any number of arguments.
pub(crate) const MANY: usize = usize::MAX;

impl Function {
    /// A function that only the machine evaluates.
    const fn of_runtime(
        name: &'static str,
        arguments: &'static str,
        (least, most): (usize, usize),
        evaluator: Evaluator,
        reference: &'static str,
    ) -> Self {
        Self {
            name,
            arguments,
            least,
            most,
            runtime: Some(evaluator),
            database: None,
            text: false,
            reference,
        }
    }

    /// Where it is evaluated, for the reference.
    pub fn places(&self) -> &'static str {
        match (&self.runtime, &self.database) {
            (Some(_), Some(InDatabase::PerRow(_))) => "runtime; database, for each row",
            (Some(_), Some(_)) => "runtime; database, over columns",
            (Some(_), None) => "runtime",
            (None, _) => "database",
        }
    }

    /// True if it changes what its first argument holds.
    pub(crate) fn mutates(&self) -> bool {
        matches!(
            self.name,
            "ARRAY_APPEND" | "ARRAY_CLEAR" | "ARRAY_DELETE" | "ARRAY_INSERT"
        )
    }

    /// True if its arguments may be reached by what it gives or changes.
    pub(crate) fn keeps(&self) -> bool {
        self.mutates() || (self.result().is_none() && self.name != "JSON")
    }

    /// The type of what the machine makes of it, where that is always the same.
    pub(crate) fn result(&self) -> Option<DataType> {
        Some(match self.name {
            "NOW" | "UTC" => DataType::DateTime,
            "NEWUUID" | "UUIDOF" | "UUID1C" | "UUIDDB" => DataType::Uuid,
            "CHARLENGTH" | "DATALENGTH" | "CHARINDEX" | "TYPEOF" | "ARRAY_COUNT"
            | "ARRAY_APPEND" | "ARRAY_INSERT" | "ARRAY_CLEAR" | "PROPERTY_COUNT" => {
                DataType::Integer
            }
            "PROPERTY_EXISTS" => DataType::Boolean,
            _ if self.text => DataType::Text,
            _ => return None,
        })
    }
}

/// How a database evaluates a function.
#[derive(Clone, Debug)]
pub(crate) enum InDatabase {
    /// Over arguments that hold columns.
    OverColumns(query::Function),
    /// For each row, when it has no arguments: the server's time, a fresh uuid.
    PerRow(query::Function),
    /// Over rows, always.
    Aggregate(query::Function),
    /// The next number of a sequence, always.
    Vector,
    /// The first argument that is not NULL.
    Coalesce,
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Functions of the language that are not built.
const NOT_BUILT: &[&str] = &[
    "ENV",
    "ERROR_CODE",
    "ERROR_MESSAGE",
    "FIRST_VALUE",
    "LAG",
    "LAST_VALUE",
    "LEAD",
    "OBJECT",
    "ROW_NUMBER",
];

/// What a name means.
pub(crate) enum Found {
    /// A function.
    Known(&'static Function),
    /// A function of the language that is not built.
    NotBuilt,
    /// No function, perhaps a slip of the pen.
    Unknown(Option<&'static str>),
}

/// The families of functions, in the order of the reference.
pub fn families() -> [(&'static str, &'static [Function]); 8] {
    [
        ("JSON", structure::TABLE),
        ("Identities and types", identity::TABLE),
        ("Texts", strings::TABLE),
        ("Parts of texts and regular expressions", regexp::TABLE),
        ("Time", time::TABLE),
        ("Aggregates and NULL", numbers::TABLE),
        ("Arrays", arrays::TABLE),
        ("Members of objects", objects::TABLE),
    ]
}

/// All the functions, family by family.
pub fn all() -> impl Iterator<Item = &'static Function> {
    families().into_iter().flat_map(|(_, table)| table)
}

/// Functions of the language that are recognised and refused.
pub fn not_built() -> &'static [&'static str] {
    NOT_BUILT
}

/// Finds a function by its name.
pub(crate) fn find(name: &str) -> Found {
    let upper = name.to_uppercase();
    let upper = if upper == "DAJET.JSON" {
        "JSON"
    } else {
        &*upper
    };
    if let Some(function) = all().find(|function| function.name == upper) {
        return Found::Known(function);
    }
    if NOT_BUILT.contains(&upper) {
        return Found::NotBuilt;
    }
    Found::Unknown(nearest(upper, all().map(|function| function.name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_names_without_regard_to_case() {
        assert!(matches!(find("DaJet.Json"), Found::Known(f) if f.name == "JSON"));
        assert!(matches!(find("ltrim"), Found::Known(f) if f.name == "LTRIM"));
        assert!(matches!(find("Lead"), Found::NotBuilt));
        assert!(matches!(find("LTRIN"), Found::Unknown(Some("LTRIM"))));
    }

    #[test]
    fn has_each_name_once() {
        let mut names: Vec<_> = all().map(|function| function.name).collect();
        names.extend(NOT_BUILT);
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
