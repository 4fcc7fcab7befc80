//! From settings and material to what the TLS library takes.

use std::sync::{Arc, LazyLock};

use rustls::crypto::CryptoProvider;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;

use super::authority::is_authority;
use super::material::Material;
use super::verifier::{NameCheck, Verifier};
use super::words::{VerifiedName, Versions};
use super::{TlsError, roots};

/// The one that all connections use; none is installed for the process.
static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(rustls::crypto::ring::default_provider()));

/// What a section says beside its stores.
#[derive(Debug, Clone)]
pub(super) struct Options {
    pub(super) versions: Versions,
    pub(super) verify_hostname: bool,
    pub(super) server_name: Option<VerifiedName>,
    pub(super) reconnect_on_renewal: bool,
    pub(super) include_system_roots: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            versions: Versions::ALL,
            verify_hostname: true,
            server_name: None,
            reconnect_on_renewal: false,
            include_system_roots: true,
        }
    }
}

/// Makes a configuration that remembers sessions for a quick start of the next connection. They
/// are not shared with any other configuration, for they go on under the identity that began them.
///
/// # Errors
///
/// Nobody would be trusted, or the library refuses it.
pub(super) fn configure(
    options: &Options,
    material: &Material,
) -> Result<Arc<ClientConfig>, TlsError> {
    let verifier = Arc::new(Verifier {
        authorities: authorities(options, material)?,
        pinned: material.trusted.clone(),
        name: name_check(options),
        algorithms: PROVIDER.signature_verification_algorithms,
    });
    let builder = ClientConfig::builder_with_provider(Arc::clone(&PROVIDER))
        .with_protocol_versions(&options.versions.offered())
        .map_err(TlsError::Library)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match &material.identity {
        Some(identity) => {
            let only = SingleCertAndKey::from(Arc::clone(identity));
            builder.with_client_cert_resolver(Arc::new(only))
        }
        None => builder.with_no_client_auth(),
    };
    // An address is never asked for by name (RFC 6066, section 3), and the host of the URL would
    // be the wrong one.
    let address = options.server_name.as_ref();
    config.enable_sni = !address.is_some_and(|it| matches!(it.name, ServerName::IpAddress(_)));
    Ok(Arc::new(config))
}

/// Trusts nobody: for clients that only speak plain HTTP, but whose library wants a configuration.
///
/// # Errors
///
/// The library refuses it.
pub(crate) fn trusting_nobody() -> Result<ClientConfig, TlsError> {
    let config = ClientConfig::builder_with_provider(Arc::clone(&PROVIDER))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Library)?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    Ok(config)
}

/// Those of the system, if they count, and those of the trust store. None is an error only where
/// nobody else could be trusted: a trust store may hold nothing but the certificates of servers.
fn authorities(options: &Options, material: &Material) -> Result<Arc<RootCertStore>, TlsError> {
    let mut all = RootCertStore::empty();
    if options.include_system_roots {
        match roots::system() {
            Ok(system) if material.trusted.is_empty() => return Ok(system),
            Ok(system) => all = RootCertStore::clone(&system),
            Err(error) if material.trusted.is_empty() => return Err(error),
            Err(error) => tracing::warn!(%error, "only the trust store is trusted"),
        }
    }
    // The others stand for themselves only, and the verifier knows them.
    for certificate in material.trusted.iter().filter(|it| is_authority(it)) {
        all.add(certificate.clone()).map_err(TlsError::Library)?;
    }
    Ok(Arc::new(all))
}

fn name_check(options: &Options) -> NameCheck {
    match &options.server_name {
        _ if !options.verify_hostname => NameCheck::None,
        Some(other) => NameCheck::Other(other.name.clone()),
        None => NameCheck::Host,
    }
}
