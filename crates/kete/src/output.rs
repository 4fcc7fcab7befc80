//! What commands print: diagnostics for people and for programs.
//!
//! What was asked for goes to standard output, everything else to standard error, so that both can
//! be piped. A reader that has gone away is no failure. The JSON names are a format that others
//! rely on: they are added to, never changed.

use std::io::{self, Write};

use kete_config::{Diagnostic, Diagnostics, Origin};
use serde::Serialize;

use crate::cli::Format;
use crate::exit::Exit;

/// One diagnostic as programs read it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Finding {
    /// `error` or `warning`.
    severity: &'static str,
    /// A short stable name for this kind of mistake.
    code: &'static str,
    /// The file it stands in, if it stands in one.
    file: Option<String>,
    /// The line in that file, from 1.
    line: Option<u32>,
    /// The place in words, for files too.
    place: Option<String>,
    /// The full dotted key.
    key: Option<String>,
    /// The value found, if it may be shown.
    value: Option<String>,
    /// What is wrong, and what was expected.
    message: String,
    /// What to do about it.
    help: Option<String>,
}

/// All diagnostics as programs read them.
#[derive(Debug, Serialize)]
pub(crate) struct Findings {
    /// How many errors there are.
    errors: usize,
    /// How many warnings there are.
    warnings: usize,
    /// All of them, sorted by place.
    diagnostics: Vec<Finding>,
}

impl From<&Diagnostics> for Findings {
    fn from(diagnostics: &Diagnostics) -> Findings {
        Findings {
            errors: diagnostics.errors(),
            warnings: diagnostics.warnings(),
            diagnostics: diagnostics.iter().map(Finding::from).collect(),
        }
    }
}

impl From<Diagnostic> for Finding {
    fn from(diagnostic: Diagnostic) -> Finding {
        let (file, line) = match &diagnostic.origin {
            Some(Origin::File { path, line }) => (
                Some(path.display().to_string()),
                Some(*line).filter(|line| *line > 0),
            ),
            _ => (None, None),
        };
        Finding {
            severity: diagnostic.severity.as_str(),
            code: diagnostic.code,
            file,
            line,
            place: diagnostic.origin.as_ref().map(Origin::to_string),
            key: diagnostic.key,
            value: diagnostic.value,
            message: diagnostic.message,
            help: diagnostic.help,
        }
    }
}

/// Prints a wrong configuration to standard error, in the format that was asked for.
pub(crate) fn report_wrong(diagnostics: &Diagnostics, format: Format) -> Exit {
    let text = match format {
        Format::Human => format!("{diagnostics}{}\n", diagnostics.summary()),
        Format::Json => json(&Findings::from(diagnostics)),
    };
    to_stderr(&text);
    Exit::Wrong
}

/// Prints the warnings of a configuration that can be used to standard error.
pub(crate) fn report_warnings(diagnostics: &Diagnostics) {
    if !diagnostics.is_empty() {
        to_stderr(&diagnostics.to_string());
    }
}

/// A value as a JSON document for a file or a pipe.
pub(crate) fn json(value: &impl Serialize) -> String {
    // Our own types hold nothing that JSON cannot: no map keys but text, no bytes.
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

/// Prints an answer to standard output; `exit` holds unless it cannot be written.
pub(crate) fn answer(text: &str, exit: Exit) -> Exit {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) => cannot_write(&error),
        Ok(()) => exit,
    }
}

/// What a failure to write to standard output means.
pub(crate) fn cannot_write(error: &io::Error) -> Exit {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Exit::Fine;
    }
    to_stderr(&format!(
        "error: standard output cannot be written: {error}\n"
    ));
    Exit::Failed
}

/// Prints to standard error; there is no other place to say that this failed.
pub(crate) fn to_stderr(text: &str) {
    let _nowhere_else = io::stderr().lock().write_all(text.as_bytes());
}
