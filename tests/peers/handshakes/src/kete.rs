//! kete's TLS, set up by the settings that a user would write.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use kete_config::{Diagnostics, Loader};
use kete_credentials::tls::{Tls, TlsSettings};
use url::Url;

use crate::{Certificates, HOST};

const SECTION: &str = "kete.bench.tls";

/// A client that trusts the authority of the tests and nothing else.
pub(crate) fn client(certificates: &Certificates, version: &str, mutual: bool) -> Result<Tls> {
    let mut assignments = trusting(&certificates.authority());
    assignments.push(format!("version=TLSv{version}"));
    if mutual {
        let identity = certificates.client();
        let (chain, key) = (identity.certificates.display(), identity.key.display());
        assignments.extend([
            "key-store.loader.kind=pem-file-path".to_owned(),
            format!("key-store.loader.path={chain}"),
            format!("key-store.loader.key-path={key}"),
        ]);
    }
    build(&assignments)
}

/// A client that trusts the certificates of a PEM file and nothing else.
pub(crate) fn trusting_only(bundle: &Path) -> Result<Tls> {
    build(&trusting(bundle))
}

fn trusting(authorities: &Path) -> Vec<String> {
    vec![
        "trust-store.include-system-roots=false".to_owned(),
        "trust-store.loader.kind=pem-file-path".to_owned(),
        format!("trust-store.loader.path={}", authorities.display()),
    ]
}

fn build(assignments: &[String]) -> Result<Tls> {
    let diagnostics = Diagnostics::new();
    let loader = assignments
        .iter()
        .fold(Loader::new("kete"), |loader, assignment| {
            loader.set(format!("{SECTION}.{assignment}"))
        });
    let settings = loader.load(&diagnostics);
    let url = Url::parse(&format!("https://{HOST}"))?;
    let read = TlsSettings::read(&settings.scope(SECTION, &diagnostics), Some(&url));
    ensure!(diagnostics.is_empty(), "{:#?}", diagnostics.into_vec());
    let read = read.context("kete gave no reason for refusing the settings")?;
    read.build()?.context("kete thinks https is not encrypted")
}
