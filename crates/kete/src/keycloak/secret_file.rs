//! Writes a secret into a file of its own.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use kete_credentials::Secret;

/// For its owner to read and write, and for nobody else.
const MODE: u32 = 0o600;

/// Why there is no such file.
#[derive(Debug, thiserror::Error)]
pub(super) enum SecretFileError {
    #[error(
        "{} is there already with something else in it, and is left alone; the client is \
         prepared: remove the file or name another one, and run this again", .0.display()
    )]
    Taken(PathBuf),
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

/// Writes the secret, unless the file has it already.
///
/// # Errors
///
/// Something else is in the file, or it cannot be written.
pub(super) fn write(path: &Path, secret: &Secret) -> Result<(), SecretFileError> {
    let unwritable = |source| SecretFileError::Unwritable {
        path: path.to_owned(),
        source,
    };
    let created = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(path);
    let mut file = match created {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return match holds(path, secret).map_err(unwritable)? {
                true => Ok(()),
                false => Err(SecretFileError::Taken(path.to_owned())),
            };
        }
        Err(error) => return Err(unwritable(error)),
    };
    let written = writeln!(file, "{}", secret.reveal()).and_then(|()| file.sync_all());
    written.map_err(|error| {
        // Half a secret would be taken for something else the next time. That it cannot be
        // removed either would be said then.
        let _stays = fs::remove_file(path);
        unwritable(error)
    })
}

/// Whether the file has this secret and nothing else, with or without a line break.
fn holds(path: &Path, secret: &Secret) -> io::Result<bool> {
    let text = fs::read(path)?;
    Ok(text.strip_suffix(b"\n").unwrap_or(&text) == secret.reveal().as_bytes())
}

#[cfg(test)]
mod tests;
