//! Reads a file of dead letters line by line: a whole file is never in memory.
//!
//! What is not a line of ours is passed on as such, because nobody but its writer may throw it
//! away.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::ops::ControlFlow;

use super::line::Line;

/// The longest line that can be ours, in bytes. A longer one is passed over without being held.
const MAX_LINE: u64 = 256 << 20;
/// How much is read at a time.
const BUFFER: usize = 64 << 10;

/// A line of a file.
pub(super) struct Entry<'e> {
    /// Where it begins in the file.
    pub(super) start: u64,
    /// Where the next one begins.
    pub(super) end: u64,
    /// The letter and its number; `None` if the line is none of ours.
    pub(super) letter: Option<(u64, Line<'e>)>,
}

/// Shows every line of the first `length` bytes; letters without a number have the one after
/// `last`, which is kept up to date. Blank lines are not shown. Returns whether `each` let it come
/// to the end.
pub(super) fn visit(
    file: &mut File,
    length: u64,
    last: &mut u64,
    mut each: impl FnMut(&Entry<'_>) -> ControlFlow<()>,
) -> io::Result<bool> {
    file.seek(SeekFrom::Start(0))?;
    let mut reader = BufReader::with_capacity(BUFFER, file.take(length));
    let mut bytes = Vec::new();
    let mut start = 0;
    loop {
        bytes.clear();
        let read = read_line(&mut reader, &mut bytes)?;
        if read == 0 {
            return Ok(true);
        }
        let (line, end) = (bytes.trim_ascii(), start + read);
        if read >= MAX_LINE || !line.is_empty() {
            let letter = Line::parse(line).map(|line| (line.number.unwrap_or(*last + 1), line));
            if let Some((number, _)) = &letter {
                *last = *number;
            }
            if each(&Entry { start, end, letter }).is_break() {
                return Ok(false);
            }
        }
        start = end;
    }
}

/// Reads up to the end of the line, and returns how long that was. A line that is too long leaves
/// nothing behind.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<u64> {
    let mut read = reader.by_ref().take(MAX_LINE).read_until(b'\n', line)? as u64;
    if read < MAX_LINE || line.ends_with(b"\n") {
        return Ok(read);
    }
    line.clear();
    line.shrink_to(BUFFER);
    loop {
        let (used, ended) = match reader.fill_buf()? {
            [] => return Ok(read),
            rest => match rest.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (rest.len(), false),
            },
        };
        reader.consume(used);
        read += used as u64;
        if ended {
            return Ok(read);
        }
    }
}

/// What is known of a file without reading all of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Survey {
    /// When its first letter was given up, in milliseconds since 1970.
    pub(super) first_at: Option<i64>,
    /// When its last letter was.
    pub(super) last_at: Option<i64>,
    /// The number of its last letter.
    pub(super) last_number: Option<u64>,
}

/// Looks at the first and the last line, and at all of them only if these do not say it.
pub(super) fn survey(file: &mut File, length: u64) -> io::Result<Survey> {
    let mut survey = Survey::default();
    visit(file, length, &mut 0, |entry| {
        if let Some((_, line)) = &entry.letter {
            survey.first_at = Some(line.at);
        }
        ControlFlow::Break(())
    })?;
    let tail = last_line(file, length)?;
    if let (Some(_), Some(line)) = (survey.first_at, Line::parse(tail.trim_ascii()))
        && line.number.is_some()
    {
        survey.last_at = Some(line.at);
        survey.last_number = line.number;
        return Ok(survey);
    }
    visit(file, length, &mut 0, |entry| {
        if let Some((number, line)) = &entry.letter {
            survey.first_at.get_or_insert(line.at);
            survey.last_at = Some(line.at);
            survey.last_number = Some(*number);
        }
        ControlFlow::Continue(())
    })?;
    Ok(survey)
}

/// The last line, or nothing if it is too long to be ours.
fn last_line(file: &mut File, length: u64) -> io::Result<Vec<u8>> {
    let mut size = (BUFFER as u64).min(length);
    loop {
        file.seek(SeekFrom::Start(length - size))?;
        let mut bytes = Vec::new();
        file.by_ref().take(size).read_to_end(&mut bytes)?;
        let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        if let Some(before) = line.iter().rposition(|byte| *byte == b'\n') {
            return Ok(line[before + 1..].to_vec());
        }
        if size == length {
            return Ok(line.to_vec());
        }
        if size >= MAX_LINE {
            return Ok(Vec::new());
        }
        size = (size * 8).min(length);
    }
}
