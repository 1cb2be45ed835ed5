//! Text to tokens. Comments and blanks vanish; every other character belongs to exactly one token.
//!
//! Words are not glued to names here: `a-b`, `a.b` and `a=b` are three tokens each, and the parser joins neighbours where its
//! context asks for it. Only `[` depends on what stands before it: directly behind a variable path it opens a selector,
//! elsewhere a bracketed name.

mod keyword;

use dajet_core::{Diagnostic, Span};

use crate::told::{DIAGNOSTICS_MAX, Untold};

pub(crate) use keyword::Keyword;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// A word; a keyword if it is written like one.
    Word(Option<Keyword>),
    /// `[any text]`
    Bracketed,
    /// `@name`
    Variable,
    /// Quoted text.
    Text,
    /// Digits.
    Integer,
    /// Digits with a point.
    Decimal,
    /// `0x…`
    Binary,
    /// `{code:uuid}`
    Entity,
    Plus,
    Minus,
    Star,
    Slash,
    Percent,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    OpenParen,
    CloseParen,
    Comma,
    Semicolon,
    Dot,
    /// `[` of a selector.
    OpenSelector,
    /// `]` of a selector.
    CloseSelector,
    /// Already reported.
    Error,
    /// End of the text.
    End,
}

/// A token with its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub kind: TokenKind,
    pub span: Span,
}

/// The tokens of a text.
#[derive(Clone, Debug)]
pub(crate) struct Lexed {
    /// Never empty: the last one is [`TokenKind::End`].
    pub tokens: Vec<Token>,
    /// Mistakes, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
    /// Those beyond the first hundred.
    pub untold: Untold,
    /// An unterminated comment has swallowed the rest.
    pub truncated: bool,
}

/// Splits a text into tokens.
pub(crate) fn tokenize(text: &str) -> Lexed {
    tokenize_part(text, Span::new(0, text.len() as u32))
}

/// Splits a part of a text, whose ends lie between characters.
pub(crate) fn tokenize_part(text: &str, part: Span) -> Lexed {
    let mut lexer = Lexer {
        text: &text[..part.end as usize],
        at: part.start as usize,
        path: PathState::Outside,
        selectors: 0,
        multiline: None,
        lexed: Lexed {
            tokens: Vec::new(),
            diagnostics: Vec::new(),
            untold: Untold::default(),
            truncated: false,
        },
    };
    while lexer.skip_blanks() {
        lexer.token();
    }
    lexer.lexed.tokens.push(Token {
        kind: TokenKind::End,
        span: Span::new(part.end, part.end),
    });
    lexer.lexed
}

/// Whether a `[` that follows directly belongs to a variable path.
#[derive(Clone, Copy, PartialEq)]
enum PathState {
    Outside,
    Operand,
    Dot,
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    path: PathState,
    selectors: u32,
    /// The last quoted text that spans lines: a suspect when a quote is missing.
    multiline: Option<Span>,
    lexed: Lexed,
}

fn is_blank(c: char) -> bool {
    // Byte order mark and zero-width space come with files and pasted pages.
    c.is_whitespace() || c == '\u{feff}' || c == '\u{200b}'
}

fn starts_word(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn continues_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn eat_while(&mut self, accept: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(|c| !accept(c)).unwrap_or(rest.len());
    }

    fn span_from(&self, start: usize) -> Span {
        Span::new(start as u32, self.at as u32)
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        if self.lexed.diagnostics.len() < DIAGNOSTICS_MAX {
            self.lexed.diagnostics.push(diagnostic);
        } else {
            self.lexed.untold.count(&diagnostic);
        }
    }

    fn push(&mut self, kind: TokenKind, start: usize) {
        let adjacent = self
            .lexed
            .tokens
            .last()
            .is_some_and(|t| t.span.end as usize == start);
        self.path = match (kind, self.path) {
            (TokenKind::Variable | TokenKind::CloseSelector, _) => PathState::Operand,
            (TokenKind::Dot, PathState::Operand) if adjacent => PathState::Dot,
            (TokenKind::Word(_) | TokenKind::Bracketed, PathState::Dot) if adjacent => {
                PathState::Operand
            }
            _ => PathState::Outside,
        };
        self.lexed.tokens.push(Token {
            kind,
            span: self.span_from(start),
        });
    }

    /// Skips blanks and comments; false at the end of the text.
    fn skip_blanks(&mut self) -> bool {
        loop {
            self.eat_while(is_blank);
            let rest = self.rest();
            if rest.starts_with("--") {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if let Some(inside) = rest.strip_prefix("/*") {
                match inside.find("*/") {
                    Some(length) => self.at += length + 4,
                    None => {
                        let span = Span::new(self.at as u32, self.at as u32 + 2);
                        self.at = self.text.len();
                        self.lexed.truncated = true;
                        self.report(
                            Diagnostic::error("E_LEX", span, "comment is not closed")
                                .hint("Close it with */."),
                        );
                    }
                }
            } else {
                return !rest.is_empty();
            }
        }
    }

    fn token(&mut self) {
        let start = self.at;
        let Some(first) = self.peek() else { return };
        let kind = match first {
            '\'' | '"' => self.quoted(first),
            '@' => self.variable(),
            '{' => self.entity(),
            '[' => self.bracket(),
            ']' if self.selectors > 0 => {
                self.selectors -= 1;
                self.at += 1;
                TokenKind::CloseSelector
            }
            '0'..='9' => self.number(),
            _ if starts_word(first) => {
                self.eat_while(continues_word);
                TokenKind::Word(Keyword::find(&self.text[start..self.at]))
            }
            _ => self.symbol(),
        };
        self.push(kind, start);
    }

    fn symbol(&mut self) -> TokenKind {
        let start = self.at;
        let two = self.text.as_bytes().get(start + 1).copied();
        let (kind, length) = match (self.text.as_bytes()[start], two) {
            (b'<', Some(b'>')) | (b'!', Some(b'=')) => (TokenKind::NotEqual, 2),
            (b'<', Some(b'=')) => (TokenKind::LessOrEqual, 2),
            (b'>', Some(b'=')) => (TokenKind::GreaterOrEqual, 2),
            (b'<', _) => (TokenKind::Less, 1),
            (b'>', _) => (TokenKind::Greater, 1),
            (b'=', _) => (TokenKind::Equal, 1),
            (b'+', _) => (TokenKind::Plus, 1),
            (b'-', _) => (TokenKind::Minus, 1),
            (b'*', _) => (TokenKind::Star, 1),
            (b'/', _) => (TokenKind::Slash, 1),
            (b'%', _) => (TokenKind::Percent, 1),
            (b'(', _) => (TokenKind::OpenParen, 1),
            (b')', _) => (TokenKind::CloseParen, 1),
            (b',', _) => (TokenKind::Comma, 1),
            (b';', _) => (TokenKind::Semicolon, 1),
            (b'.', _) => (TokenKind::Dot, 1),
            _ => {
                self.unknown();
                return TokenKind::Error;
            }
        };
        self.at += length;
        kind
    }

    /// Characters that begin no token, taken together.
    fn unknown(&mut self) {
        let start = self.at;
        let first = self.peek().unwrap_or_default();
        self.eat_while(|c| {
            !is_blank(c) && !continues_word(c) && !"'\"@{[]<>!=+-*/%(),;.".contains(c)
        });
        if self.at == start {
            self.at += first.len_utf8();
        }
        let shown = if first.is_control() || !first.is_ascii() {
            format!("\"{}\" (U+{:04X})", first.escape_debug(), first as u32)
        } else {
            format!("\"{first}\"")
        };
        let hint = match first {
            '‘' | '’' | '‚' | '“' | '”' | '„' | '«' | '»' | '`' => {
                Some("Quote text with ' or \".")
            }
            '–' | '—' => Some("A comment begins with two hyphens: --."),
            '#' => Some("A comment begins with --."),
            '\u{300}'..='\u{36f}' => Some(
                "It belongs to the letter before it: write both as one character (й, ё), as Unicode's form NFC has them.",
            ),
            _ => None,
        };
        let span = self.span_from(start);
        self.report(
            Diagnostic::error("E_LEX", span, format!("unexpected character {shown}"))
                .maybe_hint(hint.map(str::to_owned)),
        );
    }

    fn quoted(&mut self, quote: char) -> TokenKind {
        let start = self.at;
        self.at += 1;
        loop {
            match self.rest().find(quote) {
                Some(length) => {
                    self.at += length + 1;
                    if self.peek() != Some(quote) {
                        break;
                    }
                    self.at += 1;
                }
                None => {
                    // The rest of the line is lost; the lines behind it may hold further mistakes.
                    let rest = &self.text[start..];
                    self.at = start + rest.find(['\r', '\n']).unwrap_or(rest.len());
                    let span = Span::new(start as u32, start as u32 + 1);
                    let mut diagnostic =
                        Diagnostic::error("E_LEX", span, "quoted text is not closed").hint(
                            format!("Close it with {quote}; write {quote}{quote} for a quote."),
                        );
                    if let Some(suspect) = self.multiline {
                        diagnostic =
                            diagnostic.label(suspect, "this text spans lines, is it meant so?");
                    }
                    self.report(diagnostic);
                    return TokenKind::Error;
                }
            }
        }
        if self.text[start..self.at].contains('\n') {
            self.multiline = Some(Span::new(start as u32, start as u32 + 1));
        }
        TokenKind::Text
    }

    fn variable(&mut self) -> TokenKind {
        let start = self.at;
        self.at += 1;
        if self.peek().is_some_and(starts_word) {
            self.eat_while(continues_word);
            return TokenKind::Variable;
        }
        self.eat_while(continues_word);
        let span = self.span_from(start);
        self.report(
            Diagnostic::error("E_LEX", span, "\"@\" is not followed by a name")
                .hint("A variable is @ and a letter or _, then letters, digits and _."),
        );
        TokenKind::Error
    }

    fn entity(&mut self) -> TokenKind {
        const UUID: usize = 36;
        const SHOWN_MAX: usize = 80;
        let start = self.at;
        let rest = &self.text[start + 1..];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let uuid = rest.get(digits + 1..digits + 1 + UUID);
        let is_entity = rest[..digits].parse::<i32>().is_ok()
            && rest[digits..].starts_with(':')
            && uuid.is_some_and(|u| uuid::Uuid::try_parse(u).is_ok())
            && rest[digits + 1 + UUID..].starts_with('}');
        if is_entity {
            self.at = start + digits + UUID + 3;
            return TokenKind::Entity;
        }
        let shown = &rest.as_bytes()[..rest.len().min(SHOWN_MAX)];
        let Some(length) = shown.iter().position(|b| b"}\r\n".contains(b)) else {
            self.unknown();
            return TokenKind::Error;
        };
        self.at += 1 + length + usize::from(shown[length] == b'}');
        let span = self.span_from(start);
        self.report(Diagnostic::error("E_LEX", span, "malformed entity").hint(
            "An entity is written {code:uuid}; a template like {@x} stands in a quoted address.",
        ));
        TokenKind::Error
    }

    fn bracket(&mut self) -> TokenKind {
        let start = self.at;
        let adjacent = self
            .lexed
            .tokens
            .last()
            .is_some_and(|t| t.span.end as usize == start);
        self.at += 1;
        if adjacent && self.path == PathState::Operand {
            self.selectors += 1;
            return TokenKind::OpenSelector;
        }
        loop {
            match self.rest().find([']', '\r', '\n']) {
                Some(length) if self.rest().as_bytes()[length] == b']' => {
                    self.at += length + 1;
                    if self.peek() != Some(']') {
                        break;
                    }
                    self.at += 1;
                }
                found => {
                    self.at = found.map_or(self.text.len(), |length| self.at + length);
                    let span = Span::new(start as u32, start as u32 + 1);
                    self.report(
                        Diagnostic::error("E_LEX", span, "bracketed name is not closed")
                            .hint("Close it with ] on the same line; write ]] for a bracket."),
                    );
                    return TokenKind::Error;
                }
            }
        }
        if self.at == start + 2 {
            let span = self.span_from(start);
            self.report(Diagnostic::error("E_LEX", span, "bracketed name is empty"));
            return TokenKind::Error;
        }
        TokenKind::Bracketed
    }

    fn number(&mut self) -> TokenKind {
        let start = self.at;
        let is_digit = |c: char| c.is_ascii_digit();
        if self.rest().starts_with("0x") || self.rest().starts_with("0X") {
            return self.binary();
        }
        self.eat_while(is_digit);
        let mut kind = TokenKind::Integer;
        let behind = self.rest();
        if behind.starts_with('.') && behind[1..].starts_with(is_digit) {
            self.at += 1;
            self.eat_while(is_digit);
            kind = TokenKind::Decimal;
        }
        if self.peek().is_some_and(continues_word) {
            self.eat_while(continues_word);
            let span = self.span_from(start);
            self.report(
                Diagnostic::error("E_LEX", span, "malformed number")
                    .hint("A name begins with a letter or _; a number holds digits and one point."),
            );
            return TokenKind::Error;
        }
        let digits = self.text[start..self.at].bytes().filter(u8::is_ascii_digit);
        let significant = digits.skip_while(|d| *d == b'0').count();
        let scale = self.text[start..self.at]
            .rfind('.')
            .map_or(0, |i| self.at - start - i - 1);
        if significant > 38 || scale > 38 {
            let span = self.span_from(start);
            self.report(Diagnostic::error(
                "E_LEX",
                span,
                "number has more than 38 digits",
            ));
            return TokenKind::Error;
        }
        kind
    }

    fn binary(&mut self) -> TokenKind {
        let start = self.at;
        self.at += 2;
        self.eat_while(continues_word);
        let digits = &self.text[start + 2..self.at];
        if digits.len().is_multiple_of(2) && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return TokenKind::Binary;
        }
        let span = self.span_from(start);
        self.report(
            Diagnostic::error("E_LEX", span, "malformed binary literal")
                .hint("A binary literal is 0x and an even number of hexadecimal digits."),
        );
        TokenKind::Error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str) -> String {
        let lexed = tokenize(text);
        let mut shown = Vec::new();
        for token in &lexed.tokens[..lexed.tokens.len() - 1] {
            let part = &text[token.span.start as usize..token.span.end as usize];
            shown.push(match token.kind {
                TokenKind::Word(Some(keyword)) => format!("{}!", keyword.text()),
                TokenKind::Word(None) => part.to_owned(),
                TokenKind::Error => format!("error<{part}>"),
                kind if part.len() <= 2 => format!("{part}{}", mark(kind)),
                kind => format!("{kind:?}<{part}>"),
            });
        }
        shown.extend(lexed.diagnostics.iter().map(|d| {
            let at = dajet_core::span::position(text, d.span.start);
            format!("\n{}:{} {}", at.line, at.column, d.message)
        }));
        shown.join(" ")
    }

    fn mark(kind: TokenKind) -> &'static str {
        match kind {
            TokenKind::OpenSelector | TokenKind::CloseSelector => "s",
            TokenKind::Integer => "i",
            TokenKind::Variable => "v",
            TokenKind::Text => "t",
            TokenKind::Binary => "b",
            _ => "",
        }
    }

    fn check(text: &str, expected: &str) {
        assert_eq!(show(text), expected, "text: {text}");
    }

    #[test]
    fn leaves_gluing_to_the_parser() {
        check("@x-1", "@xv - 1i");
        check("a=b", "a = b");
        check("max.in.flight", "max . in . flight");
        check("Content-Type", "Content - Type");
        check("РегистрСведений.Цены", "РегистрСведений . Цены");
    }

    #[test]
    fn tells_selectors_from_bracketed_names() {
        check("@a[0].x[b='c']", "@av [s 0i ]s . x [s b = Text<'c'> ]s");
        check(
            "@r.V[d=@n.q[1]].d",
            "@rv . V [s d = @nv . q [s 1i ]s ]s . d",
        );
        check("a.[Имя поля]", "a . Bracketed<[Имя поля]>");
        check("@a.[x]]y]", "@av . Bracketed<[x]]y]>");
        check("@a [x y]", "@av Bracketed<[x y]>");
    }

    #[test]
    fn knows_keywords_in_upper_case_only() {
        check(
            "SELECT select ВЫБРАТЬ Выбрать",
            "SELECT! select SELECT! Выбрать",
        );
    }

    #[test]
    fn skips_comments_and_blanks_of_all_kinds() {
        check(
            "\u{feff}a\u{a0}b -- c 'd\r\n/* e * \n ** */f\u{2003}/**/",
            "a b f",
        );
        check("a--b", "a");
    }

    #[test]
    fn reads_literals() {
        check(
            "'it''s' \"a \"\"b\"\"\" ''",
            "Text<'it''s'> Text<\"a \"\"b\"\"\"> ''t",
        );
        check("'line 1\nline 2'", "Text<'line 1\nline 2'>");
        check("1 1.50 0x 0xFF", "1i Decimal<1.50> 0xb Binary<0xFF>");
        check(
            "{36:08ec109d-a06b-a1b1-11ee-ca472bff0a0d}",
            "Entity<{36:08ec109d-a06b-a1b1-11ee-ca472bff0a0d}>",
        );
    }

    #[test]
    fn reports_what_is_no_token() {
        check("a # b", "a error<#> b \n1:3 unexpected character \"#\"");
        check(
            "é«x»",
            "é error<«> x error<»> \n1:2 unexpected character \"«\" (U+00AB) \n1:4 unexpected character \"»\" (U+00BB)",
        );
        check("12аб", "error<12аб> \n1:1 malformed number");
        check("0x1", "error<0x1> \n1:1 malformed binary literal");
        check(
            "@ x @1",
            "error<@> x error<@1> \n1:1 \"@\" is not followed by a name \n1:5 \"@\" is not followed by a name",
        );
        check("{36:zz}", "error<{36:zz}> \n1:1 malformed entity");
        check("{a}", "error<{a}> \n1:1 malformed entity");
        check("[]", "error<[]> \n1:1 bracketed name is empty");
        check("[a\nb", "error<[a> b \n1:1 bracketed name is not closed");
    }

    #[test]
    fn reports_what_is_not_closed_at_its_first_character() {
        check("b\n 'a\nc", "b error<'a> c \n2:2 quoted text is not closed");
        check("b /* a", "b \n1:3 comment is not closed");
    }

    #[test]
    fn stays_linear_on_hostile_text() {
        for text in [
            "[\n".repeat(100_000),
            "/*".repeat(500_000),
            "\u{0}".repeat(1_000_000),
        ] {
            let lexed = tokenize(&text);
            assert!(lexed.diagnostics.len() <= DIAGNOSTICS_MAX);
        }
    }
}
