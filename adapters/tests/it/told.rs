//! What a test's own thread tells by `tracing`.

use std::cell::RefCell;
use std::fmt::{Debug, Write};
use std::marker::PhantomData;
use std::sync::Once;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

thread_local! {
    static LINES: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// The warnings and notes of this thread, from now on.
pub(super) struct Told {
    /// They belong to the thread.
    _here: PhantomData<*const ()>,
}

impl Told {
    pub(super) fn begin() -> Self {
        // One listener for all threads: with one for each, the first test that passes a place where something is told
        // settles for all the others whether anybody listens.
        static LISTENER: Once = Once::new();
        LISTENER.call_once(|| {
            tracing::subscriber::set_global_default(Listener).expect("nobody else listens");
            tracing::callsite::rebuild_interest_cache();
        });
        LINES.set(Some(Vec::new()));
        Self { _here: PhantomData }
    }

    /// The lines that hold this text.
    pub(super) fn of(&self, text: &str) -> Vec<String> {
        LINES.with_borrow(|lines| {
            let lines = lines.iter().flatten();
            lines.filter(|line| line.contains(text)).cloned().collect()
        })
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        LINES.set(None);
    }
}

struct Listener;

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, "{}={value:?} ", field.name()).expect("memory takes it");
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        LINES.with_borrow_mut(|lines| {
            if let Some(lines) = lines {
                lines.push(line.0);
            }
        });
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
