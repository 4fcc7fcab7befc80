//! What a request is answered.
//!
//! | answer | when |
//! |---|---|
//! | 200 `{"accepted":2,"ignored":0}` | all events of the body are safe, or queued if that is enough |
//! | 400 | the body is not events; nothing of it was taken |
//! | 404, 405 | another path, another method |
//! | 408 | the body came too slowly |
//! | 413 | the body is larger than allowed, or could never fit into the queue |
//! | 503 with `Retry-After` | the queue is full or cannot be written; the events are not taken, or not safe, in time; the end |
//!
//! Every refusal has a body `{"error":"…"}` that says why.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, EXPECT, HeaderValue, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use kete_config::Size;
use kete_pipeline::{Batch, Intake, IntakeError, Receipt, Stop};
use serde_json::json;
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::warn;

use super::body::{self, BodyError};
use super::events::{self, BadBody, Counts};
use super::server::Bounds;
use super::{RespondWhen, Settings};
use crate::complaints::Complaints;

/// Seconds after which a sender that was sent away may come again.
const RETRY_AFTER_SECONDS: &str = "2";

pub(super) type Answer = Response<Full<Bytes>>;

/// Takes the events of requests.
pub(super) struct Receiver {
    settings: Settings,
    bounds: Bounds,
    intake: Intake,
    stop: Stop,
    complaints: Mutex<Complaints>,
}

/// Why events were not taken, or not known to be safe.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("there is nothing here, events are posted to {path}")]
    WrongPath { path: String },
    #[error("events are posted, this method does nothing here")]
    WrongMethod,
    #[error("the body is larger than {0} (max-body-size)", Size(*.limit as u64))]
    TooLarge { limit: usize },
    #[error("{0}")]
    NeverFits(String),
    #[error("{0}")]
    Bad(BadBody),
    #[error("the body did not come in time")]
    Slow,
    #[error("the body is cut off")]
    Broken,
    #[error("{0}")]
    Full(String),
    #[error("the events are queued, but not safe yet; those with an id may be sent again")]
    NotSafeYet,
    #[error("the events were not taken in time and may be sent again")]
    NotTakenInTime,
    #[error("kete is stopping")]
    Stopping,
}

impl Receiver {
    pub(super) fn new(settings: Settings, bounds: Bounds, intake: Intake, stop: Stop) -> Receiver {
        let complaints = Mutex::new(Complaints::new(Instant::now()));
        Receiver {
            settings,
            bounds,
            intake,
            stop,
            complaints,
        }
    }

    pub(super) fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// Answers one request. If the sender goes away, what was queued stays queued.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Answer {
        match self.take(request).await {
            Ok(Counts { events, ignored }) => answer(
                StatusCode::OK,
                &json!({ "accepted": events, "ignored": ignored }),
            ),
            Err(refusal) => {
                self.note(&refusal);
                refusal.into_answer()
            }
        }
    }

    async fn take(&self, request: Request<Incoming>) -> Result<Counts, Refusal> {
        if request.uri().path() != self.settings.path {
            return Err(Refusal::WrongPath {
                path: self.settings.path.clone(),
            });
        }
        if request.method() != Method::POST {
            return Err(Refusal::WrongMethod);
        }
        if self.stop.is_requested() {
            return Err(Refusal::Stopping);
        }
        let waits = request.headers().contains_key(EXPECT);
        let limit = self.settings.max_body_size;
        let body = body::read(request.into_body(), limit, &self.bounds, waits).await;
        let (batch, counts) = self.batch(&body.map_err(|error| refused(error, limit))?)?;
        let deadline = Instant::now() + self.settings.respond_timeout;
        // A disk that hangs must not keep the sender waiting until it gives up. What is not taken
        // by then is not taken at all.
        let taken = timeout_at(deadline, self.intake.try_submit(batch)).await;
        let receipt = taken.map_err(|_late| Refusal::NotTakenInTime)??;
        match self.settings.respond_when {
            RespondWhen::Queued => Ok(counts),
            RespondWhen::Safe => self.settled(&receipt, deadline).await.map(|()| counts),
        }
    }

    fn batch(&self, body: &[u8]) -> Result<(Batch, Counts), Refusal> {
        let mut batch = self.intake.batch();
        let counts = events::each(body, |event| {
            // Its lifetime must shrink to that of the names.
            let mut event = event;
            self.settings
                .realm_names
                .fill_in(&mut event, self.intake.source());
            batch.push(event);
        })
        .map_err(Refusal::Bad)?;
        Ok((batch, counts))
    }

    async fn settled(&self, receipt: &Receipt, deadline: Instant) -> Result<(), Refusal> {
        tokio::select! {
            // What has settled by the end counts, so this is looked at first.
            biased;
            settled = receipt.settled() => settled.map_err(|_lost| Refusal::Stopping),
            () = self.stop.ended() => Err(Refusal::NotSafeYet),
            () = sleep_until(deadline) => Err(Refusal::NotSafeYet),
        }
    }

    /// Counts and logs bodies that were no events: their sender may not look at the answer.
    fn note(&self, refusal: &Refusal) {
        if !refusal.is_about_the_body() {
            return;
        }
        self.intake.bad(1);
        let mut complaints = self
            .complaints
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(left_out) = complaints.admit(Instant::now()) {
            let source = self.intake.source();
            warn!(source, reason = %refusal, left_out, "refused a body");
        }
    }
}

fn refused(error: BodyError, limit: usize) -> Refusal {
    match error {
        BodyError::TooLarge => Refusal::TooLarge { limit },
        BodyError::Slow => Refusal::Slow,
        BodyError::Broken => Refusal::Broken,
    }
}

impl From<IntakeError> for Refusal {
    fn from(error: IntakeError) -> Refusal {
        match error {
            IntakeError::TooBig(reason) => Refusal::NeverFits(reason.to_string()),
            IntakeError::Stopping => Refusal::Stopping,
            full => Refusal::Full(full.for_senders()),
        }
    }
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Refusal::WrongPath { .. } => StatusCode::NOT_FOUND,
            Refusal::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::TooLarge { .. } | Refusal::NeverFits(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::Bad(_) | Refusal::Broken => StatusCode::BAD_REQUEST,
            Refusal::Slow => StatusCode::REQUEST_TIMEOUT,
            Refusal::Full(_)
            | Refusal::NotSafeYet
            | Refusal::NotTakenInTime
            | Refusal::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn is_about_the_body(&self) -> bool {
        use Refusal::{Bad, Broken, NeverFits, Slow, TooLarge};
        matches!(
            self,
            TooLarge { .. } | NeverFits(_) | Bad(_) | Slow | Broken
        )
    }

    fn into_answer(self) -> Answer {
        let status = self.status();
        let mut answer = answer(status, &json!({ "error": self.to_string() }));
        let headers = answer.headers_mut();
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        }
        answer
    }
}

fn answer(status: StatusCode, body: &serde_json::Value) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body.to_string())));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}
