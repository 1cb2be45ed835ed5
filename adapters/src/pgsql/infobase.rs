//! The service tables of a 1C infobase in PostgreSQL.

use std::sync::Arc;

use dajet_core::value::Entity;
use dajet_core::{BoxFuture, SystemError};
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::dialect::quoted;
use super::failure::{CODE, NO_RIGHT};
use super::relations::{ATTEMPT, Details, Relation, details, find, get};
use super::session::Session;
use crate::onec::{Place, Store, StoredFile};

/// Years that can be added to the empty date, which is of year 1.
const YEARS: std::ops::RangeInclusive<i16> = 0..=9_998;
const RIGHTS: &str = "Grant SELECT on config, params and _yearoffset, and on the tables of data that scripts name, \
                      to the user of the address.";

/// Where the service tables are and what forms they have.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    config: Files,
    params: Files,
    /// Table and column of the year offset.
    year_offset: Option<(String, String)>,
    extensions: Option<String>,
}

/// A table of files.
#[derive(Clone, Debug)]
struct Files {
    table: String,
    /// The type of its names: `mvarchar` compares without case by itself, and an index serves it only in its own type.
    name_type: String,
    has_parts: bool,
    /// Rows of a table tell who wrote them; those of a view do not.
    is_table: bool,
}

impl Layout {
    /// Looks for the service tables; `None` if the database is no infobase.
    ///
    /// # Errors
    /// `Transient` if the database does not answer, `Misconfigured` if only one of two tables is there.
    pub(super) async fn find(
        session: &mut Session,
        relations: &[Relation],
    ) -> Result<Option<Self>, SystemError> {
        let (config, params) = (find(relations, "config"), find(relations, "params"));
        let oids: Vec<_> = [config, params]
            .into_iter()
            .flatten()
            .map(|found| found.oid)
            .collect();
        if oids.is_empty() {
            return Ok(None);
        }
        let extensions = find(relations, "_extensionsinfo");
        let details = details(session, &oids).await?;
        let files = |relation: Option<&Relation>| files(relation?, &details);
        let (config, params) = match (files(config), files(params)) {
            (Some(config), Some(params)) => (config, params),
            (None, None) => return Ok(None),
            (Some(_), None) => return Err(missing("params")),
            (None, Some(_)) => return Err(missing("config")),
        };
        let year_offset = offset(session, find(relations, "_yearoffset")).await?;
        Ok(Some(Self {
            config,
            params,
            year_offset,
            extensions: extensions.map(table),
        }))
    }
}

impl Layout {
    /// Asks who wrote the rows that every update writes: any change of them changes the answer.
    pub(super) fn sign(&self) -> String {
        let Files {
            table, name_type, ..
        } = &self.config;
        let names = ["root", "version", "versions"]
            .map(|name| format!("'{name}'::varchar::{name_type}"))
            .join(", ");
        let params = &self.params.table;
        let sign = |files: &Files| match files.is_table {
            true => "format('%s:%s:%s', tableoid, ctid, xmin)",
            false => "format('%s:%s', filename, md5(binarydata))",
        };
        let (of_params, of_config) = (sign(&self.params), sign(&self.config));
        format!(
            "SELECT string_agg(s.sign, ' ' ORDER BY s.sign) FROM (\
             SELECT {of_params} AS sign FROM {params} \
             WHERE lower(filename::varchar) IN ('dbnames', 'dbnamesversion', 'dbnamesversion-dbnames') UNION ALL \
             SELECT {of_config} FROM {table} \
             WHERE filename IN ({names})) AS s"
        )
    }
}

/// Tells whether the configuration is still the one that a table was derived from.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    pub(super) sql: Arc<str>,
    pub(super) version: Arc<str>,
}

impl Watch {
    /// Looks, in one round trip, within the transaction that has read.
    ///
    /// # Errors
    /// `Transient` if the configuration has changed, or the database does not answer.
    pub(super) async fn check(
        &self,
        session: &mut Session,
        attempted: &str,
    ) -> Result<(), SystemError> {
        let client = session.client();
        let answer = session.run(ATTEMPT, client.simple_query(&self.sql)).await?;
        let sign = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        if sign.unwrap_or_default() == &*self.version {
            return Ok(());
        }
        let message = format!("{attempted}: the configuration of the infobase was updated");
        let hint = "Nothing was taken. The script is bound anew, by the new configuration.";
        Err(SystemError::transient(CODE, message).with_hint(hint))
    }
}

/// One of the two tables of metadata is there, and this one is not.
fn missing(table: &str) -> SystemError {
    let message = format!("1C metadata: table \"{table}\" is missing or is no table of files");
    SystemError::misconfigured(CODE, message)
        .with_hint("Restore the table; names of 1C are unknown without it.")
}

fn table(relation: &Relation) -> String {
    let parts = relation.physical();
    let quoted: Vec<String> = parts.iter().map(|part| quoted(part)).collect();
    quoted.join(".")
}

fn files(relation: &Relation, details: &Details) -> Option<Files> {
    let columns = details.columns.get(&relation.oid)?;
    let column = |name: &str| columns.iter().find(|(column, _)| &*column.name == name);
    column("binarydata")?;
    let (name, _) = column("filename")?;
    let name_type = name.type_name.split('(').next().unwrap_or_default().trim();
    Some(Files {
        table: table(relation),
        name_type: name_type.to_owned(),
        has_parts: column("partno").is_some(),
        is_table: relation.is_table,
    })
}

/// The store of an infobase over a session.
pub(super) struct PgStore<'a> {
    session: &'a mut Session,
    layout: &'a Layout,
}

impl<'a> PgStore<'a> {
    pub(super) fn new(session: &'a mut Session, layout: &'a Layout) -> Self {
        Self { session, layout }
    }
}

/// The references of the rows that a predefined item has, at most two of them.
pub(super) async fn predefined(
    session: &mut Session,
    table: &str,
    item: Entity,
) -> Result<Vec<Entity>, SystemError> {
    let table = quoted(&table.to_lowercase());
    let sql = format!("SELECT _idrref FROM {table} WHERE _predefinedid = $1 LIMIT 2");
    let rows = query(session, &sql, &[&item.uuid.to_bytes_le().as_slice()]).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let bytes: Vec<u8> = get(row, 0)?;
        found.extend(<[u8; 16]>::try_from(bytes).ok().map(|bytes| Entity {
            code: item.code,
            uuid: Uuid::from_bytes_le(bytes),
        }));
    }
    Ok(found)
}

/// The years that are added to the dates of a database, which may have the tables of an infobase without its metadata.
pub(super) async fn years(
    session: &mut Session,
    relations: &[Relation],
) -> Result<i16, SystemError> {
    match offset(session, find(relations, "_yearoffset")).await? {
        Some(offset) => offset_years(session, &offset).await,
        None => Ok(0),
    }
}

/// Table and column of the year offset.
async fn offset(
    session: &mut Session,
    relation: Option<&Relation>,
) -> Result<Option<(String, String)>, SystemError> {
    let Some(relation) = relation else {
        return Ok(None);
    };
    let details = details(session, &[relation.oid]).await?;
    let columns = details
        .columns
        .get(&relation.oid)
        .map_or(&[][..], |columns| columns);
    let mut columns = columns.iter();
    let found = columns.find(|(column, _)| matches!(&*column.name, "ofset" | "offset"));
    Ok(found.map(|(column, _)| (table(relation), quoted(&column.name))))
}

async fn offset_years(
    session: &mut Session,
    (table, column): &(String, String),
) -> Result<i16, SystemError> {
    let sql = format!("SELECT left({column}::text, 40) FROM {table} LIMIT 1");
    let rows = query(session, &sql, &[]).await?;
    let told: Option<String> = rows.first().map(|row| get(row, 0)).transpose()?.flatten();
    let Some(told) = told else {
        return Ok(0);
    };
    let whole = match told.split_once('.') {
        Some((whole, rest)) if rest.bytes().all(|digit| digit == b'0') => whole,
        _ => &told,
    };
    let years = whole.parse().ok().filter(|years| YEARS.contains(years));
    years.ok_or_else(|| {
        let (first, last) = (YEARS.start(), YEARS.end());
        let message = format!(
            "table \"_YearOffset\" of the infobase holds \"{told}\", not a number of years from {first} to {last}"
        );
        let hint = "It says how many years are added to every date that is stored: 0 or 2000.";
        SystemError::misconfigured(CODE, message).with_hint(hint)
    })
}

async fn query(
    session: &mut Session,
    sql: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<tokio_postgres::Row>, SystemError> {
    let client = session.client();
    let rows = session.run(ATTEMPT, client.query(sql, parameters)).await;
    rows.map_err(|error| match error.native_code.as_deref() {
        Some(NO_RIGHT) => error.with_hint(RIGHTS),
        _ => error,
    })
}

impl Store for PgStore<'_> {
    fn read<'a>(
        &'a mut self,
        place: Place,
        names: &'a [Arc<str>],
        most: usize,
    ) -> BoxFuture<'a, Result<Vec<StoredFile>, SystemError>> {
        Box::pin(async move {
            let most = i32::try_from(most).unwrap_or(i32::MAX);
            let sql = match place {
                Place::Config => reading(&self.layout.config, true),
                Place::Params => reading(&self.layout.params, false),
            };
            let wanted: Vec<&str> = names.iter().map(|name| &**name).collect();
            let rows = query(self.session, &sql, &[&wanted, &most]).await?;
            let most = usize::try_from(most).unwrap_or_default();
            let mut files: Vec<StoredFile> = Vec::with_capacity(names.len());
            for row in &rows {
                let (number, bytes): (i64, Option<&[u8]>) = (get(row, 0)?, get(row, 1)?);
                let place = usize::try_from(number - 1).unwrap_or(usize::MAX);
                let (Some(name), Some(bytes)) = (names.get(place), bytes) else {
                    continue;
                };
                // parts follow one another
                let same = |file: &&mut StoredFile| Arc::ptr_eq(&file.0, name);
                match files.last_mut().filter(same) {
                    Some((_, stored)) => {
                        let room = most.saturating_sub(stored.len()).min(bytes.len());
                        stored.extend_from_slice(&bytes[..room]);
                    }
                    None => files.push((Arc::clone(name), bytes.to_vec())),
                }
            }
            Ok(files)
        })
    }

    fn version(&mut self) -> BoxFuture<'_, Result<String, SystemError>> {
        Box::pin(async move {
            let rows = query(self.session, &self.layout.sign(), &[]).await?;
            let sign: Option<String> = rows.first().map(|row| get(row, 0)).transpose()?.flatten();
            Ok(sign.unwrap_or_default())
        })
    }

    fn year_offset(&mut self) -> BoxFuture<'_, Result<i16, SystemError>> {
        Box::pin(async move {
            match &self.layout.year_offset {
                Some(offset) => offset_years(self.session, offset).await,
                None => Ok(0),
            }
        })
    }

    fn extensions(&mut self) -> BoxFuture<'_, Result<u64, SystemError>> {
        Box::pin(async move {
            let Some(table) = &self.layout.extensions else {
                return Ok(0);
            };
            let sql = format!("SELECT count(*) FROM {table}");
            let rows = query(self.session, &sql, &[]).await?;
            let count: Option<i64> = rows.first().map(|row| get(row, 0)).transpose()?;
            Ok(count
                .and_then(|count| u64::try_from(count).ok())
                .unwrap_or(0))
        })
    }
}

/// Names of `Config` are in small letters; so an index serves them.
fn reading(files: &Files, is_lower: bool) -> String {
    let Files {
        table,
        name_type,
        has_parts,
        ..
    } = files;
    let same = match is_lower {
        true => format!("f.filename = n.name::varchar::{name_type}"),
        false => "lower(f.filename::varchar) = lower(n.name)".to_owned(),
    };
    let part = if *has_parts { ", f.partno" } else { "" };
    format!(
        "SELECT n.number, substring(f.binarydata FROM 1 FOR $2) \
         FROM unnest($1::text[]) WITH ORDINALITY AS n(name, number) JOIN {table} AS f ON {same} \
         ORDER BY n.number{part}"
    )
}
