//! Why a body is not an event.
//!
//! Every message names the place and what was expected there. None quotes the body: field names in
//! messages are always names from this crate's own vocabulary, never text that came in.

use std::fmt;

/// A body that is not a Keycloak event.
///
/// Trying again never helps: the same bytes fail in the same way.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// There is nothing, or nothing but white space.
    #[error("the body is empty, expected one event as a JSON object")]
    Empty,
    /// The bytes are not text.
    #[error("not UTF-8 at {position}, events must be JSON in UTF-8")]
    NotUtf8 {
        /// Where the first wrong byte is.
        position: Position,
    },
    /// The JSON ends too early.
    #[error("the JSON is cut off at {position}, check what shortens bodies on the way here")]
    Truncated {
        /// Where it ends.
        position: Position,
    },
    /// The JSON is malformed. The message below comes from `serde_json` and holds no input.
    #[error("not valid JSON: {0}")]
    Syntax(serde_json::Error),
    /// Valid JSON, but no object.
    #[error("expected one event as a JSON object, found {found}")]
    NotAnObject {
        /// What it is instead.
        found: JsonType,
    },
    /// A member is there twice, so nobody can say which one counts.
    #[error("{field} is there twice, again at {position}, expected each member once")]
    Duplicate {
        /// The field, or a description of it where its name is not one of Keycloak's.
        field: &'static str,
        /// Where the second one is.
        position: Position,
    },
    /// A member has a value of the wrong type.
    #[error("{field} at {position}: expected {expected}, found {found}")]
    WrongType {
        /// The field.
        field: &'static str,
        /// Where its value begins.
        position: Position,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: JsonType,
    },
    /// A text with an escape that stands for no character (half of a surrogate pair).
    #[error("{field} at {position}: an escape in this text stands for no character")]
    BadText {
        /// The field.
        field: &'static str,
        /// Where its value begins.
        position: Position,
    },
    /// Arrays and objects inside each other beyond what receivers can be expected to read.
    #[error("{field} at {position} is nested deeper than {limit} levels")]
    TooDeep {
        /// The field.
        field: &'static str,
        /// Where its value begins.
        position: Position,
        /// The limit.
        limit: usize,
    },
    /// Nothing says what happened.
    #[error(
        "no event type, expected `type` (user event) or `resourceType` and `operationType` \
         (admin event)"
    )]
    MissingType,
    /// A field without which an event of its kind has no type.
    #[error("{field} is missing or blank, an admin event needs it")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// Both kinds at once.
    #[error(
        "both `type` and `operationType` are there, expected `type` (user event) or \
         `operationType` (admin event)"
    )]
    Ambiguous,
    /// A `type` that begins like the webhook extension's but does not go on like it.
    #[error(
        "type at {position}: expected `access.<TYPE>` or `admin.<RESOURCE>-<OPERATION>` in a \
         webhook body"
    )]
    BadWebhookType {
        /// Where its value begins.
        position: Position,
    },
    /// A message of the webhook extension that tells of no Keycloak event (`system.…` and types
    /// that applications made up).
    #[error("not a Keycloak event but a message of the webhook extension itself, leave it out")]
    NotKeycloak,
}

/// A place in a body, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The byte within the line.
    pub column: usize,
}

/// The type of a JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonType {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean,
    /// A number.
    Number,
    /// A text.
    Text,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl ParseError {
    /// Whether the body is well formed and merely tells of something else than a Keycloak event,
    /// so that a source may skip it quietly.
    pub fn is_foreign(&self) -> bool {
        matches!(self, ParseError::NotKeycloak)
    }
}

impl Position {
    /// The place of the byte at `offset` in `body`.
    pub(crate) fn of(body: &[u8], offset: usize) -> Position {
        let before = &body[..offset.min(body.len())];
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
        Position {
            line: 1 + memchr::memchr_iter(b'\n', before).count(),
            column: 1 + before.len() - line_start,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {} column {}", self.line, self.column)
    }
}

impl JsonType {
    /// The type of a valid JSON value, by its first byte.
    pub(crate) fn of(json: &str) -> JsonType {
        match json.as_bytes().first() {
            Some(b'{') => JsonType::Object,
            Some(b'[') => JsonType::Array,
            Some(b'"') => JsonType::Text,
            Some(b't' | b'f') => JsonType::Boolean,
            Some(b'n') => JsonType::Null,
            _ => JsonType::Number,
        }
    }
}

impl fmt::Display for JsonType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            JsonType::Null => "null",
            JsonType::Boolean => "true or false",
            JsonType::Number => "a number",
            JsonType::Text => "a text",
            JsonType::Array => "an array",
            JsonType::Object => "an object",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_from_one_in_lines_and_bytes() {
        let body = "ab\n\u{e9}\n\nx".as_bytes();
        for (offset, line, column) in [
            (0, 1, 1),
            (2, 1, 3),
            (3, 2, 1),
            (5, 2, 3),
            (6, 3, 1),
            (7, 4, 1),
            (8, 4, 2),
            (99, 4, 2),
        ] {
            assert_eq!(
                Position::of(body, offset),
                Position { line, column },
                "{offset}"
            );
        }
        assert_eq!(Position::of(b"", 0).to_string(), "line 1 column 1");
    }

    #[test]
    fn types_are_told_by_the_first_byte() {
        for (json, expected) in [
            ("null", JsonType::Null),
            ("true", JsonType::Boolean),
            ("false", JsonType::Boolean),
            ("-1", JsonType::Number),
            ("0.5", JsonType::Number),
            ("\"\"", JsonType::Text),
            ("[]", JsonType::Array),
            ("{}", JsonType::Object),
        ] {
            assert_eq!(JsonType::of(json), expected, "{json}");
        }
    }
}
