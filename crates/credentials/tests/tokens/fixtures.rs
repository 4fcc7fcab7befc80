//! Real keys, made once by `tests/certificates/make`, and what openssl says of their public halves.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

pub(crate) const KEY_PASSWORD: &str = "key-password";

static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("certificates");
    let make = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/certificates/make");
    let made = Command::new(make).arg(&directory).output().unwrap();
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{said}");
    directory
});

/// One of the files.
pub(crate) fn fixture(name: &str) -> PathBuf {
    DIRECTORY.join(name)
}

fn openssl(arguments: &[&str]) -> Vec<u8> {
    let said = Command::new("openssl").args(arguments).output().unwrap();
    let problem = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{problem}");
    said.stdout
}

/// The public half of a private key of `clients/`, as a `SubjectPublicKeyInfo` (RFC 5280).
pub(crate) fn public_key(client: &str) -> Vec<u8> {
    let key = fixture(&format!("clients/{client}.key"));
    openssl(&[
        "pkey",
        "-in",
        key.to_str().unwrap(),
        "-pubout",
        "-outform",
        "DER",
    ])
}
