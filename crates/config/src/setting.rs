//! The types that a value can have, and how each is written.
//!
//! A type parses one trimmed text and says in words why it cannot; it knows neither key nor
//! place. What KETE accepts for a type is accepted here in the same spelling. Durations and sizes
//! have modules of their own.

use std::net::SocketAddr;
use std::num::{IntErrorKind, NonZeroU16, NonZeroU32, NonZeroU64, NonZeroUsize, ParseIntError};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use url::Url;

use crate::duration;
use crate::nearest::nearest;
use crate::size::Size;

/// A type that a key can have.
pub trait Setting: Sized {
    /// What one may write, as it completes "expected …".
    const EXPECTED: &'static str;

    /// Whether a blank value is the same as none. True for text, as in KETE; false for
    /// everything that a blank text cannot be.
    const BLANK_IS_ABSENT: bool = false;

    /// Whether the value is an address, in which a password or a token may stand. Messages show
    /// such a value without them.
    const IS_ADDRESS: bool = false;

    /// Whether the value is a whole file or the like. Messages leave such a value out.
    const IS_LARGE: bool = false;

    /// Reads a value that has no white space around it.
    ///
    /// # Errors
    /// Why it cannot be read, as it completes "expected …, but …"; further lines, if any, say
    /// what to do. Must not quote the value: it may be a secret.
    fn parse(text: &str) -> Result<Self, String>;
}

/// A duration or size that is not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Positive<T>(pub T);

impl Setting for String {
    const EXPECTED: &'static str = "text";
    const BLANK_IS_ABSENT: bool = true;

    fn parse(text: &str) -> Result<String, String> {
        Ok(text.to_owned())
    }
}

impl Setting for PathBuf {
    const EXPECTED: &'static str = "a path";
    const BLANK_IS_ABSENT: bool = true;

    fn parse(text: &str) -> Result<PathBuf, String> {
        if text.contains('\0') {
            return Err("it holds a NUL character".to_owned());
        }
        Ok(PathBuf::from(text))
    }
}

/// KETE's spellings, in any letter case.
impl Setting for bool {
    const EXPECTED: &'static str = "true or false (or yes/no, on/off, y/n, t/f, 1/0)";

    fn parse(text: &str) -> Result<bool, String> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" | "t" | "1" => Ok(true),
            "false" | "no" | "off" | "n" | "f" | "0" => Ok(false),
            "" => Err("it is blank".to_owned()),
            _ => Err("it is none of these".to_owned()),
        }
    }
}

macro_rules! whole_numbers {
    ($($number:ty = $expected:literal),+ $(,)?) => {
        $(impl Setting for $number {
            const EXPECTED: &'static str = $expected;

            fn parse(text: &str) -> Result<$number, String> {
                whole_number(text)
            }
        })+
    };
}

whole_numbers! {
    u16 = "a whole number from 0 to 65535",
    u32 = "a whole number from 0 to 4294967295",
    u64 = "a whole number from 0 to 18446744073709551615",
    usize = "a whole number, 0 or more",
    i64 = "a whole number from -9223372036854775808 to 9223372036854775807",
    NonZeroU16 = "a whole number from 1 to 65535",
    NonZeroU32 = "a whole number from 1 to 4294967295",
    NonZeroU64 = "a whole number from 1 to 18446744073709551615",
    NonZeroUsize = "a whole number, 1 or more",
}

fn whole_number<T: FromStr<Err = ParseIntError>>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|error: ParseIntError| number_problem(text, error.kind()).to_owned())
}

fn number_problem(text: &str, kind: &IntErrorKind) -> &'static str {
    match kind {
        IntErrorKind::Empty => "it is blank",
        IntErrorKind::PosOverflow => "it is too large",
        IntErrorKind::NegOverflow => "it is too small",
        IntErrorKind::Zero => "it is zero",
        _ if is_digits(text.strip_prefix('-').unwrap_or_default()) => "it is negative",
        _ => "it is not a whole number",
    }
}

/// Whether the text is digits and nothing else.
pub(crate) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// An absolute URL with a host.
impl Setting for Url {
    const EXPECTED: &'static str = "a URL such as https://host:8080/";
    const BLANK_IS_ABSENT: bool = true;
    const IS_ADDRESS: bool = true;

    fn parse(text: &str) -> Result<Url, String> {
        match Url::parse(text) {
            // One slash is read as two by the standard, and is a slip all the same.
            Ok(url) if url.has_host() && has_two_slashes(text) => Ok(url),
            Ok(url) if url.has_host() => Err(
                "two slashes belong between the scheme and the host\nwrite http://host".to_owned(),
            ),
            // `localhost:8080` is a URL too, of the scheme `localhost`.
            Ok(_) | Err(url::ParseError::RelativeUrlWithoutBase) => {
                let scheme = "it does not begin with a scheme, // and a host";
                Err(format!(
                    "{scheme}\nwrite http:// or https:// before the host"
                ))
            }
            Err(error) => Err(format!("it cannot be read: {error}")),
        }
    }
}

/// Whether two slashes follow the first colon; in the query there may be others.
fn has_two_slashes(text: &str) -> bool {
    text.split_once(':')
        .is_some_and(|(_, rest)| rest.starts_with("//"))
}

/// An IP address with a port. A name is refused, because it would have to be looked up.
impl Setting for SocketAddr {
    const EXPECTED: &'static str = "an address and a port, such as 127.0.0.1:8088 or [::1]:8088";

    fn parse(text: &str) -> Result<SocketAddr, String> {
        if text.is_empty() {
            return Err("it is blank".to_owned());
        }
        if is_digits(text) {
            return Err(format!(
                "it has no address\nfor this machine only: 127.0.0.1:{text}"
            ));
        }
        text.parse()
            .map_err(|_| "it is not that (names are not looked up)".to_owned())
    }
}

/// A comma-separated list. White space round the parts is dropped; an empty part is refused.
impl Setting for Vec<String> {
    const EXPECTED: &'static str = "a comma-separated list";
    const BLANK_IS_ABSENT: bool = true;

    fn parse(text: &str) -> Result<Vec<String>, String> {
        let parts: Vec<String> = text.split(',').map(|part| part.trim().to_owned()).collect();
        if parts.iter().any(String::is_empty) {
            return Err("one of its parts is empty".to_owned());
        }
        Ok(parts)
    }
}

impl Setting for Positive<Duration> {
    const EXPECTED: &'static str = duration::EXPECTED_POSITIVE;

    fn parse(text: &str) -> Result<Self, String> {
        if is_only_zeros(text) {
            return Err("it is zero".to_owned());
        }
        match Duration::parse(text)? {
            Duration::ZERO => Err("it is zero".to_owned()),
            duration => Ok(Positive(duration)),
        }
    }
}

impl Setting for Positive<Size> {
    const EXPECTED: &'static str = "a size above zero with its unit, such as 500B, 64KiB or 1MiB";

    fn parse(text: &str) -> Result<Self, String> {
        if is_only_zeros(text) {
            return Err("it is zero".to_owned());
        }
        match Size::parse(text)? {
            Size(0) => Err("it is zero".to_owned()),
            size => Ok(Positive(size)),
        }
    }
}

/// Whether it is a zero without a unit: none would make it more than that, so none is asked for.
fn is_only_zeros(text: &str) -> bool {
    is_digits(text) && text.bytes().all(|byte| byte == b'0')
}

/// Finds the one of `words` that the text is, in any letter case; for [`setting_words!`].
///
/// # Errors
/// In the form of [`Setting::parse`], with the nearest word if one is near.
///
/// [`setting_words!`]: crate::setting_words
pub fn parse_word(text: &str, words: &[&str]) -> Result<usize, String> {
    if text.is_empty() {
        return Err("it is blank".to_owned());
    }
    if let Some(index) = words
        .iter()
        .position(|word| word.eq_ignore_ascii_case(text))
    {
        return Ok(index);
    }
    let way_out = nearest(text, words.iter().copied())
        .map(|word| format!("\ndid you mean {word}?"))
        .unwrap_or_default();
    Err(format!("it is none of these{way_out}"))
}

/// Makes an enum a [`Setting`](crate::Setting) that is written as one of a few words.
///
/// ```
/// #[derive(Debug, PartialEq)]
/// enum Mode { Any, All }
/// kete_config::setting_words!(Mode { Any = "any", All = "all" });
///
/// use kete_config::Setting;
/// assert_eq!(Mode::EXPECTED, "one of: any, all");
/// assert_eq!(Mode::parse("ALL"), Ok(Mode::All));
/// assert!(Mode::parse("none").is_err());
/// ```
#[macro_export]
macro_rules! setting_words {
    ($name:ident {
        $first:ident = $first_word:literal $(, $other:ident = $other_word:literal)* $(,)?
    }) => {
        impl $crate::Setting for $name {
            const EXPECTED: &'static str = concat!("one of: ", $first_word $(, ", ", $other_word)*);

            fn parse(text: &str) -> ::core::result::Result<Self, ::std::string::String> {
                let words = [($first_word, $name::$first) $(, ($other_word, $name::$other))*];
                let index = $crate::parse_word(text, &words.each_ref().map(|(word, _)| *word))?;
                words
                    .into_iter()
                    .nth(index)
                    .map(|(_, value)| value)
                    .ok_or_else(::std::string::String::new)
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why<T: Setting>(text: &str) -> Option<String> {
        T::parse(text).err()
    }

    #[test]
    fn a_zero_that_must_not_be_one_is_not_asked_for_its_unit() {
        let zero = Some("it is zero".to_owned());
        for text in ["0", "000", "0s", "PT0S"] {
            assert_eq!(why::<Positive<Duration>>(text), zero, "{text}");
        }
        for text in ["0", "0B", "0GiB"] {
            assert_eq!(why::<Positive<Size>>(text), zero, "{text}");
        }
        assert!(why::<Duration>("0").is_some_and(|why| why.contains("add one: 0s")));
    }

    #[test]
    fn booleans_have_the_spellings_of_kete() {
        for text in ["true", "TRUE", "yes", "On", "y", "T", "1"] {
            assert_eq!(bool::parse(text), Ok(true), "{text}");
        }
        for text in ["false", "No", "OFF", "n", "f", "0"] {
            assert_eq!(bool::parse(text), Ok(false), "{text}");
        }
        for text in ["2", "ja", "truee", "on off"] {
            assert_eq!(
                why::<bool>(text).as_deref(),
                Some("it is none of these"),
                "{text}"
            );
        }
        assert_eq!(why::<bool>("").as_deref(), Some("it is blank"));
    }

    #[test]
    fn numbers_say_what_is_wrong_with_them() {
        assert_eq!(u16::parse("65535"), Ok(u16::MAX));
        assert_eq!(i64::parse("-5"), Ok(-5));
        assert_eq!(usize::parse("007"), Ok(7));
        assert_eq!(NonZeroU32::parse("1"), Ok(NonZeroU32::MIN));
        for (found, expected) in [
            (why::<u16>(""), "it is blank"),
            (why::<u16>("65536"), "it is too large"),
            (why::<u64>("18446744073709551616"), "it is too large"),
            (why::<u16>("-1"), "it is negative"),
            (why::<i64>("-9223372036854775809"), "it is too small"),
            (why::<u32>("1.5"), "it is not a whole number"),
            (why::<u32>("1_000"), "it is not a whole number"),
            (why::<u32>("0x10"), "it is not a whole number"),
            (why::<u32>("-"), "it is not a whole number"),
            (why::<u32>("٣"), "it is not a whole number"),
            (why::<NonZeroU16>("0"), "it is zero"),
            (why::<NonZeroU64>("x"), "it is not a whole number"),
            (why::<NonZeroUsize>("-0"), "it is negative"),
        ] {
            assert_eq!(found.as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_url_needs_a_scheme_and_a_host() {
        assert_eq!(Url::parse("wss://h:1/x").map(|url| url.port()), Ok(Some(1)));
        let hint = "it does not begin with a scheme, // and a host\nwrite http:// or https:// \
                    before the host";
        for text in ["localhost:3000", "localhost", "/x", "data:x", "unix:/x"] {
            assert_eq!(why::<Url>(text).as_deref(), Some(hint), "{text}");
        }
        for text in ["http:/h/x", "http:h", "http:/h/?to=http://other"] {
            let problem = "two slashes belong between the scheme and the host\nwrite http://host";
            assert_eq!(why::<Url>(text).as_deref(), Some(problem), "{text}");
        }
        assert_eq!(
            why::<Url>("http://h:99999").as_deref(),
            Some("it cannot be read: invalid port number")
        );
        assert_eq!(
            why::<Url>("https://").as_deref(),
            Some("it cannot be read: empty host")
        );
    }

    #[test]
    fn a_listening_address_needs_an_ip_address_and_a_port() {
        assert!(SocketAddr::parse("[::1]:80").is_ok_and(|address| address.is_ipv6()));
        assert_eq!(
            why::<SocketAddr>("8088").as_deref(),
            Some("it has no address\nfor this machine only: 127.0.0.1:8088")
        );
        for text in ["localhost:80", "127.0.0.1", "127.0.0.1:x", ":80"] {
            let problem = "it is not that (names are not looked up)";
            assert_eq!(why::<SocketAddr>(text).as_deref(), Some(problem), "{text}");
        }
        assert_eq!(why::<SocketAddr>("").as_deref(), Some("it is blank"));
    }

    #[test]
    fn lists_and_paths() {
        assert_eq!(
            Vec::parse("a , b,c d"),
            Ok(vec!["a".into(), "b".into(), "c d".into()])
        );
        for text in ["a,,b", "a,", ","] {
            let problem = why::<Vec<String>>(text);
            assert_eq!(
                problem.as_deref(),
                Some("one of its parts is empty"),
                "{text}"
            );
        }
        assert_eq!(PathBuf::parse("a b/c"), Ok(PathBuf::from("a b/c")));
        assert_eq!(
            why::<PathBuf>("a\0b").as_deref(),
            Some("it holds a NUL character")
        );
    }

    #[test]
    fn positive_means_not_zero() {
        assert_eq!(
            Positive::parse("1ms"),
            Ok(Positive(Duration::from_millis(1)))
        );
        assert_eq!(
            why::<Positive<Duration>>("0s").as_deref(),
            Some("it is zero")
        );
        assert_eq!(Positive::parse("1B"), Ok(Positive(Size(1))));
        assert_eq!(why::<Positive<Size>>("0KiB").as_deref(), Some("it is zero"));
        assert!(why::<Positive<Size>>("1").is_some_and(|why| why.contains("unit")));
    }

    #[test]
    fn a_word_that_is_nearly_right_is_suggested() {
        #[derive(Debug, PartialEq)]
        enum Confirm {
            Ack,
            Barrier,
            Written,
        }
        setting_words!(Confirm { Ack = "ack", Barrier = "barrier", Written = "written" });
        assert_eq!(Confirm::EXPECTED, "one of: ack, barrier, written");
        assert_eq!(Confirm::parse("Ack"), Ok(Confirm::Ack));
        assert_eq!(Confirm::parse("WRITTEN"), Ok(Confirm::Written));
        assert_eq!(Confirm::parse("barrier"), Ok(Confirm::Barrier));
        assert_eq!(
            why::<Confirm>("barier").as_deref(),
            Some("it is none of these\ndid you mean barrier?")
        );
        assert_eq!(
            why::<Confirm>("never").as_deref(),
            Some("it is none of these")
        );
        assert_eq!(why::<Confirm>("").as_deref(), Some("it is blank"));
    }
}
