//! The crate from outside, as sources and the pipeline use it. Bodies in `data/` were captured from
//! a real Keycloak 26.4.0 and its webhook extension; ids were completed by hand.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "everything here is a test, helpers included"
)]

mod canonical;
mod errors;
mod facts;
mod keycloak_names;
mod properties;
mod redaction;
mod shapes;
mod variables;
mod webhook;

use kete_event::{AdminFields, Event, Fields, UserFields};

const KEYCLOAK_LOGIN: &str = include_str!("../data/keycloak-login.json");
const KEYCLOAK_USER_CREATE: &str = include_str!("../data/keycloak-user-create.json");
const KEYCLOAK_CUSTOM: &str = include_str!("../data/keycloak-custom-resource.json");
const ADMIN_API_LOGIN: &str = include_str!("../data/admin-api-login.json");
const ADMIN_API_LOGIN_ERROR: &str = include_str!("../data/admin-api-login-error.json");
const ADMIN_API_USER_CREATE: &str = include_str!("../data/admin-api-user-create.json");
const WEBHOOK_LOGIN: &str = include_str!("../data/webhook-login.json");
const WEBHOOK_USER_CREATE: &str = include_str!("../data/webhook-user-create.json");
const WEBHOOK_SYSTEM: &str = include_str!("../data/webhook-system.json");

fn parse(json: &str) -> Event<'_> {
    Event::parse(json.as_bytes()).unwrap_or_else(|error| panic!("{error}: {json}"))
}

fn canonical(json: &str) -> String {
    String::from_utf8(parse(json).canonical()).unwrap()
}

fn user<'e, 'a>(event: &'e Event<'a>) -> &'e UserFields<'a> {
    match &event.fields {
        Fields::User(user) => user,
        Fields::Admin(_) => panic!("an admin event"),
    }
}

fn admin<'e, 'a>(event: &'e Event<'a>) -> &'e AdminFields<'a> {
    match &event.fields {
        Fields::Admin(admin) => admin,
        Fields::User(_) => panic!("a user event"),
    }
}
