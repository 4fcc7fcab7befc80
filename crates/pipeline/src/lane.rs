//! One route at work: it reads the queue at its cursor, keeps the order, and settles what its
//! destination has confirmed.
//!
//! The core is a state machine without I/O: what happened goes in with the time, what is to
//! be done comes out. The driver around it reads the queue and owns the connections. Three kinds
//! of failure are told apart where they arise: a *connection* that is lost costs no event an
//! attempt; an *event* that is refused, or that ends the connection each time it is alone on it,
//! is offered again a few times and then becomes a dead letter; a *permanent* failure becomes one
//! at once.

mod backoff;
mod core;
mod deliveries;
mod driver;
mod handle;
mod links;
mod reading;
mod recovery;
mod refusals;
mod reporting;
mod role;
mod sending;
mod settings;
mod window;

pub(crate) use core::CoreSettings;
pub use deliveries::Deliveries;
pub(crate) use handle::{LaneHandle, LaneParts};
pub(crate) use role::LaneRole;
pub use settings::{
    ConsumerSettings, LANE_KEYS, LaneSettings, Ordering, QUEUE_ROUTE_KEYS, read_consumer,
};

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
