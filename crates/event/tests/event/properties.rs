//! What must hold for every body, tried on made-up and on damaged ones.

use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use super::*;

const SAMPLES: [&str; 8] = [
    KEYCLOAK_LOGIN,
    KEYCLOAK_USER_CREATE,
    KEYCLOAK_CUSTOM,
    ADMIN_API_LOGIN_ERROR,
    ADMIN_API_USER_CREATE,
    WEBHOOK_LOGIN,
    WEBHOOK_USER_CREATE,
    WEBHOOK_SYSTEM,
];

/// Names that mean something somewhere, and some that do not.
const NAMES: [&str; 27] = [
    "id",
    "time",
    "type",
    "realmId",
    "realmName",
    "clientId",
    "userId",
    "sessionId",
    "ipAddress",
    "error",
    "details",
    "authDetails",
    "resourceType",
    "operationType",
    "resourcePath",
    "representation",
    "resourceTypeAsString",
    "resourceId",
    "uid",
    "username",
    "password",
    "value",
    "credentials",
    "",
    "a b",
    "\"\\",
    "\u{e9}\u{1f600}",
];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~\\n\\t\u{e9}\u{1f600}]{0,20}",
        Just("LOGIN".to_owned()),
        Just("access.LOGIN".to_owned()),
        Just("admin.USER-CREATE".to_owned()),
        Just("admin.X-access.Y".to_owned()),
        Just("CUSTOM".to_owned()),
        Just("users/u1/x".to_owned()),
    ]
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        text().prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            object_of(inner),
        ]
    })
}

fn object_of(values: impl Strategy<Value = Json>) -> impl Strategy<Value = Json> {
    prop::collection::btree_map(prop::sample::select(&NAMES[..]), values, 0..6).prop_map(
        |members| {
            members
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect::<Map<_, _>>()
                .into()
        },
    )
}

/// Bodies that are events more often than not: known members mostly have the right type.
fn body() -> impl Strategy<Value = String> {
    let texts = prop::collection::btree_map(
        prop::sample::select(&NAMES[..]).prop_filter("not a text", |name| {
            !["time", "details", "authDetails"].contains(name)
        }),
        prop_oneof![9 => text().prop_map(Json::from), 1 => Just(Json::Null)],
        0..14,
    );
    let others = (
        prop::option::of(any::<i64>()),
        prop::option::of(object_of(any_json())),
        prop::option::of(object_of(text().prop_map(Json::from))),
        prop::option::of(any_json()),
    );
    let kind = prop_oneof![
        4 => Just(json!({"type": "LOGIN", "operationType": null})),
        2 => Just(json!({"type": "access.LOGIN", "operationType": " "})),
        2 => Just(json!({"type": "admin.REALM-UPDATE", "uid": "u"})),
        4 => Just(json!({"type": null, "operationType": "ACTION", "resourceType": "THING"})),
        1 => Just(json!({})),
    ];
    (texts, others, kind, any::<bool>()).prop_map(|(texts, others, kind, pretty)| {
        let mut members: Map<String, Json> = texts
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let (time, details, auth, unknown) = others;
        members.extend(time.map(|time| ("time".to_owned(), time.into())));
        members.extend(details.map(|details| ("details".to_owned(), details)));
        members.extend(auth.map(|auth| ("authDetails".to_owned(), auth)));
        members.extend(unknown.map(|unknown| ("somethingNew".to_owned(), unknown)));
        if let Json::Object(kind) = kind {
            members.extend(kind);
        }
        let body = Json::Object(members);
        if pretty {
            format!("{body:#}")
        } else {
            body.to_string()
        }
    })
}

/// If the body is an event: canonical JSON is one line of valid JSON that reads and writes as
/// itself, before and after redaction.
fn check(body: &[u8]) -> Result<bool, TestCaseError> {
    let Ok(mut event) = Event::parse(body) else {
        return Ok(false);
    };
    for _ in 0..2 {
        let once = event.canonical();
        prop_assert!(!once.contains(&b'\n'));
        prop_assert!(serde_json::from_slice::<Json>(&once).is_ok());
        match Event::parse(&once) {
            Ok(again) => {
                let twice = again.canonical();
                prop_assert_eq!(
                    String::from_utf8_lossy(&twice),
                    String::from_utf8_lossy(&once)
                );
                prop_assert_eq!(again.metadata(), event.metadata());
                prop_assert_eq!(again.ordering_key(), event.ordering_key());
            }
            Err(error) => {
                return Err(TestCaseError::fail(format!(
                    "{error}: {}",
                    String::from_utf8_lossy(&once)
                )));
            }
        }
        event.redact();
    }
    prop_assert_eq!(event.redact(), 0);
    Ok(true)
}

#[test]
fn all_samples_that_are_events_hold() {
    let events = SAMPLES
        .iter()
        .filter(|json| check(json.as_bytes()).unwrap())
        .count();
    assert_eq!(events, SAMPLES.len() - 1);
}

#[test]
fn made_up_bodies_are_events_often_enough_to_prove_something() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let events = (0..200)
        .filter(|_| {
            let body = body().new_tree(&mut runner).unwrap().current();
            Event::parse(body.as_bytes()).is_ok()
        })
        .count();
    assert!(events > 100, "{events} of 200");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn made_up_bodies_hold(body in body()) {
        check(body.as_bytes())?;
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check(&bytes)?;
    }

    #[test]
    fn damaged_bodies_never_panic_and_hold_where_they_are_still_events(
        sample in prop::sample::select(&SAMPLES[..]),
        damage in prop::collection::vec(damage(), 1..6),
    ) {
        let mut bytes = sample.as_bytes().to_vec();
        for (index, byte, how) in damage {
            let at = index.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        check(&bytes)?;
    }

    #[test]
    fn unknown_members_survive_with_their_values(value in any_json(), admin in any::<bool>()) {
        let mut body = json!({"somethingNew": value});
        if admin {
            body["operationType"] = "CREATE".into();
            body["resourceType"] = "USER".into();
        } else {
            body["type"] = "LOGIN".into();
        }
        let written: Json = serde_json::from_str(&canonical(&body.to_string())).unwrap();
        prop_assert_eq!(&written["somethingNew"], &value);
    }

    #[test]
    fn keycloaks_own_user_events_come_out_byte_for_byte(
        texts in prop::collection::vec(prop::option::of("[ -~\\n\u{e9}]{0,12}[a-z]"), 7),
        time in any::<i64>(),
        details in prop::option::of(prop::collection::btree_map("[a-z]{1,4}", "[ -~]{0,8}", 0..5)),
    ) {
        let text = |index: usize| serde_json::to_string(&texts[index]).unwrap();
        let body = format!(
            concat!(
                r#"{{"id":{},"time":{},"type":"LOGIN","realmId":{},"realmName":{},"clientId":{},"#,
                r#""userId":{},"sessionId":{},"ipAddress":null,"error":{},"details":{}}}"#
            ),
            text(0),
            time,
            text(1),
            text(2),
            text(3),
            text(4),
            text(5),
            text(6),
            serde_json::to_string(&details).unwrap()
        );
        prop_assert_eq!(canonical(&body), body);
    }

    #[test]
    fn ordering_keys_are_equal_for_one_user_of_one_realm_and_for_no_one_else(
        one in ("[ab]", "[ab]"),
        other in ("[ab]", "[ab]"),
        session in "[a-z]{0,3}",
    ) {
        let login = |(realm, id): &(String, String)| {
            let json = json!({
                "type": "LOGIN", "realmId": realm, "userId": id, "sessionId": session,
            });
            parse(&json.to_string()).ordering_key()
        };
        let change = |(realm, id): &(String, String)| {
            let json = json!({
                "operationType": "UPDATE", "resourceType": "USER", "realmId": realm,
                "resourcePath": format!("users/{id}/groups/{session}"),
            });
            parse(&json.to_string()).ordering_key()
        };
        prop_assert_eq!(login(&one), change(&one));
        prop_assert_eq!(login(&one) == change(&other), one == other);
    }

    #[test]
    fn no_secret_is_left_in_details_and_unknown_members(
        members in prop::collection::btree_map("[a-c]{1,2}", with_secrets(), 1..4),
    ) {
        let object = object(&members.into_iter().collect::<Vec<_>>());
        let body = format!(r#"{{"type":"LOGIN","details":{object},"somethingNew":{object}}}"#);
        let mut event = parse(&body);
        let masked = event.redact();
        let after = String::from_utf8(event.canonical()).unwrap();
        prop_assert!(!after.contains(SECRET), "{}", after);
        prop_assert_eq!(after.matches(HARMLESS).count(), body.matches(HARMLESS).count());
        prop_assert_eq!(masked > 0, body.contains(SECRET));
    }

    #[test]
    fn no_secret_is_left_and_nothing_else_is_lost(representation in with_secrets()) {
        let json = json!({
            "operationType": "CREATE",
            "resourceType": "USER",
            "representation": representation,
        })
        .to_string();
        let mut event = parse(&json);
        let masked = event.redact();
        let after = admin(&event).representation.as_deref().unwrap();
        prop_assert!(!after.contains(SECRET), "{}", after);
        prop_assert_eq!(after.matches(HARMLESS).count(), representation.matches(HARMLESS).count());
        prop_assert_eq!(masked > 0, representation.contains(SECRET));
        prop_assert!(serde_json::from_str::<Json>(after).is_ok(), "{}", after);
        if masked == 0 {
            prop_assert_eq!(after, representation);
        }
    }
}

/// Where, with what, and whether to replace, to insert or to remove.
fn damage() -> impl Strategy<Value = (prop::sample::Index, u8, u8)> {
    (any::<prop::sample::Index>(), damaging_byte(), 0..3_u8)
}

fn damaging_byte() -> impl Strategy<Value = u8> {
    prop_oneof![
        prop::sample::select(&b"{}[]\":,\\ntu0. \n\xff\xc3"[..]),
        any::<u8>()
    ]
}

const SECRET: &str = "hunter2";
const HARMLESS: &str = "keepme";

/// A JSON text with secrets under secret names in any spelling, and harmless texts elsewhere.
fn with_secrets() -> impl Strategy<Value = String> {
    let harmless = prop_oneof![
        Just(format!("\"{HARMLESS}\"")),
        Just("null".to_owned()),
        Just("-1.50e+3".to_owned()),
        Just(" true ".to_owned()),
    ];
    let tree = harmless.prop_recursive(5, 40, 5, |inner| {
        let member = prop_oneof![
            2 => (harmless_name(), inner.clone()),
            1 => (secret_name(), secret()),
            1 => (Just("credentials".to_owned()), credential()),
        ];
        let members = prop::collection::vec(member, 0..5);
        prop_oneof![
            members.clone().prop_map(|members| object(&members)),
            prop::collection::vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(" , "))),
            // JSON within a text.
            members.prop_map(|members| Json::from(object(&members)).to_string()),
        ]
    });
    // Names may repeat, as nothing here forbids it; a wrapped text may wrap another one, twice.
    tree.prop_filter("wrapped too often", |json| !json.contains(&"\\".repeat(15)))
}

fn object(members: &[(String, String)]) -> String {
    let members: Vec<_> = members
        .iter()
        .map(|(name, value)| format!("{} : {value}", Json::from(&**name)))
        .collect();
    format!("{{{}}}", members.join(","))
}

fn harmless_name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c]{1,2}",
        Just("passwordPolicy".to_owned()),
        Just("value".to_owned())
    ]
}

fn secret_name() -> impl Strategy<Value = String> {
    let names = &[
        "password",
        "newPassword",
        "secret",
        "clientSecret",
        "bindCredential",
        "saml.signing.private.key",
        "secretData",
        "client.secret.rotated",
        "registrationAccessToken",
    ][..];
    (prop::sample::select(names), any::<u64>()).prop_map(|(name, choices)| {
        let mut spelled = String::new();
        for (index, character) in name.chars().enumerate() {
            match (choices >> (2 * index)) & 3 {
                0 => spelled.push(character.to_ascii_uppercase()),
                1 => spelled.extend(['_', character]),
                _ => spelled.push(character),
            }
        }
        spelled
    })
}

fn secret() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(format!("\"{SECRET}\"")),
        Just(format!("[ \"{SECRET}\", {{\"a\":\"{SECRET}\"}} ]")),
        Just(format!("{{\"deep\":[[\"{SECRET}\"]]}}")),
    ]
}

fn credential() -> impl Strategy<Value = String> {
    let value = secret().prop_map(|secret| format!("{{\"a\":\"{HARMLESS}\",\"value\":{secret}}}"));
    prop::collection::vec(value, 1..3).prop_map(|values| format!("[{}]", values.join(",")))
}
