//! A component's view of the settings: the keys below one prefix, read by their declarations.
//!
//! Reading applies the default, parses, and reports what is wrong; the reader gets a value or
//! nothing and goes on, so that the next key is checked too. No value leaves here with a
//! placeholder in it, and none of a secret gets into a message.

use crate::code;
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::environment::shell_name;
use crate::key::{AnyKey, Key, KeyTable, MapKey};
use crate::layers::{Settings, Value, relative};
use crate::nearest::nearest;
use crate::origin::Origin;
use crate::placeholder;
use crate::setting::Setting;
use crate::unknown::Known;

/// A view of [`Settings`] below a prefix. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Scope<'s> {
    settings: &'s Settings,
    diagnostics: &'s Diagnostics,
    prefix: String,
}

impl<'s> Scope<'s> {
    pub(crate) fn new(
        settings: &'s Settings,
        diagnostics: &'s Diagnostics,
        prefix: String,
    ) -> Scope<'s> {
        Scope {
            settings,
            diagnostics,
            prefix,
        }
    }

    /// Reads a key. `None` if it is optional and not set, or if it is wrong or missing, which
    /// has been reported then.
    pub fn read<T: Setting>(&self, key: &Key<T>) -> Option<T> {
        self.read_with_origin(key).map(|(value, _)| value)
    }

    /// Like [`Scope::read`] for a key that may be left out: `None` if it is wrong, which has been
    /// reported, and `Some(None)` if it is not set.
    pub fn read_optional<T: Setting>(&self, key: &Key<T>) -> Option<Option<T>> {
        let value = self.read(key);
        let written = self.settings.value(&self.full_name(key.name()));
        let absent = written.is_none_or(|value| value.text.is_empty() && T::BLANK_IS_ABSENT);
        (value.is_some() || absent).then_some(value)
    }

    /// Like [`Scope::read`], and says where the value was written.
    pub fn read_with_origin<T: Setting>(&self, key: &Key<T>) -> Option<(T, Origin)> {
        let name = self.full_name(key.name());
        let written = self.settings.value(&name);
        match written {
            Some(value) if !(value.text.is_empty() && T::BLANK_IS_ABSENT) => {
                if key.secret() || !T::IS_LARGE {
                    self.settings.mark_read(&name, key.secret());
                }
                if T::IS_ADDRESS {
                    self.settings.mark_address(&name);
                }
                self.parse(key, &name, &value.text, &value.origin)
            }
            _ => match AnyKey::default(key) {
                Some(default) => self.parse(key, &name, default, &Origin::Default),
                None => {
                    self.absent(key, &name, written);
                    None
                }
            },
        }
    }

    /// The text of a key that no declaration describes, and where it was written. Not for
    /// secrets: messages about it may show it.
    pub fn raw(&self, name: &str) -> Option<(String, Origin)> {
        let name = self.full_name(name);
        let value = self.settings.value(&name)?;
        self.settings.mark_read(&name, false);
        self.without_placeholder(&name, &value.text)
            .then(|| (value.text.clone(), value.origin.clone()))
    }

    /// Whether a key is written anywhere, even blank.
    pub fn is_set(&self, name: &str) -> bool {
        self.settings.value(&self.full_name(name)).is_some()
    }

    /// Where a key is written.
    pub fn origin(&self, name: &str) -> Option<Origin> {
        self.settings
            .value(&self.full_name(name))
            .map(|value| value.origin.clone())
    }

    /// All entries of a [`MapKey`], sorted by key: the free part of the name and the value, which
    /// may be blank. Entries that are wrong are reported and left out.
    pub fn map(&self, key: &MapKey) -> Vec<(String, String)> {
        let section = self.full_name(key.name());
        let mut entries = Vec::new();
        for (name, value) in self.settings.below(&section) {
            self.settings.mark_read(name, key.secret());
            if let Some(free) = relative(&section, name)
                && self.without_placeholder(name, &value.text)
            {
                entries.push((free.to_owned(), value.text.clone()));
            }
        }
        entries
    }

    /// A view of the section of this name below this one.
    pub fn child(&self, name: &str) -> Scope<'s> {
        Scope::new(self.settings, self.diagnostics, self.full_name(name))
    }

    /// The prefix that this is the view of.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The names of the sections right below this one, sorted.
    pub fn children(&self) -> Vec<String> {
        self.settings.names_below(&self.prefix)
    }

    /// The full dotted key for a name relative to this view.
    pub fn full_name(&self, name: &str) -> String {
        match (self.prefix.as_str(), name) {
            ("", name) => name.to_owned(),
            (prefix, "") => prefix.to_owned(),
            (prefix, name) => format!("{prefix}.{name}"),
        }
    }

    /// The settings that this is a view of.
    pub fn settings(&self) -> &'s Settings {
        self.settings
    }

    /// Where mistakes go.
    pub fn diagnostics(&self) -> &'s Diagnostics {
        self.diagnostics
    }

    /// Reports an error at a key; its place and its value are looked up. The value is shown only
    /// if it was read before, and not as a secret.
    pub fn reject(
        &self,
        name: &str,
        code: &'static str,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        self.report(name, Diagnostic::error(code, message).help(help));
    }

    /// Reports a warning at a key, otherwise like [`Scope::reject`].
    pub fn warn(
        &self,
        name: &str,
        code: &'static str,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        self.report(name, Diagnostic::warning(code, message).help(help));
    }

    /// Judges every key below the prefix that none of the tables knows. For several sections at
    /// once, which gives better suggestions, see [`Settings::check_unknown`].
    pub fn check_unknown(&self, tables: &[KeyTable]) {
        self.check_unknown_sections(tables, &[]);
    }

    /// Like [`Scope::check_unknown`], with further tables that stand in sections below this one,
    /// each with the name of its section relative to this one.
    pub fn check_unknown_sections(&self, tables: &[KeyTable], sections: &[(&str, KeyTable)]) {
        let own = tables.iter().map(|table| ("", *table));
        let all = own.chain(sections.iter().copied());
        let known = all.fold(Known::new(), |known, (section, table)| {
            known.below_exactly(&self.full_name(section), table)
        });
        self.settings
            .check_unknown_below(&self.prefix, &known, self.diagnostics);
    }

    fn report(&self, name: &str, diagnostic: Diagnostic) {
        self.diagnostics
            .push(self.settings.locate(diagnostic, &self.full_name(name)));
    }

    fn parse<T: Setting>(
        &self,
        key: &Key<T>,
        name: &str,
        text: &str,
        origin: &Origin,
    ) -> Option<(T, Origin)> {
        if !self.without_placeholder(name, text) {
            return None;
        }
        match T::parse(text) {
            Ok(value) => Some((value, origin.clone())),
            Err(why) => {
                let diagnostic = bad_value(T::EXPECTED, &why, key.secret());
                let diagnostic = match origin {
                    Origin::Default => diagnostic.key(name).at(Origin::Default).value(text),
                    _ => self.settings.locate(diagnostic, name),
                };
                self.diagnostics.push(diagnostic);
                None
            }
        }
    }

    /// Reports a placeholder that would otherwise be taken literally.
    fn without_placeholder(&self, name: &str, text: &str) -> bool {
        let Some(prefix) = placeholder::prefix(text) else {
            return true;
        };
        let message = format!(
            "the placeholder ${{{prefix}:…}} is not supported yet, and is never taken literally"
        );
        let variable = shell_name(name).unwrap_or_else(|| name.to_owned());
        let help = format!("leave the key out and set the environment variable {variable} instead");
        let diagnostic = Diagnostic::new(Severity::Error, code::PLACEHOLDER, message).help(help);
        self.diagnostics
            .push(self.settings.locate(diagnostic, name));
        false
    }

    fn absent<T: Setting>(&self, key: &Key<T>, name: &str, written: Option<&Value>) {
        if !key.required() {
            return;
        }
        let message = match (written, self.settings.beginning_of(&self.prefix)) {
            (Some(_), _) => "this key is required, but its value is blank".to_owned(),
            (None, Some(begin)) => {
                format!("this key is required and not set; its section begins at {begin}")
            }
            (None, None) => "this key is required and not set".to_owned(),
        };
        let mut help = format!("expected {}: {}", T::EXPECTED, key.doc());
        if let Some(misspelt) = self.misspelt(name) {
            help.push_str(&format!("\n{misspelt} is set: is that what was meant?"));
        }
        let diagnostic = Diagnostic::error(code::MISSING_KEY, message).help(help);
        self.diagnostics
            .push(self.settings.locate(diagnostic, name));
    }

    /// The key beside an absent one that may be the same with a slip. One that has been read is
    /// right already.
    fn misspelt(&self, absent: &str) -> Option<String> {
        let (section, word) = absent.rsplit_once('.')?;
        let siblings = self.settings.below(section).filter_map(|(key, _)| {
            let sibling = relative(section, key)?;
            (!sibling.contains('.') && sibling != word && !self.settings.is_read(key))
                .then_some(sibling)
        });
        let found = nearest(word, siblings)?;
        Some(format!("{section}.{found}"))
    }
}

/// The first line of `why` completes the message, the others are the way out. A type may quote
/// the value in spite of what it was told, so nothing of it is used for a secret.
fn bad_value(expected: &str, why: &str, secret: bool) -> Diagnostic {
    let (problem, help) = match why.split_once('\n') {
        _ if secret => ("it is not", None),
        Some((problem, help)) => (problem, Some(help.to_owned())),
        None => (why, None),
    };
    Diagnostic::error(
        code::BAD_VALUE,
        format!("expected {expected}, but {problem}"),
    )
    .help(help)
}
