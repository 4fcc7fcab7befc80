//! What a lane does in the situations that its promises name, one by one.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kete_event::{Event, Metadata};
use kete_queue::{Header, Record, Target};
use tokio::time::Instant;

use super::core::{Action, Core, CoreSettings};
use super::deliveries::Deliveries;
use super::links::LinkId;
use super::settings::{LaneSettings, Ordering};
use crate::{
    ConnectFailure, ConnectFailureKind, ConnectionEvent, EventFailure, FailureReason, Prepared,
};

const SECOND: Duration = Duration::from_secs(1);

pub(super) fn core_settings() -> CoreSettings {
    CoreSettings {
        lane: LaneSettings {
            max_in_flight: 40,
            max_in_flight_bytes: 1 << 20,
            ordering: Ordering::User,
            confirm_timeout: 30 * SECOND,
            initial_delay: SECOND / 2,
            max_delay: 30 * SECOND,
            auth_failure_delay: 30 * SECOND,
            one_per_key: false,
        },
        max_connections: 4,
        lazy: false,
        max_attempts: 3,
        retry_wait: SECOND / 2,
        max_consecutive: 100,
        deliveries: Deliveries::Off,
    }
}

pub(super) fn record(sequence: u64, key: &str) -> Arc<Record> {
    Arc::new(Record {
        sequence,
        header: Header {
            event_id: sequence.to_string().into(),
            id_derived: false,
            source: Arc::from("test"),
            accepted_at: sequence as i64,
            metadata: metadata(),
            ordering_key: key.into(),
            target: Target::AllRoutes,
        },
        body: Bytes::from_static(b"{}"),
    })
}

pub(super) fn metadata() -> Metadata {
    let event = br#"{"id":"1","time":1,"type":"LOGIN","realmId":"r","realmName":"demo"}"#;
    Event::parse(event).unwrap().metadata()
}

pub(super) fn lost(kind: ConnectFailureKind) -> ConnectFailure {
    ConnectFailure {
        kind,
        message: "gone".to_owned(),
    }
}

/// A core with hands: it opens connections at once and remembers what was sent on each.
struct Bench {
    core: Core,
    now: Instant,
    next: u64,
    sent: Vec<(LinkId, Vec<u64>)>,
    probes: Vec<LinkId>,
    ended: Vec<&'static str>,
    dead: Vec<(u64, FailureReason, u32)>,
    opens: bool,
    attempts: usize,
}

impl Bench {
    fn new(settings: CoreSettings) -> Bench {
        Bench {
            core: Core::new(settings),
            now: Instant::now(),
            next: 1,
            sent: Vec::new(),
            probes: Vec::new(),
            ended: Vec::new(),
            dead: Vec::new(),
            opens: true,
            attempts: 0,
        }
    }

    fn read(&mut self, keys: &[&str]) {
        for key in keys {
            let prepared = Prepared {
                subject: Arc::from("e"),
                payload: Bytes::new(),
            };
            self.core.read(record(self.next, key), Ok(prepared));
            self.next += 1;
        }
        self.run();
    }

    fn read_many(&mut self, count: usize) {
        for _ in 0..count {
            self.read(&[&format!("user-{}", self.next)]);
        }
    }

    fn event(&mut self, id: LinkId, event: ConnectionEvent) {
        self.core.event(id, event, self.now);
        self.run();
    }

    fn confirm(&mut self, id: LinkId, through: u64) {
        self.event(id, ConnectionEvent::Confirmed { through });
    }

    fn lose(&mut self, id: LinkId, kind: ConnectFailureKind) {
        self.event(id, ConnectionEvent::Lost(lost(kind)));
    }

    fn refuse(&mut self, id: LinkId, ticket: u64) {
        let failure = EventFailure::Refused {
            detail: "no".to_owned(),
        };
        self.event(id, ConnectionEvent::Failed { ticket, failure });
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.run();
    }

    fn run(&mut self) {
        loop {
            self.core.advance(self.now);
            let actions = self.core.take_actions();
            if actions.is_empty() {
                return;
            }
            for action in actions {
                self.perform(action);
            }
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Connect => {
                self.attempts += 1;
                if self.opens {
                    self.core.connected(self.now);
                } else {
                    let failure = lost(ConnectFailureKind::Unreachable);
                    self.core.connect_failed(&failure, self.now);
                }
            }
            Action::Send(id, batch) => {
                let first = batch[0].ticket;
                let ordinals = self.core.links.iter().find(|link| link.id == id);
                let _still_there = ordinals.expect("sent to a connection that is gone");
                self.sent
                    .push((id, (first..first + batch.len() as u64).collect()));
            }
            Action::Probe(id) => self.probes.push(id),
            Action::Release(_) => self.ended.push("released"),
            Action::Close(_) => self.ended.push("closed"),
            Action::Abort(_) => self.ended.push("aborted"),
            Action::DeadLetter(doomed) => {
                self.dead
                    .push((doomed.record.sequence, doomed.reason, doomed.attempts));
                self.core.dead_letter_stored(doomed.ordinal);
            }
        }
    }

    fn sizes(&mut self) -> Vec<(u64, usize)> {
        std::mem::take(&mut self.sent)
            .into_iter()
            .map(|(id, sent)| (id.0, sent.len()))
            .collect()
    }

    fn settled(&mut self) -> Vec<(u64, u64)> {
        self.core
            .take_settled()
            .into_iter()
            .map(|range| (*range.start(), *range.end()))
            .collect()
    }
}

#[test]
fn a_connection_is_opened_before_there_is_anything_to_send() {
    let mut bench = Bench::new(core_settings());
    bench.run();
    assert_eq!((bench.attempts, bench.core.links.len()), (1, 1));
    assert_eq!(
        bench.core.deadline(),
        None,
        "an idle lane wakes up for nothing"
    );
}

#[test]
fn what_is_confirmed_is_settled_once() {
    let mut bench = Bench::new(core_settings());
    bench.read(&["a", "b", "a"]);
    bench.confirm(LinkId(1), 2);
    assert_eq!(bench.settled(), [(1, 2)]);
    bench.confirm(LinkId(1), 2);
    assert_eq!(bench.settled(), []);
    bench.confirm(LinkId(1), 3);
    assert_eq!(bench.settled(), [(3, 3)]);
    assert_eq!(bench.core.take_counts().forwarded, 3);
}

#[test]
fn another_connection_is_added_only_when_all_are_full_and_leaves_when_idle() {
    let mut bench = Bench::new(core_settings());
    bench.read_many(10);
    assert_eq!(
        bench.core.links.len(),
        1,
        "a quarter of the window fits on one"
    );
    bench.read_many(25);
    assert_eq!(bench.core.links.len(), 4);
    for id in 1..=4 {
        bench.confirm(LinkId(id), 99);
    }
    assert_eq!(bench.core.links.len(), 4);
    bench.pass(10 * SECOND);
    assert_eq!(bench.core.links.len(), 1);
    assert_eq!(bench.ended, ["released"; 3]);
}

#[test]
fn a_key_stays_where_its_unconfirmed_events_are() {
    let mut bench = Bench::new(core_settings());
    bench.read(&["a"; 10]);
    bench.read(&["a", "a", "b"]);
    assert_eq!(
        bench.sizes().iter().map(|(_, size)| size).sum::<usize>(),
        11
    );
    assert_eq!(
        bench.core.links.len(),
        2,
        "b gets another connection, a waits for its own"
    );
    bench.confirm(LinkId(1), 10);
    assert_eq!(bench.sizes(), [(1, 2)]);
}

#[test]
fn a_key_stays_with_its_connection_when_nothing_is_unconfirmed() {
    let mut bench = Bench::new(core_settings());
    bench.read_many(11);
    bench.confirm(LinkId(1), 10);
    bench.confirm(LinkId(2), 1);
    bench.sizes();
    bench.read(&["user-11"]);
    assert_eq!(bench.sizes(), [(2, 1)]);
    bench.read(&["user-3"]);
    assert_eq!(bench.sizes(), [(1, 1)]);
}

#[test]
fn total_order_and_a_window_of_one_work() {
    let mut settings = core_settings();
    settings.lane.max_in_flight = 1;
    settings.lane.ordering = Ordering::Total;
    let mut bench = Bench::new(settings);
    bench.read(&["a"]);
    assert_eq!(bench.core.room().0, 0);
    bench.confirm(LinkId(1), 1);
    assert_eq!(bench.core.room().0, 1);
}

#[test]
fn an_event_larger_than_the_window_is_read_alone() {
    let mut settings = core_settings();
    settings.lane.max_in_flight_bytes = 10;
    let mut bench = Bench::new(settings);
    assert!(bench.core.room().0 > 0);
    bench.read(&["a"]);
    assert_eq!(bench.core.room(), (0, 0));
}

#[test]
fn while_the_destination_is_down_one_attempt_runs_and_no_event_is_tried() {
    let mut bench = Bench::new(core_settings());
    bench.opens = false;
    bench.read(&["a", "b"]);
    assert_eq!(bench.attempts, 1);
    for _ in 0..50 {
        let at = bench
            .core
            .deadline()
            .expect("there will be another attempt");
        assert!(at <= bench.now + 30 * SECOND);
        bench.now = bench.now.max(at);
        bench.run();
    }
    assert_eq!(bench.attempts, 51);
    bench.opens = true;
    bench.pass(30 * SECOND);
    assert_eq!(bench.sizes(), [(1, 2)]);
    assert!(bench.dead.is_empty());
}

#[test]
fn refused_credentials_wait_longer() {
    let mut core = Core::new(core_settings());
    let now = Instant::now();
    core.advance(now);
    let again = core.connect_failed(&lost(ConnectFailureKind::Unauthorized), now);
    assert!(again >= now + 30 * SECOND);
}

#[test]
fn silence_drops_the_connection_and_costs_no_attempt() {
    let mut bench = Bench::new(core_settings());
    bench.read(&["a"]);
    for _ in 0..20 {
        bench.pass(31 * SECOND);
        for id in std::mem::take(&mut bench.probes) {
            bench.event(id, ConnectionEvent::Proven);
        }
    }
    assert!(bench.ended.contains(&"aborted"));
    assert!(
        bench.dead.is_empty(),
        "a confirmation that does not come is not the event's doing"
    );
}

#[test]
fn an_event_that_ends_its_connection_is_found_by_halving_and_given_up_alone() {
    let mut bench = Bench::new(core_settings());
    bench.read(&["a", "b", "poison", "c"]);
    let mut lost_connections = 0;
    // A server that reads everything but dies of the third event.
    for _ in 0..200 {
        for id in std::mem::take(&mut bench.probes) {
            bench.event(id, ConnectionEvent::Proven);
        }
        for (id, tickets) in std::mem::take(&mut bench.sent) {
            let on = |ordinal| bench.core.window.place(ordinal) == super::window::Place::On(id);
            if on(2) {
                lost_connections += 1;
                bench.lose(id, ConnectFailureKind::Ended);
            } else {
                bench.confirm(id, *tickets.last().unwrap());
            }
        }
        bench.pass(SECOND);
    }
    assert_eq!(bench.dead, [(3, FailureReason::ConnectionEnded, 3)]);
    assert_eq!(bench.core.window.len(), 0);
    assert!(
        lost_connections <= 8,
        "{lost_connections} connections for one event"
    );
}

#[test]
fn a_loss_counts_only_if_the_next_connection_answers() {
    let mut bench = Bench::new(core_settings());
    bench.read(&["a"]);
    for _ in 0..10 {
        // Alone and after an answered probe, but the server is gone for good each time.
        bench.pass(30 * SECOND);
        if let Some(id) = bench.probes.pop() {
            bench.event(id, ConnectionEvent::Proven);
        }
        if let Some((id, _)) = bench.sent.pop() {
            bench.lose(id, ConnectFailureKind::Ended);
        }
        bench.pass(30 * SECOND);
        if let Some(id) = bench.probes.pop() {
            bench.lose(id, ConnectFailureKind::Ended);
        }
    }
    assert!(bench.dead.is_empty());
}

#[test]
fn a_refused_event_is_offered_again_and_then_given_up_while_others_go_on() {
    let mut settings = core_settings();
    settings.lane.one_per_key = true;
    let mut bench = Bench::new(settings);
    bench.read(&["a", "b"]);
    bench.refuse(LinkId(1), 1);
    bench.event(
        LinkId(1),
        ConnectionEvent::Acknowledged { tickets: vec![2] },
    );
    bench.sizes();
    bench.read(&["a", "b"]);
    assert_eq!(
        bench.sizes(),
        [(1, 1)],
        "b goes on, the second a waits for the first"
    );
    bench.event(
        LinkId(1),
        ConnectionEvent::Acknowledged { tickets: vec![3] },
    );
    bench.pass(SECOND);
    bench.refuse(LinkId(1), 4);
    bench.pass(SECOND);
    bench.refuse(LinkId(1), 5);
    assert_eq!(bench.dead, [(1, FailureReason::Refused, 3)]);
    bench.event(
        LinkId(1),
        ConnectionEvent::Acknowledged { tickets: vec![6] },
    );
    assert_eq!(bench.core.window.len(), 0);
}

#[test]
fn refusals_in_a_row_stop_the_dead_letters_until_one_is_accepted() {
    let mut settings = core_settings();
    settings.lane.one_per_key = true;
    settings.max_consecutive = 5;
    let mut bench = Bench::new(settings);
    bench.read_many(8);
    for ticket in 1..=8 {
        bench.refuse(LinkId(1), ticket);
    }
    bench.sizes();
    let mut ticket = 8;
    for _ in 0..20 {
        bench.pass(30 * SECOND);
        assert_eq!(bench.sizes(), [(1, 1)], "one event at a time");
        ticket += 1;
        bench.refuse(LinkId(1), ticket);
    }
    assert!(bench.dead.is_empty());
    bench.pass(30 * SECOND);
    ticket += 1;
    bench.event(
        LinkId(1),
        ConnectionEvent::Acknowledged {
            tickets: vec![ticket],
        },
    );
    bench.pass(SECOND);
    let again: usize = bench.sizes().iter().map(|(_, size)| size).sum();
    assert_eq!(
        again,
        1 + 7,
        "the receiver is well again, and so all others are offered"
    );
}

#[test]
fn a_permanent_failure_touches_nothing_else() {
    let mut bench = Bench::new(core_settings());
    let permanent = |reason| EventFailure::Permanent {
        reason,
        detail: "bad".to_owned(),
    };
    bench
        .core
        .read(record(1, "a"), Err(permanent(FailureReason::EventName)));
    bench.next = 2;
    bench.read(&["a", "a"]);
    let failure = permanent(FailureReason::TooLarge);
    bench.event(LinkId(1), ConnectionEvent::Failed { ticket: 1, failure });
    bench.confirm(LinkId(1), 2);
    let expected = [
        (1, FailureReason::EventName, 0),
        (2, FailureReason::TooLarge, 0),
    ];
    assert_eq!(bench.dead, expected);
    assert_eq!((bench.core.window.len(), bench.core.links.len()), (0, 1));
}

#[test]
fn the_oldest_events_that_are_on_no_connection_are_dropped() {
    let mut bench = Bench::new(core_settings());
    bench.read(&["a"; 15]);
    assert_eq!(bench.core.drop_oldest(1, 0), 1);
    assert_eq!(bench.settled(), [(11, 11)], "ten are on the connection");
    assert_eq!(bench.core.drop_oldest(0, 3), 3);
    assert_eq!(bench.core.drop_oldest(u64::MAX, 0), 1);
    assert_eq!(bench.core.drop_oldest(u64::MAX, u64::MAX), 0);
    bench.confirm(LinkId(1), 10);
    assert_eq!(bench.core.window.len(), 0);
    assert!(bench.dead.is_empty());
}

#[test]
fn a_blocked_store_of_dead_letters_stops_the_lane() {
    let mut bench = Bench::new(core_settings());
    bench.read(&["a"]);
    bench.core.set_blocked(true);
    bench.sizes();
    bench.read(&["b"]);
    assert_eq!(bench.sizes(), []);
    bench.core.set_blocked(false);
    bench.run();
    assert_eq!(bench.sizes(), [(1, 1)]);
}

#[test]
fn a_retired_connection_is_closed_when_all_it_carries_is_confirmed() {
    let mut bench = Bench::new(core_settings());
    bench.read(&["a"]);
    bench.core.retire_all();
    bench.run();
    assert_eq!(bench.core.links.len(), 2, "another takes over");
    bench.read(&["b"]);
    assert_eq!(bench.sizes().last(), Some(&(2, 1)));
    assert!(bench.ended.is_empty());
    bench.confirm(LinkId(1), 1);
    assert_eq!(bench.ended, ["closed"]);
}

#[test]
fn a_connection_can_ask_to_be_replaced_while_the_others_go_on() {
    let mut bench = Bench::new(core_settings());
    bench.read(&["a"]);
    bench
        .core
        .event(LinkId(1), ConnectionEvent::Retire, bench.now);
    bench.run();
    bench.read(&["b"]);
    assert_eq!(bench.sizes().last(), Some(&(2, 1)), "on another one");
    bench.confirm(LinkId(1), 1);
    assert_eq!(bench.ended, ["closed"]);
    assert_eq!(bench.core.links.len(), 1);
}

#[test]
fn a_group_that_was_lost_retires_with_its_connection() {
    let mut bench = Bench::new(core_settings());
    bench.read(&["a", "b"]);
    bench.lose(LinkId(1), ConnectFailureKind::Ended);
    bench.pass(SECOND);
    assert_eq!(
        bench.sizes().last(),
        Some(&(2, 2)),
        "both again, on a connection of their own"
    );
    bench.core.retire_all();
    bench.confirm(LinkId(2), 2);
    assert_eq!(bench.ended, ["closed"]);
}

#[test]
fn nothing_that_was_lost_is_sent_again_while_the_lane_is_stopped() {
    let mut bench = Bench::new(core_settings());
    bench.read(&["a", "b"]);
    bench.core.set_blocked(true);
    bench.lose(LinkId(1), ConnectFailureKind::Ended);
    bench.sizes();
    bench.pass(60 * SECOND);
    assert_eq!(bench.sizes(), []);
    bench.core.set_blocked(false);
    bench.run();
    assert_eq!(bench.sizes(), [(2, 2)]);
}

#[test]
fn dropped_events_leave_no_trace() {
    let mut bench = Bench::new(core_settings());
    bench.opens = false;
    for _ in 0..1000 {
        bench.read(&["a"]);
        assert_eq!(bench.core.drop_oldest(1, 0), 1);
    }
    bench.run();
    assert_eq!(
        (bench.core.window.len(), bench.core.window.waiting.len()),
        (0, 0)
    );
}

#[test]
fn a_failed_attempt_at_another_connection_does_not_slow_later_ones() {
    let mut bench = Bench::new(core_settings());
    bench.run();
    bench.opens = false;
    bench.read(&["a"; 10]);
    bench.read(&["b"]);
    for _ in 0..20 {
        bench.now = bench
            .core
            .deadline()
            .expect("another attempt is planned")
            .max(bench.now);
        bench.run();
    }
    bench.opens = true;
    bench.pass(30 * SECOND);
    assert_eq!(bench.core.links.len(), 2);
    assert_eq!(
        bench.core.growth.failures(),
        0,
        "the waits start again after a success"
    );
}

#[test]
fn a_receiver_that_refuses_some_events_only_is_found_to_be_well() {
    let mut settings = core_settings();
    settings.lane.one_per_key = true;
    settings.max_consecutive = 3;
    settings.lane.max_in_flight = 8;
    let mut bench = Bench::new(settings);
    // Two events fit on a connection; both are bad, and four good ones wait behind them.
    bench.opens = true;
    bench.read(&["bad-1", "bad-2"]);
    bench.sizes();
    let mut tickets = 2;
    bench.refuse(LinkId(1), 1);
    bench.refuse(LinkId(1), 2);
    bench.read(&["good"]);
    for _ in 0..12 {
        let Some((id, batch)) = bench.sent.pop() else {
            bench.pass(30 * SECOND);
            continue;
        };
        assert_eq!(id, LinkId(1));
        for ticket in batch {
            tickets = ticket;
            let good = bench.core.window.place(2) == super::window::Place::On(id);
            if good {
                bench.event(
                    id,
                    ConnectionEvent::Acknowledged {
                        tickets: vec![ticket],
                    },
                );
            } else {
                bench.refuse(id, ticket);
            }
        }
    }
    assert!(tickets > 2);
    let dead: Vec<u64> = bench
        .dead
        .iter()
        .map(|(sequence, _, _)| *sequence)
        .collect();
    assert!(
        bench.core.take_counts().forwarded >= 1,
        "the good one got its turn"
    );
    assert!(dead.len() <= 2 && !dead.contains(&3));
}

#[test]
fn one_event_that_ends_connections_does_not_stop_its_route_for_good() {
    let mut settings = core_settings();
    settings.max_consecutive = 2;
    let mut bench = Bench::new(settings);
    bench.read(&["poison", "good"]);
    for _ in 0..100 {
        for id in std::mem::take(&mut bench.probes) {
            bench.event(id, ConnectionEvent::Proven);
        }
        for (id, tickets) in std::mem::take(&mut bench.sent) {
            if bench.core.window.place(0) == super::window::Place::On(id) {
                bench.lose(id, ConnectFailureKind::Ended);
            } else {
                bench.confirm(id, *tickets.last().unwrap());
            }
        }
        bench.pass(31 * SECOND);
    }
    assert!(
        bench.core.take_counts().forwarded >= 1,
        "the good one was delivered"
    );
}

fn lazy() -> Bench {
    Bench::new(CoreSettings {
        lazy: true,
        max_connections: 1,
        ..core_settings()
    })
}

#[test]
fn a_lazy_lane_connects_for_events_only_and_gives_the_connection_back() {
    let mut bench = lazy();
    bench.run();
    bench.pass(60 * SECOND);
    assert_eq!(bench.attempts, 0);
    bench.read(&["a"]);
    let id = bench.sent[0].0;
    bench.confirm(id, 1);
    bench.pass(4 * SECOND);
    assert_eq!(bench.ended, [] as [&str; 0]);
    bench.pass(2 * SECOND);
    assert_eq!((bench.attempts, &*bench.ended), (1, &["released"][..]));
    bench.read(&["a"]);
    assert_eq!((bench.attempts, bench.sent.len()), (2, 2));
}

#[test]
fn a_lazy_lane_that_loses_an_idle_connection_waits_for_the_next_event() {
    let mut bench = lazy();
    bench.read(&["a"]);
    let id = bench.sent[0].0;
    bench.confirm(id, 1);
    bench.lose(id, ConnectFailureKind::Ended);
    bench.pass(60 * SECOND);
    assert_eq!(bench.attempts, 1);
    bench.read(&["a"]);
    assert_eq!(bench.attempts, 2);
}

#[test]
fn a_lazy_lane_comes_back_for_an_event_that_was_refused() {
    let mut bench = lazy();
    bench.core.settings.retry_wait = 60 * SECOND;
    bench.read(&["a"]);
    let id = bench.sent[0].0;
    bench.refuse(id, 1);
    bench.lose(id, ConnectFailureKind::Ended);
    bench.pass(61 * SECOND);
    assert_eq!((bench.attempts, bench.sent.len()), (2, 2));
}
