//! Several matchers and how their answers are put together.
//!
//! `any` needs one matcher that says yes, `all` needs every one, and no matchers at all accept
//! everything. A blank or missing text is never accepted. [`MatchSet::decide`] also says why, for
//! `kete explain`; [`MatchSet::accepts`] is the same decision without the words.

use std::fmt;

use kete_config::{Setting, parse_word};
use kete_event::Metadata;

use crate::matcher::{Matcher, Verdict};

/// How the answers of several matchers become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MatchMode {
    /// One matcher that accepts is enough.
    #[default]
    Any,
    /// Every matcher has to accept.
    All,
}

impl Setting for MatchMode {
    const EXPECTED: &'static str = "one of: any, all";
    const BLANK_IS_ABSENT: bool = true;

    fn parse(text: &str) -> Result<MatchMode, String> {
        parse_word(text, &["any", "all"]).map(|index| {
            if index == 0 {
                MatchMode::Any
            } else {
                MatchMode::All
            }
        })
    }
}

/// The matchers of one kind of text, with the mode that combines them.
#[derive(Debug, Default)]
pub struct MatchSet {
    mode: MatchMode,
    matchers: Vec<Matcher>,
}

/// What a [`MatchSet`] decided about one text, and why.
#[derive(Debug, Clone, Copy)]
pub struct Decision<'m> {
    /// The decision.
    pub accepted: bool,
    /// The one matcher that decided, where it was one.
    pub by: Option<&'m Matcher>,
    /// Why.
    pub reason: Reason,
}

/// Why a [`MatchSet`] decided as it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The text is missing or blank, which is never accepted.
    Blank,
    /// There are no matchers, which accepts everything.
    NoMatchers,
    /// Mode `any`: this matcher was the first to accept.
    Accepted,
    /// Mode `any`: none accepted.
    NoneAccepted,
    /// Mode `all`: all accepted.
    AllAccepted,
    /// Mode `all`: this matcher was the first that did not accept.
    Refused,
    /// This matcher's expression ran out of steps, and nothing else decided.
    GaveUp,
}

impl MatchSet {
    /// The set of these matchers. Their order decides only which one is named in a [`Decision`].
    pub fn new(mode: MatchMode, matchers: Vec<Matcher>) -> MatchSet {
        MatchSet { mode, matchers }
    }

    /// The set without matchers, which accepts everything that is not blank.
    pub fn everything() -> MatchSet {
        MatchSet::default()
    }

    /// How the answers are combined.
    pub fn mode(&self) -> MatchMode {
        self.mode
    }

    /// The matchers, in the order in which they are asked.
    pub fn matchers(&self) -> &[Matcher] {
        &self.matchers
    }

    /// Whether the set accepts `text`.
    pub fn accepts(&self, text: Option<&str>) -> bool {
        self.decide(text).accepted
    }

    /// Whether the set accepts `text`, and what decided.
    pub fn decide(&self, text: Option<&str>) -> Decision<'_> {
        let Some(text) = text.filter(|text| !text.trim().is_empty()) else {
            return Decision {
                accepted: false,
                by: None,
                reason: Reason::Blank,
            };
        };
        if self.matchers.is_empty() {
            return Decision {
                accepted: true,
                by: None,
                reason: Reason::NoMatchers,
            };
        }
        match self.mode {
            MatchMode::Any => self.any(text),
            MatchMode::All => self.all(text),
        }
    }

    /// How many times a matcher could not judge a text within its step limit since the start.
    pub fn gave_up(&self) -> u64 {
        self.matchers.iter().map(Matcher::gave_up).sum()
    }

    fn any(&self, text: &str) -> Decision<'_> {
        let mut decision = Decision {
            accepted: false,
            by: None,
            reason: Reason::NoneAccepted,
        };
        for matcher in &self.matchers {
            match matcher.judge(text) {
                Verdict::Accepts => {
                    return Decision {
                        accepted: true,
                        by: Some(matcher),
                        reason: Reason::Accepted,
                    };
                }
                Verdict::GaveUp => {
                    decision.by = Some(matcher);
                    decision.reason = Reason::GaveUp;
                }
                Verdict::Refuses => {}
            }
        }
        decision
    }

    fn all(&self, text: &str) -> Decision<'_> {
        for matcher in &self.matchers {
            let reason = match matcher.judge(text) {
                Verdict::Accepts => continue,
                Verdict::Refuses => Reason::Refused,
                Verdict::GaveUp => Reason::GaveUp,
            };
            return Decision {
                accepted: false,
                by: Some(matcher),
                reason,
            };
        }
        Decision {
            accepted: true,
            by: None,
            reason: Reason::AllAccepted,
        }
    }
}

/// One phrase that fits after a colon, such as `accepted by logins=glob:LOGIN*`.
impl fmt::Display for Decision<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self.reason {
            Reason::Blank => "refused, because it is blank",
            Reason::NoMatchers => "accepted, because there are no matchers",
            Reason::Accepted => "accepted by",
            Reason::NoneAccepted => "refused, because no matcher accepts it",
            Reason::AllAccepted => "accepted by every matcher",
            Reason::Refused => "refused by",
            Reason::GaveUp => "refused, because it took too many steps to judge it with",
        };
        formatter.write_str(words)?;
        match self.by {
            Some(matcher) => write!(formatter, " {}={matcher}", matcher.id()),
            None => Ok(()),
        }
    }
}

/// Which events a route takes: its realm matchers and its event matchers, both of which decide.
#[derive(Debug, Default)]
pub struct RouteRules {
    /// Judges the realm's name.
    pub realm: MatchSet,
    /// Judges the event type: `LOGIN_ERROR`, or `USER_CREATE` for an admin event.
    pub event: MatchSet,
}

/// Why a route takes an event or does not.
#[derive(Debug, Clone, Copy)]
pub struct Explanation<'m> {
    /// What the realm matchers decided.
    pub realm: Decision<'m>,
    /// What the event matchers decided.
    pub event: Decision<'m>,
}

impl RouteRules {
    /// Whether the route takes the event: its realm and its type have to be accepted.
    pub fn accepts(&self, metadata: &Metadata) -> bool {
        self.realm.accepts(metadata.realm.as_deref())
            && self.event.accepts(Some(&metadata.event_type))
    }

    /// Both decisions with their reasons.
    pub fn explain(&self, metadata: &Metadata) -> Explanation<'_> {
        Explanation {
            realm: self.realm.decide(metadata.realm.as_deref()),
            event: self.event.decide(Some(&metadata.event_type)),
        }
    }

    /// The only realm whose events the route takes, as it is written; `None` if there may be others.
    pub fn only_realm(&self) -> Option<String> {
        let mut literals = self.realm.matchers().iter().map(Matcher::literal);
        match self.realm.mode() {
            MatchMode::All => literals.flatten().next(),
            MatchMode::Any => {
                let first = literals.next()??;
                let same = |other: Option<String>| {
                    other.is_some_and(|other| other.eq_ignore_ascii_case(&first))
                };
                literals.all(same).then_some(first)
            }
        }
    }

    /// How many times a matcher ran out of steps since the start; see [`MatchSet::gave_up`].
    pub fn gave_up(&self) -> u64 {
        self.realm.gave_up() + self.event.gave_up()
    }
}

impl Explanation<'_> {
    /// Whether the route takes the event.
    pub fn accepted(&self) -> bool {
        self.realm.accepted && self.event.accepted
    }
}

/// `realm: …; event type: …`
impl fmt::Display for Explanation<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "realm: {}; event type: {}",
            self.realm, self.event
        )
    }
}

#[cfg(test)]
mod tests;
