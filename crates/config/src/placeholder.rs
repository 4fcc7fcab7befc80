//! Finds `${prefix:…}` placeholders, which are not evaluated yet and must not be sent literally.
//!
//! `${name}` and `${name:-default}` are variables of event names and are none of our business.
//! Every other `${word:` is a request to look something up, closed or not, escaped by a second
//! dollar or not: letting it pass would send a reference to a secret where the secret belongs.

/// The prefix of the first placeholder in the text, such as `env` for `${env:TOKEN}`.
pub(crate) fn prefix(text: &str) -> Option<&str> {
    text.match_indices("${").find_map(|(start, opening)| {
        let inner = &text[start + opening.len()..];
        let (word, rest) = inner.split_once(':')?;
        let is_word = word.starts_with(|first: char| first.is_ascii_alphabetic())
            && word
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        (is_word && !rest.starts_with('-')).then_some(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lookup_is_found_wherever_it_stands() {
        for (text, expected) in [
            ("${env:TOKEN}", "env"),
            ("Bearer ${file:UTF-8:/run/secret}", "file"),
            ("${a} ${b:-c} ${env:X}", "env"),
            ("${a:-${sys:x}}", "sys"),
            ("$${env:X}", "env"),
            ("${env:", "env"),
            ("${base64Decoder:x}", "base64Decoder"),
            ("${a:?missing}", "a"),
            ("${x ${env:Y}", "env"),
        ] {
            assert_eq!(prefix(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn variables_and_other_text_pass() {
        for text in [
            "",
            "$",
            "${",
            "${}",
            "${:x}",
            "${:-x}",
            "${name}",
            "${name:-default}",
            "${name:-a:b}",
            "${realmLowerCase}:x",
            "{{ a }}:b",
            "${2}:x",
            "a:b ${c}",
            "{env:X}",
            "regex:^a${1}$",
        ] {
            assert_eq!(prefix(text), None, "{text}");
        }
    }
}
