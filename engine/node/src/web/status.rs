//! `GET /status`: the node and its scripts as JSON.

use actix_web::web::{Data, Json};
use actix_web::{Responder, get};
use serde::{Deserialize, Serialize};

use crate::board::{Board, Look, state_name};
use crate::mask::mask;

/// The node and its scripts.
#[derive(Debug, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Version of the node.
    pub version: String,
    /// How long it has run.
    pub uptime_seconds: f64,
    /// True if it was told to end.
    pub stopping: bool,
    /// The scripts in the order of the call.
    pub scripts: Vec<ScriptStatus>,
}

/// One script.
#[derive(Debug, Serialize, Deserialize)]
pub struct ScriptStatus {
    /// Path of its file.
    pub name: String,
    /// `starting`, `running`, `idle`, `blocked`, `waiting`, `stopping`, `ended` or `failed`.
    pub state: String,
    /// When the state was first seen, UTC.
    pub since: String,
    /// Records committed.
    pub records: u64,
    /// Batches committed.
    pub batches: u64,
    /// Bytes of the committed records as read.
    pub bytes: u64,
    /// Records committed per second, over the last second or so.
    pub records_per_second: u64,
    /// Time from read to commit of the latest committed batch.
    pub batch_latency_seconds: Option<f64>,
    /// Batches between read and commit.
    pub in_flight: u32,
    /// Errors since the start.
    pub errors: u64,
    /// New generations after an error.
    pub retries: u64,
    /// Messages behind the last commits, where the source is a broker that tells.
    #[serde(default)]
    pub lag: Option<u64>,
    /// Why a system holds the script up, in the state `blocked`.
    #[serde(default)]
    pub blocked: Option<String>,
    /// The latest error, passwords masked.
    pub last_error: Option<String>,
}

/// Answers the state of the node and its scripts.
#[get("/status")]
pub async fn status(board: Data<Board>) -> impl Responder {
    Json(NodeStatus::of(&board))
}

impl NodeStatus {
    fn of(board: &Board) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_seconds: board.uptime().as_secs_f64(),
            stopping: board.stopping(),
            scripts: board.look().into_iter().map(ScriptStatus::from).collect(),
        }
    }
}

impl From<Look> for ScriptStatus {
    fn from(look: Look) -> Self {
        let snapshot = look.snapshot;
        Self {
            name: look.name.to_string(),
            state: state_name(snapshot.state).to_owned(),
            since: format!("{:.3}", look.since),
            records: snapshot.records,
            batches: snapshot.batches,
            bytes: snapshot.bytes,
            records_per_second: look.per_second,
            batch_latency_seconds: snapshot.batch_latency.map(|d| d.as_secs_f64()),
            in_flight: snapshot.in_flight,
            errors: snapshot.errors,
            retries: snapshot.retries,
            lag: snapshot.lag,
            blocked: snapshot.blocked.as_deref().map(mask),
            last_error: snapshot.last_error.as_deref().map(mask),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::Row;
    use tokio_util::sync::CancellationToken;

    #[test]
    fn shows_no_password() {
        let reason = "cannot connect to pgsql://user:secret@host/база".to_owned();
        let row = Row::refused("заказы.djs".into(), reason);
        let board = Board::new(vec![row], CancellationToken::new());
        let text = serde_json::to_string(&NodeStatus::of(&board)).unwrap();
        assert!(!text.contains("secret"), "{text}");
        assert!(text.contains("host/база"), "{text}");
    }
}
