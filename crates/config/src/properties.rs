//! Reads `.properties` text exactly as `java.util.Properties` reads it, and knows the lines.
//!
//! Why not a crate: `java-properties` 2.0.0, the one that counts lines, was tried. It refuses
//! surrogate pairs (`\uD83D\uDE00`), reads escapes in comments (`# C:\users` is an error), drops a
//! no-break space after a continuation, and panics on a file that ends within a UTF-8 sequence.
//! The rules are those of [Java's own page][java], and where that is silent, what JDK 17 does
//! (`tests/properties.rs` holds its answers). Unlike Java, text that is not UTF-8 and half a
//! surrogate pair are errors, and a byte order mark is skipped. Meaning is not this module's
//! business: it neither trims nor looks for keys given twice.
//!
//! [java]: https://docs.oracle.com/en/java/javase/17/docs/api/java.base/java/util/Properties.html

use std::iter::Peekable;
use std::str::Chars;

/// A file that is not UTF-8 at all would bring an error per line; more than this help nobody.
const MAX_NOT_UTF8: usize = 20;

/// A key and a value, with escapes resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key; may be empty.
    pub key: String,
    /// The value; may be empty. Trailing white space is part of it.
    pub value: String,
    /// The line, from 1, on which the first character of the key stands.
    pub line: u32,
}

/// A place where the text breaks the rules of the format. Reading it again cannot help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SyntaxError {
    /// A byte that cannot stand there in UTF-8.
    #[error("byte {column} of the line, 0x{byte:02X}, is not UTF-8")]
    NotUtf8 {
        /// The line, from 1.
        line: u32,
        /// The byte within its line, from 1.
        column: usize,
        /// The byte found.
        byte: u8,
    },
    /// `\u` without four hexadecimal digits behind it.
    #[error("\\u stands here without four hexadecimal digits behind it")]
    MalformedEscape {
        /// The line, from 1, on which the entry begins.
        line: u32,
    },
    /// `\uD800` to `\uDFFF` without its other half.
    #[error("\\u{unit:04X} is half of a surrogate pair, and the other half is missing")]
    LoneSurrogate {
        /// The line, from 1, on which the entry begins.
        line: u32,
        /// The half that stands alone.
        unit: u16,
    },
}

impl SyntaxError {
    /// The line, from 1, to look at.
    pub fn line(&self) -> u32 {
        match self {
            SyntaxError::NotUtf8 { line, .. }
            | SyntaxError::MalformedEscape { line }
            | SyntaxError::LoneSurrogate { line, .. } => *line,
        }
    }

    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            SyntaxError::NotUtf8 { .. } => {
                "save the file as UTF-8, or write such characters as \\u00E9"
            }
            SyntaxError::MalformedEscape { .. } => "write a backslash itself as \\\\",
            SyntaxError::LoneSurrogate { .. } => {
                "write the character itself, or both halves such as \\uD83D\\uDE00"
            }
        }
    }
}

/// What a text holds: the entries that could be read, in order, and what is wrong with the rest.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// The entries, a key as often as it is written.
    pub entries: Vec<Entry>,
    /// Every break of the rules, in the order of their lines within each kind.
    pub errors: Vec<SyntaxError>,
}

/// Reads a whole file. Never fails as a whole: an entry that breaks the rules is left out.
pub fn parse(bytes: &[u8]) -> Document {
    let (text, mut errors) = decode(bytes);
    let mut entries = Vec::new();
    let mut lines = LogicalLines::new(&text);
    while let Some((text, line)) = lines.next_line() {
        let (key, value) = split(&text);
        match (unescape(key, line), unescape(value, line)) {
            (Ok(key), Ok(value)) => entries.push(Entry { key, value, line }),
            (key, value) => errors.extend(key.err().into_iter().chain(value.err())),
        }
    }
    Document { entries, errors }
}

/// Decodes UTF-8 without a byte order mark; what is not UTF-8 becomes U+FFFD and an error.
fn decode(bytes: &[u8]) -> (String, Vec<SyntaxError>) {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut text = String::with_capacity(bytes.len());
    let mut wrong = Vec::new();
    let mut offset = 0;
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        offset += chunk.valid().len();
        if let Some(byte) = chunk.invalid().first() {
            text.push(char::REPLACEMENT_CHARACTER);
            if wrong.len() < MAX_NOT_UTF8 {
                let (line, column) = position(bytes, offset);
                wrong.push(SyntaxError::NotUtf8 {
                    line,
                    column,
                    byte: *byte,
                });
            }
        }
        offset += chunk.invalid().len();
    }
    // One per line is enough: the rest of the line has the same cause.
    wrong.dedup_by_key(|error| error.line());
    (text, wrong)
}

/// The line and the byte within it, both from 1.
fn position(bytes: &[u8], offset: usize) -> (u32, usize) {
    let (mut line, mut start) = (1, 0);
    for (index, byte) in bytes[..offset].iter().enumerate() {
        let ends_line = *byte == b'\n' || (*byte == b'\r' && bytes.get(index + 1) != Some(&b'\n'));
        if ends_line {
            line += 1;
            start = index + 1;
        }
    }
    (line, offset - start + 1)
}

/// Joins natural lines and drops comments and blank lines, in the one pass that Java makes: what
/// a line is depends on what came before it, so the two cannot be done after each other.
struct LogicalLines<'a> {
    characters: Peekable<Chars<'a>>,
    line: u32,
}

impl<'a> LogicalLines<'a> {
    fn new(text: &'a str) -> LogicalLines<'a> {
        LogicalLines {
            characters: text.chars().peekable(),
            line: 1,
        }
    }

    fn next_line(&mut self) -> Option<(String, u32)> {
        let mut text = String::new();
        let mut first_line = self.line;
        let (mut skipping, mut continued, mut escaped) = (true, false, false);
        loop {
            let line = self.line;
            let Some(character) = self.step() else { break };
            if skipping {
                if is_blank(character) || (character == '\n' && !continued) {
                    continue;
                }
                (skipping, continued) = (false, false);
            }
            match character {
                '#' | '!' if text.is_empty() => {
                    while self.step().is_some_and(|character| character != '\n') {}
                    skipping = true;
                }
                '\n' if text.is_empty() => skipping = true,
                '\n' if escaped => {
                    text.pop();
                    (skipping, continued, escaped) = (true, true, false);
                }
                '\n' => return Some((text, first_line)),
                _ => {
                    if text.is_empty() {
                        first_line = line;
                    }
                    text.push(character);
                    escaped = character == '\\' && !escaped;
                }
            }
        }
        if text.is_empty() {
            return None;
        }
        if escaped {
            text.pop();
        }
        Some((text, first_line))
    }

    /// The next character, with every kind of line end as `\n`.
    fn step(&mut self) -> Option<char> {
        let character = self.characters.next()?;
        if character != '\r' && character != '\n' {
            return Some(character);
        }
        if character == '\r' {
            self.characters.next_if_eq(&'\n');
        }
        self.line = self.line.saturating_add(1);
        Some('\n')
    }
}

/// Java's white space within a line. Nothing else counts, not even a no-break space.
fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\x0C')
}

/// Cuts a logical line at its first separator that no backslash escapes.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.find(|character| {
        let ends_key = !escaped && (is_blank(character) || matches!(character, '=' | ':'));
        escaped = character == '\\' && !escaped;
        ends_key
    });
    let (key, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start_matches(is_blank);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, rest.trim_start_matches(is_blank))
}

fn unescape(text: &str, line: u32) -> Result<String, SyntaxError> {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            plain.push(character);
            continue;
        }
        match characters.next() {
            Some('t') => plain.push('\t'),
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some('f') => plain.push('\x0C'),
            Some('u') => plain.push(unicode(&mut characters, line)?),
            Some(other) => plain.push(other),
            None => {}
        }
    }
    Ok(plain)
}

/// Reads what follows `\u`, and a second escape if the first is half of a pair.
fn unicode(characters: &mut Chars<'_>, line: u32) -> Result<char, SyntaxError> {
    let malformed = SyntaxError::MalformedEscape { line };
    let unit = hexadecimal(characters).ok_or(malformed.clone())?;
    if let Some(character) = char::from_u32(u32::from(unit)) {
        return Ok(character);
    }
    let lone = SyntaxError::LoneSurrogate { line, unit };
    let mut ahead = characters.clone();
    if (ahead.next(), ahead.next()) != (Some('\\'), Some('u')) {
        return Err(lone);
    }
    let other = hexadecimal(&mut ahead).ok_or(malformed)?;
    *characters = ahead;
    match char::decode_utf16([unit, other]).next() {
        Some(Ok(character)) => Ok(character),
        _ => Err(lone),
    }
}

fn hexadecimal(characters: &mut Chars<'_>) -> Option<u16> {
    (0..4).try_fold(0u16, |unit, _| {
        let digit = characters.next()?.to_digit(16)?;
        Some(unit << 4 | u16::try_from(digit).ok()?)
    })
}
