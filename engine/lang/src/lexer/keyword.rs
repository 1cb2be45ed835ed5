//! The keywords, English and Russian, and which of them begin statements or cannot be names.

macro_rules! keywords {
    ($($name:ident = $text:literal $(| $synonym:literal)*;)*) => {
        /// A keyword; recognised in upper case only.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Keyword { $($name,)* }

        impl Keyword {
            /// Finds the keyword that is written so.
            pub(crate) fn find(text: &str) -> Option<Self> {
                match text {
                    $($text $(| $synonym)* => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The English spelling.
            pub(crate) const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Every keyword in every spelling.
            const SPELLINGS: &[(&str, Self)] =
                &[$(($text, Self::$name), $(($synonym, Self::$name),)*)*];
        }
    };
}

keywords! {
    All = "ALL" | "ВСЕ";
    And = "AND" | "И";
    Any = "ANY";
    Append = "APPEND";
    Apply = "APPLY";
    As = "AS" | "КАК";
    Asc = "ASC" | "ВОЗР";
    Between = "BETWEEN";
    Break = "BREAK";
    By = "BY";
    Case = "CASE" | "ВЫБОР";
    Catch = "CATCH";
    Computed = "COMPUTED";
    Consume = "CONSUME";
    Continue = "CONTINUE";
    Create = "CREATE";
    Cross = "CROSS" | "ПЕРЕКРЕСТНОЕ";
    Declare = "DECLARE" | "ОБЪЯВИТЬ";
    Define = "DEFINE";
    Delete = "DELETE" | "УДАЛИТЬ";
    Desc = "DESC" | "УБЫВ";
    Distinct = "DISTINCT" | "РАЗЛИЧНЫЕ";
    Drop = "DROP";
    Each = "EACH";
    Else = "ELSE" | "ИНАЧЕ";
    End = "END" | "КОНЕЦ";
    Execute = "EXECUTE";
    Exists = "EXISTS";
    Fetch = "FETCH";
    Finally = "FINALLY";
    First = "FIRST";
    For = "FOR";
    From = "FROM" | "ИЗ";
    Full = "FULL" | "ПОЛНОЕ";
    Group = "GROUP" | "СГРУППИРОВАТЬ";
    Having = "HAVING" | "ИМЕЮЩИЕ";
    If = "IF";
    Import = "IMPORT";
    In = "IN";
    Inner = "INNER" | "ВНУТРЕННЕЕ";
    Insert = "INSERT" | "ДОБАВИТЬ";
    Into = "INTO";
    Is = "IS" | "ЕСТЬ";
    Join = "JOIN" | "СОЕДИНЕНИЕ";
    Left = "LEFT" | "ЛЕВОЕ";
    Like = "LIKE";
    MaxDop = "MAXDOP";
    Modify = "MODIFY";
    Next = "NEXT";
    Not = "NOT" | "НЕ";
    Of = "OF";
    Offset = "OFFSET";
    On = "ON" | "ПО";
    Only = "ONLY";
    Or = "OR" | "ИЛИ";
    Order = "ORDER" | "УПОРЯДОЧИТЬ";
    Outer = "OUTER";
    Output = "OUTPUT" | "ВЫВЕСТИ";
    Over = "OVER";
    Print = "PRINT";
    Process = "PROCESS";
    Produce = "PRODUCE";
    Random = "RANDOM";
    Request = "REQUEST";
    Return = "RETURN";
    Revoke = "REVOKE";
    Right = "RIGHT" | "ПРАВОЕ";
    Row = "ROW";
    Rows = "ROWS";
    Select = "SELECT" | "ВЫБРАТЬ";
    Sequence = "SEQUENCE";
    Set = "SET";
    Sleep = "SLEEP";
    Stream = "STREAM";
    Strict = "STRICT";
    Table = "TABLE";
    Temporary = "TEMPORARY";
    Then = "THEN" | "ТОГДА";
    Throw = "THROW";
    Top = "TOP" | "ПЕРВЫЕ";
    Try = "TRY";
    Type = "TYPE";
    Unbounded = "UNBOUNDED";
    Union = "UNION" | "ОБЪЕДИНИТЬ";
    Update = "UPDATE" | "ОБНОВИТЬ";
    Upsert = "UPSERT";
    Use = "USE";
    Values = "VALUES";
    Wait = "WAIT";
    When = "WHEN" | "КОГДА";
    Where = "WHERE" | "ГДЕ";
    While = "WHILE";
    With = "WITH";
}

impl Keyword {
    /// Finds the keyword that `word` would be in upper case.
    pub(crate) fn find_in_any_case(word: &str) -> Option<Self> {
        // No keyword is longer; this keeps hostile words cheap.
        if word.len() > 40 {
            None
        } else {
            Self::find(&word.to_uppercase())
        }
    }

    /// Finds the spelling of a keyword that begins a statement or closes a block and is nearest to `word`.
    pub(crate) fn nearest_at_statement(word: &str) -> Option<(&'static str, Self)> {
        // Short words are near to everything.
        if !(4..=20).contains(&word.chars().count()) {
            return None;
        }
        let candidates = || {
            Self::SPELLINGS
                .iter()
                .filter(|(_, k)| k.starts_statement() || *k == Self::End)
        };
        let found = dajet_core::diagnostic::nearest(word, candidates().map(|(text, _)| *text))?;
        candidates().find(|(text, _)| *text == found).copied()
    }

    /// True if a statement begins with it.
    pub(crate) const fn starts_statement(self) -> bool {
        use Keyword::*;
        matches!(
            self,
            Apply
                | Break
                | Case
                | Consume
                | Continue
                | Create
                | Declare
                | Define
                | Delete
                | Drop
                | Execute
                | For
                | If
                | Import
                | Insert
                | Modify
                | Print
                | Process
                | Produce
                | Request
                | Return
                | Revoke
                | Select
                | Set
                | Sleep
                | Stream
                | Throw
                | Try
                | Update
                | Upsert
                | Use
                | Wait
                | While
        )
    }

    /// True if it ends a list of statements.
    pub(crate) const fn ends_block(self) -> bool {
        matches!(
            self,
            Self::Catch | Self::Else | Self::End | Self::Finally | Self::When
        )
    }

    /// True if it begins a clause inside a statement.
    pub(crate) const fn starts_clause(self) -> bool {
        use Keyword::*;
        matches!(
            self,
            Append
                | Cross
                | Fetch
                | From
                | Full
                | Group
                | Having
                | Inner
                | Into
                | Join
                | Left
                | Offset
                | On
                | Order
                | Output
                | Right
                | Then
                | Union
                | Where
                | With
                | MaxDop
        )
    }

    /// True if it cannot be a name unless `=`, `AS` or `.` says so: it delimits statements, clauses or operands.
    pub(crate) const fn is_reserved(self) -> bool {
        use Keyword::*;
        self.starts_statement()
            || self.ends_block()
            || self.starts_clause()
            || matches!(
                self,
                All | And
                    | Any
                    | As
                    | Asc
                    | Between
                    | By
                    | Desc
                    | Distinct
                    | Exists
                    | In
                    | Is
                    | Like
                    | Not
                    | Or
                    | Outer
                    | Over
                    | Top
            )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_both_languages_in_upper_case_only() {
        assert_eq!(Keyword::find("ВЫБРАТЬ"), Some(Keyword::Select));
        assert_eq!(Keyword::find("SELECT"), Some(Keyword::Select));
        assert_eq!(Keyword::find("Select"), None);
        assert_eq!(Keyword::find_in_any_case("выбрать"), Some(Keyword::Select));
    }

    #[test]
    fn finds_a_misspelled_statement() {
        assert_eq!(
            Keyword::nearest_at_statement("SELCT"),
            Some(("SELECT", Keyword::Select))
        );
        assert_eq!(
            Keyword::nearest_at_statement("ВЫБРТЬ"),
            Some(("ВЫБРАТЬ", Keyword::Select))
        );
        assert_eq!(Keyword::nearest_at_statement("x"), None);
    }
}
