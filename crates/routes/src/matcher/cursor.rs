//! A position in a pattern's characters, and the one escape that both pattern languages share.
//!
//! Positions are counted in characters from one, as a person counts them in an editor.

/// An escape in a `glob` or `sql` pattern that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EscapeError {
    /// A backslash before a character that has no escape.
    #[error("unknown escape sequence '\\{character}' at character {position}")]
    Unknown {
        /// The character after the backslash.
        character: char,
        /// Where the backslash stands, in characters from one.
        position: usize,
    },
    /// `\u` without four hexadecimal digits, or with half of a surrogate pair.
    #[error("'\\u' at character {position} needs four hexadecimal digits of a whole character")]
    Unicode {
        /// Where the backslash stands, in characters from one.
        position: usize,
    },
}

pub(super) struct Cursor {
    characters: Vec<char>,
    position: usize,
}

impl Cursor {
    pub(super) fn new(text: &str) -> Cursor {
        Cursor {
            characters: text.chars().collect(),
            position: 0,
        }
    }

    /// The place of the next character, counted from one.
    pub(super) fn place(&self) -> usize {
        self.position + 1
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.peek_at(0)
    }

    pub(super) fn peek_at(&self, ahead: usize) -> Option<char> {
        self.characters.get(self.position + ahead).copied()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.position += 1;
        Some(character)
    }

    /// Steps over `expected` if it comes next.
    pub(super) fn eat(&mut self, expected: &str) -> bool {
        let length = expected.chars().count();
        let found = self.rest().len() >= length
            && self
                .rest()
                .iter()
                .copied()
                .take(length)
                .eq(expected.chars());
        if found {
            self.position += length;
        }
        found
    }

    pub(super) fn rest(&self) -> &[char] {
        &self.characters[self.position..]
    }

    /// The number written with the next `count` hexadecimal digits.
    pub(super) fn hexadecimal(&mut self, count: usize) -> Option<u32> {
        let digits = self.rest().get(..count)?;
        let mut number = 0;
        for digit in digits {
            number = number * 16 + digit.to_digit(16)?;
        }
        self.position += count;
        Some(number)
    }

    /// The character of a `\uXXXX` whose `\u` was read; a surrogate pair is two such escapes.
    pub(super) fn unicode_escape(&mut self) -> Option<char> {
        let first = self.hexadecimal(4)?;
        if !(0xD800..0xDC00).contains(&first) {
            return char::from_u32(first);
        }
        if !self.eat("\\u") {
            return None;
        }
        let second = self.hexadecimal(4)?;
        if !(0xDC00..0xE000).contains(&second) {
            return None;
        }
        char::from_u32(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00))
    }
}

#[cfg(test)]
mod tests {
    use super::Cursor;

    #[test]
    fn a_surrogate_pair_is_one_character() {
        let mut cursor = Cursor::new("D83D\\uDE00!");
        assert_eq!(cursor.unicode_escape(), Some('\u{1F600}'));
        assert_eq!(cursor.next(), Some('!'));
    }

    #[test]
    fn half_a_pair_and_missing_digits_are_no_character() {
        for text in ["D83D", "D83Dx", "D83D\\u0041", "DE00", "12", "00G0"] {
            assert_eq!(Cursor::new(text).unicode_escape(), None, "{text}");
        }
    }

    #[test]
    fn eat_steps_over_a_whole_word_or_stays() {
        let mut cursor = Cursor::new("?<=a");
        assert!(!cursor.eat("?<!"));
        assert_eq!(cursor.place(), 1);
        assert!(cursor.eat("?<="));
        assert_eq!(cursor.place(), 4);
        assert!(!cursor.eat("ab"));
    }
}
