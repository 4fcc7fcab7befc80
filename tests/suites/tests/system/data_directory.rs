//! A data directory that kete cannot or must not use is refused before anything is accepted, with
//! its path and the way out, and nothing in it is changed. A tail that a crash tore is no such
//! thing: it is cut and reported.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use kete_suites::{
    Home, Kete, Sample, Server, arrived, body, check_delivery, check_each_once, from_webhook,
    generate, to_socketio, unused_port,
};

const USERS: u64 = 10;
const BODY: usize = 20;

/// Keeps several files in the queue, so that not all of them are the newest.
const SMALL_QUEUE: &str = "kete.queue.max-bytes=4MiB\n";

#[tokio::test]
async fn a_file_in_place_of_the_directory_is_refused() -> Result<()> {
    let home = Home::new()?;
    fs::write(home.data(), "something")?;
    is_refused(&home, &[], &["not a directory"]).await?;
    ensure!(
        fs::read(home.data())? == b"something",
        "the file was changed"
    );
    Ok(())
}

#[tokio::test]
async fn a_directory_of_somebody_else_is_refused() -> Result<()> {
    let home = Home::new()?;
    fs::create_dir(home.data())?;
    fs::write(home.data().join("notes.txt"), "of somebody else")?;
    unchanged(&home, &["not a data directory of kete", "empty"]).await
}

#[tokio::test]
async fn a_directory_of_a_newer_kete_is_refused() -> Result<()> {
    let home = used().await?;
    let format = home.data().join("FORMAT");
    let newer = fs::read_to_string(&format)?.replace("format 1", "format 7");
    ensure!(newer.contains("format 7"), "the format reads {newer}");
    fs::write(&format, newer)?;
    unchanged(&home, &["newer", "7"]).await
}

/// Not even the superuser can make a directory here.
#[tokio::test]
async fn a_directory_that_cannot_be_made_is_refused() -> Result<()> {
    let home = Home::new()?;
    let nowhere = "/proc/kete-data";
    let line = format!("kete.data-dir={nowhere}\n");
    says(&home, &[line], &[nowhere]).await
}

#[tokio::test]
async fn a_directory_whose_parent_is_missing_is_refused() -> Result<()> {
    let home = Home::new()?;
    let nowhere = home.path().join("missing/data").display().to_string();
    says(&home, &[format!("kete.data-dir={nowhere}\n")], &[&nowhere]).await
}

#[tokio::test]
async fn a_directory_with_a_file_where_the_queue_belongs_is_refused() -> Result<()> {
    let home = used().await?;
    fs::remove_dir_all(home.data().join("queue"))?;
    fs::write(home.data().join("queue"), "something")?;
    unchanged(&home, &["queue"]).await
}

#[tokio::test]
async fn a_queue_whose_oldest_file_is_damaged_is_refused() -> Result<()> {
    let home = used().await?;
    let oldest = oldest_file(&home)?;
    let mut bytes = fs::read(&oldest)?;
    bytes[..64].fill(0x2a);
    fs::write(&oldest, bytes)?;
    unchanged(&home, &[&oldest.display().to_string(), "damaged"]).await
}

#[tokio::test]
async fn a_second_process_is_refused_and_the_first_is_not_disturbed() -> Result<()> {
    let home = Home::new()?;
    let server = Server::node().start().await?;
    let configuration = [from_webhook(&[]), to_socketio("all", &server.url(), &[])];
    let mut first = home.run(&configuration).await?;
    let process = first.process_id().to_string();
    is_refused(&home, &[], &["in use", &process]).await?;

    let events = generate(71, USERS, 200);
    post_all(&first, &events).await?;
    first.drained(&["all"]).await?;
    check_delivery(&events, &server.arrivals().await?)?;
    first.stop().await?;
    Ok(())
}

#[tokio::test]
async fn the_directory_and_its_files_are_for_their_owner_only() -> Result<()> {
    let home = used().await?;
    let mut wide = Vec::new();
    let mut left = vec![home.data()];
    while let Some(path) = left.pop() {
        let kept = fs::symlink_metadata(&path)?;
        if kept.permissions().mode() & 0o077 != 0 {
            wide.push(path.clone());
        }
        if kept.is_dir() {
            for entry in fs::read_dir(&path)? {
                left.push(entry?.path());
            }
        }
    }
    ensure!(wide.is_empty(), "others may read {wide:?}");
    Ok(())
}

/// As after a power failure: the newest file ends in the middle of something.
#[tokio::test]
async fn a_torn_tail_is_cut_and_reported_and_all_before_it_is_delivered() -> Result<()> {
    let events = generate(72, USERS, 2_000);
    let home = Home::new()?;
    let port = unused_port()?;
    let configuration = to_nobody(port);
    let mut kete = home.run(&configuration).await?;
    post_all(&kete, &events).await?;
    kete.kill().await?;
    let torn = newest_file(&home)?;
    let length = torn.metadata()?.len();
    fs::File::options()
        .write(true)
        .open(&torn)?
        .set_len(length - length / 3)?;

    let kete = home.run(&configuration).await?;
    let name = torn.display().to_string();
    ensure!(kete.log_text().contains(&name), "nothing is said of {name}");
    let server = Server::node().start_on(port).await?;
    kete.drained(&["all"]).await?;
    let arrivals = server.arrivals().await?;
    let whole = arrived(&arrivals).len();
    ensure!(
        whole.is_multiple_of(BODY),
        "{whole} events arrived: a body was cut in two"
    );
    ensure!(whole < events.len(), "nothing was cut");
    check_delivery(&events[..whole], &arrivals)?;
    check_each_once(&arrivals)?;

    post_all(&kete, &events[whole..]).await?;
    kete.drained(&["all"]).await?;
    check_delivery(&events, &server.arrivals().await?)
}

/// Damage is found at the start, or when the events are read; what is stored is never made up.
#[tokio::test]
async fn a_damaged_middle_is_named_and_nothing_wrong_is_delivered() -> Result<()> {
    let events = generate(73, USERS, 3_000);
    let home = Home::new()?;
    let port = unused_port()?;
    let configuration = to_nobody(port);
    let mut kete = home.run(&configuration).await?;
    post_all(&kete, &events).await?;
    kete.kill().await?;
    let damaged = oldest_file(&home)?;
    ensure!(
        damaged != newest_file(&home)?,
        "the queue has one file only"
    );
    let mut bytes = fs::read(&damaged)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(&damaged, bytes)?;

    let server = Server::node().start_on(port).await?;
    let name = damaged.display().to_string();
    let mut kete = home.launch(&configuration)?;
    kete.wait_for_words(&[&name, "damaged"]).await?;
    kete.kill().await.or_else(|_| anyhow::Ok(()))?;
    let arrivals = server.arrivals().await?;
    let whole = arrived(&arrivals).len();
    ensure!(whole < events.len(), "the damage was passed over");
    check_delivery(&events[..whole], &arrivals)
}

/// A home whose queue has several files with events that nobody took yet.
async fn used() -> Result<Home> {
    let home = Home::new()?;
    let mut kete = home.run(&to_nobody(unused_port()?)).await?;
    post_all(&kete, &generate(70, USERS, 2_000)).await?;
    kete.stop().await?;
    Ok(home)
}

fn to_nobody(port: u16) -> [String; 3] {
    let url = format!("http://127.0.0.1:{port}");
    let route = to_socketio("all", &url, &[]);
    [from_webhook(&[]), route, SMALL_QUEUE.to_owned()]
}

async fn post_all(kete: &Kete, events: &[Sample]) -> Result<()> {
    for part in events.chunks(BODY) {
        let status = kete.post(body(part)).await?;
        ensure!(status.is_success(), "the webhook answers {status}");
    }
    Ok(())
}

/// It is refused, and every byte below it stays as it is.
async fn unchanged(home: &Home, words: &[&str]) -> Result<()> {
    let before = home.contents()?;
    is_refused(home, &[], words).await?;
    let after = home.contents()?;
    let changed = differences(&before, &after);
    ensure!(changed.is_empty(), "changed: {changed:?}");
    Ok(())
}

async fn is_refused(home: &Home, more: &[String], words: &[&str]) -> Result<()> {
    let data = home.data().display().to_string();
    says(home, more, &[&[data.as_str()], words].concat()).await
}

/// kete ends before it takes events, with a message that has all of these words.
async fn says(home: &Home, more: &[String], words: &[&str]) -> Result<()> {
    let configuration = [&to_nobody(unused_port()?)[..], more].concat();
    let mut kete = home.launch(&configuration)?;
    let ended = kete.ended().await?;
    let said = kete.log_text();
    ensure!(ended.code != 0, "it ended with success:\n{said}");
    let missing: Vec<&&str> = words.iter().filter(|word| !said.contains(**word)).collect();
    ensure!(missing.is_empty(), "{missing:?} is not in:\n{said}");
    let listened = ended.log.iter().any(|line| line.text("source") == "hook");
    ensure!(!listened, "it took events before:\n{said}");
    Ok(())
}

fn differences<'f>(
    before: &'f BTreeMap<PathBuf, Vec<u8>>,
    after: &'f BTreeMap<PathBuf, Vec<u8>>,
) -> Vec<&'f Path> {
    let all = before.keys().chain(after.keys());
    let mut changed: Vec<&Path> = all
        .filter(|path| before.get(*path) != after.get(*path))
        .map(PathBuf::as_path)
        .collect();
    changed.dedup();
    changed
}

fn oldest_file(home: &Home) -> Result<PathBuf> {
    home.queue_files()?
        .into_iter()
        .next()
        .context("no files in the queue")
}

fn newest_file(home: &Home) -> Result<PathBuf> {
    home.queue_files()?
        .into_iter()
        .next_back()
        .context("no files in the queue")
}
