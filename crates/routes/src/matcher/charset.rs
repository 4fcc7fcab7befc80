//! A set of characters, and how it is written down for both regular expression engines.
//!
//! Every character test that this crate hands to an engine is written out here as ranges of code
//! points, with both letter cases where case is ignored. No engine flag is ever used, so an
//! engine's own idea of `\d`, `.` or of case folding (Unicode's, where Java's is ASCII) cannot
//! creep in.

use std::fmt::Write;

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange, HirKind};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CharSet(ClassUnicode);

impl CharSet {
    pub(super) fn empty() -> CharSet {
        CharSet(ClassUnicode::empty())
    }

    pub(super) fn any() -> CharSet {
        CharSet::of(&[('\0', char::MAX)])
    }

    /// The set of these ranges, both ends included.
    pub(super) fn of(ranges: &[(char, char)]) -> CharSet {
        let ranges = ranges
            .iter()
            .map(|&(first, last)| ClassUnicodeRange::new(first, last));
        CharSet(ClassUnicode::new(ranges))
    }

    /// The set of a class that `regex-syntax` knows by name, such as `\p{Lu}`.
    pub(super) fn unicode(class: &str) -> Option<CharSet> {
        match regex_syntax::parse(class).ok()?.into_kind() {
            HirKind::Class(regex_syntax::hir::Class::Unicode(class)) => Some(CharSet(class)),
            _ => None,
        }
    }

    pub(super) fn add(&mut self, other: &CharSet) {
        self.0.union(&other.0);
    }

    pub(super) fn keep_only(&mut self, other: &CharSet) {
        self.0.intersect(&other.0);
    }

    pub(super) fn negated(mut self) -> CharSet {
        self.0.negate();
        self
    }

    /// Adds the other letter case of every ASCII letter in the set.
    pub(super) fn folded(mut self) -> CharSet {
        for lower in 'a'..='z' {
            let upper = lower.to_ascii_uppercase();
            if self.contains(lower) || self.contains(upper) {
                self.0.push(ClassUnicodeRange::new(lower, lower));
                self.0.push(ClassUnicodeRange::new(upper, upper));
            }
        }
        self
    }

    fn contains(&self, character: char) -> bool {
        self.0
            .iter()
            .any(|range| range.start() <= character && character <= range.end())
    }

    /// Appends the set as one bracketed class.
    pub(super) fn write(&self, expression: &mut String) {
        if self.0.ranges().is_empty() {
            expression.push_str(r"[^\x{0}-\x{10FFFF}]");
            return;
        }
        expression.push('[');
        for range in self.0.iter() {
            push_code_point(range.start(), expression);
            if range.start() != range.end() {
                expression.push('-');
                push_code_point(range.end(), expression);
            }
        }
        expression.push(']');
    }
}

/// Appends an expression for exactly this character; with `fold`, in either ASCII letter case.
pub(super) fn push_literal(character: char, fold: bool, expression: &mut String) {
    if fold && character.is_ascii_alphabetic() {
        expression.push('[');
        expression.push(character.to_ascii_uppercase());
        expression.push(character.to_ascii_lowercase());
        expression.push(']');
    } else {
        push_code_point(character, expression);
    }
}

fn push_code_point(character: char, expression: &mut String) {
    if character.is_ascii_alphanumeric() || character == '_' {
        expression.push(character);
    } else {
        // Writing to a String cannot fail.
        let _ = write!(expression, "\\x{{{:X}}}", u32::from(character));
    }
}

#[cfg(test)]
mod tests {
    use super::{CharSet, push_literal};

    fn written(set: &CharSet) -> String {
        let mut expression = String::new();
        set.write(&mut expression);
        expression
    }

    #[test]
    fn a_set_is_written_as_code_points() {
        assert_eq!(
            written(&CharSet::of(&[('a', 'c'), ('-', '-')])),
            r"[\x{2D}a-c]"
        );
        assert_eq!(written(&CharSet::any()), r"[\x{0}-\x{10FFFF}]");
    }

    #[test]
    fn the_empty_set_matches_nothing_and_still_compiles() {
        let expression = regex::Regex::new(&written(&CharSet::empty())).unwrap();
        assert!(!expression.is_match("a\n\u{10FFFF}"));
    }

    #[test]
    fn folding_is_ascii_only() {
        let folded = CharSet::of(&[('k', 'k'), ('é', 'é')]).folded();
        assert_eq!(written(&folded), r"[Kk\x{E9}]");
    }

    #[test]
    fn negation_leaves_no_character_out() {
        let all_but_a = CharSet::of(&[('a', 'a')]).negated();
        assert!(!all_but_a.contains('a'));
        assert!(all_but_a.contains('\n') && all_but_a.contains(char::MAX));
    }

    #[test]
    fn unicode_names_that_do_not_exist_are_none() {
        assert!(CharSet::unicode(r"\p{Lu}").is_some_and(|upper| upper.contains('É')));
        assert_eq!(CharSet::unicode(r"\p{Nope}"), None);
    }

    #[test]
    fn a_literal_is_never_read_as_syntax() {
        let mut expression = String::new();
        for character in "a.*{#".chars() {
            push_literal(character, true, &mut expression);
        }
        assert_eq!(expression, r"[Aa]\x{2E}\x{2A}\x{7B}\x{23}");
    }
}
