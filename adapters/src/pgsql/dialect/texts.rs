//! Text forms, casts and arithmetic that give what the machine of the language gives.

use dajet_core::query::{Binary, Expr, Function};
use dajet_core::{DataType, SystemError, Value};

use super::identity::is_uuid;
use super::{Place, Writer, base_type, data_type_of, sql_type};

type Written = Result<(), SystemError>;

/// Digits that a quotient has behind those that remain.
const GUARD_DIGITS: u8 = 20;

impl Writer {
    /// SUBSTRING, REPLACE, CONCAT and CONCAT_WS.
    pub(super) fn text_function(&mut self, function: &Function, arguments: &[Expr]) -> Written {
        match (function, arguments) {
            (Function::Substring, [text, positions @ ..]) => {
                self.push("SUBSTR(");
                self.text_operand(text)?;
                for position in positions {
                    self.push(", ");
                    self.position(position)?;
                }
                self.push(")");
            }
            (Function::Replace, arguments) => {
                self.push("REPLACE(");
                self.list(arguments, Self::text_operand)?;
                self.push(")");
            }
            (Function::ConcatWs, arguments) => {
                self.push("CONCAT_WS(");
                self.list(arguments, Self::text_operand)?;
                self.push(")");
            }
            (Function::Concat, arguments) => self.joined(arguments)?,
            _ => {
                return Err(SystemError::fault(
                    "a function of a query has a wrong number of arguments",
                ));
            }
        }
        Ok(())
    }

    /// `a || b`, where NULL counts as empty text.
    pub(super) fn joined<'e>(&mut self, operands: impl IntoIterator<Item = &'e Expr>) -> Written {
        self.push("(");
        for (index, operand) in operands.into_iter().enumerate() {
            self.push(if index > 0 { " || " } else { "" });
            let whole = match operand {
                Expr::Column { column, .. } => !column.nullable(),
                Expr::Call(Function::Concat, _) | Expr::Binary(Binary::Concat, ..) => true,
                _ => false,
            };
            match whole {
                true => self.text_operand(operand)?,
                false => {
                    self.push("COALESCE(");
                    self.text_operand(operand)?;
                    self.push(", '')");
                }
            }
        }
        self.push(")");
        Ok(())
    }

    /// A position in a text; fractions are cut.
    fn position(&mut self, operand: &Expr) -> Written {
        let numeric = Place::of_type("numeric");
        match operand {
            Expr::Literal(Value::Integer(_)) => self.expression(operand, None),
            operand => self.around("CAST(TRUNC(", operand, Some(&numeric), ") AS integer)"),
        }
    }

    pub(super) fn around(
        &mut self,
        before: &str,
        operand: &Expr,
        place: Option<&Place>,
        after: &str,
    ) -> Written {
        self.push(before);
        self.expression(operand, place)?;
        self.push(after);
        Ok(())
    }

    /// The text form of an operand. (The string types of 1C have no functions of their own: they are cast.)
    pub(super) fn text_operand(&mut self, operand: &Expr) -> Written {
        if is_text(operand) {
            return self.expression(operand, Some(&Place::of_type("text")));
        }
        match data_type_of(operand) {
            Some(DataType::DateTime) => {
                let place = Place::of_type(sql_type(DataType::DateTime));
                let after = ", 'YYYY-MM-DD HH24:MI:SS')";
                self.around("TO_CHAR(", operand, Some(&place), after)
            }
            Some(DataType::Uuid) if !is_uuid(operand) => self.uuid_text(operand),
            Some(DataType::Binary) => {
                let place = Place::of_type("bytea");
                self.around("('0x' || ENCODE(", operand, Some(&place), ", 'hex'))")
            }
            _ => self.around("CAST(", operand, Some(&Place::of_type("text")), " AS text)"),
        }
    }

    /// CAST by the types on both sides; false if the standard one does.
    pub(super) fn special_cast(
        &mut self,
        operand: &Expr,
        to: DataType,
    ) -> Result<bool, SystemError> {
        use DataType::{Binary as Bytes, Boolean, DateTime, Decimal, Integer, Text, Uuid};
        let Some(from) = data_type_of(operand) else {
            return Ok(false);
        };
        let native = Place::of_type(sql_type(from));
        let (before, after) = match (from, to) {
            (Bytes, Text) => ("CONVERT_FROM(", ", 'UTF8')"),
            (_, Text) if !matches!(from, DataType::Entity(_) | DataType::Union) => {
                return self.text_operand(operand).map(|()| true);
            }
            (Decimal, Integer) => ("CAST(TRUNC(CAST(", " AS numeric)) AS bigint)"),
            (Boolean, Integer) => ("CAST(CAST(", " AS integer) AS bigint)"),
            (Boolean, Decimal) => ("CAST(CAST(", " AS integer) AS numeric)"),
            (DateTime, Integer) => (
                "CAST(FLOOR(EXTRACT(EPOCH FROM (",
                " - TIMESTAMP '0001-01-01'))) AS bigint)",
            ),
            (Integer | Decimal, DateTime) => (
                "(TIMESTAMP '0001-01-01' + CAST(",
                " AS double precision) * INTERVAL '1 second')",
            ),
            (Integer | Decimal, Boolean) => ("(", " <> 0)"),
            (Text, Boolean) => {
                self.push("(LOWER(");
                self.text_operand(operand)?;
                self.push(") = 'true')");
                return Ok(true);
            }
            (Text, Bytes) => {
                self.push("CONVERT_TO(");
                self.text_operand(operand)?;
                self.push(", 'UTF8')");
                return Ok(true);
            }
            (Integer, Bytes) => ("INT4SEND(CAST(", " AS integer))"),
            (Uuid, Bytes) if is_uuid(operand) => ("UUID_SEND(", ")"),
            _ => return Ok(false),
        };
        self.around(before, operand, Some(&native), after)?;
        Ok(true)
    }

    /// Arithmetic with the scales of the language; integers have 64 bits.
    pub(super) fn arithmetic(&mut self, operator: Binary, left: &Expr, right: &Expr) -> Written {
        let sign = operator.sign();
        let types = (data_type_of(left), data_type_of(right));
        match (operator, types) {
            (
                Binary::Add | Binary::Subtract,
                (Some(DataType::DateTime), Some(DataType::Integer | DataType::Decimal)),
            ) => {
                self.around(
                    "(",
                    left,
                    Some(&Place::of_type(sql_type(DataType::DateTime))),
                    sign,
                )?;
                let after = " AS double precision) * INTERVAL '1 second')";
                self.around("CAST(", right, Some(&Place::of_type("numeric")), after)
            }
            (Binary::Subtract, (Some(DataType::DateTime), Some(DataType::DateTime))) => {
                let place = Place::of_type(sql_type(DataType::DateTime));
                self.around("TRIM_SCALE(EXTRACT(EPOCH FROM (", left, Some(&place), sign)?;
                self.around("", right, Some(&place), ")))")
            }
            (Binary::Divide, types)
                if types != (Some(DataType::Integer), Some(DataType::Integer)) =>
            {
                self.quotient(left, right)
            }
            _ => {
                self.push("(");
                self.number(left)?;
                self.push(sign);
                self.number(right)?;
                self.push(")");
                Ok(())
            }
        }
    }

    /// An operand of arithmetic.
    fn number(&mut self, operand: &Expr) -> Written {
        match (operand, data_type_of(operand)) {
            (Expr::Column { column, .. }, Some(DataType::Integer))
                if column
                    .single()
                    .is_none_or(|part| part.type_name.as_ref() != "bigint") =>
            {
                self.around("CAST(", operand, None, " AS bigint)")
            }
            (Expr::Literal(_), Some(DataType::Integer)) => {
                self.around("CAST(", operand, None, " AS bigint)")
            }
            (_, Some(DataType::Integer)) => {
                self.expression(operand, Some(&Place::of_type("bigint")))
            }
            _ => self.expression(operand, Some(&Place::of_type("numeric"))),
        }
    }

    /// A quotient is rounded to the larger scale, at least 6, and loses its zeros down to that scale. The operands stand in
    /// a query of their own, so that each is written once.
    fn quotient(&mut self, left: &Expr, right: &Expr) -> Written {
        self.push("(SELECT ROUND(z.r, GREATEST(z.s, MIN_SCALE(z.r))) FROM (SELECT ");
        let digits = format!("GREATEST(y.s, 6) + {GUARD_DIGITS}");
        self.push(&format!(
            "ROUND(ROUND(y.a, {digits}) / y.b, GREATEST(y.s, 6)) AS r, y.s FROM (SELECT "
        ));
        self.push("x.a, x.b, GREATEST(SCALE(x.a), SCALE(x.b)) AS s FROM (SELECT CAST(");
        self.number(left)?;
        self.push(" AS numeric) AS a, CAST(");
        self.number(right)?;
        self.push(" AS numeric) AS b) AS x) AS y) AS z)");
        Ok(())
    }

    /// A mean is a quotient without zeros at its end. The server sums up once, however often the sum is written.
    pub(super) fn average(&mut self, operand: &Expr) -> Written {
        let start = self.sql.len();
        self.push("SUM(CAST(");
        self.number(operand)?;
        self.push(" AS numeric))");
        let sum = self.sql.split_off(start);
        let scale = format!("GREATEST(SCALE({sum}), 6)");
        let count = sum.replacen("SUM(", "COUNT(", 1);
        self.push(&format!(
            "TRIM_SCALE(ROUND(ROUND({sum}, {scale} + {GUARD_DIGITS}) / {count}, {scale}))"
        ));
        Ok(())
    }
}

fn is_text(operand: &Expr) -> bool {
    match operand {
        Expr::Column { column, .. } => {
            let type_name = column.single().map(|part| base_type(&part.type_name));
            type_name.is_some_and(|name| name == "text" || name == "character varying")
        }
        Expr::Binary(Binary::Concat, ..) => true,
        Expr::Call(function, _) => matches!(
            function,
            Function::LTrim
                | Function::RTrim
                | Function::Upper
                | Function::Lower
                | Function::Substring
                | Function::Replace
                | Function::Concat
                | Function::ConcatWs
        ),
        Expr::Parameter { .. } => true,
        Expr::Cast(_, DataType::Text) => true,
        _ => false,
    }
}
