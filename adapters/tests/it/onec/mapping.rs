//! Every table, column and value of an infobase comes out of its metadata alone.

use dajet_adapters::onec::Metadata;
use dajet_adapters::testing::infobase::Infobase;

use super::memory::{Memory, expected, read};
use crate::told::Told;

#[tokio::test]
async fn every_property_is_resolved_whatever_its_number() {
    for seed in 1..=3 {
        let infobase = Infobase::new(seed);
        let store = &mut Memory::of(&infobase);
        let read = read(store).await.expect("the metadata is sound");
        let expected = expected(&infobase);
        let missing: Vec<_> = expected
            .iter()
            .filter(|line| !read.contains(line))
            .collect();
        // Columns that may be there or not are derived too: the real ones decide, as the tests with a database show.
        assert_eq!(missing, Vec::<&String>::new(), "seed {seed}");
    }
}

#[tokio::test]
async fn a_sound_infobase_loses_nothing_and_nothing_is_told() {
    for seed in 1..=12 {
        let infobase = Infobase::new(seed);
        let store = &mut Memory::of(&infobase);
        let told = Told::begin();
        let mut metadata = Metadata::open(store).await.expect("the metadata is sound");
        for name in metadata.names(store).await.expect("the metadata is sound") {
            let table = metadata.table(store, &name).await;
            let Some(table) = table.expect("the metadata is sound") else {
                let value = metadata.value(store, &name).await;
                assert!(value.is_ok_and(|value| value.is_some()), "{seed}: {name}");
                continue;
            };
            let warnings: Vec<String> = table.warnings().collect();
            assert_eq!(warnings, Vec::<String>::new(), "{seed}: {name}");
            assert_eq!(metadata.reason(&name), None, "{seed}: {name}");
        }
        assert_eq!(told.of(""), Vec::<String>::new(), "{seed}");
    }
}

#[tokio::test]
async fn records_of_accounts_hold_their_analytics_from_8_3_15_on() {
    for (mode, holds) in [(80_310, false), (80_315, true)] {
        let infobase = Infobase::new(6).with_mode(mode);
        let store = &mut Memory::of(&infobase);
        let read = read(store).await.expect("the metadata is sound");
        let expected = expected(&infobase);
        assert!(expected.iter().all(|line| read.contains(line)), "{mode}");
        let held = |side: &str| {
            let property = format!("РегистрБухгалтерии.{side}\t");
            read.iter().any(|line| line.starts_with(&property))
        };
        for property in [
            "Хозрасчётный.ValueDt3",
            "Хозрасчётный.KindCt1",
            "Налоговый.Value2",
        ] {
            assert_eq!(held(property), holds, "{mode}: {property}");
        }
    }
}

#[tokio::test]
async fn only_what_is_asked_for_is_read_as_a_whole() {
    let infobase = Infobase::with_catalogs(5, 2_000);
    let store = &mut Memory::of(&infobase);
    let mut metadata = Metadata::open(store).await.expect("the metadata is sound");
    let table = metadata
        .table(store, "Справочник.Дополнительный01234")
        .await;
    let table = table
        .expect("the metadata is sound")
        .expect("the catalog is there");
    assert_eq!(table.code, infobase.code("Справочник.Дополнительный01234"));
    assert!(store.whole < 20, "{} files were read", store.whole);
}

/// Names as they may be asked for, and as they are.
const NAMES: [(&str, &str); 13] = [
    (
        "Catalog.Номенклатура.Changes",
        "Справочник.Номенклатура.Изменения",
    ),
    (
        "справочник.НОМЕНКЛАТУРА.штрихкоды",
        "Справочник.Номенклатура.Штрихкоды",
    ),
    (
        "InformationRegister.ЦеныНоменклатуры.SliceLast",
        "РегистрСведений.ЦеныНоменклатуры.СрезПоследних",
    ),
    (
        "Справочник.ПрисоединенныеФайлы",
        "Справочник.ПрисоединённыеФайлы",
    ),
    (
        "ChartOfCharacteristicTypes.ДополнительныеСвойства",
        "ПланВидовХарактеристик.ДополнительныеСвойства",
    ),
    ("Publication.ПланОбменаРИБ", "ПланОбмена.ПланОбменаРИБ"),
    ("ChartOfAccounts.Хозрасчетный", "ПланСчетов.Хозрасчётный"),
    (
        "Account.Хозрасчётный.ExtDimensionTypes",
        "ПланСчетов.Хозрасчётный.ВидыСубконто",
    ),
    (
        "AccountingRegister.Налоговый.ExtDimensionValues",
        "РегистрБухгалтерии.Налоговый.ЗначенияСубконто",
    ),
    (
        "AccountingRegister.Хозрасчётный.Settings",
        "РегистрБухгалтерии.Хозрасчётный.Настройки",
    ),
    ("task.поручение", "Задача.Поручение"),
    (
        "BusinessProcess.Согласование.Участники",
        "БизнесПроцесс.Согласование.Участники",
    ),
    (
        "Справочник.Номенклатура.Настройки",
        "Справочник.Номенклатура.Настройки",
    ),
];

#[tokio::test]
async fn names_are_found_in_either_language_and_in_any_letters() {
    let infobase = Infobase::new(4);
    let store = &mut Memory::of(&infobase);
    let mut metadata = Metadata::open(store).await.expect("the metadata is sound");
    assert_eq!(metadata.mode(), 80_320);
    for (asked, name) in NAMES {
        let table = metadata
            .table(store, asked)
            .await
            .expect("the metadata is sound");
        assert_eq!(
            table.map(|table| table.name).as_deref(),
            Some(name),
            "{asked}"
        );
    }
    for unknown in [
        "Справочник.Номенклатуры",
        "Документ",
        "Справочник.Номенклатура.Остатки",
        "Отчёт.Продажи",
    ] {
        let table = metadata
            .table(store, unknown)
            .await
            .expect("the metadata is sound");
        assert!(table.is_none(), "{unknown}");
    }
    let near = metadata.nearest("Справочник.Номенклатуры");
    assert_eq!(near.as_deref(), Some("Справочник.Номенклатура"));
}
