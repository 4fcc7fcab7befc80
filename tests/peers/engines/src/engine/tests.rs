//! Every candidate must keep the same promises, or its figures mean nothing.

use std::path::PathBuf;

use super::*;
use crate::events::{Events, state};

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let unique = format!("engines-{}-{name}", std::process::id()).replace([',', ' '], "-");
        Self(std::env::temp_dir().join(unique))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn append(engine: &mut dyn Engine, events: &Events, size: usize) {
    let first = engine.end();
    let state = state(first + size as u64);
    engine
        .append(&events.batch(first, size), ("source", state.as_bytes()))
        .unwrap();
}

fn numbers(engine: &mut dyn Engine, events: &Events, from: u64, limit: usize) -> Vec<u64> {
    let mut numbers = Vec::new();
    let count = engine.read(from, limit, &mut |seq, record| {
        assert_eq!(record, events.get(seq), "record {seq}");
        numbers.push(seq);
    });
    assert_eq!(count.unwrap(), numbers.len());
    numbers
}

#[test]
fn what_was_appended_is_read_in_order_before_and_after_opening_again() {
    let events = Events::new();
    for name in NAMES {
        let directory = Directory::new(&format!("order-{name}"));
        let mut engine = open(name, &directory.0).unwrap();
        for size in [1, 3, 100, 256] {
            append(&mut *engine, &events, size);
        }
        for _ in 0..2 {
            assert_eq!(engine.end(), 360, "{name}");
            let all: Vec<u64> = (0..360).collect();
            assert_eq!(numbers(&mut *engine, &events, 0, 1000), all, "{name}");
            let some: Vec<u64> = (70..270).collect();
            assert_eq!(numbers(&mut *engine, &events, 70, 200), some, "{name}");
            assert_eq!(numbers(&mut *engine, &events, 360, 10), [0; 0], "{name}");
            let saved = engine.state("source").unwrap();
            assert_eq!(saved, Some(state(360).into_bytes()), "{name}");
            drop(engine);
            engine = open(name, &directory.0).unwrap();
        }
    }
}

#[test]
fn a_cursor_and_the_numbers_outlive_the_records() {
    let events = Events::new();
    for name in NAMES {
        let directory = Directory::new(&format!("cursor-{name}"));
        let mut engine = open(name, &directory.0).unwrap();
        append(&mut *engine, &events, 300);
        engine.settle("slow", 100, 100).unwrap();
        let rest: Vec<u64> = (100..300).collect();
        assert_eq!(numbers(&mut *engine, &events, 100, 1000), rest, "{name}");
        engine.settle("slow", 300, 300).unwrap();
        engine.idle().unwrap();
        drop(engine);
        let mut engine = open(name, &directory.0).unwrap();
        assert_eq!(engine.end(), 300, "{name}");
        assert_eq!(engine.cursor("slow").unwrap(), Some(300), "{name}");
        assert_eq!(engine.cursor("other").unwrap(), None, "{name}");
        append(&mut *engine, &events, 2);
        assert_eq!(
            numbers(&mut *engine, &events, 300, 10),
            [300, 301],
            "{name}"
        );
    }
}
