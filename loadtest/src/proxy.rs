//! A TCP proxy of our own on the loopback interface, which cuts, freezes, slows down and closes in mid-frame.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Bytes that are forwarded at one time.
const CHUNK: usize = 16 * 1024;

/// No mid-frame close is asked for.
const NEVER: i64 = i64::MAX;

/// What the proxy does to every connection.
#[derive(Clone, Copy, Debug)]
struct Order {
    /// Nothing is forwarded, nothing is closed.
    frozen: bool,
    /// Pause before each chunk.
    pause: Duration,
    /// Connections that are older than this count are closed.
    cuts: u64,
}

/// The proxy; it serves until the process ends.
pub struct Proxy {
    /// Where the node finds it.
    pub address: SocketAddr,
    orders: watch::Sender<Order>,
    until_close: Arc<AtomicI64>,
    usual: Duration,
}

/// What every connection shares.
#[derive(Clone)]
struct Line {
    orders: watch::Receiver<Order>,
    until_close: Arc<AtomicI64>,
    cut: watch::Sender<Order>,
}

impl Proxy {
    /// Listens on a port (0: any) and forwards to `upstream`, with a pause of `usual` before each chunk.
    pub async fn start(port: u16, upstream: SocketAddr, usual: Duration) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port))
            .await
            .with_context(|| format!("cannot listen on port {port}"))?;
        let address = listener.local_addr()?;
        let (orders, watched) = watch::channel(Order {
            frozen: false,
            pause: usual,
            cuts: 0,
        });
        let until_close = Arc::new(AtomicI64::new(NEVER));
        let line = Line {
            orders: watched,
            until_close: until_close.clone(),
            cut: orders.clone(),
        };
        tokio::spawn(async move {
            loop {
                // An accept fails for want of file handles; the next one may not.
                if let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(serve(client, upstream, line.clone()));
                }
            }
        });
        Ok(Self {
            address,
            orders,
            until_close,
            usual,
        })
    }

    /// Closes every connection.
    pub fn cut(&self) {
        self.orders.send_modify(|order| order.cuts += 1);
    }

    /// Forwards nothing until [`Proxy::heal`]; connections stay open and new ones are taken.
    pub fn freeze(&self) {
        self.orders.send_modify(|order| order.frozen = true);
    }

    /// Waits this long before each chunk, until [`Proxy::heal`].
    pub fn slow(&self, pause: Duration) {
        self.orders.send_modify(|order| order.pause = pause);
    }

    /// Closes every connection when this many more bytes have passed: in the middle of a frame.
    pub fn cut_after(&self, bytes: i64) {
        self.until_close.store(bytes, Ordering::Relaxed);
    }

    /// True until the close that was asked for has happened.
    pub fn cut_pending(&self) -> bool {
        self.until_close.load(Ordering::Relaxed) != NEVER
    }

    /// Back to normal.
    pub fn heal(&self) {
        self.until_close.store(NEVER, Ordering::Relaxed);
        self.orders.send_modify(|order| {
            order.frozen = false;
            order.pause = self.usual;
        });
    }
}

async fn serve(client: TcpStream, upstream: SocketAddr, mut line: Line) {
    let born = line.orders.borrow().cuts;
    if line.thawed(born).await.is_none() {
        return;
    }
    // A server that is away: the client sees its connection closed.
    let Ok(server) = TcpStream::connect(upstream).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = pump(from_client, to_server, line.clone(), born) => {}
        () = pump(from_server, to_client, line, born) => {}
    }
}

async fn pump(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut line: Line,
    born: u64,
) {
    let mut chunk = vec![0; CHUNK];
    loop {
        let Some(order) = line.thawed(born).await else {
            return;
        };
        let count = tokio::select! {
            biased;
            changed = line.orders.changed() => {
                if changed.is_err() { return }
                continue;
            }
            read = from.read(&mut chunk) => match read {
                Ok(0) | Err(_) => return,
                Ok(count) => count,
            },
        };
        tokio::time::sleep(order.pause).await;
        // A freeze or a cut that came during the pause holds for this chunk too.
        if line.thawed(born).await.is_none() {
            return;
        }
        let passes = line.passes(count);
        if to.write_all(&chunk[..passes]).await.is_err() {
            return;
        }
        if passes < count {
            line.cut.send_modify(|order| order.cuts += 1);
            return;
        }
    }
}

impl Line {
    /// Waits while the line is frozen; `None` if it is cut.
    async fn thawed(&mut self, born: u64) -> Option<Order> {
        let order = self
            .orders
            .wait_for(|order| !order.frozen || order.cuts != born);
        let order = *order.await.ok()?;
        (order.cuts == born).then_some(order)
    }

    /// How many of the bytes may still pass.
    fn passes(&self, count: usize) -> usize {
        if self.until_close.load(Ordering::Relaxed) == NEVER {
            return count;
        }
        let left = self.until_close.fetch_sub(count as i64, Ordering::Relaxed);
        if left >= count as i64 {
            return count;
        }
        self.until_close.store(NEVER, Ordering::Relaxed);
        left.max(0) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        address
    }

    async fn through(proxy: &Proxy) -> TcpStream {
        TcpStream::connect(proxy.address).await.unwrap()
    }

    #[tokio::test]
    async fn forwards_both_ways_until_it_is_cut() {
        let proxy = Proxy::start(0, echo().await, Duration::ZERO).await.unwrap();
        let mut stream = through(&proxy).await;
        stream.write_all(b"hello").await.unwrap();
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"hello");
        proxy.cut();
        assert_eq!(stream.read(&mut answer).await.unwrap_or(0), 0);
        let mut again = through(&proxy).await;
        again.write_all(b"again").await.unwrap();
        again.read_exact(&mut answer).await.unwrap();
    }

    #[tokio::test]
    async fn forwards_nothing_while_frozen_and_loses_nothing() {
        let proxy = Proxy::start(0, echo().await, Duration::ZERO).await.unwrap();
        let mut stream = through(&proxy).await;
        proxy.freeze();
        stream.write_all(b"hello").await.unwrap();
        let mut answer = [0; 5];
        let early = tokio::time::timeout(Duration::from_millis(50), stream.read(&mut answer));
        assert!(early.await.is_err());
        proxy.heal();
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"hello");
    }

    #[tokio::test]
    async fn closes_at_the_byte_that_was_named() {
        let proxy = Proxy::start(0, echo().await, Duration::ZERO).await.unwrap();
        let mut stream = through(&proxy).await;
        proxy.cut_after(8);
        // Five bytes there and three of them back.
        stream.write_all(b"hello").await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert_eq!(answer, b"hel");
        assert!(!proxy.cut_pending());
    }
}
