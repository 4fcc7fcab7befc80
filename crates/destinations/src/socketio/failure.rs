//! Failures of connections, put into words for whoever runs the route.
//!
//! A message says where, what the server said, and which key to look at. What the Socket.IO client
//! reports is bounded, and it hides what the server quotes of query, headers and auth, so no
//! credential can get in here.

use std::time::Duration;

use http::StatusCode;
use kete_credentials::oauth::TokenError;
use kete_credentials::tls::advice;
use kete_pipeline::{ConnectFailure, ConnectFailureKind, EventFailure, FailureReason};
use kete_socketio::{BarrierKind, CloseReason, ConnectError, HttpRefusal, Stage, TooLarge};

/// Words in a refusal of the namespace that speak of credentials. They decide how long to wait
/// before the next attempt and which advice comes first, nothing else.
const ABOUT_CREDENTIALS: [&str; 8] = [
    "auth",
    "credential",
    "token",
    "jwt",
    "forbidden",
    "denied",
    "login",
    "api key",
];

/// What to look at when a server refuses a token, also one that was fetched anew for it.
const ABOUT_TOKENS: &str = "the token of oauth was refused: check what it is good for (oauth.scope, \
                            oauth.parameters.<NAME>) and where the server looks for it \
                            (oauth.send-as), and see the server's log";

/// Why connecting to `peer` failed; `with_token` if a token of OAuth was sent.
pub(crate) fn connecting(peer: &str, error: &ConnectError, with_token: bool) -> ConnectFailure {
    if let Some(way_out) = about_tls(error) {
        return ConnectFailure {
            kind: ConnectFailureKind::Tls,
            message: format!("{peer}: {error}; {way_out}"),
        };
    }
    let (kind, way_out) = match error {
        ConnectError::Http(refusal) => return refused_by_http(peer, refusal, with_token),
        ConnectError::Options(_) => (ConnectFailureKind::Protocol, "check url and namespace"),
        ConnectError::Resolve { .. } => (ConnectFailureKind::Unreachable, "check the host in url"),
        ConnectError::Tcp { .. } => (
            ConnectFailureKind::Unreachable,
            "check the host and port in url, and that the server runs",
        ),
        ConnectError::Upgrade { .. } | ConnectError::NotEngineIo { .. } => (
            ConnectFailureKind::Protocol,
            "this is no Socket.IO server; check url and path",
        ),
        ConnectError::HttpAfterUpgrade { .. } | ConnectError::EngineIo3 => (
            ConnectFailureKind::Protocol,
            "a server of Socket.IO 3 or later is needed",
        ),
        ConnectError::Refused { payload, .. } => about_namespace(payload.as_str(), with_token),
        ConnectError::Closed {
            stage: Stage::Upgrade,
            reason,
        } => (while_connecting(reason), hung_up(peer)),
        ConnectError::Closed { reason, .. } => (while_connecting(reason), "see the server's log"),
        ConnectError::TimedOut { .. } => (
            ConnectFailureKind::Timeout,
            "check that the server answers, or give timeout-seconds a larger value",
        ),
        _ => (ConnectFailureKind::Protocol, "see the server's log"),
    };
    ConnectFailure {
        kind,
        message: format!("{peer}: {error}; {way_out}"),
    }
}

/// The way out of a failure that TLS has caused. A server may refuse a client certificate only
/// after the handshake.
fn about_tls(error: &ConnectError) -> Option<String> {
    match error {
        ConnectError::Tls { source, .. } => {
            let advice = advice(source, "tls");
            Some(advice.unwrap_or_else(|| "check that the port speaks TLS".to_owned()))
        }
        ConnectError::Closed { reason, .. } => advice(&**reason, "tls"),
        _ => None,
    }
}

/// Whether the server may have refused because of who asked: with another token it may consent.
/// Some servers only hang up on the namespace.
pub(crate) fn is_about_identity(error: &ConnectError) -> bool {
    match error {
        ConnectError::Http(refusal) => matches!(
            refusal.status,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
        ),
        ConnectError::Refused { .. } => true,
        ConnectError::Closed { stage, reason } => {
            *stage == Stage::Namespace && matches!(**reason, CloseReason::Disconnected)
        }
        _ => false,
    }
}

/// There is no token to connect with.
pub(crate) fn no_token(peer: &str, error: &TokenError) -> ConnectFailure {
    let kind = if error.can_retry_help() {
        ConnectFailureKind::Unreachable
    } else {
        ConnectFailureKind::Unauthorized
    };
    let mut message = format!("{peer}: there is no token to connect with: {error}");
    if let Some(way_out) = error.way_out() {
        message.push_str(&format!("; {way_out}"));
    }
    ConnectFailure { kind, message }
}

/// There is a token, and it cannot be sent.
pub(crate) fn unusable_token(peer: &str, problem: &str) -> ConnectFailure {
    let message = format!("{peer}: the token cannot be sent: {problem}; check oauth.send-as");
    ConnectFailure {
        kind: ConnectFailureKind::Unauthorized,
        message,
    }
}

/// Why a connection to `peer` that worked is gone.
pub(crate) fn ended(peer: &str, reason: &CloseReason) -> ConnectFailure {
    let kind = match reason {
        CloseReason::Silent { .. }
        | CloseReason::WriteStalled { .. }
        | CloseReason::NotTaken { .. } => ConnectFailureKind::Timeout,
        CloseReason::Protocol(_) => ConnectFailureKind::Protocol,
        _ => ConnectFailureKind::Ended,
    };
    let way_out = match reason {
        CloseReason::TooBig { .. } => "; set max-payload to what the server takes",
        CloseReason::Refused { .. } => "; check auth.<KEY> and headers.Authorization",
        _ => "",
    };
    ConnectFailure {
        kind,
        message: format!("{peer}: {reason}{way_out}"),
    }
}

/// The server answers none of these, so nothing could ever be confirmed.
pub(crate) fn no_barrier(peer: &str, asked: &[BarrierKind], each: Duration) -> ConnectFailure {
    let asked: Vec<&str> = asked.iter().map(|kind| barrier_name(*kind)).collect();
    let message = format!(
        "{peer}: the server answered no barrier (asked: {}; {each:?} each), so it could not be \
         told what has arrived; set confirm=ack if its handlers acknowledge events, \
         barrier=engine-ping for netty-socketio, or confirm=written to send without confirmation",
        asked.join(", "),
    );
    ConnectFailure {
        kind: ConnectFailureKind::NoConfirmation,
        message,
    }
}

/// The connection ended while the first barrier was asked.
pub(crate) fn hung_up_on_barrier(
    peer: &str,
    asked: &[BarrierKind],
    reason: &CloseReason,
) -> ConnectFailure {
    let asked: Vec<&str> = asked.iter().map(|kind| barrier_name(*kind)).collect();
    let asked = asked.join(", ");
    let ConnectFailure { kind, message } = ended(peer, reason);
    let message = format!(
        "{message} when it was asked for a barrier ({asked}); if that happens again, check \
         barrier: engine-ping is for netty-socketio only"
    );
    ConnectFailure { kind, message }
}

/// No connection is free, though the lane asks for no more than there may be.
pub(crate) fn exhausted(peer: &str, waited: Duration) -> ConnectFailure {
    let message = format!("{peer}: no connection of the pool became free within {waited:?}");
    ConnectFailure {
        kind: ConnectFailureKind::Timeout,
        message,
    }
}

/// The destination is being closed.
pub(crate) fn closing(peer: &str) -> ConnectFailure {
    let message = format!("{peer}: the route is closing its connections");
    ConnectFailure {
        kind: ConnectFailureKind::Ended,
        message,
    }
}

/// An event that the server would close the connection over.
pub(crate) fn too_large(error: TooLarge) -> EventFailure {
    let TooLarge { size, limit } = error;
    let detail = format!(
        "the packet has {size} bytes and the server takes {limit}; raise the server's limit \
         (maxHttpBufferSize), or set max-payload if it takes more than it says"
    );
    EventFailure::Permanent {
        reason: FailureReason::TooLarge,
        detail,
    }
}

fn refused_by_http(peer: &str, refusal: &HttpRefusal, with_token: bool) -> ConnectFailure {
    if let Some(origin) = &refusal.moved_to {
        return ConnectFailure {
            kind: ConnectFailureKind::Rejected,
            message: format!("{peer}: {refusal}; set destination.url to {origin}"),
        };
    }
    let (kind, way_out) = match refusal.status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if with_token => {
            (ConnectFailureKind::Unauthorized, ABOUT_TOKENS)
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => (
            ConnectFailureKind::Unauthorized,
            "check headers.Authorization, query.<NAME> and auth.<KEY>",
        ),
        StatusCode::NOT_FOUND => (ConnectFailureKind::Rejected, "check path"),
        status if status.is_success() => (
            ConnectFailureKind::Protocol,
            "check url and path, and that a proxy passes the Upgrade header on",
        ),
        status if status.is_redirection() => (
            ConnectFailureKind::Rejected,
            "a login page may stand before the server; check path, then check url",
        ),
        status if status.is_server_error() => (
            ConnectFailureKind::Rejected,
            "see the log of the server or of the proxy before it",
        ),
        _ => (ConnectFailureKind::Rejected, "check path and query.<NAME>"),
    };
    ConnectFailure {
        kind,
        message: format!("{peer}: {refusal}; {way_out}"),
    }
}

fn about_namespace(payload: &str, with_token: bool) -> (ConnectFailureKind, &'static str) {
    let payload = payload.to_ascii_lowercase();
    let about_credentials = ABOUT_CREDENTIALS.iter().any(|word| payload.contains(word));
    if about_credentials && with_token {
        return (ConnectFailureKind::Unauthorized, ABOUT_TOKENS);
    }
    if about_credentials {
        return (
            ConnectFailureKind::Unauthorized,
            "check auth.<KEY> and headers.Authorization, then namespace",
        );
    }
    (
        ConnectFailureKind::Rejected,
        "check namespace, then auth.<KEY> and headers.Authorization",
    )
}

/// Some servers look at a client's certificate only after the handshake, and say nothing (Node).
fn hung_up(peer: &str) -> &'static str {
    if peer.starts_with("https:") || peer.starts_with("wss:") {
        "servers hang up on a path that they do not know, and on a client that has no certificate \
         which they accept; check path, url and tls.key-store"
    } else {
        "servers hang up on a path that they do not know; check path and url"
    }
}

fn while_connecting(reason: &CloseReason) -> ConnectFailureKind {
    match reason {
        CloseReason::Dropped | CloseReason::Io(_) => ConnectFailureKind::Unreachable,
        CloseReason::Protocol(_) => ConnectFailureKind::Protocol,
        CloseReason::Silent { .. } => ConnectFailureKind::Timeout,
        _ => ConnectFailureKind::Rejected,
    }
}

fn barrier_name(kind: BarrierKind) -> &'static str {
    match kind {
        BarrierKind::Ping => "ping",
        BarrierKind::Namespace => "namespace",
        BarrierKind::EnginePing => "engine-ping",
    }
}

#[cfg(test)]
mod tests;
