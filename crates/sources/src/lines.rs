//! Splits a stream of blocks into lines without copying what lies within one block.
//!
//! Only a line that crosses a block border is put together in a buffer, and never more of it than
//! a line may be long: an endless line costs no memory. Line ends are `\n` or `\r\n`; a byte order
//! mark before the first line is dropped. Bytes are not looked at otherwise.

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A buffer that one long line has blown up beyond this is given back to the system.
const KEPT_CAPACITY: usize = 64 * 1024;

/// Splits blocks into lines; keeps what a block leaves unfinished for the next one.
#[derive(Debug)]
pub(crate) struct Lines {
    limit: usize,
    /// Lines that have ended, or were reported as too long.
    number: u64,
    /// The beginning of a line whose end has not come.
    partial: Vec<u8>,
    /// Whether `partial` was handed out as a whole line by the last call.
    handed_out: bool,
    /// Whether the rest of a line that was reported as too long is being skipped.
    skipping: bool,
}

/// A line of the input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line<'l> {
    /// Counted from 1.
    pub(crate) number: u64,
    /// Its bytes without the line end; `None` if they are more than the limit.
    pub(crate) text: Option<&'l [u8]>,
}

/// Where a line was found.
enum Found {
    InBlock { start: usize, end: usize },
    InPartial,
    TooLong,
}

impl Lines {
    /// `limit` is the most bytes that a line may have, its end not counted.
    pub(crate) fn new(limit: usize) -> Lines {
        let partial = Vec::new();
        Lines {
            limit,
            number: 0,
            partial,
            handed_out: false,
            skipping: false,
        }
    }

    /// How many lines there were.
    pub(crate) fn count(&self) -> u64 {
        self.number
    }

    /// The next line of `block` from `*at` on, which moves behind it. `None` when the block is
    /// used up. A line that is too long is returned as soon as that is known, and once.
    pub(crate) fn next<'l>(&'l mut self, block: &'l [u8], at: &mut usize) -> Option<Line<'l>> {
        self.forget_handed_out();
        let found = loop {
            let rest = block.get(*at..).unwrap_or_default();
            let Some(length) = memchr::memchr(b'\n', rest) else {
                *at = block.len();
                if self.keep(rest) {
                    return None;
                }
                break Found::TooLong;
            };
            let start = *at;
            *at += length + 1;
            if !std::mem::take(&mut self.skipping) {
                break self.complete(start, &rest[..length]);
            }
        };
        self.number += 1;
        let text = match found {
            Found::InBlock { start, end } => Some(&block[start..end]),
            Found::InPartial => Some(&self.partial[..]),
            Found::TooLong => None,
        };
        Some(self.line(text))
    }

    /// The last line, if it has no line end.
    pub(crate) fn finish(&mut self) -> Option<Line<'_>> {
        self.forget_handed_out();
        if self.partial.is_empty() {
            return None;
        }
        self.number += 1;
        self.handed_out = true;
        Some(self.line(Some(&self.partial)))
    }

    fn line<'l>(&self, text: Option<&'l [u8]>) -> Line<'l> {
        let text = text.map(|text| {
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            let mark = if self.number == 1 {
                BYTE_ORDER_MARK
            } else {
                b""
            };
            text.strip_prefix(mark).unwrap_or(text)
        });
        Line {
            number: self.number,
            text: text.filter(|text| text.len() <= self.limit),
        }
    }

    /// Takes the end of a line, which begins at `start` of the block unless it began before.
    fn complete(&mut self, start: usize, end: &[u8]) -> Found {
        if self.partial.is_empty() {
            return Found::InBlock {
                start,
                end: start + end.len(),
            };
        }
        self.handed_out = true;
        if self.partial.len() + end.len() > self.most() {
            return Found::TooLong;
        }
        self.partial.extend_from_slice(end);
        Found::InPartial
    }

    /// Keeps the beginning of a line; `false` if the line has just become too long.
    fn keep(&mut self, beginning: &[u8]) -> bool {
        if self.skipping || beginning.is_empty() {
            return true;
        }
        if self.partial.len() + beginning.len() > self.most() {
            self.partial = Vec::new();
            // Its number is given out now, so its end must not count again.
            self.skipping = true;
            return false;
        }
        self.partial.extend_from_slice(beginning);
        true
    }

    /// The most bytes to hold: a full line, with what may be dropped from it.
    fn most(&self) -> usize {
        self.limit.saturating_add(1 + BYTE_ORDER_MARK.len())
    }

    fn forget_handed_out(&mut self) {
        if std::mem::take(&mut self.handed_out) {
            self.partial.clear();
            self.partial.shrink_to(KEPT_CAPACITY);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Owned = (u64, Option<Vec<u8>>);

    fn split(limit: usize, blocks: &[&[u8]]) -> Vec<Owned> {
        let own = |line: Line<'_>| (line.number, line.text.map(<[u8]>::to_vec));
        let mut lines = Lines::new(limit);
        let mut found = Vec::new();
        for block in blocks {
            let mut at = 0;
            while let Some(line) = lines.next(block, &mut at) {
                found.push(own(line));
            }
        }
        found.extend(lines.finish().map(own));
        found
    }

    fn texts(limit: usize, blocks: &[&[u8]]) -> Vec<Option<String>> {
        let text = |text: Option<Vec<u8>>| text.map(|text| String::from_utf8(text).unwrap());
        split(limit, blocks)
            .into_iter()
            .map(|(_, line)| text(line))
            .collect()
    }

    fn some(lines: &[&str]) -> Vec<Option<String>> {
        lines.iter().map(|line| Some((*line).to_owned())).collect()
    }

    #[test]
    fn line_ends_blank_lines_and_a_missing_last_line_end() {
        assert_eq!(
            texts(9, &[b"a\nb\r\n\n\r\nc"]),
            some(&["a", "b", "", "", "c"])
        );
        assert_eq!(texts(9, &[b"a\n"]), some(&["a"]));
        assert_eq!(texts(9, &[b""]), some(&[]));
        assert_eq!(texts(9, &[b"a\rb\n"]), some(&["a\rb"]));
    }

    #[test]
    fn a_byte_order_mark_is_dropped_from_the_first_line_only() {
        assert_eq!(texts(1, &[b"\xef\xbb\xbfa\r\nb\n"]), some(&["a", "b"]));
        assert_eq!(texts(1, &[b"\xef", b"\xbb\xbf", b"a"]), some(&["a"]));
        assert_eq!(
            texts(9, &[b"a\n\xef\xbb\xbfb\n"]),
            some(&["a", "\u{feff}b"])
        );
    }

    #[test]
    fn a_line_may_cross_any_number_of_blocks() {
        assert_eq!(
            texts(99, &[b"ab", b"", b"c", b"d\nef", b"\ng"]),
            some(&["abcd", "ef", "g"])
        );
    }

    #[test]
    fn the_limit_counts_the_text_of_a_line_and_not_its_end() {
        let long = |blocks: &[&[u8]]| texts(3, blocks);
        assert_eq!(
            long(&[b"abc\r\nabcd\nx\n"])[..2],
            [Some("abc".to_owned()), None]
        );
        assert_eq!(long(&[b"ab", b"c\r", b"\nx"]), some(&["abc", "x"]));
        assert_eq!(long(&[b"ab", b"cd\r\nx"]), [None, Some("x".to_owned())]);
        assert_eq!(long(&[b"abcd"]), [None]);
    }

    #[test]
    fn a_line_that_is_too_long_is_told_at_once_and_skipped_to_its_end() {
        let mut lines = Lines::new(10);
        let block = [b'x'; 1000];
        let mut told = 0;
        for _ in 0..1000 {
            let mut at = 0;
            while let Some(line) = lines.next(&block, &mut at) {
                assert_eq!(
                    line,
                    Line {
                        number: 1,
                        text: None
                    }
                );
                told += 1;
            }
            assert!(
                lines.partial.capacity() <= lines.most(),
                "it must not be held in memory"
            );
        }
        assert_eq!(told, 1);
        let mut at = 0;
        let next = lines.next(b"xx\ngood\n", &mut at);
        assert_eq!(
            next,
            Some(Line {
                number: 2,
                text: Some(b"good")
            })
        );
    }

    #[test]
    fn the_buffer_of_a_long_line_is_given_back() {
        let mut lines = Lines::new(1 << 20);
        let half = vec![b'x'; 1 << 19];
        let (mut first, mut second) = (0, 0);
        assert_eq!(lines.next(&half, &mut first), None);
        assert!(lines.next(b"\nshort", &mut second).is_some());
        assert_eq!(lines.next(b"\nshort", &mut second), None);
        assert!(lines.partial.capacity() <= KEPT_CAPACITY);
    }

    proptest! {
        #[test]
        fn how_the_input_is_cut_into_blocks_changes_nothing(
            input in proptest::collection::vec(prop_oneof![
                4 => Just(b'a'), 2 => Just(b'\n'), 1 => Just(b'\r'), 1 => Just(0xef),
            ], 0..200),
            cuts in proptest::collection::vec(0_usize..200, 0..8),
            limit in 0_usize..12,
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(input.len())).collect();
            cuts.extend([0, input.len()]);
            cuts.sort_unstable();
            let blocks: Vec<&[u8]> = cuts.windows(2).map(|cut| &input[cut[0]..cut[1]]).collect();
            prop_assert_eq!(split(limit, &blocks), split(limit, &[&input]));
        }
    }
}
