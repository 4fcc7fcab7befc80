//! kete as a whole: the built binary between real sources and real Socket.IO servers.
//!
//! Each test says in its name what a user may rely on. `tests/run` sets up what they need; what is
//! missing fails a test, because a test that was skipped has shown nothing. With `--full` there are
//! more rounds and more servers.

mod bad_input;
mod clock;
mod compatibility;
mod data_directory;
mod dead_letters;
mod deliveries;
mod delivery;
mod delivery_page;
mod dependencies;
mod disk;
mod event_id;
mod examples;
mod faults;
mod interruptions;
mod keycloak;
mod keycloak_kills;
mod keycloak_tls;
mod kill9;
mod limits;
mod memory;
mod oauth;
mod oauth_internal;
mod oauth_trouble;
mod poison;
mod prepare;
mod queue_commands;
mod refusals;
mod restarts;
mod secrets;
mod shutdown;
mod soak;
mod stdin_kills;
mod tls_clients;
mod tls_mistakes;
mod tls_renewal;
mod tls_servers;
mod tls_stores;
mod token_server;
mod two_routes;
