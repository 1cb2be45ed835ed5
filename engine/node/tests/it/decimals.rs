//! Decimals keep their digits and their order, whoever holds them: literals are worth what variables are.

use super::node::run_script;
use super::servers::Database;
use super::sqlite;

const TABLES: &str = "
    CREATE TABLE цены (id integer PRIMARY KEY, цена DECIMAL_TEXT, сумма numeric(15, 2), имя varchar(40), n integer);
    INSERT INTO цены VALUES (1, '10.50', 10.50, '1.50', 1), (2, '9.5', 9.50, '1.5', 2), (3, '9.50', 100, 'ё', 3),
                            (4, '-3', -3, NULL, 4), (5, '123456789012345678901.5', 1, 'а', 5), (6, NULL, NULL, 'б', 6);
";

/// Each query with what it selects, as JSON. The variables are `@d = 9.5` and `@z = 10`.
const QUERIES: &[(&str, &str)] = &[
    (
        "SELECT id INTO @t FROM цены WHERE цена > 9.500 ORDER BY цена",
        r#"[{"id":1},{"id":5}]"#,
    ),
    (
        "SELECT id INTO @t FROM цены WHERE цена >= @d ORDER BY цена DESC, id",
        r#"[{"id":5},{"id":1},{"id":2},{"id":3}]"#,
    ),
    (
        "SELECT id INTO @t FROM цены WHERE цена = 9.50 ORDER BY id",
        r#"[{"id":2},{"id":3}]"#,
    ),
    (
        "SELECT id INTO @t FROM цены WHERE цена < 10 AND цена <> @d",
        r#"[{"id":4}]"#,
    ),
    (
        "SELECT id INTO @t FROM цены WHERE цена IN (9.500, 10.5) AND цена < @z ORDER BY id",
        r#"[{"id":2},{"id":3}]"#,
    ),
    (
        "SELECT id INTO @t FROM цены WHERE цена = 123456789012345678901.50 OR цена BETWEEN -3.5 AND -2.5 ORDER BY id",
        r#"[{"id":4},{"id":5}]"#,
    ),
    (
        "SELECT a.id, b = b.id INTO @t FROM цены AS a JOIN цены AS b ON a.цена = b.цена AND a.id < b.id",
        r#"[{"id":2,"b":3}]"#,
    ),
    (
        "SELECT n = COUNT(*), k = COUNT(DISTINCT цена), a = MIN(цена), b = MAX(цена) INTO @t FROM цены",
        r#"[{"n":6,"k":4,"a":-3,"b":123456789012345678901.5}]"#,
    ),
    (
        "SELECT n = COUNT(*) INTO @t FROM цены WHERE цена > 0 GROUP BY цена ORDER BY цена",
        r#"[{"n":2},{"n":1},{"n":1}]"#,
    ),
    (
        "SELECT TOP 1 a = 1.50, b = 12345678901234567890.123, c = 0.1 + 0.2, d = 7 / 2, e = 7.0 / 2, f = 'x' + 1.50, \
         g = @d * 2, h = -1.50 INTO @t FROM цены",
        r#"[{"a":1.50,"b":12345678901234567890.123,"c":0.3,"d":3,"e":3.5,"f":"x1.50","g":19.0,"h":-1.50}]"#,
    ),
    (
        "SELECT id, x = сумма * 1.10, y = n + 1, z = ISNULL(сумма, 0.00) INTO @t FROM цены WHERE id IN (4, 6) ORDER BY id",
        r#"[{"id":4,"x":-3.3000,"y":5,"z":-3.00},{"id":6,"x":null,"y":7,"z":0.00}]"#,
    ),
    (
        "SELECT id INTO @t FROM цены WHERE сумма > 0 ORDER BY сумма * 1.10 DESC",
        r#"[{"id":3},{"id":1},{"id":2},{"id":5}]"#,
    ),
    (
        "SELECT q.id INTO @t FROM (SELECT id, x = сумма * 1.10 FROM цены) AS q WHERE q.x > 9 ORDER BY q.x",
        r#"[{"id":2},{"id":1},{"id":3}]"#,
    ),
    (
        "SELECT x = 10.50 INTO @t FROM цены WHERE id = 1 UNION SELECT x = цена FROM цены WHERE id < 3 ORDER BY x",
        r#"[{"x":9.5},{"x":10.50}]"#,
    ),
    (
        "SELECT id INTO @t FROM цены GROUP BY id HAVING SUM(n) > @d - 5 ORDER BY id",
        r#"[{"id":5},{"id":6}]"#,
    ),
    (
        "SELECT a = SUM(цена), b = SUM(сумма), c = SUM(n), d = AVG(n), e = AVG(сумма), f = AVG(цена) INTO @t FROM цены WHERE id <> 5",
        r#"[{"a":26.50,"b":117.00,"c":16,"d":3.2,"e":29.25,"f":6.625}]"#,
    ),
    (
        "SELECT a = SUM(x.n), b = AVG(x.n), c = AVG(x.s * 3), d = SUM(CASE WHEN x.n > 1 THEN 0.1 ELSE 0.2 END) INTO @t \
         FROM (SELECT n, s = сумма FROM цены WHERE id IN (1, 2, 4)) AS x",
        r#"[{"a":7,"b":2.333333,"c":17,"d":0.4}]"#,
    ),
    (
        "SELECT a = SUM(n), b = AVG(цена), c = SUM(цена) + 1 INTO @t FROM цены WHERE id > 6",
        r#"[{"a":null,"b":null,"c":null}]"#,
    ),
    (
        "SELECT x = SUM(цена) / 2, y = SUM(n) / 4 INTO @t FROM цены WHERE id < 5",
        r#"[{"x":13.25,"y":2.5}]"#,
    ),
    (
        "SELECT k = n % 2, s = SUM(цена) INTO @t FROM цены WHERE id < 5 GROUP BY n % 2 HAVING SUM(цена) > 6.4 AND AVG(сумма) > -3 \
         ORDER BY SUM(цена) DESC",
        r#"[{"k":1,"s":20.00},{"k":0,"s":6.5}]"#,
    ),
    (
        "SELECT id INTO @t FROM цены WHERE цена > (SELECT AVG(цена) FROM цены WHERE id < 5) AND id < 5 ORDER BY id",
        r#"[{"id":1},{"id":2},{"id":3}]"#,
    ),
];

fn script(address: &str, body: &str) -> String {
    format!(
        "DECLARE @t array\nDECLARE @d number = 9.5\nDECLARE @z number = 10.00\nUSE '{address}'\n{body}END\n"
    )
}

fn selections() -> String {
    let one = |(query, _): &(&str, &str)| format!("   {query}\n   PRINT JSON(@t)\n");
    QUERIES.iter().map(one).collect()
}

fn check_answers(folder: &std::path::Path, address: &str) {
    let run = run_script(folder, &script(address, &selections()), &[]);
    run.expect(0, &[]);
    let told: Vec<_> = run.out.lines().collect();
    assert_eq!(told.len(), QUERIES.len(), "{run}");
    for ((query, expected), told) in QUERIES.iter().zip(told) {
        assert_eq!(told, *expected, "{address}: {query}");
    }
}

#[test]
fn sqlite_compares_and_sorts_texts_of_decimals_as_numbers() {
    let folder = tempfile::tempdir().unwrap();
    sqlite::make(folder.path(), "цены.db", TABLES);
    check_answers(folder.path(), "sqlite://цены.db");
}

#[test]
fn postgresql_gives_the_same_answers() {
    let tables = TABLES.replace("DECIMAL_TEXT", "numeric");
    let database = Database::create("decimals", &tables);
    let folder = tempfile::tempdir().unwrap();
    check_answers(folder.path(), &database.address());
}

#[test]
fn a_queue_is_drained_in_the_order_of_its_decimals() {
    let folder = tempfile::tempdir().unwrap();
    sqlite::make(folder.path(), "q.db", TABLES);
    let script = "DECLARE @r object\nUSE 'sqlite://q.db'\n\
                  CONSUME TOP 2 id, цена INTO @r FROM цены WHERE цена > 3 ORDER BY цена\nPRINT @r.id\nEND\n";
    let run = run_script(folder.path(), script, &[]);
    run.expect(0, &["no index gives its order"]);
    assert_eq!(
        run.out.lines().collect::<Vec<_>>(),
        ["2", "3", "1", "5"],
        "{run}"
    );
}

const PLACES: &str = "CREATE TABLE места (id integer PRIMARY KEY, t varchar(60), e DECIMAL_TEXT, s numeric(15, 2), i integer)";

/// What is written as a literal, then the same by variables.
const WRITES: &str = "
   INSERT места SELECT id = 1, t = 1.50, e = 12345678901234567890.1230, s = 2.50, i = 3.00
   INSERT места SELECT id = 2, t = @t, e = @e, s = @s, i = @i
   INSERT места SELECT id = 3 + id, t = 1.50, e = 12345678901234567890.1230, s = 2.50, i = 3.00 FROM места WHERE t = 1.50 AND id = 1
   INSERT места SELECT id = 3 + id, t = @t, e = @e, s = @s, i = @i FROM места WHERE t = @t AND id = 2
   SELECT t, e, s, i INTO @a FROM места WHERE e = 12345678901234567890.123 ORDER BY id
   PRINT JSON(@a)
";

const WRITTEN: &str = r#"{"t":"1.50","e":12345678901234567890.1230,"s":2.50,"i":3}"#;

fn check_writes(folder: &std::path::Path, address: &str) {
    let script = format!(
        "DECLARE @a array\nDECLARE @t number = 1.50\nDECLARE @e number = 12345678901234567890.1230\n\
         DECLARE @s number = 2.50\nDECLARE @i number = 3.00\nUSE '{address}'\n{WRITES}END\n"
    );
    let run = run_script(folder, &script, &[]);
    run.expect(0, &[]);
    let all = [WRITTEN; 4].join(",");
    assert_eq!(run.out.trim(), format!("[{all}]"), "{run}");
    let script = format!("USE '{address}'\n   INSERT места SELECT id = 9, i = 1.5\nEND\n");
    let run = run_script(folder, &script, &[]);
    run.expect(3, &["E_TYPE", "column \"i\" cannot hold 1.5", ":2:"]);
    let computed = |factor: &str| {
        let insert =
            format!("INSERT места SELECT id = 9, i = s * {factor} FROM места WHERE id = 1");
        run_script(folder, &format!("USE '{address}'\n   {insert}\nEND\n"), &[])
    };
    computed("1.50").expect(1, &["3.75"]);
    computed("2.00").expect(0, &[]);
}

#[test]
fn literals_are_written_as_variables_are_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    sqlite::make(folder.path(), "места.db", PLACES);
    check_writes(folder.path(), "sqlite://места.db");
    let typed = "SELECT typeof(t) || typeof(e) || typeof(s) || typeof(i) FROM места WHERE id < 9";
    let types = sqlite::column(folder.path(), "места.db", typed);
    assert_eq!(types, ["texttextrealinteger"; 4]);
}

#[test]
fn literals_are_written_as_variables_are_in_postgresql() {
    let database = Database::create("literals", &PLACES.replace("DECIMAL_TEXT", "numeric"));
    let folder = tempfile::tempdir().unwrap();
    check_writes(folder.path(), &database.address());
}
