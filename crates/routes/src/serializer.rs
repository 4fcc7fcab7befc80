//! Serializers: the canonical event's JSON bytes in, the bytes that are sent out.
//!
//! The queue holds canonical JSON, so the `json` serializer hands on the very same bytes and
//! nothing is parsed or printed on the way out.

use std::sync::Arc;

use bytes::Bytes;

/// Turns a canonical event into what a destination sends.
pub trait Serializer: Send + Sync + std::fmt::Debug {
    /// The value of `serializer.kind`.
    fn kind(&self) -> &'static str;

    /// The media type of what [`Serializer::serialize`] returns. A destination that can send JSON
    /// as structured data does so if this contains `json`.
    fn content_type(&self) -> &'static str;

    /// The bytes to send for a canonical event.
    ///
    /// # Errors
    /// The event cannot be expressed in this format, now or later.
    fn serialize(&self, body: &Bytes) -> Result<Bytes, SerializeError>;
}

/// An event that a serializer cannot express. Permanent: the same event fails again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("event cannot be written as {kind}")]
pub struct SerializeError {
    /// The serializer's name.
    pub kind: &'static str,
}

/// `serializer.kind=json`: the canonical event as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Json;

impl Serializer for Json {
    fn kind(&self) -> &'static str {
        "json"
    }

    fn content_type(&self) -> &'static str {
        "application/json"
    }

    fn serialize(&self, body: &Bytes) -> Result<Bytes, SerializeError> {
        Ok(body.clone())
    }
}

/// The kinds that KETE has and this version does not.
pub(crate) const NOT_YET: [&str; 12] = [
    "avro",
    "cbor",
    "csv",
    "multipart-form",
    "properties",
    "protobuf",
    "smile",
    "template",
    "toml",
    "url-encoded-form",
    "xml",
    "yaml",
];

/// The serializer called `kind`; `None` if this version has none of that name.
pub fn serializer(kind: &str) -> Option<Arc<dyn Serializer>> {
    match kind {
        "json" => Some(Arc::new(Json)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{NOT_YET, serializer};
    use bytes::Bytes;

    #[test]
    fn json_hands_on_the_same_bytes_without_copying_them() {
        let json = serializer("json").unwrap();
        let body = Bytes::from_static(br#"{ "not" : "even compact" }"#);
        let sent = json.serialize(&body).unwrap();
        assert_eq!(sent, body);
        assert_eq!(sent.as_ptr(), body.as_ptr());
        assert_eq!(
            (json.kind(), json.content_type()),
            ("json", "application/json")
        );
    }

    #[test]
    fn names_are_exact_and_other_kinds_do_not_exist_yet() {
        assert!(serializer("JSON").is_none());
        assert!(NOT_YET.iter().all(|kind| serializer(kind).is_none()));
    }
}
