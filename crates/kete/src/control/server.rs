//! The end of the control socket that answers.

use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::ANSWER_WITHIN;
use super::answers::Refused;
use super::socket::{Socket, SocketError, SocketFile};
use crate::listener::{Bounded, Limits};

/// The largest question, in bytes: a filter with many numbers.
const MAX_QUESTION: usize = 256 * 1024;
/// Nobody types faster. A connection may be silent as long as an answer takes, and a bit.
const LIMITS: Limits = Limits {
    connections: 8,
    patience: ANSWER_WITHIN.saturating_add(Duration::from_secs(30)),
};
/// How long answers that are under way at the end may take.
const CLOSING: Duration = Duration::from_secs(2);

/// The running server.
pub(crate) struct Server {
    file: SocketFile,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    /// Makes the socket and starts to answer as the router says.
    ///
    /// # Errors
    ///
    /// The socket cannot be made, for instance because another process listens on it.
    pub(crate) async fn start(path: &Path, router: Router) -> Result<Server, SocketError> {
        let Socket { listener, file } = Socket::bind(path).await?;
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let server = axum::serve(Bounded::new(listener, LIMITS), with_fallbacks(router));
        let task = tokio::spawn(async move {
            // It never returns an error: accept goes on after each.
            let _never = server.with_graceful_shutdown(stopped).await;
        });
        Ok(Server { file, stop, task })
    }

    /// Takes the socket away, finishes the answers that are under way, and ends.
    pub(crate) async fn stop(mut self) {
        drop(self.file);
        self.stop.cancel();
        if timeout(CLOSING, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

fn with_fallbacks(router: Router) -> Router {
    let unknown = || async {
        Refused::wrong("the kete that runs does not know this; it may be another version")
    };
    router
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .layer(DefaultBodyLimit::max(MAX_QUESTION))
}
