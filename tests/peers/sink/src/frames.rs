//! Finds WebSocket frames in what a client sent, without touching more bytes than needed.
//!
//! A message's payload is masked; only its first [`HEAD`] bytes are unmasked, which say what it
//! is. The rest is skipped unread, unless the scanner was told to show whole messages.

use std::ops::Range;

use anyhow::{Result, bail, ensure};

/// How much of a message is looked at: room for the packet type, a namespace and an id.
pub(crate) const HEAD: usize = 64;
/// The largest message that can be shown whole.
const LARGEST_WHOLE: u64 = 1 << 20;
/// Bytes asked of the kernel at a time.
pub(crate) const READ_SIZE: usize = 256 * 1024;

/// What was found. `start` is the beginning of the payload, unmasked, or all of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// The first frame of a text message; `length` is that of the frame's payload in bytes.
    Text {
        start: &'a [u8],
        length: u64,
    },
    /// A binary message, or the continuation of a message.
    Other {
        length: u64,
    },
    Ping(&'a [u8]),
    Pong,
    Close,
}

/// Holds what has been read and not yet been looked at.
pub(crate) struct Scanner {
    buffer: Vec<u8>,
    unread: Range<usize>,
    skip: u64,
    whole_messages: bool,
}

impl Scanner {
    pub(crate) fn new(whole_messages: bool) -> Scanner {
        let size = READ_SIZE
            + if whole_messages {
                2 * LARGEST_WHOLE as usize
            } else {
                0
            };
        Scanner {
            buffer: vec![0; size],
            unread: 0..0,
            skip: 0,
            whole_messages,
        }
    }

    /// Room for more bytes; call [`Scanner::filled`] with how many were put there.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        self.buffer.copy_within(self.unread.clone(), 0);
        self.unread = 0..self.unread.len();
        &mut self.buffer[self.unread.end..]
    }

    pub(crate) fn filled(&mut self, count: usize) {
        self.unread.end += count;
    }

    /// The next frame, or `None` when more bytes are needed.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Frame<'_>>> {
        self.pass_over();
        let bytes = &mut self.buffer[self.unread.clone()];
        let Some(header) = Header::parse(bytes)? else {
            return Ok(None);
        };
        let whole = header.is_control() || (self.whole_messages && header.opcode == 1);
        ensure!(
            !whole || header.length <= LARGEST_WHOLE,
            "a frame of {} bytes",
            header.length
        );
        let looked_at = if whole {
            header.length
        } else {
            header.length.min(HEAD as u64)
        };
        let end = header.size + looked_at as usize;
        if bytes.len() < end {
            return Ok(None);
        }
        self.unread.start += header.size;
        self.skip = header.length;
        let start = &mut bytes[header.size..end];
        unmask(start, header.mask);
        Ok(Some(header.frame(start)?))
    }

    /// Leaves the rest of the last frame behind, as far as it has arrived.
    fn pass_over(&mut self) {
        let here = self.skip.min(self.unread.len() as u64);
        self.unread.start += here as usize;
        self.skip -= here;
    }
}

/// RFC 6455, section 5.2.
struct Header {
    opcode: u8,
    size: usize,
    length: u64,
    mask: [u8; 4],
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<Option<Header>> {
        let &[first, second, ..] = bytes else {
            return Ok(None);
        };
        ensure!(second & 0x80 != 0, "a frame from a client is not masked");
        ensure!(
            first & 0x70 == 0,
            "a frame uses an extension that was not agreed"
        );
        let extended = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let size = 2 + extended + 4;
        if bytes.len() < size {
            return Ok(None);
        }
        let length = match extended {
            0 => u64::from(second & 0x7f),
            _ => bytes[2..2 + extended]
                .iter()
                .fold(0, |sum, &byte| sum << 8 | u64::from(byte)),
        };
        let mut mask = [0; 4];
        mask.copy_from_slice(&bytes[size - 4..size]);
        Ok(Some(Header {
            opcode: first & 0x0f,
            size,
            length,
            mask,
        }))
    }

    fn is_control(&self) -> bool {
        self.opcode >= 8
    }

    fn frame<'a>(&self, start: &'a [u8]) -> Result<Frame<'a>> {
        Ok(match self.opcode {
            0 | 2 => Frame::Other {
                length: self.length,
            },
            1 => Frame::Text {
                start,
                length: self.length,
            },
            8 => Frame::Close,
            9 => Frame::Ping(start),
            10 => Frame::Pong,
            opcode => bail!("a frame with the unknown opcode {opcode}"),
        })
    }
}

fn unmask(bytes: &mut [u8], mask: [u8; 4]) {
    for (byte, key) in bytes.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [7, 77, 177, 27];
        let mut bytes = vec![first];
        match payload.len() {
            length @ 0..126 => bytes.push(0x80 | length as u8),
            length @ 126..65536 => {
                bytes.push(0x80 | 126);
                bytes.extend((length as u16).to_be_bytes());
            }
            length => {
                bytes.push(0x80 | 127);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        bytes.extend(mask);
        bytes.extend(
            payload
                .iter()
                .zip(mask.iter().cycle())
                .map(|(byte, key)| byte ^ key),
        );
        bytes
    }

    fn scan(scanner: &mut Scanner, stream: &[u8], step: usize) -> Vec<String> {
        let mut found = Vec::new();
        for part in stream.chunks(step) {
            scanner.room()[..part.len()].copy_from_slice(part);
            scanner.filled(part.len());
            while let Some(frame) = scanner.next_frame().unwrap() {
                found.push(match frame {
                    Frame::Text { start, length } => {
                        format!("text {length} {}", String::from_utf8_lossy(start))
                    }
                    other => format!("{other:?}"),
                });
            }
        }
        found
    }

    #[test]
    fn frames_are_found_however_the_stream_is_cut() {
        let mut stream = masked(0x81, b"40");
        stream.extend(masked(0x81, &[b'x'; 700]));
        stream.extend(masked(0x89, b"barrier"));
        stream.extend(masked(0x82, &[1; 70_000]));
        stream.extend(masked(0x88, b""));
        let long = format!("text 700 {}", "x".repeat(HEAD));
        let ping = format!("{:?}", Frame::Ping(b"barrier"));
        let other = "Other { length: 70000 }".to_owned();
        let expected = [
            "text 2 40".to_owned(),
            long,
            ping,
            other,
            "Close".to_owned(),
        ];
        for step in [1, 2, 3, 7, 1000, stream.len()] {
            assert_eq!(
                scan(&mut Scanner::new(false), &stream, step),
                expected,
                "step {step}"
            );
        }
    }

    #[test]
    fn whole_messages_are_shown_on_demand() {
        let found = scan(&mut Scanner::new(true), &masked(0x81, &[b'y'; 300]), 100);
        assert_eq!(found, [format!("text 300 {}", "y".repeat(300))]);
    }

    #[test]
    fn an_unmasked_frame_is_an_error() {
        let mut scanner = Scanner::new(false);
        scanner.room()[..2].copy_from_slice(&[0x81, 0x00]);
        scanner.filled(2);
        assert!(scanner.next_frame().is_err());
    }
}
