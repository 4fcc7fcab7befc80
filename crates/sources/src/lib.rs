//! Where events come from: standard input, webhooks, Keycloak's Admin API.
//!
//! [`check_sources`] reads `kete.sources.*` and `kete.keycloak.*` and returns a plan per source;
//! building and running a plan is the pipeline's business. Every source does the same three
//! things: it turns what came into [`kete_event::Event`]s, fills in the realm's name where the
//! shape has none, and hands batches to intake. What is not an event is reported with its place,
//! counted and left out; it never ends a source, and its text never gets into a log.
//!
//! A new kind of source is a module here and one line in [`KINDS`].

mod admin_api;
mod complaints;
mod lines;
mod realm_names;
mod registry;
mod stdin;
#[cfg(test)]
mod testing;
mod webhook;

pub use realm_names::RealmNames;
pub use registry::{CheckedSource, KINDS, SOURCE_KEYS, check_sources};
