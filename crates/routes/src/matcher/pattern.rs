//! A compiled pattern: a list of words, or an expression in one of two engines.
//!
//! Expressions run in the `regex` crate, whose time is linear in the text. Only what that engine
//! cannot do (look-around and backreferences) runs in `fancy-regex`, with a limit on its steps, so
//! that no text can hold a thread.

use super::{MatcherError, MatcherKind, java, wildcard};

/// How many steps back the backtracking engine may take for one text before it gives up.
const BACKTRACK_LIMIT: usize = 100_000;

/// How many instructions a backtracking expression may compile to.
const PROGRAM_LIMIT: usize = 100_000;

#[derive(Debug)]
pub(super) enum Pattern {
    List(Box<[Box<str>]>),
    Linear(regex::Regex),
    Backtracking {
        expression: fancy_regex::Regex,
        /// The text is lower-cased in ASCII first, because a backreference compares what it
        /// captured with what follows, and the engine's own folding is Unicode's.
        lower_case: bool,
    },
}

impl Pattern {
    pub(super) fn compile(kind: MatcherKind, pattern: &str) -> Result<Pattern, MatcherError> {
        match kind {
            MatcherKind::List => Ok(Pattern::list(pattern)),
            MatcherKind::Glob => Pattern::linear(&wildcard::expression(pattern, wildcard::GLOB)?),
            MatcherKind::Sql => Pattern::linear(&wildcard::expression(pattern, wildcard::SQL)?),
            MatcherKind::Regex => {
                let translated = java::translate(pattern)?;
                if translated.backtracking {
                    Pattern::backtracking(&translated)
                } else {
                    Pattern::linear(&translated.expression)
                }
            }
        }
    }

    /// Whether the whole of `text` matches; `None` if the engine ran out of steps.
    pub(super) fn matches(&self, text: &str) -> Option<bool> {
        match self {
            Pattern::List(items) => Some(items.iter().any(|item| item.eq_ignore_ascii_case(text))),
            Pattern::Linear(expression) => Some(expression.is_match(text)),
            Pattern::Backtracking {
                expression,
                lower_case: false,
            } => expression.is_match(text).ok(),
            Pattern::Backtracking {
                expression,
                lower_case: true,
            } => expression.is_match(&*text.to_ascii_lowercase()).ok(),
        }
    }

    fn list(pattern: &str) -> Pattern {
        let items = pattern
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty());
        Pattern::List(items.map(Box::from).collect())
    }

    fn linear(expression: &str) -> Result<Pattern, MatcherError> {
        regex::Regex::new(&anchored(expression))
            .map(Pattern::Linear)
            .map_err(MatcherError::TooLarge)
    }

    fn backtracking(translated: &java::Translated) -> Result<Pattern, MatcherError> {
        let expression = fancy_regex::RegexBuilder::new(&anchored(&translated.expression))
            .backtrack_limit(BACKTRACK_LIMIT)
            .max_prog_size(PROGRAM_LIMIT)
            .build()
            .map_err(|error| MatcherError::Backtracking(Box::new(error)))?;
        Ok(Pattern::Backtracking {
            expression,
            lower_case: translated.lower_case,
        })
    }
}

fn anchored(expression: &str) -> String {
    format!(r"\A(?:{expression})\z")
}
