//! A data directory: what survives in it, and what is refused.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::data::{AWAY, Data, PRINTED, contents, events, ids, of_route};
use super::harness::{http, run_to_end, start, start_onto, with_settings};

#[test]
fn what_waits_at_the_end_goes_on_at_the_next_start() {
    let data = Data::new();
    let ended = data.fill(&events(0, 5));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("undelivered and kept"),
        "{}",
        ended.stderr
    );
    let status = data.status(AWAY);
    assert_eq!(status["running"], false);
    let shop = of_route(&status, "shop");
    assert_eq!(
        (&shop["state"], &shop["events"]),
        (&"not-running".into(), &5.into())
    );
    let ended = run_to_end(&mut data.command(&["run"], PRINTED), &events(5, 7));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(
        ids(&ended.stdout),
        ["e0", "e1", "e2", "e3", "e4", "e5", "e6"]
    );
    assert_eq!(data.status(PRINTED)["events"], 0);
}

#[test]
fn a_kill_loses_nothing_that_was_called_safe() {
    let data = Data::new();
    let hook = [
        "kete.sources.hook.kind=webhook",
        "kete.sources.hook.bind=127.0.0.1:0",
    ];
    let mut running = start(&mut data.command(&["run"], &[AWAY, &hook].concat()));
    let line = running.wait_for("listening for events");
    let address = line.split("address=").nth(1).unwrap();
    let address = address.split_whitespace().next().unwrap();
    let body = String::from_utf8(events(0, 50)).unwrap();
    assert_eq!(http("POST", address, "/events", &body).status, 200);
    running.signal("KILL");
    running.end();
    let ended = run_to_end(&mut data.command(&["run"], PRINTED), b"");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let expected: Vec<String> = (0..50).map(|number| format!("e{number}")).collect();
    assert_eq!(ids(&ended.stdout), expected);
}

#[test]
fn the_first_line_says_where_the_queue_is_and_what_survives() {
    let data = Data::new();
    let ended = run_to_end(&mut data.command(&["run"], PRINTED), b"");
    let first = ended.stderr.lines().next().unwrap();
    let directory = format!("directory={}", data.path().display());
    assert!(
        first.contains("queue=\"disk\"") && first.contains(&directory),
        "{first}"
    );
    assert!(
        first.contains("no crash loses an event that a source was told is safe"),
        "{first}"
    );
    let never = [PRINTED, &["kete.queue.sync=never"]].concat();
    let ended = run_to_end(&mut data.command(&["run"], &never), b"");
    let first = ended.stderr.lines().next().unwrap();
    assert!(
        first.contains("a crash of kete loses nothing; one of the machine loses"),
        "{first}"
    );
}

#[test]
fn everything_in_it_is_for_its_owner_only() {
    let data = Data::new();
    fs::create_dir(data.path()).unwrap();
    fs::set_permissions(data.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let running = data.run(AWAY);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let mut directories = vec![data.path()];
    while let Some(directory) = directories.pop() {
        assert_eq!(mode(&directory), 0o700, "{}", directory.display());
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => directories.push(path),
                false => assert_eq!(mode(&path), 0o600, "{}", path.display()),
            }
        }
    }
    running.signal("TERM");
    let ended = running.end();
    assert!(
        ended.stderr.contains("was open to other users (mode 755)"),
        "{}",
        ended.stderr
    );
}

/// What `run` says of a directory that it cannot use, and that it leaves everything as it was.
fn refused(data: &Data, expected: &str) {
    let before = contents(data.folder.path());
    let ended = run_to_end(&mut data.command(&["run"], AWAY), &events(0, 1));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let last = ended.stderr.lines().last().unwrap();
    assert!(last.contains("kete cannot start: "), "{}", ended.stderr);
    assert!(last.contains(expected), "{expected} is not in {last}");
    assert_eq!(contents(data.folder.path()), before, "{expected}");
    let status = data.ask(&["queue", "status"], AWAY);
    assert_eq!(status.code, Some(1));
    assert!(status.stderr.starts_with("error: "), "{}", status.stderr);
    assert!(status.stderr.contains(expected), "{}", status.stderr);
    assert_eq!(contents(data.folder.path()), before, "{expected}");
}

#[test]
fn a_file_in_place_of_the_directory_is_refused() {
    let data = Data::new();
    fs::write(data.path(), "mine").unwrap();
    refused(
        &data,
        "is not a directory; choose another path for kete.data-dir",
    );
}

#[test]
fn a_directory_of_somebody_else_is_refused() {
    let data = Data::new();
    fs::create_dir(data.path()).unwrap();
    fs::write(data.path().join("letters.txt"), "mine").unwrap();
    refused(&data, "it holds letters.txt and no file FORMAT");
}

#[test]
fn a_directory_of_a_newer_kete_is_refused() {
    let data = Data::new();
    data.fill(&events(0, 1));
    let format = data.path().join("FORMAT");
    let text = fs::read_to_string(&format).unwrap();
    fs::write(&format, text.replace("format 1", "format 2")).unwrap();
    refused(&data, "was written by a newer kete (format 2)");
}

#[test]
fn a_format_that_says_nothing_is_refused() {
    let data = Data::new();
    data.fill(&events(0, 1));
    fs::write(data.path().join("FORMAT"), "").unwrap();
    refused(&data, "set it aside (mv ");
}

/// The files of the queue.
fn segments(data: &Data) -> Vec<PathBuf> {
    let files = contents(&data.path().join("queue"));
    files.into_iter().map(|(path, _)| path).collect()
}

#[test]
fn a_queue_that_is_damaged_is_refused_with_the_file_and_the_way_out() {
    let data = Data::new();
    data.fill(&events(0, 300));
    // What comes later says that the first was safe, so it is no end that a crash left unfinished.
    data.fill(&events(300, 301));
    let file = segments(&data).pop().unwrap();
    let mut bytes = fs::read(&file).unwrap();
    let place = bytes.len() / 3;
    bytes[place] ^= 0x55;
    fs::write(&file, bytes).unwrap();
    refused(&data, &file.display().to_string());
    let ended = data.ask(&["queue", "status"], AWAY);
    assert!(ended.stderr.contains("mv "), "{}", ended.stderr);
}

#[test]
fn a_file_of_somebody_else_in_the_queue_is_refused() {
    let data = Data::new();
    data.fill(&events(0, 1));
    fs::write(data.path().join("queue/notes.txt"), "mine").unwrap();
    refused(&data, "queue/notes.txt is not a file of the queue");
}

#[test]
fn a_half_written_end_is_cut_off_and_said() {
    let data = Data::new();
    data.fill(&events(0, 3));
    let file = segments(&data).pop().unwrap();
    let mut bytes = fs::read(&file).unwrap();
    bytes.extend([7; 11]);
    fs::write(&file, bytes).unwrap();
    // A command that only looks says so, and changes nothing.
    let asked = data.ask(&["queue", "status"], PRINTED);
    let words = "11 bytes of a half-written end in ";
    assert!(asked.stderr.contains(words), "{}", asked.stderr);
    let words = "what comes next is written over them";
    assert!(asked.stderr.contains(words), "{}", asked.stderr);
    let ended = run_to_end(&mut data.command(&["run"], PRINTED), b"");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ids(&ended.stdout), ["e0", "e1", "e2"]);
    let line = ended
        .stderr
        .lines()
        .find(|line| line.contains("half-written end"));
    assert!(
        line.is_some_and(|line| line.contains("bytes=11")),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_place_that_cannot_be_written_is_refused() {
    // Nobody can make a directory there, not even root.
    let ended = run_to_end(
        with_settings("run", &["kete.data-dir=/proc/kete"])
            .args(["--set", "kete.sources.input.kind=stdin"])
            .args(["--set", PRINTED[0]]),
        &events(0, 1),
    );
    assert_eq!((ended.code, &*ended.stdout), (Some(1), ""));
    let last = ended.stderr.lines().last().unwrap();
    let check = run_to_end(
        with_settings("check", &["kete.data-dir=/proc/kete"])
            .args(["--set", "kete.sources.input.kind=stdin"])
            .args(["--set", PRINTED[0]]),
        b"",
    );
    let words = "the system keeps no files there";
    assert!(check.stdout.contains(words), "{}", check.stdout);
    assert!(
        last.contains("kete cannot start: kete.data-dir: /proc/kete: "),
        "{last}"
    );
    assert!(last.contains("must be able to read and write"), "{last}");
}

#[test]
fn without_space_nothing_is_taken_and_what_is_there_is_delivered() {
    let data = Data::new();
    data.fill(&events(0, 3));
    let reserved = [PRINTED, &["kete.queue.reserve-free=1000TiB"]].concat();
    let mut running = data.run(&reserved);
    running.send(&events(3, 5));
    let line = running.wait_for("kete.queue.reserve-free");
    assert!(line.contains("are to stay free"), "{line}");
    running.signal("TERM");
    let ended = running.end();
    assert_eq!(ids(&ended.stdout), ["e0", "e1", "e2"]);
    // What could not be written is not called kept.
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let said = "undelivered and kept only as far as it was safe";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
}

#[test]
fn a_directory_without_a_parent_is_refused() {
    let data = Data::new();
    let missing = data.path().join("below");
    let mut run = data.command(&["run"], AWAY);
    run.args(["--set", &format!("kete.data-dir={}", missing.display())]);
    let ended = run_to_end(&mut run, b"");
    assert_eq!(ended.code, Some(1));
    let last = ended.stderr.lines().last().unwrap();
    let expected = format!(
        "the directory {} does not exist; create it",
        data.path().display()
    );
    assert!(last.contains(&expected), "{last}");
    assert!(!data.path().exists());
}

#[test]
fn check_says_what_is_there_and_changes_nothing() {
    let data = Data::new();
    let shown = |expected: &str| {
        let ended = data.ask(&["check"], AWAY);
        assert_eq!(ended.code, Some(0), "{}", ended.stdout);
        let line = format!("  data directory       {}\n", data.path().display());
        assert!(ended.stdout.contains(&line), "{}", ended.stdout);
        assert!(
            ended.stdout.contains(expected),
            "{expected}: {}",
            ended.stdout
        );
    };
    shown(" will be made");
    assert!(!data.path().exists());
    let running = data.run(AWAY);
    shown(" in use by process ");
    running.signal("TERM");
    running.end();
    let before = contents(&data.path());
    shown(" there, and free");
    assert_eq!(contents(&data.path()), before);
    fs::remove_dir_all(data.path()).unwrap();
    fs::write(data.path(), "mine").unwrap();
    shown("warning[data-directory]: kete.data-dir = ");
}

#[test]
fn a_second_signal_loses_nothing_that_is_on_disk() {
    let data = Data::new();
    // More than a pipe holds that nobody reads: a stop has to wait for it.
    let padding = "x".repeat(200_000);
    let large = format!(
        "{{\"id\":\"e0\",\"time\":1,\"type\":\"LOGIN\",\"realmName\":\"demo\",\
         \"details\":{{\"p\":\"{padding}\"}}}}\n"
    );
    let (mut output, input) = std::io::pipe().unwrap();
    let mut running = start_onto(&mut data.command(&["run"], PRINTED), input.into());
    running.send(large.as_bytes());
    output.read_exact(&mut [0]).unwrap();
    running.signal("TERM");
    running.wait_for("asked to stop");
    running.signal("TERM");
    let ended = running.end();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let last = ended.stderr.lines().last().unwrap();
    assert!(last.contains("what was safe is on disk"), "{last}");
    let ended = run_to_end(&mut data.command(&["run"], PRINTED), b"");
    assert_eq!(ids(&ended.stdout), ["e0"]);
}

#[test]
fn letters_that_a_path_of_their_own_hides_are_named_once() {
    let data = Data::new();
    let path = data.folder.path().join("own.ndjson");
    let own = format!("kete.dead-letters.path={}", path.display());
    let settings = [PRINTED, &[&own[..]]].concat();
    let hidden = "dead letters from before kete.dead-letters.path was set";
    let ended = run_to_end(&mut data.command(&["run"], &settings), b"");
    assert!(!ended.stderr.contains(hidden), "{}", ended.stderr);
    fs::write(data.path().join("dead-letters/dead-letters.ndjson"), "{}\n").unwrap();
    let ended = run_to_end(&mut data.command(&["run"], &settings), b"");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches(hidden).count(), 1, "{}", ended.stderr);
}

#[test]
fn a_control_socket_without_a_directory_is_refused_with_the_way_out() {
    let data = Data::new();
    let missing = data.folder.path().join("missing");
    let socket = format!("kete.control.socket={}/c.sock", missing.display());
    let settings = [PRINTED, &[&socket[..]]].concat();
    let ended = run_to_end(&mut data.command(&["run"], &settings), b"");
    assert_eq!(ended.code, Some(1));
    let last = ended.stderr.lines().last().unwrap();
    let expected = format!("there is no directory {}; create it", missing.display());
    assert!(last.contains(&expected), "{last}");
    assert!(!last.contains("os error"), "{last}");
}
