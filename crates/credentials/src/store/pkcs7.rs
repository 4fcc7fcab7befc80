//! Certificates of PKCS#7 / CMS (RFC 5652, section 5).
//!
//! Taken out byte for byte. The `cms` crate reads the same files, and then has certificates that
//! must be written anew: of 144 authorities of a Debian system one came out different.

use rustls_pki_types::CertificateDer;

use super::der::{self, Problem, Reader};
use super::error::StoreError;
use super::kind::Kind;

/// OID 1.2.840.113549.1.7.2 (signedData).
const SIGNED_DATA: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 7, 2];

/// All its certificates, in its order.
pub(super) fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, StoreError> {
    if der::is_indefinite(bytes) {
        return Err(StoreError::Unsupported {
            what: "a PKCS#7 file that is written in BER instead of DER".to_owned(),
            way_out: "write its certificates as PEM: openssl pkcs7 -inform DER -in OLD \
                -print_certs -out NEW.pem (without -inform DER if it is PEM)",
        });
    }
    let mut info = der::sequence(bytes).map_err(damaged)?;
    let content_type = info.expect(der::OBJECT_IDENTIFIER).map_err(damaged)?;
    if content_type.value != SIGNED_DATA {
        return Err(StoreError::Unsupported {
            what: "a PKCS#7 file whose content is not `signedData`".to_owned(),
            way_out: "certificates are needed: openssl crl2pkcs7 -nocrl -certfile CERTIFICATES.pem",
        });
    }
    read(info).map_err(damaged)
}

fn read(mut info: Reader<'_>) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let mut signed = der::sequence(info.expect(der::CONTEXT_0)?.value)?;
    let _version = signed.expect(der::INTEGER)?;
    let _digest_algorithms = signed.expect(der::SET)?;
    let _content = signed.expect(der::SEQUENCE)?;
    let mut certificates = Vec::new();
    if let Some(set) = signed.optional(der::CONTEXT_0)? {
        let mut set = Reader::new(set.value);
        while !set.is_empty() {
            let choice = set.next()?;
            // The other choices are obsolete forms of certificates (section 10.2.2).
            if choice.tag == der::SEQUENCE {
                certificates.push(CertificateDer::from(choice.whole.to_vec()));
            }
        }
    }
    Ok(certificates)
}

fn damaged(problem: Problem) -> StoreError {
    StoreError::Damaged {
        kind: Kind::Pkcs7,
        reason: problem.to_string(),
    }
}
