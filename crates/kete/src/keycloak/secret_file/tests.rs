//! Files with secrets, on a real disk.

use std::os::unix::fs::{MetadataExt, symlink};
use std::process::Command;

use super::*;

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

#[test]
fn a_new_file_has_the_secret_and_is_for_its_owner_only() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    write(&path, &secret("very-secret")).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "very-secret\n");
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

/// A file with this text and this mode.
fn put(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_file_that_has_the_secret_already_is_fine_and_untouched() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    for (text, mode) in [("very-secret", 0o600), ("very-secret\n", 0o640)] {
        put(&path, text, mode);
        write(&path, &secret("very-secret")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, mode);
    }
}

#[test]
fn a_file_that_every_user_may_read_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    for mode in [0o644, 0o602] {
        put(&path, "very-secret\n", mode);
        let error = write(&path, &secret("very-secret")).unwrap_err();
        let here = path.display();
        assert_eq!(
            error.to_string(),
            format!(
                "{here} has the secret already, and every user of this machine may use it (mode \
                 {mode:o}); the client is prepared: run chmod o= {here}, and this again"
            )
        );
    }
}

#[test]
fn what_is_no_ordinary_file_is_refused_and_not_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    for path in [&pipe, directory.path(), Path::new("/dev/zero")] {
        let error = write(path, &secret("very-secret")).unwrap_err();
        assert!(matches!(error, SecretFileError::Special(_)), "{error}");
    }
    let nowhere = directory.path().join("nowhere");
    symlink(directory.path().join("missing"), &nowhere).unwrap();
    let error = write(&nowhere, &secret("very-secret")).unwrap_err();
    assert!(
        matches!(error, SecretFileError::Unreadable { .. }),
        "{error}"
    );
}

#[test]
fn nothing_is_left_beside_it() {
    let directory = tempfile::tempdir().unwrap();
    write(&directory.path().join("secret"), &secret("very-secret")).unwrap();
    let taken = directory.path().join("taken");
    put(&taken, "something else", 0o600);
    let error = create(&taken, &secret("very-secret")).unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::AlreadyExists,
        "it appeared meanwhile"
    );
    assert_eq!(fs::read_to_string(&taken).unwrap(), "something else");
    let files = fs::read_dir(directory.path()).unwrap();
    let mut names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["secret", "taken"]);
}

#[test]
fn a_file_with_something_else_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    for text in ["", "very", "very-secret\n\n", "another-secret"] {
        fs::write(&path, text).unwrap();
        let error = write(&path, &secret("very-secret"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("is there already with something else in it"),
            "{error}"
        );
        assert!(
            !error.contains("very-secret") && !error.contains("another-secret"),
            "{error}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn where_nothing_can_be_written_the_file_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("missing/secret");
    let error = write(&path, &secret("very-secret"))
        .unwrap_err()
        .to_string();
    let start = format!(
        "{} cannot be written: No such file or directory",
        path.display()
    );
    assert!(error.starts_with(&start), "{error}");
}
