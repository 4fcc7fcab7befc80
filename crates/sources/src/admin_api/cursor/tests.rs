//! The cursor against a model of Keycloak's event store.
//!
//! The model stamps events at one time and shows them at a later one, as transactions do. Time
//! passes between requests, so rows appear in the middle of a sweep.

mod crashes;

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const OVERLAP: i64 = 5_000;
const PAGE: usize = 4;
const INTERVAL: i64 = 2_000;
const START: i64 = 1_000_000;

#[derive(Debug, Clone)]
struct Stored {
    id: String,
    stamp: i64,
    visible_at: i64,
}

/// Keycloak's event store with a clock.
#[derive(Default)]
struct Store {
    now: i64,
    events: Vec<Stored>,
    deleted_at: Option<i64>,
    /// The most bytes of an answer; without it, there is no bound.
    largest: Option<i64>,
}

impl Store {
    fn add(&mut self, stamp: i64, delay: i64) {
        self.add_stamped(stamp, stamp + delay);
    }

    fn add_stamped(&mut self, stamp: i64, visible_at: i64) {
        let id = format!("event-{}", self.events.len());
        self.events.push(Stored {
            id,
            stamp,
            visible_at,
        });
    }

    fn is_deleted(&self, event: &Stored) -> bool {
        self.deleted_at
            .is_some_and(|at| event.visible_at <= at && at <= self.now)
    }

    /// What `GET …/events?direction=asc` answers now.
    fn rows(&self, request: Request) -> Vec<&Stored> {
        let shown = |event: &&Stored| {
            event.visible_at <= self.now
                && event.stamp >= request.date_from
                && !self.is_deleted(event)
        };
        let mut rows: Vec<&Stored> = self.events.iter().filter(shown).collect();
        rows.sort_by_key(|event| event.stamp);
        rows.into_iter()
            .skip(request.first)
            .take(request.max)
            .collect()
    }

    /// Whether these rows are more than an answer may have. Every row has 1 to 5 bytes.
    fn is_too_large(&self, rows: &[&Stored]) -> bool {
        let bytes: i64 = rows.iter().map(|event| event.stamp % 5 + 1).sum();
        self.largest.is_some_and(|largest| bytes > largest)
    }

    /// The server's time as a client knows it: whole seconds, and never late.
    fn date(&self) -> i64 {
        self.now / 1_000 * 1_000
    }
}

/// Polls until the store's time has come to `until`; returns each handover with its stamps.
fn poll(
    cursor: &mut Cursor,
    store: &mut Store,
    until: i64,
    per_request: i64,
) -> Vec<(Ticket, Vec<String>)> {
    let mut handed = Vec::new();
    while store.now < until {
        let mut request = Some(cursor.begin(store.date()));
        while let Some(asked) = request {
            store.now += per_request;
            let rows = store.rows(asked);
            if store.is_too_large(&rows) {
                request = Some(cursor.fewer().expect("one row always fits"));
                continue;
            }
            let row = |event: &&Stored| (event.id.clone(), event.stamp);
            let rows: Vec<(String, i64)> = rows.iter().map(row).collect();
            let borrowed: Vec<Row<'_>> = rows
                .iter()
                .map(|(id, time)| Row { id, time: *time })
                .collect();
            let page = cursor.page(&borrowed);
            if let Some(oldest) = page.fresh.iter().map(|index| rows[*index].1).min() {
                let ids = page
                    .fresh
                    .iter()
                    .map(|index| rows[*index].0.clone())
                    .collect();
                handed.push((cursor.hand_over(oldest), ids));
            }
            request = page.next;
        }
        store.now += INTERVAL;
    }
    handed
}

fn counts(handed: &[(Ticket, Vec<String>)]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for id in handed.iter().flat_map(|(_, ids)| ids) {
        *counts.entry(id.clone()).or_default() += 1;
    }
    counts
}

fn all_once(store: &Store) -> BTreeMap<String, usize> {
    store
        .events
        .iter()
        .map(|event| (event.id.clone(), 1))
        .collect()
}

/// A cursor as a run with `start-from` set to the advice has it.
fn next_run(cursor: &Cursor) -> Cursor {
    let position = cursor.start_from();
    Cursor::new(position, OVERLAP, PAGE).not_before(position)
}

fn row(id: &str, time: i64) -> Row<'_> {
    Row { id, time }
}

#[test]
fn a_sweep_begins_an_overlap_before_the_read_position() {
    let mut cursor = Cursor::new(100_000, OVERLAP, PAGE);
    let first = Request {
        date_from: 95_000,
        first: 0,
        max: PAGE,
    };
    assert_eq!(cursor.begin(100_000), first);
    let page = cursor.page(&[row("a", 99_000), row("b", 103_000)]);
    assert_eq!(
        page,
        Page {
            fresh: vec![0, 1],
            next: None
        }
    );
    assert_eq!(
        cursor.begin(200_000).date_from,
        95_000,
        "the clock stood at 100,000 then"
    );
    assert_eq!(
        cursor.page(&[row("a", 99_000), row("b", 103_000)]).fresh,
        Vec::<usize>::new()
    );
    assert_eq!(cursor.begin(200_000).date_from, 98_000);
    assert_eq!(Cursor::new(1_000, OVERLAP, PAGE).begin(0).date_from, 0);
}

#[test]
fn rows_before_the_wanted_time_are_left_out() {
    let mut cursor = Cursor::new(100_000, OVERLAP, PAGE).not_before(100_000);
    assert_eq!(cursor.begin(200_000).date_from, 100_000);
    assert_eq!(
        cursor.page(&[row("a", 99_999), row("b", 100_000)]).fresh,
        [1]
    );
}

#[test]
fn a_full_page_is_followed_from_the_time_of_its_last_row() {
    let mut cursor = Cursor::new(0, OVERLAP, 2);
    let asked = cursor.begin(100_000);
    let page = cursor.page(&[row("a", 10), row("b", 20)]);
    assert_eq!(
        page.next,
        Some(Request {
            date_from: 20,
            ..asked
        })
    );
    let page = cursor.page(&[row("b", 20), row("c", 30)]);
    assert_eq!(
        (page.fresh, page.next),
        (
            vec![1],
            Some(Request {
                date_from: 30,
                ..asked
            })
        )
    );
    assert_eq!(
        cursor.page(&[row("c", 30)]),
        Page {
            fresh: Vec::new(),
            next: None
        }
    );
}

#[test]
fn a_millisecond_that_fills_pages_is_stepped_through() {
    let mut cursor = Cursor::new(0, OVERLAP, 2);
    let asked = cursor.begin(100_000);
    let within = |first| {
        Some(Request {
            date_from: 20,
            first,
            ..asked
        })
    };
    assert_eq!(cursor.page(&[row("a", 10), row("b", 20)]).next, within(0));
    assert_eq!(cursor.page(&[row("b", 20), row("c", 20)]).next, within(2));
    assert_eq!(cursor.page(&[row("d", 20), row("e", 20)]).next, within(4));
    let behind = Some(Request {
        date_from: 30,
        first: 0,
        ..asked
    });
    assert_eq!(cursor.page(&[row("f", 20), row("g", 30)]).next, behind);
    assert_eq!(cursor.page(&[row("g", 30)]).next, None);
}

#[test]
fn a_stamp_from_the_future_does_not_move_the_window() {
    let mut cursor = Cursor::new(100_000, OVERLAP, PAGE);
    cursor.begin(100_000);
    let future = row("ahead", 3_700_000);
    assert_eq!(cursor.page(&[future]).fresh, [0]);
    assert_eq!(cursor.begin(102_000).date_from, 95_000);
    assert_eq!(cursor.page(&[row("now", 101_000), future]).fresh, [0]);
    assert_eq!(cursor.start_from(), 102_000 - OVERLAP);
    // An hour later it is still known, and forgotten only when it cannot come again.
    cursor.begin(3_701_000);
    assert_eq!(cursor.page(&[future, row("then", 3_701_000)]).fresh, [1]);
    cursor.begin(9_000_000);
    cursor.page(&[row("later", 9_000_000)]);
    assert_eq!(cursor.seen.len(), 1);
}

#[test]
fn a_next_run_starts_an_overlap_before_what_is_not_safe() {
    let mut cursor = Cursor::new(1_000, OVERLAP, PAGE);
    cursor.begin(100_000);
    cursor.page(&[row("a", 10_000), row("b", 20_000)]);
    let first = cursor.hand_over(10_000);
    cursor.begin(100_000);
    cursor.page(&[row("c", 30_000)]);
    let second = cursor.hand_over(30_000);
    assert_eq!(cursor.start_from(), 10_000 - OVERLAP);
    cursor.settled(second);
    assert_eq!(cursor.start_from(), 10_000 - OVERLAP);
    cursor.settled(first);
    assert_eq!(cursor.start_from(), 30_000 - OVERLAP);
    let late = cursor.hand_over(26_000);
    assert_eq!(
        cursor.start_from(),
        26_000 - OVERLAP,
        "a late row counts although what came after it is safe"
    );
    cursor.settled(late);
    assert_eq!(cursor.start_from(), 30_000 - OVERLAP);
}

#[test]
fn a_next_run_starts_neither_before_1970_nor_before_what_is_wanted() {
    assert_eq!(Cursor::new(1_000, OVERLAP, PAGE).start_from(), 0);
    let wanted = Cursor::new(100_000, OVERLAP, PAGE).not_before(98_000);
    assert_eq!(wanted.start_from(), 98_000);
}

#[test]
fn a_next_run_finds_the_late_row_that_was_not_safe_and_the_one_still_to_come() {
    let mut store = Store {
        now: START,
        ..Store::default()
    };
    store.add(START + 10_000, 0);
    store.add(START + 9_000, 2_500);
    store.add(START + 8_500, 4_900);
    let mut cursor = Cursor::new(START, OVERLAP, PAGE);
    let handed = poll(&mut cursor, &mut store, START + 13_000, 0);
    let [(first, _), (_unsafe, late)] = &handed[..] else {
        panic!("{handed:?}")
    };
    assert_eq!(late, &["event-1"]);
    cursor.settled(*first);
    let mut next = next_run(&cursor);
    let found = counts(&poll(&mut next, &mut store, START + 20_000, 0));
    assert!(
        found.contains_key("event-1") && found.contains_key("event-2"),
        "{found:?}"
    );
}

#[test]
fn a_page_that_is_too_large_is_halved_down_to_one_row_and_grows_again() {
    let mut cursor = Cursor::new(0, OVERLAP, 5);
    let asked = cursor.begin(100_000);
    let with = |max| Some(Request { max, ..asked });
    assert_eq!(cursor.fewer(), with(2));
    assert_eq!(cursor.fewer(), with(1));
    assert_eq!(cursor.fewer(), None);
    assert_eq!(
        cursor.begin(100_000).max,
        1,
        "a row that is too large is asked for alone"
    );
    let page = cursor.page(&[row("a", 10)]);
    let next = Request {
        date_from: 10,
        first: 0,
        max: 2,
    };
    assert_eq!(page.next, Some(next), "one row of one is a full page");
    let page = cursor.page(&[row("a", 10), row("b", 20)]);
    assert_eq!(page.next.map(|next| next.max), Some(4));
    assert_eq!(cursor.page(&[row("b", 20)]).next, None);
    assert_eq!(cursor.begin(100_000).max, 5);
}

#[test]
fn ids_are_forgotten_by_time_and_not_by_number() {
    let mut cursor = Cursor::new(0, OVERLAP, 100_000);
    let ids: Vec<String> = (0..50_000).map(|number| number.to_string()).collect();
    let rows: Vec<Row<'_>> = ids.iter().map(|id| row(id, 10_000)).collect();
    cursor.begin(100_000);
    assert_eq!(cursor.page(&rows).fresh.len(), ids.len());
    cursor.begin(100_000);
    assert_eq!(cursor.page(&rows).fresh.len(), 0);
    cursor.begin(100_000);
    cursor.page(&[row("much later", 90_000)]);
    assert_eq!((cursor.seen.len(), cursor.seen_by_time.len()), (1, 1));
}

#[test]
fn bursts_within_a_millisecond_late_commits_and_a_wrong_clock_lose_nothing() {
    let mut store = Store {
        now: START,
        ..Store::default()
    };
    for number in 0..40 {
        store.add(START + number * 250, (number * 977) % (OVERLAP + 1));
    }
    for _ in 0..2 * PAGE + 1 {
        store.add(START + 3_333, 0);
        store.add(START + 3_333, OVERLAP);
    }
    store.add_stamped(START + 5_000 + 3_600_000, START + 5_000);
    let mut cursor = Cursor::new(START, OVERLAP, PAGE);
    let handed = poll(&mut cursor, &mut store, START + 60_000, 7);
    assert_eq!(counts(&handed), all_once(&store));
}

#[test]
fn a_store_that_is_emptied_midway_does_not_confuse_the_cursor() {
    let mut store = Store {
        now: START,
        deleted_at: Some(START + 10_000),
        ..Store::default()
    };
    for number in 0..100 {
        store.add(START + number * 200, 0);
    }
    let mut cursor = Cursor::new(START, OVERLAP, PAGE);
    let handed = poll(&mut cursor, &mut store, START + 60_000, 3);
    let counts = counts(&handed);
    assert!(counts.values().all(|count| *count == 1));
    let kept = store
        .events
        .iter()
        .filter(|event| event.visible_at > START + 10_000);
    for event in kept {
        assert!(
            counts.contains_key(&event.id),
            "{event:?} appeared after the deletion"
        );
    }
    let polled_before = START + 10_000 - 2 * INTERVAL;
    let early = store
        .events
        .iter()
        .filter(|event| event.visible_at <= polled_before);
    for event in early {
        assert!(
            counts.contains_key(&event.id),
            "{event:?} was there long enough"
        );
    }
}

/// Events as (stamp, delay, how many of the same stamp), relative to the start.
fn bursts() -> impl Strategy<Value = Vec<(i64, i64, usize)>> {
    let size = prop_oneof![6 => Just(1), 2 => 2..PAGE, 1 => 2 * PAGE..3 * PAGE];
    proptest::collection::vec((0_i64..30_000, 0..=OVERLAP, size), 1..40)
}

fn store_of(bursts: &[(i64, i64, usize)]) -> Store {
    let mut store = Store {
        now: START,
        ..Store::default()
    };
    for (offset, delay, size) in bursts {
        for _ in 0..*size {
            store.add(START + offset, *delay);
        }
    }
    store
}

proptest! {
    #[test]
    fn every_event_arrives_exactly_once(
        bursts in bursts(),
        ahead in proptest::option::of(0_i64..30_000),
        per_request in 0_i64..900,
        largest in proptest::option::of(5_i64..12),
    ) {
        let mut store = Store { largest, ..store_of(&bursts) };
        if let Some(offset) = ahead {
            store.add_stamped(START + offset + 3_600_000, START + offset);
        }
        let mut cursor = Cursor::new(START, OVERLAP, PAGE);
        // Long enough for a second sweep, even where every row takes two requests.
        let handed = poll(&mut cursor, &mut store, START + 300_000, per_request);
        prop_assert_eq!(counts(&handed), all_once(&store));
    }

    #[test]
    fn a_next_run_from_the_advised_time_loses_nothing(
        bursts in bursts(),
        restart in 0_i64..40_000,
        unsettled in proptest::collection::vec(any::<bool>(), 64),
        per_request in 0_i64..300,
    ) {
        let mut store = store_of(&bursts);
        let mut cursor = Cursor::new(START, OVERLAP, PAGE);
        let before = poll(&mut cursor, &mut store, START + restart, per_request);
        let mut safe = Vec::new();
        for (index, (ticket, ids)) in before.into_iter().enumerate() {
            if !unsettled[index % unsettled.len()] {
                cursor.settled(ticket);
                safe.push((ticket, ids));
            }
        }
        let mut second = next_run(&cursor);
        safe.extend(poll(&mut second, &mut store, START + 90_000, per_request));
        let counts = counts(&safe);
        for event in &store.events {
            prop_assert!(counts.contains_key(&event.id), "{:?} is lost", event);
        }
    }
}
