//! All kinds of destinations, and the check of a route's `destination.` section.
//!
//! A new kind is its module and one line in [`KINDS`]. The check reads `kind`, lets that kind read
//! its keys, and judges every other key of the section. KETE's kinds that are not here are told
//! apart from slips of the pen, so that nobody searches for a typing error that is none.

use kete_config::{Key, KeyTable, Setting, code, nearest};
use kete_pipeline::{DestinationKind, DestinationPlan, DestinationSection, LANE_KEYS};

use crate::{codes, socketio, stdout};

/// Every kind of destination that there is.
pub static KINDS: &[DestinationKind] = &[socketio::KIND, stdout::KIND];

/// KETE's kinds of destinations that are not here.
const NOT_YET: [&str; 28] = [
    "amqp-0.9.1",
    "amqp-1",
    "aws-eventbridge",
    "aws-kinesis",
    "aws-sns",
    "aws-sqs",
    "azure-eventgrid",
    "azure-eventhubs",
    "azure-servicebus",
    "azure-storage-queue",
    "azure-webpubsub",
    "gcp-cloud-tasks",
    "gcp-pubsub",
    "grpc",
    "http",
    "kafka",
    "mqtt-3",
    "mqtt-5",
    "nats",
    "nats-jetstream",
    "pulsar",
    "redis-pubsub",
    "redis-stream",
    "signalr",
    "soap",
    "stomp",
    "websocket",
    "zeromq",
];

static KIND: Key<Kind> = Key::required("kind", "what kind of receiver the events go to");

/// The keys that every destination has, beside [`LANE_KEYS`] and those of its kind.
pub static DESTINATION_KEYS: KeyTable = &[&KIND];

/// The value of `kind`; any text, so that the registry can say more about wrong ones.
struct Kind(String);

impl Setting for Kind {
    const EXPECTED: &'static str = "socketio or stdout";
    const BLANK_IS_ABSENT: bool = true;

    fn parse(text: &str) -> Result<Kind, String> {
        Ok(Kind(text.to_owned()))
    }
}

/// Reads and checks the `destination.` section of a route, unknown keys included. `None` means
/// that the diagnostics say what is wrong.
#[must_use]
pub fn check_destination(section: &DestinationSection<'_>) -> Option<Box<dyn DestinationPlan>> {
    let Some(Kind(name)) = section.scope.read(&KIND) else {
        check_keys_of_no_kind(section);
        return None;
    };
    let Some(kind) = KINDS.iter().find(|kind| kind.name == name) else {
        reject_kind(section, &name);
        return None;
    };
    let plan = (kind.check)(section);
    section
        .scope
        .check_unknown_sections(&[kind.keys, LANE_KEYS, DESTINATION_KEYS], kind.sections);
    plan
}

/// Without a kind, only keys that no kind has can be judged: one of them may be the misspelt
/// `kind` itself.
fn check_keys_of_no_kind(section: &DestinationSection<'_>) {
    let mut tables = vec![DESTINATION_KEYS, LANE_KEYS];
    tables.extend(KINDS.iter().map(|kind| kind.keys));
    let sections: Vec<(&str, KeyTable)> = KINDS
        .iter()
        .flat_map(|kind| kind.sections)
        .copied()
        .collect();
    section.scope.check_unknown_sections(&tables, &sections);
}

fn reject_kind(section: &DestinationSection<'_>, name: &str) {
    let ours = KINDS.iter().map(|kind| kind.name);
    if NOT_YET.contains(&name) {
        let message = "KETE has this kind of destination, this version has not";
        let help = format!("there is {}", ours.collect::<Vec<_>>().join(", "));
        section.scope.reject("kind", code::NOT_YET, message, help);
        return;
    }
    let help = match nearest(name, ours.clone().chain(NOT_YET)) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("there is {}", ours.collect::<Vec<_>>().join(", ")),
    };
    let message = "there is no such kind of destination";
    section
        .scope
        .reject("kind", codes::UNKNOWN_KIND, message, help);
}

#[cfg(test)]
mod tests;
