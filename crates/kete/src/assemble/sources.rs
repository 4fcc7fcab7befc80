//! The sources: `kete.sources.<name>.…`, or the one that `kete.keycloak.*` alone stands for.
//!
//! Their own crate reads and judges them; here is added what people see of them.

use kete_config::{Diagnostics, Settings};
use kete_credentials::keycloak::{self, KEYCLOAK_KEYS, KEYCLOAK_SECTIONS};
use kete_sources::{CheckedSource, SOURCE_KEYS, check_sources};

use super::Needs;
use super::shown::{self, Shown};

pub(super) const SECTION: &str = "kete.sources";
pub(super) const KEYCLOAK_SECTION: &str = keycloak::SECTION;

/// Shown even where they are left at their defaults, because senders have to know them.
const ALWAYS_SHOWN: &[&str] = &["bind", "path"];

/// What their crate says if there is none.
const NO_SOURCE: &str = "no-source";

/// A source that is right.
pub(crate) struct ShownSource {
    pub(crate) source: CheckedSource,
    /// Its settings, for people.
    pub(crate) shown: Vec<Shown>,
}

pub(super) fn read(
    settings: &Settings,
    needs: Needs,
    diagnostics: &Diagnostics,
) -> Vec<ShownSource> {
    let found = Diagnostics::new();
    let sources = check_sources(settings, &found);
    for diagnostic in found.into_vec() {
        if diagnostic.code != NO_SOURCE || needs == Needs::Everything {
            diagnostics.push(diagnostic);
        }
    }
    let shown = |source: CheckedSource| {
        let scope = settings.scope(&format!("{SECTION}.{}", source.name), diagnostics);
        let shown = shown::settings(&scope, &[SOURCE_KEYS, source.kind.keys], ALWAYS_SHOWN);
        ShownSource { source, shown }
    };
    sources.into_iter().map(shown).collect()
}

/// How Keycloak is reached, for people.
pub(super) fn keycloak(settings: &Settings, diagnostics: &Diagnostics) -> Vec<Shown> {
    let scope = settings.scope(KEYCLOAK_SECTION, diagnostics);
    shown::with_sections(&scope, &[KEYCLOAK_KEYS], KEYCLOAK_SECTIONS, &[])
}
