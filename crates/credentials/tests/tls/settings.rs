//! Every kind of wrong section, with the exact text that its author gets to read.
//!
//! The cases are in `wrong.txt`: a title, the url if it is not `https://localhost`, the keys
//! below `tls`, and after `---` what is said. `{dir}` stands for the directory of the
//! certificates, and `N` for a number of days.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use crate::fixtures::{file, read};

const CASES: &str = include_str!("wrong.txt");

#[test]
fn wrong_sections_are_explained() {
    let mut found = String::new();
    for case in CASES.split("=== ").skip(1) {
        let (input, _) = case.split_once("---\n").unwrap();
        let mut lines = input.lines();
        let title = lines.next().unwrap();
        let assignments: Vec<&str> = lines.clone().filter(|line| line.contains('=')).collect();
        let url = lines.find_map(|line| line.strip_prefix("@url "));
        let (_, text) = read(url.unwrap_or("https://localhost"), &assignments);
        writeln!(found, "=== {title}").unwrap();
        for line in input.lines().skip(1) {
            writeln!(found, "{line}").unwrap();
        }
        writeln!(found, "---\n{}", without_days(&text)).unwrap();
    }
    let found = found.trim_end().to_owned() + "\n";
    if found != CASES {
        let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("wrong.txt");
        std::fs::write(&path, &found).unwrap();
        let first = found
            .lines()
            .zip(CASES.lines())
            .find(|(new, old)| new != old);
        panic!("{first:#?}; what was found is in {}", path.display());
    }
    assert!(CASES.matches("=== ").count() > 40);
}

#[test]
fn a_password_that_kete_would_have_guessed_is_neither_tried_nor_named() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store.p12");
    let made = Command::new("openssl")
        .args([
            "pkcs12",
            "-export",
            "-nokeys",
            "-passout",
            "pass:changeit",
            "-in",
        ])
        .arg(file("ca.pem"))
        .arg("-out")
        .arg(&store)
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let path = format!("trust-store.loader.path={}", store.display());
    let kind = "trust-store.loader.kind=pkcs12-file-path";
    let wrong = "trust-store.loader.password=store-password";
    for (passwords, help) in [
        (
            &[][..],
            "set tls.trust-store.password or tls.trust-store.password-file",
        ),
        (&[wrong], "correct tls.trust-store.loader.password"),
    ] {
        let mut assignments = vec![kind, &path];
        assignments.extend(passwords);
        let (_, text) = read("https://localhost", &assignments);
        let expected = format!(
            "KETE also tries none, an empty one, `changeit` and `secret`; kete does not guess, \
             though one of these would open it\n  {help}\n"
        );
        assert!(text.ends_with(&expected), "{text}");
        assert_eq!(text.matches("changeit").count(), 1, "{text}");
        assert!(!text.contains("store-password"), "{text}");
    }
    let (settings, text) = read(
        "https://localhost",
        &[kind, &path, "trust-store.password=changeit"],
    );
    assert_eq!(
        (settings.unwrap().certificates().len(), text.as_str()),
        (1, "")
    );
}

#[test]
fn a_relative_path_is_shown_in_full_where_there_is_no_file() {
    let path = "trust-store.loader.path=certs/ca.pem";
    let (_, text) = read(
        "https://localhost",
        &["trust-store.loader.kind=pem-file-path", path],
    );
    let here = std::env::current_dir().unwrap();
    let expected = format!("there is no file {}/certs/ca.pem\n", here.display());
    assert!(text.contains(&expected), "{text}");
    assert!(
        text.contains("from the directory that kete is started in"),
        "{text}"
    );
}

/// One whose name constraints are none (RFC 5280, section 4.2.1.10).
#[test]
fn a_certificate_that_cannot_be_trusted_is_named() {
    let strange = rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 30], vec![5, 0]);
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.custom_extensions.push(strange);
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    let name = rcgen::DnType::CommonName;
    parameters
        .distinguished_name
        .push(name, "a strange authority");
    let key = rcgen::KeyPair::generate().unwrap();
    let pem = parameters.self_signed(&key).unwrap().pem();
    let text = format!("trust-store.loader.text={}", pem.replace('\n', "\\n"));
    let (_, text) = read(
        "https://localhost",
        &["trust-store.loader.kind=pem-file-text", &text],
    );
    let expected = "error[bad-store]: --set: tls.trust-store.loader.text\n  CN=a strange \
                    authority cannot be trusted: ";
    assert!(text.starts_with(expected), "{text}");
}

#[test]
fn only_the_first_few_of_many_are_named() {
    let mut bundle = fs::read_to_string(file("servers/expired.pem")).unwrap();
    for name in [
        "clients/expired.pem",
        "servers/not-yet-valid.pem",
        "clients/soon.pem",
    ] {
        bundle += &fs::read_to_string(file(name)).unwrap();
    }
    for number in 0..3 {
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.not_after = rcgen::date_time_ymd(2001, 1, 1);
        parameters.not_before = rcgen::date_time_ymd(2000, 1, 1);
        let name = format!("authority {number}");
        parameters
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        let key = rcgen::KeyPair::generate().unwrap();
        bundle += &parameters.self_signed(&key).unwrap().pem();
    }
    let bundle = format!("trust-store.loader.text={}", bundle.replace('\n', "\\n"));
    let (_, text) = read(
        "https://localhost",
        &["trust-store.loader.kind=pem-file-text", &bundle],
    );
    for line in [
        "  5 of 8 trusted certificates are expired: CN=kete-server-expired,O=kete tests; \
         CN=kete-expired,O=kete tests; CN=authority 0; and 2 more\n",
        "  1 of 8 trusted certificates is not valid yet: CN=kete-server-not-yet-valid,O=kete \
         tests\n",
        "  1 of 8 trusted certificates is valid for less than 30 days: CN=kete-soon,O=kete tests\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

fn without_days(text: &str) -> String {
    let words: Vec<&str> = text.split(' ').collect();
    let mut shown = words.clone();
    for (position, pair) in words.windows(2).enumerate() {
        if pair[1].starts_with("days") && pair[0].parse::<u32>().is_ok() {
            shown[position] = "N";
        }
    }
    shown.join(" ")
}
