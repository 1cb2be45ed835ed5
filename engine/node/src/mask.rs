//! Passwords never leave the process: what is printed of a script's text passes through here.

use std::ops::Range;

/// Masks passwords in `text`: those of addresses (`scheme://user:password@host`) and those of options whose name holds
/// `password` or `secret`. The result has the same length in bytes and the same lines, so that spans stay true.
pub fn mask(text: &str) -> String {
    let mut ranges = address_passwords(text);
    ranges.extend(option_secrets(text));
    if ranges.is_empty() {
        return text.to_owned();
    }
    text.char_indices()
        .flat_map(|(at, c)| {
            let hidden = ranges.iter().any(|r| r.contains(&at));
            let count = if hidden { c.len_utf8() } else { 1 };
            std::iter::repeat_n(if hidden { '*' } else { c }, count)
        })
        .collect()
}

fn address_passwords(text: &str) -> Vec<Range<usize>> {
    text.match_indices("://")
        .filter_map(|(at, separator)| {
            let start = at + separator.len();
            let scheme = text[..at].trim_end_matches(|c: char| c.is_ascii_alphanumeric());
            let rest = &text[start..];
            // A quoted address ends at its quote, another one at the first blank.
            let end = match scheme.chars().next_back() {
                Some(quote @ ('\'' | '"')) => rest.find([quote, '\n', '\r']),
                _ => rest.find(|c: char| c.is_whitespace() || matches!(c, '\'' | '"')),
            };
            let rest = &rest[..end.unwrap_or(rest.len())];
            // The `@` of a template `{@name}` separates nothing.
            let user_end = rest
                .rmatch_indices('@')
                .map(|(i, _)| i)
                .find(|i| !rest[..*i].ends_with('{'))?;
            let colon = rest[..user_end].find(':')?;
            Some(start + colon + 1..start + user_end)
        })
        .collect()
}

fn option_secrets(text: &str) -> Vec<Range<usize>> {
    let lower = text.to_ascii_lowercase();
    ["password", "secret"]
        .iter()
        .flat_map(|word| lower.match_indices(word))
        .filter_map(|(at, word)| {
            let rest = &text[at + word.len()..];
            let name_end = rest.find(|c: char| !(c.is_alphanumeric() || c == '.' || c == '_'))?;
            let value = rest[name_end..]
                .trim_start()
                .strip_prefix('=')?
                .trim_start();
            let quote = value.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
            let start = text.len() - value.len() + 1;
            let end = text[start..]
                .find(quote)
                .map_or(text.len(), |length| start + length);
            Some(start..end)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(mask(text), expected);
        assert_eq!(mask(text).len(), text.len());
    }

    #[test]
    fn hides_the_passwords_of_addresses() {
        check(
            "USE 'pgsql://user:s@c:t@host/db'",
            "USE 'pgsql://user:*****@host/db'",
        );
        check(
            "USE \"pgsql://пользователь:тайна@host/база\"",
            "USE \"pgsql://пользователь:**********@host/база\"",
        );
        check(
            "USE 'pgsql://host:5432/db' -- a@b",
            "USE 'pgsql://host:5432/db' -- a@b",
        );
        check("USE 'sqlite://{@path}'", "USE 'sqlite://{@path}'");
        check(
            "USE 'pgsql://{@user}:{@word}@{@host}/x'",
            "USE 'pgsql://{@user}:*******@{@host}/x'",
        );
        check(
            "USE 'pgsql://user:word@{@host}/x'",
            "USE 'pgsql://user:****@{@host}/x'",
        );
        check(
            "pgsql://host:5432/db INTO @x",
            "pgsql://host:5432/db INTO @x",
        );
        check(
            "pgsql://user:word@host:5432/db INTO @x",
            "pgsql://user:****@host:5432/db INTO @x",
        );
    }

    #[test]
    fn hides_the_secrets_of_options() {
        check(
            "WITH sasl.password = 'abc', Acks = 'all'",
            "WITH sasl.password = '***', Acks = 'all'",
        );
        check(
            "SaslOauthbearerClientSecret='x y'",
            "SaslOauthbearerClientSecret='***'",
        );
        check("DECLARE @password string", "DECLARE @password string");
    }
}
