//! The orders, as HTTP. Each is answered when it has been given, which may be a moment before
//! every connection has noticed.

use std::sync::Arc;

use axum::extract::{Path, Query, State as Extract};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::Value;

use crate::cuts::Cuts;
use crate::state::{Mode, State};

type Shared = Extract<Arc<State>>;
type Refusal = (StatusCode, String);

#[derive(Deserialize)]
struct Plan {
    seed: u64,
    min: u64,
    max: u64,
}

#[derive(Deserialize)]
struct Target {
    port: u16,
}

pub(crate) fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/stats", get(stats))
        .route("/reset", post(reset))
        .route("/cuts", post(cuts))
        .route("/cuts/off", post(cuts_off))
        .route("/mode/{mode}", post(mode))
        .route("/target", post(target))
        .with_state(state)
}

async fn stats(Extract(state): Shared) -> Json<Value> {
    Json(state.stats())
}

async fn reset(Extract(state): Shared) -> Json<Value> {
    state.reset_all();
    Json(state.stats())
}

async fn cuts(Extract(state): Shared, Query(plan): Query<Plan>) -> Result<Json<Value>, Refusal> {
    let cuts = Cuts::new(plan.seed, plan.min, plan.max);
    state.set_cuts(Some(cuts.map_err(|error| refuse(&error.to_string()))?));
    Ok(Json(state.stats()))
}

async fn cuts_off(Extract(state): Shared) -> Json<Value> {
    state.set_cuts(None);
    Json(state.stats())
}

async fn mode(Extract(state): Shared, Path(mode): Path<String>) -> Result<Json<Value>, Refusal> {
    state.set_mode(match mode.as_str() {
        "forward" => Mode::Forward,
        "black-hole" => Mode::BlackHole,
        "refuse" => Mode::Refuse,
        _ => return Err(refuse("the mode must be forward, black-hole or refuse")),
    });
    Ok(Json(state.stats()))
}

async fn target(Extract(state): Shared, Query(target): Query<Target>) -> Json<Value> {
    state.set_target_port(target.port);
    Json(state.stats())
}

fn refuse(message: &str) -> Refusal {
    (StatusCode::BAD_REQUEST, message.to_owned())
}
