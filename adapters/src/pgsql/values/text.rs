//! Values out of texts, beyond what core reads.

use dajet_core::Decimal;
use jiff::civil::Time;
use uuid::Uuid;

/// Reads a number, blanks around it allowed.
pub(super) fn parse_decimal(text: &str) -> Option<Decimal> {
    text.trim().parse().ok()
}

/// Reads `HH:MM[:SS[.fraction]]`.
pub(super) fn parse_time(text: &str) -> Option<Time> {
    text.trim().parse().ok()
}

/// Reads a uuid in any of its usual forms.
pub(super) fn parse_uuid(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text.trim()).ok()
}

/// Reads `0x` and hexadecimal digits.
pub(super) fn parse_binary(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x")?;
    if !digits.len().is_multiple_of(2) || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_texts() {
        assert_eq!(parse_binary("0x00fF"), Some(vec![0, 255]));
        assert_eq!(
            (
                parse_binary("0x0"),
                parse_binary("0x+f"),
                parse_binary("00")
            ),
            (None, None, None)
        );
        assert_eq!(
            parse_decimal(" 1.50 ").map(|d| d.to_string()).as_deref(),
            Some("1.50")
        );
        assert!(parse_time("12:30").is_some() && parse_time("25:00").is_none());
    }
}
