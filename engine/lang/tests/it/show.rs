//! Bound statements as text, for traces.

use dajet_core::query::{self, Binary, Body, Expr, Part, Unary};
use dajet_core::{Column, Value};

/// A value as it stands in a trace: JSON, with its type where JSON does not tell.
pub fn value(value: &Value) -> String {
    match value {
        Value::DateTime(_) | Value::Uuid(_) | Value::Entity(_) | Value::Binary(_) => {
            format!("{} {value}", value.type_name())
        }
        other => other.to_json(),
    }
}

pub fn body(body: &Body) -> String {
    match body {
        Body::Sequence(sequence) => format!("sequence {} {}", sequence.name, action(sequence)),
        Body::Select(query) => select(query),
        Body::Insert(insert) => {
            let item = |(target, value): &(std::sync::Arc<Column>, Expr)| {
                format!("{} = {}", column(target), expr(value))
            };
            let columns: Vec<_> = insert.columns.iter().map(item).collect();
            let mut text = format!("insert {} ({})", insert.table.name, columns.join(", "));
            if let Some(query) = &insert.query {
                text.push_str(&format!(" over {}", select(query)));
            }
            text
        }
        Body::Drain(drain) => {
            let strict = if drain.strict { " strict" } else { "" };
            let clauses = clauses(Some(&drain.from), drain.filter.as_ref(), &drain.order);
            format!(
                "drain top {}{strict} {}{clauses}",
                expr(&drain.top),
                outputs(&drain.columns)
            )
        }
    }
}

fn select(query: &query::Select) -> String {
    let distinct = if query.distinct { "distinct " } else { "" };
    let top = query
        .top
        .as_ref()
        .map(|top| format!("top {} ", expr(top)))
        .unwrap_or_default();
    let from = query.from.as_ref().map(|t| format!(" from {}", from(t)));
    let mut text = format!(
        "select {distinct}{top}{}{}",
        outputs(&query.columns),
        from.unwrap_or_default()
    );
    for join in &query.joins {
        let on = join.on.as_ref().map(|on| format!(" on {}", expr(on)));
        let kind = format!("{:?}", join.kind).to_lowercase();
        let joined = self::from(&join.from);
        text.push_str(&format!(" {kind} join {joined}{}", on.unwrap_or_default()));
    }
    let ordered = clauses(None, query.filter.as_ref(), &[]);
    text.push_str(&ordered);
    if !query.group.is_empty() {
        text.push_str(&format!(" group {}", list(&query.group)));
    }
    if let Some(having) = &query.having {
        text.push_str(&format!(" having {}", expr(having)));
    }
    for union in &query.unions {
        let all = if union.all { " all" } else { "" };
        text.push_str(&format!(" union{all} ({})", select(&union.query)));
    }
    text.push_str(&clauses(None, None, &query.order));
    if let Some(offset) = &query.offset {
        text.push_str(&format!(" offset {}", expr(offset)));
    }
    text
}

fn from(from: &query::From) -> String {
    let table = match &from.query {
        Some(query) => format!("({})", select(query)),
        None => from.table.name.to_string(),
    };
    format!("{table} as {}", from.alias)
}

fn outputs(columns: &[query::Output]) -> String {
    let item = |output: &query::Output| {
        let data_type = output
            .data_type
            .map(|t| format!(" : {t:?}"))
            .unwrap_or_default();
        format!("{} = {}{data_type}", output.name, expr(&output.expr))
    };
    columns.iter().map(item).collect::<Vec<_>>().join(", ")
}

fn clauses(table: Option<&query::From>, filter: Option<&Expr>, order: &[query::Order]) -> String {
    let mut text = String::new();
    if let Some(table) = table {
        text.push_str(&format!(" from {}", from(table)));
    }
    if let Some(filter) = filter {
        text.push_str(&format!(" where {}", expr(filter)));
    }
    if !order.is_empty() {
        let key = |key: &query::Order| {
            format!(
                "{}{}",
                expr(&key.expr),
                if key.descending { " desc" } else { "" }
            )
        };
        text.push_str(&format!(
            " order {}",
            order.iter().map(key).collect::<Vec<_>>().join(", ")
        ));
    }
    text
}

fn column(column: &Column) -> String {
    let parts: Vec<_> = column.parts.iter().map(|part| &*part.name).collect();
    parts.join("+")
}

fn list(items: &[Expr]) -> String {
    items.iter().map(expr).collect::<Vec<_>>().join(", ")
}

fn expr(e: &Expr) -> String {
    match e {
        Expr::Column { alias, column: c } => format!("{alias}.{}", column(c)),
        Expr::Output(index) => format!("#{index}"),
        Expr::Parameter {
            index,
            data_type,
            part,
        } => {
            let data_type = data_type.map(|t| format!(":{t:?}")).unwrap_or_default();
            let part = if *part == Part::Whole {
                String::new()
            } else {
                format!(".{part:?}")
            };
            format!("${index}{data_type}{part}")
        }
        Expr::Literal(literal) => value(literal),
        Expr::Unary(Unary::Not, operand) => format!("not {}", expr(operand)),
        Expr::Unary(Unary::Negate, operand) => format!("-{}", expr(operand)),
        Expr::Binary(op, a, b) => format!("({} {} {})", expr(a), sign(*op), expr(b)),
        Expr::IsNull { operand, negated } => {
            format!(
                "({} is {}null)",
                expr(operand),
                if *negated { "not " } else { "" }
            )
        }
        Expr::InList {
            operand,
            list: items,
            negated,
        } => {
            let not = if *negated { "not " } else { "" };
            format!("({} {not}in {})", expr(operand), list(items))
        }
        Expr::InQuery {
            operand,
            query,
            negated,
        } => {
            let not = if *negated { "not " } else { "" };
            format!("({} {not}in ({}))", expr(operand), select(query))
        }
        Expr::Exists(query) => format!("exists ({})", select(query)),
        Expr::Subquery(query) => format!("({})", select(query)),
        Expr::Case {
            branches,
            otherwise,
        } => {
            let branch = |(c, v): &(Expr, Expr)| format!("when {} then {} ", expr(c), expr(v));
            let branches: String = branches.iter().map(branch).collect();
            let otherwise = otherwise.as_ref().map(|e| format!("else {} ", expr(e)));
            format!("case {branches}{}end", otherwise.unwrap_or_default())
        }
        Expr::Call(function, args) => format!("{function:?}({})", list(args)),
        Expr::Cast(operand, data_type) => format!("cast({} as {data_type:?})", expr(operand)),
    }
}

fn sign(op: Binary) -> &'static str {
    match op {
        Binary::And => "and",
        Binary::Or => "or",
        Binary::Equal => "=",
        Binary::NotEqual => "<>",
        Binary::Less => "<",
        Binary::LessOrEqual => "<=",
        Binary::Greater => ">",
        Binary::GreaterOrEqual => ">=",
        Binary::Like => "like",
        Binary::NotLike => "not like",
        Binary::Add => "+",
        Binary::Concat => "||",
        Binary::Subtract => "-",
        Binary::Multiply => "*",
        Binary::Divide => "/",
        Binary::Remainder => "%",
    }
}

/// What happens with a sequence, tables by their names.
fn action(sequence: &dajet_core::query::Sequence) -> String {
    use dajet_core::query::SequenceAction;
    match &sequence.action {
        SequenceAction::Create {
            start,
            increment,
            cache,
        } => format!("create from {start:?} by {increment} cache {cache}"),
        SequenceAction::Drop => "drop".into(),
        SequenceAction::Apply {
            table,
            column,
            recalculate,
        } => format!("apply to {}.{column} recalculate {recalculate}", table.name),
        SequenceAction::Revoke { table } => format!("revoke from {}", table.name),
    }
}
