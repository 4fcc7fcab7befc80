//! An id for events that come without one.
//!
//! Keycloak before 26.2 tells no ids over its Admin API. Receivers drop repeats by id, so such an
//! event gets one made from its content: the same content has the same id in every run of every
//! kete. The id says nothing about *who* told of the event, so it is no ground for dropping
//! repeats here: two real events may be equal to the last byte.

use std::borrow::Cow;

use uuid::Uuid;

use crate::event::{Event, present};

/// Namespace of derived ids: UUID version 5 of the DNS name `events.kete.invalid`. It must never
/// change, or the same event would get another id after an upgrade.
pub const ID_NAMESPACE: Uuid = Uuid::from_u128(0xf90b8724_f12a_51a1_9eb0_b41e3ece6d31);

impl Event<'_> {
    /// Gives an event without an id one: UUID version 5 over its canonical JSON with `id` null.
    /// Says whether it did.
    ///
    /// Call it after [`Event::redact`]: otherwise the id would be a fingerprint of the secrets.
    pub fn derive_id(&mut self) -> bool {
        if present(&self.id).is_some() {
            return false;
        }
        self.id = None;
        let id = Uuid::new_v5(&ID_NAMESPACE, &self.canonical());
        self.id = Some(Cow::Owned(id.hyphenated().to_string()));
        true
    }
}
