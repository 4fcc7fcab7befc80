//! What a kete that runs answers about its queue, over the control socket.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use kete_pipeline::{Replayer, Telemetry};
use kete_queue::Queue;

use super::forget::{Forget, Forgotten, forget};
use super::replay::{self, Replay, Replayed};
use super::status::{Log, Status};
use crate::assemble::RouteNames;
use crate::control::{Answer, Question, Refused};

/// Where the state of the queue is asked for.
pub(super) const STATUS: &str = "/queue";
/// Where a route is forgotten.
pub(super) const FORGET: &str = "/queue/forget";

/// Where a part of a replay is asked for.
pub(super) const REPLAY: &str = "/queue/replay";

/// What the answers come from.
#[derive(Clone)]
pub(crate) struct LiveQueue {
    pub(crate) queue: Arc<dyn Queue>,
    /// Those of the configuration that runs.
    pub(crate) routes: Arc<RouteNames>,
    pub(crate) log: Log,
    pub(crate) replayer: Replayer,
    /// What the routes have dropped is counted here.
    pub(crate) telemetry: Arc<Telemetry>,
}

/// The part of the control socket that is about the queue.
pub(crate) fn router(live: LiveQueue) -> Router {
    Router::new()
        .route(STATUS, get(answer_status))
        .route(FORGET, post(answer_forget))
        .route(REPLAY, post(answer_replay))
        .with_state(live)
}

async fn answer_status(State(live): State<LiveQueue>) -> Result<Answer<Status>, Refused> {
    let status = Status::of(&*live.queue, &live.routes, live.log.clone(), true).await;
    let mut status = status.map_err(|problem| Refused::failed(problem.to_string()))?;
    status.count_dropped(|route| live.telemetry.dropped(route));
    Ok(Answer(status))
}

async fn answer_forget(
    State(live): State<LiveQueue>,
    Question(question): Question<Forget>,
) -> Result<Answer<Forgotten>, Refused> {
    let forgotten = forget(&*live.queue, &live.routes, question);
    if let Ok(forgotten) = &forgotten {
        let (route, events) = (&*forgotten.route, forgotten.events);
        tracing::warn!(
            route,
            events,
            "the place of a route is forgotten, as it was asked for"
        );
    }
    forgotten.map(Answer).map_err(Refused::failed)
}

async fn answer_replay(
    State(live): State<LiveQueue>,
    Question(question): Question<Replay>,
) -> Result<Answer<Replayed>, Refused> {
    replay::check_route(&live.routes, &question.route).map_err(Refused::wrong)?;
    let begins = question.progress.is_none();
    let route = question.route.clone();
    let replayed = replay::replay_part(&live.replayer, question, live.queue.durable()).await;
    if let Ok(replayed) = &replayed
        && (begins || replayed.progress.is_done())
    {
        let (events, done) = (replayed.progress.events, replayed.progress.is_done());
        tracing::info!(
            route,
            events,
            done,
            "a route is sent events again, as it was asked for"
        );
    }
    replayed.map(Answer).map_err(Refused::failed)
}
