//! What becomes of events that a lost connection left unconfirmed.
//!
//! They are sent again together, on a connection that carries nothing else. If that is lost too,
//! the group is split in halves, and so on down to single events. A single event is a suspect: it
//! is sent when nothing else of the route is unconfirmed, after the server has answered a bare
//! question, and if the connection then ends, and the next one answers such a question, this has
//! counted against the event. So a server that restarts, a network that breaks or a confirmation
//! that does not come costs no event an attempt, and an event that kills its connection is found.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::core::{Action, Core};
use super::links::{LinkId, LinkState, Role};
use super::window::{Ordinal, Place};
use crate::{ConnectFailureKind, FailureReason};

/// Groups to send again, and the suspect that is looked at.
#[derive(Debug, Default)]
pub(crate) struct Recovery {
    /// Ordered by their first event.
    groups: VecDeque<Group>,
    trial: Option<Trial>,
}

#[derive(Debug)]
struct Group {
    members: Vec<Ordinal>,
    /// How many connections were lost with it.
    losses: u32,
    /// It is not sent before, so that others get their turn at a receiver that seems broken.
    rests_until: Option<Instant>,
}

#[derive(Debug)]
struct Trial {
    ordinal: Ordinal,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Until nothing else of the route is unconfirmed and there is a connection.
    Quiet,
    /// Until the server answers a bare question there.
    Proving(LinkId),
    /// The suspect is alone on the way.
    Sent(LinkId),
    /// The connection ended; until there is another.
    Ended,
    /// Until the server answers a bare question on the other: then the loss counts.
    Judging(LinkId),
    /// Between two attempts.
    Resting(Instant),
}

impl Recovery {
    pub(crate) fn in_trial(&self) -> bool {
        self.trial.is_some()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.trial.is_none() && self.groups.is_empty()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.trial {
            Some(Trial {
                stage: Stage::Resting(until),
                ..
            }) => Some(*until),
            Some(_) => None,
            None => self
                .groups
                .iter()
                .filter_map(|group| group.rests_until)
                .min(),
        }
    }

    fn group_of(&mut self, first: Ordinal) -> Option<&mut Group> {
        self.groups
            .iter_mut()
            .find(|group| group.members[0] == first)
    }

    /// Members are in the order in which they were read, so that groups and halves are, too.
    fn add(&mut self, members: Vec<Ordinal>, losses: u32) {
        debug_assert!(members.is_sorted());
        if members.is_empty() {
            return;
        }
        let at = self
            .groups
            .partition_point(|group| group.members[0] < members[0]);
        let rests_until = None;
        self.groups.insert(
            at,
            Group {
                members,
                losses,
                rests_until,
            },
        );
    }
}

impl Core {
    /// Takes over what a lost connection left unconfirmed.
    pub(super) fn recover(
        &mut self,
        id: LinkId,
        role: Role,
        mut unconfirmed: Vec<Ordinal>,
        kind: ConnectFailureKind,
        now: Instant,
    ) {
        // They were sent in the order of each key, not of all.
        unconfirmed.sort_unstable();
        if self.trial_lost(id, kind) || self.offer_lost(&unconfirmed, now) {
            return;
        }
        match role {
            // Only a connection that ended can be an event's doing.
            Role::Group { losses } if kind == ConnectFailureKind::Ended => {
                let middle = unconfirmed.len().div_ceil(2);
                let mut first = unconfirmed;
                let second = first.split_off(middle);
                self.recovery.add(first, losses + 1);
                self.recovery.add(second, losses + 1);
            }
            Role::Group { losses } => self.recovery.add(unconfirmed, losses),
            _ => self.recovery.add(unconfirmed, 1),
        }
    }

    /// Sends the next group, or looks at the next suspect.
    pub(super) fn drive_recovery(&mut self, now: Instant) {
        self.forget_settled_suspects();
        if self.recovery.trial.is_some() {
            return self.drive_trial(now);
        }
        self.free_reserved_and_grouped();
        if self.is_stopped() || self.refusals.is_offering() {
            return self.unreserve();
        }
        let Some(next) = self.next_group(now) else {
            return self.unreserve();
        };
        let carries_group = |link: &LinkState| matches!(link.role, Role::Group { .. });
        if self.links.iter().any(carries_group) {
            return;
        }
        if let [ordinal] = self.recovery.groups[next].members[..] {
            self.recovery.groups.remove(next);
            self.recovery.trial = Some(Trial {
                ordinal,
                stage: Stage::Quiet,
            });
            self.unreserve();
            return self.drive_trial(now);
        }
        let Some(index) = self.reserve() else { return };
        if self.links[index].is_idle()
            && let Some(group) = self.recovery.groups.remove(next)
        {
            self.links[index].role = Role::Group {
                losses: group.losses,
            };
            self.counts.resent += group.members.len() as u64;
            self.send_alone(&group.members, index, now);
        }
    }

    /// The first group that does not rest, and has no key of one before it that does.
    fn next_group(&self, now: Instant) -> Option<usize> {
        let key = |ordinal: &Ordinal| self.window.item(*ordinal).map(|item| item.key);
        let mut resting = Vec::new();
        for (index, group) in self.recovery.groups.iter().enumerate() {
            if group.rests_until.is_some_and(|until| until > now) {
                resting.extend(group.members.iter().filter_map(key));
            } else if !group
                .members
                .iter()
                .filter_map(key)
                .any(|key| resting.contains(&key))
            {
                return Some(index);
            }
        }
        None
    }

    /// The server answered a bare question.
    pub(super) fn proven(&mut self, id: LinkId, now: Instant) {
        let stopped = self.is_stopped();
        let Some(trial) = &mut self.recovery.trial else {
            return;
        };
        match trial.stage {
            Stage::Proving(link) if link == id && stopped => trial.stage = Stage::Quiet,
            Stage::Proving(link) if link == id => {
                let ordinal = trial.ordinal;
                trial.stage = Stage::Sent(id);
                if let Some(index) = self.links.iter().position(|link| link.id == id) {
                    self.counts.resent += 1;
                    self.send_alone(&[ordinal], index, now);
                }
            }
            Stage::Judging(link) if link == id => self.judge(now),
            _ => {}
        }
    }

    /// The suspect's connection ended, and the server is there: that counts.
    fn judge(&mut self, now: Instant) {
        let Some(trial) = &mut self.recovery.trial else {
            return;
        };
        let (max_attempts, rest) = (self.settings.max_attempts, self.settings.retry_wait);
        let broken = self.refusals.count_one(self.settings.max_consecutive);
        let Some(item) = self.window.item_mut(trial.ordinal) else {
            return;
        };
        if broken {
            // The receiver seems to end every connection: then it is not this event's doing, and
            // others get their turn before it is sent again.
            let (ordinal, until) = (trial.ordinal, now + self.refusals.next_wait());
            self.recovery.trial = None;
            self.recovery.add(vec![ordinal], 1);
            if let Some(group) = self.recovery.group_of(ordinal) {
                group.rests_until = Some(until);
            }
            return;
        }
        item.attempts += 1;
        if item.attempts < max_attempts {
            self.counts.retries += 1;
            trial.stage = Stage::Resting(now + rest);
            return;
        }
        let ordinal = trial.ordinal;
        self.recovery.trial = None;
        let detail = format!("the connection ended each of the {max_attempts} times it was sent");
        self.doom(ordinal, FailureReason::ConnectionEnded, detail);
    }

    /// Whether the lost connection was that of the trial.
    fn trial_lost(&mut self, id: LinkId, kind: ConnectFailureKind) -> bool {
        let Some(trial) = &mut self.recovery.trial else {
            return false;
        };
        match trial.stage {
            Stage::Sent(link) if link == id => {
                let counts = kind == ConnectFailureKind::Ended;
                trial.stage = if counts { Stage::Ended } else { Stage::Quiet };
                true
            }
            // The server is not well: nothing is learnt about the suspect.
            Stage::Proving(link) | Stage::Judging(link) if link == id => {
                trial.stage = Stage::Quiet;
                true
            }
            _ => false,
        }
    }

    fn drive_trial(&mut self, now: Instant) {
        if self.is_stopped() {
            return;
        }
        let Some(trial) = &mut self.recovery.trial else {
            return;
        };
        if let Stage::Resting(until) = trial.stage
            && until <= now
        {
            trial.stage = Stage::Quiet;
        }
        let quiet = self.links.iter().all(|link| link.outstanding() == 0);
        let stage = trial.stage;
        let Some(link) = self.links.iter_mut().find(|link| link.is_free()) else {
            return;
        };
        let next = match stage {
            Stage::Quiet if quiet => Stage::Proving(link.id),
            Stage::Ended => Stage::Judging(link.id),
            _ => return,
        };
        link.role = Role::Trial;
        link.probed = Some(now);
        self.actions.push(Action::Probe(link.id));
        trial.stage = next;
    }

    /// A suspect that was confirmed, dropped or given up is one no longer.
    fn forget_settled_suspects(&mut self) {
        let window = &self.window;
        let held = |ordinal: &Ordinal| window.place(*ordinal) == Place::Held;
        for group in &mut self.recovery.groups {
            group.members.retain(held);
        }
        self.recovery
            .groups
            .retain(|group| !group.members.is_empty());
        let expected = |trial: &Trial| match trial.stage {
            Stage::Sent(link) => window.place(trial.ordinal) == Place::On(link),
            _ => held(&trial.ordinal),
        };
        if self
            .recovery
            .trial
            .as_ref()
            .is_some_and(|trial| !expected(trial))
        {
            self.recovery.trial = None;
        }
        let trial_link = match self.recovery.trial.as_ref().map(|trial| trial.stage) {
            Some(Stage::Proving(id) | Stage::Sent(id) | Stage::Judging(id)) => Some(id),
            _ => None,
        };
        for link in &mut self.links {
            if link.role == Role::Trial && Some(link.id) != trial_link && link.is_idle() {
                link.role = Role::Normal;
            }
        }
    }

    /// Connections whose group is confirmed take events as they come again.
    fn free_reserved_and_grouped(&mut self) {
        for link in &mut self.links {
            if matches!(link.role, Role::Group { .. }) && link.outstanding() == 0 {
                link.role = Role::Normal;
            }
        }
        if self.recovery.groups.is_empty() {
            self.unreserve();
        }
    }

    fn unreserve(&mut self) {
        for link in self
            .links
            .iter_mut()
            .filter(|link| link.role == Role::Reserved)
        {
            link.role = Role::Normal;
        }
    }

    /// The connection that will carry the next group: the one that carries least now.
    fn reserve(&mut self) -> Option<usize> {
        if let Some(index) = self
            .links
            .iter()
            .position(|link| link.role == Role::Reserved)
        {
            return Some(index);
        }
        let normal = self
            .links
            .iter()
            .enumerate()
            .filter(|(_, link)| link.is_free());
        let (index, _) = normal.min_by_key(|(_, link)| link.outstanding())?;
        self.links[index].role = Role::Reserved;
        Some(index)
    }
}
