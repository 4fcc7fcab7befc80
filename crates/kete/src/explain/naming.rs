//! Which source the events would come from, as far as that matters: a source can name realms.
//!
//! Nothing is guessed. Where several sources could be meant and none was chosen, no names are
//! given to any event, and a note on standard error says so.

use kete_sources::CheckedSource;

use crate::assemble::Configuration;
use crate::output;

/// The command line names a source that there is not.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnknownSource {
    /// There are others.
    #[error("--source {wanted}: there is no such source; there is {}", there_is.join(", "))]
    Other {
        wanted: String,
        there_is: Vec<String>,
    },
    /// There are none.
    #[error("--source {0}: there is no source at all; leave the option out")]
    NoneAtAll(String),
}

/// The source whose names of realms count; `wanted` is what the command line says.
pub(super) fn source<'c>(
    configuration: &'c Configuration,
    wanted: Option<&str>,
) -> Result<Option<&'c CheckedSource>, UnknownSource> {
    let mut sources = configuration.sources.iter().map(|shown| &shown.source);
    if let Some(wanted) = wanted {
        let found = sources.clone().find(|source| source.name == wanted);
        let wanted = || wanted.to_owned();
        let there_is: Vec<String> = sources.map(|source| source.name.clone()).collect();
        return match found {
            Some(source) => Ok(Some(source)),
            None if there_is.is_empty() => Err(UnknownSource::NoneAtAll(wanted())),
            None => Err(UnknownSource::Other {
                wanted: wanted(),
                there_is,
            }),
        };
    }
    let naming: Vec<&CheckedSource> = sources
        .by_ref()
        .filter(|source| !source.realm_names.is_empty())
        .collect();
    if let [_, _, ..] = naming.as_slice() {
        let names: Vec<&str> = naming.iter().map(|source| &*source.name).collect();
        output::to_stderr(&format!(
            "note: the sources {} each name realms, so none of their names are given to events \
             without one; --source chooses one\n",
            names.join(", ")
        ));
    }
    Ok(naming.first().filter(|_| naming.len() == 1).copied())
}
