//! A promise to a source: it settles once, when the events are safe, and losing it is failure.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;

/// The events of a receipt will not become safe: the log went away first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the events were not taken: kete stopped before they were safe")]
pub struct NotTaken;

/// Settles when all events of a batch are safe: stored durably, or settled by all that want them.
///
/// A clone settles with the original.
#[derive(Debug, Clone, Default)]
pub struct Receipt {
    parts: Vec<watch::Receiver<bool>>,
}

impl Receipt {
    /// A receipt for nothing, or for events that are safe already.
    #[must_use]
    pub fn safe() -> Receipt {
        Receipt::default()
    }

    /// A receipt that settles when both have settled.
    #[must_use]
    pub fn and(mut self, other: &Receipt) -> Receipt {
        for part in &other.parts {
            // Joined again and again, as repeats are, a receipt must not grow.
            if !self.parts.iter().any(|known| known.same_channel(part)) {
                self.parts.push(part.clone());
            }
        }
        self
    }

    /// Waits until the events are safe. Cancelling the wait changes nothing.
    ///
    /// # Errors
    ///
    /// The log was closed before.
    pub async fn settled(&self) -> Result<(), NotTaken> {
        for part in &self.parts {
            let mut part = part.clone();
            part.wait_for(|safe| *safe)
                .await
                .map_err(|_closed| NotTaken)?;
        }
        Ok(())
    }

    /// Whether the events are safe now.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.parts.iter().all(|part| *part.borrow())
    }
}

/// The log's side of a receipt: counts down the events that are not safe yet.
#[derive(Debug)]
pub(crate) struct Pending {
    remaining: AtomicUsize,
    safe: watch::Sender<bool>,
}

impl Pending {
    /// A receipt for `events` events, and what settles it. Dropping the latter early loses it.
    pub(crate) fn new(events: usize) -> (Arc<Pending>, Receipt) {
        let (safe, part) = watch::channel(events == 0);
        let pending = Pending {
            remaining: AtomicUsize::new(events),
            safe,
        };
        (Arc::new(pending), Receipt { parts: vec![part] })
    }

    /// One more of the events is safe.
    pub(crate) fn settle_one(&self) {
        if self.remaining.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.safe.send_replace(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_receipt_settles_with_the_last_of_its_events() {
        let (pending, receipt) = Pending::new(2);
        pending.settle_one();
        assert!(!receipt.is_settled());
        pending.settle_one();
        assert!(receipt.is_settled());
        assert_eq!(receipt.settled().await, Ok(()));
        drop(pending);
        assert_eq!(
            receipt.settled().await,
            Ok(()),
            "it settles once and stays settled"
        );
    }

    #[tokio::test]
    async fn losing_the_log_is_not_being_safe() {
        let (pending, receipt) = Pending::new(1);
        drop(pending);
        assert_eq!(receipt.settled().await, Err(NotTaken));
    }

    #[tokio::test]
    async fn a_joined_receipt_waits_for_both() {
        let (first, one) = Pending::new(1);
        let (second, other) = Pending::new(1);
        let both = one.and(&other);
        first.settle_one();
        assert!(!both.is_settled());
        second.settle_one();
        assert_eq!(both.settled().await, Ok(()));
        assert_eq!(Receipt::safe().settled().await, Ok(()));
    }

    #[test]
    fn joining_the_same_receipt_again_changes_nothing() {
        let (_pending, one) = Pending::new(1);
        let (_other, other) = Pending::new(1);
        let both = one.clone().and(&other);
        assert_eq!(both.clone().and(&one).and(&both).parts.len(), 2);
    }
}
