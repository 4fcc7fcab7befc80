//! Every way in which a connection fails to come about or comes to an end.
//!
//! An error names the stage, what the server said (bounded, see [`Excerpt`]) and what that usually
//! means. It never holds headers, the `auth` payload or an event, and where the server quotes them
//! or the query, they are hidden.

use std::{fmt, io, time::Duration};

use http::StatusCode;
use thiserror::Error;
use tokio_tungstenite::tungstenite::{
    Error as WebSocketError, error::ProtocolError as WebSocketFault, protocol::CloseFrame,
};

use crate::{excerpt::Excerpt, options::OptionsError};

/// Why there is no connection.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The options can never work.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The host name has no address.
    #[error("cannot resolve the host name {host}: {source}")]
    Resolve {
        /// The host name asked for.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// No address of the host took the connection.
    #[error("cannot connect to {address}: {source}")]
    Tcp {
        /// The address tried last.
        address: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The TLS handshake failed, most often over a certificate.
    #[error("the TLS handshake with {host} failed: {source}")]
    Tls {
        /// The host name or address that the certificate has to match.
        host: String,
        /// What the TLS library said.
        source: io::Error,
    },
    /// An HTTP response came instead of the upgrade.
    #[error(transparent)]
    Http(#[from] Box<HttpRefusal>),
    /// The upgrade was answered, but not as WebSocket requires (RFC 6455, section 4.1).
    #[error("the answer to the WebSocket upgrade {fault}")]
    Upgrade {
        /// What is wrong with the answer.
        fault: UpgradeFault,
    },
    /// The server upgraded and then spoke plain HTTP, as socket.io 4 does for an Engine.IO version
    /// that it does not accept.
    #[error(
        "the server switched to WebSocket and then answered in HTTP, which servers do when they do \
         not speak Engine.IO 4: {received}"
    )]
    HttpAfterUpgrade {
        /// The start of that answer.
        received: Excerpt,
    },
    /// The first packet is no Engine.IO open packet.
    #[error(
        "this is no Engine.IO 4 endpoint (check the path): the first packet was {received:?}, \
         not an open packet"
    )]
    NotEngineIo {
        /// The start of the first packet.
        received: Excerpt,
    },
    /// The server speaks Engine.IO 3, that is Socket.IO 2 or older.
    #[error("the server speaks Engine.IO 3 (Socket.IO 2 or older), this client needs Engine.IO 4")]
    EngineIo3,
    /// The server answered CONNECT with CONNECT_ERROR.
    #[error("the server refused the namespace {namespace}: {payload}")]
    Refused {
        /// The namespace asked for.
        namespace: String,
        /// The payload of CONNECT_ERROR, an object or a string.
        payload: Excerpt,
    },
    /// The connection ended before the server had accepted it.
    #[error("the connection ended while {stage}: {reason}{}", path_hint(*.stage, .reason))]
    Closed {
        /// What was being waited for.
        stage: Stage,
        /// How it ended.
        reason: Box<CloseReason>,
    },
    /// The deadline over the whole of connecting passed.
    #[error("no connection within {limit:?}: the time ran out while {stage}")]
    TimedOut {
        /// What was being waited for.
        stage: Stage,
        /// [`crate::Options::connect_timeout`].
        limit: Duration,
    },
}

impl ConnectError {
    /// Whether new credentials could help: HTTP 401 and 403.
    pub fn is_auth(&self) -> bool {
        let refusal = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
        matches!(self, ConnectError::Http(http) if refusal.contains(&http.status))
    }

    /// Whether the same attempt can succeed later, with nothing changed on this side. Only options
    /// that can never work are beyond that; a refusal or a bad certificate may be the server's
    /// mistake and be gone tomorrow.
    pub fn can_retry_help(&self) -> bool {
        !matches!(self, ConnectError::Options(_))
    }

    /// How far the attempt came; nothing when it never started.
    pub fn stage(&self) -> Option<Stage> {
        match self {
            ConnectError::Options(_) => None,
            ConnectError::Resolve { .. } => Some(Stage::Resolving),
            ConnectError::Tcp { .. } => Some(Stage::Tcp),
            ConnectError::Tls { .. } => Some(Stage::Tls),
            ConnectError::Http(_) | ConnectError::Upgrade { .. } => Some(Stage::Upgrade),
            ConnectError::HttpAfterUpgrade { .. } | ConnectError::NotEngineIo { .. } => {
                Some(Stage::OpenPacket)
            }
            ConnectError::EngineIo3 | ConnectError::Refused { .. } => Some(Stage::Namespace),
            ConnectError::Closed { stage, .. } | ConnectError::TimedOut { stage, .. } => {
                Some(*stage)
            }
        }
    }
}

/// What it usually means that a server hangs up on the upgrade: Node's HTTP server leaves requests
/// for an upgrade to engine.io, which ends those for other paths without a word.
fn path_hint(stage: Stage, reason: &CloseReason) -> &'static str {
    match (stage, reason) {
        (Stage::Upgrade, CloseReason::Dropped) => {
            "; Node servers do this where the path is wrong, usually /socket.io/ is right"
        }
        _ => "",
    }
}

/// The steps of connecting, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Stage {
    /// Turning the host name into addresses.
    Resolving,
    /// Opening the TCP connection.
    Tcp,
    /// The TLS handshake.
    Tls,
    /// The HTTP request that asks for WebSocket.
    Upgrade,
    /// Waiting for the Engine.IO open packet.
    OpenPacket,
    /// Waiting for the answer to the Socket.IO CONNECT packet.
    Namespace,
}

impl fmt::Display for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Stage::Resolving => "resolving the host name",
            Stage::Tcp => "opening the TCP connection",
            Stage::Tls => "in the TLS handshake",
            Stage::Upgrade => "waiting for the answer to the WebSocket upgrade",
            Stage::OpenPacket => "waiting for the Engine.IO open packet",
            Stage::Namespace => "waiting for the answer to the Socket.IO CONNECT",
        })
    }
}

/// An HTTP response where the upgrade to WebSocket was expected.
#[derive(Debug, Error)]
#[error("HTTP {status} instead of a WebSocket: {}{}", self.hint(), Said(.body))]
#[non_exhaustive]
pub struct HttpRefusal {
    /// The status of the response.
    pub status: StatusCode,
    /// Where a redirect points to: scheme, host, port and path. Its query may repeat a secret.
    pub location: Option<Excerpt>,
    /// The origin to use instead, where a redirect points to the same path elsewhere.
    pub moved_to: Option<String>,
    /// The start of the body.
    pub body: Excerpt,
}

impl HttpRefusal {
    /// What the status usually means at a Socket.IO endpoint, and the way out.
    pub fn hint(&self) -> String {
        match self.status.as_u16() {
            200..=299 => "this answers like a web page, not like a Socket.IO server; check the \
                          URL and the path, and that a proxy passes the Upgrade header on"
                .to_owned(),
            300..=399 => match &self.location {
                Some(location) => format!("use the address that it redirects to, {location}"),
                None => "the server redirects elsewhere; use that address".to_owned(),
            },
            400 => "the server rejected the handshake; check the path and the query, and that it \
                    allows the websocket transport and Engine.IO 4"
                .to_owned(),
            401 | 403 => "the credentials were refused; check the headers, the query and the token"
                .to_owned(),
            404 => "nothing speaks Socket.IO at this path; most servers use /socket.io/ with the \
                    slash at the end"
                .to_owned(),
            502..=504 => {
                "a proxy answers, but the server behind it does not; trying again may help"
                    .to_owned()
            }
            _ => "the server did not accept the upgrade".to_owned(),
        }
    }
}

/// Shows an excerpt at the end of a message, or nothing where the server said nothing.
struct Said<'a>(&'a Excerpt);

impl fmt::Display for Said<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            Ok(())
        } else {
            write!(formatter, "; it said: {}", self.0)
        }
    }
}

/// What is wrong with an answer to the WebSocket upgrade.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpgradeFault {
    /// The answer is not HTTP.
    NotHttp {
        /// The start of the answer.
        received: Excerpt,
    },
    /// The header of the answer does not end.
    HeadTooLong,
    /// The header is missing from the 101 response or does not have the required value.
    Header(&'static str),
}

impl fmt::Display for UpgradeFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UpgradeFault::NotHttp { received } => write!(formatter, "is not HTTP: {received}"),
            UpgradeFault::HeadTooLong => write!(formatter, "has an endless header"),
            UpgradeFault::Header(name) => write!(formatter, "has no valid header {name}"),
        }
    }
}

/// Why a connection that was ready has ended. A new connection can help in every case.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// [`crate::Sender::close`] was called (or the last sender dropped), and everything sent before
    /// was written.
    #[error("closed on request{}", if *.answered { "" } else { ", without an answer of the server" })]
    Requested {
        /// Whether the server closed its side too, rather than being silent. This is no proof that
        /// it has read everything, since a server that broke off at the same moment looks alike;
        /// wait for a barrier before closing where that matters.
        answered: bool,
    },
    /// [`crate::Sender::abort`] was called, or the runtime is shutting down.
    #[error("aborted on request")]
    Aborted,
    /// The server closed the WebSocket.
    #[error("the server closed the connection{}", CodeAndReason(.code, .reason))]
    ServerClosed {
        /// The close code (RFC 6455, section 7.4), if it gave one.
        code: Option<u16>,
        /// The text beside the code, often empty.
        reason: Excerpt,
    },
    /// The server closed the WebSocket with code 1009.
    #[error(
        "the server closed the connection because a message was too large for it (code 1009){}",
        Said(.reason)
    )]
    TooBig {
        /// The text beside the code, often empty.
        reason: Excerpt,
    },
    /// The server sent an Engine.IO close packet (`1`).
    #[error("the server closed the Engine.IO session")]
    EngineClosed,
    /// The server sent a Socket.IO DISCONNECT (`41`): it wants this client out of the namespace.
    #[error("the server disconnected this client from the namespace")]
    Disconnected,
    /// The server sent a CONNECT_ERROR (`44`) after it had accepted the namespace.
    #[error("the server withdrew the namespace: {payload}")]
    Refused {
        /// The payload of CONNECT_ERROR, an object or a string.
        payload: Excerpt,
    },
    /// No ping came in time: the server or the way to it is dead.
    #[error("the server sent no ping for {limit:?} (pingInterval + pingTimeout)")]
    Silent {
        /// How long a live server may be silent.
        limit: Duration,
    },
    /// The server sends, but takes nothing in.
    #[error("the server took nothing in for {limit:?}")]
    WriteStalled {
        /// How long one write may take.
        limit: Duration,
    },
    /// [`crate::Receiver::next`] was not called for so long that pings could not be read.
    #[error("the notifications were not taken, so nothing could be read for {limit:?}")]
    NotTaken {
        /// How long the reader may wait.
        limit: Duration,
    },
    /// The TCP connection ended without a WebSocket close.
    #[error("the connection ended without a WebSocket close")]
    Dropped,
    /// The operating system reported an error.
    #[error("the connection failed: {0}")]
    Io(#[source] io::Error),
    /// The server broke the protocol.
    #[error("the server broke the protocol: {0}")]
    Protocol(#[source] ProtocolFault),
}

/// How a server broke the protocol.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProtocolFault {
    /// Bytes that are not WebSocket, or a message larger than the 16 MiB that are accepted.
    #[error("{0}")]
    WebSocket(#[source] Box<dyn std::error::Error + Send + Sync>),

    /// More packets that need an answer than the connection carries answers.
    #[error("{limit} answers are waiting to be written and more are asked for")]
    TooManyQuestions {
        /// How many answers may wait.
        limit: usize,
    },
}

impl CloseReason {
    /// What an error of the stream means. TLS has one of its own for an end without a word
    /// (RFC 8446, section 6.1), which is what an end of the TCP connection is elsewhere.
    pub(crate) fn from_io(error: io::Error) -> CloseReason {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => CloseReason::Dropped,
            _ => CloseReason::Io(error),
        }
    }

    /// What the end of a WebSocket means.
    pub(crate) fn from_websocket(error: WebSocketError) -> CloseReason {
        match error {
            WebSocketError::Io(error) => CloseReason::from_io(error),
            WebSocketError::ConnectionClosed
            | WebSocketError::AlreadyClosed
            | WebSocketError::Protocol(
                WebSocketFault::ResetWithoutClosingHandshake | WebSocketFault::SendAfterClosing,
            )
            // Cannot happen, for the write buffer has no limit; it holds a frame, and what was to
            // be sent must not get into an error.
            | WebSocketError::WriteBufferFull(_) => CloseReason::Dropped,
            other => CloseReason::Protocol(ProtocolFault::WebSocket(Box::new(other))),
        }
    }

    /// What a close frame of the server means.
    pub(crate) fn from_close_frame(frame: Option<CloseFrame>) -> CloseReason {
        let code = frame.as_ref().map(|frame| u16::from(frame.code));
        let reason = frame
            .map(|frame| Excerpt::new(frame.reason.as_bytes()))
            .unwrap_or_default();
        match code {
            Some(1009) => CloseReason::TooBig { reason },
            code => CloseReason::ServerClosed { code, reason },
        }
    }

    /// Whether the server itself said that this is the end.
    pub(crate) fn is_from_server(&self) -> bool {
        matches!(
            self,
            CloseReason::ServerClosed { .. }
                | CloseReason::TooBig { .. }
                | CloseReason::EngineClosed
                | CloseReason::Disconnected
                | CloseReason::Refused { .. }
        )
    }
}

/// Shows a close code and its reason behind a message.
struct CodeAndReason<'a>(&'a Option<u16>, &'a Excerpt);

impl fmt::Display for CodeAndReason<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(code) => write!(formatter, " with code {code}{}", Said(self.1)),
            None => write!(formatter, " without a code{}", Said(self.1)),
        }
    }
}

/// The connection has ended; [`crate::Receiver::next`] tells why. Connecting again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the connection is closed")]
pub struct Closed;

/// The packet is larger than the server accepts. Trying again cannot help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the packet has {size} bytes, the limit is {limit}")]
pub struct TooLarge {
    /// The size of the whole packet in bytes, Socket.IO framing included.
    pub size: u64,
    /// The limit in bytes that it exceeds.
    pub limit: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &str) -> ConnectError {
        let status = StatusCode::from_u16(status).unwrap();
        let body = Excerpt::new(body.as_bytes());
        ConnectError::Http(Box::new(HttpRefusal {
            status,
            location: None,
            moved_to: None,
            body,
        }))
    }

    #[test]
    fn only_401_and_403_ask_for_new_credentials() {
        assert!(refusal(401, "").is_auth());
        assert!(refusal(403, "").is_auth());
        assert!(!refusal(404, "").is_auth());
        assert!(!ConnectError::EngineIo3.is_auth());
    }

    #[test]
    fn a_refusal_names_the_status_its_meaning_and_the_body() {
        assert_eq!(
            refusal(404, "Cannot GET /x\n").to_string(),
            "HTTP 404 Not Found instead of a WebSocket: nothing speaks Socket.IO at this path; \
             most servers use /socket.io/ with the slash at the end; it said: Cannot GET /x"
        );
        assert!(
            refusal(200, "<html>")
                .to_string()
                .contains("answers like a web page")
        );
        assert!(
            refusal(503, "")
                .to_string()
                .ends_with("trying again may help")
        );
    }

    #[test]
    fn options_are_the_only_error_that_waiting_cannot_cure() {
        assert!(!ConnectError::Options(OptionsError::NoHost).can_retry_help());
        assert!(refusal(404, "").can_retry_help());
    }

    #[test]
    fn a_close_shows_its_code_and_reason() {
        let reason = Excerpt::new(b"bye");
        let closed = CloseReason::ServerClosed {
            code: Some(4001),
            reason,
        };
        let expected = "the server closed the connection with code 4001; it said: bye";
        assert_eq!(closed.to_string(), expected);
    }
}
