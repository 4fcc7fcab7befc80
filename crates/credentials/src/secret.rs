//! Text that must not be shown, and where settings keep it.

use std::fmt;
use std::path::PathBuf;

use kete_config::{AnyKey, Key, Scope, code};
use zeroize::Zeroizing;

use crate::codes;
use crate::files::{self, FileError};

/// A secret. It can be used, and prints as `(hidden)`. Its memory is overwritten when it goes;
/// that of copies made by the libraries that send it is not.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Hides a text.
    #[must_use]
    pub fn new(text: String) -> Secret {
        Secret(Zeroizing::new(text))
    }

    /// Hides a text without the one line break at its end, which editors and `echo` add. `None` if
    /// nothing is left.
    #[must_use]
    pub fn of_line(text: String) -> Option<Secret> {
        let text = Zeroizing::new(text);
        let line = match text.strip_suffix('\n') {
            Some(line) => line.strip_suffix('\r').unwrap_or(line),
            None => &text,
        };
        (!line.is_empty()).then(|| Secret::new(line.to_owned()))
    }

    /// The text itself, for where it is needed.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(hidden)")
    }
}

/// A secret as settings give it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretText {
    /// The secret itself.
    Given(Secret),
    /// A file that holds it, and nothing else but a line break at its end. It is read whenever the
    /// secret is needed, because whoever put it there may replace it.
    File(PathBuf),
}

impl SecretText {
    /// Reads a pair of keys, of which one may be set: the secret, or the file that it is in. The
    /// file has to be readable now. `None` if diagnostics say what is wrong, `Some(None)` if
    /// neither is set.
    pub(crate) fn read(
        scope: &Scope<'_>,
        given: &Key<String>,
        file: &Key<PathBuf>,
    ) -> Option<Option<SecretText>> {
        let secret = scope.read_optional(given);
        let path = scope.read_optional(file);
        match (secret?, path?) {
            (Some(_), Some(_)) => {
                let given = given.name();
                let message = format!("{given} is set as well, and only one of them can count");
                let help = "leave one of them out".to_owned();
                scope.reject(file.name(), codes::CONTRADICTION, message, help);
                None
            }
            (Some(secret), None) => Some(Some(SecretText::Given(Secret::new(secret)))),
            (None, None) => Some(None),
            (None, Some(path)) => match files::read_secret(&path) {
                Ok(_) => Some(Some(SecretText::File(path))),
                Err(error) => {
                    let (message, help) = (error.to_string(), error.help());
                    scope.reject(file.name(), code::UNREADABLE_FILE, message, help);
                    None
                }
            },
        }
    }

    /// The secret. Reads the file if there is one, so not for where blocking hurts.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is empty.
    pub(crate) fn reveal(&self) -> Result<Secret, FileError> {
        match self {
            SecretText::Given(secret) => Ok(secret.clone()),
            SecretText::File(path) => files::read_secret(path),
        }
    }
}
