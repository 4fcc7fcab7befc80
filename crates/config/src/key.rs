//! A setting is declared once: its name, type, default and text stand in one value.
//!
//! The same declaration is read by the parser, the check for unknown keys, the suggestions and
//! the generated reference, so they cannot disagree. Names are relative to the section in which
//! the table is used. A declaration holds no value and reads nothing.

use std::marker::PhantomData;

use crate::setting::Setting;

/// The declarations of one section, in the order of its reference page.
pub type KeyTable = &'static [&'static dyn AnyKey];

/// What a declaration means for a key that matches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It can be set and has its effect.
    Active,
    /// It is accepted with a warning, because it means nothing here; the text says why.
    Unused(&'static str),
    /// It is refused, because it cannot be done yet; the text says the way out.
    NotYet(&'static str),
    /// It groups keys that another table knows.
    Section,
}

/// What all declarations have in common.
pub trait AnyKey: Sync {
    /// The name relative to the section, without the placeholder of a [`MapKey`].
    fn name(&self) -> &'static str;

    /// The kind of value, as it completes "expected …".
    fn expected(&self) -> &'static str {
        "text"
    }

    /// The default as one would write it.
    fn default(&self) -> Option<&'static str> {
        None
    }

    /// What the setting does, in one sentence without a full stop.
    fn doc(&self) -> &'static str;

    /// Whether the value must never be shown.
    fn secret(&self) -> bool {
        false
    }

    /// Whether it must be set.
    fn required(&self) -> bool {
        false
    }

    /// What it means for a key that matches.
    fn status(&self) -> Status {
        Status::Active
    }

    /// What a free last part of the name is called, for a [`MapKey`].
    fn placeholder(&self) -> Option<&'static str> {
        None
    }

    /// Whether a key, relative to the same section, is this one.
    fn matches(&self, relative_key: &str) -> bool;

    /// The name as the reference shows it: `port`, `headers.<NAME>`.
    fn written(&self) -> String {
        match self.placeholder() {
            Some(placeholder) => format!("{}.<{placeholder}>", self.name()),
            None => self.name().to_owned(),
        }
    }

    /// Reads the default as if it had been written in a file.
    ///
    /// # Errors
    /// Why the default is not a value of the key's own type; always a mistake of the declaration.
    fn check_default(&self) -> Result<(), String> {
        Ok(())
    }
}

/// One setting with a value of type `T`.
#[derive(Debug)]
pub struct Key<T: 'static> {
    name: &'static str,
    doc: &'static str,
    default: Option<&'static str>,
    required: bool,
    secret: bool,
    value: PhantomData<fn() -> T>,
}

impl<T: Setting> Key<T> {
    /// A setting that must be there.
    pub const fn required(name: &'static str, doc: &'static str) -> Key<T> {
        Key {
            required: true,
            ..Key::optional(name, doc)
        }
    }

    /// A setting that may be left out.
    pub const fn optional(name: &'static str, doc: &'static str) -> Key<T> {
        Key {
            name,
            doc,
            default: None,
            required: false,
            secret: false,
            value: PhantomData,
        }
    }

    /// A setting with a default, given as one would write it in a file.
    pub const fn with_default(
        name: &'static str,
        default: &'static str,
        doc: &'static str,
    ) -> Key<T> {
        Key {
            default: Some(default),
            ..Key::optional(name, doc)
        }
    }

    /// The same setting, whose value is never shown.
    pub const fn secret(self) -> Key<T> {
        Key {
            secret: true,
            ..self
        }
    }
}

impl<T: Setting> AnyKey for Key<T> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn expected(&self) -> &'static str {
        T::EXPECTED
    }

    fn default(&self) -> Option<&'static str> {
        self.default
    }

    fn doc(&self) -> &'static str {
        self.doc
    }

    fn secret(&self) -> bool {
        self.secret
    }

    fn required(&self) -> bool {
        self.required
    }

    fn matches(&self, relative_key: &str) -> bool {
        relative_key == self.name
    }

    fn check_default(&self) -> Result<(), String> {
        self.default
            .map_or(Ok(()), |default| T::parse(default).map(drop))
    }
}

/// Settings whose last part the user chooses, such as `headers.<NAME>`; the values are text.
#[derive(Debug)]
pub struct MapKey {
    name: &'static str,
    placeholder: &'static str,
    doc: &'static str,
    secret: bool,
}

impl MapKey {
    /// `name` is the fixed part, `placeholder` what the reference calls the free part. The free
    /// part may contain dots.
    pub const fn new(name: &'static str, placeholder: &'static str, doc: &'static str) -> MapKey {
        MapKey {
            name,
            placeholder,
            doc,
            secret: false,
        }
    }

    /// The same settings, whose values are never shown.
    pub const fn secret(self) -> MapKey {
        MapKey {
            secret: true,
            ..self
        }
    }
}

impl AnyKey for MapKey {
    fn name(&self) -> &'static str {
        self.name
    }

    fn doc(&self) -> &'static str {
        self.doc
    }

    fn secret(&self) -> bool {
        self.secret
    }

    fn placeholder(&self) -> Option<&'static str> {
        Some(self.placeholder)
    }

    fn matches(&self, relative_key: &str) -> bool {
        relative_key != self.name && is_in(self.name, relative_key)
    }
}

/// A key, with everything below it, that KETE knows and that means nothing here.
#[derive(Debug)]
pub struct Unused {
    name: &'static str,
    why: &'static str,
}

impl Unused {
    /// `why` is shown to whoever sets it.
    pub const fn new(name: &'static str, why: &'static str) -> Unused {
        Unused { name, why }
    }
}

impl AnyKey for Unused {
    fn name(&self) -> &'static str {
        self.name
    }

    fn doc(&self) -> &'static str {
        self.why
    }

    fn status(&self) -> Status {
        Status::Unused(self.why)
    }

    fn matches(&self, relative_key: &str) -> bool {
        is_in(self.name, relative_key)
    }
}

/// A key, with everything below it, that cannot be used yet.
#[derive(Debug)]
pub struct NotYet {
    name: &'static str,
    way_out: &'static str,
}

impl NotYet {
    /// `way_out` is shown to whoever sets it.
    pub const fn new(name: &'static str, way_out: &'static str) -> NotYet {
        NotYet { name, way_out }
    }
}

impl AnyKey for NotYet {
    fn name(&self) -> &'static str {
        self.name
    }

    fn doc(&self) -> &'static str {
        self.way_out
    }

    fn status(&self) -> Status {
        Status::NotYet(self.way_out)
    }

    fn matches(&self, relative_key: &str) -> bool {
        is_in(self.name, relative_key)
    }
}

/// A section below this one that has a table of its own, chosen by its `kind` for instance.
///
/// Where the other table takes part in the check, it alone judges the keys of the section. Where
/// none does, because the kind itself is wrong, the keys of the section are not judged at all.
#[derive(Debug)]
pub struct Section {
    name: &'static str,
    doc: &'static str,
}

impl Section {
    /// `name` is the section's name relative to this one.
    pub const fn new(name: &'static str, doc: &'static str) -> Section {
        Section { name, doc }
    }
}

impl AnyKey for Section {
    fn name(&self) -> &'static str {
        self.name
    }

    fn doc(&self) -> &'static str {
        self.doc
    }

    fn status(&self) -> Status {
        Status::Section
    }

    fn matches(&self, relative_key: &str) -> bool {
        relative_key != self.name && is_in(self.name, relative_key)
    }
}

/// Whether `key` is `section` or stands anywhere below it.
pub(crate) fn is_in(section: &str, key: &str) -> bool {
    key.strip_prefix(section)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// What is wrong with a table itself: a name given twice or not in kebab case, a text that is
/// missing, a default that is not of the key's type. For a test beside each table.
pub fn table_mistakes(table: &[&dyn AnyKey]) -> Vec<String> {
    let mut mistakes = Vec::new();
    for (index, key) in table.iter().enumerate() {
        let written = key.written();
        if table[..index]
            .iter()
            .any(|earlier| earlier.written() == written)
        {
            mistakes.push(format!("{written}: declared twice"));
        }
        if !key.name().split('.').all(is_kebab_case) {
            mistakes.push(format!("{written}: not in kebab case"));
        }
        if key.doc().trim().is_empty() || key.doc().ends_with('.') {
            mistakes.push(format!("{written}: needs a text without a full stop"));
        }
        if let Err(why) = key.check_default() {
            mistakes.push(format!("{written}: the default is wrong: {why}"));
        }
    }
    mistakes
}

fn is_kebab_case(segment: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    segment.bytes().all(allowed) && segment.starts_with(|first: char| first.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    static PORT: Key<u16> = Key::with_default("port", "8080", "the port");
    static TOKEN: Key<String> = Key::required("auth.token", "the token").secret();
    static HEADERS: MapKey = MapKey::new("headers", "NAME", "extra headers").secret();
    static OLD: Unused = Unused::new("encoding", "there is nothing to encode");
    static LATER: NotYet = NotYet::new("tls", "use a proxy until then");
    static TARGET: Section = Section::new("target", "where it goes");

    #[test]
    fn a_declaration_tells_all_that_the_reference_needs() {
        assert_eq!(
            (PORT.written().as_str(), AnyKey::default(&PORT)),
            ("port", Some("8080"))
        );
        assert_eq!(AnyKey::expected(&PORT), "a whole number from 0 to 65535");
        assert!(AnyKey::secret(&TOKEN) && AnyKey::required(&TOKEN) && !AnyKey::secret(&PORT));
        assert_eq!(HEADERS.written(), "headers.<NAME>");
        assert_eq!(OLD.status(), Status::Unused("there is nothing to encode"));
        assert_eq!(LATER.status(), Status::NotYet("use a proxy until then"));
        assert_eq!(
            (TARGET.status(), TARGET.doc()),
            (Status::Section, "where it goes")
        );
    }

    #[test]
    fn a_declaration_matches_its_own_keys_only() {
        let cases: [(&dyn AnyKey, &[&str], &[&str]); 5] = [
            (&PORT, &["port"], &["ports", "port.x", "Port", ""]),
            (
                &HEADERS,
                &["headers.A", "headers.A.B"],
                &["headers", "headersA", "header.A"],
            ),
            (
                &OLD,
                &["encoding", "encoding.kind"],
                &["encodings", "encod"],
            ),
            (&LATER, &["tls", "tls.trust.kind"], &["tlsx"]),
            (
                &TARGET,
                &["target.kind", "target.a.b"],
                &["target", "targets.kind"],
            ),
        ];
        for (key, matching, others) in cases {
            for name in matching {
                assert!(key.matches(name), "{} should match {name}", key.written());
            }
            for name in others {
                assert!(
                    !key.matches(name),
                    "{} should not match {name}",
                    key.written()
                );
            }
        }
    }

    #[test]
    fn a_table_with_mistakes_is_found_out() {
        static TWICE: Key<bool> = Key::with_default("port", "maybe", "on or off");
        static STYLE: Key<bool> = Key::optional("maxSize", "");
        static STOP: Key<bool> = Key::optional("stop", "a sentence.");
        assert!(table_mistakes(&[&PORT, &TOKEN, &HEADERS, &OLD, &LATER, &TARGET]).is_empty());
        assert_eq!(
            table_mistakes(&[&PORT, &TWICE, &STYLE, &STOP]),
            [
                "port: declared twice",
                "port: the default is wrong: it is none of these",
                "maxSize: not in kebab case",
                "maxSize: needs a text without a full stop",
                "stop: needs a text without a full stop",
            ]
        );
    }
}
