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

#[cfg(test)]
mod tests {
    use super::*;

    fn details() -> Details<'static> {
        let text = |text| DetailValue::Text(Cow::Borrowed(text));
        let entries = vec![
            (Cow::Borrowed("z"), text("last first")),
            (
                Cow::Borrowed("n"),
                DetailValue::Json(Cow::Borrowed(RawValue::NULL)),
            ),
            (Cow::Borrowed("a"), text("")),
        ];
        Details { entries }
    }

    #[test]
    fn texts_are_found_by_their_exact_name() {
        assert_eq!(details().text("z"), Some("last first"));
        assert_eq!(details().text("a"), Some(""));
        assert_eq!(details().text("Z"), None);
    }

    #[test]
    fn what_is_no_text_is_not_found_as_one() {
        assert_eq!(details().text("n"), None);
    }

    #[test]
    fn the_order_is_the_one_in_which_they_came() {
        let details = details();
        assert_eq!(
            details.iter().map(|(name, _)| name).collect::<String>(),
            "zna"
        );
        assert_eq!((details.len(), details.is_empty()), (3, false));
        assert!(Details::default().is_empty());
    }
}
