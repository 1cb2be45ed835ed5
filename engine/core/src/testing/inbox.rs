//! Sources of messages of a world. A message is a row of a table in the database [`DATABASE`]; its columns are its members.
//!
//! Options of `CONSUME`: `BatchSize`; `Acknowledge`, `'tags'` or `'offsets'`; `Claims`, the most that may be open, at most those that
//! the pipeline has permits for; `OffsetTable`, where the target keeps offsets, so that a source begins where it says.
//!
//! Tags: what is delivered is hidden from others until its claim ends, and a claim that is dropped closes the channel, so that no
//! other claim of the channel can be committed. Offsets: nothing is hidden; a new source begins behind the last commit, and a claim
//! that is given back changes nothing for its source.

use std::sync::Arc;
use std::time::Duration;

use crate::Value;
use crate::address::Identity;
use crate::contract::{
    Answer, BoxFuture, BrokerSpec, Claim, Databases, Limit, Read, Service, Source,
};
use crate::error::SystemError;
use crate::offsets::{Advance, Advances, KeptOffset, OffsetTable};
use crate::query::Statement;
use crate::record::{OrderKeys, Record, Records, Shape};

use super::faults::Operation;
use super::state::{Event, OpenClaim, State, not_supported, unknown_table};
use super::{World, lost};

/// The database whose tables hold messages.
pub const DATABASE: &str = "inbox";

/// How long a read waits for a message.
const PATIENCE: Duration = Duration::from_millis(200);
/// How often a reader looks whether a message is still hidden, and how often it looks at most.
const POLL: Duration = Duration::from_millis(5);
const POLLS_MAX: u32 = 12_000;

pub(super) fn open(
    spec: &BrokerSpec,
    databases: Databases<'_>,
) -> Result<Box<dyn Source>, SystemError> {
    let (world, name) = World::find(&spec.address)?;
    let number = |name: &str, default: usize| match option(spec, name) {
        None => Ok(default),
        Some(Value::Integer(number)) => Ok(usize::try_from(*number).unwrap_or(0)),
        Some(other) => Err(wrong(name, other)),
    };
    let by_tags = match option(spec, "Acknowledge") {
        None => true,
        Some(Value::Text(text)) if &**text == "tags" => true,
        Some(Value::Text(text)) if &**text == "offsets" => false,
        Some(other) => return Err(wrong("Acknowledge", other)),
    };
    let batch = number("BatchSize", 10)?;
    let claims = number("Claims", usize::MAX)?.min(spec.permits);
    let keeper = match (option(spec, "OffsetTable"), &spec.target) {
        (None, _) => None,
        (Some(Value::Text(table)), Some(target)) => Some(Keeper {
            service: databases(target)?,
            table: Arc::new(OffsetTable {
                name: table.to_string().into(),
                group: "читатели".into(),
            }),
        }),
        (Some(other), _) => return Err(wrong("OffsetTable", other)),
    };
    let id = {
        let mut state = world.state();
        let id = state.number();
        state.note(Event::Opened {
            source: id,
            permits: spec.permits,
        });
        id
    };
    Ok(Box::new(Inbox {
        world,
        name,
        id,
        by_tags,
        batch,
        claims,
        keeper,
        begun: false,
        position: 0,
    }))
}

fn option<'a>(spec: &'a BrokerSpec, name: &str) -> Option<&'a Value> {
    let found = spec.options.iter().find(|(known, _)| &**known == name);
    found.map(|(_, value)| value)
}

fn wrong(name: &str, value: &Value) -> SystemError {
    let message = format!("option \"{name}\" cannot be {}", value.type_name());
    SystemError::misconfigured("E_OPTION", message)
}

/// Where offsets are kept.
struct Keeper {
    service: Arc<dyn Service>,
    table: Arc<OffsetTable>,
}

struct Inbox {
    world: World,
    name: String,
    id: u64,
    by_tags: bool,
    batch: usize,
    claims: usize,
    keeper: Option<Keeper>,
    /// True once the keeper was asked where to begin.
    begun: bool,
    /// The message that was read last.
    position: u64,
}

/// The answer of an attempt to read.
enum Attempt {
    Taken(Taken),
    Empty {
        complete: bool,
    },
    /// A message is hidden by another channel.
    Hidden,
}

struct Taken {
    records: Records,
    keys: OrderKeys,
    claim: u64,
    last: u64,
}

impl Source for Inbox {
    fn read<'a>(
        &'a mut self,
        limit: Limit,
        _: &'a [Value],
    ) -> BoxFuture<'a, Result<Read, SystemError>> {
        Box::pin(async move {
            let hide = self.world.fate(Operation::Read).await?;
            self.begin().await?;
            let mut waited = limit.wait_for_locked;
            for _ in 0..POLLS_MAX {
                let attempt = self.world.state().try_deliver(self, limit)?;
                match attempt {
                    Attempt::Hidden if limit.wait_for_locked => self.world.sleep(POLL).await,
                    Attempt::Empty { .. } | Attempt::Hidden if !waited => {
                        waited = true;
                        self.world.sleep(PATIENCE).await;
                    }
                    Attempt::Hidden => return Ok(Read::Empty { complete: false }),
                    Attempt::Empty { complete } => {
                        let source = self.id;
                        self.world.state().note(Event::Empty { source, complete });
                        return Ok(Read::Empty { complete });
                    }
                    Attempt::Taken(taken) => {
                        let advances = self.advances(taken.last);
                        self.position = taken.last;
                        let claim = Box::new(Delivered {
                            world: self.world.clone(),
                            id: taken.claim,
                            identity: Identity::new(format!("inbox/{}", self.name)),
                            channel: self.by_tags.then_some(self.id),
                            advances,
                            over: false,
                        });
                        if hide {
                            return Err(lost(Operation::Read));
                        }
                        return Ok(Read::Batch {
                            records: taken.records,
                            keys: taken.keys,
                            claim,
                        });
                    }
                }
            }
            Err(SystemError::transient(
                "E_BROKER",
                "waited too long for a hidden message",
            ))
        })
    }
}

impl Inbox {
    /// Begins where the database says. What it has is not acknowledged, if the fault came in between: that is made good.
    async fn begin(&mut self) -> Result<(), SystemError> {
        let Some(keeper) = self.keeper.as_ref().filter(|_| !self.begun) else {
            return Ok(());
        };
        let beginning = KeptOffset {
            topic: self.name.as_str().into(),
            partition: 0,
            next: 0,
        };
        let beginnings = [beginning];
        let kept = keeper.service.keep_offsets(&keeper.table, &beginnings);
        let kept = kept.await?;
        let mine = kept.iter().find(|one| *one.topic == *self.name);
        self.position = mine.map_or(0, |one| one.next as u64);
        let name = (DATABASE.to_owned(), self.name.clone());
        if let Some(stored) = self.world.state().tables.get_mut(&name) {
            stored.rows.retain(|id, _| *id > self.position);
        }
        self.begun = true;
        Ok(())
    }

    fn advances(&self, last: u64) -> Option<Advances> {
        let keeper = self.keeper.as_ref()?;
        Some(Advances {
            service: Arc::clone(&keeper.service),
            table: Arc::clone(&keeper.table),
            list: vec![Advance {
                topic: self.name.as_str().into(),
                partition: 0,
                began: self.position as i64,
                next: last as i64,
            }],
        })
    }
}

impl State {
    fn try_deliver(&mut self, inbox: &Inbox, limit: Limit) -> Result<Attempt, SystemError> {
        self.sweep();
        let name = (DATABASE.to_owned(), inbox.name.clone());
        let stored = self
            .tables
            .get(&name)
            .ok_or_else(|| unknown_table(&name.1))?;
        let own = |claim: &u64| self.claims[claim].source == Some(inbox.id);
        if self.claims.keys().filter(|claim| own(claim)).count() >= inbox.claims {
            return Ok(Attempt::Empty { complete: false });
        }
        let (mut rows, mut records) = (Vec::new(), Records::default());
        for (id, row) in &stored.rows {
            match row.locked_by {
                _ if !inbox.by_tags && *id <= inbox.position => continue,
                Some(holder) if own(&holder) => continue,
                Some(_) => return Ok(Attempt::Hidden),
                None => {}
            }
            if rows.len() == inbox.batch {
                break;
            }
            rows.push(*id);
            records.rows.push(row.values.clone());
            if records.size() >= limit.bytes {
                break;
            }
        }
        let Some(last) = rows.last().copied() else {
            return Ok(Attempt::Empty { complete: true });
        };
        let columns = stored.table.columns.iter();
        records.shape = Shape::new(columns.map(|column| column.name.clone()));
        Ok(Attempt::Taken(self.deliver(inbox, rows, (records, last))))
    }

    fn deliver(&mut self, inbox: &Inbox, rows: Vec<u64>, (records, last): (Records, u64)) -> Taken {
        let name = (DATABASE.to_owned(), inbox.name.clone());
        let claim = self.number();
        let stored = self.tables.get_mut(&name).filter(|_| inbox.by_tags);
        if let Some(stored) = stored {
            for id in &rows {
                if let Some(row) = stored.rows.get_mut(id) {
                    row.locked_by = Some(claim);
                }
            }
        }
        // A broker of tags names its messages by nothing that lasts.
        let keys = match inbox.by_tags {
            true => OrderKeys::default(),
            false => OrderKeys {
                shape: Shape::new(["Offset"]),
                values: rows.iter().map(|id| Value::Integer(*id as i64)).collect(),
            },
        };
        let mut open = OpenClaim::new(DATABASE, Some(inbox.id));
        open.deleted = rows.into_iter().map(|row| (name.clone(), row)).collect();
        self.claims.insert(claim, open);
        let first = |record: &Record| record.first().cloned().unwrap_or_default();
        self.note(Event::Read {
            source: inbox.id,
            claim,
            rows: records.rows.iter().map(first).collect(),
        });
        Taken {
            records,
            keys,
            claim,
            last,
        }
    }

    /// The claims of a channel that has ended cannot be committed any more.
    fn close_channel(&mut self, channel: u64) {
        let claims = self.claims.values_mut();
        for claim in claims.filter(|claim| claim.source == Some(channel)) {
            claim.poisoned = true;
        }
    }
}

/// The right to acknowledge a batch of messages.
struct Delivered {
    world: World,
    id: u64,
    identity: Identity,
    /// The offset that the batch moves in a database.
    advances: Option<Advances>,
    /// The channel that ends with a claim that is dropped.
    channel: Option<u64>,
    over: bool,
}

impl Delivered {
    async fn end(mut self: Box<Self>, operation: Operation) -> Result<(), SystemError> {
        let hide = self.world.fate(operation).await?;
        let mut state = self.world.state();
        if operation == Operation::Release {
            state.release(self.id);
        } else if !state.commit(self.id) {
            let message = "the channel of the messages has ended";
            return Err(SystemError::transient("E_BROKER", message));
        }
        drop(state);
        self.over = true;
        if hide { Err(lost(operation)) } else { Ok(()) }
    }
}

impl Claim for Delivered {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn execute<'a>(
        &'a mut self,
        _: &'a Arc<Statement>,
        _: &'a [Record],
    ) -> BoxFuture<'a, Result<Answer, SystemError>> {
        Box::pin(async { Err(not_supported("statement at a broker")) })
    }

    fn advances(&self) -> Option<&Advances> {
        self.advances.as_ref()
    }

    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<(), SystemError>> {
        Box::pin(self.end(Operation::CommitSource))
    }

    fn blame(&mut self) {
        self.world.state().blame(self.id);
    }

    fn release(self: Box<Self>) -> BoxFuture<'static, Result<(), SystemError>> {
        Box::pin(self.end(Operation::Release))
    }
}

impl Drop for Delivered {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let mut state = self.world.state();
        if let Some(channel) = self.channel {
            state.close_channel(channel);
        }
        state.drop_claim(self.id);
    }
}
