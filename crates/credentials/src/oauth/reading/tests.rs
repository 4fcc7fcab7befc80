//! Reads that hang until a test lets them go.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;

/// Passes before a read that hangs.
const SHORT: Duration = Duration::from_millis(1);
/// Longer than any of these tests may take.
const LONG: Duration = Duration::from_secs(60);

fn secret(text: &str) -> Outcome {
    Ok(Secret::new(text.to_owned()))
}

fn text(outcome: Result<Outcome, NotRead>) -> String {
    outcome.unwrap().unwrap().reveal().to_owned()
}

fn assert_late(outcome: &Result<Outcome, NotRead>) {
    assert!(matches!(outcome, Err(NotRead::Late(SHORT))), "{outcome:?}");
}

/// A mount that hangs.
#[derive(Default, Clone)]
struct Mount(Arc<AtomicUsize>);

impl Mount {
    /// A read that ends with what is sent.
    fn read(
        &self,
    ) -> (
        Sender<&'static str>,
        impl FnOnce() -> Outcome + Send + use<>,
    ) {
        let (answer, answers): (_, Receiver<&'static str>) = channel();
        let started = Arc::clone(&self.0);
        let read = move || {
            started.fetch_add(1, Ordering::SeqCst);
            secret(answers.recv().unwrap_or("nothing"))
        };
        (answer, read)
    }

    fn started(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_read_that_hangs_stays_the_only_one() {
    let (mount, reading) = (Mount::default(), Reading::default());
    let (answer, first) = mount.read();
    assert_late(&reading.read(SHORT, first).await);
    let mut kept = Vec::new();
    for _ in 0..5 {
        let (answer, another) = mount.read();
        kept.push(answer);
        assert_late(&reading.read(SHORT, another).await);
    }
    let (_unused, another) = mount.read();
    // It begins to wait before the answer comes; what ended before that would be read again.
    let waiting = reading.read(LONG, another);
    let (outcome, ()) = tokio::join!(biased; waiting, async { answer.send("first").unwrap() });
    assert_eq!(text(outcome), "first");
    assert_eq!(mount.started(), 1);
}

#[tokio::test]
async fn what_nobody_waited_for_is_read_again() {
    let (mount, reading) = (Mount::default(), Reading::default());
    let (answer, first) = mount.read();
    assert!(reading.read(SHORT, first).await.is_err());
    answer.send("old").unwrap();
    while !reading
        .outstanding
        .lock()
        .await
        .as_ref()
        .unwrap()
        .is_finished()
    {
        tokio::task::yield_now().await;
    }
    assert_eq!(text(reading.read(LONG, || secret("new")).await), "new");
    assert_eq!(text(reading.read(LONG, || secret("newer")).await), "newer");
}

#[tokio::test]
async fn callers_who_wait_for_another_give_up_in_time_too() {
    let (mount, reading) = (Mount::default(), Arc::new(Reading::default()));
    let (answer, first) = mount.read();
    let holder = Arc::clone(&reading);
    let waiting = tokio::spawn(async move { holder.read(LONG, first).await });
    tokio::task::yield_now().await;
    assert_late(&reading.read(SHORT, || secret("another")).await);
    drop(answer);
    assert_eq!(text(waiting.await.unwrap()), "nothing");
    assert_eq!(mount.started(), 1);
}

#[tokio::test]
async fn a_read_that_panics_is_over() {
    let reading = Reading::default();
    let stopped = reading.read(LONG, || panic!("a mistake")).await;
    assert!(matches!(stopped, Err(NotRead::Stopped(_))), "{stopped:?}");
    assert_eq!(text(reading.read(LONG, || secret("well")).await), "well");
}
