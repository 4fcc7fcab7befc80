//! Sources and destinations in memory, for the tests of what stands between them.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use kete_event::Event;
use kete_pipeline::dead_letters::Place;
use kete_pipeline::lane::{LaneSettings, Ordering as LaneOrdering};
use kete_pipeline::{
    Certificate, CertificateReader, ConnectFailure, ConnectFailureKind, Connection,
    ConnectionEvent, DeadLetterSettings, DeadLetters, Destination, EventFailure, FailureReason,
    Intake, IntakeError, LaneSpec, Link, Outgoing, Prepared, Receipt, Record, Source, SourceError,
    SourceSpec, Stop, Supervisor, Telemetry,
};
use kete_queue::{ConsumerLimits, Limits, Memory, Queue, StartFrom, WhenFull, WhenLagging};
use kete_routes::{MatchSet, Retry, RouteRules};
use tokio::sync::{mpsc, oneshot};

pub(crate) const ROOMY: Limits = Limits {
    max_events: 1000,
    max_bytes: 1 << 20,
    when_full: WhenFull::Refuse,
};

/// A destination that keeps what arrives, while it is up.
#[derive(Clone, Default)]
pub(crate) struct Shelf {
    pub(crate) arrived: Arc<Mutex<Vec<Bytes>>>,
    /// The ids of the replays among it.
    pub(crate) replayed: Arc<Mutex<Vec<String>>>,
    /// It takes replays and says nothing.
    pub(crate) ignores_replays: Arc<AtomicBool>,
    /// How often it was closed.
    pub(crate) closes: Arc<AtomicUsize>,
    pub(crate) down: Arc<AtomicBool>,
    pub(crate) connects: Arc<AtomicUsize>,
    /// It takes events and says nothing.
    pub(crate) silent: Arc<AtomicBool>,
    /// Bodies that contain this cannot be sent.
    pub(crate) unsendable: Option<&'static str>,
    /// Bodies that contain this are refused.
    pub(crate) refused: Option<&'static str>,
    /// How many days each of its certificates is still valid.
    pub(crate) certificates: Vec<u32>,
}

impl Shelf {
    pub(crate) fn bodies(&self) -> Vec<String> {
        let text = |body: &Bytes| String::from_utf8(body.to_vec()).unwrap();
        self.arrived.lock().unwrap().iter().map(text).collect()
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        let id = |body: &String| {
            let event: serde_json::Value = serde_json::from_str(body).unwrap();
            event["id"].as_str().unwrap().to_owned()
        };
        self.bodies().iter().map(id).collect()
    }

    pub(crate) fn replayed(&self) -> Vec<String> {
        self.replayed.lock().unwrap().clone()
    }

    pub(crate) fn set_silent(&self, silent: bool) {
        self.silent.store(silent, Ordering::SeqCst);
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }
}

struct ShelfConnection {
    shelf: Shelf,
    events: mpsc::Sender<ConnectionEvent>,
}

impl Destination for Shelf {
    fn prepare(&self, record: &Record) -> Result<Prepared, EventFailure> {
        let text = String::from_utf8_lossy(&record.body);
        assert!(!text.contains("a-mistake-of-ours"), "the test asked for it");
        if self.unsendable.is_some_and(|word| text.contains(word)) {
            let reason = FailureReason::Serialization;
            return Err(EventFailure::Permanent {
                reason,
                detail: "unsendable".to_owned(),
            });
        }
        Ok(Prepared {
            subject: Arc::from("event"),
            payload: record.body.clone(),
        })
    }

    fn connect(&self) -> BoxFuture<'_, Result<Link, ConnectFailure>> {
        async {
            self.connects.fetch_add(1, Ordering::SeqCst);
            if self.down.load(Ordering::SeqCst) {
                let kind = ConnectFailureKind::Unreachable;
                return Err(ConnectFailure {
                    kind,
                    message: "the shelf is down".to_owned(),
                });
            }
            let (sender, events) = mpsc::channel(1000);
            let connection = ShelfConnection {
                shelf: self.clone(),
                events: sender,
            };
            Ok(Link {
                connection: Box::new(connection),
                events,
                peer: Arc::from("shelf"),
            })
        }
        .boxed()
    }

    fn max_connections(&self) -> usize {
        4
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.closes.fetch_add(1, Ordering::SeqCst);
        std::future::ready(()).boxed()
    }

    fn certificates(&self) -> Option<CertificateReader> {
        const DAY: Duration = Duration::from_secs(86_400);
        let days = self.certificates.clone();
        let now = SystemTime::now();
        let certificate = move |days: &u32| Certificate {
            store: "shelf.trust-store".to_owned(),
            subject: "CN=shelf".to_owned(),
            issuer: "CN=shelf".to_owned(),
            not_before: now,
            // Half a day more, so that whole days are the same a moment later.
            not_after: now + *days * DAY + DAY / 2,
        };
        Some(Arc::new(move || days.iter().map(certificate).collect()))
    }
}

impl Connection for ShelfConnection {
    fn send(&mut self, batch: Vec<Outgoing>) {
        if self.shelf.down.load(Ordering::SeqCst) {
            let kind = ConnectFailureKind::Ended;
            let failure = ConnectFailure {
                kind,
                message: "the shelf fell".to_owned(),
            };
            self.events
                .try_send(ConnectionEvent::Lost(failure))
                .unwrap();
            return;
        }
        let is_replay = batch[0].record.is_replay();
        let ignored = is_replay && self.shelf.ignores_replays.load(Ordering::SeqCst);
        if self.shelf.silent.load(Ordering::SeqCst) || ignored {
            return;
        }
        let through = batch.last().unwrap().ticket;
        let (refused, batch): (Vec<_>, Vec<_>) = batch.into_iter().partition(|outgoing| {
            let text = String::from_utf8_lossy(&outgoing.prepared.payload);
            self.shelf.refused.is_some_and(|word| text.contains(word))
        });
        for Outgoing { ticket, .. } in refused {
            let detail = "refused".to_owned();
            let failure = EventFailure::Refused { detail };
            let failed = ConnectionEvent::Failed { ticket, failure };
            self.events.try_send(failed).unwrap();
        }
        if is_replay {
            let id = |outgoing: &Outgoing| outgoing.record.header.event_id.to_string();
            let ids = batch.iter().map(id);
            self.shelf.replayed.lock().unwrap().extend(ids);
        }
        let bodies = batch.into_iter().map(|outgoing| outgoing.prepared.payload);
        self.shelf.arrived.lock().unwrap().extend(bodies);
        self.events
            .try_send(ConnectionEvent::Confirmed { through })
            .unwrap();
    }

    fn probe(&mut self) {
        self.events.try_send(ConnectionEvent::Proven).unwrap();
    }

    fn release(self: Box<Self>) {}

    fn close(self: Box<Self>) {}

    fn abort(self: Box<Self>) {}
}

/// A source that hands its intake to the test and stays until it is told to leave.
pub(crate) struct Hand(oneshot::Sender<Intake>);

pub(crate) fn hand() -> (Hand, oneshot::Receiver<Intake>) {
    let (sender, receiver) = oneshot::channel();
    (Hand(sender), receiver)
}

impl Source for Hand {
    fn run(
        self: Box<Self>,
        intake: Intake,
        stop: Stop,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        async move {
            assert!(self.0.send(intake).is_ok());
            stop.ended().await;
            Ok(())
        }
        .boxed()
    }
}

/// A source that hands over its lines and ends.
pub(crate) struct Lines(pub(crate) Vec<String>);

impl Source for Lines {
    fn run(
        self: Box<Self>,
        intake: Intake,
        _stop: Stop,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        async move {
            for line in &self.0 {
                match submit(&intake, &[line]).await {
                    Ok(_receipt) => {}
                    Err(IntakeError::Stopping) => break,
                    Err(error) => panic!("{error}"),
                }
            }
            Ok(())
        }
        .boxed()
    }
}

pub(crate) async fn submit(intake: &Intake, events: &[&str]) -> Result<Receipt, IntakeError> {
    intake.submit(batch(intake, events)).await
}

pub(crate) fn batch(intake: &Intake, events: &[&str]) -> kete_pipeline::Batch {
    let mut batch = intake.batch();
    for event in events {
        batch.push(Event::parse(event.as_bytes()).unwrap());
    }
    batch
}

pub(crate) fn login(id: &str, user: &str) -> String {
    format!(
        r#"{{"id":"{id}","time":1,"type":"LOGIN","realmId":"r","realmName":"demo","userId":"{user}"}}"#
    )
}

pub(crate) fn limits() -> ConsumerLimits {
    ConsumerLimits {
        max_lag_bytes: u64::MAX,
        when_full: WhenLagging::Refuse,
    }
}

pub(crate) fn lane(name: &str, destination: Shelf) -> LaneSpec {
    let everything = || MatchSet::everything();
    LaneSpec {
        name: Arc::from(name),
        rules: Arc::new(RouteRules {
            realm: everything(),
            event: everything(),
        }),
        retry: Retry {
            max_attempts: 3,
            wait: Duration::from_millis(500),
        },
        lane: LaneSettings {
            max_in_flight: 8,
            max_in_flight_bytes: 1 << 20,
            ordering: LaneOrdering::User,
            confirm_timeout: Duration::from_secs(30),
            initial_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(30),
            auth_failure_delay: Duration::from_secs(30),
            one_per_key: false,
        },
        limits: limits(),
        start_from: StartFrom::Now,
        destination: Arc::new(destination),
    }
}

pub(crate) fn source(name: &str, finite: bool, source: impl Source + 'static) -> SourceSpec {
    let drops_repeats = false;
    SourceSpec {
        name: Arc::from(name),
        finite,
        drops_repeats,
        source: Box::new(source),
    }
}

pub(crate) struct Machine {
    pub(crate) supervisor: Supervisor,
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) telemetry: Arc<Telemetry>,
}

pub(crate) fn machine(limits: Limits) -> Machine {
    machine_with(limits, DeadLetters::none())
}

/// A store in this file.
pub(crate) fn dead_letters(path: &Path, max_bytes: u64) -> DeadLetters {
    let settings = DeadLetterSettings {
        place: Place::File(path.to_owned()),
        max_bytes,
        max_age: None,
    };
    DeadLetters::open(&settings).unwrap()
}

pub(crate) fn machine_with(limits: Limits, dead_letters: DeadLetters) -> Machine {
    machine_on(Arc::new(Memory::new(limits)), dead_letters)
}

pub(crate) fn machine_on(queue: Arc<dyn Queue>, dead_letters: DeadLetters) -> Machine {
    let telemetry = Telemetry::new();
    let letters = Arc::new(dead_letters);
    let supervisor = Supervisor::new(Arc::clone(&queue), letters, 100, Arc::clone(&telemetry));
    Machine {
        supervisor,
        queue,
        telemetry,
    }
}

impl Machine {
    /// The intake of a source that stays until the end.
    pub(crate) async fn intake(&mut self, drops_repeats: bool) -> Intake {
        let (hand, intake) = hand();
        let mut spec = source("hand", false, hand);
        spec.drops_repeats = drops_repeats;
        self.supervisor.add_source(spec);
        intake.await.unwrap()
    }

    /// Waits until a line of the metrics says so.
    pub(crate) async fn metric(&self, line: &str) {
        let has = || self.telemetry.encode().lines().any(|one| one == line);
        let waited = async {
            while !has() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(600), waited)
            .await
            .is_err()
        {
            panic!("no metric {line} in\n{}", self.telemetry.encode());
        }
    }
}
