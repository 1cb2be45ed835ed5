//! Uuids of references, and the extremes of what PostgreSQL has none of.

use dajet_core::query::{Expr, Function};
use dajet_core::{DataType, SystemError};

use super::{Place, Take, Writer, base_type, data_type_of};

type Written = Result<(), SystemError>;

/// The bytes of the form of 1C, as places in a reference column, from 1.
const TO_SHOWN: [u8; 16] = [16, 15, 14, 13, 12, 11, 10, 9, 1, 2, 3, 4, 5, 6, 7, 8];
/// The bytes of a reference column, as places in the form of 1C.
const TO_STORED: [u8; 16] = [9, 10, 11, 12, 13, 14, 15, 16, 8, 7, 6, 5, 4, 3, 2, 1];
/// The bytes of a reference column, as places in the 16 bytes that `uuid_send` gives.
const SENT: [u8; 16] = [4, 3, 2, 1, 6, 5, 8, 7, 9, 10, 11, 12, 13, 14, 15, 16];

impl Writer {
    /// UUIDOF, UUID1C and UUIDDB. A uuid of PostgreSQL's own stays one in UUIDOF; all else is the 16 bytes of a reference.
    pub(super) fn identity(&mut self, function: &Function, operand: &Expr) -> Written {
        let place = Place {
            take: Take::Reference,
            ..Place::of_type("bytea")
        };
        let order = match function {
            Function::Uuid1c => TO_SHOWN,
            Function::UuidDb => TO_STORED,
            _ => return self.expression(operand, Some(&place)),
        };
        let (before, after, sent) = match data_type_of(operand) {
            Some(DataType::Text) => ("uuid_send(CAST(BTRIM(", ") AS uuid))", true),
            _ if is_uuid(operand) => ("uuid_send(", ")", true),
            _ => ("", "", false),
        };
        let source = self.apart(|writer| writer.around(before, operand, Some(&place), after))?;
        let order = match sent {
            true => order.map(|place| SENT[usize::from(place) - 1]),
            false => order,
        };
        // what is no column is written, and computed, once
        let is_column = matches!(operand, Expr::Column { .. });
        let bytes = ordered(if is_column { &source } else { "x.b" }, order);
        self.push(&match is_column {
            true => format!("({bytes})"),
            false => format!("(SELECT {bytes} FROM (SELECT {source} AS b) AS x)"),
        });
        Ok(())
    }

    /// The text of a uuid that is kept as the 16 bytes of a reference.
    pub(super) fn uuid_text(&mut self, operand: &Expr) -> Written {
        let place = Place {
            take: Take::Reference,
            ..Place::of_type("bytea")
        };
        let source = self.apart(|writer| writer.expression(operand, Some(&place)))?;
        let bytes = ordered("x.b", SENT);
        self.push(&format!(
            "(SELECT CAST(CAST(ENCODE({bytes}, 'hex') AS uuid) AS text) FROM (SELECT {source} AS b) AS x)"
        ));
        Ok(())
    }

    /// `COUNT(DISTINCT …)` of a value, or of the parts of one, all of which are NULL if it is.
    pub(super) fn count_distinct(&mut self, arguments: &[Expr]) -> Written {
        self.push("COUNT(DISTINCT (");
        self.list(arguments, |writer, part| writer.expression(part, None))?;
        self.push("))");
        if let [first, _, ..] = arguments {
            self.around(" FILTER (WHERE ", first, None, " IS NOT NULL)")?;
        }
        Ok(())
    }

    /// MAX and MIN: bytes and uuids go by their digits, of booleans there is one function each.
    pub(super) fn extreme(&mut self, name: &str, of_booleans: &str, operand: &Expr) -> Written {
        let (before, after) = match data_type_of(operand) {
            Some(DataType::Boolean) => (format!("{of_booleans}("), ")"),
            _ if is_uuid(operand) => (format!("CAST({name}(CAST("), " AS text)) AS uuid)"),
            Some(DataType::Binary | DataType::Entity(_) | DataType::Uuid) => {
                (format!("DECODE({name}(ENCODE("), ", 'hex')), 'hex')")
            }
            _ => (format!("{name}("), ")"),
        };
        self.around(&before, operand, None, after)
    }
}

/// The bytes of a value in another order.
fn ordered(name: &str, order: [u8; 16]) -> String {
    let bytes = order.map(|place| format!("SUBSTR({name}, {place}, 1)"));
    bytes.join(" || ")
}

/// True for what gives a uuid of PostgreSQL's own type, not the 16 bytes of a reference.
pub(super) fn is_uuid(operand: &Expr) -> bool {
    match operand {
        Expr::Column { column, .. } => column
            .single()
            .is_some_and(|part| base_type(&part.type_name) == "uuid"),
        Expr::Cast(_, DataType::Uuid) | Expr::Call(Function::NewUuid, _) => true,
        Expr::Call(Function::UuidOf | Function::Max | Function::Min, arguments) => {
            arguments.iter().all(is_uuid)
        }
        Expr::Case { branches, .. } => branches.iter().any(|(_, value)| is_uuid(value)),
        Expr::Subquery(query) => query.columns.iter().all(|output| is_uuid(&output.expr)),
        _ => false,
    }
}
