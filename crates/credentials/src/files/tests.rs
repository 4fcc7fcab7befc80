use std::fs;
use std::path::Path;

use super::*;

fn problem(path: &Path) -> (String, Option<String>) {
    let error = read(path).unwrap_err();
    (error.to_string(), error.help())
}

#[test]
fn a_file_that_is_missing_is_named_by_its_absolute_path() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    let (message, help) = problem(&path);
    assert_eq!(message, format!("there is no file {}", path.display()));
    assert_eq!(
        help.as_deref(),
        Some("is it mounted, and is the name spelt right?")
    );

    let (message, help) = problem(Path::new("no/such.pem"));
    let here = std::env::current_dir().unwrap().join("no/such.pem");
    assert_eq!(message, format!("there is no file {}", here.display()));
    assert!(help.unwrap().contains("a relative path is meant from"));
}

#[test]
fn what_is_no_file_is_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let (message, help) = problem(directory.path());
    let shown = directory.path().display();
    assert_eq!(message, format!("{shown} is a directory"));
    assert_eq!(help.as_deref(), Some("name the file in it"));

    let (message, _) = problem(Path::new("/dev/null"));
    assert_eq!(message, "/dev/null is not an ordinary file");

    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let below = file.join("ca.pem");
    let (message, _) = problem(&below);
    assert!(message.starts_with(&format!("{} cannot be read: Not a", below.display())));
}

#[test]
fn a_file_is_read_to_its_bound_and_not_beyond() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("large");
    let file = fs::File::create(&path).unwrap();
    file.set_len(MAX_BYTES).unwrap();
    assert_eq!(read(&path).unwrap().len() as u64, MAX_BYTES);
    file.set_len(MAX_BYTES + 1).unwrap();
    let (message, _) = problem(&path);
    assert!(message.ends_with("large is larger than 8388608 bytes"));
}

#[test]
fn a_secret_loses_one_line_break_at_its_end_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("password");
    for (contents, expected) in [
        ("secret", "secret"),
        ("secret\n", "secret"),
        ("secret\r\n", "secret"),
        ("secret\n\n", "secret\n"),
        ("secret\r", "secret\r"),
        (" two words \n", " two words "),
    ] {
        fs::write(&path, contents).unwrap();
        assert_eq!(read_secret(&path).unwrap().reveal(), expected);
    }
}

#[test]
fn a_secret_that_is_none_is_an_error_without_its_contents() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("password");
    for contents in ["", "\n", "\r\n"] {
        fs::write(&path, contents).unwrap();
        let error = read_secret(&path).unwrap_err();
        assert_eq!(error.to_string(), format!("{} is empty", path.display()));
    }
    fs::write(&path, b"caf\xe9-secret").unwrap();
    let error = read_secret(&path).unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(shown.contains("is not UTF-8 text") && !shown.contains("secret"));
}
