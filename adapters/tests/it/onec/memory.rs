//! The service tables of an infobase, in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use dajet_adapters::onec::{Metadata, MetadataError, Place, Store};
use dajet_adapters::testing::infobase::{Infobase, StoredFile};
use dajet_core::schema::MappingLine;
use dajet_core::{BoxFuture, SystemError};

/// Files by their names in small letters.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    pub(super) config: BTreeMap<String, Vec<u8>>,
    pub(super) params: BTreeMap<String, Vec<u8>>,
    /// Files of `Config` that were read with all their bytes.
    pub(super) whole: usize,
}

fn joined(files: Vec<StoredFile>) -> BTreeMap<String, Vec<u8>> {
    let file = |file: StoredFile| (file.name.to_lowercase(), file.parts.concat());
    files.into_iter().map(file).collect()
}

impl Memory {
    pub(super) fn of(infobase: &Infobase) -> Self {
        Self {
            config: joined(infobase.config()),
            params: joined(infobase.params()),
            whole: 0,
        }
    }

    /// A file, for a test to spoil.
    pub(super) fn file(&mut self, name: &str) -> &mut Vec<u8> {
        let name = name.to_lowercase();
        let files = match self.params.contains_key(&name) {
            true => &mut self.params,
            false => &mut self.config,
        };
        files.entry(name).or_default()
    }

    pub(super) fn remove(&mut self, name: &str) {
        let name = name.to_lowercase();
        self.config.remove(&name);
        self.params.remove(&name);
    }
}

impl Store for Memory {
    fn read<'a>(
        &'a mut self,
        place: Place,
        names: &'a [Arc<str>],
        most: usize,
    ) -> BoxFuture<'a, Result<Vec<(Arc<str>, Vec<u8>)>, SystemError>> {
        let files = match place {
            Place::Config => &self.config,
            Place::Params => &self.params,
        };
        let file = |name: &Arc<str>| {
            let bytes = files.get(&name.to_lowercase())?;
            Some((Arc::clone(name), bytes[..bytes.len().min(most)].to_vec()))
        };
        let found: Vec<_> = names.iter().filter_map(file).collect();
        if place == Place::Config && most > 1 << 20 {
            self.whole += found.len();
        }
        Box::pin(async { Ok(found) })
    }

    fn version(&mut self) -> BoxFuture<'_, Result<String, SystemError>> {
        Box::pin(async { Ok("1".to_owned()) })
    }

    fn year_offset(&mut self) -> BoxFuture<'_, Result<i16, SystemError>> {
        Box::pin(async { Ok(0) })
    }

    fn extensions(&mut self) -> BoxFuture<'_, Result<u64, SystemError>> {
        Box::pin(async { Ok(0) })
    }
}

/// All that the metadata says, in the form of a mapping file, sorted.
pub(super) async fn read(store: &mut Memory) -> Result<Vec<String>, MetadataError> {
    let mut metadata = Metadata::open(store).await?;
    let mut lines: Vec<MappingLine> = Vec::new();
    for name in metadata.names(store).await? {
        match metadata.table(store, &name).await? {
            Some(table) => lines.extend(table.lines()),
            None => lines.extend(metadata.value_line(store, &name).await?),
        }
    }
    let text = |line: MappingLine| {
        let MappingLine {
            name,
            table,
            columns,
            server_types,
            types,
            code,
        } = line;
        [name, table, columns, server_types, types, code.to_string()].join("\t")
    };
    let mut lines: Vec<String> = lines.into_iter().map(text).collect();
    lines.sort();
    Ok(lines)
}

/// What it must say.
pub(super) fn expected(infobase: &Infobase) -> Vec<String> {
    let mapping = infobase.mapping();
    let mut lines: Vec<String> = mapping.lines().skip(1).map(str::to_owned).collect();
    lines.sort();
    lines
}
