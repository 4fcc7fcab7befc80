//! Base64 as people paste it: with line breaks, with or without `=` at the end.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// KETE's decoder (MIME) is as lenient about the end, and more so about foreign characters.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Why a text is no base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Problem {
    /// The first character that base64 does not have.
    Character { character: char, offset: usize },
    /// It ends within a group of four, or `=` is not at the end.
    Length,
}

/// Decodes a text, whose white space does not count.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, Problem> {
    let foreign = text
        .char_indices()
        .find(|(_, c)| !(c.is_ascii_alphanumeric() || c.is_whitespace() || "+/=".contains(*c)));
    if let Some((offset, character)) = foreign {
        return Err(Problem::Character { character, offset });
    }
    let dense: Vec<u8> = text
        .bytes()
        .filter(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(byte))
        .collect();
    LENIENT.decode(dense).map_err(|_| Problem::Length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn line_breaks_and_missing_ends_do_not_matter() {
        for text in ["a2V0ZQ==", "a2V0\r\nZQ==", " a2V0 ZQ ", "a2V\n0ZQ=\n="] {
            assert_eq!(decode(text).unwrap(), b"kete", "{text:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let character = |character, offset| Err(Problem::Character { character, offset });
        assert_eq!(decode("a2V0-_"), character('-', 4));
        assert_eq!(decode("a2é"), character('é', 2));
        assert_eq!(decode("a2V0Z"), Err(Problem::Length));
        assert_eq!(decode("a=2V0"), Err(Problem::Length));
    }

    proptest! {
        #[test]
        fn any_text_is_decoded_or_refused(text in "\\PC{0,80}") {
            let _ = decode(&text);
        }

        #[test]
        fn bytes_come_back_however_they_are_wrapped(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            width in 1_usize..90,
        ) {
            let text = LENIENT.encode(&bytes);
            let lines: Vec<_> = text.as_bytes().chunks(width).collect();
            let wrapped = String::from_utf8(lines.join(&b"\r\n"[..])).unwrap();
            prop_assert_eq!(decode(&wrapped).unwrap(), bytes);
        }
    }
}
