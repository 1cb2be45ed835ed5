//! The log: one line per event on standard error, as text `[time] [level] [script] message` or as JSON.

use std::fmt;
use std::io::{self, Write};

use serde_json::{Map, Value as Json};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter};
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use crate::config::LogFormat;
use crate::error::HostError;
use crate::mask::mask;
use crate::screen::Screen;

/// The field that names a script, of an event or of a span around it.
const SCRIPT: &str = "script";

/// Starts logging for the whole process. A second call leaves the first one in force.
///
/// # Errors
/// A wrong `LogLevel`.
pub fn start(format: LogFormat, level: &str, screen: Screen) -> Result<(), HostError> {
    // What the clients of the brokers have to say reaches the author through our errors; their logs repeat it at length, and that of
    // lapin with whole messages.
    // Alone, an unknown word would pass as the name of a module.
    level.parse::<LevelFilter>().map_err(|_| {
        HostError::usage(format!(
            "setting \"LogLevel\" cannot be \"{level}\": it is one of off, error, warn, info, debug, trace"
        ))
    })?;
    let filter = EnvFilter::try_new(format!(
        "{level},librdkafka=off,rdkafka=off,lapin=off,actix_server=warn"
    ))
    .map_err(|e| HostError::usage(format!("setting \"LogLevel\" cannot be \"{level}\": {e}")))?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .event_format(Lines { format })
        .fmt_fields(debug_fn(of_span))
        .with_writer(Lanes { screen })
        .finish();
    if tracing::subscriber::set_global_default(subscriber).is_err() {
        tracing::debug!("logging was already started");
    }
    Ok(())
}

/// Writes each event between two redraws of the progress lines.
struct Lanes {
    screen: Screen,
}

impl<'a> MakeWriter<'a> for Lanes {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line {
            screen: self.screen.clone(),
        }
    }
}

struct Line {
    screen: Screen,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.screen
            .between_redraws(|| io::stderr().write_all(bytes))
            .map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Keeps of a span the script that it belongs to, which is given as what it displays (`%`).
fn of_span(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    match field.name() {
        SCRIPT => write!(writer, "{value:?}"),
        _ => Ok(()),
    }
}

struct Lines {
    format: LogFormat,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        if fields.script.is_none() {
            fields.script = script_of(context);
        }
        let time = jiff::Zoned::now();
        let level = level_name(event.metadata().level());
        match self.format {
            LogFormat::Text => writeln!(
                writer,
                "{}",
                fields.text(&time.strftime("%F %T").to_string(), level)
            ),
            LogFormat::Json => writeln!(
                writer,
                "{}",
                fields.json(&time.timestamp().to_string(), level)
            ),
        }
    }
}

/// The script that runs: actors and adapters do not name it in what they tell.
fn script_of<S, N>(context: &FmtContext<'_, S, N>) -> Option<String>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    let name = |span: SpanRef<'_, S>| {
        let extensions = span.extensions();
        let fields = extensions.get::<FormattedFields<N>>()?;
        (!fields.is_empty()).then(|| fields.fields.clone())
    };
    context.event_scope()?.find_map(name)
}

fn level_name(level: &Level) -> &'static str {
    match *level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// The fields of an event; `message` and `script` stand apart. A `place` is a line and column of the script.
#[derive(Default)]
struct Fields {
    message: String,
    script: Option<String>,
    others: Map<String, Json>,
}

impl Fields {
    fn text(&self, time: &str, level: &str) -> String {
        let mut line = format!(
            "[{time}] [{level}] [{}] {}",
            self.script.as_deref().unwrap_or("host"),
            self.message
        );
        let place = self.others.get("place").and_then(Json::as_str);
        if let (Some(script), Some(place)) = (&self.script, place) {
            line.push_str(&format!(" at {script}:{place}"));
        }
        for (name, value) in self.others.iter().filter(|(name, _)| *name != "place") {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            line.push_str(&format!(" {name}={value}"));
        }
        // A message of a server may have several lines; an event has one.
        mask(&line.replace(['\n', '\r'], " "))
    }

    fn json(mut self, time: &str, level: &str) -> String {
        let mut object = Map::new();
        object.insert("time".to_owned(), time.into());
        object.insert("level".to_owned(), level.into());
        object.insert("script".to_owned(), self.script.take().into());
        object.insert("message".to_owned(), mask(&self.message).into());
        for (name, value) in self.others {
            let value = value.as_str().map(mask).map_or(value.clone(), Json::String);
            object.insert(name, value);
        }
        Json::Object(object).to_string()
    }

    fn keep(&mut self, field: &Field, value: Json) {
        let text = || {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        };
        match field.name() {
            "message" => self.message = text(),
            SCRIPT => self.script = Some(text()),
            name => {
                self.others.insert(name.to_owned(), value);
            }
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.keep(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.keep(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            text.push_str(&format!(": {error}"));
            cause = error.source();
        }
        self.keep(field, text.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.keep(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.keep(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.keep(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.keep(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn fields_for_test() -> Fields {
        let mut others = Map::new();
        others.insert("batch".to_owned(), 7.into());
        others.insert("place".to_owned(), "3:1".into());
        others.insert(
            "error".to_owned(),
            "cannot connect to pgsql://u:word@h/d\nrefused".into(),
        );
        Fields {
            message: "batch released".to_owned(),
            script: Some("заказы.djs".to_owned()),
            others,
        }
    }

    #[test]
    fn text_lines_have_the_layout_of_the_log() {
        assert_eq!(
            fields_for_test().text("2026-01-02 03:04:05", "warn"),
            "[2026-01-02 03:04:05] [warn] [заказы.djs] batch released at заказы.djs:3:1 batch=7 error=cannot connect to \
             pgsql://u:***@h/d refused"
        );
    }

    /// What is written.
    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_without_a_script_have_that_of_the_span_around_them() {
        let paper = Paper::default();
        let writer = paper.clone();
        let subscriber = tracing_subscriber::fmt()
            .event_format(Lines {
                format: LogFormat::Text,
            })
            .fmt_fields(debug_fn(of_span))
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!("один");
            let script = tracing::error_span!("script", script = %"заказы.djs");
            let _script = script.enter();
            let _inner = tracing::error_span!("inner", batch = 7).entered();
            tracing::warn!("два");
            tracing::warn!(script = "цены.djs", "три");
        });
        let written = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<_> = written
            .lines()
            .map(|line| line.splitn(3, "] [").last().unwrap())
            .collect();
        assert_eq!(lines, ["host] один", "заказы.djs] два", "цены.djs] три"]);
    }

    #[test]
    fn json_lines_are_objects() {
        let line: Json = serde_json::from_str(&fields_for_test().json("t", "warn")).unwrap();
        assert_eq!(line["script"], "заказы.djs");
        assert_eq!(line["batch"], 7);
        assert_eq!(
            line["error"],
            "cannot connect to pgsql://u:***@h/d\nrefused"
        );
    }
}
