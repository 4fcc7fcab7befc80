//! SQLite: a table of rows by number, a table of states, a table of cursors.
//!
//! Write-ahead log with `synchronous = FULL`, so that every commit is synced. Free pages are used
//! again, and the file is given back whole when next to nothing is left in it: incremental vacuum
//! was measured too, and took more than reading and deleting together.

use std::path::Path;

use anyhow::Result;
use rusqlite::{Connection, OptionalExtension, params};

use super::packing::Rows;

/// Files below this many pages (16 MiB) are kept.
const LARGE: u64 = 4096;
/// `VACUUM` copies what is left: at most this many pages (2 MiB).
const LITTLE: u64 = 512;

/// An open database.
pub(super) struct Sqlite {
    connection: Connection,
}

impl Sqlite {
    pub(super) fn open(directory: &Path) -> Result<Self> {
        let connection = Connection::open(directory.join("queue.sqlite"))?;
        connection.execute_batch(
            "PRAGMA page_size = 4096;
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA wal_autocheckpoint = 1000;
             PRAGMA journal_size_limit = 8388608;
             PRAGMA cache_size = -4096;
             CREATE TABLE IF NOT EXISTS log (seq INTEGER PRIMARY KEY, records BLOB NOT NULL);
             CREATE TABLE IF NOT EXISTS states (key TEXT PRIMARY KEY, value BLOB NOT NULL)
                 WITHOUT ROWID;
             CREATE TABLE IF NOT EXISTS cursors (route TEXT PRIMARY KEY, seq INTEGER NOT NULL)
                 WITHOUT ROWID;",
        )?;
        Ok(Self { connection })
    }

    fn pages(&self, pragma: &str) -> Result<u64> {
        Ok(self
            .connection
            .pragma_query_value(None, pragma, |row| row.get(0))?)
    }

    /// Gives the space back when the file is large and next to nothing is in it.
    fn vacuum(&self) -> Result<()> {
        let pages = self.pages("page_count")?;
        if pages > LARGE && pages - self.pages("freelist_count")? < LITTLE {
            self.connection
                .execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")?;
        }
        Ok(())
    }
}

impl Rows for Sqlite {
    fn last(&mut self) -> Result<Option<(u64, Vec<u8>)>> {
        let sql = "SELECT seq, records FROM log ORDER BY seq DESC LIMIT 1";
        let pair = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        Ok(self.connection.query_row(sql, [], pair).optional()?)
    }

    fn largest_cursor(&mut self) -> Result<Option<u64>> {
        Ok(self
            .connection
            .query_row("SELECT max(seq) FROM cursors", [], |row| row.get(0))?)
    }

    fn write(&mut self, rows: &[(u64, Vec<u8>)], state: (&str, &[u8])) -> Result<()> {
        let transaction = self.connection.transaction()?;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO log VALUES (?1, ?2)")?;
            for (seq, row) in rows {
                insert.execute(params![seq, row])?;
            }
            transaction
                .prepare_cached("INSERT OR REPLACE INTO states VALUES (?1, ?2)")?
                .execute(params![state.0, state.1])?;
        }
        Ok(transaction.commit()?)
    }

    fn read(&mut self, from: u64, show: &mut dyn FnMut(u64, &[u8]) -> Result<bool>) -> Result<()> {
        let mut statement = self.connection.prepare_cached(
            "SELECT seq, records FROM log WHERE seq >=
                 ifnull((SELECT max(seq) FROM log WHERE seq <= ?1), ?1) ORDER BY seq",
        )?;
        let mut rows = statement.query([from])?;
        while let Some(row) = rows.next()? {
            if !show(row.get(0)?, row.get_ref(1)?.as_blob()?)? {
                break;
            }
        }
        Ok(())
    }

    fn settle(&mut self, cursor: (&str, u64), keep_from: u64, all: bool) -> Result<()> {
        let transaction = self.connection.transaction()?;
        transaction
            .prepare_cached("INSERT OR REPLACE INTO cursors VALUES (?1, ?2)")?
            .execute(params![cursor.0, cursor.1])?;
        let delete = if all {
            "DELETE FROM log WHERE seq < ?1"
        } else {
            "DELETE FROM log WHERE seq < (SELECT max(seq) FROM log WHERE seq <= ?1)"
        };
        transaction.prepare_cached(delete)?.execute([keep_from])?;
        transaction.commit()?;
        self.vacuum()
    }

    fn idle(&mut self) -> Result<()> {
        self.vacuum()?;
        let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
        Ok(self.connection.query_row(checkpoint, [], |_| Ok(()))?)
    }

    fn state(&mut self, key: &str) -> Result<Option<Vec<u8>>> {
        let sql = "SELECT value FROM states WHERE key = ?1";
        Ok(self
            .connection
            .query_row(sql, [key], |row| row.get(0))
            .optional()?)
    }

    fn cursor(&mut self, route: &str) -> Result<Option<u64>> {
        let sql = "SELECT seq FROM cursors WHERE route = ?1";
        Ok(self
            .connection
            .query_row(sql, [route], |row| row.get(0))
            .optional()?)
    }
}
