//! Deleting dead letters for good, when that is really meant.

use kete_pipeline::dead_letters::Filter;
use serde::Serialize;

use super::access::Letters;
use super::options::PurgeOptions;
use super::{Failure, Said, in_format, letters as counted, say_others};
use crate::exit::Exit;

/// What was deleted, as programs read it.
#[derive(Serialize)]
struct Purged {
    deleted: u64,
}

/// Deletes them, or says how many would go.
pub(super) async fn purge(
    letters: &Letters<'_>,
    options: &PurgeOptions,
    filter: Filter,
) -> Result<Said, Failure> {
    if !options.yes {
        let total = letters.list(filter.clone(), 0).await?.total;
        if total > 0 {
            return Err(Failure::Refused(format!(
                "{} would be deleted for good; if that is meant, add --yes",
                counted(total)
            )));
        }
    }
    let removed = letters.remove(filter).await?;
    say_others(&removed.others);
    let purged = Purged {
        deleted: removed.letters,
    };
    let text = in_format(options.data.options.format, &purged, || {
        match purged.deleted {
            0 => "there are no such dead letters\n".to_owned(),
            deleted => format!("{} deleted\n", counted(deleted)),
        }
    });
    let exit = Exit::Fine;
    Ok(Said { text, exit })
}
