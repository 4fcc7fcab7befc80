//! What the benchmark peers share: options, the events they send, TLS, and what sending cost.
//!
//! A peer gets the first `distinct` events of the file ready before the clock starts and sends
//! them in turn until `count` are sent. So a row shows a client at its best, and a file of a
//! million events need not fit into its memory.

pub mod tls;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use rustix::time::{ClockId, clock_gettime};
use rustls::{ALL_VERSIONS, ClientConfig};
use serde::Serialize;

/// The command line of a peer.
#[derive(Debug, Clone, clap::Parser)]
pub struct PeerOptions {
    /// Where the sink listens, as `http://127.0.0.1:PORT`, or with `https`.
    #[arg(long)]
    pub url: String,
    /// The authority to trust when the URL is encrypted, in PEM. The variable is the one that
    /// OpenSSL and rustls-native-certs read, so one setting serves every peer.
    #[arg(long, env = "SSL_CERT_FILE")]
    pub authority: Option<PathBuf>,
    /// A file with one JSON event per line.
    #[arg(long)]
    pub events: PathBuf,
    /// How many events to send.
    #[arg(long, default_value_t = 1_000_000)]
    pub count: u64,
    /// How many different events to take from the file.
    #[arg(long, default_value_t = 10_000)]
    pub distinct: usize,
    /// The Socket.IO event name; must need no escape in JSON.
    #[arg(long, default_value = "keycloak-event")]
    pub name: String,
}

impl PeerOptions {
    /// `127.0.0.1:PORT`.
    ///
    /// # Errors
    /// When the URL is neither `http://` nor `https://`.
    pub fn address(&self) -> Result<&str> {
        let after = |scheme| self.url.strip_prefix(scheme);
        let address = after("http://").or_else(|| after("https://"));
        let address = address.context("--url must begin with http:// or https://")?;
        Ok(address.trim_end_matches('/'))
    }

    /// What an encrypted connection is made with; `None` where the URL is plain.
    ///
    /// # Errors
    /// When no authority is named or its file cannot be read.
    pub fn tls(&self) -> Result<Option<Arc<ClientConfig>>> {
        if !self.url.starts_with("https://") {
            return Ok(None);
        }
        let missing = "an https URL needs --authority or SSL_CERT_FILE";
        let authority = self.authority.as_deref().context(missing)?;
        let config = tls::client(authority, None, ALL_VERSIONS)?;
        Ok(Some(Arc::new(config)))
    }
}

/// Reads the first `limit` lines of a file that are not empty.
///
/// # Errors
/// When the file cannot be read or holds no event.
pub fn first_events(path: &Path, limit: usize) -> Result<Vec<String>> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut events = Vec::new();
    for line in BufReader::new(file).lines() {
        let line = line?;
        if !line.is_empty() {
            events.push(line);
        }
        if events.len() == limit {
            break;
        }
    }
    ensure!(!events.is_empty(), "{} has no events", path.display());
    Ok(events)
}

/// Started when the first event is about to be sent.
pub struct Meter {
    started: Instant,
    cpu_before: f64,
}

/// One row of the benchmark's table.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Who sent.
    pub peer: &'static str,
    /// How many events the sink confirmed.
    pub events: u64,
    /// From the first send to the confirmation of the last.
    pub seconds: f64,
    /// CPU time of the whole process in that span, in microseconds.
    pub cpu_us_per_event: f64,
    /// The most memory the process ever held, in KiB.
    pub peak_rss_kb: u64,
}

impl Meter {
    /// Starts the clocks.
    #[must_use]
    pub fn start() -> Meter {
        Meter {
            started: Instant::now(),
            cpu_before: process_cpu_seconds(),
        }
    }

    /// Stops them and prints the row as one line of JSON.
    ///
    /// # Errors
    /// When the process's memory cannot be read from `/proc`.
    pub fn print(self, peer: &'static str, events: u64) -> Result<()> {
        let seconds = self.started.elapsed().as_secs_f64();
        let cpu = process_cpu_seconds() - self.cpu_before;
        let cpu_us_per_event = cpu * 1e6 / events as f64;
        let peak_rss_kb = peak_rss_kb()?;
        let report = Report {
            peer,
            events,
            seconds,
            cpu_us_per_event,
            peak_rss_kb,
        };
        println!("{}", serde_json::to_string(&report)?);
        Ok(())
    }
}

/// CPU time of this process so far, user and system, all threads.
#[must_use]
pub fn process_cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn peak_rss_kb() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let text = line.context("/proc/self/status has no VmHWM")?;
    Ok(text.trim().trim_end_matches("kB").trim().parse()?)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn options(url: &str, more: &[&str]) -> PeerOptions {
        let base = ["peer", "--events", "events.ndjson", "--url", url];
        PeerOptions::parse_from(base.iter().chain(more))
    }

    #[test]
    fn a_url_is_plain_or_encrypted() {
        let plain = options("http://127.0.0.1:1/", &[]);
        assert_eq!(plain.address().unwrap(), "127.0.0.1:1");
        assert!(plain.tls().unwrap().is_none());
        let encrypted = options("https://127.0.0.1:1", &[]);
        assert_eq!(encrypted.address().unwrap(), "127.0.0.1:1");
        assert!(options("ftp://127.0.0.1:1", &[]).address().is_err());
    }

    #[test]
    fn an_encrypted_url_needs_an_authority_that_can_be_read() {
        let mut options = options("https://127.0.0.1:1", &["--authority", "no-such-file"]);
        let error = format!("{:#}", options.tls().unwrap_err());
        assert!(error.contains("no-such-file"), "{error}");
        options.authority = None;
        let error = options.tls().unwrap_err().to_string();
        assert!(error.contains("--authority"), "{error}");
    }
}
