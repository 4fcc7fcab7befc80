//! Which certificates of a trust store may vouch for others.
//!
//! `webpki` takes an anchor's word for everything and looks at none of its extensions. A server's
//! own certificate in a trust store would so become an authority: whoever has that server's key
//! could make a certificate for any name.

use rustls::RootCertStore;
use rustls::server::ParsedCertificate;
use rustls_pki_types::CertificateDer;
use x509_cert::certificate::{TbsCertificate, Version};
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};

/// Whether a certificate is an authority's (RFC 5280, section 6.1.4, steps k and n): it says that
/// it is one, and not that its key is for something else. Version 1 has no way to say either; there
/// it has to be its own issuer. The JVM asks the same of its anchors, but the last.
pub(super) fn is_authority(certificate: &CertificateDer<'_>) -> bool {
    let Ok(certificate) = x509_cert::Certificate::from_der(certificate) else {
        return false;
    };
    let certificate = certificate.tbs_certificate();
    match certificate.extensions() {
        None if certificate.version() == Version::V1 => {
            certificate.subject() == certificate.issuer()
        }
        _ => is_marked(certificate),
    }
}

fn is_marked(certificate: &TbsCertificate) -> bool {
    let constraints = certificate.get_extension::<BasicConstraints>();
    let usage = certificate.get_extension::<KeyUsage>();
    let is_authority = matches!(constraints, Ok(Some((_, constraints))) if constraints.ca);
    let may_sign = match usage {
        Ok(usage) => usage.is_none_or(|(_, usage)| usage.key_cert_sign()),
        Err(_) => false,
    };
    is_authority && may_sign
}

/// Whether the TLS library can use a certificate of a trust store, as an authority or as the
/// server's own.
///
/// # Errors
///
/// It cannot.
pub(super) fn check(certificate: &CertificateDer<'_>) -> Result<(), rustls::Error> {
    if is_authority(certificate) {
        return RootCertStore::empty().add(certificate.clone().into_owned());
    }
    ParsedCertificate::try_from(certificate).map(drop)
}

#[cfg(test)]
mod tests;
