//! Two processes at one data directory: who is refused, who is waited for, and what is said.

use std::fs;

use super::data::{AWAY, Data, PRINTED, events, ids};
use super::harness::{run_to_end, start};

#[test]
fn a_second_process_is_refused_and_the_first_goes_on() {
    let data = Data::new();
    let mut first = data.run(AWAY);
    let second = run_to_end(&mut data.command(&["run"], AWAY), &events(0, 3));
    assert_eq!(second.code, Some(1));
    assert!(
        second.stderr.contains("is in use by process "),
        "{}",
        second.stderr
    );
    first.send(&events(0, 2));
    data.wait_for_events(2);
    first.signal("TERM");
    assert_eq!(first.end().code, Some(0));
}

#[test]
fn a_command_that_holds_the_directory_is_waited_for() {
    let data = Data::new();
    data.fill(&events(0, 1));
    let lock = fs::File::open(data.path().join("kete.lock")).unwrap();
    lock.lock().unwrap();
    let mut running = start(&mut data.command(&["run"], PRINTED));
    running.wait_for("in case that is a command which ends soon");
    lock.unlock().unwrap();
    running.wait_for("ready: events are taken");
    assert_eq!(ids(&running.finish().stdout), ["e0"]);
}

#[test]
fn a_holder_that_stays_is_waited_for_a_few_seconds_only() {
    let data = Data::new();
    data.fill(&events(0, 1));
    let lock = fs::File::open(data.path().join("kete.lock")).unwrap();
    lock.lock().unwrap();
    let ended = run_to_end(&mut data.command(&["run"], PRINTED), b"");
    assert_eq!(ended.code, Some(1));
    let last = ended.stderr.lines().last().unwrap();
    assert!(last.contains("kete cannot start: "), "{last}");
    assert!(last.contains("is in use by process "), "{last}");
}

#[test]
fn a_kete_that_listens_elsewhere_is_told_from_one_that_shares_nothing() {
    let data = Data::new();
    let elsewhere = format!(
        "kete.control.socket={}",
        data.folder.path().join("c.sock").display()
    );
    let running = data.run(&[AWAY, &[&elsewhere[..]]].concat());
    let asked = data.ask(&["queue", "status"], AWAY);
    assert_eq!(asked.code, Some(1));
    for expected in [
        " uses it, and nobody listens on the control socket",
        "set kete.control.socket for both, or stop it",
    ] {
        assert!(asked.stderr.contains(expected), "{}", asked.stderr);
    }
    running.signal("TERM");
    running.end();
}
