//! Secrets in what Keycloak really sends: masked; everything else: untouched.

use kete_event::MASK;

use super::*;

/// An admin event on `path` with this representation, redacted: its representation and the count.
fn redacted_at(path: &str, representation: &str) -> (String, usize) {
    let json = serde_json::json!({
        "resourceType": "X",
        "operationType": "Y",
        "resourcePath": path,
        "representation": representation,
    });
    let json = json.to_string();
    let mut event = parse(&json);
    let masked = event.redact();
    assert_eq!(
        event.redact(),
        0,
        "a second time changes nothing: {representation}"
    );
    (
        admin(&event).representation.as_deref().unwrap().to_owned(),
        masked,
    )
}

fn redacted(representation: &str) -> (String, usize) {
    redacted_at("some/path", representation)
}

/// Every text that begins with `SECRET` must be masked, and nothing else may change.
fn assert_masks_exactly_the_secrets(representation: &str) {
    let mut expected = String::new();
    let mut count = 0;
    for (index, part) in representation.split("\"SECRET").enumerate() {
        if index == 0 {
            expected.push_str(part);
            continue;
        }
        let (_, behind) = part.split_once('"').unwrap();
        expected.push_str(&format!("\"{MASK}\"{behind}"));
        count += 1;
    }
    assert_eq!(redacted(representation), (expected, count));
}

#[test]
fn the_password_of_a_new_user_is_masked() {
    let mut event = parse(ADMIN_API_USER_CREATE);
    assert_eq!(event.redact(), 1);
    let body = String::from_utf8(event.canonical()).unwrap();
    assert!(!body.contains("battery"), "{body}");
    assert!(body.contains(r#"{\"type\":\"password\",\"value\":\"**********\",\"temporary\""#));
}

/// One representation per line, as Keycloak writes them: a user, a client, an identity provider,
/// a realm, authenticator settings, generated keys, pairs of names and values, two requests that
/// carry a credential, arrays of all this, and names in other spellings.
const REPRESENTATIONS: &str = include_str!("../data/representations.ndjson");

#[test]
fn keycloaks_representations_lose_their_secrets_and_nothing_else() {
    assert_eq!(REPRESENTATIONS.lines().count(), 11);
    for representation in REPRESENTATIONS.lines() {
        assert_masks_exactly_the_secrets(representation);
    }
}

#[test]
fn component_settings_keep_their_arrays() {
    let before = concat!(
        r#"{"name":"ldap","providerId":"ldap","config":{"bindDn":["cn=admin"],"#,
        r#""bindCredential":["x1"],"usePasswordModifyExtendedOp":["true"],"secret":["x2","x3"],"#,
        r#""secretSize":["64"],"keystorePassword":["x4"],"privateKey":["x5"],"#,
        r#""priority":["100"]}}"#
    );
    let (representation, masked) = redacted(before);
    let mask = format!("[\"{MASK}\"]");
    let after = [r#"["x1"]"#, r#"["x2","x3"]"#, r#"["x4"]"#, r#"["x5"]"#]
        .iter()
        .fold(before.to_owned(), |text, secret| {
            text.replace(secret, &mask)
        });
    assert_eq!(representation, after);
    assert_eq!(masked, 4);
}

#[test]
fn objects_and_numbers_under_a_secret_name_are_masked_wholly() {
    assert_eq!(
        redacted(r#"{"secret":{"a":[1,{"b":"x"}]},"password":1234,"n":1}"#),
        (
            r#"{"secret":"**********","password":"**********","n":1}"#.to_owned(),
            2
        )
    );
}

#[test]
fn what_holds_no_secret_is_not_touched() {
    for representation in [
        "",
        " ",
        "null",
        "[]",
        r#""a plain text""#,
        r#"{ "username" : "bob",  "n": 1.0 , "e": 1E5 }"#,
        r#"{"password":null,"secret":"","credentials":[],"token":true,"secretData":{}}"#,
        r#"{"password":"**********","config":{"clientSecret":["**********"]}}"#,
        r#"{"attributes":{"value":"x","type":["y"]}}"#,
        r#"[{"id":"r","name":"secret","description":"a role of that name"}]"#,
    ] {
        assert_eq!(redacted(representation), (representation.to_owned(), 0));
    }
}

#[test]
fn a_representation_that_cannot_be_read_is_withheld() {
    let not_json = (r#"{"withheld":"not valid JSON"}"#.to_owned(), 1);
    for representation in [
        r#"{"username":"bob","credentials":[{"type":"password","value":"hun"#,
        r#"{"password":"x"} "#.repeat(2).as_str(),
        "password=hunter2",
        "{\"a\":\"\u{1}\"}",
    ] {
        assert_eq!(redacted(representation), not_json, "{representation}");
    }
    let deep = "[".repeat(10_000) + r#"{"password":"x"}"# + &"]".repeat(10_000);
    assert_eq!(
        redacted(&deep),
        (r#"{"withheld":"nested too deep"}"#.to_owned(), 1)
    );
}

#[test]
fn requests_that_carry_nothing_but_a_credential_are_known_by_their_path() {
    for path in [
        "users/u1/reset-password",
        "clients/c1/client-secret",
        "clients/c1/client-secret/rotated",
        "clients/c1/registration-access-token/",
    ] {
        let (text, _) = redacted_at(path, r#""hunter2""#);
        assert_eq!(text, r#""**********""#, "{path}");
        let (object, _) = redacted_at(path, r#"{"value":"hunter2","type":"other"}"#);
        assert_eq!(object, r#"{"value":"**********","type":"other"}"#, "{path}");
    }
    let (elsewhere, masked) = redacted_at("users/u1", r#"{"value":"x"}"#);
    assert_eq!((elsewhere.as_str(), masked), (r#"{"value":"x"}"#, 0));
}

#[test]
fn a_representation_that_is_json_within_a_text_is_read() {
    let inner = r#"{"username":"bob","password":"hunter2"}"#;
    let (representation, masked) = redacted(&serde_json::to_string(inner).unwrap());
    assert_eq!(masked, 1);
    assert_eq!(
        serde_json::from_str::<String>(&representation).unwrap(),
        r#"{"username":"bob","password":"**********"}"#
    );
}

#[test]
fn pem_private_keys_are_masked_under_any_name() {
    let key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7\n-----END RSA PRIVATE KEY-----";
    let certificate = "-----BEGIN CERTIFICATE-----\nMIICnTCCAYUCBgF\n-----END CERTIFICATE-----";
    let json = serde_json::json!({"attributes": {"x": [key, certificate]}}).to_string();
    let (representation, masked) = redacted(&json);
    assert_eq!(masked, 1);
    assert!(!representation.contains("MIIEp") && representation.contains("MIICn"));
}

#[test]
fn keycloaks_own_details_are_never_masked() {
    for json in [
        KEYCLOAK_LOGIN,
        ADMIN_API_LOGIN_ERROR,
        WEBHOOK_LOGIN,
        WEBHOOK_USER_CREATE,
    ] {
        let mut event = parse(json);
        assert_eq!(event.redact(), 0, "{json}");
        assert_eq!(
            String::from_utf8(event.canonical()).unwrap(),
            canonical(json)
        );
    }
}

#[test]
fn secrets_of_extensions_in_details_are_masked() {
    let json = r#"{"type":"UPDATE_PASSWORD","details":{"password":"x","new_password":["x"],
        "request":"{\"client_secret\":\"x\"}","credential_type":"otp","secret":null}}"#;
    let mut event = parse(json);
    assert_eq!(event.redact(), 3);
    assert_eq!(event.redact(), 0);
    let body = String::from_utf8(event.canonical()).unwrap();
    let details = concat!(
        r#""details":{"password":"**********","new_password":["**********"],"#,
        r#""request":"{\"client_secret\":\"**********\"}","credential_type":"otp","secret":null}}"#
    );
    assert!(body.ends_with(details), "{body}");
}

#[test]
fn secrets_in_unknown_members_are_masked_too() {
    let json = r#"{"operationType":"CREATE","resourceType":"USER","authDetails":{"token":"x"},
        "value":{"credentials":[{"value":"x"}],"name":"bob"},"credentials":["x"]}"#;
    let mut event = parse(json);
    assert_eq!(event.redact(), 3);
    let body = String::from_utf8(event.canonical()).unwrap();
    assert!(body.contains(r#""token":"**********"}"#), "{body}");
    let end = concat!(
        r#""value":{"credentials":[{"value":"**********"}],"name":"bob"},"#,
        r#""credentials":["**********"]}"#
    );
    assert!(body.ends_with(end), "{body}");
}

#[test]
fn a_representation_cut_off_anywhere_leaks_nothing() {
    for representation in REPRESENTATIONS.lines() {
        for end in 1..representation.len() {
            let (after, masked) = redacted(&representation[..end]);
            assert_eq!(after, r#"{"withheld":"not valid JSON"}"#);
            assert_eq!(masked, 1);
        }
    }
}

#[test]
fn a_representation_with_one_damaged_byte_leaks_nothing() {
    for representation in REPRESENTATIONS.lines() {
        for at in 0..representation.len() {
            // Within a name the damage may well make another name of it.
            if representation.as_bytes()[at].is_ascii_alphanumeric() {
                continue;
            }
            let mut damaged = representation.as_bytes().to_vec();
            damaged.remove(at);
            let damaged = String::from_utf8(damaged).unwrap();
            let (after, _) = redacted(&damaged);
            let was_a_separator = b"._- ".contains(&representation.as_bytes()[at]);
            if serde_json::from_str::<serde_json::Value>(&damaged).is_err() {
                assert_eq!(after, r#"{"withheld":"not valid JSON"}"#, "{damaged}");
            } else if was_a_separator {
                assert!(!after.contains("SECRET"), "{after}");
            }
        }
    }
}

#[test]
fn user_events_have_no_representation_to_mask() {
    let json = r#"{"type":"LOGIN","representation":"{\"password\":\"x\"}"}"#;
    let mut event = parse(json);
    // It is an unknown member there, a text that holds JSON, and is read as such.
    assert_eq!(event.redact(), 1);
    assert_eq!(event.extra[0].1.get(), r#""{\"password\":\"**********\"}""#);
}

#[test]
fn the_order_of_events_and_their_routing_do_not_depend_on_redaction() {
    let mut event = parse(ADMIN_API_USER_CREATE);
    let before = (event.metadata(), event.ordering_key());
    event.redact();
    assert_eq!((event.metadata(), event.ordering_key()), before);
}

#[test]
fn a_derived_id_is_no_fingerprint_of_a_secret() {
    let id = |password: &str| {
        let json = format!(
            r#"{{"resourceType":"USER","operationType":"CREATE",
                "representation":"{{\"password\":\"{password}\"}}"}}"#
        );
        let mut event = parse(&json);
        event.redact();
        event.derive_id();
        event.id.unwrap().into_owned()
    };
    assert_eq!(id("hunter2"), id("correct horse"));
}
