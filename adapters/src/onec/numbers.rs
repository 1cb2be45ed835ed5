//! `Params.DBNames`: the numbers of tables and columns.

use uuid::Uuid;

use super::bracket::{Broken, Token, Tokens};

/// The platform has some 130 tokens.
const TOKENS_MAX: usize = 1_000;

/// A number that an object, a section or an attribute has. An entry says nothing about existence: some are stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    uuid: Uuid,
    /// Index in the list of tokens.
    token: u32,
    number: u32,
}

/// The numbers by uuid and token.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    entries: Vec<Entry>,
    tokens: Vec<String>,
}

impl Numbers {
    /// Reads `{highest, {count, {uuid, "Token", number}, …}}`; entries of another form are left out.
    ///
    /// # Errors
    /// What is wrong with the text, and where.
    pub(super) fn parse(text: &str) -> Result<Self, Broken> {
        let mut numbers = Self::default();
        let mut tokens = Tokens::new(text);
        let (mut depth, mut lists) = (0usize, 0usize);
        let (mut told, mut found) = (None, 0usize);
        let mut fields: (Option<Uuid>, Option<u32>, Option<u32>) = (None, None, None);
        while let Some(token) = tokens.next()? {
            match token {
                Token::Open => {
                    depth += 1;
                    lists += usize::from(depth == 2);
                    found += usize::from(depth == 3);
                    fields = (None, None, None);
                }
                Token::Close => {
                    if let (3, (Some(uuid), Some(token), Some(number))) = (depth, fields) {
                        numbers.entries.push(Entry {
                            uuid,
                            token,
                            number,
                        });
                    }
                    fields = (None, None, None);
                    depth -= 1;
                }
                Token::Text(word) if depth == 3 => fields.1 = Some(numbers.token(word)),
                Token::Bare(value) if depth == 3 => match fields.0 {
                    None => fields.0 = Uuid::try_parse(value).ok(),
                    Some(_) => fields.2 = value.parse().ok(),
                },
                Token::Bare(value) if depth == 2 && found == 0 => told = value.parse().ok(),
                Token::Text(_) | Token::Bare(_) | Token::Empty => {}
            }
        }
        if lists == 0 {
            let reason = "there is no list of numbers";
            return Err(Broken { reason, at: 0 });
        }
        // A file that was damaged may well end as a list should.
        if told.is_none_or(|told: usize| found < told) {
            let reason = "there are fewer numbers than it says";
            let at = text.len();
            return Err(Broken { reason, at });
        }
        numbers.entries.retain(|entry| !entry.uuid.is_nil());
        numbers.entries.sort_unstable();
        Ok(numbers)
    }

    fn token(&mut self, word: &str) -> u32 {
        // few tokens, and neighbours are alike
        let known = self.tokens.iter().position(|known| known == word);
        let index = match known {
            None if self.tokens.len() == TOKENS_MAX => return u32::MAX,
            None => {
                self.tokens.push(word.to_owned());
                self.tokens.len() - 1
            }
            Some(index) => index,
        };
        u32::try_from(index).unwrap_or(u32::MAX)
    }

    /// The number that a thing has for this token.
    pub(super) fn find(&self, uuid: Uuid, token: &str) -> Option<u32> {
        let first = self.entries.partition_point(|entry| entry.uuid < uuid);
        self.entries[first..]
            .iter()
            .take_while(|entry| entry.uuid == uuid)
            .find(|entry| {
                self.tokens
                    .get(entry.token as usize)
                    .is_some_and(|known| known == token)
            })
            .map(|entry| entry.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_numbers_by_uuid_and_token() {
        let text = "{155,{5,\r\n{00000000-0000-0000-0000-000000000000,\"Consts\",1},\
            {829eda44-74a4-4a49-87b2-b1cb2d8f6951,\"InfoRg\",134},{829eda44-74a4-4a49-87b2-b1cb2d8f6951,\"InfoRgChngR\",153},\
            {0250ae8a-64c0-4b8a-bdf2-9037b254fb3c,\"Fld\",135},{oops,\"Fld\",1},{}}}";
        let numbers = Numbers::parse(text).expect("the text is right");
        let register = Uuid::try_parse("829eda44-74a4-4a49-87b2-b1cb2d8f6951").unwrap();
        assert_eq!(numbers.find(register, "InfoRg"), Some(134));
        assert_eq!(numbers.find(register, "InfoRgChngR"), Some(153));
        assert_eq!(numbers.find(register, "Fld"), None);
        assert_eq!(numbers.find(Uuid::nil(), "Consts"), None);
        assert!(Numbers::parse("{1,{2").is_err());
        assert!(Numbers::parse("{1}").is_err());
    }
}
