//! The `glob` and `sql` kinds: one engine, two pairs of wildcards.
//!
//! A pattern is translated to a regular expression of literal characters and "any character" runs.
//! Everything that is neither a wildcard nor an escape is literal, so `[`, `{` and `.` stand for
//! themselves. `?` is one Unicode character (one UTF-16 unit in KETE, which differs only for
//! characters beyond the Basic Multilingual Plane). A lone backslash at the end is dropped.

use super::charset::{CharSet, push_literal};
use super::cursor::{Cursor, EscapeError};

/// Which characters are the wildcards.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wildcards {
    pub(super) run: char,
    pub(super) one: char,
}

pub(super) const GLOB: Wildcards = Wildcards { run: '*', one: '?' };
pub(super) const SQL: Wildcards = Wildcards { run: '%', one: '_' };

/// The regular expression for `pattern`, not yet anchored.
pub(super) fn expression(pattern: &str, wildcards: Wildcards) -> Result<String, EscapeError> {
    let mut any = String::new();
    CharSet::any().write(&mut any);
    let mut cursor = Cursor::new(pattern);
    let mut expression = String::with_capacity(pattern.len() * 4);
    let mut after_run = false;
    while let Some(character) = cursor.next() {
        let is_run = character == wildcards.run;
        if is_run && after_run {
            continue;
        }
        after_run = is_run;
        if is_run {
            expression.push_str(&any);
            expression.push('*');
        } else if character == wildcards.one {
            expression.push_str(&any);
        } else if character != '\\' {
            push_literal(character, true, &mut expression);
        } else if let Some(escaped) = escape(&mut cursor, wildcards)? {
            push_literal(escaped, true, &mut expression);
        }
    }
    Ok(expression)
}

/// The character of an escape whose backslash was read; `None` at the end of the pattern.
fn escape(cursor: &mut Cursor, wildcards: Wildcards) -> Result<Option<char>, EscapeError> {
    let position = cursor.place() - 1;
    let Some(character) = cursor.next() else {
        return Ok(None);
    };
    match character {
        'n' => Ok(Some('\n')),
        'r' => Ok(Some('\r')),
        't' => Ok(Some('\t')),
        'u' => match cursor.unicode_escape() {
            Some(character) => Ok(Some(character)),
            None => Err(EscapeError::Unicode { position }),
        },
        itself if itself == '\\' || itself == wildcards.run || itself == wildcards.one => {
            Ok(Some(itself))
        }
        _ => Err(EscapeError::Unknown {
            character,
            position,
        }),
    }
}

#[cfg(test)]
mod tests;
