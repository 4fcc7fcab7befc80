//! The real files: made once per process by `tests/certificates/make`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use kete_credentials::Secret;
use kete_credentials::certificate::CertificateFacts;
use kete_credentials::store::{Format, Identity, Passwords, Store, StoreError};
use rustls_pki_types::CertificateDer;

pub(crate) const STORE_PASSWORD: &str = "store-password";
pub(crate) const KEY_PASSWORD: &str = "key-password";

static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("the target directory")
        .join("kete-certificates");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/certificates/make");
    let made = Command::new(&script)
        .arg(&directory)
        .output()
        .unwrap_or_else(|error| panic!("{} cannot be started: {error}", script.display()));
    assert!(
        made.status.success(),
        "the certificates for the tests could not be made:\n{}",
        String::from_utf8_lossy(&made.stderr)
    );
    directory
});

/// Where a file is, by its path from the directory of all.
pub(crate) fn path(name: &str) -> PathBuf {
    DIRECTORY.join(name)
}

/// The contents of a file.
pub(crate) fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The contents of a file of text.
pub(crate) fn text(name: &str) -> String {
    String::from_utf8(bytes(name)).unwrap()
}

/// Reads a store with a password for it, or none.
pub(crate) fn read(
    format: Format,
    bytes: &[u8],
    password: Option<&str>,
) -> Result<Store, StoreError> {
    read_with(format, bytes, password, None)
}

/// Reads a store with a password for it and one for its key.
pub(crate) fn read_with(
    format: Format,
    bytes: &[u8],
    store: Option<&str>,
    key: Option<&str>,
) -> Result<Store, StoreError> {
    let secret = |password: Option<&str>| password.map(|text| Secret::new(text.to_owned()));
    let (store, key) = (secret(store), secret(key));
    Store::read(
        format,
        bytes,
        Passwords {
            store: store.as_ref(),
            key: key.as_ref(),
        },
    )
}

/// What a certificate is called, without what all of them have in common.
pub(crate) fn name(certificate: &CertificateDer<'_>) -> String {
    let subject = CertificateFacts::of(certificate).unwrap().subject;
    let name = subject.strip_suffix(",O=kete tests").unwrap_or(&subject);
    name.strip_prefix("CN=").unwrap_or(name).to_owned()
}

/// What certificates are called.
pub(crate) fn names(certificates: &[CertificateDer<'_>]) -> Vec<String> {
    certificates.iter().map(name).collect()
}

/// What the certificates of an identity are called, once its key was seen to sign for the first.
pub(crate) fn checked(identity: &Identity) -> Vec<String> {
    let key = kete_credentials::store::signing_key(&identity.key).unwrap();
    rustls::sign::CertifiedKey::new(identity.chain.clone(), key)
        .keys_match()
        .expect("the key belongs to the certificate");
    names(&identity.chain)
}

/// Runs openssl.
pub(crate) fn openssl(arguments: &[&str]) -> Vec<u8> {
    let ran = Command::new("openssl").args(arguments).output().unwrap();
    assert!(
        ran.status.success(),
        "openssl {arguments:?}: {}",
        String::from_utf8_lossy(&ran.stderr)
    );
    ran.stdout
}

/// Base64 on one line.
pub(crate) fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// The private key that keytool made, in PEM: without its public key.
pub(crate) fn generated_key() -> Vec<u8> {
    let store = path("stores/client-generated.p12");
    let mut command = vec!["pkcs12", "-nodes", "-nocerts"];
    command.extend(["-passin", "pass:store-password"]);
    command.extend(["-in", store.to_str().unwrap()]);
    openssl(&command)
}
