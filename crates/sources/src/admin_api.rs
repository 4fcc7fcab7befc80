//! Events from Keycloak's own store, polled over its Admin REST API.
//!
//! Works with any Keycloak from 26.2 on that has its event store switched on, finds what happened
//! while kete was away as long as the store keeps it, and needs nothing but a service account with
//! the role `view-events`. Each kind of event of each realm is polled by a [`Poller`] of its own,
//! so that what fails for one does not hold up the others. No failure ends the source.
//!
//! With a durable queue polling goes on after a restart where it stopped. With a queue in memory it
//! begins at `start-from` again; from when each poller would miss nothing is logged at the end.

mod access;
mod bookmark;
mod client;
mod clock;
mod cursor;
mod failures;
mod poller;
mod settings;
mod start_from;

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{self, BoxFuture};
use kete_pipeline::{
    Certificate, CertificateReader, Intake, Source, SourceError, SourceKind, SourcePlan,
    SourceSection, Stop,
};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::access::Access;
use self::bookmark::Bookmark;
use self::client::{AdminApi, EventKind};
use self::poller::Poller;
use self::settings::Settings;

/// The value of `kind`.
pub(crate) const NAME: &str = "admin-api";

pub(crate) const KIND: SourceKind = SourceKind {
    name: NAME,
    doc: "polls the event store of Keycloak 26.2 or later over its Admin REST API",
    keys: settings::KEYS,
    check,
};

/// So many requests run at one time, however many realms there are.
const REQUESTS_AT_ONCE: usize = 4;

fn check(section: &SourceSection<'_>) -> Option<Box<dyn SourcePlan>> {
    let settings = Settings::read(section)?;
    Some(Box::new(Plan {
        name: Arc::from(section.name),
        settings,
    }))
}

struct Plan {
    name: Arc<str>,
    settings: Settings,
}

impl SourcePlan for Plan {
    fn finite(&self) -> bool {
        false
    }

    fn certificates(&self) -> Vec<Certificate> {
        access::named(self.settings.client.keycloak.tls.certificates())
    }

    fn build(self: Box<Self>) -> BoxFuture<'static, Result<Box<dyn Source>, SourceError>> {
        let Plan { name, settings } = *self;
        let source = AdminSource::new(settings).map(|source| Box::new(source) as Box<dyn Source>);
        let failed = |problem| SourceError {
            name: name.to_string(),
            problem,
        };
        future::ready(source.map_err(failed)).boxed()
    }
}

/// Polls several realms of one Keycloak.
struct AdminSource {
    settings: Arc<Settings>,
    access: Arc<Access>,
}

impl AdminSource {
    fn new(settings: Settings) -> Result<AdminSource, String> {
        let access = Access::new(&settings.client).map_err(|error| error.to_string())?;
        Ok(AdminSource {
            settings: Arc::new(settings),
            access: Arc::new(access),
        })
    }

    async fn poll_all(self, intake: Intake, stop: Stop) -> Result<(), SourceError> {
        let failed = |problem| SourceError {
            name: intake.source().to_owned(),
            problem,
        };
        let requests = Arc::new(Semaphore::new(REQUESTS_AT_ONCE));
        let server = self.settings.client.keycloak.url.to_string();
        let mut pollers = JoinSet::new();
        for realm in &self.settings.realms {
            let tokens = self.access.tokens(self.settings.auth_realm(realm));
            for kind in self.settings.kinds() {
                let (access, requests) = (Arc::clone(&self.access), Arc::clone(&requests));
                let largest = self.settings.largest_answer;
                let place = (realm.as_str(), kind);
                let api = AdminApi::new(access, Arc::clone(&tokens), requests, place, largest);
                let bookmark = Bookmark::open(&intake, realm, kind, server.clone()).await;
                let bookmark = bookmark.map_err(failed)?;
                let settings = Arc::clone(&self.settings);
                let poller = Poller::new(api, settings, intake.clone(), bookmark);
                pollers.spawn(poller.run(stop.clone()));
            }
        }
        while let Some(ended) = pollers.join_next().await {
            // One that panicked polls nothing any more, and nobody would notice.
            ended.map_err(|panic| failed(format!("a poller ended unexpectedly: {panic}")))?;
        }
        Ok(())
    }
}

impl Source for AdminSource {
    fn run(
        self: Box<Self>,
        intake: Intake,
        stop: Stop,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        self.poll_all(intake, stop).boxed()
    }

    fn certificates(&self) -> Option<CertificateReader> {
        let access = Arc::clone(&self.access);
        Some(Arc::new(move || access.certificates()))
    }
}

impl Settings {
    fn kinds(&self) -> impl Iterator<Item = EventKind> {
        let user = self.user_events.then_some(EventKind::User);
        user.into_iter()
            .chain(self.admin_events.then_some(EventKind::Admin))
    }
}

#[cfg(test)]
mod tests;
