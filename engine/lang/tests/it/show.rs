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
    let clauses = clauses(query.from.as_ref(), query.filter.as_ref(), &query.order);
    format!("select {distinct}{top}{}{clauses}", outputs(&query.columns))
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

fn clauses(from: Option<&query::From>, filter: Option<&Expr>, order: &[query::Order]) -> String {
    let mut text = String::new();
    if let Some(from) = from {
        text.push_str(&format!(" from {} as {}", from.table.name, from.alias));
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
