//! Each loader as trust store.

use kete_credentials::store::{Format, StoreError, decode_base64};

use crate::fixtures::{STORE_PASSWORD, bytes, names, read};

const CA: &str = "kete test authority";
const INTERMEDIATE: &str = "kete test intermediate";

/// File, loader, password, and who is in it.
type Case = (
    &'static str,
    Format,
    Option<&'static str>,
    &'static [&'static str],
);

const CASES: &[Case] = &[
    ("ca.pem", Format::Pem, None, &[CA]),
    ("ca.der", Format::Der, None, &[CA]),
    ("ca.p7b", Format::Pkcs7, None, &[CA, INTERMEDIATE]),
    ("ca-pem.p7b", Format::Pkcs7, None, &[CA, INTERMEDIATE]),
    (
        "truststore-keytool.p12",
        Format::Pkcs12,
        Some(STORE_PASSWORD),
        &[CA, INTERMEDIATE],
    ),
    (
        "truststore-legacy.p12",
        Format::Pkcs12,
        Some(STORE_PASSWORD),
        &[CA, INTERMEDIATE],
    ),
    (
        "truststore-openssl.p12",
        Format::Pkcs12,
        Some(STORE_PASSWORD),
        &[CA, INTERMEDIATE],
    ),
    ("truststore-passwordless.p12", Format::Pkcs12, None, &[CA]),
    (
        "truststore-keytool.jks",
        Format::Jks,
        Some(STORE_PASSWORD),
        &[CA, INTERMEDIATE],
    ),
    (
        "truststore.jceks",
        Format::Jks,
        Some(STORE_PASSWORD),
        &[CA, INTERMEDIATE],
    ),
    // The JVM needs no password to read the certificates of these.
    (
        "truststore-keytool.jks",
        Format::Jks,
        None,
        &[CA, INTERMEDIATE],
    ),
    ("truststore.jceks", Format::Jks, None, &[CA, INTERMEDIATE]),
    // Either loader reads either format, as on the JVM.
    (
        "named-jks-but-p12.jks",
        Format::Jks,
        Some(STORE_PASSWORD),
        &[CA],
    ),
    (
        "truststore-keytool.jks",
        Format::Pkcs12,
        Some(STORE_PASSWORD),
        &[CA, INTERMEDIATE],
    ),
    // Certificates beside a key are trusted too, whether the key can be opened or not.
    (
        "client-p256.p12",
        Format::Pkcs12,
        Some(STORE_PASSWORD),
        &["kete-p256", INTERMEDIATE, CA],
    ),
    (
        "client-other-key-password.jks",
        Format::Jks,
        Some(STORE_PASSWORD),
        &["kete-p256", INTERMEDIATE, CA],
    ),
    (
        "client.jceks",
        Format::Jks,
        Some(STORE_PASSWORD),
        &["kete-p256", INTERMEDIATE, CA],
    ),
    (
        "client-rsa-encrypted.pem",
        Format::Pem,
        None,
        &["kete-rsa", INTERMEDIATE],
    ),
];

#[test]
fn every_loader_reads_its_certificates() {
    for (file, format, password, expected) in CASES {
        let bytes = bytes(&format!("stores/{file}"));
        let store = read(*format, &bytes, *password).unwrap_or_else(|e| panic!("{file}: {e}"));
        let mut found = names(&store.trusted().unwrap());
        let mut expected = expected.to_vec();
        // JKS stores are in the order of a hash table.
        found.sort();
        expected.sort_unstable();
        assert_eq!(found, expected, "{file} as {format:?}");
    }
}

#[test]
fn every_byte_is_as_it_was_signed() {
    let expected = bytes("stores/ca.der");
    for (file, format, password, _) in CASES {
        let bytes = bytes(&format!("stores/{file}"));
        let trusted = read(*format, &bytes, *password).unwrap().trusted().unwrap();
        let wanted = |name: &str| name == CA;
        if let Some(index) = names(&trusted).iter().position(|name| wanted(name)) {
            assert_eq!(trusted[index].as_ref(), expected, "{file}");
        }
    }
}

#[test]
fn every_loader_reads_base64_of_its_file() {
    for (file, format, password, expected) in CASES {
        let encoded = crate::fixtures::base64(&bytes(&format!("stores/{file}")));
        let lines: Vec<&str> = encoded
            .as_bytes()
            .chunks(76)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        for text in [encoded.clone(), lines.join("\r\n"), lines.join("\n  ")] {
            let decoded = decode_base64(&text).unwrap();
            let store = read(*format, &decoded, *password).unwrap();
            assert_eq!(store.trusted().unwrap().len(), expected.len(), "{file}");
        }
    }
}

#[test]
fn two_hundred_certificates_are_all_there() {
    let store = read(Format::Pem, &bytes("stores/bundle-200.pem"), None).unwrap();
    let trusted = names(&store.trusted().unwrap());
    assert_eq!(trusted.len(), 200);
    assert_eq!(trusted[0], "Authority 1");
    assert_eq!(trusted[199], CA);
}

#[test]
fn repeats_are_dropped() {
    let ca = bytes("ca.pem");
    let twice = [&ca[..], &bytes("intermediate.pem"), &ca].concat();
    let store = read(Format::Pem, &twice, None).unwrap();
    assert_eq!(names(&store.trusted().unwrap()), [CA, INTERMEDIATE]);
}

#[test]
fn stores_without_certificates_are_errors() {
    let cases = [
        ("empty.p12", Format::Pkcs12, "a PKCS#12 file"),
        ("empty.jks", Format::Jks, "a JKS file"),
        ("empty.p7b", Format::Pkcs7, "a PKCS#7 file"),
        (
            "secret-key-only.p12",
            Format::Pkcs12,
            "a PKCS#12 file, only secret keys",
        ),
        (
            "client-rsa-encrypted.key",
            Format::Pem,
            "a PEM file, only a private key",
        ),
    ];
    for (file, format, what) in cases {
        let bytes = bytes(&format!("stores/{file}"));
        let store = read(format, &bytes, Some(STORE_PASSWORD)).unwrap();
        let error = store.trusted().unwrap_err();
        assert!(matches!(error, StoreError::NoCertificate { .. }), "{file}");
        assert_eq!(
            error.to_string(),
            format!("there is no certificate in {what}"),
            "{file}"
        );
    }
}

#[test]
fn a_secret_key_in_jceks_is_named() {
    let bytes = bytes("stores/secret-key-only.jceks");
    let error = read(Format::Jks, &bytes, Some(STORE_PASSWORD)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a JCEKS file with a secret key in it cannot be read; convert the store: keytool \
         -importkeystore -srckeystore OLD -srcstoretype JCEKS -destkeystore NEW.p12 \
         -deststoretype PKCS12"
    );
}

#[test]
fn the_first_version_of_jks_is_read_too() {
    let ca = bytes("stores/ca.der");
    let length = u32::try_from(ca.len()).unwrap();
    // One certificate, without the name of its type; the digest is not looked at.
    let store = [
        &[
            0xFE, 0xED, 0xFE, 0xED, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 1, b'x',
        ][..],
        &[0; 8],
        &length.to_be_bytes(),
        &ca,
        &[0; 20],
    ]
    .concat();
    let read_store = read(Format::Jks, &store, None).unwrap();
    assert_eq!(names(&read_store.trusted().unwrap()), [CA]);
    let mut third = store;
    third[7] = 3;
    let error = read(Format::Jks, &third, None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "this is a JKS file, and it is damaged or cut off: its version is neither 1 nor 2"
    );
}

#[test]
fn what_is_far_too_large_is_refused() {
    let bytes = vec![b'\n'; (8 << 20) + 1];
    let error = read(Format::Pem, &bytes, None).unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { bytes: n } if n == bytes.len()));
    let text = "A".repeat(4 * bytes.len() / 3 + 4);
    let error = decode_base64(&text).unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { .. }), "{error}");
}
