//! Which events of one connection have arrived, and when to ask: a state machine without a socket.
//!
//! What was sent and what was answered goes in; the next [`Question`] and reports for the lane come
//! out. Questions and acknowledgements are numbered for the whole life of the connection, while
//! tickets start again each time it is lent, so a late answer can never confirm a later event.
//!
//! When to ask, with [`Confirm::Barrier`] and [`Confirm::Written`]: after a batch if no question is
//! open, else when [`EVERY`] events have not been asked about, else when an answer arrives. A lone
//! event is asked about at once, a burst once per round trip, and never is more than that unasked.
//! Reports are merged until they are taken, so there are never more of them than events in flight.

use std::collections::{HashMap, VecDeque};

use kete_pipeline::{ConnectionEvent, EventFailure};
use kete_socketio::Emit;

use super::settings::{Confirm, ErrorPointer};

/// The most events that are sent without a question behind them.
pub(crate) const EVERY: usize = 256;

/// How many numbers a [`Question::Life`] takes.
pub(crate) const LIFE_NUMBERS: u64 = 2;

/// What to ask of the connection, in order with the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// Has the server read everything before this?
    Barrier(u64),
    /// Was everything before this handed to the operating system?
    Flushed(u64),
    /// Does the server answer at all? May be asked in [`LIFE_NUMBERS`] ways, numbered from here.
    Life(u64),
}

/// The state.
#[derive(Debug)]
pub(crate) struct Confirmation {
    confirm: Confirm,
    next_question: u64,
    next_ack: u32,
    /// Open questions about events, oldest first.
    open: VecDeque<Open>,
    /// Events that were sent after the last question.
    unasked: usize,
    last_sent: u64,
    confirmed: u64,
    /// The tickets of events whose acknowledgement is missing, by acknowledgement id.
    acks: HashMap<u32, u64>,
    /// The first number of an open question whether the server answers at all.
    probe: Option<u64>,
    reports: Reports,
}

#[derive(Debug)]
struct Open {
    number: u64,
    through: u64,
}

#[derive(Debug, Default)]
struct Reports {
    failed: VecDeque<(u64, EventFailure)>,
    acknowledged: Vec<u64>,
    confirmed: Option<u64>,
    proven: bool,
}

impl Confirmation {
    /// `next_question` is the first number that was not used on the connection yet.
    pub(crate) fn new(confirm: Confirm, next_question: u64) -> Confirmation {
        Confirmation {
            confirm,
            next_question,
            next_ack: 0,
            open: VecDeque::new(),
            unasked: 0,
            last_sent: 0,
            confirmed: 0,
            acks: HashMap::new(),
            probe: None,
            reports: Reports::default(),
        }
    }

    /// The connection is lent anew: tickets start at 1, old answers mean nothing.
    pub(crate) fn start_again(&mut self) {
        let next_ack = self.next_ack;
        *self = Confirmation::new(self.confirm, self.next_question);
        self.next_ack = next_ack;
    }

    /// The acknowledgement id that the next event has to ask for.
    pub(crate) fn next_ack(&self) -> Option<u32> {
        (self.confirm == Confirm::Ack).then_some(self.next_ack)
    }

    /// An event was handed to the connection, with the id that [`Confirmation::next_ack`] said.
    pub(crate) fn sent(&mut self, ticket: u64) {
        self.last_sent = ticket;
        if self.confirm != Confirm::Ack {
            self.unasked += 1;
            return;
        }
        self.acks.insert(self.next_ack, ticket);
        // A window holds far fewer events than there are ids, so the next one is free again.
        self.next_ack = (self.next_ack + 1) % Emit::ACK_LIMIT;
    }

    /// An event cannot be sent; the connection is fine.
    pub(crate) fn failed(&mut self, ticket: u64, failure: EventFailure) {
        self.reports.failed.push_back((ticket, failure));
    }

    /// The question that has to follow what was just sent, within a batch.
    pub(crate) fn question_if_many(&mut self) -> Option<Question> {
        (self.unasked >= EVERY).then(|| self.ask())
    }

    /// The question that has to follow a batch.
    pub(crate) fn question_after_batch(&mut self) -> Option<Question> {
        let silent = self.unasked > 0 && self.open.is_empty();
        (silent || self.unasked >= EVERY).then(|| self.ask())
    }

    /// Asks whether the server answers at all; the answer is [`ConnectionEvent::Proven`].
    pub(crate) fn probe(&mut self) -> Question {
        if self.confirm == Confirm::Barrier {
            let question = self.ask();
            self.probe = self.open.back().map(|open| open.number);
            return question;
        }
        let number = self.next_question;
        self.next_question += LIFE_NUMBERS;
        self.probe = Some(number);
        Question::Life(number)
    }

    /// In which of its ways the open question for a sign of life is answered by this number.
    pub(crate) fn way_of_life(&self, number: u64) -> Option<usize> {
        let way = number.checked_sub(self.probe?)?;
        (way < LIFE_NUMBERS).then_some(way as usize)
    }

    /// A barrier or a flush was answered. Everything asked before it is answered too. Returns the
    /// next question.
    pub(crate) fn answered(&mut self, number: u64) -> Option<Question> {
        while self.open.front().is_some_and(|open| open.number <= number) {
            if let Some(open) = self.open.pop_front() {
                self.confirm_through(open.through);
            }
        }
        if self.probe.is_some_and(|probe| probe <= number) {
            self.probe = None;
            self.reports.proven = true;
        }
        (self.unasked > 0).then(|| self.ask())
    }

    /// The server acknowledged an event, with the JSON array of arguments `payload`.
    pub(crate) fn acknowledged(&mut self, id: u32, payload: &[u8], pointer: Option<&ErrorPointer>) {
        let Some(ticket) = self.acks.remove(&id) else {
            return;
        };
        match pointer.and_then(|pointer| pointer.refusal(payload)) {
            Some(detail) => self.failed(ticket, EventFailure::Refused { detail }),
            None => self.reports.acknowledged.push(ticket),
        }
    }

    /// Whether an event was sent and is not confirmed.
    pub(crate) fn carries_events(&self) -> bool {
        match self.confirm {
            Confirm::Ack => !self.acks.is_empty(),
            Confirm::Barrier | Confirm::Written => self.confirmed < self.last_sent,
        }
    }

    /// Whether the server owes an answer to a question.
    pub(crate) fn waits_for_an_answer(&self) -> bool {
        self.probe.is_some() || !self.open.is_empty()
    }

    pub(crate) fn has_reports(&self) -> bool {
        let Reports {
            failed,
            acknowledged,
            confirmed,
            proven,
        } = &self.reports;
        !failed.is_empty() || !acknowledged.is_empty() || confirmed.is_some() || *proven
    }

    /// Takes the next report. Failures come before the confirmation that passes over them.
    pub(crate) fn next_report(&mut self) -> Option<ConnectionEvent> {
        let reports = &mut self.reports;
        if let Some((ticket, failure)) = reports.failed.pop_front() {
            return Some(ConnectionEvent::Failed { ticket, failure });
        }
        if !reports.acknowledged.is_empty() {
            let tickets = std::mem::take(&mut reports.acknowledged);
            return Some(ConnectionEvent::Acknowledged { tickets });
        }
        if let Some(through) = reports.confirmed.take() {
            return Some(ConnectionEvent::Confirmed { through });
        }
        std::mem::take(&mut reports.proven).then_some(ConnectionEvent::Proven)
    }

    fn ask(&mut self) -> Question {
        let number = self.next_question;
        self.next_question += 1;
        self.open.push_back(Open {
            number,
            through: self.last_sent,
        });
        self.unasked = 0;
        match self.confirm {
            Confirm::Written => Question::Flushed(number),
            Confirm::Barrier | Confirm::Ack => Question::Barrier(number),
        }
    }

    fn confirm_through(&mut self, through: u64) {
        if through > self.confirmed {
            self.confirmed = through;
            self.reports.confirmed = Some(through);
        }
    }
}

#[cfg(test)]
mod tests;
