//! Tag, length and value: just enough of DER (ITU-T X.690) to tell files apart, and to take a part
//! out of one byte for byte. What is decoded and written anew may differ from what was signed.

/// SEQUENCE, and the other tags that are looked for.
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
/// `[0]` with the tag of what it replaces.
pub(crate) const CONTEXT_PRIMITIVE_0: u8 = 0x80;
/// `[0]` and so on, constructed.
pub(crate) const CONTEXT_0: u8 = 0xA0;
pub(crate) const CONTEXT_1: u8 = 0xA1;
pub(crate) const CONTEXT_3: u8 = 0xA3;

/// Why nothing more can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    /// The bytes end before the value does.
    #[error("it ends too early")]
    CutOff,
    /// It is not what DER allows here.
    #[error("its bytes are not what this format has here")]
    Malformed,
}

/// One value with its tag.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) value: &'a [u8],
    /// Tag and length too.
    pub(crate) whole: &'a [u8],
}

/// Reads values one after another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next value, which must be there as a whole.
    pub(crate) fn next(&mut self) -> Result<Element<'a>, Problem> {
        let (tag, header, length) = header(self.rest)?;
        let length = length.ok_or(Problem::Malformed)?;
        let end = header.checked_add(length).ok_or(Problem::CutOff)?;
        let (whole, rest) = self.rest.split_at_checked(end).ok_or(Problem::CutOff)?;
        let value = whole.get(header..).ok_or(Problem::CutOff)?;
        self.rest = rest;
        Ok(Element { tag, value, whole })
    }

    /// The next value, which must have this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Result<Element<'a>, Problem> {
        let element = self.next()?;
        match element.tag == tag {
            true => Ok(element),
            false => Err(Problem::Malformed),
        }
    }

    /// The next value if it has this tag; else nothing is read.
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<Element<'a>>, Problem> {
        match self.rest.first() {
            Some(next) if *next == tag => self.next().map(Some),
            _ => Ok(None),
        }
    }

    /// The next value as far as it is there; for files that may be cut off, or BER.
    pub(crate) fn glimpse(&mut self) -> Option<(u8, Reader<'a>)> {
        let (tag, header, length) = header(self.rest).ok()?;
        let value = self.rest.get(header..)?;
        let length = length.unwrap_or(usize::MAX).min(value.len());
        let (value, rest) = value.split_at_checked(length)?;
        self.rest = rest;
        Some((tag, Reader::new(value)))
    }

    /// What has not been read.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

/// The only value in these bytes, which must be a SEQUENCE; a reader of its content.
pub(crate) fn sequence(bytes: &[u8]) -> Result<Reader<'_>, Problem> {
    let mut reader = Reader::new(bytes);
    let element = reader.expect(SEQUENCE)?;
    match reader.is_empty() {
        true => Ok(Reader::new(element.value)),
        false => Err(Problem::Malformed),
    }
}

/// Whether lengths are left open, which BER allows and DER does not.
pub(crate) fn is_indefinite(bytes: &[u8]) -> bool {
    matches!(bytes, [tag, 0x80, ..] if tag & 0x20 != 0)
}

/// Writes one value whose content is these parts.
pub(crate) fn write(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut written = vec![tag];
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => written.push(short),
        _ => {
            let bytes = length.to_be_bytes();
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            let bytes = bytes.get(zeros..).unwrap_or_default();
            // At most eight, so neither the sum nor the conversion loses anything.
            written.push(0x80 | u8::try_from(bytes.len()).unwrap_or_default());
            written.extend_from_slice(bytes);
        }
    }
    for part in parts {
        written.extend_from_slice(part);
    }
    written
}

/// Tag, length of tag and length together, and length of the value; none if it is left open.
fn header(bytes: &[u8]) -> Result<(u8, usize, Option<usize>), Problem> {
    let (&tag, rest) = bytes.split_first().ok_or(Problem::CutOff)?;
    // Tags beyond 30 take several bytes. No format here uses them.
    if tag & 0x1F == 0x1F {
        return Err(Problem::Malformed);
    }
    let (&first, rest) = rest.split_first().ok_or(Problem::CutOff)?;
    match first {
        0..=0x7F => Ok((tag, 2, Some(usize::from(first)))),
        0x80 => Ok((tag, 2, None)),
        0x81..=0x84 => {
            let count = usize::from(first & 0x7F);
            let digits = rest.get(..count).ok_or(Problem::CutOff)?;
            let length = digits
                .iter()
                .fold(0_usize, |length, digit| length << 8 | usize::from(*digit));
            Ok((tag, 2 + count, Some(length)))
        }
        _ => Err(Problem::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn long_values_come_back() {
        for length in [0, 1, 127, 128, 255, 256, 65535, 65536, 1 << 20] {
            let value = vec![7; length];
            let written = write(OCTET_STRING, &[&value]);
            let mut reader = Reader::new(&written);
            let read = reader.expect(OCTET_STRING).unwrap();
            assert_eq!(read.value.len(), length);
            assert_eq!(read.whole, written);
            assert!(reader.is_empty());
        }
    }

    #[test]
    fn what_is_cut_off_is_told_from_what_is_malformed() {
        let whole = write(SEQUENCE, &[&write(INTEGER, &[&[3]])]);
        for length in 0..whole.len() {
            let cut = whole.get(..length).unwrap();
            assert_eq!(sequence(cut).unwrap_err(), Problem::CutOff, "{length}");
        }
        assert_eq!(sequence(&[2, 1, 3]).unwrap_err(), Problem::Malformed);
        assert_eq!(sequence(&[0x30, 0, 0]).unwrap_err(), Problem::Malformed);
        assert_eq!(sequence(&[0x30, 0x80]).unwrap_err(), Problem::Malformed);
        assert!(is_indefinite(&[0x30, 0x80, 0]));
    }

    #[test]
    fn a_glimpse_shows_what_is_there() {
        let (tag, content) = Reader::new(&[0x30, 0x82, 1, 0, 2, 1]).glimpse().unwrap();
        assert_eq!((tag, content.rest()), (SEQUENCE, &[2, 1][..]));
        let (tag, content) = Reader::new(&[0x30, 0x80, 2, 1, 9]).glimpse().unwrap();
        assert_eq!((tag, content.rest()), (SEQUENCE, &[2, 1, 9][..]));
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read_to_their_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut reader = Reader::new(&bytes);
            let mut read = 0;
            while let Ok(element) = reader.next() {
                read += element.whole.len();
            }
            prop_assert_eq!(read + reader.rest().len(), bytes.len());
        }

        #[test]
        fn what_is_written_can_be_read(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..4),
        ) {
            let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            let written = write(SEQUENCE, &slices);
            prop_assert_eq!(sequence(&written).unwrap().rest(), parts.concat());
        }
    }
}
