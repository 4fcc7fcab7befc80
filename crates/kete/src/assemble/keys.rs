//! Which keys there are: the tables of all crates, each in the section where it counts.
//!
//! Sources and destinations judge the keys of their own sections, because which ones there are
//! depends on the kind. Their tables are here as well, so that a key that stands at the wrong
//! level finds its right name.

use kete_config::{Diagnostic, Diagnostics, KeyTable, Known, Settings};
use kete_credentials::keycloak::{KEYCLOAK_KEYS, KEYCLOAK_SECTIONS};
use kete_destinations::{DESTINATION_KEYS, KINDS as DESTINATIONS};
use kete_pipeline::{LANE_KEYS, PIPELINE_KEYS, QUEUE_ROUTE_KEYS};
use kete_routes::ROUTE_KEYS;
use kete_sources::{KINDS as SOURCES, SOURCE_KEYS};

use super::{ROOT, routes, sources};
use crate::settings::PROCESS_KEYS;

/// How one may call the directory in which the queue is.
const PLACES_OF_THE_QUEUE: &[&str] = &[
    "kete.queue.path",
    "kete.queue.dir",
    "kete.queue.directory",
    "kete.queue.data-dir",
];

/// Reports every key that no table knows, and every one that means nothing here. Of routes that
/// are switched off, no key is looked at.
pub(super) fn judge(settings: &Settings, disabled_routes: &[String], diagnostics: &Diagnostics) {
    let found = Diagnostics::new();
    settings.check_unknown(&known(), &found);
    for diagnostic in found.into_vec() {
        let key = diagnostic.key.as_deref().unwrap_or_default();
        if !judged_elsewhere(key) && !is_of(disabled_routes, key) {
            diagnostics.push(with_other_name(diagnostic));
        }
    }
}

/// Some call a key otherwise than we do, and what is spelt most alike is something else.
fn with_other_name(diagnostic: Diagnostic) -> Diagnostic {
    let key = diagnostic.key.as_deref().unwrap_or_default();
    match PLACES_OF_THE_QUEUE.contains(&key) {
        true => diagnostic.help("did you mean kete.data-dir? The queue lives in it".to_owned()),
        false => diagnostic,
    }
}

/// Warns of environment variables that look like ours and are none.
pub(super) fn judge_variables(settings: &Settings, diagnostics: &Diagnostics) {
    settings.check_variables(&known(), diagnostics);
}

/// Whether the key stands in a section that its own crate judges.
fn judged_elsewhere(key: &str) -> bool {
    below(sources::SECTION, key).is_some()
        || below(sources::KEYCLOAK_SECTION, key).is_some()
        || route_and_rest(key).is_some_and(|(_, rest)| below("destination", rest).is_some())
}

fn is_of(routes: &[String], key: &str) -> bool {
    route_and_rest(key).is_some_and(|(route, _)| routes.iter().any(|name| name == route))
}

/// The name of the route that a key is about, and the key within it.
fn route_and_rest(key: &str) -> Option<(&str, &str)> {
    below(routes::SECTION, key)?.split_once('.')
}

fn below<'k>(section: &str, key: &'k str) -> Option<&'k str> {
    key.strip_prefix(section)?.strip_prefix('.')
}

fn known() -> Known {
    let route = format!("{}.*", routes::SECTION);
    let destination = format!("{route}.destination");
    let source = format!("{}.*", sources::SECTION);
    let fixed: [(&str, KeyTable); 8] = [
        (ROOT, PROCESS_KEYS),
        (ROOT, PIPELINE_KEYS),
        (sources::KEYCLOAK_SECTION, KEYCLOAK_KEYS),
        (&route, ROUTE_KEYS),
        (&route, QUEUE_ROUTE_KEYS),
        (&destination, DESTINATION_KEYS),
        (&destination, LANE_KEYS),
        (&source, SOURCE_KEYS),
    ];
    let destinations = DESTINATIONS.iter().map(|kind| (&*destination, kind.keys));
    let sources = SOURCES.iter().map(|kind| (&*source, kind.keys));
    let tables = fixed.into_iter().chain(destinations).chain(sources);
    let known = tables.fold(Known::new(), |known, (section, table)| {
        known.below(section, table)
    });
    let destinations = DESTINATIONS.iter().flat_map(|kind| kind.sections);
    let destinations = destinations.map(|section| (&*destination, section));
    let keycloak = KEYCLOAK_SECTIONS.iter();
    let keycloak = keycloak.map(|section| (sources::KEYCLOAK_SECTION, section));
    let sections = destinations.chain(keycloak);
    sections.fold(known, |known, (owner, (section, table))| {
        known.below(&format!("{owner}.{section}"), table)
    })
}
