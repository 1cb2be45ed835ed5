//! Text forms, casts and arithmetic that give what the machine of the language gives.

use std::sync::Arc;

use dajet_core::query::{Binary, Expr, Function, Unary};
use dajet_core::{Column, DataType, PhysicalColumn, SystemError, Value};

use super::computing;
use super::dialect::Writer;
use super::digits;
use super::kind::Kind;
use super::values::{self, Stored};

type Written = Result<(), SystemError>;

impl Writer {
    /// SUBSTRING, REPLACE, CONCAT, CONCAT_WS, UUID1C and UUIDDB.
    pub(super) fn text_function(&mut self, function: &Function, arguments: &[Expr]) -> Written {
        let name = match function {
            Function::Substring => computing::SUBSTRING,
            Function::Replace => "replace",
            Function::Concat => return self.joined(arguments),
            Function::ConcatWs => "concat_ws",
            Function::UuidDb => computing::UUID_DB,
            _ => computing::UUID_1C,
        };
        self.push(&format!("{name}("));
        for (index, argument) in arguments.iter().enumerate() {
            self.push(if index > 0 { ", " } else { "" });
            match function {
                Function::Uuid1c | Function::UuidDb => self.expr(argument)?,
                Function::Substring if index > 0 => self.expr(argument)?,
                _ => self.text_form(argument)?,
            }
        }
        self.push(")");
        Ok(())
    }

    /// `a || b`, where NULL counts as empty text.
    pub(super) fn joined<'e>(&mut self, operands: impl IntoIterator<Item = &'e Expr>) -> Written {
        self.push("(");
        for (index, operand) in operands.into_iter().enumerate() {
            self.push(if index > 0 { " || " } else { "" });
            self.push("ifnull(");
            self.text_form(operand)?;
            self.push(", '')");
        }
        self.push(")");
        Ok(())
    }

    /// The text form of an operand.
    pub(super) fn text_form(&mut self, operand: &Expr) -> Written {
        let data_type = data_type_of(operand);
        let as_it_is =
            matches!(operand, Expr::Parameter { .. }) || data_type == Some(DataType::Text);
        if as_it_is {
            return self.expr(operand);
        }
        self.push(&format!("{}(", computing::TEXT));
        match data_type {
            Some(DataType::Decimal) => self.number(operand)?,
            _ => self.expr(operand)?,
        }
        self.push(&format!(", '{}')", computing::letter(data_type)));
        Ok(())
    }

    pub(super) fn cast(&mut self, operand: &Expr, to: DataType) -> Written {
        if matches!(to, DataType::Entity(_) | DataType::Union) {
            return Err(super::dialect::unsupported("a CAST to a reference"));
        }
        let from = data_type_of(operand);
        if from == Some(to) {
            return self.exact(operand);
        }
        self.push(&format!("{}(", computing::CAST));
        match from {
            Some(DataType::Decimal) => self.number(operand)?,
            _ => self.expr(operand)?,
        }
        let letters = (computing::letter(from), computing::letter(Some(to)));
        self.push(&format!(", '{}', '{}')", letters.0, letters.1));
        Ok(())
    }

    /// Arithmetic is exact: SQLite's own is that of floating numbers.
    pub(super) fn arithmetic(&mut self, operator: Binary, left: &Expr, right: &Expr) -> Written {
        let types = (data_type_of(left), data_type_of(right));
        let time = Some(DataType::DateTime);
        let [add, subtract, multiply, divide, remainder] = computing::ARITHMETIC;
        let name = match operator {
            Binary::Subtract if types == (time, time) => computing::SECONDS,
            Binary::Add | Binary::Subtract if types.0 == time => computing::SHIFT,
            Binary::Add => add,
            Binary::Subtract => subtract,
            Binary::Multiply => multiply,
            Binary::Divide => divide,
            _ => remainder,
        };
        let back = name == computing::SHIFT && operator == Binary::Subtract;
        self.push(&format!("{name}("));
        self.number(left)?;
        self.push(if back { ", -" } else { ", " });
        self.number(right)?;
        self.push(")");
        Ok(())
    }

    /// An operand of arithmetic: a decimal column gives the digits that it declares.
    fn number(&mut self, operand: &Expr) -> Written {
        if let Expr::Column { column, .. } = operand
            && let Kind::Decimal {
                scale: Some(scale), ..
            } = Kind::of_column(column)
        {
            self.push(&format!("{}(", computing::SCALED));
            self.expr(operand)?;
            self.push(&format!(", {scale})"));
            return Ok(());
        }
        self.exact(operand)
    }

    /// An expression without loss: a number that is written with a point would be a floating one.
    pub(super) fn exact(&mut self, expr: &Expr) -> Written {
        match expr {
            Expr::Literal(Value::Decimal(number)) => {
                self.push(&format!("'{number}'"));
                Ok(())
            }
            expr => self.expr(expr),
        }
    }

    /// A result of CASE: with all its digits beside others that have them.
    pub(super) fn chosen(&mut self, expr: &Expr, exact: bool) -> Written {
        match exact {
            true => self.number(expr),
            false => self.expr(expr),
        }
    }

    /// A value for a column of whole numbers: a decimal only without a fraction.
    pub(super) fn whole(&mut self, expr: &Expr) -> Written {
        if data_type_of(expr) != Some(DataType::Decimal) {
            return self.exact(expr);
        }
        self.push(&format!("{}(", computing::WHOLE));
        self.exact(expr)?;
        self.push(")");
        Ok(())
    }

    /// A decimal for a column that declares no type: a number, where no digit is lost by that.
    pub(super) fn natural(&mut self, expr: &Expr) -> Written {
        self.push(&format!("{}(", computing::NATURAL));
        self.exact(expr)?;
        self.push(")");
        Ok(())
    }

    /// A constant as a column keeps it.
    pub(super) fn stored_literal(&mut self, value: &Value, kind: Kind, column: &str) -> Written {
        let stored = values::store(value, kind).map_err(|error| {
            let message = format!("cannot write column \"{column}\": {}", error.message);
            let misfit = SystemError::misconfigured("E_TYPE", message);
            match error.hint {
                Some(hint) => misfit.with_hint(hint),
                None => misfit,
            }
        })?;
        match stored {
            Stored::Integer(number) => self.push(&number.to_string()),
            Stored::Real(number) => self.push(&format!("{number:e}")),
            Stored::Text(text) => self.push(&format!("'{text}'")),
            Stored::Made(text) => self.push(&format!("'{text}'")),
            _ => return self.literal(value),
        }
        Ok(())
    }

    /// An expression by which rows are told apart or compared: texts of numbers as numbers.
    pub(super) fn keyed(&mut self, expr: &Expr) -> Written {
        self.expr(expr)?;
        if let Expr::Column { column, .. } = expr
            && Kind::keeps_digits(column)
        {
            self.push(&format!(" COLLATE {}", digits::COLLATION));
        }
        Ok(())
    }

    /// A column of an inner query or of one that is united with others.
    pub(super) fn told_apart(&mut self, expr: &Expr) -> Written {
        match data_type_of(expr) {
            Some(DataType::Decimal) if is_computed(expr) => self.sorted(expr),
            _ if is_literal(expr) => self.exact(expr),
            _ => self.keyed(expr),
        }
    }

    /// What an aggregate is made of.
    pub(super) fn argument(&mut self, function: &Function, expr: &Expr) -> Written {
        let ordered = match function {
            Function::Max | Function::Min => data_type_of(expr) == Some(DataType::Decimal),
            Function::CountDistinct => true,
            Function::Sum | Function::Average => return self.number(expr),
            _ => false,
        };
        if ordered || !is_computed(expr) {
            return self.sorted(expr);
        }
        self.wrapped("CAST(", expr, " AS NUMERIC)")
    }

    /// `x IN (…)`
    pub(super) fn in_list(&mut self, operand: &Expr, list: &[Expr], not: bool) -> Written {
        let by_number =
            |item: &Expr| is_number_beside(operand, item) || is_number_beside(item, operand);
        if list.iter().any(by_number) {
            self.push(if not { "(NOT (" } else { "((" });
            for (index, item) in list.iter().enumerate() {
                self.push(if index > 0 { " OR " } else { "" });
                self.compared(" = ", operand, item)?;
            }
            self.push("))");
            return Ok(());
        }
        self.push("(");
        match list {
            [first, ..] => self.beside(operand, first)?,
            [] => self.keyed(operand)?,
        }
        self.push(if not { " NOT IN (" } else { " IN (" });
        for (index, item) in list.iter().enumerate() {
            self.push(if index > 0 { ", " } else { "" });
            self.beside(item, operand)?;
        }
        self.push("))");
        Ok(())
    }

    /// `a op b` where one side is computed: exact decimals are texts, which compare otherwise.
    pub(super) fn compared(&mut self, sign: &str, left: &Expr, right: &Expr) -> Written {
        self.push(&format!("({}(", computing::COMPARE));
        self.number(left)?;
        self.push(", ");
        self.number(right)?;
        self.push(&format!("){sign}0)"));
        Ok(())
    }

    /// An expression by which rows are sorted, chosen or grouped: a computed number is one or the text of one.
    pub(super) fn sorted(&mut self, expr: &Expr) -> Written {
        match is_computed(expr) {
            true => {
                self.push("CAST(");
                self.exact(expr)?;
                self.push(&format!(" AS TEXT) COLLATE {}", digits::COLLATION));
                Ok(())
            }
            false => self.keyed(expr),
        }
    }
}

/// The columns of the database behind a sort key; the key itself if it is no column of several parts.
pub fn single_parts(expr: &Expr) -> Vec<Expr> {
    let Expr::Column { alias, column } = expr else {
        return vec![expr.clone()];
    };
    let single = |part: &PhysicalColumn| Expr::Column {
        alias: Arc::clone(alias),
        column: Arc::new(Column {
            parts: vec![part.clone()],
            ..(**column).clone()
        }),
    };
    column.parts.iter().map(single).collect()
}

/// True for a number that our functions compute.
pub fn is_computed(expr: &Expr) -> bool {
    match expr {
        Expr::Binary(
            Binary::Add | Binary::Subtract | Binary::Multiply | Binary::Divide | Binary::Remainder,
            ..,
        )
        | Expr::Cast(_, DataType::Decimal) => data_type_of(expr) != Some(DataType::DateTime),
        Expr::Unary(Unary::Negate, _) | Expr::Call(Function::Sum | Function::Average, _) => true,
        Expr::Case {
            branches,
            otherwise,
        } => {
            let mut values = branches.iter().map(|(_, value)| value);
            values.any(is_written) || otherwise.as_deref().is_some_and(is_written)
        }
        Expr::Subquery(query) => query
            .columns
            .first()
            .is_some_and(|output| is_written(&output.expr)),
        Expr::Column { column, .. } => {
            let exact = matches!(
                Kind::of_column(column),
                Kind::Decimal { numeric: false, .. }
            );
            exact && !Kind::keeps_digits(column)
        }
        _ => false,
    }
}

/// True for a number that may be written as a text.
pub fn is_written(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(Value::Decimal(_)) => true,
        Expr::Parameter { data_type, .. } => *data_type == Some(DataType::Decimal),
        Expr::Column { column, .. } => Kind::keeps_digits(column) || is_computed(expr),
        expr => is_computed(expr),
    }
}

/// True for an expression that SQLite by itself would compare with the other side as what it is not.
pub fn is_number_beside(expr: &Expr, other: &Expr) -> bool {
    match (expr, other) {
        // what a view computes holds numbers and texts of numbers
        (Expr::Column { column, .. }, Expr::Literal(Value::Decimal(_)))
            if Kind::of_column(column) == Kind::Dynamic && column.data_type != DataType::Any =>
        {
            true
        }
        (Expr::Call(..), Expr::Parameter { .. }) => {
            is_computed(expr)
                || matches!(
                    data_type_of(expr),
                    Some(DataType::Integer | DataType::Decimal)
                )
        }
        _ => is_computed(expr),
    }
}

fn is_literal(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(_))
}

/// The logical type of an expression, as far as it is known.
pub fn data_type_of(expr: &Expr) -> Option<DataType> {
    match expr {
        Expr::Column { column, .. } => Some(column.data_type),
        Expr::Parameter { data_type, .. } => *data_type,
        Expr::Cast(_, data_type) => Some(*data_type),
        Expr::IsNull { .. } | Expr::InList { .. } | Expr::Unary(Unary::Not, _) => {
            Some(DataType::Boolean)
        }
        Expr::Unary(Unary::Negate, operand) => match data_type_of(operand) {
            Some(DataType::Any) => Some(DataType::Decimal),
            other => other,
        },
        Expr::Binary(operator, left, right) => Some(match operator {
            Binary::Concat => DataType::Text,
            Binary::Add
            | Binary::Subtract
            | Binary::Multiply
            | Binary::Divide
            | Binary::Remainder => match (data_type_of(left), data_type_of(right)) {
                (Some(DataType::DateTime), Some(DataType::DateTime)) => DataType::Decimal,
                (Some(DataType::DateTime), _) => DataType::DateTime,
                (Some(DataType::Integer), Some(DataType::Integer)) => DataType::Integer,
                _ => DataType::Decimal,
            },
            _ => DataType::Boolean,
        }),
        Expr::Literal(value) => match value {
            Value::Boolean(_) => Some(DataType::Boolean),
            Value::Integer(_) => Some(DataType::Integer),
            Value::Decimal(_) => Some(DataType::Decimal),
            _ => None,
        },
        Expr::Case { branches, .. } => branches.first().and_then(|(_, value)| data_type_of(value)),
        Expr::Call(function, arguments) => type_of_call(function, arguments),
        _ => None,
    }
}

fn type_of_call(function: &Function, arguments: &[Expr]) -> Option<DataType> {
    match function {
        Function::UuidOf | Function::NewUuid | Function::Uuid1c | Function::UuidDb => {
            Some(DataType::Uuid)
        }
        Function::Now | Function::Utc | Function::WholeSeconds => Some(DataType::DateTime),
        Function::Vector(_) | Function::Count | Function::DataLength | Function::CharLength => {
            Some(DataType::Integer)
        }
        Function::Max | Function::Min => arguments.first().and_then(data_type_of),
        Function::Sum | Function::Average => Some(DataType::Decimal),
        Function::LTrim
        | Function::RTrim
        | Function::Upper
        | Function::Lower
        | Function::Substring
        | Function::Replace
        | Function::Concat
        | Function::ConcatWs => Some(DataType::Text),
        _ => None,
    }
}
