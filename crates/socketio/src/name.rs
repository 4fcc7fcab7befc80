//! Event names, checked and encoded once.
//!
//! A name becomes JSON text when it is made, so a route with a constant name pays for the escaping
//! once and for a reference count per event. A name that would make a server close the connection
//! cannot be made at all.

use std::{fmt, str::FromStr, sync::Arc};

use thiserror::Error;

/// The names that Socket.IO keeps for itself. A socket.io 4 server closes the connection when a
/// client emits one of them (`RESERVED_EVENTS` in socket.io-client and socket.io).
pub const RESERVED_NAMES: [&str; 6] = [
    "connect",
    "connect_error",
    "disconnect",
    "disconnecting",
    "newListener",
    "removeListener",
];

/// The name of an event, ready for the wire. Cheap to clone.
///
/// ```
/// use kete_socketio::EventName;
///
/// let name = EventName::new("user.login")?;
/// assert_eq!(name.as_json(), r#""user.login""#);
/// assert!(EventName::new("disconnect").is_err());
/// # Ok::<(), kete_socketio::EventNameError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EventName {
    json: Arc<str>,
}

impl EventName {
    /// Checks and encodes a name.
    ///
    /// # Errors
    /// When the name is empty or one of [`RESERVED_NAMES`]. Trying again cannot help.
    pub fn new(name: &str) -> Result<EventName, EventNameError> {
        if name.is_empty() {
            return Err(EventNameError::Empty);
        }
        if RESERVED_NAMES.contains(&name) {
            return Err(EventNameError::Reserved {
                name: name.to_owned(),
            });
        }
        Ok(EventName {
            json: serde_json::Value::from(name).to_string().into(),
        })
    }

    /// The name as a JSON string, quotes included.
    pub fn as_json(&self) -> &str {
        &self.json
    }
}

impl FromStr for EventName {
    type Err = EventNameError;

    fn from_str(name: &str) -> Result<EventName, EventNameError> {
        EventName::new(name)
    }
}

impl fmt::Debug for EventName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "EventName({})", self.json)
    }
}

/// Why a text cannot be an event name. It never can: trying again does not help.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EventNameError {
    /// The name has no characters.
    #[error("an event name cannot be empty")]
    Empty,
    /// Socket.IO keeps the name for itself, and servers close the connection over it.
    #[error("the event name \"{name}\" is reserved by Socket.IO, choose another one")]
    Reserved {
        /// The refused name.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reserved_name_is_refused_and_only_as_a_whole() {
        for name in RESERVED_NAMES {
            assert_eq!(
                EventName::new(name),
                Err(EventNameError::Reserved {
                    name: name.to_owned()
                })
            );
            assert!(EventName::new(&format!("{name}ed")).is_ok());
            assert!(EventName::new(&name.to_uppercase()).is_ok());
        }
    }

    #[test]
    fn an_empty_name_is_refused() {
        assert_eq!("".parse::<EventName>(), Err(EventNameError::Empty));
    }

    #[test]
    fn a_name_is_escaped_as_json() {
        let name = EventName::new("a\"b\\c\n\u{e9}").unwrap();
        assert_eq!(name.as_json(), "\"a\\\"b\\\\c\\n\u{e9}\"");
    }
}
