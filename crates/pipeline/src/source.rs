//! What a source is: something that hands events to intake until it is told to stop.
//!
//! Checking, building and running are three steps. A [`SourceKind`] checks a section of the
//! configuration and returns a [`SourcePlan`]; building the plan may touch the world (it binds a
//! port); running it takes events in.

use futures_util::future::BoxFuture;
use kete_config::{Diagnostics, KeyTable, Scope, Settings};
use tokio_util::sync::CancellationToken;

use crate::{Certificate, CertificateReader, Intake};

/// A kind of source, as `kete.sources.<name>.kind` names it.
pub struct SourceKind {
    /// The value of `kind`.
    pub name: &'static str,
    /// One sentence for the reference.
    pub doc: &'static str,
    /// Its keys below `kete.sources.<name>.`, without `kind`.
    pub keys: KeyTable,
    /// Reads and checks its section; `None` means that diagnostics say why.
    pub check: fn(&SourceSection<'_>) -> Option<Box<dyn SourcePlan>>,
}

/// What a source may read when it is checked.
pub struct SourceSection<'s> {
    /// The name of the source.
    pub name: &'s str,
    /// Its own keys.
    pub scope: &'s Scope<'s>,
    /// Everything, for keys that sources share, such as `kete.keycloak.*`.
    pub settings: &'s Settings,
    /// Where to report what is wrong.
    pub diagnostics: &'s Diagnostics,
}

/// A source whose configuration is right.
pub trait SourcePlan: Send + Sync {
    /// Whether it ends by itself. When every source is finite, the end of input ends the process.
    fn finite(&self) -> bool;

    /// The certificates in the stores that its settings name, as they were when it was checked.
    fn certificates(&self) -> Vec<Certificate> {
        Vec::new()
    }

    /// Takes what the source needs of the machine, such as a port, and starts nothing.
    fn build(self: Box<Self>) -> BoxFuture<'static, Result<Box<dyn Source>, SourceError>>;
}

/// A source that is ready to run.
pub trait Source: Send {
    /// Hands events to intake until the input ends or [`Stop::requested`].
    fn run(
        self: Box<Self>,
        intake: Intake,
        stop: Stop,
    ) -> BoxFuture<'static, Result<(), SourceError>>;

    /// What tells the certificates that are in use, if there are any.
    fn certificates(&self) -> Option<CertificateReader> {
        None
    }
}

/// Why a source could not be built, or ended.
#[derive(Debug, thiserror::Error)]
#[error("source {name}: {problem}")]
pub struct SourceError {
    /// The name of the source.
    pub name: String,
    /// What went wrong, where, and the way out.
    pub problem: String,
}

/// Tells a source when to stop. Clones tell the same.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    requested: CancellationToken,
    ended: CancellationToken,
}

impl Stop {
    /// One that has not been requested.
    #[must_use]
    pub fn new() -> Stop {
        Stop::default()
    }

    /// One that follows this one and can also be requested alone.
    #[must_use]
    pub fn child(&self) -> Stop {
        Stop {
            requested: self.requested.child_token(),
            ended: self.ended.child_token(),
        }
    }

    /// Resolves when no more events may be taken. A source that answers its callers goes on to
    /// answer them, with a refusal, until [`ended`](Stop::ended).
    pub async fn requested(&self) {
        self.requested.cancelled().await;
    }

    /// Whether no more events may be taken.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.requested.is_cancelled()
    }

    /// Resolves when everything that was taken is settled or given up: time to leave.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Asks to take nothing more.
    pub fn request(&self) {
        self.requested.cancel();
    }

    /// Says that everything that was taken is settled or given up.
    pub fn end(&self) {
        self.requested.cancel();
        self.ended.cancel();
    }
}
