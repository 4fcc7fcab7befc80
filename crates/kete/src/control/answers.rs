//! What goes over the control socket: JSON both ways, and refusals in words.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

const JSON: &str = "application/json";

/// What was asked, from the body of the request.
pub(crate) struct Question<T>(pub(crate) T);

/// What is answered.
pub(crate) struct Answer<T>(pub(crate) T);

/// Why there is no answer: whole words for whoever typed the command.
#[derive(Debug)]
pub(crate) struct Refused {
    status: StatusCode,
    words: String,
}

/// How a refusal is written.
#[derive(Serialize, Deserialize)]
pub(super) struct Refusal {
    pub(super) error: String,
}

impl Refused {
    /// The question makes no sense, or asks for what is not there.
    pub(crate) fn wrong(words: impl Into<String>) -> Refused {
        Refused {
            status: StatusCode::BAD_REQUEST,
            words: words.into(),
        }
    }

    /// The question is right, and yet it cannot be done.
    pub(crate) fn failed(words: impl Into<String>) -> Refused {
        Refused {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            words: words.into(),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Question<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Question<T>, Refused> {
        let body = Bytes::from_request(request, state).await;
        let body = body.map_err(|error| Refused::wrong(error.body_text()))?;
        match serde_json::from_slice(&body) {
            Ok(question) => Ok(Question(question)),
            Err(error) => Err(Refused::wrong(format!(
                "the question is not understood: {error}; the kete that runs may be another version"
            ))),
        }
    }
}

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => json(StatusCode::OK, body),
            Err(error) => Refused::failed(format!("no answer: {error}")).into_response(),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        // Text in a struct can always be written.
        let refusal = Refusal { error: self.words };
        json(
            self.status,
            serde_json::to_vec(&refusal).unwrap_or_default(),
        )
    }
}

fn json(status: StatusCode, body: Vec<u8>) -> Response {
    (status, [(header::CONTENT_TYPE, JSON)], body).into_response()
}
