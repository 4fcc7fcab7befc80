//! Reads answers of the Admin API, within a bound.

use reqwest::{RequestBuilder, StatusCode};

use super::TLS_SECTION;
use crate::http::causes;

/// The largest answer that is read, in bytes. A client with all its settings takes a few thousand.
const LARGEST: usize = 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    /// The deadline of the request has passed.
    #[error("no answer in time")]
    Late,
    /// Nothing listens, TLS failed, or the connection broke.
    #[error("{0}")]
    Failed(String),
    /// It is more than can be kept.
    #[error("the answer is larger than {LARGEST} bytes")]
    TooLarge,
}

impl From<reqwest::Error> for NoAnswer {
    fn from(error: reqwest::Error) -> NoAnswer {
        if error.is_timeout() {
            NoAnswer::Late
        } else {
            NoAnswer::Failed(causes(error, TLS_SECTION))
        }
    }
}

/// Sends a request and reads the whole answer, whatever its status.
///
/// # Errors
///
/// There is none, or it is larger than a bound.
pub(super) async fn to(request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), NoAnswer> {
    let mut response = request.send().await?;
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await? {
        if body.len() + part.len() > LARGEST {
            return Err(NoAnswer::TooLarge);
        }
        body.extend_from_slice(&part);
    }
    Ok((response.status(), body))
}
