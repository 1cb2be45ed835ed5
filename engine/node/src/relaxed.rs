//! JSON as people write it by hand: `//` and `/* */` comments and trailing commas are allowed.

use serde::de::DeserializeOwned;

/// Reads JSON with comments and trailing commas. Lines and columns of errors are those of `text`.
///
/// # Errors
/// Those of the JSON reader.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, serde_json::Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    serde_json::from_str(&without_trailing_commas(&without_comments(text)))
}

/// Replaces comments by blanks.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '"' => literal_length(rest),
            _ if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            _ if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            _ => c.len_utf8(),
        };
        let (piece, tail) = rest.split_at(length);
        if piece.starts_with("//") || piece.starts_with("/*") {
            out.extend(piece.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        } else {
            out.push_str(piece);
        }
        rest = tail;
    }
    out
}

/// Replaces a comma before a closing bracket by a blank.
fn without_trailing_commas(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = if c == '"' {
            literal_length(rest)
        } else {
            c.len_utf8()
        };
        let (piece, tail) = rest.split_at(length);
        let trailing = c == ',' && tail.trim_start().starts_with([']', '}']);
        out.push_str(if trailing { " " } else { piece });
        rest = tail;
    }
    out
}

/// Bytes of the text literal at the start of `text`, quotes included.
fn literal_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn accepts_comments_and_trailing_commas() {
        let text =
            "{ // first\n \"а\": [1, 2, ], /* \"no\": 1, */\n \"url\": \"http://x,}\\\"//\",\n}";
        assert_eq!(
            parse::<Value>(text).unwrap(),
            json!({ "а": [1, 2], "url": "http://x,}\"//" })
        );
    }

    #[test]
    fn reports_the_place_of_a_mistake() {
        let error = parse::<Value>("{ /* один\n два */ \"a\": }").unwrap_err();
        assert_eq!(error.line(), 2);
    }
}
