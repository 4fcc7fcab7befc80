//! What the section of an `admin-api` source says. Whom it asks, and as whom, stands in
//! `kete.keycloak.*`.

use std::collections::HashSet;
use std::time::Duration;

use kete_config::{AnyKey, Key, KeyTable, Scope, code};
use kete_credentials::keycloak::{self, PollingClient};
use kete_pipeline::SourceSection;

use super::start_from::StartFrom;

/// `kete.keycloak.realms`, where a source has no realms of its own.
static NEEDED_REALMS: Key<Vec<String>> = Key::required("realms", "the realms to poll, by name");

static REALMS: Key<Vec<String>> = Key::optional(
    "realms",
    "the realms to poll, by name; without it, those of kete.keycloak.realms",
);
static POLL_INTERVAL: Key<Duration> = Key::with_default(
    "poll-interval",
    "2s",
    "how long to rest when there was nothing more to read",
);
static PAGE_SIZE: Key<u32> = Key::with_default(
    "page-size",
    "500",
    "the most events of one answer, from 1 to 10000",
);
static OVERLAP: Key<Duration> = Key::with_default(
    "overlap",
    "30s",
    "how far back every poll reads again. Keycloak shows an event only when its transaction \
     commits; one that takes longer than this is missed",
);
static START_FROM: Key<StartFrom> = Key::with_default(
    "start-from",
    "now",
    "where to begin: now (and what is younger than `overlap` then), earliest, milliseconds since \
     1970, or a time such as 2026-01-31T08:00:00Z. With `kete.data-dir` it counts only for a \
     source of a new name, or a realm that is new in it; others go on where they stopped",
);
static IGNORE_OWN_CLIENT: Key<bool> = Key::with_default(
    "ignore-own-client",
    "true",
    "whether the logins that polling itself causes are left out; failed ones never are",
);
static USER_EVENTS: Key<bool> =
    Key::with_default("user-events", "true", "whether user events are polled");
static ADMIN_EVENTS: Key<bool> =
    Key::with_default("admin-events", "true", "whether admin events are polled");

/// The keys of an `admin-api` source.
pub(super) static KEYS: KeyTable = &[
    &REALMS,
    &POLL_INTERVAL,
    &PAGE_SIZE,
    &OVERLAP,
    &START_FROM,
    &IGNORE_OWN_CLIENT,
    &USER_EVENTS,
    &ADMIN_EVENTS,
];

const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
const LONGEST_OVERLAP: Duration = Duration::from_secs(60 * 60);
const LARGEST_PAGE: u32 = 10_000;
const LARGEST_ANSWER: usize = 32 * 1024 * 1024;

/// What to poll, and how.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) client: PollingClient,
    pub(super) realms: Vec<String>,
    pub(super) poll_interval: Duration,
    pub(super) page_size: usize,
    /// In bytes; of an answer that is larger, fewer events are asked for.
    pub(super) largest_answer: usize,
    /// In milliseconds.
    pub(super) overlap: i64,
    pub(super) start_from: StartFrom,
    pub(super) ignore_own_client: bool,
    pub(super) user_events: bool,
    pub(super) admin_events: bool,
}

impl Settings {
    /// Reads both sections; `None` if diagnostics say what is wrong.
    pub(super) fn read(section: &SourceSection<'_>) -> Option<Settings> {
        let scope = section.scope;
        let client = PollingClient::read(section.settings, section.diagnostics);
        let keycloak = section
            .settings
            .scope(keycloak::SECTION, section.diagnostics);
        let realms = read_realms(scope, &keycloak);
        let poll_interval = read_poll_interval(scope);
        let page_size = read_page_size(scope);
        let overlap = read_overlap(scope);
        let start_from = scope.read(&START_FROM);
        let ignore_own_client = scope.read(&IGNORE_OWN_CLIENT);
        let (user_events, admin_events) = (scope.read(&USER_EVENTS), scope.read(&ADMIN_EVENTS));
        if (user_events, admin_events) == (Some(false), Some(false)) {
            let message = "user-events is false as well, so nothing is left to ask for";
            scope.reject(ADMIN_EVENTS.name(), code::BAD_VALUE, message, None);
            return None;
        }
        Some(Settings {
            client: client?,
            realms: realms?,
            poll_interval: poll_interval?,
            page_size: page_size?,
            largest_answer: LARGEST_ANSWER,
            overlap: overlap?,
            start_from: start_from?,
            ignore_own_client: ignore_own_client?,
            user_events: user_events?,
            admin_events: admin_events?,
        })
    }

    /// The realm in which the client of a polled realm logs in.
    pub(super) fn auth_realm<'s>(&'s self, polled: &'s str) -> &'s str {
        self.client.auth_realm.as_deref().unwrap_or(polled)
    }
}

fn read_realms(scope: &Scope<'_>, keycloak: &Scope<'_>) -> Option<Vec<String>> {
    let own = scope
        .raw(REALMS.name())
        .is_some_and(|(text, _)| !text.is_empty());
    let (place, key) = if own {
        (scope, &REALMS)
    } else {
        (keycloak, &NEEDED_REALMS)
    };
    let realms = place.read(key)?;
    let mut seen = HashSet::new();
    if let Some(twice) = realms.iter().find(|realm| !seen.insert(realm.as_str())) {
        let message = format!("{twice} is there twice");
        place.reject(key.name(), code::BAD_VALUE, message, None);
        return None;
    }
    Some(realms)
}

fn read_poll_interval(scope: &Scope<'_>) -> Option<Duration> {
    let interval = scope.read(&POLL_INTERVAL)?;
    if interval < SHORTEST_INTERVAL {
        let message = format!("it must be at least {SHORTEST_INTERVAL:?}");
        scope.reject(POLL_INTERVAL.name(), code::BAD_VALUE, message, None);
        return None;
    }
    Some(interval)
}

fn read_page_size(scope: &Scope<'_>) -> Option<usize> {
    let size = scope.read(&PAGE_SIZE)?;
    if !(1..=LARGEST_PAGE).contains(&size) {
        let message = format!("it must be from 1 to {LARGEST_PAGE}");
        scope.reject(PAGE_SIZE.name(), code::BAD_VALUE, message, None);
        return None;
    }
    usize::try_from(size).ok()
}

fn read_overlap(scope: &Scope<'_>) -> Option<i64> {
    let overlap = scope.read(&OVERLAP)?;
    if overlap > LONGEST_OVERLAP {
        let help = "every poll reads this part of the store again".to_owned();
        scope.reject(
            OVERLAP.name(),
            code::BAD_VALUE,
            "it must be at most 1h",
            help,
        );
        return None;
    }
    i64::try_from(overlap.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use kete_config::{Diagnostics, Loader};

    use super::*;

    fn read(settings: &[&str]) -> Settings {
        let keycloak = [
            "kete.keycloak.url=https://host",
            "kete.keycloak.client-id=kete",
            "kete.keycloak.client-secret=hush",
            "kete.keycloak.realms=shop, master",
        ];
        let diagnostics = Diagnostics::new();
        let all = keycloak.iter().chain(settings);
        let loader = all.fold(Loader::new("kete"), |loader, set| loader.set(*set));
        let settings = loader.load(&diagnostics);
        let scope = settings.scope("kete.sources.a", &diagnostics);
        let section = SourceSection {
            name: "a",
            scope: &scope,
            settings: &settings,
            diagnostics: &diagnostics,
        };
        let read = Settings::read(&section);
        assert_eq!(diagnostics.to_string(), "");
        read.unwrap()
    }

    #[test]
    fn the_defaults_are_those_of_the_reference() {
        let settings = read(&[]);
        assert_eq!(settings.realms, ["shop", "master"]);
        assert_eq!(settings.poll_interval, Duration::from_secs(2));
        assert_eq!((settings.page_size, settings.overlap), (500, 30_000));
        assert_eq!(settings.start_from, StartFrom::Now);
        assert!(settings.ignore_own_client && settings.user_events && settings.admin_events);
    }

    #[test]
    fn a_source_may_have_realms_of_its_own() {
        assert_eq!(read(&["kete.sources.a.realms=other"]).realms, ["other"]);
        assert_eq!(read(&["kete.sources.a.realms="]).realms, ["shop", "master"]);
    }

    #[test]
    fn the_client_logs_in_to_the_realm_it_polls_unless_told_otherwise() {
        assert_eq!(read(&[]).auth_realm("shop"), "shop");
        assert_eq!(
            read(&["kete.keycloak.auth-realm=master"]).auth_realm("shop"),
            "master"
        );
    }

    #[test]
    fn the_secret_is_never_printed() {
        let printed = format!("{:?}", read(&[]));
        assert!(
            printed.contains("shop") && !printed.contains("hush"),
            "{printed}"
        );
    }
}
