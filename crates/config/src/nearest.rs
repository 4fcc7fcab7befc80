//! The name that somebody probably meant.
//!
//! A wrong suggestion costs more than none, so every difference has a price and only cheap
//! repairs are offered: letter case and punctuation, a few typing slips, a word cut short, a level
//! of the key left out or added, a dot for a hyphen. Where two answers that are more than a slip
//! away are equally good, there is no answer.

/// The price of a difference in letter case or punctuation only.
const SPELLING: u32 = 1;
/// The price of each typing slip.
const SLIP: u32 = 2;
/// The price of a dot for a hyphen or the other way round.
const JOIN: u32 = 2;
/// The price of a word cut short or gone on too long.
const BEGINNING: u32 = 3;
/// The price of leaving out or adding one level.
const LEVEL: u32 = 4;
/// What a suggestion may cost.
const LIMIT: u32 = 2 * LEVEL;

/// The word nearest to the one given, if any is near enough to be what was meant.
///
/// ```
/// assert_eq!(kete_config::nearest("webhok", ["stdin", "webhook"]), Some("webhook"));
/// assert_eq!(kete_config::nearest("kafka", ["stdin", "webhook"]), None);
/// ```
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .filter_map(|candidate| difference(word, candidate).map(|price| (price, candidate)))
        .min()
        .map(|(_, candidate)| candidate)
}

/// One segment of a key as it may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// This word.
    Word(&'a str),
    /// A name that the user chooses; as the last part it may contain dots.
    Name(&'a str),
}

/// The full key nearest to the one given, with the user's own names kept.
pub(crate) fn nearest_key(key: &str, patterns: &[Vec<Part<'_>>]) -> Option<String> {
    let segments: Vec<&str> = key.split('.').collect();
    let mut search = Search::default();
    for pattern in patterns {
        search.walk(&segments, pattern, 0);
    }
    let (price, best) = search.best?;
    (price < BEGINNING || !search.tied).then_some(best)
}

#[derive(Default)]
struct Search {
    built: Vec<String>,
    best: Option<(u32, String)>,
    tied: bool,
}

impl Search {
    /// Tries every cheap way to turn the rest of the key into the rest of the pattern. Each step
    /// consumes a part of the pattern or pays, so the depth is bounded whatever the key is.
    fn walk(&mut self, found: &[&str], pattern: &[Part<'_>], price: u32) {
        let limit = self.best.as_ref().map_or(LIMIT, |(price, _)| *price);
        if price > limit {
            return;
        }
        match pattern {
            [] if found.is_empty() => self.offer(price),
            [] => {}
            [Part::Name(_)] if found.is_empty() => {}
            [Part::Name(_)] => self.take(found.join("."), &[], &[], price),
            [Part::Name(name), rest @ ..] => {
                if let [first, others @ ..] = found {
                    self.take((*first).to_owned(), others, rest, price);
                }
                self.take(format!("<{name}>"), found, rest, price + LEVEL);
            }
            [Part::Word(word), rest @ ..] => self.walk_word(word, found, rest, price),
        }
        if let ([_, others @ ..], [Part::Word(_), ..]) = (found, pattern)
            && !others.is_empty()
        {
            self.walk(others, pattern, price + LEVEL);
        }
    }

    fn walk_word(&mut self, word: &str, found: &[&str], rest: &[Part<'_>], price: u32) {
        if let [first, others @ ..] = found {
            if let Some(difference) = difference(first, word) {
                self.take(word.to_owned(), others, rest, price + difference);
            }
            if let [Part::Word(next), rest @ ..] = rest
                && is_spelling(first, &[word, next].concat())
            {
                self.take(format!("{word}.{next}"), others, rest, price + JOIN);
            }
        }
        if let [first, second, others @ ..] = found
            && is_spelling(&[*first, *second].concat(), word)
        {
            self.take(word.to_owned(), others, rest, price + JOIN);
        }
        // A leaf is what was meant, and the owner of names is what gives them their meaning.
        if let [Part::Word(_), ..] = rest {
            self.take(word.to_owned(), found, rest, price + LEVEL);
        }
    }

    fn take(&mut self, part: String, found: &[&str], rest: &[Part<'_>], price: u32) {
        self.built.push(part);
        self.walk(found, rest, price);
        self.built.pop();
    }

    fn offer(&mut self, price: u32) {
        let offered = self.built.join(".");
        match &self.best {
            Some((best, text)) if (*best, text) == (price, &offered) => {}
            Some((best, text)) if *best == price => {
                self.tied = true;
                if offered < *text {
                    self.best = Some((price, offered));
                }
            }
            _ => {
                self.best = Some((price, offered));
                self.tied = false;
            }
        }
    }
}

/// What it costs to take one word for the other; `None` if they have little in common.
fn difference(found: &str, word: &str) -> Option<u32> {
    if found == word {
        return Some(0);
    }
    if is_spelling(found, word) {
        return Some(SPELLING);
    }
    let (found, length) = (found.to_ascii_lowercase(), word.chars().count());
    if found.len().min(word.len()) > 2 && (found.starts_with(word) || word.starts_with(&found)) {
        return Some(BEGINNING);
    }
    let allowed = (length / 3).clamp(1, 3);
    // Keeps the quadratic comparison away from texts that are long on purpose.
    if length < 2 || found.len().abs_diff(word.len()) > 4 * allowed {
        return None;
    }
    let slips = strsim::damerau_levenshtein(&found, word);
    (slips <= allowed).then(|| u32::try_from(slips).unwrap_or(LIMIT) * SLIP)
}

/// Whether the words differ in letter case, hyphens and underscores only.
fn is_spelling(found: &str, word: &str) -> bool {
    fn letters(text: &str) -> impl Iterator<Item = char> + '_ {
        text.chars()
            .filter(|character| !['-', '_'].contains(character))
    }
    letters(found)
        .map(|character| character.to_ascii_lowercase())
        .eq(letters(word).map(|character| character.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns() -> Vec<Vec<Part<'static>>> {
        [
            "app.log.level",
            "app.log.format",
            "app.max-events",
            "app.max-bytes",
            "app.routes.*.enabled",
            "app.routes.*.retry.max-attempts",
            "app.routes.*.serializer.kind",
            "app.routes.*.target.kind",
            "app.routes.*.target.url",
            "app.routes.*.target.event-name",
            "app.routes.*.target.confirm",
            "app.routes.*.target.confirm.timeout",
            "app.routes.*.target.headers.*",
        ]
        .into_iter()
        .map(|pattern| {
            let part = |part| {
                if part == "*" {
                    Part::Name("name")
                } else {
                    Part::Word(part)
                }
            };
            pattern.split('.').map(part).collect()
        })
        .collect()
    }

    fn check(cases: &[(&str, &str)]) {
        for (found, meant) in cases {
            let nearest = nearest_key(found, &patterns());
            assert_eq!(nearest.as_deref(), Some(*meant), "{found}");
        }
    }

    #[test]
    fn a_slip_or_another_notation_is_seen_through() {
        check(&[
            // Slips.
            (
                "app.routes.shop.target.evnt-name",
                "app.routes.shop.target.event-name",
            ),
            (
                "app.routes.shop.taget.evnt-name",
                "app.routes.shop.target.event-name",
            ),
            ("app.routes.shop.target.ulr", "app.routes.shop.target.url"),
            ("ap.routes.shop.enabled", "app.routes.shop.enabled"),
            ("app.route.shop.enable", "app.routes.shop.enabled"),
            ("app.lgo.level", "app.log.level"),
            // Words cut short or gone on too long.
            (
                "app.routes.shop.target.event",
                "app.routes.shop.target.event-name",
            ),
            ("app.log.formatting", "app.log.format"),
            // Letter case and punctuation.
            ("app.routes.shop.Enabled", "app.routes.shop.enabled"),
            ("APP.ROUTES.shop.ENABLED", "app.routes.shop.enabled"),
            (
                "app.routes.shop.target.eventName",
                "app.routes.shop.target.event-name",
            ),
            (
                "app.routes.shop.target.event_name",
                "app.routes.shop.target.event-name",
            ),
        ]);
    }

    #[test]
    fn a_key_at_the_wrong_level_finds_its_place() {
        check(&[
            // A dot for a hyphen and back.
            (
                "app.routes.shop.target.event.name",
                "app.routes.shop.target.event-name",
            ),
            (
                "app.routes.shop.target.confirm-timeout",
                "app.routes.shop.target.confirm.timeout",
            ),
            (
                "app.routes.shop.retry-max-attempts",
                "app.routes.shop.retry.max-attempts",
            ),
            // A level too few, too many, or another one.
            (
                "app.routes.shop.event-name",
                "app.routes.shop.target.event-name",
            ),
            (
                "app.routes.shop.max-attempts",
                "app.routes.shop.retry.max-attempts",
            ),
            ("app.routes.shop.target.enabled", "app.routes.shop.enabled"),
            (
                "app.routes.shop.target.retry.max-attempts",
                "app.routes.shop.retry.max-attempts",
            ),
            (
                "app.routes.shop.serializer.event-name",
                "app.routes.shop.target.event-name",
            ),
            ("routes.shop.target.url", "app.routes.shop.target.url"),
            (
                "app.routes.event-name",
                "app.routes.<name>.target.event-name",
            ),
            // Names of the user's own are kept.
            (
                "app.routes.shop.target.header.X-Key",
                "app.routes.shop.target.headers.X-Key",
            ),
            (
                "app.routes.shop.target.header.a.b",
                "app.routes.shop.target.headers.a.b",
            ),
            (
                "app.routes.shop.headers.X-Key",
                "app.routes.shop.target.headers.X-Key",
            ),
        ]);
    }

    #[test]
    fn nothing_is_suggested_when_nothing_is_near() {
        let patterns = patterns();
        for found in [
            "app.routes.shop.colour",
            "app.routes.shop.target.colour",
            "server.port",
            "app",
            "x",
            "",
            // Both serializer.kind and target.kind are as far away.
            "app.routes.shop.kind",
            // Both max-events and max-bytes begin so.
            "app.max",
            "app.routes.shop.target.headers",
        ] {
            assert_eq!(nearest_key(found, &patterns), None, "{found}");
        }
        assert_eq!(nearest_key("app.routes.shop.enabled", &[]), None);
    }

    #[test]
    fn a_monstrous_key_is_no_problem() {
        let patterns = patterns();
        assert_eq!(nearest_key(&".x".repeat(200_000), &patterns), None);
        assert_eq!(nearest_key(&"x".repeat(2_000_000), &patterns), None);
    }

    #[test]
    fn words() {
        let kinds = ["ack", "barrier", "written"];
        assert_eq!(nearest("barier", kinds), Some("barrier"));
        assert_eq!(nearest("akc", kinds), Some("ack"));
        assert_eq!(nearest("BARRIER", kinds), Some("barrier"));
        assert_eq!(nearest("bar", kinds), Some("barrier"));
        for far in ["", "x", "ba", "none"] {
            assert_eq!(nearest(far, kinds), None, "{far}");
        }
        assert_eq!(nearest("b", ["a", "c"]), None);
    }
}
