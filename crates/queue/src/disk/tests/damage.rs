//! Files that are not as they were written: refused with the place and the way out, never read as
//! something else, and left as they are.

use super::super::segment;
use super::super::{DiskSettings, OpenError};
use super::faulty::Faulty;
use super::support::{Hands, SETTINGS, append, batch, consumer, numbers, open, run, try_open};
use crate::{ConsumerId, Limits, Queue, ReadError};

const SMALL: DiskSettings = DiskSettings {
    limits: Limits {
        max_bytes: 4 << 20,
        ..SETTINGS.limits
    },
    ..SETTINGS
};

/// A log of three segments.
async fn three() -> (Faulty, ConsumerId) {
    let files = Faulty::default();
    let (queue, _) = try_open(&files, SMALL, &Hands::default()).unwrap();
    let one = consumer(&queue, "one");
    for number in 1..26 {
        append(&queue, batch(number..number + 1, 24 << 10, &[one])).await;
    }
    drop(queue);
    assert_eq!(files.segments().len(), 3);
    (files, one)
}

fn refusal(files: &Faulty) -> OpenError {
    let before: Vec<_> = files
        .names()
        .iter()
        .map(|name| files.content(name))
        .collect();
    let error = try_open(files, SMALL, &Hands::default()).unwrap_err();
    let after: Vec<_> = files
        .names()
        .iter()
        .map(|name| files.content(name))
        .collect();
    assert_eq!(before, after, "nothing is changed");
    error
}

fn flip(files: &Faulty, name: &str, index: usize) {
    let mut content = files.content(name);
    content[index] ^= 0x40;
    files.put(name, content);
}

#[test]
fn a_changed_byte_of_an_old_segment_is_refused_or_told_by_the_read() {
    run(async {
        let (files, one) = three().await;
        let name = segment::name(1);
        let length = files.content(&name).len();
        for index in (0..300).chain((300..length).step_by(1009)) {
            let files = files.copy();
            flip(&files, &name, index);
            // The ids of the newest events are read when the log is opened.
            let damage = match try_open(&files, SMALL, &Hands::default()) {
                Err(error) => error.to_string(),
                Ok((queue, _)) => match queue.read(one, 1, 1000, u64::MAX).await {
                    Err(error @ ReadError::Damaged { .. }) => error.to_string(),
                    other => panic!("byte {index}: {other:?}"),
                },
            };
            assert!(
                damage.contains("/disk/queue/00000000000000000001.log at byte"),
                "{damage}"
            );
            assert!(
                damage.contains("mv /disk/queue /disk/queue.damaged"),
                "{damage}"
            );
        }
    });
}

#[test]
fn a_changed_byte_of_the_last_segment_is_damage_where_more_was_safe_after_it() {
    run(async {
        let (files, one) = three().await;
        let name = segment::name(3);
        let length = files.content(&name).len();
        let mut cut = 0;
        let end = length - 200..length;
        for index in (0..200).chain((200..length).step_by(1009)).chain(end) {
            let files = files.copy();
            flip(&files, &name, index);
            match try_open(&files, SMALL, &Hands::default()) {
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.contains("00000000000000000003.log at byte"), "{text}");
                }
                // Only what nothing was written after may look like the work of a crash: in a log
                // that was closed, that is no event.
                Ok((queue, recovered)) => {
                    cut += 1;
                    assert!(
                        recovered.cut_bytes > 0 && index > length - 40,
                        "byte {index}"
                    );
                    assert_eq!(numbers(&queue, one).await, (1..26).collect::<Vec<_>>());
                }
            }
        }
        assert!(cut > 0);
    });
}

#[test]
fn a_missing_segment_is_refused_where_it_is_still_needed() {
    run(async {
        for number in [1, 2] {
            let (files, _) = three().await;
            files.delete(&segment::name(number));
            let error = refusal(&files).to_string();
            assert!(
                error.contains(&format!("{number}.log is missing")),
                "{error}"
            );
        }
        let (files, one) = three().await;
        let (queue, _) = try_open(&files, SMALL, &Hands::default()).unwrap();
        queue.settle(one, &[1..=24]);
        queue.close().await.unwrap();
        drop(queue);
        files.put(&segment::name(1), b"it came back".to_vec());
        files.delete(&segment::name(2));
        let (queue, _) = try_open(&files, SMALL, &Hands::default()).unwrap();
        assert_eq!(numbers(&queue, one).await, [25]);
        assert_eq!(files.segments(), [segment::name(3)]);
    });
}

#[test]
fn foreign_files_and_newer_versions_are_refused() {
    run(async {
        let (files, _) = three().await;
        files.put("notes.txt", b"mine".to_vec());
        let error = refusal(&files);
        assert!(matches!(error, OpenError::Foreign { .. }));
        let expected = "/disk/queue/notes.txt is not a file of the queue; move it elsewhere";
        assert_eq!(error.to_string(), expected);
        files.delete("notes.txt");
        let name = segment::name(3);
        let mut content = files.content(&name);
        content[8] = 2;
        let checksum = crc32fast::hash(&content[..segment::FILE_HEADER - 4]);
        content[segment::FILE_HEADER - 4..segment::FILE_HEADER]
            .copy_from_slice(&checksum.to_le_bytes());
        files.put(&name, content);
        let error = refusal(&files);
        assert!(matches!(error, OpenError::Newer { found: 2, .. }));
        let expected = "00000000000000000003.log was written by a newer kete (version 2 of the \
                        queue's format); run that version, or set the directory aside";
        assert!(error.to_string().ends_with(expected), "{error}");
    });
}

#[test]
fn a_log_that_begins_with_rubbish_is_refused_unless_it_was_just_begun() {
    let files = Faulty::default();
    files.put(&segment::name(2), vec![0; 10]);
    assert!(matches!(refusal(&files), OpenError::Missing { .. }));
    files.put(&segment::name(3), vec![0; 10]);
    assert!(matches!(refusal(&files), OpenError::Damaged { .. }));
    let files = Faulty::default();
    files.put(&segment::name(1), vec![0; 10]);
    assert_eq!(open(&files).1.cut_bytes, 10);
}

#[test]
fn a_bound_that_leaves_no_room_is_refused() {
    let limits = Limits {
        max_bytes: 1000,
        ..SETTINGS.limits
    };
    let settings = DiskSettings { limits, ..SETTINGS };
    let error = try_open(&Faulty::default(), settings, &Hands::default()).unwrap_err();
    let expected = "kete.queue.max-bytes is 1000 bytes, a queue on disk needs 1048576 at least";
    assert_eq!(error.to_string(), expected);
}
