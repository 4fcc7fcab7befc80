//! Whether the certificates of the stores are valid, and for how long.

use std::time::SystemTime;

use kete_config::Scope;

use super::material::{Material, Stores};
use crate::certificate::CertificateFacts;
use crate::codes;

/// From so many days on it is worth a warning that a certificate ends.
const SOON_DAYS: f64 = 30.0;

/// So many are named; the rest is counted.
const NAMED: usize = 3;

/// What a certificate is at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Validity {
    NotYet,
    Valid,
    /// Valid, and not for long.
    EndsSoon,
    Over,
}

impl Validity {
    pub(super) fn of(facts: &CertificateFacts, now: SystemTime) -> Validity {
        match facts.days_left(now) {
            over if over < 0.0 => Validity::Over,
            _ if now < facts.not_before => Validity::NotYet,
            soon if soon < SOON_DAYS => Validity::EndsSoon,
            _ => Validity::Valid,
        }
    }
}

/// Reports what is over, not yet valid or nearly over, at the keys that say where the stores are.
pub(super) fn report(scope: &Scope<'_>, stores: &Stores, material: &Material, now: SystemTime) {
    if let Some(store) = &stores.trust {
        report_trusted(scope, &store.bytes_key(), material, now);
    }
    if let Some(store) = &stores.key {
        report_client(scope, &store.bytes_key(), material, now);
    }
}

/// Authorities that are over still count as such (as on the JVM), but what they have issued is
/// hardly ever valid longer than they are.
fn report_trusted(scope: &Scope<'_>, key: &str, material: &Material, now: SystemTime) {
    let trusted = material.of(super::TRUST_STORE);
    let total = trusted.clone().count();
    let groups = [
        (Validity::Over, "expired", SUCCESSORS),
        (
            Validity::EndsSoon,
            "valid for less than 30 days",
            SUCCESSORS,
        ),
        (Validity::NotYet, "not valid yet", CLOCK),
    ];
    for (validity, words, help) in groups {
        let found: Vec<&str> = trusted
            .clone()
            .filter(|certificate| Validity::of(certificate, now) == validity)
            .map(|certificate| certificate.subject.as_str())
            .collect();
        if found.is_empty() {
            continue;
        }
        let message = format!(
            "{} of {total} trusted certificates {} {words}: {}",
            found.len(),
            if found.len() == 1 { "is" } else { "are" },
            listed(&found)
        );
        scope.warn(key, codes::CERTIFICATE_VALIDITY, message, help.to_owned());
    }
}

const SUCCESSORS: &str = "put their successors into the trust store";
const CLOCK: &str = "is the clock of this machine right?";
const RENEW: &str = "have it renewed and put it in the place of the old one";

fn report_client(scope: &Scope<'_>, key: &str, material: &Material, now: SystemTime) {
    for (position, certificate) in material.of(super::KEY_STORE).enumerate() {
        let validity = Validity::of(certificate, now);
        let role = match position {
            0 => "the client's certificate",
            _ => "a certificate of the client's chain",
        };
        let subject = &certificate.subject;
        let days = described(certificate, validity, now);
        let message = format!("{role}, {subject}, {days}");
        let (code, help) = (codes::CERTIFICATE_VALIDITY, RENEW.to_owned());
        match validity {
            Validity::Valid => {}
            Validity::Over if position == 0 => {
                scope.reject(key, codes::CERTIFICATE_EXPIRED, message, help);
            }
            Validity::Over | Validity::EndsSoon => scope.warn(key, code, message, help),
            Validity::NotYet => {
                let help = format!("until then servers refuse it; {CLOCK}");
                scope.warn(key, code, message, help);
            }
        }
    }
}

/// How long it is until what the validity is about, or since.
pub(super) fn described(facts: &CertificateFacts, validity: Validity, now: SystemTime) -> String {
    let left = facts.days_left(now);
    match validity {
        Validity::Over => format!("expired {} ago", days(-left)),
        Validity::NotYet => {
            let wait = facts.not_before.duration_since(now).unwrap_or_default();
            let wait = wait.as_secs_f64() / SECONDS_PER_DAY;
            format!("is not valid before {} from now", days(wait))
        }
        Validity::Valid | Validity::EndsSoon => format!("ends in {}", days(left)),
    }
}

const SECONDS_PER_DAY: f64 = 24.0 * 60.0 * 60.0;

/// Whole days.
fn days(count: f64) -> String {
    match count.floor() {
        less if less < 1.0 => "less than a day".to_owned(),
        1.0 => "1 day".to_owned(),
        more => format!("{more} days"),
    }
}

fn listed(subjects: &[&str]) -> String {
    let shown = subjects.iter().take(NAMED).copied();
    let shown = shown.collect::<Vec<_>>().join("; ");
    match subjects.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}
