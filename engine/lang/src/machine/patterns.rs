//! Regular expressions: compiled once, matched in linear time.

use regex::{Regex, RegexBuilder};

use super::failure::Failure;

/// Compiled expressions that are kept.
const KEPT: usize = 16;

/// The regular expressions that were used last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patterns {
    known: Vec<(String, bool, Regex)>,
}

impl Patterns {
    /// The compiled expression.
    pub(crate) fn get(&mut self, pattern: &str, ignore_case: bool) -> Result<Regex, Failure> {
        let mut known = self.known.iter();
        if let Some((_, _, regex)) = known.find(|(p, i, _)| p == pattern && *i == ignore_case) {
            return Ok(regex.clone());
        }
        let regex = compile(pattern, ignore_case)?;
        if self.known.len() == KEPT {
            self.known.remove(0);
        }
        self.known
            .push((pattern.to_owned(), ignore_case, regex.clone()));
        Ok(regex)
    }
}

/// Compiles an expression. Back-references and look-around are not known.
pub(crate) fn compile(pattern: &str, ignore_case: bool) -> Result<Regex, Failure> {
    let regex = RegexBuilder::new(pattern)
        .case_insensitive(ignore_case)
        .build();
    regex.map_err(|error| {
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default().trim();
        let reason = reason.strip_prefix("error: ").unwrap_or(reason);
        let reason = reason.trim_end_matches('.').to_lowercase();
        Failure::of_type(format!("the regular expression is wrong: {reason}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_last_expressions_only() {
        let mut patterns = Patterns::default();
        for number in 0..100 {
            let regex = patterns.get(&format!("^{number}$"), false).unwrap();
            assert!(regex.is_match(&number.to_string()));
        }
        assert_eq!(patterns.known.len(), KEPT);
    }

    #[test]
    fn says_what_is_wrong_in_one_line() {
        let failure = compile(r"(a)\1", false).unwrap_err();
        assert_eq!(
            failure.message,
            "the regular expression is wrong: backreferences are not supported"
        );
        assert_eq!(compile("(", false).unwrap_err().code, "E_TYPE");
    }
}
