//! The control socket: where the commands of `kete queue` and `kete dead-letters` reach a kete
//! that runs.
//!
//! HTTP/1.1 with JSON over a socket in the file system, which only the user of the process can
//! open: whoever may use it could read the data directory as well. Each request is small, and is
//! answered within [`ANSWER_WITHIN`]; long work is asked for in slices. What is refused comes as
//! `{"error":"…"}`, in words that are printed as they are.
//!
//! Parts of kete bring a [`Router`](axum::Router) of their own; this module knows none of them.

mod answers;
mod client;
mod server;
mod socket;

use std::time::Duration;

pub(crate) use answers::{Answer, Question, Refused};
pub(crate) use client::{Client, ClientError, runtime};
pub(crate) use server::Server;
pub(crate) use socket::{MAX_SOCKET_PATH, SocketError};

/// How long the answer to one request may take. Who answers gives up well before.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
