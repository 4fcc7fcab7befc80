//! A data directory that a test fills, and what is asked of it.
//!
//! Nothing listens on port 1, so what is for the route `shop` waits until it has another
//! destination.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::harness::{Ended, Running, kete, run_to_end, start};

pub(crate) const AWAY: &[&str] = &[
    "kete.routes.shop.destination.kind=socketio",
    "kete.routes.shop.destination.url=http://127.0.0.1:1",
    "kete.routes.shop.destination.event-name=e",
];
pub(crate) const PRINTED: &[&str] = &["kete.routes.shop.destination.kind=stdout"];
pub(crate) const OTHER: &[&str] = &["kete.routes.other.destination.kind=stdout"];

/// A data directory that goes with the test.
pub(crate) struct Data {
    pub(crate) folder: TempDir,
}

impl Data {
    pub(crate) fn new() -> Data {
        let folder = tempfile::tempdir().unwrap();
        Data { folder }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A command with the settings of this directory and these.
    pub(crate) fn command(&self, arguments: &[&str], settings: &[&str]) -> Command {
        let mut command = kete();
        command.args(arguments);
        let data_dir = format!("kete.data-dir={}", self.path().display());
        let source = "kete.sources.input.kind=stdin";
        for setting in [&*data_dir, source].iter().chain(settings) {
            command.args(["--set", setting]);
        }
        command
    }

    pub(crate) fn ask(&self, arguments: &[&str], settings: &[&str]) -> Ended {
        run_to_end(&mut self.command(arguments, settings), b"")
    }

    /// A kete that runs with standard input left open.
    pub(crate) fn run(&self, settings: &[&str]) -> Running {
        let mut running = start(&mut self.command(&["run"], settings));
        running.wait_for("ready: events are taken");
        running
    }

    /// Takes events for a server that is away, and ends as a service manager would have it.
    pub(crate) fn fill(&self, events: &[u8]) -> Ended {
        let mut running = self.run(AWAY);
        let before = self.status(AWAY)["events"].as_u64().unwrap_or(0);
        running.send(events);
        self.wait_for_events(before + lines(events));
        running.signal("TERM");
        running.end()
    }

    /// Asks the running kete until that many wait.
    pub(crate) fn wait_for_events(&self, events: u64) {
        for _ in 0..1_000 {
            let status = self.status(AWAY);
            assert_eq!(status["running"], true, "{status}");
            if status["events"] == events {
                return;
            }
        }
        panic!("{events} events do not come to wait");
    }

    pub(crate) fn status(&self, settings: &[&str]) -> Value {
        let ended = self.ask(&["queue", "status", "--format", "json"], settings);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        serde_json::from_str(&ended.stdout).unwrap()
    }
}

pub(crate) fn events(from: usize, to: usize) -> Vec<u8> {
    let event = |number: usize| {
        format!("{{\"id\":\"e{number}\",\"time\":1,\"type\":\"LOGIN\",\"realmName\":\"demo\"}}\n")
    };
    (from..to).map(event).collect::<String>().into_bytes()
}

pub(crate) fn lines(text: &[u8]) -> u64 {
    text.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// The ids of printed events, in their order.
pub(crate) fn ids(stdout: &str) -> Vec<String> {
    let id = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap();
        event["id"].as_str().unwrap().to_owned()
    };
    stdout.lines().map(id).collect()
}

pub(crate) fn of_route<'s>(status: &'s Value, name: &str) -> &'s Value {
    let routes = status["routes"].as_array().unwrap();
    routes
        .iter()
        .find(|route| route["name"] == name && route["replay"] == false)
        .unwrap_or_else(|| panic!("no route {name} in {status}"))
}

/// Every file with its content, to see that nothing was changed. Who tries to open the directory
/// is noted in its lock; nothing else may change.
pub(crate) fn contents(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    if path.ends_with("kete.lock") {
        return all;
    }
    if path.is_file() {
        return vec![(path.to_owned(), fs::read(path).unwrap())];
    }
    for entry in fs::read_dir(path).unwrap() {
        all.extend(contents(&entry.unwrap().path()));
    }
    all.sort();
    all
}
