use super::*;

#[test]
fn types_lose_their_length_but_not_their_meaning() {
    for (type_name, expected) in [
        ("character varying(10)", "character varying"),
        ("numeric(15,2)", "numeric"),
        (
            "timestamp(3) without time zone",
            "timestamp without time zone",
        ),
        ("character(12)", "bpchar"),
        ("character(12)[]", "bpchar[]"),
        ("bit(3)", "bit varying"),
        ("\"Код\"", "\"Код\""),
    ] {
        assert_eq!(base_type(type_name), expected);
    }
}

#[test]
fn names_are_quoted_as_in_the_database() {
    assert_eq!(identifier("_fld135"), "_fld135");
    assert_eq!(identifier("order"), "\"order\"");
    assert_eq!(identifier("_Fld135"), "\"_Fld135\"");
    assert_eq!(identifier("а\"б"), "\"а\"\"б\"");
    assert_eq!(literal("a'b\\"), "'a''b\\'");
    assert_eq!(
        table_name(&["архив".into(), "_inforg1".into()]),
        "\"архив\"._inforg1"
    );
}
