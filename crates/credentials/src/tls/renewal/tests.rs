use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};

use kete_config::{Diagnostics, Loader};
use tempfile::TempDir;
use tokio::task::yield_now;
use tokio::time::{Instant, advance};
use tracing::subscriber::DefaultGuard;

use super::*;
use crate::tls::TlsSettings;

/// Writes a new authority.
fn put_authority(path: &Path) {
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    fs::write(path, parameters.self_signed(&key).unwrap().pem()).unwrap();
}

/// A section at work whose trust store is a file.
struct Fixture {
    renewing: Renewing,
    path: PathBuf,
    log: PathBuf,
    _directory: TempDir,
    _guard: DefaultGuard,
}

impl Fixture {
    fn new() -> Fixture {
        let directory = tempfile::tempdir().unwrap();
        let (path, log) = (
            directory.path().join("ca.pem"),
            directory.path().join("log"),
        );
        put_authority(&path);
        let diagnostics = Diagnostics::new();
        let settings = Loader::new("tls")
            .set("tls.trust-store.include-system-roots=false")
            .set("tls.trust-store.loader.kind=pem-file-path")
            .set(format!("tls.trust-store.loader.path={}", path.display()))
            .load(&diagnostics);
        let scope = settings.scope("tls", &diagnostics);
        let settings = TlsSettings::read(&scope, None).unwrap();
        assert!(diagnostics.is_empty(), "{diagnostics}");
        let writer = fs::File::options()
            .append(true)
            .create(true)
            .open(&log)
            .unwrap();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(writer);
        Fixture {
            renewing: Renewing::new(settings.0).unwrap(),
            path,
            log,
            _guard: tracing::subscriber::set_default(subscriber.finish()),
            _directory: directory,
        }
    }

    /// A look that has begun, and ends when something is sent.
    async fn hang(&self) -> Sender<()> {
        let (release, released) = channel();
        let hanging = spawn_blocking(move || {
            released.recv().unwrap();
            Look::Same
        });
        self.renewing.seen.lock().await.looking = Some(hanging);
        release
    }

    async fn is_looking(&self) -> bool {
        let seen = self.renewing.seen.lock().await;
        seen.looking
            .as_ref()
            .is_some_and(|looking| !looking.is_finished())
    }

    /// Whether the log says this once.
    fn says(&self, text: &str) -> bool {
        let said = fs::read_to_string(&self.log).unwrap();
        assert!(said.matches(text).count() <= 1, "{said}");
        said.contains(text)
    }
}

const HANGS: &str = "the files take too long to read";
const BACK: &str = "the files can be read again";

#[tokio::test(start_paused = true)]
async fn a_file_system_that_hangs_delays_a_connection_and_does_not_stop_it() {
    let it = Fixture::new();
    let old = it.renewing.current();
    let release = it.hang().await;
    put_authority(&it.path);
    let start = Instant::now();
    // All that come meanwhile wait for the same look, and as long as the first.
    let (one, other, ()) = tokio::join!(
        it.renewing.config(),
        it.renewing.config(),
        advance(PATIENCE)
    );
    assert!(Arc::ptr_eq(&one, &old) && Arc::ptr_eq(&other, &old));
    // Those that come later do not wait, and nobody looks beside the one that hangs.
    for _ in 0..3 {
        assert!(Arc::ptr_eq(&it.renewing.config().await, &old));
        assert!(it.is_looking().await);
    }
    assert_eq!(start.elapsed(), PATIENCE);
    assert!(it.says(HANGS) && !it.says(BACK));

    release.send(()).unwrap();
    while it.is_looking().await {
        yield_now().await;
    }
    // It looked before the file was changed, so it is looked at anew.
    assert!(!Arc::ptr_eq(&it.renewing.config().await, &old));
    assert_eq!(*it.renewing.renewals().borrow(), 1);
    assert!(it.says(HANGS) && it.says(BACK));
    assert!(it.renewing.seen.lock().await.looking.is_none());
}

#[tokio::test(start_paused = true)]
async fn it_is_told_again_when_the_file_system_hangs_again() {
    let it = Fixture::new();
    for _ in 0..2 {
        let release = it.hang().await;
        tokio::join!(it.renewing.config(), advance(PATIENCE));
        assert!(it.says(HANGS));
        release.send(()).unwrap();
        while it.is_looking().await {
            yield_now().await;
        }
        it.renewing.config().await;
        assert!(it.says(BACK));
        fs::File::options()
            .write(true)
            .open(&it.log)
            .unwrap()
            .set_len(0)
            .unwrap();
    }
}

/// Nobody waited for it, and it did not take long.
#[tokio::test]
async fn a_look_that_was_given_up_is_taken_up_again() {
    let it = Fixture::new();
    let release = it.hang().await;
    release.send(()).unwrap();
    put_authority(&it.path);
    it.renewing.config().await;
    assert_eq!(*it.renewing.renewals().borrow(), 1);
    assert!(!it.says(HANGS) && !it.says(BACK));
}
