//! What sources and destinations tell of the certificates that they use, for `kete check` and for
//! metrics. Where a certificate comes from and how it is read is their own business.

use std::sync::Arc;
use std::time::SystemTime;

/// A certificate of a store that the configuration names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The full key of the store, such as `kete.keycloak.tls.trust-store`.
    pub store: String,
    /// Whose it is, as RFC 4514 writes names.
    pub subject: String,
    /// Who has signed it, likewise.
    pub issuer: String,
    /// From when it is valid.
    pub not_before: SystemTime,
    /// Until when it is valid.
    pub not_after: SystemTime,
}

/// Tells the certificates that are in use at the moment. It is asked whenever metrics are read, so
/// it must not wait.
pub type CertificateReader = Arc<dyn Fn() -> Vec<Certificate> + Send + Sync>;

impl Certificate {
    /// How many days it is still valid; negative if it is over.
    #[must_use]
    pub fn days_left(&self, now: SystemTime) -> f64 {
        const SECONDS_PER_DAY: f64 = 86_400.0;
        let seconds = match self.not_after.duration_since(now) {
            Ok(left) => left.as_secs_f64(),
            Err(over) => -over.duration().as_secs_f64(),
        };
        seconds / SECONDS_PER_DAY
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn days_are_counted_both_ways() {
        let now = SystemTime::now();
        let day = Duration::from_secs(86_400);
        let certificate = Certificate {
            store: "a.key-store".to_owned(),
            subject: "CN=a".to_owned(),
            issuer: "CN=b".to_owned(),
            not_before: now - day,
            not_after: now + 3 * day,
        };
        assert_eq!(certificate.days_left(now), 3.0);
        assert_eq!(certificate.days_left(now + 5 * day), -2.0);
    }
}
