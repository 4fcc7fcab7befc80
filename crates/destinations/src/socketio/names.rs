//! Event names as they go over the wire, encoded once and remembered.
//!
//! A route has one name or, with variables, a few dozen. Should a template make up endless ones,
//! what is remembered is thrown away rather than let grow, and long ones are not remembered.

use std::collections::HashMap;
use std::sync::Arc;

use kete_socketio::{EventName, EventNameError};

/// How many names are remembered.
const MOST: usize = 256;
/// The longest name in bytes that is remembered: what a template takes from an event has no bound.
const LONGEST: usize = 256;

/// The names of one connection.
#[derive(Debug, Default)]
pub(crate) struct Names {
    known: HashMap<Arc<str>, EventName>,
}

impl Names {
    /// The name for the wire.
    ///
    /// # Errors
    /// Socket.IO cannot send such a name.
    pub(crate) fn encode(&mut self, name: &Arc<str>) -> Result<EventName, EventNameError> {
        if let Some(known) = self.known.get(name) {
            return Ok(known.clone());
        }
        let encoded = EventName::new(name)?;
        if name.len() > LONGEST {
            return Ok(encoded);
        }
        if self.known.len() == MOST {
            self.known.clear();
        }
        self.known.insert(Arc::clone(name), encoded.clone());
        Ok(encoded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_encoded_as_json_and_the_same_when_it_is_remembered() {
        let mut names = Names::default();
        let name: Arc<str> = "say \"hi\"".into();
        for _ in 0..2 {
            assert_eq!(names.encode(&name).unwrap().as_json(), r#""say \"hi\"""#);
        }
        assert_eq!(names.known.len(), 1);
    }

    #[test]
    fn endless_names_do_not_take_endless_memory() {
        let mut names = Names::default();
        for number in 0..10 * MOST {
            let name: Arc<str> = format!("name-{number}").into();
            assert_eq!(
                names.encode(&name).unwrap().as_json(),
                format!("\"name-{number}\"")
            );
            assert!(names.known.len() <= MOST);
        }
    }

    #[test]
    fn a_long_name_is_encoded_but_not_remembered() {
        let mut names = Names::default();
        for (length, remembered) in [(LONGEST + 1, 0), (LONGEST, 1)] {
            let name: Arc<str> = "n".repeat(length).into();
            assert_eq!(names.encode(&name).unwrap().as_json().len(), length + 2);
            assert_eq!(names.known.len(), remembered);
        }
    }

    #[test]
    fn a_reserved_name_is_refused_every_time() {
        let mut names = Names::default();
        let name: Arc<str> = "disconnect".into();
        assert!(names.encode(&name).is_err());
        assert!(names.encode(&name).is_err());
    }
}
