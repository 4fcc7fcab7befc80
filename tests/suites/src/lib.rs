//! Harness of the whole-system tests: the built binary, real servers, and a network that breaks.
//!
//! A test starts what it needs, lets something happen, waits until a metric, a log line or a
//! record says that it did, and judges what arrived. Nothing here waits for time to pass, every
//! wait has a deadline, every port is free when it is taken, and every process ends with the value
//! that stands for it. Something that is not installed is a failure, never a skipped test.
//!
//! It is a client of kete's command line and of its files, and knows nothing of its crates.

mod arrival;
mod certificates;
mod command;
mod config;
mod environment;
mod events;
mod eventually;
mod fake;
mod full_disk;
mod home;
mod http;
mod kete;
mod keycloak;
mod metrics;
mod observed;
mod plot;
mod process;
mod relay;
mod senders;
mod server;
mod steps;
mod stream;
mod token_endpoint;
mod verdict;
mod waiting;

pub use arrival::{Arrival, ShownToken, TlsClient};
pub use certificates::{Certificates, base64, trust};
pub use command::{Output, check, check_configuration, kete_command};
pub use config::{from_stdin, from_webhook, to_socketio};
pub use environment::{full, project};
pub use events::{Random, Sample, generate, lines, sample_with};
pub use eventually::{PATIENCE, eventually, eventually_within};
pub use fake::{Fake, unused_port};
pub use full_disk::{Ballast, Room};
pub use home::Home;
pub use http::{client, post_raw};
pub use kete::Kete;
pub use keycloak::{Keycloak, Realm};
pub use metrics::Metrics;
pub use observed::{Ended, LogLine, Memory};
pub use plot::{Moment, quarters, write_plot};
pub use relay::Relay;
pub use senders::{Progress, Senders};
pub use server::{Kind, Server, ServerPlan};
pub use steps::{body, exactly, of_types, route_named};
pub use stream::{Repeats, check_numbered, numbered};
pub use token_endpoint::{Answers, TokenEndpoint, TokenRequest};
pub use verdict::{arrived, check_delivery, check_each_once, first_arrivals, named, sockets};
pub use waiting::all_wait;
