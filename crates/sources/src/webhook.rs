//! Events by HTTP: one, an array, or one per line, in the body of a POST.
//!
//! A body is taken whole or not at all, and by default the sender is told only when its events are
//! safe. The listener stays up to the very end and refuses with 503 rather than with a closed port:
//! the webhook extension of Phase Two tries again after an answer, and never after a refused or
//! reset connection.
//!
//! Nothing is authenticated yet, so anything but loopback must be asked for by name.

mod answer;
mod body;
mod events;
mod server;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use kete_config::{Key, KeyTable, Positive, Setting, Size};
use kete_pipeline::{Intake, Source, SourceError, SourceKind, SourcePlan, SourceSection, Stop};
use tokio::net::TcpListener;
use tracing::{info, warn};

use self::answer::Receiver;
use self::server::Bounds;
use crate::realm_names::{REALM, REALM_NAMES, RealmNames};

/// The value of `kind`.
pub(crate) const NAME: &str = "webhook";

pub(crate) const KIND: SourceKind = SourceKind {
    name: NAME,
    doc: "takes events by HTTP POST: one, a JSON array, or one per line",
    keys: KEYS,
    check,
};

static BIND: Key<SocketAddr> = Key::with_default(
    "bind",
    "127.0.0.1:8088",
    "the address and port to listen on",
);
static PATH: Key<Path> =
    Key::with_default("path", "/events", "the path to which events are posted");
static MAX_BODY_SIZE: Key<Positive<Size>> = Key::with_default(
    "max-body-size",
    "1MiB",
    "the most bytes of a body; larger ones get 413",
);
static RESPOND_WHEN: Key<RespondWhen> = Key::with_default(
    "respond-when",
    "safe",
    "when the sender is told that its events were taken: safe is when no crash of kete can lose \
     them any more, queued is at once and outside the promise while the queue is in memory",
);
// Keycloak's HTTP client gives up after 5 s without an answer, and the extension does not send
// again then; it does after a 503. So the answer has to come first.
static RESPOND_TIMEOUT: Key<Positive<Duration>> = Key::with_default(
    "respond-timeout",
    "4s",
    "how long to wait until the events are safe; after that the answer is 503 and the events \
     stay queued. Keycloak's own HTTP client gives up after 5 s and does not try again then",
);
static ALLOW_UNAUTHENTICATED: Key<bool> = Key::with_default(
    "allow-unauthenticated",
    "false",
    "true lets `bind` be an address that other machines can reach, and with that anybody who \
     can reach it send events",
);

static KEYS: KeyTable = &[
    &BIND,
    &PATH,
    &MAX_BODY_SIZE,
    &RESPOND_WHEN,
    &RESPOND_TIMEOUT,
    &REALM,
    &REALM_NAMES,
    &ALLOW_UNAUTHENTICATED,
];

/// The path that takes events.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Path(String);

impl Setting for Path {
    const EXPECTED: &'static str = "a path such as /events";
    const BLANK_IS_ABSENT: bool = true;

    fn parse(text: &str) -> Result<Path, String> {
        if !text.starts_with('/') {
            return Err("it must begin with /".to_owned());
        }
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"?#".contains(&byte);
        if !text.bytes().all(plain) {
            return Err("it must be a path only, written as it appears in a URL".to_owned());
        }
        Ok(Path(text.to_owned()))
    }
}

/// When the sender gets its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RespondWhen {
    /// When the events are safe.
    Safe,
    /// When they are in the queue.
    Queued,
}

kete_config::setting_words!(RespondWhen { Safe = "safe", Queued = "queued" });

/// What the section of a webhook says.
#[derive(Debug)]
struct Settings {
    bind: SocketAddr,
    path: String,
    max_body_size: usize,
    respond_when: RespondWhen,
    respond_timeout: Duration,
    realm_names: RealmNames,
}

fn check(section: &SourceSection<'_>) -> Option<Box<dyn SourcePlan>> {
    let scope = section.scope;
    let bind = scope.read(&BIND);
    let path = scope.read(&PATH);
    let max_body_size = scope.read(&MAX_BODY_SIZE);
    let respond_when = scope.read(&RESPOND_WHEN);
    let respond_timeout = scope.read(&RESPOND_TIMEOUT);
    let allow_unauthenticated = scope.read(&ALLOW_UNAUTHENTICATED);
    let realm_names = RealmNames::read(scope);
    let bind = bind?;
    if allow_unauthenticated == Some(false) && !is_loopback(bind) {
        let message = "other machines can reach this address, and senders are not authenticated";
        let help = format!(
            "bind to 127.0.0.1:{}, or say that it is meant: {}=true",
            bind.port(),
            scope.full_name("allow-unauthenticated"),
        );
        scope.reject("bind", "open-webhook", message, help);
        return None;
    }
    allow_unauthenticated?;
    let settings = Settings {
        bind,
        path: path?.0,
        max_body_size: max_body_size?.0.as_usize(),
        respond_when: respond_when?,
        respond_timeout: respond_timeout?.0,
        realm_names,
    };
    Some(Box::new(Plan {
        name: Arc::from(section.name),
        settings,
    }))
}

fn is_loopback(bind: SocketAddr) -> bool {
    bind.ip().to_canonical().is_loopback()
}

struct Plan {
    name: Arc<str>,
    settings: Settings,
}

impl Plan {
    async fn bind(self) -> Result<Webhook, SourceError> {
        let bind = self.settings.bind;
        let listener = TcpListener::bind(bind).await.map_err(|error| SourceError {
            name: self.name.to_string(),
            problem: format!(
                "cannot listen on {bind}: {error}; stop what listens there, or choose another \
                 address with kete.sources.{}.bind",
                self.name
            ),
        })?;
        Ok(Webhook {
            settings: self.settings,
            listener,
            bounds: Bounds::default(),
        })
    }
}

impl SourcePlan for Plan {
    fn finite(&self) -> bool {
        false
    }

    fn build(self: Box<Self>) -> BoxFuture<'static, Result<Box<dyn Source>, SourceError>> {
        async { Ok(Box::new(self.bind().await?) as Box<dyn Source>) }.boxed()
    }
}

/// A webhook that has its port.
struct Webhook {
    settings: Settings,
    listener: TcpListener,
    bounds: Bounds,
}

impl Webhook {
    async fn serve(self, intake: Intake, stop: Stop) -> Result<(), SourceError> {
        let (bind, path) = (self.settings.bind, self.settings.path.clone());
        let address = self.listener.local_addr().unwrap_or(bind);
        info!(source = intake.source(), %address, path, "listening for events");
        if !is_loopback(bind) {
            let source = intake.source();
            warn!(source, %address, "anybody who can reach this address can send events");
        }
        let receiver = Receiver::new(self.settings, self.bounds, intake, stop.clone());
        server::serve(self.listener, Arc::new(receiver), stop).await;
        Ok(())
    }
}

impl Source for Webhook {
    fn run(
        self: Box<Self>,
        intake: Intake,
        stop: Stop,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        self.serve(intake, stop).boxed()
    }
}

#[cfg(test)]
mod tests;
