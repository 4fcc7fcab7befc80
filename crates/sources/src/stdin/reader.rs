//! The thread that reads, and the few blocks that go round between it and the source.
//!
//! There are never more than [`BLOCKS`] blocks, so a source that does not keep up stops the
//! reading. Dropping the [`Reader`] ends the thread when its current read returns.

use std::io::{self, ErrorKind, Read};
use std::thread;

use tokio::sync::mpsc::{self, Receiver, Sender, error::TryRecvError};

const BLOCK_BYTES: usize = 256 * 1024;
const BLOCKS: usize = 3;

/// A part of the input.
#[derive(Debug)]
pub(super) struct Block {
    buffer: Vec<u8>,
    length: usize,
}

impl Block {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
}

/// The receiving end of the thread.
pub(super) struct Reader {
    blocks: Receiver<io::Result<Block>>,
    empty: Sender<Vec<u8>>,
}

impl Reader {
    /// Starts to read.
    pub(super) fn start(input: Box<dyn Read + Send>) -> io::Result<Reader> {
        let (full, blocks) = mpsc::channel(BLOCKS);
        let (empty, returned) = mpsc::channel(BLOCKS);
        for _ in 0..BLOCKS {
            let _room_for_all = empty.try_send(Vec::new());
        }
        let thread = thread::Builder::new().name("kete-stdin".to_owned());
        // Its handle is dropped on purpose: nobody could wait for a read that may never return.
        thread.spawn(move || read_all(input, &full, returned))?;
        Ok(Reader { blocks, empty })
    }

    /// What has been read already: a block, `Some(None)` at the end of the input, `None` if
    /// nothing is there yet.
    pub(super) fn next_now(&mut self) -> Option<Option<io::Result<Block>>> {
        match self.blocks.try_recv() {
            Ok(block) => Some(Some(block)),
            Err(TryRecvError::Disconnected) => Some(None),
            Err(TryRecvError::Empty) => None,
        }
    }

    /// The next block; `None` at the end of the input. Cancelling the wait loses nothing.
    pub(super) async fn next(&mut self) -> Option<io::Result<Block>> {
        self.blocks.recv().await
    }

    /// Returns a block, to be filled again.
    pub(super) fn give_back(&self, block: Block) {
        let _ended = self.empty.try_send(block.buffer);
    }
}

fn read_all(
    mut input: Box<dyn Read + Send>,
    full: &Sender<io::Result<Block>>,
    mut empty: Receiver<Vec<u8>>,
) {
    while let Some(mut buffer) = empty.blocking_recv() {
        buffer.resize(BLOCK_BYTES, 0);
        let block = match read(&mut *input, &mut buffer) {
            Ok(0) => return,
            Ok(length) => Ok(Block { buffer, length }),
            Err(error) => Err(error),
        };
        let last = block.is_err();
        if full.blocking_send(block).is_err() || last {
            return;
        }
    }
}

fn read(input: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match input.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn blocks_come_in_order_until_the_end() {
        let input: Vec<u8> = (0..BLOCK_BYTES * 5 / 2)
            .map(|index| (index % 251) as u8)
            .collect();
        let mut reader = Reader::start(Box::new(io::Cursor::new(input.clone()))).unwrap();
        let mut read = Vec::new();
        while let Some(block) = reader.next().await {
            let block = block.unwrap();
            read.extend_from_slice(block.bytes());
            reader.give_back(block);
        }
        assert!(read == input, "what was read differs");
        assert!(matches!(reader.next_now(), Some(None)));
    }

    #[tokio::test]
    async fn a_source_that_does_not_keep_up_stops_the_reading() {
        let mut reader = Reader::start(Box::new(io::repeat(b'x'))).unwrap();
        let mut held = Vec::new();
        for _ in 0..BLOCKS {
            held.push(reader.next().await.unwrap().unwrap());
        }
        assert!(
            reader.next_now().is_none(),
            "every block is held here, so none can be filled"
        );
        reader.give_back(held.remove(0));
        assert!(reader.next().await.is_some());
    }

    #[tokio::test]
    async fn an_error_comes_after_what_was_read_before_it() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("broken"))
            }
        }
        let input = io::Cursor::new(b"good".to_vec()).chain(Broken);
        let mut reader = Reader::start(Box::new(input)).unwrap();
        assert_eq!(reader.next().await.unwrap().unwrap().bytes(), b"good");
        assert_eq!(
            reader.next().await.unwrap().unwrap_err().to_string(),
            "broken"
        );
        assert!(reader.next().await.is_none());
    }
}
