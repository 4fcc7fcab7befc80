//! What a kete that runs answers about its dead letters, over the control socket.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use kete_pipeline::dead_letters::{Filter, Listing, Removed, Slice};
use kete_pipeline::{DeadLetterError, DeadLetters};
use serde::{Deserialize, Serialize};

use super::replay::{self, Part, Replays};
use crate::control::{Answer, Question, Refused};

/// Where letters are listed.
pub(super) const LIST: &str = "/dead-letters/list";
/// Where whole letters are asked for, to be shown or exported.
pub(super) const EXPORT: &str = "/dead-letters/export";
/// Where letters are deleted.
pub(super) const PURGE: &str = "/dead-letters/purge";
/// Where letters are sent again.
pub(super) const REPLAY: &str = "/dead-letters/replay";

/// The most of an answer with whole letters: so many, and about so many bytes.
const SLICE: (usize, usize) = (1_000, 4 << 20);
/// The most of a list.
const MOST_LISTED: usize = 10_000;

/// Which letters are to be listed.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ListQuestion {
    pub(super) filter: Filter,
    pub(super) limit: usize,
}

/// Which whole letters are asked for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SliceQuestion {
    pub(super) filter: Filter,
    pub(super) after: u64,
}

/// Which letters are to be deleted.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PurgeQuestion {
    pub(super) filter: Filter,
}

/// What the answers come from.
#[derive(Clone)]
pub(crate) struct LiveLetters {
    pub(crate) letters: DeadLetters,
    pub(crate) replays: Arc<Replays>,
}

/// The part of the control socket that is about dead letters.
pub(crate) fn router(live: LiveLetters) -> Router {
    Router::new()
        .route(LIST, post(answer_list))
        .route(EXPORT, post(answer_export))
        .route(PURGE, post(answer_purge))
        .route(REPLAY, post(answer_replay))
        .with_state(live)
}

async fn answer_list(
    State(live): State<LiveLetters>,
    Question(ListQuestion { filter, limit }): Question<ListQuestion>,
) -> Result<Answer<Listing>, Refused> {
    let listing = live.kept()?.list(filter, limit.min(MOST_LISTED)).await;
    listing.map(Answer).map_err(refused)
}

async fn answer_export(
    State(live): State<LiveLetters>,
    Question(SliceQuestion { filter, after }): Question<SliceQuestion>,
) -> Result<Answer<Slice>, Refused> {
    let slice = slice(live.kept()?, filter, after).await;
    slice.map(Answer).map_err(refused)
}

async fn answer_purge(
    State(live): State<LiveLetters>,
    Question(PurgeQuestion { filter }): Question<PurgeQuestion>,
) -> Result<Answer<Removed>, Refused> {
    let removed = live.kept()?.remove(filter).await.map_err(refused)?;
    if removed.letters > 0 {
        let letters = removed.letters;
        tracing::warn!(letters, "dead letters are deleted, as it was asked for");
    }
    Ok(Answer(removed))
}

async fn answer_replay(
    State(live): State<LiveLetters>,
    Question(question): Question<replay::Question>,
) -> Result<Answer<Part>, Refused> {
    live.kept()?;
    let part = live
        .replays
        .part(&question)
        .await
        .map_err(Refused::failed)?;
    for (route, letters) in &part.replayed {
        tracing::info!(
            route,
            letters,
            "dead letters are sent again, as it was asked for"
        );
    }
    Ok(Answer(part))
}

/// As many whole letters as go into one answer.
pub(super) async fn slice(
    letters: &DeadLetters,
    filter: Filter,
    after: u64,
) -> Result<Slice, DeadLetterError> {
    let (most, bytes) = SLICE;
    letters.slice(filter, after, most, bytes).await
}

impl LiveLetters {
    fn kept(&self) -> Result<&DeadLetters, Refused> {
        if self.letters.is_kept() {
            return Ok(&self.letters);
        }
        Err(Refused::wrong(
            "the kete that runs keeps no dead letters: neither kete.data-dir nor \
             kete.dead-letters.path is set",
        ))
    }
}

fn refused(problem: DeadLetterError) -> Refused {
    Refused::failed(problem.to_string())
}
