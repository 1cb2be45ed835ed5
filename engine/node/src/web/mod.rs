//! The status of the node over HTTP, for people, monitors and `dajet status`. It reads snapshots, takes no orders and has one
//! worker of its own: nobody who asks is ever waited for by the data path.

pub mod address;
mod health;
mod index;
mod metrics;
pub mod status;

use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use actix_web::dev::Server;
use actix_web::web::Data;
use actix_web::{App, HttpServer};

use crate::board::Board;
use crate::error::HostError;

/// Most connections at a time; further ones wait for a place.
const CONNECTIONS_MAX: usize = 64;

/// Takes the address for the node.
///
/// # Errors
/// An address that is taken, or is not of this machine.
pub fn listen(address: &str) -> Result<TcpListener, HostError> {
    TcpListener::bind(address).map_err(|source| HostError::Listen {
        address: address.to_owned(),
        source,
    })
}

/// Starts to answer. The server lives as long as its future is polled; must be called inside an actix System.
///
/// # Errors
/// If the socket cannot be used.
pub fn serve(listener: TcpListener, board: Arc<Board>) -> io::Result<Server> {
    let address = listener.local_addr()?;
    let board = Data::from(board);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(board.clone())
            .service(index::index)
            .service(status::status)
            .service(metrics::metrics)
            .service(health::health)
    })
    .workers(1)
    .worker_max_blocking_threads(1)
    .max_connections(CONNECTIONS_MAX)
    .disable_signals()
    .shutdown_timeout(1)
    .listen(listener)?
    .run();
    tracing::info!("status at http://{address}/");
    Ok(server)
}
