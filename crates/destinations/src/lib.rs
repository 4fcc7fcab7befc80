//! Where events go: Socket.IO servers, standard output.
//!
//! Each kind of destination reads its keys, makes connections, and reports what the other side
//! has confirmed. What to send when, in which order and how often, is decided by the lane in
//! `kete_pipeline`; nothing here retries, reorders or drops an event. [`KINDS`] lists the kinds.

mod codes;
mod registry;
mod socketio;
mod stdout;
#[cfg(test)]
mod testing;

pub use codes::CODES;
pub use registry::{DESTINATION_KEYS, KINDS, check_destination};
pub use stdout::standard_output_closed;
