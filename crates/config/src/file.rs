//! Reads one properties file into a layer.
//!
//! Everything that can be wrong with the file itself becomes a diagnostic with its place; nothing
//! here decides what a key means. The file is read once, whole, up to [`MAX_FILE_BYTES`]. Pipes
//! work, so that a shell's `<(…)` does.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

use crate::code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::layers::{Layer, Value, check_key, trim};
use crate::origin::Origin;
use crate::properties::{self, Entry};

/// The largest file that is read: 16 MiB.
pub const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// Why a file could not be read. Trying again helps once somebody has changed something.
#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error("there is no such file")]
    Missing,
    #[error("the file may not be read by this user")]
    Refused,
    #[error("this is a directory")]
    Directory,
    #[error("the file is larger than 16 MiB, so it is hardly a configuration")]
    TooLarge,
    #[error("the file cannot be read: {0}")]
    Io(io::Error),
}

impl FileError {
    fn help(&self) -> Option<&'static str> {
        match self {
            FileError::Missing => Some("check the path"),
            FileError::Refused => {
                Some("check the permissions of the file and of the directories above it")
            }
            FileError::Directory => Some("name a .properties file in it"),
            FileError::TooLarge | FileError::Io(_) => None,
        }
    }
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> FileError {
        match error.kind() {
            ErrorKind::NotFound => FileError::Missing,
            ErrorKind::PermissionDenied => FileError::Refused,
            ErrorKind::IsADirectory => FileError::Directory,
            _ => FileError::Io(error),
        }
    }
}

pub(crate) fn read(path: &Path, diagnostics: &Diagnostics) -> Layer {
    let path: Arc<Path> = path.into();
    match load(&path) {
        Ok(bytes) => layer(&path, &bytes, diagnostics),
        Err(error) => {
            let problem = Diagnostic::error(code::UNREADABLE_FILE, error.to_string());
            let problem = problem.help(error.help().map(str::to_owned));
            diagnostics.push(problem.at(Origin::File { path, line: 0 }));
            Layer::new()
        }
    }
}

fn load(path: &Path) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(FileError::TooLarge);
    }
    Ok(bytes)
}

fn layer(path: &Arc<Path>, bytes: &[u8], diagnostics: &Diagnostics) -> Layer {
    let at = |line| Origin::File {
        path: Arc::clone(path),
        line,
    };
    let document = properties::parse(bytes);
    for error in &document.errors {
        let diagnostic = Diagnostic::error(code::BAD_FILE, error.to_string());
        diagnostics.push(
            diagnostic
                .at(at(error.line()))
                .help(error.help().to_owned()),
        );
    }
    let mut layer = Layer::new();
    let mut first_lines = BTreeMap::new();
    for Entry { key, value, line } in document.entries {
        let key = trim(&key);
        if !check_key(key, &at(line), diagnostics) {
            continue;
        }
        if let Some(first) = first_lines.get(key) {
            let message = format!("this key was given on line {first} already");
            let help = "keep one of the two".to_owned();
            let diagnostic = Diagnostic::error(code::DUPLICATE_KEY, message);
            diagnostics.push(diagnostic.at(at(line)).key(key).help(help));
            continue;
        }
        first_lines.insert(key.to_owned(), line);
        layer.insert(
            key.to_owned(),
            Value {
                text: trim(&value).to_owned(),
                origin: at(line),
            },
        );
    }
    layer
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Directories and missing files are tested for real; a process that runs as root is never
    /// refused a file, and no test can break a disk.
    #[test]
    fn a_refused_file_and_a_broken_disk_are_told_apart() {
        let refused = FileError::from(io::Error::from(ErrorKind::PermissionDenied));
        assert!(
            refused
                .help()
                .is_some_and(|help| help.contains("permissions"))
        );
        assert_eq!(refused.to_string(), "the file may not be read by this user");
        let broken = FileError::from(io::Error::other("the disk is on fire"));
        assert_eq!(
            broken.to_string(),
            "the file cannot be read: the disk is on fire"
        );
    }
}
