//! The connection against a scripted fake, for what no good server does.
//!
//! Time is paused wherever a deadline matters, so no test waits and none depends on the machine.
//! What real servers do is tested against a real one, in `node_server.rs`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what tests share fails by panicking"
)]

mod connecting;
mod ending;
mod fake;
mod network;
mod secrets;
mod sending;
