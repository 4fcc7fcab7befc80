//! The file that grows: whole lines are added to it, and what was added is on the disk.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::MODE;
use super::files::Older;
use super::lock::lock_path;
use super::reading::{Survey, survey};

/// The file that grows.
#[derive(Debug)]
pub(super) struct Active {
    file: File,
    identity: (u64, u64),
    /// So much of it is whole lines.
    pub(super) length: u64,
    /// What is known of its letters.
    pub(super) known: Survey,
    /// Whether there may be something behind `length` that is not to stay.
    untidy: bool,
}

impl Active {
    /// Opens the file, or makes it. A line that a crash left half written is closed off.
    pub(super) fn open(path: &Path) -> io::Result<Active> {
        check_kind(path)?;
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(MODE)
            .open(path)?;
        let metadata = file.metadata()?;
        file.set_permissions(Permissions::from_mode(MODE))?;
        let mut length = metadata.len();
        if length > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
                length += 1;
            }
        }
        let known = survey(&mut file, length)?;
        // The file itself must outlast a crash, not only what is written into it.
        file.sync_all()?;
        Ok(Active {
            file,
            identity: (metadata.dev(), metadata.ino()),
            length,
            known,
            untidy: false,
        })
    }

    /// Whether this is the file, as it was left.
    pub(super) fn is(&self, found: &Metadata) -> bool {
        (found.dev(), found.ino()) == self.identity && found.len() == self.length
    }

    /// Adds whole lines; on the disk when this returns.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let written = self.file.write_all(bytes);
        if let Err(error) = written.and_then(|()| self.file.sync_data()) {
            // Half of it may be there now; it is taken back, so that a later line is whole.
            self.untidy = true;
            let _tried_again_before_the_next = self.tidy();
            return Err(error);
        }
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Takes back what was written in vain.
    pub(super) fn tidy(&mut self) -> io::Result<()> {
        if self.untidy {
            self.file.set_len(self.length)?;
            self.untidy = false;
        }
        Ok(())
    }

    /// What it is once it does not grow any more.
    pub(super) fn as_older(&self) -> Older {
        Older {
            length: self.length,
            newest: self.known.last_at.unwrap_or(0),
            last_number: self.known.last_number,
        }
    }
}

/// Refuses what is there and is not a plain file. It is asked before anything is opened, because
/// opening a pipe waits for its other end.
pub(super) fn check_kind(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(found) if found.is_file() => Ok(()),
        Ok(_) => {
            let words = "not a plain file; choose another path";
            Err(io::Error::new(ErrorKind::InvalidInput, words))
        }
    }
}

/// Refuses a file of somebody else, before its mode or a byte of it is changed: dead letters begin
/// with a brace, and what a crash leaves of the first one does, unless it is zeros. Where letters
/// were kept before, there is a lock, and whatever else was written into the file is left in it.
pub(super) fn check_content(path: &Path) -> io::Result<()> {
    if lock_path(path).symlink_metadata().is_ok() {
        return Ok(());
    }
    let mut file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    let mut first = [0];
    match file.read(&mut first)? {
        1 if !b"{\n\0".contains(&first[0]) => {
            let words = "it holds something else than dead letters, and is left alone; choose \
                         another path";
            Err(io::Error::new(ErrorKind::InvalidData, words))
        }
        _ => Ok(()),
    }
}
