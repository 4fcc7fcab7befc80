//! The parts of a certificate (RFC 5280, section 4.1) that say to whom it belongs and who issued
//! it, byte for byte as they were signed.

use rustls_pki_types::CertificateDer;

use super::der::{self, Element, Problem, Reader};

/// OID 2.5.29.14 and 2.5.29.35.
const SUBJECT_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1D, 0x0E];
const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1D, 0x23];

/// Parts of a certificate, each with tag and length where it has one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts<'a> {
    pub(crate) issuer: &'a [u8],
    pub(crate) subject: &'a [u8],
    /// SubjectPublicKeyInfo.
    pub(crate) public_key: &'a [u8],
    /// What names the key of this certificate, if it says that.
    pub(crate) key_identifier: Option<&'a [u8]>,
    /// What names the key that signed it, if it says that.
    pub(crate) issuer_key_identifier: Option<&'a [u8]>,
}

impl<'a> Parts<'a> {
    pub(crate) fn of(certificate: &'a CertificateDer<'_>) -> Result<Parts<'a>, Problem> {
        let mut signed = der::sequence(certificate)?;
        let mut content = Reader::new(signed.expect(der::SEQUENCE)?.value);
        content.optional(der::CONTEXT_0)?;
        let _serial = content.expect(der::INTEGER)?;
        let _algorithm = content.expect(der::SEQUENCE)?;
        let issuer = content.expect(der::SEQUENCE)?.whole;
        let _validity = content.expect(der::SEQUENCE)?;
        let subject = content.expect(der::SEQUENCE)?.whole;
        let public_key = content.expect(der::SEQUENCE)?.whole;
        let mut parts = Parts {
            issuer,
            subject,
            public_key,
            key_identifier: None,
            issuer_key_identifier: None,
        };
        while !content.is_empty() {
            let element = content.next()?;
            if element.tag == der::CONTEXT_3 {
                parts.read_extensions(element)?;
            }
        }
        Ok(parts)
    }

    /// Whether a certificate issued itself.
    pub(crate) fn is_root(&self) -> bool {
        self.subject == self.issuer
    }

    /// Whether another certificate may have issued this one, by its name.
    pub(crate) fn names_as_issuer(&self, other: &Parts<'_>) -> bool {
        self.issuer == other.subject
    }

    /// Whether both say that the other's key signed this one.
    pub(crate) fn identifies_as_issuer(&self, other: &Parts<'_>) -> bool {
        self.issuer_key_identifier.is_some() && self.issuer_key_identifier == other.key_identifier
    }

    /// The point of an elliptic curve, and the OID of the curve with tag and length.
    pub(crate) fn point(&self) -> Option<(&'a [u8], &'a [u8])> {
        let mut info = der::sequence(self.public_key).ok()?;
        let mut algorithm = Reader::new(info.expect(der::SEQUENCE).ok()?.value);
        let _algorithm = algorithm.expect(der::OBJECT_IDENTIFIER).ok()?;
        let curve = algorithm.expect(der::OBJECT_IDENTIFIER).ok()?.whole;
        match info.expect(der::BIT_STRING).ok()?.value {
            [0, point @ ..] => Some((curve, point)),
            _ => None,
        }
    }

    fn read_extensions(&mut self, wrapped: Element<'a>) -> Result<(), Problem> {
        let mut extensions = der::sequence(wrapped.value)?;
        while !extensions.is_empty() {
            let mut extension = Reader::new(extensions.expect(der::SEQUENCE)?.value);
            let oid = extension.expect(der::OBJECT_IDENTIFIER)?.value;
            let mut value = extension.next()?;
            if value.tag != der::OCTET_STRING {
                // Whether it is critical.
                value = extension.expect(der::OCTET_STRING)?;
            }
            match oid {
                SUBJECT_KEY_IDENTIFIER => {
                    let identifier = Reader::new(value.value).expect(der::OCTET_STRING)?;
                    self.key_identifier = Some(identifier.value);
                }
                AUTHORITY_KEY_IDENTIFIER => {
                    let mut identifiers = der::sequence(value.value)?;
                    let identifier = identifiers.optional(der::CONTEXT_PRIMITIVE_0)?;
                    self.issuer_key_identifier = identifier.map(|element| element.value);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Text from a certificate or store: at most 200 characters, none of which moves the cursor or
/// turns the direction of writing.
pub(crate) fn printable(text: &str) -> String {
    const LONGEST: usize = 200;
    let mut shown = String::new();
    let mut length = 0;
    for character in text.chars() {
        let piece = match character.is_control() || is_invisible(character) {
            true => character.escape_unicode().to_string(),
            false => character.to_string(),
        };
        length += piece.chars().count();
        if length >= LONGEST {
            shown.push('…');
            break;
        }
        shown += &piece;
    }
    shown
}

/// Marks that turn the direction of writing, or that cannot be seen at all.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}'
    )
}
