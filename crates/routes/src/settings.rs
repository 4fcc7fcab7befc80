//! Everything of `kete.routes.<route>.` except its destination: keys, their texts, and reading.
//!
//! Each key is declared here once. Reading never stops at a mistake: every matcher and every value
//! of a route is looked at, so that all of its mistakes come out together. What is valid but hardly
//! meant (an exclusion that excludes nothing, an event type that does not exist) is a warning.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use kete_config::{
    AnyKey, Key, KeyTable, MapKey, Scope, SecondsOrDuration, Section, Setting, Unused, code,
    nearest,
};

use crate::event_types::{is_known_event_type, nearest_event_type};
use crate::match_set::{MatchMode, MatchSet, RouteRules};
use crate::matcher::{Matcher, MatcherKind};
use crate::serializer::{NOT_YET, Serializer, serializer};

static ENABLED: Key<bool> = Key::with_default(
    "enabled",
    "true",
    "false leaves the route out; nothing else of it is read",
);
static REALM_MATCHERS: MapKey = MapKey::new(
    "realm-matchers",
    "ID",
    "which realms the route takes, by name: kind:pattern or kind:not:pattern, where kind is glob, \
     list, regex or sql; none takes every realm",
);
static REALM_MATCH_MODE: Key<MatchMode> = Key::with_default(
    "realm-match-mode",
    "any",
    "any: one realm matcher that accepts is enough; all: each must accept, which exclusions need",
);
static EVENT_MATCHERS: MapKey = MapKey::new(
    "event-matchers",
    "ID",
    "which event types the route takes, such as LOGIN_ERROR or USER_CREATE; written like \
     realm-matchers; none takes every type",
);
static EVENT_MATCH_MODE: Key<MatchMode> = Key::with_default(
    "event-match-mode",
    "any",
    "any: one event matcher that accepts is enough; all: each must accept, which exclusions need",
);
static SERIALIZER_KIND: Key<SerializerKind> = Key::with_default(
    "serializer.kind",
    "json",
    "how an event is written for the receiver",
);
static RETRY_ENABLED: Key<bool> = Key::with_default(
    "retry.enabled",
    "true",
    "whether an event that the receiver refused is offered again",
);
static RETRY_MAX_ATTEMPTS: Key<NonZeroU32> = Key::with_default(
    "retry.max-attempts",
    "3",
    "how often an event is offered in all, before it becomes a dead letter",
);
static RETRY_WAIT_DURATION: Key<Wait> = Key::with_default(
    "retry.wait-duration",
    "500ms",
    "how long to wait before a refused event is offered again; a bare number is seconds",
);
static NESTING_NOTATION: Unused = Unused::new(
    "serializer.nesting-notation",
    "only KETE's form serializers read it, which are not available yet",
);
static TEMPLATE_CONTENT_TYPE: Unused = Unused::new("serializer.content-type", TEMPLATE_ONLY);
static TEMPLATE_ESCAPE: Unused = Unused::new("serializer.variable-escape", TEMPLATE_ONLY);
static TEMPLATE_TEXT: Unused = Unused::new("serializer.template-file-text", TEMPLATE_ONLY);
static TEMPLATE_BASE64: Unused = Unused::new("serializer.template-file-base64", TEMPLATE_ONLY);
static TEMPLATE_PATH: Unused = Unused::new("serializer.template-file-path", TEMPLATE_ONLY);
static DESTINATION: Section = Section::new("destination", "where the events go");

const TEMPLATE_ONLY: &str = "only KETE's template serializer reads it, which is not available yet";

/// The keys of a route, relative to `kete.routes.<route>.`.
pub static ROUTE_KEYS: KeyTable = &[
    &ENABLED,
    &REALM_MATCHERS,
    &REALM_MATCH_MODE,
    &EVENT_MATCHERS,
    &EVENT_MATCH_MODE,
    &SERIALIZER_KIND,
    &RETRY_ENABLED,
    &RETRY_MAX_ATTEMPTS,
    &RETRY_WAIT_DURATION,
    &NESTING_NOTATION,
    &TEMPLATE_CONTENT_TYPE,
    &TEMPLATE_ESCAPE,
    &TEMPLATE_TEXT,
    &TEMPLATE_BASE64,
    &TEMPLATE_PATH,
    &DESTINATION,
];

/// A route without its destination.
#[derive(Debug)]
pub struct RouteSettings {
    /// The route's name.
    pub name: Arc<str>,
    /// Which events it takes.
    pub rules: RouteRules,
    /// How it writes them.
    pub serializer: Arc<dyn Serializer>,
    /// How often an event that was refused is offered.
    pub retry: Retry,
}

/// How often one event is offered to a receiver that refuses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// The number of tries, the first included; one where `retry.enabled=false`.
    pub max_attempts: u32,
    /// The time between two tries of the same event.
    pub wait: Duration,
}

/// The value of `retry.wait-duration`: above zero, a bare number is seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait(pub Duration);

impl Setting for Wait {
    const EXPECTED: &'static str =
        "seconds above zero as a whole number, or a duration such as 500ms, 2s, 5m or PT2S";

    fn parse(text: &str) -> Result<Wait, String> {
        match SecondsOrDuration::parse(text)? {
            SecondsOrDuration(Duration::ZERO) => Err("it is zero".to_owned()),
            SecondsOrDuration(duration) => Ok(Wait(duration)),
        }
    }
}

/// The value of `serializer.kind`.
enum SerializerKind {
    Here(Arc<dyn Serializer>),
    NotYet(&'static str),
}

impl Setting for SerializerKind {
    const EXPECTED: &'static str = "json";
    const BLANK_IS_ABSENT: bool = true;

    fn parse(text: &str) -> Result<SerializerKind, String> {
        if let Some(serializer) = serializer(text) {
            return Ok(SerializerKind::Here(serializer));
        }
        if let Some(kind) = NOT_YET.into_iter().find(|kind| *kind == text) {
            return Ok(SerializerKind::NotYet(kind));
        }
        let known = NOT_YET.into_iter().chain(["json"]);
        let help = nearest(text, known).map(|near| format!("\ndid you mean {near}?"));
        Err(format!(
            "there is no such serializer{}",
            help.unwrap_or_default()
        ))
    }
}

/// Whether the route is to be built at all. A value that is no boolean is reported and counts as
/// enabled, so that the route's other mistakes come out too.
pub fn route_enabled(scope: &Scope<'_>) -> bool {
    scope.read(&ENABLED).unwrap_or(true)
}

/// Reads everything of the route called `name` except its destination; `scope` is
/// `kete.routes.<name>`. `None` if anything is wrong; the diagnostics then say what.
pub fn read_route(name: &str, scope: &Scope<'_>) -> Option<RouteSettings> {
    let realm = read_matchers(scope, &REALM_MATCHERS, &REALM_MATCH_MODE);
    let event = read_matchers(scope, &EVENT_MATCHERS, &EVENT_MATCH_MODE);
    let serializer = read_serializer(scope);
    let retry = read_retry(scope);
    if let Some(event) = &event {
        warn_of_unknown_types(scope, event);
    }
    Some(RouteSettings {
        name: name.into(),
        rules: RouteRules {
            realm: realm?,
            event: event?,
        },
        serializer: serializer?,
        retry: retry?,
    })
}

fn read_serializer(scope: &Scope<'_>) -> Option<Arc<dyn Serializer>> {
    match scope.read(&SERIALIZER_KIND)? {
        SerializerKind::Here(serializer) => Some(serializer),
        SerializerKind::NotYet(kind) => {
            scope.reject(
                SERIALIZER_KIND.name(),
                code::NOT_YET,
                format!("{kind} is not there yet"),
                "use json until then".to_owned(),
            );
            None
        }
    }
}

fn read_retry(scope: &Scope<'_>) -> Option<Retry> {
    let enabled = scope.read(&RETRY_ENABLED);
    let max_attempts = scope.read(&RETRY_MAX_ATTEMPTS);
    let wait = scope.read(&RETRY_WAIT_DURATION);
    let (enabled, max_attempts, Wait(wait)) = (enabled?, max_attempts?, wait?);
    Some(Retry {
        max_attempts: if enabled { max_attempts.get() } else { 1 },
        wait,
    })
}

fn read_matchers(scope: &Scope<'_>, key: &MapKey, mode_key: &Key<MatchMode>) -> Option<MatchSet> {
    let mode = scope.read(mode_key);
    let written = scope.map(key);
    let mut matchers = Vec::with_capacity(written.len());
    for (id, value) in &written {
        match Matcher::parse(id, value) {
            Ok(matcher) => matchers.push(matcher),
            Err(error) => {
                scope.reject(
                    &full(key, id),
                    "bad-matcher",
                    error.to_string(),
                    error.help(),
                );
            }
        }
    }
    if matchers.len() < written.len() {
        return None;
    }
    let set = MatchSet::new(mode?, matchers);
    warn_of_doubtful_matchers(scope, key, mode_key, &set);
    Some(set)
}

/// Points out exclusions that exclude next to nothing, and lists without items.
fn warn_of_doubtful_matchers(
    scope: &Scope<'_>,
    key: &MapKey,
    mode_key: &Key<MatchMode>,
    set: &MatchSet,
) {
    let several = set.matchers().len() > 1;
    for matcher in set.matchers() {
        if matcher.is_negated() && several && set.mode() == MatchMode::Any {
            scope.warn(
                &full(key, matcher.id()),
                "exclusion-without-effect",
                "beside other matchers, 'not' excludes nearly nothing while one matcher that \
                 accepts is enough",
                format!("set {}=all", mode_key.name()),
            );
        }
        if matcher.kind() == MatcherKind::List && matcher.list_items().is_empty() {
            scope.warn(
                &full(key, matcher.id()),
                "empty-list",
                "the list has no items",
                "write the names with commas between them".to_owned(),
            );
        }
    }
}

/// Points out list items that no known event type equals. The list of types is open, so this is
/// never an error, and items with anything but letters, digits and underscores are left alone.
fn warn_of_unknown_types(scope: &Scope<'_>, set: &MatchSet) {
    let is_plain = |item: &str| {
        item.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    for matcher in set.matchers() {
        for item in matcher.list_items() {
            if !is_plain(item) || is_known_event_type(item) {
                continue;
            }
            let help = match nearest_event_type(item) {
                Some(nearest) => format!("did you mean {nearest}?"),
                None => "this is fine if your Keycloak or an extension sends it".to_owned(),
            };
            scope.warn(
                &full(&EVENT_MATCHERS, matcher.id()),
                "unknown-event-type",
                format!("no known event type is called {item}"),
                help,
            );
        }
    }
}

fn full(key: &MapKey, id: &str) -> String {
    format!("{}.{id}", key.name())
}

#[cfg(test)]
mod tests;
