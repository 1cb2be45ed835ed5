//! Text forms, casts and arithmetic that give what the machine of the language gives.

use dajet_core::query::{Binary, Expr, Function, Unary};
use dajet_core::{DataType, SystemError, Value};

use super::computing;
use super::dialect::Writer;
use super::kind::Kind;

type Written = Result<(), SystemError>;

impl Writer {
    /// SUBSTRING, REPLACE, CONCAT, CONCAT_WS and UUID1C.
    pub(super) fn text_function(&mut self, function: &Function, arguments: &[Expr]) -> Written {
        let name = match function {
            Function::Substring => computing::SUBSTRING,
            Function::Replace => "replace",
            Function::Concat => return self.joined(arguments),
            Function::ConcatWs => "concat_ws",
            _ => computing::UUID_1C,
        };
        self.push(&format!("{name}("));
        for (index, argument) in arguments.iter().enumerate() {
            self.push(if index > 0 { ", " } else { "" });
            match function {
                Function::Uuid1c => self.expr(argument)?,
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
            return self.expr(operand);
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
        match operand {
            // a number that is written with a point would be a floating one
            Expr::Literal(Value::Decimal(number)) => {
                self.push(&format!("'{number}'"));
                Ok(())
            }
            operand => self.expr(operand),
        }
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

    /// An expression by which rows are sorted or chosen: a computed decimal as a number.
    pub(super) fn sorted(&mut self, expr: &Expr) -> Written {
        match is_computed(expr) {
            true => {
                self.push("CAST(");
                self.expr(expr)?;
                self.push(" AS NUMERIC)");
                Ok(())
            }
            false => self.expr(expr),
        }
    }
}

/// True for a number that our functions compute.
pub fn is_computed(expr: &Expr) -> bool {
    match expr {
        Expr::Binary(
            Binary::Add | Binary::Subtract | Binary::Multiply | Binary::Divide | Binary::Remainder,
            ..,
        )
        | Expr::Cast(_, DataType::Decimal) => data_type_of(expr) != Some(DataType::DateTime),
        Expr::Unary(Unary::Negate, _) => true,
        Expr::Case {
            branches,
            otherwise,
        } => {
            branches.iter().any(|(_, value)| is_computed(value))
                || otherwise.as_deref().is_some_and(is_computed)
        }
        _ => false,
    }
}

/// The logical type of an expression, as far as it is known.
fn data_type_of(expr: &Expr) -> Option<DataType> {
    match expr {
        Expr::Column { column, .. } => Some(column.data_type),
        Expr::Parameter { data_type, .. } => *data_type,
        Expr::Cast(_, data_type) => Some(*data_type),
        Expr::IsNull { .. } | Expr::InList { .. } | Expr::Unary(Unary::Not, _) => {
            Some(DataType::Boolean)
        }
        Expr::Unary(Unary::Negate, operand) => data_type_of(operand),
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
        Function::UuidOf | Function::NewUuid | Function::Uuid1c => Some(DataType::Uuid),
        Function::Now | Function::Utc | Function::WholeSeconds => Some(DataType::DateTime),
        Function::Vector(_) | Function::Count | Function::DataLength | Function::CharLength => {
            Some(DataType::Integer)
        }
        Function::Max | Function::Min => arguments.first().and_then(data_type_of),
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
