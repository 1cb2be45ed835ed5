//! What bounds a pipeline: permits, and the one address that an actor holds of its successor.

use std::sync::Arc;

use actix::dev::ToEnvelope;
use actix::prelude::{Actor, Addr, Handler, Message, Recipient, SendError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The only way from an actor to its successor. It is not `Clone`: each clone of an address has a slot of its own past the
/// mailbox's bound. When it is dropped, the successor drains its mailbox and ends.
pub(crate) struct Next<M>
where
    M: Message<Result = ()> + Send + 'static,
{
    recipient: Recipient<M>,
}

/// Why a message was not taken. It comes back, so that its batch can be released.
#[derive(Debug)]
pub(crate) enum Refused<M> {
    /// More messages than permits: a broken invariant.
    Full(M),
    /// The successor is dead.
    Closed(M),
}

impl<M> Next<M>
where
    M: Message<Result = ()> + Send + 'static,
{
    /// Takes the only address of the successor.
    pub(crate) fn new<A>(address: Addr<A>) -> Self
    where
        A: Actor + Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        Self {
            recipient: address.recipient(),
        }
    }

    /// Sends without waiting.
    pub(crate) fn try_send(&self, message: M) -> Result<(), Refused<M>> {
        self.recipient
            .try_send(message)
            .map_err(|error| match error {
                SendError::Full(message) => Refused::Full(message),
                SendError::Closed(message) => Refused::Closed(message),
            })
    }
}

/// The permits of a pipeline: one for each batch between read and commit.
#[derive(Clone)]
pub(crate) struct Permits {
    free: Arc<Semaphore>,
    total: usize,
}

/// The right of one batch to be in flight; comes back when dropped.
pub(crate) struct Permit {
    _slot: OwnedSemaphorePermit,
}

impl Permits {
    pub(crate) fn new(total: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(total)),
            total,
        }
    }

    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// Batches in flight.
    pub(crate) fn in_flight(&self) -> usize {
        self.total - self.free.available_permits()
    }

    /// Waits for a permit.
    pub(crate) async fn take(&self) -> Permit {
        let slot = self.free.clone().acquire_owned().await;
        Permit {
            _slot: slot.expect("the semaphore of a pipeline is never closed"),
        }
    }

    /// Waits until every permit is back.
    pub(crate) async fn all_back(&self) {
        let total = u32::try_from(self.total).expect("permits are few");
        let all = self.free.acquire_many(total).await;
        drop(all.expect("the semaphore of a pipeline is never closed"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix::prelude::*;
    use futures::FutureExt;

    #[derive(Message)]
    #[rtype(result = "()")]
    struct Parcel(u32);

    struct Sleeper;

    impl Actor for Sleeper {
        type Context = Context<Self>;
        fn started(&mut self, ctx: &mut Self::Context) {
            ctx.set_mailbox_capacity(2);
        }
    }

    impl Handler<Parcel> for Sleeper {
        type Result = AtomicResponse<Self, ()>;
        fn handle(&mut self, _: Parcel, _: &mut Context<Self>) -> Self::Result {
            AtomicResponse::new(Box::pin(std::future::pending().into_actor(self)))
        }
    }

    #[test]
    fn refuses_what_is_past_the_bound_and_gives_it_back() {
        System::new().block_on(async {
            let next = Next::new(Sleeper.start());
            tokio::task::yield_now().await;
            let refused = (0..16).find_map(|n| next.try_send(Parcel(n)).err());
            match refused {
                Some(Refused::Full(Parcel(n))) => {
                    assert!((2..=4).contains(&n), "bound of two, got {n}")
                }
                _ => panic!("a full mailbox took everything"),
            }
        });
    }

    #[test]
    fn tells_a_dead_successor() {
        System::new().block_on(async {
            struct Gone;
            impl Actor for Gone {
                type Context = Context<Self>;
                fn started(&mut self, ctx: &mut Self::Context) {
                    ctx.terminate();
                }
            }
            impl Handler<Parcel> for Gone {
                type Result = ();
                fn handle(&mut self, _: Parcel, _: &mut Context<Self>) {}
            }
            let next = Next::new(Gone.start());
            tokio::task::yield_now().await;
            assert!(matches!(
                next.try_send(Parcel(7)),
                Err(Refused::Closed(Parcel(7)))
            ));
        });
    }

    #[test]
    fn waits_until_every_permit_is_back() {
        let permits = Permits::new(2);
        let first = permits.take().now_or_never().expect("free");
        let second = permits.take().now_or_never().expect("free");
        assert_eq!(permits.in_flight(), 2);
        assert!(permits.take().now_or_never().is_none());
        drop(first);
        assert!(permits.all_back().now_or_never().is_none());
        drop(second);
        assert!(permits.all_back().now_or_never().is_some());
        assert_eq!(permits.in_flight(), 0);
    }
}
