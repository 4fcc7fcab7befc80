//! From settings to something that can be built: reads every key, and reports every mistake.
//!
//! Checking is pure. It opens no port, asks no server and starts nothing, and it does not stop at
//! the first mistake: a route with a bad matcher still has its destination checked. Only what is
//! right in every part comes out of here.

mod effects;
mod keys;
mod listeners;
mod routes;
mod shown;
mod sources;

use kete_config::{Diagnostic, Diagnostics, Loader, Settings, Severity};
use kete_pipeline::PipelineSettings;

use crate::cli::Options;
use crate::settings::{self, ProcessSettings};

use routes::QueueFacts;

pub(crate) use routes::{CheckedRoute, RouteNames, names as route_names};
pub(crate) use shown::Shown;
pub(crate) use sources::ShownSource;

/// The first segment of every key.
pub(crate) const ROOT: &str = "kete";

/// The key that puts the queue on disk.
const DATA_DIR: &str = "data-dir";

/// There is no setting at all.
const NO_CONFIGURATION: &str = "no-configuration";
/// There is no route that is enabled.
const NO_ROUTE: &str = "no-route";

const SOURCE_LINES: &str = "kete.sources.input.kind=webhook";
const ROUTE_LINES: &str = "\
kete.routes.events.destination.kind=socketio
kete.routes.events.destination.url=http://localhost:3000
kete.routes.events.destination.event-name=keycloak-event";

/// What a command needs of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Sources and routes.
    Everything,
    /// Routes; sources are checked if there are any.
    Routes,
}

/// What came of the settings.
pub(crate) enum Assembled {
    /// It can run; there may be warnings, and certificates that have ended.
    Ready(Box<Configuration>),
    /// `kete.enabled=false`: nothing else was looked at.
    SwitchedOff,
    /// The diagnostics say what is wrong.
    Wrong,
}

/// A configuration that is right.
pub(crate) struct Configuration {
    pub(crate) process: ProcessSettings,
    pub(crate) pipeline: PipelineSettings,
    pub(crate) sources: Vec<ShownSource>,
    /// How Keycloak is reached, for people.
    pub(crate) keycloak: Vec<Shown>,
    pub(crate) routes: Vec<CheckedRoute>,
    /// Names of the routes that are switched off; nothing else of them was looked at.
    pub(crate) disabled_routes: Vec<String>,
}

/// Reads the settings that the command line names, and checks them.
pub(crate) fn configuration(
    options: &Options,
    needs: Needs,
    diagnostics: &Diagnostics,
) -> Assembled {
    let settings = load(options, diagnostics);
    assemble(&settings, needs, diagnostics)
}

/// The settings that the command line names, as they are written.
pub(crate) fn load(options: &Options, diagnostics: &Diagnostics) -> Settings {
    let mut loader = Loader::new(ROOT).environment(std::env::vars_os());
    for file in &options.config {
        loader = loader.file(file);
    }
    for assignment in &options.set {
        loader = loader.set(assignment);
    }
    let mut settings = loader.load(diagnostics);
    let unknown_keys = settings::unknown_keys(&settings.scope(ROOT, diagnostics));
    settings.set_unknown_keys(unknown_keys);
    settings
}

/// Checks settings.
fn assemble(settings: &Settings, needs: Needs, diagnostics: &Diagnostics) -> Assembled {
    keys::judge_variables(settings, diagnostics);
    if settings.keys().next().is_none() {
        if !diagnostics.has_errors() {
            diagnostics.push(nothing_configured());
        }
        return Assembled::Wrong;
    }
    let scope = settings.scope(ROOT, diagnostics);
    if settings::is_enabled(&scope) == Some(false) {
        return match diagnostics.has_errors() {
            true => Assembled::Wrong,
            false => Assembled::SwitchedOff,
        };
    }
    let process = ProcessSettings::read(&scope);
    let pipeline = PipelineSettings::read(&scope);
    let sources = sources::read(settings, needs, diagnostics);
    let queue = QueueFacts {
        // What a route is behind by is counted as memory. On disk, where events take less, the
        // bound of all would be reached long after that of one.
        max_bytes: match &pipeline {
            Some(pipeline) if pipeline.storage.is_none() => pipeline.queue.max_bytes,
            _ => u64::MAX,
        },
        in_memory: match &pipeline {
            Some(pipeline) => pipeline.storage.is_none(),
            None => !scope.is_set(DATA_DIR),
        },
    };
    let routes = routes::read(settings, queue, diagnostics);
    keys::judge(settings, &routes.disabled, diagnostics);
    listeners::judge(settings, &sources, diagnostics);
    if let Some(process) = &process {
        effects::judge_log(settings, process, diagnostics);
    }
    if let Some(pipeline) = &pipeline {
        effects::judge_sync(settings, pipeline, &sources, diagnostics);
        for route in &routes.checked {
            let section = format!("{}.{}", routes::SECTION, route.settings.name);
            let max_lag = route.consumer.limits.max_lag_bytes;
            effects::judge_lag(settings, pipeline, &section, max_lag, diagnostics);
        }
    }
    match (process, pipeline) {
        (Some(process), Some(pipeline)) if !is_wrong(diagnostics) => {
            Assembled::Ready(Box::new(Configuration {
                process,
                pipeline,
                sources,
                keycloak: sources::keycloak(settings, diagnostics),
                routes: routes.checked,
                disabled_routes: routes.disabled,
            }))
        }
        _ => Assembled::Wrong,
    }
}

/// Whether a mistake keeps kete from running. A certificate that has ended does not: it may be
/// renewed while kete runs, and events are taken meanwhile.
fn is_wrong(diagnostics: &Diagnostics) -> bool {
    diagnostics.iter().any(|found| {
        found.severity == Severity::Error
            && found.code != kete_credentials::codes::CERTIFICATE_EXPIRED
    })
}

fn nothing_configured() -> Diagnostic {
    let help = format!(
        "name a properties file with --config; a small one that works says\n{SOURCE_LINES}\n\
         {ROUTE_LINES}"
    );
    Diagnostic::error(NO_CONFIGURATION, "there is no setting of kete anywhere").help(help)
}
