//! Writes N realistic Keycloak events of about 600 bytes to a file, one per line, in the canonical
//! form that kete emits (fields in Keycloak's order, nulls written, compact).
//!
//! The same options always give the same bytes, on every machine. Every event carries
//! `details.sequence`, a counter per user, so that a receiver can check the order of arrival
//! without knowing anything else. No event holds a secret, so a forwarder that masks secrets has
//! nothing to change.

mod generator;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;

use crate::generator::Generator;

/// Writes realistic Keycloak events as NDJSON.
#[derive(Parser)]
struct Options {
    /// How many events.
    #[arg(long, default_value_t = 10_000)]
    count: u64,
    /// How many users they belong to.
    #[arg(long, default_value_t = 200)]
    users: usize,
    /// The same seed gives the same events.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The realm's name.
    #[arg(long, default_value = "demo")]
    realm: String,
    /// The file; `-` is standard output.
    #[arg(long, default_value = "-")]
    out: PathBuf,
}

fn main() -> Result<()> {
    let options = Options::parse();
    anyhow::ensure!(options.users > 0, "--users must be at least 1");
    if options.out.as_os_str() == "-" {
        return write_events(&options, std::io::stdout().lock());
    }
    let file = File::create(&options.out)
        .with_context(|| format!("cannot create {}", options.out.display()))?;
    write_events(&options, file)
}

fn write_events(options: &Options, out: impl Write) -> Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, out);
    let mut generator = Generator::new(options.seed, options.users, &options.realm);
    let mut line = String::with_capacity(1024);
    for _ in 0..options.count {
        line.clear();
        generator.next_event(&mut line);
        line.push('\n');
        out.write_all(line.as_bytes())?;
    }
    out.flush()?;
    Ok(())
}
