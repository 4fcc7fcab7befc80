//! What matchers, event names and the queue need to know about an event without its body.
//!
//! It is small, owned and stored beside the body, so that no lane parses an event to route it.

use crate::event::{Event, Fields, Kind, Outcome};

/// The facts about an event that routing works on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Metadata {
    /// User event or admin event.
    pub kind: Kind,
    /// The realm's name; where the event has none, its id.
    pub realm: Option<Box<str>>,
    /// `LOGIN`, or `USER_CREATE` for an admin event.
    pub event_type: Box<str>,
    /// Enum name of an admin event's resource type, `CUSTOM` for one that an extension made up.
    pub resource_type: Option<Box<str>>,
    /// An admin event's operation.
    pub operation_type: Option<Box<str>>,
    /// Whether it succeeded.
    pub outcome: Outcome,
    /// The event's id; empty only where it has none and [`Event::derive_id`] was not asked.
    pub event_id: Box<str>,
}

impl Event<'_> {
    /// The facts about this event that routing works on.
    pub fn metadata(&self) -> Metadata {
        let (resource_type, operation_type) = match &self.fields {
            Fields::User(_) => (None, None),
            Fields::Admin(admin) => (
                Some((*admin.resource_type).into()),
                Some((*admin.operation_type).into()),
            ),
        };
        Metadata {
            kind: self.kind(),
            realm: self.realm().map(Box::from),
            event_type: self.event_type().into(),
            resource_type,
            operation_type,
            outcome: self.outcome(),
            event_id: self.id.as_deref().unwrap_or_default().into(),
        }
    }
}
