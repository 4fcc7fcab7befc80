//! The free-form `details` of an event: names and values in the order in which they came.
//!
//! Keycloak writes texts only. Extensions write what they like, so a value that is not a text is
//! kept as the JSON it was. Names are unique; the parser refuses anything else.

use std::borrow::Cow;

use serde_json::value::RawValue;

/// Names and values, in order.
#[derive(Clone, Default)]
pub struct Details<'a> {
    pub(crate) entries: Vec<(Cow<'a, str>, DetailValue<'a>)>,
}

/// One value of [`Details`].
#[derive(Clone)]
pub enum DetailValue<'a> {
    /// A text, as Keycloak writes them.
    Text(Cow<'a, str>),
    /// Anything else, `null` included, as JSON text.
    Json(Cow<'a, RawValue>),
}

impl<'a> Details<'a> {
    /// The text under `name`, if there is one and it is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.iter().find_map(|(entry, value)| match value {
            DetailValue::Text(text) if entry == name => Some(&**text),
            _ => None,
        })
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &DetailValue<'a>)> {
        self.entries.iter().map(|(name, value)| (&**name, value))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
