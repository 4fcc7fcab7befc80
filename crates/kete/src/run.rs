//! `kete run`: builds what was checked, runs it, and says how it ended.
//!
//! Building follows the flow backwards, so that nothing is taken in before there is a place for
//! it: pipeline, destinations, then sources, whose ports are bound last. The first signal asks for
//! an orderly end, the second ends the process at once.

mod build;
mod signals;
mod storage;

use std::io;
use std::sync::Arc;
use std::thread::available_parallelism;

use axum::Router;
use kete_config::{Diagnostics, Severity};
use kete_destinations::standard_output_closed;
use kete_pipeline::{DeadLetterError, DeadLetters, Report, SourceError, Supervisor, Telemetry};
use kete_queue::{DataDirectoryError, OpenError, Sync};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::admin::{Admin, BindError, Readiness};
use crate::assemble::{self, Assembled, CheckedRoute, Configuration, Needs, RouteNames};
use crate::cli::Options;
use crate::control::{Server, SocketError};
use crate::dead_letters::{self, LiveLetters, Replays, Room};
use crate::exit::Exit;
use crate::queue::{self, LiveQueue};
use crate::settings::ProcessSettings;
use crate::{logging, output};

use signals::Signals;
use storage::Storage;

/// The kind of destination that ends with its reader.
const STDOUT: &str = "stdout";
/// Two are enough: one lane is one task, and each more costs memory even when it is idle.
const MAX_WORKERS: usize = 2;
/// Threads for what blocks: standard input, dead letters, names that are looked up.
const MAX_BLOCKING_THREADS: usize = 16;

/// Why it could not start. The configuration is right; the machine does not give what it asks for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
enum StartError {
    #[error("the runtime cannot be started: {0}")]
    Runtime(#[source] io::Error),
    #[error("signals cannot be received: {0}")]
    Signals(#[source] io::Error),
    #[error("kete.data-dir: {0}")]
    DataDirectory(#[from] DataDirectoryError),
    #[error("kete.data-dir: {0}")]
    Queue(#[from] OpenError),
    #[error("{key}: {error}")]
    DeadLetters {
        key: &'static str,
        #[source]
        error: DeadLetterError,
    },
    #[error("route {route}: {problem}")]
    Destination { route: Arc<str>, problem: String },
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Admin(#[from] BindError),
    #[error("kete.control.socket: {0}")]
    Control(#[from] SocketError),
}

/// How it ended.
enum Ended {
    /// In order.
    InOrder(Report),
    /// By a second signal; whether what was not delivered survives.
    AtOnce { durable: bool },
    /// Because nobody reads standard output any more, and all events went there.
    Unread,
}

/// Runs until the input ends or somebody ends it.
pub(crate) fn run(options: &Options) -> Exit {
    let diagnostics = Diagnostics::new();
    let configuration = match assemble::configuration(options, Needs::Everything, &diagnostics) {
        Assembled::Wrong => return output::report_wrong(&diagnostics, options.format),
        Assembled::SwitchedOff => {
            output::to_stderr("kete.enabled=false: nothing runs\n");
            return Exit::Fine;
        }
        Assembled::Ready(configuration) => *configuration,
    };
    if let Err(error) = logging::start(configuration.process.log) {
        output::to_stderr(&format!("error: logging cannot be started: {error}\n"));
        return Exit::Failed;
    }
    introduce(&configuration);
    log_findings(&diagnostics);
    let outcome = match runtime() {
        Err(problem) => Err(StartError::Runtime(problem)),
        Ok(runtime) => {
            let outcome = runtime.block_on(serve(configuration));
            // A read of standard input cannot be interrupted; it ends with the process.
            runtime.shutdown_background();
            outcome
        }
    };
    match outcome {
        Ok(Ended::InOrder(report)) => conclude(&report),
        Ok(Ended::AtOnce { durable }) => {
            error!(
                "stopped at once by a second signal; {}",
                what_is_left(durable)
            );
            Exit::Failed
        }
        Ok(Ended::Unread) => {
            error!("whoever read standard output has gone, so nothing more can be delivered");
            Exit::Failed
        }
        Err(error) => {
            error!("kete cannot start: {error}");
            Exit::Failed
        }
    }
}

fn runtime() -> io::Result<Runtime> {
    let cores = available_parallelism().map_or(1, usize::from);
    Builder::new_multi_thread()
        .worker_threads(cores.min(MAX_WORKERS))
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .thread_name("kete")
        .enable_all()
        .build()
}

async fn serve(configuration: Configuration) -> Result<Ended, StartError> {
    let mut signals = Signals::listen().map_err(StartError::Signals)?;
    let Configuration {
        process,
        pipeline,
        sources,
        routes,
        disabled_routes,
        ..
    } = configuration;
    let names = RouteNames {
        enabled: names_of(&routes),
        disabled: disabled_routes,
    };
    let grace = pipeline.shutdown_grace;
    let telemetry = Telemetry::new();
    let storage = Storage::open(&pipeline, process.control_socket.as_deref()).await?;
    let queue = Arc::clone(&storage.queue);
    let letters = build::dead_letters(&pipeline)?;
    let mut supervisor = build::pipeline(&pipeline, queue, letters.clone(), Arc::clone(&telemetry));
    supervisor.log_deliveries(process.deliveries);
    let readiness = Readiness::new(supervisor.stop_handle());
    let admin = match process.admin {
        None => None,
        Some(address) => {
            Some(Admin::start(address, Arc::clone(&telemetry), readiness.clone()).await?)
        }
    };
    if let Some(admin) = &admin {
        info!(address = %admin.address(), "metrics and health are served");
    }
    let only_stdout = routes.iter().all(|route| route.kind == STDOUT);
    build::destinations(&mut supervisor, routes)?;
    build::sources(&mut supervisor, sources).await?;
    storage.name_places_without_route(&names);
    let replays = replays(&letters, &storage, &names, &supervisor);
    let answers = queue::router(LiveQueue {
        queue: Arc::clone(&storage.queue),
        routes: Arc::new(names),
        log: storage.log(&pipeline),
        replayer: supervisor.replayer(),
        telemetry,
    })
    .merge(dead_letters::router(LiveLetters {
        letters: letters.clone(),
        replays: Arc::clone(&replays),
    }));
    let control = control(&process, &storage, answers).await?;
    readiness.running();
    info!("ready: events are taken");
    let stop = CancellationToken::new();
    let ended = tokio::select! {
        report = supervisor.run(stop.clone().cancelled_owned(), grace) => Ended::InOrder(report),
        () = second_signal(&mut signals, &stop) => Ended::AtOnce {
            durable: storage.queue.durable(),
        },
        () = unread(only_stdout) => Ended::Unread,
        never = dead_letters::expire(&letters) => match never {},
    };
    if let Some(control) = control {
        control.stop().await;
    }
    replays.stop().await;
    if let Some(admin) = admin {
        admin.stop().await;
    }
    Ok(ended)
}

/// What sends dead letters again while this kete runs.
fn replays(
    letters: &DeadLetters,
    storage: &Storage,
    routes: &RouteNames,
    supervisor: &Supervisor,
) -> Arc<Replays> {
    let room = Room {
        queue: Arc::clone(&storage.queue),
        max_bytes: None,
    };
    let replayer = supervisor.replayer();
    Arc::new(Replays::new(
        letters.clone(),
        replayer,
        routes.clone(),
        room,
    ))
}

/// Lets commands in. A socket that somebody chose must be there; the one in the data directory is
/// better than none, and its path may be too long for one.
async fn control(
    process: &ProcessSettings,
    storage: &Storage,
    answers: Router,
) -> Result<Option<Server>, StartError> {
    if let Some(path) = &process.control_socket {
        return Ok(Some(Server::start(path, answers).await?));
    }
    let Some(path) = storage.control_socket() else {
        return Ok(None);
    };
    match Server::start(&path, answers).await {
        Err(problem @ SocketError::TooLong { .. }) => {
            warn!("commands cannot reach this kete: {problem}");
            Ok(None)
        }
        started => Ok(Some(started?)),
    }
}

fn names_of(routes: &[CheckedRoute]) -> Vec<String> {
    let names = routes.iter().map(|route| route.settings.name.to_string());
    names.collect()
}

/// Passes the first signal on, and resolves at the second. A reader of standard output that has
/// gone counts as a first signal: that is how a pipe asks to stop.
async fn second_signal(signals: &mut Signals, stop: &CancellationToken) {
    let reason = tokio::select! {
        name = signals.next() => name,
        () = standard_output_closed() => "standard output closed",
    };
    info!(reason, "asked to stop; a second signal ends it at once");
    stop.cancel();
    signals.next().await;
}

/// Resolves when standard output is not read any more, if there is nothing else to deliver to.
async fn unread(only_stdout: bool) {
    match only_stdout {
        true => standard_output_closed().await,
        false => std::future::pending().await,
    }
}

/// The first line: who this is, and what a crash would lose.
fn introduce(configuration: &Configuration) {
    let (sources, routes) = (configuration.sources.len(), configuration.routes.len());
    let version = env!("CARGO_PKG_VERSION");
    match &configuration.pipeline.storage {
        None => info!(
            version,
            sources,
            routes,
            queue = "memory",
            "kete is starting; queue in memory: a crash loses what was taken and not delivered"
        ),
        Some(storage) => info!(
            version,
            sources,
            routes,
            queue = "disk",
            directory = %storage.directory.display(),
            sync = queue::sync_words(storage.sync),
            "kete is starting; queue on disk: {}",
            what_survives(storage.sync)
        ),
    }
    if configuration.pipeline.dead_letters.is_none() {
        warn!(
            "events that cannot be delivered are counted and their bodies are lost, because neither \
             kete.data-dir nor kete.dead-letters.path is set"
        );
    }
}

/// What events on disk outlast.
fn what_survives(sync: Sync) -> &'static str {
    match sync {
        Sync::Always | Sync::Interval(_) => {
            "no crash loses an event that a source was told is safe"
        }
        Sync::Never => {
            "a crash of kete loses nothing; one of the machine loses what was not written yet, for \
             nothing is synced"
        }
    }
}

/// What becomes of events when nothing is waited for any more.
fn what_is_left(durable: bool) -> &'static str {
    match durable {
        true => {
            "what was safe is on disk and goes out after the next start; what was under way may \
             arrive twice"
        }
        false => "what was not delivered is lost",
    }
}

/// Logs what is strange in the configuration, and yet no reason not to run.
fn log_findings(diagnostics: &Diagnostics) {
    for diagnostic in diagnostics.iter() {
        let place = diagnostic.origin.as_ref().map(tracing::field::display);
        let (key, help) = (diagnostic.key.as_deref(), diagnostic.help.as_deref());
        let (code, message) = (diagnostic.code, &diagnostic.message);
        match diagnostic.severity {
            Severity::Warning => warn!(code, place, key, help, "configuration: {message}"),
            Severity::Error => error!(code, place, key, help, "configuration: {message}"),
        }
    }
}

/// What became of events that are not delivered.
fn what_became(report: &Report) -> &'static str {
    match (report.durable, &report.queue_failure) {
        (true, None) => "kept",
        // Which of them were written before the failure, the log on disk says at the next start.
        (true, Some(_)) => {
            "kept only as far as it was safe: the rest could not be written, and no source was \
             told that it was safe"
        }
        (false, _) => "lost",
    }
}

/// The last lines: what became of the events.
fn conclude(report: &Report) -> Exit {
    if let Some(failure) = &report.failed_source {
        error!("{failure}");
    }
    if report.failed_lane {
        error!("a route ended by a mistake of kete's own; start it again");
    }
    for (route, lag) in &report.undelivered {
        warn!(
            route = &**route,
            events = lag.events,
            bytes = lag.bytes,
            "undelivered and {}",
            what_became(report)
        );
    }
    let undelivered: u64 = report.undelivered.iter().map(|(_, lag)| lag.events).sum();
    info!(
        forwarded = report.forwarded,
        replayed = report.replayed,
        undelivered,
        dead_letters = report.dead_letters,
        dead_letters_lost = report.dead_letters_lost,
        dropped = report.dropped,
        bad = report.bad,
        unrouted = report.unrouted,
        "kete ends"
    );
    if report.is_success() {
        Exit::Fine
    } else {
        Exit::Failed
    }
}
