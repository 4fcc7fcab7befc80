//! What operators and orchestrators ask: metrics and health, over HTTP, on an address of its own.
//!
//! Off until `kete.admin.bind` is set. It answers `GET` only, changes nothing, and shows no secret
//! and no event: its labels are names from the configuration. It may therefore be bound to any
//! address, which is what probes and scrapers from other machines need.
//!
//! Ready means that kete takes events; it does not mean that a destination is up, because taking
//! events while a destination is down is what the queue is for.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use kete_pipeline::{Stop, Telemetry};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::listener::{Bounded, Limits};

/// A few scrapers and probes at a time, and half a minute for each to say what it wants.
const LIMITS: Limits = Limits {
    connections: 32,
    patience: Duration::from_secs(30),
};
/// How long answers that are under way at the end may take.
const CLOSING: Duration = Duration::from_secs(1);

/// What `prometheus-client` writes, as <https://prometheus.io/docs/specs/om/open_metrics_spec/>
/// names it.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const JSON: &str = "application/json";

const INDEX: &str = "\
kete
  /metrics       counters and gauges in the text format of Prometheus
  /health/live   200 while the process works
  /health/ready  200 while kete takes events, 503 while it starts or stops
";

/// Whether kete takes events; clones know the same.
#[derive(Debug, Clone)]
pub(crate) struct Readiness {
    running: Arc<AtomicBool>,
    stop: Stop,
}

/// The running server.
pub(crate) struct Admin {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Why the address could not be taken.
#[derive(Debug, thiserror::Error)]
#[error("kete.admin.bind: cannot listen on {address}: {problem}")]
pub(crate) struct BindError {
    address: SocketAddr,
    problem: std::io::Error,
}

#[derive(Clone)]
struct Shared {
    telemetry: Arc<Telemetry>,
    readiness: Readiness,
}

impl Readiness {
    /// Not ready; and never again once `stop` is requested.
    pub(crate) fn new(stop: Stop) -> Readiness {
        Readiness {
            running: Arc::default(),
            stop,
        }
    }

    /// Says that events are taken from now on.
    pub(crate) fn running(&self) {
        self.running.store(true, Ordering::Relaxed);
    }

    fn status(&self) -> (StatusCode, &'static str) {
        if self.stop.is_requested() {
            (StatusCode::SERVICE_UNAVAILABLE, "stopping")
        } else if self.running.load(Ordering::Relaxed) {
            (StatusCode::OK, "ready")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "starting")
        }
    }
}

impl Admin {
    /// Takes the address and starts to answer.
    ///
    /// # Errors
    ///
    /// The address cannot be taken, for instance because another process has it.
    pub(crate) async fn start(
        address: SocketAddr,
        telemetry: Arc<Telemetry>,
        readiness: Readiness,
    ) -> Result<Admin, BindError> {
        let wrong = |problem| BindError { address, problem };
        let listener = TcpListener::bind(address).await.map_err(wrong)?;
        let address = listener.local_addr().map_err(wrong)?;
        let listener = Bounded::new(listener, LIMITS);
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let server = axum::serve(
            listener,
            router(Shared {
                telemetry,
                readiness,
            }),
        );
        let task = tokio::spawn(async move {
            // It never returns an error: accept goes on after each.
            let _never = server.with_graceful_shutdown(stopped).await;
        });
        Ok(Admin {
            address,
            stop,
            task,
        })
    }

    /// Where it listens, with the port that the system chose if 0 was asked for.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Finishes the answers that are under way, and ends.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        if timeout(CLOSING, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

fn router(shared: Shared) -> Router {
    Router::new()
        .route("/", get(|| async { INDEX }))
        .route("/metrics", get(metrics))
        .route(
            "/health/live",
            get(|| async { health(StatusCode::OK, "live") }),
        )
        .route("/health/ready", get(ready))
        .fallback(|| async { error(StatusCode::NOT_FOUND, "there is nothing here, see /") })
        .method_not_allowed_fallback(|| async {
            error(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered")
        })
        .with_state(shared)
}

async fn metrics(State(shared): State<Shared>) -> Response {
    (
        [(header::CONTENT_TYPE, OPEN_METRICS)],
        shared.telemetry.encode(),
    )
        .into_response()
}

async fn ready(State(shared): State<Shared>) -> Response {
    let (code, status) = shared.readiness.status();
    health(code, status)
}

/// `word` needs no escaping in JSON: it is always one of the words above.
fn health(code: StatusCode, word: &'static str) -> Response {
    json(code, format!("{{\"status\":\"{word}\"}}\n"))
}

fn error(code: StatusCode, words: &'static str) -> Response {
    json(code, format!("{{\"error\":\"{words}\"}}\n"))
}

fn json(code: StatusCode, body: String) -> Response {
    (code, [(header::CONTENT_TYPE, JSON)], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_only_between_start_and_stop() {
        let stop = Stop::new();
        let readiness = Readiness::new(stop.clone());
        assert_eq!(
            readiness.status(),
            (StatusCode::SERVICE_UNAVAILABLE, "starting")
        );
        readiness.running();
        assert_eq!(readiness.status(), (StatusCode::OK, "ready"));
        stop.request();
        assert_eq!(
            readiness.status(),
            (StatusCode::SERVICE_UNAVAILABLE, "stopping")
        );
    }
}
