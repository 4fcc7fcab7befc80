//! What a Keycloak event is: its shapes, metadata, variables and canonical JSON.
//!
//! Events reach kete in three JSON shapes. [`Event::parse`] takes any of them and tells them apart
//! by their fields; everything behind it sees one [`Event`], and [`Event::canonical`] writes the
//! one form that is stored and sent. On the way in, in this order:
//!
//! 1. [`Event::parse`] borrows from the bytes wherever no escape forces a copy;
//! 2. [`Event::ordering_key`] says which events must stay in order among each other;
//! 3. [`Event::redact`] masks known secrets, so that nothing behind it can store or send them;
//! 4. [`Event::derive_id`] gives an event without an id a stable one;
//! 5. [`Event::metadata`] is what matchers and `${variables}` look at;
//! 6. [`Event::write_canonical`] writes the body.
//!
//! ```
//! use kete_event::{Event, ParseError};
//!
//! # fn main() -> Result<(), ParseError> {
//! let mut event = Event::parse(br#"{"type":"LOGIN","realmId":"demo","userId":"alice"}"#)?;
//! assert_eq!(event.ordering_key(), "demo|user|alice");
//! assert_eq!(event.redact(), 0);
//! assert!(event.derive_id());
//! assert_eq!(&*event.metadata().event_type, "LOGIN");
//! assert!(event.canonical().ends_with(br#""error":null,"details":null}"#));
//! # Ok(())
//! # }
//! ```
//!
//! This crate does no I/O, knows no runtime and logs nothing. No error, and no `Debug` output of
//! an event, ever holds a part of an event's body.

mod canonical;
mod details;
mod error;
mod event;
mod identity;
mod metadata;
mod ordering;
mod parse;
mod redact;
mod resource_types;
mod scan;
mod variables;

pub use details::{DetailValue, Details};
pub use error::{JsonType, ParseError, Position};
pub use event::{AdminFields, AuthDetails, Event, Extra, Fields, Kind, Outcome, UserFields};
pub use identity::ID_NAMESPACE;
pub use metadata::Metadata;
pub use parse::NESTING_LIMIT;
pub use redact::MASK;
pub use resource_types::RESOURCE_TYPES;
pub use variables::{Style, Variable, VariableSource};
