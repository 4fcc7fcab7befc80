//! Whole dead letters, one JSON object per line, on standard output or in a file.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use kete_pipeline::dead_letters::Filter;
use tempfile::NamedTempFile;

use super::access::Letters;
use super::options::ExportOptions;
use super::{Failure, Said, letters as counted, say_others};
use crate::exit::Exit;
use crate::output;

/// Writes the letters that are meant.
pub(super) async fn export(
    letters: &Letters<'_>,
    options: &ExportOptions,
    filter: Filter,
) -> Result<Said, Failure> {
    let exported = match &options.output {
        None => to_stdout(letters, &filter).await?,
        Some(path) => into_file(letters, &filter, path).await?,
    };
    output::to_stderr(&format!("{} exported\n", counted(exported)));
    Ok(Said {
        text: String::new(),
        exit: Exit::Fine,
    })
}

async fn to_stdout(letters: &Letters<'_>, filter: &Filter) -> Result<u64, Failure> {
    let mut stdout = BufWriter::new(io::stdout());
    let failed = |problem: io::Error| Failure::Unread(output::cannot_write(&problem));
    write(letters, filter, &mut stdout, failed).await
}

/// The file has its name only when it is complete; it is for its owner alone from the beginning.
async fn into_file(letters: &Letters<'_>, filter: &Filter, path: &Path) -> Result<u64, Failure> {
    let failed = |problem| Failure::Write {
        path: path.to_owned(),
        problem,
    };
    if path.symlink_metadata().is_ok() {
        return Err(taken(path));
    }
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    let file = NamedTempFile::new_in(directory).map_err(|error| no_file(path, directory, error))?;
    let mut writer = BufWriter::new(file);
    let exported = write(letters, filter, &mut writer, failed).await?;
    let file = writer.into_inner();
    let file = file.map_err(|error| failed(error.into_error()))?;
    file.as_file().sync_all().map_err(failed)?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(exported),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Err(taken(path)),
        Err(error) => Err(failed(error.error)),
    }
}

/// Says why there can be no file, without the name that it would have had until it is complete.
fn no_file(path: &Path, directory: &Path, error: io::Error) -> Failure {
    let directory = directory.display();
    let words = match error.kind() {
        io::ErrorKind::NotFound => {
            format!("the directory {directory} does not exist; create it, or name a file elsewhere")
        }
        io::ErrorKind::NotADirectory => {
            format!("{directory} is not a directory; name a file elsewhere")
        }
        io::ErrorKind::PermissionDenied => format!(
            "this user may not write into {directory}; name a file elsewhere, or leave --output out"
        ),
        _ => error.raw_os_error().map_or_else(
            || error.to_string(),
            |code| io::Error::from_raw_os_error(code).to_string(),
        ),
    };
    let problem = io::Error::new(error.kind(), words);
    Failure::Write {
        path: path.to_owned(),
        problem,
    }
}

fn taken(path: &Path) -> Failure {
    let path: PathBuf = path.to_owned();
    let problem = io::Error::new(
        io::ErrorKind::AlreadyExists,
        "it is there already, and is left alone; name another file",
    );
    Failure::Write { path, problem }
}

async fn write(
    letters: &Letters<'_>,
    filter: &Filter,
    writer: &mut impl Write,
    failed: impl Fn(io::Error) -> Failure,
) -> Result<u64, Failure> {
    let (mut after, mut exported) = (Some(0), 0);
    while let Some(number) = after {
        let slice = letters.slice(filter, number).await?;
        for letter in &slice.letters {
            serde_json::to_writer(&mut *writer, letter).map_err(|error| failed(error.into()))?;
            writer.write_all(b"\n").map_err(&failed)?;
        }
        exported += slice.letters.len() as u64;
        after = slice.next;
        if after.is_none() {
            say_others(&slice.others);
        }
    }
    writer.flush().map_err(failed)?;
    Ok(exported)
}
