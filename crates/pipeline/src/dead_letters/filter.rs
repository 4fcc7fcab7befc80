//! Which dead letters are meant: by route, reason, time, type, user or number.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::line::Line;

/// Which letters are meant. What is empty or absent does not restrict; of several values of one
/// kind any will do, and all kinds must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Filter {
    /// Names of routes.
    pub routes: Vec<String>,
    /// Reasons, as [`FailureReason::as_str`](crate::FailureReason::as_str) has them.
    pub reasons: Vec<String>,
    /// The earliest time at which it was given up, in milliseconds since 1970.
    pub from: Option<i64>,
    /// The latest time, inclusive.
    pub to: Option<i64>,
    /// Event types such as `LOGIN_ERROR` or `USER_CREATE`, in any case.
    pub event_types: Vec<String>,
    /// Users that the events are about.
    pub user_ids: Vec<String>,
    /// Numbers of letters.
    pub numbers: Vec<RangeInclusive<u64>>,
}

impl Filter {
    /// The letters with these numbers, which ascend.
    #[must_use]
    pub fn numbers(numbers: impl IntoIterator<Item = u64>) -> Filter {
        let mut ranges: Vec<RangeInclusive<u64>> = Vec::new();
        for number in numbers {
            match ranges.last_mut() {
                Some(last) if last.end().checked_add(1) == Some(number) => {
                    *last = *last.start()..=number;
                }
                _ => ranges.push(number..=number),
            }
        }
        Filter {
            numbers: ranges,
            ..Filter::default()
        }
    }

    /// Whether every letter is meant.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        *self == Filter::default()
    }

    /// Whether this letter is meant. What is cheap to know is asked first.
    pub(super) fn takes(&self, number: u64, line: &Line<'_>) -> bool {
        let numbered = any(&self.numbers, |range| range.contains(&number));
        numbered
            && self.from.is_none_or(|from| line.at >= from)
            && self.to.is_none_or(|to| line.at <= to)
            && any(&self.routes, |route| *route == line.route)
            && any(&self.reasons, |reason| *reason == line.reason)
            && self.takes_event(line)
    }

    fn takes_event(&self, line: &Line<'_>) -> bool {
        if self.event_types.is_empty() && self.user_ids.is_empty() {
            return true;
        }
        let traits = line.traits();
        let is_type = |wanted: &String| {
            let found = traits.event_type.as_deref();
            found.is_some_and(|found| found.eq_ignore_ascii_case(wanted))
        };
        any(&self.event_types, is_type)
            && any(&self.user_ids, |user| traits.user_id.as_ref() == Some(user))
    }
}

/// Whether one of them fits, or there is none.
fn any<T>(wanted: &[T], fits: impl FnMut(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(fits)
}
