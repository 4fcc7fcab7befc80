//! The settings of the pipeline as they are written, and what the page about them says.

use std::path::PathBuf;

use kete_config::{Diagnostics, Loader, Status, table_mistakes};

use kete_queue::{Retain, Sync};

use super::*;

/// Reads these lines; what is found is printed as people see it.
fn read(lines: &[&str]) -> (Option<PipelineSettings>, String) {
    let diagnostics = Diagnostics::new();
    let loader = Loader::new("kete");
    let loader = lines
        .iter()
        .fold(loader, |loader, line| loader.set(format!("kete.{line}")));
    let settings = loader.load(&diagnostics);
    let read = PipelineSettings::read(&settings.scope("kete", &diagnostics));
    (read, diagnostics.to_string())
}

/// The settings of lines with which nothing is wrong.
fn right(lines: &[&str]) -> PipelineSettings {
    let (settings, printed) = read(lines);
    assert_eq!(printed, "", "{lines:?}");
    settings.unwrap()
}

#[test]
fn the_table_is_well_formed() {
    assert_eq!(table_mistakes(PIPELINE_KEYS), Vec::<String>::new());
}

#[test]
fn the_page_about_configuration_says_what_the_table_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    let page = std::fs::read_to_string(path).unwrap().replace('`', "");
    let active = PIPELINE_KEYS.iter();
    for key in active.filter(|key| key.status() == Status::Active) {
        let (doc, default) = match key.doc().split_once(". Default: ") {
            Some(parts) => parts,
            None => (key.doc(), key.default().unwrap_or("–")),
        };
        let first = doc[..1].to_lowercase();
        let row = format!(
            "| kete.{} | {default} | {first}{} |",
            key.written(),
            &doc[1..]
        );
        assert!(page.lines().any(|line| line == row), "missing: {row}");
    }
}

#[test]
fn without_a_data_directory_everything_is_in_memory_and_small() {
    let settings = right(&[]);
    assert_eq!(settings.storage, None);
    let bounds = (settings.queue.max_events, settings.queue.max_bytes);
    assert_eq!(bounds, (20_000, 16 << 20));
}

#[test]
fn a_blank_data_directory_is_no_queue_in_memory() {
    for lines in [&["data-dir="][..], &["data-dir=  ", "queue.sync=never"]] {
        let (settings, printed) = read(lines);
        assert_eq!(settings, None, "{lines:?}");
        assert!(printed.contains("kete.data-dir is blank"), "{printed}");
        assert!(printed.contains("name a directory, or leave the key out"));
        // What it would mean in memory is not said: nobody wanted that.
        assert_eq!(printed.matches("error[").count(), 1, "{printed}");
    }
}

#[test]
fn a_data_directory_brings_larger_bounds_and_syncs_always() {
    let settings = right(&["data-dir=/var/lib/kete"]);
    let bounds = (settings.queue.max_events, settings.queue.max_bytes);
    assert_eq!(bounds, (1_000_000, 1 << 30));
    assert_eq!(
        settings.storage,
        Some(StorageSettings {
            directory: PathBuf::from("/var/lib/kete"),
            sync: Sync::Always,
            reserve_free: 64 << 20,
            retain: None,
        })
    );
}

#[test]
fn a_relative_data_directory_is_meant_from_the_working_directory() {
    let storage = right(&["data-dir=state/kete"]).storage.unwrap();
    let expected = std::env::current_dir().unwrap().join("state/kete");
    assert_eq!(storage.directory, expected);
}

#[test]
fn bounds_that_are_set_win_over_both_defaults() {
    for lines in [&["data-dir=x"][..], &[]] {
        let mut lines = lines.to_vec();
        lines.extend(["queue.max-events=7", "queue.max-bytes=4MiB"]);
        let limits = right(&lines).queue;
        assert_eq!((limits.max_events, limits.max_bytes), (7, 4 << 20));
    }
}

#[test]
fn every_way_to_sync() {
    let sync = |lines: &[&str]| {
        let mut all = vec!["data-dir=x"];
        all.extend(lines);
        right(&all).storage.unwrap().sync
    };
    assert_eq!(sync(&["queue.sync=ALWAYS"]), Sync::Always);
    assert_eq!(sync(&["queue.sync=never"]), Sync::Never);
    let second = Duration::from_secs(1);
    assert_eq!(sync(&["queue.sync=interval"]), Sync::Interval(second));
    assert_eq!(
        sync(&["queue.sync=interval", "queue.sync-interval=50ms"]),
        Sync::Interval(Duration::from_millis(50))
    );
}

#[test]
fn every_way_to_retain() {
    let (hour, bytes) = (Duration::from_secs(3_600), 2 << 20);
    for (text, age, bytes) in [
        ("1h", Some(hour), None),
        ("2MiB", None, Some(bytes)),
        ("1h,2MiB", Some(hour), Some(bytes)),
        (" 2mib , 60m", Some(hour), Some(bytes)),
        ("2097152b", None, Some(bytes)),
    ] {
        let settings = right(&["data-dir=x", &format!("queue.retain={text}")]);
        let expected = Some(Retain { age, bytes });
        assert_eq!(settings.storage.unwrap().retain, expected, "{text}");
    }
    let off = right(&["data-dir=x", "queue.retain=off"]);
    assert_eq!(off.storage.unwrap().retain, None);
}

#[test]
fn what_cannot_be_retained_is_refused() {
    for (text, why) in [
        ("", "it, or a part of it, is blank"),
        ("1h,", "it, or a part of it, is blank"),
        ("1h,2h", "it has two durations or two sizes"),
        ("1MiB,1GiB", "it has two durations or two sizes"),
        ("0", "it is zero\n  to keep nothing: off"),
        ("1h,0", "it is zero"),
        ("0s", "it is zero\n  to keep nothing: off"),
        ("0B", "it is zero"),
        ("60", "it has no unit"),
        ("all", "it does not begin with a number"),
    ] {
        let (settings, printed) = read(&["data-dir=x", &format!("queue.retain={text}")]);
        assert_eq!(settings, None, "{text}");
        assert!(
            printed.contains(&format!("but {why}\n")),
            "{text}: {printed}"
        );
    }
}

#[test]
fn keys_of_the_disk_need_a_data_directory_and_each_says_so() {
    let lines = [
        "queue.sync=always",
        "queue.sync-interval=1s",
        "queue.reserve-free=1MiB",
        "queue.retain=off",
    ];
    let (settings, printed) = read(&lines);
    assert_eq!(settings, None);
    assert_eq!(
        printed.matches("error[needs-data-dir]").count(),
        lines.len(),
        "{printed}"
    );
    assert!(printed.contains("add kete.data-dir=/var/lib/kete, or leave this key out\n"));
}

#[test]
fn a_bound_too_small_for_the_disk_is_fine_in_memory() {
    let (settings, printed) = read(&["data-dir=x", "queue.max-bytes=4095KiB"]);
    // What is rejected keeps kete from running, whatever else could be read.
    assert!(
        settings.is_some() && printed.contains("must be at least 4MiB"),
        "{printed}"
    );
    assert_eq!(
        right(&["queue.max-bytes=4095KiB"]).queue.max_bytes,
        4095 << 10
    );
    // And a mistake beside it does not turn the disk into memory.
    let (_, printed) = read(&["data-dir=x", "queue.sync=x", "queue.max-bytes=1MiB"]);
    assert!(printed.contains("must be at least 4MiB"), "{printed}");
}

#[test]
fn what_changes_nothing_is_a_warning() {
    let (settings, printed) = read(&["data-dir=x", "queue.sync-interval=2s"]);
    assert!(settings.is_some());
    assert!(printed.starts_with("warning[no-effect]: --set: kete.queue.sync-interval"));
    let (settings, printed) = read(&["data-dir=x", "queue.retain=1h,1GiB"]);
    assert!(settings.is_some());
    assert!(
        printed.starts_with("warning[no-effect]: --set: kete.queue.retain"),
        "{printed}"
    );
    right(&["data-dir=x", "queue.retain=1023MiB"]);
}

#[test]
fn an_interval_that_nobody_would_wait_for_is_refused() {
    let long = [
        "data-dir=x",
        "queue.sync=interval",
        "queue.sync-interval=31s",
    ];
    let (settings, printed) = read(&long);
    assert_eq!(settings, None);
    assert!(printed.contains("must be at most 30s"), "{printed}");
}
