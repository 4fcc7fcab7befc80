//! Where a value was written.
//!
//! Every value keeps its origin from the moment it is read, so that a mistake found much later
//! still names the file and line to open. An origin never holds the value itself.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The place a value came from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The default that the key's declaration states.
    Default,
    /// A properties file.
    File {
        /// The path as it was given on the command line.
        path: Arc<Path>,
        /// The line, from 1, on which the entry begins. 0 means the file as a whole.
        line: u32,
    },
    /// An environment variable.
    Environment {
        /// The variable's own name, which may be the shell form of the key.
        name: Arc<str>,
    },
    /// A `--set KEY=VALUE` on the command line.
    Set,
}

impl Origin {
    /// The order in which diagnostics are listed: files by path and line, then the environment,
    /// the command line, defaults.
    pub(crate) fn rank(&self) -> (u8, PathBuf, u32) {
        match self {
            Origin::File { path, line } => (0, path.to_path_buf(), *line),
            Origin::Environment { name } => (1, PathBuf::from(&**name), 0),
            Origin::Set => (2, PathBuf::new(), 0),
            Origin::Default => (3, PathBuf::new(), 0),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => formatter.write_str("default"),
            Origin::File { path, line: 0 } => write!(formatter, "{}", path.display()),
            Origin::File { path, line } => write!(formatter, "{}:{line}", path.display()),
            Origin::Environment { name } => write!(formatter, "environment variable {name}"),
            Origin::Set => formatter.write_str("--set"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(line: u32) -> Origin {
        Origin::File {
            path: Path::new("conf/kete.properties").into(),
            line,
        }
    }

    #[test]
    fn an_origin_reads_like_the_place_to_open() {
        assert_eq!(file(12).to_string(), "conf/kete.properties:12");
        assert_eq!(file(0).to_string(), "conf/kete.properties");
        let variable = Origin::Environment {
            name: "KETE__A".into(),
        };
        assert_eq!(variable.to_string(), "environment variable KETE__A");
        assert_eq!(Origin::Set.to_string(), "--set");
        assert_eq!(Origin::Default.to_string(), "default");
    }

    #[test]
    fn files_come_before_the_environment_and_lines_count_as_numbers() {
        let variable = Origin::Environment { name: "A".into() };
        let mut origins = [
            Origin::Default,
            Origin::Set,
            variable.clone(),
            file(10),
            file(9),
        ];
        origins.sort_by_key(Origin::rank);
        assert_eq!(
            origins,
            [file(9), file(10), variable, Origin::Set, Origin::Default]
        );
    }
}
