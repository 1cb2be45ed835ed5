//! `GET /metrics`: the counters in the text form of Prometheus (OpenMetrics). They are made anew for each answer, so that nothing
//! is kept of a script that is gone.

use std::fmt;

use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use crate::board::{Board, Look, STATES, state_name};

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Answers the counters.
#[get("/metrics")]
pub async fn metrics(board: Data<Board>) -> HttpResponse {
    match encode(&board) {
        Ok(body) => HttpResponse::Ok().content_type(CONTENT_TYPE).body(body),
        Err(error) => {
            tracing::error!(%error, "cannot write metrics");
            HttpResponse::InternalServerError().finish()
        }
    }
}

fn encode(board: &Board) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("dajet");
    registry.register_collector(Box::new(Measured {
        looks: board.look(),
        uptime_seconds: board.uptime().as_secs_f64(),
    }));
    let mut body = String::new();
    text::encode(&mut body, &registry)?;
    Ok(body)
}

/// The scripts at the moment of the question.
struct Measured {
    looks: Vec<Look>,
    uptime_seconds: f64,
}

impl fmt::Debug for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Measured").finish_non_exhaustive()
    }
}

type Count = fn(&Look) -> u64;

const COUNTERS: [(&str, &str, Count); 5] = [
    ("records", "Records committed", |l| l.snapshot.records),
    ("batches", "Batches committed", |l| l.snapshot.batches),
    ("bytes", "Bytes of the committed records as read", |l| {
        l.snapshot.bytes
    }),
    ("errors", "Errors of a script", |l| l.snapshot.errors),
    ("retries", "New starts of a pipeline after an error", |l| {
        l.snapshot.retries
    }),
];

impl Collector for Measured {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (name, help, value) in COUNTERS {
            self.family(&mut encoder, (name, help, None), |look| {
                Some(ConstCounter::new(value(look)))
            })?;
        }
        self.family(
            &mut encoder,
            ("in_flight", "Batches between read and commit", None),
            |look| Some(ConstGauge::new(u64::from(look.snapshot.in_flight))),
        )?;
        let help = "Messages of a broker behind the last commits";
        self.family(&mut encoder, ("lag", help, None), |look| {
            Some(ConstGauge::new(look.snapshot.lag?))
        })?;
        let help = "Time from read to commit of the latest committed batch";
        self.family(
            &mut encoder,
            ("batch_latency", help, Some(&Unit::Seconds)),
            |look| Some(ConstGauge::new(look.snapshot.batch_latency?.as_secs_f64())),
        )?;
        self.states(&mut encoder)?;
        let uptime = ConstGauge::new(self.uptime_seconds);
        let help = "How long the node has run";
        let metric = encoder.encode_descriptor(
            "uptime",
            help,
            Some(&Unit::Seconds),
            uptime.metric_type(),
        )?;
        uptime.encode(metric)
    }
}

impl Measured {
    /// A metric of every script that has it.
    fn family<M: EncodeMetric>(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        (name, help, unit): (&str, &str, Option<&Unit>),
        measure: impl Fn(&Look) -> Option<M>,
    ) -> fmt::Result {
        let measured: Vec<(&Look, M)> = self
            .looks
            .iter()
            .filter_map(|look| Some((look, measure(look)?)))
            .collect();
        let Some((_, first)) = measured.first() else {
            return Ok(());
        };
        let mut family = encoder.encode_descriptor(name, help, unit, first.metric_type())?;
        for (look, metric) in &measured {
            metric.encode(family.encode_family(&[("script", &*look.name)])?)?;
        }
        Ok(())
    }

    /// One gauge for each script and state: 1 for the present one.
    fn states(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let kind = ConstGauge::new(0_u64).metric_type();
        let help = "1 for the state that a script is in, 0 for the others";
        let mut family = encoder.encode_descriptor("state", help, None, kind)?;
        for look in &self.looks {
            for state in STATES {
                let labels = [("script", &*look.name), ("state", state_name(state))];
                let present = ConstGauge::new(u64::from(state == look.snapshot.state));
                present.encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::Row;
    use tokio_util::sync::CancellationToken;

    #[test]
    fn names_scripts_and_states() {
        let row = Row::refused("за\"казы.djs".into(), "no".to_owned());
        let board = Board::new(vec![row], CancellationToken::new());
        let text = encode(&board).unwrap();
        for line in [
            "# TYPE dajet_records counter",
            r#"dajet_records_total{script="за\"казы.djs"} 0"#,
            r#"dajet_errors_total{script="за\"казы.djs"} 1"#,
            r#"dajet_state{script="за\"казы.djs",state="failed"} 1"#,
            r#"dajet_state{script="за\"казы.djs",state="idle"} 0"#,
            r#"dajet_in_flight{script="за\"казы.djs"} 0"#,
            "# UNIT dajet_uptime_seconds seconds",
            "# EOF",
        ] {
            assert!(text.lines().any(|l| l == line), "no {line} in\n{text}");
        }
        assert!(!text.contains("batch_latency"), "{text}");
    }
}
