use super::*;
use crate::testing::read_section;

const URL_AND_NAME: [&str; 2] = ["url=http://h:3000", "event-name=e"];

/// Reads a right url and event name with more lines.
fn read_with(more: &[&str]) -> (Option<SocketIoSettings>, String) {
    read_section(&[&URL_AND_NAME, more].concat(), |scope| read(scope, None))
}

fn refused(more: &[&str], expected: &str) {
    let (settings, found) = read_with(more);
    assert_eq!(found, expected);
    assert!(settings.is_none(), "{more:?}");
}

fn warned(more: &[&str], expected: &str) {
    let (settings, found) = read_with(more);
    assert_eq!(found, expected);
    assert!(settings.is_some(), "{more:?}");
}

#[test]
fn the_table_has_no_mistakes() {
    assert_eq!(kete_config::table_mistakes(KEYS), [] as [&str; 0]);
}

#[test]
fn url_and_event_name_are_enough() {
    let (settings, said) = read_with(&[]);
    assert_eq!(said, "");
    let settings = settings.unwrap();
    assert_eq!(settings.event_name.is_constant(), Some("e"));
    assert_eq!(settings.confirm, Confirm::Barrier);
    assert_eq!(settings.barrier, BarrierChoice::Auto);
    assert_eq!(settings.error_pointer, None);
    assert_eq!(settings.event_id, EventId::Off);
    assert_eq!(settings.options.max_payload, MaxPayload::Advertised);
    assert_eq!(settings.options.path, "/socket.io/");
    assert_eq!(settings.options.namespace, "/");
    assert_eq!(settings.options.connect_timeout.as_secs(), 20);
}

#[test]
fn all_mistakes_come_out_together() {
    let (settings, found) = read_section(
        &[
            "url=ftp://h",
            "confirm=maybe",
            "barrier=pong",
            "timeout-seconds=0",
            "pool.lifo=x",
        ],
        |scope| read(scope, None),
    );
    assert!(settings.is_none());
    for key in [
        "url = ",
        "confirm = ",
        "barrier = ",
        "timeout-seconds = ",
        "pool.lifo = ",
    ] {
        assert!(
            found.contains(&format!("--set: {key}")),
            "{key} is missing in\n{found}"
        );
    }
    assert!(
        found.contains("event-name\n  this key is required"),
        "{found}"
    );
}

#[test]
fn wrong_words_are_refused_with_the_right_ones() {
    refused(
        &["confirm=acks"],
        "error[bad-value]: --set: confirm = \"acks\"\n  expected one of: barrier, ack, written, \
         but \
         it is none of these\n  did you mean ack?\n",
    );
    refused(
        &["barrier=websocket"],
        "error[bad-value]: --set: barrier = \"websocket\"\n  expected one of: auto, ping, \
         namespace, engine-ping, but it is none of these\n",
    );
    assert_eq!(
        read_with(&["unresolved-variables=drop"]).1,
        "error[bad-value]: --set: unresolved-variables = \"drop\"\n  expected one of: literal, \
         empty, fail, but it is none of these\n",
    );
}

#[test]
fn a_payload_limit_is_a_word_or_a_size_with_a_unit() {
    let limit = |text: &str| PayloadLimit::parse(text).map(|limit| limit.0);
    assert_eq!(limit("auto"), Ok(MaxPayload::Advertised));
    assert_eq!(limit("OFF"), Ok(MaxPayload::Off));
    assert_eq!(limit("64KiB"), Ok(MaxPayload::Bytes(65536)));
    refused(
        &["max-payload=65536"],
        "error[bad-value]: --set: max-payload = \"65536\"\n  expected auto, off, or a size such as \
         64KiB or 1MiB, but it has no unit\n  add one: 65536B for bytes, 65536KiB, 65536MiB\n",
    );
    refused(
        &["max-payload=0B"],
        "error[bad-value]: --set: max-payload = \"0B\"\n  expected auto, off, or a size such as \
         64KiB or 1MiB, but it is zero\n  write off for no limit\n",
    );
}

#[test]
fn an_error_pointer_is_a_json_pointer_and_needs_acknowledgements() {
    refused(
        &["confirm=ack", "ack.error-pointer=error"],
        "error[bad-value]: --set: ack.error-pointer = \"error\"\n  expected a JSON pointer such as \
         /error, but it does not begin with a slash\n  write /error\n",
    );
    refused(
        &["confirm=ack", "ack.error-pointer=/a~b"],
        "error[bad-value]: --set: ack.error-pointer = \"/a~b\"\n  expected a JSON pointer such as \
         /error, but it has a ~ without 0 or 1 behind it\n  write ~0 for ~, ~1 for /\n",
    );
    warned(
        &["ack.error-pointer=/error"],
        "warning[no-effect]: --set: ack.error-pointer = \"/error\"\n  nothing is acknowledged, so \
         there is nothing to point at\n  set confirm=ack\n",
    );
    let (settings, said) = read_with(&["confirm=ack", "ack.error-pointer=/a~1b/0"]);
    assert_eq!(
        (said.as_str(), settings.unwrap().error_pointer.is_some()),
        ("", true)
    );
}

#[test]
fn a_value_under_the_pointer_refuses_unless_it_is_null_or_false() {
    let pointer = ErrorPointer::parse("/error").unwrap();
    let accepted = [
        "[]",
        "[null]",
        "[{}]",
        r#"[{"error":null}]"#,
        r#"[{"error":false}]"#,
        "[7]",
    ];
    for payload in accepted {
        assert_eq!(pointer.refusal(payload.as_bytes()), None, "{payload}");
    }
    for (payload, detail) in [
        (r#"[{"error":"full"}]"#, "full"),
        (r#"[{"error":true}]"#, "true"),
        (r#"[{"error":0}]"#, "0"),
        (r#"[{"error":""}]"#, ""),
        (r#"[{"error":{"code":7}}]"#, r#"{"code":7}"#),
        ("[", "its acknowledgement is no JSON"),
        ("{}", "its acknowledgement is no JSON"),
    ] {
        assert_eq!(
            pointer.refusal(payload.as_bytes()).as_deref(),
            Some(detail),
            "{payload}"
        );
    }
    // Only the first argument counts.
    assert_eq!(pointer.refusal(br#"[null,{"error":"x"}]"#), None);
}

#[test]
fn a_refusal_is_bounded_and_cannot_command_a_terminal() {
    let pointer = ErrorPointer::parse("/error").unwrap();
    let long = "x".repeat(10_000);
    let detail = pointer
        .refusal(format!(r#"[{{"error":"{long}"}}]"#).as_bytes())
        .unwrap();
    assert_eq!(detail.len(), ErrorPointer::LONGEST_DETAIL);
    let detail = pointer.refusal(br#"[{"error":"a\u001b[31m\nb"}]"#).unwrap();
    assert_eq!(detail, "a [31m b");
}

#[test]
fn mistakes_of_both_sections_come_out_together() {
    let (settings, said) = read_with(&["tls.enabled=true", "oauth.enabled=true"]);
    assert!(settings.is_none());
    assert!(
        said.contains("error[contradiction]: --set: tls.enabled"),
        "{said}"
    );
    assert!(
        said.contains("error[missing-key]: oauth.token-url"),
        "{said}"
    );
}

#[test]
fn what_a_token_takes_the_place_of_is_said() {
    let oauth = [
        "oauth.enabled=true",
        "oauth.token-url=https://t/",
        "oauth.client-id=c",
        "oauth.client-secret=s77",
    ];
    let said = |more: &[&str]| {
        let local = ["url=http://localhost:3000", "event-name=e"];
        let lines = [&local[..], &oauth, more].concat();
        let (settings, said) = read_section(&lines, |scope| read(scope, None));
        assert!(settings.is_some(), "{said}");
        said
    };
    assert_eq!(said(&["query.token=a", "auth.token=b"]), "");
    let warned = said(&["headers.authorization=Basic a"]);
    assert_eq!(
        warned,
        "warning[no-effect]: --set: headers.authorization = (hidden)\n  the token of oauth is \
         sent in its place\n  leave it out, or send the token elsewhere with oauth.send-as\n"
    );
    let elsewhere = ["oauth.send-as=auth,query", "headers.Authorization=Basic a"];
    assert_eq!(said(&elsewhere), "");
    let both = ["oauth.send-as=auth,query", "auth.token=b", "query.token=a"];
    assert_eq!(said(&both).matches("warning[no-effect]").count(), 2);
    let renamed = ["oauth.send-as=auth", "oauth.auth-key=jwt", "auth.token=b"];
    assert_eq!(said(&renamed), "");
}

#[test]
fn a_token_that_leaves_the_machine_unencrypted_is_warned_of() {
    let oauth = [
        "oauth.enabled=true",
        "oauth.token-url=https://t/",
        "oauth.client-id=c",
        "oauth.client-secret=s77",
    ];
    let (settings, said) = read_with(&oauth);
    assert!(settings.is_some());
    assert_eq!(
        said,
        "warning[plain-http]: --set: url = \"http://h:3000\"\n  tokens and all events travel in \
         the clear\n  use https, unless something else protects this connection\n"
    );
    assert_eq!(read_with(&["oauth.enabled=false"]).1, "");
}

#[test]
fn a_reserved_event_name_is_refused_at_once() {
    let (settings, said) = read_section(&["url=http://h", "event-name=disconnect"], |scope| {
        read(scope, None)
    });
    assert!(settings.is_none());
    assert_eq!(
        said,
        "error[bad-event-name]: --set: event-name = \"disconnect\"\n  event name 'disconnect' is \
         reserved by Socket.IO\n  put something before it, such as 'keycloak-'\n"
    );
}

#[test]
fn receivers_can_be_told_the_id() {
    let (settings, said) = read_with(&["event-id=argument"]);
    assert_eq!(said, "");
    assert_eq!(settings.unwrap().event_id, EventId::Argument);
    refused(
        &["event-id=arguments"],
        "error[bad-value]: --set: event-id = \"arguments\"\n  \
         expected one of: off, argument, but it is none of these\n  did you mean argument?\n",
    );
}
