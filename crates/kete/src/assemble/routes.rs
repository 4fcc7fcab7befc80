//! The routes: `kete.routes.<name>.…`, each with its destination.
//!
//! A route that is switched off is skipped, and nothing else of it is looked at, as in KETE.
//! Everything of the others is read even where a part is wrong already.

use std::sync::Arc;

use kete_config::{Diagnostic, Diagnostics, Loader, Scope, Settings};
use kete_destinations::{DESTINATION_KEYS, KINDS, check_destination};
use kete_pipeline::lane::{ConsumerSettings, read_consumer};
use kete_pipeline::{DestinationPlan, DestinationSection, LANE_KEYS, LaneSettings};
use kete_queue::StartFrom;
use kete_routes::{RouteSettings, Serializer, read_route, route_enabled, serializer};

use super::shown::{self, Shown};
use super::{NO_ROUTE, ROUTE_LINES};

pub(super) const SECTION: &str = "kete.routes";

/// Shown even where it is left at its default, because the promise depends on it.
const ALWAYS_SHOWN: &[&str] = &["confirm"];

/// Where a route starts in a queue that does not know it.
const START_FROM: &str = "queue.start-from";
/// What would change nothing as it is set.
const NO_EFFECT: &str = "no-effect";

/// A route that is right.
pub(crate) struct CheckedRoute {
    pub(crate) settings: RouteSettings,
    pub(crate) consumer: ConsumerSettings,
    pub(crate) plan: Box<dyn DestinationPlan>,
    /// The kind of the destination.
    pub(crate) kind: String,
    /// The settings of the destination, for people.
    pub(crate) shown: Vec<Shown>,
}

/// All routes.
#[derive(Default)]
pub(super) struct Routes {
    pub(super) checked: Vec<CheckedRoute>,
    /// The names of those that are switched off.
    pub(super) disabled: Vec<String>,
}

/// What the queue is to the routes.
#[derive(Clone, Copy)]
pub(super) struct QueueFacts {
    /// Its bound, which is that of each route that says nothing else.
    pub(super) max_bytes: u64,
    /// Whether it is in memory for certain.
    pub(super) in_memory: bool,
}

/// The names of all routes that are configured, whether or not anything else of them is right.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RouteNames {
    /// Those that are switched on.
    pub(crate) enabled: Vec<String>,
    /// Those that are switched off.
    pub(crate) disabled: Vec<String>,
}

pub(crate) fn names(settings: &Settings, diagnostics: &Diagnostics) -> RouteNames {
    let is_enabled =
        |name: &String| route_enabled(&settings.scope(&format!("{SECTION}.{name}"), diagnostics));
    let names = settings.names_below(SECTION);
    let (enabled, disabled) = names.into_iter().partition(is_enabled);
    RouteNames { enabled, disabled }
}

pub(super) fn read(settings: &Settings, queue: QueueFacts, diagnostics: &Diagnostics) -> Routes {
    let mut routes = Routes::default();
    let names = settings.names_below(SECTION);
    for name in &names {
        let scope = settings.scope(&format!("{SECTION}.{name}"), diagnostics);
        if route_enabled(&scope) {
            routes.checked.extend(check(name, &scope, queue));
        } else {
            routes.disabled.push(name.clone());
        }
    }
    if routes.disabled.len() == names.len() {
        diagnostics.push(no_route(!names.is_empty()));
    }
    routes
}

fn check(name: &str, scope: &Scope<'_>, queue: QueueFacts) -> Option<CheckedRoute> {
    let destination = scope.child("destination");
    let settings = read_route(name, scope);
    let consumer = read_consumer(scope, queue.max_bytes);
    if queue.in_memory {
        judge_start(scope, consumer.as_ref());
    }
    let lane = LaneSettings::read(&destination);
    let serializer = match &settings {
        Some(settings) => Arc::clone(&settings.serializer),
        None => stand_in_serializer()?,
    };
    let only_realm = settings
        .as_ref()
        .and_then(|settings| settings.rules.only_realm());
    let plan = check_destination(&DestinationSection {
        route: &Arc::from(name),
        scope: &destination,
        settings: scope.settings(),
        diagnostics: scope.diagnostics(),
        serializer: &serializer,
        lane: &lane.or_else(stand_in_lane)?,
        only_realm: only_realm.as_deref(),
    });
    let (settings, consumer, plan) = (settings?, consumer?, plan?);
    lane?;
    let (kind, _) = destination.raw("kind")?;
    Some(CheckedRoute {
        settings,
        consumer,
        plan,
        shown: shown(&destination, &kind),
        kind,
    })
}

/// A queue in memory begins empty with each start, and so does every route.
fn judge_start(scope: &Scope<'_>, consumer: Option<&ConsumerSettings>) {
    if consumer.is_some_and(|consumer| consumer.start_from == StartFrom::Earliest) {
        let message = "this changes nothing, because without kete.data-dir the queue is in memory \
                       and begins empty";
        let help = "add kete.data-dir=/var/lib/kete, or leave this key out".to_owned();
        scope.warn(START_FROM, NO_EFFECT, message, help);
    }
}

fn shown(destination: &Scope<'_>, kind: &str) -> Vec<Shown> {
    let kind = KINDS.iter().find(|known| known.name == kind);
    let own = kind.map_or(&[][..], |kind| kind.keys);
    let sections = kind.map_or(&[][..], |kind| kind.sections);
    let tables = [DESTINATION_KEYS, own, LANE_KEYS];
    shown::with_sections(destination, &tables, sections, ALWAYS_SHOWN)
}

/// What a destination is checked with where the route's own serializer is wrong.
fn stand_in_serializer() -> Option<Arc<dyn Serializer>> {
    serializer("json")
}

/// What a destination is checked with where the route's own lane settings are wrong: the defaults.
fn stand_in_lane() -> Option<LaneSettings> {
    let unheard = Diagnostics::new();
    let nothing = Loader::new("kete").load(&unheard);
    LaneSettings::read(&nothing.scope("", &unheard))
}

fn no_route(all_disabled: bool) -> Diagnostic {
    let (message, first) = match all_disabled {
        true => ("every route is disabled", "enable one, or add these lines"),
        false => (
            "there is no route, so no event would go anywhere",
            "add these lines",
        ),
    };
    Diagnostic::error(NO_ROUTE, message).help(format!("{first}\n{ROUTE_LINES}"))
}
