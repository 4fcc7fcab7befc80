//! What can be watched while it runs.

use std::time::{Duration, Instant};

use super::harness::{Running, http, start, with_settings};

/// Longer than any test has to wait.
const DEADLINE: Duration = Duration::from_secs(30);

/// Asks until a metric has this value.
pub(crate) fn wait_for_metric(address: &str, line: &str) {
    let until = Instant::now() + DEADLINE;
    loop {
        let body = http("GET", address, "/metrics", "").body;
        if body.lines().any(|found| found == line) {
            return;
        }
        assert!(Instant::now() < until, "{line} never came:\n{body}");
        std::thread::yield_now();
    }
}

fn running() -> (Running, String) {
    let settings = [
        "kete.sources.input.kind=stdin",
        "kete.routes.all.destination.kind=stdout",
        "kete.admin.bind=127.0.0.1:0",
        "kete.log.format=json",
    ];
    let mut running = start(&mut with_settings("run", &settings));
    let line = running.wait_for("metrics and health are served");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let address = line["address"].as_str().unwrap().to_owned();
    (running, address)
}

#[test]
fn health_metrics_and_index_are_served() {
    let (running, address) = running();
    let live = http("GET", &address, "/health/live", "");
    assert_eq!(
        (live.status, live.body.as_str()),
        (200, "{\"status\":\"live\"}\n")
    );
    assert!(
        live.head.contains("content-type: application/json"),
        "{}",
        live.head
    );
    let until = Instant::now() + DEADLINE;
    while http("GET", &address, "/health/ready", "").status != 200 {
        assert!(Instant::now() < until, "it is never ready");
    }
    let ready = http("GET", &address, "/health/ready", "");
    assert_eq!(ready.body, "{\"status\":\"ready\"}\n");
    let metrics = http("GET", &address, "/metrics", "");
    let kind = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert!(metrics.head.contains(kind), "{}", metrics.head);
    assert!(metrics.body.ends_with("# EOF\n"), "{}", metrics.body);
    assert!(
        http("GET", &address, "/", "")
            .body
            .contains("/health/ready")
    );
    assert_eq!(running.finish().code, Some(0));
}

#[test]
fn other_paths_and_methods_are_refused_in_json() {
    let (running, address) = running();
    let missing = http("GET", &address, "/metricz", "");
    assert_eq!(missing.status, 404);
    assert!(missing.body.starts_with("{\"error\":"), "{}", missing.body);
    let posted = http("POST", &address, "/metrics", "x");
    assert_eq!(posted.status, 405);
    assert!(posted.body.starts_with("{\"error\":"), "{}", posted.body);
    assert_eq!(running.finish().code, Some(0));
}

#[test]
fn counters_follow_the_events() {
    let (mut running, address) = running();
    running
        .send(b"{\"id\":\"1\",\"time\":1,\"type\":\"LOGIN\",\"realmName\":\"demo\"}\nnonsense\n");
    wait_for_metric(&address, "kete_events_forwarded_total{route=\"all\"} 1");
    wait_for_metric(&address, "kete_source_events_bad_total{source=\"input\"} 1");
    assert_eq!(running.finish().code, Some(1), "a line was bad");
}
