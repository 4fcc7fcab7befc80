//! The authorities that the system trusts.

use std::sync::{Arc, OnceLock};

use rustls::RootCertStore;
use tracing::{debug, warn};

use super::TlsError;

/// Read once for the whole process: it takes some milliseconds, and every section wants them.
static SYSTEM: OnceLock<Arc<RootCertStore>> = OnceLock::new();

/// The authorities that the system trusts: what `SSL_CERT_FILE` and `SSL_CERT_DIR` name, else the
/// usual places. A failure is not remembered.
///
/// # Errors
///
/// There are none, or they cannot be read.
pub(super) fn system() -> Result<Arc<RootCertStore>, TlsError> {
    if let Some(roots) = SYSTEM.get() {
        return Ok(Arc::clone(roots));
    }
    let loaded = rustls_native_certs::load_native_certs();
    for error in &loaded.errors {
        warn!(%error, "some of the authorities that the system trusts are left out");
    }
    let mut roots = RootCertStore::empty();
    let (added, ignored) = roots.add_parsable_certificates(loaded.certs);
    debug!(
        added,
        ignored, "read the authorities that the system trusts"
    );
    if roots.is_empty() {
        let first = loaded.errors.first();
        let problem = first.map_or("there are none".to_owned(), ToString::to_string);
        return Err(TlsError::NoSystemRoots { problem });
    }
    Ok(Arc::clone(SYSTEM.get_or_init(|| Arc::new(roots))))
}
