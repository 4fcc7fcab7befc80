//! Which kinds of sources there are, and which sources the configuration asks for.
//!
//! Checking touches nothing but the settings. Every mistake is reported and the next source is
//! looked at; only a source whose section is right gets a plan.

use kete_config::{
    AnyKey, Diagnostic, Diagnostics, Key, KeyTable, Scope, Setting, Settings, code, nearest,
};
use kete_credentials::keycloak::{self, KEYCLOAK_KEYS, KEYCLOAK_SECTIONS};
use kete_pipeline::{SourceKind, SourcePlan, SourceSection};

use crate::realm_names::{REALM, RealmNames};
use crate::{admin_api, stdin, webhook};

/// Where the sources stand.
pub(crate) const SECTION: &str = "kete.sources";

/// The name of the source that `kete.keycloak.*` alone stands for.
const IMPLIED_NAME: &str = "keycloak";

/// Every kind of source.
pub static KINDS: &[SourceKind] = &[stdin::KIND, webhook::KIND, admin_api::KIND];

/// The kinds whose senders send an event again when they are not sure that it was taken.
const REPEATING: &[&str] = &[webhook::NAME, admin_api::NAME];

/// Kinds that are to come, each with what does instead until then.
const LATER: &[(&str, &str)] = &[
    (
        "log-file",
        "until then, use admin-api, or pipe events as JSON lines into stdin",
    ),
    ("syslog", "until then, use admin-api or webhook"),
];

/// The name of a kind, right or wrong.
#[derive(Debug)]
struct KindName(String);

impl Setting for KindName {
    const EXPECTED: &'static str = "stdin, webhook or admin-api";
    const BLANK_IS_ABSENT: bool = true;

    fn parse(text: &str) -> Result<KindName, String> {
        Ok(KindName(text.to_owned()))
    }
}

static KIND: Key<KindName> = Key::required("kind", "where the events come from");

/// What the section of every source has, beside the keys of its kind.
pub static SOURCE_KEYS: KeyTable = &[&KIND];

/// A source whose configuration is right.
pub struct CheckedSource {
    /// The name in `kete.sources.<name>`.
    pub name: String,
    /// Its kind.
    pub kind: &'static SourceKind,
    /// What builds it.
    pub plan: Box<dyn SourcePlan>,
    /// Whether it ends by itself.
    pub finite: bool,
    /// Whether events that were taken before are to be dropped.
    pub drops_repeats: bool,
    /// The realm names that it gives to events without one, as far as they are in its settings.
    pub realm_names: RealmNames,
}

/// Reads and checks `kete.sources.*` and `kete.keycloak.*`. Settings of Keycloak without any
/// source mean one `admin-api` source; neither is an error. The sources come sorted by name.
pub fn check_sources(settings: &Settings, diagnostics: &Diagnostics) -> Vec<CheckedSource> {
    settings
        .scope(keycloak::SECTION, diagnostics)
        .check_unknown_sections(&[KEYCLOAK_KEYS], KEYCLOAK_SECTIONS);
    reject_sections_with_a_value(settings, diagnostics);
    let names = settings.names_below(SECTION);
    if !names.is_empty() {
        let check = |name: String| check_source(&name, settings, diagnostics);
        return names.into_iter().filter_map(check).collect();
    }
    if has_keys_below(settings, keycloak::SECTION) {
        let scope = settings.scope(&format!("{SECTION}.{IMPLIED_NAME}"), diagnostics);
        return plan(IMPLIED_NAME, find(admin_api::NAME), &scope)
            .into_iter()
            .collect();
    }
    diagnostics.push(no_source());
    Vec::new()
}

fn check_source(
    name: &str,
    settings: &Settings,
    diagnostics: &Diagnostics,
) -> Option<CheckedSource> {
    let scope = settings.scope(&format!("{SECTION}.{name}"), diagnostics);
    let Some(KindName(wanted)) = scope.read(&KIND) else {
        // Only keys that no kind has can be judged: one may be the misspelt `kind` itself.
        let mut tables = vec![SOURCE_KEYS];
        tables.extend(KINDS.iter().map(|kind| kind.keys));
        scope.check_unknown(&tables);
        return None;
    };
    let kind = find(&wanted);
    match kind {
        Some(kind) => scope.check_unknown(&[SOURCE_KEYS, kind.keys]),
        None => reject_kind(&scope, &wanted),
    }
    plan(name, kind, &scope)
}

fn plan(name: &str, kind: Option<&'static SourceKind>, scope: &Scope<'_>) -> Option<CheckedSource> {
    let kind = kind?;
    let (settings, diagnostics) = (scope.settings(), scope.diagnostics());
    let plan = (kind.check)(&SourceSection {
        name,
        scope,
        settings,
        diagnostics,
    })?;
    Some(CheckedSource {
        name: name.to_owned(),
        kind,
        finite: plan.finite(),
        drops_repeats: REPEATING.contains(&kind.name),
        realm_names: realm_names(kind, scope),
        plan,
    })
}

/// The realm names of a kind that has such settings.
fn realm_names(kind: &SourceKind, scope: &Scope<'_>) -> RealmNames {
    if kind.keys.iter().any(|key| key.name() == REALM.name()) {
        RealmNames::read(scope)
    } else {
        RealmNames::default()
    }
}

fn find(name: &str) -> Option<&'static SourceKind> {
    KINDS.iter().find(|kind| kind.name == name)
}

fn reject_kind(scope: &Scope<'_>, wanted: &str) {
    if let Some((_, instead)) = LATER.iter().find(|(later, _)| *later == wanted) {
        let message = "sources of this kind cannot be used yet";
        return scope.reject(KEY_OF_KIND, code::NOT_YET, message, (*instead).to_owned());
    }
    let names = || KINDS.iter().map(|kind| kind.name);
    let help = match nearest(wanted, names()) {
        Some(meant) => format!("did you mean {meant}?"),
        None => format!("write one of: {}", names().collect::<Vec<_>>().join(", ")),
    };
    scope.reject(
        KEY_OF_KIND,
        code::BAD_VALUE,
        "there is no source of this kind",
        help,
    );
}

const KEY_OF_KIND: &str = "kind";

/// `kete.sources.input=stdin`, for which `kete.sources.input.kind=stdin` was meant.
fn reject_sections_with_a_value(settings: &Settings, diagnostics: &Diagnostics) {
    let scope = settings.scope(SECTION, diagnostics);
    for (key, _) in settings.keys() {
        let below = key
            .strip_prefix(SECTION)
            .and_then(|rest| rest.strip_prefix('.'));
        let Some(name) = below.filter(|name| !name.contains('.')) else {
            continue;
        };
        let message = "this is the name of a section and cannot have a value itself";
        let help = format!("its keys stand below it, such as {key}.kind");
        scope.reject(name, code::SECTION_AS_VALUE, message, help);
    }
}

fn has_keys_below(settings: &Settings, section: &str) -> bool {
    let is_below = |key: &str| {
        key.strip_prefix(section)
            .is_some_and(|rest| rest.starts_with('.'))
    };
    settings.keys().any(|(key, _)| is_below(key))
}

fn no_source() -> Diagnostic {
    let message = "there is no source, so no event would come in";
    Diagnostic::error("no-source", message).help(
        "add one of these\n\
         kete.sources.input.kind=stdin      (events as JSON lines on standard input)\n\
         kete.sources.input.kind=webhook    (events by HTTP POST to 127.0.0.1:8088/events)\n\
         or, to ask Keycloak itself,\n\
         kete.keycloak.url=https://keycloak.example.com\n\
         kete.keycloak.realms=shop\n\
         kete.keycloak.client-id=kete\n\
         kete.keycloak.client-secret=..."
            .to_owned(),
    )
}

#[cfg(test)]
mod tests;
