//! The sources: `kete.sources.<name>.…`, or the one that `kete.keycloak.*` alone stands for.

use std::sync::Arc;

use kete_config::{Diagnostic, Diagnostics, Key, KeyTable, Scope, Settings, code, nearest};
use kete_pipeline::{SourceKind, SourcePlan, SourceSection};
use kete_sources::SOURCES;

use super::shown::{self, Shown};
use super::{NO_SOURCE, Needs, SOURCE_LINES};

pub(super) const SECTION: &str = "kete.sources";
pub(super) const KEYCLOAK_SECTION: &str = "kete.keycloak";

/// The name, and the kind, of the source that `kete.keycloak.*` stands for.
const IMPLIED_NAME: &str = "keycloak";
const IMPLIED_KIND: &str = "admin-api";

static KIND: Key<String> = Key::required("kind", "where the events come from");
/// What every section of a source has.
pub(super) static SOURCE_KEYS: KeyTable = &[&KIND];

/// A source that is right.
pub(crate) struct CheckedSource {
    pub(crate) name: Arc<str>,
    pub(crate) kind: &'static SourceKind,
    pub(crate) plan: Box<dyn SourcePlan>,
    /// Its settings, for people.
    pub(crate) shown: Vec<Shown>,
}

/// All sources.
#[derive(Default)]
pub(super) struct Sources {
    pub(super) checked: Vec<CheckedSource>,
    /// Every source with its kind, if there is one of that name.
    pub(super) kinds: Vec<(String, Option<&'static SourceKind>)>,
}

pub(super) fn read(settings: &Settings, needs: Needs, diagnostics: &Diagnostics) -> Sources {
    let mut sources = Sources::default();
    for name in settings.names_below(SECTION) {
        let scope = settings.scope(&format!("{SECTION}.{name}"), diagnostics);
        let kind = read_kind(&scope);
        sources.checked.extend(kind.and_then(|kind| check(&name, kind, &scope)));
        sources.kinds.push((name, kind));
    }
    if sources.kinds.is_empty() {
        sources.without_a_section(settings, needs, diagnostics);
    }
    sources
}

impl Sources {
    fn without_a_section(&mut self, settings: &Settings, needs: Needs, diagnostics: &Diagnostics) {
        let implied = SOURCES.iter().find(|kind| kind.name == IMPLIED_KIND);
        let asked = !settings.names_below(KEYCLOAK_SECTION).is_empty() || has_keycloak(settings);
        if let (true, Some(kind)) = (asked, implied) {
            let scope = settings.scope(&format!("{SECTION}.{IMPLIED_NAME}"), diagnostics);
            self.checked.extend(check(IMPLIED_NAME, kind, &scope));
            self.kinds.push((IMPLIED_NAME.to_owned(), Some(kind)));
        } else if needs == Needs::Everything {
            diagnostics.push(no_source());
        }
    }
}

fn has_keycloak(settings: &Settings) -> bool {
    let below = |key: &str| key.strip_prefix(KEYCLOAK_SECTION).is_some_and(|rest| rest.starts_with('.'));
    settings.keys().any(|(key, _)| below(key))
}

fn read_kind(scope: &Scope<'_>) -> Option<&'static SourceKind> {
    let wanted = scope.read(&KIND)?;
    let names = || SOURCES.iter().map(|kind| kind.name);
    let found = SOURCES.iter().find(|kind| kind.name == wanted);
    if found.is_none() {
        let help = match nearest(&wanted, names()) {
            Some(meant) => format!("did you mean {meant}?"),
            None => format!("write one of: {}", names().collect::<Vec<_>>().join(", ")),
        };
        scope.reject("kind", code::BAD_VALUE, "there is no source of this kind", help);
    }
    found
}

fn check(name: &str, kind: &'static SourceKind, scope: &Scope<'_>) -> Option<CheckedSource> {
    let plan = (kind.check)(&SourceSection {
        name,
        scope,
        settings: scope.settings(),
        diagnostics: scope.diagnostics(),
    })?;
    let shown = shown::settings(scope, &[SOURCE_KEYS, kind.keys], &[]);
    Some(CheckedSource { name: name.into(), kind, plan, shown })
}

fn no_source() -> Diagnostic {
    let help = format!("add a source, such as\n{SOURCE_LINES}");
    Diagnostic::error(NO_SOURCE, "there is no source, so no event would come in").help(help)
}
