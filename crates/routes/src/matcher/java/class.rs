//! Character classes in brackets: `[a-z]`, `[^…]`, nested classes (union) and `&&` (intersection).
//!
//! Letter case is ignored in single characters and ranges before anything is negated or
//! intersected, which is the order in which Java does it.

use super::escape::Escaped;
use super::{CharSet, ExpressionError, ExpressionProblem, MAX_DEPTH, Translator, error_at};

/// A class while it is read: the intersection of the operands before the last `&&`, and the
/// operand that is being read.
struct Operands {
    before: Option<CharSet>,
    current: CharSet,
    /// What the current operand begins with, once it has begun.
    begins_with: Option<Begins>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Begins {
    Character,
    NestedClass,
}

impl Operands {
    fn add(&mut self, set: &CharSet, begins: Begins) {
        self.current.add(set);
        self.begins_with.get_or_insert(begins);
    }

    fn is_untouched(&self) -> bool {
        self.before.is_none() && self.begins_with.is_none()
    }

    /// Closes the current operand; `false` if there is nothing in it.
    fn close(&mut self) -> bool {
        if self.begins_with.take().is_none() {
            return false;
        }
        let operand = std::mem::replace(&mut self.current, CharSet::empty());
        match &mut self.before {
            Some(before) => before.keep_only(&operand),
            None => self.before = Some(operand),
        }
        true
    }
}

impl Translator {
    /// A class whose `[`, at `place`, was read.
    pub(super) fn class(&mut self, place: usize) -> Result<CharSet, ExpressionError> {
        if self.depth == MAX_DEPTH {
            return Err(error_at(
                place,
                ExpressionProblem::TooDeep { limit: MAX_DEPTH },
            ));
        }
        self.depth += 1;
        let negated = self.cursor.eat("^");
        let mut operands = Operands {
            before: None,
            current: CharSet::empty(),
            begins_with: None,
        };
        loop {
            let here = self.cursor.place();
            if self.cursor.peek().is_none() {
                return Err(error_at(place, ExpressionProblem::UnclosedClass));
            }
            // A bracket that comes first is the character itself.
            if !operands.is_untouched() && self.cursor.eat("]") {
                if !operands.close() {
                    return Err(error_at(here, ExpressionProblem::EmptyIntersection));
                }
                break;
            }
            if self.cursor.eat("&&") {
                if !operands.close() || self.cursor.peek() == Some('&') {
                    return Err(error_at(here, ExpressionProblem::EmptyIntersection));
                }
            } else if self.cursor.eat("[") {
                let nested = self.class(here)?;
                operands.add(&nested, Begins::NestedClass);
            } else {
                self.member(&mut operands, here)?;
            }
        }
        self.depth -= 1;
        let set = operands.before.unwrap_or_else(CharSet::empty);
        Ok(if negated { set.negated() } else { set })
    }

    /// A character, a range, an escape or a quotation.
    fn member(&mut self, operands: &mut Operands, place: usize) -> Result<(), ExpressionError> {
        if operands.before.is_some() && operands.begins_with == Some(Begins::NestedClass) {
            // Java forgets the nested class here, which nobody means.
            let what = "a character after a nested class on the right of '&&'";
            return Err(error_at(place, ExpressionProblem::NotTranslated(what)));
        }
        if self.cursor.eat("\\Q") {
            return self.quoted_members(operands);
        }
        let set = match self.one(place)? {
            Escaped::Set(set) => set,
            Escaped::One(first) if self.range_follows() => {
                self.cursor.next();
                let Escaped::One(last) = self.one(place)? else {
                    return Err(error_at(place, ExpressionProblem::BadRange));
                };
                self.range(first, last, place)?
            }
            Escaped::One(single) => self.range(single, single, place)?,
        };
        operands.add(&set, Begins::Character);
        Ok(())
    }

    fn quoted_members(&mut self, operands: &mut Operands) -> Result<(), ExpressionError> {
        while !self.cursor.eat("\\E") {
            let place = self.cursor.place();
            let Some(character) = self.cursor.next() else {
                return Err(error_at(place, ExpressionProblem::UnclosedClass));
            };
            let set = self.range(character, character, place)?;
            operands.add(&set, Begins::Character);
        }
        if self.range_follows() {
            let what = r"a range that begins inside '\Q…\E'";
            return Err(self.error(ExpressionProblem::NotTranslated(what)));
        }
        Ok(())
    }

    fn one(&mut self, place: usize) -> Result<Escaped, ExpressionError> {
        match self.cursor.next() {
            Some('\\') => self.escaped(place),
            Some(character) => Ok(Escaped::One(character)),
            None => Err(error_at(place, ExpressionProblem::UnclosedClass)),
        }
    }

    /// Whether a `-` comes next that is not the character itself, as it is before `[` and `]`.
    fn range_follows(&self) -> bool {
        self.cursor.peek() == Some('-') && !matches!(self.cursor.peek_at(1), Some('[' | ']') | None)
    }

    fn range(&self, first: char, last: char, place: usize) -> Result<CharSet, ExpressionError> {
        if last < first {
            return Err(error_at(place, ExpressionProblem::BadRange));
        }
        let set = CharSet::of(&[(first, last)]);
        Ok(if self.flags.ignore_case {
            set.folded()
        } else {
            set
        })
    }
}
