//! Delivers batches. We are between the Transformer's records and the Committer's receipt: [`Sink::deliver`] ends when the batch has its turn on
//! the channel, the receipt comes with the last confirmation.
//!
//! One channel of a shared connection lives as long as the sink. After a failure it is closed, and the sink serves no more: whoever owns it opens
//! another one, which sends the batch again from its first message.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dajet_core::{
    BoxFuture, Environment, MessageSpec, Receipt, Record, Shape, Signs, Sink, SystemError, Value,
};
use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};
use tokio::task::JoinHandle;
use tracing::Instrument;

use super::address::Target;
use super::link::Dial;
use super::message::{Columns, Member, Message};
use super::publish::{Outlet, Pace};
use super::settings::{SinkOptions, sink_options};

/// A sink of one pipeline, with a channel of its own.
pub(super) struct AmqpSink {
    target: Target,
    environment: Environment,
    signs: Signs,
    options: Vec<(Arc<str>, Value)>,
    shape: Arc<Shape>,
    settings: SinkOptions,
    columns: Columns,
    lane: Option<Arc<Lane>>,
    failed: bool,
}

/// The way to the broker. One batch at a time is on it.
struct Lane {
    outlet: Outlet,
    turn: Arc<Mutex<()>>,
    /// A batch was given up: nothing may follow it.
    ended: AtomicBool,
}

impl Lane {
    fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.outlet.line().will_end();
    }
}

impl AmqpSink {
    /// Makes a sink; connects at the first batch.
    ///
    /// # Errors
    /// `Misconfigured`: a wrong address, an option that is unknown or wrong.
    pub(super) fn new(spec: &MessageSpec, environment: &Environment) -> Result<Self, SystemError> {
        Ok(Self {
            target: Target::parse(&spec.address)?,
            environment: environment.clone(),
            signs: Signs::default(),
            options: spec.options.clone(),
            shape: spec.columns.clone(),
            settings: sink_options(&spec.options)?,
            columns: Columns::new(spec),
            lane: None,
            failed: false,
        })
    }

    async fn hand_over(&mut self, records: &[Record]) -> Result<Delivery, SystemError> {
        // All or nothing: a record that is no message is found before the first one is sent.
        let messages: Vec<Message> = records
            .iter()
            .enumerate()
            .map(|(index, record)| self.columns.message(index, record))
            .collect::<Result<_, _>>()?;
        let lane = match &self.lane {
            Some(lane) => lane.clone(),
            None => self.connect(&records[0]).await?,
        };
        // The batch before has its own deadline.
        let turn = lane.turn.clone().lock_owned().await;
        if lane.ended.load(Ordering::Acquire) {
            return Err(given_up());
        }
        let pace = Pace {
            window: self.settings.confirm_window,
            limit: self.settings.confirms_timeout,
        };
        let (given_up, heard) = oneshot::channel();
        let delivery = deliver(lane.clone(), messages, pace, turn, heard);
        let work = tokio::spawn(delivery.in_current_span());
        Ok(Delivery {
            lane,
            work,
            given_up: Some(given_up),
        })
    }

    /// Connects. Options of the connection may stand in `SELECT`: the first record has their values.
    async fn connect(&mut self, first: &Record) -> Result<Arc<Lane>, SystemError> {
        let given = |name: &str| self.options.iter().any(|(known, _)| &**known == name);
        let mut options = self.options.clone();
        for (name, value) in self.shape.names.iter().zip(first) {
            if Member::of(name).is_none() && !given(name) {
                options.push((name.clone(), value.clone()));
            }
        }
        self.settings = sink_options(&options)?;
        let lane = Arc::new(Lane {
            outlet: Outlet::open(&self.target, &self.dial()).await?,
            turn: Arc::default(),
            ended: AtomicBool::new(false),
        });
        self.lane = Some(lane.clone());
        Ok(lane)
    }

    fn dial(&self) -> Dial {
        Dial {
            heartbeat: self.settings.heartbeat,
            connection_timeout: self.settings.connection_timeout,
            call_timeout: self.settings.continuation_timeout,
            patience: self.settings.confirms_timeout,
            name: self.environment.session_name.clone(),
            root: self.environment.root.clone(),
            signs: self.signs.clone(),
        }
    }
}

async fn deliver(
    lane: Arc<Lane>,
    messages: Vec<Message>,
    pace: Pace,
    turn: OwnedMutexGuard<()>,
    given_up: oneshot::Receiver<()>,
) -> Result<Receipt, SystemError> {
    let given_up = async {
        // A sender that is gone says the same as one that sends.
        let _ = given_up.await;
    };
    let sent = lane.outlet.publish(&messages, pace, given_up).await;
    if sent.is_err() {
        lane.end();
    }
    drop(turn);
    sent.map(|()| Receipt {
        records: messages.len(),
    })
}

/// A batch on its way: dropping it before it has ended gives it up, and the channel with it.
struct Delivery {
    lane: Arc<Lane>,
    work: JoinHandle<Result<Receipt, SystemError>>,
    given_up: Option<oneshot::Sender<()>>,
}

impl Delivery {
    async fn receipt(mut self) -> Result<Receipt, SystemError> {
        let result = (&mut self.work).await;
        self.given_up = None;
        result.unwrap_or_else(|error| {
            self.lane.end();
            Err(SystemError::fault("a delivery has ended early").with_source(error))
        })
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(given_up) = self.given_up.take() {
            self.lane.end();
            // Who has just ended does not hear it.
            let _ = given_up.send(());
        }
    }
}

impl Sink for AmqpSink {
    fn show(&mut self, signs: &Signs) {
        self.signs = signs.clone();
    }

    fn deliver(
        &mut self,
        records: Vec<Record>,
    ) -> BoxFuture<'_, Result<BoxFuture<'static, Result<Receipt, SystemError>>, SystemError>> {
        Box::pin(async move {
            if records.is_empty() {
                let nothing = async { Ok(Receipt { records: 0 }) };
                return Ok(Box::pin(nothing) as BoxFuture<'static, _>);
            }
            if self.failed {
                return Err(given_up());
            }
            // Stays set if this future is dropped.
            self.failed = true;
            let delivery = self.hand_over(&records).await?;
            self.failed = false;
            Ok(Box::pin(delivery.receipt()) as BoxFuture<'static, _>)
        })
    }
}

/// The error of a sink that has failed before.
fn given_up() -> SystemError {
    SystemError::transient("E_AMQP", "the connection has given up an earlier batch")
}
