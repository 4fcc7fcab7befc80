//! TLS as the settings say it, shown by real handshakes with certificates and stores that openssl
//! and keytool have made.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::panic, reason = "a test that cannot go on fails")]

mod client_certificates;
mod fixtures;
mod http;
mod pinned;
mod proxy;
mod renewal;
mod server;
mod settings;
mod stores;
mod trust;
mod versions;
