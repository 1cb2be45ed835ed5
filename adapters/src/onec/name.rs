//! Logical names: `Справочник.Номенклатура.Изменения`, in either language, in any case.

use dajet_core::diagnostic::nearest;
use dajet_core::schema::fold;

use super::kind::{KINDS, Kind};

/// A name that is taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) kind: Kind,
    /// The name of the object, folded.
    pub(super) object: String,
    /// What follows it, folded: a tabular section, one of the fixed words, a value.
    pub(super) part: Option<String>,
}

impl Name {
    /// Takes a name apart; `None` if it does not begin with the word for a kind or has too many parts.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let folded = fold(text);
        let mut words = folded.split('.');
        let kind = kind(words.next()?)?;
        let object = words.next().filter(|word| !word.is_empty())?.to_owned();
        let part = words.next().map(str::to_owned);
        words
            .next()
            .is_none()
            .then_some(Self { kind, object, part })
    }
}

/// A name with the words of 1C in Russian, as metadata tells it: `Справочник.Номенклатура.Изменения` of
/// `Catalog.Номенклатура.Changes`. `None` if it is no logical name of 1C.
pub(crate) fn in_russian(text: &str) -> Option<String> {
    let kind = Name::parse(text)?.kind;
    let mut words = text.split('.').skip(1);
    let mut own = format!("{}.{}", kind.word(), words.next()?);
    if let Some(part) = words.next() {
        own.push('.');
        match Dependent::parse(&fold(part)) {
            Some(dependent) => own.push_str(dependent.word()),
            None => own.push_str(part),
        }
    }
    Some(own)
}

/// A name as metadata would tell it, if the word for its kind is not far from one: `Справочник.Номенклатура` of
/// `Catalogs.Номенклатура`.
pub(crate) fn nearly_in_russian(text: &str) -> Option<String> {
    let (word, rest) = text.split_once('.')?;
    in_russian(&format!("{}.{rest}", near_kind(word)?.word()))
}

/// The kind that a word means, or was probably to mean.
pub(super) fn near_kind(word: &str) -> Option<Kind> {
    kind(&fold(word)).or_else(|| {
        let all = KINDS.iter().flat_map(|facts| facts.words.iter().copied());
        nearest(word, all).and_then(|word| kind(&fold(word)))
    })
}

/// The kind that a folded word means.
pub(super) fn kind(word: &str) -> Option<Kind> {
    KINDS
        .iter()
        .find(|facts| facts.words.iter().any(|known| fold(known) == word))
        .map(|facts| facts.kind)
}

/// The tables of an object besides its own and its sections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dependent {
    Changes,
    SliceLast,
    SliceFirst,
    Totals,
    Settings,
    ExtDimensionValues,
    ExtDimensionTypes,
}

const DEPENDENTS: [(Dependent, &str, &str); 7] = [
    (Dependent::Changes, "Изменения", "Changes"),
    (Dependent::SliceLast, "СрезПоследних", "SliceLast"),
    (Dependent::SliceFirst, "СрезПервых", "SliceFirst"),
    (Dependent::Totals, "Итоги", "Totals"),
    (Dependent::Settings, "Настройки", "Settings"),
    (
        Dependent::ExtDimensionValues,
        "ЗначенияСубконто",
        "ExtDimensionValues",
    ),
    (
        Dependent::ExtDimensionTypes,
        "ВидыСубконто",
        "ExtDimensionTypes",
    ),
];

impl Dependent {
    /// What a folded word means.
    pub(super) fn parse(word: &str) -> Option<Self> {
        DEPENDENTS
            .iter()
            .find(|(_, russian, english)| fold(russian) == word || fold(english) == word)
            .map(|(dependent, ..)| *dependent)
    }

    pub(super) fn all() -> impl Iterator<Item = Self> {
        DEPENDENTS.iter().map(|(dependent, ..)| *dependent)
    }

    /// The Russian word.
    pub(super) fn word(self) -> &'static str {
        DEPENDENTS[self as usize].1
    }

    /// The tokens in `DBNames` that such a table of an object of this kind may have.
    pub(super) fn tokens(self, kind: Kind) -> &'static [&'static str] {
        use Kind::*;
        match (self, kind) {
            (Self::Changes, Catalog) => &["ReferenceChngR"],
            (Self::Changes, Document) => &["DocumentChngR"],
            (Self::Changes, Characteristic) => &["ChrcChngR"],
            (Self::Changes, Account) => &["AccChngR"],
            (Self::Changes, Task) => &["TaskChngR"],
            (Self::Changes, BusinessProcess) => &["BPrChngR"],
            (Self::Changes, InformationRegister) => &["InfoRgChngR"],
            (Self::Changes, AccumulationRegister) => &["AccumRgChngR"],
            (Self::Changes, AccountingRegister) => &["AccRgChngR"],
            (Self::Changes, Constant) => &["ConstChngR"],
            (Self::SliceLast, InformationRegister) => &["InfoRgSL"],
            (Self::SliceFirst, InformationRegister) => &["InfoRgSF"],
            (Self::Settings, InformationRegister) => &["InfoRgOpt"],
            (Self::Settings, AccumulationRegister) => &["AccumRgOpt"],
            (Self::Settings, AccountingRegister) => &["AccRgOpt"],
            (Self::Totals, AccumulationRegister) => &["AccumRgT", "AccumRgTn"],
            (Self::ExtDimensionValues, AccountingRegister) => &["AccRgED"],
            (Self::ExtDimensionTypes, Account) => &["ExtDim"],
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_names_apart_in_either_language() {
        let check = |text: &str, kind, object: &str, part: Option<&str>| {
            let name = Name::parse(text).expect("it is a name");
            assert_eq!(
                (name.kind, &*name.object, name.part.as_deref()),
                (kind, object, part)
            );
        };
        check("СПРАВОЧНИК.Ёлки", Kind::Catalog, "елки", None);
        check("exchangeplan.РИБ", Kind::Publication, "риб", None);
        check(
            "Enum.СтавкиНДС.НДС20",
            Kind::Enumeration,
            "ставкиндс",
            Some("ндс20"),
        );
        check(
            "Catalog.Номенклатура.Changes",
            Kind::Catalog,
            "номенклатура",
            Some("changes"),
        );
        for text in [
            "Номенклатура",
            "Спр.Номенклатура",
            "Справочник.",
            "Справочник.А.Б.В",
        ] {
            assert_eq!(Name::parse(text), None, "{text}");
        }
    }

    #[test]
    fn knows_what_a_wrong_word_for_a_kind_was_to_be() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(nearly_in_russian(text).as_deref(), expected, "{text}");
        };
        check("Справочники.Ёлки", Some("Справочник.Ёлки"));
        check("catalogs.Ёлки", Some("Справочник.Ёлки"));
        check("Catalogue.Ёлки.Changes", Some("Справочник.Ёлки.Изменения"));
        check("РегистрСведения.Цены", Some("РегистрСведений.Цены"));
        check(
            "Перечисления.Ставки.НДС10",
            Some("Перечисление.Ставки.НДС10"),
        );
        check("public.orders", None);
        check("Справочники", None);
    }

    #[test]
    fn knows_fixed_words() {
        for dependent in Dependent::all() {
            assert_eq!(Dependent::parse(&fold(dependent.word())), Some(dependent));
        }
        assert_eq!(Dependent::parse("slicelast"), Some(Dependent::SliceLast));
    }
}
