//! The directory in which kete keeps what survives it: queue, cursors, dead letters.
//!
//! One process uses it at a time: a lock that the system takes back when the process ends keeps
//! others out. A directory that is not ours is refused, never taken over, and nothing that is in it
//! is changed before that is known. What it holds is for its owner's eyes: directories are 0700,
//! files 0600, and what is wider is tightened and said.

mod look;

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use look::Found;

/// The owner may enter and write, nobody else may do anything.
const DIRECTORY_MODE: u32 = 0o700;
/// The owner may read and write, nobody else may do anything.
pub(crate) const FILE_MODE: u32 = 0o600;

/// The format that this kete writes and the newest that it reads.
const FORMAT: u32 = 1;
/// What the first line of the file `FORMAT` says.
const TITLE: &str = "kete data directory";

const LOCK: &str = "kete.lock";
const FORMAT_FILE: &str = "FORMAT";
const QUEUE: &str = "queue";
const DEAD_LETTERS: &str = "dead-letters";
const CONTROL_SOCKET: &str = "control.sock";

/// A data directory that this process has to itself. Dropping the last clone unlocks it.
#[derive(Debug, Clone)]
pub struct DataDirectory {
    path: PathBuf,
    /// Locked as long as it is open.
    lock: Arc<File>,
    warnings: Vec<String>,
}

/// Why a data directory cannot be used. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataDirectoryError {
    /// There is something else at this path.
    #[error("{path} is not a directory; choose another path for kete.data-dir")]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// It is a link, and nothing is where it leads.
    #[error(
        "{path} is a link to {target}, and there is nothing; create that directory, or choose \
         another path for kete.data-dir"
    )]
    DanglingLink {
        /// The path.
        path: PathBuf,
        /// What the link says.
        target: PathBuf,
    },
    /// The directory above it is missing.
    #[error(
        "{path}: the directory {parent} does not exist; create it, writable for kete, or choose \
         another path for kete.data-dir"
    )]
    NoParent {
        /// The path.
        path: PathBuf,
        /// The directory above it.
        parent: PathBuf,
    },
    /// It holds files of somebody else.
    #[error(
        "{path} is not a data directory of kete: it holds {found} and no file {FORMAT_FILE}; \
         choose an empty or a new directory for kete.data-dir"
    )]
    Foreign {
        /// The path.
        path: PathBuf,
        /// One of the names in it.
        found: String,
    },
    /// Its file `FORMAT` says nothing that this kete understands.
    #[error(
        "{path} does not say what it should (\"{TITLE}\", then \"format {FORMAT}\"); if this is a \
         data directory of kete, set it aside (mv {directory} {directory}.damaged): kete then \
         starts with an empty one"
    )]
    BadFormat {
        /// The file `FORMAT`.
        path: PathBuf,
        /// The data directory, as it is to be typed.
        directory: String,
    },
    /// A newer kete wrote it.
    #[error(
        "{path} was written by a newer kete (format {found}); this kete reads up to format \
         {FORMAT}: run that version, or set the directory aside"
    )]
    Newer {
        /// The path.
        path: PathBuf,
        /// The format that it says.
        found: u32,
    },
    /// Another process uses it.
    #[error("{path} is in use by {user}; two processes cannot share a data directory")]
    Locked {
        /// The path.
        path: PathBuf,
        /// The process, as far as it is known.
        user: String,
    },
    /// It belongs to somebody else.
    #[error(
        "{path} cannot be used: {place} belongs to user {owner} and has mode {mode:o}, and kete \
         runs as user {user}, who must be able to read and write its data directory"
    )]
    Denied {
        /// The file or directory.
        path: PathBuf,
        /// That, or the nearest directory above it of which anything is known.
        place: PathBuf,
        /// Whose that is, by number.
        owner: u32,
        /// What its owner, its group and others may do with it.
        mode: u32,
        /// Who kete is, by number.
        user: u32,
    },
    /// The system refused something.
    #[error("{path}: {error}; kete must be able to read and write its data directory")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
}

impl DataDirectory {
    /// Makes what is missing of the directory and takes it for this process.
    ///
    /// # Errors
    ///
    /// It is not ours, too new, in use, or cannot be read and written.
    pub fn open(path: &Path) -> Result<DataDirectory, DataDirectoryError> {
        make_root(path)?;
        refuse_foreign(path)?;
        let lock = lock(path)?;
        // Only the holder of the lock may look: another process may be about to write it.
        settle_format(path)?;
        let mut warnings = Vec::new();
        for directory in [path.to_owned(), path.join(QUEUE), path.join(DEAD_LETTERS)] {
            make_directory(&directory).map_err(failed(&directory))?;
            tighten(&directory, &mut warnings).map_err(failed(&directory))?;
        }
        sync_directory(path).map_err(failed(path))?;
        Ok(DataDirectory {
            path: path.to_owned(),
            lock: Arc::new(lock),
            warnings,
        })
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the files of the queue are.
    #[must_use]
    pub fn queue(&self) -> PathBuf {
        self.path.join(QUEUE)
    }

    /// Where dead letters are kept, unless a path of their own is set.
    #[must_use]
    pub fn dead_letters(&self) -> PathBuf {
        self.path.join(DEAD_LETTERS)
    }

    /// Where a running kete takes commands.
    #[must_use]
    pub fn control_socket(&self) -> PathBuf {
        self.path.join(CONTROL_SOCKET)
    }

    /// What was put right on opening and ought to be said.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Keeps the directory locked for as long as what is returned lives.
    pub(crate) fn hold(&self) -> Arc<File> {
        Arc::clone(&self.lock)
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> DataDirectoryError + '_ {
    move |error| {
        let denied = error.kind() == io::ErrorKind::PermissionDenied;
        let other = |error| DataDirectoryError::Io {
            path: path.to_owned(),
            error,
        };
        match denied.then(|| denied_at(path)).flatten() {
            Some(denied) => denied,
            None => other(error),
        }
    }
}

/// Who may do what there, and who we are.
fn denied_at(path: &Path) -> Option<DataDirectoryError> {
    let known = |place: &Path| Some((place.to_owned(), fs::metadata(place).ok()?));
    let (place, metadata) = path.ancestors().find_map(known)?;
    Some(DataDirectoryError::Denied {
        path: path.to_owned(),
        place,
        owner: metadata.uid(),
        mode: metadata.mode() & 0o7777,
        user: rustix::process::geteuid().as_raw(),
    })
}

/// Whether there is a directory; false if there is nothing, and one can be made.
fn is_there(path: &Path) -> Result<bool, DataDirectoryError> {
    let not_a_directory = |path: &Path| DataDirectoryError::NotADirectory {
        path: path.to_owned(),
    };
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Ok(true),
        Ok(_) => Err(not_a_directory(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::read_link(path) {
            Ok(target) => Err(DataDirectoryError::DanglingLink {
                path: path.to_owned(),
                target,
            }),
            Err(_) => Ok(false),
        },
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            let file = path.ancestors().find(|above| above.is_file());
            Err(not_a_directory(file.unwrap_or(path)))
        }
        Err(error) => Err(failed(path)(error)),
    }
}

fn make_root(path: &Path) -> Result<(), DataDirectoryError> {
    if is_there(path)? {
        return Ok(());
    }
    let parent = parent_of(path)?;
    make_directory(path).map_err(failed(path))?;
    sync_directory(parent).map_err(failed(parent))
}

/// The directory above, which must be there.
fn parent_of(path: &Path) -> Result<&Path, DataDirectoryError> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !parent.is_dir() {
        return Err(DataDirectoryError::NoParent {
            path: path.to_owned(),
            parent: parent.to_owned(),
        });
    }
    Ok(parent)
}

/// Refuses a directory that holds something and does not say that it is ours. One in which a kete
/// ended before it could say so holds our lock file and nothing else.
fn refuse_foreign(path: &Path) -> Result<(), DataDirectoryError> {
    if path.join(FORMAT_FILE).exists() {
        return Ok(());
    }
    let ours = [LOCK, &unfinished(FORMAT_FILE)].map(str::to_owned);
    for entry in fs::read_dir(path).map_err(failed(path))? {
        let name = entry.map_err(failed(path))?.file_name();
        let name = name.to_string_lossy();
        if !ours.contains(&name.clone().into_owned()) {
            return Err(DataDirectoryError::Foreign {
                path: path.to_owned(),
                found: name.into_owned(),
            });
        }
    }
    Ok(())
}

fn lock(directory: &Path) -> Result<File, DataDirectoryError> {
    let path = directory.join(LOCK);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = options.mode(FILE_MODE).open(&path).map_err(failed(&path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(DataDirectoryError::Locked {
                path: directory.to_owned(),
                user: holder(&mut file),
            });
        }
        Err(TryLockError::Error(error)) => return Err(failed(&path)(error)),
    }
    let written = file
        .set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    written.map_err(failed(&path))?;
    Ok(file)
}

/// Who has the lock. The number only helps to find the process; it may be gone from the file.
fn holder(lock: &mut File) -> String {
    let mut number = String::new();
    match lock.read_to_string(&mut number) {
        Ok(_) if !number.trim().is_empty() => format!("process {}", number.trim()),
        _ => "another process".to_owned(),
    }
}

/// Reads the format of the directory, or writes it where there is none yet.
fn settle_format(directory: &Path) -> Result<(), DataDirectoryError> {
    let path = directory.join(FORMAT_FILE);
    let text = match fs::read(&path) {
        Ok(text) => String::from_utf8_lossy(&text).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return write_format(directory, &path).map_err(failed(&path));
        }
        Err(error) => return Err(failed(&path)(error)),
    };
    let mut lines = text.lines();
    let title = lines.next();
    let format = lines.next().and_then(|line| line.strip_prefix("format "));
    match format.and_then(|number| number.trim().parse::<u32>().ok()) {
        Some(found) if title == Some(TITLE) && found > FORMAT => Err(DataDirectoryError::Newer {
            path: directory.to_owned(),
            found,
        }),
        Some(1..) if title == Some(TITLE) => Ok(()),
        _ => Err(DataDirectoryError::BadFormat {
            path,
            directory: directory.display().to_string(),
        }),
    }
}

/// Writes aside, syncs and renames, so that the file is whole whenever it is there.
fn write_format(directory: &Path, path: &Path) -> io::Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    let aside = directory.join(unfinished(FORMAT_FILE));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    let mut file = options.mode(FILE_MODE).open(&aside)?;
    write!(
        file,
        "{TITLE}\nformat {FORMAT}\nwritten by kete {version}\n"
    )?;
    file.sync_all()?;
    fs::rename(&aside, path)?;
    sync_directory(directory)
}

/// The name under which a file is written before it takes its own.
fn unfinished(name: &str) -> String {
    format!("{name}.new")
}

fn make_directory(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(DIRECTORY_MODE).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made,
    }
}

/// Takes away what others may do in the directory.
fn tighten(path: &Path, warnings: &mut Vec<String>) -> io::Result<()> {
    let mode = fs::metadata(path)?.permissions().mode() & 0o777;
    if mode & !DIRECTORY_MODE == 0 {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(DIRECTORY_MODE))?;
    let path = path.display();
    warnings.push(format!(
        "{path} was open to other users (mode {mode:o}); it is {DIRECTORY_MODE:o} now"
    ));
    Ok(())
}

pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
