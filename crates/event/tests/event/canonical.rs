//! The canonical form, to the byte.

use super::*;

#[test]
fn a_user_event_has_keycloaks_fields_in_keycloaks_order() {
    assert_eq!(
        canonical(r#"{"details":{"b":"1","a":"2"},"type":"LOGIN","time":1750000000000,"id":"i"}"#),
        concat!(
            r#"{"id":"i","time":1750000000000,"type":"LOGIN","realmId":null,"realmName":null,"#,
            r#""clientId":null,"userId":null,"sessionId":null,"ipAddress":null,"error":null,"#,
            r#""details":{"b":"1","a":"2"}}"#
        )
    );
}

#[test]
fn an_admin_event_has_keycloaks_fields_in_keycloaks_order() {
    assert_eq!(
        canonical(r#"{"resourceType":"USER","operationType":"CREATE"}"#),
        concat!(
            r#"{"id":null,"time":null,"realmId":null,"realmName":null,"authDetails":null,"#,
            r#""resourceType":"USER","operationType":"CREATE","resourcePath":null,"#,
            r#""representation":null,"error":null,"resourceTypeAsString":"USER"}"#
        )
    );
}

#[test]
fn what_keycloak_itself_writes_comes_out_unchanged() {
    for json in [KEYCLOAK_LOGIN, KEYCLOAK_USER_CREATE, KEYCLOAK_CUSTOM] {
        assert_eq!(canonical(json), json.trim_end());
    }
}

#[test]
fn the_admin_representation_gets_the_missing_fields_as_nulls() {
    assert_eq!(
        canonical(ADMIN_API_USER_CREATE),
        concat!(
            r#"{"id":"2e718453-9a6b-4c2d-8f1e-7b0d5c4a3e68","time":1795223730517,"#,
            r#""realmId":"40ce3e08-7d1c-4a5b-9e0e-5a1f6c2b8d41","realmName":null,"authDetails":"#,
            r#"{"realmId":"3d1b7f52-9c0e-4a68-b5d4-2e7f8a6c1b90","realmName":null,"#,
            r#""clientId":"5a194c95-0e3b-4f6a-9d7c-8b2e1f4a5c36","#,
            r#""userId":"f1045727-6b8d-4a0e-b3c9-5d7f2e1a4b80","ipAddress":"127.0.0.1"},"#,
            r#""resourceType":"USER","operationType":"CREATE","#,
            r#""resourcePath":"users/7968b7aa-2c4d-4e1f-8b90-3d6a5c7e9f12","#,
            r#""representation":"{\"username\":\"bob\",\"enabled\":true,\"credentials\":"#,
            r#"[{\"type\":\"password\",\"value\":\"correct horse battery staple\","#,
            r#"\"temporary\":false}]}","error":null,"resourceTypeAsString":"USER"}"#
        )
    );
}

#[test]
fn a_webhook_admin_event_ends_with_what_newer_keycloaks_add() {
    let json = canonical(WEBHOOK_USER_CREATE);
    let end = concat!(
        r#""resourceTypeAsString":"USER","details":{"userId":"#,
        r#""7968b7aa-2c4d-4e1f-8b90-3d6a5c7e9f12","username":"bob"},"#,
        r#""resourceId":"7968b7aa-2c4d-4e1f-8b90-3d6a5c7e9f12"}"#
    );
    assert!(json.ends_with(end), "{json}");
    assert!(!json.contains("uid"), "{json}");
    assert!(
        json.contains(r#""ipAddress":"127.0.0.1","username":"admin"}"#),
        "{json}"
    );
}

#[test]
fn newer_members_that_are_null_stay_null_and_are_not_made_up() {
    let with =
        r#"{"resourceType":"USER","operationType":"CREATE","resourceId":null,"details":null}"#;
    assert!(canonical(with).ends_with(r#""USER","resourceId":null,"details":null}"#));
}

#[test]
fn kept_json_is_compact_so_that_an_event_is_always_one_line() {
    let json = canonical(concat!(
        "{\"type\":\"LOGIN\",\"details\":{\"a\":[ 1 ,\n 2 ]},",
        "\"x\":{\n\t\"b c\" : \" d\\n\" ,\"e\":1.0E2}}"
    ));
    assert!(
        json.ends_with(r#""details":{"a":[1,2]},"x":{"b c":" d\n","e":1.0E2}}"#),
        "{json}"
    );
    assert!(!json.contains('\n'));
}

#[test]
fn writing_appends_to_what_is_there() {
    let event = parse(KEYCLOAK_LOGIN);
    let mut out = b"x".to_vec();
    event.write_canonical(&mut out);
    assert_eq!(out[1..], event.canonical());
}
