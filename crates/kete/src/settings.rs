//! The keys of the process itself: what is switched on, how it logs, where it can be watched.
//!
//! Keys of sources, routes and the pipeline are declared beside what they configure. KETE's global
//! keys that mean nothing here are declared too, so that a moved configuration is not refused.

use std::net::SocketAddr;
use std::path::PathBuf;

use kete_config::{AnyKey, Key, KeyTable, NotYet, Scope, Setting, UnknownKeys, Unused};
use kete_pipeline::Deliveries;

use crate::control::MAX_SOCKET_PATH;
use crate::logging::{LogFormat, LogLevel, LogSettings};

static ENABLED: Key<bool> = Key::with_default(
    "enabled",
    "true",
    "Whether anything runs at all; false ends `run` at once",
);
static UNKNOWN_KEYS: Key<UnknownKeys> = Key::with_default(
    "unknown-keys",
    "error",
    "Whether a key that nobody knows is an error, or only a warning",
);
static LOG_FORMAT: Key<LogFormat> = Key::with_default(
    "log.format",
    "text",
    "How log lines are written: text for people, json with one object per line for collectors",
);
static LOG_LEVEL: Key<LogLevel> = Key::with_default(
    "log.level",
    "info",
    "The least important log lines that are written: error, warn, info, debug or trace",
);
static LOG_DELIVERIES: Key<Deliveries> = Key::with_default(
    "log.deliveries",
    "off",
    "Whether there is a log line per event and route that says what became of it, never what was \
     in it: for none (off), for those that were not delivered (failed), or for all",
);
pub(crate) static ADMIN_BIND: Key<SocketAddr> = Key::optional(
    "admin.bind",
    "The address, such as 127.0.0.1:9090, on which metrics and health are served over HTTP; \
     without it they are not served",
);
static CONTROL_SOCKET: Key<PathBuf> = Key::optional(
    "control.socket",
    "The socket on which the commands of kete queue and kete dead-letters reach a kete that runs; \
     only its owner may use it",
);
static METRICS_ENABLED: Unused = Unused::new(
    "metrics.enabled",
    "metrics are always counted; kete.admin.bind decides whether they are served",
);
static METRICS_EVENT_LABELS: NotYet = NotYet::new(
    "metrics.event-labels",
    "leave the key out: labels come from the configuration only, such as route and source",
);
static SUPPORT_MESSAGE: Unused = Unused::new(
    "support-the-project-message",
    "there is no such message here, so there is nothing to switch off",
);
static REDACT: NotYet = NotYet::new(
    "redact",
    "leave the key out: known secrets in admin representations are always masked",
);

/// The keys below `kete.` that are about the process itself.
pub(crate) static PROCESS_KEYS: KeyTable = &[
    &ENABLED,
    &UNKNOWN_KEYS,
    &LOG_FORMAT,
    &LOG_LEVEL,
    &LOG_DELIVERIES,
    &ADMIN_BIND,
    &CONTROL_SOCKET,
    &METRICS_ENABLED,
    &METRICS_EVENT_LABELS,
    &SUPPORT_MESSAGE,
    &REDACT,
];

/// The settings of the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProcessSettings {
    /// How it logs.
    pub(crate) log: LogSettings,
    /// Which events have a log line.
    pub(crate) deliveries: Deliveries,
    /// Where metrics and health are served, if they are.
    pub(crate) admin: Option<SocketAddr>,
    /// Where commands reach it, if that is set.
    pub(crate) control_socket: Option<PathBuf>,
}

impl ProcessSettings {
    /// Reads [`PROCESS_KEYS`] except the two that decide about all others; `scope` is `kete`.
    pub(crate) fn read(scope: &Scope<'_>) -> Option<ProcessSettings> {
        let format = scope.read(&LOG_FORMAT);
        let level = scope.read(&LOG_LEVEL);
        let deliveries = scope.read(&LOG_DELIVERIES);
        let admin = scope.read(&ADMIN_BIND);
        let control_socket = control_socket(scope);
        Some(ProcessSettings {
            log: LogSettings {
                format: format?,
                level: level?,
            },
            deliveries: deliveries?,
            admin,
            control_socket: control_socket?,
        })
    }
}

/// Where commands reach the process, if that is set. `None` if it is wrong, which has been reported.
pub(crate) fn control_socket(scope: &Scope<'_>) -> Option<Option<PathBuf>> {
    let socket = scope.read_optional(&CONTROL_SOCKET)?;
    let length = socket.as_ref().map_or(0, |path| path.as_os_str().len());
    if length > MAX_SOCKET_PATH {
        let message = format!(
            "this path has {length} bytes, and the system takes {MAX_SOCKET_PATH} for a socket"
        );
        let help = "choose a shorter one, such as /run/kete/control.sock".to_owned();
        scope.reject(CONTROL_SOCKET.name(), "out-of-range", message, help);
        return None;
    }
    Some(socket)
}

/// Whether anything runs at all; `None` if that cannot be told.
pub(crate) fn is_enabled(scope: &Scope<'_>) -> Option<bool> {
    scope.read(&ENABLED)
}

/// What an unknown key is.
pub(crate) fn unknown_keys(scope: &Scope<'_>) -> UnknownKeys {
    scope.read(&UNKNOWN_KEYS).unwrap_or_default()
}

impl Setting for LogFormat {
    const EXPECTED: &'static str = "text or json";

    fn parse(text: &str) -> Result<LogFormat, String> {
        match text.to_ascii_lowercase().as_str() {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            _ => Err("it is neither".to_owned()),
        }
    }
}

kete_config::setting_words!(LogLevel {
    Error = "error",
    Warn = "warn",
    Info = "info",
    Debug = "debug",
    Trace = "trace",
});

#[cfg(test)]
mod tests {
    use kete_config::table_mistakes;

    use super::*;

    #[test]
    fn the_declarations_are_sound() {
        assert_eq!(table_mistakes(PROCESS_KEYS), Vec::<String>::new());
    }
}
