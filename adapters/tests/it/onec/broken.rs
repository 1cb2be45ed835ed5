//! Broken and hostile metadata: an error that names the file, never a panic, and whatever is not broken is still known.

use std::io::{Read, Write};

use dajet_adapters::onec::Metadata;
use dajet_adapters::testing::infobase::{Infobase, bomb};
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use proptest::prelude::*;

use super::memory::{Memory, expected, read};

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    match bytes.strip_prefix(b"\xef\xbb\xbf") {
        Some(_) => text.extend(bytes),
        None => drop(DeflateDecoder::new(bytes).read_to_end(&mut text)),
    }
    text
}

/// The ways to break any file.
fn ways(sound: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut flipped = sound.to_vec();
    flipped[sound.len() / 2] ^= 0x10;
    vec![
        ("cut", sound[..sound.len() / 2].to_vec()),
        ("cut at its end", sound[..sound.len() - 1].to_vec()),
        ("flipped", flipped),
        ("empty", Vec::new()),
        ("only a mark", b"\xef\xbb\xbf".to_vec()),
        ("no text", packed(b"\xef\xbb\xbf{1,\xff}")),
        ("deep", packed("{".repeat(100_000).as_bytes())),
        ("another file", packed("\u{feff}{1,{2,3},0}".as_bytes())),
        ("a zlib stream", [&b"\x78\x9c"[..], sound].concat()),
    ]
}

#[tokio::test]
async fn a_file_that_everything_needs_is_named_when_it_is_broken() {
    let infobase = Infobase::new(1);
    let sound = Memory::of(&infobase);
    for file in ["root", "DBNames", &infobase.configuration_file()] {
        let bytes = sound.clone().file(file).clone();
        for (way, bytes) in ways(&bytes) {
            let mut store = sound.clone();
            *store.file(file) = bytes;
            match Metadata::open(&mut store).await {
                Err(error) => {
                    let told = format!("{:?} {error}", error.file()).to_lowercase();
                    assert!(told.contains(&file.to_lowercase()), "{file}, {way}: {told}");
                }
                // What is broken may still be text, for nothing is summed up.
                Ok(_) => assert!(["flipped", "another file"].contains(&way), "{file}, {way}"),
            }
        }
        let mut store = sound.clone();
        store.remove(file);
        let error = Metadata::open(&mut store).await.expect_err("it is missing");
        assert!(error.to_string().contains(file), "{error}");
    }
}

#[tokio::test]
async fn a_broken_object_is_absent_and_the_others_are_there() {
    let infobase = Infobase::new(1);
    let sound = Memory::of(&infobase);
    // Types, owners and registers of others refer to these.
    let objects = [
        "Справочник.Контрагенты",
        "Документ.ЗаказПокупателя",
        "ОпределяемыйТип.ВладелецСвойств",
        "ПланВидовХарактеристик.ДополнительныеСвойства",
        "РегистрСведений.ЦеныНоменклатуры",
        "Перечисление.СтавкиНДС",
        "ОбщийРеквизит.ОбластьДанных",
    ];
    let untouched: Vec<String> = expected(&infobase)
        .into_iter()
        .filter(|line| line.starts_with("РегистрСведений.ИсходящиеСообщения."))
        .collect();
    for object in objects {
        let file = infobase.file_of(object);
        let mut ways = ways(sound.clone().file(&file));
        ways.push(("missing", Vec::new()));
        for (way, bytes) in ways {
            let mut store = sound.clone();
            match way {
                "missing" => store.remove(&file),
                _ => *store.file(&file) = bytes,
            }
            let read = read(&mut store)
                .await
                .expect("an object is no reason to stop");
            let there = untouched.iter().all(|line| read.contains(line));
            assert!(there, "{object}, {way}");
            let own = format!("{object}.");
            let known = read.iter().any(|line| line.starts_with(&own));
            assert!(
                !known || ["flipped", "cut", "cut at its end"].contains(&way),
                "{object}, {way}"
            );
        }
    }
}

#[tokio::test]
async fn a_type_that_nothing_is_is_told() {
    let infobase = Infobase::new(1);
    let mut store = Memory::of(&infobase);
    let file = infobase.file_of("Справочник.Номенклатура");
    let stored = store.file(&file);
    let text = String::from_utf8(unpacked(stored)).expect("a text");
    let mark = "{\"Pattern\",{\"#\",";
    let compact: String = text
        .split_inclusive(',')
        .map(|part| part.trim_start())
        .collect();
    let place = compact.find(mark).expect("an attribute is a reference") + mark.len();
    let strange = "11111111-2222-3333-4444-555555555555";
    let mut changed = compact.clone();
    changed.replace_range(place..place + strange.len(), strange);
    *stored = packed(changed.as_bytes());
    let mut metadata = Metadata::open(&mut store).await.expect("it is sound");
    let table = metadata.table(&mut store, "Справочник.Номенклатура").await;
    let table = table.expect("it is sound").expect("it is there");
    let warnings: Vec<String> = table.warnings().collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains(strange) && warnings[0].contains("property \""),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn a_bomb_does_not_go_off() {
    let infobase = Infobase::new(1);
    let mut store = Memory::of(&infobase);
    let bomb = bomb(b' ', 1024);
    assert!(bomb.len() < 2 << 20, "a small file");
    *store.file(&infobase.file_of("Справочник.Контрагенты")) = bomb.clone();
    let mut metadata = Metadata::open(&mut store)
        .await
        .expect("an object is no reason to stop");
    let table = metadata.table(&mut store, "Справочник.Контрагенты").await;
    assert!(table.expect("an object is no reason to stop").is_none());
    *store.file("DBNames") = bomb;
    let error = Metadata::open(&mut store)
        .await
        .expect_err("it is too large");
    assert!(error.to_string().contains("DBNames"), "{error}");
}

/// How a file is spoilt.
#[derive(Clone, Debug)]
enum Damage {
    /// Stored bytes are replaced from a place on.
    Stored(prop::sample::Index, Vec<u8>),
    /// The stored bytes end here.
    Cut(prop::sample::Index),
    /// Bytes of the text are replaced, which is stored soundly.
    Text(prop::sample::Index, String),
    /// Bytes of the text are missing.
    Hole(prop::sample::Index, usize),
}

impl Damage {
    fn done(&self, stored: &[u8]) -> Vec<u8> {
        let replaced = |bytes: &[u8], at: &prop::sample::Index, by: &[u8]| {
            let at = at.index(bytes.len().max(1)).min(bytes.len());
            let end = (at + by.len()).min(bytes.len());
            [&bytes[..at], by, &bytes[end..]].concat()
        };
        match self {
            Damage::Stored(at, by) => replaced(stored, at, by),
            Damage::Cut(at) => stored[..at.index(stored.len().max(1)).min(stored.len())].to_vec(),
            Damage::Text(at, by) => packed(&replaced(&unpacked(stored), at, by.as_bytes())),
            Damage::Hole(at, length) => {
                let text = unpacked(stored);
                let at = at.index(text.len().max(1)).min(text.len());
                let end = (at + length).min(text.len());
                packed(&[&text[..at], &text[end..]].concat())
            }
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        (at(), prop::collection::vec(any::<u8>(), 1..8))
            .prop_map(|(at, by)| Damage::Stored(at, by)),
        at().prop_map(Damage::Cut),
        (at(), "[{},\"0-9#a-zА-я]{1,12}").prop_map(|(at, by)| Damage::Text(at, by)),
        (at(), 1..200_usize).prop_map(|(at, length)| Damage::Hole(at, length)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_damage_makes_the_reader_panic(
        damages in prop::collection::vec((any::<prop::sample::Index>(), damage()), 1..4),
    ) {
        let mut store = Memory::of(&Infobase::new(1));
        let names: Vec<String> = store.config.keys().chain(store.params.keys()).cloned().collect();
        for (file, damage) in &damages {
            let file = store.file(&names[file.index(names.len())]);
            *file = damage.done(file);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        // An error is as good an answer as lines.
        if let Err(error) = runtime.block_on(read(&mut store)) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
