//! The listener: accepts connections, bounds them, and lets them go at the end.
//!
//! Connections beyond the bound wait in the kernel's backlog, where a sender merely finds us slow;
//! refusing them would lose events. A connection that does not finish a request head in time is
//! closed. `hyper` is used directly because `axum::serve` has no bound for either.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use kete_pipeline::Stop;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tracing::{debug, error, warn};

use super::answer::Receiver;
use crate::complaints::Complaints;

/// How long answers that are under way get when everything else is over. Less than what the
/// pipeline gives a source to leave.
const LEAVE: Duration = Duration::from_secs(1);
/// The wait after a connection could not be accepted, for instance for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The most bytes of a request's head.
const HEAD_BYTES: usize = 16 * 1024;

/// How many connections there may be, and how long a sender may take.
#[derive(Debug, Clone)]
pub(super) struct Bounds {
    /// Connections at one time.
    pub(super) connections: usize,
    /// From the last answer, or the connect, to the end of the next request's head.
    pub(super) head: Duration,
    /// Between two parts of a body.
    pub(super) body_idle: Duration,
    /// For all of a body.
    pub(super) body_whole: Duration,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            connections: 256,
            // Also how long an idle connection is kept. A sender that uses it in the moment in
            // which we close it loses that request, so this must not be short.
            head: Duration::from_secs(30),
            body_idle: Duration::from_secs(10),
            body_whole: Duration::from_secs(30),
        }
    }
}

/// Serves until [`Stop::ended`].
pub(super) async fn serve(listener: TcpListener, receiver: Arc<Receiver>, stop: Stop) {
    let slots = Arc::new(Semaphore::new(receiver.bounds().connections));
    let mut complaints = Complaints::new(Instant::now());
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.ended() => break,
            (stream, slot) = accept(&listener, &slots, &mut complaints) => {
                let connection = converse(stream, Arc::clone(&receiver), stop.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(slot);
                });
            }
            Some(ended) = connections.join_next() => {
                if let Err(panic) = ended {
                    error!(%panic, "a connection ended unexpectedly");
                }
            }
        }
    }
    drop(listener);
    let all_left = async { while connections.join_next().await.is_some() {} };
    if timeout(LEAVE, all_left).await.is_err() {
        connections.shutdown().await;
    }
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
    complaints: &mut Complaints,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed, so there always is a slot in the end.
    let slot = Arc::clone(slots).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _peer)) => {
                let _best_effort = stream.set_nodelay(true);
                return (stream, slot);
            }
            Err(error) => {
                if let Some(left_out) = complaints.admit(Instant::now()) {
                    warn!(%error, left_out, "a connection could not be accepted");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Answers the requests of one connection.
async fn converse(stream: TcpStream, receiver: Arc<Receiver>, stop: Stop) {
    let head = receiver.bounds().head;
    let service = service_fn(move |request| {
        let receiver = Arc::clone(&receiver);
        async move { Ok::<_, Infallible>(receiver.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stop.ended() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        debug!(%error, "a connection ended early");
    }
}
