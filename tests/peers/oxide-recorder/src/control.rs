//! The HTTP side: what tests ask the recorder, and the refusal of a wrong token by HTTP status.

use std::sync::Arc;

use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use socketioxide::SocketIo;

use crate::record::{Arrival, Record};
use crate::{Options, TokenCheck};

#[derive(Clone)]
struct Shared {
    record: Arc<Record>,
    io: SocketIo,
}

#[derive(Deserialize)]
struct Limit {
    limit: Option<usize>,
}

pub(crate) fn router(record: Arc<Record>, io: SocketIo) -> Router {
    Router::new()
        .route("/health", get(|| async { Json(json!({ "status": "up" })) }))
        .route("/events", get(events))
        .route("/count", get(count))
        .route("/summary", get(summary))
        .route("/reset", post(reset))
        .with_state(Shared { record, io })
}

/// Refuses requests below the Engine.IO path that lack the token, if it is checked there.
pub(crate) fn guard(router: Router, options: &Options) -> Router {
    let status = match options.token_check {
        TokenCheck::ConnectError => return router,
        TokenCheck::Unauthorized => StatusCode::UNAUTHORIZED,
        TokenCheck::Forbidden => StatusCode::FORBIDDEN,
    };
    let path = options.path.trim_end_matches('/').to_owned();
    let wanted = (!options.token.is_empty()).then(|| format!("Bearer {}", options.token));
    router.layer(from_fn(move |request: Request, next: Next| {
        let shown = request
            .headers()
            .get("authorization")
            .map(|value| value.as_bytes());
        let wrong = wanted
            .as_ref()
            .is_some_and(|wanted| shown != Some(wanted.as_bytes()));
        let refused = wrong && request.uri().path().starts_with(&path);
        async move {
            if refused {
                refusal(status)
            } else {
                next.run(request).await
            }
        }
    }))
}

fn refusal(status: StatusCode) -> Response {
    (
        status,
        Json(json!({ "message": "the token is missing or wrong" })),
    )
        .into_response()
}

async fn events(State(shared): State<Shared>, Query(query): Query<Limit>) -> Json<Vec<Arrival>> {
    Json(shared.record.recent(query.limit.unwrap_or(1000)))
}

async fn count(State(shared): State<Shared>) -> Json<Value> {
    Json(json!({ "count": shared.record.count() }))
}

async fn summary(State(shared): State<Shared>) -> Json<Value> {
    let mut summary = shared.record.summary();
    let namespaces = shared.io.nsps().into_iter();
    let connections: usize = namespaces.map(|namespace| namespace.sockets().len()).sum();
    summary["connections"] = connections.into();
    Json(summary)
}

async fn reset(State(shared): State<Shared>) -> Response {
    match shared.record.reset() {
        Ok(()) => Json(json!({ "count": 0 })).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
