//! Lowering: the syntax tree becomes a plan. Names become slots, blocks become operations, sources become pipelines. Here,
//! and nowhere else, is decided what is gathered and what is called (`analysis`).

mod analysis;
mod builder;
mod content;
mod database;
mod expressions;
mod joining;
mod modify;
mod naming;
mod queries;
mod sources;
mod statements;

use std::sync::Arc;

use dajet_core::{Diagnostic, Severity, Span, Value};

use self::builder::Builder;
use self::content::{content_of, content_of_query};
use crate::ast::{
    Block, Initializer, Name, Path, Script, Statement, StatementKind, TypeKind, TypeName,
};
use crate::check::{FoundVariable, Scopes};
use crate::machine::convert::default_of;
use crate::members::{Content, Members};
use crate::plan::{NamePlan, PipelinePlan, Plan, ProgramId, RootVariable, StatementPlan};
use crate::program::{Expr, ExprKind, Op, Place, Program, Purpose, Slot, Target, Template, Type};

/// Makes the plan; none if there is at least one error.
pub(crate) fn lower(
    text: &str,
    script: &Script,
    is_whole: bool,
) -> (Option<Plan>, Vec<Diagnostic>) {
    let mut lowering = Lowering::new(script.has_use);
    lowering.open_program(Purpose::Root);
    lowering.block(&script.statements);
    lowering.close_program();
    let (mut diagnostics, mut members) = (lowering.diagnostics, lowering.members);
    members.settle(&lowering.scopes.variables);
    if is_whole {
        diagnostics.extend(members.warnings());
    }
    if diagnostics
        .iter()
        .any(|diagnostic| diagnostic.severity == Severity::Error)
    {
        return (None, diagnostics);
    }
    let plan = Plan {
        text: text.into(),
        programs: lowering.programs.into_iter().flatten().collect(),
        pipelines: lowering.pipelines,
        statements: lowering.statements,
        uses: lowering.uses,
        variables: lowering.scopes.variables,
        root_variables: lowering.root_variables,
        environment_names: lowering.environment_names,
        names: lowering.names,
        members,
        sites: lowering.sites,
        iterators: lowering.iterators,
    };
    (Some(plan), diagnostics)
}

/// Whether control comes behind a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    /// It may.
    Continues,
    /// It never does: an endless source stands in the way.
    Endless,
}

/// The plan in the making.
struct Lowering {
    diagnostics: Vec<Diagnostic>,
    scopes: Scopes,
    members: Members,
    /// The programs that are open, the innermost last.
    builders: Vec<Builder>,
    /// The finished ones, by their number.
    programs: Vec<Option<Program>>,
    pipelines: Vec<PipelinePlan>,
    statements: Vec<StatementPlan>,
    uses: Vec<Template>,
    /// The `USE` blocks that are open.
    places: Vec<Place>,
    root_variables: Vec<RootVariable>,
    environment_names: Vec<Name>,
    names: Vec<NamePlan>,
    /// Names of the statement in the making that may stand for values.
    values: Vec<Arc<str>>,
    /// An INSERT without FROM is in the making: one row for each record of the script.
    single_row: bool,
    sites: usize,
    iterators: usize,
    has_use: bool,
}

impl Lowering {
    fn new(has_use: bool) -> Self {
        Self {
            diagnostics: Vec::new(),
            scopes: Scopes::default(),
            members: Members::default(),
            builders: Vec::new(),
            programs: Vec::new(),
            pipelines: Vec::new(),
            statements: Vec::new(),
            uses: Vec::new(),
            places: Vec::new(),
            root_variables: Vec::new(),
            environment_names: Vec::new(),
            names: Vec::new(),
            values: Vec::new(),
            single_row: false,
            sites: 0,
            iterators: 0,
            has_use,
        }
    }

    fn error(&mut self, code: &'static str, span: Span, message: impl Into<String>) {
        self.diagnostics
            .push(Diagnostic::error(code, span, message));
    }

    fn hinted(&mut self, code: &'static str, span: Span, message: impl Into<String>, hint: &str) {
        self.diagnostics
            .push(Diagnostic::error(code, span, message).hint(hint));
    }

    fn warning(&mut self, code: &'static str, span: Span, message: impl Into<String>) {
        self.diagnostics
            .push(Diagnostic::warning(code, span, message));
    }

    /// The program in the making.
    fn builder(&mut self) -> &mut Builder {
        self.builders
            .last_mut()
            .expect("the root program is open while statements are lowered")
    }

    fn open_program(&mut self, purpose: Purpose) -> ProgramId {
        let id = ProgramId(self.programs.len() as u32);
        self.programs.push(None);
        self.builders.push(Builder::new(id, purpose));
        id
    }

    fn close_program(&mut self) {
        let Some(mut builder) = self.builders.pop() else {
            return;
        };
        self.analyze(&mut builder);
        let id = builder.id;
        let (purpose, places) = (builder.purpose, std::mem::take(&mut builder.places));
        let mut program = builder.finish(self.scopes.variables.len());
        if purpose == Purpose::Body {
            program.joining = self.joining(&program, &places);
        }
        program.repeats = self.repeats(&program);
        self.programs[id.0 as usize] = Some(program);
    }

    /// True within the tail of a source.
    fn in_body(&self) -> bool {
        self.builders
            .iter()
            .any(|builder| builder.purpose == Purpose::Body)
    }

    /// A block with a scope of its own.
    fn block(&mut self, block: &Block) -> Flow {
        let depth = self.builders.len();
        self.scopes.enter(block, depth, &mut self.diagnostics);
        let fresh = self.builder().emit(Op::Fresh(Vec::new()));
        let flow = self.statements(block);
        let delivers = block
            .iter()
            .any(|s| matches!(s.kind, StatementKind::Produce { .. }));
        if delivers && self.builder().purpose != Purpose::Body {
            self.builder().emit(Op::Flush);
        }
        let early = self.scopes.leave();
        self.builder().ops[fresh] = Op::Fresh(early);
        flow
    }

    /// The statements of a block, or of the tail of a source.
    fn statements(&mut self, statements: &[Statement]) -> Flow {
        let mut flow = Flow::Continues;
        let mut reported = false;
        for (index, statement) in statements.iter().enumerate() {
            if flow == Flow::Endless && !reported {
                reported = true;
                let message = "this statement is never reached: the source before it does not end";
                self.warning("W011", statement.keyword, message);
            }
            if let StatementKind::ConsumeTable(consume) = &statement.kind {
                return self.consume(statement, consume, &statements[index + 1..]);
            }
            if let StatementKind::ConsumeBroker {
                address,
                with,
                into,
            } = &statement.kind
            {
                let broker = (address, with.as_slice(), into.as_ref());
                return self.consume_broker(statement, broker, &statements[index + 1..]);
            }
            if self.statement(statement) == Flow::Endless {
                flow = Flow::Endless;
            }
        }
        flow
    }

    fn statement(&mut self, statement: &Statement) -> Flow {
        match &statement.kind {
            StatementKind::Declare {
                variable,
                type_name,
                of,
                value,
            } => {
                self.declare(variable, type_name, of.as_ref(), value.as_ref());
            }
            StatementKind::Set { path, value } => self.set(path, value),
            StatementKind::Use { address, body, .. } => return self.use_block(address, body),
            StatementKind::If {
                condition,
                then,
                otherwise,
            } => {
                return self.if_else(condition, then, otherwise);
            }
            StatementKind::Case {
                branches,
                otherwise,
            } => return self.cases(branches, otherwise),
            StatementKind::Modify {
                target,
                from,
                delete,
                select,
            } => self.modify(target, from.as_ref(), delete, select),
            StatementKind::While { condition, body } => self.while_loop(condition, body),
            StatementKind::For {
                variable,
                collection,
                max_parallel,
                body,
                ..
            } => {
                self.for_loop(statement, variable, collection, max_parallel.as_ref(), body);
            }
            StatementKind::Break | StatementKind::Continue => self.signal(statement),
            StatementKind::Return(value) => {
                let value = value.as_ref().map(|value| self.looked_at(value));
                self.builder().emit(Op::Return(value));
            }
            StatementKind::Throw(value) => {
                let value = self.looked_at(value);
                self.builder().emit(Op::Throw(value));
            }
            StatementKind::Sleep(value) => {
                let value = self.expr(value);
                self.builder().emit(Op::Sleep(value));
            }
            StatementKind::Print(value) => {
                let value = self.looked_at(value);
                self.builder().emit(Op::Print(value));
            }
            StatementKind::Select(query) => self.select(query),
            StatementKind::Produce {
                address,
                with,
                select,
            } => {
                self.produce(statement, address, with, select);
            }
            StatementKind::Insert { table, query } => self.insert(statement, table, query),
            StatementKind::Sequence(sequence) => self.sequence(statement, sequence),
            StatementKind::ConsumeTable(_)
            | StatementKind::ConsumeBroker { .. }
            | StatementKind::Unsupported => {}
        }
        Flow::Continues
    }

    /// BREAK and CONTINUE.
    fn signal(&mut self, statement: &Statement) {
        let (word, found) = match statement.kind {
            StatementKind::Break => ("BREAK", self.builder().emit_break()),
            _ => ("CONTINUE", self.builder().emit_continue()),
        };
        if !found {
            let message = format!("{word} stands neither in a loop nor behind a source");
            self.error("E_BIND", statement.keyword, message);
        }
    }

    fn declare(
        &mut self,
        variable: &Name,
        type_name: &TypeName,
        of: Option<&Name>,
        value: Option<&Initializer>,
    ) {
        if let Some(of) = of {
            let message = "OF is not supported yet: there is no DEFINE";
            self.hinted(
                "E_UNSUPPORTED",
                of.span,
                message,
                "Leave OF out: members are found without it.",
            );
        }
        let at_root = self.scopes.at_root() && self.builder().purpose == Purpose::Root;
        let Some(found) = self.scopes.declare(variable) else {
            return;
        };
        let (slot, declared) = (found.slot, found.declared);
        self.builder().locals.push(slot);
        self.builder().set(slot);
        let overriding = at_root.then(|| {
            self.members.parameter(slot, value.is_some());
            let name = Arc::clone(&variable.text);
            let span = variable.span;
            let type_name = declared.word();
            self.root_variables.push(RootVariable {
                name: Arc::clone(&name),
                type_name,
                span,
            });
            self.builder().emit(Op::Override {
                slot,
                declared,
                name,
                span,
                target: 0,
            })
        });
        match value {
            Some(value) => self.assign_initializer(found, variable.span, value),
            None => {
                let kind = match &type_name.kind {
                    TypeKind::Named(name) => self.empty_reference(name, type_name.span),
                    _ => ExprKind::Constant(default_of(declared)),
                };
                let value = Expr {
                    kind,
                    span: variable.span,
                };
                self.builder().emit(Op::Assign {
                    slot,
                    declared,
                    value,
                });
            }
        }
        if let Some(at) = overriding {
            self.builder().land(at);
        }
    }

    fn assign_initializer(&mut self, variable: FoundVariable, span: Span, value: &Initializer) {
        let (slot, declared) = (variable.slot, variable.declared);
        match value {
            Initializer::Expr(value) => {
                let value = self.looked_at(value);
                self.members.assign(slot, span, content_of(&value));
                let value = self.coerced(value, declared);
                self.builder().emit(Op::Assign {
                    slot,
                    declared,
                    value,
                });
            }
            Initializer::Query(query) => {
                if let Some(into) = &query.into {
                    let message = "INTO and an assignment of the same SELECT exclude each other";
                    self.hinted("E_PARSE", into.span, message, "Leave INTO out.");
                }
                self.members.assign(slot, span, content_of_query(query));
                self.select_into(
                    query,
                    Some(Target {
                        slot,
                        declared,
                        span,
                    }),
                );
            }
        }
    }

    fn set(&mut self, path: &Path, value: &Initializer) {
        let Some(found) = self.scopes.resolve(&path.variable, &mut self.diagnostics) else {
            if let Initializer::Expr(value) = value {
                self.expr(value);
            }
            return;
        };
        self.builder().set(found.slot);
        if path.steps.is_empty() {
            self.assign_initializer(found, path.span, value);
            return;
        }
        self.members.change(found.slot);
        if self.builder().record != Some(found.slot) {
            self.builder().mutates = true;
        }
        if !matches!(found.declared, Type::Object | Type::Array | Type::Union) {
            let message = format!(
                "a variable of type {} has no members",
                found.declared.word()
            );
            self.error("E_TYPE", path.span, message);
        }
        if let Some(crate::ast::PathStep::Selector { span, .. }) = path.steps.last() {
            self.error(
                "E_UNSUPPORTED",
                *span,
                "an element that is found by a selector cannot be replaced",
            );
        }
        let steps = self.path_steps(&path.steps);
        let value = match value {
            Initializer::Expr(value) => self.expr(value),
            Initializer::Query(query) => match self.constructor(query) {
                Some(object) => object,
                None => {
                    let message = "the rows of a table cannot be assigned to a member";
                    let hint = "Select into a variable first.";
                    self.hinted("E_UNSUPPORTED", query.span, message, hint);
                    return;
                }
            },
        };
        let (slot, span) = (found.slot, path.span);
        self.builder().emit(Op::AssignMember {
            slot,
            steps,
            value,
            span,
        });
    }

    /// A target of INTO, a variable without a path, and what it gets.
    fn target(&mut self, path: &Path, content: Content) -> Option<Target> {
        let found = self.scopes.resolve(&path.variable, &mut self.diagnostics)?;
        if !path.steps.is_empty() {
            let hint = "Select into a variable, then assign it with SET.";
            self.hinted(
                "E_UNSUPPORTED",
                path.span,
                "INTO takes a variable, not a member",
                hint,
            );
            return None;
        }
        self.builder().set(found.slot);
        self.members.assign(found.slot, path.span, content);
        Some(Target {
            slot: found.slot,
            declared: found.declared,
            span: path.span,
        })
    }

    /// A constant is converted to the declared type now, so that a mistake is found before anything runs.
    fn coerced(&mut self, value: Expr, declared: Type) -> Expr {
        use crate::machine::heap::Datum;
        let ExprKind::Constant(constant) = &value.kind else {
            return value;
        };
        match crate::machine::convert::coerce(Datum::Scalar(constant.clone()), declared) {
            Ok(Datum::Scalar(constant)) => Expr {
                kind: ExprKind::Constant(constant),
                span: value.span,
            },
            Ok(_) => value,
            Err(failure) => {
                let error = Diagnostic::error(failure.code, value.span, failure.message);
                self.diagnostics.push(error.maybe_hint(failure.hint));
                value
            }
        }
    }

    /// A new place where a member is read.
    fn site(&mut self) -> usize {
        self.sites += 1;
        self.sites - 1
    }

    /// The type that an expression surely has.
    fn static_type(&self, expr: &Expr) -> Option<Type> {
        match &expr.kind {
            ExprKind::Constant(value) => match value {
                Value::Text(_) => Some(Type::String),
                Value::Integer(_) => Some(Type::Integer),
                Value::Decimal(_) => Some(Type::Decimal),
                Value::Boolean(_) => Some(Type::Boolean),
                _ => None,
            },
            ExprKind::Slot(slot) => Some(self.declared(*slot)),
            ExprKind::Binary { text: true, .. } => Some(Type::String),
            ExprKind::Call(function, _) if function.text => Some(Type::String),
            ExprKind::Cast(_, target) => Some(target.to),
            _ => None,
        }
    }

    fn declared(&self, slot: Slot) -> Type {
        self.scopes.variables[slot].declared
    }
}
