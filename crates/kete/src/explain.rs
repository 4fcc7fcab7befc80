//! `kete explain`: what would happen to these events?
//!
//! Each event goes through what intake and the routes would do with it, and is sent nowhere. Only
//! metadata, matchers and event names are shown; secrets in it are masked first, as always.

mod input;
mod naming;

use std::io::{self, BufWriter, Write};

use kete_config::Diagnostics;
use kete_event::{Event, Metadata};
use kete_pipeline::EventFailure;
use kete_routes::{Decision, MatchSet, Reason};
use kete_sources::CheckedSource;
use serde::Serialize;

use crate::assemble::{self, Assembled, CheckedRoute, Configuration, Needs};
use crate::cli::{ExplainOptions, Format};
use crate::exit::Exit;
use crate::output;

use input::{Input, Item};

/// The kind of destination that gives no names.
const STDOUT: &str = "stdout";

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
    /// The name it would get; absent if it is refused or cannot be sent, and for a destination
    /// that gives no names.
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

/// What all events are explained with.
struct Explainer<'c> {
    configuration: &'c Configuration,
    /// The source that they would come from, as far as that matters.
    source: Option<&'c CheckedSource>,
}

/// Explains every event of standard input.
pub(crate) fn explain(arguments: &ExplainOptions) -> Exit {
    let ExplainOptions { options, source } = arguments;
    let diagnostics = Diagnostics::new();
    match assemble::configuration(options, Needs::Routes, &diagnostics) {
        Assembled::Wrong => output::report_wrong(&diagnostics, options.format),
        Assembled::SwitchedOff => {
            output::to_stderr("kete.enabled=false: no route would take anything\n");
            Exit::Fine
        }
        Assembled::Ready(configuration) => {
            output::report_warnings(&diagnostics);
            let source = match naming::source(&configuration, source.as_deref()) {
                Ok(source) => source,
                Err(unknown) => {
                    output::to_stderr(&format!("error: {unknown}\n"));
                    return Exit::Wrong;
                }
            };
            let explainer = Explainer {
                configuration: &configuration,
                source,
            };
            match explainer.explain_all(options.format) {
                Ok(exit) => exit,
                Err(error) => output::cannot_write(&error),
            }
        }
    }
}

impl Explainer<'_> {
    fn explain_all(&self, format: Format) -> io::Result<Exit> {
        let mut stdout = BufWriter::new(io::stdout().lock());
        let mut exit = Exit::Fine;
        let input = Input::new(io::stdin().lock());
        for item in input {
            let bad = |line, error| Bad { line, error };
            let explained = match item {
                Item::Event { line, json } => self
                    .explain_one(line, &json)
                    .map_err(|error| bad(line, error)),
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

    /// Does with the event what intake does, and asks every route.
    fn explain_one(&self, line: u64, json: &[u8]) -> Result<Explained, String> {
        let mut event = Event::parse(json).map_err(|error| in_its_line(json, error.to_string()))?;
        if let Some(source) = self.source {
            source.realm_names.fill_in(&mut event, &source.name);
        }
        event.redact();
        let id_derived = event.derive_id();
        let metadata = event.metadata();
        let body = event.canonical();
        let routes = self.configuration.routes.iter();
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
        let rules = &route.settings.rules;
        let explanation = rules.explain(metadata);
        let accepted = explanation.accepted();
        let subject = accepted.then(|| route.plan.subject(metadata, body));
        let (event_name, cannot_be_sent) = match subject {
            None => (None, None),
            // Lines have no name; what the destination calls them is for its own messages.
            Some(Ok(_)) if route.kind == STDOUT => (None, None),
            Some(Ok(name)) => (Some(name.to_string()), None),
            Some(Err(
                EventFailure::Permanent { detail, .. } | EventFailure::Refused { detail },
            )) => (None, Some(detail)),
        };
        Routed {
            route: route.settings.name.to_string(),
            accepted,
            realm: Judged::new(explanation.realm, &rules.realm),
            event_type: Judged::new(explanation.event, &rules.event),
            event_name,
            cannot_be_sent,
        }
    }
}

impl Judged {
    fn new(decision: Decision<'_>, asked: &MatchSet) -> Judged {
        let mut reason = decision.to_string();
        if decision.reason == Reason::NoneAccepted {
            let written = asked.matchers().iter();
            let written = written.map(|matcher| format!("{}={matcher}", matcher.id()));
            let list = written.collect::<Vec<_>>().join(", ");
            reason.push_str(&format!(": {list}"));
        }
        Judged {
            accepted: decision.accepted,
            matcher: decision.by.map(|matcher| matcher.id().to_owned()),
            reason,
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
        (None, None) if routed.accepted => "takes it".to_owned(),
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
