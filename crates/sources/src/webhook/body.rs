//! Reads a body: bounded in bytes and in time, and all of it or none.

use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::timeout;

use super::server::Bounds;

/// Of a body that is too large so much more is read, so that the sender gets to read its answer:
/// it is lost if the connection closes while the sender is still writing.
const DRAINED_BYTES: usize = 4 * 1024 * 1024;

/// Why there is no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyError {
    /// It has more bytes than the limit.
    TooLarge,
    /// It did not come in time.
    Slow,
    /// The connection ended, or what came is not HTTP.
    Broken,
}

/// Reads a whole body of at most `limit` bytes. `waits_for_go_ahead` says that the sender wants
/// to know first whether to send it at all; reading is what tells it to.
pub(super) async fn read(
    mut body: Incoming,
    limit: usize,
    bounds: &Bounds,
    waits_for_go_ahead: bool,
) -> Result<Vec<u8>, BodyError> {
    let known = body
        .size_hint()
        .exact()
        .map(|size| usize::try_from(size).unwrap_or(usize::MAX));
    if known.is_some_and(|size| size > limit) && waits_for_go_ahead {
        return Err(BodyError::TooLarge);
    }
    let collect = async {
        let mut bytes = Vec::with_capacity(known.unwrap_or(0).min(limit));
        while let Some(part) = next_part(&mut body, bounds.body_idle).await? {
            if bytes.len() + part.remaining() > limit {
                drain(&mut body, bounds.body_idle).await?;
                return Err(BodyError::TooLarge);
            }
            bytes.extend_from_slice(&part);
        }
        Ok(bytes)
    };
    timeout(bounds.body_whole, collect)
        .await
        .unwrap_or(Err(BodyError::Slow))
}

/// The next bytes; `None` at the end.
async fn next_part(body: &mut Incoming, idle: Duration) -> Result<Option<Bytes>, BodyError> {
    loop {
        match timeout(idle, body.frame()).await {
            Err(_elapsed) => return Err(BodyError::Slow),
            Ok(None) => return Ok(None),
            Ok(Some(Err(_broken))) => return Err(BodyError::Broken),
            Ok(Some(Ok(frame))) => {
                // What is no data are trailers, which mean nothing here.
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

async fn drain(body: &mut Incoming, idle: Duration) -> Result<(), BodyError> {
    let mut drained = 0;
    while drained < DRAINED_BYTES {
        match next_part(body, idle).await? {
            Some(part) => drained += part.len(),
            None => break,
        }
    }
    Ok(())
}
