//! `kete explain`: what would happen to these events?
//!
//! Each event goes through what intake and the routes would do with it, and is sent nowhere. Only
//! metadata, matchers and event names are shown; secrets in it are masked first, as always.

mod input;

use std::io::{self, BufWriter, Write};

use kete_config::Diagnostics;
use kete_event::{Event, Metadata};
use kete_pipeline::EventFailure;
use kete_routes::Decision;
use kete_sources::CheckedSource;
use serde::Serialize;

use crate::assemble::{self, Assembled, CheckedRoute, Configuration, Needs};
use crate::cli::{Format, Options};
use crate::exit::Exit;
use crate::output;

use input::{Input, Item};

/// What would happen to one event.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Explained {
    /// The line of the input, from 1, on which the event begins.
    line: u64,
    id: Box<str>,
    /// Whether the id was derived from the content, because there was none.
    id_derived: bool,
    kind: &'static str,
    realm: Option<Box<str>>,
    event_type: Box<str>,
    outcome: &'static str,
    routes: Vec<Routed>,
}

/// What one route would do with it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Routed {
    route: String,
    accepted: bool,
    realm: Judged,
    event_type: Judged,
    /// The name it would get; absent if it is refused or cannot be sent.
    event_name: Option<String>,
    /// Why it could not be sent.
    cannot_be_sent: Option<String>,
}

/// What one set of matchers decided.
#[derive(Serialize)]
struct Judged {
    accepted: bool,
    /// The matcher that decided, where it was one.
    matcher: Option<String>,
    reason: String,
}

/// Something in the input that is no event.
#[derive(Serialize)]
struct Bad {
    line: u64,
    error: String,
}

/// Explains every event of standard input.
pub(crate) fn explain(options: &Options) -> Exit {
    let diagnostics = Diagnostics::new();
    match assemble::configuration(options, Needs::Routes, &diagnostics) {
        Assembled::Wrong => output::report_wrong(&diagnostics, options.format),
        Assembled::SwitchedOff => {
            output::to_stderr("kete.enabled=false: no route would take anything\n");
            Exit::Fine
        }
        Assembled::Ready(configuration) => {
            output::report_warnings(&diagnostics);
            match explain_all(&configuration, options.format) {
                Ok(exit) => exit,
                Err(error) => output::cannot_write(&error),
            }
        }
    }
}

fn explain_all(configuration: &Configuration, format: Format) -> io::Result<Exit> {
    let mut stdout = BufWriter::new(io::stdout().lock());
    let mut exit = Exit::Fine;
    let input = Input::new(io::stdin().lock());
    for item in input {
        let bad = |line, error| Bad { line, error };
        let explained = match item {
            Item::Event { line, json } => {
                explain_one(line, &json, configuration).map_err(|error| bad(line, error))
            }
            Item::Bad { line, problem } => Err(bad(line, problem)),
        };
        match explained {
            Ok(explained) => write_explained(&mut stdout, &explained, format)?,
            Err(bad) => {
                exit = Exit::Failed;
                write_bad(&mut stdout, &bad, format)?;
            }
        }
    }
    stdout.flush()?;
    Ok(exit)
}

/// The one source that gives realm names to events without one. With several of them nobody can
/// say which one an event would come from.
fn naming_source(configuration: &Configuration) -> Option<&CheckedSource> {
    let sources = configuration.sources.iter().map(|shown| &shown.source);
    let mut naming = sources.filter(|source| !source.realm_names.is_empty());
    naming.next().filter(|_| naming.next().is_none())
}

/// Does with the event what intake does, and asks every route.
fn explain_one(line: u64, json: &[u8], configuration: &Configuration) -> Result<Explained, String> {
    let mut event = Event::parse(json).map_err(|error| in_its_line(json, error.to_string()))?;
    if let Some(source) = naming_source(configuration) {
        source.realm_names.fill_in(&mut event, &source.name);
    }
    event.redact();
    let id_derived = event.derive_id();
    let metadata = event.metadata();
    let body = event.canonical();
    let routes = configuration.routes.iter();
    Ok(Explained {
        line,
        id_derived,
        kind: metadata.kind.as_str(),
        outcome: metadata.outcome.as_str(),
        routes: routes
            .map(|route| Routed::new(route, &metadata, &body))
            .collect(),
        id: metadata.event_id,
        realm: metadata.realm,
        event_type: metadata.event_type,
    })
}

/// A place in an event of one line is a place in the line that is named anyway.
fn in_its_line(json: &[u8], error: String) -> String {
    match json.contains(&b'\n') {
        true => error,
        false => error.replace("line 1 column", "column"),
    }
}

impl Routed {
    fn new(route: &CheckedRoute, metadata: &Metadata, body: &[u8]) -> Routed {
        let explanation = route.settings.rules.explain(metadata);
        let accepted = explanation.accepted();
        let subject = accepted.then(|| route.plan.subject(metadata, body));
        let (event_name, cannot_be_sent) = match subject {
            None => (None, None),
            Some(Ok(name)) => (Some(name.to_string()), None),
            Some(Err(
                EventFailure::Permanent { detail, .. } | EventFailure::Refused { detail },
            )) => (None, Some(detail)),
        };
        Routed {
            route: route.settings.name.to_string(),
            accepted,
            realm: Judged::from(explanation.realm),
            event_type: Judged::from(explanation.event),
            event_name,
            cannot_be_sent,
        }
    }
}

impl From<Decision<'_>> for Judged {
    fn from(decision: Decision<'_>) -> Judged {
        Judged {
            accepted: decision.accepted,
            matcher: decision.by.map(|matcher| matcher.id().to_owned()),
            reason: decision.to_string(),
        }
    }
}

fn write_explained(
    stdout: &mut impl Write,
    explained: &Explained,
    format: Format,
) -> io::Result<()> {
    if format == Format::Json {
        return write_line(stdout, explained);
    }
    let Explained {
        line,
        id,
        kind,
        event_type,
        outcome,
        ..
    } = explained;
    let realm = match &explained.realm {
        Some(realm) => format!("realm {realm}"),
        None => "no realm".to_owned(),
    };
    let derived = if explained.id_derived {
        " (derived)"
    } else {
        ""
    };
    writeln!(
        stdout,
        "line {line}: {kind} {event_type}, {realm}, {outcome}, id {id}{derived}"
    )?;
    for routed in &explained.routes {
        write_routed(stdout, routed)?;
    }
    Ok(())
}

fn write_routed(stdout: &mut impl Write, routed: &Routed) -> io::Result<()> {
    let verdict = match (&routed.event_name, &routed.cannot_be_sent) {
        (Some(name), _) => format!("takes it, event name {name}"),
        (None, Some(why)) => format!("takes it, but cannot send it: {why}"),
        (None, None) => "refuses it".to_owned(),
    };
    writeln!(stdout, "  route {} {verdict}", routed.route)?;
    writeln!(stdout, "    realm: {}", routed.realm.reason)?;
    writeln!(stdout, "    event type: {}", routed.event_type.reason)
}

fn write_bad(stdout: &mut impl Write, bad: &Bad, format: Format) -> io::Result<()> {
    match format {
        Format::Json => write_line(stdout, bad),
        Format::Human => writeln!(stdout, "line {}: not an event: {}", bad.line, bad.error),
    }
}

fn write_line(stdout: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *stdout, value)?;
    stdout.write_all(b"\n")
}
