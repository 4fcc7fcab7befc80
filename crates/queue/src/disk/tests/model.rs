//! The log against a simple model, under random operations on a disk that fails and loses power.
//!
//! What must hold: an event whose receipt settled is never lost for a consumer that wanted it; the
//! order is kept; a cursor never passes what is not settled; lag and what is read are what the model
//! says; batches and what the source remembers with them are there together or not at all; what
//! comes again had not been passed by the cursor.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::super::{Disk, DiskSettings, Sync};
use super::faulty::Faulty;
use super::support::{Hands, PATIENT, SETTINGS, draft, run, try_open};
use crate::{
    Batch, ConsumerId, Limits, NotTaken, Queue, ReadError, Receipt, RejectReason, Sequence,
    SourceState, StartFrom,
};

const NAMES: [&str; 3] = ["one", "two", "three"];
const SIZES: [usize; 4] = [10, 600, 20_000, 70_000];
const SOON: Duration = Duration::from_secs(20);

#[derive(Debug, Clone)]
enum Step {
    /// For each event who wants it, as bits, and its size.
    Append(Vec<(u8, usize)>, bool),
    /// Who, how far behind the cursor it begins, how many.
    Settle(usize, u64, u64),
    SettleAll(usize),
    Attach(usize, bool),
    Detach(usize),
    Forget(usize),
    /// So many out of a thousand actions of the disk fail.
    Faults(u64),
    Wait,
    Close,
    Kill,
    PowerLoss,
}

fn step() -> impl Strategy<Value = Step> {
    let event = (0_u8..8, prop::sample::select(&SIZES[..]));
    let who = || 0..NAMES.len();
    prop_oneof![
        12 => (prop::collection::vec(event, 1..5), any::<bool>())
            .prop_map(|(events, state)| Step::Append(events, state)),
        6 => (who(), 0_u64..4, 1_u64..6).prop_map(|(who, from, count)| Step::Settle(who, from, count)),
        3 => who().prop_map(Step::SettleAll),
        2 => (who(), any::<bool>()).prop_map(|(who, earliest)| Step::Attach(who, earliest)),
        1 => who().prop_map(Step::Detach),
        1 => who().prop_map(Step::Forget),
        2 => prop::sample::select(vec![0, 30, 300]).prop_map(Step::Faults),
        2 => Just(Step::Wait),
        1 => Just(Step::Close),
        1 => Just(Step::Kill),
        2 => Just(Step::PowerLoss),
    ]
}

struct Event {
    number: u64,
    cost: u64,
    receipt: Receipt,
}

#[derive(Default)]
struct Consumer {
    name: usize,
    attached: bool,
    /// The newest record when it was added. Until a later one is safe, it may not be.
    born: Sequence,
    /// What it wants, and whether it has settled that.
    wanted: BTreeMap<Sequence, bool>,
    dropped: u64,
}

/// A batch with what the source is to remember.
struct Remembered {
    last: Sequence,
    text: String,
}

struct Model {
    files: Faulty,
    settings: DiskSettings,
    disk: Option<Disk>,
    events: BTreeMap<Sequence, Event>,
    /// The last record of each batch.
    ends: BTreeSet<Sequence>,
    remembered: Vec<Remembered>,
    /// By number; forgotten ones stay, for a crash may undo that.
    consumers: BTreeMap<u32, Consumer>,
    live: [Option<u32>; NAMES.len()],
    next: u64,
    failing: bool,
    /// Whether it was since the log was opened.
    has_failed: bool,
}

impl Consumer {
    fn unsettled(&self) -> impl Iterator<Item = Sequence> {
        let open = self.wanted.iter().filter(|(_, settled)| !**settled);
        open.map(|(sequence, _)| *sequence)
    }

    /// The last that it has settled before the first that it has not.
    fn passed(&self) -> Sequence {
        let settled = self.wanted.iter().take_while(|(_, settled)| **settled);
        settled.last().map_or(0, |(sequence, _)| *sequence)
    }
}

impl Model {
    fn new(seed: u64, sync: Sync) -> Model {
        let limits = Limits {
            max_bytes: 1 << 20,
            ..SETTINGS.limits
        };
        let mut model = Model {
            files: Faulty::seeded(seed),
            settings: DiskSettings {
                limits,
                sync,
                ..SETTINGS
            },
            disk: None,
            events: BTreeMap::new(),
            ends: BTreeSet::from([0]),
            remembered: Vec::new(),
            consumers: BTreeMap::new(),
            live: [None; NAMES.len()],
            next: 1,
            failing: false,
            has_failed: false,
        };
        model.open();
        model
    }

    fn disk(&self) -> &Disk {
        self.disk.as_ref().unwrap()
    }

    fn open(&mut self) {
        self.files.fail_often(0);
        self.failing = false;
        self.has_failed = false;
        let opened = try_open(&self.files, self.settings, &Hands::default());
        let names = self.files.names();
        let (disk, _) = opened.unwrap_or_else(|error| panic!("{error}, there is {names:?}"));
        self.disk = Some(disk);
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Append(events, state) => self.append(&events, state).await,
            Step::Settle(who, from, count) => self.settle(who, from, count).await,
            Step::SettleAll(who) => self.settle(who, 0, 1000).await,
            Step::Attach(who, earliest) => self.attach(who, earliest).await,
            Step::Detach(who) => {
                if let Some(number) = self.live[who] {
                    self.disk().detach(ConsumerId(number));
                    self.consumers.get_mut(&number).unwrap().attached = false;
                }
            }
            Step::Forget(who) => self.forget(who),
            Step::Faults(per_mille) => {
                self.files.fail_often(per_mille);
                self.failing = per_mille > 0;
                self.has_failed |= self.failing;
            }
            Step::Wait => self.wait().await,
            Step::Close => self.close().await,
            Step::Kill => self.crash(false).await,
            Step::PowerLoss => self.crash(true).await,
        }
        self.check().await;
    }

    async fn append(&mut self, events: &[(u8, usize)], state: bool) {
        let mut batch = Batch::default();
        let mut wanted = Vec::new();
        for (bits, size) in events {
            let wants = |who: &usize| {
                let number = self.live[*who].filter(|_| bits & (1 << who) != 0)?;
                self.consumers[&number]
                    .attached
                    .then_some(ConsumerId(number))
            };
            let who: Vec<ConsumerId> = (0..NAMES.len()).filter_map(|who| wants(&who)).collect();
            let number = self.next + wanted.len() as u64;
            batch.drafts.push(draft(number, *size, &who));
            wanted.push(who);
        }
        let text = format!("state {}", self.next);
        batch.state = state.then(|| SourceState {
            source: "source".into(),
            state: Bytes::from(text.clone()),
        });
        let costs: Vec<u64> = batch
            .drafts
            .iter()
            .map(|one| super::super::entry::count(one).lag().bytes)
            .collect();
        let count = batch.drafts.len();
        let appended = match self.disk().append(batch).await {
            Ok(appended) => appended,
            Err(rejected) => {
                assert_eq!(rejected.batch.drafts.len(), count);
                return self.check_refusal(&rejected.reason);
            }
        };
        let first = self.events.keys().next_back().map_or(1, |last| last + 1);
        assert_eq!(appended.sequences, first..first + count as u64);
        for ((sequence, who), cost) in appended.sequences.clone().zip(wanted).zip(costs) {
            for consumer in who {
                let consumer = self.consumers.get_mut(&consumer.0).unwrap();
                consumer.wanted.insert(sequence, false);
            }
            let (number, receipt) = (self.next, appended.receipt.clone());
            self.events.insert(
                sequence,
                Event {
                    number,
                    cost,
                    receipt,
                },
            );
            self.next += 1;
        }
        let last = appended.sequences.end - 1;
        self.ends.insert(last);
        if state {
            self.remembered.push(Remembered { last, text });
        }
    }

    fn check_refusal(&self, reason: &RejectReason) {
        match reason {
            RejectReason::Unwritable { .. } => assert!(self.has_failed),
            RejectReason::Full { route, lag, .. } => {
                let who = NAMES.iter().position(|name| **name == **route).unwrap();
                let consumer = &self.consumers[&self.live[who].unwrap()];
                assert!(consumer.attached);
                assert_eq!(lag.events, consumer.unsettled().count() as u64);
            }
            RejectReason::TooBig { .. } => panic!("{reason}"),
        }
    }

    /// Whether the writer has nothing left to try again.
    fn is_quiet(&self) -> bool {
        self.events.values().all(|event| event.receipt.is_settled())
    }

    async fn settle(&mut self, who: usize, behind: u64, count: u64) {
        let attached = |number: &u32| self.consumers[number].attached;
        let Some(number) = self.live[who].filter(attached) else {
            return;
        };
        if self.failing {
            // What is settled unread has to be looked up, which may fail now.
            self.read_all(number).await;
        }
        let newest = *self.disk().appended().borrow();
        let consumer = self.consumers.get_mut(&number).unwrap();
        let first = consumer.unsettled().next().unwrap_or(1) + behind;
        let last = (first + count - 1).min(newest);
        self.disk
            .as_ref()
            .unwrap()
            .settle(ConsumerId(number), &[first..=last]);
        for (_, settled) in consumer.wanted.range_mut(first..=last.max(first)) {
            *settled |= first <= last;
        }
    }

    async fn attach(&mut self, who: usize, earliest: bool) {
        let start = if earliest {
            StartFrom::Earliest
        } else {
            StartFrom::Now
        };
        self.wait().await;
        if let Some(number) = self.live[who] {
            let attached = self.consumers[&number].attached;
            let again = self.disk().consumer(NAMES[who], PATIENT, start);
            assert_eq!(again, ConsumerId(number));
            if !attached {
                let found = self.read_all(number).await;
                self.lose(number, found.first().map(|(sequence, _)| *sequence));
            }
            self.consumers.get_mut(&number).unwrap().attached = true;
            return;
        }
        let ConsumerId(number) = self.disk().consumer(NAMES[who], PATIENT, start);
        let mut consumer = Consumer {
            name: who,
            attached: true,
            born: self.events.keys().next_back().copied().unwrap_or(0),
            ..Consumer::default()
        };
        if earliest {
            let found = self.read_all(number).await;
            let first = found
                .first()
                .map_or(Sequence::MAX, |(sequence, _)| *sequence);
            let wanted = self
                .events
                .range(first..)
                .map(|(sequence, _)| (*sequence, false));
            consumer.wanted = wanted.collect();
            let live = self.live.iter().flatten().map(|one| &self.consumers[one]);
            for other in live.filter(|one| one.attached) {
                let oldest = other.unsettled().next();
                assert!(oldest.is_none_or(|oldest| oldest >= first));
            }
        }
        self.live[who] = Some(number);
        self.consumers.insert(number, consumer);
    }

    fn forget(&mut self, who: usize) {
        let Some(number) = self.live[who].take() else {
            return;
        };
        let forgotten = self.disk().forget(ConsumerId(number));
        let consumer = self.consumers.get_mut(&number).unwrap();
        // If nobody worked for it, it may have lost some before.
        assert!(!consumer.attached || forgotten == consumer.unsettled().count() as u64);
        // A crash may bring it back, but what only it wanted may be deleted.
        consumer.attached = false;
    }

    /// Waits until everything is safe.
    async fn wait(&mut self) {
        for event in self.events.values() {
            let settled = tokio::time::timeout(SOON, event.receipt.settled());
            settled.await.expect("it becomes safe").unwrap();
        }
    }

    async fn close(&mut self) {
        let disk = self.disk.take().unwrap();
        let quiet = !self.failing;
        let live = self.live.iter().flatten();
        let passed: Vec<_> = live
            .map(|one| (*one, self.consumers[one].passed()))
            .collect();
        let closed = disk.close().await;
        drop(disk);
        let promised = self.settings.sync != Sync::Never || !self.has_failed;
        self.open();
        self.check_after(promised).await;
        if closed.is_ok() && quiet {
            for (number, passed) in passed {
                let cursor = self.disk().cursor(ConsumerId(number));
                assert!(
                    cursor >= passed,
                    "{number} had passed {passed} and is at {cursor}"
                );
            }
        }
    }

    async fn crash(&mut self, power: bool) {
        self.files.kill();
        drop(self.disk.take());
        if power {
            self.files.restart_after_power_loss();
        } else {
            self.files.restart();
        }
        // Never means that only an end of kete is survived, as long as the disk is well.
        let promised = self.settings.sync != Sync::Never || !(power || self.has_failed);
        self.open();
        self.check_after(promised).await;
    }

    /// Compares what is there after a new start, and goes on from that. `promised`: whether what
    /// was settled must have survived.
    async fn check_after(&mut self, promised: bool) {
        let newest = *self.disk().appended().borrow();
        assert!(self.ends.contains(&newest), "{newest} ends no batch");
        for event in self.events.split_off(&(newest + 1)).into_values() {
            assert!(
                !promised || !event.receipt.is_settled(),
                "event {} is lost",
                event.number
            );
            if !event.receipt.is_settled() {
                assert_eq!(event.receipt.settled().await, Err(NotTaken));
            }
        }
        self.ends.split_off(&(newest + 1));
        self.remembered.retain(|one| one.last <= newest);
        let state = self.disk().source_state("source").await;
        let expected = self
            .remembered
            .last()
            .map(|one| Bytes::from(one.text.clone()));
        assert_eq!(state, expected);
        self.check_ids();
        let before = self.live;
        for (who, name) in NAMES.iter().enumerate() {
            let found = self.disk().find(name).map(|id| id.0);
            if let Some(live) = before[who].filter(|live| found != Some(*live)) {
                let consumer = &self.consumers[&live];
                let is_safe = |sequence: &Sequence| {
                    let event = self
                        .events
                        .get(sequence)
                        .filter(|_| *sequence > consumer.born);
                    event.is_some_and(|event| event.receipt.is_settled())
                };
                let lost = consumer.unsettled().filter(is_safe).count();
                assert!(!promised || lost == 0, "{name} is lost with {lost} events");
            }
            self.live[who] = found;
        }
        // Whatever is there now stays there, whether somebody was told before or not.
        for event in self.events.values_mut() {
            event.receipt = Receipt::safe();
        }
        let live = self.live;
        self.consumers
            .retain(|number, _| live.contains(&Some(*number)));
        for number in live.iter().flatten() {
            self.check_cursor(*number, newest);
            let name = NAMES[self.consumers[number].name];
            self.disk().consumer(name, PATIENT, StartFrom::Now);
            self.consumers.get_mut(number).unwrap().attached = true;
        }
    }

    /// The ids of the newest events are those of the newest events.
    fn check_ids(&self) {
        let ids: Vec<u64> = self
            .disk()
            .taken_ids()
            .iter()
            .map(|taken| taken.id.parse().unwrap())
            .collect();
        let all: Vec<u64> = self.events.values().map(|event| event.number).collect();
        assert!(all.ends_with(&ids), "{ids:?} is not the end of {all:?}");
    }

    fn status(&self, number: u32) -> Option<crate::ConsumerStatus> {
        let name = NAMES[self.consumers[&number].name];
        self.disk()
            .consumers()
            .into_iter()
            .find(|status| *status.name == *name)
    }

    fn check_cursor(&mut self, number: u32, newest: Sequence) {
        let cursor = self.disk().cursor(ConsumerId(number));
        let status = self.status(number).unwrap();
        let consumer = self.consumers.get_mut(&number).unwrap();
        consumer.wanted.split_off(&(newest + 1));
        let passed = consumer.wanted.range(..=cursor);
        let lost = passed.filter(|(_, settled)| !**settled).count() as u64;
        let dropped = status.dropped.saturating_sub(consumer.dropped);
        // What was lost at a bound just before a crash may not be counted.
        assert!(
            lost <= dropped || !consumer.attached,
            "the cursor {cursor} passes {lost} events, {dropped} dropped"
        );
        consumer.dropped = status.dropped;
        consumer.wanted = consumer.wanted.split_off(&(cursor + 1));
        // What it settled out of order comes again.
        consumer
            .wanted
            .values_mut()
            .for_each(|settled| *settled = false);
    }

    async fn check(&mut self) {
        for number in self.live.into_iter().flatten() {
            let detached = !self.consumers[&number].attached;
            let quiet = self.is_quiet();
            if detached && !quiet {
                // It may lose something at any moment.
                continue;
            }
            let found = self.read_all(number).await;
            if detached {
                self.lose(number, found.first().map(|(sequence, _)| *sequence));
            }
            let consumer = &self.consumers[&number];
            let unsettled: Vec<Sequence> = consumer.unsettled().collect();
            let number_of = |sequence: &Sequence| (*sequence, self.events[sequence].number);
            let expected: Vec<(Sequence, u64)> = unsettled.iter().map(number_of).collect();
            // The writer may have made more readable since.
            assert!(
                expected.starts_with(&found),
                "{expected:?} does not begin with {found:?}"
            );
            assert!(
                !quiet || expected.len() == found.len(),
                "{expected:?} is not {found:?}"
            );
            let lag = self.disk().lag(ConsumerId(number));
            assert_eq!(lag.events, unsettled.len() as u64);
            let bytes: u64 = unsettled
                .iter()
                .map(|sequence| self.events[sequence].cost)
                .sum();
            assert_eq!(lag.bytes, bytes);
        }
        let behind = self
            .live
            .iter()
            .flatten()
            .any(|number| self.consumers[number].unsettled().next().is_some());
        assert_eq!(self.disk().usage().events > 0, behind);
    }

    /// A consumer that nobody works for may have lost its oldest; it says how many.
    fn lose(&mut self, number: u32, first: Option<Sequence>) {
        let lag = self.disk().lag(ConsumerId(number)).events;
        let Some(status) = self.status(number) else {
            return;
        };
        let consumer = self.consumers.get_mut(&number).unwrap();
        let lost = (consumer.unsettled().count() as u64).saturating_sub(lag);
        let oldest: Vec<Sequence> = consumer.unsettled().take(lost as usize).collect();
        assert_eq!(status.dropped - consumer.dropped, lost);
        assert!(
            oldest
                .iter()
                .all(|sequence| first.is_none_or(|first| *sequence < first))
        );
        consumer.dropped = status.dropped;
        for sequence in oldest {
            consumer.wanted.insert(sequence, true);
        }
    }

    async fn read_all(&self, number: u32) -> Vec<(Sequence, u64)> {
        let (mut from, mut found) = (1, Vec::new());
        loop {
            let slice = match self.disk().read(ConsumerId(number), from, 7, 100_000).await {
                Ok(slice) => slice,
                Err(ReadError::Storage(error)) => {
                    assert!(self.failing, "{error}");
                    continue;
                }
                Err(error) => panic!("{error}"),
            };
            for record in &slice.records {
                let event = u64::from_le_bytes(*record.body.first_chunk().unwrap());
                found.push((record.sequence, event));
            }
            if slice.next <= from {
                return found;
            }
            from = slice.next;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 2000, ..Default::default() })]

    #[test]
    fn the_log_does_what_the_model_does(
        seed: u64,
        mode in 0_usize..3,
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let modes = [Sync::Always, Sync::Interval(Duration::from_millis(2)), Sync::Never];
        run(async move {
            let mut model = Model::new(seed, modes[mode]);
            model.step(Step::Attach(0, false)).await;
            model.step(Step::Attach(1, false)).await;
            for step in steps {
                model.step(step).await;
            }
            model.step(Step::Faults(0)).await;
            model.step(Step::Wait).await;
            model.step(Step::Close).await;
        });
    }
}
