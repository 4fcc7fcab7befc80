//! Sources in, destinations out, and everything that keeps the promise between them.
//!
//! ```text
//! Source ──▶ Intake ──▶ Queue ──▶ Lane ──▶ Destination
//!   ◀── receipt ──┘                 └── settles what was confirmed
//! ```
//!
//! [`Intake`] redacts, numbers and matches what sources hand over and appends it to the queue. One
//! [lane](lane) per route reads the queue, keeps the order, and settles what its destination has
//! confirmed. The [`Supervisor`] owns sources and lanes. Nothing here knows a concrete source or
//! destination: they implement [`Source`] and [`Destination`].

mod certificate;
pub mod dead_letters;
mod destination;
mod fullness;
mod intake;
pub mod lane;
mod repeats;
mod replay;
mod router;
mod settings;
mod source;
mod supervisor;
mod telemetry;

pub use certificate::{Certificate, CertificateReader};
pub use dead_letters::{DeadLetter, DeadLetterError, DeadLetterSettings, DeadLetters};
pub use destination::{
    CLOSE_DEADLINE, ConnectFailure, ConnectFailureKind, Connection, ConnectionEvent, Destination,
    DestinationKind, DestinationPlan, DestinationSection, EventFailure, FailureReason, Link,
    Outgoing, Prepared,
};
pub use intake::{Batch, Intake, IntakeError};
pub use lane::{Deliveries, LANE_KEYS, LaneSettings, Ordering, QUEUE_ROUTE_KEYS};
pub use replay::{REPLAYS_SUFFIX, ReplayError, Replayer, SpanProgress};
pub use router::{Router, RouterEntry};
pub use settings::{PIPELINE_KEYS, PipelineSettings, StorageSettings, read_data_dir};
pub use source::{Source, SourceError, SourceKind, SourcePlan, SourceSection, Stop};
pub use supervisor::{LaneSpec, Report, SourceSpec, Supervisor};
pub use telemetry::{RouteMetrics, SourceMetrics, Telemetry};

// Sources and destinations meet these through the traits above.
pub use kete_queue::{Header, NotTaken, Receipt, Record, Sequence, Span, Target};
