//! Which keys there are: the tables of all crates, each in the sections where it counts.
//!
//! Which keys a source or a destination has depends on its kind, so their tables are put in place
//! by name. Where a section cannot be judged, because its route is switched off or its kind does
//! not exist, none of its keys is called unknown.

use kete_config::{Diagnostics, KeyTable, Known, Settings};
use kete_destinations::DESTINATIONS;
use kete_pipeline::{LANE_KEYS, PIPELINE_KEYS, QUEUE_ROUTE_KEYS};
use kete_routes::ROUTE_KEYS;
use kete_sources::{KEYCLOAK_KEYS, SOURCES};

use super::ROOT;
use super::routes::{self, Routes};
use super::sources::{self, Sources};
use crate::settings::PROCESS_KEYS;

/// Reports every key that no table knows, and every one that means nothing here.
pub(super) fn judge(
    settings: &Settings,
    sources: &Sources,
    routes: &Routes,
    diagnostics: &Diagnostics,
) {
    let mut mounts = Mounts::default();
    mounts.sources(sources);
    mounts.routes(routes);
    let found = Diagnostics::new();
    settings.check_unknown(&mounts.known(), &found);
    for diagnostic in found.into_vec() {
        let key = diagnostic.key.as_deref().unwrap_or_default();
        if !mounts.unjudged.iter().any(|section| key.starts_with(section.as_str())) {
            diagnostics.push(diagnostic);
        }
    }
}

#[derive(Default)]
struct Mounts {
    tables: Vec<(String, KeyTable)>,
    /// Sections, each with its closing dot, whose keys nobody can judge.
    unjudged: Vec<String>,
}

impl Mounts {
    fn sources(&mut self, sources: &Sources) {
        for (name, kind) in &sources.kinds {
            let section = format!("{}.{name}", sources::SECTION);
            match kind {
                Some(kind) => self.source(&section, kind.keys),
                None => self.unjudged.push(format!("{section}.")),
            }
        }
        if sources.kinds.is_empty() {
            // There is nothing to judge by, but a slip in `sources` itself gets its suggestion.
            for kind in SOURCES {
                self.source(&format!("{}.*", sources::SECTION), kind.keys);
            }
        }
    }

    fn source(&mut self, section: &str, keys: KeyTable) {
        self.tables.push((section.to_owned(), sources::SOURCE_KEYS));
        self.tables.push((section.to_owned(), keys));
    }

    fn routes(&mut self, routes: &Routes) {
        for (name, kind) in &routes.kinds {
            let section = format!("{}.{name}.destination", routes::SECTION);
            match kind {
                Some(kind) => self.destination(&section, kind.keys),
                None => self.unjudged.push(format!("{section}.")),
            }
        }
        if routes.kinds.is_empty() && routes.disabled.is_empty() {
            for kind in DESTINATIONS {
                self.destination(&format!("{}.*.destination", routes::SECTION), kind.keys);
            }
        }
        let disabled = routes.disabled.iter();
        self.unjudged.extend(disabled.map(|name| format!("{}.{name}.", routes::SECTION)));
    }

    fn destination(&mut self, section: &str, keys: KeyTable) {
        for table in [routes::DESTINATION_KEYS, keys, LANE_KEYS] {
            self.tables.push((section.to_owned(), table));
        }
    }

    fn known(&self) -> Known {
        let any_route = format!("{}.*", routes::SECTION);
        let everywhere = Known::new()
            .below(ROOT, PROCESS_KEYS)
            .below(ROOT, PIPELINE_KEYS)
            .below(sources::KEYCLOAK_SECTION, KEYCLOAK_KEYS)
            .below(&any_route, ROUTE_KEYS)
            .below(&any_route, QUEUE_ROUTE_KEYS);
        let tables = self.tables.iter();
        tables.fold(everywhere, |known, (section, table)| known.below(section, table))
    }
}
