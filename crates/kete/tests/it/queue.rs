//! `kete queue`: what waits, what can go, and what is sent again, whether kete runs or not.

use serde_json::Value;

use super::data::{AWAY, Data, OTHER, PRINTED, events, ids, of_route};
use super::harness::{kete, run_to_end};

#[test]
fn a_queue_that_was_never_there_is_not_made_by_asking() {
    let data = Data::new();
    for arguments in [&["queue", "status"][..], &["queue", "forget", "old"]] {
        let ended = data.ask(arguments, AWAY);
        assert_eq!(ended.code, Some(1));
        assert!(
            ended.stderr.contains("there is nothing yet"),
            "{}",
            ended.stderr
        );
    }
    assert!(!data.path().exists());
}

#[test]
fn a_removed_route_keeps_its_place_until_it_is_forgotten() {
    let data = Data::new();
    data.fill(&events(0, 4));
    let ended = run_to_end(&mut data.command(&["run"], OTHER), &events(4, 5));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ids(&ended.stdout), ["e4"]);
    assert!(
        ended.stderr.contains("kete queue forget shop"),
        "{}",
        ended.stderr
    );
    let status = data.status(OTHER);
    let shop = of_route(&status, "shop");
    assert_eq!(
        (&shop["state"], &shop["events"]),
        (&"removed".into(), &4.into())
    );
    let forget = &["queue", "forget", "shop"][..];
    let refused = data.ask(forget, AWAY);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("would start again"),
        "{}",
        refused.stderr
    );
    let refused = data.ask(forget, OTHER);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("error: 4 events ("),
        "{}",
        refused.stderr
    );
    assert!(refused.stderr.contains("add --yes"), "{}", refused.stderr);
    assert_eq!(of_route(&data.status(OTHER), "shop")["events"], 4);
    let forgotten = data.ask(&["queue", "forget", "shop", "--yes"], OTHER);
    assert_eq!(forgotten.code, Some(0), "{}", forgotten.stderr);
    assert!(
        forgotten.stdout.contains("and 4 events ("),
        "{}",
        forgotten.stdout
    );
    let again = data.ask(forget, OTHER);
    assert!(
        again.stderr.contains("has no place in the queue"),
        "{}",
        again.stderr
    );
}

#[test]
fn a_running_kete_forgets_a_removed_route_and_keeps_its_own() {
    let data = Data::new();
    data.fill(&events(0, 4));
    let running = data.run(OTHER);
    let refused = data.ask(&["queue", "forget", "other", "--yes"], OTHER);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("route other is running"),
        "{}",
        refused.stderr
    );
    let near = data.ask(&["queue", "forget", "shpo"], OTHER);
    assert!(
        near.stderr.contains("did you mean shop?"),
        "{}",
        near.stderr
    );
    let forgotten = data.ask(
        &["queue", "forget", "shop", "--yes", "--format", "json"],
        OTHER,
    );
    assert_eq!(forgotten.code, Some(0), "{}", forgotten.stderr);
    let answer: Value = serde_json::from_str(&forgotten.stdout).unwrap();
    assert_eq!(
        (&answer["route"], &answer["events"]),
        (&"shop".into(), &4.into())
    );
    running.signal("TERM");
    assert_eq!(running.end().code, Some(0));
    let routes = data.status(OTHER)["routes"].to_string();
    assert!(!routes.contains("shop"), "{routes}");
}

#[test]
fn what_a_route_drops_is_counted_where_the_queue_is_shown() {
    let data = Data::new();
    let dropping = [
        AWAY,
        &[
            "kete.routes.shop.queue.when-full=drop-oldest",
            "kete.routes.shop.queue.max-lag-bytes=64KiB",
        ],
    ]
    .concat();
    let mut running = data.run(&dropping);
    running.send(&events(0, 500));
    let counts = (0..1_000).map(|_| {
        let status = data.status(&dropping);
        let of = |name: &str| of_route(&status, "shop")[name].as_u64().unwrap();
        (of("dropped"), of("events"))
    });
    let (dropped, waiting) = counts
        .into_iter()
        .find(|(dropped, waiting)| dropped + waiting == 500)
        .expect("all events are counted at last");
    assert!(dropped > 0 && waiting > 0, "{dropped} dropped of 500");
    running.signal("TERM");
    assert_eq!(running.end().code, Some(0));
}

#[test]
fn the_directory_alone_is_enough_to_ask() {
    let data = Data::new();
    data.fill(&events(0, 3));
    let path = data.path().display().to_string();
    let asked = run_to_end(kete().args(["queue", "status", "--data-dir", &path]), b"");
    assert_eq!(asked.code, Some(0), "{}", asked.stderr);
    let line = asked.stdout.lines().find(|line| line.starts_with("shop "));
    let words: Vec<&str> = line.unwrap().split_whitespace().collect();
    assert_eq!(words[..3], ["shop", "–", "3"]);
    // But for a replay: what the route wants, only the configuration says.
    let replay = [
        "queue",
        "replay",
        "--route",
        "shop",
        "--from",
        "1h",
        "--data-dir",
        &path,
    ];
    let asked = run_to_end(kete().args(replay), b"");
    assert_eq!(asked.code, Some(2), "{}", asked.stdout);
    assert!(
        asked.stderr.contains("has to say what the route wants"),
        "{}",
        asked.stderr
    );
    let nothing = run_to_end(kete().args(["queue", "status"]), b"");
    assert_eq!(nothing.code, Some(2));
    assert!(nothing.stderr.contains("--data-dir"), "{}", nothing.stderr);
}

#[test]
fn what_was_delivered_can_be_sent_again() {
    let data = Data::new();
    let retained = [PRINTED, &["kete.queue.retain=1h"]].concat();
    let ended = run_to_end(&mut data.command(&["run"], &retained), &events(0, 6));
    assert_eq!(ids(&ended.stdout).len(), 6);
    let status = data.status(&retained);
    assert_eq!(status["events"], 0);
    assert!(status["oldestStoredAt"].is_i64(), "{status}");
    assert!(status["bytesOnDisk"].as_u64() > Some(0), "{status}");
    let replay = &["queue", "replay", "--route", "shop", "--from", "1h"][..];
    let asked = data.ask(replay, &retained);
    assert_eq!(asked.code, Some(0), "{}", asked.stderr);
    let expected = "6 events go to route shop again, when kete runs again\n";
    assert!(asked.stdout.starts_with(expected), "{}", asked.stdout);
    // Standard input stays open, so that this kete runs until it is asked to stop.
    let mut running = data.run(&retained);
    let asked = data.ask(replay, &retained);
    assert!(
        asked
            .stdout
            .starts_with("6 events go to route shop again, now\n"),
        "{}",
        asked.stdout
    );
    running.send(&events(6, 7));
    let ended = running.finish();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let last = ended.stderr.lines().last().unwrap();
    assert!(last.contains("forwarded=1 replayed=12 "), "{last}");
    let printed = ids(&ended.stdout);
    let again: Vec<&String> = printed.iter().filter(|id| *id != "e6").collect();
    let twice: Vec<String> = (0..2)
        .flat_map(|_| (0..6).map(|number| format!("e{number}")))
        .collect();
    assert_eq!(again, twice.iter().collect::<Vec<_>>());
    assert_eq!(printed.len(), 13);
}

#[test]
fn a_replay_that_has_no_room_while_nothing_is_delivered_appends_nothing() {
    let data = Data::new();
    let retained = [PRINTED, &["kete.queue.retain=1h"]].concat();
    let padding = "x".repeat(200_000);
    let large = |number: usize| {
        format!(
            "{{\"id\":\"e{number}\",\"time\":1,\"type\":\"LOGIN\",\"realmName\":\"demo\",\
             \"details\":{{\"p\":\"{padding}\"}}}}\n"
        )
    };
    let input: String = (0..25).map(large).collect();
    let ended = run_to_end(&mut data.command(&["run"], &retained), input.as_bytes());
    assert_eq!(ids(&ended.stdout).len(), 25, "{}", ended.stderr);
    let replay = &["queue", "replay", "--route", "shop", "--from", "1h"][..];
    let small = [&retained[..], &["kete.queue.max-bytes=4MiB"]].concat();
    let refused = data.ask(replay, &small);
    assert_eq!(refused.code, Some(1), "{}", refused.stdout);
    let expected = "for which the queue (kete.queue.max-bytes=4MiB) has no room while nothing is \
                    delivered; ask again when kete runs";
    assert!(refused.stderr.contains(expected), "{}", refused.stderr);
    assert_eq!(data.status(&retained)["events"], 0);
    let taken = data.ask(replay, &retained);
    assert_eq!(taken.code, Some(0), "{}", taken.stderr);
    assert_eq!(data.status(&retained)["events"], 25);
}

#[test]
fn a_replay_needs_a_route_that_is_there_and_a_span_that_is_one() {
    let data = Data::new();
    data.fill(&events(0, 1));
    let ask = |route: &str, from: &str, to: &str| {
        let arguments = [
            "queue", "replay", "--route", route, "--from", from, "--to", to,
        ];
        data.ask(&arguments, AWAY)
    };
    let wrong = ask("shop", "1h", "2h");
    assert_eq!(wrong.code, Some(2));
    assert!(
        wrong.stderr.contains("the span ends before it begins"),
        "{}",
        wrong.stderr
    );
    let unknown = ask("shpo", "1h", "now");
    assert_eq!(unknown.code, Some(1));
    assert!(
        unknown.stderr.contains("did you mean shop?"),
        "{}",
        unknown.stderr
    );
    let nothing = ask("shop", "2h", "1h");
    assert_eq!(nothing.code, Some(0), "{}", nothing.stderr);
    assert!(
        nothing.stdout.contains("kete.queue.retain"),
        "{}",
        nothing.stdout
    );
}

#[test]
fn small_events_have_room_for_a_replay_as_they_have_on_disk() {
    let data = Data::new();
    // In memory these would count for more than 4 MiB, on disk they take less than 2.
    let small = [
        PRINTED,
        &["kete.queue.retain=1h", "kete.queue.max-bytes=4MiB"],
    ]
    .concat();
    let ended = run_to_end(&mut data.command(&["run"], &small), &events(0, 8_000));
    assert_eq!(ids(&ended.stdout).len(), 8_000, "{}", ended.stderr);
    let replay = &["queue", "replay", "--route", "shop", "--from", "1h"][..];
    let note = "what is kept of delivered events gives way";
    let first = data.ask(replay, &small);
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    assert!(
        first.stdout.starts_with("8000 events go"),
        "{}",
        first.stdout
    );
    assert!(!first.stderr.contains(note), "{}", first.stderr);
    // Those copies wait. With more of them there is no room for what is only kept.
    let second = data.ask(replay, &small);
    assert_eq!(second.code, Some(0), "{}", second.stderr);
    assert!(second.stderr.contains(note), "{}", second.stderr);
    let third = data.ask(replay, &small);
    assert_eq!(third.code, Some(1), "{}", third.stdout);
    assert!(third.stderr.contains("has no room"), "{}", third.stderr);
}
