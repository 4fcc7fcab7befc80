//! Which events a route takes, under which name it sends them, and as what bytes.
//!
//! Everything here is pure: text goes in when the configuration is read and is compiled once; after
//! that the same event always gets the same answer. Nothing in this crate opens a file, waits, logs
//! or keeps a cache. What can go wrong while events flow is a value: a name that cannot be sent is
//! a [`BadEventName`], an expression that runs out of steps is counted ([`MatchSet::gave_up`]).

mod event_name;
mod event_types;
mod match_set;
mod matcher;
mod serializer;
mod settings;
mod suggestion;

pub use event_name::{
    BadEventName, EventName, EventNameError, EventNameHint, TemplateError, Unresolved,
    read_event_name,
};
pub use event_types::is_known_event_type;
pub use match_set::{Decision, Explanation, MatchMode, MatchSet, Reason, RouteRules};
pub use matcher::{
    EscapeError, ExpressionError, ExpressionProblem, Matcher, MatcherError, MatcherKind,
};
pub use serializer::{Json, SerializeError, Serializer, serializer};
pub use settings::{ROUTE_KEYS, Retry, RouteSettings, Wait, read_route, route_enabled};
