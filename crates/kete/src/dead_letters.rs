//! `kete dead-letters`: what was given up is shown, exported, sent again or deleted.
//!
//! A kete that runs is asked; otherwise the letters are opened here, and no kete can start
//! meanwhile. Both give the same answers, from the same code. Everything goes in slices, so that
//! neither side ever holds a whole store.

mod access;
mod expiry;
mod export;
mod live;
mod options;
mod outcome;
mod purge;
mod replay;
mod show;
mod table;

use std::path::PathBuf;

use kete_pipeline::DeadLetterError;
use kete_pipeline::dead_letters::{Filter, Listing, OtherLines};
use serde::Serialize;

use crate::cli::{DataOptions, Format};
use crate::control::{self, ClientError};
use crate::exit::Exit;
use crate::output;
use crate::place::{self, Wanted};

use access::Letters;
use options::{ListOptions, PurgeOptions, WrongSpan};

pub(crate) use expiry::expire;
pub(crate) use live::{LiveLetters, router};
pub(crate) use options::{ABOUT, DeadLettersCommand, EXAMPLES};
pub(crate) use replay::{Replays, Room};

/// Why there is no answer. All of them are whole sentences about what was asked.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the runtime cannot be started: {0}")]
    Runtime(#[source] std::io::Error),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Letters(#[from] DeadLetterError),
    #[error("{}: {problem}", path.display())]
    Write {
        path: PathBuf,
        problem: std::io::Error,
    },
    #[error("{0}")]
    Refused(String),
    /// Standard output cannot be written, which was said.
    #[error("standard output is gone")]
    Unread(Exit),
}

/// What is printed, and how the command ends.
struct Said {
    text: String,
    exit: Exit,
}

/// Does what the command line asks for.
pub(crate) fn dead_letters(command: &DeadLettersCommand) -> Exit {
    match command {
        DeadLettersCommand::List(options) => {
            let filter = options.filter.filter();
            with_letters(
                &options.data,
                &options.filter.route,
                filter,
                async |letters, filter| list(letters, options, filter).await,
            )
        }
        DeadLettersCommand::Show(options) => {
            with_letters(&options.data, &[], Ok(()), async |letters, ()| {
                show::show(letters, options).await
            })
        }
        DeadLettersCommand::Export(options) => {
            let filter = options.filter.filter();
            with_letters(
                &options.data,
                &options.filter.route,
                filter,
                async |letters, filter| export::export(letters, options, filter).await,
            )
        }
        DeadLettersCommand::Replay(options) => {
            let filter = options.filter.filter();
            with_letters(
                &options.data,
                &options.filter.route,
                filter,
                async |letters, filter| {
                    let outcome = replay::replay(letters, filter).await?;
                    Ok(Said {
                        text: in_format(options.data.options.format, &outcome, || outcome.text()),
                        exit: outcome.exit(),
                    })
                },
            )
        }
        DeadLettersCommand::Purge(options) => purge(options),
    }
}

fn purge(options: &PurgeOptions) -> Exit {
    let filter = options.filter.filter();
    if matches!(&filter, Ok(filter) if filter.is_everything() != options.all) {
        let wrong = if options.all {
            "--all and a filter do not go together"
        } else {
            "say which dead letters are to be deleted, for instance with --route, or --all of them"
        };
        output::to_stderr(&format!("error: {wrong}\n"));
        return Exit::Wrong;
    }
    with_letters(
        &options.data,
        &options.filter.route,
        filter,
        async |letters, filter| purge::purge(letters, options, filter).await,
    )
}

async fn list(
    letters: &Letters<'_>,
    options: &ListOptions,
    filter: Filter,
) -> Result<Said, Failure> {
    let everything = filter.is_everything();
    let listing = letters.list(filter, usize::from(options.limit)).await?;
    say_others(&listing.others);
    let format = options.data.options.format;
    let text = in_format(format, &listing, || list_text(&listing, everything));
    let exit = Exit::Fine;
    Ok(Said { text, exit })
}

fn list_text(listing: &Listing, everything: bool) -> String {
    let shown = listing.letters.len() as u64;
    match (shown, listing.total) {
        (0, 0) if everything => "there are no dead letters\n".to_owned(),
        (0, 0) => "there are no such dead letters\n".to_owned(),
        (shown, total) if shown < total => format!(
            "{}\nthe newest {shown} of {total}; --limit shows more\n",
            table::table(&listing.letters)
        ),
        _ => table::table(&listing.letters),
    }
}

/// Finds the letters, of these routes, does something with them, and prints what comes of it.
fn with_letters<T>(
    options: &DataOptions,
    routes: &[String],
    wanted: Result<T, WrongSpan>,
    work: impl AsyncFnOnce(&Letters, T) -> Result<Said, Failure>,
) -> Exit {
    let wanted = match wanted {
        Ok(wanted) => wanted,
        Err(wrong) => {
            output::to_stderr(&format!("error: {wrong}\n"));
            return Exit::Wrong;
        }
    };
    let place = match place::find(options, Wanted::DeadLetters) {
        Ok(place) => place,
        Err(exit) => return exit,
    };
    let said = control::runtime()
        .map_err(Failure::Runtime)
        .and_then(|runtime| {
            runtime.block_on(async {
                let letters = Letters::find(&place).await?;
                letters.check_routes(routes, &place.routes).await?;
                work(&letters, wanted).await
            })
        });
    match said {
        Ok(Said { text, exit }) => output::answer(&text, exit),
        Err(Failure::Unread(exit)) => exit,
        Err(failure) => {
            output::to_stderr(&format!("error: {failure}\n"));
            Exit::Failed
        }
    }
}

fn in_format(format: Format, answer: &impl Serialize, text: impl FnOnce() -> String) -> String {
    match format {
        Format::Human => text(),
        Format::Json => output::json(answer),
    }
}

/// Says what in the files is not ours; it is never touched.
fn say_others(others: &[OtherLines]) {
    for OtherLines { path, lines } in others {
        let (path, lines) = (path.display(), counted(*lines, "line"));
        output::to_stderr(&format!(
            "note: {path} has {lines} that kete cannot read as dead letters; they are left alone\n"
        ));
    }
}

/// `1 dead letter`, `2 dead letters`.
fn letters(number: u64) -> String {
    counted(number, "dead letter")
}

fn counted(number: u64, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

/// A text of somebody else as it may be printed: what steers a terminal is replaced.
fn harmless(text: &str) -> String {
    let replaced = |character: char| match character {
        '\n' => '\n',
        _ if character.is_control() => '\u{fffd}',
        _ => character,
    };
    text.chars().map(replaced).collect()
}
