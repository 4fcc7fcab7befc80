//! Renewal of files while they are in use.
//!
//! It is contents that count, not dates or notices of the file system: Kubernetes swaps symbolic
//! links, other tools write in place. What is new is used only if all of it is right together,
//! so that a certificate whose key is still being written is not.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::ClientConfig;
use tokio::sync::{Mutex, watch};
use tracing::{error, info, warn};

use super::configuration::configure;
use super::material::Material;
use super::problem::Problem;
use super::snapshot::Fingerprint;
use super::validity::{Validity, described};
use super::{Checked, TlsError};

/// How often files are looked at that no connection asks about.
const INTERVAL: Duration = Duration::from_secs(10);

/// A section at work.
pub(super) struct Renewing {
    checked: Arc<Checked>,
    /// Held while files are looked at, so that one renewal is made once.
    seen: Mutex<Seen>,
    used: RwLock<Used>,
    renewals: watch::Sender<u64>,
}

/// What the files held.
struct Seen {
    /// When what is in use was made from them.
    used: Fingerprint,
    /// When they were last found wrong; they are not judged again until they change.
    broken: Option<Fingerprint>,
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
            }),
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
        let mut seen = self.seen.lock().await;
        let checked = Arc::clone(&self.checked);
        let (used, broken) = (seen.used, seen.broken);
        let looked = tokio::task::spawn_blocking(move || look(&checked, used, broken));
        let section = self.checked.section.as_str();
        match looked.await {
            Ok(Look::Same) => {
                if seen.broken.take().is_some() {
                    info!(section, "the files hold again what is in use");
                }
            }
            Ok(Look::StillBroken) => {}
            Ok(Look::Broken(fingerprint, problems)) => {
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
            Ok(Look::Renewed(fingerprint, renewed)) => {
                *seen = Seen {
                    used: fingerprint,
                    broken: None,
                };
                report(section, &renewed.material);
                *self.used.write().unwrap_or_else(PoisonError::into_inner) = renewed;
                self.renewals.send_modify(|count| *count += 1);
            }
            // The runtime shuts down, and nobody will connect any more.
            Err(stopped) if stopped.is_cancelled() => {}
            Err(stopped) => error!(section, %stopped, "the files could not be looked at"),
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
