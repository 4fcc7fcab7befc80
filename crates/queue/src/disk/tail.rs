//! The newest records, which most readers want next: they are read without touching the disk.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::{ConsumerId, Draft, Record, Sequence};

/// The most that is kept, as [`Record::cost`] counts it.
const CAPACITY: u64 = 2 << 20;

/// A record and who wants it.
#[derive(Debug)]
pub(super) struct Recent {
    pub(super) record: Arc<Record>,
    pub(super) wanted: Arc<[ConsumerId]>,
}

/// A part of the log without gaps, up to its newest record.
#[derive(Debug, Default)]
pub(super) struct Tail {
    records: VecDeque<Recent>,
    cost: u64,
}

impl Tail {
    pub(super) fn push(&mut self, sequence: Sequence, draft: Draft) {
        let record = Record {
            sequence,
            header: draft.header,
            body: draft.body,
        };
        self.cost += record.cost();
        self.records.push_back(Recent {
            record: Arc::new(record),
            wanted: draft.wanted,
        });
        while self.cost > CAPACITY
            && let Some(oldest) = self.records.pop_front()
        {
            self.cost -= oldest.record.cost();
        }
    }

    /// The records from `from` on, if none of them is missing.
    pub(super) fn from(&self, from: Sequence) -> Option<impl Iterator<Item = &Recent>> {
        let first = self.records.front()?.record.sequence;
        let skipped = usize::try_from(from.checked_sub(first)?).ok()?;
        (skipped <= self.records.len()).then(|| self.records.range(skipped..))
    }
}
