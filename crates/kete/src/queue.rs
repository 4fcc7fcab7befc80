//! `kete queue`: what waits in the queue on disk, what can go, and what is sent again.
//!
//! A kete that runs is asked; otherwise the data directory is opened here. Both give the same
//! answers, from the same code.

mod closed;
mod forget;
mod live;
mod replay;
mod status;

use std::sync::Arc;

use kete_config::Diagnostics;
use kete_routes::RouteRules;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::assemble::{self, Assembled, Needs, RouteNames};
use crate::cli::{DataOptions, ForgetOptions, Format, QueueCommand, ReplayOptions};
use crate::control::{self, Client, ClientError};
use crate::exit::Exit;
use crate::place::{self, Place, Reached, Unreached, Wanted};
use crate::{output, when};

use forget::{Forget, Forgotten};
use replay::{Outcome, Replay, Replayed};
use status::{Status, amount};

pub(crate) use closed::{Closed, hold};
pub(crate) use live::{LiveQueue, router};
pub(crate) use status::{Log, retain_words, route_of, sync_words};

/// Why there is no answer. All of them are whole sentences about what was asked.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the runtime cannot be started: {0}")]
    Runtime(#[source] std::io::Error),
    #[error(transparent)]
    Unreached(#[from] Unreached),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("{0}")]
    Refused(String),
    /// The configuration is wrong, which has been reported.
    #[error("the configuration cannot be used")]
    Wrong,
}

/// Does what the command line asks for.
pub(crate) fn queue(command: &QueueCommand) -> Exit {
    match command {
        QueueCommand::Status(options) => with_place(options, status_of, |status: &Status| {
            status.text(when::now())
        }),
        QueueCommand::Forget(options) => {
            let ForgetOptions { data, .. } = options;
            let forget = |place| forget_in(place, options);
            with_place(data, forget, Forgotten::text)
        }
        QueueCommand::Replay(options) => replay(options),
    }
}

fn replay(options: &ReplayOptions) -> Exit {
    let now = when::now();
    let question = Replay {
        route: options.route.clone(),
        from: options.from.millis(now),
        to: options.to.millis(now),
        progress: None,
    };
    if let Some(problem) = when::nothing_between(question.from, question.to, now) {
        output::to_stderr(&format!("error: {problem}\n"));
        return Exit::Wrong;
    }
    let data = &options.data;
    let replay = |place| replay_in(place, data, question);
    with_place(data, replay, Outcome::text)
}

/// Finds the place, asks there, and prints the answer.
fn with_place<A: Serialize>(
    options: &DataOptions,
    ask: impl AsyncFnOnce(Place) -> Result<A, Failure>,
    text: impl FnOnce(&A) -> String,
) -> Exit {
    let place = match place::find(options, Wanted::Queue) {
        Ok(place) => place,
        Err(exit) => return exit,
    };
    let answer = control::runtime()
        .map_err(Failure::Runtime)
        .and_then(|runtime| runtime.block_on(ask(place)));
    match (answer, options.options.format) {
        (Ok(answer), Format::Human) => output::answer(&text(&answer), Exit::Fine),
        (Ok(answer), Format::Json) => output::answer(&output::json(&answer), Exit::Fine),
        (Err(Failure::Wrong), _) => Exit::Wrong,
        (Err(failure), _) => {
            output::to_stderr(&format!("error: {failure}\n"));
            Exit::Failed
        }
    }
}

async fn status_of(place: Place) -> Result<Status, Failure> {
    match place.reach().await? {
        Reached::Running(client) => Ok(client.ask(live::STATUS).await?),
        Reached::Closed(directory) => {
            let closed = Closed::open(&directory).map_err(Failure::Refused)?;
            let log = Log::of(Some(&directory), place.pipeline.as_ref());
            let status = Status::of(&*closed.queue(), &place.routes, log, false).await;
            closed.close().await.map_err(Failure::Refused)?;
            status.map_err(|problem| Failure::Refused(problem.to_string()))
        }
    }
}

async fn forget_in(place: Place, options: &ForgetOptions) -> Result<Forgotten, Failure> {
    let question = Forget {
        route: options.route.clone(),
        yes: options.yes,
    };
    match place.reach().await? {
        Reached::Running(client) => call(&client, live::FORGET, &question).await,
        Reached::Closed(directory) => {
            let closed = Closed::open(&directory).map_err(Failure::Refused)?;
            let forgotten = forget::forget(&*closed.queue(), &place.routes, question);
            closed.close().await.map_err(Failure::Refused)?;
            forgotten.map_err(Failure::Refused)
        }
    }
}

async fn replay_in(
    place: Place,
    options: &DataOptions,
    mut question: Replay,
) -> Result<Outcome, Failure> {
    let reached = place.reach().await?;
    let running = matches!(reached, Reached::Running(_));
    let events = match reached {
        Reached::Closed(directory) => {
            let (rules, max_bytes) = route_of_configuration(&question.route, options)?;
            let closed = Closed::open(&directory).map_err(Failure::Refused)?;
            let replayed = closed.replay(rules, question.clone(), max_bytes).await;
            closed.close().await.map_err(Failure::Refused)?;
            replayed.map_err(Failure::Refused)?
        }
        Reached::Running(client) => loop {
            let Replayed { progress, .. } = call(&client, live::REPLAY, &question).await?;
            if progress.is_done() {
                break progress.events;
            }
            output::to_stderr(&format!("{} so far\n", amount(progress.events)));
            question.progress = Some(progress);
        },
    };
    Ok(Outcome {
        route: question.route,
        from: question.from,
        to: question.to,
        events,
        running,
    })
}

/// The matchers of a route, and how much the queue may hold. Without a kete that runs, only the
/// configuration knows them.
fn route_of_configuration(
    route: &str,
    options: &DataOptions,
) -> Result<(Arc<RouteRules>, u64), Failure> {
    let diagnostics = Diagnostics::new();
    let assembled = assemble::configuration(&options.options, Needs::Routes, &diagnostics);
    let Assembled::Ready(configuration) = assembled else {
        output::report_wrong(&diagnostics, options.options.format);
        output::to_stderr(
            "note: no kete runs there, so the configuration has to say what the route wants; name \
             it with --config\n",
        );
        return Err(Failure::Wrong);
    };
    let mut routes = configuration.routes;
    let names = RouteNames {
        enabled: routes
            .iter()
            .map(|route| route.settings.name.to_string())
            .collect(),
        disabled: configuration.disabled_routes,
    };
    replay::check_route(&names, route).map_err(Failure::Refused)?;
    routes.retain(|known| *known.settings.name == *route);
    let rules = routes.pop().map(|route| route.settings.rules);
    let rules = rules.unwrap_or_default();
    Ok((Arc::new(rules), configuration.pipeline.queue.max_bytes))
}

async fn call<A: DeserializeOwned>(
    client: &Client,
    path: &str,
    question: &impl Serialize,
) -> Result<A, Failure> {
    Ok(client.call(path, question).await?)
}
