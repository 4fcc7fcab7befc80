//! Whether a server is who it should be.
//!
//! Chains are checked by `webpki` as in every rustls client. Three things are added: the name may
//! be another than that of the URL, or none; and a server whose very certificate stands in the
//! trust store is trusted, as on the JVM. Without that, a server's own certificate could not be
//! pinned: it is no authority that could vouch for itself, and the one that `openssl req -x509`
//! makes, which calls itself an authority, is none that `webpki` accepts for a server.
//!
//! A pinned certificate vouches for nobody but the server that shows it, unless it is an
//! authority's. Its dates and its name are checked all the same.
//!
//! There is no revocation: neither lists (CRL) nor online answers (OCSP) are asked for.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::certificate::CertificateFacts;

/// Which name a certificate has to be for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NameCheck {
    /// The one that is connected to.
    Host,
    /// This one.
    Other(ServerName<'static>),
    /// Any.
    None,
}

#[derive(Debug)]
pub(super) struct Verifier {
    /// Who may have signed a server's certificate. Of the trust store, only authorities may be
    /// here: `webpki` asks an anchor for nothing.
    pub(super) authorities: Arc<RootCertStore>,
    /// All certificates of the trust store, among them perhaps those of servers themselves.
    pub(super) pinned: Vec<CertificateDer<'static>>,
    pub(super) name: NameCheck,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        if self.pinned.contains(end_entity) {
            check_validity(end_entity, now)?;
        } else {
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                &self.authorities,
                intermediates,
                now,
                self.algorithms.all,
            )?;
        }
        match &self.name {
            NameCheck::Host => verify_server_name(&certificate, server_name)?,
            NameCheck::Other(name) => verify_server_name(&certificate, name)?,
            NameCheck::None => {}
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// What `webpki` checks of a chain and does not of an anchor.
fn check_validity(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let facts = CertificateFacts::of(certificate);
    let facts = facts.map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
    let problem = if now < unix_time(facts.not_before) {
        CertificateError::NotValidYetContext {
            time: now,
            not_before: unix_time(facts.not_before),
        }
    } else if now > unix_time(facts.not_after) {
        CertificateError::ExpiredContext {
            time: now,
            not_after: unix_time(facts.not_after),
        }
    } else {
        return Ok(());
    };
    Err(Error::InvalidCertificate(problem))
}

/// What lies before 1970 counts as 1970.
fn unix_time(time: SystemTime) -> UnixTime {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    UnixTime::since_unix_epoch(since)
}
