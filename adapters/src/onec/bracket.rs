//! Bracket text: nested lists of texts and bare values, the form of every metadata file.
//!
//! `{2,{…},"Имя",,1}`: every place between commas counts, an empty one too. The reader needs no recursion and copies
//! nothing: a tree is a list of places in the text.

use std::borrow::Cow;

use uuid::Uuid;

/// Deepest nesting.
const DEPTH_MAX: usize = 10_000;
/// Most items of one file; the largest that are known have some hundred thousand.
const ITEMS_MAX: usize = 4_000_000;
/// Longest name. Names are copied, and compared in small letters.
const NAME_BYTES_MAX: usize = 1_024;
/// Longest text, for places in it are 32 bits wide.
const BYTES_MAX: usize = 1 << 30;

/// What is wrong with a text, and where: the byte from its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// What was found or what is missing.
    pub reason: &'static str,
    /// The place.
    pub at: usize,
}

/// A token of bracket text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// `{`
    Open,
    /// `}`
    Close,
    /// What stands between quotes; doubled quotes are still doubled.
    Text(&'a str),
    /// A value without quotes, trimmed.
    Bare(&'a str),
    /// Nothing, where a value could stand.
    Empty,
}

/// Reads the tokens of one list. Ends behind the list's last bracket; what follows is not looked at.
pub(super) struct Tokens<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    /// A value may stand here; else `,` or `}` must.
    expects_value: bool,
    ended: bool,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
            expects_value: true,
            ended: false,
        }
    }

    fn skip_blanks(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches(is_blank).len();
    }

    fn broken(&self, reason: &'static str) -> Broken {
        let at = self.at;
        Broken { reason, at }
    }

    /// The next token; `None` behind the outermost list.
    pub(super) fn next(&mut self) -> Result<Option<Token<'a>>, Broken> {
        loop {
            if self.ended {
                return Ok(None);
            }
            self.skip_blanks();
            let Some(byte) = self.text.as_bytes().get(self.at).copied() else {
                return Err(self.broken("the text ends within a list"));
            };
            if self.depth == 0 && byte != b'{' {
                return Err(self.broken("no list begins here"));
            }
            match (byte, self.expects_value) {
                (b',' | b'}', true) => {
                    self.expects_value = false;
                    return Ok(Some(Token::Empty));
                }
                (b',', false) => {
                    self.at += 1;
                    self.expects_value = true;
                }
                (b'}', false) => {
                    self.at += 1;
                    self.depth -= 1;
                    self.ended = self.depth == 0;
                    return Ok(Some(Token::Close));
                }
                (_, false) => return Err(self.broken("neither a comma nor a bracket")),
                (b'{', true) => {
                    if self.depth == DEPTH_MAX {
                        return Err(self.broken("brackets are nested too deep"));
                    }
                    self.at += 1;
                    self.depth += 1;
                    return Ok(Some(Token::Open));
                }
                (b'"', true) => return self.quoted().map(Some),
                (_, true) => return self.bare().map(Some),
            }
        }
    }

    fn quoted(&mut self) -> Result<Token<'a>, Broken> {
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        let mut end = start;
        loop {
            match bytes[end..].iter().position(|byte| *byte == b'"') {
                None => return Err(self.broken("a text has no end")),
                Some(quote) if bytes.get(end + quote + 1) == Some(&b'"') => end += quote + 2,
                Some(quote) => {
                    end += quote;
                    break;
                }
            }
        }
        self.at = end + 1;
        self.expects_value = false;
        Ok(Token::Text(&self.text[start..end]))
    }

    fn bare(&mut self) -> Result<Token<'a>, Broken> {
        let rest = &self.text[self.at..];
        let Some(end) = rest
            .bytes()
            .position(|byte| matches!(byte, b'{' | b'}' | b',' | b'"'))
        else {
            return Err(self.broken("the text ends within a value"));
        };
        self.at += end;
        self.expects_value = false;
        Ok(Token::Bare(rest[..end].trim_end_matches(is_blank)))
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n' | '\u{feff}')
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    List,
    /// A list that the text does not close.
    Open,
    Text,
    Bare,
    Empty,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    kind: Kind,
    start: u32,
    end: u32,
    /// Index of the entry behind this one and all that it holds.
    next: u32,
}

/// A parsed text.
#[derive(Debug)]
pub struct Tree {
    text: String,
    entries: Vec<Entry>,
}

impl Tree {
    /// Parses the outermost list; what follows it is ignored.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn parse(text: String) -> Result<Self, Broken> {
        let (entries, broken) = entries(&text);
        match broken {
            None => Ok(Self { text, entries }),
            Some(broken) => Err(broken),
        }
    }

    /// Parses the beginning of a text as far as it goes: a value that is cut off is left out.
    pub fn parse_beginning(text: String) -> Self {
        let (entries, _) = entries(&text);
        Self { text, entries }
    }

    /// The outermost list.
    pub fn root(&self) -> Item<'_> {
        Item {
            tree: self,
            index: (!self.entries.is_empty()).then_some(0),
        }
    }
}

fn entries(text: &str) -> (Vec<Entry>, Option<Broken>) {
    // every value stands behind one of these: room that grows would be copied
    let begins = |byte: &u8| matches!(byte, b'{' | b',');
    let room = text.as_bytes().iter().filter(|byte| begins(byte)).count() + 1;
    let mut entries: Vec<Entry> = Vec::with_capacity(room.min(ITEMS_MAX));
    let mut open: Vec<usize> = Vec::new();
    let mut tokens = Tokens::new(text);
    let mut broken = None;
    if text.len() > BYTES_MAX {
        return (entries, Some(tokens.broken("the text is too long")));
    }
    loop {
        let token = match tokens.next() {
            Ok(Some(token)) => token,
            Ok(None) => break,
            Err(error) => {
                broken = Some(error);
                break;
            }
        };
        if entries.len() == ITEMS_MAX {
            broken = Some(tokens.broken("there are too many values"));
            break;
        }
        let place = |part: &str| {
            let start = part.as_ptr() as usize - text.as_ptr() as usize;
            (start as u32, (start + part.len()) as u32)
        };
        let (kind, (start, end)) = match token {
            Token::Close => {
                let list = open.pop().expect("only open lists are closed");
                entries[list].kind = Kind::List;
                entries[list].next = entries.len() as u32;
                continue;
            }
            Token::Open => {
                open.push(entries.len());
                (Kind::Open, (0, 0))
            }
            Token::Text(part) => (Kind::Text, place(part)),
            Token::Bare(part) => (Kind::Bare, place(part)),
            Token::Empty => (Kind::Empty, (0, 0)),
        };
        let next = entries.len() as u32 + 1;
        entries.push(Entry {
            kind,
            start,
            end,
            next,
        });
    }
    let end = entries.len() as u32;
    for list in open {
        entries[list].next = end;
    }
    (entries, broken)
}

/// A place in a tree, which need not be there: whoever asks a missing one gets nothing.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    tree: &'a Tree,
    index: Option<usize>,
}

impl<'a> Item<'a> {
    fn entry(self) -> Option<Entry> {
        self.index.map(|index| self.tree.entries[index])
    }

    fn raw(self, kind: Kind) -> Option<&'a str> {
        let entry = self.entry().filter(|entry| entry.kind == kind)?;
        self.tree.text.get(entry.start as usize..entry.end as usize)
    }

    /// True if there is something at this place, be it an empty value.
    pub fn exists(self) -> bool {
        self.index.is_some()
    }

    /// True for a list.
    pub fn is_list(self) -> bool {
        self.entry()
            .is_some_and(|entry| matches!(entry.kind, Kind::List | Kind::Open))
    }

    /// True for a value, and for a list that the text closes.
    pub fn is_complete(self) -> bool {
        self.entry().is_some_and(|entry| entry.kind != Kind::Open)
    }

    /// The items of a list in order; none for anything else.
    pub fn items(self) -> impl Iterator<Item = Item<'a>> {
        let tree = self.tree;
        let (mut at, end) = match (self.index, self.is_list()) {
            (Some(index), true) => (index + 1, tree.entries[index].next as usize),
            _ => (0, 0),
        };
        std::iter::from_fn(move || {
            let item = (at < end).then_some(Item {
                tree,
                index: Some(at),
            })?;
            at = tree.entries[at].next as usize;
            Some(item)
        })
    }

    /// This item and all that it holds.
    pub fn all(self) -> impl Iterator<Item = Item<'a>> {
        let tree = self.tree;
        let end = self.entry().map_or(0, |entry| entry.next as usize);
        (self.index.unwrap_or(0)..end).map(move |index| Item {
            tree,
            index: Some(index),
        })
    }

    /// The item with this number, counted from 0.
    pub fn at(self, number: usize) -> Item<'a> {
        let missing = Item {
            tree: self.tree,
            index: None,
        };
        self.items().nth(number).unwrap_or(missing)
    }

    /// The item at the end of a path of numbers.
    pub fn path(self, path: &[usize]) -> Item<'a> {
        path.iter().fold(self, |item, number| item.at(*number))
    }

    /// A text between quotes.
    pub fn text(self) -> Option<Cow<'a, str>> {
        let raw = self.raw(Kind::Text)?;
        Some(match raw.contains('"') {
            true => Cow::Owned(raw.replace("\"\"", "\"")),
            false => Cow::Borrowed(raw),
        })
    }

    /// A text between quotes that is no longer than a name can be.
    pub fn name(self) -> Option<Cow<'a, str>> {
        self.raw(Kind::Text)
            .filter(|raw| raw.len() <= NAME_BYTES_MAX)?;
        self.text()
    }

    /// A value without quotes.
    pub fn bare(self) -> Option<&'a str> {
        self.raw(Kind::Bare)
    }

    /// A whole number.
    pub fn number(self) -> Option<i64> {
        self.bare()?.parse().ok()
    }

    /// A uuid.
    pub fn uuid(self) -> Option<Uuid> {
        Uuid::try_parse(self.bare()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Tree {
        Tree::parse(text.into()).expect("the text is right")
    }

    #[test]
    fn every_place_counts() {
        let count = |text: &str| tree(text).root().items().count();
        assert_eq!(count("{}"), 1);
        assert_eq!(count("{,1}"), 2);
        assert_eq!(count("{2,x,}"), 3);
        assert_eq!(count("\u{feff}\r\n{\r\n{1,0},\r\n{2}\r\n}\r\n"), 2);
    }

    #[test]
    fn reads_values_by_their_place() {
        let tree = tree(
            "{2, -17 ,{\"Имя \"\"в\"\" {кавычках},\r\n\",#base64:AA\r\nBB},,fc01b5df-97fe-449b-83d4-218a090e681e}",
        );
        let root = tree.root();
        assert_eq!(root.at(1).number(), Some(-17));
        assert_eq!(
            root.path(&[2, 0]).text().as_deref(),
            Some("Имя \"в\" {кавычках},\r\n")
        );
        assert_eq!(root.path(&[2, 1]).bare(), Some("#base64:AA\r\nBB"));
        assert!(root.at(3).exists() && root.at(3).bare().is_none());
        assert!(root.at(4).uuid().is_some());
        assert!(!root.path(&[4, 0, 7]).exists());
        assert_eq!(root.at(2).items().count(), 2);
    }

    #[test]
    fn names_what_is_broken() {
        let check = |text: &str, reason: &str| {
            let broken = Tree::parse(text.into()).expect_err("the text is broken");
            assert!(broken.reason.contains(reason), "{text}: {broken:?}");
        };
        check("", "ends");
        check("root", "no list");
        check("{1,{2}", "ends within a list");
        check("{1,2", "ends within a value");
        check("{1,\"abc", "no end");
        check("{1 {2}}", "neither");
        check("{\"a\"b}", "neither");
        check(&"{".repeat(100_000), "too deep");
    }

    #[test]
    fn reads_a_beginning_as_far_as_it_goes() {
        let tree = Tree::parse_beginning("{1,{5,{0,\"Имя\"},7,\"обрыв".into());
        let root = tree.root();
        assert_eq!(root.path(&[1, 1, 1]).text().as_deref(), Some("Имя"));
        assert!(root.path(&[1, 1]).is_complete() && !root.at(1).is_complete());
        assert!(root.path(&[1, 2]).exists() && !root.path(&[1, 3]).exists());
        assert!(!Tree::parse_beginning(String::new()).root().exists());
    }

    #[test]
    fn survives_whatever_it_is_given() {
        let text = "{1,{\"Имя\",{0},\"\"},-1,{}}";
        for cut in (0..text.len()).filter(|cut| text.is_char_boundary(*cut)) {
            for piece in ["", "{", "}", "\"", ",", "ё"] {
                let hostile = format!("{}{piece}{}", &text[..cut], &text[cut..]);
                let tree = Tree::parse_beginning(hostile.clone());
                assert!(tree.entries.len() <= hostile.len() + 1);
                drop(Tree::parse(hostile));
            }
        }
    }
}
