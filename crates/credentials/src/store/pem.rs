//! Blocks of PEM (RFC 7468) with their line numbers.
//!
//! The reader of rustls-pki-types passes over labels that it does not know, so that a file with
//! nothing but an encrypted key looks empty to it, and it tells no line. A broken block must not
//! be passed over, and people need the line.

use super::base64_text::{self, Problem};
use super::error::StoreError;
use super::kind::{self, Kind};

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// One block whose label means something here.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) label: String,
    pub(crate) kind: Kind,
    /// Where it begins, from 1.
    pub(crate) line: usize,
    pub(crate) content: Content,
}

/// What a block holds.
#[derive(Debug)]
pub(crate) enum Content {
    /// Decoded.
    Der(Vec<u8>),
    /// Encrypted as RFC 1421 says (`Proc-Type: 4,ENCRYPTED`), by the encapsulated text.
    Encrypted,
    /// Of a kind that is only named in errors.
    NotRead,
}

/// Whether there is a line that begins a block.
pub(crate) fn has_block(text: &str) -> bool {
    begin(text, 0).is_some()
}

/// The labels of all blocks, whatever is in them.
pub(crate) fn labels(text: &str) -> impl Iterator<Item = &str> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let start = begin(text, from)? + BEGIN.len();
        let rest = text.get(start..)?;
        from = start;
        Some(rest.split(['-', '\n']).next()?.trim())
    })
}

/// All blocks whose label means something here. Text between blocks is a comment.
pub(crate) fn blocks(bytes: &[u8]) -> Result<Vec<Block>, StoreError> {
    let text = normalised(bytes);
    let mut lines = Lines::new(&text);
    let mut blocks = Vec::new();
    let mut from = 0;
    while let Some(start) = begin(&text, from) {
        let line = lines.at(start);
        let raw = RawBlock::read(&text, start).map_err(|reason| broken(line, reason))?;
        from = raw.end;
        if let Some(kind) = kind::of_label(raw.label) {
            let content = match kind {
                Kind::Pem | Kind::Pkcs7 => content(&text, &raw, &mut lines)?,
                _ => Content::NotRead,
            };
            blocks.push(Block {
                label: raw.label.to_owned(),
                kind,
                line,
                content,
            });
        }
    }
    Ok(blocks)
}

/// Turns the two characters `\n`, which is all that fits on a line of a properties file or into
/// some variables, into line breaks; `\r\n` likewise. PEM itself has no backslash.
#[must_use]
pub fn unescape_pem_text(text: &str) -> String {
    text.replace("\\r\\n", "\n").replace("\\n", "\n")
}

/// One kind of line break, and no byte order mark. Comments may be in any encoding.
pub(crate) fn normalised(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start_matches('\u{feff}');
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// Labels and positions, nothing decoded.
struct RawBlock<'t> {
    label: &'t str,
    body: std::ops::Range<usize>,
    end: usize,
}

impl<'t> RawBlock<'t> {
    fn read(text: &'t str, start: usize) -> Result<RawBlock<'t>, String> {
        let after = text.get(start + BEGIN.len()..).unwrap_or_default();
        let line = after.lines().next().unwrap_or_default();
        let label = match line.split_once(DASHES) {
            Some((label, _)) => label,
            None => return Err("this line must end with five dashes".to_owned()),
        };
        let body_start = start + BEGIN.len() + label.len() + DASHES.len();
        let body_length = text
            .get(body_start..)
            .and_then(|rest| rest.find(DASHES))
            .ok_or_else(|| format!("`-----END {label}-----` is missing; the text is cut off"))?;
        let body_end = body_start + body_length;
        let end = text
            .get(body_end..)
            .and_then(|rest| rest.strip_prefix(END))
            .and_then(|rest| rest.strip_prefix(label))
            .and_then(|rest| rest.strip_prefix(DASHES))
            .ok_or_else(|| format!("no `-----END {label}-----` ends the block that begins here"))?;
        Ok(RawBlock {
            label,
            body: body_start..body_end,
            end: text.len() - end.len(),
        })
    }
}

fn content(text: &str, raw: &RawBlock<'_>, lines: &mut Lines<'_>) -> Result<Content, StoreError> {
    let body = text.get(raw.body.clone()).unwrap_or_default();
    let first_line = body.trim_start().lines().next().unwrap_or_default();
    let mut start = raw.body.start;
    let mut data = body;
    if first_line.contains(':') {
        let (headers, rest) = body.split_once("\n\n").unwrap_or((body, ""));
        if headers.contains("ENCRYPTED") {
            return Ok(Content::Encrypted);
        }
        start += body.len() - rest.len();
        data = rest;
    }
    match base64_text::decode(data) {
        Ok(der) if der.is_empty() => {
            let line = lines.at(start);
            Err(broken(line, "the block is empty".to_owned()))
        }
        Ok(der) => Ok(Content::Der(der)),
        Err(Problem::Character { character, offset }) => {
            let line = lines.at(start + offset);
            let shown = character.escape_default();
            Err(broken(
                line,
                format!("`{shown}` is not a character of base64"),
            ))
        }
        Err(Problem::Length) => {
            let line = lines.at(raw.body.end);
            let reason = "the base64 that ends here is not whole".to_owned();
            Err(broken(line, reason))
        }
    }
}

fn broken(line: usize, reason: String) -> StoreError {
    StoreError::BrokenPem { line, reason }
}

/// Where the next block begins: at the start of a line, or right after the end of another block,
/// for texts whose line breaks have become spaces.
fn begin(text: &str, from: usize) -> Option<usize> {
    let searched = text.get(from..)?;
    searched
        .match_indices(BEGIN)
        .find(|(offset, _)| {
            let before = searched.get(..*offset).unwrap_or_default();
            let before = before.trim_end_matches([' ', '\t']);
            before.is_empty() || before.ends_with('\n')
        })
        .map(|(offset, _)| from + offset)
}

/// Counts line breaks up to positions that only grow, so that many blocks cost one pass.
struct Lines<'t> {
    text: &'t str,
    counted: usize,
    line: usize,
}

impl<'t> Lines<'t> {
    fn new(text: &'t str) -> Lines<'t> {
        Lines {
            text,
            counted: 0,
            line: 1,
        }
    }

    fn at(&mut self, position: usize) -> usize {
        let passed = self.text.as_bytes().get(self.counted..position);
        let breaks = passed
            .unwrap_or_default()
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        self.line += breaks;
        self.counted = self.counted.max(position);
        self.line
    }
}
