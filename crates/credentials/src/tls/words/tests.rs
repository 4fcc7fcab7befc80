use super::*;

fn why<T: Setting>(text: &str) -> String {
    T::parse(text).map(drop).unwrap_err()
}

#[test]
fn versions_are_named_as_the_jvm_names_them() {
    let (only_12, only_13) = (
        Versions {
            tls12: true,
            tls13: false,
        },
        Versions {
            tls12: false,
            tls13: true,
        },
    );
    for (text, expected) in [
        ("TLS", Versions::ALL),
        ("tls", Versions::ALL),
        ("TLSv1.2", only_12),
        ("tlsV1.3", only_13),
        ("TLSv1.2,TLSv1.3", Versions::ALL),
        ("TLSv1.3 , tlsv1.3", only_13),
        ("TLS,TLSv1.3", Versions::ALL),
    ] {
        assert_eq!(Versions::parse(text), Ok(expected), "{text}");
    }
    assert_eq!(only_12.offered(), [&rustls::version::TLS12]);
    assert_eq!(Versions::ALL.offered().len(), 2);
}

#[test]
fn versions_that_are_broken_are_refused_with_the_reason() {
    for text in [
        "SSLv3",
        "TLSv1",
        "tlsv1.0",
        "TLSv1.1",
        "TLSv1.2,TLSv1.1",
        "SSL",
    ] {
        let why = why::<Versions>(text);
        assert!(why.contains("RFC 8996"), "{text}: {why}");
        assert!(
            why.contains("\nlet the server speak TLS 1.2"),
            "{text}: {why}"
        );
    }
}

#[test]
fn versions_that_do_not_exist_are_refused() {
    for (text, expected) in [
        ("", "it is blank"),
        (",", "one of its parts is empty"),
        ("TLSv1.2,", "one of its parts is empty"),
        ("TLS1.2", "it names another\ndid you mean TLSv1.2?"),
        ("TLSv13", "it names another\ndid you mean TLSv1.3?"),
        ("1.3", "it names another\ndid you mean TLSv1.3?"),
        ("DTLS", "it names another"),
        ("QUIC", "it names another"),
    ] {
        assert_eq!(why::<Versions>(text), expected, "{text}");
    }
}

#[test]
fn a_server_name_is_a_name_or_an_address() {
    for text in [
        "localhost",
        "a.b.example",
        "127.0.0.1",
        "::1",
        "xn--bcher-kva.example",
    ] {
        assert_eq!(VerifiedName::parse(text).unwrap().text, text);
    }
    for (text, expected) in [
        ("", "it is blank"),
        ("https://host", "it is a URL\nwrite the host alone"),
        (
            "host:443",
            "it has more than that\nleave out port, path and brackets",
        ),
        (
            "[::1]",
            "it has more than that\nleave out port, path and brackets",
        ),
        (
            "host/path",
            "it has more than that\nleave out port, path and brackets",
        ),
        ("two words", "it is none"),
        ("bücher.example", "it is none"),
        ("a..b", "it is none"),
    ] {
        assert_eq!(why::<VerifiedName>(text), expected, "{text}");
    }
    assert!(why::<VerifiedName>("*.example").starts_with("it has a wildcard\nwrite the name"));
}

#[test]
fn loaders_are_ketes_in_any_letter_case() {
    let names: Vec<&str> = LoaderKind::EXPECTED
        .trim_start_matches("one of: ")
        .split(", ")
        .collect();
    assert_eq!(names, LOADERS.map(|kind| kind.word));
    for kind in LOADERS {
        assert_eq!(LoaderKind::parse(kind.word), Ok(kind));
        assert_eq!(LoaderKind::parse(&kind.word.to_uppercase()), Ok(kind));
        assert!(kind.word.ends_with(kind.place.word()), "{kind:?}");
    }
}

#[test]
fn a_loader_that_is_none_leads_to_the_nearest() {
    for (text, expected) in [
        ("", "it is blank"),
        (
            "pem-file-pth",
            "it is none of these\ndid you mean pem-file-path?",
        ),
        ("pkcs12-path", "it is none of these"),
        ("PEM", "it is none of these\ndid you mean pem-file-path?"),
        ("p12", "it is none of these\ndid you mean pkcs12-file-path?"),
        (
            "jks-file",
            "it is none of these\ndid you mean jks-file-path?",
        ),
        ("vault", "it is none of these"),
        ("glob", "it is the name of a matcher"),
        ("JSON", "it is the name of a serializer"),
        ("gzip", "it is the name of a content encoding"),
        ("socketio", "it is the name of a destination"),
    ] {
        assert_eq!(why::<LoaderKind>(text), expected, "{text}");
    }
}

#[test]
fn nicknames_lead_to_loaders_that_exist() {
    for (nickname, meant) in NICKNAMES {
        assert!(LoaderKind::parse(meant).is_ok(), "{nickname}: {meant}");
        assert!(LoaderKind::parse(nickname).is_err(), "{nickname}");
    }
}

#[test]
fn what_may_be_secret_is_not_in_debug_output() {
    let password = Password::parse("store-password").unwrap();
    let inline = Inline::parse("-----BEGIN PRIVATE KEY-----").unwrap();
    assert_eq!(
        format!("{password:?}{inline:?}"),
        "Password((hidden))Inline((hidden))"
    );
    assert_eq!(Password::parse("").unwrap().0.reveal(), "");
}
