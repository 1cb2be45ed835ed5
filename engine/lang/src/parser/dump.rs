//! The tree as text, for tests.

use std::fmt::Write;

use dajet_core::Value;

use crate::ast::*;

pub(super) fn block(statements: &[Statement]) -> String {
    statements
        .iter()
        .map(statement)
        .collect::<Vec<_>>()
        .join(" ")
}

fn statement(statement: &Statement) -> String {
    match &statement.kind {
        StatementKind::Declare {
            variable,
            type_name: kind,
            of,
            value,
        } => {
            let mut text = format!("(declare {} {}", variable.text, type_name(kind));
            if let Some(of) = of {
                let _ = write!(text, " of {}", of.text);
            }
            if let Some(value) = value {
                let _ = write!(text, " {}", initializer(value));
            }
            text + ")"
        }
        StatementKind::Set {
            path: target,
            value,
        } => {
            format!("(set {} {})", path(target), initializer(value))
        }
        StatementKind::Use {
            address,
            body,
            closed,
        } => {
            let mark = if *closed { "" } else { "~" };
            format!("(use{mark} {} [{}])", template(address), block(body))
        }
        StatementKind::If {
            condition,
            then,
            otherwise,
        } => {
            format!(
                "(if {} [{}] [{}])",
                expr(condition),
                block(then),
                block(otherwise)
            )
        }
        StatementKind::While { condition, body } => {
            format!("(while {} [{}])", expr(condition), block(body))
        }
        StatementKind::For {
            variable,
            collection,
            max_parallel,
            body,
            closed,
        } => {
            let mark = if *closed { "" } else { "~" };
            let parallel = match max_parallel {
                None => String::new(),
                Some(MaxParallel::Number(number)) => format!(" x{number}"),
                Some(MaxParallel::Path(p)) => format!(" x{}", path(p)),
                Some(MaxParallel::Unbounded) => " x*".to_owned(),
            };
            let (variable, collection) = (&variable.text, path(collection));
            format!(
                "(for{mark} {variable} {collection}{parallel} [{}])",
                block(body)
            )
        }
        _ => simple_statement(statement),
    }
}

fn simple_statement(statement: &Statement) -> String {
    match &statement.kind {
        StatementKind::Break => "(break)".to_owned(),
        StatementKind::Continue => "(continue)".to_owned(),
        StatementKind::Return(None) => "(return)".to_owned(),
        StatementKind::Return(Some(value)) => format!("(return {})", expr(value)),
        StatementKind::Throw(value) => format!("(throw {})", expr(value)),
        StatementKind::Sleep(value) => format!("(sleep {})", expr(value)),
        StatementKind::Print(value) => format!("(print {})", expr(value)),
        StatementKind::Case {
            branches,
            otherwise,
        } => {
            let branch = |(c, body): &(Expr, Block)| format!("{} [{}] ", expr(c), block(body));
            let branches: String = branches.iter().map(branch).collect();
            format!("(case {branches}[{}])", block(otherwise))
        }
        StatementKind::Modify {
            target,
            from,
            delete,
            select,
        } => {
            let from = from
                .as_ref()
                .map_or_else(String::new, |from| format!(" from {}", path(from)));
            let delete: String = delete
                .iter()
                .map(|name| format!(" -{}", name.text))
                .collect();
            format!(
                "(modify {}{from}{delete} [{}])",
                path(target),
                options(select)
            )
        }
        StatementKind::Select(inner) => query(inner),
        StatementKind::ConsumeTable(inner) => consume(inner),
        StatementKind::ConsumeBroker {
            address,
            with,
            into,
        } => {
            let (address, with) = (template(address), options(with));
            let into = into
                .as_ref()
                .map_or_else(String::new, |into| format!(" into {}", path(into)));
            format!("(consume {address} with[{with}]{into})")
        }
        StatementKind::Produce {
            address,
            with,
            select,
        } => {
            let (with, select) = (options(with), options(select));
            format!(
                "(produce {} with[{with}] select[{select}])",
                template(address)
            )
        }
        StatementKind::Insert { table, query: rows } => {
            format!("(insert {} {})", table.text, query(rows))
        }
        StatementKind::Sequence(sequence) => sequence_of(sequence),
        _ => "(unsupported)".to_owned(),
    }
}

fn sequence_of(sequence: &Sequence) -> String {
    let name = &sequence.name.text;
    match &sequence.action {
        SequenceAction::Create {
            start,
            increment,
            cache,
        } => {
            let start = start.map_or(String::new(), |start| format!(" start {start}"));
            format!("(create-sequence {name}{start} by {increment} cache {cache})")
        }
        SequenceAction::Drop => format!("(drop-sequence {name})"),
        SequenceAction::Apply {
            table,
            column,
            recalculate,
        } => {
            let recalculate = if *recalculate { " recalculate" } else { "" };
            let (table, column) = (&table.text, &column.text);
            format!("(apply-sequence {name} {table}.{column}{recalculate})")
        }
        SequenceAction::Revoke { table } => format!("(revoke-sequence {name} {})", table.text),
    }
}

fn initializer(value: &Initializer) -> String {
    match value {
        Initializer::Expr(value) => expr(value),
        Initializer::Query(value) => query(value),
    }
}

fn type_name(name: &TypeName) -> String {
    let kind = match &name.kind {
        TypeKind::Named(text) => text.to_string(),
        kind => format!("{kind:?}").to_lowercase(),
    };
    match (name.size, name.scale) {
        (Some(size), Some(scale)) => format!("{kind}({size},{scale})"),
        (Some(size), None) => format!("{kind}({size})"),
        _ => kind,
    }
}

fn template(template: &Template) -> String {
    let part = |part: &TemplatePart| match part {
        TemplatePart::Text(text) => text.clone(),
        TemplatePart::Path {
            path: inner,
            encode: false,
        } => format!("{{{}}}", path(inner)),
        TemplatePart::Path {
            path: inner,
            encode: true,
        } => format!("{{{}:url}}", path(inner)),
        TemplatePart::Environment(name) => format!("{{${}}}", name.text),
    };
    format!("'{}'", template.parts.iter().map(part).collect::<String>())
}

fn path(path: &Path) -> String {
    let step = |step: &PathStep| match step {
        PathStep::Member(name) => format!(".{}", name.text),
        PathStep::Index(index, _) => format!("[{index}]"),
        PathStep::Selector { member, value, .. } => format!("[{}={}]", member.text, expr(value)),
    };
    format!(
        "@{}{}",
        path.variable.text,
        path.steps.iter().map(step).collect::<String>()
    )
}

fn options(options: &[OptionItem]) -> String {
    options
        .iter()
        .map(|o| format!("{}={}", o.name.text, expr(&o.value)))
        .collect::<Vec<_>>()
        .join(" ")
}

fn columns(columns: &[ColumnItem]) -> String {
    let column = |column: &ColumnItem| match column {
        ColumnItem::Star(_) => "*".to_owned(),
        ColumnItem::Expr {
            alias: None,
            expr: value,
        } => expr(value),
        ColumnItem::Expr {
            alias: Some(alias),
            expr: value,
        } => {
            format!("{}={}", alias.text, expr(value))
        }
    };
    format!(
        "[{}]",
        columns.iter().map(column).collect::<Vec<_>>().join(" ")
    )
}

fn order(items: &[OrderItem]) -> String {
    let item = |o: &OrderItem| {
        format!(
            "{}{}",
            expr(&o.expr),
            if o.descending { " desc" } else { "" }
        )
    };
    items.iter().map(item).collect::<Vec<_>>().join(", ")
}

fn from(item: &FromItem) -> String {
    let table = match &item.query {
        Some(inner) => query(inner),
        None => item.table.text.to_string(),
    };
    match &item.alias {
        Some(alias) => format!("{table} as {}", alias.text),
        None => table,
    }
}

fn query(query: &Query) -> String {
    let mut text = "(select".to_owned();
    if query.distinct {
        text.push_str(" distinct");
    }
    if let Some(top) = &query.top {
        let _ = write!(text, " top {}", expr(top));
    }
    let _ = write!(text, " {}", columns(&query.columns));
    if let Some(into) = &query.into {
        let _ = write!(text, " into {}", path(into));
    }
    if let Some(table) = &query.from {
        let _ = write!(text, " from {}", from(table));
    }
    for join in &query.joins {
        let _ = write!(text, " {:?} {}", join.kind, from(&join.from));
        if let Some(on) = &join.on {
            let _ = write!(text, " on {}", expr(on));
        }
    }
    for append in &query.appends {
        let kind = if append.single { "object" } else { "array" };
        let (name, inner) = (&append.name.text, self::query(&append.query));
        let _ = write!(text, " append {kind} {name}={inner}");
    }
    if let Some(filter) = &query.filter {
        let _ = write!(text, " where {}", expr(filter));
    }
    if !query.group.is_empty() {
        let _ = write!(text, " group {}", list(&query.group));
    }
    if let Some(having) = &query.having {
        let _ = write!(text, " having {}", expr(having));
    }
    if !query.order.is_empty() {
        let _ = write!(text, " order {}", order(&query.order));
    }
    for (word, value) in [("offset", &query.offset), ("fetch", &query.fetch)] {
        if let Some(value) = value {
            let _ = write!(text, " {word} {}", expr(value));
        }
    }
    for (all, next) in &query.unions {
        let all = if *all { " all" } else { "" };
        let _ = write!(text, " union{all} {}", self::query(next));
    }
    text + ")"
}

fn consume(consume: &Consume) -> String {
    let mut text = "(consume".to_owned();
    if let Some(top) = &consume.top {
        let _ = write!(text, " top {}", expr(top));
    }
    if consume.strict {
        text.push_str(" strict");
    }
    let _ = write!(text, " {}", columns(&consume.columns));
    if let Some(into) = &consume.into {
        let _ = write!(text, " into {}", path(into));
    }
    let _ = write!(text, " from {}", from(&consume.from));
    if let Some(filter) = &consume.filter {
        let _ = write!(text, " where {}", expr(filter));
    }
    if !consume.order.is_empty() {
        let _ = write!(text, " order {}", order(&consume.order));
    }
    text + ")"
}

fn list(items: &[Expr]) -> String {
    items.iter().map(expr).collect::<Vec<_>>().join(" ")
}

pub(super) fn expr(value: &Expr) -> String {
    let not = |negated: &bool| if *negated { "not-" } else { "" };
    match &value.kind {
        ExprKind::Literal(value) => literal(value),
        ExprKind::Path(inner) => path(inner),
        ExprKind::Column(name) => name.text.to_string(),
        ExprKind::Unary(op, operand) => format!("({op:?} {})", expr(operand)),
        ExprKind::Binary(op, left, right) => format!("({op:?} {} {})", expr(left), expr(right)),
        ExprKind::IsNull { operand, negated } => {
            format!("({}null {})", not(negated), expr(operand))
        }
        ExprKind::IsType {
            operand,
            type_name: name,
            negated,
        } => {
            format!("({}is {} {})", not(negated), expr(operand), type_name(name))
        }
        ExprKind::InList {
            operand,
            list: items,
            negated,
        } => {
            format!("({}in {} {})", not(negated), expr(operand), list(items))
        }
        ExprKind::InQuery {
            operand,
            query: inner,
            negated,
        } => format!("({}in {} {})", not(negated), expr(operand), query(inner)),
        ExprKind::Exists(inner) => format!("(exists {})", query(inner)),
        ExprKind::Subquery(inner) => query(inner),
        ExprKind::Distinct(operand) => format!("(distinct {})", expr(operand)),
        ExprKind::Like { .. } | ExprKind::Between { .. } => range(value),
        ExprKind::Case {
            branches,
            otherwise,
        } => {
            let mut text = "(case".to_owned();
            for (condition, value) in branches {
                let _ = write!(text, " {} -> {}", expr(condition), expr(value));
            }
            if let Some(otherwise) = otherwise {
                let _ = write!(text, " else {}", expr(otherwise));
            }
            text + ")"
        }
        ExprKind::Call {
            name, star: true, ..
        } => format!("{}(*)", name.text),
        ExprKind::Call { name, args, .. } => format!("{}({})", name.text, list(args)),
        ExprKind::Cast {
            operand,
            type_name: name,
        } => {
            format!("(cast {} {})", expr(operand), type_name(name))
        }
        ExprKind::Error => "<error>".to_owned(),
    }
}

/// LIKE and BETWEEN.
fn range(value: &Expr) -> String {
    let not = |negated: &bool| if *negated { "not-" } else { "" };
    match &value.kind {
        ExprKind::Like {
            operand,
            pattern,
            negated,
        } => {
            format!("({}like {} {})", not(negated), expr(operand), expr(pattern))
        }
        ExprKind::Between {
            operand,
            low,
            high,
            negated,
        } => {
            format!(
                "({}between {} {} {})",
                not(negated),
                expr(operand),
                expr(low),
                expr(high)
            )
        }
        _ => String::new(),
    }
}

fn literal(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Boolean(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Decimal(value) => format!("{}e-{}", value.mantissa(), value.scale()),
        Value::Text(text) => format!("'{text}'"),
        Value::Entity(entity) => format!("{{{}:{}}}", entity.code, entity.uuid),
        other => format!("{other:?}"),
    }
}
