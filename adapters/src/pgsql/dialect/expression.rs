//! Expressions.

use std::sync::Arc;

use dajet_core::query::{Binary, Expr, Function, Part, Unary};
use dajet_core::schema::ColumnRole;
use dajet_core::{Column, DataType, PhysicalColumn, SystemError, Value};

use super::{Place, Take, Writer, base_type, data_type_of, literal, sql_type, unsupported, years};

type Written = Result<(), SystemError>;

impl Writer {
    /// Writes a condition.
    pub(super) fn condition(&mut self, expr: &Expr) -> Written {
        self.expression(expr, Some(&Place::of_type("boolean")))
    }

    /// Writes an expression; `place` says what a parameter standing for it would have to be.
    pub(super) fn expression(&mut self, expr: &Expr, place: Option<&Place>) -> Written {
        match expr {
            Expr::Column { alias, column } => {
                let part = value_part(column)?;
                self.column(alias, column, part);
            }
            Expr::InQuery {
                operand,
                query,
                negated,
            } => {
                self.push("(");
                let output = query.columns.first();
                let place = output.and_then(|output| place_beside(&output.expr));
                self.expression(operand, place.as_ref())?;
                self.push(if *negated { " NOT IN (" } else { " IN (" });
                self.inner_select(query)?;
                self.push("))");
            }
            Expr::Exists(query) => {
                self.push("EXISTS (");
                self.inner_select(query)?;
                self.push(")");
            }
            Expr::Subquery(query) => {
                self.push("(");
                self.inner_select(query)?;
                self.push(")");
            }
            Expr::Output(_) => {
                return Err(SystemError::fault(
                    "a column of a query outside of its INSERT",
                ));
            }
            Expr::Parameter {
                index,
                data_type,
                part,
            } => {
                let place = parameter_place(*part, *data_type, place);
                self.parameter(*index, &place);
            }
            Expr::Literal(value) => self.push(&constant(value)?),
            Expr::Unary(Unary::Negate, operand) => {
                self.wrapped("(- ", operand, Some(&Place::of_type("numeric")))?
            }
            Expr::Unary(Unary::Not, operand) => {
                self.wrapped("(NOT ", operand, Some(&Place::of_type("boolean")))?
            }
            Expr::Binary(operator, left, right) => self.binary(*operator, left, right)?,
            Expr::IsNull { operand, negated } => self.is_null(operand, *negated)?,
            Expr::InList {
                operand,
                list,
                negated,
            } => self.in_list(operand, list, *negated)?,
            Expr::Case {
                branches,
                otherwise,
            } => self.case(branches, otherwise.as_deref(), place)?,
            Expr::Call(function, arguments) => self.call(function, arguments, place)?,
            Expr::Cast(operand, data_type) => self.cast(operand, *data_type)?,
        }
        Ok(())
    }

    fn wrapped(&mut self, open: &str, operand: &Expr, place: Option<&Place>) -> Written {
        self.push(open);
        self.expression(operand, place)?;
        self.push(")");
        Ok(())
    }

    fn binary(&mut self, operator: Binary, left: &Expr, right: &Expr) -> Written {
        let sign = operator.sign();
        match operator {
            Binary::And | Binary::Or => {
                let boolean = Place::of_type("boolean");
                self.infix(left, sign, right, Some(&boolean), Some(&boolean))
            }
            Binary::Equal | Binary::NotEqual => {
                self.equality(operator == Binary::NotEqual, left, right)
            }
            Binary::Less | Binary::LessOrEqual | Binary::Greater | Binary::GreaterOrEqual => {
                self.comparison(left, sign, right)
            }
            Binary::Like | Binary::NotLike => {
                let text = Place::of_type("text");
                self.infix(left, sign, right, Some(&text), Some(&text))
            }
            Binary::Concat => self.joined([left, right]),
            Binary::Add
            | Binary::Subtract
            | Binary::Multiply
            | Binary::Divide
            | Binary::Remainder => self.arithmetic(operator, left, right),
        }
    }

    fn infix(
        &mut self,
        left: &Expr,
        sign: &str,
        right: &Expr,
        left_place: Option<&Place>,
        right_place: Option<&Place>,
    ) -> Written {
        self.push("(");
        self.expression(left, left_place)?;
        self.push(sign);
        self.expression(right, right_place)?;
        self.push(")");
        Ok(())
    }

    /// `=` and `<>`: with NULL, with columns of several parts, and plain.
    fn equality(&mut self, negated: bool, left: &Expr, right: &Expr) -> Written {
        match (left, right) {
            (operand, Expr::Literal(Value::Null)) | (Expr::Literal(Value::Null), operand) => {
                self.is_null(operand, negated)
            }
            (Expr::Column { alias, column }, other) | (other, Expr::Column { alias, column })
                if column.parts.len() > 1 =>
            {
                self.equal_parts(negated, alias, column, other)
            }
            _ => {
                let sign = if negated { " <> " } else { " = " };
                self.comparison(left, sign, right)
            }
        }
    }

    /// Two values side by side. Where dates are stored with an offset the parameter gets it, so that an index serves.
    fn comparison(&mut self, left: &Expr, sign: &str, right: &Expr) -> Written {
        let offset = |expr: &Expr| match expr {
            Expr::Column { column, .. } => column.single().map_or(0, |part| years(column, part)),
            _ => 0,
        };
        match (left, right) {
            (Expr::Column { .. }, Expr::Parameter { .. }) if offset(left) != 0 => {
                self.push("(");
                self.stored_side(left)?;
                self.push(sign);
                self.later(right, offset(left))?;
            }
            (Expr::Parameter { .. }, Expr::Column { .. }) if offset(right) != 0 => {
                self.push("(");
                self.later(left, offset(right))?;
                self.push(sign);
                self.stored_side(right)?;
            }
            _ => {
                let (to_left, to_right) = (place_beside(right), place_beside(left));
                return self.infix(left, sign, right, to_left.as_ref(), to_right.as_ref());
            }
        }
        self.push(")");
        Ok(())
    }

    fn stored_side(&mut self, expr: &Expr) -> Written {
        if let Expr::Column { alias, column } = expr {
            self.stored(alias, value_part(column)?);
        }
        Ok(())
    }

    /// A date, so many years later.
    pub(super) fn later(&mut self, expr: &Expr, years: i16) -> Written {
        let place = Place::of_type(sql_type(DataType::DateTime));
        self.push("(CAST(");
        self.expression(expr, Some(&place))?;
        self.push(&format!(
            " AS {}) + INTERVAL '{years} years')",
            place.type_name
        ));
        Ok(())
    }

    /// All the parts of the column equal those of the other side.
    fn equal_parts(
        &mut self,
        negated: bool,
        alias: &str,
        column: &Column,
        other: &Expr,
    ) -> Written {
        self.push(if negated { "(NOT (" } else { "(" });
        for (number, part) in column.parts.iter().enumerate() {
            if number > 0 {
                self.push(" AND ");
            }
            self.column(alias, column, part);
            self.push(" = ");
            match other {
                Expr::Parameter {
                    index,
                    part: Part::Whole,
                    ..
                } => {
                    let place = Place::of_part(column, part).inferred().compared();
                    self.parameter(*index, &place);
                }
                Expr::Column {
                    alias,
                    column: other,
                } => match other.parts.iter().find(|p| p.role == part.role) {
                    Some(part) if other.parts.len() == column.parts.len() => {
                        self.column(alias, other, part)
                    }
                    _ => return Err(differing(column, other)),
                },
                _ => {
                    let message =
                        format!("column \"{}\" is compared with an expression", column.name);
                    return Err(
                        unsupported(message).with_hint("Compare it with a variable or a column.")
                    );
                }
            }
        }
        self.push(if negated { "))" } else { ")" });
        Ok(())
    }

    fn is_null(&mut self, operand: &Expr, negated: bool) -> Written {
        self.push("(");
        match operand {
            Expr::Column { alias, column } => match column.parts.first() {
                Some(part) => self.stored(alias, part),
                None => return Err(no_parts(column)),
            },
            operand => {
                let place = Place::of_type(data_type_of(operand).map_or("text", sql_type));
                self.expression(operand, Some(&place))?;
            }
        }
        self.push(if negated {
            " IS NOT NULL)"
        } else {
            " IS NULL)"
        });
        Ok(())
    }

    fn in_list(&mut self, operand: &Expr, list: &[Expr], negated: bool) -> Written {
        if let Expr::Column { column, .. } = operand
            && column.parts.len() > 1
        {
            self.push("(");
            for (number, item) in list.iter().enumerate() {
                if number > 0 {
                    self.push(if negated { " AND " } else { " OR " });
                }
                self.equality(negated, operand, item)?;
            }
            self.push(")");
            return Ok(());
        }
        self.push("(");
        self.expression(operand, list.first().and_then(place_beside).as_ref())?;
        self.push(if negated { " NOT IN (" } else { " IN (" });
        let place = place_beside(operand);
        self.list(list, |writer, item| writer.expression(item, place.as_ref()))?;
        self.push("))");
        Ok(())
    }

    fn case(
        &mut self,
        branches: &[(Expr, Expr)],
        otherwise: Option<&Expr>,
        place: Option<&Place>,
    ) -> Written {
        self.push("CASE");
        for (condition, result) in branches {
            self.push(" WHEN ");
            self.condition(condition)?;
            self.push(" THEN ");
            self.expression(result, place)?;
        }
        if let Some(otherwise) = otherwise {
            self.push(" ELSE ");
            self.expression(otherwise, place)?;
        }
        self.push(" END");
        Ok(())
    }

    fn call(&mut self, function: &Function, arguments: &[Expr], place: Option<&Place>) -> Written {
        match function {
            Function::Vector(sequence) => self.push(&format!("nextval({})", literal(sequence))),
            Function::WholeSeconds => {
                let place = Place::of_type(sql_type(DataType::DateTime));
                self.wrapped("DATE_TRUNC('second', ", argument(arguments)?, Some(&place))?;
            }
            Function::Now => self.push("CAST(NOW() AS timestamp without time zone)"),
            Function::Utc => self.push("(NOW() AT TIME ZONE 'UTC')"),
            Function::NewUuid if place.is_some_and(|p| p.type_name == "bytea") => {
                self.push("decode(replace(CAST(gen_random_uuid() AS text), '-', ''), 'hex')");
            }
            Function::NewUuid => self.push("gen_random_uuid()"),
            Function::LTrim => return self.text_call("LTRIM", arguments),
            Function::RTrim => return self.text_call("RTRIM", arguments),
            Function::Upper => return self.text_call("UPPER", arguments),
            Function::Lower => return self.text_call("LOWER", arguments),
            Function::CharLength => return self.text_call("CHAR_LENGTH", arguments),
            Function::DataLength => match argument(arguments)? {
                bytes if data_type_of(bytes) == Some(DataType::Binary) => {
                    self.wrapped("OCTET_LENGTH(", bytes, Some(&Place::of_type("bytea")))?;
                }
                _ => return self.text_call("OCTET_LENGTH", arguments),
            },
            Function::UuidOf | Function::Uuid1c | Function::UuidDb => {
                return self.identity(function, argument(arguments)?);
            }
            Function::Substring | Function::Replace | Function::Concat | Function::ConcatWs => {
                return self.text_function(function, arguments);
            }
            Function::Count if arguments.is_empty() => self.push("COUNT(*)"),
            Function::Count => self.wrapped("COUNT(", argument(arguments)?, None)?,
            Function::CountDistinct => self.count_distinct(arguments)?,
            Function::Average => self.average(argument(arguments)?)?,
            Function::StringAgg => {
                let [texts, separator] = arguments else {
                    return Err(SystemError::fault("STRING_AGG has two arguments"));
                };
                self.push("STRING_AGG(");
                self.text_operand(texts)?;
                self.push(", ");
                self.text_operand(separator)?;
                self.push(")");
            }
            Function::Max => self.extreme("MAX", "bool_or", argument(arguments)?)?,
            Function::Min => self.extreme("MIN", "bool_and", argument(arguments)?)?,
            Function::Sum => self.wrapped(
                "SUM(",
                argument(arguments)?,
                Some(&Place::of_type("numeric")),
            )?,
        }
        Ok(())
    }

    fn text_call(&mut self, name: &str, arguments: &[Expr]) -> Written {
        self.push(name);
        self.push("(");
        self.text_operand(argument(arguments)?)?;
        self.push(")");
        Ok(())
    }

    fn cast(&mut self, operand: &Expr, data_type: DataType) -> Written {
        if let Expr::Column { alias, column } = operand {
            if column.data_type == DataType::Union {
                let part = union_part(column, data_type).ok_or_else(|| {
                    let message = format!("CAST: column \"{}\" never holds this type", column.name);
                    SystemError::misconfigured("E_TYPE", message)
                })?;
                self.column(alias, column, part);
                return Ok(());
            }
            if data_type == DataType::Integer && column.data_type == DataType::Binary {
                self.push("CAST(CAST('x' || LPAD(ENCODE(");
                self.expression(operand, None)?;
                self.push(", 'hex'), 16, '0') AS bit(64)) AS bigint)");
                return Ok(());
            }
        }
        if self.special_cast(operand, data_type)? {
            return Ok(());
        }
        let place = Place::of_type(sql_type(data_type));
        self.push("CAST(");
        self.expression(operand, Some(&place))?;
        self.push(&format!(" AS {})", sql_type(data_type)));
        Ok(())
    }
}

fn argument(arguments: &[Expr]) -> Result<&Expr, SystemError> {
    match arguments {
        [argument] => Ok(argument),
        _ => Err(SystemError::fault(
            "a function of a query has a wrong number of arguments",
        )),
    }
}

/// A constant that is safe to write.
pub(super) fn constant(value: &Value) -> Result<String, SystemError> {
    Ok(match value {
        Value::Null => "NULL".into(),
        Value::Boolean(true) => "TRUE".into(),
        Value::Boolean(false) => "FALSE".into(),
        Value::Integer(value) if *value < 0 => format!("({value})"),
        Value::Integer(value) => value.to_string(),
        Value::Decimal(value) => {
            let scale = usize::from(value.scale());
            let digits = format!(
                "{:0>width$}",
                value.mantissa().unsigned_abs(),
                width = scale + 1
            );
            let (whole, fraction) = digits.split_at(digits.len() - scale);
            let sign = if value.mantissa() < 0 { "-" } else { "" };
            // the cast keeps a decimal without fraction from being taken for an integer
            format!("CAST({sign}{whole}.{fraction} AS numeric)").replace(". AS", " AS")
        }
        other => {
            return Err(SystemError::fault(format!(
                "a literal of type {} in a query",
                other.type_name()
            )));
        }
    })
}

/// The place of a parameter: what the place asks for, else what the query says of it.
fn parameter_place(part: Part, data_type: Option<DataType>, place: Option<&Place>) -> Place {
    let compared = place.is_some_and(|place| place.compared);
    match (part, place, data_type) {
        (Part::TypeCode, ..) => Place {
            take: Take::TypeCode,
            compared,
            ..Place::of_type("bytea")
        },
        (Part::Reference, ..) => Place {
            take: Take::Reference,
            compared,
            ..Place::of_type("bytea")
        },
        (Part::Whole, Some(place), _) => place.clone(),
        (Part::Whole, None, Some(DataType::Entity(_))) => Place {
            take: Take::Reference,
            ..Place::of_type("bytea")
        },
        (Part::Whole, None, Some(data_type)) => Place::of_type(sql_type(data_type)),
        (Part::Whole, None, None) => Place::of_type("text"),
    }
}

/// The place of what is compared with this expression.
fn place_beside(expr: &Expr) -> Option<Place> {
    place_of(expr).map(Place::compared)
}

/// What stands opposite to this expression must have its type.
fn place_of(expr: &Expr) -> Option<Place> {
    match expr {
        // a date is compared with a time of day as what it is, not cut to a date
        Expr::Column { column, .. } => {
            column
                .single()
                .map(|part| match base_type(&part.type_name).as_str() {
                    "" => Place::of_type(sql_type(column.data_type)),
                    "date" => Place::of_type(sql_type(DataType::DateTime)),
                    _ => Place::of_part(column, part).inferred(),
                })
        }
        Expr::Call(Function::UuidOf | Function::Uuid1c | Function::UuidDb, _) => Some(Place {
            take: Take::Reference,
            ..Place::of_type("bytea")
        }),
        Expr::Subquery(query) => match query.columns.as_slice() {
            [output] => place_of(&output.expr),
            _ => None,
        },
        Expr::Parameter { .. } => None,
        Expr::Literal(Value::Integer(_)) => Some(Place::of_type("numeric")),
        expr => data_type_of(expr).map(|data_type| Place::of_type(sql_type(data_type))),
    }
}

/// The only part of a column that can be an operand.
fn value_part(column: &Arc<Column>) -> Result<&PhysicalColumn, SystemError> {
    match column.parts.as_slice() {
        [part] => Ok(part),
        [] => Err(no_parts(column)),
        _ => Err(unsupported(format!(
            "column \"{}\" of several parts cannot stand in an expression",
            column.name
        ))
        .with_hint("Compare it with a variable, or take a part of it with UUIDOF or CAST.")),
    }
}

fn union_part(column: &Column, data_type: DataType) -> Option<&PhysicalColumn> {
    let role = match data_type {
        DataType::Boolean => ColumnRole::Boolean,
        DataType::Integer | DataType::Decimal => ColumnRole::Number,
        DataType::DateTime => ColumnRole::DateTime,
        DataType::Text => ColumnRole::Text,
        DataType::Entity(_) | DataType::Uuid => ColumnRole::Reference,
        DataType::Binary | DataType::Union | DataType::Any => return None,
    };
    column.parts.iter().find(|part| part.role == role)
}

fn differing(column: &Column, other: &Column) -> SystemError {
    unsupported(format!(
        "columns \"{}\" and \"{}\" consist of different parts",
        column.name, other.name
    ))
}

fn no_parts(column: &Column) -> SystemError {
    SystemError::fault(format!("column \"{}\" has no physical column", column.name))
}
