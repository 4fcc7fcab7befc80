//! `kete check`: layers, files that cannot be read, and its two formats.

use std::fs;

use super::harness::{file, kete, run_to_end, with_settings};

const RIGHT: &[&str] = &[
    "kete.sources.input.kind=stdin",
    "kete.routes.all.destination.kind=stdout",
];

const FILE: &str = "\
kete.sources.input.kind=stdin
kete.routes.shop.event-matchers.login=glob:LOGIN*
kete.routes.shop.destination.kind=socketio
kete.routes.shop.destination.url=http://localhost:3000
kete.routes.shop.destination.event-name=keycloak-event
kete.routes.shop.destination.headers.Authorization=Bearer very-secret
kete.routes.old.enabled=off
";

#[test]
fn a_right_configuration_is_summed_up() {
    let (_directory, path) = file("kete.properties", FILE);
    let ended = run_to_end(kete().arg("check").arg("--config").arg(&path), b"");
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    assert_eq!(
        ended.stdout,
        "\
the configuration is right: no mistakes

source input
  kind                 stdin
route shop
  realms               all
  event types          any of login=glob:LOGIN*
  destination          socketio
  url                  http://localhost:3000
  event-name           keycloak-event
  headers.Authorization (hidden)
  confirm              barrier (default)
route old is disabled, and nothing else of it was checked
process
  queue                in memory, at most 20000 events and 16MiB
  dead letters         not kept (kete.data-dir or kete.dead-letters.path)
  metrics              not served (kete.admin.bind)
"
    );
}

#[test]
fn json_is_one_document_with_places_and_a_summary() {
    let text = format!("{FILE}kete.metrics.enabled=true\n");
    let (_directory, path) = file("kete.properties", &text);
    let mut check = kete();
    check
        .args(["check", "--format", "json", "--config"])
        .arg(&path);
    let ended = run_to_end(&mut check, b"");
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    assert!(!ended.stdout.contains("very-secret"), "{}", ended.stdout);
    let answer: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(answer["ok"], true);
    assert_eq!(
        (&answer["errors"], &answer["warnings"]),
        (&0.into(), &1.into())
    );
    let warning = &answer["diagnostics"][0];
    assert_eq!(warning["code"], "unused-key");
    assert_eq!(warning["file"], path.to_str().unwrap());
    assert_eq!(warning["line"], 8);
    assert_eq!(warning["key"], "kete.metrics.enabled");
    let summary = &answer["summary"];
    assert_eq!(summary["routes"][0]["name"], "shop");
    assert_eq!(
        summary["routes"][0]["eventMatchers"]["matchers"][0]["pattern"],
        "glob:LOGIN*"
    );
    assert_eq!(summary["routes"][0]["destination"]["kind"], "socketio");
    assert_eq!(summary["disabledRoutes"][0], "old");
    assert_eq!(summary["deadLetters"], serde_json::Value::Null);
}

#[test]
fn json_of_a_wrong_configuration_has_no_summary() {
    let mut check = with_settings("check", &["kete.routes.all.destination.kind=stdout"]);
    let ended = run_to_end(check.args(["--format", "json"]), b"");
    assert_eq!(ended.code, Some(2));
    let answer: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(answer["ok"], false);
    assert_eq!(answer["diagnostics"][0]["code"], "no-source");
    assert_eq!(answer["summary"], serde_json::Value::Null);
}

#[test]
fn later_files_win_then_the_environment_then_set() {
    let (_first, first) = file("first.properties", FILE);
    let (_second, second) = file(
        "second.properties",
        "kete.routes.shop.destination.event-name=second\n",
    );
    let url = |command: &mut std::process::Command, expected: &str| {
        let ended = run_to_end(command, b"");
        assert_eq!(ended.code, Some(0), "{}", ended.stdout);
        let line = format!("  event-name           {expected}\n");
        assert!(ended.stdout.contains(&line), "{expected}: {}", ended.stdout);
    };
    let mut check = kete();
    check
        .arg("check")
        .arg("--config")
        .arg(&first)
        .arg("--config")
        .arg(&second);
    url(&mut check, "second");
    check.env("KETE__ROUTES__SHOP__DESTINATION__EVENT_NAME", "environment");
    url(&mut check, "environment");
    check.args(["--set", "kete.routes.shop.destination.event-name=set"]);
    url(&mut check, "set");
}

#[test]
fn the_environment_alone_is_a_configuration() {
    let mut check = kete();
    check
        .arg("check")
        .env("KETE__SOURCES__INPUT__KIND", "stdin");
    check.env("kete.routes.all.destination.kind", "stdout");
    let ended = run_to_end(&mut check, b"");
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing.properties");
    for (path, why) in [
        (directory.path(), "this is a directory"),
        (&missing, "no such file"),
    ] {
        for subcommand in ["check", "run", "explain"] {
            let ended = run_to_end(kete().arg(subcommand).arg("--config").arg(path), b"");
            assert_eq!(ended.code, Some(2), "{subcommand}");
            let said = ended.stdout + &ended.stderr;
            let place = format!("error[unreadable-file]: {}\n", path.display());
            assert!(
                said.contains(&place) && said.contains(why),
                "{subcommand}: {said}"
            );
        }
    }
}

#[test]
fn a_set_without_a_value_is_refused_and_not_repeated() {
    let ended = run_to_end(&mut with_settings("check", &["kete.x very-secret"]), b"");
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stdout.contains("error[bad-set]: --set"),
        "{}",
        ended.stdout
    );
    assert!(!ended.stdout.contains("very-secret"), "{}", ended.stdout);
}

#[test]
fn unknown_keys_can_be_made_warnings() {
    let settings = [
        RIGHT,
        &["kete.unknown-keys=warn", "kete.routes.all.shape=round"],
    ]
    .concat();
    let ended = run_to_end(&mut with_settings("check", &settings), b"");
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    let warning = "warning[unknown-key]: --set: kete.routes.all.shape\n";
    assert!(ended.stdout.starts_with(warning), "{}", ended.stdout);
}

#[test]
fn keys_of_kete_without_meaning_here_are_warnings() {
    let ours = [
        "kete.metrics.enabled=true",
        "kete.support-the-project-message=false",
    ];
    let ended = run_to_end(&mut with_settings("check", &[RIGHT, &ours].concat()), b"");
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    assert_eq!(
        ended.stdout.matches("warning[unused-key]").count(),
        2,
        "{}",
        ended.stdout
    );
    assert!(
        ended.stdout.contains("kete.admin.bind decides"),
        "{}",
        ended.stdout
    );
}

#[test]
fn switched_off_means_that_nothing_else_counts() {
    let settings = [
        "kete.enabled=false",
        "kete.routes.all.destination.kind=nonsense",
    ];
    for subcommand in ["check", "run", "explain"] {
        let ended = run_to_end(&mut with_settings(subcommand, &settings), b"");
        assert_eq!(ended.code, Some(0), "{subcommand}: {}", ended.stderr);
        let said = ended.stdout + &ended.stderr;
        assert!(said.contains("kete.enabled=false"), "{subcommand}: {said}");
    }
}

#[test]
fn a_route_may_have_any_name_that_a_key_can_hold() {
    let text =
        "kete.sources.in\\ put.kind=stdin\nkete.routes.R\\u00F6ute_1\\ a.destination.kind=stdout\n";
    let (_directory, path) = file("kete.properties", text);
    let ended = run_to_end(kete().arg("check").arg("--config").arg(&path), b"");
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    assert!(
        ended.stdout.contains("route Röute_1 a\n"),
        "{}",
        ended.stdout
    );
}

#[test]
fn no_file_is_written_and_no_port_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    let taken = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let [address, other] = taken.each_ref().map(|taken| taken.local_addr().unwrap());
    let path = directory.path().join("dead.ndjson");
    let settings = [
        format!("kete.dead-letters.path={}", path.display()),
        format!("kete.admin.bind={other}"),
        format!("kete.sources.hook.bind={address}"),
        "kete.sources.hook.kind=webhook".to_owned(),
    ];
    let ours: Vec<&str> = settings.iter().map(String::as_str).collect();
    let ended = run_to_end(&mut with_settings("check", &[RIGHT, &ours].concat()), b"");
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn the_summary_hides_what_is_secret() {
    let settings = [
        "kete.keycloak.url=http://localhost:8080",
        "kete.keycloak.realms=demo",
        "kete.keycloak.client-id=kete",
        "kete.keycloak.client-secret=very-secret",
        "kete.routes.shop.destination.kind=socketio",
        "kete.routes.shop.destination.url=http://localhost:3000/?token=very-secret",
        "kete.routes.shop.destination.event-name=event",
        "kete.routes.shop.destination.auth.token=very-secret",
        "kete.routes.shop.destination.query.key=very-secret",
    ];
    for format in ["human", "json"] {
        let mut check = with_settings("check", &settings);
        let ended = run_to_end(check.args(["--format", format]), b"");
        assert_eq!(ended.code, Some(0), "{}", ended.stdout);
        for shown in [
            "http://localhost:3000/?(hidden)",
            "client-secret",
            "auth.token",
        ] {
            assert!(ended.stdout.contains(shown), "{shown}: {}", ended.stdout);
        }
        assert!(!ended.stdout.contains("very-secret"), "{}", ended.stdout);
    }
}

#[test]
fn the_summary_shows_where_a_webhook_listens_even_by_default() {
    let settings = [RIGHT, &["kete.sources.hook.kind=webhook"]].concat();
    let ended = run_to_end(&mut with_settings("check", &settings), b"");
    for line in [
        "  bind                 127.0.0.1:8088 (default)\n",
        "  path                 /events (default)\n",
    ] {
        assert!(ended.stdout.contains(line), "{line}: {}", ended.stdout);
    }
}

#[test]
fn listeners_on_free_ports_and_on_other_addresses_do_not_collide() {
    let settings = [
        "kete.sources.one.kind=webhook",
        "kete.sources.one.bind=127.0.0.1:0",
        "kete.sources.two.kind=webhook",
        "kete.sources.two.bind=127.0.0.1:0",
        "kete.sources.three.kind=webhook",
        "kete.admin.bind=127.0.0.2:8088",
    ];
    let ended = run_to_end(
        &mut with_settings("check", &[RIGHT, &settings].concat()),
        b"",
    );
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
}

#[test]
fn variables_with_single_underscores_are_warned_of_and_others_are_not() {
    let mut check = with_settings("check", RIGHT);
    for variable in [
        "KETE_LOG_FORMAT",
        "KETE_ROUTES_A_DESTINATION_EVENT_NAME",
        "KETE_SERVICE_HOST",
        "KETE_SERVICE_PORT",
        "KETE_PORT",
        "KETE_PORT_8088_TCP_ADDR",
        "KETE_BIN",
    ] {
        check.env(variable, "very-secret");
    }
    let ended = run_to_end(&mut check, b"");
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    assert!(!ended.stdout.contains("very-secret"), "{}", ended.stdout);
    assert_eq!(
        ended.stdout.matches("warning[").count(),
        2,
        "{}",
        ended.stdout
    );
    for meant in [
        "did you mean KETE__LOG__FORMAT?",
        "did you mean KETE__ROUTES__A__DESTINATION__EVENT_NAME?",
    ] {
        assert!(ended.stdout.contains(meant), "{meant}: {}", ended.stdout);
    }
}

/// The warnings of a configuration that is right, which each of them must name.
fn warned_of(settings: &[&str], key: &str, expected: &[&str]) {
    let ended = run_to_end(
        &mut with_settings("check", &[RIGHT, settings].concat()),
        b"",
    );
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    let warnings = ended.stdout.matches("warning[").count();
    assert_eq!(
        warnings,
        usize::from(!expected.is_empty()),
        "{}",
        ended.stdout
    );
    for words in expected.iter().chain((warnings > 0).then_some(&key)) {
        assert!(ended.stdout.contains(words), "{words}: {}", ended.stdout);
    }
}

#[test]
fn delivery_lines_that_the_level_leaves_out_are_warned_of() {
    let key = "kete.log.deliveries";
    let words = ["warning[no-effect]", "set kete.log.level=info"];
    for level in ["error", "warn"] {
        let level = format!("kete.log.level={level}");
        warned_of(&["kete.log.deliveries=all", &level], key, &words);
        warned_of(&["kete.log.deliveries=failed", &level], key, &words);
        warned_of(&["kete.log.deliveries=off", &level], key, &[]);
    }
    warned_of(&["kete.log.deliveries=all"], key, &[]);
}

#[test]
fn a_webhook_that_does_not_wait_for_the_next_sync_is_warned_of() {
    let key = "kete.queue.sync-interval";
    let (_folder, directory) = file("unused", "");
    let data_dir = format!(
        "kete.data-dir={}",
        directory.with_file_name("data").display()
    );
    let hook = [
        &*data_dir,
        "kete.queue.sync=interval",
        "kete.sources.hook.kind=webhook",
    ];
    let with = |more: &[&'static str]| [&hook[..], more].concat();
    let words = [
        "warning[safe-too-late]",
        "kete.sources.hook.respond-timeout",
    ];
    // 4s is the default.
    warned_of(&with(&["kete.queue.sync-interval=4s"]), key, &words);
    warned_of(&with(&["kete.queue.sync-interval=3s"]), key, &[]);
    let queued = "kete.sources.hook.respond-when=queued";
    warned_of(&with(&["kete.queue.sync-interval=4s", queued]), key, &[]);
    let patient = "kete.sources.hook.respond-timeout=10s";
    warned_of(&with(&["kete.queue.sync-interval=4s", patient]), key, &[]);
}

#[test]
fn a_route_that_may_be_behind_by_more_than_there_is_room_is_warned_of() {
    let key = "kete.routes.all.queue.max-lag-bytes";
    let lag = "kete.routes.all.queue.max-lag-bytes=17MiB";
    let words = ["warning[no-effect]", "kete.queue.max-bytes (16MiB)"];
    warned_of(&[lag], key, &words);
    warned_of(&[lag, "kete.queue.max-bytes=17MiB"], key, &[]);
}

#[test]
fn a_control_socket_without_a_directory_is_warned_of() {
    let key = "kete.control.socket";
    let (_folder, path) = file("a-file", "");
    let missing = path.with_file_name("missing").join("c.sock");
    let missing = format!("{key}={}", missing.display());
    warned_of(
        &[&missing],
        key,
        &["warning[control-socket]", "does not exist here"],
    );
    let below_a_file = format!("{key}={}", path.join("c.sock").display());
    warned_of(&[&below_a_file], key, &["is not a directory"]);
    let right = format!("{key}={}", path.with_file_name("c.sock").display());
    warned_of(&[&right], key, &[]);
}
