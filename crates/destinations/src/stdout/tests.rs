use std::io::{PipeReader, PipeWriter, Read};

use kete_pipeline::Target;

use super::*;
use crate::testing::{LOGIN, metadata, outgoing};

/// A destination that writes into a pipe, and the pipe's other end.
fn piped() -> (Stdout, PipeReader) {
    let (reader, writer) = io::pipe().unwrap();
    let writer: Mutex<PipeWriter> = Mutex::new(writer);
    let output = move |lines: &[u8]| lock(&writer).write_all(lines);
    (Stdout::new(Arc::new(output)), reader)
}

fn batch(tickets: std::ops::RangeInclusive<u64>) -> Vec<Outgoing> {
    let line = |ticket| Outgoing {
        ticket,
        ..outgoing(&format!("{{\"n\":{ticket}}}"), "7", Target::AllRoutes)
    };
    tickets.map(line).collect()
}

/// Waits until everything up to this ticket is confirmed.
async fn confirmed(link: &mut Link, last: u64) {
    loop {
        match link.events.recv().await {
            Some(ConnectionEvent::Confirmed { through }) if through == last => return,
            Some(ConnectionEvent::Confirmed { through }) => assert!(through < last),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn each_event_is_a_line_in_order_and_confirmed_when_it_is_written() {
    let (destination, mut reader) = piped();
    let mut link = destination.connect().await.unwrap();
    link.connection.send(batch(1..=2));
    link.connection.send(batch(3..=3));
    confirmed(&mut link, 3).await;
    link.connection.close();
    destination.close().await;
    drop(destination);
    let mut written = String::new();
    reader.read_to_string(&mut written).unwrap();
    assert_eq!(written, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
}

#[tokio::test]
async fn a_probe_is_answered_without_any_event() {
    let (destination, _reader) = piped();
    let mut link = destination.connect().await.unwrap();
    link.connection.probe();
    assert_eq!(link.events.recv().await, Some(ConnectionEvent::Proven));
    link.connection.release();
    assert_eq!(link.events.recv().await, None);
    destination.close().await;
}

#[tokio::test]
async fn when_the_reader_has_gone_nothing_is_confirmed_and_nothing_is_tried_again() {
    let (destination, reader) = piped();
    let mut link = destination.connect().await.unwrap();
    drop(reader);
    link.connection.send(batch(1..=1));
    let Some(ConnectionEvent::Lost(failure)) = link.events.recv().await else {
        panic!()
    };
    assert_eq!(failure.kind, ConnectFailureKind::Ended);
    assert_eq!(
        failure.message,
        "standard output: whoever read it has gone; start kete again with a reader"
    );
    let failure = destination.connect().await.err().unwrap();
    assert_eq!(failure.kind, ConnectFailureKind::Unreachable);
    destination.close().await;
}

#[tokio::test]
async fn what_was_sent_before_a_close_is_still_written() {
    let (destination, mut reader) = piped();
    let mut link = destination.connect().await.unwrap();
    link.connection.send(batch(1..=1000));
    link.connection.close();
    destination.close().await;
    drop(destination);
    let mut written = String::new();
    reader.read_to_string(&mut written).unwrap();
    assert_eq!(written.lines().count(), 1000);
    drop(link.events);
}

#[tokio::test]
async fn another_error_may_pass_and_the_next_connection_goes_on() {
    let failures = Mutex::new(vec![io::Error::other("disk full")]);
    let output = move |_: &[u8]| lock(&failures).pop().map_or(Ok(()), Err);
    let destination = Stdout::new(Arc::new(output));
    let mut link = destination.connect().await.unwrap();
    link.connection.send(batch(1..=1));
    let Some(ConnectionEvent::Lost(failure)) = link.events.recv().await else {
        panic!()
    };
    assert_eq!(failure.message, "standard output: disk full");
    let mut link = destination.connect().await.unwrap();
    link.connection.send(batch(1..=1));
    confirmed(&mut link, 1).await;
    link.connection.close();
    destination.close().await;
}

/// A pipe that nobody reads blocks its writer; the destination must end all the same.
#[tokio::test(start_paused = true)]
async fn a_writer_that_hangs_does_not_hold_up_the_end() {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = Mutex::new(held);
    let (entered, writes) = std::sync::mpsc::channel::<()>();
    let output = move |_: &[u8]| {
        entered.send(()).unwrap();
        let _released = lock(&held).recv();
        Ok(())
    };
    let destination = Stdout::new(Arc::new(output));
    let mut link = destination.connect().await.unwrap();
    link.connection.send(batch(1..=1));
    writes.recv().unwrap();
    link.connection.abort();
    // Another thread may write beside it, as for replays; it waits for the first one.
    let mut second = destination.connect().await.unwrap();
    second.connection.send(batch(1..=1));
    let failure = destination.connect().await.err().unwrap();
    assert_eq!(failure.kind, ConnectFailureKind::Timeout);
    drop(second);
    destination.close().await;
    drop(release);
}

#[test]
fn a_slow_reader_is_never_a_failure() {
    let (plan, said) = crate::testing::check(&["kind=stdout", "confirm.timeout=1s"]);
    assert_eq!(plan.unwrap().lane().confirm_timeout, PATIENCE);
    assert_eq!(
        said,
        "warning[no-effect]: --set: confirm.timeout = \"1s\"\n  standard output may wait for its \
         reader as long as that takes\n"
    );
}

#[test]
fn an_event_has_the_same_subject_for_explain() {
    let (plan, _) = crate::testing::check(&["kind=stdout"]);
    assert_eq!(
        &*plan
            .unwrap()
            .subject(&metadata(), LOGIN.as_bytes())
            .unwrap(),
        "line"
    );
}

#[test]
fn lines_of_two_routes_never_mix() {
    // Both write to the same output, one batch at a time, as under the lock of standard output.
    let (mut reader, writer) = io::pipe().unwrap();
    let writer = Arc::new(Mutex::new(writer));
    let collected = thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).map(|_| text)
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let routes = ["a", "b"].map(|_| {
            let writer = Arc::clone(&writer);
            Stdout::new(Arc::new(move |lines: &[u8]| lock(&writer).write_all(lines)))
        });
        for destination in &routes {
            let mut link = destination.connect().await.unwrap();
            for first in (1..=5000).step_by(100) {
                link.connection.send(batch(first..=first + 99));
            }
            link.connection.close();
        }
        for destination in &routes {
            destination.close().await;
        }
    });
    drop(writer);
    let text = collected.join().unwrap().unwrap();
    assert_eq!(text.lines().count(), 10_000);
    assert!(
        text.lines()
            .all(|line| line.starts_with("{\"n\":") && line.ends_with('}'))
    );
}

#[tokio::test]
async fn replays_are_written_beside_the_events_and_a_third_writer_has_to_wait() {
    let (stdout, mut reader) = piped();
    let mut live = stdout.open().await.unwrap();
    let mut replays = stdout.open().await.unwrap();
    let third = stdout.open().await.err().unwrap();
    assert_eq!(third.kind, ConnectFailureKind::Timeout);
    live.connection.send(batch(1..=3));
    confirmed(&mut live, 3).await;
    replays.connection.send(batch(4..=5));
    confirmed(&mut replays, 5).await;
    replays.connection.release();
    let third = stdout.open().await.unwrap();
    drop((live, third));
    stdout.shut().await;
    drop(stdout);
    let mut written = String::new();
    reader.read_to_string(&mut written).unwrap();
    assert_eq!(written.lines().count(), 5, "{written}");
}
