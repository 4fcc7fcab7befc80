//! Keycloak's own two classes, as the class itself or as the Admin REST representation.
//!
//! They share one reader each: the representation merely leaves out `realmName`,
//! `resourceTypeAsString` and, before 26.2, `id`.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::body::{Body, Member};
use crate::details::Details;
use crate::error::ParseError;
use crate::event::{AdminFields, AuthDetails, Event, Extra, Fields, OptionalText, UserFields};
use crate::resource_types::{self, CUSTOM};

/// What both kinds of events have, while it is being read.
#[derive(Default)]
pub(super) struct Common<'a> {
    pub(super) id: OptionalText<'a>,
    pub(super) time: Option<i64>,
    pub(super) realm_id: OptionalText<'a>,
    pub(super) realm_name: OptionalText<'a>,
    pub(super) error: OptionalText<'a>,
    pub(super) details: Option<Details<'a>>,
    pub(super) extra: Vec<Extra<'a>>,
}

/// What only admin events have, while it is being read.
#[derive(Default)]
pub(super) struct AdminParts<'a> {
    pub(super) auth_details: Option<AuthDetails<'a>>,
    pub(super) resource_type: OptionalText<'a>,
    pub(super) resource_type_text: OptionalText<'a>,
    pub(super) operation_type: OptionalText<'a>,
    resource_path: OptionalText<'a>,
    representation: OptionalText<'a>,
    resource_id: OptionalText<'a>,
}

pub(super) fn user<'a>(
    body: &Body<'a>,
    members: Vec<Member<'a>>,
    event_type: Cow<'a, str>,
) -> Result<Event<'a>, ParseError> {
    let mut common = Common::default();
    let mut user = new_user(event_type);
    for member in members {
        take_user_member(body, member, &mut user, &mut common)?;
    }
    Ok(common.into_event(Fields::User(user)))
}

pub(super) fn admin<'a>(
    body: &Body<'a>,
    members: Vec<Member<'a>>,
) -> Result<Event<'a>, ParseError> {
    let mut common = Common::default();
    let mut admin = AdminParts::default();
    for member in members {
        admin.take(body, member, &mut common)?;
    }
    Ok(common.into_event(Fields::Admin(admin.finish()?)))
}

pub(super) fn new_user(event_type: Cow<'_, str>) -> UserFields<'_> {
    UserFields {
        event_type,
        client_id: None,
        user_id: None,
        session_id: None,
        ip_address: None,
    }
}

pub(super) fn take_user_member<'a>(
    body: &Body<'a>,
    member: Member<'a>,
    user: &mut UserFields<'a>,
    common: &mut Common<'a>,
) -> Result<(), ParseError> {
    let value = member.value;
    match &*member.name {
        // The shape was told by it, and it was read then; null beside an admin event's fields
        // never gets here.
        "type" => {}
        "clientId" => user.client_id = body.text("clientId", value)?,
        "userId" => user.user_id = body.text("userId", value)?,
        "sessionId" => user.session_id = body.text("sessionId", value)?,
        "ipAddress" => user.ip_address = body.text("ipAddress", value)?,
        "details" => common.details = body.details("details", value)?,
        _ => common.take(body, member)?,
    }
    Ok(())
}

impl<'a> Common<'a> {
    /// Takes a member that both kinds have, or one that nobody knows.
    pub(super) fn take(&mut self, body: &Body<'a>, member: Member<'a>) -> Result<(), ParseError> {
        let value = member.value;
        match &*member.name {
            "id" => self.id = body.name("id", value)?,
            "time" => self.time = body.time("time", value)?,
            "realmId" => self.realm_id = body.text("realmId", value)?,
            "realmName" => self.realm_name = body.text("realmName", value)?,
            "error" => self.error = body.text("error", value)?,
            _ => self
                .extra
                .push((member.name, body.json("an unknown member", value)?)),
        }
        Ok(())
    }

    pub(super) fn into_event(self, fields: Fields<'a>) -> Event<'a> {
        Event {
            id: self.id,
            time: self.time,
            realm_id: self.realm_id,
            realm_name: self.realm_name,
            error: self.error,
            details: self.details,
            fields,
            extra: self.extra,
        }
    }
}

impl<'a> AdminParts<'a> {
    pub(super) fn take(
        &mut self,
        body: &Body<'a>,
        member: Member<'a>,
        common: &mut Common<'a>,
    ) -> Result<(), ParseError> {
        let value = member.value;
        match &*member.name {
            "authDetails" => self.auth_details = auth_details(body, value)?,
            "resourceType" => self.resource_type = body.name("resourceType", value)?,
            "resourceTypeAsString" => {
                self.resource_type_text = body.name("resourceTypeAsString", value)?;
            }
            "operationType" => self.operation_type = body.name("operationType", value)?,
            "resourcePath" => self.resource_path = body.text("resourcePath", value)?,
            "representation" => self.representation = body.text("representation", value)?,
            // Older Keycloaks write no such members at all; where one is there and null, it stays
            // as a member of its own, so that a receiver sees which Keycloak wrote it.
            "details" | "resourceId" if value.raw == "null" => {
                common
                    .extra
                    .push((member.name, Cow::Borrowed(RawValue::NULL)));
            }
            "details" => common.details = body.details("details", value)?,
            "resourceId" => self.resource_id = body.text("resourceId", value)?,
            _ => common.take(body, member)?,
        }
        Ok(())
    }

    /// Both forms of the resource type from the one or two that came.
    ///
    /// Keycloak's own class has both, and its enum name is taken at its word even if it is newer
    /// than this program. The other shapes have the text only, which is an enum name or made up.
    pub(super) fn finish(self) -> Result<AdminFields<'a>, ParseError> {
        let (resource_type, resource_type_text) =
            match (self.resource_type, self.resource_type_text) {
                (Some(resource_type), Some(text)) => (resource_type, text),
                (Some(text), None) | (None, Some(text)) => (enum_name(&text), text),
                (None, None) => {
                    return Err(ParseError::Missing {
                        field: "resourceType",
                    });
                }
            };
        let operation_type = self.operation_type.ok_or(ParseError::Missing {
            field: "operationType",
        })?;
        Ok(AdminFields {
            auth_details: self.auth_details,
            resource_type,
            resource_type_text,
            operation_type,
            resource_path: self.resource_path,
            representation: self.representation,
            resource_id: self.resource_id,
        })
    }
}

pub(super) fn auth_details<'a>(
    body: &Body<'a>,
    value: crate::scan::Value<'a>,
) -> Result<Option<AuthDetails<'a>>, ParseError> {
    let Some(members) = body.object("authDetails", value)? else {
        return Ok(None);
    };
    let mut auth = AuthDetails::default();
    for Member { name, value } in members {
        match &*name {
            "realmId" => auth.realm_id = body.text("authDetails.realmId", value)?,
            "realmName" => auth.realm_name = body.text("authDetails.realmName", value)?,
            "clientId" => auth.client_id = body.text("authDetails.clientId", value)?,
            "userId" => auth.user_id = body.text("authDetails.userId", value)?,
            "ipAddress" => auth.ip_address = body.text("authDetails.ipAddress", value)?,
            _ => auth
                .extra
                .push((name, body.json("an unknown member of authDetails", value)?)),
        }
    }
    Ok(Some(auth))
}

fn enum_name<'a>(text: &Cow<'a, str>) -> Cow<'a, str> {
    if resource_types::is_known_resource_type(text) {
        text.clone()
    } else {
        Cow::Borrowed(CUSTOM)
    }
}
