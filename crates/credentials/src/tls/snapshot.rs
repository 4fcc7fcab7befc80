//! The contents of all files that a `tls` section names, at one moment.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use zeroize::Zeroizing;

use crate::files::{self, FileError};

/// Keyed anew in each process, so that nobody can prepare two contents that look the same.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// Contents, or why there are none, by path. Keys and passwords among them are overwritten with it.
pub(super) struct Snapshot(BTreeMap<PathBuf, Result<Zeroizing<Vec<u8>>, FileError>>);

/// Tells contents apart without keeping them, for there are keys and passwords among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint(u64);

impl Snapshot {
    /// Reads each file once. Blocks.
    pub(super) fn read<'p>(paths: impl Iterator<Item = &'p Path>) -> Snapshot {
        let mut contents = BTreeMap::new();
        for path in paths {
            let entry = contents.entry(path.to_owned());
            entry.or_insert_with(|| files::read(path));
        }
        Snapshot(contents)
    }

    /// The contents of a file that was read; those of any other are empty.
    pub(super) fn contents(&self, path: &Path) -> Result<&[u8], &FileError> {
        match self.0.get(path) {
            Some(Ok(contents)) => Ok(contents),
            Some(Err(error)) => Err(error),
            None => Ok(&[]),
        }
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        let mut hasher = HASHER.build_hasher();
        for (path, contents) in &self.0 {
            path.hash(&mut hasher);
            match contents {
                Ok(contents) => contents.hash(&mut hasher),
                Err(error) => error.to_string().hash(&mut hasher),
            }
        }
        Fingerprint(hasher.finish())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn fingerprint(paths: &[&Path]) -> Fingerprint {
        Snapshot::read(paths.iter().copied()).fingerprint()
    }

    #[test]
    fn contents_count_and_not_dates() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "one").unwrap();
        let first = fingerprint(&[&path]);
        fs::write(&path, "two").unwrap();
        let second = fingerprint(&[&path]);
        fs::write(&path, "one").unwrap();
        assert_ne!(first, second);
        assert_eq!(first, fingerprint(&[&path, &path]));
        fs::remove_file(&path).unwrap();
        assert_ne!(first, fingerprint(&[&path]));
        assert_eq!(fingerprint(&[&path]), fingerprint(&[&path]));
    }

    #[test]
    fn what_stands_in_which_file_counts() {
        let directory = tempfile::tempdir().unwrap();
        let (one, other) = (directory.path().join("1"), directory.path().join("2"));
        fs::write(&one, "ab").unwrap();
        fs::write(&other, "c").unwrap();
        let before = fingerprint(&[&one, &other]);
        fs::write(&one, "a").unwrap();
        fs::write(&other, "bc").unwrap();
        assert_ne!(before, fingerprint(&[&one, &other]));
    }
}
