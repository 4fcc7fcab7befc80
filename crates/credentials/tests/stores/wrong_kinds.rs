//! Files of the wrong kind, for every loader: each is named for what it is.

use kete_credentials::store::{Format, Kind, StoreError, decode_base64, read_private_key};

use crate::fixtures::{STORE_PASSWORD, base64, bytes, read, text};

const FORMATS: [Format; 5] = [
    Format::Pem,
    Format::Der,
    Format::Pkcs12,
    Format::Jks,
    Format::Pkcs7,
];

/// A file, what it is, and the loaders that read it.
type Sample = (Vec<u8>, Kind, &'static [Format]);

fn samples() -> Vec<Sample> {
    [readable(), other_credentials(), strangers()].concat()
}

/// What one loader or another reads.
fn readable() -> Vec<Sample> {
    const JAVA: &[Format] = &[Format::Pkcs12, Format::Jks];
    let read = |file: &str, kind, formats: &'static [Format]| (bytes(file), kind, formats);
    vec![
        read("stores/ca.pem", Kind::Pem, &[Format::Pem]),
        read("clients/p256.key", Kind::Pem, &[Format::Pem]),
        read("stores/ca.der", Kind::Certificate, &[Format::Der]),
        read("stores/ca.p7b", Kind::Pkcs7, &[Format::Pkcs7]),
        read("stores/ca-pem.p7b", Kind::Pkcs7, &[Format::Pkcs7]),
        read("stores/client-rsa.p12", Kind::Pkcs12, JAVA),
        read("stores/client-rsa.jks", Kind::Jks, JAVA),
        read("stores/truststore.jceks", Kind::Jceks, JAVA),
    ]
}

/// What belongs to certificates, and is in no store.
fn other_credentials() -> Vec<Sample> {
    let files = [
        ("client-p256-pkcs8.der", Kind::PrivateKey),
        ("client-rsa-pkcs1.der", Kind::PrivateKey),
        ("client-p256-sec1.der", Kind::PrivateKey),
        ("client-rsa-encrypted.der", Kind::PrivateKey),
        ("request.pem", Kind::SigningRequest),
        ("revocation-list.pem", Kind::RevocationList),
        ("client-p256-public.pem", Kind::PublicKey),
        ("ca-openssl-trusted.pem", Kind::TrustedCertificate),
    ];
    let sample = |(file, kind)| (bytes(&format!("stores/{file}")), kind, &[][..]);
    files.into_iter().map(sample).collect()
}

/// What does not belong here at all.
fn strangers() -> Vec<Sample> {
    let utf16 = |text: &str, bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    };
    let block = |label: &str| {
        format!("-----BEGIN {label}-----\nb3BlbnNzaC1rZXktdjEA\n-----END {label}-----\n").into()
    };
    let files: Vec<(Vec<u8>, Kind)> = vec![
        (block("OPENSSH PRIVATE KEY"), Kind::OpensshKey),
        ("ssh-ed25519 AAAAC3Nza joe@host\n".into(), Kind::OpensshKey),
        ("PuTTY-User-Key-File-3: ssh-rsa\n".into(), Kind::PuttyKey),
        (block("PGP PUBLIC KEY BLOCK"), Kind::Pgp),
        (vec![0x99, 1, 0x0D, 4], Kind::Pgp),
        ("\n<!DOCTYPE HTML><p>404".into(), Kind::Html),
        ("<html><body>Log in".into(), Kind::Html),
        (vec![0, 0, 0, 2, 0, 0, 0, 20, 9], Kind::Bks),
        (vec![], Kind::Empty),
        (b" \r\n".to_vec(), Kind::Empty),
        (utf16(&text("ca.pem"), u16::to_le_bytes), Kind::Utf16),
        (utf16("\u{feff}-----BEGIN", u16::to_be_bytes), Kind::Utf16),
        ("{\"certificate\": \"no\"}".into(), Kind::Text),
        (vec![0xCA, 0xFE, 0xBA, 0xBE, 0xFF], Kind::Unknown),
        (vec![0x30, 0x03, 0x02, 0x01, 0x07], Kind::Unknown),
    ];
    let sample = |(bytes, kind)| (bytes, kind, &[][..]);
    files.into_iter().map(sample).collect()
}

fn wrong(expected: Option<Format>, found: Kind, base64: bool) -> StoreError {
    StoreError::WrongKind {
        expected,
        found,
        base64,
    }
}

#[test]
fn every_loader_names_what_it_was_given() {
    for (bytes, kind, accepted) in samples() {
        for format in FORMATS {
            let read = read(format, &bytes, Some(STORE_PASSWORD));
            if accepted.contains(&format) {
                read.unwrap_or_else(|error| panic!("{kind} as {format}: {error}"));
                continue;
            }
            let error = read.unwrap_err();
            assert_eq!(
                error,
                wrong(Some(format), kind, false),
                "{kind} as {format}"
            );
            assert_eq!(error.found(), Some(kind));
            let text = error.to_string();
            assert!(text.contains(&kind.to_string()), "{text}");
            assert!(text.contains(&format.to_string()), "{text}");
        }
    }
}

#[test]
fn base64_text_is_named_as_such() {
    for (bytes, kind, _) in samples() {
        if bytes.len() < 32 {
            continue;
        }
        let encoded = base64(&bytes);
        let expected = match kind {
            Kind::Text | Kind::Utf16 | Kind::Unknown => Kind::Base64,
            kind => kind,
        };
        for format in FORMATS {
            let error = read(format, encoded.as_bytes(), None).unwrap_err();
            assert_eq!(error, wrong(Some(format), expected, true), "{kind}");
            assert!(error.found_base64());
        }
        let error = read_private_key(encoded.as_bytes(), None).unwrap_err();
        assert_eq!(error, wrong(None, expected, true), "{kind}");
    }
}

#[test]
fn the_loader_that_reads_it_is_named() {
    for (file, as_it_is, as_base64) in [
        (
            "ca.pem",
            "pem-file-path and pem-file-base64",
            "pem-file-base64",
        ),
        (
            "ca.p7b",
            "pkcs7-file-path and pkcs7-file-base64",
            "pkcs7-file-base64",
        ),
    ] {
        let bytes = bytes(&format!("stores/{file}"));
        let error = read(Format::Der, &bytes, None).unwrap_err();
        let end = format!("; the loaders {as_it_is} read it");
        assert!(error.to_string().ends_with(&end), "{error}");
        let error = read(Format::Der, base64(&bytes).as_bytes(), None).unwrap_err();
        let end = format!(
            " as base64 text, and a single certificate in DER is expected; the \
                           loader {as_base64} reads it"
        );
        assert!(error.to_string().ends_with(&end), "{error}");
    }
    let error = read(Format::Pem, &bytes("stores/client-rsa.p12"), None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "this is a PKCS#12 file, and a PEM file is expected; the loaders pkcs12-file-path and \
         pkcs12-file-base64 read it"
    );
    for (kind, stem) in [
        (Kind::Pem, Some("pem")),
        (Kind::Certificate, Some("der")),
        (Kind::Pkcs12, Some("pkcs12")),
        (Kind::Jks, Some("jks")),
        (Kind::Jceks, Some("jks")),
        (Kind::Pkcs7, Some("pkcs7")),
        (Kind::Html, None),
        (Kind::PrivateKey, None),
    ] {
        assert_eq!(kind.loader_stem(), stem);
    }
}

#[test]
fn what_no_loader_reads_has_a_way_out() {
    for (bytes, kind, accepted) in samples() {
        let none = matches!(kind, Kind::Empty | Kind::Text | Kind::Unknown | Kind::Pgp);
        assert_eq!(
            kind.way_out().is_none(),
            none || kind.loader_stem().is_some(),
            "{kind}"
        );
        if let (Some(way_out), []) = (kind.way_out(), accepted) {
            let error = read(Format::Pem, &bytes, None).unwrap_err();
            assert!(error.to_string().ends_with(way_out), "{error}");
        }
    }
}

#[test]
fn a_key_is_expected_where_a_key_is_expected() {
    for (bytes, kind, _) in samples() {
        if matches!(kind, Kind::Pem | Kind::PrivateKey) {
            continue;
        }
        let error = read_private_key(&bytes, None).unwrap_err();
        assert_eq!(error, wrong(None, kind, false));
    }
    let error = read_private_key(&bytes("stores/client-rsa.p12"), None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "this is a PKCS#12 file, and a private key in PEM or DER is expected; a store that holds \
         certificate and key needs no separate key"
    );
}

#[test]
fn a_key_of_openssh_beside_a_certificate_is_named() {
    let text = text("clients/p256.pem")
        + "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n";
    let store = read(Format::Pem, text.as_bytes(), None).unwrap();
    assert_eq!(store.trusted().unwrap().len(), 2);
    let error = store.identity(None, None).unwrap_err();
    assert_eq!(error, wrong(None, Kind::OpensshKey, false));
    let text = text + &crate::fixtures::text("stores/ca-openssl-trusted.pem");
    let error = read(Format::Pem, text.as_bytes(), None).unwrap_err();
    assert_eq!(error.found(), Some(Kind::TrustedCertificate));
}

#[test]
fn what_is_not_base64_is_named() {
    for (text, reason) in [
        ("MIIB-_", "character 5 is `-`"),
        ("é*", "character 1 is `\\u{e9}`"),
        ("MIIBa", "its end is missing, or a `=` is where none may be"),
        ("MI=IB", "its end is missing, or a `=` is where none may be"),
        (
            "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
            "it is PEM text itself, which the loader pem-file-text takes",
        ),
    ] {
        let error = decode_base64(text).unwrap_err();
        assert_eq!(error.to_string(), format!("this is not base64: {reason}"));
    }
    assert_eq!(decode_base64(" a2V0\r\n\tZQ ").unwrap(), b"kete");
    assert_eq!(decode_base64("").unwrap(), b"");
}
