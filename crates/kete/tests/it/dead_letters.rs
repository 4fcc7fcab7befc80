//! `kete dead-letters`, against a kete that runs and against the files it has left.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::harness::{Ended, Running, kete, run_to_end, start};

/// A route that can send nothing without a name for the event, so that it gives such events up.
const NAMELESS: &str = "\
kete.routes.shop.destination.kind=socketio
kete.routes.shop.destination.url=http://127.0.0.1:9
kete.routes.shop.destination.event-name={{ details.room }}
";

/// The same route, which sends everything now.
const PRINTING: &str = "kete.routes.shop.destination.kind=stdout\n";

/// Longer than any test has to wait.
const DEADLINE: Duration = Duration::from_secs(30);

/// Where kete runs in a test, and what it leaves there.
struct Home {
    directory: tempfile::TempDir,
}

impl Home {
    /// The lines stand beside a source; dead letters and a control socket are in a data directory
    /// or, if the lines name none, in files of their own.
    fn new(lines: &str) -> Home {
        let directory = tempfile::tempdir().unwrap();
        let home = Home { directory };
        home.configure(lines);
        home
    }

    fn configure(&self, lines: &str) {
        let places = match lines.contains("kete.data-dir") {
            true => "",
            false => "kete.dead-letters.path=dead.ndjson\nkete.control.socket=kete.sock\n",
        };
        let text = format!("kete.sources.input.kind=stdin\n{places}{lines}");
        fs::write(self.path("kete.properties"), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, words: &str) -> Command {
        let mut command = kete();
        command.current_dir(self.directory.path());
        command.args(words.split_whitespace());
        command.args(["--config", "kete.properties"]);
        command
    }

    /// A kete that takes events.
    fn run(&self) -> Running {
        let mut running = start(&mut self.command("run"));
        running.wait_for("ready: events are taken");
        running
    }

    /// A kete that has given these events up.
    fn with_letters(lines: &str, ids: &[&str]) -> (Home, Running) {
        let home = Home::new(lines);
        let mut running = home.run();
        for id in ids {
            running.send(login(id).as_bytes());
            running.wait_for("event given up");
        }
        (home, running)
    }

    fn dead_letters(&self, words: &str) -> Ended {
        run_to_end(&mut self.command(&format!("dead-letters {words}")), b"")
    }

    /// As programs read them.
    fn listed(&self) -> Vec<Value> {
        let ended = self.dead_letters("list --format json");
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let listing: Value = serde_json::from_str(&ended.stdout).unwrap();
        listing["letters"].as_array().unwrap().clone()
    }

    /// Asks until the numbers are as expected.
    fn wait_for(&self, expected: impl Fn(&[u64]) -> bool) {
        let until = Instant::now() + DEADLINE;
        loop {
            let numbers = self.numbers();
            if expected(&numbers) {
                return;
            }
            assert!(Instant::now() < until, "so far there are {numbers:?}");
        }
    }

    fn numbers(&self) -> Vec<u64> {
        let listed = self.listed();
        let numbers = listed
            .iter()
            .map(|letter| letter["number"].as_u64().unwrap());
        numbers.collect()
    }
}

fn login(id: &str) -> String {
    format!("{{\"id\":\"{id}\",\"type\":\"LOGIN\",\"realmId\":\"demo\",\"userId\":\"ann-{id}\"}}\n")
}

#[test]
fn a_kete_that_runs_and_its_files_give_the_same_answers() {
    let (home, running) = Home::with_letters(NAMELESS, &["a", "b", "c"]);
    let questions = [
        "list",
        "list --limit 2",
        "list --format json --user-id ann-b",
        "show 2 --format json",
        "export --event-type login --number 2-3",
        "purge --number 1",
    ];
    let ask = || questions.map(|words| home.dead_letters(words));
    let live = ask();
    assert_eq!(
        running.finish().code,
        Some(1),
        "a job with dead letters has failed"
    );
    for ((question, live), closed) in questions.iter().zip(live).zip(ask()) {
        let both = |ended: Ended| (ended.code, ended.stdout, ended.stderr);
        let (live, closed) = (both(live), both(closed));
        assert_eq!(live, closed, "{question}");
        assert_eq!(
            live.0,
            Some(i32::from(question.starts_with("purge"))),
            "{question}"
        );
    }
}

#[test]
fn a_list_is_a_table_with_the_newest_last() {
    let (home, running) = Home::with_letters(NAMELESS, &["a", "b", "c"]);
    let ended = home.dead_letters("list --limit 2");
    let lines: Vec<&str> = ended.stdout.lines().collect();
    let head = "NUMBER  TIME (UTC)           ROUTE  REASON      TRIES  EVENT TYPE  USER   ID";
    assert_eq!(lines[0], head);
    assert!(lines[1].starts_with("     2  20") && lines[1].ends_with("  LOGIN       ann-b  b"));
    assert!(lines[2].starts_with("     3  20"), "{}", ended.stdout);
    assert_eq!(lines[4], "the newest 2 of 3; --limit shows more");
    running.finish();
}

#[test]
fn one_letter_is_shown_with_its_event() {
    let (home, running) = Home::with_letters(NAMELESS, &["a"]);
    let shown = home.dead_letters("show 1").stdout;
    for line in [
        "route        shop",
        "reason       event_name",
        "detail       template expression 'details.room' is undefined for this event",
        "event type   LOGIN",
        "  \"userId\": \"ann-a\",",
    ] {
        assert!(shown.lines().any(|found| found == line), "{line}\n{shown}");
    }
    let ended = home.dead_letters("show 1 7");
    assert_eq!(
        (ended.code, ended.stdout.contains("ann-a")),
        (Some(1), true)
    );
    assert!(
        ended.stderr.contains("there is no dead letter 7"),
        "{}",
        ended.stderr
    );
    running.finish();
}

#[test]
fn letters_in_a_row_are_shown_by_their_range() {
    let (home, running) = Home::with_letters(NAMELESS, &["a", "b", "c"]);
    let shown = |words: &str| {
        let ended = home.dead_letters(&format!("show {words} --format json"));
        let shown: Value = serde_json::from_str(&ended.stdout).unwrap();
        (ended, shown)
    };
    let (ended, some) = shown("2-9 1");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let numbers: Vec<&Value> = some["letters"].as_array().unwrap().iter().collect();
    let numbers: Vec<&Value> = numbers.iter().map(|letter| &letter["number"]).collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert_eq!(some["missing"].as_array().unwrap().len(), 0);
    let (ended, none) = shown("7-9");
    assert_eq!(
        (ended.code, &none["missingRanges"][0]),
        (Some(1), &"7-9".into())
    );
    let words = "there is no dead letter in 7-9";
    assert!(ended.stderr.contains(words), "{}", ended.stderr);
    running.finish();
}

#[test]
fn an_export_is_a_new_file_for_its_owner() {
    let (home, running) = Home::with_letters(NAMELESS, &["a", "b"]);
    let ended = home.dead_letters("export --output out.ndjson");
    assert_eq!(
        (ended.code, &*ended.stderr),
        (Some(0), "2 dead letters exported\n")
    );
    let text = fs::read_to_string(home.path("out.ndjson")).unwrap();
    assert_eq!(text, fs::read_to_string(home.path("dead.ndjson")).unwrap());
    let mode = fs::metadata(home.path("out.ndjson"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = home.dead_letters("export --output out.ndjson");
    assert_eq!(again.code, Some(1));
    assert!(
        again.stderr.contains("out.ndjson: it is there already"),
        "{}",
        again.stderr
    );
    for (output, expected) in [
        (
            "nodir/x.ndjson",
            "error: nodir/x.ndjson: the directory nodir does not exist; create it, or name a file \
             elsewhere\n",
        ),
        (
            "out.ndjson/x.ndjson",
            "error: out.ndjson/x.ndjson: out.ndjson is not a directory; name a file elsewhere\n",
        ),
    ] {
        let ended = home.dead_letters(&format!("export --output {output}"));
        assert_eq!((ended.code, &*ended.stderr), (Some(1), expected));
    }
    running.finish();
}

#[test]
fn nothing_is_deleted_that_was_not_meant() {
    let (home, running) = Home::with_letters(NAMELESS, &["a", "b", "c"]);
    let everything = home.dead_letters("purge --yes");
    assert_eq!(everything.code, Some(2));
    assert!(
        everything.stderr.contains("or --all of them"),
        "{}",
        everything.stderr
    );
    assert_eq!(
        home.dead_letters("purge --all --route shop --yes").code,
        Some(2)
    );
    let asked = home.dead_letters("purge --route shop");
    let words = "3 dead letters would be deleted for good; if that is meant, add --yes";
    assert!(asked.stderr.contains(words), "{}", asked.stderr);
    assert_eq!(home.numbers(), [1, 2, 3]);
    let some = home.dead_letters("purge --number 1-2 --yes");
    assert_eq!(
        (some.code, &*some.stdout),
        (Some(0), "2 dead letters deleted\n")
    );
    assert_eq!(home.numbers(), [3]);
    running.finish();
    let rest = home.dead_letters("purge --all --yes --format json");
    assert_eq!(rest.stdout, "{\n  \"deleted\": 1\n}\n");
    assert_eq!(
        home.dead_letters("list").stdout,
        "there are no dead letters\n"
    );
}

#[test]
fn what_can_be_sent_now_is_sent_again_and_leaves_the_store() {
    let lines = NAMELESS.to_owned() + &NAMELESS.replace("shop", "gone");
    let (home, running) = Home::with_letters(&lines, &["a", "b"]);
    home.wait_for(|numbers| numbers.len() == 4);
    running.finish();

    home.configure(PRINTING);
    let mut running = home.run();
    running.send(login("live").as_bytes());
    let ended = home.dead_letters("replay");
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let said = "2 dead letters go to route shop again\n2 dead letters stay: there is no route \
                gone any more\n";
    assert_eq!(ended.stdout, said);
    // They leave the store when they are delivered.
    home.wait_for(|numbers| numbers.len() == 2);
    let routes: Vec<Value> = home
        .listed()
        .iter()
        .map(|letter| letter["route"].clone())
        .collect();
    assert_eq!(routes, ["gone", "gone"]);
    let stdout = running.finish().stdout;
    for id in ["a", "b", "live"] {
        assert_eq!(
            stdout.matches(&format!("\"id\":\"{id}\"")).count(),
            1,
            "{stdout}"
        );
    }
}

#[test]
fn a_letter_that_is_given_up_again_is_a_new_one() {
    let (home, running) = Home::with_letters(NAMELESS, &["a"]);
    let ended = home.dead_letters("replay --route shop --format json");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let outcome: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(outcome["replayed"]["shop"], 1);
    home.wait_for(|numbers| numbers == [2]);
    running.finish();
}

#[test]
fn without_a_queue_that_lasts_nothing_is_sent_again_by_a_command_alone() {
    let (home, running) = Home::with_letters(NAMELESS, &["a"]);
    running.finish();
    let ended = home.dead_letters("replay");
    assert_eq!(ended.code, Some(1));
    assert!(
        ended
            .stderr
            .contains("no kete runs, and without kete.data-dir"),
        "{}",
        ended.stderr
    );
    assert_eq!(home.numbers(), [1]);
}

#[test]
fn a_kete_that_cannot_be_asked_is_named() {
    let (home, running) = Home::with_letters(NAMELESS, &["a"]);
    let ended = home.dead_letters("list --set kete.control.socket=other.sock");
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("uses these dead letters"),
        "{}",
        ended.stderr
    );
    running.finish();
}

#[test]
fn two_ketes_do_not_share_dead_letters() {
    let (home, running) = Home::with_letters(NAMELESS, &["a"]);
    let mut second = home.command("run");
    second.args(["--set", "kete.control.socket=other.sock"]);
    let ended = run_to_end(&mut second, b"");
    assert_eq!(ended.code, Some(1));
    let words = "kete.dead-letters.path: dead.ndjson: process ";
    assert!(ended.stderr.contains(words), "{}", ended.stderr);
    running.finish();
}

#[test]
fn where_nothing_was_ever_kept_there_is_nothing_to_ask() {
    let home = Home::new(NAMELESS);
    let ended = home.dead_letters("list");
    assert_eq!(ended.code, Some(1));
    let words = "dead.ndjson: there are no dead letters, and no kete has kept any there yet";
    assert!(ended.stderr.contains(words), "{}", ended.stderr);
    assert!(!home.path("dead.ndjson").exists());
    fs::write(home.path("kete.properties"), NAMELESS).unwrap();
    let ended = home.dead_letters("list");
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stderr.contains("there is no data directory"),
        "{}",
        ended.stderr
    );
}

#[test]
fn only_the_owner_may_use_the_socket_and_a_left_over_one_is_replaced() {
    let (home, running) = Home::with_letters(NAMELESS, &["a"]);
    let mode = fs::metadata(home.path("kete.sock"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    running.signal("KILL");
    running.end();
    assert!(home.path("kete.sock").exists(), "a kill leaves it");
    assert_eq!(home.numbers(), [1], "and it is not in the way of a command");
    let running = home.run();
    assert_eq!(home.numbers(), [1]);
    running.finish();
    assert!(!home.path("kete.sock").exists());
}

#[test]
fn a_filter_that_makes_no_sense_is_wrong_usage() {
    let home = Home::new(NAMELESS);
    for (words, part) in [
        ("list --from 1h --to 2h", "the span ends before it begins"),
        ("list --reason refusd", "possible values"),
        ("list --number 9-3", "it ends before it begins"),
        ("list --limit 0", "1..=10000"),
        ("show", "required"),
        (
            "show 0",
            "expected a number such as 7, or a range such as 3-9",
        ),
        ("show 1-101", "at most 100 are shown at once"),
    ] {
        let ended = home.dead_letters(words);
        assert_eq!(ended.code, Some(2), "{words}: {}", ended.stderr);
        assert!(ended.stderr.contains(part), "{words}: {}", ended.stderr);
    }
}

/// The same, with everything in a data directory.
fn in_data_dir(lines: &str) -> String {
    format!("kete.data-dir=data\n{lines}")
}

#[test]
fn in_a_data_directory_letters_are_sent_again_at_the_next_start() {
    let (home, running) = Home::with_letters(&in_data_dir(NAMELESS), &["a", "b"]);
    running.finish();
    assert_eq!(home.numbers(), [1, 2]);
    home.configure(&in_data_dir(PRINTING));
    let ended = home.dead_letters("replay --number 2");
    let said = "1 dead letter goes to route shop again when kete runs again\n";
    assert_eq!(
        (ended.code, &*ended.stdout),
        (Some(0), said),
        "{}",
        ended.stderr
    );
    assert_eq!(home.numbers(), [1]);
    let stdout = home.run().finish().stdout;
    assert_eq!(stdout.matches("\"id\":\"b\"").count(), 1, "{stdout}");
    assert!(!stdout.contains("\"id\":\"a\""), "{stdout}");
    assert_eq!(home.run().finish().stdout, "", "it is sent once");
    assert_eq!(home.numbers(), [1]);
}

#[test]
fn in_a_data_directory_a_kete_that_runs_sends_letters_again_at_once() {
    let (home, running) = Home::with_letters(&in_data_dir(NAMELESS), &["a", "b"]);
    running.finish();
    home.configure(&in_data_dir(PRINTING));
    let running = home.run();
    let ended = home.dead_letters("replay --user-id ann-a --user-id ann-b --from 1h");
    let said = "2 dead letters go to route shop again\n";
    assert_eq!(
        (ended.code, &*ended.stdout),
        (Some(0), said),
        "{}",
        ended.stderr
    );
    assert!(home.numbers().is_empty(), "the queue has them safely");
    let stdout = running.finish().stdout;
    for id in ["a", "b"] {
        assert_eq!(
            stdout.matches(&format!("\"id\":\"{id}\"")).count(),
            1,
            "{stdout}"
        );
    }
}

#[test]
fn the_data_directory_alone_is_enough() {
    let (home, running) = Home::with_letters(&in_data_dir(NAMELESS), &["a"]);
    let alone = || {
        let mut command = kete();
        command.current_dir(home.directory.path());
        command.args(["dead-letters", "list", "--data-dir", "data"]);
        run_to_end(&mut command, b"")
    };
    let live = alone();
    assert!(
        live.stdout.contains("ann-a"),
        "{}{}",
        live.stdout,
        live.stderr
    );
    running.finish();
    assert_eq!(alone().stdout, live.stdout);
    let elsewhere = home.dead_letters("list --data-dir nowhere");
    assert_eq!(elsewhere.code, Some(1));
    assert!(
        elsewhere.stderr.contains("nowhere: there is nothing yet"),
        "{}",
        elsewhere.stderr
    );
    assert!(!home.path("nowhere").exists());
}

#[test]
fn letters_of_routes_that_are_switched_off_or_gone_stay() {
    let (home, running) = Home::with_letters(&in_data_dir(NAMELESS), &["a"]);
    running.finish();
    let off = format!(
        "{}kete.routes.shop.enabled=false\n",
        PRINTING.replace("shop", "other")
    );
    for (lines, why) in [
        (off, "route shop is switched off (kete.routes.shop.enabled)"),
        (
            PRINTING.replace("shop", "other"),
            "there is no route shop any more",
        ),
    ] {
        home.configure(&in_data_dir(&lines));
        let closed = home.dead_letters("replay");
        assert_eq!(closed.code, Some(1), "{}", closed.stderr);
        assert_eq!(closed.stdout, format!("1 dead letter stays: {why}\n"));
        let running = home.run();
        let live = home.dead_letters("replay");
        assert_eq!((live.code, live.stdout), (closed.code, closed.stdout));
        assert_eq!(running.finish().stdout, "");
        assert_eq!(home.numbers(), [1]);
    }
}

#[test]
fn a_route_that_nobody_knows_is_a_mistake() {
    let (home, running) = Home::with_letters(NAMELESS, &["a"]);
    let refused = |asked: &str| {
        for command in ["list", "export", "replay", "purge --yes"] {
            let ended = home.dead_letters(&format!("{command} --route {asked}"));
            assert_eq!((ended.code, &*ended.stdout), (Some(1), ""), "{command}");
            let words = format!("error: there is no route {asked}, and no dead letter of one of");
            assert!(ended.stderr.starts_with(&words), "{}", ended.stderr);
        }
        home.dead_letters(&format!("list --route {asked}")).stderr
    };
    assert!(refused("shpo").ends_with("; did you mean shop?\n"));
    assert!(refused("nope").ends_with("; there is shop\n"));
    running.finish();
    assert!(refused("nope").ends_with("; there is shop\n"));
    // One that has letters was a route once.
    home.configure(&PRINTING.replace("shop", "other"));
    let ended = home.dead_letters("list --route shop");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let ended = home.dead_letters("list --route other");
    let none = "there are no such dead letters\n";
    assert_eq!((ended.code, &*ended.stdout), (Some(0), none));
    assert_eq!(home.numbers(), [1]);
}

#[test]
fn a_path_that_is_too_long_for_a_socket_costs_the_commands_only() {
    let long = "d".repeat(120);
    let (home, running) = Home::with_letters(&in_data_dir(NAMELESS), &[]);
    running.finish();
    fs::create_dir(home.path(&long)).unwrap();
    let data = format!("kete.data-dir={long}/data");
    let mut run = home.command("run");
    let mut running = start(run.args(["--set", &data]));
    let warning = running.wait_for("commands cannot reach this kete");
    assert!(
        warning.contains("choose a shorter one with kete.control.socket"),
        "{warning}"
    );
    running.send(login("a").as_bytes());
    running.wait_for("event given up");
    let mut list = home.command("dead-letters list");
    let ended = run_to_end(list.args(["--set", &data]), b"");
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("process"), "{}", ended.stderr);
    running.finish();
    let mut list = home.command("dead-letters list");
    let ended = run_to_end(list.args(["--set", &data]), b"");
    assert!(ended.stdout.contains("ann-a"), "{}", ended.stderr);
}

/// More letters than go into one part, of a kete that did not number them.
fn many_letters() -> String {
    let line = |id: u32| {
        format!(
            "{{\"at\":{id},\"route\":\"shop\",\"reason\":\"refused\",\"detail\":\"\",\"attempts\":3,\
             \"source\":\"input\",\"acceptedAt\":1,\"eventId\":\"e{id}\",\"event\":{}}}\n",
            login(&format!("e{id}")).trim_end()
        )
    };
    (0..300).map(line).collect()
}

fn ids_of(stdout: &str) -> Vec<String> {
    let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["id"].to_string();
    stdout.lines().map(id).collect()
}

#[test]
fn any_number_of_letters_is_sent_again_in_order() {
    let expected: Vec<String> = (0..300).map(|id| format!("\"e{id}\"")).collect();
    let home = Home::new(&in_data_dir(PRINTING));
    let forever = "kete.dead-letters.max-age=0\n";
    home.configure(&in_data_dir(&format!("{PRINTING}{forever}")));
    for live in [true, false] {
        home.run().finish();
        let file = home.path("data/dead-letters/dead-letters.ndjson");
        fs::write(file, many_letters()).unwrap();
        let running = live.then(|| home.run());
        let ended = home.dead_letters("replay");
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(
            ended
                .stdout
                .starts_with("300 dead letters go to route shop again")
        );
        assert!(home.numbers().is_empty());
        let stdout = running.unwrap_or_else(|| home.run()).finish().stdout;
        assert_eq!(ids_of(&stdout), expected, "live: {live}");
    }
}
