//! Tokens from a real HTTP server that shows what it was asked, and answers as it is told.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod answers;
mod certificate;
mod client_auth;
mod fixtures;
mod jwt;
mod lifetime;
mod registered;
mod secrets;
mod server;
mod settings;
mod sharing;
