//! The body that the webhook extension `p2-inc/keycloak-events` sends.
//!
//! It has an envelope of its own round Keycloak's fields. What becomes of it:
//!
//! | member | user event (`access.…`) | admin event (`admin.…`) |
//! |---|---|---|
//! | `type` | gives the type | gives resource type and operation if not given |
//! | `uid` | the id if there is none | the same |
//! | `authDetails.realmId` (a name!) | `realmName` if there is none | `authDetails.realmName` |
//! | `authDetails.username` | `details.username` if there is none | stays |
//! | its `clientId`, `userId`, `sessionId`, `ipAddress` | fields of the event | stay |
//! | other members of `authDetails` | unknown members of the event | stay |
//!
//! Where a user event itself has a field, that one wins over `authDetails`. A `uid` beside an id
//! is left out: two webhooks give one event two of them, and receivers drop repeats by id.

use std::borrow::Cow;
use std::collections::HashSet;

use super::Shape;
use super::body::{Body, Member};
use super::shapes::{AdminParts, Common, new_user, take_user_member};
use crate::details::{DetailValue, Details};
use crate::error::ParseError;
use crate::event::{Event, Extra, Fields, OptionalText, UserFields};
use crate::scan::Value;

/// What the body is if it comes from the webhook extension.
pub(super) fn shape<'a>(
    body: &Body<'a>,
    members: &[Member<'a>],
    event_type: &Cow<'a, str>,
) -> Result<Option<Shape<'a>>, ParseError> {
    let Some((prefix, rest)) = split_once(event_type, '.') else {
        return Ok(None);
    };
    match &*prefix {
        "system" => return Err(ParseError::NotKeycloak),
        "access" | "admin" => {}
        // Applications may send messages of their own through the extension, which gives each a
        // `uid`. Without one, this is an event type nobody has seen yet.
        _ if members.iter().any(|member| member.name == "uid") => {
            return Err(ParseError::NotKeycloak);
        }
        _ => return Ok(None),
    }
    let shape = match &*prefix {
        // What is left must not look like a webhook type again.
        _ if rest.contains('.') || rest.trim().is_empty() => None,
        "access" => Some(Shape::WebhookUser(rest)),
        _ => rsplit_once(&rest, '-').map(|(resource_type, operation_type)| Shape::WebhookAdmin {
            resource_type,
            operation_type,
        }),
    };
    match shape {
        Some(shape) => Ok(Some(shape)),
        None => {
            let value = members.iter().find(|member| member.name == "type");
            let position = value.map(|member| body.position(member.value));
            Err(ParseError::BadWebhookType {
                position: position.unwrap_or(crate::error::Position { line: 1, column: 1 }),
            })
        }
    }
}

pub(super) fn user<'a>(
    body: &Body<'a>,
    members: Vec<Member<'a>>,
    event_type: Cow<'a, str>,
) -> Result<Event<'a>, ParseError> {
    let mut common = Common::default();
    let mut user = new_user(event_type);
    let mut uid = None;
    let mut auth = Vec::new();
    for member in members {
        match &*member.name {
            "uid" => uid = body.name("uid", member.value)?,
            "authDetails" => {
                auth = body
                    .object("authDetails", member.value)?
                    .unwrap_or_default();
            }
            _ => take_user_member(body, member, &mut user, &mut common)?,
        }
    }
    for member in auth {
        absorb(body, member, &mut user, &mut common)?;
    }
    drop_repeats(&mut common.extra);
    common.id = common.id.or(uid);
    Ok(common.into_event(Fields::User(user)))
}

pub(super) fn admin<'a>(
    body: &Body<'a>,
    members: Vec<Member<'a>>,
    resource_type: Cow<'a, str>,
    operation_type: Cow<'a, str>,
) -> Result<Event<'a>, ParseError> {
    let mut common = Common::default();
    let mut admin = AdminParts::default();
    let mut uid = None;
    for member in members {
        match &*member.name {
            "type" => {}
            "uid" => uid = body.name("uid", member.value)?,
            _ => admin.take(body, member, &mut common)?,
        }
    }
    if admin.resource_type.is_none() && admin.resource_type_text.is_none() {
        admin.resource_type = Some(resource_type);
    }
    admin.operation_type.get_or_insert(operation_type);
    if let Some(auth) = &mut admin.auth_details
        && auth.realm_name.is_none()
    {
        auth.realm_name = auth.realm_id.take();
    }
    common.id = common.id.or(uid);
    Ok(common.into_event(Fields::Admin(admin.finish()?)))
}

/// Moves one member of a user event's `authDetails` to where user events have it.
fn absorb<'a>(
    body: &Body<'a>,
    member: Member<'a>,
    user: &mut UserFields<'a>,
    common: &mut Common<'a>,
) -> Result<(), ParseError> {
    let value = member.value;
    let fill = |field, slot: &mut OptionalText<'a>| -> Result<(), ParseError> {
        let text = body.text(field, value)?;
        if slot.is_none() {
            *slot = text;
        }
        Ok(())
    };
    match &*member.name {
        "realmId" => fill("authDetails.realmId", &mut common.realm_name),
        "realmName" => fill("authDetails.realmName", &mut common.realm_name),
        "clientId" => fill("authDetails.clientId", &mut user.client_id),
        "userId" => fill("authDetails.userId", &mut user.user_id),
        "sessionId" => fill("authDetails.sessionId", &mut user.session_id),
        "ipAddress" => fill("authDetails.ipAddress", &mut user.ip_address),
        "username" => absorb_username(body, value, &mut common.details),
        _ => absorb_unknown(body, member, common),
    }
}

fn absorb_username<'a>(
    body: &Body<'a>,
    value: Value<'a>,
    details: &mut Option<Details<'a>>,
) -> Result<(), ParseError> {
    let Some(username) = body.text("authDetails.username", value)? else {
        return Ok(());
    };
    let entries = &mut details.get_or_insert_default().entries;
    if !entries.iter().any(|(name, _)| name == "username") {
        entries.push((Cow::Borrowed("username"), DetailValue::Text(username)));
    }
    Ok(())
}

/// Keeps a member nobody knows, unless its name means something one level up.
fn absorb_unknown<'a>(
    body: &Body<'a>,
    member: Member<'a>,
    common: &mut Common<'a>,
) -> Result<(), ParseError> {
    const MEANINGFUL: [&str; 6] = ["id", "time", "type", "error", "details", "operationType"];
    if !MEANINGFUL.contains(&&*member.name) {
        let json = body.json("an unknown member of authDetails", member.value)?;
        common.extra.push((member.name, json));
    }
    Ok(())
}

/// Leaves the first of several unknown members with one name: the event's own.
fn drop_repeats(extra: &mut Vec<Extra<'_>>) {
    let mut seen = HashSet::with_capacity(extra.len());
    extra.retain(|(name, _)| seen.insert(name.clone()));
}

/// `str::split_once` that goes on borrowing from the body where it can.
fn split_once<'a>(text: &Cow<'a, str>, separator: char) -> Option<(Cow<'a, str>, Cow<'a, str>)> {
    text.find(separator).map(|at| split_around(text, at))
}

fn rsplit_once<'a>(text: &Cow<'a, str>, separator: char) -> Option<(Cow<'a, str>, Cow<'a, str>)> {
    let (first, second) = split_around(text, text.rfind(separator)?);
    let blank = first.trim().is_empty() || second.trim().is_empty();
    (!blank).then_some((first, second))
}

/// What is before and behind the one-byte separator at `at`.
fn split_around<'a>(text: &Cow<'a, str>, at: usize) -> (Cow<'a, str>, Cow<'a, str>) {
    match text {
        Cow::Borrowed(text) => (Cow::Borrowed(&text[..at]), Cow::Borrowed(&text[at + 1..])),
        Cow::Owned(text) => (
            Cow::Owned(text[..at].into()),
            Cow::Owned(text[at + 1..].into()),
        ),
    }
}
