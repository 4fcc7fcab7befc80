//! Runs all measurements, each in a process of its own, and prints the tables.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::de::DeserializeOwned;

use crate::phases::{Appended, Drained, Full, Reopened};
use crate::{Tables, disk, engine};

const BATCHES: [u64; 3] = [1, 16, 256];
/// Batches that are known to be safe before the process is killed.
const BATCHES_BEFORE_KILL: usize = 200;

/// Measures and prints, table by table.
pub(crate) fn print(directory: &Path, tables: &Tables) -> Result<()> {
    std::fs::create_dir_all(directory)?;
    let names: Vec<&str> = if tables.engine.is_empty() {
        engine::NAMES.to_vec()
    } else {
        tables.engine.iter().map(String::as_str).collect()
    };
    syncs(directory, tables, "before")?;
    appends(directory, tables, &names)?;
    syncs(directory, tables, "after")?;
    for routes in [1, 3] {
        drains(directory, tables, &names, routes)?;
    }
    crashes(directory, tables, &names)?;
    match &tables.small_disk {
        Some(small) => full_disks(small, &names)?,
        None => println!("\nThe full disk was not tried: no --small-disk."),
    }
    code(&names);
    Ok(())
}

fn syncs(directory: &Path, tables: &Tables, when: &str) -> Result<()> {
    let syncs = disk::syncs(directory, Duration::from_secs(tables.seconds))?;
    println!(
        "The disk itself {when} the appends: {:.0} syncs/s overwriting 4 KiB, {:.0} appending.",
        syncs.overwriting, syncs.appending
    );
    Ok(())
}

fn appends(directory: &Path, tables: &Tables, names: &[&str]) -> Result<()> {
    println!(
        "\n| append, events/s at a sync per | 1 | 16 | 256 | CPU µs per event at 256 \
         | written per byte at 1 | 16 | 256 | the disk at 1 | 16 | 256 | peak RSS, MiB |"
    );
    println!("|{}", "---|".repeat(12));
    let mut rounds = Vec::new();
    for _ in 0..tables.rounds {
        for name in names {
            for size in BATCHES {
                rounds.push(phase("append", name, directory, &[size, tables.seconds])?);
            }
        }
    }
    let cost = |one: &Appended| -one.figures.events_per_second;
    let chosen = best(rounds, names.len() * BATCHES.len(), cost);
    for (name, all) in names.iter().zip(chosen.chunks(BATCHES.len())) {
        let mut cells: Vec<String> = Vec::new();
        cells.extend(
            all.iter()
                .map(|one| format!("{:.0}", one.figures.events_per_second)),
        );
        cells.extend(
            all.last()
                .map(|one| format!("{:.2}", one.figures.cpu_us_per_event)),
        );
        cells.extend(
            all.iter()
                .map(|one| format!("{:.1}", one.figures.written_per_byte)),
        );
        cells.extend(all.iter().map(|one| optional(one.figures.device_per_byte)));
        cells.extend(all.iter().map(|one| one.peak_kib).max().map(mebibytes));
        row(name, &cells);
    }
    Ok(())
}

fn drains(directory: &Path, tables: &Tables, names: &[&str], routes: u64) -> Result<()> {
    println!(
        "\n| {} events to {routes} route(s) | fill, events/s | CPU µs | deliver, events/s | CPU µs \
         | the disk, per byte | MB when full | at most | when drained | after idle work \
         | which took, ms | peak RSS, MiB |",
        tables.events
    );
    println!("|{}", "---|".repeat(12));
    let mut rounds = Vec::new();
    for _ in 0..tables.rounds {
        for name in names {
            rounds.push(phase("drain", name, directory, &[tables.events, routes])?);
        }
    }
    let cost = |one: &Drained| one.filled.seconds + one.drained.seconds;
    for (name, one) in names.iter().zip(best(rounds, names.len(), cost)) {
        row(
            name,
            &[
                format!("{:.0}", one.filled.events_per_second),
                format!("{:.2}", one.filled.cpu_us_per_event),
                format!("{:.0}", one.drained.events_per_second),
                format!("{:.2}", one.drained.cpu_us_per_event),
                one.drained
                    .device_per_byte
                    .map_or("-".into(), |bytes| format!("{bytes:.3}")),
                megabytes(one.bytes_full),
                megabytes(one.bytes_peak),
                megabytes(one.bytes_drained),
                megabytes(one.bytes_idle),
                format!("{:.1}", one.idle_seconds * 1000.0),
                mebibytes(one.peak_kib),
            ],
        );
    }
    Ok(())
}

fn crashes(directory: &Path, tables: &Tables, names: &[&str]) -> Result<()> {
    println!(
        "\n| killed with {} GB | open, ms | and read and append, ms | peak RSS, MiB | GB on disk \
         | lost |",
        tables.gigabytes
    );
    println!("|{}", "---|".repeat(6));
    for name in names {
        let place = directory.join(format!("crash.{}", std::process::id()));
        std::fs::create_dir_all(&place)?;
        let reopened = crash(name, &place, tables.gigabytes);
        std::fs::remove_dir_all(&place)?;
        let cells = match reopened {
            Ok(one) => [
                format!("{:.1}", one.open_seconds * 1000.0),
                format!("{:.1}", one.ready_seconds * 1000.0),
                mebibytes(one.peak_kib),
                format!("{:.2}", one.bytes as f64 / 1e9),
                format!("none of {}", one.events),
            ],
            Err(error) => ["-", "-", "-", "-", &format!("{error:#}")].map(str::to_owned),
        };
        row(name, &cells);
    }
    Ok(())
}

/// Fills, kills while it writes, opens again.
fn crash(name: &str, place: &Path, gigabytes: u64) -> Result<Reopened> {
    let mut child = command("fill", name, place, &[gigabytes * 1_000_000_000])?
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().context("the child has no output")?;
    let mut lines = BufReader::new(output).lines();
    let mut safe = None;
    for _ in 0..BATCHES_BEFORE_KILL {
        safe = lines.next().transpose()?;
    }
    child.kill()?;
    // What it could still say is safe, too.
    while let Some(Ok(line)) = lines.next() {
        safe = Some(line);
    }
    child.wait()?;
    let safe: u64 = safe
        .context("the child ended before it was killed")?
        .parse()?;
    phase("reopen", name, place, &[safe])
}

fn full_disks(small: &Path, names: &[&str]) -> Result<()> {
    println!(
        "\n| disk full | what it says | reads then | settles then | goes on with room \
         | or after opening again | all there |"
    );
    println!("|{}", "---|".repeat(7));
    for name in names {
        let one: Full = phase("full", name, small, &[])?;
        row(
            name,
            &[
                format!("after {} events: {}", one.safe, one.error),
                one.reads,
                one.settles,
                one.goes_on,
                one.goes_on_reopened.unwrap_or_else(|| "-".to_owned()),
                one.complete,
            ],
        );
    }
    Ok(())
}

fn code(names: &[&str]) {
    println!("\n| lines of code of ours | |");
    println!("|---|---|");
    for name in names {
        let lines = engine::sources(name)
            .iter()
            .flat_map(|source| source.lines());
        let code = lines
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with("//"));
        row(name, &[code.count().to_string()]);
    }
}

/// Of measurements that were made in several rounds of the same order: for each the one with the
/// smallest cost. What else the machine does can make a round dearer, never cheaper.
fn best<T>(rounds: Vec<T>, kinds: usize, cost: impl Fn(&T) -> f64) -> Vec<T> {
    let mut columns: Vec<Vec<T>> = (0..kinds).map(|_| Vec::new()).collect();
    for (index, one) in rounds.into_iter().enumerate() {
        if let Some(column) = columns.get_mut(index % kinds) {
            column.push(one);
        }
    }
    let smallest = |column: Vec<T>| {
        column
            .into_iter()
            .min_by(|one, other| cost(one).total_cmp(&cost(other)))
    };
    columns.into_iter().filter_map(smallest).collect()
}

fn row(name: &str, cells: &[String]) {
    println!("| {name} | {} |", cells.join(" | ").replace('\n', " "));
}

fn optional(figure: Option<f64>) -> String {
    figure.map_or("-".to_owned(), |figure| format!("{figure:.1}"))
}

fn mebibytes(kib: u64) -> String {
    format!("{:.1}", kib as f64 / 1024.0)
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}

fn phase<T: DeserializeOwned>(
    phase: &str,
    name: &str,
    directory: &Path,
    numbers: &[u64],
) -> Result<T> {
    let output = command(phase, name, directory, numbers)?
        .stderr(Stdio::piped())
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().next().unwrap_or_default();
        bail!("{phase} of {name}: {}: {said}", output.status);
    }
    let line = String::from_utf8(output.stdout)?;
    ensure!(!line.is_empty(), "{phase} of {name} said nothing");
    Ok(serde_json::from_str(&line)?)
}

fn command(phase: &str, name: &str, directory: &Path, numbers: &[u64]) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["phase", phase, name]).arg(directory);
    command.args(numbers.iter().map(u64::to_string));
    Ok(command)
}
