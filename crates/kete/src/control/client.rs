//! The end of the control socket that asks.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::ANSWER_WITHIN;
use super::answers::Refusal;
use super::socket::{SocketError, belongs_to, check_length};

/// How long an answer is waited for: a bit longer than it may take.
const DEADLINE: Duration = ANSWER_WITHIN.saturating_add(Duration::from_secs(10));
/// The largest answer, in bytes.
const MAX_ANSWER: usize = 256 * 1024 * 1024;

/// Asks a kete that runs.
#[derive(Debug)]
pub(crate) struct Client {
    path: PathBuf,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ClientError {
    /// What kete says to it.
    #[error("{0}")]
    Refused(String),
    /// The path cannot be that of a socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The socket is there, and yet it cannot be used.
    #[error("{}: {problem}; it belongs to a kete that runs, or ran", path.display())]
    Unreachable { path: PathBuf, problem: String },
    /// It is that of another user.
    #[error(
        "this user may not use {}{}: it is for the user who runs kete; ask as that user",
        .0.display(), belongs_to(.0)
    )]
    NotAllowed(PathBuf),
    /// Somebody listened, and was gone before there was an answer.
    #[error(
        "the kete that listened on {} was gone before it had answered ({problem}); ask again",
        path.display()
    )]
    Gone { path: PathBuf, problem: String },
    /// Nothing came in time.
    #[error("the kete that listens on {} did not answer within {DEADLINE:?}", .0.display())]
    Late(PathBuf),
    /// The answer is none of ours.
    #[error(
        "the answer on {} is not understood: {problem}; the kete that runs may be another version",
        path.display()
    )]
    NotUnderstood { path: PathBuf, problem: String },
}

impl Client {
    /// A client of whoever listens on this socket; `None` if nobody does.
    ///
    /// # Errors
    ///
    /// The socket is there and may not be used, or is none.
    pub(crate) async fn connect(path: &Path) -> Result<Option<Client>, ClientError> {
        check_length(path)?;
        match UnixStream::connect(path).await {
            Ok(_) => Ok(Some(Client {
                path: path.to_owned(),
            })),
            Err(error) => match error.kind() {
                ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::ConnectionRefused => {
                    Ok(None)
                }
                ErrorKind::PermissionDenied => Err(ClientError::NotAllowed(path.to_owned())),
                _ => Err(ClientError::Unreachable {
                    path: path.to_owned(),
                    problem: error.to_string(),
                }),
            },
        }
    }

    /// Asks for what stands at this path, such as `/queue`.
    ///
    /// # Errors
    ///
    /// It is refused, or there is no answer.
    pub(crate) async fn ask<A: DeserializeOwned>(&self, path: &str) -> Result<A, ClientError> {
        self.exchange(Method::GET, path, Bytes::new()).await
    }

    /// Asks a question there.
    ///
    /// # Errors
    ///
    /// It is refused, or there is no answer.
    pub(crate) async fn call<Q: Serialize, A: DeserializeOwned>(
        &self,
        path: &str,
        question: &Q,
    ) -> Result<A, ClientError> {
        let body = serde_json::to_vec(question).map_err(|error| self.not_understood(&error))?;
        self.exchange(Method::POST, path, body.into()).await
    }

    async fn exchange<A: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<A, ClientError> {
        let exchange = timeout(DEADLINE, self.request(method, path, body)).await;
        let (status, body) = exchange.map_err(|_| ClientError::Late(self.path.clone()))??;
        if status == StatusCode::OK {
            return serde_json::from_slice(&body).map_err(|error| self.not_understood(&error));
        }
        match serde_json::from_slice(&body) {
            Ok(Refusal { error }) => Err(ClientError::Refused(error)),
            Err(error) => Err(self.not_understood(&error)),
        }
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "kete")
            .header(header::CONNECTION, "close")
            .body(Full::new(body))
            .map_err(|error| self.not_understood(&error))?;
        let stream = UnixStream::connect(&self.path).await;
        let stream = stream.map_err(|error| self.gone(&error))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.gone(&error))?;
        let answer = async {
            let answer = sender.send_request(request).await;
            let (head, body) = answer.map_err(|error| self.gone(&error))?.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await;
            match body {
                Ok(body) => Ok((head.status, body.to_bytes())),
                Err(error) if error.is::<LengthLimitError>() => Err(self.not_understood(&*error)),
                Err(error) => Err(self.gone(&*error)),
            }
        };
        // The connection does the work; how it fails, the answer says.
        let (answer, _said_by_the_answer) = tokio::join!(answer, connection);
        answer
    }

    fn gone(&self, error: &(dyn std::error::Error + 'static)) -> ClientError {
        ClientError::Gone {
            path: self.path.clone(),
            problem: error.to_string(),
        }
    }

    fn not_understood(&self, error: &(dyn std::error::Error + 'static)) -> ClientError {
        ClientError::NotUnderstood {
            path: self.path.clone(),
            problem: error.to_string(),
        }
    }
}

/// What a command that asks needs to run.
///
/// # Errors
///
/// The system refuses it.
pub(crate) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}
