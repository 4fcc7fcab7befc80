//! How a command ended. These numbers are the whole vocabulary; scripts rely on them.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything is fine.
    Fine,
    /// Something could not be done; the last lines on standard error say what.
    Failed,
    /// The command line or the configuration is wrong; nothing was started.
    Wrong,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Fine => 0,
            Exit::Failed => 1,
            Exit::Wrong => 2,
        })
    }
}
