//! What to do about a failed TLS handshake, in words of kete's keys.
//!
//! The TLS library says what it saw; which setting that is about, a person has to know. With TLS
//! 1.3 a server refuses a client certificate only after the handshake, so the error of a read or
//! of an HTTP request may be about TLS as well (RFC 8446, section 4.4.2.4).

use std::error::Error as StdError;
use std::io;

use rustls::{AlertDescription, CertificateError, Error};

/// The way out of an error that TLS has caused, as it completes "…; "; `None` if TLS has not.
/// `section` is what the `tls` section is called where it is read.
#[must_use]
pub fn advice(error: &(dyn StdError + 'static), section: &str) -> Option<String> {
    let way_out = way_out(find(error)?);
    Some(way_out.replace("tls.", &format!("{section}.")))
}

/// The error of the TLS library among the causes of this one.
fn find<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<Error>() {
            return Some(found);
        }
        // An `io::Error` hides what it wraps from `source`.
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        cause = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

fn way_out(error: &Error) -> &'static str {
    match error {
        Error::InvalidCertificate(problem) => about_server(problem),
        Error::AlertReceived(alert) => about_alert(*alert),
        Error::PeerIncompatible(_) | Error::PeerMisbehaved(_) => NO_COMMON_GROUND,
        Error::InvalidMessage(_) | Error::InappropriateMessage { .. } => {
            "the port does not speak TLS: check the port, or write http:// if it is meant to be \
             plain"
        }
        _ => "see the log of the server",
    }
}

const NO_COMMON_GROUND: &str = "the two sides have no TLS version, cipher or signature in common: \
                                check tls.version, and what the server offers";

fn about_server(problem: &CertificateError) -> &'static str {
    match problem {
        CertificateError::UnknownIssuer => {
            "the server's certificate is signed by nobody who is trusted: name its authority in \
             tls.trust-store.loader.*, and check that the server sends its whole chain"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the server's certificate is for another name: use that name in url, or set \
             tls.server-name to it"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate has expired: renew it there; if it has not, check the clock \
             here"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet: check the clocks"
        }
        CertificateError::Revoked => "the server's certificate is revoked: renew it there",
        _ => "the server's certificate cannot be used: have it made anew",
    }
}

fn about_alert(alert: AlertDescription) -> &'static str {
    use AlertDescription as Alert;
    match alert {
        Alert::CertificateRequired | Alert::NoCertificate => {
            "the server wants a client certificate: name one in tls.key-store.loader.*"
        }
        Alert::UnknownCA
        | Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateUnknown
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::AccessDenied
        | Alert::DecryptError => {
            "the server does not accept the client certificate: check tls.key-store, its chain and \
             its dates, and whom the server trusts"
        }
        Alert::UnrecognisedName => {
            "the server has no certificate for this name: check the host in url, or set \
             tls.server-name"
        }
        // Servers of TLS 1.2 say this too where a client certificate is missing.
        Alert::HandshakeFailure => {
            "the server refuses the handshake: it may want a client certificate (tls.key-store), \
             or another TLS version or cipher (tls.version)"
        }
        Alert::ProtocolVersion | Alert::InsufficientSecurity => NO_COMMON_GROUND,
        _ => "see the log of the server",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_found_however_deep_it_is() {
        let tls = || Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let wrapped = io::Error::new(io::ErrorKind::InvalidData, tls());
        let twice = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, tls()));
        for error in [&tls() as &(dyn StdError + 'static), &wrapped, &twice] {
            let text = advice(error, "oauth.tls").unwrap();
            assert!(text.contains("name its authority in oauth.tls.trust-store.loader"));
        }
        assert_eq!(advice(&io::Error::other("something else"), "tls"), None);
    }

    #[test]
    fn each_kind_of_failure_names_the_key_that_it_is_about() {
        let name = Error::InvalidCertificate(CertificateError::NotValidForName);
        for (error, key) in [
            (name, "tls.server-name"),
            (
                Error::AlertReceived(AlertDescription::CertificateRequired),
                "tls.key-store",
            ),
            (
                Error::AlertReceived(AlertDescription::UnknownCA),
                "tls.key-store",
            ),
            (
                Error::AlertReceived(AlertDescription::ProtocolVersion),
                "tls.version",
            ),
            (
                Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType),
                "http://",
            ),
        ] {
            assert!(
                way_out(&error).contains(key),
                "{error}: {}",
                way_out(&error)
            );
        }
    }
}
