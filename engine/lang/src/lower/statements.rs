//! Blocks and loops, and what goes to brokers and databases.

use std::sync::Arc;

use dajet_core::contract::OptionUse;
use dajet_core::{Shape, Span, Value};

use super::content::content_of;
use super::queries::tables_of;
use super::{Flow, Lowering};
use crate::ast::{
    self, Block, MaxParallel, Name, OptionItem, Path, Query, Sequence, SequenceAction, Statement,
};
use crate::names;
use crate::plan::{Detail, MessagePlan, StatementId, StatementKind, StatementPlan};
use crate::program::{Expr, ExprKind, Op, Parallel, Place, Purpose, Template, TemplatePart};

/// The options of a statement for a broker.
#[derive(Default)]
pub(super) struct OptionList {
    /// As written.
    pub uses: Vec<OptionUse>,
    /// `WITH`
    pub options: Vec<(Arc<str>, Expr)>,
    /// Names of `SELECT`.
    pub columns: Vec<Arc<str>>,
    /// Values of `SELECT`.
    pub values: Vec<Expr>,
}

impl Lowering {
    pub(super) fn use_block(&mut self, address: &ast::Template, body: &Block) -> Flow {
        let template = self.template(address);
        let place = self.uses.len();
        self.uses.push(template);
        self.builder().places.push(place);
        self.builder().emit(Op::Use(place));
        self.places.push(place);
        let flow = self.block(body);
        self.places.pop();
        flow
    }

    /// A block that a run may leave out.
    fn branch(&mut self, block: &Block) -> Flow {
        self.members.enter_branch();
        let flow = self.block(block);
        self.members.leave_branch();
        flow
    }

    pub(super) fn if_else(
        &mut self,
        condition: &ast::Expr,
        then: &Block,
        otherwise: &Block,
    ) -> Flow {
        let condition = self.expr(condition);
        let branch = self.builder().emit(Op::JumpUnless(condition, 0));
        let then = self.branch(then);
        if otherwise.is_empty() {
            self.builder().land(branch);
            return Flow::Continues;
        }
        let end = self.builder().emit(Op::Jump(0));
        self.builder().land(branch);
        let otherwise = self.branch(otherwise);
        self.builder().land(end);
        if then == otherwise {
            then
        } else {
            Flow::Continues
        }
    }

    /// `CASE` as a statement: the block of the first condition that is true.
    pub(super) fn cases(&mut self, branches: &[(ast::Expr, Block)], otherwise: &Block) -> Flow {
        let mut ends = Vec::with_capacity(branches.len());
        let mut endless = !otherwise.is_empty();
        for (condition, block) in branches {
            let condition = self.expr(condition);
            let branch = self.builder().emit(Op::JumpUnless(condition, 0));
            endless &= self.branch(block) == Flow::Endless;
            ends.push(self.builder().emit(Op::Jump(0)));
            self.builder().land(branch);
        }
        if !otherwise.is_empty() {
            endless &= self.branch(otherwise) == Flow::Endless;
        }
        for end in ends {
            self.builder().land(end);
        }
        match endless {
            true => Flow::Endless,
            false => Flow::Continues,
        }
    }

    pub(super) fn while_loop(&mut self, condition: &ast::Expr, body: &Block) {
        let start = self.builder().here();
        let condition = self.expr(condition);
        let exit = self.builder().emit(Op::JumpUnless(condition, 0));
        self.builder().open_loop(start);
        self.branch(body);
        self.builder().emit(Op::Jump(start));
        self.builder().land(exit);
        self.builder().close_loop();
    }

    pub(super) fn for_loop(
        &mut self,
        statement: &Statement,
        variable: &Name,
        collection: &Path,
        max_parallel: Option<&MaxParallel>,
        body: &Block,
    ) {
        let span = variable.span;
        let found = self.scopes.resolve(variable, &mut self.diagnostics);
        let collection = self.path(collection);
        let parallel = match max_parallel {
            None | Some(MaxParallel::Number(1)) => None,
            Some(MaxParallel::Number(n)) => {
                let kind = ExprKind::Constant(Value::Integer(*n));
                Some(Parallel::Number(Expr {
                    kind,
                    span: statement.keyword,
                }))
            }
            Some(MaxParallel::Path(path)) => Some(Parallel::Number(self.path(path))),
            Some(MaxParallel::Unbounded) => Some(Parallel::Unbounded),
        };
        let Some(found) = found else {
            self.block(body);
            return;
        };
        let (slot, declared) = (found.slot, found.declared);
        self.members.assign(slot, span, content_of(&collection));
        let Some(parallel) = parallel else {
            self.builder().set(slot);
            let iterator = self.iterators;
            self.iterators += 1;
            self.builder().emit(Op::ForBegin {
                iterator,
                collection,
            });
            let start = self.builder().emit(Op::ForNext {
                iterator,
                slot,
                declared,
                span,
                end: 0,
            });
            self.builder().open_loop(start);
            self.block(body);
            self.builder().emit(Op::Jump(start));
            self.builder().land(start);
            self.builder().close_loop();
            return;
        };
        if self.in_body() {
            let message = "a parallel loop behind a source is not supported yet";
            self.hinted(
                "E_UNSUPPORTED",
                statement.keyword,
                message,
                "Leave MAXDOP out.",
            );
        }
        let program = self.open_program(Purpose::Iteration);
        self.builder().record = Some(slot);
        self.builder().set(slot);
        self.block(body);
        self.close_program();
        self.builder().emit(Op::RunLoop {
            collection,
            slot,
            declared,
            program,
            parallel,
            span,
        });
    }

    pub(super) fn insert(&mut self, statement: &Statement, table: &Name, query: &Query) {
        let place = self.place("INSERT", statement.keyword);
        let (insert, parameters) = self.insertion(table, query);
        let mut tables = vec![Arc::clone(&table.text)];
        tables.extend(
            tables_of(query)
                .into_iter()
                .filter(|read| *read != table.text),
        );
        let id = self.add_statement(StatementPlan {
            kind: StatementKind::Insert,
            span: statement.span,
            tables,
            values: Vec::new(),
            writes: true,
            address: self.constant_address(place),
            address_span: self.address_span(place, statement.keyword),
            options: Vec::new(),
            called: true,
            place,
            parameters,
            main: None,
            detail: Detail::Names(Box::new(names::Body::Insert(insert))),
        });
        self.builder().emit(Op::Call {
            statement: id,
            into: None,
        });
    }

    /// `CREATE | DROP | APPLY | REVOKE SEQUENCE`
    pub(super) fn sequence(&mut self, statement: &Statement, sequence: &Sequence) {
        if self.in_body() {
            let message = "a statement about a sequence stands behind a source";
            let hint = "Put it in front of CONSUME: it is run once.";
            self.hinted("E_UNSUPPORTED", statement.keyword, message, hint);
        }
        let place = self.place("SEQUENCE", statement.keyword);
        let tables = match &sequence.action {
            SequenceAction::Apply { table, .. } | SequenceAction::Revoke { table } => {
                vec![Arc::clone(&table.text)]
            }
            SequenceAction::Create { .. } | SequenceAction::Drop => Vec::new(),
        };
        let id = self.add_statement(StatementPlan {
            kind: StatementKind::Sequence,
            span: statement.span,
            tables,
            values: Vec::new(),
            writes: true,
            address: self.constant_address(place),
            address_span: self.address_span(place, statement.keyword),
            options: Vec::new(),
            called: true,
            place,
            parameters: Vec::new(),
            main: None,
            detail: Detail::Names(Box::new(names::Body::Sequence(sequence.clone()))),
        });
        self.builder().emit(Op::Call {
            statement: id,
            into: None,
        });
    }

    pub(super) fn produce(
        &mut self,
        statement: &Statement,
        address: &ast::Template,
        with: &[OptionItem],
        select: &[OptionItem],
    ) {
        let template = self.template(address);
        let OptionList {
            uses,
            options,
            columns,
            values,
        } = self.options(with, select);
        let address = template.constant();
        let columns = Shape::new(columns);
        let message = MessagePlan {
            address: template,
            options,
            invariant: false,
            columns,
        };
        let id = self.add_statement(StatementPlan {
            kind: StatementKind::Produce,
            span: statement.span,
            tables: Vec::new(),
            values: Vec::new(),
            writes: true,
            address,
            address_span: message.address.span,
            options: uses,
            called: false,
            place: None,
            parameters: values,
            main: None,
            detail: Detail::Message(message),
        });
        self.builder().emit(Op::EmitMessage(id));
    }

    /// The options of a statement for a broker; of two with the same name the first one counts.
    pub(super) fn options(&mut self, with: &[OptionItem], select: &[OptionItem]) -> OptionList {
        let mut list = OptionList::default();
        let of_connection = with.iter().map(|item| (item, false));
        for (item, of_message) in of_connection.chain(select.iter().map(|item| (item, true))) {
            let value = self.expr(&item.value);
            let literal = match &value.kind {
                ExprKind::Constant(value) => Some(value.clone()),
                _ => None,
            };
            let (name, span) = (Arc::clone(&item.name.text), item.name.span);
            let mut earlier = list.uses.iter().map(|used| &used.name);
            if earlier.any(|earlier| same_option(earlier, &name)) {
                let message = format!("option \"{name}\" is given twice; the first one counts");
                self.warning("W014", span, message);
                continue;
            }
            list.uses.push(OptionUse {
                name: Arc::clone(&name),
                span,
                literal,
                of_message,
            });
            if of_message {
                list.columns.push(name);
                list.values.push(value);
            } else {
                list.options.push((name, value));
            }
        }
        list
    }

    /// Adds a statement to the plan and to the program that runs it.
    pub(super) fn add_statement(&mut self, mut statement: StatementPlan) -> StatementId {
        statement.values = std::mem::take(&mut self.values);
        let id = StatementId(self.statements.len() as u32);
        if !statement.kind.is_source() {
            self.builder().statements.push(id);
        }
        self.statements.push(statement);
        id
    }

    /// The USE around a database statement.
    pub(super) fn place(&mut self, what: &str, keyword: Span) -> Option<Place> {
        let place = self.places.last().copied();
        if place.is_none() {
            let message = format!("{what} stands outside of USE");
            if self.has_use {
                let hint = "Put it between USE 'address' and END.";
                self.hinted("E_BIND", keyword, message, hint);
            } else {
                self.warning("W007", keyword, message);
            }
        }
        place
    }

    pub(super) fn constant_address(&self, place: Option<Place>) -> Option<String> {
        place.and_then(|place| self.uses[place].constant())
    }

    pub(super) fn address_span(&self, place: Option<Place>, keyword: Span) -> Span {
        place.map_or(keyword, |place| self.uses[place].span)
    }

    pub(super) fn template(&mut self, template: &ast::Template) -> Template {
        let mut parts = Vec::with_capacity(template.parts.len());
        for part in &template.parts {
            parts.push(match part {
                ast::TemplatePart::Text(text) => TemplatePart::Text(text.clone()),
                ast::TemplatePart::Path { path, encode } => {
                    let mut shown = format!("@{}", path.variable.text);
                    for step in &path.steps {
                        if let ast::PathStep::Member(name) = step {
                            shown.push('.');
                            shown.push_str(&name.text);
                        }
                    }
                    TemplatePart::Value {
                        expr: self.path(path),
                        shown,
                        encode: *encode,
                    }
                }
                ast::TemplatePart::Environment(name) => {
                    let mut known = self.environment_names.iter();
                    if !known.any(|known| known.text == name.text) {
                        self.environment_names.push(name.clone());
                    }
                    TemplatePart::Environment {
                        name: Arc::clone(&name.text),
                        span: name.span,
                    }
                }
            });
        }
        Template {
            parts,
            span: template.span,
            invariant: false,
        }
    }
}

/// Names of options are the same without regard to case, dots, hyphens and underscores.
fn same_option(a: &str, b: &str) -> bool {
    let plain = |name: &str| {
        let letters = name.chars().filter(|c| !matches!(c, '.' | '-' | '_'));
        letters.flat_map(char::to_lowercase).collect::<String>()
    };
    plain(a) == plain(b)
}
