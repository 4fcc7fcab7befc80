//! Files that were cut off or changed: an error that says so, whatever was hit.

use kete_credentials::Secret;
use kete_credentials::store::{Format, Kind, StoreError, read_private_key};
use proptest::prelude::*;

use crate::fixtures::{KEY_PASSWORD, STORE_PASSWORD, bytes, read};

const STORES: &[(&str, Format, Kind)] = &[
    ("ca.der", Format::Der, Kind::Certificate),
    ("ca.p7b", Format::Pkcs7, Kind::Pkcs7),
    ("client-p256.p12", Format::Pkcs12, Kind::Pkcs12),
    ("client-p256-legacy.p12", Format::Pkcs12, Kind::Pkcs12),
    ("client-rsa-keytool.p12", Format::Pkcs12, Kind::Pkcs12),
    ("no-mac.p12", Format::Pkcs12, Kind::Pkcs12),
    ("no-mac-encrypted.p12", Format::Pkcs12, Kind::Pkcs12),
    ("truststore-keytool.p12", Format::Pkcs12, Kind::Pkcs12),
    ("client-rsa.jks", Format::Jks, Kind::Jks),
    ("two-keys.jks", Format::Jks, Kind::Jks),
    ("truststore-keytool.jks", Format::Jks, Kind::Jks),
    ("client.jceks", Format::Jks, Kind::Jceks),
];

#[test]
fn cut_off_anywhere_it_is_an_error() {
    for (file, format, kind) in STORES {
        let whole = bytes(&format!("stores/{file}"));
        for length in 0..whole.len() {
            let error = read(*format, &whole[..length], Some(STORE_PASSWORD)).unwrap_err();
            match &error {
                // So few bytes could be anything.
                StoreError::WrongKind { .. } => assert!(length < 60, "{file} {length}: {error}"),
                StoreError::BadCertificate { .. } => assert_eq!(*kind, Kind::Certificate),
                StoreError::Damaged { kind: found, .. } => assert_eq!(found, kind),
                error => panic!("{file} cut off at {length}: {error}"),
            }
            // Without a password nothing is checked but what is there.
            if *kind == Kind::Jks {
                assert!(read(*format, &whole[..length], None).is_err());
            }
        }
        let longer = [&whole[..], b"\n"].concat();
        let error = read(*format, &longer, Some(STORE_PASSWORD)).unwrap_err();
        assert!(
            matches!(
                error,
                StoreError::Damaged { .. } | StoreError::BadCertificate { .. }
            ),
            "{file}: {error}"
        );
    }
}

#[test]
fn keys_that_are_cut_off_are_errors() {
    let password = Secret::new(KEY_PASSWORD.to_owned());
    for file in [
        "client-p256-pkcs8.der",
        "client-p256-sec1.der",
        "client-rsa-pkcs1.der",
        "client-rsa-encrypted.der",
    ] {
        let whole = bytes(&format!("stores/{file}"));
        for length in 0..whole.len() {
            let error = read_private_key(&whole[..length], Some(&password)).unwrap_err();
            assert!(
                matches!(
                    error,
                    StoreError::Damaged {
                        kind: Kind::PrivateKey,
                        ..
                    } | StoreError::WrongKind { .. }
                ),
                "{file} cut off at {length}: {error}"
            );
        }
    }
}

#[test]
fn numbers_that_count_more_than_is_there_reserve_nothing() {
    let whole = bytes("stores/client-rsa.jks");
    // The number of entries, then the length of the key, then how many certificates there are.
    let alias = "client-rsa".len();
    let key_length = 12 + 4 + 2 + alias + 8;
    let length = u32::from_be_bytes(whole[key_length..key_length + 4].try_into().unwrap());
    let chain = key_length + 4 + usize::try_from(length).unwrap();
    for position in [8, key_length, chain] {
        let mut changed = whole.clone();
        changed[position..position + 4].fill(0xFF);
        let error = read(Format::Jks, &changed, Some(STORE_PASSWORD)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "this is a JKS file, and it is damaged or cut off: it ends within an entry"
        );
    }
}

#[test]
fn ber_is_named() {
    let unknown_length = |name: &str| {
        let mut bytes = bytes(name);
        // SEQUENCE with a length of two bytes; the end is marked by two zeros instead.
        assert_eq!(bytes[..2], [0x30, 0x82]);
        bytes.splice(1..4, [0x80]);
        bytes.extend([0, 0]);
        bytes
    };
    for (file, format) in [
        ("stores/client-rsa.p12", Format::Pkcs12),
        ("stores/ca.p7b", Format::Pkcs7),
    ] {
        let error = read(format, &unknown_length(file), Some(STORE_PASSWORD)).unwrap_err();
        assert!(matches!(error, StoreError::Unsupported { .. }), "{error}");
        assert!(error.to_string().contains("BER instead of DER"), "{error}");
    }
}

fn stores_and_changes() -> impl Strategy<Value = (usize, prop::sample::Index, u8)> {
    (0..STORES.len(), any::<prop::sample::Index>(), 1_u8..)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_changed_byte_is_noticed_or_changes_nothing((store, at, mask) in stores_and_changes()) {
        let (file, format, _) = STORES[store];
        let whole = bytes(&format!("stores/{file}"));
        let trusted = read(format, &whole, Some(STORE_PASSWORD)).unwrap().trusted().unwrap();
        let mut changed = whole.clone();
        let at = at.index(changed.len());
        changed[at] ^= mask;
        let read = read(format, &changed, Some(STORE_PASSWORD));
        let is_protected = !file.starts_with("ca.") && !file.starts_with("no-mac");
        match read.and_then(|store| store.trusted()) {
            Err(error) => prop_assert!(!error.to_string().is_empty()),
            Ok(found) if is_protected => prop_assert_eq!(found, trusted, "{} at {}", file, at),
            // Nothing protects the others. They are signed, which is checked elsewhere.
            Ok(_) => {}
        }
    }

    #[test]
    fn a_changed_key_is_read_or_refused(
        key in 0_usize..4,
        at in any::<prop::sample::Index>(),
        mask in 1_u8..,
    ) {
        let files = ["client-p256-pkcs8.der", "client-rsa-pkcs1.der", "client-p256-sec1.der",
            "client-rsa-encrypted.der"];
        let mut changed = bytes(&format!("stores/{}", files[key]));
        let at = at.index(changed.len());
        changed[at] ^= mask;
        let password = Secret::new(KEY_PASSWORD.to_owned());
        if let Ok(key) = read_private_key(&changed, Some(&password)) {
            let store = read(Format::Pem, &bytes("clients/p256.pem"), None).unwrap();
            let _ = store.identity(None, Some(key));
        }
    }

    #[test]
    fn any_bytes_are_refused(
        start in prop::sample::select(vec![
            vec![], vec![0x30], vec![0x30, 0x82, 0x04, 0, 2, 1, 3], vec![0xFE, 0xED, 0xFE, 0xED],
            vec![0xFE, 0xED, 0xFE, 0xED, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1],
            vec![0xCE, 0xCE, 0xCE, 0xCE, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2],
        ]),
        rest in prop::collection::vec(any::<u8>(), 0..120),
    ) {
        let bytes = [start, rest].concat();
        for format in [Format::Pem, Format::Der, Format::Pkcs12, Format::Jks, Format::Pkcs7] {
            prop_assert!(read(format, &bytes, Some(STORE_PASSWORD)).is_err());
        }
        prop_assert!(read_private_key(&bytes, None).is_err());
    }
}
