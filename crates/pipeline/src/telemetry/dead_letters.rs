//! What becomes of dead letters once they are stored.

use std::sync::PoisonError;

use prometheus_client::registry::Unit;

use super::Telemetry;
use crate::DeadLetters;

impl Telemetry {
    /// Has it shown how much this store holds, and how many of its letters were deleted because
    /// of their age.
    pub fn watch_dead_letters(&self, letters: &DeadLetters) {
        if !letters.is_kept() {
            return;
        }
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let expired = "Dead letters deleted because of their age";
        registry.register("dead_letters_expired", expired, letters.expired());
        let bytes = "Bytes that stored dead letters take";
        registry.register_with_unit("dead_letters", bytes, Unit::Bytes, letters.bytes());
    }
}
