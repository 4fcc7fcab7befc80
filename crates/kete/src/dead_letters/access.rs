//! The way to the letters: through a kete that runs, or through their files.

use std::sync::Arc;

use kete_config::nearest;
use kete_pipeline::dead_letters::{Filter, Listing, Place as LetterPlace, Removed, Slice};
use kete_pipeline::{DeadLetterError, DeadLetterSettings, DeadLetters, Replayer};
use kete_queue::{DataDirectory, Queue};

use super::live::{self, ListQuestion, PurgeQuestion, SliceQuestion};
use super::replay::{self, Part, Replays, Room};
use super::{Failure, harmless};
use crate::assemble::RouteNames;
use crate::control::Client;
use crate::place::Place;
use crate::queue::{self, Closed, route_of};

/// The way to the letters.
pub(super) enum Letters<'p> {
    /// A kete runs and is asked.
    Running(Client),
    /// None does, so the files are ours for now.
    Closed(ClosedLetters<'p>),
}

/// The files, opened by this command.
pub(super) struct ClosedLetters<'p> {
    letters: DeadLetters,
    place: &'p Place,
    /// Locked as long as the letters are open, if they are in it.
    directory: Option<DataDirectory>,
}

impl<'p> Letters<'p> {
    /// Finds the way.
    pub(super) async fn find(place: &'p Place) -> Result<Letters<'p>, Failure> {
        if let Some(client) = place.client().await? {
            return Ok(Letters::Running(client));
        }
        let Some(settings) = &place.dead_letters else {
            let words = "no kete runs, and the configuration keeps no dead letters: neither \
                         kete.data-dir nor kete.dead-letters.path is set";
            return Err(Failure::Refused(words.to_owned()));
        };
        Ok(Letters::Closed(ClosedLetters {
            directory: hold(place, settings)?,
            letters: open(settings)?,
            place,
        }))
    }

    /// Refuses the name of a route that is neither configured nor that of a letter: it is a
    /// mistake, and not a route without letters. Without a configuration nothing can be told.
    pub(super) async fn check_routes(
        &self,
        asked: &[String],
        known: &RouteNames,
    ) -> Result<(), Failure> {
        let known = || known.enabled.iter().chain(&known.disabled);
        if known().next().is_none() {
            return Ok(());
        }
        for route in asked
            .iter()
            .filter(|route| !known().any(|name| name == *route))
        {
            let filter = Filter {
                routes: vec![route.clone()],
                ..Filter::default()
            };
            if self.list(filter, 0).await?.total > 0 {
                continue;
            }
            let hint = match nearest(route, known().map(String::as_str)) {
                Some(near) => format!("did you mean {near}?"),
                None => {
                    let names: Vec<&str> = known().map(String::as_str).collect();
                    format!("there is {}", names.join(", "))
                }
            };
            return Err(Failure::Refused(format!(
                "there is no route {}, and no dead letter of one of this name; {hint}",
                harmless(route)
            )));
        }
        Ok(())
    }

    /// The newest that are meant.
    pub(super) async fn list(&self, filter: Filter, limit: usize) -> Result<Listing, Failure> {
        match self {
            Letters::Running(client) => {
                let question = ListQuestion { filter, limit };
                Ok(client.call(live::LIST, &question).await?)
            }
            Letters::Closed(closed) => Ok(closed.letters.list(filter, limit).await?),
        }
    }

    /// Those behind a number that are meant.
    pub(super) async fn slice(&self, filter: &Filter, after: u64) -> Result<Slice, Failure> {
        let filter = filter.clone();
        match self {
            Letters::Running(client) => {
                let question = SliceQuestion { filter, after };
                Ok(client.call(live::EXPORT, &question).await?)
            }
            Letters::Closed(closed) => Ok(live::slice(&closed.letters, filter, after).await?),
        }
    }

    /// Takes out those that are meant.
    pub(super) async fn remove(&self, filter: Filter) -> Result<Removed, Failure> {
        match self {
            Letters::Running(client) => {
                Ok(client.call(live::PURGE, &PurgeQuestion { filter }).await?)
            }
            Letters::Closed(closed) => Ok(closed.letters.remove(filter).await?),
        }
    }

    /// Sends all again that are meant, in parts; what each has come to is told to `each`.
    pub(super) async fn replay(
        &self,
        filter: Filter,
        each: &mut (dyn FnMut(Part) + Send),
    ) -> Result<(), Failure> {
        let question = replay::Question::new(filter);
        match self {
            Letters::Running(client) => {
                let mut next = Some(question);
                while let Some(question) = next {
                    let part: Part = client.call(live::REPLAY, &question).await?;
                    next = question.next(&part);
                    each(part);
                }
                Ok(())
            }
            Letters::Closed(closed) => closed.replay(question, each).await,
        }
    }
}

impl ClosedLetters<'_> {
    /// Into the queue on disk, where the events wait for the next kete.
    async fn replay(
        &self,
        question: replay::Question,
        each: &mut (dyn FnMut(Part) + Send),
    ) -> Result<(), Failure> {
        let Some(directory) = &self.place.directory else {
            let words = "no kete runs, and without kete.data-dir there is no queue in which the \
                         events could wait for one; start kete with kete.control.socket set, and \
                         ask again";
            return Err(Failure::Refused(words.to_owned()));
        };
        let queue = match &self.directory {
            Some(held) => Closed::in_directory(held.clone()),
            None => Closed::open(directory),
        };
        let queue = queue.map_err(Failure::Refused)?;
        let replayed = self.replay_into(queue.queue(), question, each).await;
        let closed = queue.close().await.map_err(Failure::Refused);
        replayed.and(closed)
    }

    async fn replay_into(
        &self,
        queue: Arc<dyn Queue>,
        question: replay::Question,
        each: &mut (dyn FnMut(Part) + Send),
    ) -> Result<(), Failure> {
        let routes = self.routes(&*queue);
        let names = routes.enabled.iter();
        let names = names.map(|name| (name.as_str().into(), Arc::default()));
        let replayer = Replayer::for_closed(Arc::clone(&queue), names);
        let pipeline = self.place.pipeline.as_ref();
        let room = Room {
            max_bytes: pipeline.map(|pipeline| pipeline.queue.max_bytes),
            queue,
        };
        let replays = Replays::new(self.letters.clone(), replayer, routes, room);
        let mut next = Some(question);
        while let Some(question) = next {
            let part = replays.part(&question).await.map_err(Failure::Refused)?;
            next = question.next(&part);
            each(part);
        }
        Ok(())
    }

    /// Those of the configuration; if only the directory was named, those that the queue knows.
    fn routes(&self, queue: &dyn Queue) -> RouteNames {
        let RouteNames { enabled, disabled } = &self.place.routes;
        if !enabled.is_empty() || !disabled.is_empty() {
            return self.place.routes.clone();
        }
        let known = queue.consumers().into_iter();
        let routes = known.filter_map(|consumer| match route_of(&consumer.name) {
            (route, false) => Some(route.to_owned()),
            (_, true) => None,
        });
        RouteNames {
            enabled: routes.collect(),
            disabled: Vec::new(),
        }
    }
}

/// Locks the data directory if the letters are in it; one that is not there is not made.
fn hold(place: &Place, settings: &DeadLetterSettings) -> Result<Option<DataDirectory>, Failure> {
    match (&settings.place, &place.directory) {
        (LetterPlace::Directory(_), Some(path)) => {
            queue::hold(path).map(Some).map_err(Failure::Refused)
        }
        _ => Ok(None),
    }
}

fn open(settings: &DeadLetterSettings) -> Result<DeadLetters, Failure> {
    if !settings.place.exists() {
        return Err(Failure::Refused(format!(
            "{}: there are no dead letters, and no kete has kept any there yet",
            settings.place.file().display()
        )));
    }
    DeadLetters::open(settings).map_err(|problem| match problem {
        DeadLetterError::InUse { path, process } => Failure::Refused(format!(
            "{}: {} uses these dead letters, and nobody listens on a control socket that this \
             configuration names; set kete.control.socket for both, or stop it",
            path.display(),
            process.map_or_else(
                || "another process".to_owned(),
                |id| format!("process {id}")
            )
        )),
        problem => Failure::Letters(problem),
    })
}
