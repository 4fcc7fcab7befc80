//! Files that are renewed while they are in use.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::{Arc, Mutex};

use kete_credentials::tls::Tls;
use rustls::HandshakeKind;
use tempfile::TempDir;
use tracing::subscriber::DefaultGuard;

use crate::fixtures::{TRUSTING, certificates, file, tls};
use crate::server::{Clients, Server, ask};

/// The client of this name is who we are from now on.
fn put(directory: &Path, client: &str) {
    copy(&format!("clients/{client}.pem"), &directory.join("tls.crt"));
    copy(&format!("clients/{client}.key"), &directory.join("tls.key"));
}

fn copy(name: &str, to: &Path) {
    fs::copy(file(name), to).unwrap();
}

/// A client with its files in a directory of their own.
fn client(directory: &Path) -> Tls {
    put(directory, "p256");
    copy("ca.pem", &directory.join("ca.crt"));
    reading(directory)
}

/// A client whose files are there already.
fn reading(directory: &Path) -> Tls {
    let path = |key: &str, name: &str| format!("{key}={}", directory.join(name).display());
    tls(&[
        "trust-store.include-system-roots=false",
        "trust-store.loader.kind=pem-file-path",
        &path("trust-store.loader.path", "ca.crt"),
        "key-store.loader.kind=pem-file-path",
        &path("key-store.loader.path", "tls.crt"),
        &path("key-store.loader.key-path", "tls.key"),
    ])
}

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// What is logged by this thread.
struct Log {
    lines: Arc<Mutex<Vec<u8>>>,
    _guard: DefaultGuard,
}

impl Log {
    fn start() -> Log {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .without_time()
            .with_writer(Writer::new(&lines))
            .finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        Log { lines, _guard }
    }

    /// What came since the last call, of the credentials themselves.
    fn take(&self) -> Vec<String> {
        let bytes = std::mem::take(&mut *self.lines.lock().unwrap());
        let text = String::from_utf8(bytes).unwrap();
        let ours = text
            .lines()
            .filter(|line| line.contains("kete_credentials"));
        ours.map(|line| line.trim().to_owned()).collect()
    }
}

struct Writer(Arc<Mutex<Vec<u8>>>);

impl Writer {
    fn new(lines: &Arc<Mutex<Vec<u8>>>) -> impl Fn() -> Writer + Send + Sync + 'static {
        let lines = Arc::clone(lines);
        move || Writer(Arc::clone(&lines))
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_next_connection_shows_the_renewed_certificate_and_resumes_nothing() {
    let mut server = Server::start("good", Clients::Required).await;
    let directory = directory();
    let tls = client(directory.path());
    let renewals = tls.renewals();
    let before = tls.certificates();
    for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
        ask(&tls, server.port, "localhost").await.unwrap();
        let seen = server.next().await.unwrap();
        assert_eq!(seen.handshake, expected);
        assert_eq!(seen.client, certificates("clients/p256.pem"));
    }
    put(directory.path(), "renewed");
    for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
        ask(&tls, server.port, "localhost").await.unwrap();
        let seen = server.next().await.unwrap();
        assert_eq!(seen.handshake, expected);
        assert_eq!(seen.client, certificates("clients/renewed.pem"));
    }
    assert_eq!(*renewals.borrow(), 1);
    put(directory.path(), "soon");
    tls.config().await;
    assert_ne!(tls.certificates(), before);
    assert_eq!(
        tls.certificates()[1].facts.subject,
        "CN=kete-soon,O=kete tests"
    );
}

#[tokio::test]
async fn a_renewed_trust_store_counts_for_the_next_connection() {
    let server = Server::start("good", Clients::NotAsked).await;
    let directory = directory();
    copy("other-ca.pem", &directory.path().join("ca.crt"));
    put(directory.path(), "p256");
    let tls = reading(directory.path());
    let refused = ask(&tls, server.port, "localhost").await;
    assert!(refused.unwrap_err().contains("UnknownIssuer"));
    copy("ca.pem", &directory.path().join("ca.crt"));
    let answer = ask(&tls, server.port, "localhost").await;
    assert_eq!(answer.as_deref(), Ok("localhost"));
}

#[tokio::test]
async fn a_renewal_is_told_with_its_subject() {
    let log = Log::start();
    let directory = directory();
    let tls = client(directory.path());
    tls.config().await;
    assert_eq!(log.take(), [""; 0]);
    put(directory.path(), "soon");
    tls.config().await;
    let told = log.take();
    assert_eq!(told.len(), 1, "{told:?}");
    for part in [
        "INFO",
        "the certificates were renewed",
        "CN=kete-soon",
        "days_left=",
        "\"tls\"",
    ] {
        assert!(told[0].contains(part), "{part}: {told:?}");
    }
}

/// A way to break the files of a client, and the key that is then named.
type Breakage = (&'static str, fn(&Path), &'static str);

const BREAKAGES: [Breakage; 6] = [
    (
        "empty",
        |directory| fs::write(directory.join("tls.crt"), "").unwrap(),
        "tls.key-store.loader.path",
    ),
    (
        "garbage",
        |directory| fs::write(directory.join("tls.crt"), "garbage").unwrap(),
        "tls.key-store.loader.path",
    ),
    (
        "half",
        |directory| copy("clients/renewed.pem", &directory.join("tls.crt")),
        "tls.key-store.loader",
    ),
    (
        "missing",
        |directory| fs::remove_file(directory.join("tls.key")).unwrap(),
        "tls.key-store.loader.key-path",
    ),
    (
        "expired",
        |directory| put(directory, "expired"),
        "tls.key-store.loader.path",
    ),
    (
        "a store",
        |directory| copy("stores/ca.der", &directory.join("tls.crt")),
        "tls.key-store.loader.path",
    ),
];

#[tokio::test]
async fn a_broken_renewal_is_told_once_and_the_old_stays() {
    let log = Log::start();
    let mut server = Server::start("good", Clients::Required).await;
    let directory = directory();
    let tls = client(directory.path());
    let used = tls.config().await;
    for (breakage, breaks, key) in BREAKAGES {
        breaks(directory.path());
        for _ in 0..3 {
            assert!(Arc::ptr_eq(&tls.config().await, &used), "{breakage}");
        }
        let told = log.take();
        assert_eq!(told.len(), 1, "{breakage}: {told:?}");
        for part in ["WARN", "the old certificates stay in use", key] {
            assert!(told[0].contains(part), "{breakage}: {part}: {told:?}");
        }
        for part in ["BEGIN", "garbage"] {
            assert!(!told[0].contains(part), "{breakage}: {part}: {told:?}");
        }
    }
    ask(&tls, server.port, "localhost").await.unwrap();
    let shown = server.next().await.unwrap().client;
    assert_eq!(shown, certificates("clients/p256.pem"));
}

#[tokio::test]
async fn after_a_broken_renewal_the_files_may_hold_what_is_in_use_or_something_new() {
    let log = Log::start();
    let directory = directory();
    let tls = client(directory.path());
    let used = tls.config().await;
    fs::remove_file(directory.path().join("tls.key")).unwrap();
    tls.config().await;
    log.take();
    put(directory.path(), "p256");
    assert!(Arc::ptr_eq(&tls.config().await, &used));
    assert!(log.take()[0].contains("the files hold again what is in use"));
    assert_eq!(*tls.renewals().borrow(), 0);
    put(directory.path(), "renewed");
    assert!(!Arc::ptr_eq(&tls.config().await, &used));
    assert_eq!(*tls.renewals().borrow(), 1);
}

#[tokio::test]
async fn both_broken_stores_are_told() {
    let log = Log::start();
    let directory = directory();
    let tls = client(directory.path());
    fs::remove_file(directory.path().join("ca.crt")).unwrap();
    fs::remove_file(directory.path().join("tls.crt")).unwrap();
    tls.config().await;
    let told = log.take().join("\n");
    for part in [
        "tls.trust-store.loader.path",
        "tls.key-store.loader.path",
        "there is no file",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[tokio::test]
async fn a_password_file_is_looked_at_as_well() {
    let directory = directory();
    let password = directory.path().join("password");
    fs::write(&password, "store-password").unwrap();
    copy(
        "stores/client-p256.p12",
        &directory.path().join("store.p12"),
    );
    let path = |key: &str, name: &str| format!("{key}={}", directory.path().join(name).display());
    let mut assignments = TRUSTING.to_vec();
    let (store, file) = (
        path("key-store.loader.path", "store.p12"),
        path("key-store.password-file", "password"),
    );
    assignments.extend(["key-store.loader.kind=pkcs12-file-path", &store, &file]);
    let tls = tls(&assignments);
    // The store first, as it happens when two files are written one after the other.
    copy(
        "stores/no-password.p12",
        &directory.path().join("store.p12"),
    );
    let log = Log::start();
    tls.config().await;
    let told = log.take().join("\n");
    assert!(
        told.contains("WARN") && !told.contains("store-password"),
        "{told}"
    );
    assert_eq!(*tls.renewals().borrow(), 0);
    copy(
        "stores/client-renewed.p12",
        &directory.path().join("store.p12"),
    );
    fs::write(&password, "store-password\n").unwrap();
    tls.config().await;
    assert_eq!(*tls.renewals().borrow(), 1);
}

#[tokio::test]
async fn a_renewal_is_made_once_however_many_ask() {
    let directory = directory();
    let tls = client(directory.path());
    let old = tls.config().await;
    put(directory.path(), "renewed");
    let asking: Vec<_> = (0..50)
        .map(|_| {
            let tls = tls.clone();
            tokio::spawn(async move { tls.config().await })
        })
        .collect();
    let mut configs = Vec::new();
    for asked in asking {
        configs.push(asked.await.unwrap());
    }
    assert!(
        configs
            .iter()
            .all(|config| Arc::ptr_eq(config, &configs[0]))
    );
    assert!(!Arc::ptr_eq(&configs[0], &old));
    assert_eq!(*tls.renewals().borrow(), 1);
}

/// As Kubernetes does: the files are links through a link that is replaced at once.
#[tokio::test]
async fn a_swapped_link_is_a_renewal() {
    let directory = directory();
    let at = |name: &str| directory.path().join(name);
    for (version, client) in [("one", "p256"), ("two", "renewed")] {
        fs::create_dir(at(version)).unwrap();
        put(&at(version), client);
        copy("ca.pem", &at(version).join("ca.crt"));
    }
    symlink("one", at("..data")).unwrap();
    for name in ["tls.crt", "tls.key", "ca.crt"] {
        symlink(Path::new("..data").join(name), at(name)).unwrap();
    }
    let tls = reading(directory.path());
    symlink("two", at("..data_tmp")).unwrap();
    fs::rename(at("..data_tmp"), at("..data")).unwrap();
    tls.config().await;
    assert_eq!(*tls.renewals().borrow(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_is_noticed_without_a_connection() {
    let directory = directory();
    let tls = client(directory.path());
    let mut renewals = tls.renewals();
    put(directory.path(), "renewed");
    tokio::select! {
        () = tls.watch_files() => panic!("it stopped"),
        changed = renewals.changed() => changed.unwrap(),
    }
    put(directory.path(), "p256");
    tokio::select! {
        () = tls.watch_files() => panic!("it stopped"),
        changed = renewals.changed() => changed.unwrap(),
    }
    assert_eq!(*renewals.borrow(), 2);
}

#[tokio::test]
async fn without_files_there_is_nothing_to_watch() {
    tls(&[]).watch_files().await;
    let text = fs::read_to_string(file("ca.pem"))
        .unwrap()
        .replace('\n', "\\n");
    let text = format!("trust-store.loader.text={text}");
    let inline = tls(&["trust-store.loader.kind=pem-file-text", &text]);
    inline.watch_files().await;
    assert_eq!(inline.certificates().len(), 1);
}
