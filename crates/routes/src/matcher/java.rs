//! Java regular expressions, translated so that they keep their meaning.
//!
//! The pattern is parsed as `java.util.regex.Pattern` with `CASE_INSENSITIVE` reads it, and
//! written out again with nothing but literals, explicit character ranges, groups, counts and
//! assertions, which both engines here understand alike. What has no such translation is an error
//! with its position: there is no pattern that runs and means something else than in Java.
//!
//! Possessive repetitions and atomic groups are refused: the backtracking engine does not keep
//! them apart from ordinary ones in every place. Where Java releases differ, this is Java 19 and
//! later (`\b` looks at ASCII word characters). `^` and `$` are those of a single-line text; `$`
//! also stands before a final line terminator.

mod class;
mod error;
mod escape;
mod group;
mod property;

use super::charset::{CharSet, push_literal};
use super::cursor::Cursor;
pub use error::{ExpressionError, ExpressionProblem};

/// What Java's `.` does not match without `(?s)`.
const LINE_TERMINATORS: [(char, char); 4] = [
    ('\n', '\n'),
    ('\r', '\r'),
    ('\u{85}', '\u{85}'),
    ('\u{2028}', '\u{2029}'),
];

/// `$` where something may follow: at the end, or before the last line terminator, but never
/// inside `\r\n`.
const DOLLAR: &str =
    r"(?:\z|(?=\x{D}\x{A}\z)|(?<!\x{D})(?=\x{A}\z)|(?=[\x{D}\x{85}\x{2028}\x{2029}]\z))";

/// The highest repetition count that is translated.
const MAX_COUNT: u32 = 1000;

/// How deep groups may be nested.
const MAX_DEPTH: usize = 50;

/// A pattern in the notation that both engines share, not yet anchored.
pub(super) struct Translated {
    pub(super) expression: String,
    /// It has look-around or backreferences, so only the backtracking engine can run it.
    pub(super) backtracking: bool,
    /// The text has to be lower-cased in ASCII before it is matched.
    pub(super) lower_case: bool,
}

/// Translates a whole pattern.
pub(super) fn translate(pattern: &str) -> Result<Translated, ExpressionError> {
    let mut translator = Translator {
        cursor: Cursor::new(pattern),
        output: String::with_capacity(pattern.len() * 4),
        flags: Flags {
            ignore_case: true,
            dot_all: false,
        },
        depth: 0,
        look_around: 0,
        look_behind: 0,
        groups: Vec::new(),
        backtracking: false,
        backreferences: false,
        ever_case_sensitive: false,
        assertions: 0,
    };
    translator.alternatives()?;
    if translator.cursor.peek().is_some() {
        return Err(translator.error(ExpressionProblem::UnopenedGroup));
    }
    if translator.backreferences && translator.ever_case_sensitive {
        let what = "a backreference beside '(?-i)'";
        return Err(translator.error(ExpressionProblem::NotTranslated(what)));
    }
    Ok(Translated {
        expression: translator.output,
        backtracking: translator.backtracking,
        lower_case: translator.backreferences,
    })
}

struct Translator {
    cursor: Cursor,
    output: String,
    flags: Flags,
    depth: usize,
    look_around: usize,
    look_behind: usize,
    groups: Vec<Group>,
    backtracking: bool,
    backreferences: bool,
    ever_case_sensitive: bool,
    /// How many assertions and backreferences were read so far.
    assertions: usize,
}

#[derive(Clone, Copy)]
struct Flags {
    ignore_case: bool,
    dot_all: bool,
}

/// A capturing group; its number is its place in the list, from one.
struct Group {
    name: Option<String>,
    closed: bool,
}

/// What was just written, as far as a repetition after it is concerned.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Atom {
    /// Characters, at least one.
    Solid,
    /// `\R`, which Java never takes apart again once it is repeated.
    LineBreak,
    /// A group or a backreference that may match nothing. With an assertion inside, whether it
    /// does depends on the place, and Java leaves a loop at the first empty round.
    Empty { asserts: bool },
    /// An anchor, look-around or flags, which cannot be repeated.
    Fixed,
}

impl Translator {
    /// Everything up to the end of the group or pattern. Answers whether it may match nothing.
    fn alternatives(&mut self) -> Result<bool, ExpressionError> {
        let mut any_is_empty = false;
        loop {
            let mut is_empty = true;
            while !matches!(self.cursor.peek(), None | Some('|' | ')')) {
                is_empty &= self.item()?;
            }
            any_is_empty |= is_empty;
            if !self.cursor.eat("|") {
                return Ok(any_is_empty);
            }
            self.output.push('|');
        }
    }

    /// One atom with its repetition. Answers whether it may match nothing.
    fn item(&mut self) -> Result<bool, ExpressionError> {
        let place = self.cursor.place();
        if self.cursor.eat("\\Q") {
            return match self.quoted() {
                Some(last) => self.repetition(last, Atom::Solid).map(|_| false),
                None => self.repetition(self.output.len(), Atom::Fixed),
            };
        }
        let start = self.output.len();
        let mut atom = Atom::Solid;
        match self.cursor.next() {
            Some('(') => atom = self.group()?,
            Some('[') => self.class(place)?.write(&mut self.output),
            Some('\\') => atom = self.escape(place)?,
            Some('.') => self.dot(),
            Some('^') => {
                self.output.push_str(r"\A");
                atom = Atom::Fixed;
            }
            Some('$') => {
                self.dollar();
                atom = Atom::Fixed;
            }
            Some(symbol @ ('*' | '+' | '?' | '{')) => {
                return Err(error_at(place, ExpressionProblem::NothingToRepeat(symbol)));
            }
            Some(character) => self.literal(character),
            None => {}
        }
        if atom == Atom::Fixed {
            self.assertions += 1;
        }
        self.repetition(start, atom)
    }

    /// The text after `\Q`, up to `\E` or the end. Answers where its last character was written;
    /// a repetition belongs to that character alone.
    fn quoted(&mut self) -> Option<usize> {
        let mut last = None;
        while !self.cursor.eat("\\E") {
            let Some(character) = self.cursor.next() else {
                break;
            };
            last = Some(self.output.len());
            self.literal(character);
        }
        last
    }

    fn literal(&mut self, character: char) {
        push_literal(character, self.flags.ignore_case, &mut self.output);
    }

    fn dot(&mut self) {
        let set = if self.flags.dot_all {
            CharSet::any()
        } else {
            CharSet::of(&LINE_TERMINATORS).negated()
        };
        set.write(&mut self.output);
    }

    /// At the end of the pattern the whole text has to be used up anyway, so `\z` says it all and
    /// the linear engine suffices.
    fn dollar(&mut self) {
        let rest = self.cursor.rest();
        let ends_everything = rest.iter().all(|&character| character == ')')
            || (self.depth == 0 && rest.first() == Some(&'|'));
        if ends_everything && self.look_around == 0 {
            self.output.push_str(r"\z");
        } else {
            self.output.push_str(DOLLAR);
            self.backtracking = true;
        }
    }

    /// The repetition that follows the atom written at `start`, if there is one. Answers whether
    /// the whole may match nothing.
    fn repetition(&mut self, start: usize, atom: Atom) -> Result<bool, ExpressionError> {
        let place = self.cursor.place();
        let Some(symbol @ ('*' | '+' | '?' | '{')) = self.cursor.peek() else {
            return Ok(!matches!(atom, Atom::Solid | Atom::LineBreak));
        };
        if atom == Atom::Fixed {
            return Err(error_at(place, ExpressionProblem::NothingToRepeat(symbol)));
        }
        if atom == Atom::LineBreak {
            let what = r"a repeated '\R'";
            return Err(error_at(place, ExpressionProblem::NotTranslated(what)));
        }
        if atom == (Atom::Empty { asserts: true }) {
            let what = "a repeated group that may be empty and holds an anchor or reference";
            return Err(error_at(place, ExpressionProblem::NotTranslated(what)));
        }
        self.cursor.next();
        let count = if symbol == '{' {
            self.count(place)?
        } else {
            symbol.to_string()
        };
        let is_unbounded = matches!(symbol, '*' | '+') || count.ends_with(",}");
        if is_unbounded && self.look_behind > 0 {
            let what = "a repetition without an upper bound in a look-behind";
            return Err(error_at(place, ExpressionProblem::NotTranslated(what)));
        }
        self.output.push_str(&count);
        if self.cursor.eat("?") {
            self.output.push('?');
        } else if self.cursor.peek() == Some('+') {
            let what = "a possessive repetition such as 'a*+'";
            return Err(self.error(ExpressionProblem::NotTranslated(what)));
        } else if is_unbounded {
            self.hide_repetition(start);
        }
        let least_is_zero = matches!(symbol, '*' | '?') || count.starts_with("{0");
        Ok(least_is_zero || atom != Atom::Solid)
    }

    /// Puts the repetition written at `start` beside an alternative that never matches.
    ///
    /// Fancy-regex 0.20 rewrites `a+b*a+` to `a+(b+a+)?`, which accepts a single `a`; it does so
    /// only where it sees the repetitions side by side.
    fn hide_repetition(&mut self, start: usize) {
        self.output.insert_str(start, "(?:");
        self.output.push('|');
        CharSet::empty().write(&mut self.output);
        self.output.push(')');
    }

    /// The rest of `{n}`, `{n,}` or `{n,m}`.
    fn count(&mut self, place: usize) -> Result<String, ExpressionError> {
        let malformed = || error_at(place, ExpressionProblem::MalformedCount);
        let least = self.number().ok_or_else(malformed)?;
        let comma = self.cursor.eat(",");
        let most = if comma { self.number() } else { None };
        if !self.cursor.eat("}") || most.is_some_and(|most| most < least) {
            return Err(malformed());
        }
        if least.max(most.unwrap_or(0)) > MAX_COUNT {
            return Err(error_at(
                place,
                ExpressionProblem::CountTooLarge { limit: MAX_COUNT },
            ));
        }
        Ok(match (comma, most) {
            (false, _) => format!("{{{least}}}"),
            (true, None) => format!("{{{least},}}"),
            (true, Some(most)) => format!("{{{least},{most}}}"),
        })
    }

    /// A decimal number; one that is too large stays too large.
    fn number(&mut self) -> Option<u32> {
        let mut number: Option<u32> = None;
        while let Some(digit) = self
            .cursor
            .peek()
            .and_then(|character| character.to_digit(10))
        {
            number = Some(number.unwrap_or(0).saturating_mul(10).saturating_add(digit));
            self.cursor.next();
        }
        number
    }

    /// An error at the character that comes next.
    fn error(&self, problem: ExpressionProblem) -> ExpressionError {
        error_at(self.cursor.place(), problem)
    }
}

fn error_at(position: usize, problem: ExpressionProblem) -> ExpressionError {
    ExpressionError { position, problem }
}

#[cfg(test)]
mod tests;
