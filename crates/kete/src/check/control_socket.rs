//! What is at the place of a control socket that somebody chose: looked at, and left as it is.
//!
//! As with the data directory, what is found here may be otherwise where kete runs, so that nothing
//! of it makes the configuration wrong.

use std::path::Path;

use kete_config::{Diagnostic, Diagnostics};

/// The socket could not be made here.
const CONTROL_SOCKET: &str = "control-socket";
/// The key that names it.
const KEY: &str = "kete.control.socket";

/// Warns if there is no directory for it.
pub(super) fn judge(socket: &Path, diagnostics: &Diagnostics) {
    let Some(problem) = missing(socket) else {
        return;
    };
    let warning = Diagnostic::warning(CONTROL_SOCKET, problem)
        .key(KEY)
        .value(&socket.display().to_string())
        .help("create the directory where kete runs, or choose another path".to_owned());
    diagnostics.push(warning);
}

fn missing(socket: &Path) -> Option<String> {
    let parent = socket.parent()?;
    // A name alone is meant in the working directory.
    if parent.as_os_str().is_empty() || parent.is_dir() {
        return None;
    }
    let what = match parent.exists() {
        true => "is not a directory",
        false => "does not exist here",
    };
    Some(format!("{} {what}", parent.display()))
}
