//! The one JSON form in which events are stored and sent.
//!
//! It is what KETE sends: Keycloak's own classes dumped without an envelope, compact, nulls
//! written, fields in Keycloak's order, `representation` a text that holds JSON. Members that
//! Keycloak added later (`details` and `resourceId` of admin events) come behind those only where
//! the event has them, members that nobody knows come last. The same event gives the same bytes
//! in every run: derived ids rest on that.

use std::borrow::Cow;
use std::io::Write as _;

use crate::details::{DetailValue, Details};
use crate::event::{AdminFields, AuthDetails, Event, Extra, Fields, UserFields};
use crate::scan::write_compact;

/// Room that is enough for nearly every event without growing, representation apart.
const USUAL_SIZE: usize = 1024;

impl Event<'_> {
    /// The event as compact JSON in UTF-8, without a line break at the end or anywhere in it.
    pub fn canonical(&self) -> Vec<u8> {
        let representation = match &self.fields {
            Fields::Admin(admin) => admin.representation.as_deref().map_or(0, str::len),
            Fields::User(_) => 0,
        };
        let mut out = Vec::with_capacity(USUAL_SIZE + representation + representation / 4);
        self.write_canonical(&mut out);
        out
    }

    /// Appends what [`Event::canonical`] returns.
    pub fn write_canonical(&self, out: &mut Vec<u8>) {
        write_member(out, "{\"id\":", &self.id);
        write_time(out, self.time);
        match &self.fields {
            Fields::User(user) => self.write_user(out, user),
            Fields::Admin(admin) => self.write_admin(out, admin),
        }
        write_extra(out, &self.extra);
        out.push(b'}');
    }

    fn write_user(&self, out: &mut Vec<u8>, user: &UserFields<'_>) {
        out.extend_from_slice(b",\"type\":");
        write_text(out, &user.event_type);
        write_member(out, ",\"realmId\":", &self.realm_id);
        write_member(out, ",\"realmName\":", &self.realm_name);
        write_member(out, ",\"clientId\":", &user.client_id);
        write_member(out, ",\"userId\":", &user.user_id);
        write_member(out, ",\"sessionId\":", &user.session_id);
        write_member(out, ",\"ipAddress\":", &user.ip_address);
        write_member(out, ",\"error\":", &self.error);
        out.extend_from_slice(b",\"details\":");
        match &self.details {
            Some(details) => write_details(out, details),
            None => out.extend_from_slice(b"null"),
        }
    }

    fn write_admin(&self, out: &mut Vec<u8>, admin: &AdminFields<'_>) {
        write_member(out, ",\"realmId\":", &self.realm_id);
        write_member(out, ",\"realmName\":", &self.realm_name);
        out.extend_from_slice(b",\"authDetails\":");
        match &admin.auth_details {
            Some(auth) => write_auth_details(out, auth),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"resourceType\":");
        write_text(out, &admin.resource_type);
        out.extend_from_slice(b",\"operationType\":");
        write_text(out, &admin.operation_type);
        write_member(out, ",\"resourcePath\":", &admin.resource_path);
        write_member(out, ",\"representation\":", &admin.representation);
        write_member(out, ",\"error\":", &self.error);
        out.extend_from_slice(b",\"resourceTypeAsString\":");
        write_text(out, &admin.resource_type_text);
        if let Some(details) = &self.details {
            out.extend_from_slice(b",\"details\":");
            write_details(out, details);
        }
        if admin.resource_id.is_some() {
            write_member(out, ",\"resourceId\":", &admin.resource_id);
        }
    }
}

fn write_time(out: &mut Vec<u8>, time: Option<i64>) {
    out.extend_from_slice(b",\"time\":");
    match time {
        // Writing into memory cannot fail.
        Some(time) => drop(write!(out, "{time}")),
        None => out.extend_from_slice(b"null"),
    }
}

fn write_auth_details(out: &mut Vec<u8>, auth: &AuthDetails<'_>) {
    write_member(out, "{\"realmId\":", &auth.realm_id);
    write_member(out, ",\"realmName\":", &auth.realm_name);
    write_member(out, ",\"clientId\":", &auth.client_id);
    write_member(out, ",\"userId\":", &auth.user_id);
    write_member(out, ",\"ipAddress\":", &auth.ip_address);
    write_extra(out, &auth.extra);
    out.push(b'}');
}

fn write_details(out: &mut Vec<u8>, details: &Details<'_>) {
    out.push(b'{');
    for (index, (name, value)) in details.entries.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_text(out, name);
        out.push(b':');
        match value {
            DetailValue::Text(text) => write_text(out, text),
            DetailValue::Json(json) => write_compact(out, json.get()),
        }
    }
    out.push(b'}');
}

fn write_extra(out: &mut Vec<u8>, extra: &[Extra<'_>]) {
    for (name, value) in extra {
        out.push(b',');
        write_text(out, name);
        out.push(b':');
        write_compact(out, value.get());
    }
}

/// Writes `start`, which is everything up to the value, and then the value.
fn write_member(out: &mut Vec<u8>, start: &str, value: &Option<Cow<'_, str>>) {
    out.extend_from_slice(start.as_bytes());
    match value {
        Some(text) => write_text(out, text),
        None => out.extend_from_slice(b"null"),
    }
}

/// Appends `text` as a JSON text: the shortest escapes, and no others than JSON demands.
pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let (clean, dirty) = rest.split_at(clean_length(rest));
        out.extend_from_slice(clean);
        let Some((&byte, tail)) = dirty.split_first() else {
            break;
        };
        write_escape(out, byte);
        rest = tail;
    }
    out.push(b'"');
}

/// How many of the first bytes stand for themselves in a JSON text.
fn clean_length(bytes: &[u8]) -> usize {
    // Whole blocks without a branch per byte, which compilers turn into vector instructions.
    const BLOCK: usize = 16;
    let clean_blocks = bytes
        .chunks_exact(BLOCK)
        .take_while(|block| {
            !block
                .iter()
                .fold(false, |any, &byte| any | needs_escape(byte))
        })
        .count();
    let rest = &bytes[clean_blocks * BLOCK..];
    let tail = rest
        .iter()
        .position(|&byte| needs_escape(byte))
        .unwrap_or(rest.len());
    clean_blocks * BLOCK + tail
}

fn needs_escape(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

fn write_escape(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => {
            let [high, low] =
                [byte >> 4, byte & 0xf].map(|digit| b"0123456789abcdef"[digit as usize]);
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        write_text(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_ascii_character_is_written_as_serde_json_writes_it() {
        for byte in 0..=127_u8 {
            // At both ends of a block and within one.
            for before in [0, 1, 15, 16, 17, 31] {
                let text = format!("{}{}tail", "x".repeat(before), char::from(byte));
                assert_eq!(written(&text), serde_json::to_string(&text).unwrap());
            }
        }
    }

    proptest! {
        #[test]
        fn every_text_is_written_as_serde_json_writes_it(
            text in "(?s)([ -~]{0,40}|.{0,10}|[\"\\\\\\x00-\\x1f]{0,3}){0,5}"
        ) {
            prop_assert_eq!(written(&text), serde_json::to_string(&text).unwrap());
        }
    }
}
