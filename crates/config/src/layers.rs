//! Merges the layers: defaults, then files in their order, the environment, `--set`.
//!
//! The later layer wins key by key, and every value keeps the place it came from. Defaults are
//! not stored here: each key's declaration holds its own, and a [`Scope`] applies it. Keys and
//! values are trimmed as KETE trims them. Nothing is looked up and no type is known here.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use crate::code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::key::is_in;
use crate::origin::Origin;
use crate::scope::Scope;
use crate::unknown::UnknownKeys;
use crate::{environment, file};

/// A value as it was written, without the white space around it.
#[derive(Clone)]
pub(crate) struct Value {
    pub(crate) text: String,
    pub(crate) origin: Origin,
}

pub(crate) type Layer = BTreeMap<String, Value>;

/// Collects what is to be read; [`Loader::load`] reads it.
pub struct Loader {
    root: String,
    files: Vec<PathBuf>,
    variables: Vec<(OsString, OsString)>,
    assignments: Vec<String>,
}

impl Loader {
    /// `root` is the first segment that all keys of the application share, such as `app`. It
    /// decides which environment variables are looked at.
    pub fn new(root: &str) -> Loader {
        let root = root.to_owned();
        Loader {
            root,
            files: Vec::new(),
            variables: Vec::new(),
            assignments: Vec::new(),
        }
    }

    /// Adds a properties file. Later files win over earlier ones.
    pub fn file(mut self, path: impl Into<PathBuf>) -> Loader {
        self.files.push(path.into());
        self
    }

    /// Adds environment variables, such as `std::env::vars_os()`. For a root of `app` these
    /// count: the literal dotted name, `app.routes.a.max-size`, and the shell form,
    /// `APP__ROUTES__A__MAX_SIZE` (`__` between segments, `_` for `-`). The shell form is read as
    /// lower case, so what has capital letters, underscores or dots within a segment, such as
    /// `app.headers.X-Key`, needs the literal name. All other variables are ignored.
    pub fn environment<K, V>(mut self, variables: impl IntoIterator<Item = (K, V)>) -> Loader
    where
        K: Into<OsString>,
        V: Into<OsString>,
    {
        let variables = variables
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        self.variables.extend(variables);
        self
    }

    /// Adds one `KEY=VALUE` of the command line. Later ones win over earlier ones.
    pub fn set(mut self, assignment: impl Into<String>) -> Loader {
        self.assignments.push(assignment.into());
        self
    }

    /// Reads everything. What cannot be read is reported and left out.
    pub fn load(self, diagnostics: &Diagnostics) -> Settings {
        let mut values = Layer::new();
        for path in &self.files {
            values.extend(file::read(path, diagnostics));
        }
        values.extend(environment::read(&self.root, &self.variables, diagnostics));
        let near_variables = environment::near(&self.root, &self.variables);
        for assignment in &self.assignments {
            values.extend(read_assignment(assignment, diagnostics));
        }
        Settings {
            values,
            near_variables,
            showable: Mutex::default(),
            unknown_keys: UnknownKeys::default(),
        }
    }
}

/// The merged configuration. Its `Debug` shows names only: a value may be a secret.
pub struct Settings {
    values: Layer,
    /// Names of environment variables that are none of ours, and begin as if they were.
    near_variables: Vec<String>,
    showable: Mutex<Showable>,
    unknown_keys: UnknownKeys,
}

/// Which values were read as something that may be shown, and which as something that may not.
#[derive(Default)]
struct Showable {
    plain: BTreeSet<String>,
    addresses: BTreeSet<String>,
    secret: BTreeSet<String>,
}

impl Settings {
    /// A view of the keys below a prefix, such as `app.routes.shop`; what is wrong with them goes
    /// to `diagnostics`. An empty prefix is a view of everything.
    pub fn scope<'s>(&'s self, prefix: &str, diagnostics: &'s Diagnostics) -> Scope<'s> {
        Scope::new(self, diagnostics, prefix.to_owned())
    }

    /// The segments that follow a prefix and have keys below them, sorted: the names of routes
    /// for `app.routes`. `app.routes.shop=x` alone makes no route, for nothing is below it.
    pub fn names_below(&self, prefix: &str) -> Vec<String> {
        let names: BTreeSet<&str> = self
            .below(prefix)
            .filter_map(|(key, _)| relative(prefix, key)?.split_once('.'))
            .map(|(name, _)| name)
            .collect();
        names.into_iter().map(str::to_owned).collect()
    }

    /// All keys that are set, sorted, with where they are set.
    pub fn keys(&self) -> impl Iterator<Item = (&str, &Origin)> {
        self.values
            .iter()
            .map(|(key, value)| (key.as_str(), &value.origin))
    }

    /// Decides what an unknown key is from now on. Until then it is an error.
    pub fn set_unknown_keys(&mut self, unknown_keys: UnknownKeys) {
        self.unknown_keys = unknown_keys;
    }

    pub(crate) fn unknown_keys(&self) -> UnknownKeys {
        self.unknown_keys
    }

    pub(crate) fn value(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    /// The keys strictly below a prefix, sorted.
    pub(crate) fn below(&self, prefix: &str) -> impl Iterator<Item = (&str, &Value)> {
        let start = if prefix.is_empty() {
            String::new()
        } else {
            format!("{prefix}.")
        };
        self.values
            .range(start.clone()..)
            .take_while(move |(key, _)| key.starts_with(&start))
            .map(|(key, value)| (key.as_str(), value))
    }

    /// Where a section begins: the first place at which a key of it is written.
    pub(crate) fn beginning_of(&self, section: &str) -> Option<&Origin> {
        self.values
            .range(section.to_owned()..)
            .take_while(|(key, _)| key.starts_with(section))
            .filter(|(key, _)| is_in(section, key))
            .map(|(_, value)| &value.origin)
            .min_by_key(|origin| origin.rank())
    }

    pub(crate) fn near_variables(&self) -> &[String] {
        &self.near_variables
    }

    /// Remembers that a value was read as an address.
    pub(crate) fn mark_address(&self, key: &str) {
        let mut showable = self.showable.lock().unwrap_or_else(PoisonError::into_inner);
        showable.addresses.insert(key.to_owned());
    }

    /// Whether a value was read by anybody yet.
    pub(crate) fn is_read(&self, key: &str) -> bool {
        let showable = self.showable.lock().unwrap_or_else(PoisonError::into_inner);
        showable.plain.contains(key) || showable.secret.contains(key)
    }

    /// Remembers that a value was read, and as what. Once a secret, always a secret.
    pub(crate) fn mark_read(&self, key: &str, secret: bool) {
        let mut showable = self.showable.lock().unwrap_or_else(PoisonError::into_inner);
        let marks = if secret {
            &mut showable.secret
        } else {
            &mut showable.plain
        };
        if !marks.contains(key) {
            marks.insert(key.to_owned());
        }
    }

    /// Puts a key's place and value into a diagnostic. A value that nobody has read yet is left
    /// out, because only reading tells whether it is a secret.
    pub(crate) fn locate(&self, diagnostic: Diagnostic, key: &str) -> Diagnostic {
        let diagnostic = diagnostic.key(key);
        let Some(value) = self.value(key) else {
            return diagnostic;
        };
        let diagnostic = diagnostic.at(value.origin.clone());
        let showable = self.showable.lock().unwrap_or_else(PoisonError::into_inner);
        if showable.secret.contains(key) {
            diagnostic.hidden_value()
        } else if showable.addresses.contains(key) {
            diagnostic.address_value(&value.text)
        } else if showable.plain.contains(key) {
            diagnostic.value(&value.text)
        } else {
            diagnostic
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.values.keys()).finish()
    }
}

/// A key without the prefix it stands below.
pub(crate) fn relative<'k>(prefix: &str, key: &'k str) -> Option<&'k str> {
    if prefix.is_empty() {
        return Some(key);
    }
    key.strip_prefix(prefix)?.strip_prefix('.')
}

/// Drops what Java's `String.trim` drops: white space and control characters up to U+0020.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(|character| character <= ' ')
}

/// Whether a name can be a key at all; says so if not.
pub(crate) fn check_key(key: &str, origin: &Origin, diagnostics: &Diagnostics) -> bool {
    let message = if key.is_empty() {
        "this entry has no key"
    } else if key.split('.').any(|segment| trim(segment).is_empty()) {
        "a part of this key is empty: nothing stands before, between or after its dots"
    } else {
        return true;
    };
    let diagnostic = Diagnostic::error(code::BAD_KEY, message).at(origin.clone());
    diagnostics.push(if key.is_empty() {
        diagnostic
    } else {
        diagnostic.key(key)
    });
    false
}

fn read_assignment(assignment: &str, diagnostics: &Diagnostics) -> Option<(String, Value)> {
    let Some((key, value)) = assignment.split_once('=') else {
        let name_ends =
            |character: char| !character.is_alphanumeric() && !".-_".contains(character);
        // What follows the name may be the secret that somebody wanted to set.
        let name = assignment.split(name_ends).next().unwrap_or_default();
        let message = format!("expected KEY=VALUE, but there is no = after \"{name}\"");
        diagnostics.push(Diagnostic::error(code::BAD_SET, message).at(Origin::Set));
        return None;
    };
    let key = trim(key);
    let value = Value {
        text: trim(value).to_owned(),
        origin: Origin::Set,
    };
    check_key(key, &Origin::Set, diagnostics).then(|| (key.to_owned(), value))
}
