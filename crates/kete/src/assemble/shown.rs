//! The settings of a section as people may see them: what is set, and nothing that is secret.

use kete_config::{AnyKey, Diagnostic, KeyTable, Scope, Status};
use serde::Serialize;

/// One setting, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Shown {
    /// Its name within the section.
    pub(crate) key: String,
    /// Its value, or the word for hidden.
    pub(crate) value: String,
    /// Whether nobody set it.
    pub(crate) default: bool,
}

/// Everything that is set in a section, in the order of the tables, and the named keys also where
/// they are left at their defaults.
pub(super) fn settings(scope: &Scope<'_>, tables: &[KeyTable], always: &[&str]) -> Vec<Shown> {
    let start = format!("{}.", scope.prefix());
    let keys = scope.settings().keys();
    let set: Vec<&str> = keys
        .filter_map(|(key, _)| key.strip_prefix(&start))
        .collect();
    let mut shown = Vec::new();
    // A section says nothing of what is in it, not even what is secret.
    let is_key = |declared: &&&dyn AnyKey| declared.status() != Status::Section;
    for declared in tables.iter().copied().flatten().filter(is_key) {
        let written = set.iter().filter(|key| declared.matches(key));
        let before = shown.len();
        shown.extend(written.filter_map(|key| as_written(scope, *declared, key)));
        if shown.len() == before && always.contains(&declared.name()) {
            shown.extend(as_default(*declared));
        }
    }
    shown
}

/// As [`settings`], with what is set in the sections below.
pub(super) fn with_sections(
    scope: &Scope<'_>,
    tables: &[KeyTable],
    sections: &[(&str, KeyTable)],
    always: &[&str],
) -> Vec<Shown> {
    let mut shown = settings(scope, tables, always);
    for (section, table) in sections {
        let below = settings(&scope.child(section), &[*table], &[]);
        shown.extend(below.into_iter().map(|setting| Shown {
            key: format!("{section}.{}", setting.key),
            ..setting
        }));
    }
    shown
}

fn as_written(scope: &Scope<'_>, declared: &dyn AnyKey, key: &str) -> Option<Shown> {
    let value = match declared.secret() {
        true => Diagnostic::warning("", "").hidden_value().value,
        // What may be secret within a URL is masked there.
        false => Diagnostic::warning("", "").value(&scope.raw(key)?.0).value,
    };
    Some(Shown {
        key: key.to_owned(),
        value: value?,
        default: false,
    })
}

fn as_default(declared: &dyn AnyKey) -> Option<Shown> {
    let value = declared.default()?.to_owned();
    Some(Shown {
        key: declared.name().to_owned(),
        value,
        default: true,
    })
}
