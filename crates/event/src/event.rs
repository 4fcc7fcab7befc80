//! The event itself: what the three shapes have in common once they are normalised.
//!
//! The fields mirror Keycloak's own classes (`org.keycloak.events.Event` and `.admin.AdminEvent`)
//! and stay public, because sources fill in what a shape leaves out (a realm's name). Types are
//! open text, never enums: a newer Keycloak or an extension may send names that nobody knew when
//! this was written, and they must come out as they went in.

use std::borrow::Cow;
use std::fmt;

use serde_json::value::RawValue;

use crate::details::Details;

/// Text of an event that is borrowed from its JSON where possible, or that the event leaves out.
pub(crate) type OptionalText<'a> = Option<Cow<'a, str>>;

/// A member that no field here is made for: its name and its value as JSON text.
pub type Extra<'a> = (Cow<'a, str>, Cow<'a, RawValue>);

/// One Keycloak event, borrowed from the JSON it was parsed from.
///
/// `Debug` shows kind, type and id only: the rest is personal data or worse.
#[derive(Clone)]
pub struct Event<'a> {
    /// Keycloak's own id, or one that [`Event::derive_id`] made. Never blank when it is there.
    pub id: OptionalText<'a>,
    /// When it happened, in milliseconds since 1970 by the clock of the Keycloak node.
    pub time: Option<i64>,
    /// Id of the realm (a UUID; in old or imported realms the name).
    pub realm_id: OptionalText<'a>,
    /// Name of the realm. The Admin REST representation has none: its source fills it in.
    pub realm_name: OptionalText<'a>,
    /// Keycloak's error code, such as `invalid_user_credentials`. Blank or absent means success.
    pub error: OptionalText<'a>,
    /// Keycloak's free-form details. User events have had them always, admin events since 26.0.
    pub details: Option<Details<'a>>,
    /// What only a user event, or only an admin event, has.
    pub fields: Fields<'a>,
    /// Members nobody here knows, in the order in which they came. They close the canonical JSON.
    pub extra: Vec<Extra<'a>>,
}

/// The half of an event that depends on its kind.
#[derive(Clone)]
pub enum Fields<'a> {
    /// Something a user or a client did: a login, a token refresh.
    User(UserFields<'a>),
    /// Something an administrator changed.
    Admin(AdminFields<'a>),
}

/// What only user events have.
#[derive(Clone)]
pub struct UserFields<'a> {
    /// Keycloak's event type, such as `LOGIN_ERROR`. Never blank.
    pub event_type: Cow<'a, str>,
    /// The client's id as administrators write it, not its UUID.
    pub client_id: OptionalText<'a>,
    /// The user's UUID.
    pub user_id: OptionalText<'a>,
    /// The user session.
    pub session_id: OptionalText<'a>,
    /// Where the request came from.
    pub ip_address: OptionalText<'a>,
}

/// What only admin events have.
#[derive(Clone)]
pub struct AdminFields<'a> {
    /// Who made the change.
    pub auth_details: Option<AuthDetails<'a>>,
    /// Keycloak's enum name of the resource type; `CUSTOM` where an extension made one up. This is
    /// what matchers see. Never blank.
    pub resource_type: Cow<'a, str>,
    /// The resource type as the extension wrote it; otherwise equal to `resource_type`.
    pub resource_type_text: Cow<'a, str>,
    /// `CREATE`, `UPDATE`, `DELETE` or `ACTION`. Never blank.
    pub operation_type: Cow<'a, str>,
    /// Path of the resource below the realm, such as `users/<uuid>`.
    pub resource_path: OptionalText<'a>,
    /// The changed resource as a text that holds JSON. May hold secrets until [`Event::redact`].
    pub representation: OptionalText<'a>,
    /// Id of the resource; Keycloak 26.4 and later.
    pub resource_id: OptionalText<'a>,
}

/// Who made an administrative change, and from where.
#[derive(Clone, Default)]
pub struct AuthDetails<'a> {
    /// Id of the realm the administrator belongs to.
    pub realm_id: OptionalText<'a>,
    /// Name of that realm.
    pub realm_name: OptionalText<'a>,
    /// UUID of the client that was used.
    pub client_id: OptionalText<'a>,
    /// UUID of the administrator.
    pub user_id: OptionalText<'a>,
    /// Where the request came from.
    pub ip_address: OptionalText<'a>,
    /// Members nobody here knows, in the order in which they came.
    pub extra: Vec<Extra<'a>>,
}

/// Whether a user or client did something, or an administrator changed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A user event.
    User,
    /// An admin event.
    Admin,
}

/// Whether what the event tells of succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The event has no error, or a blank one.
    Success,
    /// The event carries an error.
    Error,
}

impl<'a> Event<'a> {
    /// Whether this is a user event or an admin event.
    pub fn kind(&self) -> Kind {
        match self.fields {
            Fields::User(_) => Kind::User,
            Fields::Admin(_) => Kind::Admin,
        }
    }

    /// The client a user event happened at, as administrators write it.
    ///
    /// Admin events have none: they know the acting client by its UUID only, which is in
    /// [`AuthDetails::client_id`].
    pub fn client_id(&self) -> Option<&str> {
        match &self.fields {
            Fields::User(user) => user.client_id.as_deref(),
            Fields::Admin(_) => None,
        }
    }

    /// The name event matchers compare: `LOGIN` for a user event, `USER_CREATE` (resource type,
    /// underscore, operation) for an admin event.
    pub fn event_type(&self) -> Cow<'_, str> {
        match &self.fields {
            Fields::User(user) => Cow::Borrowed(&user.event_type),
            Fields::Admin(admin) => {
                Cow::Owned([&*admin.resource_type, "_", &*admin.operation_type].concat())
            }
        }
    }

    /// Whether what the event tells of succeeded.
    pub fn outcome(&self) -> Outcome {
        match present(&self.error) {
            Some(_) => Outcome::Error,
            None => Outcome::Success,
        }
    }

    /// The realm's name; where the event has none, the realm's id.
    pub fn realm(&self) -> Option<&str> {
        present(&self.realm_name).or(present(&self.realm_id))
    }
}

impl fmt::Debug for Event<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Event")
            .field("kind", &self.kind())
            .field("event_type", &self.event_type())
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Kind {
    /// KETE's name of the kind: `EVENT` or `ADMIN_EVENT`.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::User => "EVENT",
            Kind::Admin => "ADMIN_EVENT",
        }
    }
}

impl Outcome {
    /// KETE's name of the result: `SUCCESS` or `ERROR`.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Success => "SUCCESS",
            Outcome::Error => "ERROR",
        }
    }
}

/// The text, unless it is absent or blank.
pub(crate) fn present<'t>(text: &'t OptionalText<'_>) -> Option<&'t str> {
    text.as_deref().filter(|text| !text.trim().is_empty())
}
