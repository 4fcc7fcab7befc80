//! The codes of the diagnostics of this crate, beside those of `kete_config::code`.

/// Credentials are missing, or one file or client is used where it must not be.
pub const BAD_CREDENTIALS: &str = "bad-credentials";
/// A store or key cannot be read or used.
pub const BAD_STORE: &str = "bad-store";
/// A certificate is expired. The one code that does not keep `run` from starting: the files may be
/// renewed while kete runs.
pub const CERTIFICATE_EXPIRED: &str = "certificate-expired";
/// A certificate ends soon, or is not valid yet.
pub const CERTIFICATE_VALIDITY: &str = "certificate-validity";
/// Two settings contradict each other.
pub const CONTRADICTION: &str = "contradiction";
/// A setting weakens what TLS or OAuth protects.
pub const INSECURE: &str = "insecure";
/// A setting has no effect beside the others.
pub const NO_EFFECT: &str = "no-effect";
/// Secrets leave this machine without encryption.
pub const PLAIN_HTTP: &str = "plain-http";

/// Every code of this crate with a sentence about it, in the order of the alphabet.
pub const CODES: &[(&str, &str)] = &[
    (
        BAD_CREDENTIALS,
        "Credentials are missing, or are used where they must not be.",
    ),
    (
        BAD_STORE,
        "A certificate store or private key cannot be read, or not be used as it is meant to be.",
    ),
    (
        CERTIFICATE_EXPIRED,
        "The client's own certificate is expired. kete runs all the same: the file may be renewed.",
    ),
    (
        CERTIFICATE_VALIDITY,
        "A certificate ends within 30 days, is not valid yet, or is an authority's and expired.",
    ),
    (
        CONTRADICTION,
        "Two keys say different things, and neither can win.",
    ),
    (
        INSECURE,
        "A setting takes away a part of what TLS or OAuth protects.",
    ),
    (
        NO_EFFECT,
        "A key is set and, with the others as they are, changes nothing.",
    ),
    (
        PLAIN_HTTP,
        "Secrets are sent to another machine by http, where others can read them.",
    ),
];

#[cfg(test)]
mod tests {
    use super::CODES;

    #[test]
    fn codes_are_sorted_unique_and_explained() {
        assert!(CODES.is_sorted_by(|one, next| one.0 < next.0));
        for (code, text) in CODES {
            assert!(!code.is_empty() && text.ends_with('.'), "{code}");
        }
    }
}
