//! The command as its users meet it: the built binary, real files, pipes, ports and signals.
//!
//! Nothing here looks inside. Whatever could wait for ever has a deadline, and nothing waits for
//! time to pass.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in a test, that is how to fail"
)]

mod admin;
mod check;
mod data;
mod dead_letters;
mod examples;
mod explain;
mod harness;
mod keycloak;
mod queue;
mod run;
mod sharing;
mod storage;
mod usage;
mod wrong;
