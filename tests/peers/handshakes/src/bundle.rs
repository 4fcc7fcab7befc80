//! How long a bundle of certificates takes to load.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, ensure};
use kete_credentials::store::{Format, Passwords, Store};
use measure::tls;
use serde_json::json;

use crate::kete;

/// The command line of `bundle`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// A PEM file of certificates.
    #[arg(long)]
    pub(crate) file: PathBuf,
    /// How often to load it.
    #[arg(long, default_value_t = 50)]
    pub(crate) loads: usize,
}

/// Prints how many certificates there are and the median times, in milliseconds: to read them out
/// of the file, to make a TLS configuration of settings that name the file, and to do that with
/// plain rustls.
pub(crate) fn run(options: &Options) -> Result<()> {
    let file = options.file.as_path();
    let (certificates, roots) = (read_store(file)?, tls::authorities(file)?.len());
    ensure!(
        certificates == roots,
        "kete found {certificates} certificates, rustls {roots}"
    );
    let report = json!({
        "certificates": certificates,
        "store_ms": median_ms(options.loads, || read_store(file))?,
        "settings_ms": median_ms(options.loads, || kete::trusting_only(file))?,
        "rustls_ms": median_ms(options.loads, || tls::client(file, None, rustls::ALL_VERSIONS))?,
    });
    println!("{report}");
    Ok(())
}

fn read_store(file: &Path) -> Result<usize> {
    let store = Store::read(Format::Pem, &fs::read(file)?, Passwords::default())?;
    Ok(store.trusted()?.len())
}

pub(crate) fn median_ms<T>(loads: usize, mut load: impl FnMut() -> Result<T>) -> Result<f64> {
    ensure!(loads > 0, "nothing is loaded");
    let mut spans = Vec::with_capacity(loads);
    for _ in 0..loads {
        let started = Instant::now();
        load()?;
        spans.push(started.elapsed().as_secs_f64() * 1e3);
    }
    spans.sort_by(f64::total_cmp);
    Ok(spans[loads / 2])
}
