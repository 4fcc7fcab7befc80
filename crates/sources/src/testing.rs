//! A whole pipeline for tests: a queue and a destination that keeps what it gets.

#[path = "../../pipeline/tests/supervisor/durable.rs"]
#[expect(dead_code, reason = "the tests of the pipeline use more of it")]
pub(crate) mod durable;
#[path = "../../pipeline/tests/supervisor/words.rs"]
pub(crate) mod words;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{self, BoxFuture};
use kete_credentials::keycloak::{Keycloak, PollingClient};
use kete_credentials::tls::TlsSettings;
use kete_credentials::{Secret, SecretText};
use kete_pipeline::lane::Ordering;
use kete_pipeline::{
    ConnectFailure, Connection, ConnectionEvent, DeadLetters, Destination, EventFailure,
    LaneSettings, LaneSpec, Link, Outgoing, Prepared, Record, Report, Source, SourceMetrics,
    SourceSpec, Stop, Supervisor, Telemetry,
};
use kete_queue::{ConsumerLimits, Limits, Memory, Queue, StartFrom, WhenFull, WhenLagging};
use kete_routes::{MatchMode, MatchSet, Matcher, Retry, RouteRules};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use url::Url;

/// How long a test waits for what must come.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// The bounds of the queue of a test.
pub(crate) const ROOMY: Limits = Limits {
    max_events: 20_000,
    max_bytes: 16 << 20,
    when_full: WhenFull::Refuse,
};

/// A running pipeline with one source.
pub(crate) struct Pipeline {
    pub(crate) collected: Collector,
    pub(crate) stop: Stop,
    telemetry: Arc<Telemetry>,
    shutdown: Option<oneshot::Sender<()>>,
    running: JoinHandle<Report>,
}

impl Pipeline {
    /// Runs a source into one route that takes everything and confirms at once.
    pub(crate) fn start(source: impl Source + 'static, finite: bool) -> Pipeline {
        Pipeline::with(
            source,
            finite,
            ROOMY,
            Collector::confirming(),
            RouteRules::default(),
        )
    }

    /// Runs a source with everything given.
    pub(crate) fn with(
        source: impl Source + 'static,
        finite: bool,
        limits: Limits,
        collected: Collector,
        rules: RouteRules,
    ) -> Pipeline {
        Pipeline::on(
            Arc::new(Memory::new(limits)),
            source,
            finite,
            collected,
            rules,
        )
    }

    /// Runs a source into a queue that is there.
    pub(crate) fn on(
        queue: Arc<dyn Queue>,
        source: impl Source + 'static,
        finite: bool,
        collected: Collector,
        rules: RouteRules,
    ) -> Pipeline {
        let telemetry = Telemetry::new();
        let limits = queue.limits();
        let dead_letters = Arc::new(DeadLetters::none());
        let mut supervisor = Supervisor::new(queue, dead_letters, 100, Arc::clone(&telemetry));
        supervisor.add_lane(lane(limits, rules, collected.clone()));
        supervisor.add_source(SourceSpec {
            name: Arc::from("test"),
            finite,
            drops_repeats: !finite,
            source: Box::new(source),
        });
        let stop = supervisor.stop_handle();
        let (shutdown, asked) = oneshot::channel();
        let shut_down = async {
            if asked.await.is_err() {
                future::pending::<()>().await;
            }
        };
        let running = tokio::spawn(supervisor.run(shut_down, Duration::from_secs(5)));
        Pipeline {
            collected,
            stop,
            telemetry,
            shutdown: Some(shutdown),
            running,
        }
    }

    /// The counters of the source.
    pub(crate) fn telemetry(&self) -> Arc<SourceMetrics> {
        self.telemetry.source(&Arc::from("test"))
    }

    /// Asks the pipeline to end.
    pub(crate) fn ask_to_stop(&mut self) {
        if let Some(shutdown) = self.shutdown.take() {
            let _ended_already = shutdown.send(());
        }
    }

    /// Ends it at once, as a crash does; what the queue holds stays.
    pub(crate) async fn killed(self) {
        self.running.abort();
        assert!(self.running.await.is_err(), "it had ended by itself");
    }

    /// Waits for the end, and asks for it first.
    pub(crate) async fn stopped(mut self) -> Report {
        self.ask_to_stop();
        self.ended().await
    }

    /// Waits for the end.
    pub(crate) async fn ended(self) -> Report {
        let Pipeline {
            running, shutdown, ..
        } = self;
        let report = tokio::time::timeout(SOON, running).await;
        drop(shutdown);
        report.expect("the pipeline ends").expect("nothing panics")
    }
}

fn lane(limits: Limits, rules: RouteRules, destination: Collector) -> LaneSpec {
    LaneSpec {
        name: Arc::from("route"),
        rules: Arc::new(rules),
        retry: Retry {
            max_attempts: 1,
            wait: Duration::from_millis(1),
        },
        lane: LaneSettings {
            max_in_flight: 4096,
            max_in_flight_bytes: 4 << 20,
            ordering: Ordering::User,
            confirm_timeout: SOON,
            initial_delay: Duration::from_millis(1),
            max_delay: Duration::from_millis(10),
            auth_failure_delay: Duration::from_millis(10),
            one_per_key: false,
        },
        limits: ConsumerLimits {
            max_lag_bytes: limits.max_bytes,
            when_full: WhenLagging::Refuse,
        },
        start_from: StartFrom::Now,
        destination: Arc::new(destination),
    }
}

/// Rules that take events of one type only.
pub(crate) fn only(event_type: &str) -> RouteRules {
    let matcher = Matcher::parse("only", &format!("list:{event_type}")).unwrap();
    RouteRules {
        realm: MatchSet::default(),
        event: MatchSet::new(MatchMode::Any, vec![matcher]),
    }
}

/// A destination that keeps the events, and confirms them when it may.
#[derive(Default, Clone)]
pub(crate) struct Collector(Arc<Collected>);

#[derive(Default)]
struct Collected {
    bodies: watch::Sender<Vec<Bytes>>,
    confirms: Mutex<Confirms>,
}

#[derive(Default)]
struct Confirms {
    held: bool,
    waiting: Vec<(mpsc::Sender<ConnectionEvent>, u64)>,
}

impl Collector {
    pub(crate) fn confirming() -> Collector {
        Collector::default()
    }

    /// One that takes events, and confirms none until [`Collector::release`].
    pub(crate) fn holding() -> Collector {
        let collector = Collector::default();
        collector.0.confirms.lock().unwrap().held = true;
        collector
    }

    /// Confirms what is waiting, and everything from now on.
    pub(crate) fn release(&self) {
        let mut confirms = self.0.confirms.lock().unwrap();
        confirms.held = false;
        for (events, through) in confirms.waiting.drain(..) {
            let _gone = events.try_send(ConnectionEvent::Confirmed { through });
        }
    }

    /// Waits until so many events have arrived; returns all, in the order of their arrival.
    pub(crate) async fn events(&self, count: usize) -> Vec<Value> {
        let mut bodies = self.0.bodies.subscribe();
        let enough = tokio::time::timeout(SOON, bodies.wait_for(|bodies| bodies.len() >= count));
        let came = enough.await.is_ok();
        assert!(came, "{} of {count} events arrived", self.so_far().len());
        self.so_far()
    }

    /// What has arrived until now.
    pub(crate) fn so_far(&self) -> Vec<Value> {
        let bodies = self.0.bodies.borrow();
        bodies
            .iter()
            .map(|body| serde_json::from_slice(body).unwrap())
            .collect()
    }

    /// The ids of what has arrived until now.
    pub(crate) fn ids(&self) -> Vec<String> {
        let id = |event: &Value| event["id"].as_str().unwrap().to_owned();
        self.so_far().iter().map(id).collect()
    }
}

impl Destination for Collector {
    fn prepare(&self, record: &Record) -> Result<Prepared, EventFailure> {
        Ok(Prepared {
            subject: Arc::from("event"),
            payload: record.body.clone(),
        })
    }

    fn connect(&self) -> BoxFuture<'_, Result<Link, ConnectFailure>> {
        let (reports, events) = mpsc::channel(8192);
        let connection = Box::new(Collecting {
            collected: Arc::clone(&self.0),
            reports,
        });
        future::ready(Ok(Link {
            connection,
            events,
            peer: Arc::from("collector"),
        }))
        .boxed()
    }

    fn max_connections(&self) -> usize {
        1
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        future::ready(()).boxed()
    }
}

struct Collecting {
    collected: Arc<Collected>,
    reports: mpsc::Sender<ConnectionEvent>,
}

impl Connection for Collecting {
    fn send(&mut self, batch: Vec<Outgoing>) {
        let Some(through) = batch.last().map(|last| last.ticket) else {
            return;
        };
        self.collected.bodies.send_modify(|bodies| {
            bodies.extend(batch.into_iter().map(|outgoing| outgoing.prepared.payload));
        });
        let mut confirms = self.collected.confirms.lock().unwrap();
        if confirms.held {
            confirms.waiting.push((self.reports.clone(), through));
        } else {
            let _gone = self
                .reports
                .try_send(ConnectionEvent::Confirmed { through });
        }
    }

    fn probe(&mut self) {
        let _gone = self.reports.try_send(ConnectionEvent::Proven);
    }

    fn release(self: Box<Self>) {}

    fn close(self: Box<Self>) {}

    fn abort(self: Box<Self>) {}
}

/// The client `kete` with the secret `hush`, of a Keycloak at this URL.
pub(crate) fn polling_client(url: &str) -> PollingClient {
    let url = Url::parse(url).unwrap();
    let tls = TlsSettings::default_for(&url);
    PollingClient {
        keycloak: Keycloak { url, tls },
        auth_realm: None,
        client_id: "kete".to_owned(),
        client_secret: SecretText::Given(Secret::new("hush".to_owned())),
    }
}
