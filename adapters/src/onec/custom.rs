//! What 1C itself stores where nobody says anything: customs of its tables that descriptions of types do not tell.

use dajet_core::schema::{Defaults, Omitted};
use dajet_core::{Column, Table};

/// The key of a constant's only row.
const RECORD_KEY: &[u8] = &[0x31];

/// Gives the columns of a table of 1C the defaults that the platform has, and the precision of its dates. Other tables stay as they are.
pub(crate) fn follow(mut table: Table) -> Table {
    let columns = &mut table.columns;
    let own = |column: &Column| column.parts.iter().all(|part| part.name.starts_with('_'));
    if table.defaults != Defaults::EmptyValue || !columns.iter().all(own) {
        return table;
    }
    let is = |column: &Column, name: &str| match column.single() {
        Some(part) => part.name.eq_ignore_ascii_case(name),
        None => false,
    };
    let registers = columns.iter().any(|column| is(column, "_MessageNo"));
    for column in columns {
        column.whole_seconds = true;
        if is(column, "_RecordKey") {
            column.omitted = Omitted::Bytes(RECORD_KEY);
        } else if registers && column.nullable() {
            // not yet sent; registered whatever this part of the key is
            column.omitted = Omitted::Null;
        }
    }
    table
}
