//! What is at the path of a data directory, for those who only want to know.
//!
//! Nothing is made, changed or kept locked. What is seen may be otherwise a moment later.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use rustix::fs::Access;

use super::{DataDirectory, DataDirectoryError, FORMAT_FILE, LOCK};
use super::{failed, holder, is_there, parent_of, refuse_foreign, settle_format};

/// What there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing yet, and the place for it.
    Nothing,
    /// An empty directory.
    Empty,
    /// A data directory that nobody uses.
    Free,
    /// One that a process uses; who, as far as it is known.
    InUse(String),
}

impl DataDirectory {
    /// Looks at a data directory and leaves it as it is.
    ///
    /// # Errors
    ///
    /// It could not be opened, whether somebody uses it or not.
    pub fn look(path: &Path) -> Result<Found, DataDirectoryError> {
        if !is_there(path)? {
            may_write(parent_of(path)?)?;
            return Ok(Found::Nothing);
        }
        refuse_foreign(path)?;
        may_write(path)?;
        if !path.join(FORMAT_FILE).exists() {
            return Ok(Found::Empty);
        }
        // It only reads where there is something to read.
        settle_format(path)?;
        in_use(path)
    }
}

fn may_write(directory: &Path) -> Result<(), DataDirectoryError> {
    let allowed = rustix::fs::access(directory, Access::WRITE_OK | Access::EXEC_OK);
    allowed.map_err(|error| failed(directory)(error.into()))
}

fn in_use(directory: &Path) -> Result<Found, DataDirectoryError> {
    let path = directory.join(LOCK);
    let mut file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Free),
        opened => opened.map_err(failed(&path))?,
    };
    // Two who only look do not disturb each other; it is let go at once.
    match file.try_lock_shared() {
        Ok(()) => Ok(Found::Free),
        Err(TryLockError::WouldBlock) => Ok(Found::InUse(holder(&mut file))),
        Err(TryLockError::Error(error)) => Err(failed(&path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Everything below a directory, with contents and modes, but for the note who has the lock.
    fn everything(path: &Path) -> Vec<(String, u32, Vec<u8>)> {
        let mut all = Vec::new();
        for entry in fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::metadata(&path).unwrap();
            let content = match metadata.is_dir() {
                true => {
                    all.extend(everything(&path));
                    Vec::new()
                }
                false if path.ends_with(LOCK) => continue,
                false => fs::read(&path).unwrap(),
            };
            let name = path.display().to_string();
            all.push((name, metadata.permissions().mode(), content));
        }
        all.sort();
        all
    }

    #[test]
    fn what_is_there_is_said_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        assert_eq!(DataDirectory::look(&path).unwrap(), Found::Nothing);
        assert!(!path.exists());
        fs::create_dir(&path).unwrap();
        assert_eq!(DataDirectory::look(&path).unwrap(), Found::Empty);
        let open = DataDirectory::open(&path).unwrap();
        let before = everything(folder.path());
        let process = format!("process {}", std::process::id());
        assert_eq!(DataDirectory::look(&path).unwrap(), Found::InUse(process));
        drop(open);
        assert_eq!(DataDirectory::look(&path).unwrap(), Found::Free);
        assert_eq!(everything(folder.path()), before);
        // Looking takes nothing from whoever opens it next.
        DataDirectory::open(&path).unwrap();
    }

    #[test]
    fn what_could_not_be_opened_is_an_error_in_the_same_words() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "mine").unwrap();
        let newer = folder.path().join("newer");
        fs::create_dir(&newer).unwrap();
        fs::write(newer.join(FORMAT_FILE), "kete data directory\nformat 99\n").unwrap();
        for path in [
            file.clone(),
            file.join("data"),
            newer,
            folder.path().to_owned(),
            folder.path().join("missing/data"),
        ] {
            let before = everything(folder.path());
            let looked = DataDirectory::look(&path).unwrap_err().to_string();
            let opened = DataDirectory::open(&path).unwrap_err().to_string();
            assert_eq!(looked, opened, "{}", path.display());
            assert_eq!(everything(folder.path()), before, "{}", path.display());
        }
    }
    #[test]
    fn what_is_in_the_way_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "mine").unwrap();
        let said = |path: &Path| DataDirectory::look(path).unwrap_err().to_string();
        let expected = format!("{} is not a directory;", file.display());
        for below in ["data", "data/kete"] {
            let said = said(&file.join(below));
            assert!(said.starts_with(&expected), "{said}");
        }
        std::os::unix::fs::symlink("gone", &link).unwrap();
        let said = said(&link);
        assert!(said.contains("link is a link to gone, and"), "{said}");
        let opened = DataDirectory::open(&link).unwrap_err().to_string();
        assert_eq!(said, opened);
    }

    #[test]
    fn who_may_use_it_is_said_where_we_may_not() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("data");
        let mode = fs::Permissions::from_mode(0o750);
        fs::set_permissions(folder.path(), mode).unwrap();
        // Root may do everything, so the refusal is made up.
        let said = failed(&missing)(io::ErrorKind::PermissionDenied.into()).to_string();
        let user = rustix::process::geteuid().as_raw();
        let expected = format!(
            "{} cannot be used: {} belongs to user {user} and has mode 750, and kete runs as user \
             {user}, who must",
            missing.display(),
            folder.path().display()
        );
        assert!(said.starts_with(&expected), "{said}");
    }
}
