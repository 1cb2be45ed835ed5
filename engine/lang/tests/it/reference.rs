//! The reference of the functions is generated from their table. `UPDATE=1 cargo test` rewrites it.

use std::path::Path;

use dajet_lang::functions::{families, not_built};

const PREAMBLE: &str = "\
# Functions

Generated from the table of functions; do not edit.

Names are found in any case. In a database statement a call without columns is computed by the runtime and sent as a value,
except the functions that the database evaluates for each row, aggregates and `VECTOR`. `EXISTS (SELECT …)` stands in
conditions of queries. A function that stands in both places
gives the same in both. Comparison and `LIKE` of texts are those of the database that evaluates them, as are `UPPER` and
`LOWER` of letters that its collation does not know; integers that leave 64 bits become decimals in the runtime and are an
error in PostgreSQL.

`CAST(value AS type)` converts as the table of types says; a value that does not fit is an error, NULL stays NULL. Decimals
are cut when they become integers. `CAST(integer AS binary)` gives 4 bytes, in the runtime `binary(n)` the last *n* of 8.
";

fn reference() -> String {
    let mut text = PREAMBLE.to_owned();
    for (family, functions) in families() {
        text.push_str(&format!(
            "\n## {family}\n\n| Function | Where | Result |\n| --- | --- | --- |\n"
        ));
        for function in functions {
            let arguments = function.arguments.replace('|', "\\|");
            text.push_str(&format!(
                "| `{}({arguments})` | {} | {} |\n",
                function.name,
                function.places(),
                function.reference
            ));
        }
    }
    let later: Vec<_> = not_built().iter().map(|name| format!("`{name}`")).collect();
    text.push_str(&format!("\n## Not supported yet\n\n{}\n", later.join(", ")));
    text
}

#[test]
fn the_reference_of_functions_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/functions.md");
    let expected = reference();
    if std::env::var_os("UPDATE").is_some_and(|v| v == "1") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &expected).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == expected,
        "{} is stale: run UPDATE=1 cargo test -p dajet-lang reference",
        path.display()
    );
}

#[test]
fn every_reference_is_a_sentence() {
    for (_, functions) in families() {
        for function in functions {
            assert!(function.reference.ends_with('.'), "{}", function.name);
        }
    }
}
