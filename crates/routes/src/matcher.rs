//! One matcher: `kind:pattern` or `kind:not:pattern`, compiled when the configuration is read.
//!
//! The grammar and the four kinds are KETE's, so that a route's matchers can be moved over as they
//! are. A matcher always judges the whole text and ignores the case of ASCII letters only, which is
//! what `CASE_INSENSITIVE` alone means in Java. Blank text is never accepted, not even by a negated
//! matcher. A pattern that cannot be given KETE's meaning is refused when it is read; no pattern is
//! ever run with another meaning.

mod charset;
mod cursor;
mod java;
mod pattern;
mod wildcard;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

pub use cursor::EscapeError;
pub use java::{ExpressionError, ExpressionProblem};

use kete_config::nearest;
use pattern::Pattern;

/// What means more than itself in a regular expression.
const SPECIAL_IN_EXPRESSIONS: [char; 14] = [
    '\\', '^', '$', '.', '|', '?', '*', '+', '(', ')', '[', ']', '{', '}',
];

/// A compiled matcher with the name and the text it was written with.
#[derive(Debug)]
pub struct Matcher {
    id: Box<str>,
    text: Box<str>,
    kind: MatcherKind,
    negated: bool,
    pattern: Pattern,
    gave_up: AtomicU64,
}

/// How a matcher's pattern is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MatcherKind {
    /// `*` is any run of characters, `?` exactly one.
    Glob,
    /// Items separated by commas; the text must equal one of them.
    List,
    /// A Java regular expression that must match the whole text.
    Regex,
    /// `%` is any run of characters, `_` exactly one.
    Sql,
}

/// Why a matcher's text was refused. Trying again cannot help; the configuration has to change.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MatcherError {
    /// The key ends with the dot, so the matcher has no name.
    #[error("name is required")]
    NoName,
    /// The value is blank.
    #[error("matcher value is required")]
    NoValue,
    /// There is no colon in the value.
    #[error("matcher must be in format 'kind:pattern' or 'kind:not:pattern'")]
    NoColon,
    /// Nothing stands before the first colon.
    #[error("kind is required")]
    NoKind,
    /// Nothing stands where the pattern should be.
    #[error("pattern is required")]
    NoPattern,
    /// The kind is none of the four; names are case-sensitive.
    #[error("matcher kind '{kind}' not found")]
    UnknownKind {
        /// The kind as it was written.
        kind: String,
        /// The known kind that is spelled most like it.
        nearest: Option<&'static str>,
    },
    /// A `glob` or `sql` pattern has an escape that does not exist.
    #[error(transparent)]
    Escape(#[from] EscapeError),
    /// A `regex` pattern is wrong, or uses something that is not carried over.
    #[error(transparent)]
    Expression(#[from] ExpressionError),
    /// The pattern compiles to more than the engine's size limit.
    #[error("pattern is too large to compile")]
    TooLarge(#[source] regex::Error),
    /// The backtracking engine refused the pattern, most often for its nesting or its size.
    #[error("pattern cannot be compiled for look-around or backreferences: {0}")]
    Backtracking(#[source] Box<fancy_regex::Error>),
}

/// What a matcher says about one text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accepts,
    Refuses,
    /// The expression ran out of steps, so there is no answer; it counts as a refusal.
    GaveUp,
}

impl Matcher {
    /// Reads `value` as the matcher called `id` (free text, used only as a name).
    ///
    /// The value is split at colons into at most three parts, each trimmed. Three parts with `not`
    /// in the middle, in any letter case, are a negated matcher; with two parts or any other middle
    /// the colon belongs to the pattern.
    ///
    /// # Errors
    /// Says which part is missing or wrong; see [`MatcherError`].
    pub fn parse(id: &str, value: &str) -> Result<Matcher, MatcherError> {
        if id.trim().is_empty() {
            return Err(MatcherError::NoName);
        }
        let text = value.trim();
        let Parts {
            kind,
            negated,
            pattern,
        } = split(text)?;
        let kind = MatcherKind::named(kind)?;
        Ok(Matcher {
            id: id.trim().into(),
            text: text.into(),
            kind,
            negated,
            pattern: Pattern::compile(kind, &pattern)?,
            gave_up: AtomicU64::new(0),
        })
    }

    /// Whether this matcher accepts `text`. Blank text is never accepted, and neither is a text on
    /// which a regular expression ran out of steps, whether the matcher is negated or not.
    pub fn accepts(&self, text: &str) -> bool {
        self.judge(text) == Verdict::Accepts
    }

    /// The `<id>` of `realm-matchers.<id>` or `event-matchers.<id>`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How the pattern is read.
    pub fn kind(&self) -> MatcherKind {
        self.kind
    }

    /// Whether the value said `not`.
    pub fn is_negated(&self) -> bool {
        self.negated
    }

    /// How many texts a regular expression could not judge within its step limit. Only expressions
    /// with look-around or backreferences have such a limit.
    pub fn gave_up(&self) -> u64 {
        self.gave_up.load(Ordering::Relaxed)
    }

    /// The items of a `list`; empty for every other kind.
    pub fn list_items(&self) -> &[Box<str>] {
        match &self.pattern {
            Pattern::List(items) => items,
            _ => &[],
        }
    }

    /// The only text that it accepts, in whatever letter case; `None` if there are others.
    pub fn literal(&self) -> Option<String> {
        if self.negated {
            return None;
        }
        if let Pattern::List(items) = &self.pattern {
            return match &**items {
                [only] => Some(only.to_string()),
                _ => None,
            };
        }
        let special: &[char] = match self.kind {
            MatcherKind::Glob => &['*', '?', '\\'],
            MatcherKind::Sql => &['%', '_', '\\'],
            MatcherKind::Regex => &SPECIAL_IN_EXPRESSIONS,
            MatcherKind::List => return None,
        };
        let pattern = split(&self.text).ok()?.pattern;
        (!pattern.contains(special)).then(|| pattern.to_string())
    }

    pub(crate) fn judge(&self, text: &str) -> Verdict {
        if text.trim().is_empty() {
            return Verdict::Refuses;
        }
        let Some(matched) = self.pattern.matches(text) else {
            self.gave_up.fetch_add(1, Ordering::Relaxed);
            return Verdict::GaveUp;
        };
        if matched != self.negated {
            Verdict::Accepts
        } else {
            Verdict::Refuses
        }
    }
}

/// The value as it was written, without the blanks around it.
impl fmt::Display for Matcher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl MatcherKind {
    /// The names of all kinds, as they are written.
    pub const NAMES: [&'static str; 4] = ["glob", "list", "regex", "sql"];

    /// The kind's name, as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            MatcherKind::Glob => "glob",
            MatcherKind::List => "list",
            MatcherKind::Regex => "regex",
            MatcherKind::Sql => "sql",
        }
    }

    fn named(name: &str) -> Result<MatcherKind, MatcherError> {
        match name {
            "glob" => Ok(MatcherKind::Glob),
            "list" => Ok(MatcherKind::List),
            "regex" => Ok(MatcherKind::Regex),
            "sql" => Ok(MatcherKind::Sql),
            unknown => Err(MatcherError::UnknownKind {
                kind: unknown.to_owned(),
                nearest: nearest(unknown, MatcherKind::NAMES),
            }),
        }
    }
}

impl MatcherError {
    /// What to do about it, for a diagnostic's help line.
    pub fn help(&self) -> Option<String> {
        let help = match self {
            MatcherError::NoName => "write a name after the last dot, such as 'event-matchers.a'",
            MatcherError::NoValue | MatcherError::NoColon | MatcherError::NoPattern => {
                "write for example 'glob:LOGIN*' or 'list:not:LOGIN,LOGOUT'"
            }
            MatcherError::UnknownKind {
                nearest: Some(nearest),
                ..
            } => {
                return Some(format!("did you mean '{nearest}'?"));
            }
            MatcherError::NoKind | MatcherError::UnknownKind { .. } => {
                "the kinds are glob, list, regex and sql"
            }
            MatcherError::Escape(_) => r"write \\ for a backslash",
            MatcherError::Expression(error) => return error.help().map(str::to_owned),
            MatcherError::TooLarge(_) | MatcherError::Backtracking(_) => {
                "use smaller repetition counts, or several matchers"
            }
        };
        Some(help.to_owned())
    }
}

struct Parts<'v> {
    kind: &'v str,
    negated: bool,
    pattern: String,
}

/// Splits a trimmed value as KETE does; see [`Matcher::parse`].
fn split(text: &str) -> Result<Parts<'_>, MatcherError> {
    if text.is_empty() {
        return Err(MatcherError::NoValue);
    }
    let (kind, rest) = text.split_once(':').ok_or(MatcherError::NoColon)?;
    let (negated, pattern) = match rest.split_once(':') {
        None => (false, rest.trim().to_owned()),
        Some((middle, last)) if middle.trim().eq_ignore_ascii_case("not") => {
            (true, last.trim().to_owned())
        }
        Some((middle, last)) => (false, format!("{}:{}", middle.trim(), last.trim())),
    };
    if kind.trim().is_empty() {
        return Err(MatcherError::NoKind);
    }
    if pattern.is_empty() {
        return Err(MatcherError::NoPattern);
    }
    Ok(Parts {
        kind: kind.trim(),
        negated,
        pattern,
    })
}

#[cfg(test)]
mod tests;
