//! What is parsed, and what is said about the rest.

use dajet_core::span::position;

use super::{dump, parse};

/// The tree, and the diagnostics as `code line:column message`.
fn show(text: &str) -> String {
    let (script, diagnostics) = parse(text);
    let mut shown = dump::block(&script.statements);
    for d in diagnostics {
        let at = position(text, d.span.start);
        shown.push_str(&format!(
            "\n{} {}:{} {}",
            d.code, at.line, at.column, d.message
        ));
    }
    shown
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(show(text), expected, "script: {text}");
}

/// An expression, printed.
#[track_caller]
fn check_expression(text: &str, expected: &str) {
    check(&format!("PRINT {text}"), &format!("(print {expected})"));
}

#[test]
fn binds_operators_by_precedence() {
    check_expression("1 + 2 * 3 - 4", "(Subtract (Add 1 (Multiply 2 3)) 4)");
    check_expression("a OR b AND NOT c = 1", "(Or a (And b (Not (Equal c 1))))");
    check_expression("NOT x IS NULL", "(Not (null x))");
    check_expression("(a OR b) AND c", "(And (Or a b) c)");
    check_expression(
        "- @x * 2 % +3",
        "(Remainder (Multiply (Minus @x) 2) (Plus 3))",
    );
    check_expression("a <> b != c", "(NotEqual (NotEqual a b) c)");
    check_expression("a И НЕ b ИЛИ c ЕСТЬ NULL", "(Or (And a (Not b)) (null c))");
}

#[test]
fn reads_tests_of_sets_ranges_and_types() {
    check_expression("x NOT IN (1, @a, 'b')", "(not-in x 1 @a 'b')");
    check_expression(
        "x LIKE 'i%' AND y NOT LIKE z",
        "(And (like x 'i%') (not-like y z))",
    );
    check_expression(
        "x BETWEEN 1 AND 2 + 3 AND y",
        "(And (between x 1 (Add 2 3)) y)",
    );
    check_expression("x IS NOT NULL", "(not-null x)");
    check_expression("x IS string", "(is x string)");
    check_expression("x IS NOT Справочник.Товары", "(not-is x Справочник.Товары)");
}

#[test]
fn reads_operands() {
    check_expression(
        "CASE WHEN a THEN 1 WHEN b THEN 2 ELSE 3 END",
        "(case a -> 1 b -> 2 else 3)",
    );
    check_expression("CAST(x AS number(15,2))", "(cast x number(15,2))");
    check_expression("DaJet.Json(@message)", "DaJet.Json(@message)");
    check_expression(
        "COUNT(*) + NOW() + ISNULL(a, 'b')",
        "(Add (Add COUNT(*) NOW()) ISNULL(a 'b'))",
    );
    check_expression("СУММА(Цена)", "SUM(Цена)");
    check_expression("TRUE = False OR Null", "(Or (Equal true false) null)");
    check_expression("'it''s' + \"a \"\"b\"\"\"", "(Add 'it's' 'a \"b\"')");
    check_expression("[Имя поля].[x]]y]", "Имя поля.x]y");
    check_expression("LEFT(x, 2)", "LEFT(x 2)");
    check_expression("0x00fF", "Binary(b\"\\0\\xff\")");
    check_expression(
        "{36:08ec109d-a06b-a1b1-11ee-ca472bff0a0d}",
        "{36:08ec109d-a06b-a1b1-11ee-ca472bff0a0d}",
    );
}

#[test]
fn reads_numbers_exactly() {
    check_expression("0.00", "0e-2");
    check_expression("9223372036854775807", "9223372036854775807");
    check_expression("9223372036854775808", "9223372036854775808e-0");
    check_expression("-9223372036854775808", "-9223372036854775808");
    check_expression("- 1", "(Minus 1)");
    check_expression("1-1", "(Subtract 1 1)");
}

#[test]
fn reads_paths() {
    check_expression("@x-1", "(Subtract @x 1)");
    check_expression("@o.items[0].name", "@o.items[0].name");
    check_expression(
        "@r.Value[destination=@node.queue].destination",
        "@r.Value[destination=@node.queue].destination",
    );
    check_expression("@r[a='x'].SELECT[b=-1]", "@r[a='x'].SELECT[b=-1]");
}

#[test]
fn reads_declarations_and_assignments() {
    check(
        "DECLARE @x AS string(10) = 'a'; DECLARE @y object OF Мои.Строка",
        "(declare x string(10) 'a') (declare y object of Мои.Строка)",
    );
    check(
        "DECLARE @e Справочник.Номенклатура",
        "(declare e Справочник.Номенклатура)",
    );
    check(
        "SET @a.b=SELECT TOP 1 Код FROM Т\nSET @c = -1",
        "(set @a.b (select top 1 [Код] from Т)) (set @c -1)",
    );
}

#[test]
fn reads_control_statements() {
    check(
        "IF @a THEN PRINT 1; ELSE BREAK; CONTINUE END WHILE true SLEEP 0.5 THROW 'x' END RETURN; RETURN 5",
        "(if @a [(print 1)] [(break) (continue)]) (while true [(sleep 5e-1) (throw 'x')]) (return) (return 5)",
    );
    check(
        "FOR @x IN @a.b MAXDOP -1 PRINT @x END",
        "(for x @a.b x-1 [(print @x)])",
    );
    check(
        "FOR EACH @x IN @a MAXDOP @n PRINT 1 END",
        "(for x @a x@n [(print 1)])",
    );
    check(
        "FOR @x IN @a MAXDOP UNBOUNDED PRINT 1 END",
        "(for x @a x* [(print 1)])",
    );
}

#[test]
fn reads_queries() {
    check(
        "SELECT DISTINCT TOP (@n + 1) a, T.b Имя, c AS TYPE, TYPE = 1, * INTO @x.y FROM T AS Т \
         WHERE a = 1 GROUP BY a, b HAVING COUNT(*) > 1 ORDER BY a, b DESC",
        "(select distinct top (Add @n 1) [a Имя=T.b TYPE=c TYPE=1 *] into @x.y from T as Т \
         where (Equal a 1) group a b having (Greater COUNT(*) 1) order a, b desc)",
    );
    check(
        "ВЫБРАТЬ ПЕРВЫЕ 1 Код КАК Type INTO @k ИЗ ПланОбмена.РИБ ГДЕ Код = \"MAIN\" УПОРЯДОЧИТЬ ПО Код УБЫВ",
        "(select top 1 [Type=Код] into @k from ПланОбмена.РИБ where (Equal Код 'MAIN') order Код desc)",
    );
    check(
        "CONSUME TOP 10 WITH STRICT ORDER a, b INTO @m FROM Т.Изменения WHERE a = 1 ORDER BY a ASC",
        "(consume top 10 strict [a b] into @m from Т.Изменения where (Equal a 1) order a)",
    );
    check(
        "CONSUME TOP 10 WITH RANDOM ORDER * INTO @m FROM T",
        "(consume top 10 [*] into @m from T)",
    );
    check(
        "INSERT INTO T SELECT a = 1 INSERT Т SELECT [б в] = @x",
        "(insert T (select [a=1])) (insert Т (select [б в=@x]))",
    );
}

#[test]
fn reads_options_with_names_of_all_kinds() {
    check(
        "PRODUCE 'kafka' WITH Acks = 'all' -- acks\n, max.in.flight = 1, Content-Type=@x-1, TYPE = 2;\nPRINT 1",
        "(produce 'kafka' with[Acks='all' max.in.flight=1 Content-Type=(Subtract @x 1) TYPE=2] select[]) (print 1)",
    );
    check(
        "PRODUCE 'a' SELECT Key = CASE WHEN a THEN 1 ELSE 2 END SELECT a INTO @x FROM T",
        "(produce 'a' with[] select[Key=(case a -> 1 else 2)]) (select [a] into @x from T)",
    );
    check(
        "PRODUCE 'a' WITH x = 1 SELECT a = 1 INTO @x",
        "(produce 'a' with[x=1] select[]) (select [a=1] into @x)",
    );
}

#[test]
fn splits_addresses_at_templates() {
    check(
        "USE 'a''{@x.y}/{@z:url}{$ENV_1}{36:7}' PRINT 1 END",
        "(use 'a'{@x.y}/{@z:url}{$ENV_1}{36:7}' [(print 1)])",
    );
    check(
        "USE '{@x' PRINT 1 END",
        "(use '' [(print 1)])\nE_PARSE 1:6 template is not closed",
    );
    check(
        "USE '{@x:ulr}' PRINT 1 END",
        "(use '{@x}' [(print 1)])\nE_PARSE 1:10 unknown modifier \"ulr\" in a template",
    );
    check(
        "USE '{@x y}{@}' PRINT 1 END",
        "(use '' [(print 1)])\nE_PARSE 1:10 expected the end of the template, found \"y\"\nE_LEX 1:13 \"@\" is not followed by a name",
    );
}

#[test]
fn closes_blocks_of_the_old_dialect() {
    check(
        "USE 'a' FOR EACH @x IN @y PRINT 1",
        "(use~ 'a' [(for~ x @y [(print 1)])])\
         \nW001 1:1 \"USE\" has no \"END\" and is closed implicitly\
         \nW001 1:9 \"FOR\" has no \"END\" and is closed implicitly",
    );
    check(
        "IF @a THEN USE 'a' PRINT 1 END PRINT 2",
        "(if @a [(use~ 'a' [(print 1)])] []) (print 2)\
         \nW001 1:12 \"USE\" has no \"END\" and is closed implicitly",
    );
    check(
        "IF @a THEN USE 'a' PRINT 1 ELSE PRINT 2 END",
        "(if @a [(use~ 'a' [(print 1)])] [(print 2)])\
         \nW001 1:12 \"USE\" has no \"END\" and is closed implicitly",
    );
    check(
        "USE 'a' PRINT 1 END USE 'b' PRINT 2 END",
        "(use 'a' [(print 1)]) (use 'b' [(print 2)])",
    );
}

#[test]
fn reports_a_missing_end_at_the_word_that_opened_the_block() {
    check(
        "PRINT 1\nIF @a THEN PRINT 2",
        "(print 1) (if @a [(print 2)] [])\nE_PARSE 2:1 \"IF\" has no \"END\"",
    );
    check(
        "WHILE @a USE 'a' PRINT 1 END USE 'b' PRINT 2 END",
        "(while @a [(use 'a' [(print 1)]) (use 'b' [(print 2)])])\nE_PARSE 1:1 \"WHILE\" has no \"END\"",
    );
    check(
        "PRINT 1 END",
        "(print 1)\nE_PARSE 1:9 \"END\" closes nothing",
    );
    check(
        "ELSE PRINT 1",
        "(print 1)\nE_PARSE 1:1 \"ELSE\" closes nothing",
    );
}

#[test]
fn warns_of_empty_blocks() {
    check(
        "IF @a THEN ELSE END",
        "(if @a [] [])\nW004 1:7 block of \"THEN\" is empty\nW004 1:12 block of \"ELSE\" is empty",
    );
}

#[test]
fn goes_on_behind_mistakes() {
    check(
        "DECLARE @x = 1\nSET @x = (1 + , 3)\nIF @x = THEN PRINT * END\nSELECT a, , b FROM T WHERE AND\nPRINT 5",
        "(declare x union) (set @x <error>) (if <error> [(print <error>)] []) (select [a <error> b] from T where <error>) (print 5)\
         \nE_PARSE 1:12 expected a type, found \"=\"\
         \nE_PARSE 2:15 expected an expression, found \",\"\
         \nE_PARSE 3:9 expected an expression, found \"THEN\"\
         \nE_PARSE 3:20 expected an expression, found \"*\"\
         \nE_PARSE 4:11 expected an expression, found \",\"\
         \nE_PARSE 4:28 expected an expression, found \"AND\"",
    );
    check(
        "PRODUCE 'a' WITH x = , y = 2 z = 3, = 4 SELECT Key = (1, Value = 2\nPRINT 1",
        "(produce 'a' with[x=<error> y=2 z=3] select[Key=<error>]) (print 1)\
         \nE_PARSE 1:22 expected an expression, found \",\"\
         \nE_PARSE 1:29 \",\" is missing between two items\
         \nE_PARSE 1:37 expected the name of an option, found \"=\"\
         \nE_PARSE 1:56 expected \")\", found \",\"",
    );
}

#[test]
fn mends_keywords_in_lower_case() {
    check(
        "select a from T where a is null and b = 1 order by a desc\nif @x then print 1 else print 2 end",
        "(select [a] from T where (And (null a) (Equal b 1)) order a desc) (if @x [(print 1)] [(print 2)])\
         \nE_PARSE 1:1 unknown statement \"select\"\
         \nE_PARSE 1:10 keyword \"from\" is not in upper case\
         \nE_PARSE 1:17 keyword \"where\" is not in upper case\
         \nE_PARSE 1:25 keyword \"is\" is not in upper case\
         \nE_PARSE 1:33 keyword \"and\" is not in upper case\
         \nE_PARSE 1:43 keyword \"order\" is not in upper case\
         \nE_PARSE 1:49 keyword \"by\" is not in upper case\
         \nE_PARSE 1:54 keyword \"desc\" is not in upper case\
         \nE_PARSE 2:1 unknown statement \"if\"\
         \nE_PARSE 2:7 keyword \"then\" is not in upper case\
         \nE_PARSE 2:12 unknown statement \"print\"\
         \nE_PARSE 2:20 keyword \"else\" is not in upper case\
         \nE_PARSE 2:25 unknown statement \"print\"\
         \nE_PARSE 2:33 keyword \"end\" is not in upper case",
    );
    check(
        "SELCT a INTO @x",
        "(select [a] into @x)\nE_PARSE 1:1 unknown statement \"SELCT\"",
    );
    check("PRINT Type PRINT order", "(print Type) (print order)");
}

const UNSUPPORTED: &[(&str, &str)] = &[
    (
        "UPDATE T WHERE a = 1 SET b = CASE WHEN a THEN 1 ELSE 2 END OUTPUT c INTO @x",
        "UPDATE",
    ),
    (
        "UPSERT T IGNORE UPDATE WHERE a = 1 SET a = 1, b = 2",
        "UPSERT",
    ),
    ("DELETE T OUTPUT a INTO @x WHERE a > 9", "DELETE"),
    ("STREAM TOP 7 a INTO @r FROM T ORDER BY a ASC", "STREAM"),
    (
        "REQUEST 'x' WHEN @a = 1 WITH User-Agent = 'b' SELECT Method = 'GET' INTO @r",
        "REQUEST",
    ),
    (
        "PROCESS @t WITH Test.Upper INTO @out SELECT Suffix = '!'",
        "PROCESS",
    ),
    (
        "EXECUTE TASK 'file://t.djs' AS 'one' WITH n = 1 INTO @ts",
        "EXECUTE",
    ),
    ("WAIT ALL @ts INTO @ok TIMEOUT 10", "WAIT"),
    ("DEFINE Мои.Строка(Код string, Когда datetime)", "DEFINE"),
    ("IMPORT 'file://types.djs'", "IMPORT"),
    (
        "CREATE TEMPORARY TABLE T AS (SELECT a FROM B)",
        "CREATE TEMPORARY TABLE",
    ),
];

#[test]
fn parses_statements_about_sequences() {
    check(
        "CREATE SEQUENCE so START WITH 10 INCREMENT BY 5 DROP SEQUENCE so;",
        "(create-sequence so start 10 by 5 cache 1) (drop-sequence so)",
    );
    check(
        "APPLY SEQUENCE so ON Т.С(Номер) RECALCULATE REVOKE SEQUENCE so ON Т.С",
        "(apply-sequence so Т.С.Номер recalculate) (revoke-sequence so Т.С)",
    );
}

#[test]
fn parses_case_statements_and_modify() {
    check(
        "CASE WHEN @i = 2 THEN CONTINUE WHEN @i = 4 THEN BREAK ELSE PRINT 'i=' + @i END PRINT 3",
        "(case (Equal @i 2) [(continue)] (Equal @i 4) [(break)] [(print (Add 'i=' @i))]) (print 3)",
    );
    check(
        "MODIFY @b FROM @a DELETE x, y SELECT z = @a.z + 1 MODIFY @c",
        "(modify @b from @a -x -y [z=(Add @a.z 1)]) (modify @c [])",
    );
}

#[test]
fn refuses_what_is_not_built() {
    check(
        "TRY THROW 'a' CATCH IF @x THEN PRINT 1 END FINALLY PRINT 2 END PRINT 3",
        "(unsupported) (print 3)\nE_UNSUPPORTED 1:1 TRY is not supported yet",
    );
    for (statement, what) in UNSUPPORTED {
        check(
            &format!("{statement}\nSET @x = 1"),
            &format!("(unsupported) (set @x 1)\nE_UNSUPPORTED 1:1 {what} is not supported yet"),
        );
    }
    check(
        "CREATE COMPUTED TABLE a AS (SELECT b UNION ALL SELECT 9), c AS (SELECT d FROM a) SELECT d FROM c",
        "(unsupported) (select [d] from c)\nE_UNSUPPORTED 1:1 CREATE COMPUTED TABLE is not supported yet",
    );
}

#[test]
fn refuses_clauses_that_are_not_built() {
    check(
        "SELECT a, b = (SELECT c FROM d), COUNT(DISTINCT e), f = ROW_NUMBER() OVER(ORDER BY g) INTO @t FROM (SELECT h FROM i) AS j \
         LEFT OUTER JOIN k AS l ON l.m = j.n APPEND (SELECT o FROM p) AS q CROSS APPLY (SELECT r) s \
         WHERE EXISTS(SELECT t) AND u IN (SELECT v) AND w > ALL (SELECT x) ORDER BY y OFFSET 1 ROWS FETCH NEXT 2 ROWS ONLY PRINT 1",
        "(select [a b=(select [c] from d) COUNT((distinct e)) f=ROW_NUMBER()] into @t from (select [h] from i) as j \
         Left k as l on (Equal l.m j.n) append array q=(select [o] from p) \
         where (And (And (exists (select [t])) (in u (select [v]))) <error>) order y offset 1 fetch 2) (print 1)\
         \nE_UNSUPPORTED 1:70 OVER is not supported yet\
         \nE_UNSUPPORTED 1:189 APPLY is not supported yet\
         \nE_UNSUPPORTED 1:265 comparison with ALL is not supported yet",
    );
    check(
        "SELECT a INTO @x FROM b UNION ALL SELECT c FROM d INSERT T FROM e SELECT f INTO g FROM h",
        "(select [a] into @x from b union all (select [c] from d)) (unsupported) (select [f] from h)\
         \nE_UNSUPPORTED 1:60 INSERT … FROM is not supported yet\
         \nE_UNSUPPORTED 1:81 INTO a temporary table is not supported yet",
    );
}

#[test]
fn says_what_the_author_may_have_meant() {
    check(
        "DECLARE @x STRING",
        "(declare x string)\nE_PARSE 1:12 unknown type \"STRING\"",
    );
    check(
        "IMPORT 'dajet://a' INTO @x",
        "(unsupported)\nE_PARSE 1:8 \"dajet://\" cannot be imported",
    );
    check(
        "USE 'dajet://a' PRINT 1 END",
        "(use 'dajet://a' [(print 1)])\nE_PARSE 1:5 addresses of the kind \"dajet://\" do not exist any more",
    );
    check(
        "IF @a THEN DEFINE A.B(c string) END",
        "(if @a [(unsupported)] [])\nE_PARSE 1:12 \"DEFINE\" stands inside a block",
    );
    check(
        "CONSUME a FROM T",
        "(consume [a] from T)\nE_PARSE 1:1 \"CONSUME\" has no \"TOP\"\nE_PARSE 1:1 \"CONSUME\" has no \"INTO\"",
    );
    check(
        "CONSUME TOP 1 a FROM T INTO @x",
        "(consume top 1 [a] into @x from T)\nE_PARSE 1:24 \"INTO\" stands behind other clauses",
    );
    check(
        "CONSUME TOP 1 a INTO x FROM T",
        "(consume top 1 [a] from T)\nE_PARSE 1:22 expected a variable, found \"x\"",
    );
    check(
        "INSERT T (a) VALUES (1) PRINT 2",
        "(print 2)\nE_PARSE 1:10 expected \"SELECT\", found \"(\"",
    );
    check("@x = 1", "\nE_PARSE 1:1 expected a statement, found \"@x\"");
    check(
        "PRINT a . b",
        "(print a.b)\nE_PARSE 1:9 blanks around \".\" in a name",
    );
    check(
        "USE @x PRINT 1 END",
        "(use '' [(print 1)])\nE_PARSE 1:5 expected an address in quotes, found \"@x\"",
    );
}

#[test]
fn explains_a_line_of_asterisks() {
    check(
        "DECLARE @x string = 'a'\n*********\n* Очередь *\n*********\nPRINT 1",
        "(declare x string 'a') (print 1)\nE_PARSE 2:1 a line of asterisks is no statement",
    );
}

#[test]
fn says_nothing_about_what_an_open_comment_swallows() {
    check(
        "IF @a THEN PRINT 1 /* END",
        "(if @a [(print 1)] [])\nE_LEX 1:20 comment is not closed",
    );
}

#[test]
fn consumes_from_a_broker() {
    check(
        "CONSUME 'kafka' WITH Topic = @t -- a\n , group.id = 'b' INTO @m PRINT 1",
        "(consume 'kafka' with[Topic=@t group.id='b'] into @m) (print 1)",
    );
    check(
        "CONSUME 'amqp://{@host}' INTO @m",
        "(consume 'amqp://{@host}' with[] into @m)",
    );
}
