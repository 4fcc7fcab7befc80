//! The certificates of `tests/certificates/make`, and sections that name them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use kete_config::{Diagnostics, Loader};
use kete_credentials::tls::{TLS_KEYS, Tls, TlsSettings};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use url::Url;

static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| {
    // Shared with the other tests that want them.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let directory = target.join("kete-certificates");
    let make = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/certificates/make");
    let made = Command::new(make).arg(&directory).output().unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    directory
});

/// Where the certificates are.
pub(crate) fn directory() -> &'static Path {
    &DIRECTORY
}

/// One of the files.
pub(crate) fn file(name: &str) -> PathBuf {
    directory().join(name)
}

/// All certificates of a PEM file.
pub(crate) fn certificates(name: &str) -> Vec<CertificateDer<'static>> {
    let all = CertificateDer::pem_file_iter(file(name)).unwrap();
    all.map(Result::unwrap).collect()
}

/// The private key of a PEM file.
pub(crate) fn private_key(name: &str) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_file(file(name)).unwrap()
}

/// What a section `tls` says and what is said of it. `{dir}` in the assignments stands for the
/// directory of the certificates, and again in the text.
pub(crate) fn read(url: &str, assignments: &[&str]) -> (Option<TlsSettings>, String) {
    let here = directory().to_str().unwrap();
    let url: Url = url.parse().unwrap();
    let diagnostics = Diagnostics::new();
    let set =
        |loader: Loader, text: &&str| loader.set(format!("tls.{}", text.replace("{dir}", here)));
    let settings = assignments.iter().fold(Loader::new("tls"), set);
    let settings = settings.load(&diagnostics);
    let scope = settings.scope("tls", &diagnostics);
    let read = TlsSettings::read(&scope, Some(&url));
    let text = diagnostics.to_string();
    assert_eq!(read.is_none(), has_errors(&text), "{text}");
    scope.check_unknown(&[TLS_KEYS]);
    let text = diagnostics.to_string().replace(here, "{dir}");
    (read, text)
}

/// An expired client certificate is the one error that leaves something to be used.
fn has_errors(text: &str) -> bool {
    text.lines()
        .any(|line| line.starts_with("error[") && !line.starts_with("error[certificate-expired]"))
}

/// A section without mistakes, at work.
pub(crate) fn tls(assignments: &[&str]) -> Tls {
    let (settings, text) = read("https://localhost", assignments);
    let settings = settings.unwrap_or_else(|| panic!("{text}"));
    settings.build().unwrap().unwrap()
}

/// Assignments that trust the tests' own authority only.
pub(crate) const TRUSTING: [&str; 3] = [
    "trust-store.include-system-roots=false",
    "trust-store.loader.kind=pem-file-path",
    "trust-store.loader.path={dir}/ca.pem",
];

/// The same with more.
pub(crate) fn trusting<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut all = TRUSTING.to_vec();
    all.extend(more);
    all
}
