//! How long certificates are still valid, asked whenever metrics are read.

use std::collections::HashMap;
use std::sync::PoisonError;
use std::time::SystemTime;

use super::{Telemetry, label};
use crate::certificate::CertificateReader;

impl Telemetry {
    /// Has the certificates of this owner shown, in place of those it had before; with `None`,
    /// none of it any more.
    pub fn watch_certificates(&self, owner: String, certificates: Option<CertificateReader>) {
        let mut readers = self
            .certificates
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match certificates {
            Some(certificates) => readers.insert(owner, certificates),
            None => readers.remove(&owner),
        };
    }

    /// Of each store, the certificate that ends first counts.
    pub(super) fn refresh_certificates(&self) {
        let readers = self
            .certificates
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let now = SystemTime::now();
        let mut first_to_end: HashMap<String, f64> = HashMap::new();
        for certificate in readers.values().flat_map(|read| read()) {
            let days = certificate.days_left(now);
            let least = first_to_end.entry(certificate.store).or_insert(days);
            *least = least.min(days);
        }
        let family = &self.families.certificate_days;
        family.clear();
        for (store, days) in first_to_end {
            family
                .get_or_create_owned(&label("store", &store))
                .set(days);
        }
    }
}
