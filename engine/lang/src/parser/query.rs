//! SELECT and its clauses, CONSUME from a table, INSERT.

use dajet_core::Span;
use dajet_core::query::JoinKind;

use super::skip::Stop;
use super::{Failed, Parsed, Parser};
use crate::ast::{
    AppendItem, ColumnItem, Consume, Expr, FromItem, JoinItem, Name, OrderItem, Path, Query,
    StatementKind,
};
use crate::lexer::{Keyword, TokenKind};

/// What INTO may name.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Into {
    /// A variable or a table.
    Any,
    /// A variable.
    Variable,
    /// There can be no INTO.
    Forbidden,
}

/// What INTO named.
pub(super) enum Target {
    Absent,
    /// Reported.
    Refused,
    Path(Path),
}

impl Target {
    fn path(self) -> Option<Path> {
        match self {
            Target::Path(path) => Some(path),
            Target::Absent | Target::Refused => None,
        }
    }
}

/// FROM with what is joined and appended.
#[derive(Default)]
struct Sources {
    from: Option<FromItem>,
    joins: Vec<JoinItem>,
    appends: Vec<AppendItem>,
}

impl Parser<'_> {
    /// The rest of a query whose SELECT has been taken.
    pub(super) fn query(&mut self, start: Span, rule: Into) -> Parsed<Query> {
        let mut query = self.select(start, rule)?;
        while self.at_keyword(Keyword::Union) {
            let union = self.advance().span;
            if let Some(append) = query.appends.first() {
                let span = append.name.span;
                self.error(
                    span,
                    "\"APPEND\" is not allowed with \"UNION\"",
                    "Select into two variables.",
                );
            }
            let last = query.unions.last().map_or(&query, |(_, last)| last);
            if !last.order.is_empty() {
                let message = "\"ORDER BY\" stands in front of \"UNION\"";
                self.error(union, message, "Order the whole behind the last query.");
            }
            let all = self.eat_keyword(Keyword::All);
            let next = self.expect_keyword(Keyword::Select)?;
            query
                .unions
                .push((all, self.select(next, Into::Forbidden)?));
        }
        query.span = self.span_from(start);
        Ok(query)
    }

    fn select(&mut self, start: Span, rule: Into) -> Parsed<Query> {
        let distinct = self.eat_keyword(Keyword::Distinct);
        let top = if self.at_top() {
            Some(self.top()?)
        } else {
            None
        };
        let columns = self.columns();
        let mut into = self.target(rule)?;
        let sources = self.sources()?;
        let filter = self.filter();
        let group = self.group()?;
        let mut having = None;
        if self.eat_clause(Keyword::Having) {
            having = Some(self.expression_or_skip(Stop::CLAUSE));
        }
        let order = self.order()?;
        let (offset, fetch) = self.page(&order, top.is_some())?;
        if self.at_keyword(Keyword::Into) {
            into = self.late_into(rule)?;
        }
        let into = into.path().filter(|_| rule != Into::Forbidden);
        let span = self.span_from(start);
        Ok(Query {
            distinct,
            top,
            columns,
            into,
            from: sources.from,
            joins: sources.joins,
            appends: sources.appends,
            filter,
            group,
            having,
            unions: Vec::new(),
            order,
            offset,
            fetch,
            span,
        })
    }

    /// `( SELECT … )`. In a box at once: a query is large, and the stack holds one for each level.
    pub(super) fn subquery(&mut self) -> Parsed<Box<Query>> {
        self.parenthesised(|parser| {
            let start = parser.expect_keyword(Keyword::Select)?;
            parser.deeper(|parser| parser.query(start, Into::Forbidden).map(Box::new))
        })
    }

    /// True if TOP stands next; in lower case only if what follows is no column's.
    fn at_top(&mut self) -> bool {
        use TokenKind::{Integer, OpenParen, Variable};
        let is_count = matches!(self.peek(1).kind, Integer | OpenParen | Variable);
        self.at_keyword(Keyword::Top) || (is_count && self.slip_of_case(&[Keyword::Top]))
    }

    /// TOP with a number, a variable or an expression in brackets, so that `TOP 10 *` is clear.
    fn top(&mut self) -> Parsed<Expr> {
        self.advance();
        match self.kind() {
            TokenKind::Integer | TokenKind::Variable | TokenKind::OpenParen => {
                self.selector_value()
            }
            _ => Err(self.unexpected("the number of rows")),
        }
    }

    fn columns(&mut self) -> Vec<ColumnItem> {
        let mut columns = Vec::new();
        loop {
            let start = self.token().span;
            match self.column() {
                Ok(column) => columns.push(column),
                Err(Failed) => {
                    self.skip(Stop::ITEM);
                    let expr = self.error_expression(start);
                    columns.push(ColumnItem::Expr { alias: None, expr });
                }
            }
            if !self.eat(TokenKind::Comma) && !self.comma_is_missing() {
                return columns;
            }
        }
    }

    /// True if `name =` or `name,` follows without a comma: the next item; reported.
    pub(super) fn comma_is_missing(&mut self) -> bool {
        if !matches!(self.kind(), TokenKind::Word(None) | TokenKind::Bracketed) {
            return false;
        }
        let mut ahead = 1;
        while matches!(self.peek(ahead).kind, TokenKind::Dot | TokenKind::Minus)
            && matches!(
                self.peek(ahead + 1).kind,
                TokenKind::Word(_) | TokenKind::Bracketed
            )
        {
            ahead += 2;
        }
        let is_item = self.peek(ahead).kind == TokenKind::Equal;
        if is_item {
            let gap = Span::new(self.last_end(), self.last_end());
            self.error(
                gap,
                "\",\" is missing between two items",
                "Put a comma here.",
            );
        }
        is_item
    }

    fn column(&mut self) -> Parsed<ColumnItem> {
        if self.kind() == TokenKind::Star && self.peek(1).kind != TokenKind::Star {
            return Ok(ColumnItem::Star(self.advance().span));
        }
        if self.named_by_equal() {
            let alias = Some(self.any_dotted_name("the name of a column")?);
            self.expect(TokenKind::Equal, "\"=\"")?;
            let expr = self.expression()?;
            return Ok(ColumnItem::Expr { alias, expr });
        }
        let expr = self.expression()?;
        let alias = self.alias(&[
            Keyword::Into,
            Keyword::From,
            Keyword::Where,
            Keyword::Having,
            Keyword::Union,
            Keyword::Append,
        ])?;
        Ok(ColumnItem::Expr { alias, expr })
    }

    /// True if a dotted name and `=` stand next: the name of a column, never a comparison.
    fn named_by_equal(&self) -> bool {
        let is_name = |kind| matches!(kind, TokenKind::Word(_) | TokenKind::Bracketed);
        if !is_name(self.kind()) {
            return false;
        }
        let mut ahead = 1;
        while self.peek(ahead).kind == TokenKind::Dot && is_name(self.peek(ahead + 1).kind) {
            ahead += 2;
        }
        self.peek(ahead).kind == TokenKind::Equal
    }

    /// `AS name` or a name alone. `clauses` are the keywords that a word in lower case is rather taken for.
    fn alias(&mut self, clauses: &[Keyword]) -> Parsed<Option<Name>> {
        if self.slip_of_case(&[Keyword::As]) || self.at_keyword(Keyword::As) {
            self.advance();
            return self.any_dotted_name("a name").map(Some);
        }
        if self.slip_of_case(clauses) || self.slip_of_by() || !self.at_name() {
            return Ok(None);
        }
        let token = self.token();
        if token.kind == TokenKind::Word(None) {
            // A statement in lower case on the next line is no alias; `name =` is the next column.
            let word = self.slice(token.span);
            let is_statement = Keyword::find_in_any_case(word)
                .is_some_and(|k| k.starts_statement() || k.ends_block());
            if is_statement || self.peek(1).kind == TokenKind::Equal {
                return Ok(None);
            }
        }
        self.any_dotted_name("a name").map(Some)
    }

    /// Mends `order by` and `group by` in lower case.
    fn slip_of_by(&mut self) -> bool {
        let next = self.peek(1);
        let by = self.slice(next.span).eq_ignore_ascii_case("by");
        by && self.slip_of_case(&[Keyword::Order, Keyword::Group])
    }

    pub(super) fn target(&mut self, rule: Into) -> Parsed<Target> {
        let into = self.token().span;
        if !self.eat_clause(Keyword::Into) {
            return Ok(Target::Absent);
        }
        if rule == Into::Forbidden {
            let hint = "The result of this query is used where it stands; remove INTO.";
            self.error(into, "\"INTO\" is not allowed here", hint);
        }
        if self.kind() == TokenKind::Variable {
            return Ok(Target::Path(self.path()?));
        }
        match rule {
            Into::Any if self.at_name() => {
                let name = self.any_dotted_name("a variable")?;
                self.unsupported(name.span, "INTO a temporary table");
            }
            Into::Forbidden => {
                self.any_dotted_name("a variable")?;
            }
            _ => {
                // Reports it; what follows is independent of it.
                if self.variable().is_err() && self.at_name() {
                    self.any_dotted_name("a variable")?;
                }
            }
        }
        Ok(Target::Refused)
    }

    fn sources(&mut self) -> Parsed<Sources> {
        let mut sources = Sources::default();
        if !self.eat_clause(Keyword::From) {
            return Ok(sources);
        }
        sources.from = Some(self.source()?);
        while self.join(&mut sources)? {}
        Ok(sources)
    }

    fn source(&mut self) -> Parsed<FromItem> {
        const CLAUSES: &[Keyword] = &[
            Keyword::Where,
            Keyword::Having,
            Keyword::Union,
            Keyword::Into,
            Keyword::Join,
            Keyword::On,
            Keyword::Append,
        ];
        let start = self.token().span;
        let mut query = None;
        let table = if self.kind() == TokenKind::OpenParen {
            if self.peek(1).kind == TokenKind::Word(Some(Keyword::Select)) {
                query = Some(self.subquery()?);
            } else {
                self.unsupported(self.peek(1).span, "a join in brackets");
                self.parenthesised(|parser| {
                    let mut inner = Sources {
                        from: Some(parser.deeper(Self::source)?),
                        ..Sources::default()
                    };
                    while parser.join(&mut inner)? {}
                    Ok(())
                })?;
            }
            Name::new("", self.span_from(start))
        } else {
            self.dotted_name("the name of a table")?
        };
        let alias = self.alias(CLAUSES)?;
        if query.is_some() && alias.is_none() {
            let hint = "Write it behind the query: (SELECT …) AS name.";
            self.error(table.span, "a query in FROM has no name", hint);
        }
        Ok(FromItem {
            table,
            alias,
            query,
        })
    }

    /// One JOIN, APPLY or APPEND. False if none follows.
    fn join(&mut self, sources: &mut Sources) -> Parsed<bool> {
        let start = self.token().span;
        let Some(keyword) = self.keyword() else {
            return Ok(false);
        };
        let kind = match keyword {
            Keyword::Append => {
                self.advance();
                sources.appends.push(self.append(start)?);
                return Ok(true);
            }
            Keyword::Inner | Keyword::Join | Keyword::Outer => JoinKind::Inner,
            Keyword::Left => JoinKind::Left,
            Keyword::Right => JoinKind::Right,
            Keyword::Full => JoinKind::Full,
            Keyword::Cross => JoinKind::Cross,
            _ => return Ok(false),
        };
        if keyword != Keyword::Join {
            self.advance();
            self.eat_keyword(Keyword::Outer);
        }
        if self.at_keyword(Keyword::Apply) {
            self.advance();
            self.unsupported(self.span_from(start), "APPLY");
            self.subquery()?;
            self.alias(&[])?;
            return Ok(true);
        }
        self.expect_keyword(Keyword::Join)?;
        let from = self.deeper(Self::source)?;
        let mut on = None;
        if kind != JoinKind::Cross {
            self.expect_keyword(Keyword::On)?;
            on = Some(self.expression_or_skip(Stop::CLAUSE));
        }
        sources.joins.push(JoinItem { kind, from, on });
        Ok(true)
    }

    /// The rest of `APPEND [array|object] (SELECT …) AS name`.
    fn append(&mut self, start: Span) -> Parsed<AppendItem> {
        let mut single = false;
        if self.kind() != TokenKind::OpenParen {
            let word = self.slice(self.token().span).to_lowercase();
            if word != "array" && word != "object" {
                return Err(self.unexpected("\"array\", \"object\" or a query in brackets"));
            }
            single = word == "object";
            self.advance();
        }
        let query = *self.subquery()?;
        let name = match self.alias(&[Keyword::Where, Keyword::Append])? {
            Some(name) => name,
            None => {
                let hint =
                    "Write the name of the member behind the query: APPEND (SELECT …) AS name.";
                self.error(start, "\"APPEND\" has no name", hint);
                Name::new("Append", start)
            }
        };
        Ok(AppendItem {
            single,
            query,
            name,
        })
    }

    fn filter(&mut self) -> Option<Expr> {
        if !self.eat_clause(Keyword::Where) {
            return None;
        }
        Some(self.expression_or_skip(Stop::CLAUSE))
    }

    /// BY, also in Russian, where the same word means ON.
    fn expect_by(&mut self) -> Parsed<()> {
        let is_russian = self.at_keyword(Keyword::On) && self.slice(self.token().span) == "ПО";
        if is_russian {
            self.advance();
            return Ok(());
        }
        self.expect_keyword(Keyword::By).map(|_| ())
    }

    fn group(&mut self) -> Parsed<Vec<Expr>> {
        let mut group = Vec::new();
        if self.eat_keyword(Keyword::Group) {
            self.expect_by()?;
            group.push(self.expression_or_skip(Stop::ITEM));
            while self.eat(TokenKind::Comma) {
                group.push(self.expression_or_skip(Stop::ITEM));
            }
        }
        Ok(group)
    }

    fn order(&mut self) -> Parsed<Vec<OrderItem>> {
        let mut order = Vec::new();
        if self.slip_of_by() || self.at_keyword(Keyword::Order) {
            self.advance();
            self.expect_by()?;
            order.push(self.order_item());
            while self.eat(TokenKind::Comma) {
                order.push(self.order_item());
            }
        }
        Ok(order)
    }

    /// `OFFSET n ROWS [FETCH NEXT n ROWS ONLY]`
    fn page(&mut self, order: &[OrderItem], has_top: bool) -> Parsed<(Option<Expr>, Option<Expr>)> {
        let start = self.token().span;
        if !self.eat_keyword(Keyword::Offset) {
            return Ok((None, None));
        }
        let message = match (order.is_empty(), has_top) {
            (true, _) => Some("\"OFFSET\" stands without \"ORDER BY\""),
            (_, true) => Some("\"OFFSET\" and \"TOP\" exclude each other"),
            _ => None,
        };
        if let Some(message) = message {
            let hint = "Write ORDER BY … OFFSET n ROWS FETCH NEXT n ROWS ONLY.";
            self.error(start, message, hint);
        }
        let offset = self.selector_value()?;
        self.expect_word(&["ROWS", "ROW"])?;
        let mut fetch = None;
        if self.at_word(&["FETCH"]) {
            self.advance();
            self.expect_word(&["NEXT", "FIRST"])?;
            fetch = Some(self.selector_value()?);
            self.expect_word(&["ROWS", "ROW"])?;
            self.expect_word(&["ONLY"])?;
        }
        Ok((Some(offset), fetch))
    }

    fn at_word(&self, words: &[&str]) -> bool {
        let text = self.slice(self.token().span);
        words.iter().any(|word| text.eq_ignore_ascii_case(word))
    }

    fn expect_word(&mut self, words: &[&str]) -> Parsed<()> {
        if self.at_word(words) {
            self.advance();
            return Ok(());
        }
        Err(self.unexpected(&format!("\"{}\"", words[0])))
    }

    fn order_item(&mut self) -> OrderItem {
        let expr = self.expression_or_skip(Stop::ITEM);
        self.slip_of_case(&[Keyword::Asc, Keyword::Desc]);
        let descending = self.eat_keyword(Keyword::Desc);
        if !descending {
            self.eat_keyword(Keyword::Asc);
        }
        OrderItem { expr, descending }
    }

    /// `CONSUME TOP n … FROM table`, or the other form: from a broker.
    pub(super) fn consume(&mut self, keyword: Span) -> Parsed<StatementKind> {
        if self.kind() == TokenKind::Text {
            return self.consume_broker(keyword);
        }
        let mut top = None;
        if self.at_top() {
            top = Some(self.top()?);
        } else {
            let hint = "Write CONSUME TOP n: the most rows of one batch; 1000 is a good start.";
            self.error(keyword, "\"CONSUME\" has no \"TOP\"", hint);
        }
        let strict = self.consume_order()?;
        let columns = self.columns();
        let mut into = self.target(Into::Variable)?;
        let sources = self.sources()?;
        let Some(from) = sources.from else {
            return Err(self.unexpected("\"FROM\""));
        };
        if let Some(join) = sources.joins.first() {
            self.unsupported(join.from.table.span, "JOIN in CONSUME");
        }
        if let Some(append) = sources.appends.first() {
            self.unsupported(append.name.span, "APPEND in CONSUME");
        }
        if let Some(query) = &from.query {
            self.unsupported(query.span, "a query in FROM of CONSUME");
        }
        let filter = self.filter();
        let order = self.order()?;
        let offset = self.token().span;
        if self.eat_keyword(Keyword::Offset) {
            let message = "\"OFFSET\" is not allowed here";
            self.error(offset, message, "TOP limits the rows.");
            self.skip(Stop::STATEMENT);
        }
        if self.at_keyword(Keyword::Into) {
            into = self.late_into(Into::Variable)?;
        }
        if matches!(into, Target::Absent) {
            let hint = "Write INTO @variable between the columns and FROM.";
            self.error(keyword, "\"CONSUME\" has no \"INTO\"", hint);
        }
        let into = into.path();
        let consume = Consume {
            top,
            strict,
            columns,
            into,
            from,
            filter,
            order,
        };
        Ok(StatementKind::ConsumeTable(Box::new(consume)))
    }

    /// An INTO behind the clauses that it belongs in front of.
    fn late_into(&mut self, rule: Into) -> Parsed<Target> {
        if rule != Into::Forbidden {
            let message = "\"INTO\" stands behind other clauses";
            self.error(self.token().span, message, "Move it behind the columns.");
        }
        self.target(rule)
    }

    fn consume_order(&mut self) -> Parsed<bool> {
        if !self.eat_keyword(Keyword::With) {
            return Ok(false);
        }
        let strict = self.eat_keyword(Keyword::Strict);
        if !strict && !self.eat_keyword(Keyword::Random) {
            return Err(self.unexpected("\"STRICT ORDER\" or \"RANDOM ORDER\""));
        }
        self.expect_keyword(Keyword::Order)?;
        Ok(strict)
    }

    /// `INSERT [INTO] table SELECT …`
    pub(super) fn insert(&mut self) -> Parsed<StatementKind> {
        self.eat_keyword(Keyword::Into);
        let table = self.dotted_name("the name of a table")?;
        let from = self.token().span;
        if self.eat_keyword(Keyword::From) {
            self.unsupported(from, "INSERT … FROM");
            self.source()?;
            return Ok(StatementKind::Unsupported);
        }
        if self.kind() == TokenKind::OpenParen || self.at_keyword(Keyword::Values) {
            let hint = "Write INSERT table SELECT a = 1, b = 2.".to_owned();
            return Err(self.unexpected_with("\"SELECT\"", Some(hint)));
        }
        let start = self.expect_keyword(Keyword::Select)?;
        let query = Box::new(self.query(start, Into::Forbidden)?);
        Ok(StatementKind::Insert { table, query })
    }
}
