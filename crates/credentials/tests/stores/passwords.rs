//! Missing and wrong passwords: told from damage, and never guessed.

use kete_credentials::Secret;
use kete_credentials::store::{Format, Kind, Locked, StoreError, read_private_key};

use crate::fixtures::{STORE_PASSWORD, bytes, openssl, path, read, read_with};

const WRONG: &str = "not-the-password";
const KETE_GUESSES: &str = "KETE also tries none, an empty one, `changeit` and `secret`; kete does \
    not guess";

fn refused(of: Locked, given: bool, guessable: bool) -> StoreError {
    StoreError::Password {
        of,
        given,
        guessable,
    }
}

/// A PKCS#12 file of openssl with one certificate.
fn trust_store(password: &str) -> Vec<u8> {
    let ca = path("ca.pem");
    let passout = format!("pass:{password}");
    openssl(&[
        "pkcs12",
        "-export",
        "-nokeys",
        "-in",
        ca.to_str().unwrap(),
        "-passout",
        &passout,
    ])
}

#[test]
fn a_wrong_password_is_no_damage() {
    for (file, kind) in [
        ("client-rsa.p12", Kind::Pkcs12),
        ("client-rsa-legacy.p12", Kind::Pkcs12),
        ("client-rsa-keytool.p12", Kind::Pkcs12),
        ("client-rsa-keytool-legacy.p12", Kind::Pkcs12),
        ("client-p256-sha512.p12", Kind::Pkcs12),
        ("truststore-keytool.p12", Kind::Pkcs12),
        ("truststore-openssl.p12", Kind::Pkcs12),
        ("no-mac-encrypted.p12", Kind::Pkcs12),
        ("empty.p12", Kind::Pkcs12),
        ("client-rsa.jks", Kind::Jks),
        ("truststore-keytool.jks", Kind::Jks),
        ("empty.jks", Kind::Jks),
        ("truststore.jceks", Kind::Jceks),
    ] {
        let format = match kind {
            Kind::Pkcs12 => Format::Pkcs12,
            _ => Format::Jks,
        };
        let bytes = bytes(&format!("stores/{file}"));
        let error = read(format, &bytes, Some(WRONG)).unwrap_err();
        assert_eq!(error, refused(Locked::Store(kind), true, false), "{file}");
        assert_eq!(
            error.to_string(),
            format!(
                "the password does not open {kind}; it is wrong, or the file was changed. \
                 {KETE_GUESSES}"
            ),
            "{file}"
        );
    }
}

#[test]
fn a_missing_password_is_told_from_a_wrong_one() {
    for file in [
        "client-rsa.p12",
        "client-p256-legacy.p12",
        "truststore-keytool.p12",
        "no-mac-encrypted.p12",
    ] {
        let error = read(Format::Pkcs12, &bytes(&format!("stores/{file}")), None).unwrap_err();
        assert_eq!(
            error,
            refused(Locked::Store(Kind::Pkcs12), false, false),
            "{file}"
        );
        assert_eq!(
            error.to_string(),
            format!("a PKCS#12 file needs a password, and none is given. {KETE_GUESSES}"),
            "{file}"
        );
    }
    // Certificates of JKS can be read without, keys cannot.
    let store = read(Format::Jks, &bytes("stores/client-rsa.jks"), None).unwrap();
    let error = store.identity(None, None).unwrap_err();
    assert_eq!(error, refused(Locked::KeyEntry(Kind::Jks), false, false));
    assert_eq!(
        error.to_string(),
        format!(
            "the private key in a JKS file needs a password, and none is given. {KETE_GUESSES}"
        )
    );
}

/// Errors get into logs, and what fits is the password.
#[test]
fn that_kete_would_have_guessed_is_said_and_not_which() {
    // An empty one is what a store without a password is opened with.
    let cases: [(&str, &[Option<&str>]); 3] = [
        ("changeit", &[None, Some(WRONG)]),
        ("secret", &[None, Some(WRONG)]),
        ("", &[Some(WRONG)]),
    ];
    for (guess, all_given) in cases {
        let store = trust_store(guess);
        for &given in all_given {
            let error = read(Format::Pkcs12, &store, given).unwrap_err();
            let of = Locked::Store(Kind::Pkcs12);
            assert_eq!(error, refused(of, given.is_some(), true));
            let end = format!("{KETE_GUESSES}, though one of these would open it");
            assert!(error.to_string().ends_with(&end), "{error}");
            assert!(!format!("{error:?}").contains("changeit"), "{error:?}");
        }
    }
    let jks = bytes("stores/client-changeit.jks");
    let error = read(Format::Jks, &jks, Some(WRONG)).unwrap_err();
    assert_eq!(error, refused(Locked::Store(Kind::Jks), true, true));
    let store = read(Format::Jks, &jks, None).unwrap();
    let error = store.identity(None, None).unwrap_err();
    assert_eq!(error, refused(Locked::KeyEntry(Kind::Jks), false, true));
}

/// KETE tries the key's first and the store's then.
#[test]
fn another_password_for_the_key_of_pkcs12_is_not_needed() {
    for file in ["client-rsa.p12", "client-rsa-keytool.p12"] {
        let bytes = bytes(&format!("stores/{file}"));
        for format in [Format::Pkcs12, Format::Jks] {
            let store = read_with(format, &bytes, Some(STORE_PASSWORD), Some(WRONG)).unwrap();
            crate::fixtures::checked(&store.identity(None, None).unwrap());
        }
        let error = read_with(Format::Pkcs12, &bytes, Some(WRONG), Some(STORE_PASSWORD));
        let of = Locked::Store(Kind::Pkcs12);
        assert_eq!(error.unwrap_err(), refused(of, true, false), "{file}");
    }
}

#[test]
fn the_password_of_a_key_is_told_from_that_of_its_store() {
    let jks = bytes("stores/client-other-key-password.jks");
    let of = Locked::KeyEntry(Kind::Jks);
    for key in [None, Some(WRONG)] {
        let store = read_with(Format::Jks, &jks, Some(STORE_PASSWORD), key).unwrap();
        let error = store.identity(None, None).unwrap_err();
        assert_eq!(error, refused(of, true, false));
        assert!(
            error
                .to_string()
                .starts_with("the password does not open the private key in a JKS file;"),
            "{error}"
        );
    }
}

#[test]
fn encrypted_keys_say_what_they_need() {
    let wrong = Secret::new(WRONG.to_owned());
    for file in [
        "client-rsa-encrypted.key",
        "client-rsa-encrypted.der",
        "client-rsa-encrypted-sha1.key",
        "client-rsa-encrypted-3des.key",
        "client-rsa-encrypted-scrypt.key",
        "client-rsa-encrypted-pbes1.key",
    ] {
        let bytes = bytes(&format!("stores/{file}"));
        let error = read_private_key(&bytes, None).unwrap_err();
        assert_eq!(error, refused(Locked::Key, false, false), "{file}");
        assert_eq!(
            error.to_string(),
            "an encrypted private key needs a password, and none is given"
        );
        let error = read_private_key(&bytes, Some(&wrong)).unwrap_err();
        assert_eq!(error, refused(Locked::Key, true, false), "{file}");
    }
    let store = read(Format::Pem, &bytes("stores/client-rsa-encrypted.pem"), None).unwrap();
    let error = store.identity(None, None).unwrap_err();
    assert_eq!(error, refused(Locked::Key, false, false));
}

#[test]
fn letters_beyond_ascii_count() {
    let jks = bytes("stores/client-other-letters.jks");
    let store = read(Format::Jks, &jks, Some("pässwörd")).unwrap();
    crate::fixtures::checked(&store.identity(None, None).unwrap());
    assert!(read(Format::Jks, &jks, Some("passwörd")).is_err());

    let umlauts = trust_store("pässwörd");
    assert!(read(Format::Pkcs12, &umlauts, Some("pässwörd")).is_ok());
    let key = trust_store("🔑");
    let error = read(Format::Pkcs12, &key, Some("🔑")).unwrap_err();
    assert!(
        error.to_string().starts_with(
            "a PKCS#12 file whose password has characters beyond U+FFFF cannot be read; write"
        ),
        "{error}"
    );
}

#[test]
fn no_error_repeats_a_password() {
    for (file, format) in [
        ("client-rsa.p12", Format::Pkcs12),
        ("client-rsa.jks", Format::Jks),
        ("two-keys.jks", Format::Pem),
    ] {
        let bytes = bytes(&format!("stores/{file}"));
        let error = read_with(format, &bytes, Some(WRONG), Some(WRONG)).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(WRONG), "{shown}");
    }
}
