//! What a client gives away about itself, so that no message repeats it.
//!
//! Servers and proxies like to quote a request: a redirect repeats its query, a refusal its token.
//! Every error passes through here before a caller sees it, and loses the values of the query, the
//! headers and the `auth` object, also where they are written as a URL, JSON or HTML writes them.
//! Values of fewer than four characters stay: they are no secrets, and would riddle every message.

use std::cmp::Reverse;

use http::header;
use serde_json::Value;

use crate::{
    error::{CloseReason, ConnectError, HttpRefusal, UpgradeFault},
    excerpt::Excerpt,
    options::Options,
};

/// The shortest value, in characters, that is hidden.
const SHORTEST: usize = 4;
/// What is shown in place of a secret.
const HIDDEN: char = '…';
/// How HTML writes what it has to escape.
const ENTITIES: [(&[u8], u8); 5] = [
    (b"&amp;", b'&'),
    (b"&lt;", b'<'),
    (b"&gt;", b'>'),
    (b"&quot;", b'"'),
    (b"&#39;", b'\''),
];

/// The values to hide, the longest first. There is no `Debug` on purpose.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    /// Every value of the query, the headers and `auth` that is long enough.
    pub(crate) fn of(options: &Options) -> Secrets {
        let mut values: Vec<String> = options
            .query
            .iter()
            .map(|(_, value)| value.clone())
            .collect();
        for (name, value) in &options.headers {
            if name != header::HOST {
                let value = String::from_utf8_lossy(value.as_bytes());
                // `Bearer abc` is quoted as a whole or as `abc`.
                values.extend(value.rsplit(' ').next().map(str::to_owned));
                values.push(value.into_owned());
            }
        }
        if let Some(auth) = &options.auth {
            collect(
                serde_json::from_slice(auth).unwrap_or_default(),
                &mut values,
            );
        }
        values.retain(|value| value.chars().count() >= SHORTEST);
        values.sort_unstable_by_key(|value| Reverse(value.len()));
        Secrets(values)
    }

    /// The text with every secret hidden, and every beginning of one that is cut off at the end.
    pub(crate) fn hide(&self, text: &str) -> String {
        let mut shown = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(character) = rest.chars().next() {
            let found = self.0.iter().find_map(|secret| end_of(secret, rest));
            let (show, end) = match found {
                Some(end) => (HIDDEN, end),
                None => (character, character.len_utf8()),
            };
            shown.push(show);
            rest = rest.get(end..).unwrap_or_default();
        }
        shown
    }

    /// The same error without secrets in what the server said.
    pub(crate) fn hide_in(&self, mut error: ConnectError) -> ConnectError {
        match &mut error {
            ConnectError::Http(refusal) => {
                let HttpRefusal { location, body, .. } = &mut **refusal;
                location.iter_mut().for_each(|location| location.hide(self));
                body.hide(self);
            }
            ConnectError::Upgrade {
                fault: UpgradeFault::NotHttp { received: said },
            }
            | ConnectError::HttpAfterUpgrade { received: said }
            | ConnectError::NotEngineIo { received: said }
            | ConnectError::Refused { payload: said, .. } => said.hide(self),
            ConnectError::Closed { reason, .. } => self.hide_in_reason(reason),
            ConnectError::Options(_)
            | ConnectError::Resolve { .. }
            | ConnectError::Tcp { .. }
            | ConnectError::Tls { .. }
            | ConnectError::Upgrade { .. }
            | ConnectError::EngineIo3
            | ConnectError::TimedOut { .. } => {}
        }
        error
    }

    /// Takes the secrets out of what the server said at the end.
    pub(crate) fn hide_in_reason(&self, reason: &mut CloseReason) {
        match reason {
            CloseReason::ServerClosed { reason: said, .. }
            | CloseReason::TooBig { reason: said }
            | CloseReason::Refused { payload: said } => said.hide(self),
            CloseReason::Requested { .. }
            | CloseReason::Aborted
            | CloseReason::EngineClosed
            | CloseReason::Disconnected
            | CloseReason::Silent { .. }
            | CloseReason::WriteStalled { .. }
            | CloseReason::NotTaken { .. }
            | CloseReason::Dropped
            | CloseReason::Io(_)
            | CloseReason::Protocol(_) => {}
        }
    }
}

impl Excerpt {
    fn hide(&mut self, secrets: &Secrets) {
        *self = self.map(|text| secrets.hide(text));
    }
}

fn collect(value: Value, values: &mut Vec<String>) {
    match value {
        Value::String(text) => values.push(text),
        Value::Number(number) => values.push(number.to_string()),
        Value::Array(items) => items.into_iter().for_each(|item| collect(item, values)),
        Value::Object(members) => members
            .into_iter()
            .for_each(|(_, member)| collect(member, values)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// Where the secret ends if the text begins with it, or with so much of it as the text still has.
fn end_of(secret: &str, text: &str) -> Option<usize> {
    if text.starts_with(secret) {
        return Some(secret.len());
    }
    let mut end = 0;
    for (matched, byte) in secret.bytes().enumerate() {
        let rest = &text.as_bytes()[end..];
        if rest.is_empty() {
            return (matched >= SHORTEST).then_some(end);
        }
        end += written_as(byte, rest)?;
    }
    Some(end)
}

/// How many bytes of the text write this one: escaped in some way, or as it is.
fn written_as(byte: u8, text: &[u8]) -> Option<usize> {
    let hex = |digits: &[u8]| u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok();
    let escaped = match text {
        // Escaped twice, as a URL within a query is. For a percent sign that could be either.
        [b'%', b'2', b'5', high, low, ..] if byte != b'%' && hex(&[*high, *low]) == Some(byte) => {
            Some(5)
        }
        [b'%', high, low, ..] if hex(&[*high, *low]) == Some(byte) => Some(3),
        [b'\\', b'u', b'0', b'0', high, low, ..] if hex(&[*high, *low]) == Some(byte) => Some(6),
        [b'\\', character, ..] if *character == byte => Some(2),
        [b'+', ..] if byte == b' ' => Some(1),
        [b'&', ..] => ENTITIES
            .iter()
            .find(|(entity, meant)| *meant == byte && text.starts_with(entity))
            .map(|(entity, _)| entity.len()),
        _ => None,
    };
    escaped.or_else(|| (text.first() == Some(&byte)).then_some(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hiding(secret: &str) -> Secrets {
        let mut options = Options::new("http://host".parse().unwrap());
        options.query = vec![("token".to_owned(), secret.to_owned())];
        Secrets::of(&options)
    }

    #[test]
    fn a_secret_is_hidden_however_it_is_written() {
        let secrets = hiding(r#"a b&"c"/ü"#);
        for written in [
            r#"a b&"c"/ü"#,
            "a+b%26%22c%22%2F%C3%BC",
            "a%20b%26%22c%22/%c3%bc",
            "a%2520b%2526%2522c%2522%252F%25C3%25BC",
            r#"a b&\"c\"\/ü"#,
            r#"a b\u0026\"c\"/ü"#,
            "a b&amp;&quot;c&quot;/ü",
        ] {
            let shown = secrets.hide(&format!("<{written}> {written}"));
            assert_eq!(shown, "<…> …", "{written}");
        }
        assert_eq!(secrets.hide("a b and ü, a b&c"), "a b and ü, a b&c");
    }

    #[test]
    fn a_percent_sign_in_a_secret_is_no_escape() {
        assert_eq!(hiding("%25%41").hide("x%25%41x%2525%2541"), "x…x…");
    }

    #[test]
    fn a_secret_that_is_cut_off_is_hidden_too() {
        assert_eq!(hiding("hunter2-and-more").hide("token=hunter2"), "token=…");
        assert_eq!(hiding("hunter2").hide("a hunter"), "a …");
        assert_eq!(hiding("hunter2").hide("a hunt was on"), "a hunt was on");
    }

    #[test]
    fn short_values_stay_and_the_longer_of_two_is_hidden_whole() {
        assert_eq!(hiding("abc").hide("abc"), "abc");
        let mut options = Options::new("http://host".parse().unwrap());
        options.query = vec![("a".to_owned(), "pass".to_owned())];
        options.auth = Some(r#"{"deep":[{"key":"password","pin":1234}]}"#.into());
        let bearer = "Bearer s3cr3t".parse().unwrap();
        options.headers.insert(header::AUTHORIZATION, bearer);
        let shown = Secrets::of(&options).hide("password pass 1234 s3cr3t/Bearer s3cr3t");
        assert_eq!(shown, "… … … …/…");
    }
}
