//! The routes: `kete.routes.<name>.…`, each with its destination.
//!
//! A route that is switched off is skipped, and nothing else of it is looked at, as in KETE.
//! Everything of the others is read even where a part is wrong already.

use std::sync::Arc;

use kete_config::{Diagnostic, Diagnostics, Key, KeyTable, Loader, Scope, Settings, code, nearest};
use kete_destinations::DESTINATIONS;
use kete_pipeline::{
    DestinationKind, DestinationPlan, DestinationSection, LANE_KEYS, LaneSettings,
    read_consumer_limits,
};
use kete_queue::ConsumerLimits;
use kete_routes::{RouteSettings, Serializer, read_route, route_enabled, serializer};

use super::shown::{self, Shown};
use super::{NO_ROUTE, ROUTE_LINES};

pub(super) const SECTION: &str = "kete.routes";

static KIND: Key<String> = Key::required("kind", "what kind of server the events go to");
/// What every section of a destination has.
pub(super) static DESTINATION_KEYS: KeyTable = &[&KIND];

/// Shown even where it is left at its default, because the promise depends on it.
const ALWAYS_SHOWN: &[&str] = &["confirm"];

/// A route that is right.
pub(crate) struct CheckedRoute {
    pub(crate) settings: RouteSettings,
    pub(crate) limits: ConsumerLimits,
    pub(crate) kind: &'static DestinationKind,
    pub(crate) plan: Box<dyn DestinationPlan>,
    /// The settings of the destination, for people.
    pub(crate) shown: Vec<Shown>,
}

/// All routes.
#[derive(Default)]
pub(super) struct Routes {
    pub(super) checked: Vec<CheckedRoute>,
    pub(super) disabled: Vec<String>,
    /// Every enabled route with the kind of its destination, if there is one of that name.
    pub(super) kinds: Vec<(String, Option<&'static DestinationKind>)>,
}

pub(super) fn read(
    settings: &Settings,
    queue_max_bytes: u64,
    diagnostics: &Diagnostics,
) -> Routes {
    let mut routes = Routes::default();
    for name in settings.names_below(SECTION) {
        let scope = settings.scope(&format!("{SECTION}.{name}"), diagnostics);
        if !route_enabled(&scope) {
            routes.disabled.push(name);
            continue;
        }
        let kind = read_kind(&scope.child("destination"));
        routes.checked.extend(check(&name, kind, &scope, queue_max_bytes));
        routes.kinds.push((name, kind));
    }
    if routes.kinds.is_empty() {
        diagnostics.push(no_route(!routes.disabled.is_empty()));
    }
    routes
}

fn read_kind(scope: &Scope<'_>) -> Option<&'static DestinationKind> {
    let wanted = scope.read(&KIND)?;
    let names = || DESTINATIONS.iter().map(|kind| kind.name);
    let found = DESTINATIONS.iter().find(|kind| kind.name == wanted);
    if found.is_none() {
        let help = match nearest(&wanted, names()) {
            Some(meant) => format!("did you mean {meant}?"),
            None => format!("write one of: {}", names().collect::<Vec<_>>().join(", ")),
        };
        scope.reject("kind", code::BAD_VALUE, "there is no destination of this kind", help);
    }
    found
}

fn check(
    name: &str,
    kind: Option<&'static DestinationKind>,
    scope: &Scope<'_>,
    queue_max_bytes: u64,
) -> Option<CheckedRoute> {
    let destination = scope.child("destination");
    let settings = read_route(name, scope);
    let limits = read_consumer_limits(scope, queue_max_bytes);
    let lane = LaneSettings::read(&destination);
    let kind = kind?;
    let serializer = match &settings {
        Some(settings) => Arc::clone(&settings.serializer),
        None => stand_in_serializer()?,
    };
    let plan = (kind.check)(&DestinationSection {
        route: &Arc::from(name),
        scope: &destination,
        settings: scope.settings(),
        diagnostics: scope.diagnostics(),
        serializer: &serializer,
        lane: &lane.or_else(stand_in_lane)?,
    });
    lane?;
    let tables = [DESTINATION_KEYS, kind.keys, LANE_KEYS];
    Some(CheckedRoute {
        settings: settings?,
        limits: limits?,
        kind,
        plan: plan?,
        shown: shown::settings(&destination, &tables, ALWAYS_SHOWN),
    })
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
        false => ("there is no route, so no event would go anywhere", "add these lines"),
    };
    Diagnostic::error(NO_ROUTE, message).help(format!("{first}\n{ROUTE_LINES}"))
}
