//! What is logged, for tests of it.
//!
//! `tracing` asks once, on whatever thread comes first, whether anybody listens to a line. So there
//! is one listener for all threads, and it keeps what is logged on threads that a test listens to.

use std::cell::RefCell;
use std::fmt::{Debug, Write};
use std::sync::Once;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

thread_local! {
    static HEARD: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Keeps every line that is logged on this thread, as its level and its fields, until it is
/// dropped.
pub(crate) struct Words(());

impl Words {
    pub(crate) fn listen() -> Words {
        static ALL_THREADS: Once = Once::new();
        ALL_THREADS.call_once(|| tracing::subscriber::set_global_default(Listener).unwrap());
        HEARD.set(Some(Vec::new()));
        Words(())
    }

    /// The lines that contain this.
    #[expect(clippy::unused_self, reason = "without it nobody listens")]
    pub(crate) fn with(&self, text: &str) -> Vec<String> {
        let heard = HEARD.with_borrow(|heard| heard.clone().unwrap_or_default());
        heard
            .into_iter()
            .filter(|line| line.contains(text))
            .collect()
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        HEARD.set(None);
    }
}

struct Listener;

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Subscriber for Listener {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        HEARD.with_borrow_mut(|heard| {
            if let Some(heard) = heard {
                heard.push(line.0);
            }
        });
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}
