//! The socket in the file system: made for its owner only, and cleared away when it is left over.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, fchmod};
use tokio::net::{UnixListener, UnixSocket, UnixStream};

/// The owner may use it, nobody else.
const MODE: u32 = 0o600;
/// Connections that wait to be accepted.
const BACKLOG: u32 = 16;
/// The longest path that the system takes for a socket, in bytes: `sun_path` without its last 0.
pub(crate) const MAX_SOCKET_PATH: usize = 107;

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum SocketError {
    /// The system takes no path of this length.
    #[error(
        "{} cannot be a socket: its path has {length} bytes, and the system takes \
         {MAX_SOCKET_PATH}; choose a shorter one with kete.control.socket", path.display()
    )]
    TooLong { path: PathBuf, length: usize },
    /// Something else has the name.
    #[error(
        "{} is there already and is not a socket; it is left alone: choose another path with \
         kete.control.socket", .0.display()
    )]
    NotASocket(PathBuf),
    /// Another process listens.
    #[error(
        "another process listens on {}; choose another path with kete.control.socket", .0.display()
    )]
    Taken(PathBuf),
    /// There is no directory for it.
    #[error(
        "{}: there is no directory {}; create it, writable for kete, or choose another path with \
         kete.control.socket", path.display(), directory.display()
    )]
    NoDirectory { path: PathBuf, directory: PathBuf },
    /// What should be its directory is something else.
    #[error(
        "{}: {} is not a directory; choose another path with kete.control.socket", path.display(),
        directory.display()
    )]
    NotADirectory { path: PathBuf, directory: PathBuf },
    /// This user may not make it there.
    #[error(
        "{}: the user who runs kete may not make a socket in {}{}; let that user write there, or \
         choose another path with kete.control.socket", path.display(), directory.display(),
        belongs_to(directory)
    )]
    NotAllowed { path: PathBuf, directory: PathBuf },
    /// It could not be made.
    #[error("{}: {error}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        error: io::Error,
    },
}

impl SocketError {
    /// What the system said, as it concerns the socket at this path.
    fn of(path: &Path, error: io::Error) -> SocketError {
        let path = path.to_owned();
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let directory = parent.unwrap_or(Path::new(".")).to_owned();
        match error.kind() {
            io::ErrorKind::NotFound => SocketError::NoDirectory { path, directory },
            io::ErrorKind::NotADirectory => SocketError::NotADirectory { path, directory },
            io::ErrorKind::PermissionDenied => SocketError::NotAllowed { path, directory },
            _ => SocketError::Io { path, error },
        }
    }
}

/// ` (it belongs to user 1000)`, if that can be told.
pub(super) fn belongs_to(path: &Path) -> String {
    match fs::symlink_metadata(path) {
        Ok(metadata) => format!(" (it belongs to user {})", metadata.uid()),
        Err(_) => String::new(),
    }
}

/// A bound socket.
pub(super) struct Socket {
    pub(super) listener: UnixListener,
    pub(super) file: SocketFile,
}

/// The name of a bound socket, which goes with this value.
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

/// Refuses a path that the system cannot take.
pub(super) fn check_length(path: &Path) -> Result<(), SocketError> {
    match path.as_os_str().as_bytes().len() {
        length if length > MAX_SOCKET_PATH => Err(SocketError::TooLong {
            path: path.to_owned(),
            length,
        }),
        _ => Ok(()),
    }
}

impl Socket {
    /// Makes the socket; what a dead process left there is replaced.
    pub(super) async fn bind(path: &Path) -> Result<Socket, SocketError> {
        check_length(path)?;
        clear(path).await?;
        listen(path).map_err(|error| SocketError::of(path, error))
    }
}

/// Removes a socket that nobody listens on.
async fn clear(path: &Path) -> Result<(), SocketError> {
    let failed = |error| SocketError::of(path, error);
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(SocketError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(error)),
        Ok(_) => Err(SocketError::Taken(path.to_owned())),
    }
}

fn listen(path: &Path) -> io::Result<Socket> {
    let socket = UnixSocket::new_stream()?;
    // Linux gives the file the mode of the socket, so that it is never open to others, whatever the
    // umask is. Elsewhere this may be refused, and the mode is set a moment later.
    let _where_it_is_known = fchmod(&socket, Mode::from_raw_mode(MODE));
    socket.bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(MODE))?;
    let identity = identity(&fs::symlink_metadata(path)?);
    let path = path.to_owned();
    Ok(Socket {
        listener: socket.listen(BACKLOG)?,
        file: SocketFile { path, identity },
    })
}

impl Drop for SocketFile {
    /// The next kete would clear it away too, so a failure is no harm.
    fn drop(&mut self) {
        let still_ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| identity(&metadata) == self.identity);
        if still_ours {
            let _harmless = fs::remove_file(&self.path);
        }
    }
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}
