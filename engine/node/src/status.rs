//! `dajet status`: asks a running node by HTTP and prints what it answers.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::error::{Exit, HostError};
use crate::host;
use crate::screen::Screen;
use crate::web::address;
use crate::web::status::{NodeStatus, ScriptStatus};

/// How long the question may take in all.
const LIMIT: Duration = Duration::from_secs(5);
/// Most bytes of an answer: some ten thousand scripts.
const ANSWER_MAX: u64 = 16 << 20;

/// Prints the status of the node at `address`: a table, or the JSON as it came.
///
/// # Errors
/// A node that is not reached, or an answer that is none of a node.
pub fn status(address: &str, json: bool, screen: &Screen) -> Result<Exit, HostError> {
    let failed = |source| HostError::Unreachable {
        address: address.to_owned(),
        source,
    };
    let body = host::block_on(ask(&address::reachable(address)))?.map_err(failed)?;
    let status: NodeStatus =
        serde_json::from_str(&body).map_err(|error| failed(wrong(&error.to_string())))?;
    let text = if json { body } else { table(&status) };
    screen
        .out(text.trim_end())
        .map(|()| Exit::Success)
        .map_err(HostError::Output)
}

async fn ask(address: &str) -> io::Result<String> {
    let asked = timeout(LIMIT, get(address)).await;
    asked.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)))
}

/// One question and its answer. By HTTP/1.0, so that the end of the answer is the end of the connection.
async fn get(address: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let question = format!("GET /status HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(question.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer).await?;
    body(&answer)
}

fn body(answer: &[u8]) -> io::Result<String> {
    let answer = std::str::from_utf8(answer).map_err(|_| wrong("it is no text"))?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or_else(|| wrong("it is not HTTP"))?;
    let first = head.lines().next().unwrap_or_default();
    match first.split(' ').nth(1) {
        Some("200") => Ok(body.to_owned()),
        _ => Err(wrong(&format!("it begins with \"{first}\""))),
    }
}

fn wrong(why: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the answer is not that of a node: {why}"),
    )
}

const HEADS: [&str; 11] = [
    "SCRIPT",
    "STATE",
    "SINCE",
    "RECORDS",
    "BATCHES",
    "REC/S",
    "MS/BATCH",
    "IN FLIGHT",
    "LAG",
    "ERRORS",
    "RETRIES",
];
/// The first columns are words and stand to the left, numbers to the right.
const WORDS: usize = 3;

fn table(status: &NodeStatus) -> String {
    let mut rows = vec![HEADS.map(str::to_owned)];
    rows.extend(status.scripts.iter().map(cells));
    let width = |column: usize| {
        let lengths = rows.iter().map(|row| row[column].chars().count());
        lengths.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..HEADS.len()).map(width).collect();
    let mut text = format!(
        "dajet {}, {}, {:.0} s, {} scripts\n",
        status.version,
        if status.stopping {
            "stopping"
        } else {
            "running"
        },
        status.uptime_seconds,
        status.scripts.len()
    );
    for row in &rows {
        let line: Vec<String> = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, &width))| {
                if column < WORDS {
                    format!("{cell:<width$}")
                } else {
                    format!("{cell:>width$}")
                }
            })
            .collect();
        text.push_str(line.join("  ").trim_end());
        text.push('\n');
    }
    for script in &status.scripts {
        if let Some(reason) = &script.blocked {
            text.push_str(&format!("{}: blocked: {reason}\n", script.name));
        }
        if let Some(error) = &script.last_error {
            text.push_str(&format!("{}: last error: {error}\n", script.name));
        }
    }
    text
}

fn cells(script: &ScriptStatus) -> [String; HEADS.len()] {
    let latency = script.batch_latency_seconds;
    [
        script.name.clone(),
        script.state.clone(),
        script.since.clone(),
        script.records.to_string(),
        script.batches.to_string(),
        script.records_per_second.to_string(),
        latency.map_or("-".to_owned(), |s| format!("{:.1}", s * 1000.0)),
        script.in_flight.to_string(),
        script.lag.map_or("-".to_owned(), |lag| lag.to_string()),
        script.errors.to_string(),
        script.retries.to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_a_table_and_the_last_errors() {
        let script = ScriptStatus {
            name: "заказы.djs".to_owned(),
            state: "waiting".to_owned(),
            since: "2026-01-02T03:04:05.678Z".to_owned(),
            records: 1_000_000,
            batches: 1000,
            bytes: 5,
            records_per_second: 0,
            batch_latency_seconds: Some(0.0125),
            in_flight: 0,
            errors: 2,
            retries: 1,
            lag: Some(42),
            blocked: Some("нет памяти".to_owned()),
            last_error: Some("соединение разорвано".to_owned()),
        };
        let status = NodeStatus {
            version: "1.2.3".to_owned(),
            uptime_seconds: 61.4,
            stopping: false,
            scripts: vec![script],
        };
        let expected = "dajet 1.2.3, running, 61 s, 1 scripts\n\
            SCRIPT      STATE    SINCE                     RECORDS  BATCHES  REC/S  MS/BATCH  IN FLIGHT  LAG  ERRORS  RETRIES\n\
            заказы.djs  waiting  2026-01-02T03:04:05.678Z  1000000     1000      0      12.5          0   42       2        1\n\
            заказы.djs: blocked: нет памяти\n\
            заказы.djs: last error: соединение разорвано\n";
        assert_eq!(table(&status), expected);
    }

    #[test]
    fn takes_only_the_answer_of_a_node() {
        let check = |answer: &str, expected: Result<&str, &str>| {
            let found = body(answer.as_bytes()).map_err(|e| e.to_string());
            assert_eq!(found.as_deref().map_err(String::as_str), expected);
        };
        check("HTTP/1.0 200 OK\r\nA: b\r\n\r\n{}", Ok("{}"));
        check(
            "HTTP/1.1 404 Not Found\r\n\r\n",
            Err("the answer is not that of a node: it begins with \"HTTP/1.1 404 Not Found\""),
        );
        check(
            "SSH-2.0-OpenSSH\r\n",
            Err("the answer is not that of a node: it is not HTTP"),
        );
    }
}
