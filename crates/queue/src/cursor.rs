//! Which records a consumer has settled, and the contiguous prefix of them: its cursor.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::Sequence;

/// The settled records of one consumer, kept as ranges.
///
/// Everything up to [`cursor`](SettledRanges::cursor) is settled; beyond it there may be ranges
/// that were settled out of order. They are merged as they meet, so that the map stays as small
/// as the number of gaps.
#[derive(Debug, Clone, Default)]
pub struct SettledRanges {
    cursor: Sequence,
    beyond: BTreeMap<Sequence, Sequence>,
}

impl SettledRanges {
    /// Everything up to and including `cursor` is settled, nothing beyond.
    #[must_use]
    pub fn starting_after(cursor: Sequence) -> SettledRanges {
        SettledRanges {
            cursor,
            beyond: BTreeMap::new(),
        }
    }

    /// The end of the contiguous settled prefix.
    #[must_use]
    pub fn cursor(&self) -> Sequence {
        self.cursor
    }

    /// Whether this record is settled.
    #[must_use]
    pub fn contains(&self, sequence: Sequence) -> bool {
        let below = || self.beyond.range(..=sequence).next_back();
        sequence <= self.cursor || below().is_some_and(|(_, &end)| end >= sequence)
    }

    /// Settles a range, and calls `fresh` for each record in it that was not settled before.
    pub fn settle(&mut self, range: RangeInclusive<Sequence>, mut fresh: impl FnMut(Sequence)) {
        let (mut start, mut end) = (*range.start(), *range.end());
        if start > end {
            return;
        }
        for sequence in start.max(self.cursor + 1)..=end {
            if self.beyond.is_empty() || !self.contains(sequence) {
                fresh(sequence);
            }
        }
        if start <= self.cursor + 1 {
            self.cursor = self.cursor.max(end);
            self.absorb();
            return;
        }
        if let Some((&before, &before_end)) = self.beyond.range(..=start).next_back()
            && before_end + 1 >= start
        {
            start = before;
            end = end.max(before_end);
        }
        while let Some((&next, &next_end)) = self.beyond.range(start..=end + 1).next() {
            end = end.max(next_end);
            self.beyond.remove(&next);
        }
        self.beyond.insert(start, end);
    }

    /// Moves the cursor over the ranges that it has reached.
    fn absorb(&mut self) {
        while let Some(first) = self.beyond.first_entry() {
            if *first.key() > self.cursor + 1 {
                break;
            }
            self.cursor = self.cursor.max(first.remove());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn settled(cursor: Sequence, ranges: &[(Sequence, Sequence)]) -> SettledRanges {
        let mut settled = SettledRanges::starting_after(cursor);
        for &(start, end) in ranges {
            settled.settle(start..=end, |_| {});
        }
        settled
    }

    #[test]
    fn the_cursor_waits_for_the_gap() {
        let mut ranges = settled(0, &[(2, 3), (5, 5)]);
        assert_eq!(ranges.cursor(), 0);
        ranges.settle(1..=1, |_| {});
        assert_eq!(ranges.cursor(), 3);
        ranges.settle(4..=4, |_| {});
        assert_eq!(ranges.cursor(), 5);
        assert!(ranges.beyond.is_empty());
    }

    #[test]
    fn neighbours_are_merged() {
        let ranges = settled(0, &[(2, 2), (4, 4), (3, 3), (8, 9), (6, 7)]);
        assert_eq!(ranges.beyond.len(), 2);
    }

    #[test]
    fn an_empty_range_changes_nothing() {
        let mut ranges = settled(3, &[]);
        #[expect(clippy::reversed_empty_ranges, reason = "the empty range is the case")]
        ranges.settle(9..=8, |_| {});
        assert_eq!(ranges.cursor(), 3);
    }

    proptest! {
        #[test]
        fn it_is_a_set_whose_contiguous_prefix_is_the_cursor(
            start in 0_u64..5,
            steps in prop::collection::vec((1_u64..60, 0_u64..6), 0..60),
        ) {
            let mut model: BTreeSet<Sequence> = (1..=start).collect();
            let mut ranges = SettledRanges::starting_after(start);
            for (first, length) in steps {
                let mut fresh = Vec::new();
                ranges.settle(first..=first + length, |sequence| fresh.push(sequence));
                let expected: Vec<_> =
                    (first..=first + length).filter(|sequence| model.insert(*sequence)).collect();
                prop_assert_eq!(fresh, expected);
                let cursor = (1..).take_while(|sequence| model.contains(sequence)).count() as u64;
                prop_assert_eq!(ranges.cursor(), cursor);
                for sequence in 1..70 {
                    prop_assert_eq!(ranges.contains(sequence), model.contains(&sequence));
                }
            }
        }
    }
}
