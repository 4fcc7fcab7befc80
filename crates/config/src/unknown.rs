//! Judges the keys that nobody declared.
//!
//! Every key that is set must be known to a table, because a slip that is ignored is found in
//! production. The check sees all tables at once, so that a key put a level too high still finds
//! its right name. It never shows a value: that of an unknown key may be a misspelt secret.

use crate::code;
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::key::{AnyKey, KeyTable, Status};
use crate::layers::Settings;
use crate::nearest::{Part, nearest_key};

/// Beyond this many unknown keys the file is of another kind, and searching for names is wasted.
const MAX_SUGGESTIONS: usize = 100;

/// What an unknown key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownKeys {
    /// An error.
    #[default]
    Error,
    /// A warning.
    Warn,
}

crate::setting_words!(UnknownKeys { Error = "error", Warn = "warn" });

/// All keys that there are: tables, and the sections in which they stand.
#[derive(Default)]
pub struct Known {
    mounts: Vec<Mount>,
}

/// A table and the segments of its section.
struct Mount {
    section: Vec<Segment>,
    table: KeyTable,
}

enum Segment {
    Word(String),
    Any,
}

impl Known {
    /// Knows nothing yet.
    pub fn new() -> Known {
        Known::default()
    }

    /// Adds a table in a section such as `app.routes.*`, where `*` stands for one segment that
    /// the user chooses. Several tables may stand in one section.
    pub fn below(self, section: &str, table: KeyTable) -> Known {
        let segment = |segment: &str| match segment {
            "*" => Segment::Any,
            word => Segment::Word(word.to_owned()),
        };
        let section = section
            .split('.')
            .filter(|part| !part.is_empty())
            .map(segment)
            .collect();
        self.mount(section, table)
    }

    /// Adds a table in a section in whose name a `*` is just that.
    pub(crate) fn below_exactly(self, section: &str, table: KeyTable) -> Known {
        let words = section.split('.').filter(|part| !part.is_empty());
        let section = words.map(|word| Segment::Word(word.to_owned())).collect();
        self.mount(section, table)
    }

    fn mount(mut self, section: Vec<Segment>, table: KeyTable) -> Known {
        self.mounts.push(Mount { section, table });
        self
    }

    /// What the tables say about a key: the best of all answers, `None` if there is none.
    fn status(&self, key: &str) -> Option<Status> {
        let rank = |status: &Status| match status {
            Status::Active => 0,
            Status::NotYet(_) => 1,
            Status::Unused(_) => 2,
            Status::Section => 3,
        };
        let mut answers: Vec<Status> = Vec::new();
        for mount in &self.mounts {
            let Some(relative) = mount.relative(key) else {
                continue;
            };
            let matching = mount
                .table
                .iter()
                .filter(|declared| declared.matches(relative));
            answers.extend(matching.filter_map(|declared| match declared.status() {
                Status::Section if self.judges(mount, *declared, key) => None,
                status => Some(status),
            }));
        }
        answers.into_iter().min_by_key(rank)
    }

    /// Whether a table of the section's own, or of one below it, is there to judge the key.
    fn judges(&self, owner: &Mount, section: &dyn AnyKey, key: &str) -> bool {
        let depth = owner.section.len() + section.name().split('.').count();
        let mut deeper = self
            .mounts
            .iter()
            .filter(|mount| mount.section.len() >= depth);
        deeper.any(|mount| mount.relative(key).is_some())
    }

    /// Every key that can be set.
    pub(crate) fn patterns(&self) -> Vec<Vec<Part<'_>>> {
        self.declared(|status| matches!(status, Status::Active))
    }

    /// The names of all declarations of the wanted kinds, each with its section.
    fn declared(&self, wanted: fn(&Status) -> bool) -> Vec<Vec<Part<'_>>> {
        let mut patterns = Vec::new();
        for mount in &self.mounts {
            for declared in mount
                .table
                .iter()
                .filter(|declared| wanted(&declared.status()))
            {
                let section = mount.section.iter().map(Segment::part);
                let words = declared.name().split('.').map(Part::Word);
                let free = declared.placeholder().map(Part::Name);
                patterns.push(section.chain(words).chain(free).collect());
            }
        }
        patterns
    }
}

impl Mount {
    /// The rest of a key that stands in this section.
    fn relative<'k>(&self, key: &'k str) -> Option<&'k str> {
        let mut rest = key;
        for segment in &self.section {
            let (first, others) = rest.split_once('.')?;
            if !segment.accepts(first) {
                return None;
            }
            rest = others;
        }
        Some(rest)
    }
}

impl Segment {
    fn accepts(&self, found: &str) -> bool {
        match self {
            Segment::Word(word) => word == found,
            Segment::Any => true,
        }
    }

    fn part(&self) -> Part<'_> {
        match self {
            Segment::Word(word) => Part::Word(word),
            Segment::Any => Part::Name("name"),
        }
    }
}

impl Settings {
    /// Judges every key that is set: unknown ones are an error or a warning, as
    /// [`Settings::set_unknown_keys`] says, with the nearest valid name; so are keys that mean
    /// nothing here or cannot be used yet. Ask once, with all tables.
    pub fn check_unknown(&self, known: &Known, diagnostics: &Diagnostics) {
        self.check_unknown_below("", known, diagnostics);
    }

    pub(crate) fn check_unknown_below(
        &self,
        prefix: &str,
        known: &Known,
        diagnostics: &Diagnostics,
    ) {
        let check = Check::new(self, known);
        let mut searches = 0;
        for (key, value) in self.below(prefix) {
            let problem = match known.status(key) {
                Some(Status::Active | Status::Section) => continue,
                Some(Status::Unused(why)) => {
                    Diagnostic::warning(code::UNUSED_KEY, "this key has no effect here")
                        .help(why.to_owned())
                }
                Some(Status::NotYet(way_out)) => {
                    Diagnostic::error(code::NOT_YET, "this cannot be used yet")
                        .help(way_out.to_owned())
                }
                None => {
                    searches += 1;
                    check.unknown(key, searches <= MAX_SUGGESTIONS)
                }
            };
            diagnostics.push(problem.key(key).at(value.origin.clone()));
        }
    }
}

struct Check<'a> {
    settings: &'a Settings,
    known: &'a Known,
    /// Every key that can be set.
    patterns: Vec<Vec<Part<'a>>>,
    /// These, and those that cannot be set yet.
    below_sections: Vec<Vec<Part<'a>>>,
}

impl<'a> Check<'a> {
    fn new(settings: &'a Settings, known: &'a Known) -> Check<'a> {
        let patterns = known.patterns();
        let below_sections = known.declared(|status| !matches!(status, Status::Unused(_)));
        Check {
            settings,
            known,
            patterns,
            below_sections,
        }
    }

    fn unknown(&self, key: &str, search: bool) -> Diagnostic {
        let severity = match self.settings.unknown_keys() {
            UnknownKeys::Error => Severity::Error,
            UnknownKeys::Warn => Severity::Warning,
        };
        if let Some(example) = self.section_example(key) {
            let message = "this is the name of a section and cannot have a value itself";
            let help = format!("its keys stand below it, such as {example}");
            return Diagnostic::new(severity, code::SECTION_AS_VALUE, message).help(help);
        }
        let diagnostic = Diagnostic::new(severity, code::UNKNOWN_KEY, "there is no such key");
        if let Some(value) = self.value_above(key) {
            return diagnostic.help(format!("{value} is a key, so nothing can stand below it"));
        }
        let meant = if search {
            nearest_key(key, &self.patterns)
        } else {
            None
        };
        diagnostic.help(meant.map(|meant| format!("did you mean {meant}?")))
    }

    /// A key that can stand below this one, if it is the name of a section.
    fn section_example(&self, key: &str) -> Option<String> {
        let found: Vec<&str> = key.split('.').collect();
        let is_section_of = |pattern: &[Part<'_>]| {
            pattern.len() > found.len()
                && pattern.iter().zip(&found).all(|(part, found)| match part {
                    Part::Word(word) => word == found,
                    Part::Name(_) => true,
                })
        };
        let pattern = self
            .below_sections
            .iter()
            .find(|pattern| is_section_of(pattern))?;
        let rest = pattern[found.len()..].iter().map(|part| match part {
            Part::Word(word) => format!(".{word}"),
            Part::Name(name) => format!(".<{name}>"),
        });
        Some(rest.fold(key.to_owned(), |example, part| example + &part))
    }

    /// The key with a value of its own that this one stands below.
    fn value_above<'k>(&self, key: &'k str) -> Option<&'k str> {
        let dots = key.match_indices('.').map(|(dot, _)| &key[..dot]);
        dots.take(self.deepest())
            .find(|above| self.known.status(above) == Some(Status::Active))
    }

    fn deepest(&self) -> usize {
        self.patterns.iter().map(Vec::len).max().unwrap_or(0)
    }
}
