//! One log line per event and route, for whoever asks "did the login of 14:03 arrive?".
//!
//! The line says which event and what became of it, never the event, and nobody's user id.

use std::sync::Arc;

use kete_config::setting_words;
use kete_queue::Record;
use tracing::info;

use crate::FailureReason;

/// Which events have a line, `kete.log.deliveries`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Deliveries {
    /// None.
    #[default]
    Off,
    /// Those that were not delivered.
    Failed,
    /// All.
    All,
}

setting_words!(Deliveries {
    Off = "off",
    Failed = "failed",
    All = "all",
});

/// What became of an event, in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Its arrival was confirmed.
    Delivered,
    /// It was given up.
    DeadLetter,
    /// It was given up, because the receiver refused it.
    Refused,
    /// It was dropped at a bound.
    Dropped,
}

impl Outcome {
    /// How an event ended that was given up for this reason.
    pub(crate) fn of(reason: FailureReason) -> Outcome {
        match reason {
            FailureReason::Refused => Outcome::Refused,
            _ => Outcome::DeadLetter,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Outcome::Delivered => "delivered",
            Outcome::DeadLetter => "dead_letter",
            Outcome::Refused => "refused",
            Outcome::Dropped => "dropped",
        }
    }
}

/// An event that is done with.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) record: Arc<Record>,
    pub(crate) outcome: Outcome,
    /// How often it was handed to a connection.
    pub(crate) attempts: u32,
}

impl Deliveries {
    /// Whether events that end so have a line.
    pub(crate) fn tells(self, outcome: Outcome) -> bool {
        match self {
            Deliveries::Off => false,
            Deliveries::Failed => outcome != Outcome::Delivered,
            Deliveries::All => true,
        }
    }
}

impl Done {
    pub(crate) fn say(&self, route: &str) {
        let header = &self.record.header;
        let (id, event_type) = (&*header.event_id, &*header.metadata.event_type);
        let (outcome, replay) = (self.outcome.as_str(), self.record.is_replay());
        let attempts = self.attempts;
        info!(
            target: "kete::delivery",
            route, id, event_type, outcome, attempts, replay, "delivery"
        );
    }
}
