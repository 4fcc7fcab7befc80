//! Stores and keys that cannot be used, and certificates that end soon: `kete check` names all of
//! them, before anything runs.

use anyhow::{Result, ensure};
use kete_suites::{Certificates, check_configuration, from_stdin, to_socketio};
use serde_json::Value;

use crate::tls_stores::{section, store};

/// A section, the store in it, and what the diagnostic has to say.
type Mistake = (&'static str, &'static str, &'static [&'static str]);

const MISTAKES: &[Mistake] = &[
    (
        "trust-store",
        "pem-file-path path=stores/truststore-keytool.p12",
        &["truststore-keytool.p12", "PKCS#12"],
    ),
    (
        "trust-store",
        "pkcs12-file-path path=ca.pem password=store-password",
        &["ca.pem", "PEM"],
    ),
    (
        "trust-store",
        "der-file-path path=stores/truststore-keytool.jks",
        &["truststore-keytool.jks", "JKS"],
    ),
    (
        "trust-store",
        "pkcs12-file-path path=stores/truststore-keytool.p12",
        &["truststore-keytool.p12", "trust-store.password"],
    ),
    (
        "trust-store",
        "pkcs12-file-path path=stores/truststore-keytool.p12 password=wrong-one",
        &["truststore-keytool.p12", "password"],
    ),
    (
        "trust-store",
        "jks-file-path path=stores/truststore-keytool.jks password=wrong-one",
        &["truststore-keytool.jks", "password"],
    ),
    (
        "trust-store",
        "jks-file-path path=stores/client-rsa.jks password=store-password /password=wrong-one",
        &["password"],
    ),
    (
        "trust-store",
        "pkcs12-file-path path=stores/empty.p12 password=store-password",
        &["empty.p12", "certificate"],
    ),
    (
        "trust-store",
        "pkcs7-file-path path=stores/empty.p7b",
        &["empty.p7b", "certificate"],
    ),
    (
        "trust-store",
        "pkcs7-file-path path=stores/nowhere.p7b",
        &["nowhere.p7b"],
    ),
    (
        "trust-store",
        "pem-file-paht path=ca.pem",
        &["pem-file-path"],
    ),
    ("trust-store", "der-file-path", &["path"]),
    (
        "key-store",
        "pem-file-path path=stores/client-mismatch.pem",
        &["client-mismatch.pem", "key"],
    ),
    ("key-store", "pem-file-path path=ca.pem", &["ca.pem", "key"]),
    (
        "key-store",
        "pem-file-path path=stores/client-rsa-encrypted.pem",
        &["client-rsa-encrypted.pem", "key-password"],
    ),
    (
        "key-store",
        "pem-file-path path=clients/p256.pem key-path=clients/p384.key",
        &["p384.key", "certificate"],
    ),
    (
        "key-store",
        "pkcs12-file-path path=stores/two-keys.p12 password=store-password",
        &["two-keys.p12", "alias", "first", "second"],
    ),
    (
        "key-store",
        "pkcs12-file-path path=stores/client-expired.p12 password=store-password",
        &["client-expired.p12", "kete-expired", "expired"],
    ),
];

/// Each with its key, the file, and what is wrong with it; none hides another, and none shows a
/// password.
#[tokio::test]
async fn every_wrong_store_is_named_by_the_check() -> Result<()> {
    let mut configuration = vec![from_stdin()];
    for (number, (kind, words, _)) in MISTAKES.iter().enumerate() {
        let route = format!("r{number}");
        configuration.push(to_socketio(&route, "https://localhost:1", &[]));
        configuration.push(store(&section(&route, kind), words)?);
    }
    let checked = check_configuration(&configuration, &["--format", "json"]).await?;
    ensure!(checked.code == 2, "it ended with {}", checked.code);
    ensure!(
        !checked.stdout.contains("wrong-one"),
        "a password is shown: {}",
        checked.stdout
    );
    let answer: Value = serde_json::from_str(&checked.stdout)?;
    for (number, (kind, store, words)) in MISTAKES.iter().enumerate() {
        let section = section(&format!("r{number}"), kind);
        let of_store = |found: &&Value| {
            let key = found["key"].as_str().unwrap_or_default();
            key.starts_with(&section)
        };
        let said: Vec<String> = diagnostics(&answer, "error")
            .filter(of_store)
            .map(Value::to_string)
            .collect();
        let fits = |said: &String| words.iter().all(|word| said.contains(word));
        ensure!(said.iter().any(fits), "{store}: {words:?} in {said:#?}");
    }
    Ok(())
}

/// Of each certificate the check says whose it is and until when; of one that ends in ten days it
/// warns.
#[tokio::test]
async fn the_check_shows_certificates_and_warns_of_their_end() -> Result<()> {
    let certificates = Certificates::get()?;
    let tls = "kete.routes.all.destination.tls";
    let configuration = [
        from_stdin(),
        to_socketio("all", "https://localhost:1", &[]),
        certificates.trusted(tls),
        certificates.presented(tls, "soon"),
    ];
    for format in ["human", "json"] {
        let checked = check_configuration(&configuration, &["--format", format]).await?;
        let shown = checked.stdout;
        ensure!(checked.code == 0, "it ended with {}: {shown}", checked.code);
        for word in ["kete-soon", "kete test intermediate", "kete test authority"] {
            ensure!(shown.contains(word), "no {word} in {shown}");
        }
        if format == "json" {
            let answer: Value = serde_json::from_str(&shown)?;
            let mut warnings = diagnostics(&answer, "warning").map(Value::to_string);
            let warned = warnings.any(|warning| warning.contains("kete-soon"));
            ensure!(warned, "nobody is warned: {shown}");
        }
    }
    Ok(())
}

fn diagnostics<'a>(answer: &'a Value, severity: &'a str) -> impl Iterator<Item = &'a Value> {
    let all = answer["diagnostics"].as_array().map(Vec::as_slice);
    let of_severity = move |found: &&Value| found["severity"] == severity;
    all.unwrap_or_default().iter().filter(of_severity)
}
