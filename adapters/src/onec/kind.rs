//! The kinds of metadata objects: the words for them, and where their files keep name and identity.

use uuid::Uuid;

/// A kind of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `Перечисление`
    Enumeration,
    /// `ПланОбмена`
    Publication,
    /// `ПланВидовХарактеристик`
    Characteristic,
    /// `Справочник`
    Catalog,
    /// `Документ`
    Document,
    /// `Константа`
    Constant,
    /// `РегистрСведений`
    InformationRegister,
    /// `РегистрНакопления`
    AccumulationRegister,
    /// `ПланСчетов`
    Account,
    /// `РегистрБухгалтерии`
    AccountingRegister,
    /// `Задача`
    Task,
    /// `БизнесПроцесс`
    BusinessProcess,
    /// `ОбщийРеквизит`
    CommonAttribute,
    /// `ОпределяемыйТип`
    DefinedType,
}

/// What is written down of a kind. Paths start at the outermost list of an object's file.
pub(super) struct Facts {
    pub(super) kind: Kind,
    /// Russian, English, and whatever else is accepted.
    pub(super) words: &'static [&'static str],
    /// The class in the lists of the configuration file.
    pub(super) class: Uuid,
    /// The token of the main table in `DBNames`; empty for kinds without tables.
    pub(super) token: &'static str,
    /// The path of the head: uuid, name, synonym.
    pub(super) head: &'static [usize],
    /// The path of the identity of references.
    pub(super) reference: Option<&'static [usize]>,
    /// "Any reference of this kind" in the description of a type.
    pub(super) general: Option<Uuid>,
}

/// "Any reference" in the description of a type.
pub(super) const ANY_REFERENCE: Uuid = id("280f5f0e-9c8a-49cc-bf6d-4d296cc17a63");

/// Parses a uuid that stands in our own text.
pub(super) const fn id(text: &str) -> Uuid {
    match Uuid::try_parse(text) {
        Ok(uuid) => uuid,
        Err(_) => panic!("a constant is no uuid"),
    }
}

macro_rules! kinds {
    ($($kind:ident [$($word:literal),+] $class:literal $token:literal $head:expr, $reference:expr, $general:expr;)+) => {
        /// All kinds, in the order of listings.
        pub(super) const KINDS: [Facts; 14] = [$(Facts {
            kind: Kind::$kind,
            words: &[$($word),+],
            class: id($class),
            token: $token,
            head: &$head,
            reference: $reference,
            general: $general,
        }),+];
    };
}

kinds! {
    Enumeration ["Перечисление", "Enumeration", "Enum"] "f6a80749-5ad7-400b-8519-39dc5dff2542" "Enum"
        [1, 5, 1], Some(&[1, 1]), Some(id("474c3bf6-08b5-4ddc-a2ad-989cedf11583"));
    Publication ["ПланОбмена", "Publication", "ExchangePlan"] "857c4a91-e5f4-4fac-86ec-787626f1c108" "Node"
        [1, 12], Some(&[1, 3]), Some(id("0a52f9de-73ea-4507-81e8-66217bead73a"));
    Characteristic ["ПланВидовХарактеристик", "Characteristic", "ChartOfCharacteristicTypes"]
        "82a1b659-b220-4d94-a9bd-14d757b95a48" "Chrc"
        [1, 13, 1], Some(&[1, 3]), Some(id("99892482-ed55-4fb5-a7f7-20888820a758"));
    Catalog ["Справочник", "Catalog"] "cf4abea6-37b2-11d4-940f-008048da11f9" "Reference"
        [1, 9, 1], Some(&[1, 3]), Some(id("e61ef7b8-f3e1-4f4b-8ac7-676e90524997"));
    Document ["Документ", "Document"] "061d872a-5787-460e-95ac-ed74ea3a3e84" "Document"
        [1, 9, 1], Some(&[1, 3]), Some(id("38bfd075-3e63-4aaa-a93e-94521380d579"));
    Constant ["Константа", "Constant"] "0195e80c-b157-11d4-9435-004095e12fc7" "Const"
        [1, 1, 1, 1], None, None;
    InformationRegister ["РегистрСведений", "InformationRegister"] "13134201-f60b-11d5-a3c7-0050bae0a776" "InfoRg"
        [1, 15, 1], None, None;
    AccumulationRegister ["РегистрНакопления", "AccumulationRegister"] "b64d9a40-1642-11d6-a3c7-0050bae0a776" "AccumRg"
        [1, 13, 1], None, None;
    Account ["ПланСчетов", "Account", "ChartOfAccounts"] "238e7e88-3c5f-48b2-8a3b-81ebbecb20ed" "Acc"
        [1, 15, 1], Some(&[1, 3]), Some(id("ac606d60-0209-4159-8e4c-794bc091ce38"));
    AccountingRegister ["РегистрБухгалтерии", "AccountingRegister"] "2deed9b8-0056-4ffe-a473-c20a6c32a0bc" "AccRg"
        [1, 15, 1], None, None;
    Task ["Задача", "Task"] "3e63355c-1378-4953-be9b-1deb5fb6bec5" "Task"
        [1, 1], Some(&[1, 5]), Some(id("6291e9b3-8df5-44e1-b6b2-d9fe008016c0"));
    BusinessProcess ["БизнесПроцесс", "BusinessProcess"] "fcd3404e-1523-48ce-9bc0-ecdb822684a1" "BPr"
        [1, 1], Some(&[1, 5]), Some(id("214fa4d8-6ba4-4748-a5e1-6332b5887780"));
    CommonAttribute ["ОбщийРеквизит", "CommonAttribute"] "15794563-ccec-41f6-a83c-ec5f7b9a5bc1" "Fld"
        [1, 1, 1, 1], None, None;
    DefinedType ["ОпределяемыйТип", "DefinedType"] "c045099e-13b9-4fb6-9d50-fca00202971e" ""
        [1, 3], Some(&[1, 1]), None;
}

impl Kind {
    pub(super) fn facts(self) -> &'static Facts {
        const _: () = assert!(KINDS.len() == Kind::DefinedType as usize + 1);
        static FACTS: [Facts; KINDS.len()] = KINDS;
        &FACTS[self as usize]
    }

    /// The Russian word.
    pub fn word(self) -> &'static str {
        self.facts().words[0]
    }

    /// True for kinds whose objects can be referred to by a reference with a type code.
    pub fn is_reference(self) -> bool {
        self.facts().general.is_some()
    }

    /// True for kinds that have rows.
    pub fn has_table(self) -> bool {
        !matches!(self, Self::CommonAttribute | Self::DefinedType)
    }

    /// The path of the alias that a chart's values have in descriptions of types.
    pub(super) fn alias(self) -> Option<&'static [usize]> {
        (self == Self::Characteristic).then_some(&[1, 9])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_stand_at_the_place_of_their_kind() {
        for (place, facts) in KINDS.iter().enumerate() {
            assert_eq!(facts.kind as usize, place, "{:?}", facts.kind);
            assert_eq!(facts.kind.facts().class, facts.class);
        }
    }
}
