//! The keys of a Socket.IO destination, and what they become.
//!
//! Names and severities are KETE's where KETE has the key. Every key is read before anything is
//! given up, so that all mistakes come out together. Where the server is and how it is greeted is
//! read in [`target`](super::target), the pool in [`pool_settings`](super::pool_settings).

use std::num::NonZeroU32;

use kete_config::{Key, KeyTable, MapKey, NotYet, Scope, Setting, Size, Unused, code};
use kete_routes::{EventName, Unresolved, read_event_name};
use kete_socketio::{MaxPayload, Options};
use serde_json::Value;
use url::Url;

use super::pool_settings::{self as pool, PoolSettings};
use super::target;
use crate::codes;

pub(crate) static URL: Key<Url> = Key::required(
    "url",
    "scheme (http, https, ws or wss), host and port of the server; a path in it is the namespace, \
     a query is sent with the handshake",
);
static EVENT_NAME: Key<String> = Key::required(
    "event-name",
    "the Socket.IO event to emit: a constant, text with ${variables}, or a {{ template }}",
);
static UNRESOLVED_VARIABLES: Key<Unresolved> = Key::with_default(
    "unresolved-variables",
    "literal",
    "what becomes of a ${variable} without a value: it stays as written, it is left out, or the \
     event fails",
);
pub(crate) static NAMESPACE: Key<String> = Key::optional(
    "namespace",
    "the Socket.IO namespace; a missing leading slash is added. Default: the main one, /",
);
pub(crate) static PATH: Key<String> = Key::with_default(
    "path",
    "/socket.io/",
    "the path of the Engine.IO endpoint; it always ends with a slash",
);
pub(crate) static TIMEOUT_SECONDS: Key<NonZeroU32> = Key::with_default(
    "timeout-seconds",
    "20",
    "how long connecting may take, from the host name to the server's consent to the namespace",
);
pub(crate) static HEADERS: MapKey = MapKey::new(
    "headers",
    "NAME",
    "a header of the handshake request; a blank one is not sent",
)
.secret();
pub(crate) static QUERY: MapKey = MapKey::new(
    "query",
    "NAME",
    "a query parameter of the handshake request",
)
.secret();
pub(crate) static AUTH: MapKey = MapKey::new(
    "auth",
    "KEY",
    "a text member of the auth object that goes with the connection to the namespace",
)
.secret();
static CONFIRM: Key<Confirm> = Key::with_default(
    "confirm",
    "barrier",
    "when an event counts as delivered: the server has read it (barrier), its handler has \
     acknowledged it (ack), or it was handed to the operating system (written)",
);
static BARRIER: Key<BarrierChoice> = Key::with_default(
    "barrier",
    "auto",
    "what the server answers in order with the events; auto asks on the first connection. \
     engine-ping is for netty-socketio only, other servers close the connection over it",
);
static ERROR_POINTER: Key<ErrorPointer> = Key::optional(
    "ack.error-pointer",
    "a JSON pointer into the first argument of the acknowledgement; a value there that is neither \
     null nor false refuses the event",
);
static MAX_PAYLOAD: Key<PayloadLimit> = Key::with_default(
    "max-payload",
    "auto",
    "the largest packet to send: what the server advertised (auto), any (off), or a size; a \
     larger event becomes a dead letter",
);
static TLS_ENABLED: Key<bool> = Key::with_default(
    "tls.enabled",
    "false",
    "an https or wss url is always encrypted, whatever this says",
);
static TLS_VERIFY_HOSTNAME: Key<bool> = Key::with_default(
    "tls.verify-hostname",
    "true",
    "whether the certificate has to match the host name; it cannot be switched off yet",
);
static OAUTH_ENABLED: Key<bool> = Key::with_default(
    "oauth.enabled",
    "false",
    "whether to send a token; not possible yet",
);

static TLS: NotYet = NotYet::new(
    "tls",
    "an https url works with the certificates that the system trusts; until own stores can be \
     named, add the authority to those",
);
static OAUTH: NotYet = NotYet::new(
    "oauth",
    "until then, set headers.Authorization to a token that does not expire",
);
static TRANSPORTS: NotYet = NotYet::new("transports", WEBSOCKET_ONLY);
static UPGRADE: NotYet = NotYet::new("upgrade", WEBSOCKET_ONLY);
static ENGINE_IO_VERSION: NotYet = NotYet::new(
    "engine-io-version",
    "leave it out: Engine.IO 4 is spoken (Socket.IO 3 and later)",
);
static ADD_TRAILING_SLASH: NotYet = NotYet::new(
    "add-trailing-slash",
    "leave it out: the path always ends with a slash",
);
static LOGIN: NotYet = NotYet::new(
    "login",
    "credentials can be sent with auth.<KEY> or headers",
);
static JOIN: NotYet = NotYet::new("join", "let the server put the client into its rooms");
static COOKIES: NotYet = NotYet::new("cookies", "leave it out: no cookies are kept");
static PROXY: NotYet = NotYet::new("proxy", "leave it out: connections are made directly");

static AUTHENTICATION_TYPE: Unused = Unused::new(
    "authentication-type",
    "it means nothing for Socket.IO, in KETE neither",
);
static CONTENT_ENCODING: Unused = Unused::new(
    "content-encoding",
    "Socket.IO events are never encoded, in KETE neither",
);
static CONTENT_TRANSFER_ENCODING: Unused = Unused::new(
    "content-transfer-encoding",
    "Socket.IO events are never encoded, in KETE neither",
);

const WEBSOCKET_ONLY: &str = "leave it out: the websocket transport is used, without polling first";

/// The keys of the kind.
pub(crate) static KEYS: KeyTable = &[
    &URL,
    &EVENT_NAME,
    &UNRESOLVED_VARIABLES,
    &NAMESPACE,
    &PATH,
    &TIMEOUT_SECONDS,
    &HEADERS,
    &QUERY,
    &AUTH,
    &CONFIRM,
    &BARRIER,
    &ERROR_POINTER,
    &MAX_PAYLOAD,
    &pool::MIN_IDLE,
    &pool::MAX_IDLE,
    &pool::MAX_TOTAL,
    &pool::LIFO,
    &pool::TEST_ON_BORROW,
    &pool::TEST_WHILE_IDLE,
    &pool::TESTS_PER_RUN,
    &pool::TIME_BETWEEN_RUNS,
    &pool::MIN_EVICTABLE,
    &pool::SOFT_MIN_EVICTABLE,
    &pool::MAX_WAIT,
    &pool::BLOCK_WHEN_EXHAUSTED,
    &pool::FAIRNESS,
    &pool::TEST_ON_CREATE,
    &pool::TEST_ON_RETURN,
    &TLS_ENABLED,
    &TLS_VERIFY_HOSTNAME,
    &OAUTH_ENABLED,
    &TLS,
    &OAUTH,
    &TRANSPORTS,
    &UPGRADE,
    &ENGINE_IO_VERSION,
    &ADD_TRAILING_SLASH,
    &LOGIN,
    &JOIN,
    &COOKIES,
    &PROXY,
    &AUTHENTICATION_TYPE,
    &CONTENT_ENCODING,
    &CONTENT_TRANSFER_ENCODING,
];

/// When an event counts as delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Confirm {
    /// The server answered something that came after it.
    Barrier,
    /// The server's handler acknowledged it.
    Ack,
    /// It was handed to the operating system.
    Written,
}

kete_config::setting_words!(Confirm { Barrier = "barrier", Ack = "ack", Written = "written" });

/// What the server is asked to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BarrierChoice {
    /// Whatever it answers.
    Auto,
    /// A WebSocket ping.
    Ping,
    /// A namespace that nobody has.
    Namespace,
    /// An Engine.IO ping.
    EnginePing,
}

kete_config::setting_words!(BarrierChoice {
    Auto = "auto",
    Ping = "ping",
    Namespace = "namespace",
    EnginePing = "engine-ping",
});

/// `max-payload`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PayloadLimit(MaxPayload);

impl Setting for PayloadLimit {
    const EXPECTED: &'static str = "auto, off, or a size such as 64KiB or 1MiB";

    fn parse(text: &str) -> Result<PayloadLimit, String> {
        match text.to_ascii_lowercase().as_str() {
            "auto" => Ok(PayloadLimit(MaxPayload::Advertised)),
            "off" => Ok(PayloadLimit(MaxPayload::Off)),
            _ => match Size::parse(text)? {
                Size(0) => Err("it is zero\nwrite off for no limit".to_owned()),
                Size(bytes) => Ok(PayloadLimit(MaxPayload::Bytes(bytes))),
            },
        }
    }
}

/// `ack.error-pointer`: a JSON pointer (RFC 6901) into the first argument of an acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ErrorPointer(String);

impl Setting for ErrorPointer {
    const EXPECTED: &'static str = "a JSON pointer such as /error";
    const BLANK_IS_ABSENT: bool = true;

    fn parse(text: &str) -> Result<ErrorPointer, String> {
        if !text.starts_with('/') {
            return Err(format!("it does not begin with a slash\nwrite /{text}"));
        }
        let escaped = |after: &str| after.starts_with(['0', '1']);
        if !text.split('~').skip(1).all(escaped) {
            return Err("it has a ~ without 0 or 1 behind it\nwrite ~0 for ~, ~1 for /".to_owned());
        }
        Ok(ErrorPointer(text.to_owned()))
    }
}

impl ErrorPointer {
    /// The most characters of a refusal that are kept.
    pub(crate) const LONGEST_DETAIL: usize = 200;

    /// Why the acknowledgement refuses the event, if it does. `payload` is the JSON array of the
    /// arguments; without any argument there is nothing to point at.
    pub(crate) fn refusal(&self, payload: &[u8]) -> Option<String> {
        let Ok(arguments) = serde_json::from_slice::<Vec<Value>>(payload) else {
            return Some("its acknowledgement is no JSON".to_owned());
        };
        match arguments.first()?.pointer(&self.0)? {
            Value::Null | Value::Bool(false) => None,
            Value::String(text) => Some(bounded(text)),
            other => Some(bounded(&other.to_string())),
        }
    }
}

fn bounded(text: &str) -> String {
    let shown = text
        .chars()
        .map(|shown| if shown.is_control() { ' ' } else { shown });
    shown.take(ErrorPointer::LONGEST_DETAIL).collect()
}

/// Everything that a Socket.IO destination was told.
#[derive(Debug)]
pub(crate) struct SocketIoSettings {
    /// Without TLS configuration.
    pub(crate) options: Options,
    pub(crate) event_name: EventName,
    pub(crate) confirm: Confirm,
    pub(crate) barrier: BarrierChoice,
    pub(crate) error_pointer: Option<ErrorPointer>,
    pub(crate) pool: PoolSettings,
}

/// Reads the section. `None` if anything is wrong; the diagnostics say what.
pub(crate) fn read(scope: &Scope<'_>) -> Option<SocketIoSettings> {
    let options = target::read(scope);
    let event_name = read_event_name(scope, &EVENT_NAME, &UNRESOLVED_VARIABLES);
    let confirm = scope.read(&CONFIRM);
    let barrier = scope.read(&BARRIER);
    let error_pointer = read_error_pointer(scope, confirm);
    let max_payload = scope.read(&MAX_PAYLOAD);
    let pool = pool::read(scope);
    let secure = options.as_ref().map(|options| is_secure(&options.url));
    let allowed = [check_tls(scope, secure), check_oauth(scope)];
    let mut options = options?;
    options.max_payload = max_payload?.0;
    let settings = SocketIoSettings {
        options,
        event_name: event_name?,
        confirm: confirm?,
        barrier: barrier?,
        error_pointer: error_pointer?,
        pool: pool?,
    };
    allowed
        .into_iter()
        .all(|allowed| allowed)
        .then_some(settings)
}

/// Whether connections to it are encrypted.
fn is_secure(url: &Url) -> bool {
    matches!(url.scheme(), "https" | "wss")
}

/// `None` if it is wrong, `Some(None)` if there is none.
fn read_error_pointer(scope: &Scope<'_>, confirm: Option<Confirm>) -> Option<Option<ErrorPointer>> {
    const NAME: &str = "ack.error-pointer";
    let set = scope.raw(NAME).is_some_and(|(text, _)| !text.is_empty());
    let pointer = scope.read(&ERROR_POINTER);
    if set && confirm.is_some_and(|confirm| confirm != Confirm::Ack) {
        let message = "nothing is acknowledged, so there is nothing to point at";
        scope.warn(
            NAME,
            codes::NO_EFFECT,
            message,
            "set confirm=ack".to_owned(),
        );
    }
    (pointer.is_some() || !set).then_some(pointer)
}

fn check_tls(scope: &Scope<'_>, secure: Option<bool>) -> bool {
    let enabled = scope.read(&TLS_ENABLED);
    let verify = scope.read(&TLS_VERIFY_HOSTNAME);
    match (enabled, secure) {
        (Some(true), Some(false)) => {
            let message = "the url is not encrypted, so there is no TLS to enable";
            let help = "write https:// or wss:// in url".to_owned();
            scope.reject("tls.enabled", codes::CONTRADICTION, message, help);
        }
        (Some(false), Some(true)) if scope.is_set("tls.enabled") => {
            let message = "the url is encrypted, so TLS is used all the same";
            scope.warn("tls.enabled", codes::NO_EFFECT, message, None);
        }
        _ => {}
    }
    if verify == Some(false) {
        let message = "host names are always verified; this cannot be switched off yet";
        let help = "use the host name that the certificate was made for".to_owned();
        scope.reject("tls.verify-hostname", code::NOT_YET, message, help);
    }
    let contradicts = enabled == Some(true) && secure == Some(false);
    enabled.is_some() && verify == Some(true) && !contradicts
}

fn check_oauth(scope: &Scope<'_>) -> bool {
    let enabled = scope.read(&OAUTH_ENABLED);
    if enabled == Some(true) {
        let message = "OAuth cannot be used yet";
        let help = "until then, set headers.Authorization to a token that does not expire";
        scope.reject("oauth.enabled", code::NOT_YET, message, help.to_owned());
    }
    enabled == Some(false)
}

#[cfg(test)]
mod tests;
