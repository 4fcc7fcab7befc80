//! Prints what one event costs, step by step and in nanoseconds, for each shape it may come in.
//!
//! `cargo run -p kete-event --release --example throughput`

use std::hint::black_box;
use std::time::Instant;

use kete_event::Event;

const SHAPES: [(&str, &str); 5] = [
    (
        "keycloak login",
        include_str!("../tests/data/keycloak-login.json"),
    ),
    (
        "admin-api login",
        include_str!("../tests/data/admin-api-login.json"),
    ),
    (
        "webhook login",
        include_str!("../tests/data/webhook-login.json"),
    ),
    (
        "admin-api user create",
        include_str!("../tests/data/admin-api-user-create.json"),
    ),
    (
        "webhook user create",
        include_str!("../tests/data/webhook-user-create.json"),
    ),
];

const ROUNDS: u32 = 300_000;

fn main() {
    println!(
        "{:<22} {:>6} {:>7} {:>7} {:>7} {:>7}",
        "ns per event", "bytes", "parse", "redact", "facts", "write"
    );
    for (name, json) in SHAPES {
        let json = json.trim_end().as_bytes();
        let Ok(event) = Event::parse(json) else {
            continue;
        };
        let mut out = Vec::with_capacity(4096);
        let parse = nanoseconds(|| drop(black_box(Event::parse(black_box(json)))));
        let redact = nanoseconds(|| {
            // A clone each, or there would be nothing left to mask after the first round.
            let mut event = black_box(&event).clone();
            black_box(event.redact());
        }) - nanoseconds(|| drop(black_box(black_box(&event).clone())));
        let facts = nanoseconds(|| {
            black_box((black_box(&event).metadata(), event.ordering_key()));
        });
        let write = nanoseconds(|| {
            out.clear();
            black_box(&event).write_canonical(black_box(&mut out));
        });
        println!(
            "{name:<22} {:>6} {parse:>7.0} {redact:>7.0} {facts:>7.0} {write:>7.0}",
            json.len()
        );
    }
}

fn nanoseconds(mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..ROUNDS {
        work();
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(ROUNDS)
}
