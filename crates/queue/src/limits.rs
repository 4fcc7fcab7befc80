//! How much the log may hold, and what happens at the bound.

/// The bounds of the whole log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most events that may be stored.
    pub max_events: u64,
    /// The most bytes that may be stored, as [`Record::cost`](crate::Record::cost) counts them.
    pub max_bytes: u64,
    /// What happens at the bound, after the consumers' own settings had their say.
    pub when_full: WhenFull,
}

/// What the log does with a batch for which there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// It refuses the batch: intake waits and nothing that was promised is thrown away.
    Refuse,
    /// It drops the batch, for all consumers together, and counts it.
    DropNewest,
}

/// The bound of one consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsumerLimits {
    /// The most bytes that this consumer may leave unsettled.
    pub max_lag_bytes: u64,
    /// What happens when it reaches them, or when it is the one behind at the bound of the log.
    pub when_full: WhenLagging,
}

/// What a consumer that is behind does when the bound is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenLagging {
    /// Intake stops until it has caught up.
    Refuse,
    /// It is asked to drop its oldest events.
    DropOldest,
}
