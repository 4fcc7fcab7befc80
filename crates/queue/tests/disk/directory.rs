//! The data directory: made, locked, refused, and never taken from somebody else.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use kete_queue::{DataDirectory, DataDirectoryError, Disk, Queue};

use crate::support::{SETTINGS, append, consumer, draft, open, place, read};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn refusal(path: &Path) -> DataDirectoryError {
    DataDirectory::open(path).unwrap_err()
}

#[tokio::test]
async fn only_its_owner_can_look_into_it() {
    let place = place();
    let (queue, _) = open(&place, SETTINGS);
    let one = consumer(&queue, "one");
    append(&queue, 1..3, &[one]).await;
    let data = place.path().join("data");
    for directory in ["", "queue", "dead-letters"] {
        assert_eq!(mode(&data.join(directory)), 0o700, "{directory}");
    }
    let files = fs::read_dir(data.join("queue"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let files: Vec<_> = files
        .chain([data.join("FORMAT"), data.join("kete.lock")])
        .collect();
    assert_eq!(files.len(), 4);
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[test]
fn modes_that_are_too_wide_are_tightened_and_said() {
    let place = place();
    let data = place.path().join("data");
    drop(DataDirectory::open(&data).unwrap());
    fs::set_permissions(data.join("queue"), fs::Permissions::from_mode(0o755)).unwrap();
    let directory = DataDirectory::open(&data).unwrap();
    let expected = format!(
        "{} was open to other users (mode 755); it is 700 now",
        data.join("queue").display()
    );
    assert_eq!(directory.warnings(), [expected]);
    assert_eq!(mode(&data.join("queue")), 0o700);
}

#[test]
fn the_second_process_is_refused_and_the_first_goes_on() {
    let place = place();
    let data = place.path().join("data");
    let directory = DataDirectory::open(&data).unwrap();
    let error = refusal(&data).to_string();
    let expected = format!(
        "{} is in use by process {}; two processes cannot share a data directory",
        data.display(),
        std::process::id()
    );
    assert_eq!(error, expected);
    let (disk, _) = Disk::open(&directory, SETTINGS).unwrap();
    drop(directory);
    assert!(
        matches!(refusal(&data), DataDirectoryError::Locked { .. }),
        "the log is open"
    );
    drop(disk);
    drop(DataDirectory::open(&data).unwrap());
}

#[test]
fn what_is_not_ours_is_refused_and_left_alone() {
    let place = place();
    let path = place.path();
    fs::write(path.join("file"), "mine").unwrap();
    assert!(matches!(
        refusal(&path.join("file")),
        DataDirectoryError::NotADirectory { .. }
    ));
    assert!(matches!(
        refusal(&path.join("no/data")),
        DataDirectoryError::NoParent { .. }
    ));
    let error = refusal(path);
    assert!(
        error
            .to_string()
            .contains("it holds file and no file FORMAT"),
        "{error}"
    );
    let names: Vec<_> = fs::read_dir(path).unwrap().collect();
    assert_eq!(names.len(), 1, "nothing was made");
}

#[test]
fn a_newer_or_senseless_format_is_refused() {
    let place = place();
    let data = place.path().join("data");
    drop(DataDirectory::open(&data).unwrap());
    let format = data.join("FORMAT");
    let text = fs::read_to_string(&format).unwrap();
    assert!(
        text.starts_with("kete data directory\nformat 1\nwritten by kete "),
        "{text}"
    );
    fs::write(&format, text.replace("format 1", "format 2")).unwrap();
    let error = refusal(&data).to_string();
    assert!(
        error.contains("written by a newer kete (format 2)"),
        "{error}"
    );
    for senseless in [
        "",
        "format 1\n",
        "kete data directory\nformat 0\n",
        "kete data directory\n",
    ] {
        fs::write(&format, senseless).unwrap();
        let error = refusal(&data).to_string();
        assert!(
            error.contains("FORMAT does not say what it should"),
            "{error}"
        );
    }
}

#[test]
fn an_empty_directory_and_one_that_was_only_begun_are_taken() {
    let place = place();
    let data = place.path().join("data");
    fs::create_dir(&data).unwrap();
    drop(DataDirectory::open(&data).unwrap());
    fs::remove_file(data.join("FORMAT")).unwrap();
    fs::remove_dir(data.join("queue")).unwrap();
    fs::remove_dir(data.join("dead-letters")).unwrap();
    drop(DataDirectory::open(&data).unwrap());
    let link = place.path().join("link");
    symlink(&data, &link).unwrap();
    drop(DataDirectory::open(&link).unwrap());
}

#[test]
fn a_file_in_place_of_the_queue_is_refused() {
    let place = place();
    let data = place.path().join("data");
    drop(DataDirectory::open(&data).unwrap());
    fs::remove_dir(data.join("queue")).unwrap();
    fs::write(data.join("queue"), "").unwrap();
    let error = refusal(&data).to_string();
    assert!(error.contains("data/queue: "), "{error}");
}

#[tokio::test]
async fn a_directory_that_is_moved_takes_its_queue_along() {
    let place = place();
    let (data, moved) = (place.path().join("data"), place.path().join("moved"));
    let (queue, _) = open(&place, SETTINGS);
    let one = consumer(&queue, "one");
    append(&queue, 1..3, &[one]).await;
    fs::rename(&data, &moved).unwrap();
    let (other, _) = open(&place, SETTINGS);
    // So much that it begins new files.
    for start in (3..30_003).step_by(1000) {
        append(&queue, start..start + 1000, &[one]).await;
    }
    assert_eq!(read(&queue, one, 1).await.len(), 30_002);
    assert_eq!(
        fs::read_dir(data.join("queue")).unwrap().count(),
        0,
        "it is not ours"
    );
    drop((queue, other));
    fs::rename(&moved, place.path().join("again")).unwrap();
    let directory = DataDirectory::open(&place.path().join("again")).unwrap();
    let (queue, recovered) = Disk::open(&directory, SETTINGS).unwrap();
    assert_eq!(recovered.events, 30_002);
    assert_eq!(read(&queue, one, 1).await.len(), 30_002);
}

#[tokio::test]
async fn a_directory_that_is_deleted_takes_nothing_more() {
    let place = place();
    let (queue, _) = open(&place, SETTINGS);
    let one = consumer(&queue, "one");
    append(&queue, 1..3, &[one]).await;
    fs::remove_dir_all(place.path().join("data")).unwrap();
    let batch = || kete_queue::Batch {
        drafts: vec![draft(3, 600, &[one])],
        state: None,
    };
    let mut room = queue.room();
    let refused = loop {
        room.mark_unchanged();
        match queue.append(batch()).await {
            Ok(appended) => assert!(!appended.receipt.is_settled()),
            Err(rejected) => break rejected.reason.to_string(),
        }
        tokio::task::yield_now().await;
    };
    assert!(
        refused.contains("the queue cannot be written: "),
        "{refused}"
    );
    assert_eq!(
        read(&queue, one, 1).await,
        [1, 2],
        "what is in memory is delivered"
    );
    let (other, _) = open(&place, SETTINGS);
    assert_eq!(other.consumers(), []);
    queue.close().await.unwrap_err();
    drop(queue);
    assert_eq!(
        fs::read_dir(place.path().join("data/queue"))
            .unwrap()
            .count(),
        0
    );
}
