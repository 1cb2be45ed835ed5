//! Passwords never leave the process: what is printed of a script's text passes through here.

use std::ops::Range;

/// What stands in place of a password, however long that is.
const MASK: &str = "***";

/// Parts of the names of options, parameters and variables that hold what nobody may see.
const SECRET: [&str; 9] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "jaas",
    "key.pem",
    "keypem",
    "bearer.config",
];

/// The form of an address, as hints show it.
const TEMPLATE: &str = "user:password@host";

/// Masks passwords in `text`: those of addresses (`scheme://user:password@host`), the values that names like `password` and `secret` have,
/// and those of variables that stand for the password of an address.
pub fn mask(text: &str) -> String {
    Masked::new(text).text
}

/// A masked text, and where the places of the original are in it. It has the lines of the original.
pub struct Masked {
    /// The text.
    pub text: String,
    cuts: Vec<Cut>,
}

/// What is replaced, and how many bytes are there instead.
struct Cut {
    range: Range<usize>,
    length: usize,
}

impl Masked {
    /// Masks a text.
    pub fn new(text: &str) -> Self {
        let mut masked = Self {
            text: String::with_capacity(text.len()),
            cuts: Vec::new(),
        };
        let mut done = 0;
        for range in secrets(text) {
            masked.text.push_str(&text[done..range.start]);
            let before = masked.text.len();
            masked.text.push_str(MASK);
            let breaks = text[range.clone()].matches(['\n', '\r']);
            masked.text.extend(breaks);
            done = range.end;
            masked.cuts.push(Cut {
                range,
                length: masked.text.len() - before,
            });
        }
        masked.text.push_str(&text[done..]);
        masked
    }

    /// Where a byte of the original is; one of a password is at its mask.
    pub fn place(&self, offset: usize) -> usize {
        let (mut kept, mut made) = (offset, 0);
        for Cut { range, length } in &self.cuts {
            if offset <= range.start {
                break;
            }
            // Of a mask no more than what it has.
            made += if offset < range.end {
                (offset - range.start).min(*length)
            } else {
                *length
            };
            kept -= offset.min(range.end) - range.start;
        }
        kept + made
    }
}

/// The places of everything that is secret, in order and apart from each other.
fn secrets(text: &str) -> Vec<Range<usize>> {
    let mut found = address_passwords(text);
    let names: Vec<&str> = found
        .iter()
        .filter_map(|range| text[range.clone()].strip_prefix("{@")?.strip_suffix('}'))
        .collect();
    let of_variables = names
        .iter()
        .flat_map(|name| values(text, &format!("@{name}")));
    let of_names = SECRET.iter().flat_map(|word| values(text, word));
    let more: Vec<_> = of_variables.chain(of_names).collect();
    found.extend(more);
    found.retain(|range| !range.is_empty());
    found.sort_by_key(|range| (range.start, range.end));
    let mut apart: Vec<Range<usize>> = Vec::new();
    for range in found {
        match apart.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => apart.push(range),
        }
    }
    apart
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
            (!rest.starts_with(TEMPLATE)).then_some(start + colon + 1..start + user_end)
        })
        .collect()
}

/// The values that are given to names which hold `word`: `name = 'value'`, `name type = 'value'`, `name=value`.
fn values(text: &str, word: &str) -> Vec<Range<usize>> {
    let lower = text.to_ascii_lowercase();
    let word = word.to_ascii_lowercase();
    let matches = lower.match_indices(&*word);
    matches
        .filter_map(|(at, word)| value(text, at + word.len()))
        .collect()
}

/// The value that is given to the name which goes on at `at`.
fn value(text: &str, at: usize) -> Option<Range<usize>> {
    let of_word = |c: char| c.is_alphanumeric() || c == '.' || c == '_';
    let rest = text[at..].trim_start_matches(of_word);
    if let Some(value) = rest.strip_prefix('=')
        && !value.trim_start().starts_with(['\'', '"', '@', '{'])
    {
        // A parameter of an address or of a connection string.
        let ends = |c: char| c.is_whitespace() || matches!(c, '&' | ';' | ',' | '\'' | '"');
        let start = text.len() - value.len();
        return Some(start..start + value.find(ends).unwrap_or(value.len()));
    }
    // The type of a variable may stand before the sign.
    let rest = rest.trim_start();
    let rest = match rest.strip_prefix('=') {
        Some(value) => value,
        None => rest
            .trim_start_matches(of_word)
            .trim_start()
            .strip_prefix('=')?,
    };
    let value = rest.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let start = text.len() - value.len() + 1;
    let length = text[start..].find(quote).unwrap_or(text.len() - start);
    Some(start..start + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(mask(text), expected);
    }

    #[test]
    fn hides_the_passwords_of_addresses() {
        check(
            "USE 'pgsql://user:s@c:t@host/db'",
            "USE 'pgsql://user:***@host/db'",
        );
        check(
            "USE \"pgsql://пользователь:тайна@host/база\"",
            "USE \"pgsql://пользователь:***@host/база\"",
        );
        for text in [
            "USE 'pgsql://host:5432/db' -- a@b",
            "USE 'sqlite://{@path}'",
            "pgsql://host:5432/db INTO @x",
            "An address has the form pgsql://user:password@host:port/database.",
        ] {
            check(text, text);
        }
        check(
            "USE 'pgsql://{@user}:{@word}@{@host}/x'",
            "USE 'pgsql://{@user}:***@{@host}/x'",
        );
        check(
            "USE 'pgsql://user:word@{@host}/x'",
            "USE 'pgsql://user:***@{@host}/x'",
        );
        check(
            "pgsql://user:word@host:5432/db INTO @x",
            "pgsql://user:***@host:5432/db INTO @x",
        );
    }

    #[test]
    fn hides_the_passwords_of_parameters() {
        check(
            "USE 'pgsql://host/db?user=u&password=тайна&map=x'",
            "USE 'pgsql://host/db?user=u&password=***&map=x'",
        );
        check(
            "wrong address \"mssql://host/db;pwd=word\": no",
            "wrong address \"mssql://host/db;pwd=***\": no",
        );
    }

    #[test]
    fn hides_the_secrets_of_options() {
        check(
            "WITH sasl.password = 'abcd', Acks = 'all'",
            "WITH sasl.password = '***', Acks = 'all'",
        );
        check(
            "SaslOauthbearerClientSecret='x y'",
            "SaslOauthbearerClientSecret='***'",
        );
        check(
            "WITH sasl.jaas.config='user=x password=y', Acks='all'",
            "WITH sasl.jaas.config='***', Acks='all'",
        );
        check(
            "WITH other='user=x password=y', Acks='all'",
            "WITH other='user=x password=***', Acks='all'",
        );
        check("ssl.key.pem = 'a\nb' x", "ssl.key.pem = '***\n' x");
    }

    #[test]
    fn hides_the_variables_of_passwords() {
        for text in [
            "DECLARE @password string",
            "SELECT password = @password",
            "DECLARE @слово string = 'тайна' USE 'sqlite://{@слово}'",
        ] {
            check(text, text);
        }
        check(
            "DECLARE @password string = 'abcd'",
            "DECLARE @password string = '***'",
        );
        check(
            "DECLARE @слово string = 'тайна' USE 'pgsql://u:{@слово}@h/d' SET @слово = 'x'",
            "DECLARE @слово string = '***' USE 'pgsql://u:***@h/d' SET @слово = '***'",
        );
    }

    #[test]
    fn knows_where_places_have_gone() {
        let text = "a 'x://u:тайна@h' b 'x://u:v@h' c";
        let masked = Masked::new(text);
        assert_eq!(masked.text, "a 'x://u:***@h' b 'x://u:***@h' c");
        for letter in ["a ", "@h' b", " b ", "@h' c", " c"] {
            let place = masked.place(text.find(letter).unwrap());
            assert!(masked.text[place..].starts_with(letter), "{letter}");
        }
        let inside = masked.place(text.find("йна").unwrap());
        assert_eq!(inside, masked.text.find("***").unwrap() + 3);
        assert_eq!(masked.place(text.len()), masked.text.len());
    }
}
