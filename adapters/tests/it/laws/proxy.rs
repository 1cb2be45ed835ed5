//! A way to a server that can be cut.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The first bytes of a connection that asks PostgreSQL to cancel a command: length and code.
const CANCEL: [u8; 8] = [0, 0, 0, 16, 4, 210, 22, 46];
/// How late such a request comes to the server.
const CANCEL_DELAY: Duration = Duration::from_millis(300);

/// Passes on what comes until it is cut; what connects afterwards is passed on again.
///
/// Requests to cancel a command come late, as they may on a busy machine.
pub struct Proxy {
    /// Where it listens.
    pub place: SocketAddr,
    cuts: watch::Sender<u32>,
}

impl Proxy {
    /// Listens at a free port; `server` is host and port.
    pub async fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        let place = listener.local_addr().expect("it is bound");
        let (cuts, seen) = watch::channel(0);
        let server: Arc<str> = server.into();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass_on(client, Arc::clone(&server), seen.clone()));
            }
        });
        Self { place, cuts }
    }

    /// Closes all connections that are open.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

async fn pass_on(mut client: TcpStream, server: Arc<str>, mut cuts: watch::Receiver<u32>) {
    cuts.mark_unchanged();
    let mut first = [0; CANCEL.len()];
    if let Ok(_) = client.peek(&mut first).await
        && first == CANCEL
    {
        tokio::time::sleep(CANCEL_DELAY).await;
    }
    let Ok(mut peer) = TcpStream::connect(&*server).await else {
        return;
    };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut peer) => {}
        _ = cuts.changed() => {}
    }
}
