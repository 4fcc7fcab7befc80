//! What a server said, made safe to show.
//!
//! Error messages quote the other side: an HTTP body, a refusal, a close reason. That text is
//! foreign, so it is bounded and its control characters are escaped before anything keeps it.
//! Where a server quotes what a client sent, errors hide it before they leave this crate.

use std::fmt;

/// The start of something a server sent: at most 512 bytes, control characters escaped.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Excerpt {
    text: String,
    cut: bool,
}

impl Excerpt {
    /// How many bytes of the server's text are kept.
    pub const LIMIT: usize = 512;

    /// Keeps the first [`Excerpt::LIMIT`] bytes; what is not UTF-8 becomes `U+FFFD`.
    pub fn new(received: &[u8]) -> Excerpt {
        let kept = &received[..received.len().min(Self::LIMIT)];
        let mut text = String::with_capacity(kept.len());
        for character in String::from_utf8_lossy(kept).trim_end().chars() {
            if character.is_control() {
                text.extend(character.escape_default());
            } else {
                text.push(character);
            }
        }
        Excerpt {
            text,
            cut: received.len() > kept.len(),
        }
    }

    /// The same excerpt with another text.
    pub(crate) fn map(&self, change: impl FnOnce(&str) -> String) -> Excerpt {
        Excerpt {
            text: change(&self.text),
            cut: self.cut,
        }
    }

    /// The text, without the mark that says it was cut.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the server said nothing but white space.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)?;
        if self.cut {
            formatter.write_str(" ... (cut)")
        } else {
            Ok(())
        }
    }
}

impl fmt::Debug for Excerpt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Excerpt({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_cannot_reach_a_terminal() {
        let excerpt = Excerpt::new(b"bad\x1b[31m\r\nGET");
        assert_eq!(excerpt.to_string(), r"bad\u{1b}[31m\r\nGET");
    }

    #[test]
    fn a_long_body_is_cut_and_says_so() {
        let excerpt = Excerpt::new(&[b'x'; 600]);
        assert_eq!(excerpt.as_str().len(), Excerpt::LIMIT);
        assert!(excerpt.to_string().ends_with("x ... (cut)"));
    }

    #[test]
    fn bytes_that_are_not_utf8_do_not_fail() {
        assert_eq!(Excerpt::new(&[b'a', 0xff]).as_str(), "a\u{fffd}");
        assert!(Excerpt::new(b" \n").is_empty());
    }
}
