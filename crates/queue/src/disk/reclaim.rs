//! How space is given back: segments that everybody has passed are deleted, oldest first.
//!
//! An empty file says by its name up to which segment everything was passed. It is renamed, and the
//! directory synced, before a segment is deleted: so opening can tell a deleted segment from a lost
//! one, even if the cursors that had passed it were lost with the power. All that works on a full
//! disk. The deletion itself needs no sync: a file that comes back is only deleted again.

use std::io;
use std::time::{Duration, Instant};

use tracing::warn;

use super::consumer::Consumer;
use super::files::Files;
use super::frame::{Kind, Place, Scanner};
use super::ledger::{Count, Ledger};
use super::segment::{self, FILE_HEADER, Segment};
use super::state::State;
use super::writer::{BOOKS, Problem, Writer};
use crate::Sequence;

/// What was delivered is kept as long as its ids are needed to tell repeats: for as long as senders
/// try again, ...
pub(super) const RECENT: Duration = Duration::from_secs(15 * 60);
/// ... for as many events as their ids are remembered, ...
pub(super) const RECENT_EVENTS: u64 = 65_536;
/// ... and never more than this.
pub(super) const RECENT_BYTES: u64 = 64 << 20;

/// A settled head of this size is closed when it is idle, so that its space comes back.
const WORTH_CLOSING: u64 = 1 << 20;
/// How long nothing was appended to an idle head.
const IDLE: Duration = Duration::from_secs(1);

/// The longest time after which the clock is asked again: it may have been set.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// After a file could not be deleted.
const DELETE_AGAIN: Duration = Duration::from_secs(10);

/// What stands in the way of a write that needs room.
enum Step {
    /// Nothing.
    Fits,
    /// The oldest segment, which everybody has passed.
    DeleteOldest,
    /// The head, which everybody has passed.
    CloseHead,
    /// A consumer that nobody works for: it is to pass everything up to here.
    Lose { consumer: u32, to: Sequence },
    /// What somebody still wants; there is more than there may be, for a moment.
    Nothing,
}

impl Writer {
    /// Deletes what everybody has passed and nobody may ask for again.
    pub(super) fn reclaim(&mut self) -> Result<(), Problem> {
        let now = Instant::now();
        if self.undeletable && self.look_at.is_some_and(|at| now < at) {
            return Ok(());
        }
        loop {
            let state = self.shared.state();
            if !state.is_oldest_passed() {
                self.look_at = self.idle_at(&state);
                break;
            }
            if let Some(keep) = self.keep(&state) {
                let idle = self.idle_at(&state);
                self.look_at = [Some(now + keep), idle].into_iter().flatten().min();
                break;
            }
            drop(state);
            if let Err(problem) = self.delete_oldest() {
                if !self.undeletable {
                    warn!(%problem, "what everybody has passed cannot be deleted");
                }
                self.undeletable = true;
                self.look_at = Some(now + DELETE_AGAIN);
                return Ok(());
            }
            self.undeletable = false;
        }
        if self.look_at.is_some_and(|at| at <= now) {
            self.roll()?;
            // It may be deleted at once.
            self.look_at = Some(now);
        }
        Ok(())
    }

    /// When the head is to be closed for being idle, if nothing happens until then.
    fn idle_at(&self, state: &State) -> Option<Instant> {
        let head = self.head.as_ref()?;
        let worth = WORTH_CLOSING.min(self.shared.settings.segment_size() / 2);
        let idle = head.end - state.base > worth && state.passed_by_all() == state.taken;
        idle.then_some(self.last_batch + IDLE)
    }

    /// How long the oldest segment is still kept though everybody has passed it; none if it is not.
    fn keep(&self, state: &State) -> Option<Duration> {
        let accepted = state.segments.front().and_then(|oldest| oldest.accepted)?;
        let age = (self.shared.clock)().saturating_sub(accepted.newest);
        let left = |most: Duration, age: i64| {
            let age = Duration::from_millis(u64::try_from(age).unwrap_or(0));
            most.checked_sub(age).filter(|left| !left.is_zero())
        };
        let all = state.stored_bytes();
        let recent_bytes = RECENT_BYTES.min(self.shared.settings.limits.max_bytes / 4);
        let is_recent = all <= recent_bytes && state.taken - state.newest_in(0) < RECENT_EVENTS;
        // Senders that try again, and pollers that go on, do not see the time pass in which kete
        // did not run.
        let awake = if accepted.newest <= self.slept.since {
            age.saturating_sub(self.slept.millis)
        } else {
            age
        };
        let recent = is_recent.then(|| left(RECENT, awake)).flatten();
        let retained = self.shared.settings.retain.and_then(|retain| {
            let passed = state.passed_by_all();
            let is_passed = |index: &usize| state.newest_in(*index) <= passed;
            let passed = (0..state.segments.len() - 1).take_while(is_passed);
            let bytes: u64 = passed.map(|index| state.segments[index].size).sum();
            let fits = retain.bytes.is_none_or(|most| bytes <= most);
            let kept = |most| left(most, age);
            fits.then(|| retain.age.map_or(Some(LOOK_AGAIN), kept))
                .flatten()
        });
        Some(recent.max(retained)?.min(LOOK_AGAIN))
    }

    /// Deletes the oldest segment, which everybody has passed.
    pub(super) fn delete_oldest(&mut self) -> Result<(), Problem> {
        // Taken out first, so that nobody new begins with it.
        let Some(oldest) = self.shared.state().take_passed() else {
            return Ok(());
        };
        let name = segment::name(oldest.number);
        let marked = self.mark_passed(oldest.number);
        let deleted = marked.and_then(|()| match self.shared.files.remove(&name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        });
        if let Err(error) = deleted {
            let problem = self.problem(oldest.number, &error);
            self.shared.state().segments.push_front(oldest);
            return Err(problem);
        }
        self.shared.announce_room();
        Ok(())
    }

    /// Notes on the disk that everybody has passed this segment.
    fn mark_passed(&mut self, number: u64) -> io::Result<()> {
        let (files, mark) = (&self.shared.files, segment::mark(number));
        match self.mark {
            Some(known) if known == number => {}
            Some(known) => match files.rename(&segment::mark(known), &mark) {
                // Somebody took it away.
                Err(error) if error.kind() == io::ErrorKind::NotFound => drop(files.create(&mark)?),
                renamed => renamed?,
            },
            None => drop(files.create(&mark)?),
        }
        self.mark = Some(number);
        files.sync_names()
    }

    /// Makes room for `bytes` more in the files, as far as that hurts nobody who is at work.
    /// Returns whether they have to go into a new segment for that.
    pub(super) fn make_room(&mut self, bytes: u64) -> Result<bool, Problem> {
        loop {
            match self.step(bytes) {
                Step::Fits | Step::Nothing => return Ok(false),
                Step::CloseHead => return Ok(true),
                Step::DeleteOldest => self.delete_oldest()?,
                Step::Lose { consumer, to } => self.lose(consumer, to)?,
            }
        }
    }

    fn step(&self, bytes: u64) -> Step {
        let limits = &self.shared.settings.limits;
        let state = self.shared.state();
        if let Some(step) = detached_beyond(&state, limits.max_events) {
            return step;
        }
        if state.stored_bytes() + bytes + state.base <= limits.max_bytes {
            return Step::Fits;
        }
        if state.is_oldest_passed() {
            return Step::DeleteOldest;
        }
        let passed = state.passed_by_all();
        let head_is_worth_it = self.head.as_ref().is_some_and(|head| head.end > state.base);
        if state.segments.len() == 1 && passed == state.newest && head_is_worth_it {
            return Step::CloseHead;
        }
        let to = state.newest_in(state.segment_of(passed + 1).unwrap_or(0));
        let to = to.min(self.ledger.newest);
        let mut detached = state.known().filter(|one| is_detached(one));
        let holder = detached.find(|one| one.cursor(state.newest) == passed);
        match holder {
            Some(holder) if to > passed => Step::Lose {
                consumer: holder.number,
                to,
            },
            _ => Step::Nothing,
        }
    }

    /// Lets a consumer that nobody works for pass everything up to a segment's end.
    fn lose(&mut self, number: u32, to: Sequence) -> Result<(), Problem> {
        let wanted = self.wanted_up_to(number, to)?;
        let mut state = self.shared.state();
        let newest = state.newest;
        // Somebody may have begun to work for it in the meantime.
        let detached = |one: &&mut Consumer| is_detached(one) && one.cursor(newest) < to;
        let Some(consumer) = state.consumer(number).filter(detached) else {
            return Ok(());
        };
        let lost = consumer.lose(to, wanted);
        let (route, left) = (consumer.name.to_string(), consumer.unsettled().events);
        state.moved += 1;
        drop(state);
        warn!(
            route,
            lost,
            left,
            "the queue is full, and a route that nobody works for lost its oldest events; \
             `kete queue forget {route}` gives its space back"
        );
        Ok(())
    }

    /// All that a consumer ever wanted up to the end of a segment.
    fn wanted_up_to(&self, number: u32, to: Sequence) -> Result<Count, Problem> {
        let state = self.shared.state();
        let born = state.consumers.get(&number).map_or(0, |one| one.born);
        let begins_after = |segment: &&Segment| segment.newest_before == to;
        let next = state.segments.iter().rev().find(begins_after).cloned();
        drop(state);
        let known = |ledger: &Ledger| ledger.consumers.get(&number).map(|one| one.wanted);
        match next {
            Some(next) => wanted_before(&*self.shared.files, &next, number, born),
            None => known(&self.ledger).ok_or_else(|| BOOKS.to_owned()),
        }
        .map_err(Problem::from)
    }
}

/// All that a consumer, who was added when `born` was the newest record, ever wanted before this
/// segment.
pub(super) fn wanted_before(
    files: &dyn Files,
    segment: &Segment,
    number: u32,
    born: Sequence,
) -> Result<Count, String> {
    if segment.newest_before <= born {
        return Ok(segment.for_all_before);
    }
    let name = segment::name(segment.number);
    let start = Place {
        segment: segment.number,
        offset: FILE_HEADER as u64,
    };
    let file = files
        .open(&name)
        .map_err(|error| format!("{}: {error}", files.path(&name).display()))?;
    let mut scanner = Scanner::new(&*file, start, segment.end);
    let frame = scanner.next().ok().flatten();
    let snapshot = frame.filter(|frame| frame.kind == Kind::Snapshot);
    let ledger = snapshot.and_then(|frame| Ledger::of_snapshot(frame.payload).ok());
    let wanted = ledger.and_then(|ledger| Some(ledger.consumers.get(&number)?.wanted));
    wanted.ok_or_else(|| {
        let what = "what stands at the beginning is not what was written";
        segment::damaged(files, files.path(&name), start.offset, what)
    })
}

/// Whether nobody works for this consumer, and it wants something.
fn is_detached(consumer: &Consumer) -> bool {
    consumer.limits.is_none() && consumer.stored && consumer.is_behind()
}

/// A consumer that nobody works for and that is further behind than the log may be.
fn detached_beyond(state: &State, max_events: u64) -> Option<Step> {
    for consumer in state.known().filter(|one| is_detached(one)) {
        let cursor = consumer.cursor(state.newest);
        let Some(segment) = state.segment_of(cursor + 1) else {
            continue;
        };
        if state.newest - cursor > max_events && segment + 1 < state.segments.len() {
            return Some(Step::Lose {
                consumer: consumer.number,
                to: state.newest_in(segment),
            });
        }
    }
    None
}
