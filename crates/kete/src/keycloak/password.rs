//! The administrator's password: from a file, from standard input or from the environment, and
//! never from the command line, which everybody on the machine can read.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use kete_credentials::Secret;

/// Where the password stands if no file is named.
const VARIABLE: &str = "KETE_ADMIN_PASSWORD";

/// No password is larger, in bytes.
const LARGEST: u64 = 64 * 1024;

/// Reads the password.
///
/// # Errors
///
/// There is none; the text completes "error: …".
pub(super) fn read(file: Option<&Path>) -> Result<Secret, String> {
    match file {
        Some(path) if path == Path::new("-") => {
            from(io::stdin().lock()).map_err(|problem| format!("standard input {problem}"))
        }
        Some(path) => {
            let text = File::open(path)
                .map_err(|error| format!("cannot be read: {error}"))
                .and_then(from);
            text.map_err(|problem| format!("--admin-password-file {} {problem}", path.display()))
        }
        None => from_environment(),
    }
}

fn from_environment() -> Result<Secret, String> {
    match std::env::var(VARIABLE) {
        Ok(password) if !password.is_empty() => Ok(Secret::new(password)),
        Err(std::env::VarError::NotUnicode(_)) => Err(format!("{VARIABLE} is not UTF-8")),
        _ => Err(format!(
            "the password of --admin-user is missing: name a file that holds it with \
             --admin-password-file (- for standard input), or set the environment variable \
             {VARIABLE}"
        )),
    }
}

/// The text without the line break at its end.
fn from(reader: impl Read) -> Result<Secret, String> {
    let mut text = String::new();
    let mut bounded = reader.take(LARGEST + 1);
    bounded
        .read_to_string(&mut text)
        .map_err(|error| format!("cannot be read: {error}"))?;
    if bounded.limit() == 0 {
        return Err(format!("holds more than {LARGEST} bytes"));
    }
    Secret::of_line(text).ok_or_else(|| "holds no password".to_owned())
}
