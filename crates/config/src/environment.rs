//! Reads settings from environment variables.
//!
//! Two spellings are ours, for a root of `app`: the literal dotted name, `app.routes.a.max-size`,
//! which no shell can export but `env` and container runtimes can, and the shell form,
//! `APP__ROUTES__A__MAX_SIZE`: `__` between segments, `_` for `-`, read as lower case. So the
//! shell form can name neither capital letters nor underscores nor dots within a segment; a name
//! of the user's own that has them needs the literal form. Any other variable is none of ours:
//! `APP_PORT` for instance is what Kubernetes sets for a service called `app`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ffi::{OsStr, OsString};

use crate::code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::layers::{Layer, Value, check_key, trim};
use crate::origin::Origin;

pub(crate) fn read(
    root: &str,
    variables: &[(OsString, OsString)],
    diagnostics: &Diagnostics,
) -> Layer {
    let mut ours: BTreeMap<String, (&OsStr, &OsStr)> = BTreeMap::new();
    for (name, value) in variables {
        let shown = name.to_string_lossy();
        if shown.starts_with(&format!("{root}.")) || shown.starts_with(&shell_prefix(root)) {
            ours.insert(shown.into_owned(), (name, value));
        }
    }
    let mut layer = Layer::new();
    // Sorted by name, so that the same environment always gives the same messages.
    for (shown, (name, value)) in ours {
        let origin = Origin::Environment {
            name: shown.as_str().into(),
        };
        match (name.to_str(), value.to_str()) {
            (Some(name), Some(value)) => add(&mut layer, root, name, value, origin, diagnostics),
            (None, _) => reject(
                origin,
                "the name of this variable is not UTF-8",
                diagnostics,
            ),
            (_, None) => reject(
                origin,
                "the value of this variable is not UTF-8",
                diagnostics,
            ),
        }
    }
    layer
}

/// The names of variables that begin with the root and one underscore only, sorted.
pub(crate) fn near(root: &str, variables: &[(OsString, OsString)]) -> Vec<String> {
    let ours = shell_prefix(root);
    let begin = ours.strip_suffix('_').unwrap_or(&ours);
    let names = variables.iter().filter_map(|(name, _)| name.to_str());
    let mut near: Vec<String> = names
        .filter(|name| name.starts_with(begin) && !name.starts_with(&ours))
        .map(str::to_owned)
        .collect();
    near.sort();
    near.dedup();
    near
}

/// The shell form of a key: `APP__MAX_SIZE` for `app.max-size`. `None` if it has none.
pub fn shell_name(key: &str) -> Option<String> {
    let plain = |segment: &str| {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let joined = segment.contains("--") || segment.starts_with('-') || segment.ends_with('-');
        !segment.is_empty() && segment.bytes().all(allowed) && !joined
    };
    let name = || {
        key.replace('.', "__")
            .replace('-', "_")
            .to_ascii_uppercase()
    };
    (key.contains('.') && key.split('.').all(plain)).then(name)
}

fn shell_prefix(root: &str) -> String {
    format!("{}__", root.replace('-', "_").to_ascii_uppercase())
}

fn key_of(root: &str, name: &str) -> String {
    match name.strip_prefix(&shell_prefix(root)) {
        None => trim(name).to_owned(),
        Some(rest) => {
            let rest = rest
                .replace("__", ".")
                .replace('_', "-")
                .to_ascii_lowercase();
            format!("{root}.{rest}")
        }
    }
}

fn add(
    layer: &mut Layer,
    root: &str,
    name: &str,
    value: &str,
    origin: Origin,
    diagnostics: &Diagnostics,
) {
    let key = key_of(root, name);
    if !check_key(&key, &origin, diagnostics) {
        return;
    }
    let value = Value {
        text: trim(value).to_owned(),
        origin,
    };
    match layer.entry(key) {
        Entry::Vacant(vacant) => {
            vacant.insert(value);
        }
        Entry::Occupied(occupied) if occupied.get().text == value.text => {}
        Entry::Occupied(occupied) => {
            let other = &occupied.get().origin;
            let message = format!("the {other} sets the same key to another value");
            let diagnostic = Diagnostic::error(code::ENVIRONMENT_CONFLICT, message);
            let help = "keep one of the two".to_owned();
            diagnostics.push(diagnostic.at(value.origin).key(occupied.key()).help(help));
        }
    }
}

fn reject(origin: Origin, message: &str, diagnostics: &Diagnostics) {
    diagnostics.push(Diagnostic::error(code::BAD_ENVIRONMENT, message).at(origin));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_name_leads_back_to_its_key() {
        for (key, name) in [
            ("app.routes.a.max-size", "APP__ROUTES__A__MAX_SIZE"),
            ("app.a1.b", "APP__A1__B"),
            ("app.x", "APP__X"),
        ] {
            assert_eq!(shell_name(key).as_deref(), Some(name));
            assert_eq!(key_of("app", name), key);
        }
        assert_eq!(key_of("my-app", "MY_APP__X"), "my-app.x");
        assert_eq!(key_of("app", "APP__headers__X_Key"), "app.headers.x-key");
    }

    #[test]
    fn a_key_that_the_shell_form_cannot_name_has_none() {
        for key in [
            "app",
            "app.headers.X-Key",
            "app.a_b",
            "app.-a",
            "app.a--b",
            "app.a-.b",
            "a..b",
        ] {
            assert_eq!(shell_name(key), None, "{key}");
        }
    }
}
