//! Everything that begins with a parenthesis: groups, look-around, inline flags.

use super::{Atom, ExpressionError, ExpressionProblem, Group, MAX_DEPTH, Translator, error_at};

/// What an opening parenthesis turned out to begin.
enum Opening {
    Plain,
    Capturing,
    LookAround {
        behind: bool,
    },
    /// Inline flags alone, `(?i)`, which hold to the end of the group around them.
    FlagsOnly,
}

impl Translator {
    /// A group whose `(` was read.
    pub(super) fn group(&mut self) -> Result<Atom, ExpressionError> {
        let place = self.cursor.place() - 1;
        let flags_outside = self.flags;
        let opening = self.opening(place)?;
        if matches!(opening, Opening::FlagsOnly) {
            return Ok(Atom::Fixed);
        }
        if self.depth == MAX_DEPTH {
            return Err(error_at(
                place,
                ExpressionProblem::TooDeep { limit: MAX_DEPTH },
            ));
        }
        let number = self.groups.len();
        let look_around = usize::from(matches!(opening, Opening::LookAround { .. }));
        let look_behind = usize::from(matches!(opening, Opening::LookAround { behind: true }));
        let assertions_before = self.assertions;
        self.depth += 1;
        self.look_around += look_around;
        self.look_behind += look_behind;
        let is_empty = self.alternatives()?;
        self.depth -= 1;
        self.look_around -= look_around;
        self.look_behind -= look_behind;
        if !self.cursor.eat(")") {
            return Err(error_at(place, ExpressionProblem::UnclosedGroup));
        }
        self.output.push(')');
        self.flags = flags_outside;
        if matches!(opening, Opening::Capturing)
            && let Some(group) = self.groups.get_mut(number - 1)
        {
            group.closed = true;
        }
        Ok(match (look_around, is_empty) {
            (1, _) => Atom::Fixed,
            (_, true) => Atom::Empty {
                asserts: self.assertions > assertions_before,
            },
            (_, false) => Atom::Solid,
        })
    }

    /// Reads and writes what stands between the parenthesis and the group's content.
    fn opening(&mut self, place: usize) -> Result<Opening, ExpressionError> {
        if !self.cursor.eat("?") {
            self.capture(None);
            return Ok(Opening::Capturing);
        }
        for look_around in ["=", "!", "<=", "<!"] {
            if self.cursor.eat(look_around) {
                self.output.push_str("(?");
                self.output.push_str(look_around);
                self.backtracking = true;
                return Ok(Opening::LookAround {
                    behind: look_around.starts_with('<'),
                });
            }
        }
        if self.cursor.eat(":") {
            self.output.push_str("(?:");
            return Ok(Opening::Plain);
        }
        if self.cursor.eat(">") {
            let what = "an atomic group '(?>'";
            return Err(error_at(place, ExpressionProblem::NotTranslated(what)));
        }
        if self.cursor.eat("<") {
            let name = self.group_name(place)?;
            if self
                .groups
                .iter()
                .any(|group| group.name.as_ref() == Some(&name))
            {
                return Err(error_at(place, ExpressionProblem::BadGroupName));
            }
            self.capture(Some(name));
            return Ok(Opening::Capturing);
        }
        self.inline_flags()
    }

    fn capture(&mut self, name: Option<String>) {
        self.output.push('(');
        self.groups.push(Group {
            name,
            closed: false,
        });
    }

    /// A name and its `>`: an ASCII letter, then ASCII letters and digits.
    pub(super) fn group_name(&mut self, place: usize) -> Result<String, ExpressionError> {
        let mut name = String::new();
        loop {
            match self.cursor.next() {
                Some('>') if !name.is_empty() => return Ok(name),
                Some(letter) if letter.is_ascii_alphabetic() => name.push(letter),
                Some(digit) if digit.is_ascii_digit() && !name.is_empty() => name.push(digit),
                _ => return Err(error_at(place, ExpressionProblem::BadGroupName)),
            }
        }
    }

    /// The rest of `(?i)`, `(?s-i)` or `(?i:`. Only `i` and `s` are carried over.
    fn inline_flags(&mut self) -> Result<Opening, ExpressionError> {
        let mut on = true;
        loop {
            let place = self.cursor.place();
            match self.cursor.next() {
                Some('-') if on => on = false,
                Some('i') => {
                    self.flags.ignore_case = on;
                    self.ever_case_sensitive |= !on;
                }
                Some('s') => self.flags.dot_all = on,
                Some(flag @ ('m' | 'd' | 'x' | 'u' | 'U')) => {
                    return Err(error_at(
                        place,
                        ExpressionProblem::NotTranslated(flag_name(flag)),
                    ));
                }
                Some(')') => return Ok(Opening::FlagsOnly),
                Some(':') => {
                    self.output.push_str("(?:");
                    return Ok(Opening::Plain);
                }
                _ => return Err(error_at(place, ExpressionProblem::UnknownGroup)),
            }
        }
    }
}

fn flag_name(flag: char) -> &'static str {
    match flag {
        'm' => "multi-line mode (?m)",
        'd' => "Unix lines mode (?d)",
        'x' => "comments mode (?x)",
        'u' => "Unicode case mode (?u)",
        _ => "Unicode classes mode (?U)",
    }
}
