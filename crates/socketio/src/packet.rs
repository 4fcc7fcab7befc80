//! Engine.IO 4 and Socket.IO 5 text packets, as bytes in and bytes out.
//!
//! ```text
//! Engine.IO   0 open   1 close   2 ping   3 pong   4 message   5 upgrade   6 noop
//! message     4 <kind> [<attachments>-] [<namespace>,] [<ack id>] [<JSON>]
//! kinds       0 CONNECT  1 DISCONNECT  2 EVENT  3 ACK  4 CONNECT_ERROR  5, 6 with attachments
//! ```
//!
//! What a sender sends can be encoded, everything a server may send can be decoded; JSON that the
//! protocol itself does not need is handed on unread. Decoding never panics and copies nothing but
//! event names. Sources: the Engine.IO 4 and Socket.IO 5 protocol documents of the socket.io
//! project.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use serde::Deserialize;
use thiserror::Error;

use crate::name::EventName;

/// The Engine.IO close packet.
pub(crate) const CLOSE: Bytes = Bytes::from_static(b"1");
/// The Engine.IO ping packet.
pub(crate) const PING: Bytes = Bytes::from_static(b"2");

/// Longest liveness that is believed; keeps sums of times within what the clock can hold.
const LONGEST_PING: u64 = 24 * 60 * 60 * 1000;

/// One packet from a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Packet {
    Open(OpenPacket),
    Close,
    /// The data has to be sent back in the pong.
    Ping(Bytes),
    Pong,
    Message(Message),
    /// Upgrade and noop, which mean nothing on a WebSocket that is open.
    Ignored,
}

/// The handshake of Engine.IO.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpenPacket {
    pub(crate) sid: String,
    pub(crate) ping_interval: Duration,
    pub(crate) ping_timeout: Duration,
    pub(crate) max_payload: Option<u64>,
}

/// A Socket.IO packet. Attachments are not kept: their placeholders stay in the JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) kind: Kind,
    /// The namespace, `/` where the packet names none.
    pub(crate) namespace: Bytes,
    pub(crate) id: Option<u64>,
    /// JSON, possibly nothing.
    pub(crate) data: Bytes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Connect,
    Disconnect,
    Event,
    Ack,
    ConnectError,
}

/// Why bytes are not a packet.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum DecodeError {
    /// There is not a single byte.
    #[error("the packet is empty")]
    Empty,
    /// The first byte is no Engine.IO packet type.
    #[error("unknown Engine.IO packet type {0:#04x}")]
    EngineType(u8),
    /// The second byte is no Socket.IO packet type.
    #[error("unknown Socket.IO packet type {0:#04x}")]
    MessageType(u8),
    /// A message without a Socket.IO packet type.
    #[error("the message has no Socket.IO packet type")]
    NoMessageType,
    /// A packet with attachments that does not say how many.
    #[error("the number of attachments is missing")]
    Attachments,
    /// The acknowledgement id does not fit 64 bits.
    #[error("the acknowledgement id is too large")]
    AckId,
    /// The open packet is not the JSON object that it has to be.
    #[error("the open packet lacks sid, pingInterval or pingTimeout, or is no JSON")]
    Open,
    /// An event is not a JSON array that starts with a string.
    #[error("the event is no JSON array that starts with a name")]
    Event,
}

/// Decodes one text frame.
pub(crate) fn decode(frame: &Bytes) -> Result<Packet, DecodeError> {
    let kind = *frame.first().ok_or(DecodeError::Empty)?;
    match kind {
        b'0' => decode_open(&frame[1..]).map(Packet::Open),
        b'1' => Ok(Packet::Close),
        b'2' => Ok(Packet::Ping(frame.slice(1..))),
        b'3' => Ok(Packet::Pong),
        b'4' => decode_message(frame.slice(1..)).map(Packet::Message),
        b'5' | b'6' => Ok(Packet::Ignored),
        other => Err(DecodeError::EngineType(other)),
    }
}

/// Splits the data of an EVENT into its name and the text of its arguments (without brackets).
pub(crate) fn split_event(data: &Bytes) -> Result<(String, Bytes), DecodeError> {
    let inner = data.strip_prefix(b"[").ok_or(DecodeError::Event)?;
    let inner = inner
        .trim_ascii_end()
        .strip_suffix(b"]")
        .ok_or(DecodeError::Event)?;
    let mut names = serde_json::Deserializer::from_slice(inner).into_iter::<String>();
    let name = match names.next() {
        Some(Ok(name)) => name,
        _ => return Err(DecodeError::Event),
    };
    let rest = inner[names.byte_offset()..].trim_ascii();
    let arguments = match rest.strip_prefix(b",") {
        Some(arguments) => arguments.trim_ascii_start(),
        None if rest.is_empty() => rest,
        None => return Err(DecodeError::Event),
    };
    Ok((name, data.slice_ref(arguments)))
}

/// Engine.IO pong with the data of its ping.
pub(crate) fn encode_pong(data: &[u8]) -> Bytes {
    [b"3", data].concat().into()
}

/// CONNECT, with the `auth` object or none.
pub(crate) fn encode_connect(namespace: &str, auth: Option<&[u8]>) -> Bytes {
    [&message_prefix(b'0', namespace), auth.unwrap_or_default()]
        .concat()
        .into()
}

/// DISCONNECT from a namespace.
pub(crate) fn encode_disconnect(namespace: &str) -> Bytes {
    message_prefix(b'1', namespace).into()
}

/// An acknowledgement without arguments.
pub(crate) fn encode_empty_ack(namespace: &str, id: u64) -> Bytes {
    let mut frame = message_prefix(b'3', namespace);
    frame.extend_from_slice(id.to_string().as_bytes());
    frame.extend_from_slice(b"[]");
    frame.into()
}

/// What every EVENT packet of a namespace starts with.
pub(crate) fn event_prefix(namespace: &str) -> Bytes {
    message_prefix(b'2', namespace).into()
}

/// The size in bytes of the packet that [`encode_event`] makes.
pub(crate) fn event_len(
    prefix: usize,
    ack: Option<u32>,
    name: &EventName,
    payload: &[u8],
) -> usize {
    let digits = ack.map_or(0, |id| id.checked_ilog10().unwrap_or(0) as usize + 1);
    let comma = usize::from(!payload.is_empty());
    prefix + digits + 2 + name.as_json().len() + comma + payload.len()
}

/// Appends an EVENT packet with one argument, or with none where the payload is empty.
pub(crate) fn encode_event(
    out: &mut BytesMut,
    prefix: &[u8],
    ack: Option<u32>,
    name: &EventName,
    payload: &[u8],
) {
    out.reserve(event_len(prefix.len(), ack, name, payload));
    out.put_slice(prefix);
    if let Some(id) = ack {
        put_decimal(out, id);
    }
    out.put_u8(b'[');
    out.put_slice(name.as_json().as_bytes());
    if !payload.is_empty() {
        out.put_u8(b',');
        out.put_slice(payload);
    }
    out.put_u8(b']');
}

fn put_decimal(out: &mut BytesMut, number: u32) {
    let mut digits = [0_u8; 10];
    let mut start = digits.len();
    let mut rest = number;
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.put_slice(&digits[start..]);
}

fn message_prefix(kind: u8, namespace: &str) -> Vec<u8> {
    let mut prefix = vec![b'4', kind];
    if namespace != "/" {
        prefix.extend_from_slice(namespace.as_bytes());
        prefix.push(b',');
    }
    prefix
}

fn decode_open(json: &[u8]) -> Result<OpenPacket, DecodeError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Open {
        sid: String,
        ping_interval: u64,
        ping_timeout: u64,
        #[serde(default)]
        max_payload: serde_json::Value,
    }
    let open: Open = serde_json::from_slice(json).map_err(|_| DecodeError::Open)?;
    let milliseconds = |number: u64| Duration::from_millis(number.min(LONGEST_PING));
    Ok(OpenPacket {
        sid: open.sid,
        ping_interval: milliseconds(open.ping_interval),
        ping_timeout: milliseconds(open.ping_timeout),
        max_payload: open.max_payload.as_u64(),
    })
}

fn decode_message(mut rest: Bytes) -> Result<Message, DecodeError> {
    let kind = *rest.first().ok_or(DecodeError::NoMessageType)?;
    let (kind, attachments) = match kind {
        b'0' => (Kind::Connect, false),
        b'1' => (Kind::Disconnect, false),
        b'2' => (Kind::Event, false),
        b'3' => (Kind::Ack, false),
        b'4' => (Kind::ConnectError, false),
        b'5' => (Kind::Event, true),
        b'6' => (Kind::Ack, true),
        other => return Err(DecodeError::MessageType(other)),
    };
    let _ = rest.split_to(1);
    if attachments {
        let digits = leading_digits(&rest);
        if digits == 0 || rest.get(digits) != Some(&b'-') {
            return Err(DecodeError::Attachments);
        }
        let _ = rest.split_to(digits + 1);
    }
    let namespace = take_namespace(&mut rest);
    let id = take_id(&mut rest)?;
    Ok(Message {
        kind,
        namespace,
        id,
        data: rest,
    })
}

/// Takes `/name,`; a server may leave the comma away where nothing follows.
fn take_namespace(rest: &mut Bytes) -> Bytes {
    if rest.first() != Some(&b'/') {
        return Bytes::from_static(b"/");
    }
    match memchr::memchr(b',', rest) {
        Some(comma) => {
            let namespace = rest.split_to(comma);
            let _ = rest.split_to(1);
            namespace
        }
        None => std::mem::take(rest),
    }
}

fn take_id(rest: &mut Bytes) -> Result<Option<u64>, DecodeError> {
    let digits = rest.split_to(leading_digits(rest));
    if digits.is_empty() {
        return Ok(None);
    }
    let mut id = 0_u64;
    for digit in digits {
        let next = id
            .checked_mul(10)
            .and_then(|id| id.checked_add(u64::from(digit - b'0')));
        id = next.ok_or(DecodeError::AckId)?;
    }
    Ok(Some(id))
}

fn leading_digits(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count()
}

#[cfg(test)]
mod tests;
