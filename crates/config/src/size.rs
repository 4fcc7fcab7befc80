//! Sizes in bytes: a whole number with a unit.
//!
//! `KiB`, `MiB`, `GiB`, `TiB` are powers of 1024; `KB`, `MB`, `GB`, `TB` powers of 1000; any
//! letter case. A bare number is refused, because nobody can tell which unit was meant.

use std::fmt;

use crate::setting::{Setting, is_digits};

const UNITS: [(&str, u64); 9] = [
    ("tib", 1 << 40),
    ("gib", 1 << 30),
    ("mib", 1 << 20),
    ("kib", 1 << 10),
    ("tb", 1_000_000_000_000),
    ("gb", 1_000_000_000),
    ("mb", 1_000_000),
    ("kb", 1_000),
    ("b", 1),
];

/// A number of so many digits was hardly meant in bytes.
const FEW_DIGITS: usize = 2;

/// A size in bytes. Printed in the largest binary unit that divides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(pub u64);

impl Size {
    /// The size as a length in memory; the largest one if this machine cannot count so far.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Setting for Size {
    const EXPECTED: &'static str = "a size with its unit, such as 500B, 64KiB, 1MiB or 1GiB";

    fn parse(text: &str) -> Result<Size, String> {
        if text.is_empty() {
            return Err("it is blank".to_owned());
        }
        if is_digits(text) {
            return Err(without_unit(text));
        }
        if text.starts_with('-') {
            return Err("it is negative".to_owned());
        }
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        if number.is_empty() {
            return Err("it does not begin with a number".to_owned());
        }
        if unit.starts_with(['.', ',']) {
            return Err(
                "fractions are not read\nuse a smaller unit: 1536KiB for 1.5MiB".to_owned(),
            );
        }
        let unit = unit.trim_start().to_ascii_lowercase();
        let Some((_, bytes)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err("its unit is none of B, KiB, MiB, GiB, TiB, KB, MB, GB, TB".to_owned());
        };
        let size = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(*bytes));
        size.map(Size).ok_or_else(|| "it is too large".to_owned())
    }
}

/// Advises a unit that was likely meant: no bound is a few bytes.
fn without_unit(number: &str) -> String {
    match number.len() <= FEW_DIGITS && number != "0" {
        true => format!("it has no unit\nadd one: {number}KiB, {number}MiB or {number}GiB"),
        false => format!("it has no unit\nadd one: {number}B for bytes, {number}KiB, {number}MiB"),
    }
}

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, bytes) in [
            ("TiB", 1 << 40),
            ("GiB", 1 << 30),
            ("MiB", 1 << 20),
            ("KiB", 1024),
        ] {
            if self.0 > 0 && self.0.is_multiple_of(bytes) {
                return write!(formatter, "{}{unit}", self.0 / bytes);
            }
        }
        write!(formatter, "{}B", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read() {
        for (text, bytes) in [
            ("0B", 0),
            ("500B", 500),
            ("64KiB", 65_536),
            ("1MiB", 1_048_576),
            ("1 mib", 1_048_576),
            ("1GiB", 1_073_741_824),
            ("2TiB", 2_199_023_255_552),
            ("1KB", 1_000),
            ("1MB", 1_000_000),
            ("1gb", 1_000_000_000),
            ("1TB", 1_000_000_000_000),
            ("18446744073709551615B", u64::MAX),
        ] {
            assert_eq!(Size::parse(text), Ok(Size(bytes)), "{text}");
        }
    }

    #[test]
    fn a_wrong_size_says_why_and_what_to_write() {
        let unit = "its unit is none of B, KiB, MiB, GiB, TiB, KB, MB, GB, TB";
        for (text, why) in [
            ("", "it is blank"),
            ("10", "it has no unit\nadd one: 10KiB, 10MiB or 10GiB"),
            ("0", "it has no unit\nadd one: 0B for bytes, 0KiB, 0MiB"),
            (
                "65536",
                "it has no unit\nadd one: 65536B for bytes, 65536KiB, 65536MiB",
            ),
            ("-1B", "it is negative"),
            (
                "1.5MiB",
                "fractions are not read\nuse a smaller unit: 1536KiB for 1.5MiB",
            ),
            ("1M", unit),
            ("1 apple", unit),
            ("MiB", "it does not begin with a number"),
            ("18446744073709551616B", "it is too large"),
            ("16777216TiB", "it is too large"),
        ] {
            assert_eq!(Size::parse(text), Err(why.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_size_is_printed_as_it_can_be_read_again() {
        for text in [
            "0B", "1023B", "1KiB", "1025B", "3MiB", "1GiB", "1TiB", "1000B",
        ] {
            assert_eq!(
                Size::parse(text).map(|size| size.to_string()),
                Ok(text.to_owned())
            );
        }
        assert_eq!(Size(7).as_usize(), 7);
    }
}
