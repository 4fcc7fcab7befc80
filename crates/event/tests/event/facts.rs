//! What is told about an event beside its body: metadata, ordering key, derived id.

use kete_event::{ID_NAMESPACE, Kind, Metadata, Outcome};

use super::*;

#[test]
fn metadata_of_a_user_event() {
    assert_eq!(
        parse(ADMIN_API_LOGIN_ERROR).metadata(),
        Metadata {
            kind: Kind::User,
            realm: Some("40ce3e08-7d1c-4a5b-9e0e-5a1f6c2b8d41".into()),
            event_type: "LOGIN_ERROR".into(),
            resource_type: None,
            operation_type: None,
            outcome: Outcome::Error,
            event_id: "b6a1c9d4-0f3e-4b72-8d5a-9c2e7f1b6048".into(),
        }
    );
}

#[test]
fn metadata_of_an_admin_event_goes_by_the_enum_name() {
    assert_eq!(
        parse(KEYCLOAK_CUSTOM).metadata(),
        Metadata {
            kind: Kind::Admin,
            realm: Some("demo".into()),
            event_type: "CUSTOM_ACTION".into(),
            resource_type: Some("CUSTOM".into()),
            operation_type: Some("ACTION".into()),
            outcome: Outcome::Success,
            event_id: "63c9f2ab-7d10-4e58-9b3c-0a6f5d8e2c71".into(),
        }
    );
}

#[test]
fn a_blank_error_is_success_and_a_blank_realm_is_none() {
    let metadata = parse(r#"{"type":"LOGIN","error":" ","realmName":"","realmId":" "}"#).metadata();
    assert_eq!((metadata.outcome, metadata.realm), (Outcome::Success, None));
}

#[test]
fn ordering_keys_go_from_the_user_outwards() {
    for (json, expected) in [
        (
            r#"{"type":"A","realmId":"r","userId":"u","sessionId":"s","clientId":"c"}"#,
            "r|user|u",
        ),
        (
            r#"{"type":"A","realmId":"r","userId":" ","sessionId":"s","clientId":"c"}"#,
            "r|session|s",
        ),
        (r#"{"type":"A","realmId":"r","clientId":"c"}"#, "r|client|c"),
        (r#"{"type":"A","realmId":"r"}"#, "r|realm|"),
        (r#"{"type":"A","realmName":"n","userId":"u"}"#, "n|user|u"),
        (
            r#"{"type":"A","realmName":"n","realmId":"r","userId":"u"}"#,
            "r|user|u",
        ),
        (
            r#"{"type":"access.A","realmId":"r","authDetails":{"userId":"u"}}"#,
            "r|user|u",
        ),
    ] {
        assert_eq!(parse(json).ordering_key(), expected, "{json}");
    }
}

#[test]
fn ordering_keys_of_admin_events_go_by_their_path() {
    for (path, expected) in [
        ("users/u1", "r|user|u1"),
        ("users/u1/role-mappings/realm", "r|user|u1"),
        ("/users/u1/", "r|user|u1"),
        ("users", "r|path|users"),
        ("users//x", "r|path|users/"),
        ("clients/c1", "r|path|clients/c1"),
        ("clients/c1/roles/admin", "r|path|clients/c1"),
        (
            "authentication/flows/f1/executions",
            "r|path|authentication/flows",
        ),
        ("usersx/u1/y", "r|path|usersx/u1"),
        ("", "r|realm|"),
        ("/", "r|realm|"),
    ] {
        let json = format!(
            r#"{{"resourceType":"X","operationType":"Y","realmId":"r","resourcePath":"{path}",
                "authDetails":{{"userId":"administrator"}}}}"#
        );
        assert_eq!(parse(&json).ordering_key(), expected, "{path}");
    }
}

#[test]
fn a_users_own_events_and_those_about_it_share_a_key() {
    let login = r#"{"type":"LOGIN","realmId":"r","userId":"u1"}"#;
    let update = concat!(
        r#"{"resourceType":"USER","operationType":"UPDATE","realmId":"r","#,
        r#""resourcePath":"users/u1"}"#
    );
    assert_eq!(parse(login).ordering_key(), parse(update).ordering_key());
}

#[test]
fn the_namespace_of_derived_ids_never_changes() {
    assert_eq!(
        ID_NAMESPACE.to_string(),
        "f90b8724-f12a-51a1-9eb0-b41e3ece6d31"
    );
}

#[test]
fn a_derived_id_is_the_same_in_every_run() {
    let json = r#"{"type":"LOGIN","time":1750000000000,"realmId":"r","userId":"u"}"#;
    let mut event = parse(json);
    assert!(event.derive_id());
    // What Python's `uuid.uuid5` makes of the namespace and the canonical text.
    assert_eq!(
        event.id.as_deref(),
        Some("c8edb57f-bf65-5a10-ba7c-e460c572463d")
    );
    assert_eq!(
        &*event.metadata().event_id,
        "c8edb57f-bf65-5a10-ba7c-e460c572463d"
    );
}

#[test]
fn a_derived_id_depends_on_content_and_not_on_spelling() {
    let id = |json: &str| {
        let mut event = parse(json);
        event.derive_id();
        event.id.unwrap().into_owned()
    };
    let plain = id(r#"{"type":"LOGIN","userId":"é","time":1}"#);
    assert_eq!(
        plain,
        id(r#"{ "time": 1, "userId": "\u00e9", "id": null, "type": "LOGIN" }"#)
    );
    assert_ne!(plain, id(r#"{"type":"LOGIN","userId":"é","time":2}"#));
}

#[test]
fn an_event_with_an_id_keeps_it() {
    let mut event = parse(KEYCLOAK_LOGIN);
    assert!(!event.derive_id());
    assert_eq!(
        event.id.as_deref(),
        Some("92583645-3b7e-4f0d-9c51-2a8b6d7e4f19")
    );
}

#[test]
fn a_derived_id_is_written_into_the_body() {
    let mut event = parse(r#"{"type":"LOGIN"}"#);
    event.derive_id();
    let id = event.id.clone().unwrap();
    let body = String::from_utf8(event.canonical()).unwrap();
    assert!(body.starts_with(&format!("{{\"id\":\"{id}\"")), "{body}");
}

#[test]
fn kinds_and_outcomes_have_ketes_names() {
    assert_eq!(
        [Kind::User, Kind::Admin].map(Kind::as_str),
        ["EVENT", "ADMIN_EVENT"]
    );
    assert_eq!(
        [Outcome::Success, Outcome::Error].map(Outcome::as_str),
        ["SUCCESS", "ERROR"]
    );
}

#[test]
fn a_failed_admin_operation_keeps_its_type_and_is_an_error() {
    let json = r#"{"resourceType":"USER","operationType":"CREATE","error":"conflict"}"#;
    let metadata = parse(json).metadata();
    assert_eq!(
        (&*metadata.event_type, metadata.outcome),
        ("USER_CREATE", Outcome::Error)
    );
}

#[test]
fn metadata_is_the_same_however_an_event_came() {
    let webhook = parse(WEBHOOK_USER_CREATE).metadata();
    assert_eq!(webhook, parse(KEYCLOAK_USER_CREATE).metadata());
    assert_eq!(
        parse(WEBHOOK_LOGIN).metadata(),
        parse(KEYCLOAK_LOGIN).metadata()
    );
    let polled = parse(ADMIN_API_LOGIN);
    assert_eq!(polled.ordering_key(), parse(WEBHOOK_LOGIN).ordering_key());
}
