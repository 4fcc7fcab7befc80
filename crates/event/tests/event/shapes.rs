//! The three shapes: told apart by their fields, and normalised to one event.

use kete_event::{DetailValue, Kind};

use super::*;

#[test]
fn keycloaks_own_user_event_is_taken_as_it_is() {
    let event = parse(KEYCLOAK_LOGIN);
    assert_eq!(event.kind(), Kind::User);
    assert_eq!(
        event.id.as_deref(),
        Some("92583645-3b7e-4f0d-9c51-2a8b6d7e4f19")
    );
    assert_eq!(event.time, Some(1_795_223_730_447));
    assert_eq!(event.realm_name.as_deref(), Some("demo"));
    assert_eq!(event.error, None);
    assert_eq!(event.client_id(), Some("app"));
    assert_eq!(
        event.details.as_ref().unwrap().text("username"),
        Some("alice")
    );
    assert!(event.extra.is_empty());
    let user = user(&event);
    assert_eq!(user.event_type, "LOGIN");
    assert_eq!(
        user.user_id.as_deref(),
        Some("f2241e30-8f4a-4c3d-b7c1-0d9a2e5b6f73")
    );
    assert_eq!(
        user.session_id.as_deref(),
        Some("723fab1d-6e0b-4f5c-8a2d-1c9e7b3f4a60")
    );
    assert_eq!(user.ip_address.as_deref(), Some("127.0.0.1"));
}

#[test]
fn a_login_is_the_same_event_in_all_three_shapes() {
    let expected = canonical(KEYCLOAK_LOGIN);
    assert_eq!(canonical(WEBHOOK_LOGIN), expected);
    let mut polled = parse(ADMIN_API_LOGIN);
    assert_eq!(polled.realm_name, None);
    polled.realm_name = Some("demo".into());
    assert_eq!(String::from_utf8(polled.canonical()).unwrap(), expected);
}

#[test]
fn a_failed_login_of_the_admin_api_keeps_its_error() {
    let event = parse(ADMIN_API_LOGIN_ERROR);
    assert_eq!(event.error.as_deref(), Some("invalid_user_credentials"));
    assert_eq!(event.event_type(), "LOGIN_ERROR");
    assert_eq!(user(&event).session_id, None);
}

#[test]
fn an_admin_event_of_the_admin_api_gets_both_forms_of_its_resource_type() {
    let event = parse(ADMIN_API_USER_CREATE);
    assert_eq!(event.kind(), Kind::Admin);
    assert_eq!(event.event_type(), "USER_CREATE");
    assert_eq!(event.client_id(), None);
    let admin = admin(&event);
    assert_eq!(
        (&*admin.resource_type, &*admin.resource_type_text),
        ("USER", "USER")
    );
    let auth = admin.auth_details.as_ref().unwrap();
    assert_eq!(auth.realm_name, None);
    assert_eq!(auth.ip_address.as_deref(), Some("127.0.0.1"));
}

#[test]
fn a_resource_type_of_an_extension_becomes_custom_and_keeps_its_text() {
    let event = parse(r#"{"operationType":"CREATE","resourceType":"INVOICE"}"#);
    assert_eq!(event.event_type(), "CUSTOM_CREATE");
    assert_eq!(admin(&event).resource_type_text, "INVOICE");
}

#[test]
fn keycloaks_own_class_is_taken_at_its_word_about_the_resource_type() {
    let custom = parse(KEYCLOAK_CUSTOM);
    assert_eq!(custom.event_type(), "CUSTOM_ACTION");
    assert_eq!(admin(&custom).resource_type_text, "INVOICE_BATCH");

    let newer =
        r#"{"operationType":"CREATE","resourceType":"TENANT","resourceTypeAsString":"TENANT"}"#;
    assert_eq!(parse(newer).event_type(), "TENANT_CREATE");
}

#[test]
fn one_form_of_the_resource_type_is_enough() {
    let text_only =
        r#"{"operationType":"DELETE","resourceType":null,"resourceTypeAsString":"GROUP"}"#;
    assert_eq!(parse(text_only).event_type(), "GROUP_DELETE");
    let blank_text =
        r#"{"operationType":"DELETE","resourceType":"GROUP","resourceTypeAsString":" "}"#;
    assert_eq!(admin(&parse(blank_text)).resource_type_text, "GROUP");
}

#[test]
fn unknown_types_and_members_survive() {
    let json = r#"{"type":"PASSKEY_DANCE","zeta":{"a": [1, 2.50]},"alpha":null}"#;
    let event = parse(json);
    assert_eq!(event.event_type(), "PASSKEY_DANCE");
    let end = canonical(json);
    assert!(
        end.ends_with(r#","details":null,"zeta":{"a":[1,2.50]},"alpha":null}"#),
        "{end}"
    );
}

#[test]
fn an_unknown_type_with_a_dot_is_a_user_event_unless_the_webhook_extension_sent_it() {
    assert_eq!(parse(r#"{"type":"acme.DANCE"}"#).event_type(), "acme.DANCE");
}

#[test]
fn details_that_are_not_texts_stay_json() {
    let event = parse(r#"{"type":"LOGIN","details":{"a":"x","b":3,"c":null,"d":{"e": true}}}"#);
    let details = event.details.as_ref().unwrap();
    let kinds: Vec<_> = details
        .iter()
        .map(|(name, value)| match value {
            DetailValue::Text(text) => format!("{name}=text {text}"),
            DetailValue::Json(json) => format!("{name}=json {}", json.get()),
        })
        .collect();
    assert_eq!(
        kinds,
        [
            "a=text x",
            "b=json 3",
            "c=json null",
            r#"d=json {"e": true}"#
        ]
    );
    assert_eq!((details.len(), details.text("b")), (4, None));
}

#[test]
fn blank_ids_and_types_count_as_absent() {
    assert_eq!(parse(r#"{"type":"LOGIN","id":" "}"#).id, None);
    let event = parse(r#"{"type":"","operationType":"CREATE","resourceType":"USER"}"#);
    assert_eq!(event.kind(), Kind::Admin);
}

#[test]
fn escaped_names_and_texts_are_read() {
    let event = parse(r#"{"typ\u0065":"LO\u0047IN","clientId":"caf\u00e9 \ud83d\ude00"}"#);
    assert_eq!(event.event_type(), "LOGIN");
    assert_eq!(event.client_id(), Some("caf\u{e9} \u{1f600}"));
}

#[test]
fn white_space_around_and_within_the_object_means_nothing() {
    let spread = KEYCLOAK_LOGIN
        .replace("\":", "\" :\n\t")
        .replace(",\"", " ,\r\n \"");
    assert_eq!(
        canonical(&format!("\n {spread}\n")),
        canonical(KEYCLOAK_LOGIN)
    );
}

#[test]
fn debug_output_shows_nothing_of_the_body() {
    let shown = format!("{:?}", parse(ADMIN_API_USER_CREATE));
    assert!(shown.contains("USER_CREATE"), "{shown}");
    for hidden in ["battery", "127.0.0.1", "users/"] {
        assert!(!shown.contains(hidden), "{shown}");
    }
}
