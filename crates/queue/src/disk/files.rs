//! The files of the log, as far as it needs them; tests put a disk in their place that fails.

use std::fs::File as SystemFile;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, Dir, Mode, OFlags};

use crate::directory::FILE_MODE;

/// One directory of files.
pub(crate) trait Files: Send + Sync {
    /// The names of everything in it.
    fn list(&self) -> io::Result<Vec<String>>;
    /// A new file to write; an old one of this name is emptied.
    fn create(&self, name: &str) -> io::Result<Box<dyn File>>;
    /// A file that is there, to read and write.
    fn open(&self, name: &str) -> io::Result<Box<dyn File>>;
    fn remove(&self, name: &str) -> io::Result<()>;
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Makes the names durable that were made before.
    fn sync_names(&self) -> io::Result<()>;
    /// The bytes that the file system has left for us.
    fn free_space(&self) -> io::Result<u64>;
    /// Where a file is, for messages.
    fn path(&self, name: &str) -> PathBuf;
    /// Where the directory is, for messages.
    fn directory(&self) -> &Path;
}

/// One open file.
pub(crate) trait File: Send + Sync {
    fn length(&self) -> io::Result<u64>;
    /// Reads as much of the buffer as there is.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes what was written durable.
    fn sync(&self) -> io::Result<()>;
}

/// A directory of the system, held open: its files are reached through it, wherever it is moved, and
/// never through its path, where another one may be by then.
#[derive(Debug)]
pub(super) struct SystemFiles {
    path: PathBuf,
    directory: OwnedFd,
}

impl SystemFiles {
    /// # Errors
    ///
    /// There is no such directory, or it may not be written.
    pub(super) fn new(path: PathBuf) -> io::Result<SystemFiles> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(&path, flags, Mode::empty())?;
        let all = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
        rustix::fs::access(&path, all)?;
        Ok(SystemFiles { path, directory })
    }

    fn open_with(&self, name: &str, flags: OFlags) -> io::Result<Box<dyn File>> {
        let mode = Mode::from_raw_mode(FILE_MODE as _);
        let flags = flags | OFlags::RDWR | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.directory, name, flags, mode)?;
        Ok(Box::new(SystemFile::from(file)))
    }
}

impl Files for SystemFiles {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.directory)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        self.open_with(name, OFlags::CREATE | OFlags::TRUNC)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        self.open_with(name, OFlags::empty())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(
            &self.directory,
            name,
            AtFlags::empty(),
        )?)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(
            &self.directory,
            from,
            &self.directory,
            to,
        )?)
    }

    fn sync_names(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.directory)?)
    }

    fn free_space(&self) -> io::Result<u64> {
        let system = rustix::fs::fstatvfs(&self.directory)?;
        Ok(system.f_bavail.saturating_mul(system.f_frsize))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn directory(&self) -> &Path {
        &self.path
    }
}

impl File for SystemFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match FileExt::read_at(self, &mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        // The system goes on writing to a file whose name is gone, and nobody would ever find it.
        if self.metadata()?.nlink() == 0 {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the file was deleted while kete was using it",
            ));
        }
        self.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
