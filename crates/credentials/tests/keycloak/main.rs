//! How Keycloak is configured and how clients are prepared in it, from the outside.
//!
//! What a real Keycloak does is shown by the whole-system tests; here it is a fake that also does
//! what a real one does seldom.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod accounts;
mod fake;
mod oddities;
mod registration;
mod settings;
mod tls;
