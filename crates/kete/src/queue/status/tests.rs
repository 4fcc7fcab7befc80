use kete_queue::Lag;

use super::*;

const NOW: i64 = 1_795_227_330_447;

fn consumer(name: &str, attached: bool, events: u64) -> ConsumerStatus {
    ConsumerStatus {
        name: name.into(),
        attached,
        cursor: 0,
        lag: Lag {
            events,
            bytes: events * 700,
        },
        oldest_accepted_at: Some(NOW - 125_000),
        dropped: 0,
    }
}

fn names(enabled: &[&str], disabled: &[&str]) -> RouteNames {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    RouteNames {
        enabled: owned(enabled),
        disabled: owned(disabled),
    }
}

#[test]
fn each_route_says_what_is_known_of_it() {
    let routes = names(&["shop"], &["paused"]);
    for (consumer, state, replay) in [
        (consumer("shop", true, 0), State::Running, false),
        (consumer("shop.replay", true, 0), State::Running, true),
        (consumer("shop", false, 0), State::NotRunning, false),
        (consumer("paused", false, 0), State::SwitchedOff, false),
        (consumer("old", false, 0), State::Removed, false),
        (consumer("old.replay", false, 0), State::Removed, true),
    ] {
        let route = Route::of(&consumer, &routes);
        assert_eq!((route.state, route.replay), (state, replay), "{consumer:?}");
    }
    let route = Route::of(&consumer("shop", false, 0), &names(&[], &[]));
    assert_eq!(route.state, State::Unknown);
}

#[test]
fn people_get_a_table_and_what_bounds_it() {
    let routes = names(&["shop"], &[]);
    let of = |consumer: ConsumerStatus| Route::of(&consumer, &routes);
    let status = Status {
        running: true,
        log: Log {
            directory: Some("/var/lib/kete".to_owned()),
            sync: Some("always".to_owned()),
            retain: Some("1h, at most 2GiB".to_owned()),
            max_events: Some(1_000_000),
            max_bytes: Some(1 << 30),
        },
        routes: vec![
            of(consumer("old", false, 1_000)),
            of(consumer("shop", true, 0)),
            of(consumer("old.replay", false, 0)),
            of(consumer("shop.replay", true, 7)),
        ],
        events: 1_007,
        bytes: 1_887_436,
        oldest_stored_at: Some(NOW - 3_600_000),
        bytes_on_disk: Some(20 << 20),
    };
    assert_eq!(
        status.text(NOW),
        "\
ROUTE          STATE                  WAITING    BYTES  OLDEST  DROPPED
old            no route of this name     1000  684 KiB   2m 5s        0
shop           running                      0      0 B       –        0
shop (replay)  running                      7  4.8 KiB   2m 5s        0

queue                on disk, in /var/lib/kete; kete runs
held                 1007 events, 1.8 MiB of at most 1000000 events, 1GiB; from the oldest that waits on
files                20 MiB, 18 MiB of it kept after delivery, the oldest event 1h old
synced               always
kept when delivered  1h, at most 2GiB
"
    );
}

#[tokio::test]
async fn an_empty_queue_says_so() {
    let queue = kete_queue::Memory::new(kete_queue::Limits {
        max_events: 1,
        max_bytes: 1,
        when_full: kete_queue::WhenFull::Refuse,
    });
    let none = names(&[], &[]);
    let status = Status::of(&queue, &none, Log::default(), false);
    let status = status.await.unwrap();
    assert_eq!(
        status.text(NOW),
        "no route has a place in the queue yet\n\n\
         queue                in memory; kete does not run\n\
         held                 0 events, 0 B\n"
    );
}

#[test]
fn one_event_is_no_plural() {
    assert_eq!(amount(0), "0 events");
    assert_eq!(amount(1), "1 event");
    assert_eq!(amount(2), "2 events");
}

#[test]
fn sizes_are_short() {
    for (bytes, text) in [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 KiB"),
        (10_240, "10 KiB"),
        (1_023 << 10, "1.0 MiB"),
        (1 << 30, "1.0 GiB"),
        (10 << 30, "10 GiB"),
        (u64::MAX, "16777216 TiB"),
    ] {
        assert_eq!(approximately(bytes), text);
    }
}

#[test]
fn settings_are_put_into_words() {
    assert_eq!(
        sync_words(Sync::Interval(Duration::from_secs(90))),
        "every 1m 30s"
    );
    assert_eq!(
        sync_words(Sync::Interval(Duration::from_millis(50))),
        "every 50ms"
    );
    let hour = Some(Duration::from_secs(3_600));
    let retain = |age, bytes| retain_words(Some(Retain { age, bytes }));
    assert_eq!(retain(hour, None), "1h");
    assert_eq!(retain(None, Some(2 << 30)), "2GiB");
    assert_eq!(retain(hour, Some(2 << 30)), "1h, at most 2GiB");
    assert_eq!(retain_words(None), "nothing");
}
