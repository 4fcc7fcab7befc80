//! The settings of dead letters: where they are kept, how many bytes, and how long.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kete_config::{AnyKey, Key, Scope, Setting, Size};

use super::{DeadLetterSettings, Place};

/// An event is a thousand bytes or so, and a large one a hundred thousand. Where not even one of
/// these fits, the first makes its route wait for ever.
const SMALLEST: u64 = 1 << 20;

pub(crate) static DEAD_LETTERS_PATH: Key<PathBuf> = Key::optional(
    "dead-letters.path",
    "The file that takes events which cannot be delivered, one JSON object per line; older files \
     stand beside it with a number behind the name. Without it they go into kete.data-dir. Without \
     both their bodies are lost, and counted as lost",
);
pub(crate) static DEAD_LETTERS_MAX_BYTES: Key<Size> = Key::with_default(
    "dead-letters.max-bytes",
    "64MiB",
    "The most bytes that dead letters take, all files together",
);
pub(crate) static DEAD_LETTERS_MAX_AGE: Key<MaxAge> = Key::with_default(
    "dead-letters.max-age",
    "30d",
    "How long a dead letter is kept; it is deleted within a day after that. With 0 it is kept for \
     ever",
);
pub(crate) static DEAD_LETTERS_WHEN_FULL: Key<DeadLettersWhenFull> = Key::with_default(
    "dead-letters.when-full",
    "block",
    "What happens when a dead letter cannot be stored: the route waits (block)",
);

/// How long a letter is kept, if not for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MaxAge(Option<Duration>);

impl Setting for MaxAge {
    const EXPECTED: &'static str = "a duration with its unit, such as 12h, 30d or P30D, or 0";

    fn parse(text: &str) -> Result<MaxAge, String> {
        if text == "0" {
            return Ok(MaxAge(None));
        }
        let age = Duration::parse(text)?;
        Ok(MaxAge(Some(age).filter(|age| !age.is_zero())))
    }
}

/// `block`, the only answer there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DeadLettersWhenFull;

impl Setting for DeadLettersWhenFull {
    const EXPECTED: &'static str = "block";

    fn parse(text: &str) -> Result<DeadLettersWhenFull, String> {
        match text {
            "block" => Ok(DeadLettersWhenFull),
            _ => Err("there is no other answer yet".to_owned()),
        }
    }
}

impl DeadLetterSettings {
    /// Reads the keys above; `scope` is the one of `kete`. `None` if one of them is wrong, which
    /// has been reported, and `Some(None)` if dead letters are not kept.
    pub fn read(scope: &Scope<'_>, data_dir: Option<&Path>) -> Option<Option<DeadLetterSettings>> {
        let path = scope.read_optional(&DEAD_LETTERS_PATH);
        let max_bytes = scope.read(&DEAD_LETTERS_MAX_BYTES);
        let max_age = scope.read(&DEAD_LETTERS_MAX_AGE);
        let when_full = scope.read(&DEAD_LETTERS_WHEN_FULL);
        if max_bytes.is_some_and(|Size(bytes)| bytes < SMALLEST) {
            let message = "must be at least 1MiB: a route waits as long as its dead letter does \
                           not fit";
            scope.reject(DEAD_LETTERS_MAX_BYTES.name(), "out-of-range", message, None);
        }
        let (path, max_bytes, MaxAge(max_age), _block) =
            (path?, max_bytes?.0, max_age?, when_full?);
        let directory = || data_dir.map(Place::in_data_dir);
        let place = path.map(Place::File).or_else(directory);
        Some(place.map(|place| DeadLetterSettings {
            place,
            max_bytes,
            max_age,
        }))
    }
}
