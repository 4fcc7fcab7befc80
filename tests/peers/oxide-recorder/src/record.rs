//! What the recorder remembers: a file of one JSON line per event, the most recent events, and
//! per user whether first arrivals came in order of `details.sequence`.
//!
//! A line is handed to the kernel before [`Record::add`] returns; a line cut short by a crash is
//! removed at the next start. The bodies kept in memory never exceed `keep`.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// One event as it arrived.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct Arrival {
    pub(crate) event: String,
    pub(crate) body: Value,
    pub(crate) socket: String,
    pub(crate) namespace: String,
    /// Counts from 1 in order of arrival; set by the record.
    #[serde(default)]
    pub(crate) n: u64,
}

pub(crate) struct Record(Mutex<Inner>);

struct Inner {
    file: Option<File>,
    keep: usize,
    recent: VecDeque<Arrival>,
    tally: Tally,
}

impl Record {
    pub(crate) fn open(path: Option<&Path>, keep: usize) -> Result<Record> {
        let (recent, tally) = (VecDeque::new(), Tally::default());
        let mut inner = Inner {
            file: None,
            keep,
            recent,
            tally,
        };
        if let Some(path) = path {
            let file = inner.load(path);
            inner.file = Some(file.with_context(|| format!("cannot open {}", path.display()))?);
        }
        Ok(Record(Mutex::new(inner)))
    }

    /// Writes the arrivals in one go, and to the disk if `sync`.
    pub(crate) fn add(&self, arrivals: Vec<Arrival>, sync: bool) -> Result<()> {
        let mut inner = self.inner();
        let mut lines = Vec::new();
        for mut arrival in arrivals {
            arrival.n = inner.tally.events + 1;
            serde_json::to_writer(&mut lines, &arrival)?;
            lines.push(b'\n');
            inner.remember(arrival);
        }
        let Some(file) = &mut inner.file else {
            return Ok(());
        };
        file.write_all(&lines)?;
        if sync {
            file.sync_data()?;
        }
        Ok(())
    }

    pub(crate) fn count(&self) -> u64 {
        self.inner().tally.events
    }

    pub(crate) fn recent(&self, limit: usize) -> Vec<Arrival> {
        let inner = self.inner();
        let skip = inner.recent.len().saturating_sub(limit);
        inner.recent.iter().skip(skip).cloned().collect()
    }

    pub(crate) fn summary(&self) -> Value {
        self.inner().tally.summary()
    }

    pub(crate) fn reset(&self) -> Result<()> {
        let mut inner = self.inner();
        inner.recent.clear();
        inner.tally = Tally::default();
        if let Some(file) = &inner.file {
            file.set_len(0)?;
        }
        Ok(())
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn load(&mut self, path: &Path) -> Result<File> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)?;
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        let whole = content
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |end| end + 1);
        file.set_len(whole as u64)?;
        for line in content[..whole]
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            self.remember(serde_json::from_slice(line)?);
        }
        Ok(file)
    }

    fn remember(&mut self, arrival: Arrival) {
        self.tally.add(&arrival.body);
        self.recent.push_back(arrival);
        if self.recent.len() > self.keep {
            self.recent.pop_front();
        }
    }
}

#[derive(Default)]
struct Tally {
    events: u64,
    repeats: u64,
    out_of_order: u64,
    ids: HashSet<String>,
    keys: BTreeMap<String, Key>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Key {
    first: u64,
    last: Option<u64>,
    out_of_order: u64,
}

impl Tally {
    fn add(&mut self, body: &Value) {
        self.events += 1;
        if let Some(id) = body["id"].as_str()
            && !self.ids.insert(id.to_owned())
        {
            self.repeats += 1;
            return;
        }
        let key = self.keys.entry(key_of(body)).or_default();
        key.first += 1;
        let sequence = body["details"]["sequence"]
            .as_str()
            .and_then(|text| text.parse().ok());
        if sequence.is_some() && sequence < key.last {
            key.out_of_order += 1;
            self.out_of_order += 1;
        }
        key.last = key.last.max(sequence);
    }

    fn summary(&self) -> Value {
        json!({
            "count": self.events,
            "distinct": self.ids.len(),
            "repeats": self.repeats,
            "outOfOrder": self.out_of_order,
            "keys": self.keys,
        })
    }
}

/// The user an event is about, within its realm.
fn key_of(body: &Value) -> String {
    let realm = body["realmName"]
        .as_str()
        .or(body["realmId"].as_str())
        .unwrap_or_default();
    let path = body["resourcePath"]
        .as_str()
        .and_then(|path| path.strip_prefix("users/"));
    let subject = path.and_then(|rest| rest.split('/').next());
    let user = body["userId"].as_str().or(subject).unwrap_or_default();
    format!("{realm}/{user}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(id: &str, user: &str, sequence: &str) -> Arrival {
        let details = json!({ "sequence": sequence });
        let body = json!({ "id": id, "realmName": "r", "userId": user, "details": details });
        let (event, socket, namespace) = ("e".to_owned(), "s".to_owned(), "/".to_owned());
        Arrival {
            event,
            body,
            socket,
            namespace,
            n: 0,
        }
    }

    #[test]
    fn first_arrivals_out_of_order_are_counted_and_repeats_are_not() {
        let record = Record::open(None, 10).unwrap();
        let arrivals = vec![
            arrival("1", "a", "1"),
            arrival("3", "a", "3"),
            arrival("2", "a", "2"),
            arrival("1", "a", "1"),
            arrival("4", "b", "1"),
        ];
        record.add(arrivals, false).unwrap();
        let summary = record.summary();
        assert_eq!(summary["count"], 5);
        assert_eq!(summary["distinct"], 4);
        assert_eq!(summary["repeats"], 1);
        assert_eq!(summary["outOfOrder"], 1);
        assert_eq!(summary["keys"]["r/a"]["outOfOrder"], 1);
    }

    #[test]
    fn only_as_many_bodies_are_kept_as_asked_for() {
        let record = Record::open(None, 2).unwrap();
        let arrivals = (0..5).map(|n| arrival(&n.to_string(), "a", "0")).collect();
        record.add(arrivals, false).unwrap();
        assert_eq!(
            record
                .recent(10)
                .iter()
                .map(|kept| kept.n)
                .collect::<Vec<_>>(),
            [4, 5]
        );
    }
}
