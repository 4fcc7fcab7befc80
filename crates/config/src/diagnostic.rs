//! Mistakes as values: collected, sorted, printed; never thrown.
//!
//! Whoever finds something wrong pushes a [`Diagnostic`] and goes on, so that one run shows every
//! mistake. A diagnostic never holds a secret: its value is either fit to be printed or is the
//! word for hidden. This module prints for people; other formats are built from the public fields.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::origin::Origin;

/// What stands in place of a value that must not be shown.
pub(crate) const HIDDEN: &str = "(hidden)";

/// A printed value is cut after this many characters; the field keeps all of it.
const SHOWN_CHARACTERS: usize = 160;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// The configuration can be used, perhaps not as its author thinks.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// One mistake, with its address and the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// A short stable name for this kind of mistake, such as `unknown-key`.
    pub code: &'static str,
    /// Where it was written; `None` for something that was not written at all.
    pub origin: Option<Origin>,
    /// The full dotted key, if it is about one.
    pub key: Option<String>,
    /// The value found, if it may be shown; `(hidden)` for a secret.
    pub value: Option<String>,
    /// What is wrong, and what was expected.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error that has no address yet.
    pub fn error(code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Error, code, message)
    }

    /// A warning that has no address yet.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Warning, code, message)
    }

    /// A diagnostic of the given severity that has no address yet.
    pub fn new(severity: Severity, code: &'static str, message: impl Into<String>) -> Diagnostic {
        let message = message.into();
        Diagnostic {
            severity,
            code,
            origin: None,
            key: None,
            value: None,
            message,
            help: None,
        }
    }

    /// Says where it was written.
    pub fn at(mut self, origin: impl Into<Option<Origin>>) -> Diagnostic {
        self.origin = origin.into();
        self
    }

    /// Says which key it is about, by its full dotted name.
    pub fn key(mut self, key: impl Into<String>) -> Diagnostic {
        self.key = Some(key.into());
        self
    }

    /// Says what was found. Not for secrets; a password within a URL is masked.
    pub fn value(mut self, value: &str) -> Diagnostic {
        self.value = Some(mask_query(&mask_user_info(value)));
        self
    }

    /// Says what was found where an address is expected. Who logs in and what is asked for are
    /// hidden even if the value is no address at all.
    pub fn address_value(mut self, value: &str) -> Diagnostic {
        self.value = Some(mask_address(value));
        self
    }

    /// Says that a value was found which must not be shown.
    pub fn hidden_value(mut self) -> Diagnostic {
        self.value = Some(HIDDEN.to_owned());
        self
    }

    /// Says what to do about it.
    pub fn help(mut self, help: impl Into<Option<String>>) -> Diagnostic {
        self.help = help.into();
        self
    }

    fn address(&self) -> Option<String> {
        let key = self.key.as_ref().map(|key| match self.value.as_deref() {
            None => printable(key),
            Some(HIDDEN) => format!("{} = {HIDDEN}", printable(key)),
            Some(value) => format!("{} = \"{}\"", printable(key), shortened(value)),
        });
        let origin = self
            .origin
            .as_ref()
            .map(|origin| printable(&origin.to_string()));
        match (origin, key) {
            (Some(origin), Some(key)) => Some(format!("{origin}: {key}")),
            (origin, key) => origin.or(key),
        }
    }
}

/// One line with the address, then what is wrong and what to do, each indented by two spaces.
impl fmt::Display for Diagnostic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}[{}]: ", self.severity.as_str(), self.code)?;
        let message = match self.address() {
            Some(address) => {
                write!(formatter, "{address}")?;
                Some(&self.message)
            }
            None => {
                write!(formatter, "{}", printable(&self.message))?;
                None
            }
        };
        for line in message
            .into_iter()
            .chain(&self.help)
            .flat_map(|text| text.lines())
        {
            write!(formatter, "\n  {}", printable(line))?;
        }
        Ok(())
    }
}

/// All that was found. Pushing needs only a shared reference.
#[derive(Debug, Default)]
pub struct Diagnostics {
    found: Mutex<Vec<Diagnostic>>,
}

impl Diagnostics {
    /// Nothing found yet.
    pub fn new() -> Diagnostics {
        Diagnostics::default()
    }

    /// Adds one. The same mistake pushed twice is listed and counted once.
    pub fn push(&self, diagnostic: Diagnostic) {
        self.lock().push(diagnostic);
    }

    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    /// How many warnings there are.
    pub fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    /// Whether the configuration must not be used.
    pub fn has_errors(&self) -> bool {
        self.lock()
            .iter()
            .any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// Whether nothing at all was found.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// What was found so far, sorted by origin and then by key.
    pub fn iter(&self) -> impl Iterator<Item = Diagnostic> + use<> {
        sorted(self.lock().clone()).into_iter()
    }

    /// What was found, sorted by origin and then by key.
    pub fn into_vec(self) -> Vec<Diagnostic> {
        sorted(
            self.found
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// The closing line, such as `2 errors, 1 warning`; `no mistakes` if there are none.
    pub fn summary(&self) -> String {
        let parts: Vec<String> = [(self.errors(), "error"), (self.warnings(), "warning")]
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, noun)| format!("{count} {noun}{}", if count == 1 { "" } else { "s" }))
            .collect();
        if parts.is_empty() {
            "no mistakes".to_owned()
        } else {
            parts.join(", ")
        }
    }

    fn count(&self, severity: Severity) -> usize {
        self.iter()
            .filter(|diagnostic| diagnostic.severity == severity)
            .count()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Diagnostic>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All of them, each with a newline at its end.
impl fmt::Display for Diagnostics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter()
            .try_for_each(|diagnostic| writeln!(formatter, "{diagnostic}"))
    }
}

/// By place and key; what was not written at all comes last. Repeats are dropped.
fn sorted(mut found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    found.sort_by_cached_key(|diagnostic| {
        let rank = diagnostic.origin.as_ref().map(Origin::rank);
        let key = diagnostic.key.clone();
        (
            rank.is_none(),
            rank,
            key,
            diagnostic.severity,
            diagnostic.code,
        )
    });
    found.dedup();
    found
}

/// Hides what stands between `://` and `@`, where a URL carries a user name and a password.
fn mask_user_info(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else {
        return value.to_owned();
    };
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    // A password may hold an unescaped slash; then the last @ of all is the safe place to cut.
    let end = rest[..authority].rfind('@').or_else(|| rest.rfind('@'));
    match end {
        Some(end) => format!("{scheme}://{HIDDEN}{}", &rest[end..]),
        None => value.to_owned(),
    }
}

/// Hides the query of what looks like an address: tokens stand there, and the address may be the
/// very thing that is wrong. It looks like one with `://` before `?`, or with a slash or a colon
/// before it and `name=` after it.
fn mask_query(value: &str) -> String {
    if value.contains("://") {
        return mask_from_query(value);
    }
    let Some((address, query)) = value.split_once('?') else {
        return value.to_owned();
    };
    let name = query.split('=').next().unwrap_or_default();
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.%[]~+".contains(&byte);
    let is_query = query.contains('=') && !name.is_empty() && name.bytes().all(is_name);
    if is_query && address.contains(['/', ':']) {
        mask_from_query(value)
    } else {
        value.to_owned()
    }
}

/// Hides all that may be secret in a text that stands where an address is expected.
fn mask_address(value: &str) -> String {
    let masked = match value.rfind('@') {
        Some(end) if !value.contains("://") => format!("{HIDDEN}{}", &value[end..]),
        _ => mask_user_info(value),
    };
    mask_from_query(&masked)
}

/// Hides what follows the first `?` or `#`, if anything does.
fn mask_from_query(value: &str) -> String {
    match value.find(['?', '#']) {
        Some(mark) if mark + 1 < value.len() => format!("{}{HIDDEN}", &value[..=mark]),
        _ => value.to_owned(),
    }
}

fn shortened(value: &str) -> String {
    match value.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{}…", printable(&value[..end])),
        None => printable(value),
    }
}

/// Keeps control characters, which could rewrite a terminal's screen, out of the output.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::code;

    fn line(line: u32) -> Origin {
        Origin::File {
            path: Path::new("kete.properties").into(),
            line,
        }
    }

    #[test]
    fn a_diagnostic_shows_address_message_and_help() {
        let diagnostic = Diagnostic::error(code::BAD_VALUE, "expected a number\nbut it is none")
            .at(line(12))
            .key("kete.port")
            .value("many")
            .help("write digits".to_owned());
        assert_eq!(
            diagnostic.to_string(),
            "error[bad-value]: kete.properties:12: kete.port = \"many\"\n  expected a number\n  \
             but it is none\n  write digits"
        );
    }

    #[test]
    fn what_is_absent_leaves_no_gap() {
        let bare = Diagnostic::warning("odd", "something is odd");
        assert_eq!(bare.to_string(), "warning[odd]: something is odd");
        assert_eq!(bare.clone().at(line(0)).to_string(), {
            "warning[odd]: kete.properties\n  something is odd"
        });
        assert_eq!(
            bare.clone().key("a.b").to_string(),
            "warning[odd]: a.b\n  something is odd"
        );
        assert_eq!(
            bare.key("a.b").hidden_value().help(None).to_string(),
            "warning[odd]: a.b = (hidden)\n  something is odd"
        );
    }

    #[test]
    fn values_are_cut_and_cannot_play_with_the_terminal() {
        let long = Diagnostic::error("x", "m")
            .key("k\u{1b}[2J")
            .value(&"é".repeat(180));
        assert_eq!(
            long.to_string(),
            format!("error[x]: k\\u{{1b}}[2J = \"{}…\"\n  m", "é".repeat(160))
        );
        assert_eq!(long.value.map(|value| value.chars().count()), Some(180));
        let lines = Diagnostic::error("x", "m").key("k").value("a\r\nb");
        assert_eq!(lines.to_string(), "error[x]: k = \"a\\r\\nb\"\n  m");
    }

    #[test]
    fn user_and_password_of_a_url_are_masked() {
        for (value, shown) in [
            (
                "https://joe:pa@ss@host:1/x@y",
                "https://(hidden)@host:1/x@y",
            ),
            ("https://joe:pa/ss@host/x", "https://(hidden)@host/x"),
            ("https://host/x", "https://host/x"),
            ("joe@host", "joe@host"),
        ] {
            let diagnostic = Diagnostic::error("x", "m").value(value);
            assert_eq!(diagnostic.value.as_deref(), Some(shown));
        }
    }

    #[test]
    fn the_query_of_an_address_is_masked_and_other_text_is_not() {
        for (value, shown) in [
            ("ftp://h/?token=T77", "ftp://h/?(hidden)"),
            ("localhost/?token=T77&a=b", "localhost/?(hidden)"),
            ("ftp:h?token=T77", "ftp:h?(hidden)"),
            ("localhost:3000?to%6ben[]=T77", "localhost:3000?(hidden)"),
            ("http://h/?T77", "http://h/?(hidden)"),
            ("http://h/#token=T77", "http://h/#(hidden)"),
            (
                "http://u:p@h:99999/x?token=T77",
                "http://(hidden)@h:99999/x?(hidden)",
            ),
            ("glob:user-?=x", "glob:user-?=x"),
            ("really?", "really?"),
            ("http://h/?", "http://h/?"),
        ] {
            let diagnostic = Diagnostic::error("x", "m").value(value);
            assert_eq!(diagnostic.value.as_deref(), Some(shown));
        }
    }

    #[test]
    fn where_an_address_is_expected_nothing_secret_is_shown_whatever_stands_there() {
        for (value, shown) in [
            ("http:/joe:pass@h/?T77", "(hidden)@h/?(hidden)"),
            ("joe:pass@h:3000", "(hidden)@h:3000"),
            ("http://joe:pa?ss@h/#T77", "http://(hidden)@h/#(hidden)"),
            ("localhost?token=T77", "localhost?(hidden)"),
            ("localhost:3000", "localhost:3000"),
        ] {
            let diagnostic = Diagnostic::error("x", "m").address_value(value);
            assert_eq!(diagnostic.value.as_deref(), Some(shown));
        }
    }

    #[test]
    fn diagnostics_are_sorted_counted_and_listed_once() {
        let diagnostics = Diagnostics::new();
        assert!(diagnostics.is_empty());
        assert_eq!(diagnostics.summary(), "no mistakes");
        diagnostics.push(Diagnostic::error("missing", "m").key("z"));
        diagnostics.push(Diagnostic::warning("w", "m").at(Origin::Set).key("b"));
        assert!(!Diagnostics::new().has_errors() && diagnostics.has_errors());
        diagnostics.push(Diagnostic::error("e", "m").at(Origin::Set).key("a"));
        diagnostics.push(Diagnostic::error("e", "m").at(line(10)).key("a"));
        diagnostics.push(Diagnostic::error("e", "m").at(line(9)).key("b"));
        diagnostics.push(Diagnostic::error("e", "m").at(line(9)).key("b"));
        assert_eq!(
            diagnostics.to_string(),
            "error[e]: kete.properties:9: b\n  m\nerror[e]: kete.properties:10: a\n  m\n\
             error[e]: --set: a\n  m\nwarning[w]: --set: b\n  m\nerror[missing]: z\n  m\n"
        );
        assert_eq!(diagnostics.summary(), "4 errors, 1 warning");
        assert_eq!((diagnostics.errors(), diagnostics.warnings()), (4, 1));
        assert_eq!(diagnostics.into_vec().len(), 5);
    }
}
