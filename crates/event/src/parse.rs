//! From bytes to an event: one door for all three shapes.
//!
//! `serde_json` checks the whole text once; then members are told apart by name and borrowed. The
//! shape follows from the fields alone, never from where the bytes came from:
//!
//! | fields | shape |
//! |---|---|
//! | `type` that begins with `access.` or `admin.` | body of the p2-inc webhook extension |
//! | `type` otherwise | user event: Keycloak's own class, or the Admin REST representation |
//! | `operationType` | admin event: Keycloak's own class, or the Admin REST representation |
//!
//! Keycloak's class and its REST representation differ only in what they leave out (`realmName`,
//! `resourceTypeAsString`), so one reader serves both. Nothing is guessed: both kinds at once, a
//! member given twice or a value of the wrong type is an error. Members inside members that are
//! kept as they are (unknown ones, values of `details` that are not texts) are not looked at.

mod body;
mod shapes;
mod webhook;

use std::borrow::Cow;

use self::body::{Body, Member};
use crate::error::ParseError;
use crate::event::Event;

/// How deep arrays and objects may lie inside each other, in what is kept as it came and in
/// representations. Common JSON readers refuse more than 128, and receivers get events wrapped.
pub const NESTING_LIMIT: usize = 100;

/// What a body is, by its fields.
enum Shape<'a> {
    /// A user event, with its type.
    User(Cow<'a, str>),
    /// An admin event.
    Admin,
    /// A webhook body of a user event, with the type behind `access.`.
    WebhookUser(Cow<'a, str>),
    /// A webhook body of an admin event, with resource type and operation as `type` tells them.
    WebhookAdmin {
        resource_type: Cow<'a, str>,
        operation_type: Cow<'a, str>,
    },
}

impl<'a> Event<'a> {
    /// Reads one event in any of the three shapes from a body that is one JSON object.
    ///
    /// White space around the object is fine. What the webhook extension adds for itself does not
    /// stay: its `uid` becomes the id where there is none and is left out otherwise, and
    /// `authDetails` of a user event is spread over the fields a user event has for it.
    ///
    /// # Errors
    ///
    /// [`ParseError`] says where and why the body is not an event; it never quotes the body.
    pub fn parse(json: &'a [u8]) -> Result<Event<'a>, ParseError> {
        let body = Body::check(json)?;
        let members = body.members()?;
        match shape(&body, &members)? {
            Shape::User(event_type) => shapes::user(&body, members, event_type),
            Shape::Admin => shapes::admin(&body, members),
            Shape::WebhookUser(event_type) => webhook::user(&body, members, event_type),
            Shape::WebhookAdmin {
                resource_type,
                operation_type,
            } => webhook::admin(&body, members, resource_type, operation_type),
        }
    }
}

fn shape<'a>(body: &Body<'a>, members: &[Member<'a>]) -> Result<Shape<'a>, ParseError> {
    let find = |name| members.iter().find(|member| member.name == name);
    let event_type = match find("type") {
        Some(member) => body.name("type", member.value)?,
        None => None,
    };
    let operation = match find("operationType") {
        Some(member) => body.name("operationType", member.value)?,
        None => None,
    };
    let Some(event_type) = event_type else {
        return if operation.is_some() {
            Ok(Shape::Admin)
        } else {
            Err(ParseError::MissingType)
        };
    };
    if let Some(shape) = webhook::shape(body, members, &event_type)? {
        if operation.is_some() && matches!(shape, Shape::WebhookUser(_)) {
            return Err(ParseError::Ambiguous);
        }
        return Ok(shape);
    }
    if operation.is_some() {
        return Err(ParseError::Ambiguous);
    }
    Ok(Shape::User(event_type))
}
