//! `kete run`: builds what was checked, runs it, and says how it ended.
//!
//! Building follows the flow backwards, so that nothing is taken in before there is a place for
//! it: pipeline, destinations, then sources, whose ports are bound last. The first signal asks for
//! an orderly end, the second ends the process at once.

mod build;
mod signals;

use std::io;
use std::sync::Arc;
use std::thread::available_parallelism;

use kete_config::{Diagnostics, Severity};
use kete_destinations::standard_output_closed;
use kete_pipeline::{DeadLetterError, Report, SourceError, Telemetry};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::admin::{Admin, BindError, Readiness};
use crate::assemble::{self, Assembled, Configuration, Needs};
use crate::cli::Options;
use crate::exit::Exit;
use crate::{logging, output};

use signals::Signals;

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
    #[error("kete.dead-letters.path: {0}")]
    DeadLetters(#[source] DeadLetterError),
    #[error("route {route}: {problem}")]
    Destination { route: Arc<str>, problem: String },
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Admin(#[from] BindError),
}

/// How it ended.
enum Ended {
    /// In order.
    InOrder(Report),
    /// By a second signal.
    AtOnce,
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
        Ok(Ended::AtOnce) => {
            error!("stopped at once by a second signal; what was not delivered is lost");
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
        ..
    } = configuration;
    let grace = pipeline.shutdown_grace;
    let telemetry = Telemetry::new();
    let mut supervisor = build::pipeline(&pipeline, Arc::clone(&telemetry))?;
    let readiness = Readiness::new(supervisor.stop_handle());
    let admin = match process.admin {
        None => None,
        Some(address) => Some(Admin::start(address, telemetry, readiness.clone()).await?),
    };
    if let Some(admin) = &admin {
        info!(address = %admin.address(), "metrics and health are served");
    }
    let only_stdout = routes.iter().all(|route| route.kind == STDOUT);
    build::destinations(&mut supervisor, routes)?;
    build::sources(&mut supervisor, sources).await?;
    readiness.running();
    info!("ready: events are taken");
    let stop = CancellationToken::new();
    let ended = tokio::select! {
        report = supervisor.run(stop.clone().cancelled_owned(), grace) => Ended::InOrder(report),
        () = second_signal(&mut signals, &stop) => Ended::AtOnce,
        () = unread(only_stdout) => Ended::Unread,
    };
    if let Some(admin) = admin {
        admin.stop().await;
    }
    Ok(ended)
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
    info!(
        version = env!("CARGO_PKG_VERSION"),
        sources = configuration.sources.len(),
        routes = configuration.routes.len(),
        queue = "memory",
        "kete starts; the queue is in memory, so a crash loses events that were taken and not \
         delivered"
    );
    if configuration.pipeline.dead_letters.is_none() {
        warn!(
            "events that cannot be delivered are counted and their bodies are lost, because \
             kete.dead-letters.path is not set"
        );
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

/// The last lines: what became of the events.
fn conclude(report: &Report) -> Exit {
    if let Some(failure) = &report.failed_source {
        error!("{failure}");
    }
    if report.failed_lane {
        error!("a route ended by a mistake of kete's own; start it again");
    }
    for (route, lag) in &report.undelivered {
        let kept = if report.durable { "kept" } else { "lost" };
        warn!(
            route = &**route,
            events = lag.events,
            bytes = lag.bytes,
            "undelivered and {kept}"
        );
    }
    let undelivered: u64 = report.undelivered.iter().map(|(_, lag)| lag.events).sum();
    info!(
        forwarded = report.forwarded,
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
