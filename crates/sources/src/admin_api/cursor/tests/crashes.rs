//! Crashes and restarts against the same model: events and positions are saved together, in order,
//! and a crash loses the end of what was saved.

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;

use super::{INTERVAL, OVERLAP, PAGE, START, Store, bursts, store_of};
use crate::admin_api::cursor::{Cursor, Row};

/// What tells after a restart that a row was taken before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KnownBy {
    /// The queue, which knows what it has taken.
    Queue,
    /// The ids that were saved with the position.
    SavedIds,
    Nothing,
}

/// What one page brought into the log.
struct Saved {
    ids: Vec<String>,
    position: i64,
    seen: Vec<String>,
}

#[derive(Debug)]
struct Crash {
    /// How many pages are read before it.
    after: usize,
    /// How many of the saved pages it takes with it.
    lost: usize,
    /// How long kete is away then.
    away: i64,
}

/// A run that begins where the log says, and crashes after so many pages or at `until`.
fn run(log: &mut Vec<Saved>, store: &mut Store, known: KnownBy, pages: usize, until: i64) {
    let (position, seen) = match log.last() {
        Some(last) => (last.position.min(store.date()), last.seen.clone()),
        None => (START, Vec::new()),
    };
    let taken: HashSet<String> = log.iter().flat_map(|saved| saved.ids.clone()).collect();
    let mut cursor = Cursor::new(position, OVERLAP, PAGE);
    if known == KnownBy::SavedIds {
        cursor = cursor.without(&seen);
    }
    let mut pages = 0..pages;
    while store.now < until {
        let mut request = Some(cursor.begin(store.date()));
        while let Some(asked) = request {
            store.now += 50;
            let rows: Vec<(String, i64)> = store
                .rows(asked)
                .iter()
                .map(|event| (event.id.clone(), event.stamp))
                .collect();
            let stamps: Vec<Row<'_>> = rows
                .iter()
                .map(|(id, time)| Row { id, time: *time })
                .collect();
            let page = cursor.page(&stamps);
            let fresh = page.fresh.iter().map(|index| rows[*index].0.clone());
            let is_new = |id: &String| known != KnownBy::Queue || !taken.contains(id);
            if !page.fresh.is_empty() {
                log.push(Saved {
                    ids: fresh.filter(is_new).collect(),
                    position: cursor.position(),
                    seen: cursor.newest_ids().map(str::to_owned).collect(),
                });
            }
            if pages.next().is_none() {
                return;
            }
            request = page.next;
        }
        store.now += INTERVAL;
    }
}

/// Every run there is, the last one long enough to read everything; returns how often each event
/// is in the log.
fn runs(store: &mut Store, known: KnownBy, crashes: &[Crash]) -> BTreeMap<String, usize> {
    let mut log = Vec::new();
    for crash in crashes {
        run(&mut log, store, known, crash.after, START + 200_000);
        let lost = crash.lost.min(log.len());
        log.truncate(log.len() - lost);
        store.now += crash.away;
    }
    let until = store.now.max(START + 60_000) + 60_000;
    run(&mut log, store, known, usize::MAX, until);
    let mut counts = BTreeMap::new();
    for id in log.into_iter().flat_map(|saved| saved.ids) {
        *counts.entry(id).or_default() += 1;
    }
    counts
}

fn crashes() -> impl Strategy<Value = Vec<Crash>> {
    let away = prop_oneof![3 => 0_i64..3_000, 1 => 0_i64..30_000];
    let crash = (0_usize..12, 0_usize..4, away);
    let crash = crash.prop_map(|(after, lost, away)| Crash { after, lost, away });
    proptest::collection::vec(crash, 1..6)
}

proptest! {
    #[test]
    fn every_event_is_taken_once_if_the_ids_are_known(
        bursts in bursts(),
        crashes in crashes(),
        known in prop_oneof![Just(KnownBy::Queue), Just(KnownBy::SavedIds)],
    ) {
        let mut store = store_of(&bursts);
        let counts = runs(&mut store, known, &crashes);
        prop_assert_eq!(counts, super::all_once(&store));
    }

    #[test]
    fn every_event_is_taken_at_least_once_if_they_are_not(
        bursts in bursts(),
        crashes in crashes(),
        ahead in proptest::option::of(0_i64..30_000),
    ) {
        let mut store = store_of(&bursts);
        if let Some(offset) = ahead {
            store.add_stamped(START + offset + 3_600_000, START + offset);
        }
        let counts = runs(&mut store, KnownBy::Nothing, &crashes);
        for event in &store.events {
            prop_assert!(counts.contains_key(&event.id), "{:?} is lost", event);
        }
    }
}
