//! `kete run`: from standard input to standard output, and how it ends.

use std::net::TcpListener;

use super::harness::{Ended, run_to_end, start, start_onto, with_settings};

const PIPE: &[&str] = &[
    "kete.sources.input.kind=stdin",
    "kete.routes.all.destination.kind=stdout",
];
const JSON_LOG: &str = "kete.log.format=json";

const LOGIN: &str = r#"{"id":"e1","time":1700000000000,"type":"LOGIN","realmId":"r1","realmName":"demo","clientId":"app","userId":"u1"}"#;
const LOGOUT: &str = r#"{"id":"e2","time":1700000000001,"type":"LOGOUT","realmId":"r1","realmName":"demo","clientId":"app","userId":"u1"}"#;

fn last_line(ended: &Ended) -> serde_json::Value {
    let line = ended.stderr.lines().last().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON at the end: {}", ended.stderr))
}

#[test]
fn a_file_of_events_is_a_complete_job() {
    let input = format!("{LOGIN}\n{LOGOUT}\n");
    let settings = [PIPE, &[JSON_LOG]].concat();
    let ended = run_to_end(&mut with_settings("run", &settings), input.as_bytes());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{}", ended.stdout);
    let types = ["LOGIN", "LOGOUT"];
    for (line, event_type) in lines.iter().zip(types) {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["type"], event_type);
        assert_eq!(event["sessionId"], serde_json::Value::Null);
    }
    let summary = last_line(&ended);
    assert_eq!(summary["message"], "kete ends");
    assert_eq!(summary["forwarded"], 2);
    assert_eq!(summary["undelivered"], 0);
}

#[test]
fn each_delivery_can_have_a_line_without_the_event() {
    let input = format!("{LOGIN}\n{LOGOUT}\n");
    let settings = [PIPE, &[JSON_LOG, "kete.log.deliveries=all"]].concat();
    let ended = run_to_end(&mut with_settings("run", &settings), input.as_bytes());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let line = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let mut told: Vec<_> = ended.stderr.lines().map(line).collect();
    told.retain(|line| line["target"] == "kete::delivery");
    let ids: Vec<_> = told.iter().map(|line| &line["id"]).collect();
    assert_eq!(ids, ["e1", "e2"], "{}", ended.stderr);
    for line in &told {
        assert_eq!(line["message"], "delivery");
        assert_eq!(
            (&line["route"], &line["outcome"]),
            (&"all".into(), &"delivered".into())
        );
        assert_eq!(
            (&line["attempts"], &line["replay"]),
            (&1.into(), &false.into())
        );
    }
    assert!(!ended.stderr.contains("u1"), "{}", ended.stderr);
}

#[test]
fn the_last_line_counts_events_that_no_route_wanted() {
    let input = format!("{LOGIN}\n{LOGOUT}\n");
    let only = "kete.routes.all.event-matchers.login=glob:LOGIN";
    let settings = [PIPE, &[JSON_LOG, only]].concat();
    let ended = run_to_end(&mut with_settings("run", &settings), input.as_bytes());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let summary = last_line(&ended);
    assert_eq!(
        (&summary["forwarded"], &summary["unrouted"]),
        (&1.into(), &1.into())
    );
}

#[test]
fn a_missing_directory_for_dead_letters_is_named_with_the_way_out() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    let path = format!("kete.dead-letters.path={}/dead", missing.display());
    let ended = run_to_end(&mut with_settings("run", &[PIPE, &[&path]].concat()), b"");
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let said = format!("the directory {} does not exist", missing.display());
    assert!(
        ended.stderr.contains("kete.dead-letters.path") && ended.stderr.contains(&said),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("create it"), "{}", ended.stderr);
}

#[test]
fn bad_lines_are_named_and_counted_and_hold_nothing_up() {
    let input = format!("{LOGIN}\nsecret-body-text\n{{\"type\":\n{LOGOUT}\n");
    let settings = [PIPE, &[JSON_LOG]].concat();
    let ended = run_to_end(&mut with_settings("run", &settings), input.as_bytes());
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_eq!(ended.stdout.lines().count(), 2, "{}", ended.stdout);
    assert_eq!(last_line(&ended)["bad"], 2);
    assert!(ended.stderr.contains("\"line\":2"), "{}", ended.stderr);
    assert!(
        !ended.stderr.contains("secret-body-text"),
        "{}",
        ended.stderr
    );
}

#[test]
fn an_empty_input_ends_at_once() {
    let ended = run_to_end(&mut with_settings("run", PIPE), b"");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
}

#[test]
fn the_first_lines_say_what_a_crash_would_lose() {
    let ended = run_to_end(&mut with_settings("run", PIPE), b"");
    let lines: Vec<&str> = ended.stderr.lines().take(2).collect();
    assert!(lines[0].contains(env!("CARGO_PKG_VERSION")), "{}", lines[0]);
    assert!(
        lines[0].contains("queue in memory: a crash loses what was taken"),
        "{}",
        lines[0]
    );
    assert!(lines[1].contains("their bodies are lost"), "{}", lines[1]);
    let directory = tempfile::tempdir().unwrap();
    let path = format!("kete.dead-letters.path={}/dead", directory.path().display());
    let kept = run_to_end(&mut with_settings("run", &[PIPE, &[&path]].concat()), b"");
    assert!(
        !kept.stderr.contains("their bodies are lost"),
        "{}",
        kept.stderr
    );
}

#[test]
fn warnings_of_the_configuration_are_logged() {
    let settings = [PIPE, &[JSON_LOG, "kete.metrics.enabled=true"]].concat();
    let ended = run_to_end(&mut with_settings("run", &settings), b"");
    let warning = ended
        .stderr
        .lines()
        .find(|line| line.contains("unused-key"))
        .unwrap();
    let warning: serde_json::Value = serde_json::from_str(warning).unwrap();
    assert_eq!(warning["level"], "WARN");
    assert_eq!(warning["key"], "kete.metrics.enabled");
    assert_eq!(warning["place"], "--set");
}

#[test]
fn the_log_level_is_respected_and_nothing_is_coloured_in_a_pipe() {
    let quiet = [PIPE, &["kete.log.level=error"]].concat();
    assert_eq!(
        run_to_end(&mut with_settings("run", &quiet), b"").stderr,
        ""
    );
    let usual = run_to_end(&mut with_settings("run", PIPE), b"");
    assert!(!usual.stderr.contains('\u{1b}'), "{}", usual.stderr);
}

#[test]
fn sigterm_and_sigint_end_it_in_order() {
    for signal in ["TERM", "INT"] {
        let webhook = [
            "kete.sources.input.kind=webhook",
            "kete.sources.input.bind=127.0.0.1:0",
        ];
        let settings = [
            &webhook[..],
            &PIPE[1..],
            &[JSON_LOG, "kete.admin.bind=127.0.0.1:0"],
        ];
        let mut running = start(&mut with_settings("run", &settings.concat()));
        running.wait_for("metrics and health are served");
        running.signal(signal);
        running.wait_for("asked to stop");
        let ended = running.end();
        assert_eq!(ended.code, Some(0), "{signal}: {}", ended.stderr);
        assert_eq!(last_line(&ended)["message"], "kete ends", "{signal}");
    }
}

#[test]
fn what_was_taken_before_sigterm_is_delivered() {
    let settings = [PIPE, &[JSON_LOG, "kete.admin.bind=127.0.0.1:0"]].concat();
    let mut running = start(&mut with_settings("run", &settings));
    running.send(format!("{LOGIN}\n").as_bytes());
    let line = running.wait_for("metrics and health are served");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    super::admin::wait_for_metric(
        line["address"].as_str().unwrap(),
        "kete_source_events_taken_total{source=\"input\"} 1",
    );
    running.signal("TERM");
    let ended = running.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stdout.lines().count(), 1, "{}", ended.stdout);
}

/// A port that nobody answers on: it was free a moment ago, and is closed again.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

#[test]
fn with_the_server_away_it_ends_within_the_grace_and_says_what_is_lost() {
    let url = format!(
        "kete.routes.shop.destination.url=http://127.0.0.1:{}",
        closed_port()
    );
    let settings = [
        PIPE[0],
        JSON_LOG,
        "kete.routes.shop.destination.kind=socketio",
        "kete.routes.shop.destination.event-name=event",
        &url,
        "kete.admin.bind=127.0.0.1:0",
        "kete.shutdown.grace=100ms",
    ];
    let mut running = start(&mut with_settings("run", &settings));
    running.send(format!("{LOGIN}\n{LOGOUT}\n").as_bytes());
    let line = running.wait_for("metrics and health are served");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    super::admin::wait_for_metric(
        line["address"].as_str().unwrap(),
        "kete_source_events_taken_total{source=\"input\"} 2",
    );
    running.signal("TERM");
    let ended = running.end();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_eq!(last_line(&ended)["undelivered"], 2);
    assert!(
        ended.stderr.contains("\"route\":\"shop\""),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let url = format!(
        "kete.routes.shop.destination.url=http://127.0.0.1:{}",
        closed_port()
    );
    let settings = [
        PIPE[0],
        JSON_LOG,
        "kete.routes.shop.destination.kind=socketio",
        "kete.routes.shop.destination.event-name=event",
        &url,
        "kete.admin.bind=127.0.0.1:0",
        "kete.shutdown.grace=1h",
    ];
    let mut running = start(&mut with_settings("run", &settings));
    running.send(format!("{LOGIN}\n").as_bytes());
    let line = running.wait_for("metrics and health are served");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    super::admin::wait_for_metric(
        line["address"].as_str().unwrap(),
        "kete_source_events_taken_total{source=\"input\"} 1",
    );
    running.signal("TERM");
    running.wait_for("asked to stop");
    running.signal("TERM");
    let ended = running.end();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("stopped at once"), "{}", ended.stderr);
}

#[test]
fn a_port_that_is_taken_is_named_with_its_key() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let admin = format!("kete.admin.bind={address}");
    let ended = run_to_end(&mut with_settings("run", &[PIPE, &[&admin]].concat()), b"");
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let named = format!("kete.admin.bind: cannot listen on {address}: ");
    assert!(ended.stderr.contains(&named), "{}", ended.stderr);
    let bind = format!("kete.sources.hook.bind={address}");
    let hook = ["kete.sources.hook.kind=webhook", &bind];
    let ended = run_to_end(&mut with_settings("run", &[PIPE, &hook].concat()), b"");
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    for part in ["hook", "bind", &address] {
        assert!(
            ended.stderr.contains(part),
            "{part} is not in {}",
            ended.stderr
        );
    }
}

#[test]
fn a_dead_letter_file_that_cannot_be_opened_is_named_with_its_key() {
    let directory = tempfile::tempdir().unwrap();
    let path = format!("kete.dead-letters.path={}", directory.path().display());
    let ended = run_to_end(&mut with_settings("run", &[PIPE, &[&path]].concat()), b"");
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let named = format!("kete.dead-letters.path: {}: ", directory.path().display());
    assert!(ended.stderr.contains(&named), "{}", ended.stderr);
}

#[test]
fn it_ends_when_nobody_reads_its_output_any_more() {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = with_settings("run", PIPE);
    let mut running = start_onto(&mut command, writer.into());
    drop(reader);
    running.send(format!("{LOGIN}\n").as_bytes());
    let ended = running.end();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(
        ended
            .stderr
            .contains("whoever read standard output has gone"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_wrong_configuration_can_be_told_in_json() {
    let settings = [PIPE, &["kete.shutdown.grase=1s"]].concat();
    for subcommand in ["run", "explain"] {
        let mut command = with_settings(subcommand, &settings);
        let ended = run_to_end(command.args(["--format", "json"]), b"");
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(2), ""),
            "{subcommand}"
        );
        let found: serde_json::Value = serde_json::from_str(&ended.stderr).unwrap();
        assert_eq!(found["errors"], 1, "{subcommand}");
        assert_eq!(
            found["diagnostics"][0]["key"], "kete.shutdown.grase",
            "{subcommand}"
        );
        assert_eq!(found["diagnostics"][0]["place"], "--set", "{subcommand}");
    }
}
