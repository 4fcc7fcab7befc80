use std::path::Path;
use std::process::Command;

use super::*;

/// A certificate of openssl that signs itself, made with these arguments more.
fn openssl(directory: &Path, arguments: &[&str]) -> CertificateDer<'static> {
    let made = Command::new("openssl")
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{arguments:?}: {said}");
    CertificateDer::from(made.stdout)
}

/// With a key and a request `CN=name` for it.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    openssl(
        directory.path(),
        &[
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/CN=name",
            "-keyout",
            "key",
            "-out",
            "request",
        ],
    );
    directory
}

#[test]
fn an_authority_says_that_it_is_one() {
    let directory = directory();
    for (extensions, expected) in [
        ("basicConstraints=CA:TRUE", true),
        ("basicConstraints=critical,CA:TRUE,pathlen:0", true),
        ("basicConstraints=CA:TRUE\nkeyUsage=keyCertSign", true),
        (
            "basicConstraints=CA:TRUE\nkeyUsage=critical,digitalSignature",
            false,
        ),
        ("basicConstraints=CA:FALSE", false),
        ("basicConstraints=CA:FALSE\nkeyUsage=keyCertSign", false),
        ("keyUsage=keyCertSign", false),
        ("subjectAltName=DNS:localhost", false),
        ("basicConstraints=DER:05:00", false),
    ] {
        std::fs::write(directory.path().join("extensions"), extensions).unwrap();
        let arguments = [
            "x509",
            "-req",
            "-in",
            "request",
            "-signkey",
            "key",
            "-extfile",
            "extensions",
            "-outform",
            "DER",
        ];
        let certificate = openssl(directory.path(), &arguments);
        assert_eq!(is_authority(&certificate), expected, "{extensions}");
    }
}

#[test]
fn version_1_is_an_authority_if_it_is_its_own_issuer() {
    let directory = directory();
    let sign = |subject: &str| {
        let at = directory.path();
        openssl(
            at,
            &[
                "req", "-new", "-key", "key", "-subj", subject, "-out", "another",
            ],
        );
        openssl(
            at,
            &[
                "x509",
                "-req",
                "-in",
                "another",
                "-CA",
                "root.pem",
                "-CAkey",
                "key",
                "-set_serial",
                "2",
                "-outform",
                "DER",
            ],
        )
    };
    let self_signed = [
        "x509", "-req", "-in", "request", "-signkey", "key", "-out", "root.pem",
    ];
    openssl(directory.path(), &self_signed);
    let root = openssl(
        directory.path(),
        &["x509", "-in", "root.pem", "-outform", "DER"],
    );
    let leaf = sign("/CN=leaf");
    for certificate in [&root, &leaf] {
        let parsed = x509_cert::Certificate::from_der(certificate).unwrap();
        assert_eq!(parsed.tbs_certificate().version(), Version::V1);
    }
    assert!(is_authority(&root));
    assert_eq!(check(&root), Ok(()));
    assert!(!is_authority(&leaf));
    assert!(check(&leaf).is_err());
}

#[test]
fn what_is_no_certificate_is_no_authority() {
    let nothing = CertificateDer::from(vec![0x30, 0]);
    assert!(!is_authority(&nothing));
    assert!(check(&nothing).is_err());
}
