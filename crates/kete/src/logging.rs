//! Log lines go to standard error; standard output belongs to answers and events.
//!
//! Libraries below us are held at warnings whatever the level is: some of them log whole requests
//! with their `Authorization` headers when asked for details, and no secret may reach a log.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, Registry, fmt};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// The least important lines that are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// How the process logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogSettings {
    pub(crate) format: LogFormat,
    pub(crate) level: LogLevel,
}

/// Starts logging for the whole process.
///
/// # Errors
///
/// Somebody has started it before.
pub(crate) fn start(settings: LogSettings) -> Result<(), TryInitError> {
    let lines = fmt::layer().with_writer(io::stderr);
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match settings.format {
        LogFormat::Text => lines.with_ansi(wants_colour()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(layer.with_filter(filter(settings.level)))
        .try_init()
}

/// Our own crates at the wanted level, all others at warnings at most.
fn filter(level: LogLevel) -> Targets {
    let ours = LevelFilter::from(level);
    Targets::new()
        .with_default(ours.min(LevelFilter::WARN))
        .with_target("kete", ours)
}

/// Colour is for terminals, unless <https://no-color.org> is asked for.
fn wants_colour() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stderr().is_terminal() && !refused
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> LevelFilter {
        match level {
            LogLevel::Error => LevelFilter::ERROR,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Debug => LevelFilter::DEBUG,
            LogLevel::Trace => LevelFilter::TRACE,
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn libraries_never_log_more_than_warnings() {
        for level in [LogLevel::Info, LogLevel::Debug, LogLevel::Trace] {
            let filter = filter(level);
            assert!(filter.would_enable("reqwest::connect", &Level::WARN));
            assert!(!filter.would_enable("reqwest::connect", &Level::INFO));
            assert!(filter.would_enable("kete_pipeline::lane", &Level::INFO));
        }
    }

    #[test]
    fn the_level_holds_for_our_own_crates() {
        let filter = filter(LogLevel::Error);
        assert!(filter.would_enable("kete::run", &Level::ERROR));
        assert!(!filter.would_enable("kete::run", &Level::WARN));
        assert!(!filter.would_enable("hyper", &Level::WARN));
    }
}
