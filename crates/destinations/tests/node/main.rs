//! The Socket.IO destination against a real socket.io server on Node.
//!
//! Every test has a server of its own, on a port of its own. Node and npm have to be there.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod confirming;
mod connecting;
mod leases;
mod pooling;
mod recorder;
mod route;
