//! Databases of a world: service, source and claim.

use std::sync::Arc;
use std::time::Duration;

use crate::Value;
use crate::address::{Address, Identity};
use crate::contract::{Answer, BoxFuture, Claim, Limit, Read, Runs, Service, Source, SourceSpec};
use crate::error::SystemError;
use crate::offsets::{Advance, KeptOffset, OffsetTable};
use crate::query::{Body, Statement};
use crate::record::{Record, Shape};
use crate::schema::Schema;

use super::faults::Operation;
use super::reading::{Attempt, Reading};
use super::state::{Event, not_supported};
use super::{World, lost};

/// How often a reader looks whether a row is still locked, and how often it looks at most.
const LOCK_POLL: Duration = Duration::from_millis(5);
const LOCK_POLLS_MAX: u32 = 12_000;

pub(super) fn open(address: &Address) -> Result<Arc<dyn Service>, SystemError> {
    let (world, name) = World::find(address)?;
    // The world's number differs from run to run and would make traces differ.
    let identity = Identity::new(format!("memory/{name}"));
    Ok(Arc::new(Database {
        world,
        name,
        identity,
    }))
}

struct Database {
    world: World,
    name: String,
    identity: Identity,
}

impl Database {
    fn claim(&self, id: u64) -> Box<dyn Claim> {
        let identity = self.identity.clone();
        Box::new(Transaction {
            world: self.world.clone(),
            id,
            identity,
            busy: false,
            over: false,
        })
    }
}

impl Service for Database {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn describe<'a>(
        &'a self,
        tables: &'a [Arc<str>],
    ) -> BoxFuture<'a, Result<Schema, SystemError>> {
        Box::pin(async move {
            if self.world.fate(Operation::Describe).await? {
                return Err(lost(Operation::Describe));
            }
            let state = self.world.state();
            let find = |name: &Arc<str>| (name.clone(), state.table(&self.name, name).cloned());
            Ok(Schema {
                tables: tables.iter().map(find).collect(),
                suggestions: Vec::new(),
                reasons: Vec::new(),
                values: Vec::new(),
            })
        })
    }

    fn forget(&self) {}

    fn execute<'a>(
        &'a self,
        statement: &'a Arc<Statement>,
        parameters: &'a [Record],
    ) -> BoxFuture<'a, Result<Answer, SystemError>> {
        Box::pin(async move {
            let hide = self.world.fate(Operation::Execute).await?;
            let groups = self
                .world
                .state()
                .execute(&self.name, None, (statement, parameters))?;
            if hide {
                Err(lost(Operation::Execute))
            } else {
                Ok(answer(statement, groups))
            }
        })
    }

    fn begin(&self) -> BoxFuture<'_, Result<Box<dyn Claim>, SystemError>> {
        Box::pin(async move {
            let hide = self.world.fate(Operation::Begin).await?;
            let id = self.world.state().begin(&self.name);
            let claim = self.claim(id);
            if hide {
                Err(lost(Operation::Begin))
            } else {
                Ok(claim)
            }
        })
    }

    fn source(&self, spec: SourceSpec) -> Result<Box<dyn Source>, SystemError> {
        let mut state = self.world.state();
        let id = state.number();
        state.note(Event::Opened {
            source: id,
            permits: spec.permits,
        });
        drop(state);
        let database = Database {
            world: self.world.clone(),
            name: self.name.clone(),
            identity: self.identity.clone(),
        };
        Ok(Box::new(Queue {
            database,
            id,
            statement: spec.statement,
        }))
    }

    fn keep_offsets<'a>(
        &'a self,
        table: &'a OffsetTable,
        beginnings: &'a [KeptOffset],
    ) -> BoxFuture<'a, Result<Vec<KeptOffset>, SystemError>> {
        Box::pin(async move {
            let hide = self.world.fate(Operation::Execute).await?;
            let kept = self.world.state().keep(&self.name, table, beginnings);
            if hide {
                Err(lost(Operation::Execute))
            } else {
                Ok(kept)
            }
        })
    }

    fn text(&self, statement: &Statement, _: Runs) -> Result<String, SystemError> {
        Ok(statement.attempted())
    }
}

fn answer(statement: &Statement, groups: Vec<Vec<Record>>) -> Answer {
    let shape = match &statement.body {
        Body::Select(select) => Shape::new(select.columns.iter().map(|c| c.name.clone())),
        Body::Insert(_) | Body::Drain(_) | Body::Sequence(_) => Arc::default(),
    };
    Answer { shape, groups }
}

struct Queue {
    database: Database,
    id: u64,
    statement: Arc<Statement>,
}

impl Source for Queue {
    fn read<'a>(
        &'a mut self,
        limit: Limit,
        parameters: &'a [Value],
    ) -> BoxFuture<'a, Result<Read, SystemError>> {
        Box::pin(async move {
            let Body::Drain(drain) = &self.statement.body else {
                return Err(not_supported("source of this statement"));
            };
            let world = &self.database.world;
            let hide = world.fate(Operation::Read).await?;
            let reading = Reading {
                database: &self.database.name,
                source: self.id,
                drain,
                parameters,
                wait_for_locked: limit.wait_for_locked || drain.strict,
                bytes: limit.bytes,
            };
            for _ in 0..LOCK_POLLS_MAX {
                let attempt = world.state().try_read(&reading)?;
                match attempt {
                    Attempt::Locked => world.sleep(LOCK_POLL).await,
                    Attempt::Empty { complete } => return Ok(Read::Empty { complete }),
                    Attempt::Taken {
                        records,
                        keys,
                        claim,
                    } => {
                        let claim = self.database.claim(claim);
                        if hide {
                            return Err(lost(Operation::Read));
                        }
                        return Ok(Read::Batch {
                            records,
                            keys,
                            claim,
                        });
                    }
                }
            }
            Err(SystemError::transient(
                "E_DB",
                "waited too long for a locked row",
            ))
        })
    }
}

/// An open transaction.
struct Transaction {
    world: World,
    id: u64,
    identity: Identity,
    /// A statement is running: if its future is dropped, the session is of no more use.
    busy: bool,
    over: bool,
}

impl Transaction {
    async fn end(mut self: Box<Self>, operation: Operation) -> Result<(), SystemError> {
        if self.busy {
            return Err(SystemError::transient(
                "E_DB",
                "the session was left in the midst of a statement",
            ));
        }
        let hide = self.world.fate(operation).await?;
        let mut state = self.world.state();
        if operation == Operation::Release {
            state.release(self.id);
        } else if !state.commit(self.id) {
            return Err(SystemError::transient(
                "E_DB",
                "a statement of the transaction has failed",
            ));
        }
        drop(state);
        self.over = true;
        if hide { Err(lost(operation)) } else { Ok(()) }
    }
}

impl Claim for Transaction {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn execute<'a>(
        &'a mut self,
        statement: &'a Arc<Statement>,
        parameters: &'a [Record],
    ) -> BoxFuture<'a, Result<Answer, SystemError>> {
        Box::pin(async move {
            self.busy = true;
            let fate = self.world.fate(Operation::Execute).await;
            self.busy = false;
            let mut state = self.world.state();
            let database = state.database_of(self.id).unwrap_or_default().to_owned();
            let groups = fate.and_then(|hide| {
                let groups = state.execute(&database, Some(self.id), (statement, parameters))?;
                if hide {
                    Err(lost(Operation::Execute))
                } else {
                    Ok(groups)
                }
            });
            if groups.is_err() {
                state.poison(self.id);
            }
            Ok(answer(statement, groups?))
        })
    }

    fn advance_offsets<'a>(
        &'a mut self,
        table: &'a OffsetTable,
        advances: &'a [Advance],
    ) -> BoxFuture<'a, Result<(), SystemError>> {
        Box::pin(async move {
            self.busy = true;
            let fate = self.world.fate(Operation::Execute).await;
            self.busy = false;
            let mut state = self.world.state();
            let done = fate.and_then(|hide| {
                state.advance(self.id, table, advances)?;
                if hide {
                    Err(lost(Operation::Execute))
                } else {
                    Ok(())
                }
            });
            if done.is_err() {
                state.poison(self.id);
            }
            done
        })
    }

    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<(), SystemError>> {
        let of_source = self.world.state().is_source(self.id);
        let operation = if of_source {
            Operation::CommitSource
        } else {
            Operation::CommitTarget
        };
        Box::pin(self.end(operation))
    }

    fn release(self: Box<Self>) -> BoxFuture<'static, Result<(), SystemError>> {
        Box::pin(self.end(Operation::Release))
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.over {
            self.world.state().drop_claim(self.id);
        }
    }
}
