//! Files that settings name: certificates, keys, passwords.
//!
//! They are read whole and with a bound. What is wrong is said with the absolute path, because a
//! relative one is meant from a directory that its author may not have thought of. Nothing of the
//! contents gets into an error.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::Secret;

/// No store, key or password is larger than this, in bytes.
pub(crate) const MAX_BYTES: u64 = 8 * 1024 * 1024;

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub(crate) struct FileError {
    /// As it was written.
    path: PathBuf,
    problem: Problem,
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("there is no file {}", .0.display())]
    Missing(PathBuf),
    #[error("{} is a directory", .0.display())]
    Directory(PathBuf),
    #[error("{} is not an ordinary file", .0.display())]
    Special(PathBuf),
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{} is larger than {MAX_BYTES} bytes", .0.display())]
    TooLarge(PathBuf),
    #[error("{} is empty", .0.display())]
    Empty(PathBuf),
    #[error("{} is not UTF-8 text", .0.display())]
    NoText(PathBuf),
}

impl FileError {
    fn new(path: &Path, problem: impl FnOnce(PathBuf) -> Problem) -> FileError {
        // Fails where there is no working directory any more; then the path itself has to do.
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        FileError {
            path: path.to_owned(),
            problem: problem(absolute),
        }
    }

    fn unreadable(path: &Path, source: io::Error) -> FileError {
        FileError::new(path, |path| match source.kind() {
            ErrorKind::NotFound => Problem::Missing(path),
            _ => Problem::Unreadable { path, source },
        })
    }

    /// The way out.
    pub(crate) fn help(&self) -> Option<String> {
        let help = match &self.problem {
            Problem::Missing(_) if self.path.is_relative() => {
                "a relative path is meant from the directory that kete is started in; write an \
                 absolute one to be sure"
            }
            Problem::Missing(_) => "is it mounted, and is the name spelt right?",
            Problem::Directory(_) => "name the file in it",
            Problem::Special(_) => "it is read again whenever it is looked at; name a file on disk",
            Problem::Unreadable { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
                "let the user that kete runs as read it, and enter the directories above it"
            }
            Problem::Empty(_) => "write the password into it",
            Problem::Unreadable { .. } | Problem::TooLarge(_) | Problem::NoText(_) => return None,
        };
        Some(help.to_owned())
    }
}

/// The whole file, in memory that is overwritten when it goes: there may be a key in it.
///
/// # Errors
///
/// It is missing, no ordinary file, larger than [`MAX_BYTES`], or cannot be read.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    // Before it is opened, because opening a pipe waits for whoever writes to it.
    let metadata = fs::metadata(path).map_err(|error| FileError::unreadable(path, error))?;
    if metadata.is_dir() {
        return Err(FileError::new(path, Problem::Directory));
    }
    if !metadata.is_file() {
        return Err(FileError::new(path, Problem::Special));
    }
    let unreadable = |error| FileError::unreadable(path, error);
    let file = File::open(path).map_err(unreadable)?;
    // Where it grows, it is copied, and what is left behind is not overwritten.
    let length = metadata.len().min(MAX_BYTES) + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or(0)));
    let mut bounded = file.take(MAX_BYTES + 1);
    bounded.read_to_end(&mut bytes).map_err(unreadable)?;
    if bounded.limit() == 0 {
        return Err(FileError::new(path, Problem::TooLarge));
    }
    Ok(bytes)
}

/// A password or the like: the text of the file without one line break at its end, which editors
/// and `echo` add.
///
/// # Errors
///
/// As [`read`]; or it is empty, or not UTF-8.
pub(crate) fn read_secret(path: &Path) -> Result<Secret, FileError> {
    secret_of(path, &read(path)?)
}

/// As [`read_secret`], of a file that was read before.
///
/// # Errors
///
/// It is empty, or not UTF-8.
pub(crate) fn secret_of(path: &Path, bytes: &[u8]) -> Result<Secret, FileError> {
    let text = str::from_utf8(bytes).map_err(|_| FileError::new(path, Problem::NoText))?;
    Secret::of_line(text.to_owned()).ok_or_else(|| FileError::new(path, Problem::Empty))
}

#[cfg(test)]
mod tests;
