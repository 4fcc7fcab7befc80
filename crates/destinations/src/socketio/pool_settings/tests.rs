use super::*;
use crate::testing::{check, read_section};

fn refused(lines: &[&str], expected: &str) {
    let (settings, found) = read_section(lines, read);
    assert_eq!(found, expected);
    assert_eq!(settings, None);
}

#[test]
fn the_defaults_are_those_of_kete() {
    let (settings, said) = read_section(&[], read);
    assert_eq!(said, "");
    let eviction = Eviction {
        every: Duration::from_secs(60),
        test_while_idle: true,
        tests_per_run: 3,
        hard_age: None,
        soft_age: Some(Duration::from_secs(1800)),
    };
    let expected = PoolSettings {
        min_idle: 1,
        max_idle: 10,
        max_total: 20,
        lifo: true,
        test_on_borrow: true,
        eviction: Some(eviction),
    };
    assert_eq!(settings, Some(expected));
}

#[test]
fn a_total_order_has_a_single_connection() {
    let (settings, _) = read_section(&["pool.min-idle=5", "pool.lifo=false"], read);
    let single = settings.unwrap().single();
    assert_eq!(
        (single.min_idle, single.max_idle, single.max_total),
        (1, 1, 1)
    );
    assert!(!single.lifo);
}

#[test]
fn sizes_have_to_be_above_zero() {
    for key in ["pool.min-idle", "pool.max-idle", "pool.max-total"] {
        refused(
            &[&format!("{key}=0")],
            &format!(
                "error[bad-value]: --set: {key} = \"0\"\n  expected a whole number from 1 to \
                 4294967295, but it is zero\n"
            ),
        );
    }
}

#[test]
fn the_total_holds_the_idle_ones() {
    refused(
        &["pool.min-idle=5", "pool.max-total=4"],
        "error[out-of-range]: --set: pool.max-total = \"4\"\n  it has to be at least \
         pool.min-idle, \
         which is 5\n",
    );
    assert!(
        read_section(&["pool.min-idle=5", "pool.max-total=5"], read)
            .0
            .is_some()
    );
}

#[test]
fn the_total_has_a_bound() {
    refused(
        &["pool.max-total=4000000000"],
        "error[out-of-range]: --set: pool.max-total = \"4000000000\"\n  more than 1000 connections \
         are never needed\n",
    );
}

#[test]
fn more_idle_connections_than_may_be_idle_are_not_kept() {
    let (settings, said) = read_section(&["pool.min-idle=9", "pool.max-idle=2"], read);
    assert_eq!((said.as_str(), settings.unwrap().min_idle), ("", 2));
}

#[test]
fn negative_times_mean_never_and_huge_ones_do_not_overflow() {
    let (settings, said) = read_section(
        &[
            "pool.time-between-eviction-runs-seconds=9223372036854775807",
            "pool.min-evictable-idle-time-seconds=0",
            "pool.soft-min-evictable-idle-time-seconds=-7",
        ],
        read,
    );
    assert_eq!(said, "");
    let eviction = settings.unwrap().eviction.unwrap();
    assert_eq!((eviction.hard_age, eviction.soft_age), (None, None));
    assert_eq!(eviction.every, Duration::from_secs(365 * 24 * 60 * 60));
}

#[test]
fn without_eviction_runs_an_own_min_idle_has_no_effect() {
    let off = "pool.time-between-eviction-runs-seconds=-1";
    let (settings, said) = read_section(&[off], read);
    assert_eq!((said.as_str(), settings.unwrap().eviction), ("", None));
    let (settings, said) = read_section(&[off, "pool.min-idle=3"], read);
    assert!(settings.is_some());
    assert_eq!(
        said,
        "warning[no-effect]: --set: pool.min-idle = \"3\"\n  no connection is opened in advance, \
         because there are no eviction runs\n  give pool.time-between-eviction-runs-seconds a \
         value above zero\n"
    );
}

#[test]
fn keys_without_meaning_are_warnings_that_say_why() {
    let (plan, said) = check(&[
        "kind=socketio",
        "url=http://h",
        "event-name=e",
        "pool.max-wait-seconds=30",
        "pool.block-when-exhausted=true",
        "pool.fairness=true",
        "pool.test-on-create=true",
        "pool.test-on-return=true",
    ]);
    assert!(plan.is_some());
    assert_eq!(
        said,
        "warning[unused-key]: --set: pool.block-when-exhausted\n  this key has no effect \
         here\n  events wait in the queue while \
         all connections are full, as long as it takes\n\
         warning[unused-key]: --set: pool.fairness\n  this key has no effect here\n  nobody \
         competes for connections: a route \
         has one user, its lane\n\
         warning[unused-key]: --set: pool.max-wait-seconds\n  this key has no effect \
         here\n  events wait in the queue while all \
         connections are full, as long as it takes\n\
         warning[unused-key]: --set: pool.test-on-create\n  this key has no effect here\n  a new \
         connection is always tested: it \
         counts once the server has accepted the namespace\n\
         warning[unused-key]: --set: pool.test-on-return\n  this key has no effect here\n  a \
         connection is given back when the \
         server has confirmed everything on it, which is a test\n"
    );
}
