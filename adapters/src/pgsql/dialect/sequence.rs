//! Sequences, and the triggers that number the rows of a table by them. Each text runs as one transaction: the server takes a
//! text of several statements for one.

use std::sync::Arc;

use dajet_core::query::{Sequence, SequenceAction};

use super::{identifier, literal, quoted, table_name};

/// Bytes of a name that PostgreSQL keeps.
const NAME_MAX: usize = 63;

/// The text of a statement about a sequence.
pub(in crate::pgsql) fn sequence(statement: &Sequence) -> String {
    let name = sequence_name(&statement.name);
    match &statement.action {
        SequenceAction::Create {
            start,
            increment,
            cache,
        } => {
            let start = start.map_or(String::new(), |start| format!(" START WITH {start}"));
            format!(
                "CREATE SEQUENCE IF NOT EXISTS {name} AS bigint INCREMENT BY {increment}{start} CACHE {cache}"
            )
        }
        SequenceAction::Drop => drop(&name),
        SequenceAction::Apply {
            table,
            column,
            recalculate,
        } => apply(&name, &table.physical, column, *recalculate),
        SequenceAction::Revoke { table } => {
            let Trigger { trigger, function } = Trigger::of(&table.physical);
            let table = table_name(&table.physical);
            format!(
                "DROP TRIGGER IF EXISTS {trigger} ON {table}; DROP FUNCTION IF EXISTS {function}() CASCADE"
            )
        }
    }
}

/// A trigger that draws from the sequence would refuse every later row, and the server knows of no such dependency: it is
/// looked for.
fn drop(sequence: &str) -> String {
    let drawn = format!(
        "replace(substring(p.prosrc FROM {}), '''''', '''')",
        literal("nextval[(]'(([^']|'')+)'")
    );
    let own = literal(sequence);
    let block = format!(
        "DECLARE tables text; BEGIN \
         SELECT string_agg('table \"' || c.relname || '\"', ', ' ORDER BY c.relname) INTO tables \
         FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid JOIN pg_proc AS p ON p.oid = t.tgfoid \
         WHERE t.tgname LIKE 'tr%' AND p.prosrc LIKE '%nextval(%' AND to_regclass({drawn}) = to_regclass({own}); \
         IF tables IS NOT NULL THEN RAISE EXCEPTION USING ERRCODE = '2BP01', \
         MESSAGE = 'it numbers the rows of ' || tables, \
         HINT = 'Take it away first: REVOKE SEQUENCE … ON …'; END IF; END"
    );
    format!("DO {}; DROP SEQUENCE {sequence}", literal(&block))
}

fn apply(sequence: &str, physical: &[Arc<str>], column: &str, recalculate: bool) -> String {
    let Trigger { trigger, function } = Trigger::of(physical);
    let (table, column) = (table_name(physical), identifier(column));
    let next = format!("nextval({})", literal(sequence));
    // A sequence that is not there is an error now, not at the next row.
    let mut text = format!(
        "SELECT CAST({} AS regclass); LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE; ",
        literal(sequence)
    );
    if recalculate {
        // By way of numbers below zero: a new number may be an old number of another row, and a unique index looks at once.
        text.push_str(&format!(
            "WITH numbered AS MATERIALIZED (SELECT place, {next} AS number FROM \
             (SELECT ctid AS place FROM {table} ORDER BY {column}, ctid) AS ordered) \
             UPDATE {table} AS target SET {column} = - numbered.number FROM numbered WHERE target.ctid = numbered.place; \
             UPDATE {table} SET {column} = - {column}; "
        ));
    }
    let body = format!("BEGIN NEW.{column} := {next}; RETURN NEW; END");
    text.push_str(&format!(
        "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS {}; \
         DROP TRIGGER IF EXISTS {trigger} ON {table}; \
         CREATE TRIGGER {trigger} BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {function}()",
        literal(&body)
    ));
    text
}

/// The names of a table's trigger and of its function.
struct Trigger {
    trigger: String,
    function: String,
}

impl Trigger {
    fn of(physical: &[Arc<str>]) -> Self {
        let (schema, table) = match physical {
            [schema, table] => (Some(schema), &**table),
            parts => (None, parts.last().map_or("", |table| table)),
        };
        let function = quoted(&shortened(format!("fn{table}_before_insert")));
        let schema = schema.map_or(String::new(), |schema| format!("{}.", identifier(schema)));
        Self {
            trigger: quoted(&shortened(format!("tr{table}_before_insert"))),
            function: format!("{schema}{function}"),
        }
    }
}

/// The sequence as VECTOR names it: in small letters of the Latin alphabet.
fn sequence_name(name: &str) -> String {
    let parts = name
        .split('.')
        .map(|part| quoted(&part.to_ascii_lowercase()));
    parts.collect::<Vec<_>>().join(".")
}

/// A name that is too long keeps its beginning, and ends with a sum of the whole.
fn shortened(name: String) -> String {
    if name.len() <= NAME_MAX {
        return name;
    }
    let sum = name.bytes().fold(0x811c_9dc5_u32, |sum, byte| {
        (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    let mut end = NAME_MAX - 9;
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}_{sum:08x}", &name[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_differ_where_their_tables_do() {
        let names = ["а", "б"].map(|end| shortened("регистр".repeat(6) + end));
        assert!(names.iter().all(|name| name.len() <= NAME_MAX));
        assert_ne!(names[0], names[1]);
    }
}
