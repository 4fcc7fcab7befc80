//! Why something cannot be done with dead letters, with the way out.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Why a dead letter was not stored, or could not be found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeadLetterError {
    /// The files are as large as they may be.
    #[error(
        "{} is full: dead letters would take more than {limit} bytes \
         (kete.dead-letters.max-bytes); make room with `kete dead-letters replay` or `kete \
         dead-letters purge`, or set a larger one", path.display()
    )]
    Full {
        /// The file that grows.
        path: PathBuf,
        /// The bound.
        limit: u64,
    },
    /// The directory of the file is not there.
    #[error(
        "{path}: the directory {directory} does not exist; create it, writable for kete, or choose \
         another path"
    )]
    NoDirectory {
        /// The file.
        path: PathBuf,
        /// Its directory.
        directory: PathBuf,
    },
    /// Another process has it.
    #[error(
        "{}: {} uses these dead letters; give each kete a path of its own", path.display(),
        process.map_or_else(|| "another process".to_owned(), |id| format!("process {id}"))
    )]
    InUse {
        /// The file that grows.
        path: PathBuf,
        /// The process, if that is known.
        process: Option<u64>,
    },
    /// A file could not be opened, read or written.
    #[error("{}: {}", path.display(), words(path, error))]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// The body is not JSON, so that it cannot stand in a line.
    #[error("the event is not JSON")]
    NotJson,
    /// The work was not done, because the process ends.
    #[error("kete ends, so nothing is done with dead letters any more")]
    Ended,
}

/// What the system said, or more where that says too little: what is no directory, whose it is.
fn words(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {}
        io::ErrorKind::NotADirectory => {
            let directory = path.parent().unwrap_or(path).display();
            return format!("{directory} is not a directory; choose another path");
        }
        _ => return error.to_string(),
    }
    let there = [Some(path), path.parent()].into_iter().flatten();
    let owner = there
        .filter_map(|place| Some((place, fs::symlink_metadata(place).ok()?.uid())))
        .map(|(place, owner)| format!(" ({} belongs to user {owner})", place.display()))
        .next();
    format!(
        "the user who runs kete may not use it{}; let that user read and write it and its \
         directory, or run kete as its owner",
        owner.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_allowed_names_the_owner() {
        let folder = tempfile::tempdir().unwrap();
        let owner = fs::metadata(folder.path()).unwrap().uid();
        let path = folder.path().join("dead.ndjson");
        let of = |kind: io::ErrorKind| {
            let error = io::Error::from(kind);
            let path = path.clone();
            DeadLetterError::Io { path, error }.to_string()
        };
        let refused = of(io::ErrorKind::PermissionDenied);
        let folder = folder.path().display();
        let expected = format!("({folder} belongs to user {owner})");
        assert!(refused.contains(&expected), "{refused}");
        assert!(refused.contains("or run kete as its owner"), "{refused}");
        let expected = format!(
            "{}: {folder} is not a directory; choose another",
            path.display()
        );
        let refused = of(io::ErrorKind::NotADirectory);
        assert!(refused.starts_with(&expected), "{refused}");
        let full = of(io::ErrorKind::StorageFull);
        assert!(!full.contains("belongs"), "{full}");
    }
}
