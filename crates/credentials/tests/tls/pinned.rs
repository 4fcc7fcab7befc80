//! Servers whose own certificate stands in the trust store: it is good for them, and for nobody
//! else.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;

use crate::fixtures::{file, tls};
use crate::server::{Clients, Server, ask};

/// Runs openssl in a directory.
fn openssl(directory: &Path, arguments: &[&str]) {
    let made = Command::new("openssl")
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{arguments:?}: {said}");
}

/// A key, what else the command makes, and no password.
const NEW_KEY: [&str; 6] = [
    "req",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
];

/// One of the servers as `signer.pem` and `signer.key`, without the rest of its chain, which has an
/// authority in it; and what it has signed.
fn signed_by(server: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let certificate = file(&format!("servers/{server}.pem"));
    let certificate = certificate.to_str().unwrap();
    openssl(at, &["x509", "-in", certificate, "-out", "signer.pem"]);
    fs::copy(
        file(&format!("servers/{server}.key")),
        at.join("signer.key"),
    )
    .unwrap();
    sign(at);
    directory
}

/// A server's certificate as `openssl req -x509` makes it by itself: it calls itself an authority.
fn signed_by_self_signed() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let name = [
        "-x509",
        "-subj",
        "/CN=own",
        "-addext",
        "subjectAltName=DNS:localhost",
    ];
    let files = ["-keyout", "signer.key", "-out", "signer.pem"];
    openssl(directory.path(), &[&NEW_KEY[..], &name, &files].concat());
    sign(directory.path());
    directory
}

/// Makes `rogue.pem`, a certificate for `bank.example`, with the key of the signer.
fn sign(at: &Path) {
    let files = [
        "-subj",
        "/CN=rogue",
        "-keyout",
        "rogue.key",
        "-out",
        "rogue.csr",
    ];
    openssl(at, &[&NEW_KEY[..], &files].concat());
    fs::write(at.join("extensions"), "subjectAltName=DNS:bank.example").unwrap();
    let signer = [
        "x509",
        "-req",
        "-CA",
        "signer.pem",
        "-CAkey",
        "signer.key",
        "-set_serial",
        "7",
    ];
    let files = [
        "-in",
        "rogue.csr",
        "-extfile",
        "extensions",
        "-out",
        "rogue.pem",
    ];
    openssl(at, &[&signer[..], &files].concat());
}

/// A server that shows the first of these files and its key, and the others as its chain.
async fn showing(directory: &Path, names: &[&str]) -> Server {
    let file = |name: &str, end: &str| directory.join(format!("{name}.{end}"));
    let certificate = |name: &&str| CertificateDer::from_pem_file(file(name, "pem")).unwrap();
    let chain = names.iter().map(certificate).collect();
    let key = PrivateKeyDer::from_pem_file(file(names[0], "key")).unwrap();
    Server::showing(chain, key).await
}

/// What a client that pins the signer gets, with these settings more.
async fn outcome(
    directory: &Path,
    server: &Server,
    host: &str,
    settings: &[&str],
) -> Result<String, String> {
    let signer = directory.join("signer.pem");
    let path = format!("trust-store.loader.path={}", signer.display());
    let mut assignments = vec!["trust-store.loader.kind=pem-file-path", &path];
    assignments.extend(settings);
    ask(&tls(&assignments), server.port, host).await
}

const ALONE: &str = "trust-store.include-system-roots=false";
const ANY_NAME: &str = "verify-hostname=false";

#[tokio::test]
async fn a_pinned_server_vouches_for_nobody_else() {
    let made = signed_by("good");
    for (chain, expected) in [
        (&["rogue"][..], "UnknownIssuer"),
        (&["rogue", "signer"], "EndEntityUsedAsCa"),
    ] {
        let server = showing(made.path(), chain).await;
        for settings in [&[][..], &[ALONE], &[ANY_NAME], &[ALONE, ANY_NAME]] {
            for host in ["bank.example", "localhost"] {
                let outcome = outcome(made.path(), &server, host, settings).await;
                let problem = outcome.unwrap_err();
                assert!(problem.contains(expected), "{settings:?} {host}: {problem}");
            }
        }
    }
}

#[tokio::test]
async fn a_trust_store_of_servers_alone_is_good_for_those() {
    let made = signed_by("good");
    let pinned = Server::start("good", Clients::NotAsked).await;
    let other = Server::start("ip-only", Clients::NotAsked).await;
    for settings in [&[ALONE][..], &[ALONE, ANY_NAME]] {
        let answer = outcome(made.path(), &pinned, "localhost", settings).await;
        assert_eq!(answer.as_deref(), Ok("localhost"), "{settings:?}");
        let refused = outcome(made.path(), &other, "127.0.0.1", settings).await;
        let problem = refused.unwrap_err();
        assert!(problem.contains("UnknownIssuer"), "{settings:?}: {problem}");
    }
    let refused = outcome(made.path(), &pinned, "elsewhere.example", &[ALONE]).await;
    let problem = refused.unwrap_err();
    assert!(
        problem.contains("certificate not valid for name"),
        "{problem}"
    );
}

/// It is taken at its word.
#[tokio::test]
async fn a_server_that_calls_itself_an_authority_is_pinned_and_vouches_for_others() {
    let made = signed_by_self_signed();
    let own = showing(made.path(), &["signer"]).await;
    let signed = showing(made.path(), &["rogue"]).await;
    for (server, host) in [(&own, "localhost"), (&signed, "bank.example")] {
        let answer = outcome(made.path(), server, host, &[ALONE]).await;
        assert_eq!(answer.as_deref(), Ok(host));
    }
}
