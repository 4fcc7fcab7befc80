//! A minimal log of segment files: what an engine of kete's own would cost, and give.
//!
//! A segment is a file named for the number of its first record. It holds frames (see
//! `frame`). A frame is written with one call and synced; a batch is one frame, so it counts whole or not at
//! all. Every segment starts with all states and cursors, so that reopening reads the last segment
//! only and dropping a segment loses nothing but its records.
//!
//! What a log for production has more: a way to tell damage from a torn end, no trust in a file
//! whose sync failed, bounds, a reader beside the writer.

mod frame;

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{Engine, Show};
use frame::{Batch, HEAD, push_frame, push_key, push_state, read_frame, split_key, take};

/// Bytes after which a segment is full.
const SEGMENT: u64 = 16 << 20;

/// An open log.
pub(super) struct Log {
    directory: PathBuf,
    /// Write a segment full of zeros first, so that syncing a frame changes no metadata.
    preallocated: bool,
    /// The first record number of each segment, oldest first; the last one is written to.
    segments: VecDeque<u64>,
    file: File,
    length: u64,
    end: u64,
    states: BTreeMap<String, Vec<u8>>,
    cursors: BTreeMap<String, u64>,
    frame: Vec<u8>,
    readers: Vec<Reader>,
}

/// Where a reader stopped, so that it goes on without searching.
struct Reader {
    next: u64,
    segment: u64,
    file: File,
    offset: u64,
    batch: Vec<u8>,
}

impl Log {
    pub(super) fn open(directory: &Path, preallocated: bool) -> Result<Self> {
        let mut segments: Vec<u64> = Vec::new();
        for entry in fs::read_dir(directory)? {
            let name = entry?.file_name();
            let name = name.to_string_lossy();
            match name.strip_suffix(".log") {
                Some(number) => segments.push(number.parse().context("a segment's name")?),
                // A segment that was being made when the process ended.
                None => fs::remove_file(directory.join(&*name))?,
            }
        }
        segments.sort_unstable();
        let fresh = segments.is_empty();
        let last = segments.last().copied().unwrap_or(0);
        let mut log = Self {
            directory: directory.to_path_buf(),
            preallocated,
            segments: segments.into(),
            // Until the segment that is written to takes its place.
            file: File::open(directory)?,
            length: 0,
            end: last,
            states: BTreeMap::new(),
            cursors: BTreeMap::new(),
            frame: Vec::new(),
            readers: Vec::new(),
        };
        if fresh {
            log.begin_segment()?;
        } else {
            log.recover(last)?;
        }
        Ok(log)
    }

    fn path(&self, segment: u64) -> PathBuf {
        self.directory.join(format!("{segment:020}.log"))
    }

    /// Reads the last segment up to the first frame that is not whole, and cuts it there.
    fn recover(&mut self, segment: u64) -> Result<()> {
        self.file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.path(segment))?;
        let mut payload = Vec::new();
        while let Some(next) = read_frame(&self.file, self.length, &mut payload)? {
            let mut rest = payload.as_slice();
            match take::<1>(&mut rest)? {
                [b'S'] => {
                    let (key, value) = split_key(rest)?;
                    self.states.insert(key, value.to_vec());
                }
                [b'C'] => {
                    let (route, mut cursor) = split_key(rest)?;
                    self.cursors
                        .insert(route, u64::from_le_bytes(take(&mut cursor)?));
                }
                _ => {
                    let batch = Batch::parse(rest)?;
                    let (key, value) = split_key(batch.state)?;
                    self.states.insert(key, value.to_vec());
                    self.end = batch.first + u64::from(batch.count);
                }
            }
            self.length = next;
        }
        if !self.preallocated {
            self.file.set_len(self.length)?;
            self.file.sync_all()?;
        }
        Ok(())
    }

    /// Makes the next segment beside the others and moves it into place when it is whole.
    fn begin_segment(&mut self) -> Result<()> {
        let temporary = self.directory.join("next.tmp");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&temporary)?;
        if self.preallocated {
            let zeros = vec![0; 1 << 20];
            for piece in 0..SEGMENT >> 20 {
                file.write_all_at(&zeros, piece << 20)?;
            }
        }
        let mut start = Vec::new();
        for (key, value) in &self.states {
            push_frame(&mut start, |payload| push_state(payload, b'S', key, value))?;
        }
        for (route, cursor) in &self.cursors {
            push_frame(&mut start, |payload| {
                push_state(payload, b'C', route, &cursor.to_le_bytes())
            })?;
        }
        file.write_all_at(&start, 0)?;
        file.sync_all()?;
        fs::rename(&temporary, self.path(self.end))?;
        File::open(&self.directory)?.sync_all()?;
        self.file = file;
        self.length = start.len() as u64;
        self.segments.push_back(self.end);
        Ok(())
    }

    /// Writes the frame that is ready and syncs it; what is not whole is taken back.
    fn write(&mut self) -> Result<()> {
        let result = self
            .file
            .write_all_at(&self.frame, self.length)
            .and_then(|()| self.file.sync_data());
        if let Err(error) = result {
            self.file.set_len(self.length)?;
            return Err(error.into());
        }
        self.length += self.frame.len() as u64;
        Ok(())
    }

    fn drop_first(&mut self) -> Result<()> {
        if let Some(first) = self.segments.pop_front() {
            self.readers.retain(|reader| reader.segment != first);
            fs::remove_file(self.path(first))?;
        }
        Ok(())
    }

    fn reader(&mut self, from: u64) -> Result<Reader> {
        if let Some(index) = self.readers.iter().position(|reader| reader.next == from) {
            return Ok(self.readers.swap_remove(index));
        }
        let segment = *self
            .segments
            .iter()
            .rev()
            .find(|first| **first <= from)
            .context("gone")?;
        let file = File::open(self.path(segment))?;
        Ok(Reader {
            next: from,
            segment,
            file,
            offset: 0,
            batch: Vec::new(),
        })
    }
}

impl Engine for Log {
    fn end(&self) -> u64 {
        self.end
    }

    fn append(&mut self, records: &[&[u8]], state: (&str, &[u8])) -> Result<()> {
        if self.length >= SEGMENT {
            self.begin_segment()?;
        }
        let first = self.end;
        self.frame.clear();
        push_frame(&mut self.frame, |payload| {
            payload.push(b'B');
            payload.extend_from_slice(&first.to_le_bytes());
            payload.extend_from_slice(&u32::try_from(records.len())?.to_le_bytes());
            let length = u16::try_from(2 + state.0.len() + state.1.len())?;
            payload.extend_from_slice(&length.to_le_bytes());
            push_key(payload, state.0)?;
            payload.extend_from_slice(state.1);
            for record in records {
                payload.extend_from_slice(&u32::try_from(record.len())?.to_le_bytes());
                payload.extend_from_slice(record);
            }
            Ok(())
        })?;
        self.write()?;
        self.end += records.len() as u64;
        match self.states.get_mut(state.0) {
            Some(value) => state.1.clone_into(value),
            None => drop(self.states.insert(state.0.to_owned(), state.1.to_vec())),
        }
        Ok(())
    }

    fn read(&mut self, from: u64, limit: usize, show: &mut Show<'_>) -> Result<usize> {
        if from >= self.end {
            return Ok(0);
        }
        let mut reader = self.reader(from)?;
        let until = self.end.min(from + limit as u64);
        while reader.next < until {
            if reader.batch.is_empty() {
                match read_frame(&reader.file, reader.offset, &mut reader.batch)? {
                    Some(_) => {}
                    None => {
                        let after = self
                            .segments
                            .partition_point(|first| *first <= reader.segment);
                        reader.segment = *self.segments.get(after).context("no next segment")?;
                        reader.file = File::open(self.path(reader.segment))?;
                        reader.offset = 0;
                        continue;
                    }
                }
            }
            let last = match reader.batch.split_first() {
                Some((b'B', rest)) => Batch::parse(rest)?.show(&mut reader.next, until, show)?,
                _ => true,
            };
            if last {
                reader.offset += (HEAD + reader.batch.len()) as u64;
                reader.batch.clear();
            }
        }
        let count = reader.next - from;
        self.readers.push(reader);
        Ok(count as usize)
    }

    fn settle(&mut self, route: &str, cursor: u64, keep_from: u64) -> Result<()> {
        // First: on a full disk this makes the room for the cursor. Should the cursor not get
        // there, then it is known all the same that it is not before the first segment.
        while self
            .segments
            .get(1)
            .is_some_and(|second| *second <= keep_from)
        {
            self.drop_first()?;
        }
        self.cursors.insert(route.to_owned(), cursor);
        self.frame.clear();
        push_frame(&mut self.frame, |payload| {
            push_state(payload, b'C', route, &cursor.to_le_bytes())
        })?;
        self.write()
    }

    fn idle(&mut self) -> Result<()> {
        let written = self.segments.back().is_some_and(|first| *first < self.end);
        if written && self.cursors.values().all(|cursor| *cursor == self.end) {
            self.begin_segment()?;
            while self.segments.len() > 1 {
                self.drop_first()?;
            }
        }
        Ok(())
    }

    fn state(&mut self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.states.get(key).cloned())
    }

    fn cursor(&mut self, route: &str) -> Result<Option<u64>> {
        let first = self.segments.front().copied().unwrap_or(0);
        Ok(self.cursors.get(route).map(|cursor| first.max(*cursor)))
    }
}
