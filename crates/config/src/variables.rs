//! Finds environment variables that would set a key if only their underscores were doubled.
//!
//! `APP_LOG_FORMAT` is none of ours, and whoever wrote it hardly knows. It is still ignored: only a
//! warning tells of it, and only where its words are exactly those of a key. Kubernetes sets
//! `APP_SERVICE_HOST` and the like for a service called `app`, which is nobody's slip. A
//! variable's value is never looked at.

use crate::code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::environment::shell_name;
use crate::layers::Settings;
use crate::nearest::Part;
use crate::origin::Origin;
use crate::unknown::Known;

/// A variable with more words than this is no key, and searching on would only cost time.
const MAX_WORDS: usize = 32;

impl Settings {
    /// Warns of every environment variable that is spelt with single underscores, and would set a
    /// key with double ones. Ask once, with all tables.
    pub fn check_variables(&self, known: &Known, diagnostics: &Diagnostics) {
        let patterns = known.patterns();
        for variable in self.near_variables() {
            let Some(meant) = meant(variable, &patterns) else {
                continue;
            };
            let message = "this variable is ignored: two underscores stand for each dot of a key";
            let origin = Origin::Environment {
                name: variable.as_str().into(),
            };
            let diagnostic = Diagnostic::warning(code::BAD_ENVIRONMENT, message).at(origin);
            diagnostics.push(diagnostic.help(format!("did you mean {meant}?")));
        }
    }
}

/// The variable that was meant. Of several, the one with the fewest words of the user's own.
fn meant(variable: &str, patterns: &[Vec<Part<'_>>]) -> Option<String> {
    let lower = variable.to_ascii_lowercase();
    let words: Vec<&str> = lower.split('_').filter(|word| !word.is_empty()).collect();
    if words.len() > MAX_WORDS {
        return None;
    }
    let keys = patterns.iter().filter_map(|pattern| join(&words, pattern));
    let (_, key) = keys.min()?;
    shell_name(&key)
}

/// The words as a key of this pattern, and how many of them the user chose.
fn join(words: &[&str], pattern: &[Part<'_>]) -> Option<(usize, String)> {
    let dotted = |segment: String, free: usize, rest: Option<(usize, String)>| {
        let (more, rest) = rest?;
        let dot = if rest.is_empty() { "" } else { "." };
        Some((free + more, format!("{segment}{dot}{rest}")))
    };
    match pattern {
        [] => words.is_empty().then(|| (0, String::new())),
        [Part::Word(word), rest @ ..] => {
            let parts: Vec<&str> = word.split('-').collect();
            let others = words.strip_prefix(parts.as_slice())?;
            dotted((*word).to_owned(), 0, join(others, rest))
        }
        [Part::Name(_), rest @ ..] => (1..=words.len())
            .filter_map(|count| {
                let (name, others) = words.split_at(count);
                dotted(name.join("-"), count, join(others, rest))
            })
            .min(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Key, KeyTable, MapKey};
    use crate::layers::Loader;

    static FORMAT: Key<String> = Key::optional("log.format", "how lines look");
    static EVENTS: Key<u64> = Key::optional("queue.max-events", "how many");
    static URL: Key<String> = Key::required("target.url", "where to");
    static HEADERS: MapKey = MapKey::new("target.headers", "NAME", "what else");
    static ROOT: KeyTable = &[&FORMAT, &EVENTS];
    static ROUTE: KeyTable = &[&URL, &HEADERS];

    fn warnings(variables: &[&str]) -> String {
        let diagnostics = Diagnostics::new();
        let variables = variables.iter().map(|name| (*name, "very-secret"));
        let settings = Loader::new("app").environment(variables).load(&diagnostics);
        let known = Known::new().below("app", ROOT).below("app.routes.*", ROUTE);
        settings.check_variables(&known, &diagnostics);
        assert!(!diagnostics.has_errors());
        diagnostics.to_string()
    }

    #[test]
    fn a_variable_with_the_words_of_a_key_is_warned_of() {
        assert_eq!(
            warnings(&["APP_LOG_FORMAT"]),
            "warning[bad-environment]: environment variable APP_LOG_FORMAT\n  this variable is \
             ignored: two underscores stand for each dot of a key\n  did you mean \
             APP__LOG__FORMAT?\n"
        );
        for (found, meant) in [
            ("APP_QUEUE_MAX_EVENTS", "APP__QUEUE__MAX_EVENTS"),
            ("APP_QUEUE__MAX_EVENTS", "APP__QUEUE__MAX_EVENTS"),
            ("APP_ROUTES_A_TARGET_URL", "APP__ROUTES__A__TARGET__URL"),
            (
                "APP_ROUTES_MY_A_TARGET_URL",
                "APP__ROUTES__MY_A__TARGET__URL",
            ),
            (
                "APP_ROUTES_A_TARGET_HEADERS_X",
                "APP__ROUTES__A__TARGET__HEADERS__X",
            ),
        ] {
            let said = warnings(&[found]);
            assert!(
                said.contains(&format!("did you mean {meant}?")),
                "{found}: {said}"
            );
        }
    }

    #[test]
    fn what_others_set_is_nobody_s_slip() {
        let long = format!("APP_ROUTES_{}_TARGET_URL", "A_".repeat(5000));
        let others = [
            "APP_SERVICE_HOST",
            "APP_SERVICE_PORT",
            "APP_SERVICE_PORT_HTTP",
            "APP_PORT",
            "APP_PORT_8088_TCP_ADDR",
            "APP_BIN",
            "APP_LOG",
            "APPLE_LOG_FORMAT",
            "APP_ROUTES_TARGET_URL",
            "APP__LOG__FORMAT",
            &long,
        ];
        assert_eq!(warnings(&others), "");
    }
}
