//! Sources: CONSUME from a table or from a broker, with the rest of its block as its tail.

use std::sync::Arc;

use dajet_core::Targets;

use super::content::content_of_columns;
use super::{Flow, Lowering};
use crate::ast::{self, Consume, OptionItem, Path, Statement};
use crate::members::Content;
use crate::names;
use crate::plan::{
    BrokerPlan, Detail, PipelineId, PipelinePlan, StatementId, StatementKind, StatementPlan,
};
use crate::program::{Op, Purpose, Slot, Type};

/// What the two forms of CONSUME have in common.
struct Head {
    source: StatementId,
    record: Option<Slot>,
    strict: bool,
}

impl Lowering {
    /// `CONSUME … FROM table`
    pub(super) fn consume(
        &mut self,
        statement: &Statement,
        consume: &Consume,
        tail: &[Statement],
    ) -> Flow {
        let place = self.place("CONSUME", statement.keyword);
        let (drain, parameters) = self.drain(consume);
        let source = self.add_statement(StatementPlan {
            kind: StatementKind::Drain,
            span: statement.span,
            tables: vec![Arc::clone(&consume.from.table.text)],
            values: Vec::new(),
            writes: true,
            address: self.constant_address(place),
            address_span: self.address_span(place, statement.keyword),
            options: Vec::new(),
            called: false,
            place,
            parameters,
            main: None,
            detail: Detail::Names(Box::new(names::Body::Drain(drain))),
        });
        let content = content_of_columns(&consume.columns, std::iter::empty());
        let head = Head {
            source,
            record: self.record_variable(consume.into.as_ref(), content),
            strict: consume.strict,
        };
        self.source(statement, head, tail)
    }

    /// `CONSUME 'uri' WITH … INTO @x`: its address and options are evaluated when a generation of the pipeline starts.
    pub(super) fn consume_broker(
        &mut self,
        statement: &Statement,
        (address, with, into): (&ast::Template, &[OptionItem], Option<&Path>),
        tail: &[Statement],
    ) -> Flow {
        let address = self.template(address);
        let list = self.options(with, &[]);
        let source = self.add_statement(StatementPlan {
            kind: StatementKind::Consume,
            span: statement.span,
            tables: Vec::new(),
            values: Vec::new(),
            writes: true,
            address: address.constant(),
            address_span: address.span,
            options: list.uses,
            called: false,
            place: None,
            parameters: Vec::new(),
            main: None,
            detail: Detail::Broker(BrokerPlan {
                address,
                options: list.options,
                targets: Targets::None,
                target: None,
            }),
        });
        let head = Head {
            source,
            record: self.record_variable(into, Content::Messages(source)),
            strict: false,
        };
        self.source(statement, head, tail)
    }

    /// The tail of a source becomes the body of its pipeline.
    fn source(&mut self, statement: &Statement, head: Head, tail: &[Statement]) -> Flow {
        if self.in_body() {
            let message = "a source behind another source is not supported yet";
            self.error("E_UNSUPPORTED", statement.keyword, message);
        }
        let body = self.open_program(Purpose::Body);
        self.builder().record = head.record;
        if let Some(slot) = head.record {
            self.builder().set(slot);
        }
        let fresh = self.builder().emit(Op::Fresh(Vec::new()));
        self.scopes.enter_tail();
        self.statements(tail);
        let early = self.scopes.leave_tail();
        self.builder().ops[fresh] = Op::Fresh(early);
        let (is_left, uses_clock) = (self.builder().is_left, self.builder().uses_clock);
        let effects = self.body_effects(head.source);
        self.find_targets(head.source);
        self.close_program();
        let pipeline = PipelineId(self.pipelines.len() as u32);
        self.pipelines.push(PipelinePlan {
            source: head.source,
            body,
            span: statement.span,
            strict: head.strict,
            feeds_back: effects.feeds_back,
            reads_own_writes: effects.reads_own_writes,
            changes_variables: effects.changes_variables,
            uses_clock,
        });
        let at = self.builder().emit(Op::RunPipeline { pipeline, end: 0 });
        self.builder().land(at);
        if is_left {
            Flow::Continues
        } else {
            Flow::Endless
        }
    }

    fn record_variable(&mut self, into: Option<&Path>, content: Content) -> Option<Slot> {
        let path = into?;
        let target = self.target(path, content)?;
        if target.declared != Type::Object {
            let message = format!(
                "CONSUME needs a variable of type object; \"@{}\" is {}",
                path.variable.text,
                target.declared.word()
            );
            self.error("E_TYPE", path.span, message);
        }
        Some(target.slot)
    }
}
