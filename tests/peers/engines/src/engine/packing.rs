//! Records in the rows of a store of keys and values: one record to a row, or up to 64.
//!
//! Fewer and longer rows cost a tree less. A row holds records of one append only, so that it is
//! written once and never changed. Its key is the number of its first record:
//!
//! ```text
//! row = { length u32, little-endian | record }
//! ```
//!
//! A row never crosses a multiple of 64, so that a store can be cut into pieces at such numbers.

use anyhow::{Context, Result};

use super::{Engine, Show};

/// Records in a row: one.
pub(super) const SINGLE: u64 = 1;
/// Records in a row at most, if they are packed: 51 KB of them.
pub(super) const PACKED: u64 = 64;

/// A store of rows by number, states by key and cursors by route.
pub(super) trait Rows {
    /// The last row, if there is one.
    fn last(&mut self) -> Result<Option<(u64, Vec<u8>)>>;

    /// The largest of all cursors.
    fn largest_cursor(&mut self) -> Result<Option<u64>>;

    /// Stores rows and a state durably, all or nothing.
    fn write(&mut self, rows: &[(u64, Vec<u8>)], state: (&str, &[u8])) -> Result<()>;

    /// Shows rows in order, beginning with the last one whose key is not above `from`, as long as
    /// `show` asks for more.
    fn read(&mut self, from: u64, show: &mut dyn FnMut(u64, &[u8]) -> Result<bool>) -> Result<()>;

    /// Saves a cursor durably and deletes the rows that hold no record from `keep_from` on. `all`
    /// says that there is no such record.
    fn settle(&mut self, cursor: (&str, u64), keep_from: u64, all: bool) -> Result<()>;

    /// Gives space back.
    fn idle(&mut self) -> Result<()>;

    /// The state of a key.
    fn state(&mut self, key: &str) -> Result<Option<Vec<u8>>>;

    /// The cursor of a route.
    fn cursor(&mut self, route: &str) -> Result<Option<u64>>;
}

/// An engine on top of a store.
pub(super) struct Packing<R> {
    rows: R,
    per_row: u64,
    end: u64,
}

impl<R: Rows> Packing<R> {
    pub(super) fn new(mut rows: R, per_row: u64) -> Result<Self> {
        let end = match rows.last()? {
            Some((first, row)) => first + split(&row).count() as u64,
            // All records are gone; then a cursor knows where the log ends.
            None => rows.largest_cursor()?.unwrap_or(0),
        };
        Ok(Self { rows, per_row, end })
    }
}

impl<R: Rows> Engine for Packing<R> {
    fn end(&self) -> u64 {
        self.end
    }

    fn append(&mut self, records: &[&[u8]], state: (&str, &[u8])) -> Result<()> {
        let mut rows = Vec::new();
        let mut first = self.end;
        let mut rest = records;
        while !rest.is_empty() {
            let room = self.per_row - first % self.per_row;
            let (records, after) = rest.split_at(rest.len().min(room as usize));
            rows.push((first, join(records)?));
            first += records.len() as u64;
            rest = after;
        }
        self.rows.write(&rows, state)?;
        self.end = first;
        Ok(())
    }

    fn read(&mut self, from: u64, limit: usize, show: &mut Show<'_>) -> Result<usize> {
        let mut count = 0;
        self.rows.read(from, &mut |first, row| {
            for (seq, record) in (first..).zip(split(row)) {
                if seq >= from && count < limit {
                    show(seq, record.context("a row is damaged")?);
                    count += 1;
                }
            }
            Ok(count < limit)
        })?;
        Ok(count)
    }

    fn settle(&mut self, route: &str, cursor: u64, keep_from: u64) -> Result<()> {
        self.rows
            .settle((route, cursor), keep_from, keep_from >= self.end)
    }

    fn idle(&mut self) -> Result<()> {
        self.rows.idle()
    }

    fn state(&mut self, key: &str) -> Result<Option<Vec<u8>>> {
        self.rows.state(key)
    }

    fn cursor(&mut self, route: &str) -> Result<Option<u64>> {
        self.rows.cursor(route)
    }
}

fn join(records: &[&[u8]]) -> Result<Vec<u8>> {
    let length = records.iter().map(|record| 4 + record.len()).sum();
    let mut row = Vec::with_capacity(length);
    for record in records {
        row.extend_from_slice(&u32::try_from(record.len())?.to_le_bytes());
        row.extend_from_slice(record);
    }
    Ok(row)
}

/// The records of a row; nothing where a record should be and is not whole.
fn split(mut row: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    std::iter::from_fn(move || {
        if row.is_empty() {
            return None;
        }
        let Some((length, after)) = row.split_first_chunk() else {
            row = &[];
            return Some(None);
        };
        let length = u32::from_le_bytes(*length) as usize;
        let Some((record, after)) = after.split_at_checked(length) else {
            row = &[];
            return Some(None);
        };
        row = after;
        Some(Some(record))
    })
}
