//! Renewal of files while they are in use.
//!
//! It is contents that count, not dates or notices of the file system: Kubernetes swaps symbolic
//! links, other tools write in place. What is new is used only if all of it is right together,
//! so that a certificate whose key is still being written is not.
//!
//! A file system that hangs keeps a reading thread for as long as it likes. Nobody waits for that
//! longer than [`PATIENCE`], because what is in use is good enough to connect with, and no second
//! thread is sent after the first.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::ClientConfig;
use tokio::sync::{Mutex, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;
use tracing::{error, info, warn};

use super::configuration::configure;
use super::material::Material;
use super::problem::Problem;
use super::snapshot::Fingerprint;
use super::validity::{Validity, described};
use super::{Checked, TlsError};

/// How often files are looked at that no connection asks about.
const INTERVAL: Duration = Duration::from_secs(10);

/// How long a connection waits for a look at the files.
const PATIENCE: Duration = Duration::from_secs(5);

/// A section at work.
pub(super) struct Renewing {
    checked: Arc<Checked>,
    /// Held while files are looked at, so that one renewal is made once, but for no longer than
    /// [`PATIENCE`].
    seen: Mutex<Seen>,
    /// Whether the last look was given up, and that was said.
    hangs: AtomicBool,
    used: RwLock<Used>,
    renewals: watch::Sender<u64>,
}

/// What the files held.
struct Seen {
    /// When what is in use was made from them.
    used: Fingerprint,
    /// When they were last found wrong; they are not judged again until they change.
    broken: Option<Fingerprint>,
    /// A look that goes on. Whoever has begun it may have stopped waiting.
    looking: Option<JoinHandle<Look>>,
}

/// What new connections are made with.
#[derive(Clone)]
struct Used {
    config: Arc<ClientConfig>,
    material: Arc<Material>,
}

/// What a look at the files has shown.
enum Look {
    /// They hold what is in use.
    Same,
    /// They hold what was found wrong before.
    StillBroken,
    Broken(Fingerprint, Vec<Problem>),
    Renewed(Fingerprint, Used),
}

impl Renewing {
    /// # Errors
    ///
    /// As [`configure`].
    pub(super) fn new(checked: Arc<Checked>) -> Result<Renewing, TlsError> {
        let config = configure(&checked.options, &checked.material)?;
        let material = Arc::clone(&checked.material);
        Ok(Renewing {
            seen: Mutex::new(Seen {
                used: checked.fingerprint,
                broken: None,
                looking: None,
            }),
            hangs: AtomicBool::new(false),
            used: RwLock::new(Used { config, material }),
            renewals: watch::Sender::new(0),
            checked,
        })
    }

    pub(super) fn checked(&self) -> &Checked {
        &self.checked
    }

    pub(super) fn renewals(&self) -> watch::Receiver<u64> {
        self.renewals.subscribe()
    }

    /// What is in use.
    pub(super) fn material(&self) -> Arc<Material> {
        self.used().material
    }

    pub(super) fn current(&self) -> Arc<ClientConfig> {
        self.used().config
    }

    /// What is to be used now, after a look at the files.
    pub(super) async fn config(&self) -> Arc<ClientConfig> {
        if self.checked.stores.has_files() {
            self.renew().await;
        }
        self.used().config
    }

    /// Looks at the files for ever; returns only if there are none.
    pub(super) async fn watch(&self) {
        while self.checked.stores.has_files() {
            tokio::time::sleep(INTERVAL).await;
            self.renew().await;
        }
    }

    async fn renew(&self) {
        let looked = timeout(PATIENCE, self.look_anew()).await;
        if looked.is_err() && !self.hangs.swap(true, Ordering::Relaxed) {
            let section = self.checked.section.as_str();
            let seconds = PATIENCE.as_secs();
            warn!(
                section,
                seconds,
                "the files take too long to read, so the certificates in use stay; is the file \
                 system there?"
            );
        }
    }

    /// Looks at the files as they are from now on. May be dropped at any time.
    async fn look_anew(&self) {
        let mut seen = self.seen.lock().await;
        if let Some(looking) = &seen.looking {
            if self.hangs.load(Ordering::Relaxed) && !looking.is_finished() {
                return;
            }
            // It may have read a file before that was changed.
            self.finish(&mut seen).await;
        }
        let checked = Arc::clone(&self.checked);
        let (used, broken) = (seen.used, seen.broken);
        seen.looking = Some(spawn_blocking(move || look(&checked, used, broken)));
        self.finish(&mut seen).await;
    }

    /// Waits for the look that goes on, and does what it says.
    async fn finish(&self, seen: &mut Seen) {
        let Some(looking) = &mut seen.looking else {
            return;
        };
        let looked = looking.await;
        seen.looking = None;
        let section = self.checked.section.as_str();
        match looked {
            Ok(looked) => {
                if self.hangs.swap(false, Ordering::Relaxed) {
                    info!(section, "the files can be read again");
                }
                self.use_look(seen, looked);
            }
            // The runtime shuts down, and nobody will connect any more.
            Err(stopped) if stopped.is_cancelled() => {}
            Err(stopped) => error!(section, %stopped, "the files could not be looked at"),
        }
    }

    fn use_look(&self, seen: &mut Seen, looked: Look) {
        let section = self.checked.section.as_str();
        match looked {
            Look::Same => {
                if seen.broken.take().is_some() {
                    info!(section, "the files hold again what is in use");
                }
            }
            Look::StillBroken => {}
            Look::Broken(fingerprint, problems) => {
                seen.broken = Some(fingerprint);
                for problem in problems {
                    let key = format!("{section}.{}", problem.key);
                    let Problem { file, message, .. } = problem;
                    warn!(
                        key,
                        file,
                        problem = message,
                        "the old certificates stay in use"
                    );
                }
            }
            Look::Renewed(fingerprint, renewed) => {
                seen.used = fingerprint;
                seen.broken = None;
                report(section, &renewed.material);
                *self.used.write().unwrap_or_else(PoisonError::into_inner) = renewed;
                self.renewals.send_modify(|count| *count += 1);
            }
        }
    }

    fn used(&self) -> Used {
        let used = self.used.read().unwrap_or_else(PoisonError::into_inner);
        used.clone()
    }
}

/// Reads the files, and loads them if they hold something new. Blocks.
fn look(checked: &Checked, used: Fingerprint, broken: Option<Fingerprint>) -> Look {
    let snapshot = checked.stores.snapshot();
    let fingerprint = snapshot.fingerprint();
    if fingerprint == used {
        return Look::Same;
    }
    if Some(fingerprint) == broken {
        return Look::StillBroken;
    }
    let loaded = checked.stores.load(&snapshot);
    let loaded = loaded.and_then(|material| refuse_expired(checked, material));
    let renewed = loaded.and_then(|material| {
        let config = configure(&checked.options, &material);
        let config = config.map_err(|error| vec![Problem::of_library(&error)])?;
        let material = Arc::new(material);
        Ok(Used { config, material })
    });
    match renewed {
        Ok(renewed) => Look::Renewed(fingerprint, renewed),
        Err(problems) => Look::Broken(fingerprint, problems),
    }
}

/// A client certificate that is over when it comes is a mistake: the old one is no worse.
fn refuse_expired(checked: &Checked, material: Material) -> Result<Material, Vec<Problem>> {
    let now = SystemTime::now();
    let (Some(client), Some(store)) = (material.client(), &checked.stores.key) else {
        return Ok(material);
    };
    if Validity::of(client, now) != Validity::Over {
        return Ok(material);
    }
    let expired = described(client, Validity::Over, now);
    let message = format!("the client's certificate, {}, {expired}", client.subject);
    Err(vec![Problem::of_store(store, message)])
}

fn report(section: &str, material: &Material) {
    let trusted = material.trusted.len();
    match material.client() {
        Some(client) => {
            let now = SystemTime::now();
            let subject = client.subject.as_str();
            let days_left = client.days_left(now).floor();
            info!(
                section,
                subject, days_left, trusted, "the certificates were renewed"
            );
            if Validity::of(client, now) == Validity::NotYet {
                let validity = described(client, Validity::NotYet, now);
                warn!(
                    section,
                    subject, validity, "servers may refuse the renewed certificate"
                );
            }
        }
        None => info!(section, trusted, "the certificates were renewed"),
    }
}

#[cfg(test)]
mod tests;
