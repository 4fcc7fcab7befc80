//! Every loader of certificates and keys delivers, with files that openssl and keytool wrote.

use anyhow::{Context, Result, ensure};
use kete_suites::{
    Certificates, Kete, Server, base64, check_delivery, from_stdin, generate, named, to_socketio,
};

/// The name of a route, and the store that it uses in the words of [`store`].
type Named = (&'static str, &'static str);

const TRUST_STORES: &[Named] = &[
    ("pem-path", "pem-file-path path=ca.pem"),
    ("pem-base64", "pem-file-base64 base64=ca.pem"),
    ("pem-text", "pem-file-text text=ca.pem"),
    ("pem-bundle", "pem-file-path path=stores/bundle-200.pem"),
    ("der-path", "der-file-path path=stores/ca.der"),
    ("der-base64", "der-file-base64 lines=stores/ca.der"),
    (
        "pkcs12-path",
        "pkcs12-file-path path=stores/truststore-keytool.p12 password=store-password",
    ),
    (
        "pkcs12-openssl",
        "pkcs12-file-path path=stores/truststore-openssl.p12 password=store-password",
    ),
    (
        "pkcs12-base64",
        "pkcs12-file-base64 lines=stores/truststore-legacy.p12 password=store-password",
    ),
    (
        "jks-path",
        "jks-file-path path=stores/truststore-keytool.jks password=store-password",
    ),
    (
        "jks-base64",
        "jks-file-base64 base64=stores/truststore-keytool.jks password=store-password",
    ),
    (
        "jks-by-name",
        "jks-file-path path=stores/named-jks-but-p12.jks password=store-password",
    ),
    ("pkcs7-path", "pkcs7-file-path path=stores/ca.p7b"),
    ("pkcs7-base64", "pkcs7-file-base64 lines=stores/ca-pem.p7b"),
];

/// Each begins with the client whose certificate is in it.
const KEY_STORES: &[Named] = &[
    ("p256-pem", "pem-file-path path=stores/client-p256.pem"),
    (
        "p256-sec1",
        "pem-file-path path=stores/client-p256-sec1.pem",
    ),
    (
        "rsa-pkcs1",
        "pem-file-path path=stores/client-rsa-pkcs1.pem",
    ),
    (
        "p256-pem-base64",
        "pem-file-base64 lines=stores/client-p256.pem",
    ),
    ("p256-pem-text", "pem-file-text text=stores/client-p256.pem"),
    (
        "rsa-pem-locked",
        "pem-file-path path=stores/client-rsa-encrypted.pem /key-password=key-password",
    ),
    (
        "ed25519-pem-and-key",
        "pem-file-path path=clients/ed25519.pem key-path=clients/ed25519.key",
    ),
    (
        "p256-der",
        "der-file-path path=stores/client-p256.der key-path=clients/p256.key",
    ),
    (
        "p256-der-base64",
        "der-file-base64 base64=stores/client-p256.der key-path=stores/client-p256-pkcs8.der",
    ),
    (
        "p384-pkcs12",
        "pkcs12-file-path path=stores/client-p384.p12 password=store-password",
    ),
    (
        "rsa-pkcs12-legacy",
        "pkcs12-file-path path=stores/client-rsa-legacy.p12 password=store-password",
    ),
    (
        "rsa-pkcs12-keytool",
        "pkcs12-file-path path=stores/client-rsa-keytool.p12 password=store-password",
    ),
    (
        "ed25519-pkcs12-base64",
        "pkcs12-file-base64 base64=stores/client-ed25519.p12 password=store-password",
    ),
    (
        "p384-by-alias",
        "pkcs12-file-path path=stores/two-keys.p12 password=store-password /alias=Second",
    ),
    (
        "rsa-jks",
        "jks-file-path path=stores/client-rsa.jks password=store-password",
    ),
    (
        "p256-jks-base64",
        "jks-file-base64 lines=stores/client-p256.jks password=store-password",
    ),
    (
        "p256-jks-two-passwords",
        "jks-file-path path=stores/client-other-key-password.jks /password=store-password \
         /key-password=key-password",
    ),
    (
        "p256-pkcs7",
        "pkcs7-file-path path=stores/client-p256.p7b key-path=clients/p256.key",
    ),
    (
        "p256-pkcs7-base64",
        "pkcs7-file-base64 lines=stores/client-p256.p7b key-path=clients/p256.key",
    ),
];

#[tokio::test]
async fn every_loader_reads_authorities_to_trust() -> Result<()> {
    let events = generate(101, 5, 30);
    let server = Server::node().tls("good").start().await?;
    let mut configuration = vec![from_stdin()];
    for (name, words) in TRUST_STORES {
        let event = format!("destination.event-name={name}");
        let only = "destination.tls.trust-store.include-system-roots=false";
        configuration.push(to_socketio(name, &server.url(), &[&event, only]));
        configuration.push(store(&section(name, "trust-store"), words)?);
    }
    let mut kete = Kete::run(&configuration).await?;
    kete.feed_events(&events).await?;
    kete.finish().await?;

    let arrivals = server.arrivals().await?;
    for (name, _) in TRUST_STORES {
        check_delivery(&events, &named(name, &arrivals)).context(*name)?;
    }
    Ok(())
}

#[tokio::test]
async fn every_loader_reads_who_the_client_is() -> Result<()> {
    let events = generate(102, 5, 30);
    let certificates = Certificates::get()?;
    // DER holds one certificate: only a server that has the intermediate itself accepts it.
    let known = tempfile::NamedTempFile::new()?;
    let intermediate = std::fs::read(certificates.file("intermediate.pem"))?;
    std::fs::write(
        &known,
        [std::fs::read(certificates.ca())?, intermediate].concat(),
    )?;
    let plan = Server::node().tls("good");
    let server = plan
        .with("tls-client-ca", known.path().display())
        .start()
        .await?;
    let mut configuration = vec![from_stdin()];
    for (name, words) in KEY_STORES {
        let event = format!("destination.event-name={name}");
        configuration.push(to_socketio(name, &server.url(), &[&event]));
        configuration.push(certificates.trusted(&format!("kete.routes.{name}.destination.tls")));
        configuration.push(store(&section(name, "key-store"), words)?);
    }
    let mut kete = Kete::run(&configuration).await?;
    kete.feed_events(&events).await?;
    kete.finish().await?;

    let arrivals = server.arrivals().await?;
    for (name, _) in KEY_STORES {
        let arrivals = named(name, &arrivals);
        check_delivery(&events, &arrivals).context(*name)?;
        let client = name.split('-').next().context("no client")?;
        for arrival in &arrivals {
            let seen = arrival.client()?;
            ensure!(seen.subject == format!("kete-{client}"), "{name}: {seen:?}");
            ensure!(seen.issuer == "kete test intermediate", "{name}: {seen:?}");
        }
    }
    Ok(())
}

/// Where a store of a route is described.
pub(crate) fn section(route: &str, store: &str) -> String {
    format!("kete.routes.{route}.destination.tls.{store}")
}

/// The lines of a store, from words: the kind of the loader, then `key=value` below the loader or,
/// with a `/` before it, below the section itself. Paths are those of `tests/certificates/make`.
/// What stands for `base64`, `lines` (the same in lines) and `text` is the path of a file, whose
/// content becomes the value.
pub(crate) fn store(section: &str, words: &str) -> Result<String> {
    let files = Certificates::get()?;
    let read = |path: &str| std::fs::read(files.file(path)).with_context(|| path.to_owned());
    let mut words = words.split(' ');
    let kind = words.next().unwrap_or_default();
    let mut lines = format!("{section}.loader.kind={kind}\n");
    for word in words {
        let (key, value) = word.split_once('=').context("a key without a value")?;
        let (key, value) = match key {
            "path" | "key-path" => (key, files.file(value).display().to_string()),
            "base64" => (key, base64(&read(value)?)),
            "lines" => ("base64", in_lines(&base64(&read(value)?))),
            // As environment variables have it, a backslash and an n; escaped for the file.
            "text" => (key, String::from_utf8(read(value)?)?.replace('\n', "\\\\n")),
            _ => (key, value.to_owned()),
        };
        lines += &match key.strip_prefix('/') {
            Some(key) => format!("{section}.{key}={value}\n"),
            None => format!("{section}.loader.{key}={value}\n"),
        };
    }
    Ok(lines)
}

/// In lines of 64, as openssl writes it; the end of each is an escape of the file.
fn in_lines(text: &str) -> String {
    let lines: Vec<&str> = (0..text.len())
        .step_by(64)
        .map(|start| &text[start..text.len().min(start + 64)])
        .collect();
    lines.join("\\n")
}
