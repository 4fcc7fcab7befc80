//! Bodies of the webhook extension: what becomes of its envelope.

use kete_event::ParseError;

use super::*;

#[test]
fn a_webhook_login_takes_user_client_and_session_out_of_its_auth_details() {
    let event = parse(WEBHOOK_LOGIN);
    let user = user(&event);
    assert_eq!(user.event_type, "LOGIN");
    assert_eq!(user.client_id.as_deref(), Some("app"));
    assert_eq!(
        user.user_id.as_deref(),
        Some("f2241e30-8f4a-4c3d-b7c1-0d9a2e5b6f73")
    );
    assert_eq!(
        user.session_id.as_deref(),
        Some("723fab1d-6e0b-4f5c-8a2d-1c9e7b3f4a60")
    );
    assert!(
        event.extra.is_empty(),
        "uid and authDetails are the envelope's"
    );
}

#[test]
fn a_webhook_admin_event_moves_the_realm_name_to_where_names_are() {
    let event = parse(WEBHOOK_USER_CREATE);
    assert_eq!(event.event_type(), "USER_CREATE");
    assert_eq!(event.realm_name.as_deref(), Some("demo"));
    let admin = admin(&event);
    assert_eq!(
        admin.resource_id.as_deref(),
        Some("7968b7aa-2c4d-4e1f-8b90-3d6a5c7e9f12")
    );
    let auth = admin.auth_details.as_ref().unwrap();
    assert_eq!(
        (auth.realm_id.as_deref(), auth.realm_name.as_deref()),
        (None, Some("master"))
    );
    assert_eq!(auth.extra[0].0, "username");
    assert_eq!(auth.extra[0].1.get(), r#""admin""#);
}

#[test]
fn a_webhook_type_is_cut_at_its_last_dash_where_the_fields_are_missing() {
    let event = parse(r#"{"type":"admin.MY-THING-CREATE","uid":"u"}"#);
    assert_eq!(event.event_type(), "CUSTOM_CREATE");
    assert_eq!(admin(&event).resource_type_text, "MY-THING");
    let explicit = parse(
        r#"{"type":"admin.X-Y","resourceType":"CLIENT_ROLE","operationType":"UPDATE","uid":"u"}"#,
    );
    assert_eq!(explicit.event_type(), "CLIENT_ROLE_UPDATE");
}

#[test]
fn the_uid_of_a_webhook_message_is_the_id_only_where_there_is_no_other() {
    let without = parse(r#"{"type":"access.LOGIN","uid":"message-1"}"#);
    assert_eq!(without.id.as_deref(), Some("message-1"));
    let with = parse(r#"{"type":"admin.USER-CREATE","uid":"message-1","id":"event-1"}"#);
    assert_eq!(with.id.as_deref(), Some("event-1"));
}

#[test]
fn the_events_own_fields_win_over_the_webhooks_auth_details() {
    let event = parse(
        r#"{"type":"access.LOGIN","userId":"own","authDetails":{"userId":"other","realmId":"demo",
            "username":"al","newThing":[1],"error":"not mine","tenant":2},"tenant":1,
            "details":{"username":"alice"}}"#,
    );
    assert_eq!(user(&event).user_id.as_deref(), Some("own"));
    assert_eq!(event.realm_name.as_deref(), Some("demo"));
    assert_eq!(event.error, None);
    assert_eq!(
        event.details.as_ref().unwrap().text("username"),
        Some("alice")
    );
    let extra: Vec<_> = event
        .extra
        .iter()
        .map(|(name, json)| (&**name, json.get()))
        .collect();
    assert_eq!(extra, [("tenant", "1"), ("newThing", "[1]")]);
}

#[test]
fn a_webhook_username_goes_to_the_details_where_they_have_none() {
    let event = parse(r#"{"type":"access.LOGOUT","authDetails":{"username":"alice"}}"#);
    assert_eq!(
        event.details.as_ref().unwrap().text("username"),
        Some("alice")
    );
}

#[test]
fn what_was_a_webhook_body_reads_and_writes_as_itself_ever_after() {
    for json in [
        WEBHOOK_LOGIN,
        WEBHOOK_USER_CREATE,
        r#"{"type":"access.LOGIN","uid":"u","authDetails":{"operationType":"X","type":"Y"}}"#,
        r#"{"type":"access.LOGIN","authDetails":{"uid":"u","authDetails":{"a":1},"details":2}}"#,
        r#"{"type":"access.A-B","operationType":null,"resourceType":"USER"}"#,
        r#"{"type":"admin.A-B-C","authDetails":{"realmId":"x","uid":1,"details":null}}"#,
        r#"{"type":"admin.A-B","operationType":" ","resourceTypeAsString":"Z","type2":"x.y"}"#,
    ] {
        let once = canonical(json);
        assert_eq!(canonical(&once), once, "{json}");
        assert_eq!(
            parse(&once).event_type(),
            parse(json).event_type(),
            "{json}"
        );
    }
}

#[test]
fn a_realm_id_in_auth_details_stays_where_the_name_is_given_too() {
    let json = r#"{"type":"admin.USER-CREATE","authDetails":{"realmId":"i","realmName":"n"}}"#;
    let event = parse(json);
    let auth = admin(&event).auth_details.as_ref().unwrap();
    assert_eq!(auth.realm_id.as_deref(), Some("i"));
    assert_eq!(auth.realm_name.as_deref(), Some("n"));
}

#[test]
fn the_administrators_realm_is_never_taken_for_the_events_realm() {
    let event = parse(r#"{"type":"admin.USER-CREATE","authDetails":{"realmId":"master"}}"#);
    assert_eq!((event.realm_name.as_deref(), event.realm()), (None, None));
}

#[test]
fn a_webhook_body_without_auth_details_is_an_event_too() {
    for json in [
        r#"{"type":"access.LOGIN","uid":"u"}"#,
        r#"{"type":"access.LOGIN","uid":"u","authDetails":null}"#,
    ] {
        let event = parse(json);
        assert_eq!(user(&event).user_id, None);
        assert!(event.details.is_none());
    }
    let event = parse(r#"{"type":"admin.USER-CREATE","authDetails":null}"#);
    assert!(admin(&event).auth_details.is_none());
}

#[test]
fn types_that_only_begin_like_a_webhooks_are_refused() {
    for event_type in [
        "access.",
        "access. ",
        "access.access.LOGIN",
        "access.system.X",
        "access.A.B",
        "admin.",
        "admin.USER",
        "admin.-CREATE",
        "admin.USER-",
        "admin.USER- ",
        "admin.X.Y-CREATE",
    ] {
        let json = format!(r#"{{"uid":"u","type":"{event_type}"}}"#);
        let error = Event::parse(json.as_bytes()).unwrap_err();
        assert!(
            matches!(error, ParseError::BadWebhookType { .. }),
            "{event_type}: {error}"
        );
    }
}

#[test]
fn a_webhook_type_of_one_kind_with_the_fields_of_the_other_is_refused() {
    let json = r#"{"type":"access.LOGIN","operationType":"CREATE","resourceType":"USER"}"#;
    assert!(matches!(
        Event::parse(json.as_bytes()),
        Err(ParseError::Ambiguous)
    ));
}

#[test]
fn members_of_the_envelope_have_types_as_well() {
    for (json, place) in [
        (r#"{"type":"access.LOGIN","uid":1}"#, "uid"),
        (r#"{"type":"admin.USER-CREATE","uid":[]}"#, "uid"),
        (r#"{"type":"access.LOGIN","authDetails":[]}"#, "authDetails"),
        (
            r#"{"type":"access.LOGIN","authDetails":{"realmId":1}}"#,
            "authDetails.realmId",
        ),
        (
            r#"{"type":"access.LOGIN","authDetails":{"realmName":1}}"#,
            "authDetails.realmName",
        ),
        (
            r#"{"type":"access.LOGIN","authDetails":{"clientId":1}}"#,
            "authDetails.clientId",
        ),
        (
            r#"{"type":"access.LOGIN","authDetails":{"userId":{}}}"#,
            "authDetails.userId",
        ),
        (
            r#"{"type":"access.LOGIN","authDetails":{"sessionId":true}}"#,
            "authDetails.sessionId",
        ),
        (
            r#"{"type":"access.LOGIN","authDetails":{"ipAddress":1}}"#,
            "authDetails.ipAddress",
        ),
        (
            r#"{"type":"access.LOGIN","authDetails":{"username":1}}"#,
            "authDetails.username",
        ),
    ] {
        match Event::parse(json.as_bytes()) {
            Err(ParseError::WrongType { field, .. }) => assert_eq!(field, place, "{json}"),
            other => panic!("{other:?}: {json}"),
        }
    }
}

#[test]
fn very_many_unknown_members_on_both_levels_are_merged_by_name() {
    let members = |from: usize, to: usize| -> String {
        (from..to)
            .map(|number| format!(",\"m{number}\":{number}"))
            .collect()
    };
    let json = format!(
        "{{\"type\":\"access.LOGIN\",\"authDetails\":{{\"userId\":\"u\"{}}}{}}}",
        members(0, 3000),
        members(2000, 5000)
    );
    let event = parse(&json);
    assert_eq!(event.extra.len(), 5000);
    assert_eq!(event.extra[0].0, "m2000", "the event's own come first");
}
