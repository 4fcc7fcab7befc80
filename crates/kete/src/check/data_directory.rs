//! What is at the data directory now: looked at, and left as it is.
//!
//! A configuration may be checked on another machine than the one it is for. So nothing that is
//! found here makes it wrong, and a directory that is missing is not even a warning.

use std::path::Path;

use kete_config::{Diagnostic, Diagnostics};
use kete_queue::{DataDirectory, Found};
use rustix::fs::statfs;

/// The data directory could not be used as it is.
const DATA_DIRECTORY: &str = "data-directory";
/// The key that names it.
const KEY: &str = "kete.data-dir";

/// File systems that do not outlast what events must outlast, by the numbers that `statfs` tells
/// (linux/magic.h).
const FLEETING: [(u64, &str); 5] = [
    (0x9fa0, NO_FILES),
    (0x6265_6572, NO_FILES),
    (0x0102_1994, IN_MEMORY),
    (0x8584_58f6, IN_MEMORY),
    (
        0x794c_7630,
        "in the layer of a container, and goes with it: use a volume",
    ),
];
const NO_FILES: &str = "but the system keeps no files there (proc or sysfs): choose another path";
const IN_MEMORY: &str = "in memory (tmpfs): does not survive a restart of the machine";

/// What is there, in a few words; what is wrong with it is added to the diagnostics.
pub(super) fn found(directory: &Path, diagnostics: &Diagnostics) -> String {
    let words = match DataDirectory::look(directory) {
        Ok(Found::Nothing) => "will be made".to_owned(),
        Ok(Found::Empty) => "empty".to_owned(),
        Ok(Found::Free) => "there, and free".to_owned(),
        Ok(Found::InUse(user)) => format!("in use by {user}"),
        Err(problem) if !directory.exists() => format!("cannot be made here: {problem}"),
        Err(problem) => {
            warn(diagnostics, directory, &problem.to_string());
            "cannot be used here".to_owned()
        }
    };
    match fleeting(directory) {
        Some(remark) => format!("{words}; {remark}"),
        None => words,
    }
}

/// Where it cannot be told, nothing is said.
fn fleeting(directory: &Path) -> Option<&'static str> {
    let there = directory.ancestors().find(|ancestor| ancestor.exists())?;
    let kind = statfs(there).ok()?.f_type as u64 & 0xffff_ffff;
    let known = FLEETING.iter().find(|(number, _)| *number == kind);
    known.map(|(_, remark)| *remark)
}

fn warn(diagnostics: &Diagnostics, directory: &Path, problem: &str) {
    let warning = Diagnostic::warning(DATA_DIRECTORY, problem)
        .key(KEY)
        .value(&directory.display().to_string());
    diagnostics.push(warning);
}
