//! Whom a client trusts.

use std::process::Command;
use std::{env, fs};

use kete_config::{Diagnostics, Loader};
use kete_credentials::tls::TlsSettings;

use crate::fixtures::{TRUSTING, certificates, file, private_key, read, tls, trusting};
use crate::server::{Clients, Server, ask};

/// What a client with these settings gets from a server with this certificate under this name.
async fn outcome(server: &str, host: &str, assignments: &[&str]) -> Result<String, String> {
    let server = Server::start(server, Clients::NotAsked).await;
    ask(&tls(assignments), server.port, host).await
}

fn assert_refused(outcome: Result<String, String>, expected: &str) {
    let problem = outcome.unwrap_err();
    assert!(problem.contains(expected), "{problem}");
}

#[tokio::test]
async fn a_trusted_certificate_of_the_right_name_is_accepted() {
    for host in ["localhost", "127.0.0.1", "::1", "a.wild.localhost"] {
        let answer = outcome("good", host, &TRUSTING).await;
        assert_eq!(answer.as_deref(), Ok(host));
    }
    let answer = outcome("wildcard", "b.wild.localhost", &TRUSTING).await;
    assert_eq!(answer.as_deref(), Ok("b.wild.localhost"));
    let answer = outcome("ip-only", "127.0.0.1", &TRUSTING).await;
    assert_eq!(answer.as_deref(), Ok("127.0.0.1"));
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    for (server, host) in [
        ("wrong-host", "localhost"),
        ("ip-only", "localhost"),
        ("ip-only", "::1"),
        ("wildcard", "wild.localhost"),
        ("wildcard", "a.b.wild.localhost"),
        ("good", "127.0.0.2"),
    ] {
        let outcome = outcome(server, host, &TRUSTING).await;
        assert_refused(outcome, "certificate not valid for name");
    }
}

#[tokio::test]
async fn a_certificate_of_nobody_known_is_refused() {
    let others = ["trust-store.loader.kind=pem-file-path"];
    let others = [others[0], "trust-store.loader.path={dir}/other-ca.pem"];
    assert_refused(outcome("good", "localhost", &others).await, "UnknownIssuer");
    assert_refused(outcome("good", "localhost", &[]).await, "UnknownIssuer");
    assert_refused(
        outcome("self-signed", "localhost", &TRUSTING).await,
        "UnknownIssuer",
    );
}

#[tokio::test]
async fn a_certificate_that_is_over_or_not_valid_yet_is_refused() {
    assert_refused(outcome("expired", "localhost", &TRUSTING).await, "expired");
    let outcome = outcome("not-yet-valid", "localhost", &TRUSTING).await;
    assert_refused(outcome, "not valid yet");
}

/// As on the JVM: the server's own certificate in the trust store.
fn pinning(server: &str) -> [String; 2] {
    [
        "trust-store.loader.kind=pem-file-path".to_owned(),
        format!("trust-store.loader.path={{dir}}/servers/{server}.pem"),
    ]
}

#[tokio::test]
async fn a_servers_own_certificate_can_be_trusted() {
    for server in ["self-signed", "good"] {
        let pinning = pinning(server);
        let pinning = pinning.each_ref().map(String::as_str);
        let answer = outcome(server, "localhost", &pinning).await;
        assert_eq!(answer.as_deref(), Ok("localhost"));
    }
}

#[tokio::test]
async fn a_servers_own_certificate_still_has_to_be_valid_and_of_the_right_name() {
    for (server, expected) in [
        ("expired", "expired"),
        ("not-yet-valid", "not valid yet"),
        ("wrong-host", "certificate not valid for name"),
    ] {
        let pinning = pinning(server);
        let pinning = pinning.each_ref().map(String::as_str);
        assert_refused(outcome(server, "localhost", &pinning).await, expected);
    }
}

#[tokio::test]
async fn unverified_names_leave_the_rest_to_be_checked() {
    let unverified = trusting(&["verify-hostname=false"]);
    let answer = outcome("wrong-host", "localhost", &unverified).await;
    assert_eq!(answer.as_deref(), Ok("localhost"));
    assert_refused(
        outcome("self-signed", "localhost", &unverified).await,
        "UnknownIssuer",
    );
    assert_refused(
        outcome("expired", "localhost", &unverified).await,
        "expired",
    );
    let system = ["verify-hostname=false"];
    assert_refused(
        outcome("wrong-host", "localhost", &system).await,
        "UnknownIssuer",
    );
}

#[tokio::test]
async fn the_server_name_is_verified_whatever_the_host() {
    let elsewhere = trusting(&["server-name=elsewhere.example"]);
    let answer = outcome("wrong-host", "localhost", &elsewhere).await;
    assert_eq!(answer.as_deref(), Ok("localhost"));
    let refused = outcome("good", "localhost", &elsewhere).await;
    assert_refused(
        refused,
        "certificate not valid for name \"elsewhere.example\"",
    );
    let address = trusting(&["server-name=127.0.0.1"]);
    let answer = outcome("ip-only", "some.example", &address).await;
    assert_eq!(answer.as_deref(), Ok("some.example"));
}

#[tokio::test]
async fn a_server_is_not_asked_for_an_address_by_name() {
    let mut server = Server::start("ip-only", Clients::NotAsked).await;
    let address = tls(&trusting(&["server-name=127.0.0.1"]));
    assert!(ask(&address, server.port, "some.example").await.is_ok());
    assert_eq!(server.next().await.unwrap().server_name, None);
    let mut server = Server::start("good", Clients::NotAsked).await;
    assert!(ask(&tls(&TRUSTING), server.port, "localhost").await.is_ok());
    let name = server.next().await.unwrap().server_name;
    assert_eq!(name.as_deref(), Some("localhost"));
}

#[test]
fn only_encrypted_urls_get_a_configuration() {
    for (url, encrypted) in [
        ("http://localhost", false),
        ("ws://localhost", false),
        ("https://localhost", true),
        ("wss://localhost", true),
    ] {
        let (settings, text) = read(url, &[]);
        assert_eq!(text, "", "{url}");
        let built = settings.unwrap().build().unwrap();
        assert_eq!(built.is_some(), encrypted, "{url}");
        let default = kete_credentials::tls::TlsSettings::default_for(&url.parse().unwrap());
        assert_eq!(default.build().unwrap().is_some(), encrypted, "{url}");
    }
}

#[test]
fn the_certificates_are_those_of_the_section_and_not_of_the_system() {
    let store = "trust-store.loader.path={dir}/intermediate.pem";
    let settings = ["trust-store.loader.kind=pem-file-path", store];
    let (settings, _) = read("https://localhost", &settings);
    let listed = settings.unwrap().certificates();
    assert_eq!(certificates("intermediate.pem").len(), 1);
    let subjects: Vec<&str> = listed.iter().map(|it| it.facts.subject.as_str()).collect();
    assert_eq!(subjects, ["CN=kete test intermediate,O=kete tests"]);
    assert_eq!(listed[0].store, "trust-store");
    assert_eq!(
        listed[0].facts.issuer,
        "CN=kete test authority,O=kete tests"
    );
    assert!(tls(&[]).certificates().is_empty());
}

/// The system's authorities are read once in a process, so this test asks in processes of its
/// own: itself.
#[tokio::test]
async fn the_systems_authorities_count_unless_the_store_is_pinned() {
    const NAME: &str = "trust::the_systems_authorities_count_unless_the_store_is_pinned";
    if let Ok(assignments) = env::var("KETE_TEST_SECTION") {
        let assignments: Vec<&str> = assignments.split_terminator('|').collect();
        let (settings, text) = read("https://localhost", &assignments);
        assert_eq!(text, "");
        match settings.unwrap().build() {
            Err(error) => println!("{error}"),
            Ok(_) => println!("{:?}", outcome("good", "localhost", &assignments).await),
        }
        return;
    }
    let empty = tempfile::tempdir().unwrap();
    let (ours, nobody) = (file("ca.pem"), empty.path().join("none.pem"));
    let store = "trust-store.loader.kind=pem-file-path|trust-store.loader.path={dir}/other-ca.pem";
    let pinned = format!("{store}|trust-store.include-system-roots=false");
    for (system, section, expected) in [
        (&ours, "", "Ok(\"localhost\")"),
        (&ours, store, "Ok(\"localhost\")"),
        (&ours, &pinned, "UnknownIssuer"),
        (&nobody, store, "UnknownIssuer"),
        (&nobody, &pinned, "UnknownIssuer"),
        (
            &nobody,
            "",
            "the system's certificates of authorities could not be read",
        ),
    ] {
        let mut child = Command::new(env::current_exe().unwrap());
        child
            .args(["--exact", NAME, "--nocapture"])
            .env("SSL_CERT_FILE", system)
            .env_remove("SSL_CERT_DIR")
            .env("KETE_TEST_SECTION", section);
        let ran = tokio::task::spawn_blocking(move || child.output());
        let ran = ran.await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success() && said.contains("1 passed"), "{said}");
        assert!(said.contains(expected), "{system:?} {section}: {said}");
    }
}

#[test]
fn without_a_url_the_section_is_read_all_the_same() {
    let diagnostics = Diagnostics::new();
    let settings = Loader::new("tls")
        .set("tls.enabled=true")
        .load(&diagnostics);
    let scope = settings.scope("tls", &diagnostics);
    assert!(TlsSettings::read(&scope, None).is_some());
    assert!(diagnostics.is_empty(), "{diagnostics}");
}

#[test]
fn no_secret_is_in_debug_output() {
    let key = fs::read_to_string(file("clients/p256.key")).unwrap();
    let body: String = key.lines().filter(|line| !line.starts_with('-')).collect();
    let pem = fs::read_to_string(file("stores/client-p256.pem")).unwrap();
    let text = format!("key-store.loader.text={}", pem.replace('\n', "\\n"));
    let (settings, said) = read(
        "https://localhost",
        &[
            "key-store.loader.kind=pem-file-text",
            &text,
            "key-store.key-password=such-a-secret",
            "reconnect-on-renewal=true",
        ],
    );
    assert_eq!(said, "");
    let settings = settings.unwrap();
    assert!(settings.reconnect_on_renewal());
    let tls = settings.build().unwrap().unwrap();
    let shown = format!("{settings:?} {tls:?}");
    assert!(shown.contains("(hidden)"), "{shown}");
    for secret in [
        &body[..40],
        &body[body.len() - 40..],
        "BEGIN",
        "such-a-secret",
    ] {
        assert!(!shown.contains(secret), "{secret}: {shown}");
    }
    assert!(shown.len() < 2000, "{shown}");
    // Nor as a list of bytes.
    let der = private_key("clients/p256.key");
    let bytes = format!("{:?}", &der.secret_der()[36..68]);
    assert!(!shown.contains(bytes.trim_matches(['[', ']'])), "{shown}");
}
