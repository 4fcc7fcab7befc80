//! Short stable names for the mistakes that only destinations can find in a configuration.

/// The kind is no destination.
pub(crate) const UNKNOWN_KIND: &str = "unknown-kind";
/// The URL leads to no Socket.IO server.
pub(crate) const BAD_URL: &str = "bad-url";
/// The URL holds something that has a key of its own.
pub(crate) const URL_PARTS: &str = "url-parts";
/// There can be no such namespace.
pub(crate) const BAD_NAMESPACE: &str = "bad-namespace";
/// There can be no such path.
pub(crate) const BAD_PATH: &str = "bad-path";
/// There can be no such header.
pub(crate) const BAD_HEADER: &str = "bad-header";
/// A header is left out.
pub(crate) const HEADER_NOT_SENT: &str = "header-not-sent";
/// There can be no such query parameter.
pub(crate) const BAD_QUERY: &str = "bad-query";
/// A number is too large or too small.
pub(crate) const OUT_OF_RANGE: &str = "out-of-range";
/// Two keys say different things.
pub(crate) const CONTRADICTION: &str = "contradiction";
/// A key is set and changes nothing.
pub(crate) const NO_EFFECT: &str = "no-effect";

/// Every code of this crate with a sentence about it, in the order of the alphabet.
pub const CODES: &[(&str, &str)] = &[
    (
        BAD_HEADER,
        "A header of the handshake request has a name or value that cannot be sent.",
    ),
    (BAD_NAMESPACE, "No Socket.IO namespace can have this name."),
    (
        BAD_PATH,
        "The path of the Engine.IO endpoint cannot be requested.",
    ),
    (
        BAD_QUERY,
        "A query parameter belongs to the protocol itself.",
    ),
    (BAD_URL, "The URL cannot lead to a Socket.IO server."),
    (
        CONTRADICTION,
        "Two keys say different things, and neither can win.",
    ),
    (
        HEADER_NOT_SENT,
        "A header is configured and left out; KETE leaves it out as well.",
    ),
    (
        NO_EFFECT,
        "A key is set and, with the others as they are, changes nothing.",
    ),
    (
        OUT_OF_RANGE,
        "A number is larger or smaller than it may be.",
    ),
    (UNKNOWN_KIND, "There is no destination of this kind."),
    (
        URL_PARTS,
        "The URL holds a namespace or a query, which have keys of their own.",
    ),
];

#[cfg(test)]
mod tests {
    use super::CODES;

    #[test]
    fn codes_are_sorted_unique_and_explained() {
        assert!(CODES.is_sorted_by(|one, next| one.0 < next.0));
        assert!(
            CODES
                .iter()
                .all(|(code, text)| !code.is_empty() && text.ends_with('.'))
        );
    }
}
