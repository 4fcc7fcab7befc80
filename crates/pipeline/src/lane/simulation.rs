//! A lane against a simulated server, with faults at every point, and the promises it must keep.
//!
//! Random steps first: events come in, connections open, fail, break, answer or stay silent. Then
//! the world is well again, and everything must come to its end.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::core::{Action, Core, CoreSettings};
use super::links::LinkId;
use super::tests::{core_settings, lost, record};
use super::window::Place;
use crate::{ConnectFailureKind, ConnectionEvent, EventFailure, Outgoing, Prepared};

enum Message {
    Event(u64, u64),
    Probe,
}

struct World {
    core: Core,
    now: Instant,
    keys: u64,
    next: u64,
    connecting: bool,
    inboxes: BTreeMap<LinkId, VecDeque<Message>>,
    key_of: HashMap<u64, u64>,
    /// Events that end the connection when the server reads them.
    poison: BTreeSet<u64>,
    /// Events that the server refuses in its acknowledgement.
    unwanted: BTreeSet<u64>,
    acks: bool,
    /// The first arrival of each event, in order.
    arrived: Vec<u64>,
    dead: BTreeSet<u64>,
    /// How often each event was handed to a connection.
    sent: HashMap<u64, u32>,
}

impl World {
    fn new(settings: CoreSettings, acks: bool) -> World {
        World {
            core: Core::new(settings),
            now: Instant::now(),
            keys: 5,
            next: 1,
            connecting: false,
            inboxes: BTreeMap::new(),
            key_of: HashMap::new(),
            poison: BTreeSet::new(),
            unwanted: BTreeSet::new(),
            acks,
            arrived: Vec::new(),
            dead: BTreeSet::new(),
            sent: HashMap::new(),
        }
    }

    fn read(&mut self, count: usize, salt: u64) {
        for number in 0..count as u64 {
            if self.core.room().0 == 0 {
                return;
            }
            let (sequence, key) = (self.next, (self.next * 7 + salt + number) % self.keys);
            self.next += 1;
            self.key_of.insert(sequence, key);
            let payload = bytes::Bytes::from(sequence.to_string());
            let prepared = Prepared {
                subject: Arc::from("e"),
                payload,
            };
            self.core
                .read(record(sequence, &format!("user-{key}")), Ok(prepared));
        }
    }

    fn step(&mut self) {
        self.core.advance(self.now);
        for action in self.core.take_actions() {
            match action {
                Action::Connect => {
                    assert!(!self.connecting, "two attempts at once");
                    self.connecting = true;
                }
                Action::Send(id, batch) => {
                    for sent in &batch {
                        let times = self.sent.entry(number(sent)).or_default();
                        *times += 1;
                        assert_eq!(sent.attempt, *times, "an attempt is counted wrongly");
                    }
                    let inbox = self.inboxes.get_mut(&id).unwrap();
                    inbox.extend(
                        batch
                            .iter()
                            .map(|sent| Message::Event(sent.ticket, number(sent))),
                    );
                }
                Action::Probe(id) => self.inboxes.get_mut(&id).unwrap().push_back(Message::Probe),
                Action::Release(id) | Action::Close(id) => {
                    assert!(
                        self.inboxes.remove(&id).unwrap().is_empty(),
                        "given back too early"
                    );
                }
                Action::Abort(id) => drop(self.inboxes.remove(&id)),
                Action::DeadLetter(doomed) => {
                    assert!(self.dead.insert(doomed.record.sequence), "dead twice");
                    self.core.dead_letter_stored(doomed.ordinal);
                }
            }
        }
        self.check();
    }

    /// What must hold at every moment.
    fn check(&self) {
        let deadline = self.core.deadline();
        assert!(
            deadline.is_none_or(|at| at > self.now),
            "it would wake up at once, again and again"
        );
        let mut links_of: HashMap<u64, BTreeSet<LinkId>> = HashMap::new();
        let mut on_of: HashMap<u64, usize> = HashMap::new();
        for ordinal in 0..self.next {
            let Some(item) = self.core.window.item(ordinal) else {
                continue;
            };
            if let Place::On(link) = item.place {
                let key = self.key_of[&item.record.sequence];
                links_of.entry(key).or_default().insert(link);
                *on_of.entry(key).or_default() += 1;
            }
        }
        assert!(
            links_of.values().all(|links| links.len() == 1),
            "a key on two connections"
        );
        if self.acks {
            assert!(
                on_of.values().all(|on| *on == 1),
                "two unanswered events of one key"
            );
        }
        let per_connection = self.core.settings.lane.per_connection();
        assert!(
            self.core
                .links
                .iter()
                .all(|link| link.outstanding() <= per_connection)
        );
        assert!(self.core.links.len() <= self.core.settings.max_connections);
    }

    fn connect(&mut self, works: bool) {
        if !std::mem::take(&mut self.connecting) {
            return;
        }
        if works {
            let id = self.core.connected(self.now);
            self.inboxes.insert(id, VecDeque::new());
        } else {
            let failure = lost(ConnectFailureKind::Unreachable);
            self.core.connect_failed(&failure, self.now);
        }
    }

    fn pick(&self, choice: u64) -> Option<LinkId> {
        let count = self.inboxes.len() as u64;
        (count > 0).then(|| *self.inboxes.keys().nth((choice % count) as usize).unwrap())
    }

    /// The server reads some messages, and answers if `answers`.
    fn serve(&mut self, id: LinkId, count: usize, answers: bool) {
        let mut through = 0;
        for _ in 0..count {
            let Some(message) = self.inboxes.get_mut(&id).and_then(VecDeque::pop_front) else {
                break;
            };
            match message {
                Message::Probe if answers => {
                    self.core.event(id, ConnectionEvent::Proven, self.now);
                    self.step();
                }
                Message::Probe => {}
                Message::Event(_, event) if self.poison.contains(&event) => return self.cut(id),
                Message::Event(ticket, event) => {
                    through = ticket;
                    self.receive(id, ticket, event, answers);
                }
            }
        }
        if through > 0 && answers && !self.acks {
            self.core
                .event(id, ConnectionEvent::Confirmed { through }, self.now);
        }
    }

    fn receive(&mut self, id: LinkId, ticket: u64, event: u64, answers: bool) {
        let refused = self.unwanted.contains(&event);
        if !refused && !self.arrived.contains(&event) {
            self.arrived.push(event);
        }
        if !self.acks || !answers {
            return;
        }
        let answer = if refused {
            let failure = EventFailure::Refused {
                detail: "no".to_owned(),
            };
            ConnectionEvent::Failed { ticket, failure }
        } else {
            ConnectionEvent::Acknowledged {
                tickets: vec![ticket],
            }
        };
        self.core.event(id, answer, self.now);
        self.step();
    }

    fn cut(&mut self, id: LinkId) {
        self.inboxes.remove(&id);
        let ended = ConnectionEvent::Lost(lost(ConnectFailureKind::Ended));
        self.core.event(id, ended, self.now);
    }

    /// Cuts a connection, but never under a single event that is being looked at: three such
    /// coincidences in a row cannot be told from an event that does it.
    fn cut_by_chance(&mut self, choice: u64) {
        let Some(id) = self.pick(choice) else { return };
        if !self.core.recovery.in_trial() {
            self.cut(id);
        }
    }

    /// All faults are over: everything must come to its end.
    fn recover(&mut self) {
        for _ in 0..4000 {
            self.step();
            self.connect(true);
            self.step();
            for id in self.inboxes.keys().copied().collect::<Vec<_>>() {
                self.serve(id, usize::MAX, true);
                self.step();
            }
            if self.core.window.len() == 0 {
                return;
            }
            let soon = self.now + Duration::from_millis(10);
            self.now = self.core.deadline().map_or(soon, |at| at.max(soon));
        }
        panic!(
            "{} events are not settled: {:?}",
            self.core.window.len(),
            self.core
        );
    }

    fn check_end(&mut self) {
        if self.core.settings.lazy {
            self.is_left_alone();
        }
        let arrived: BTreeSet<u64> = self.arrived.iter().copied().collect();
        let all: BTreeSet<u64> = (1..self.next).collect();
        let bad: BTreeSet<u64> = self.poison.union(&self.unwanted).copied().collect();
        let bad: BTreeSet<u64> = bad.intersection(&all).copied().collect();
        assert_eq!(arrived, &all - &bad, "every good event arrives");
        assert_eq!(
            self.dead, bad,
            "every bad event, and no other, becomes a dead letter"
        );
        let mut last: HashMap<u64, u64> = HashMap::new();
        for event in &self.arrived {
            let before = last.insert(self.key_of[event], *event);
            assert!(before < Some(*event), "{before:?} before {event}");
        }
    }

    /// With nothing to send, a lazy core gives every connection back and opens no other.
    fn is_left_alone(&mut self) {
        for _ in 0..3 {
            self.connect(true);
            self.now += Duration::from_secs(60);
            self.step();
        }
        assert!(
            self.inboxes.is_empty() && !self.connecting,
            "{:?}",
            self.core
        );
    }

    fn random_step(&mut self, step: (u8, u8)) {
        let (what, how) = (step.0 % 10, u64::from(step.1));
        match what {
            0 | 1 => self.read(how as usize % 12 + 1, how),
            2 => self.connect(how % 4 != 0),
            3..=5 => {
                if let Some(id) = self.pick(how) {
                    self.serve(id, how as usize % 7 + 1, how % 5 != 0);
                }
            }
            6 => self.cut_by_chance(how),
            7 => self.now += Duration::from_millis(how * 10),
            8 => self.now += Duration::from_secs(how / 8),
            _ => self.core.retire_all(),
        }
        self.step();
    }
}

fn number(sent: &Outgoing) -> u64 {
    std::str::from_utf8(&sent.prepared.payload)
        .unwrap()
        .parse()
        .unwrap()
}

fn steps() -> impl Strategy<Value = Vec<(u8, u8)>> {
    prop::collection::vec((any::<u8>(), any::<u8>()), 1..250)
}

proptest! {
    #[test]
    fn with_barriers_everything_arrives_in_order_and_poison_alone_is_given_up(
        steps in steps(),
        poison in prop::collection::btree_set(1_u64..200, 0..4),
        max_connections in 1_usize..4,
        lazy in any::<bool>(),
    ) {
        let settings = CoreSettings { max_connections, lazy, ..core_settings() };
        let mut world = World::new(settings, false);
        world.poison = poison;
        for step in steps {
            world.random_step(step);
        }
        world.recover();
        world.check_end();
    }

    #[test]
    fn with_acks_everything_arrives_in_order_and_the_refused_are_given_up(
        steps in steps(),
        unwanted in prop::collection::btree_set(1_u64..200, 0..6),
        max_connections in 1_usize..4,
        lazy in any::<bool>(),
    ) {
        let mut settings = CoreSettings { max_connections, lazy, ..core_settings() };
        settings.lane.one_per_key = true;
        let mut world = World::new(settings, true);
        world.unwanted = unwanted;
        for step in steps {
            world.random_step(step);
        }
        world.recover();
        world.check_end();
    }
}
