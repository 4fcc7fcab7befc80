//! What a replay of dead letters has come to, for people and for programs.

use std::collections::BTreeMap;

use serde::Serialize;

use super::replay::{Left, Part, Why};
use super::{harmless, letters};
use crate::exit::Exit;

/// What became of all of it.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Outcome {
    replayed: BTreeMap<String, u64>,
    under_way: u64,
    left: BTreeMap<String, Left>,
    /// Whether a kete runs that sends them now.
    running: bool,
}

impl Outcome {
    /// Nothing yet; `running` says whether a kete runs that sends them now.
    pub(super) fn new(running: bool) -> Outcome {
        Outcome {
            running,
            ..Outcome::default()
        }
    }

    /// What another part has come to.
    pub(super) fn add(&mut self, part: Part) {
        self.under_way += part.under_way;
        for (route, letters) in part.replayed {
            *self.replayed.entry(route).or_default() += letters;
        }
        for (route, left) in part.left {
            let all = self
                .left
                .entry(route)
                .or_insert(Left { letters: 0, ..left });
            all.letters += left.letters;
        }
    }

    /// How many letters the queue has taken.
    pub(super) fn total(&self) -> u64 {
        self.replayed.values().sum()
    }

    /// What was asked for and could not be done is a failure.
    pub(super) fn exit(&self) -> Exit {
        match self.left.is_empty() {
            true => Exit::Fine,
            false => Exit::Failed,
        }
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let when = match self.running {
            true => "",
            false => " when kete runs again",
        };
        for (route, count) in &self.replayed {
            let verb = if *count == 1 { "goes" } else { "go" };
            let (count, route) = (letters(*count), harmless(route));
            text.push_str(&format!("{count} {verb} to route {route} again{when}\n"));
        }
        if self.under_way > 0 {
            let count = letters(self.under_way);
            text.push_str(&format!(
                "{count} of these stay in the store until they are delivered, because the queue \
                 is in memory\n"
            ));
        }
        for (route, left) in &self.left {
            let verb = if left.letters == 1 { "stays" } else { "stay" };
            let (count, why) = (letters(left.letters), left.why.text(&harmless(route)));
            text.push_str(&format!("{count} {verb}: {why}\n"));
        }
        if text.is_empty() {
            text.push_str("there are no such dead letters\n");
        }
        text
    }
}

impl Why {
    fn text(self, route: &str) -> String {
        match self {
            Why::NoRoute => format!("there is no route {route} any more"),
            Why::SwitchedOff => {
                format!("route {route} is switched off (kete.routes.{route}.enabled)")
            }
            Why::Unreadable => format!("kete cannot read their events (route {route})"),
        }
    }
}
