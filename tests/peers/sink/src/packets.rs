//! Tells Socket.IO packets apart by their first bytes, and writes the answers.
//!
//! The grammar is that of the Socket.IO protocol 5 inside Engine.IO 4:
//! `4<type>[/namespace,][id]<json>`; see the protocol documents of the Socket.IO project.

/// A packet, as far as the sink cares.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Packet<'a> {
    /// CONNECT; the namespace is `/` where none is named.
    Connect(&'a str),
    /// EVENT, with the id of the acknowledgement it asks for.
    Event {
        namespace: &'a str,
        acknowledge: Option<u64>,
    },
    /// The client leaves: Engine.IO close.
    Close,
    /// Anything else, an answer to the server's ping above all.
    Other,
}

impl Packet<'_> {
    /// Reads the packet that begins with `start`.
    pub(crate) fn parse(start: &[u8]) -> Packet<'_> {
        match start {
            [b'4', b'0', rest @ ..] => Packet::Connect(split_namespace(rest).0),
            [b'4', b'2', rest @ ..] => {
                let (namespace, rest) = split_namespace(rest);
                Packet::Event {
                    namespace,
                    acknowledge: leading_number(rest),
                }
            }
            [b'1'] => Packet::Close,
            _ => Packet::Other,
        }
    }
}

/// The Engine.IO handshake.
pub(crate) fn open(sid: u64, options: &crate::Options) -> String {
    let handshake = serde_json::json!({
        "sid": format!("sink-{sid}"),
        "upgrades": [],
        "pingInterval": options.ping_interval,
        "pingTimeout": options.ping_timeout,
        "maxPayload": options.max_payload,
    });
    format!("0{handshake}")
}

/// What a CONNECT gets: only the namespace `/` is served.
pub(crate) fn connect_reply(sid: u64, namespace: &str) -> String {
    match namespace {
        "/" => format!("40{{\"sid\":\"sink-{sid}-root\"}}"),
        other => format!("44{other},{{\"message\":\"Invalid namespace\"}}"),
    }
}

/// An empty acknowledgement.
pub(crate) fn acknowledgement(namespace: &str, id: u64) -> String {
    match namespace {
        "/" => format!("43{id}[]"),
        other => format!("43{other},{id}[]"),
    }
}

/// Appends a text frame as a server sends it, unmasked.
pub(crate) fn push_text(out: &mut Vec<u8>, text: &str) {
    push_frame(out, 0x81, text.as_bytes());
}

/// Appends a frame of any kind; `first` holds the FIN bit and the opcode.
pub(crate) fn push_frame(out: &mut Vec<u8>, first: u8, payload: &[u8]) {
    out.push(first);
    match u8::try_from(payload.len()) {
        Ok(length) if length < 126 => out.push(length),
        _ => {
            out.push(126);
            out.extend((payload.len() as u16).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

fn split_namespace(rest: &[u8]) -> (&str, &[u8]) {
    if rest.first() != Some(&b'/') {
        return ("/", rest);
    }
    let end = rest
        .iter()
        .position(|&byte| byte == b',')
        .unwrap_or(rest.len());
    let namespace = std::str::from_utf8(&rest[..end]).unwrap_or("/");
    (namespace, rest.get(end + 1..).unwrap_or_default())
}

fn leading_number(rest: &[u8]) -> Option<u64> {
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_told_apart_by_their_start() {
        let event = |namespace, acknowledge| Packet::Event {
            namespace,
            acknowledge,
        };
        assert_eq!(Packet::parse(b"40"), Packet::Connect("/"));
        assert_eq!(Packet::parse(b"40{\"token\":1}"), Packet::Connect("/"));
        assert_eq!(
            Packet::parse(b"40/kete-barrier,"),
            Packet::Connect("/kete-barrier")
        );
        assert_eq!(Packet::parse(b"42[\"login\",{"), event("/", None));
        assert_eq!(Packet::parse(b"42512[\"login\",{"), event("/", Some(512)));
        assert_eq!(Packet::parse(b"42/a,7[\"login\",{"), event("/a", Some(7)));
        assert_eq!(Packet::parse(b"1"), Packet::Close);
        assert_eq!(Packet::parse(b"3"), Packet::Other);
    }

    #[test]
    fn answers_are_spelled_as_the_protocol_wants() {
        assert_eq!(
            connect_reply(1, "/x"),
            "44/x,{\"message\":\"Invalid namespace\"}"
        );
        assert_eq!(acknowledgement("/", 3), "433[]");
        assert_eq!(acknowledgement("/a", 3), "43/a,3[]");
        let mut out = Vec::new();
        push_text(&mut out, &"x".repeat(300));
        assert_eq!(out[..4], [0x81, 126, 1, 44]);
        assert_eq!(out.len(), 304);
    }
}
