//! Disks without room, for which nobody needs to be root: a file that takes what is free, and a
//! limit at which a running process gets write errors.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::{Home, Kete};

/// More than others on this machine are likely to write meanwhile, if the disk has it.
const USUAL_BALLAST: u64 = 16 * 1024 * 1024 * 1024;

/// A file that takes room until it is dropped.
pub struct Ballast {
    file: PathBuf,
}

/// How much room a ballast takes, and what has to stay free so that it makes the difference.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// What has to stay free, in bytes: there is more now, and less with the ballast.
    pub reserve: u64,
    ballast: u64,
}

impl Room {
    /// Looks at the file system of a home.
    ///
    /// # Errors
    ///
    /// It cannot be asked.
    pub fn of(home: &Home) -> Result<Room> {
        let system = statvfs(home.path())?;
        let free = system.f_bavail * system.f_frsize;
        let ballast = USUAL_BALLAST.min(free / 4);
        Ok(Room {
            reserve: free - ballast / 2,
            ballast,
        })
    }

    /// Takes the room.
    ///
    /// # Errors
    ///
    /// There is less than before.
    pub fn take(self, home: &Home) -> Result<Ballast> {
        let file = home.path().join("ballast");
        let ballast = Ballast { file };
        allocate(&ballast.file, self.ballast).context("a file that takes room")?;
        Ok(ballast)
    }
}

fn allocate(path: &Path, bytes: u64) -> Result<()> {
    let file = File::create(path)?;
    Ok(fallocate(file, FallocateFlags::empty(), 0, bytes)?)
}

impl Drop for Ballast {
    fn drop(&mut self) {
        // It goes with the home at the latest.
        let _removed = std::fs::remove_file(&self.file);
    }
}

impl Kete {
    /// Lets it write no file beyond so many bytes from now on, or as much as it likes again; for
    /// one that was started with [`Home::run_unsignalled`].
    ///
    /// # Errors
    ///
    /// It has ended.
    pub fn limit_files(&self, most: Option<u64>) -> Result<()> {
        let limit = Rlimit {
            current: most,
            maximum: None,
        };
        let process = Pid::from_raw(self.process_id()).context("no process")?;
        prlimit(Some(process), Resource::Fsize, limit)?;
        Ok(())
    }
}
