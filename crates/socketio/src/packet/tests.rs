//! The codec against packets as real servers send them, and against anything at all.

use proptest::prelude::*;

use super::*;

fn packet(text: &str) -> Packet {
    decode(&Bytes::copy_from_slice(text.as_bytes()))
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn message(kind: Kind, namespace: &str, id: Option<u64>, data: &str) -> Packet {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    Packet::Message(Message {
        kind,
        namespace: bytes(namespace),
        id,
        data: bytes(data),
    })
}

fn split(data: &str) -> Result<(String, Bytes), DecodeError> {
    split_event(&Bytes::copy_from_slice(data.as_bytes()))
}

fn encoded(namespace: &str, ack: Option<u32>, name: &str, payload: &str) -> Bytes {
    let name = EventName::new(name).unwrap();
    let prefix = event_prefix(namespace);
    let mut out = BytesMut::new();
    encode_event(&mut out, &prefix, ack, &name, payload.as_bytes());
    assert_eq!(
        out.len(),
        event_len(prefix.len(), ack, &name, payload.as_bytes())
    );
    out.freeze()
}

#[test]
fn packets_of_real_servers_are_read() {
    let cases = [
        ("1", Packet::Close),
        ("2", Packet::Ping(Bytes::new())),
        ("2probe", Packet::Ping(Bytes::from_static(b"probe"))),
        ("3", Packet::Pong),
        ("6", Packet::Ignored),
        (
            r#"40{"sid":"x"}"#,
            message(Kind::Connect, "/", None, r#"{"sid":"x"}"#),
        ),
        ("40/admin", message(Kind::Connect, "/admin", None, "")),
        (
            r#"40/admin,{"sid":"x"}"#,
            message(Kind::Connect, "/admin", None, r#"{"sid":"x"}"#),
        ),
        ("41", message(Kind::Disconnect, "/", None, "")),
        ("41/admin,", message(Kind::Disconnect, "/admin", None, "")),
        (r#"42["x"]"#, message(Kind::Event, "/", None, r#"["x"]"#)),
        (
            r#"42/admin,12["x",{}]"#,
            message(Kind::Event, "/admin", Some(12), r#"["x",{}]"#),
        ),
        ("430[]", message(Kind::Ack, "/", Some(0), "[]")),
        (
            "43/admin,7[1]",
            message(Kind::Ack, "/admin", Some(7), "[1]"),
        ),
        (
            r#"44/nope,"Unable to connect""#,
            message(Kind::ConnectError, "/nope", None, r#""Unable to connect""#),
        ),
        (
            r#"44{"message":"no"}"#,
            message(Kind::ConnectError, "/", None, r#"{"message":"no"}"#),
        ),
        (
            r#"451-["f",{"_placeholder":true,"num":0}]"#,
            message(
                Kind::Event,
                "/",
                None,
                r#"["f",{"_placeholder":true,"num":0}]"#,
            ),
        ),
        ("462-/a,3[]", message(Kind::Ack, "/a", Some(3), "[]")),
    ];
    for (text, expected) in cases {
        assert_eq!(packet(text), expected, "{text}");
    }
}

#[test]
fn open_packets_need_an_id_and_times_and_nothing_else() {
    let Packet::Open(open) =
        packet(r#"0{"sid":"a","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"new":{}}"#)
    else {
        panic!("not an open packet")
    };
    assert_eq!(open.ping_interval, Duration::from_secs(25));
    assert_eq!(open.max_payload, None);
    let with_limit = r#"0{"sid":"a","pingInterval":1,"pingTimeout":1,"maxPayload":1000000}"#;
    assert!(
        matches!(packet(with_limit), Packet::Open(open) if open.max_payload == Some(1_000_000))
    );
    let odd_limit = r#"0{"sid":"a","pingInterval":1,"pingTimeout":1,"maxPayload":"1e6"}"#;
    assert!(matches!(packet(odd_limit), Packet::Open(open) if open.max_payload.is_none()));
    let endless = r#"0{"sid":"a","pingInterval":18446744073709551615,"pingTimeout":1}"#;
    assert!(matches!(packet(endless), Packet::Open(open) if open.ping_interval.as_secs() == 86400));
    for broken in [
        "0",
        "0{}",
        "0[]",
        r#"0{"sid":"a"}"#,
        r#"0{"sid":1,"pingInterval":1,"#,
    ] {
        assert_eq!(
            decode(&Bytes::from(broken)),
            Err(DecodeError::Open),
            "{broken}"
        );
    }
}

#[test]
fn what_is_no_packet_is_named() {
    let cases = [
        ("", DecodeError::Empty),
        ("hello", DecodeError::EngineType(b'h')),
        ("4", DecodeError::NoMessageType),
        ("49", DecodeError::MessageType(b'9')),
        ("45[]", DecodeError::Attachments),
        ("451[]", DecodeError::Attachments),
        ("4318446744073709551616[]", DecodeError::AckId),
    ];
    for (text, expected) in cases {
        assert_eq!(decode(&Bytes::from(text)), Err(expected), "{text}");
    }
}

#[test]
fn events_have_a_name_and_any_number_of_arguments() {
    let cases = [
        (r#"["x"]"#, "x", ""),
        (r#" ["x"]"#.trim_start(), "x", ""),
        (r#"[ "x" ]"#, "x", ""),
        (r#"["x",{"a":[1]}]"#, "x", r#"{"a":[1]}"#),
        (r#"["a\"\u00e9", 1 , "]" ]"#, "a\"\u{e9}", r#"1 , "]""#),
    ];
    for (data, name, arguments) in cases {
        assert_eq!(
            split(data),
            Ok((name.to_owned(), Bytes::from(arguments))),
            "{data}"
        );
    }
    for broken in [
        "",
        "[",
        "[]",
        "[1]",
        r#"["x""#,
        r#"["x"1]"#,
        r#"{"x":1}"#,
        r#"["\ud800"]"#,
    ] {
        assert_eq!(split(broken), Err(DecodeError::Event), "{broken}");
    }
}

#[test]
fn packets_of_a_sender_look_like_those_of_the_javascript_client() {
    assert_eq!(encode_connect("/", None), "40");
    assert_eq!(encode_connect("/a", Some(br#"{"t":1}"#)), r#"40/a,{"t":1}"#);
    assert_eq!(encode_disconnect("/a"), "41/a,");
    assert_eq!(encode_empty_ack("/", 12), "4312[]");
    assert_eq!(encode_pong(b"probe"), "3probe");
    assert_eq!(encoded("/", None, "x", "{}"), r#"42["x",{}]"#);
    assert_eq!(encoded("/a", Some(0), "x", "1"), r#"42/a,0["x",1]"#);
    assert_eq!(
        encoded("/", Some(2_147_483_647), "x", ""),
        r#"422147483647["x"]"#
    );
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let bytes = Bytes::from(bytes);
        let _ = decode(&bytes);
        let _ = split_event(&bytes);
    }

    #[test]
    fn almost_packets_are_decoded_without_a_panic(text in "[0-6]{1,3}[-0-9/,]{0,6}[\\[\\]{}\",a-z0-9]{0,12}") {
        let frame = Bytes::from(text);
        if let Ok(Packet::Message(message)) = decode(&frame) {
            let _ = split_event(&message.data);
        }
    }

    #[test]
    fn an_encoded_event_is_decoded_to_the_same(
        namespace in "/[a-z0-9/?&=-]{0,8}",
        ack in proptest::option::of(0_u32..1 << 31),
        name in any::<String>(),
        payload in proptest::option::of(any::<String>()),
    ) {
        prop_assume!(EventName::new(&name).is_ok());
        let payload = payload.map(|text| serde_json::Value::from(text).to_string()).unwrap_or_default();
        let frame = encoded(&namespace, ack, &name, &payload);
        let Packet::Message(message) = decode(&frame).unwrap() else { panic!("no message") };
        prop_assert_eq!(message.kind, Kind::Event);
        prop_assert_eq!(&message.namespace, namespace.as_bytes());
        prop_assert_eq!(message.id, ack.map(u64::from));
        prop_assert_eq!(split_event(&message.data), Ok((name, Bytes::from(payload))));
    }
}
