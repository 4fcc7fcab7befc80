//! Character properties: `\p{Alpha}` (ASCII in Java), `\p{Lu}`, `\p{IsAlphabetic}`, `\p{IsLatin}`.
//!
//! Names are matched exactly as Java matches them: POSIX names and categories with their letter
//! case, what follows `Is` without. Unicode tables come from `regex-syntax`. Java's own
//! `\p{javaLowerCase}` and blocks (`\p{InGreek}`) are not carried over.

use super::CharSet;

/// General categories that Java knows by these names, all of which `regex-syntax` knows too.
const CATEGORIES: [&str; 37] = [
    "C", "Cc", "Cf", "Cn", "Co", "L", "Ll", "Lm", "Lo", "Lt", "Lu", "M", "Mc", "Me", "Mn", "N",
    "Nd", "Nl", "No", "P", "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "S", "Sc", "Sk", "Sm", "So",
    "Z", "Zl", "Zp", "Zs", "LC",
];

const CASED: &str = r"[\p{Lu}\p{Ll}\p{Lt}]";

/// The set of the property called `name`; where `ignore_case`, upper and lower case are one.
pub(super) fn property(name: &str, ignore_case: bool) -> Option<CharSet> {
    if let Some((attribute, value)) = name.split_once('=') {
        return match attribute.to_ascii_lowercase().as_str() {
            "gc" | "general_category" => category(value, ignore_case),
            "sc" | "script" => script(value),
            _ => None,
        };
    }
    if let Some(binary) = name.strip_prefix("Is") {
        return unicode_binary(binary, ignore_case)
            .or_else(|| category(binary, ignore_case))
            .or_else(|| script(binary));
    }
    posix(name, ignore_case).or_else(|| category(name, ignore_case))
}

fn posix(name: &str, ignore_case: bool) -> Option<CharSet> {
    let ranges: &[(char, char)] = match name {
        "Lower" | "Upper" if ignore_case => &[('A', 'Z'), ('a', 'z')],
        "Lower" => &[('a', 'z')],
        "Upper" => &[('A', 'Z')],
        "Alpha" => &[('A', 'Z'), ('a', 'z')],
        "Digit" => &[('0', '9')],
        "Alnum" => &[('0', '9'), ('A', 'Z'), ('a', 'z')],
        "ASCII" => &[('\0', '\x7F')],
        "Punct" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
        "Graph" => &[('!', '~')],
        "Print" => &[(' ', '~')],
        "Blank" => &[('\t', '\t'), (' ', ' ')],
        "Cntrl" => &[('\0', '\x1F'), ('\x7F', '\x7F')],
        "XDigit" => &[('0', '9'), ('A', 'F'), ('a', 'f')],
        "Space" => &[('\t', '\r'), (' ', ' ')],
        _ => return None,
    };
    Some(CharSet::of(ranges))
}

fn category(name: &str, ignore_case: bool) -> Option<CharSet> {
    match name {
        "LC" => CharSet::unicode(CASED),
        "Lu" | "Ll" | "Lt" if ignore_case => CharSet::unicode(CASED),
        _ if CATEGORIES.contains(&name) => CharSet::unicode(&format!(r"\p{{gc={name}}}")),
        _ => None,
    }
}

fn unicode_binary(name: &str, ignore_case: bool) -> Option<CharSet> {
    match name.to_ascii_lowercase().as_str() {
        "alphabetic" => CharSet::unicode(r"\p{Alphabetic}"),
        "ideographic" => CharSet::unicode(r"\p{Ideographic}"),
        "white_space" => CharSet::unicode(r"\p{White_Space}"),
        "lowercase" | "uppercase" if ignore_case => {
            CharSet::unicode(r"[\p{Lowercase}\p{Uppercase}\p{Lt}]")
        }
        "lowercase" => CharSet::unicode(r"\p{Lowercase}"),
        "uppercase" => CharSet::unicode(r"\p{Uppercase}"),
        _ => None,
    }
}

fn script(name: &str) -> Option<CharSet> {
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if name.is_empty() || !name.chars().all(is_name) {
        return None;
    }
    CharSet::unicode(&format!(r"\p{{sc={name}}}"))
}
