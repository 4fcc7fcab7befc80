//! kete as a whole: the built binary between real sources and real Socket.IO servers.
//!
//! Each test says in its name what a user may rely on. `tests/run` sets up what they need; what is
//! missing fails a test, because a test that was skipped has shown nothing. With `--full` there are
//! more rounds and more servers.

mod bad_input;
mod compatibility;
mod delivery;
mod dependencies;
mod examples;
mod interruptions;
mod keycloak;
mod keycloak_tls;
mod memory;
mod oauth;
mod oauth_internal;
mod oauth_trouble;
mod poison;
mod prepare;
mod refusals;
mod secrets;
mod shutdown;
mod tls_clients;
mod tls_mistakes;
mod tls_renewal;
mod tls_servers;
mod tls_stores;
mod token_server;
mod two_routes;
