//! A body that is known to be one JSON object, and the typed reading of its members.
//!
//! Every reader takes the name of the field and the value as it is written, so that an error can
//! name the field and, because the value is a slice of the body, the place.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::value::RawValue;

use super::NESTING_LIMIT;
use crate::details::{DetailValue, Details};
use crate::error::{JsonType, ParseError, Position};
use crate::event::OptionalText;
use crate::scan::{self, Value};

/// One JSON object, checked.
pub(super) struct Body<'a> {
    /// All bytes that came.
    text: &'a str,
    /// The object, without white space around it.
    object: &'a str,
}

/// One member of an object.
pub(super) struct Member<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) value: Value<'a>,
}

impl<'a> Body<'a> {
    /// Checks that `json` is one JSON object in UTF-8.
    pub(super) fn check(json: &'a [u8]) -> Result<Body<'a>, ParseError> {
        let text = std::str::from_utf8(json).map_err(|error| ParseError::NotUtf8 {
            position: Position::of(json, error.valid_up_to()),
        })?;
        let object = match serde_json::from_str::<&RawValue>(text) {
            Ok(value) => value.get(),
            Err(_) if text.trim().is_empty() => return Err(ParseError::Empty),
            Err(error) if error.is_eof() => {
                let position = Position::of(json, json.len());
                return Err(ParseError::Truncated { position });
            }
            Err(error) => return Err(ParseError::Syntax(error)),
        };
        match JsonType::of(object) {
            JsonType::Object => Ok(Body { text, object }),
            found => Err(ParseError::NotAnObject { found }),
        }
    }

    /// The members of the object itself.
    pub(super) fn members(&self) -> Result<Vec<Member<'a>>, ParseError> {
        self.members_of("the event", self.object)
    }

    /// The members of an object inside the body; null counts as absent.
    pub(super) fn object(
        &self,
        field: &'static str,
        value: Value<'a>,
    ) -> Result<Option<Vec<Member<'a>>>, ParseError> {
        match JsonType::of(value.raw) {
            JsonType::Object => self.members_of(field, value.raw).map(Some),
            JsonType::Null => Ok(None),
            _ => Err(self.wrong_type(field, value, "an object or null")),
        }
    }

    /// A text; null counts as absent.
    pub(super) fn text(
        &self,
        field: &'static str,
        value: Value<'a>,
    ) -> Result<OptionalText<'a>, ParseError> {
        match JsonType::of(value.raw) {
            JsonType::Text => self.decode(field, value).map(Some),
            JsonType::Null => Ok(None),
            _ => Err(self.wrong_type(field, value, "a text or null")),
        }
    }

    /// A text that means nothing when it is blank, such as an id or a type.
    pub(super) fn name(
        &self,
        field: &'static str,
        value: Value<'a>,
    ) -> Result<OptionalText<'a>, ParseError> {
        Ok(self
            .text(field, value)?
            .filter(|text| !text.trim().is_empty()))
    }

    /// Milliseconds since 1970; null counts as absent.
    pub(super) fn time(
        &self,
        field: &'static str,
        value: Value<'a>,
    ) -> Result<Option<i64>, ParseError> {
        match JsonType::of(value.raw) {
            JsonType::Null => Ok(None),
            JsonType::Number => match value.raw.parse() {
                Ok(time) => Ok(Some(time)),
                Err(_) => Err(self.wrong_type(field, value, MILLISECONDS)),
            },
            _ => Err(self.wrong_type(field, value, MILLISECONDS)),
        }
    }

    /// The free-form details; null counts as absent.
    pub(super) fn details(
        &self,
        field: &'static str,
        value: Value<'a>,
    ) -> Result<Option<Details<'a>>, ParseError> {
        let Some(members) = self.object(field, value)? else {
            return Ok(None);
        };
        let mut entries = Vec::with_capacity(members.len() + 1);
        for member in members {
            let value = match JsonType::of(member.value.raw) {
                JsonType::Text => DetailValue::Text(self.decode(field, member.value)?),
                _ => DetailValue::Json(self.json(field, member.value)?),
            };
            entries.push((member.name, value));
        }
        Ok(Some(Details { entries }))
    }

    /// A value that is kept as it is written.
    pub(super) fn json(
        &self,
        field: &'static str,
        value: Value<'a>,
    ) -> Result<Cow<'a, RawValue>, ParseError> {
        let container = matches!(JsonType::of(value.raw), JsonType::Array | JsonType::Object);
        if container && scan::nested_deeper_than(value.raw, NESTING_LIMIT) {
            let position = self.position(value);
            return Err(ParseError::TooDeep {
                field,
                position,
                limit: NESTING_LIMIT,
            });
        }
        serde_json::from_str(value.raw)
            .map(Cow::Borrowed)
            .map_err(ParseError::Syntax)
    }

    /// Where `value`, which is a part of this body, begins.
    pub(super) fn position(&self, value: Value<'a>) -> Position {
        let offset = (value.raw.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        Position::of(self.text.as_bytes(), offset)
    }

    fn members_of(
        &self,
        field: &'static str,
        object: &'a str,
    ) -> Result<Vec<Member<'a>>, ParseError> {
        let mut members = Vec::with_capacity(16);
        for (name, value) in scan::members(object) {
            members.push(Member {
                name: self.decode(field, name)?,
                value,
            });
        }
        match first_repeat(&members) {
            None => Ok(members),
            Some(repeat) => Err(ParseError::Duplicate {
                field: own_name(&repeat.name),
                position: self.position(repeat.value),
            }),
        }
    }

    fn decode(&self, field: &'static str, value: Value<'a>) -> Result<Cow<'a, str>, ParseError> {
        value.decode().ok_or_else(|| ParseError::BadText {
            field,
            position: self.position(value),
        })
    }

    fn wrong_type(
        &self,
        field: &'static str,
        value: Value<'a>,
        expected: &'static str,
    ) -> ParseError {
        let found = JsonType::of(value.raw);
        ParseError::WrongType {
            field,
            position: self.position(value),
            expected,
            found,
        }
    }
}

const MILLISECONDS: &str = "milliseconds since 1970 as a whole number";

/// The first member whose name an earlier one has.
///
/// Events have a dozen members, so most of the time one look at a bit per name tells that no two
/// are alike. A body with very many members gets a hash set, or it could keep a core busy.
fn first_repeat<'m, 'a>(members: &'m [Member<'a>]) -> Option<&'m Member<'a>> {
    if members.len() > 64 {
        let mut seen = HashSet::with_capacity(members.len());
        return members.iter().find(|member| !seen.insert(&*member.name));
    }
    let mut taken = 0_u64;
    for (index, member) in members.iter().enumerate() {
        let bit = 1 << bucket(&member.name);
        let suspect = taken & bit != 0;
        if suspect
            && members[..index]
                .iter()
                .any(|earlier| earlier.name == member.name)
        {
            return Some(member);
        }
        taken |= bit;
    }
    None
}

/// A number below 64 that differs for most names that differ.
fn bucket(name: &str) -> u32 {
    let bytes = name.as_bytes();
    let edge = |byte: Option<&u8>| byte.map_or(0, |&byte| u32::from(byte));
    let (first, last) = (edge(bytes.first()), edge(bytes.last()));
    (first.wrapping_mul(7) ^ last.wrapping_mul(31) ^ (bytes.len() as u32).wrapping_mul(5)) % 64
}

/// The name as this crate spells it, so that a message never quotes the body.
fn own_name(name: &str) -> &'static str {
    const NAMES: [&str; 20] = [
        "id",
        "time",
        "type",
        "realmId",
        "realmName",
        "clientId",
        "userId",
        "sessionId",
        "ipAddress",
        "error",
        "details",
        "authDetails",
        "resourceType",
        "operationType",
        "resourcePath",
        "representation",
        "resourceTypeAsString",
        "resourceId",
        "uid",
        "username",
    ];
    NAMES
        .into_iter()
        .find(|own| *own == name)
        .unwrap_or("a member that Keycloak does not name")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn named(names: &[String]) -> Vec<Member<'_>> {
        let value = Value {
            raw: "null",
            escaped: false,
        };
        let member = |name| Member {
            name: Cow::Borrowed(name),
            value,
        };
        names.iter().map(|name| member(name.as_str())).collect()
    }

    #[test]
    fn the_second_of_two_is_the_repeat() {
        let names = ["a", "b", "b", "a"].map(String::from);
        assert_eq!(first_repeat(&named(&names)).unwrap().name, "b");
        assert!(first_repeat(&named(&[])).is_none());
    }

    #[test]
    fn most_of_keycloaks_names_fall_into_different_buckets() {
        let names = [
            "id",
            "time",
            "type",
            "realmId",
            "realmName",
            "clientId",
            "userId",
            "sessionId",
            "ipAddress",
            "error",
            "details",
        ];
        let buckets: HashSet<_> = names.iter().map(|name| bucket(name)).collect();
        assert!(buckets.len() + 3 >= names.len(), "{buckets:?}");
    }

    proptest! {
        #[test]
        fn repeats_are_found_if_and_only_if_there_are_any(
            names in prop::collection::vec("[a-e\u{e9}]{0,3}", 0..90)
        ) {
            let mut seen = HashSet::new();
            let expected = names.iter().find(|name| !seen.insert(name.as_str()));
            let members = named(&names);
            let found = first_repeat(&members).map(|member| &*member.name);
            prop_assert_eq!(found, expected.map(String::as_str));
        }
    }
}
