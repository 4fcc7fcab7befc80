//! The keys of a Socket.IO destination, and what they become.
//!
//! Names and severities are KETE's where KETE has the key. Every key is read before anything is
//! given up, so that all mistakes come out together. Where the server is and how it is greeted is
//! read in [`target`](super::target), the pool in [`pool_settings`](super::pool_settings).

use std::num::NonZeroU32;

use kete_config::{AnyKey, Key, KeyTable, MapKey, NotYet, Scope, Section, Setting, Size, Unused};
use kete_credentials::codes::PLAIN_HTTP;
use kete_credentials::http::is_in_the_clear;
use kete_credentials::oauth::{OAUTH_KEYS, OauthSettings};
use kete_credentials::proxy::PROXY_KEYS;
use kete_credentials::tls::{TLS_KEYS, TlsSettings};
use kete_routes::{EventName, Unresolved, read_event_name};
use kete_socketio::{MaxPayload, Options};
use serde_json::Value;
use url::Url;

use super::identity::IdentitySettings;
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
static EVENT_ID: Key<EventId> = Key::with_default(
    "event-id",
    "off",
    "whether receivers can tell repeats: with argument, the event has one argument more, \
     {\"id\", \"attempt\", \"replay\"}",
);
static TLS: Section = Section::new("tls", "how connections are encrypted, and to whom");
static OAUTH: Section = Section::new("oauth", "where tokens come from, and how they are sent");
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
    &EVENT_ID,
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

/// The sections below it.
pub(crate) static SECTIONS: &[(&str, KeyTable)] = &[
    ("tls", TLS_KEYS),
    ("oauth", OAUTH_KEYS),
    ("oauth.tls", TLS_KEYS),
    ("oauth.proxy", PROXY_KEYS),
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

/// Where receivers find which event it is, and whether it may be a repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventId {
    /// Nowhere but in the event itself.
    Off,
    /// In a last argument of its own.
    Argument,
}

kete_config::setting_words!(EventId { Off = "off", Argument = "argument" });

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
    /// Without what the identity adds.
    pub(crate) options: Options,
    pub(crate) identity: IdentitySettings,
    pub(crate) event_name: EventName,
    pub(crate) confirm: Confirm,
    pub(crate) barrier: BarrierChoice,
    pub(crate) error_pointer: Option<ErrorPointer>,
    pub(crate) event_id: EventId,
    pub(crate) pool: PoolSettings,
}

/// Reads the section. `None` if anything is wrong; the diagnostics say what. `only_realm` is the
/// only realm that the route takes events of.
pub(crate) fn read(scope: &Scope<'_>, only_realm: Option<&str>) -> Option<SocketIoSettings> {
    let options = target::read(scope);
    let event_name = read_event_name(scope, &EVENT_NAME, &UNRESOLVED_VARIABLES);
    let confirm = scope.read(&CONFIRM);
    let barrier = scope.read(&BARRIER);
    let error_pointer = read_error_pointer(scope, confirm);
    let max_payload = scope.read(&MAX_PAYLOAD);
    let event_id = scope.read(&EVENT_ID);
    let pool = pool::read(scope);
    let identity = read_identity(scope, options.as_ref(), only_realm);
    let mut options = options?;
    options.max_payload = max_payload?.0;
    Some(SocketIoSettings {
        options,
        identity: identity?,
        event_name: event_name?,
        confirm: confirm?,
        barrier: barrier?,
        error_pointer: error_pointer?,
        event_id: event_id?,
        pool: pool?,
    })
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

/// Reads both sections, which say who the connection is.
fn read_identity(
    scope: &Scope<'_>,
    options: Option<&Options>,
    only_realm: Option<&str>,
) -> Option<IdentitySettings> {
    let tls = TlsSettings::read(&scope.child("tls"), options.map(|options| &options.url));
    let oauth = OauthSettings::read(&scope.child("oauth"), only_realm)?;
    if let (Some(oauth), Some(options)) = (&oauth, options) {
        warn_of_tokens(scope, oauth, options);
    }
    Some(IdentitySettings { tls: tls?, oauth })
}

/// A token is read by others on the way, or stands where something else was configured.
fn warn_of_tokens(scope: &Scope<'_>, oauth: &OauthSettings, options: &Options) {
    let (send_as, key) = (oauth.send_as(), oauth.auth_key());
    if is_in_the_clear(&options.url) {
        let message = "tokens and all events travel in the clear";
        let help = "use https, unless something else protects this connection".to_owned();
        scope.warn(URL.name(), PLAIN_HTTP, message, help);
    }
    let names = scope.map(&HEADERS).into_iter().map(|(name, _)| name);
    let header = names
        .filter(|name| send_as.header && name.eq_ignore_ascii_case("authorization"))
        .map(|name| format!("{}.{name}", HEADERS.name()));
    let has = |map: &MapKey| {
        let name = format!("{}.{key}", map.name());
        scope.is_set(&name).then_some(name)
    };
    let auth = send_as.auth.then(|| has(&AUTH)).flatten();
    let query = send_as.query.then(|| has(&QUERY)).flatten();
    for key in header.chain(auth).chain(query) {
        let message = "the token of oauth is sent in its place";
        let help = "leave it out, or send the token elsewhere with oauth.send-as".to_owned();
        scope.warn(&key, codes::NO_EFFECT, message, help);
    }
    let in_url = |name: &str| options.query.iter().any(|(given, _)| given == name);
    if send_as.query && in_url(key) && !scope.is_set(&format!("{}.{key}", QUERY.name())) {
        let message = format!("the token of oauth is sent in place of {key} in the query");
        scope.warn(URL.name(), codes::NO_EFFECT, message, None);
    }
}

#[cfg(test)]
mod tests;
