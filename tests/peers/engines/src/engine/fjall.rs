//! fjall: a log-structured merge tree.
//!
//! The rows are kept in keyspaces of a fixed number of records each, so that what every route has
//! passed goes away as whole files instead of as tombstones. Memtables and caches are small: the
//! whole process is meant to stay below 40 MB.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::packing::Rows;

/// Records in one keyspace, 52 MB of them; a multiple of 64, so that no row crosses its end.
const CHUNK: u64 = 65_536;
/// Bytes that a keyspace collects in memory before it writes a file.
const MEMTABLE: u64 = 4 << 20;
const CACHE: u64 = 4 << 20;
/// The smallest that fjall takes.
const JOURNALS: u64 = 64 << 20;

/// An open database.
pub(super) struct Fjall {
    database: Database,
    chunks: BTreeMap<u64, Keyspace>,
    states: Keyspace,
    cursors: Keyspace,
}

impl Fjall {
    pub(super) fn open(directory: &Path) -> Result<Self> {
        let database = Database::builder(directory)
            .cache_size(CACHE)
            .max_journaling_size(JOURNALS)
            .worker_threads(1)
            .open()?;
        let states = database.keyspace("states", options)?;
        let cursors = database.keyspace("cursors", options)?;
        let mut chunks = BTreeMap::new();
        for name in database.list_keyspace_names() {
            if let Some(number) = name.strip_prefix("log-") {
                chunks.insert(number.parse()?, database.keyspace(&name, options)?);
            }
        }
        Ok(Self {
            database,
            chunks,
            states,
            cursors,
        })
    }

    /// The keyspace of a row. A new one sends what the one before has in memory to its file.
    fn chunk(&mut self, seq: u64) -> Result<Keyspace> {
        let number = seq / CHUNK;
        if let Some(keyspace) = self.chunks.get(&number) {
            return Ok(keyspace.clone());
        }
        if let Some(before) = self.chunks.values().next_back() {
            before.rotate_memtable()?;
        }
        let keyspace = self
            .database
            .keyspace(&format!("log-{number:020}"), options)?;
        self.chunks.insert(number, keyspace.clone());
        Ok(keyspace)
    }
}

impl Rows for Fjall {
    fn last(&mut self) -> Result<Option<(u64, Vec<u8>)>> {
        for keyspace in self.chunks.values().rev() {
            if let Some(guard) = keyspace.last_key_value() {
                let (seq, row) = guard.into_inner()?;
                return Ok(Some((number(&seq)?, row.to_vec())));
            }
        }
        Ok(None)
    }

    fn largest_cursor(&mut self) -> Result<Option<u64>> {
        let mut largest = None;
        for guard in self.cursors.iter() {
            largest = largest.max(Some(number(&guard.value()?)?));
        }
        Ok(largest)
    }

    fn write(&mut self, rows: &[(u64, Vec<u8>)], state: (&str, &[u8])) -> Result<()> {
        let mut batch = self
            .database
            .batch()
            .durability(Some(PersistMode::SyncData));
        for (seq, row) in rows {
            let keyspace = self.chunk(*seq)?;
            batch.insert(&keyspace, seq.to_be_bytes(), row.as_slice());
        }
        batch.insert(&self.states, state.0, state.1);
        Ok(batch.commit()?)
    }

    fn read(&mut self, from: u64, show: &mut dyn FnMut(u64, &[u8]) -> Result<bool>) -> Result<()> {
        let mut start = from;
        for (chunk, keyspace) in self.chunks.range(from / CHUNK..) {
            if *chunk == from / CHUNK
                && let Some(guard) = keyspace.range(..=from.to_be_bytes()).next_back()
            {
                start = number(&guard.key()?)?;
            }
            for guard in keyspace.range(start.to_be_bytes()..) {
                let (seq, row) = guard.into_inner()?;
                if !show(number(&seq)?, &row)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn settle(&mut self, cursor: (&str, u64), keep_from: u64, all: bool) -> Result<()> {
        let mut batch = self
            .database
            .batch()
            .durability(Some(PersistMode::SyncData));
        batch.insert(&self.cursors, cursor.0, cursor.1.to_be_bytes());
        batch.commit()?;
        while let Some(first) = self.chunks.first_entry() {
            if (first.key() + 1) * CHUNK > keep_from && !all {
                break;
            }
            self.database.delete_keyspace(first.remove())?;
        }
        Ok(())
    }

    fn idle(&mut self) -> Result<()> {
        // The journals keep what the states and cursors have only in memory.
        self.states.rotate_memtable_and_wait()?;
        self.cursors.rotate_memtable_and_wait()?;
        Ok(())
    }

    fn state(&mut self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.states.get(key)?.map(|value| value.to_vec()))
    }

    fn cursor(&mut self, route: &str) -> Result<Option<u64>> {
        self.cursors
            .get(route)?
            .map(|value| number(&value))
            .transpose()
    }
}

fn options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE)
}

fn number(bytes: &[u8]) -> Result<u64> {
    Ok(u64::from_be_bytes(
        bytes.try_into().context("a number of eight bytes")?,
    ))
}
