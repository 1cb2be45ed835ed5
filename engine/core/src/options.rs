//! Options of connectors: [`options!`](crate::options!) makes of one definition a struct, its parser, its checks and
//! the rows of its reference.
//!
//! Deliberately no part of this: properties that a client library owns and that are passed on to it as they are.

use std::sync::Arc;
use std::time::Duration;

use crate::contract::OptionUse;
use crate::diagnostic::{Diagnostic, nearest};
use crate::error::SystemError;
use crate::secret::Secret;
use crate::value::Value;

/// What may be written for an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionKind {
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer,
    /// Any text.
    Text,
    /// A length of time.
    Duration,
    /// A text that is never printed.
    Secret,
}

/// One option, for checks, the reference and the dashboard.
#[derive(Clone, Copy, Debug)]
pub struct OptionDef {
    /// The name as scripts and addresses write it.
    pub name: &'static str,
    /// What it does: the doc comment of its field.
    pub doc: &'static str,
    /// The default as an author would write it; `None` if there is none.
    pub default: Option<&'static str>,
    /// True if it must be given.
    pub required: bool,
    /// What may be written.
    pub kind: OptionKind,
    /// Checks a value without keeping it.
    pub check: fn(&str, &Value) -> Result<(), OptionError>,
}

/// A mistake in an option. Never shows the value of a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// No such name.
    #[error("unknown option \"{name}\"")]
    Unknown {
        /// As written.
        name: String,
        /// The nearest valid name.
        nearest: Option<&'static str>,
    },
    /// A required option is absent.
    #[error("option \"{name}\" is missing")]
    Missing {
        /// The option.
        name: &'static str,
    },
    /// The same name twice.
    #[error("option \"{name}\" is given twice")]
    Repeated {
        /// The option.
        name: &'static str,
    },
    /// A value of another kind or out of range.
    #[error("option \"{name}\" takes {expected}, not {found}")]
    Invalid {
        /// The option.
        name: String,
        /// What it takes.
        expected: &'static str,
        /// What was given.
        found: String,
    },
}

impl OptionError {
    /// A full sentence that says what to do, if one is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            OptionError::Unknown {
                nearest: Some(near),
                ..
            } => Some(format!("Did you mean \"{near}\"?")),
            _ => None,
        }
    }
}

impl From<OptionError> for SystemError {
    fn from(error: OptionError) -> Self {
        let made = SystemError::misconfigured("E_PARAM", error.to_string());
        match error.hint() {
            Some(hint) => made.with_hint(hint),
            None => made,
        }
    }
}

/// A type that an option may have.
pub trait OptionValue: Sized {
    /// Its kind.
    const KIND: OptionKind;
    /// What it takes, for messages.
    const EXPECTED: &'static str;

    /// True if an option without a default must be given.
    const REQUIRED: bool = true;

    /// Converts a value; `name` tells the unit of a duration. `None` if the value does not fit.
    fn convert(name: &str, value: &Value) -> Option<Self>;
}

impl OptionValue for bool {
    const KIND: OptionKind = OptionKind::Boolean;
    const EXPECTED: &'static str = "true or false";

    fn convert(_: &str, value: &Value) -> Option<Self> {
        match value {
            Value::Boolean(value) => Some(*value),
            Value::Text(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Value::Text(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }
}

macro_rules! whole_numbers {
    ($($type:ty: $expected:literal),* $(,)?) => {$(
        impl OptionValue for $type {
            const KIND: OptionKind = OptionKind::Integer;
            const EXPECTED: &'static str = $expected;

            fn convert(_: &str, value: &Value) -> Option<Self> {
                integer(value).and_then(|number| number.try_into().ok())
            }
        }
    )*};
}

whole_numbers! {
    i64: "a whole number",
    u16: "a whole number from 0 to 65535",
    u32: "a whole number from 0 to 4294967295",
    u64: "a whole number from 0",
    usize: "a whole number from 0",
}

impl OptionValue for String {
    const KIND: OptionKind = OptionKind::Text;
    const EXPECTED: &'static str = "a text";

    fn convert(_: &str, value: &Value) -> Option<Self> {
        match value {
            Value::Text(text) => Some(text.to_string()),
            Value::Integer(number) => Some(number.to_string()),
            Value::Boolean(value) => Some(value.to_string()),
            Value::Uuid(uuid) => Some(uuid.to_string()),
            _ => None,
        }
    }
}

impl OptionValue for Arc<str> {
    const KIND: OptionKind = OptionKind::Text;
    const EXPECTED: &'static str = String::EXPECTED;

    fn convert(name: &str, value: &Value) -> Option<Self> {
        String::convert(name, value).map(Into::into)
    }
}

impl OptionValue for Secret {
    const KIND: OptionKind = OptionKind::Secret;
    const EXPECTED: &'static str = String::EXPECTED;

    fn convert(name: &str, value: &Value) -> Option<Self> {
        String::convert(name, value).map(Secret::new)
    }
}

/// A number counts milliseconds if the option's name ends in `Ms`, else seconds; a text may carry its unit: `500ms`,
/// `30s`, `5m`, `1h`.
impl OptionValue for Duration {
    const KIND: OptionKind = OptionKind::Duration;
    const EXPECTED: &'static str =
        "a length of time (a whole number, or a text such as '500ms', '30s', '5m')";

    fn convert(name: &str, value: &Value) -> Option<Self> {
        let unit_ms = if name.ends_with("Ms") || name.ends_with(".ms") {
            1
        } else {
            1_000
        };
        if let Some(number) = integer(value) {
            return Some(Duration::from_millis(
                u64::try_from(number).ok()?.checked_mul(unit_ms)?,
            ));
        }
        let Value::Text(text) = value else {
            return None;
        };
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit())?;
        let factor = match text[digits..].trim_start() {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        let number: u64 = text[..digits].parse().ok()?;
        Some(Duration::from_millis(number.checked_mul(factor)?))
    }
}

/// An option that need not be given; NULL says the same as its absence.
impl<T: OptionValue> OptionValue for Option<T> {
    const KIND: OptionKind = T::KIND;
    const EXPECTED: &'static str = T::EXPECTED;
    const REQUIRED: bool = false;

    fn convert(name: &str, value: &Value) -> Option<Self> {
        if value.is_null() {
            Some(None)
        } else {
            T::convert(name, value).map(Some)
        }
    }
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(number) => Some(*number),
        Value::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// Converts the value of the option `name`.
///
/// # Errors
/// `Invalid`, which does not show a secret.
pub fn convert<T: OptionValue>(name: &str, value: &Value) -> Result<T, OptionError> {
    T::convert(name, value).ok_or_else(|| OptionError::Invalid {
        name: name.to_owned(),
        expected: T::EXPECTED,
        found: if T::KIND == OptionKind::Secret {
            value.type_name().to_owned()
        } else {
            described(value)
        },
    })
}

/// The first of the list: how [`options!`](crate::options!) makes one expression of a default that may not be written.
pub const fn written(list: &[Option<&'static str>]) -> Option<&'static str> {
    list[0]
}

/// The value of an option that is not given.
///
/// # Errors
/// `Missing` if there is no default and the option is required.
pub fn absent<T: OptionValue>(
    name: &'static str,
    default: Option<&'static str>,
) -> Result<T, OptionError> {
    match default {
        Some(text) => convert(name, &Value::text(text)),
        None if T::REQUIRED => Err(OptionError::Missing { name }),
        None => convert(name, &Value::Null),
    }
}

fn described(value: &Value) -> String {
    const SHOWN_MAX: usize = 40;
    match value {
        Value::Boolean(value) => value.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Text(text) if text.chars().count() <= SHOWN_MAX => format!("'{text}'"),
        Value::Text(text) => format!("'{}…'", text.chars().take(SHOWN_MAX).collect::<String>()),
        other => other.type_name().to_owned(),
    }
}

/// Finds the definition of `name`.
///
/// # Errors
/// `Unknown` with the nearest name.
pub fn find(defs: &'static [OptionDef], name: &str) -> Result<&'static OptionDef, OptionError> {
    defs.iter()
        .find(|def| def.name == name)
        .ok_or_else(|| OptionError::Unknown {
            name: name.to_owned(),
            nearest: nearest(name, defs.iter().map(|def| def.name)),
        })
}

/// What of the options takes effect: those that the definitions know, of each name the last one. The author is warned of the others
/// before a run (W020).
pub fn effective<'a>(
    defs: &'static [OptionDef],
    pairs: impl IntoIterator<Item = (&'a str, &'a Value)>,
) -> Vec<(&'a str, &'a Value)> {
    let mut kept: Vec<(&str, &Value)> = Vec::new();
    for (name, value) in pairs {
        if find(defs, name).is_ok() {
            kept.retain(|(known, _)| *known != name);
            kept.push((name, value));
        }
    }
    kept
}

/// Checks options as a script writes them: unknown names (W020), wrong literals and missing ones (E_PARAM). `whole` is
/// the place of the statement, where a missing option is reported.
pub fn check(
    defs: &'static [OptionDef],
    whole: crate::Span,
    uses: &[OptionUse],
) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (index, option) in uses.iter().enumerate() {
        match find(defs, &option.name) {
            Err(error) => found.push(
                Diagnostic::warning("W020", option.span, error.to_string())
                    .maybe_hint(error.hint()),
            ),
            Ok(_)
                if uses[..index]
                    .iter()
                    .any(|earlier| earlier.name == option.name) =>
            {
                found.push(repeated(option));
            }
            Ok(def) => found.extend(check_literal(def, option)),
        }
    }
    for def in defs.iter().filter(|def| def.required) {
        if !uses.iter().any(|option| &*option.name == def.name) {
            let error = OptionError::Missing { name: def.name };
            found.push(Diagnostic::error("E_PARAM", whole, error.to_string()));
        }
    }
    found
}

/// The diagnostic of a literal that the option does not take.
pub fn check_literal(def: &OptionDef, option: &OptionUse) -> Option<Diagnostic> {
    let error = (def.check)(&option.name, option.literal.as_ref()?).err()?;
    Some(Diagnostic::error("E_PARAM", option.span, error.to_string()))
}

/// The diagnostic of an option that is given twice.
pub fn repeated(option: &OptionUse) -> Diagnostic {
    Diagnostic::warning(
        "W020",
        option.span,
        format!("option \"{}\" is given twice", option.name),
    )
}

/// Defines options: the doc comment of a field is the option's reference text, the literal behind `=` its default as an
/// author would write it. A field without a default is required, unless its type is an `Option`.
///
/// ```
/// use std::time::Duration;
/// use dajet_core::{Value, options};
///
/// options! {
///     /// Options of an example.
///     pub struct ExampleOptions {
///         /// How long to wait for an answer.
///         "TimeoutMs" => timeout: Duration = "30000",
///         /// Name shown at the server.
///         "ClientId" => client_id: Option<String>,
///     }
/// }
/// let options = ExampleOptions::parse([("TimeoutMs", &Value::Integer(5))]).expect("it is valid");
/// assert_eq!(options.timeout, Duration::from_millis(5));
/// ```
#[macro_export]
macro_rules! options {
    (
        $(#[doc = $about:literal])*
        $vis:vis struct $Struct:ident {
            $( $(#[doc = $doc:literal])+ $name:literal => $field:ident: $type:ty $(= $default:literal)? ),* $(,)?
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug, PartialEq)]
        $vis struct $Struct {
            $( $(#[doc = $doc])+ pub $field: $type, )*
        }

        impl $Struct {
            /// The definitions, in written order.
            pub const DEFS: &'static [$crate::options::OptionDef] = &[
                $( $crate::options::OptionDef {
                    name: $name,
                    doc: concat!($($doc, "\n"),+),
                    default: $crate::options::written(&[$(Some($default),)? None]),
                    required: <$type as $crate::options::OptionValue>::REQUIRED
                        && $crate::options::written(&[$(Some($default),)? None]).is_none(),
                    kind: <$type as $crate::options::OptionValue>::KIND,
                    check: |name, value| $crate::options::convert::<$type>(name, value).map(drop),
                }, )*
            ];

            /// Converts names and values.
            ///
            /// # Errors
            /// An unknown or repeated name, a value that does not fit, a required option that is missing.
            pub fn parse<'a>(
                pairs: impl IntoIterator<Item = (&'a str, &'a $crate::Value)>,
            ) -> Result<Self, $crate::options::OptionError> {
                $( let mut $field: Option<$type> = None; )*
                for (name, value) in pairs {
                    match name {
                        $( $name => {
                            let value = $crate::options::convert::<$type>(name, value)?;
                            if $field.replace(value).is_some() {
                                return Err($crate::options::OptionError::Repeated { name: $name });
                            }
                        } )*
                        _ => return Err(match $crate::options::find(Self::DEFS, name) {
                            Err(error) => error,
                            Ok(def) => $crate::options::OptionError::Missing { name: def.name },
                        }),
                    }
                }
                Ok(Self {
                    $( $field: match $field {
                        Some(value) => value,
                        None => $crate::options::absent::<$type>($name, $crate::options::written(&[$(Some($default),)? None]))?,
                    }, )*
                })
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Span;

    options! {
        /// Options of the tests.
        struct Sample {
            /// Where to go.
            "Адрес" => address: String,
            /// How long to wait.
            /// In milliseconds.
            "TimeoutMs" => timeout: Duration = "30000",
            /// How long to stay.
            "IdleTime" => idle_time: Duration = "1m",
            /// Most things at a time.
            "Limit" => limit: Option<u16>,
            /// Who asks.
            "Password" => password: Option<Secret>,
            /// Whether to do it.
            "Enable" => enable: bool = "true",
        }
    }

    fn parse(pairs: &[(&str, Value)]) -> Result<Sample, String> {
        Sample::parse(pairs.iter().map(|(name, value)| (*name, value)))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn converts_what_is_given_and_fills_in_defaults() {
        let sample = parse(&[
            ("Адрес", Value::text("здесь")),
            ("TimeoutMs", Value::text("2s")),
            ("Limit", Value::Integer(7)),
        ]);
        assert_eq!(
            sample,
            Ok(Sample {
                address: "здесь".to_owned(),
                timeout: Duration::from_secs(2),
                idle_time: Duration::from_secs(60),
                limit: Some(7),
                password: None,
                enable: true,
            })
        );
    }

    #[test]
    fn tells_what_is_wrong() {
        let fails = |pairs: &[(&str, Value)]| parse(pairs).expect_err("it is wrong");
        assert_eq!(fails(&[]), "option \"Адрес\" is missing");
        assert_eq!(fails(&[("Limti", Value::Null)]), "unknown option \"Limti\"");
        assert_eq!(
            fails(&[("Limit", Value::Integer(70_000))]),
            "option \"Limit\" takes a whole number from 0 to 65535, not 70000"
        );
        assert_eq!(
            fails(&[("Enable", Value::text("может"))]),
            "option \"Enable\" takes true or false, not 'может'"
        );
        assert_eq!(
            fails(&[("Limit", Value::Null), ("Limit", Value::Null)]),
            "option \"Limit\" is given twice"
        );
        let secret = fails(&[(
            "Password",
            Value::Binary(bytes::Bytes::from_static(b"geheim")),
        )]);
        assert_eq!(secret, "option \"Password\" takes a text, not binary");
    }

    #[test]
    fn checks_options_with_their_places() {
        let use_of = |name: &str, start, literal| OptionUse {
            name: name.into(),
            span: Span::new(start, start + 1),
            literal,
            of_message: false,
        };
        let uses = [
            use_of("TimeotMs", 1, None),
            use_of("Enable", 2, Some(Value::Integer(3))),
            use_of("Limit", 3, None),
            use_of("Limit", 4, None),
        ];
        let found: Vec<_> = check(Sample::DEFS, Span::new(0, 9), &uses)
            .into_iter()
            .map(|d| (d.code, d.span.start, d.message, d.hint))
            .collect();
        assert_eq!(
            found,
            [
                (
                    "W020",
                    1,
                    "unknown option \"TimeotMs\"".to_owned(),
                    Some("Did you mean \"TimeoutMs\"?".to_owned())
                ),
                (
                    "E_PARAM",
                    2,
                    "option \"Enable\" takes true or false, not 3".to_owned(),
                    None
                ),
                (
                    "W020",
                    4,
                    "option \"Limit\" is given twice".to_owned(),
                    None
                ),
                ("E_PARAM", 0, "option \"Адрес\" is missing".to_owned(), None),
            ]
        );
    }

    #[test]
    fn tells_its_reference() {
        let rows: Vec<_> = Sample::DEFS
            .iter()
            .map(|d| (d.name, d.kind, d.default, d.required))
            .collect();
        assert_eq!(rows[0], ("Адрес", OptionKind::Text, None, true));
        assert_eq!(
            rows[1],
            ("TimeoutMs", OptionKind::Duration, Some("30000"), false)
        );
        assert_eq!(rows[3], ("Limit", OptionKind::Integer, None, false));
        assert_eq!(rows[4].1, OptionKind::Secret);
        assert_eq!(
            Sample::DEFS[1].doc,
            " How long to wait.\n In milliseconds.\n"
        );
    }
}
