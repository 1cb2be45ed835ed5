//! Decimals that are kept as texts, compared as the numbers that they are, with all their digits.

use std::borrow::Cow;
use std::cmp::Ordering;

use dajet_core::Decimal;
use rusqlite::{Connection, Result};

/// The collation by which texts of numbers are compared.
pub const COLLATION: &str = "dajet_number";

/// Makes the collation known to a connection.
///
/// # Errors
/// None is expected.
pub fn register(connection: &Connection) -> Result<()> {
    connection.create_collation(COLLATION, compare)
}

/// Numbers by their value, however many digits they have; other texts behind them, letter by letter.
pub fn compare(a: &str, b: &str) -> Ordering {
    let (x, y) = (plain(a), plain(b));
    match (Digits::of(&x), Digits::of(&y)) {
        (Some(x), Some(y)) => x.compare(&y),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

/// A text without blanks around it; a number with an exponent without that.
fn plain(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    if text.contains(['e', 'E'])
        && let Ok(number) = text.parse::<Decimal>()
    {
        return Cow::Owned(number.to_string());
    }
    Cow::Borrowed(text)
}

/// A number by its digits.
struct Digits<'t> {
    negative: bool,
    /// Without zeros in front.
    whole: &'t str,
    /// Without zeros at the end.
    fraction: &'t str,
}

impl<'t> Digits<'t> {
    fn of(text: &'t str) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !are_digits(whole) || !are_digits(fraction) {
            return None;
        }
        let whole = whole.trim_start_matches('0');
        let fraction = fraction.trim_end_matches('0');
        let is_zero = whole.is_empty() && fraction.is_empty();
        Some(Self {
            negative: negative && !is_zero,
            whole,
            fraction,
        })
    }

    fn compare(&self, other: &Self) -> Ordering {
        let magnitude = (self.whole.len().cmp(&other.whole.len()))
            .then_with(|| self.whole.cmp(other.whole))
            .then_with(|| self.fraction.cmp(other.fraction));
        match (self.negative, other.negative) {
            (false, false) => magnitude,
            (true, true) => magnitude.reverse(),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_numbers_compare_as_numbers_do() {
        let ascending = [
            "-100",
            "-20.5",
            "-3",
            "-0.05",
            "0",
            "0.045",
            "0.5",
            "1",
            "1.5",
            "2",
            "10",
            "99.99",
            "1e3",
            "12345678901234567890123456789012345678901234567890.1",
            "12345678901234567890123456789012345678901234567890.2",
            "",
            "абв",
            "ё",
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(compare(a, b), i.cmp(&j), "{a} {b}");
            }
        }
        for (a, b) in [
            ("1.5", "1.500"),
            ("-0", "0.00"),
            ("007", "+7."),
            (" 3", "3"),
            ("1e1", "10"),
        ] {
            assert_eq!(compare(a, b), Ordering::Equal, "{a} {b}");
        }
    }
}
