//! Everything that begins with a backslash outside of `\Q…\E`.

use super::property::property;
use super::{Atom, CharSet, DOLLAR, ExpressionError, ExpressionProblem, Translator, error_at};

const WORD: [(char, char); 4] = [('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];
const SPACE: [(char, char); 2] = [('\t', '\r'), (' ', ' ')];
const HORIZONTAL: [(char, char); 8] = [
    ('\t', '\t'),
    (' ', ' '),
    ('\u{A0}', '\u{A0}'),
    ('\u{1680}', '\u{1680}'),
    ('\u{180E}', '\u{180E}'),
    ('\u{2000}', '\u{200A}'),
    ('\u{202F}', '\u{202F}'),
    ('\u{3000}', '\u{3000}'),
];
const VERTICAL: [(char, char); 3] = [('\n', '\r'), ('\u{85}', '\u{85}'), ('\u{2028}', '\u{2029}')];

/// `\b` and `\B` between ASCII word characters.
const BOUNDARY: &str = "(?:(?<=[0-9A-Z_a-z])(?![0-9A-Z_a-z])|(?<![0-9A-Z_a-z])(?=[0-9A-Z_a-z]))";
const NO_BOUNDARY: &str = "(?:(?<=[0-9A-Z_a-z])(?=[0-9A-Z_a-z])|(?<![0-9A-Z_a-z])(?![0-9A-Z_a-z]))";

/// `\R`: one line break, which may be two characters.
const LINE_BREAK: &str = r"(?:\x{D}\x{A}|[\x{A}-\x{D}\x{85}\x{2028}\x{2029}])";

/// An escape that stands for characters, inside or outside of a class.
pub(super) enum Escaped {
    One(char),
    Set(CharSet),
}

impl Translator {
    /// An escape outside of a class whose backslash, at `place`, was read.
    pub(super) fn escape(&mut self, place: usize) -> Result<Atom, ExpressionError> {
        let (anchor, looks_around) = match self.cursor.peek() {
            Some('A') => (r"\A", false),
            Some('z') => (r"\z", false),
            Some('Z') => (DOLLAR, true),
            Some('b') if self.cursor.peek_at(1) != Some('{') => (BOUNDARY, true),
            Some('B') => (NO_BOUNDARY, true),
            Some('R') => {
                self.cursor.next();
                self.output.push_str(LINE_BREAK);
                return Ok(Atom::LineBreak);
            }
            Some('k') => return self.named_backreference(place),
            Some('1'..='9') => return self.numbered_backreference(place),
            _ => {
                match self.escaped(place)? {
                    Escaped::One(character) => self.literal(character),
                    Escaped::Set(set) => set.write(&mut self.output),
                }
                return Ok(Atom::Solid);
            }
        };
        self.cursor.next();
        self.output.push_str(anchor);
        self.backtracking |= looks_around;
        Ok(Atom::Fixed)
    }

    /// An escape for one character or a set of them whose backslash, at `place`, was read.
    pub(super) fn escaped(&mut self, place: usize) -> Result<Escaped, ExpressionError> {
        let Some(character) = self.cursor.next() else {
            return Err(error_at(place, ExpressionProblem::TrailingBackslash));
        };
        if let Some(set) = shorthand(character) {
            return Ok(Escaped::Set(set));
        }
        let one = match character {
            'p' | 'P' => return self.property(place, character == 'P').map(Escaped::Set),
            't' => '\t',
            'n' => '\n',
            'r' => '\r',
            'f' => '\u{C}',
            'a' => '\u{7}',
            'e' => '\u{1B}',
            '0' | 'c' | 'u' | 'x' => self
                .code(character)
                .ok_or_else(|| error_at(place, ExpressionProblem::MalformedCode(character)))?,
            'b' | 'G' | 'N' | 'X' => {
                let what = match character {
                    'b' => r"'\b' in a class or before '{'",
                    'G' => r"'\G'",
                    'N' => r"'\N{…}'",
                    _ => r"'\X'",
                };
                return Err(error_at(place, ExpressionProblem::NotTranslated(what)));
            }
            letter if letter.is_ascii_alphanumeric() => {
                return Err(error_at(place, ExpressionProblem::UnknownEscape(letter)));
            }
            itself => itself,
        };
        Ok(Escaped::One(one))
    }

    /// The character of `\0ooo`, `\cX`, `\uXXXX`, `\xXX` or `\x{…}`.
    fn code(&mut self, notation: char) -> Option<char> {
        match notation {
            'u' => self.cursor.unicode_escape(),
            'c' => char::from_u32(u32::from(self.cursor.next()?) ^ 64),
            '0' => self.octal(),
            _ if self.cursor.eat("{") => {
                let length = self
                    .cursor
                    .rest()
                    .iter()
                    .position(|&character| character == '}')?;
                let code = if length <= 6 {
                    self.cursor.hexadecimal(length)?
                } else {
                    return None;
                };
                self.cursor.next();
                if length == 0 {
                    None
                } else {
                    char::from_u32(code)
                }
            }
            _ => char::from_u32(self.cursor.hexadecimal(2)?),
        }
    }

    /// Up to three octal digits, the first of three at most `3`.
    fn octal(&mut self) -> Option<char> {
        let first = self.cursor.peek()?.to_digit(8)?;
        let most = if first <= 3 { 3 } else { 2 };
        let mut code = 0;
        for _ in 0..most {
            let Some(digit) = self.cursor.peek().and_then(|next| next.to_digit(8)) else {
                break;
            };
            code = code * 8 + digit;
            self.cursor.next();
        }
        char::from_u32(code)
    }

    /// The rest of `\p{name}` or `\pL`.
    fn property(&mut self, place: usize, negated: bool) -> Result<CharSet, ExpressionError> {
        let mut name = String::new();
        if self.cursor.eat("{") {
            while !self.cursor.eat("}") {
                match self.cursor.next() {
                    Some(character) => name.push(character),
                    None => return Err(error_at(place, ExpressionProblem::UnknownProperty(name))),
                }
            }
        } else {
            name.extend(self.cursor.next());
        }
        match property(&name, self.flags.ignore_case) {
            Some(set) if negated => Ok(set.negated()),
            Some(set) => Ok(set),
            None => Err(error_at(place, ExpressionProblem::UnknownProperty(name))),
        }
    }

    /// `\1`, `\12`: further digits belong to the number as long as that many groups were opened.
    fn numbered_backreference(&mut self, place: usize) -> Result<Atom, ExpressionError> {
        let mut number = 0;
        while let Some(digit) = self.cursor.peek().and_then(|next| next.to_digit(10)) {
            let longer = number * 10 + digit as usize;
            if number != 0 && longer > self.groups.len() {
                break;
            }
            number = longer;
            self.cursor.next();
        }
        self.backreference(number, &number.to_string(), place)
    }

    fn named_backreference(&mut self, place: usize) -> Result<Atom, ExpressionError> {
        if !self.cursor.eat("k<") {
            return Err(error_at(place, ExpressionProblem::BadGroupName));
        }
        let name = self.group_name(place)?;
        let found = self
            .groups
            .iter()
            .position(|group| group.name.as_ref() == Some(&name));
        self.backreference(
            found.map_or(0, |index| index + 1),
            &format!("k<{name}>"),
            place,
        )
    }

    fn backreference(
        &mut self,
        number: usize,
        written: &str,
        place: usize,
    ) -> Result<Atom, ExpressionError> {
        let closed = number
            .checked_sub(1)
            .and_then(|index| self.groups.get(index));
        if !closed.is_some_and(|group| group.closed) {
            return Err(error_at(
                place,
                ExpressionProblem::NoSuchGroup(written.to_owned()),
            ));
        }
        self.output.push_str(&format!(r"(?:\{number})"));
        self.backtracking = true;
        self.backreferences = true;
        self.assertions += 1;
        Ok(Atom::Empty { asserts: true })
    }
}

/// The set of `\d`, `\w` and their like; ASCII in Java.
fn shorthand(letter: char) -> Option<CharSet> {
    let set = match letter.to_ascii_lowercase() {
        'd' => CharSet::of(&[('0', '9')]),
        'w' => CharSet::of(&WORD),
        's' => CharSet::of(&SPACE),
        'h' => CharSet::of(&HORIZONTAL),
        'v' => CharSet::of(&VERTICAL),
        _ => return None,
    };
    Some(if letter.is_ascii_uppercase() {
        set.negated()
    } else {
        set
    })
}
