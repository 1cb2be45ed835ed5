//! What an expression gives does not depend on who evaluates it: the machine, SQLite or PostgreSQL. (Comparison of texts and
//! LIKE are left to the databases.)

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rusqlite::Connection;

use super::node::dajet;
use super::servers::Database;

/// Expressions over the columns of a row; a column stands in braces.
const EXPRESSIONS: &[&str] = &[
    "UPPER({s})",
    "LOWER({t})",
    "LTRIM({s})",
    "RTRIM(LTRIM({s}))",
    "CHARLENGTH({s})",
    "DATALENGTH({s})",
    "DATALENGTH({x})",
    "DATALENGTH({d})",
    "SUBSTRING({s}, {n}, 3)",
    "SUBSTRING({s}, 2)",
    "SUBSTRING({s}, 0, 2)",
    "SUBSTRING({s}, 1.9, 2)",
    "SUBSTRING({s}, {d}, 2)",
    "REPLACE({s}, {t}, '-')",
    "REPLACE({s}, 'а', {t})",
    "CONCAT({s}, {n}, '|', {d}, {b}, {at}, {u}, {x})",
    "CONCAT_WS({t}, {s}, {n}, {b})",
    "CONCAT_WS(', ', {d}, {e}, {at})",
    "{s} + {t} + ''",
    "{s} + 'x' + {n}",
    "{n} + {m}",
    "{n} - {m} * 2",
    "{n} / 7",
    "{n} % 7",
    "{n} / {m}",
    "{d} + {e}",
    "{d} - {n}",
    "{d} * {e}",
    "{d} * {e} + {n}",
    "{d} / 3",
    "{e} / {d}",
    "{n} / 2.5",
    "{d} / {m}",
    "{d} / {m} / 7",
    "{d} % 7",
    "{d} % {e}",
    "-{d}",
    "{at} + 90",
    "{at} - {n}",
    "{at} - CAST('2020-01-01' AS datetime)",
    "ISNULL({s}, {t})",
    "COALESCE({n}, {m}, 0)",
    "CASE WHEN {n} > 0 THEN 'плюс' WHEN {n} IS NULL THEN 'нет' ELSE 'минус' END",
    "CASE WHEN {d} * 2 > 10 THEN 1 ELSE 0 END",
    "CASE WHEN {d} + {e} <= {n} THEN 1 ELSE 0 END",
    "CASE WHEN {n} BETWEEN -10 AND 10 THEN 1 ELSE 0 END",
    "CASE WHEN {s} IS NOT NULL AND {b} THEN 1 ELSE 0 END",
    "CAST({n} AS string)",
    "CAST({d} AS string)",
    "CAST({at} AS string)",
    "CAST({b} AS string)",
    "CAST({d} AS integer)",
    "CAST({b} AS integer)",
    "CAST({at} AS integer)",
    "CAST({x} AS integer)",
    "CAST({n} AS boolean)",
    "CAST({d} AS boolean)",
    "CAST({s} AS boolean)",
    "CAST({n} AS decimal)",
    "CAST({b} AS decimal)",
    "CAST(63000000000 + {n} AS datetime)",
    "CAST({s} AS binary)",
    "CAST({n} AS binary)",
    "CAST({u} AS binary)",
    "UUID1C({u})",
];

const COLUMNS: [&str; 10] = ["s", "t", "n", "m", "d", "e", "b", "at", "u", "x"];

/// A row; `None` is NULL. The two columns that divide are never 0.
type Row = (
    (Option<String>, Option<String>),
    (Option<i64>, Option<i64>),
    (Option<(i64, u32)>, Option<i64>),
    (Option<bool>, Option<i64>, Option<u128>, Option<u32>),
);

fn text() -> impl Strategy<Value = Option<String>> {
    const FIXED: [&str; 7] = [
        "",
        "а",
        "Привет, мир",
        "ёЖ😀z",
        "  пробелы ",
        "true",
        "TRUE",
    ];
    let fixed = proptest::sample::select(&FIXED[..]).prop_map(str::to_owned);
    option::weighted(0.85, prop_oneof![fixed, "[аБвЯёA-Dz0-9 😀]{0,8}"])
}

fn row() -> impl Strategy<Value = Row> {
    let number = -1000i64..1000;
    let divisor = prop_oneof![-20i64..-1, 1i64..20];
    let decimal = (prop_oneof![-99_999i64..-1, 1i64..99_999], 0u32..3);
    let money = -1_000_000i64..1_000_000;
    (
        (text(), text()),
        (
            option::weighted(0.9, number),
            option::weighted(0.9, divisor),
        ),
        (
            option::weighted(0.9, decimal),
            option::weighted(
                0.9,
                prop_oneof![money.prop_filter("no divisor", |n| *n != 0)],
            ),
        ),
        (
            option::weighted(0.9, any::<bool>()),
            option::weighted(0.9, 0i64..4_000_000_000_000),
            option::weighted(0.9, any::<u128>()),
            option::weighted(0.9, any::<u32>()),
        ),
    )
}

/// `INSERT` with the literals of the dialect.
fn insert(id: usize, row: &Row, pgsql: bool) -> String {
    let null = || "NULL".to_owned();
    let quoted =
        |text: &Option<String>| text.as_ref().map_or_else(null, |text| format!("'{text}'"));
    let number = |n: Option<i64>| n.map_or_else(null, |n| n.to_string());
    let ((s, t), (n, m), (d, e), (b, at, u, x)) = row;
    let decimal = |unscaled: i64, scale: usize| {
        let digits = format!("{:0>width$}", unscaled.abs(), width = scale + 1);
        let (whole, rest) = digits.split_at(digits.len() - scale);
        format!("{}{whole}.{rest}", if unscaled < 0 { "-" } else { "" })
    };
    let d = d.map_or_else(null, |(n, zeros)| decimal(n * 10i64.pow(zeros), 4));
    let e = e.map_or_else(null, |n| decimal(n, 2));
    let at = at.map_or_else(null, |milliseconds| {
        let seconds = milliseconds / 1000;
        let (days, rest) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = (1900 + days / 336, 1 + days % 336 / 28, 1 + days % 28);
        let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
        let fraction = match milliseconds % 3 {
            0 => ".5",
            _ => "",
        };
        format!("'{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}'")
    });
    let b = b.map_or_else(null, |b| match pgsql {
        true => b.to_string(),
        false => i32::from(b).to_string(),
    });
    let u = u.map_or_else(null, |u| {
        let hex = format!("{u:032x}");
        let groups = [
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..],
        ];
        format!("'{}'", groups.join("-"))
    });
    let x = x.map_or_else(null, |x| match pgsql {
        true => format!("'\\x{x:08x}'"),
        false => format!("x'{x:08x}'"),
    });
    let values = [
        quoted(s),
        quoted(t),
        number(*n),
        number(*m),
        d,
        e,
        b,
        at,
        u,
        x,
    ];
    format!("INSERT INTO t VALUES ({id}, {});\n", values.join(", "))
}

fn replaced(expression: &str, to: &dyn Fn(&str) -> String) -> String {
    let mut text = expression.to_owned();
    for column in COLUMNS {
        text = text.replace(&format!("{{{column}}}"), &to(column));
    }
    text
}

/// `c0 = …, c1 = …`
fn list(to: &dyn Fn(&str) -> String) -> String {
    let items = EXPRESSIONS.iter().enumerate();
    let items: Vec<_> = items
        .map(|(index, expression)| format!("c{index} = {}", replaced(expression, to)))
        .collect();
    items.join(",\n    ")
}

/// The database evaluates.
fn outside(address: &str) -> String {
    let list = list(&str::to_owned);
    format!(
        "DECLARE @rows array\nDECLARE @row object\nUSE '{address}'\n  SELECT {list}\n  INTO @rows FROM t ORDER BY id\n  \
         FOR @row IN @rows PRINT @row END\nEND\n"
    )
}

/// The machine evaluates.
fn inside(address: &str) -> String {
    let list = list(&|column| format!("@row.{column}"));
    let columns = COLUMNS.join(", ");
    format!(
        "DECLARE @rows array\nDECLARE @row object\nDECLARE @o object\nUSE '{address}'\n  SELECT id, {columns} INTO @rows \
         FROM t ORDER BY id\nEND\nFOR @row IN @rows\n  SET @o = SELECT {list}\n  PRINT @o\nEND\n"
    )
}

fn lines(folder: &std::path::Path, script: &str) -> Vec<String> {
    std::fs::write(folder.join("script.djs"), script).unwrap();
    let run = dajet(folder, &["run", "script.djs"]);
    run.expect(0, &[]);
    run.out.lines().map(str::to_owned).collect()
}

/// The members of an object, as JSON texts.
fn members(line: &str) -> Vec<String> {
    let value: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
    let raw: std::collections::BTreeMap<String, Box<serde_json::value::RawValue>> =
        serde_json::from_str(line).unwrap();
    (0..value.len())
        .map(|index| raw[&format!("c{index}")].get().to_owned())
        .collect()
}

fn differences(what: &str, found: &[String], expected: &[String], rows: &[Row]) -> Vec<String> {
    assert_eq!(
        (found.len(), expected.len()),
        (rows.len(), rows.len()),
        "{what}"
    );
    let mut differences = Vec::new();
    for ((found, expected), row) in found.iter().zip(expected).zip(rows) {
        let pairs = members(found).into_iter().zip(members(expected));
        for ((found, expected), expression) in pairs.zip(EXPRESSIONS) {
            if found != expected {
                differences.push(format!(
                    "{what}: {expression} gives {found}, the machine {expected}, of {row:?}"
                ));
            }
        }
    }
    differences
}

#[test]
fn expressions_give_the_same_wherever_they_are_evaluated() {
    let columns = "id int PRIMARY KEY, s text, t text, n bigint, m int, d numeric(12, 4), e numeric(12, 2), b boolean";
    let database = Database::create(
        "agreement",
        &format!("CREATE TABLE t ({columns}, at timestamp, u uuid, x bytea)"),
    );
    let folder = tempfile::tempdir().unwrap();
    let file = Connection::open(folder.path().join("t.db")).unwrap();
    file.execute_batch(&format!(
        "CREATE TABLE t ({columns}, at datetime, u uuid, x blob)"
    ))
    .unwrap();
    let config = Config {
        cases: 3,
        max_shrink_iters: 0,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let result = runner.run(&vec(row(), 150), |rows| {
        for (pgsql, clear) in [(true, "DELETE FROM t;\n"), (false, "DELETE FROM t;\n")] {
            let inserts = rows.iter().enumerate();
            let inserts = inserts.map(|(id, row)| insert(id, row, pgsql));
            let script = format!("{clear}{}", inserts.collect::<String>());
            match pgsql {
                true => database.execute(&script),
                false => file.execute_batch(&script).unwrap(),
            }
        }
        let mut all = Vec::new();
        for (what, address) in [
            ("pgsql", database.address()),
            ("sqlite", "sqlite://t.db".to_owned()),
        ] {
            let expected = lines(folder.path(), &inside(&address));
            let found = lines(folder.path(), &outside(&address));
            all.extend(differences(what, &found, &expected, &rows));
        }
        let count = all.len();
        all.truncate(40);
        prop_assert!(count == 0, "{count} differences\n{}", all.join("\n"));
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
