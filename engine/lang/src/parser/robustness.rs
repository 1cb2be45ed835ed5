//! Whatever the text is: no panic, linear time, spans inside the text.

use std::time::Instant;

use dajet_core::{Diagnostic, Severity};
use proptest::prelude::*;

use super::parse;
use crate::told::DIAGNOSTICS_MAX;

/// A register drained into a broker, in the old dialect.
const TO_BROKER: &str = r#"
DECLARE @record object -- Запись очереди
DECLARE @zero uuid = "00000000-0000-0000-0000-000000000000"

-- **********************
-- * Источник: "очередь" *
-- **********************
USE "pgsql://host/{@base}"

DECLARE @Узел string = SELECT Код
                         FROM ПланОбмена.Узлы
                        WHERE Предопределённый <> @zero

CONSUME TOP 1000
        Номер, Тип, Тело
   INTO @record
   FROM РегистрСведений.Исходящие
  ORDER BY Номер ASC

PRODUCE 'kafka'
   WITH Acks             = 'all'            -- acks
      , MaxInFlight      = 1                -- max.in.flight
      , BootstrapServers = '127.0.0.1:9092' -- bootstrap.servers (csv)
      , EnableIdempotence = false           /* enable.idempotence */
 SELECT Key   = @Узел         -- Ключ
      , Value = @record.Тело  -- Тело
      , Topic = @record.Тип   -- Топик
"#;

/// A change table with look-up and nested query, made into JSON.
const CHANGES: &str = r#"
DECLARE @base string = 'sqlite://a.db'
DECLARE @topic string = 'items' -- Топик
DECLARE @change object
DECLARE @item object
USE '{@base}'
DECLARE @node entity = SELECT Ссылка
                         FROM ПланОбмена.Узлы
                        WHERE Код = 'KAFKA'
                          AND ПометкаУдаления = false
CONSUME TOP 1000 Ссылка INTO @change
   FROM Справочник.Товары.Изменения
  WHERE Узел = @node
  ORDER BY Ссылка ASC
SELECT Ссылка          = UUIDOF(Ссылка)
     , Код             = LTRIM(RTRIM(Данные.Код))
     , ПометкаУдаления = Данные.ПометкаУдаления
  INTO @item
  FROM Справочник.Товары AS Данные
APPEND (SELECT Период, Цена
          FROM РегистрСведений.Цены
         WHERE Товар = @change.Ссылка
         ORDER BY Период ASC) AS Цены
 WHERE Данные.Ссылка = @change.Ссылка
PRODUCE 'kafka'
   WITH Acks = 'all' -- acks
 SELECT Key   = 'Справочник.Товары' -- Ключ строкой
      , Value = DaJet.Json(@item)   -- JSON
      , Topic = @topic
"#;

/// A broker drained into a register.
const FROM_BROKER: &str = r#"
DECLARE @topic string = 'items'
DECLARE @target string = 'pgsql://u:p@127.0.0.1:5432/db'
DECLARE @message object
CONSUME 'kafka'
   WITH Topic            = @topic  -- Топик
      , GroupId          = 'dajet' -- group.id
      , SessionTimeoutMs = 60000   -- session.timeout.ms
   INTO @message
USE '{@target}'
INSERT РегистрСведений.Входящие
SELECT Номер   = VECTOR('so_queue')
     , Отметка = NOW()
     , Тело    = @message.Value
"#;

/// A register drained into another one, in the dialect of today.
const TO_DATABASE: &str = r#"
DECLARE @message object
-- База данных источник
USE 'mssql://u:p@localhost:1433/source'
CONSUME TOP 10
Номер, Заголовки
, Тип, Тело
INTO @message
FROM РегистрСведений.Исходящие
ORDER BY Номер ASC
-- База данных приёмник
USE 'pgsql://u:p@localhost:5432/target'
INSERT РегистрСведений.Входящие
SELECT Отправитель = 'DaJet'
, Номер = VECTOR('so_queue')
, Тело = @message.Тело
END -- приёмник
END -- источник
"#;

/// Everything else.
const CONTROL: &str = r#"
FOR @part IN @parts.items[name='x'].y[0] MAXDOP 2
   USE '%SRC%/{@part.key:url}{$ENV}'
      CONSUME TOP @n WITH STRICT ORDER [Имя поля], b - 1 AS Type INTO @m FROM Т
        WHERE (a = 'x' AND b IN (1, 2.50, 0xFF)) OR NOT (c LIKE 'y%' AND d BETWEEN -1 AND @x-1)
      IF @m.a IS NULL THEN SET @h = CASE WHEN @m = NULL THEN 'none' ELSE JSON(@m) END;
      ELSE PRINT {36:08ec109d-a06b-a1b1-11ee-ca472bff0a0d} BREAK END
   END
END
TRY THROW 'a' CATCH UPDATE T WHERE a = 1 SET b = 2 FINALLY PRINT 'it''s' END
WHILE true SLEEP 1 RETURN CAST(@x AS string(10)) END
"#;

fn codes(diagnostics: &[Diagnostic]) -> Vec<&str> {
    let errors = diagnostics.iter().filter(|d| d.severity == Severity::Error);
    errors.map(|d| d.code).collect()
}

#[test]
fn parses_the_shapes_of_the_published_samples() {
    for (script, expected) in [
        (TO_BROKER, &[][..]),
        (CHANGES, &[]),
        (FROM_BROKER, &[]),
        (TO_DATABASE, &[]),
        (CONTROL, &["E_UNSUPPORTED", "E_UNSUPPORTED"]),
    ] {
        let (_, diagnostics) = parse(script);
        assert_eq!(codes(&diagnostics), expected, "{diagnostics:?}\n{script}");
    }
}

#[test]
fn warns_once_of_the_old_dialect() {
    let warnings = |script| parse(script).1.iter().filter(|d| d.code == "W001").count();
    assert_eq!(warnings(TO_BROKER), 1);
    assert_eq!(warnings(TO_DATABASE), 0);
}

/// Parses, and checks all spans of the tree and the diagnostics.
fn check(text: &str) {
    let (script, diagnostics) = parse(text);
    assert!(diagnostics.len() <= DIAGNOSTICS_MAX + 1);
    // Every span shows in the debug form, wherever it stands in the tree.
    let shown = format!("{script:?} {diagnostics:?}");
    for span in shown.split("Span { start: ").skip(1) {
        let (start, rest) = span.split_once(", end: ").unwrap();
        let (end, _) = rest.split_once(' ').unwrap();
        let (start, end): (usize, usize) = (start.parse().unwrap(), end.parse().unwrap());
        assert!(text.get(start..end).is_some(), "{start}..{end} of {text:?}");
    }
}

#[test]
fn stays_linear_and_shallow_on_hostile_text() {
    let begun = Instant::now();
    for unit in [
        "(",
        "[",
        "@a[b=",
        "PRINT (",
        "PRINT -",
        "NOT ",
        "IF a THEN ",
        "USE 'a' ",
        "CASE ",
        "TRY ",
        "PRINT CASE WHEN ",
        "SELECT ",
        "SELECT (",
        "SELECT a FROM (",
        "UNION SELECT ",
        "'",
        "''",
        "a.",
        ";",
        ",",
        ")",
        "]",
        "END ",
        "ELSE ",
        "WHEN ",
        "*",
        "* ",
        "abcde;",
        "USE x ",
        "\u{0}",
        "PRODUCE 'a' SELECT ",
        "PRODUCE '{@a",
        "{@",
        "/*",
        "--",
        "1+",
        "1.",
        "f(",
        "a IN (",
        "й",
        "INSERT T SELECT a = 1 b = ",
        "FOR EACH ",
        "CREATE COMPUTED TABLE ",
        "UPDATE T SET a = ",
    ] {
        check(&unit.repeat(20_000));
        check(&format!("SELECT {}", unit.repeat(20_000)));
    }
    // A bound against quadratic behaviour, far above what it takes.
    assert!(
        begun.elapsed().as_secs() < 120,
        "took {:?}",
        begun.elapsed()
    );
}

#[test]
fn refuses_expressions_that_are_too_deep_or_too_long() {
    let said = |text: String| parse(&text).1.remove(0).message;
    assert_eq!(
        said(format!("PRINT {}1", "(".repeat(1000))),
        "nested too deeply"
    );
    assert_eq!(said("IF a THEN ".repeat(1000)), "nested too deeply");
    assert_eq!(
        said(format!("PRINT 1{}", "+1".repeat(1000))),
        "expression is too long"
    );
    let deep = format!("PRINT {}1{}", "(".repeat(100), ")".repeat(100));
    assert_eq!(parse(&deep).1, []);
    assert_eq!(parse(&format!("PRINT 1{}", "+1".repeat(200))).1, []);
}

const FRAGMENTS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "INTO",
    "USE",
    "END",
    "IF",
    "THEN",
    "ELSE",
    "FOR",
    "EACH",
    "IN",
    "MAXDOP",
    "WHILE",
    "CASE",
    "WHEN",
    "TRY",
    "CATCH",
    "FINALLY",
    "DECLARE",
    "SET",
    "PRINT",
    "CONSUME",
    "TOP",
    "WITH",
    "STRICT",
    "ORDER",
    "BY",
    "PRODUCE",
    "INSERT",
    "UNION",
    "JOIN",
    "ON",
    "AND",
    "OR",
    "NOT",
    "IS",
    "NULL",
    "LIKE",
    "BETWEEN",
    "AS",
    "RETURN",
    "UPDATE",
    "OVER",
    "CAST",
    "ВЫБРАТЬ",
    "ПО",
    "select",
    "end",
    "@x",
    "@x.y",
    "@x[",
    "имя",
    "a.b",
    "[имя поля]",
    "'text'",
    "'{@x.y}'",
    "\"",
    "'",
    "1",
    "2.50",
    "0x0F",
    "(",
    ")",
    ",",
    ";",
    ".",
    "=",
    "<>",
    "+",
    "-",
    "*",
    "/",
    "%",
    "[",
    "]",
    "{",
    "}",
    "\n",
    "--",
    "/*",
    "*/",
    "\u{a0}",
    "object",
    "string(1)",
    "й",
    "#",
];

proptest! {
    #[test]
    fn survives_any_text(text in "(?s).{0,200}") {
        check(&text);
    }

    #[test]
    fn survives_any_tokens(
        picked in prop::collection::vec((prop::sample::select(FRAGMENTS), any::<bool>()), 0..60)
    ) {
        let mut text = String::new();
        for (fragment, is_spaced) in picked {
            text.push_str(fragment);
            if is_spaced {
                text.push(' ');
            }
        }
        check(&text);
    }

    #[test]
    fn survives_damaged_scripts(
        script in prop::sample::select(&[TO_BROKER, CHANGES, FROM_BROKER, TO_DATABASE, CONTROL][..]),
        at in any::<prop::sample::Index>(),
        removed in 0..40_usize,
        inserted in prop::sample::select(FRAGMENTS),
    ) {
        let characters: Vec<char> = script.chars().collect();
        let at = at.index(characters.len());
        let behind = (at + removed).min(characters.len());
        let mut text: String = characters[..at].iter().collect();
        text.push_str(inserted);
        text.extend(&characters[behind..]);
        check(&text);
    }
}
