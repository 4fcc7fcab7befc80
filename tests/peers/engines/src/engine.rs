//! What a queue on disk must be able to do, in the form that every candidate is measured in.
//!
//! One log of records numbered without gaps, a small state that is written together with a batch,
//! and one cursor per route. Whatever a call writes is on the disk when the call returns.

#[cfg(feature = "fjall")]
mod fjall;
mod log;
#[cfg(any(feature = "fjall", feature = "redb", feature = "sqlite"))]
mod packing;
#[cfg(feature = "redb")]
mod redb;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(test)]
mod tests;

use std::path::Path;

use anyhow::{Result, bail};

#[cfg(any(feature = "fjall", feature = "redb", feature = "sqlite"))]
use packing::{PACKED, Packing, SINGLE};

/// A candidate, opened in a directory of its own.
pub(crate) trait Engine {
    /// The number that the next record gets; the first record of all is number 0.
    fn end(&self) -> u64;

    /// Appends the records and stores the state under its key, both or neither.
    fn append(&mut self, records: &[&[u8]], state: (&str, &[u8])) -> Result<()>;

    /// Shows up to `limit` records from number `from` on, in order; returns how many there were.
    fn read(&mut self, from: u64, limit: usize, show: &mut Show<'_>) -> Result<usize>;

    /// Saves the cursor of a route and gives up all records before `keep_from`, which every route
    /// has passed. The engine may give the space back later than this.
    fn settle(&mut self, route: &str, cursor: u64, keep_from: u64) -> Result<()>;

    /// Does what is left to do when the queue has nothing else to do, once.
    fn idle(&mut self) -> Result<()>;

    /// The saved state of a key.
    fn state(&mut self, key: &str) -> Result<Option<Vec<u8>>>;

    /// The saved cursor of a route.
    fn cursor(&mut self, route: &str) -> Result<Option<u64>>;
}

/// Gets the number of a record and the record.
pub(crate) type Show<'a> = dyn FnMut(u64, &[u8]) + 'a;

/// The candidates of this build, in the order of the tables.
pub(crate) const NAMES: &[&str] = &[
    #[cfg(feature = "sqlite")]
    "sqlite",
    #[cfg(feature = "sqlite")]
    "sqlite, packed",
    #[cfg(feature = "redb")]
    "redb",
    #[cfg(feature = "redb")]
    "redb, packed",
    #[cfg(feature = "redb")]
    "redb, packed, quick repair",
    #[cfg(feature = "fjall")]
    "fjall",
    #[cfg(feature = "fjall")]
    "fjall, packed",
    "log",
    "log, zero-filled",
];

/// The code of ours that a candidate needs: its source texts.
pub(crate) fn sources(name: &str) -> &'static [&'static str] {
    const PACKING: &str = include_str!("engine/packing.rs");
    match name.split(',').next() {
        Some("sqlite") => &[PACKING, include_str!("engine/sqlite.rs")],
        Some("redb") => &[PACKING, include_str!("engine/redb.rs")],
        Some("fjall") => &[PACKING, include_str!("engine/fjall.rs")],
        _ => &[
            include_str!("engine/log.rs"),
            include_str!("engine/log/frame.rs"),
        ],
    }
}

/// Opens the candidate of this name, which makes its files if there are none.
pub(crate) fn open(name: &str, directory: &Path) -> Result<Box<dyn Engine>> {
    std::fs::create_dir_all(directory)?;
    Ok(match name {
        #[cfg(feature = "sqlite")]
        "sqlite" => Box::new(Packing::new(sqlite::Sqlite::open(directory)?, SINGLE)?),
        #[cfg(feature = "sqlite")]
        "sqlite, packed" => Box::new(Packing::new(sqlite::Sqlite::open(directory)?, PACKED)?),
        #[cfg(feature = "redb")]
        "redb" => Box::new(Packing::new(redb::Redb::open(directory, false)?, SINGLE)?),
        #[cfg(feature = "redb")]
        "redb, packed" => Box::new(Packing::new(redb::Redb::open(directory, false)?, PACKED)?),
        #[cfg(feature = "redb")]
        "redb, packed, quick repair" => {
            Box::new(Packing::new(redb::Redb::open(directory, true)?, PACKED)?)
        }
        #[cfg(feature = "fjall")]
        "fjall" => Box::new(Packing::new(fjall::Fjall::open(directory)?, SINGLE)?),
        #[cfg(feature = "fjall")]
        "fjall, packed" => Box::new(Packing::new(fjall::Fjall::open(directory)?, PACKED)?),
        "log" => Box::new(log::Log::open(directory, false)?),
        "log, zero-filled" => Box::new(log::Log::open(directory, true)?),
        other => bail!(
            "there is no engine `{other}`; there are: {}",
            NAMES.join("; ")
        ),
    })
}
