//! The TLS of the benchmarks: rustls with ring, out of PEM files, and nothing of kete in it. So it
//! is what kete's own TLS is compared with.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};

/// The files of a certificate: itself, followed by its chain, and its private key.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'p> {
    /// PEM with the certificate first.
    pub certificates: &'p Path,
    /// PEM with the key, not encrypted.
    pub key: &'p Path,
}

/// What a server lets clients do with the sessions of connections that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sessions {
    /// They resume them by tickets (RFC 5077; RFC 8446, section 2.2).
    Resumable,
    /// Each connection begins anew.
    New,
}

/// A server. With `clients`, the authority that issues their certificates, clients need one.
///
/// # Errors
/// When a file cannot be read, or the key is not that of the certificate.
pub fn server(
    identity: Identity<'_>,
    clients: Option<&Path>,
    sessions: Sessions,
) -> Result<ServerConfig> {
    let provider = provider();
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let roots = Arc::new(authorities(authority)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
            builder.with_client_cert_verifier(verifier.build()?)
        }
    };
    let mut config = builder.with_single_cert(identity.chain()?, identity.key()?)?;
    match sessions {
        Sessions::Resumable => config.ticketer = Ticketer::new()?,
        Sessions::New => config.session_storage = Arc::new(NoServerSessionStorage {}),
    }
    Ok(config)
}

/// A client that trusts only `authority` and shows `identity` where a server asks for one. It
/// resumes sessions where the server lets it.
///
/// # Errors
/// When a file cannot be read, or the key is not that of the certificate.
pub fn client(
    authority: &Path,
    identity: Option<Identity<'_>>,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<ClientConfig> {
    let provider = provider();
    let roots = Arc::new(authorities(authority)?);
    let verifier =
        WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build()?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_webpki_verifier(verifier);
    Ok(match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => builder.with_client_auth_cert(identity.chain()?, identity.key()?)?,
    })
}

/// All certificates of a PEM file, as authorities to trust.
///
/// # Errors
/// When the file cannot be read, or holds none or a broken one.
pub fn authorities(path: &Path) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}

/// The name that a certificate is verified against.
///
/// # Errors
/// When it is neither a host name nor an IP address.
pub fn server_name(host: &str) -> Result<ServerName<'static>> {
    ServerName::try_from(host.to_owned()).with_context(|| format!("{host} is not a host"))
}

impl Identity<'_> {
    fn chain(&self) -> Result<Vec<CertificateDer<'static>>> {
        certificates(self.certificates)
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>> {
        PrivateKeyDer::from_pem_file(self.key)
            .with_context(|| format!("cannot read a key from {}", self.key.display()))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let unreadable = || format!("cannot read certificates from {}", path.display());
    let read = CertificateDer::pem_file_iter(path).with_context(unreadable)?;
    let found: Vec<_> = read.collect::<Result<_, _>>().with_context(unreadable)?;
    ensure!(
        !found.is_empty(),
        "{} has no certificate in it",
        path.display()
    );
    Ok(found)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(default_provider())
}
