//! kete as a whole: the built binary between real sources and real Socket.IO servers.
//!
//! Each test says in its name what a user may rely on. `tests/run` sets up what they need; what is
//! missing fails a test, because a test that was skipped has shown nothing. With `--full` there are
//! more rounds and more servers.

mod bad_input;
mod delivery;
mod dependencies;
mod examples;
mod interruptions;
mod keycloak;
mod memory;
mod poison;
mod refusals;
mod shutdown;
mod two_routes;
