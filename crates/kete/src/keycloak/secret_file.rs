//! Writes a secret into a file of its own.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use kete_credentials::Secret;
use tempfile::NamedTempFile;

/// What users may do who are neither the owner nor of the group.
const OTHERS: u32 = 0o007;

/// Why there is no such file.
#[derive(Debug, thiserror::Error)]
pub(super) enum SecretFileError {
    #[error(
        "{} is there already with something else in it, and is left alone; the client is \
         prepared: remove the file or name another one, and run this again", .0.display()
    )]
    Taken(PathBuf),
    #[error(
        "{} is there already and is not an ordinary file; the client is prepared: name another \
         file, and run this again", .0.display()
    )]
    Special(PathBuf),
    #[error(
        "{path} has the secret already, and every user of this machine may use it (mode {mode:o}); \
         the client is prepared: run chmod o= {path}, and this again", path = path.display()
    )]
    OpenToAll { path: PathBuf, mode: u32 },
    #[error(
        "{} is there already and cannot be read: {source}; the client is prepared: name another \
         file, and run this again", path.display()
    )]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "{} cannot be written: {source}; the client is prepared: name another file, and run this \
         again", path.display()
    )]
    Unwritable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Writes the secret, for the owner of the file and nobody else, unless the file has it already.
///
/// # Errors
///
/// Something else is in the file, users of no concern may read it, or it cannot be written.
pub(super) fn write(path: &Path, secret: &Secret) -> Result<(), SecretFileError> {
    if path.symlink_metadata().is_ok() {
        return check(path, secret);
    }
    match create(path, secret) {
        // Somebody else was quicker.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => check(path, secret),
        created => created.map_err(|source| SecretFileError::Unwritable {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Writes it beside, and gives it its name when it is complete: half a secret would be taken for
/// something else the next time.
fn create(path: &Path, secret: &Secret) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(directory)?;
    writeln!(file, "{}", secret.reveal())?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path)?;
    Ok(())
}

/// Whether the file that is there can stay as it is.
fn check(path: &Path, secret: &Secret) -> Result<(), SecretFileError> {
    let unreadable = |source| SecretFileError::Unreadable {
        path: path.to_owned(),
        source,
    };
    // Before it is opened, because opening a pipe waits for whoever writes to it.
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(SecretFileError::Special(path.to_owned()));
    }
    if !holds(path, secret).map_err(unreadable)? {
        return Err(SecretFileError::Taken(path.to_owned()));
    }
    match metadata.permissions().mode() & 0o777 {
        mode if mode & OTHERS != 0 => Err(SecretFileError::OpenToAll {
            path: path.to_owned(),
            mode,
        }),
        _ => Ok(()),
    }
}

/// Whether the file has this secret and nothing else, with or without a line break.
fn holds(path: &Path, secret: &Secret) -> io::Result<bool> {
    let expected = secret.reveal().as_bytes();
    let mut text = Vec::new();
    // So much that anything longer is seen to be longer.
    let enough = u64::try_from(expected.len()).unwrap_or(u64::MAX);
    File::open(path)?
        .take(enough.saturating_add(2))
        .read_to_end(&mut text)?;
    Ok(text.strip_suffix(b"\n").unwrap_or(&text) == expected)
}

#[cfg(test)]
mod tests;
