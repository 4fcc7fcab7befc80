//! redb: a copy-on-write B-tree in one file.
//!
//! `Durability::Immediate` syncs every commit. Without quick repair it walks the whole file after
//! a crash; with it every commit also saves the allocator's state and syncs twice.

use std::path::Path;

use anyhow::Result;
use redb::{
    Builder, Database, Durability, ReadableDatabase, ReadableTable, TableDefinition,
    WriteTransaction,
};

use super::packing::Rows;

const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
const STATES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("states");
const CURSORS: TableDefinition<'_, &str, u64> = TableDefinition::new("cursors");

/// Bytes of pages that redb keeps in memory.
const CACHE: usize = 8 << 20;

/// An open database.
pub(super) struct Redb {
    database: Database,
    quick_repair: bool,
}

impl Redb {
    pub(super) fn open(directory: &Path, quick_repair: bool) -> Result<Self> {
        let path = directory.join("queue.redb");
        let database = Builder::new().set_cache_size(CACHE).create(path)?;
        let opened = Self {
            database,
            quick_repair,
        };
        let transaction = opened.begin()?;
        transaction.open_table(LOG)?;
        transaction.open_table(STATES)?;
        transaction.open_table(CURSORS)?;
        transaction.commit()?;
        Ok(opened)
    }

    fn begin(&self) -> Result<WriteTransaction> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        transaction.set_quick_repair(self.quick_repair);
        Ok(transaction)
    }
}

impl Rows for Redb {
    fn last(&mut self) -> Result<Option<(u64, Vec<u8>)>> {
        let log = self.database.begin_read()?.open_table(LOG)?;
        Ok(log
            .last()?
            .map(|(seq, row)| (seq.value(), row.value().to_vec())))
    }

    fn largest_cursor(&mut self) -> Result<Option<u64>> {
        let cursors = self.database.begin_read()?.open_table(CURSORS)?;
        let mut largest = None;
        for entry in cursors.iter()? {
            largest = largest.max(Some(entry?.1.value()));
        }
        Ok(largest)
    }

    fn write(&mut self, rows: &[(u64, Vec<u8>)], state: (&str, &[u8])) -> Result<()> {
        let transaction = self.begin()?;
        {
            let mut log = transaction.open_table(LOG)?;
            for (seq, row) in rows {
                log.insert(seq, row.as_slice())?;
            }
            transaction.open_table(STATES)?.insert(state.0, state.1)?;
        }
        Ok(transaction.commit()?)
    }

    fn read(&mut self, from: u64, show: &mut dyn FnMut(u64, &[u8]) -> Result<bool>) -> Result<()> {
        let log = self.database.begin_read()?.open_table(LOG)?;
        let before = log.range(..=from)?.next_back().transpose()?;
        let start = before.map_or(from, |(seq, _)| seq.value());
        for entry in log.range(start..)? {
            let (seq, row) = entry?;
            if !show(seq.value(), row.value())? {
                break;
            }
        }
        Ok(())
    }

    fn settle(&mut self, cursor: (&str, u64), keep_from: u64, all: bool) -> Result<()> {
        let transaction = self.begin()?;
        transaction
            .open_table(CURSORS)?
            .insert(cursor.0, cursor.1)?;
        {
            let mut log = transaction.open_table(LOG)?;
            let before = log.range(..=keep_from)?.next_back().transpose()?;
            let start = match before.map(|(seq, _)| seq.value()) {
                Some(start) if !all => start,
                _ => keep_from,
            };
            log.retain_in(..start, |_, _| false)?;
        }
        Ok(transaction.commit()?)
    }

    fn idle(&mut self) -> Result<()> {
        // Moves the pages that are left to the front of the file and cuts it.
        self.database.compact()?;
        Ok(())
    }

    fn state(&mut self, key: &str) -> Result<Option<Vec<u8>>> {
        let states = self.database.begin_read()?.open_table(STATES)?;
        Ok(states.get(key)?.map(|value| value.value().to_vec()))
    }

    fn cursor(&mut self, route: &str) -> Result<Option<u64>> {
        let cursors = self.database.begin_read()?.open_table(CURSORS)?;
        Ok(cursors.get(route)?.map(|value| value.value()))
    }
}
