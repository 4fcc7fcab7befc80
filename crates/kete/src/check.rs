//! `kete check`: is the configuration right, and what would it run?
//!
//! It does what `run` does up to the point where the world would be touched, and answers on
//! standard output.

mod certificates;
mod control_socket;
mod data_directory;
mod queue;

use kete_config::Diagnostics;
use kete_routes::{MatchMode, MatchSet};
use serde::Serialize;

use crate::assemble::{self, Assembled, CheckedRoute, Configuration, Needs, Shown, ShownSource};
use crate::cli::{Format, Options};
use crate::exit::Exit;
use crate::output::{self, Findings};

use certificates::Certificate;
use queue::Queue;

/// The answer as programs read it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    /// Whether everything is right.
    ok: bool,
    #[serde(flatten)]
    findings: Findings,
    /// What would run; absent if the configuration is wrong or switched off.
    summary: Option<Summary>,
}

/// What would run.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    sources: Vec<Source>,
    /// How Keycloak is reached, if a source asks it.
    keycloak: Vec<Shown>,
    routes: Vec<Route>,
    disabled_routes: Vec<String>,
    queue: Queue,
    /// The file that takes dead letters; without it their bodies are lost.
    dead_letters: Option<String>,
    /// Where metrics and health are served.
    admin: Option<String>,
    /// Those of all stores that the configuration names.
    certificates: Vec<Certificate>,
}

#[derive(Serialize)]
struct Source {
    name: String,
    kind: &'static str,
    settings: Vec<Shown>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Route {
    name: String,
    realm_matchers: Matchers,
    event_matchers: Matchers,
    serializer: &'static str,
    destination: Destination,
}

#[derive(Serialize)]
struct Destination {
    kind: String,
    settings: Vec<Shown>,
}

#[derive(Serialize)]
struct Matchers {
    mode: &'static str,
    matchers: Vec<Matcher>,
}

#[derive(Serialize)]
struct Matcher {
    id: String,
    pattern: String,
}

/// Checks the configuration and prints the answer.
pub(crate) fn check(options: &Options) -> Exit {
    let diagnostics = Diagnostics::new();
    let assembled = assemble::configuration(options, Needs::Everything, &diagnostics);
    let exit = match diagnostics.has_errors() {
        true => Exit::Wrong,
        false => Exit::Fine,
    };
    let summary = match &assembled {
        Assembled::Ready(configuration) => Some(Summary::of(configuration, &diagnostics)),
        _ => None,
    };
    let text = match options.format {
        Format::Json => {
            let findings = Findings::from(&diagnostics);
            output::json(&Answer {
                ok: exit == Exit::Fine,
                findings,
                summary,
            })
        }
        Format::Human => format!(
            "{diagnostics}{}",
            conclusion(&assembled, summary, &diagnostics)
        ),
    };
    output::answer(&text, exit)
}

fn conclusion(
    assembled: &Assembled,
    summary: Option<Summary>,
    diagnostics: &Diagnostics,
) -> String {
    match (assembled, summary) {
        (Assembled::SwitchedOff, _) => {
            "the configuration is switched off (kete.enabled=false): nothing else was checked\n"
                .to_owned()
        }
        (Assembled::Ready(_), Some(summary)) => {
            let verdict = match diagnostics.has_errors() {
                true => "the configuration would run, but not connect everywhere",
                false => "the configuration is right",
            };
            let found = diagnostics.summary();
            format!("{verdict}: {found}\n\n{}", summary.text())
        }
        _ => format!("the configuration is wrong: {}\n", diagnostics.summary()),
    }
}

impl Summary {
    /// What would run; what is found on the way is added to the diagnostics.
    fn of(configuration: &Configuration, diagnostics: &Diagnostics) -> Summary {
        let pipeline = &configuration.pipeline;
        if let Some(socket) = &configuration.process.control_socket {
            control_socket::judge(socket, diagnostics);
        }
        Summary {
            sources: configuration.sources.iter().map(Source::from).collect(),
            keycloak: configuration.keycloak.clone(),
            routes: configuration.routes.iter().map(Route::from).collect(),
            disabled_routes: configuration.disabled_routes.clone(),
            queue: Queue::of(pipeline, diagnostics),
            dead_letters: pipeline
                .dead_letters
                .as_ref()
                .map(|settings| settings.place.file().display().to_string()),
            admin: configuration
                .process
                .admin
                .map(|address| address.to_string()),
            certificates: certificates::of(configuration),
        }
    }
}

impl From<&ShownSource> for Source {
    fn from(shown: &ShownSource) -> Source {
        Source {
            name: shown.source.name.clone(),
            kind: shown.source.kind.name,
            settings: without_kind(&shown.shown),
        }
    }
}

impl From<&CheckedRoute> for Route {
    fn from(route: &CheckedRoute) -> Route {
        Route {
            name: route.settings.name.to_string(),
            realm_matchers: Matchers::from(&route.settings.rules.realm),
            event_matchers: Matchers::from(&route.settings.rules.event),
            serializer: route.settings.serializer.kind(),
            destination: Destination {
                kind: route.kind.clone(),
                settings: without_kind(&route.shown),
            },
        }
    }
}

impl From<&MatchSet> for Matchers {
    fn from(set: &MatchSet) -> Matchers {
        let mode = match set.mode() {
            MatchMode::Any => "any",
            MatchMode::All => "all",
        };
        let matcher = |matcher: &kete_routes::Matcher| Matcher {
            id: matcher.id().to_owned(),
            pattern: matcher.to_string(),
        };
        Matchers {
            mode,
            matchers: set.matchers().iter().map(matcher).collect(),
        }
    }
}

fn without_kind(shown: &[Shown]) -> Vec<Shown> {
    shown
        .iter()
        .filter(|setting| setting.key != "kind")
        .cloned()
        .collect()
}

impl Summary {
    fn text(&self) -> String {
        let mut text = String::new();
        for source in &self.sources {
            text.push_str(&format!("source {}\n", source.name));
            line(&mut text, "kind", source.kind);
            settings(&mut text, &source.settings);
        }
        if !self.keycloak.is_empty() {
            text.push_str("keycloak\n");
            settings(&mut text, &self.keycloak);
        }
        for route in &self.routes {
            text.push_str(&format!("route {}\n", route.name));
            line(&mut text, "realms", &route.realm_matchers.text());
            line(&mut text, "event types", &route.event_matchers.text());
            line(&mut text, "destination", &route.destination.kind);
            settings(&mut text, &route.destination.settings);
        }
        for name in &self.disabled_routes {
            text.push_str(&format!(
                "route {name} is disabled, and nothing else of it was checked\n"
            ));
        }
        text.push_str("process\n");
        self.queue.add_to(&mut text);
        let lost = "not kept (kete.data-dir or kete.dead-letters.path)";
        line(
            &mut text,
            "dead letters",
            self.dead_letters.as_deref().unwrap_or(lost),
        );
        let off = "not served (kete.admin.bind)";
        line(&mut text, "metrics", self.admin.as_deref().unwrap_or(off));
        text.push_str(&certificates::text(&self.certificates));
        text
    }
}

impl Matchers {
    fn text(&self) -> String {
        if self.matchers.is_empty() {
            return "all".to_owned();
        }
        let written = self
            .matchers
            .iter()
            .map(|Matcher { id, pattern }| format!("{id}={pattern}"));
        format!(
            "{} of {}",
            self.mode,
            written.collect::<Vec<_>>().join(", ")
        )
    }
}

fn settings(text: &mut String, shown: &[Shown]) {
    for Shown {
        key,
        value,
        default,
    } in shown
    {
        let remark = if *default { " (default)" } else { "" };
        line(text, key, &format!("{value}{remark}"));
    }
}

fn line(text: &mut String, name: &str, value: &str) {
    text.push_str(&format!("  {name:<20} {value}\n"));
}
