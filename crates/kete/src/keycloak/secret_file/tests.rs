//! Files with secrets, on a real disk.

use std::os::unix::fs::PermissionsExt;

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

#[test]
fn a_file_that_has_the_secret_already_is_fine_and_untouched() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    for text in ["very-secret", "very-secret\n"] {
        fs::write(&path, text).unwrap();
        write(&path, &secret("very-secret")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
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
    let error = write(directory.path(), &secret("very-secret"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("Is a directory"), "{error}");
}
