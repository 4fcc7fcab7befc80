//! Who we are to others, and whom we trust: TLS configurations, an HTTP client over them, and
//! OAuth tokens that are never stale.
//!
//! Nothing here knows what is sent with it. Secrets are in no message and no `Debug` output.

pub mod http;
pub mod oauth;
mod secret;
pub mod tls;

pub use secret::Secret;
