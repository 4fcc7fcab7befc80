//! The certificates of a configuration, as `kete check` lists them.

use std::collections::BTreeMap;
use std::time::SystemTime;

use kete_credentials::certificate::timestamp;
use serde::Serialize;

use crate::assemble::Configuration;

/// How many certificates of one store are shown to people; programs get all.
const SHOWN_OF_A_STORE: usize = 5;

/// A certificate as programs read it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Certificate {
    /// The full key of the store that it is in.
    store: String,
    subject: String,
    issuer: String,
    /// RFC 3339.
    not_before: String,
    not_after: String,
    /// Whole days, rounded down; negative if it is over.
    days_left: i64,
}

/// Every certificate once, by store.
pub(super) fn of(configuration: &Configuration) -> Vec<Certificate> {
    let now = SystemTime::now();
    let routes = configuration.routes.iter();
    let of_routes = routes.flat_map(|route| route.plan.certificates());
    let sources = configuration.sources.iter();
    let of_sources = sources.flat_map(|shown| shown.source.plan.certificates());
    let mut all: Vec<Certificate> = Vec::new();
    for certificate in of_sources.chain(of_routes) {
        let certificate = Certificate {
            days_left: certificate.days_left(now).floor() as i64,
            not_before: timestamp(certificate.not_before),
            not_after: timestamp(certificate.not_after),
            store: certificate.store,
            subject: certificate.subject,
            issuer: certificate.issuer,
        };
        if !all.contains(&certificate) {
            all.push(certificate);
        }
    }
    all
}

/// The list for people; nothing if there is none.
pub(super) fn text(certificates: &[Certificate]) -> String {
    let mut stores: BTreeMap<&str, Vec<&Certificate>> = BTreeMap::new();
    for certificate in certificates {
        stores
            .entry(&certificate.store)
            .or_default()
            .push(certificate);
    }
    let mut text = String::new();
    for (store, certificates) in stores {
        text.push_str(&format!("certificates of {store}\n"));
        for certificate in certificates.iter().take(SHOWN_OF_A_STORE) {
            text.push_str(&certificate.text());
        }
        if let Some(more @ 1..) = certificates.len().checked_sub(SHOWN_OF_A_STORE) {
            text.push_str(&format!("  and {more} more (--format json shows all)\n"));
        }
    }
    text
}

impl Certificate {
    fn text(&self) -> String {
        let left = match self.days_left {
            0.. => format!("{} days left", self.days_left),
            _ => "expired".to_owned(),
        };
        format!(
            "  {}\n    issued by {}\n    valid from {} to {} ({left})\n",
            self.subject, self.issuer, self.not_before, self.not_after
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(subject: &str, days_left: i64) -> Certificate {
        Certificate {
            store: "kete.keycloak.tls.trust-store".to_owned(),
            subject: subject.to_owned(),
            issuer: "CN=ca".to_owned(),
            not_before: "2026-01-01T00:00:00Z".to_owned(),
            not_after: "2027-01-01T00:00:00Z".to_owned(),
            days_left,
        }
    }

    #[test]
    fn a_certificate_takes_three_lines_and_many_are_cut_off() {
        assert_eq!(text(&[]), "");
        assert_eq!(
            text(&[certificate("CN=a", 12)]),
            "certificates of kete.keycloak.tls.trust-store\n  CN=a\n    issued by CN=ca\n    \
             valid from 2026-01-01T00:00:00Z to 2027-01-01T00:00:00Z (12 days left)\n"
        );
        assert!(text(&[certificate("CN=a", -1)]).ends_with("(expired)\n"));
        let names: Vec<Certificate> = (0..7)
            .map(|number| certificate(&format!("CN={number}"), 1))
            .collect();
        let shown = text(&names);
        assert!(
            shown.contains("CN=4\n") && !shown.contains("CN=5\n"),
            "{shown}"
        );
        assert!(
            shown.ends_with("  and 2 more (--format json shows all)\n"),
            "{shown}"
        );
    }
}
