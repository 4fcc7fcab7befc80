//! The codes of the diagnostics that this crate makes by itself.
//!
//! A code is what people search for and what scripts compare, so it never changes its meaning.
//! Those who use the crate add codes of their own.

/// No table knows the key.
pub const UNKNOWN_KEY: &str = "unknown-key";
/// The key is known, and means nothing here.
pub const UNUSED_KEY: &str = "unused-key";
/// The key is known, and cannot be used yet.
pub const NOT_YET: &str = "not-yet";
/// The name of a section was given a value.
pub const SECTION_AS_VALUE: &str = "section-as-value";
/// A required key has no value.
pub const MISSING_KEY: &str = "missing-key";
/// The value is not of the key's type.
pub const BAD_VALUE: &str = "bad-value";
/// The value holds a `${prefix:…}` placeholder.
pub const PLACEHOLDER: &str = "placeholder";
/// The name is empty, or has an empty segment.
pub const BAD_KEY: &str = "bad-key";
/// The key stands twice in one file.
pub const DUPLICATE_KEY: &str = "duplicate-key";
/// A file cannot be read.
pub const UNREADABLE_FILE: &str = "unreadable-file";
/// A file is read but cannot be understood.
pub const BAD_FILE: &str = "bad-file";
/// An environment variable of ours cannot be used.
pub const BAD_ENVIRONMENT: &str = "bad-environment";
/// Two environment variables set one key to different values.
pub const ENVIRONMENT_CONFLICT: &str = "environment-conflict";
/// An argument of `--set` is not `KEY=VALUE`.
pub const BAD_SET: &str = "bad-set";

/// Every code of this crate with a sentence about it, in the order of the alphabet.
pub const CODES: &[(&str, &str)] = &[
    (
        BAD_ENVIRONMENT,
        "An environment variable has a name of ours and cannot be used.",
    ),
    (
        BAD_FILE,
        "A properties file breaks the rules of its format.",
    ),
    (
        BAD_KEY,
        "A key is empty, or has nothing between two dots or after the last one.",
    ),
    (
        BAD_SET,
        "An argument of --set is not of the form KEY=VALUE.",
    ),
    (BAD_VALUE, "A value is not of the kind that its key takes."),
    (
        DUPLICATE_KEY,
        "One file gives the same key twice; only one of them could count.",
    ),
    (
        ENVIRONMENT_CONFLICT,
        "Two environment variables set one key to different values.",
    ),
    (
        MISSING_KEY,
        "A key that has no default and cannot be left out has no value.",
    ),
    (
        NOT_YET,
        "The key is known, but this version cannot do what it asks for.",
    ),
    (
        PLACEHOLDER,
        "A value holds a ${prefix:…} placeholder, which is not evaluated yet.",
    ),
    (
        SECTION_AS_VALUE,
        "A value was given to a name that only groups the keys below it.",
    ),
    (
        UNKNOWN_KEY,
        "No key of this name exists where it stands; often it is a slip.",
    ),
    (
        UNREADABLE_FILE,
        "A file that was named cannot be opened or read.",
    ),
    (
        UNUSED_KEY,
        "The key is known from KETE and has no meaning here; it is ignored.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_codes_is_sorted_and_each_has_a_sentence() {
        assert!(CODES.is_sorted());
        for (code, sentence) in CODES {
            assert!(!code.is_empty() && sentence.ends_with('.'), "{code}");
        }
    }
}
