//! What a certificate says of itself, for people and metrics.

use std::net::IpAddr;
use std::time::SystemTime;

use rustls_pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::{DateTime, Decode as _};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::store::{StoreError, printable};

const SECONDS_A_DAY: f64 = 86_400.0;

/// Facts of an X.509 certificate (RFC 5280).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The subject as RFC 4514 writes it, bounded and printable.
    pub subject: String,
    /// The issuer, likewise.
    pub issuer: String,
    /// The first moment at which it is valid.
    pub not_before: SystemTime,
    /// The last moment at which it is valid.
    pub not_after: SystemTime,
    /// The DNS names and IP addresses that it is for, in its order, bounded and printable.
    pub names: Vec<String>,
}

impl CertificateFacts {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// It is no X.509 certificate.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<CertificateFacts, StoreError> {
        let certificate =
            Certificate::from_der(certificate).map_err(|error| StoreError::BadCertificate {
                number: 1,
                reason: error.to_string(),
            })?;
        let certificate = certificate.tbs_certificate();
        let validity = certificate.validity();
        // Names are for people only. Whoever checks them reads them anew, and says what is wrong.
        let names = match certificate.get_extension::<SubjectAltName>() {
            Ok(Some((_, names))) => names.0.iter().filter_map(name).collect(),
            Ok(None) | Err(_) => Vec::new(),
        };
        Ok(CertificateFacts {
            subject: printable(&certificate.subject().to_string()),
            issuer: printable(&certificate.issuer().to_string()),
            not_before: validity.not_before.to_system_time(),
            not_after: validity.not_after.to_system_time(),
            names,
        })
    }

    /// How many days are left at a time; negative if it is over.
    #[must_use]
    pub fn days_left(&self, now: SystemTime) -> f64 {
        let seconds = match self.not_after.duration_since(now) {
            Ok(left) => left.as_secs_f64(),
            Err(over) => -over.duration().as_secs_f64(),
        };
        seconds / SECONDS_A_DAY
    }
}

/// Whether it is an X.509 certificate; if not, why.
pub(crate) fn check(certificate: &CertificateDer<'_>) -> Result<(), String> {
    match Certificate::from_der(certificate) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

fn name(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) => Some(printable(name.as_str())),
        GeneralName::IpAddress(address) => {
            let bytes = address.as_bytes();
            let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
            let v6 = <[u8; 16]>::try_from(bytes).map(IpAddr::from);
            v4.or(v6).ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

/// A moment as RFC 3339 writes it, to the second; "before 1970" for those.
#[must_use]
pub fn timestamp(moment: SystemTime) -> String {
    match DateTime::from_system_time(moment) {
        Ok(moment) => moment.to_string(),
        Err(_) => "before 1970".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn moments_are_written_to_the_second() {
        let moment = SystemTime::UNIX_EPOCH + Duration::from_millis(1_798_761_599_900);
        assert_eq!(timestamp(moment), "2026-12-31T23:59:59Z");
        let early = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(timestamp(early), "before 1970");
    }
}
