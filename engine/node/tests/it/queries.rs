//! Queries of every form, with the same answers from both databases.

use super::node::run_script;
use super::servers::Database;
use super::sqlite;

const TABLES: &str = "
    CREATE TABLE goods (id integer PRIMARY KEY, name varchar(20), kind varchar(10), weight numeric(9, 2));
    INSERT INTO goods VALUES (1, 'гвозди', 'метиз', 1.50), (2, 'шурупы', 'метиз', 2.50),
                             (3, 'болты', 'метиз', NULL), (4, 'клей', 'химия', 10.25);
    CREATE TABLE prices (good integer, since varchar(10), price numeric(9, 2));
    INSERT INTO prices VALUES (1, '2024-01', 1.00), (1, '2024-02', 1.25), (2, '2024-01', 5.50), (9, '2024-01', 7.00);
";

/// Each query with what it selects, as JSON.
const QUERIES: &[(&str, &str)] = &[
    (
        "SELECT g.name, price INTO @t FROM goods AS g JOIN prices ON good = g.id ORDER BY price",
        r#"[{"name":"гвозди","price":1.00},{"name":"гвозди","price":1.25},{"name":"шурупы","price":5.50}]"#,
    ),
    (
        "SELECT name, price INTO @t FROM goods AS g LEFT JOIN prices AS p ON p.good = g.id AND since = @month \
         WHERE kind = 'метиз' ORDER BY g.id",
        r#"[{"name":"гвозди","price":1.25},{"name":"шурупы","price":null},{"name":"болты","price":null}]"#,
    ),
    (
        "SELECT good, name INTO @t FROM goods RIGHT JOIN prices ON good = id WHERE name = NULL",
        r#"[{"good":9,"name":null}]"#,
    ),
    (
        "SELECT n = COUNT(*) INTO @t FROM goods FULL JOIN prices ON good = id",
        r#"[{"n":6}]"#,
    ),
    (
        "SELECT n = COUNT(*) INTO @t FROM goods AS a CROSS JOIN goods AS b",
        r#"[{"n":16}]"#,
    ),
    (
        "SELECT kind, n = COUNT(*), w = COUNT(weight), k = COUNT(DISTINCT kind), m = MAX(name) INTO @t \
         FROM goods GROUP BY kind HAVING COUNT(*) > 1",
        r#"[{"kind":"метиз","n":3,"w":2,"k":1,"m":"шурупы"}]"#,
    ),
    (
        "SELECT names = STRING_AGG(q.name, '+') INTO @t \
         FROM (SELECT TOP 2 name FROM goods WHERE kind = 'метиз' ORDER BY name DESC) AS q",
        r#"[{"names":"шурупы+гвозди"}]"#,
    ),
    (
        "SELECT q.kind, q.total INTO @t FROM (SELECT kind, total = SUM(weight) FROM goods GROUP BY kind) AS q \
         WHERE q.total > 5 ORDER BY q.kind",
        r#"[{"kind":"химия","total":10.25}]"#,
    ),
    (
        "SELECT name, last = (SELECT MAX(since) FROM prices WHERE good = g.id) INTO @t FROM goods AS g \
         WHERE id IN (SELECT good FROM prices) AND name NOT IN (SELECT name FROM goods WHERE name = @name) ORDER BY name",
        r#"[{"name":"гвозди","last":"2024-02"}]"#,
    ),
    (
        "SELECT name INTO @t FROM goods AS g WHERE NOT EXISTS(SELECT * FROM prices WHERE good = g.id) \
         AND @month = (SELECT MAX(since) FROM prices) ORDER BY name DESC OFFSET 1 ROWS FETCH NEXT 5 ROWS ONLY",
        r#"[{"name":"болты"}]"#,
    ),
    (
        "SELECT name, size = CASE WHEN weight > 2 THEN 'большой' ELSE @name END INTO @t FROM goods \
         WHERE name LIKE '%ы' AND id BETWEEN 1 AND 2 ORDER BY name",
        r#"[{"name":"шурупы","size":"большой"}]"#,
    ),
    (
        "SELECT DISTINCT kind INTO @t FROM goods ORDER BY kind",
        r#"[{"kind":"метиз"},{"kind":"химия"}]"#,
    ),
    (
        "SELECT name, weight INTO @t FROM goods WHERE id = 4 UNION ALL SELECT 'итого', SUM(weight) FROM goods \
         UNION ALL SELECT TOP 1 @name, NULL FROM goods ORDER BY name",
        r#"[{"name":"итого","weight":14.25},{"name":"клей","weight":10.25},{"name":"шурупы","weight":null}]"#,
    ),
    (
        "SELECT kind, name INTO @o FROM goods \
         APPEND (SELECT since, price FROM prices WHERE good = @id ORDER BY since DESC) AS prices \
         APPEND object (SELECT TOP 1 name FROM goods WHERE kind = @o.kind AND weight > @o.prices[1].price ORDER BY id DESC) AS other \
         APPEND object (SELECT name FROM goods WHERE id = 0) AS none \
         WHERE id = @id SET @t = JSON('[' + JSON(@o) + ']')",
        r#"[{"kind":"метиз","name":"гвозди","prices":[{"since":"2024-02","price":1.25},{"since":"2024-01","price":1.00}],"other":{"name":"шурупы"},"none":null}]"#,
    ),
];

fn script(address: &str) -> String {
    let mut text = format!(
        "DECLARE @t array\nDECLARE @o object\nDECLARE @name string = 'шурупы'\nDECLARE @month string = '2024-02'\n\
         DECLARE @id integer = 1\nUSE '{address}'\n"
    );
    for (query, _) in QUERIES.iter() {
        text.push_str(&format!("{query}\nPRINT JSON(@t)\n"));
    }
    text + "END\n"
}

fn check(address: &str, folder: &std::path::Path) {
    let run = run_script(folder, &script(address), &[]);
    run.expect(0, &[]);
    let expected = QUERIES.iter();
    let lines: Vec<_> = run.out.lines().collect();
    for ((query, expected), line) in expected.clone().zip(&lines) {
        assert_eq!(line, expected, "{query}");
    }
    assert_eq!(lines.len(), expected.count(), "{run}");
}

#[test]
fn queries_of_every_form_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    sqlite::make(folder.path(), "goods.db", TABLES);
    check("sqlite://goods.db", folder.path());
}

#[test]
fn queries_of_every_form_in_postgresql() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::create("queries", TABLES);
    check(&database.address(), folder.path());
}
