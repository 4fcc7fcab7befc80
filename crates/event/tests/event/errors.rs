//! Bodies that are not events: every one gets an error that names the place and quotes nothing.

use kete_event::{JsonType, NESTING_LIMIT, ParseError, Position};

use super::*;

fn error(json: &str) -> ParseError {
    Event::parse(json.as_bytes()).unwrap_err()
}

fn message(json: &str) -> String {
    error(json).to_string()
}

/// Bodies, and what is said about them.
const MISTAKES: [(&str, &str); 23] = [
    ("", "the body is empty, expected one event as a JSON object"),
    (
        " \n",
        "the body is empty, expected one event as a JSON object",
    ),
    (
        "[{}]",
        "expected one event as a JSON object, found an array",
    ),
    ("12", "expected one event as a JSON object, found a number"),
    (
        "\"LOGIN\"",
        "expected one event as a JSON object, found a text",
    ),
    (
        "true",
        "expected one event as a JSON object, found true or false",
    ),
    ("null", "expected one event as a JSON object, found null"),
    (
        "{}",
        "no event type, expected `type` (user event) or `resourceType` and `operationType` \
             (admin event)",
    ),
    (
        "{\"type\":\"LOGIN\"",
        "the JSON is cut off at line 1 column 16, check what shortens bodies on the way here",
    ),
    (
        "{\"type\":\"LO\nGIN",
        "not valid JSON: control character (\\u0000-\\u001F) found while parsing a string at \
             line 1 column 11",
    ),
    (
        "{\"type\":LOGIN}",
        "not valid JSON: expected value at line 1 column 9",
    ),
    (
        "{\"type\":\"LOGIN\"} x",
        "not valid JSON: trailing characters at line 1 column 18",
    ),
    (
        "{\"type\":\"LOGIN\",\n  \"time\":\"soon\"}",
        "time at line 2 column 10: expected milliseconds since 1970 as a whole number, \
             found a text",
    ),
    (
        "{\"time\":1.5,\"type\":\"LOGIN\"}",
        "time at line 1 column 9: expected milliseconds since 1970 as a whole number, \
             found a number",
    ),
    (
        "{\"type\":\"LOGIN\",\"details\":[]}",
        "details at line 1 column 27: expected an object or null, found an array",
    ),
    (
        "{\"type\":7}",
        "type at line 1 column 9: expected a text or null, found a number",
    ),
    (
        "{\"type\":\"LOGIN\",\"userId\":{}}",
        "userId at line 1 column 26: expected a text or null, found an object",
    ),
    (
        "{\"operationType\":\"CREATE\"}",
        "resourceType is missing or blank, an admin event needs it",
    ),
    (
        "{\"type\":\"LOGIN\",\"operationType\":\"CREATE\"}",
        "both `type` and `operationType` are there, expected `type` (user event) or \
             `operationType` (admin event)",
    ),
    (
        "{\"type\":\"LOGIN\",\"type\":\"LOGOUT\"}",
        "type is there twice, again at line 1 column 24, expected each member once",
    ),
    (
        "{\"type\":\"LOGIN\",\"error\":\"\\udead\"}",
        "error at line 1 column 25: an escape in this text stands for no character",
    ),
    (
        "{\"type\":\"admin.USER\"}",
        "type at line 1 column 9: expected `access.<TYPE>` or \
             `admin.<RESOURCE>-<OPERATION>` in a webhook body",
    ),
    (
        WEBHOOK_SYSTEM,
        "not a Keycloak event but a message of the webhook extension itself, leave it out",
    ),
];

#[test]
fn every_mistake_has_its_message() {
    for (json, expected) in MISTAKES {
        assert_eq!(message(json), expected, "{json}");
    }
}

#[test]
fn messages_never_quote_the_body() {
    for json in [
        r#"{"type":"LOGIN","hunter2":1,"hunter2":2}"#,
        r#"{"type":"LOGIN","details":{"hunter2":"a","hunter2":"b"}}"#,
        r#"{"type":"LOGIN","details":"hunter2"}"#,
        r#"{"type":"hunter2","operationType":"hunter2"}"#,
        r#"{"type":"admin.hunter2"}"#,
        r#"{"type":"access.hunter2.x"}"#,
        r#"{"type":"hunter2.x","uid":"1"}"#,
        r#"{"time":"hunter2","type":"LOGIN"}"#,
        r#"{"hunter2":hunter2}"#,
        r#"{"hunter2":"hunter2\x"}"#,
    ] {
        let error = error(json);
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
}

#[test]
fn repeated_members_are_found_wherever_they_are_and_however_they_are_spelled() {
    for json in [
        r#"{"type":"LOGIN","userId":null,"userId":"u"}"#,
        r#"{"type":"LOGIN","x":1,"x":1}"#,
        r#"{"type":"LOGIN","userId":"a","user\u0049d":"b"}"#,
        r#"{"type":"LOGIN","details":{"a":"1","b":"2","a":"3"}}"#,
        r#"{"resourceType":"A","operationType":"B","authDetails":{"userId":"1","userId":"1"}}"#,
        r#"{"type":"access.LOGIN","authDetails":{"x":1,"x":2}}"#,
    ] {
        assert!(
            matches!(error(json), ParseError::Duplicate { .. }),
            "{json}"
        );
    }
}

#[test]
fn repeats_among_very_many_members_are_found_too() {
    let many: String = (0..20_000)
        .map(|number| format!(",\"m{number}\":1"))
        .collect();
    parse(&format!("{{\"type\":\"LOGIN\"{many}}}"));
    let repeated = format!("{{\"type\":\"LOGIN\"{many},\"m77\":2}}");
    assert!(matches!(error(&repeated), ParseError::Duplicate { .. }));
}

#[test]
fn endless_nesting_is_an_error_and_never_a_crash() {
    let arrays = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    let objects = |levels: usize| "{\"a\":".repeat(levels) + "1" + &"}".repeat(levels);
    for json in [
        arrays(10_000),
        "[".repeat(1_000_000),
        "{\"a\":".repeat(100_000),
        objects(10_000),
        format!("{{\"type\":\"LOGIN\",\"x\":{}}}", arrays(10_000)),
        format!(
            "{{\"type\":\"LOGIN\",\"details\":{{\"x\":{}}}}}",
            objects(10_000)
        ),
        format!("{{\"type\":\"LOGIN\",\"details\":{}}}", objects(10_000)),
        format!(
            "{{\"type\":\"access.LOGIN\",\"authDetails\":{}}}",
            objects(10_000)
        ),
    ] {
        assert!(Event::parse(json.as_bytes()).is_err(), "{}", &json[..40]);
    }
}

#[test]
fn nesting_is_allowed_up_to_the_limit_exactly() {
    let nested = |levels: usize| {
        format!(
            "{{\"type\":\"LOGIN\",\"x\":{}{}}}",
            "[".repeat(levels),
            "]".repeat(levels)
        )
    };
    parse(&nested(NESTING_LIMIT));
    match error(&nested(NESTING_LIMIT + 1)) {
        ParseError::TooDeep {
            limit, position, ..
        } => {
            assert_eq!(
                (limit, position),
                (
                    NESTING_LIMIT,
                    Position {
                        line: 1,
                        column: 21
                    }
                )
            );
        }
        other => panic!("{other}"),
    }
}

#[test]
fn bytes_that_are_not_utf8_are_pointed_at() {
    let mut bytes = b"{\"type\":\n\"LOGIN\",\"userId\":\"".to_vec();
    let column = bytes.len() - 8;
    bytes.extend_from_slice(b"\xff\"}");
    match Event::parse(&bytes).unwrap_err() {
        ParseError::NotUtf8 { position } => assert_eq!(position, Position { line: 2, column }),
        other => panic!("{other}"),
    }
}

#[test]
fn every_prefix_of_an_event_is_cut_off() {
    let json = WEBHOOK_USER_CREATE.trim_end();
    for end in 1..json.len() {
        let error = error(&json[..end]);
        assert!(
            matches!(error, ParseError::Truncated { .. }),
            "{end}: {error}"
        );
    }
}

#[test]
fn only_messages_of_the_webhook_extension_itself_are_foreign() {
    assert!(error(WEBHOOK_SYSTEM).is_foreign());
    assert!(error(r#"{"type":"acme.SHIPPED","uid":"1"}"#).is_foreign());
    assert!(!error("{}").is_foreign());
    assert!(!error(r#"{"type":"access.","uid":"1"}"#).is_foreign());
}

#[test]
fn an_error_carries_what_a_program_needs() {
    match error(r#"{"type":"LOGIN","details":7}"#) {
        ParseError::WrongType { field, found, .. } => {
            assert_eq!((field, found), ("details", JsonType::Number));
        }
        other => panic!("{other}"),
    }
}

/// Every field of user events and admin events, and what its value must be.
const USER_FIELDS: [(&str, &str); 10] = [
    ("id", "a text or null"),
    ("time", "milliseconds since 1970 as a whole number"),
    ("realmId", "a text or null"),
    ("realmName", "a text or null"),
    ("clientId", "a text or null"),
    ("userId", "a text or null"),
    ("sessionId", "a text or null"),
    ("ipAddress", "a text or null"),
    ("error", "a text or null"),
    ("details", "an object or null"),
];
const ADMIN_FIELDS: [(&str, &str); 11] = [
    ("id", "a text or null"),
    ("time", "milliseconds since 1970 as a whole number"),
    ("realmId", "a text or null"),
    ("realmName", "a text or null"),
    ("error", "a text or null"),
    ("details", "an object or null"),
    ("authDetails", "an object or null"),
    ("resourcePath", "a text or null"),
    ("representation", "a text or null"),
    ("resourceTypeAsString", "a text or null"),
    ("resourceId", "a text or null"),
];

#[test]
fn every_field_refuses_every_wrong_type_and_points_at_the_value() {
    let user = r#"{"type":"LOGIN","#;
    let admin = r#"{"resourceType":"USER","operationType":"CREATE","#;
    let fields = USER_FIELDS.map(|field| (user, field)).into_iter();
    for (start, (name, must_be)) in fields.chain(ADMIN_FIELDS.map(|field| (admin, field))) {
        for (value, is) in [
            ("1.5", JsonType::Number),
            ("true", JsonType::Boolean),
            ("[]", JsonType::Array),
            ("{}", JsonType::Object),
            ("\"x\"", JsonType::Text),
        ] {
            let right = (is == JsonType::Text && must_be.starts_with("a text"))
                || (is == JsonType::Object && must_be.starts_with("an object"));
            let before = format!("{start}\"{name}\": ");
            let json = format!("{before}{value}}}");
            match Event::parse(json.as_bytes()) {
                Ok(_) => assert!(right, "{json}"),
                Err(ParseError::WrongType {
                    field,
                    position,
                    expected,
                    found,
                }) => {
                    assert!(!right, "{json}");
                    let column = before.len() + 1;
                    assert_eq!((field, expected, found), (name, must_be, is), "{json}");
                    assert_eq!(position, Position { line: 1, column }, "{json}");
                }
                Err(error) => panic!("{error}: {json}"),
            }
        }
    }
}

#[test]
fn every_field_may_be_null() {
    for (name, _) in USER_FIELDS {
        parse(&format!(r#"{{"type":"LOGIN","{name}":null}}"#));
    }
    for (name, _) in ADMIN_FIELDS {
        parse(&format!(
            r#"{{"resourceType":"USER","operationType":"X","{name}":null}}"#
        ));
    }
}

#[test]
fn times_are_whole_numbers_of_64_bits() {
    for (time, expected) in [("0", 0), ("-1", -1), ("9223372036854775807", i64::MAX)] {
        let json = format!(r#"{{"type":"LOGIN","time":{time}}}"#);
        assert_eq!(parse(&json).time, Some(expected));
    }
    for time in ["9223372036854775808", "1e3", "1.0", "\"1\""] {
        let json = format!(r#"{{"type":"LOGIN","time":{time}}}"#);
        assert!(
            matches!(error(&json), ParseError::WrongType { field: "time", .. }),
            "{time}"
        );
    }
}

#[test]
fn a_byte_order_mark_is_not_json() {
    assert!(matches!(
        error("\u{feff}{\"type\":\"LOGIN\"}"),
        ParseError::Syntax(_)
    ));
}
