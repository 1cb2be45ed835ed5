//! Names, variables and their paths, types, addresses with templates.

use std::num::NonZeroU32;
use std::sync::Arc;

use dajet_core::diagnostic::nearest;
use dajet_core::{Diagnostic, Span};

use super::{Failed, Parsed, Parser};
use crate::ast::{Name, Path, PathStep, Template, TemplatePart, TypeKind, TypeName};
use crate::lexer::{Keyword, TokenKind, tokenize_part};

const TYPES: &[(&str, TypeKind)] = &[
    ("boolean", TypeKind::Boolean),
    ("number", TypeKind::Number),
    ("integer", TypeKind::Integer),
    ("decimal", TypeKind::Decimal),
    ("datetime", TypeKind::DateTime),
    ("string", TypeKind::String),
    ("binary", TypeKind::Binary),
    ("uuid", TypeKind::Uuid),
    ("entity", TypeKind::Entity),
    ("union", TypeKind::Union),
    ("object", TypeKind::Object),
    ("array", TypeKind::Array),
];

impl Parser<'_> {
    /// True if a name stands next that is no reserved word.
    pub(super) fn at_name(&self) -> bool {
        match self.kind() {
            TokenKind::Bracketed => true,
            TokenKind::Word(keyword) => !keyword.is_some_and(Keyword::is_reserved),
            _ => false,
        }
    }

    /// The text of the next token as one part of a name.
    fn name_part(&mut self) -> Option<String> {
        let token = self.token();
        let text = self.slice(token.span);
        let part = match token.kind {
            TokenKind::Word(_) => text.to_owned(),
            TokenKind::Bracketed => text[1..text.len() - 1].replace("]]", "]"),
            _ => return None,
        };
        self.advance();
        Some(part)
    }

    /// A word or a bracketed name, keywords included: for places where nothing else can stand.
    pub(super) fn any_word(&mut self, expected: &str) -> Parsed<Name> {
        let span = self.token().span;
        match self.name_part() {
            Some(part) => Ok(Name::new(part, span)),
            None => Err(self.unexpected(expected)),
        }
    }

    /// A dotted name that does not begin with a reserved word.
    pub(super) fn dotted_name(&mut self, expected: &str) -> Parsed<Name> {
        if self.at_name() {
            return self.any_dotted_name(expected);
        }
        let word = self.slice(self.token().span);
        let hint = self
            .keyword()
            .map(|_| format!("Write [{word}] if this is a name."));
        Err(self.unexpected_with(expected, hint))
    }

    /// A dotted name that may begin with any word.
    pub(super) fn any_dotted_name(&mut self, expected: &str) -> Parsed<Name> {
        let first = self.any_word(expected)?;
        let mut text = first.text.to_string();
        let mut dot = None;
        while self.eat_name_dot()? {
            let part = self.any_word("a name behind \".\"")?;
            dot = NonZeroU32::new(text.len() as u32);
            text.push('.');
            text.push_str(&part.text);
        }
        Ok(Name {
            text: text.into(),
            span: self.span_from(first.span),
            dot,
        })
    }

    /// The name of an option: words joined by `.` and `-`.
    pub(super) fn option_name(&mut self) -> Parsed<Name> {
        let first = self.any_word("the name of an option")?;
        let mut text = first.text.to_string();
        loop {
            let joint = match self.kind() {
                TokenKind::Dot => '.',
                TokenKind::Minus if self.token().span.start == self.last_end() => '-',
                _ => break,
            };
            self.advance();
            let part = self.any_word("the rest of the option's name")?;
            text.push(joint);
            text.push_str(&part.text);
        }
        Ok(Name::new(text, self.span_from(first.span)))
    }

    /// Takes the dot inside a name; blanks around it are reported.
    fn eat_name_dot(&mut self) -> Parsed<bool> {
        let dot = self.token().span;
        if self.kind() != TokenKind::Dot {
            return Ok(false);
        }
        let next = self.peek(1);
        if dot.start != self.last_end() || next.span.start != dot.end {
            if !matches!(next.kind, TokenKind::Word(_) | TokenKind::Bracketed) {
                return Err(self.unexpected("the end of the name"));
            }
            if matches!(next.kind, TokenKind::Word(Some(keyword)) if keyword.is_reserved()) {
                self.advance();
                return Err(self.unexpected("a name behind \".\""));
            }
            self.error(
                dot,
                "blanks around \".\" in a name",
                "Join the parts of the name.",
            );
        }
        self.advance();
        Ok(true)
    }

    /// `@name`; the name without `@`.
    pub(super) fn variable(&mut self) -> Parsed<Name> {
        let token = self.token();
        if token.kind != TokenKind::Variable {
            let is_name = matches!(token.kind, TokenKind::Word(_) | TokenKind::Bracketed);
            let hint = is_name.then(|| "The name of a variable begins with @.".to_owned());
            return Err(self.unexpected_with("a variable", hint));
        }
        self.advance();
        let span = Span::new(token.span.start, token.span.end);
        Ok(Name::new(&self.slice(span)[1..], span))
    }

    /// `@variable.member[selector]…`
    pub(super) fn path(&mut self) -> Parsed<Path> {
        let variable = self.variable()?;
        let mut steps = Vec::new();
        loop {
            if self.kind() == TokenKind::OpenSelector {
                steps.push(self.deeper(Self::selector)?);
            } else if self.eat_name_dot()? {
                steps.push(PathStep::Member(self.any_word("the name of a member")?));
            } else {
                let span = self.span_from(variable.span);
                return Ok(Path {
                    variable,
                    steps,
                    span,
                });
            }
        }
    }

    fn selector(&mut self) -> Parsed<PathStep> {
        let open = self.advance().span;
        if self.kind() == TokenKind::Integer {
            let token = self.advance();
            let Ok(index) = self.slice(token.span).parse() else {
                self.error(token.span, "index is too large", "An index counts from 0.");
                return Err(Failed);
            };
            self.expect(TokenKind::CloseSelector, "\"]\"")?;
            return Ok(PathStep::Index(index, self.span_from(open)));
        }
        let member = self.any_word("an index or the name of a member")?;
        self.expect(TokenKind::Equal, "\"=\"")?;
        let value = Box::new(self.selector_value()?);
        self.expect(TokenKind::CloseSelector, "\"]\"")?;
        Ok(PathStep::Selector {
            member,
            value,
            span: self.span_from(open),
        })
    }

    pub(super) fn type_name(&mut self) -> Parsed<TypeName> {
        let expected = "a type";
        if self.kind() == TokenKind::Equal {
            let hint = "Write the type behind the name: DECLARE @x number = 1.".to_owned();
            return Err(self.unexpected_with(expected, Some(hint)));
        }
        let name = self.dotted_name(expected)?;
        let known = TYPES.iter().find(|(text, _)| *text == &*name.text);
        let kind = match known {
            Some((_, kind)) => kind.clone(),
            None if name.text.contains('.') => TypeKind::Named(Arc::clone(&name.text)),
            None => {
                let similar = nearest(&name.text, TYPES.iter().map(|(text, _)| *text));
                let hint = match similar {
                    Some(similar) if similar == name.text.to_lowercase() => {
                        format!("Names of types are written in lower case: {similar}.")
                    }
                    Some(similar) => format!("Did you mean {similar}?"),
                    None => {
                        let all: Vec<&str> = TYPES.iter().map(|(text, _)| *text).collect();
                        format!(
                            "Types are {}, and names like Справочник.Товары.",
                            all.join(", ")
                        )
                    }
                };
                let message = format!("unknown type \"{}\"", name.text);
                self.report(Diagnostic::error("E_PARSE", name.span, message).hint(hint));
                // The declaration stays, so that its variable is known.
                similar
                    .and_then(|s| TYPES.iter().find(|(text, _)| *text == s))
                    .map_or(TypeKind::Union, |(_, kind)| kind.clone())
            }
        };
        let (mut size, mut scale) = (None, None);
        if self.eat(TokenKind::OpenParen) {
            size = Some(self.type_qualifier()?);
            if self.eat(TokenKind::Comma) {
                scale = Some(self.type_qualifier()?);
            }
            self.expect(TokenKind::CloseParen, "\")\"")?;
        }
        Ok(TypeName {
            kind,
            size,
            scale,
            span: self.span_from(name.span),
        })
    }

    fn type_qualifier(&mut self) -> Parsed<u32> {
        let token = self.expect(TokenKind::Integer, "a whole number")?;
        let Ok(number) = self.slice(token.span).parse() else {
            self.error(token.span, "size is too large", "Give a smaller one.");
            return Err(Failed);
        };
        Ok(number)
    }

    /// A quoted address.
    pub(super) fn address(&mut self) -> Parsed<Template> {
        let token = self.token();
        if token.kind != TokenKind::Text {
            let hint = match token.kind {
                TokenKind::Variable => Some(format!("Write '{{{}}}'.", self.slice(token.span))),
                TokenKind::Word(None) => Some("Put the address in quotes.".to_owned()),
                _ => None,
            };
            return Err(self.unexpected_with("an address in quotes", hint));
        }
        self.advance();
        if self.slice(token.span)[1..].starts_with("dajet://") {
            self.error(
                token.span,
                "addresses of the kind \"dajet://\" do not exist any more",
                "Give the address of the database itself, or file:// for a script.",
            );
        }
        Ok(self.template(token.span))
    }

    /// Splits quoted text at its templates.
    fn template(&mut self, literal: Span) -> Template {
        let quote = &self.text[literal.start as usize..literal.start as usize + 1];
        let doubled = quote.repeat(2);
        let end = literal.end as usize - 1;
        let mut at = literal.start as usize + 1;
        let mut parts = Vec::new();
        while at < end {
            let rest = &self.text[at..end];
            let open = [rest.find("{@"), rest.find("{$")]
                .into_iter()
                .flatten()
                .min();
            let fixed = &rest[..open.unwrap_or(rest.len())];
            if !fixed.is_empty() {
                parts.push(TemplatePart::Text(fixed.replace(&doubled, quote)));
            }
            at += fixed.len();
            if open.is_none() {
                break;
            }
            let Some(length) = rest[fixed.len()..].find('}') else {
                let span = Span::new(at as u32, at as u32 + 2);
                self.error(span, "template is not closed", "Close it with }.");
                break;
            };
            let part = Span::new(at as u32, (at + length + 1) as u32);
            parts.extend(self.template_part(part));
            at += length + 1;
        }
        Template {
            parts,
            span: literal,
        }
    }

    /// `{@path}`, `{@path:url}` or `{$NAME}`, with its braces.
    fn template_part(&mut self, part: Span) -> Option<TemplatePart> {
        let inside = &self.text[part.start as usize + 1..part.end as usize - 1];
        if let Some(name) = inside.strip_prefix('$') {
            let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
            let span = Span::new(part.start + 1, part.end - 1);
            if is_name {
                return Some(TemplatePart::Environment(Name::new(name, span)));
            }
            self.error(
                span,
                "bad name of an environment variable",
                "Write {$NAME}.",
            );
            return None;
        }
        let (length, modifier) = match inside.find(':') {
            Some(colon) => (colon, Some(&inside[colon + 1..])),
            None => (inside.len(), None),
        };
        let path_span = Span::new(part.start + 1, part.start + 1 + length as u32);
        if let Some(modifier) = modifier.filter(|m| *m != "url") {
            let message = format!("unknown modifier \"{modifier}\" in a template");
            let span = Span::new(path_span.end + 1, part.end - 1);
            self.error(span, message, "The only modifier is :url.");
        }
        let lexed = tokenize_part(self.text, path_span);
        let mut parser = Parser::new(self.text, lexed.tokens);
        let parsed = parser.path().and_then(|path| match parser.at_end() {
            true => Ok(path),
            false => Err(parser.unexpected("the end of the template")),
        });
        self.untold.add(lexed.untold);
        self.untold.add(parser.untold);
        lexed
            .diagnostics
            .into_iter()
            .chain(parser.diagnostics)
            .for_each(|d| self.report(d));
        parsed.ok().map(|path| TemplatePart::Path {
            path,
            encode: modifier == Some("url"),
        })
    }
}
