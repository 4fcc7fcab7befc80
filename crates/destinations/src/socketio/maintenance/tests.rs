use std::sync::atomic::AtomicBool;

use futures_util::FutureExt;
use tokio_util::task::TaskTracker;

use super::super::barrier::BarrierMemory;
use super::super::connection::Context;
use super::super::{pool, settings};
use super::*;
use crate::testing::read_section;

const HOUR: Duration = Duration::from_secs(3600);

fn eviction(hard: Option<Duration>, soft: Option<Duration>) -> Eviction {
    Eviction {
        every: HOUR,
        test_while_idle: true,
        tests_per_run: 3,
        hard_age: hard,
        soft_age: soft,
    }
}

#[test]
fn the_soft_age_spares_min_idle_and_the_hard_age_nobody() {
    let soft = eviction(None, Some(HOUR));
    assert!(soft.is_over(2 * HOUR, true));
    assert!(!soft.is_over(2 * HOUR, false));
    assert!(!soft.is_over(HOUR, true), "exactly so old is not too old");
    let hard = eviction(Some(HOUR), None);
    assert!(hard.is_over(2 * HOUR, false));
    assert!(!eviction(None, None).is_over(1000 * HOUR, true));
}

#[test]
fn runs_take_turns_so_that_everyone_is_examined() {
    let mut turn = Turn::default();
    assert_eq!(turn.next(5, 3), [0, 1, 2]);
    assert_eq!(turn.next(5, 3), [3, 4, 0]);
    assert_eq!(turn.next(5, 3), [1, 2, 3]);
    assert_eq!(turn.next(2, 3), [0, 1]);
}

#[test]
fn nobody_is_examined_twice_and_nobody_where_there_is_nobody() {
    let mut turn = Turn { next: 4 };
    assert!(turn.next(0, 3).is_empty());
    assert_eq!(turn.next(1, 3), [0]);
    assert!(turn.next(3, 0).is_empty());
}

#[test]
fn a_negative_number_examines_one_in_so_many() {
    assert_eq!(Turn::default().next(5, -2), [0, 1, 2]);
    assert_eq!(Turn::default().next(5, -1).len(), 5);
    assert_eq!(Turn::default().next(5, i64::MIN), [0]);
}

#[tokio::test]
async fn work_is_given_up_when_the_lane_connects() {
    let attempts = watch::Sender::new(false);
    let never = std::future::pending::<()>();
    let mut work = Box::pin(unless_attempted(attempts.subscribe(), never));
    assert!(futures_util::poll!(&mut work).is_pending());
    attempts.send_replace(true);
    work.await;
}

#[tokio::test]
async fn work_does_not_begin_while_the_lane_connects() {
    let attempts = watch::Sender::new(true);
    let work = async { panic!("this must not run") };
    unless_attempted(attempts.subscribe(), work).await;
}

/// A pool whose server is this listener, which accepts nobody.
fn pool_of(listener: &tokio::net::TcpListener, up: bool) -> Wires {
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (settings, _) = read_section(
        &[&format!("url={url}"), "event-name=e", "timeout-seconds=1"],
        |scope| settings::read(scope, None),
    );
    let settings = settings.unwrap();
    let context = Context {
        peer: url.into(),
        confirm: settings.confirm,
        event_id: settings::EventId::Off,
        error_pointer: None,
        barrier: BarrierMemory::new(settings.barrier),
        up: AtomicBool::new(up),
    };
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let identity = settings.identity.build(settings.options).unwrap();
    pool::build(identity, context.into(), &settings.pool, &tasks, &stop).unwrap()
}

#[tokio::test]
async fn nothing_is_opened_while_the_server_is_down() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    refill(&pool_of(&listener, false), 5).await;
    assert!(listener.accept().now_or_never().is_none());
}

#[tokio::test]
async fn one_failure_ends_the_opening() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    refill(&pool_of(&listener, true), 5).await;
    assert!(listener.accept().now_or_never().is_some());
    assert!(
        listener.accept().now_or_never().is_none(),
        "there was a second attempt"
    );
}
