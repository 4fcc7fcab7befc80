//! Who we are to others, and whom we trust: TLS configurations, an HTTP client over them, and
//! OAuth tokens that are never stale.
//!
//! Nothing here knows what is sent with it. Secrets are in no message and no `Debug` output.

pub mod certificate;
pub mod codes;
mod files;
pub mod http;
pub mod keycloak;
pub mod oauth;
pub mod proxy;
mod secret;
pub mod store;
pub mod tls;

pub use secret::{Secret, SecretText};
