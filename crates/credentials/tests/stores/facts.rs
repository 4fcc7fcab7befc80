//! What certificates say of themselves.

use std::time::{Duration, SystemTime};

use kete_credentials::certificate::CertificateFacts;
use kete_credentials::store::{Format, StoreError};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls_pki_types::CertificateDer;

use crate::fixtures::{bytes, read};

const DAY: f64 = 86_400.0;

fn facts(file: &str) -> CertificateFacts {
    let store = read(Format::Pem, &bytes(file), None).unwrap();
    CertificateFacts::of(&store.trusted().unwrap()[0]).unwrap()
}

fn made(name: &str, names: &[&str]) -> CertificateFacts {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    CertificateFacts::of(params.self_signed(&key).unwrap().der()).unwrap()
}

#[test]
fn subject_issuer_and_names_are_as_written() {
    let client = facts("clients/p256.pem");
    assert_eq!(client.subject, "CN=kete-p256,O=kete tests");
    assert_eq!(client.issuer, "CN=kete test intermediate,O=kete tests");
    assert!(client.names.is_empty());
    let server = facts("servers/good.pem");
    assert_eq!(
        server.names,
        ["localhost", "127.0.0.1", "::1", "*.wild.localhost"]
    );
}

#[test]
fn validity_is_that_of_the_certificate() {
    let epoch = SystemTime::UNIX_EPOCH;
    let expired = facts("clients/expired.pem");
    // 2020-01-01 and 2021-01-01.
    assert_eq!(
        expired.not_before,
        epoch + Duration::from_secs(1_577_836_800)
    );
    assert_eq!(
        expired.not_after,
        epoch + Duration::from_secs(1_609_459_200)
    );
    // 2090-01-01 and 2091-01-01: beyond what two digits of a year can say.
    let future = facts("servers/not-yet-valid.pem");
    assert_eq!(
        future.not_before,
        epoch + Duration::from_secs(3_786_912_000)
    );
    assert_eq!(future.not_after, epoch + Duration::from_secs(3_818_448_000));
}

#[test]
fn days_left_count_down_to_the_end_and_below() {
    let soon = facts("clients/soon.pem");
    let begin = soon.not_before;
    assert_eq!(soon.days_left(begin), 10.0);
    let half = begin + Duration::from_secs_f64(5.5 * DAY);
    assert_eq!(soon.days_left(half), 4.5);
    assert_eq!(soon.days_left(soon.not_after), 0.0);
    let later = soon.not_after + Duration::from_secs_f64(2.25 * DAY);
    assert_eq!(soon.days_left(later), -2.25);
}

#[test]
fn names_from_a_certificate_are_bounded_and_printable() {
    let long = made(&"x".repeat(1000), &[&"y".repeat(300)]);
    assert_eq!(long.subject.chars().count(), 200);
    assert!(long.subject.starts_with("CN=xxx") && long.subject.ends_with('…'));
    assert_eq!(long.names[0].chars().count(), 200);

    let nasty = made("a\u{1b}[2J\nb\u{202e}c\u{200b}d", &["localhost"]);
    assert_eq!(nasty.subject, "CN=a\\1b[2J\\0ab\\u{202e}c\\u{200b}d");
    // What RFC 4514 escapes.
    let commas = made("Öffentlich, \"x\"+y", &["localhost"]);
    assert_eq!(commas.subject, "CN=Öffentlich\\, \\\"x\\\"\\+y");
}

#[test]
fn what_is_no_certificate_is_an_error() {
    for bytes in [&b""[..], b"\x30\x03\x02\x01\x01", b"text"] {
        let error = CertificateFacts::of(&CertificateDer::from(bytes)).unwrap_err();
        assert!(matches!(
            error,
            StoreError::BadCertificate { number: 1, .. }
        ));
    }
}
