//! What a crash leaves at the end of the log: it is cut there and goes on, wherever that is.

use super::super::segment;
use super::faulty::Faulty;
use super::support::{append, batch, consumer, numbers, open, run};
use crate::{Batch, Queue, Recovered, SourceState};

/// A log of one segment with batches of two, and of one that takes two frames; and how long its
/// file was after each.
async fn written() -> (Faulty, Vec<(u64, u64)>) {
    let files = Faulty::default();
    let (queue, _) = open(&files);
    let one = consumer(&queue, "one");
    let mut lengths = Vec::new();
    let mut next = 1;
    for (count, size) in [(2, 10), (2, 10), (2, 90_000), (2, 10)] {
        append(&queue, batch(next..next + count, size, &[one])).await;
        next += count;
        let length = files.content(&segment::name(1)).len() as u64;
        lengths.push((length, next - 1));
    }
    // Ends without a word, so that the batches are the end of the file.
    files.kill();
    drop(queue);
    files.restart();
    (files, lengths)
}

/// The lengths that are tried: all but those deep within the large bodies.
fn cuts(file: &[u8]) -> impl Iterator<Item = usize> {
    let body = |length: &usize| {
        let around = &file[length.saturating_sub(64)..(length + 64).min(file.len())];
        around.iter().all(|byte| *byte == b'x')
    };
    (0..=file.len()).filter(move |length| !body(length) || length.is_multiple_of(9973))
}

#[test]
fn a_log_cut_at_any_byte_holds_its_whole_batches_and_goes_on() {
    run(async {
        let (files, lengths) = written().await;
        let name = segment::name(1);
        let whole = files.content(&name);
        assert_eq!(lengths.last().unwrap().0, whole.len() as u64);
        let begun = lengths[0].0;
        for length in cuts(&whole) {
            let files = Faulty::default();
            files.put(&name, whole[..length].to_vec());
            let complete = lengths.iter().rfind(|(end, _)| *end <= length as u64);
            let (end, newest) = complete.copied().unwrap_or_default();
            let (queue, recovered) = open(&files);
            if end > 0 {
                assert_eq!(recovered.cut_bytes, length as u64 - end, "cut at {length}");
            }
            assert_eq!(recovered.cut_file.is_some(), recovered.cut_bytes > 0);
            assert_eq!(recovered.events, newest, "cut at {length}");
            let one = consumer(&queue, "one");
            let mut expected: Vec<u64> = (1..=newest).collect();
            assert_eq!(numbers(&queue, one).await, expected, "cut at {length}");

            append(&queue, batch(100..101, 10, &[one])).await;
            expected.push(100);
            assert_eq!(numbers(&queue, one).await, expected);
            drop(queue);
            let (queue, recovered) = open(&files);
            let events = newest + 1;
            assert_eq!(
                recovered,
                Recovered {
                    events,
                    ..Recovered::default()
                }
            );
            assert_eq!(
                numbers(&queue, one).await,
                expected,
                "cut at {length} of {begun}"
            );
        }
    });
}

#[test]
fn zeros_and_rubbish_behind_the_end_are_cut() {
    run(async {
        let (files, lengths) = written().await;
        let name = segment::name(1);
        let whole = files.content(&name);
        let stale = whole[whole.len() / 2..].to_vec();
        for rubbish in [vec![0; 5000], vec![0xff; 3], stale] {
            let files = files.copy();
            let mut content = whole.clone();
            content.extend_from_slice(&rubbish);
            files.put(&name, content);
            let (queue, recovered) = open(&files);
            assert_eq!(recovered.cut_bytes, rubbish.len() as u64);
            assert_eq!(recovered.events, lengths.last().unwrap().1);
            let one = consumer(&queue, "one");
            append(&queue, batch(9..10, 10, &[one])).await;
            drop(queue);
            let (queue, _) = open(&files);
            assert_eq!(numbers(&queue, one).await, (1..10).collect::<Vec<_>>());
        }
    });
}

#[test]
fn a_segment_that_was_only_being_created_is_no_hindrance() {
    run(async {
        for left in [vec![], vec![0; 30], vec![0; 4096], b"kete log".to_vec()] {
            let (files, _) = written().await;
            files.put(&segment::name(2), left.clone());
            let (queue, recovered) = open(&files);
            assert_eq!(recovered.cut_bytes, left.len() as u64);
            let one = consumer(&queue, "one");
            append(&queue, batch(9..10, 10, &[one])).await;
            assert_eq!(numbers(&queue, one).await, (1..10).collect::<Vec<_>>());
        }
    });
}

/// A log of one segment whose ledger is long, and the bytes of the next segment that was begun.
async fn with_a_long_beginning() -> (Faulty, Vec<u8>) {
    let files = Faulty::default();
    let (queue, _) = open(&files);
    let one = consumer(&queue, "one");
    let state = SourceState {
        source: "poller".into(),
        state: vec![b'i'; 6000].into(),
    };
    let remembered = Batch {
        state: Some(state),
        ..batch(1..3, 10, &[one])
    };
    append(&queue, remembered).await;
    // Larger than what a segment has left.
    append(&queue, batch(3..4, 5 << 20, &[one])).await;
    drop(queue);
    let begun = files.content(&segment::name(2));
    let without = files.copy();
    for name in &files.segments()[1..] {
        without.delete(name);
    }
    (without, begun)
}

#[test]
fn a_next_segment_that_was_not_quite_begun_never_hides_what_comes_after() {
    run(async {
        let (files, begun) = with_a_long_beginning().await;
        // The header, the snapshot and a part of the first event.
        for length in (0..200).chain((200..7000).step_by(97)) {
            let files = files.copy();
            eprintln!("{length} {}", files.content(&segment::name(1)).len());
            files.put(&segment::name(2), begun[..length].to_vec());
            let (queue, recovered) = open(&files);
            assert_eq!(recovered.events, 2, "{length} bytes");
            let one = consumer(&queue, "one");
            append(&queue, batch(10..12, 10, &[one])).await;
            files.kill();
            drop(queue);
            files.restart();
            for _ in 0..2 {
                let (queue, _) = open(&files);
                assert_eq!(numbers(&queue, one).await, [1, 2, 10, 11], "{length} bytes");
                assert_eq!(queue.source_state("poller").await.unwrap().len(), 6000);
                files.kill();
                drop(queue);
                files.restart();
            }
        }
    });
}
