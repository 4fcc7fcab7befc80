//! The lines of a configuration that nearly every test needs.

use std::fmt::Write;

/// What a Socket.IO destination of a test says unless the test says otherwise: it tries again at
/// once, for nobody has to be spared.
const USUAL: [(&str, &str); 6] = [
    ("destination.kind", "socketio"),
    ("destination.event-name", "keycloak-event"),
    ("destination.timeout-seconds", "10"),
    ("destination.reconnect.initial-delay", "20ms"),
    ("destination.reconnect.max-delay", "250ms"),
    ("destination.reconnect.auth-failure-delay", "250ms"),
];

/// A source that reads standard input.
#[must_use]
pub fn from_stdin() -> String {
    "kete.sources.input.kind=stdin\n".to_owned()
}

/// A webhook on a free port; `keys` are `name=value` below the source.
#[must_use]
pub fn from_webhook(keys: &[&str]) -> String {
    let mut text =
        "kete.sources.hook.kind=webhook\nkete.sources.hook.bind=127.0.0.1:0\n".to_owned();
    for key in keys {
        line(&mut text, &format!("kete.sources.hook.{key}"));
    }
    text
}

/// A route to a Socket.IO server; `keys` are `name=value` below the route.
#[must_use]
pub fn to_socketio(route: &str, url: &str, keys: &[&str]) -> String {
    let mut text = String::new();
    let said = |name: &str| keys.iter().any(|key| key.starts_with(&format!("{name}=")));
    for (name, value) in USUAL.into_iter().filter(|(name, _)| !said(name)) {
        line(&mut text, &format!("kete.routes.{route}.{name}={value}"));
    }
    line(
        &mut text,
        &format!("kete.routes.{route}.destination.url={url}"),
    );
    for key in keys {
        line(&mut text, &format!("kete.routes.{route}.{key}"));
    }
    text
}

/// A `String` takes whatever is written to it, so the result carries no news.
fn line(text: &mut String, line: &str) {
    let _ = writeln!(text, "{line}");
}
