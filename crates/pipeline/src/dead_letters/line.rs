//! The line of a dead letter: what is written, and what can be read back.
//!
//! ```text
//! {"number":7,"at":1795227330447,"route":"app","reason":"refused","detail":"…","attempts":3,
//!  "source":"keycloak","acceptedAt":1795227329981,"eventId":"…","event":{…}}
//! ```
//!
//! all on one line. Kete 0.1 wrote no `number`: there, the position counts.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use kete_event::{Event, Fields};
use kete_queue::{Header, Record, Target};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::DeadLetter;

/// A dead letter as its line has it; the names are the format of the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line<'l> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) number: Option<u64>,
    pub(super) at: i64,
    #[serde(borrow)]
    pub(super) route: Cow<'l, str>,
    #[serde(borrow)]
    pub(super) reason: Cow<'l, str>,
    #[serde(borrow)]
    pub(super) detail: Cow<'l, str>,
    pub(super) attempts: u32,
    #[serde(borrow)]
    pub(super) source: Cow<'l, str>,
    pub(super) accepted_at: i64,
    #[serde(borrow)]
    pub(super) event_id: Cow<'l, str>,
    #[serde(borrow)]
    pub(super) event: &'l RawValue,
}

/// A dead letter that was read back. It is written as its line is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredLetter {
    /// Its number; no other letter of the store ever has it.
    pub number: u64,
    /// When it was given up, in milliseconds since 1970.
    pub at: i64,
    /// The route that gave it up.
    pub route: String,
    /// Why, as the metrics name it.
    pub reason: String,
    /// Why, for a person.
    pub detail: String,
    /// How often it was offered in vain.
    pub attempts: u32,
    /// The source that it came from.
    pub source: String,
    /// When intake took it, in milliseconds since 1970.
    pub accepted_at: i64,
    /// The event's id.
    pub event_id: String,
    /// The event.
    pub event: Box<RawValue>,
}

/// What a list shows of a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedLetter {
    /// Its number.
    pub number: u64,
    /// When it was given up, in milliseconds since 1970.
    pub at: i64,
    /// The route that gave it up.
    pub route: String,
    /// Why, as the metrics name it.
    pub reason: String,
    /// How often it was offered in vain.
    pub attempts: u32,
    /// `LOGIN_ERROR`, or `USER_CREATE` for an admin event; absent if the event cannot be read.
    pub event_type: Option<String>,
    /// Whom the event is about, if that is known.
    pub user_id: Option<String>,
    /// The event's id.
    #[serde(rename = "id")]
    pub event_id: String,
}

/// What of an event letters can be chosen by.
#[derive(Debug, Default)]
pub(super) struct Traits {
    pub(super) event_type: Option<String>,
    pub(super) user_id: Option<String>,
}

/// The event is no JSON, so that it cannot stand in a line.
#[derive(Debug)]
pub(super) struct NotJson;

impl<'l> Line<'l> {
    /// The line, without what ends it; `None` if it is none of ours.
    pub(super) fn parse(bytes: &'l [u8]) -> Option<Line<'l>> {
        serde_json::from_slice(bytes).ok()
    }

    pub(super) fn stored(&self, number: u64) -> StoredLetter {
        StoredLetter {
            number,
            at: self.at,
            route: self.route.clone().into_owned(),
            reason: self.reason.clone().into_owned(),
            detail: self.detail.clone().into_owned(),
            attempts: self.attempts,
            source: self.source.clone().into_owned(),
            accepted_at: self.accepted_at,
            event_id: self.event_id.clone().into_owned(),
            event: self.event.to_owned(),
        }
    }

    pub(super) fn listed(&self, number: u64) -> ListedLetter {
        let Traits {
            event_type,
            user_id,
        } = self.traits();
        ListedLetter {
            number,
            at: self.at,
            route: self.route.clone().into_owned(),
            reason: self.reason.clone().into_owned(),
            attempts: self.attempts,
            event_type,
            user_id,
            event_id: self.event_id.clone().into_owned(),
        }
    }

    /// Nothing, if the event cannot be read.
    pub(super) fn traits(&self) -> Traits {
        let event = Event::parse(self.event.get().as_bytes());
        event.map_or_else(|_| Traits::default(), |event| Traits::of(&event))
    }
}

impl Traits {
    fn of(event: &Event<'_>) -> Traits {
        let user_id = match &event.fields {
            Fields::User(user) => user.user_id.as_deref(),
            Fields::Admin(admin) => admin.resource_path.as_deref().and_then(user_of_path),
        };
        Traits {
            event_type: Some(event.metadata().event_type.into()),
            user_id: user_id.filter(|id| !id.is_empty()).map(str::to_owned),
        }
    }
}

/// The user in `users/<id>…`.
fn user_of_path(path: &str) -> Option<&str> {
    let path = path.trim_start_matches('/');
    path.strip_prefix("users/")?.split('/').next()
}

/// The line of a letter, with what ends it.
pub(super) fn write(letter: &DeadLetter, number: u64, at: i64) -> Result<Vec<u8>, NotJson> {
    let header = &letter.record.header;
    let line = Line {
        number: Some(number),
        at,
        route: Cow::Borrowed(&letter.route),
        reason: Cow::Borrowed(letter.reason.as_str()),
        detail: Cow::Borrowed(&letter.detail),
        attempts: letter.attempts,
        source: Cow::Borrowed(&header.source),
        accepted_at: header.accepted_at,
        event_id: Cow::Borrowed(&header.event_id),
        event: serde_json::from_slice(&letter.record.body).map_err(|_| NotJson)?,
    };
    let mut bytes = serde_json::to_vec(&line).map_err(|_| NotJson)?;
    bytes.push(b'\n');
    Ok(bytes)
}

impl StoredLetter {
    /// `LOGIN_ERROR`, or `USER_CREATE` for an admin event; `None` if the event cannot be read.
    #[must_use]
    pub fn event_type(&self) -> Option<String> {
        let event = Event::parse(self.event.get().as_bytes()).ok()?;
        Some(event.metadata().event_type.into())
    }

    /// The event as the queue takes it, for its route alone; `None` if the event cannot be read.
    #[must_use]
    pub fn record(&self) -> Option<Record> {
        let event = Event::parse(self.event.get().as_bytes()).ok()?;
        let header = Header {
            event_id: self.event_id.as_str().into(),
            // A letter does not say whose the id is. Taken as ours, it is never mistaken for an
            // event that a source brings again.
            id_derived: true,
            source: self.source.as_str().into(),
            accepted_at: self.accepted_at,
            metadata: event.metadata(),
            ordering_key: event.ordering_key().into(),
            target: Target::Route(Arc::from(self.route.as_str())),
        };
        Some(Record {
            sequence: 0,
            header,
            body: Bytes::copy_from_slice(self.event.get().as_bytes()),
        })
    }
}
