//! `kete keycloak prepare`: its command line, its configuration, and what it prints. What becomes
//! of a real Keycloak is shown by the whole-system tests.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread;

use serde_json::Value;

use super::harness::{file, kete, run_to_end};

const PASSWORD: &str = "admin-very-secret";

/// A Keycloak whose realm `shop` has the client `kete-oauth-client`, for one exchange per
/// connection. It ends with the process.
fn keycloak() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            answer(&mut stream.unwrap());
        }
    });
    url
}

fn answer(stream: &mut TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_ascii_lowercase()),
        }
    }
    let length = lines
        .iter()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).unwrap();
    let body = String::from_utf8(body).unwrap();
    let (status, answer) = match lines[0].split(' ').nth(1).unwrap() {
        "/realms/master/protocol/openid-connect/token" if body.contains(PASSWORD) => (
            "200 OK",
            r#"{"access_token":"token-very-secret","token_type":"Bearer"}"#,
        ),
        "/realms/master/protocol/openid-connect/token" => (
            "401 Unauthorized",
            r#"{"error":"invalid_grant","error_description":"Invalid user credentials"}"#,
        ),
        "/admin/realms/shop/clients?clientid=kete-oauth-client" => (
            "200 OK",
            r#"[{"id":"1","clientId":"kete-oauth-client","enabled":true}]"#,
        ),
        "/admin/realms/shop/clients/1/client-secret" => {
            ("200 OK", r#"{"type":"secret","value":"of-the-client"}"#)
        }
        _ => ("404 Not Found", r#"{"error":"Realm not found."}"#),
    };
    let length = answer.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\n");
    let head = format!("{head}Content-Length: {length}\r\nConnection: close\r\n\r\n");
    // A client that has gone is no business of the test's.
    let _gone = stream.write_all(format!("{head}{answer}").as_bytes());
}

fn prepare(arguments: &[&str]) -> Command {
    let mut command = kete();
    command
        .args(["keycloak", "prepare", "--oauth-client", "--realm", "shop"])
        .args(arguments);
    command
}

/// With an administrator who can log in.
fn prepare_at(url: &str, arguments: &[&str]) -> Command {
    let mut command = prepare(&["--url", url, "--admin-user", "admin"]);
    command.args(arguments).env("KETE_ADMIN_PASSWORD", PASSWORD);
    command
}

#[test]
fn the_lines_can_be_appended_to_a_configuration_as_they_are() {
    let url = keycloak();
    let ended = run_to_end(&mut prepare_at(&url, &[]), b"");
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert_eq!(
        ended.stdout,
        format!(
            "# The client kete-oauth-client in realm shop of {url}/ was there already, and is \
             unchanged.\n\
             kete.routes.events.destination.oauth.enabled=true\n\
             kete.routes.events.destination.oauth.mode=internal\n\
             kete.routes.events.destination.oauth.realm=shop\n\
             kete.routes.events.destination.oauth.client-id=kete-oauth-client\n\
             kete.routes.events.destination.oauth.client-secret=of-the-client\n"
        )
    );
    let text = format!("kete.keycloak.url={url}\n{}", ended.stdout);
    let (_directory, path) = file("kete.properties", &text);
    let mut again = prepare(&["--admin-user", "admin", "--config"]);
    again.arg(&path).env("KETE_ADMIN_PASSWORD", PASSWORD);
    let ended = run_to_end(&mut again, b"");
    assert!(
        ended
            .stdout
            .ends_with("\n# The configuration has all it needs to use it.\n"),
        "{}",
        ended.stdout
    );
}

#[test]
fn programs_get_one_document() {
    let url = keycloak();
    let mut command = prepare_at(&url, &["--format", "json", "--route", "a", "--route", "b"]);
    let ended = run_to_end(&mut command, b"");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let answer: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(answer["created"], false);
    assert_eq!(answer["clientId"], "kete-oauth-client");
    assert_eq!(answer["clientSecret"], "of-the-client");
    assert_eq!(answer["clientSecretFile"], Value::Null);
    let lines = answer["lines"].as_array().unwrap();
    assert_eq!(lines.len(), 10);
    let last = "kete.routes.b.destination.oauth.client-secret";
    assert_eq!(
        (&lines[9]["key"], &lines[9]["value"]),
        (&last.into(), &"of-the-client".into())
    );
}

#[test]
fn a_secret_can_go_into_a_file_instead() {
    let url = keycloak();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    let arguments = ["--secret-file", path.to_str().unwrap()];
    for format in ["human", "json"] {
        let mut command = prepare_at(&url, &arguments);
        let ended = run_to_end(command.args(["--format", format]), b"");
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(!ended.stdout.contains("of-the-client"), "{}", ended.stdout);
        assert!(
            ended.stdout.contains(path.to_str().unwrap()),
            "{}",
            ended.stdout
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "of-the-client\n");
    }
    fs::write(&path, "something else").unwrap();
    let ended = run_to_end(&mut prepare_at(&url, &arguments), b"");
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(
        ended
            .stderr
            .contains("is there already with something else"),
        "{}",
        ended.stderr
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "something else");
}

#[test]
fn the_password_comes_from_a_file_or_from_standard_input() {
    let url = keycloak();
    let (_directory, path) = file("password", &format!("{PASSWORD}\r\n"));
    for (file, input) in [(path.to_str().unwrap(), ""), ("-", PASSWORD)] {
        let arguments = [
            "--url",
            &url,
            "--admin-user",
            "admin",
            "--admin-password-file",
            file,
        ];
        let ended = run_to_end(&mut prepare(&arguments), input.as_bytes());
        assert_eq!(ended.code, Some(0), "{file}: {}", ended.stderr);
    }
}

#[test]
fn a_wrong_password_fails_and_is_not_repeated() {
    let mut command = prepare_at(&keycloak(), &[]);
    let ended = run_to_end(command.env("KETE_ADMIN_PASSWORD", "wrong-very-secret"), b"");
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    let start = "error: the user admin of realm master cannot log in: ";
    assert!(ended.stderr.starts_with(start), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("the name or the password is wrong"),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("very-secret"), "{}", ended.stderr);
}

#[test]
fn without_a_password_it_says_where_one_could_stand() {
    let directory = tempfile::tempdir().unwrap();
    let (_kept, empty) = file("password", "\n");
    for (file, expected) in [
        (
            None,
            "error: the password of --admin-user is missing: name a file",
        ),
        (Some("-"), "error: standard input holds no password\n"),
        (Some(empty.to_str().unwrap()), " holds no password\n"),
        (
            Some(directory.path().to_str().unwrap()),
            " cannot be read: Is a directory",
        ),
    ] {
        let mut command = prepare(&["--url", "http://localhost:1", "--admin-user", "admin"]);
        command.args(file.iter().flat_map(|file| ["--admin-password-file", file]));
        let ended = run_to_end(&mut command, b"");
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(2), ""),
            "{file:?}"
        );
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
    }
}

#[test]
fn somebody_has_to_log_in() {
    let ended = run_to_end(&mut prepare(&["--url", "http://localhost:1"]), b"");
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    assert_eq!(
        ended.stderr,
        "error: nobody is named who logs in to Keycloak: add --admin-user NAME, or set \
         kete.keycloak.registration.client-id and .client-secret\n"
    );
}

#[test]
fn mistakes_in_the_section_of_keycloak_are_reported_as_by_check() {
    let mut command = prepare(&[
        "--set",
        "kete.keycloak.ulr=http://localhost:1",
        "--set",
        "kete.keycloak.registration.client-id=registrar",
        "--set",
        "kete.keycloak.registration.client-secret-file=/nowhere/very-secret",
        "--set",
        "kete.routes.a.destination.kind=nonsense",
    ]);
    let ended = run_to_end(&mut command, b"");
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    for expected in [
        "error[unknown-key]: --set: kete.keycloak.ulr\n",
        "error[missing-key]: kete.keycloak.url\n",
        "error[unreadable-file]: --set: kete.keycloak.registration.client-secret-file",
        "\n3 errors\n",
    ] {
        assert!(
            ended.stderr.contains(expected),
            "{expected}: {}",
            ended.stderr
        );
    }
    let ended = run_to_end(command.args(["--format", "json"]), b"");
    let answer: Value = serde_json::from_str(&ended.stderr).unwrap();
    assert_eq!(answer["errors"], 3);
}

#[test]
fn the_account_that_registers_is_used_without_an_administrator() {
    let url = keycloak();
    let mut command = prepare(&["--url", &url]);
    for setting in [
        "client-id=registrar",
        "client-secret=very-secret",
        "realm=elsewhere",
    ] {
        command.args(["--set", &format!("kete.keycloak.registration.{setting}")]);
    }
    let ended = run_to_end(&mut command, b"");
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    let start = "error: the client registrar of realm elsewhere cannot log in: ";
    assert!(ended.stderr.starts_with(start), "{}", ended.stderr);
    assert!(!ended.stderr.contains("very-secret"), "{}", ended.stderr);
}

#[test]
fn the_client_that_polls_is_never_what_receivers_get_tokens_of() {
    let mut command = prepare_at("http://localhost:1", &[]);
    for setting in ["client-id=kete-oauth-client", "realms=shop"] {
        command.args(["--set", &format!("kete.keycloak.{setting}")]);
    }
    let ended = run_to_end(&mut command, b"");
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    assert!(
        ended.stderr.contains("is the client that polls Keycloak"),
        "{}",
        ended.stderr
    );
}

#[test]
fn no_password_of_an_administrator_travels_in_the_clear() {
    let mut command = prepare_at("http://keycloak.invalid:8080/auth", &[]);
    let ended = run_to_end(&mut command, b"");
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    let expected = "error: the password of admin would travel in the clear to \
                    http://keycloak.invalid:8080/auth: use https, or run this on the machine of \
                    Keycloak itself with --url http://localhost and its port\n";
    assert!(ended.stderr.ends_with(expected), "{}", ended.stderr);
}

#[test]
fn a_realm_that_is_missing_and_a_server_that_is_away_are_told_apart() {
    let mut command = prepare_at(&keycloak(), &[]);
    let ended = run_to_end(command.args(["--set", "kete.log.level=trace"]), b"");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let mut command = kete();
    command
        .args([
            "keycloak",
            "prepare",
            "--oauth-client",
            "x",
            "--realm",
            "gone",
        ])
        .args(["--url", &keycloak(), "--admin-user", "admin"])
        .env("KETE_ADMIN_PASSWORD", PASSWORD);
    let ended = run_to_end(&mut command, b"");
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.starts_with("error: 404 for realm gone: "),
        "{}",
        ended.stderr
    );

    let away = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", away.local_addr().unwrap());
    drop(away);
    let ended = run_to_end(&mut prepare_at(&url, &[]), b"");
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("cannot be asked for a token"),
        "{}",
        ended.stderr
    );
}

#[test]
fn help_shows_an_example_and_no_option_takes_a_password() {
    let ended = run_to_end(kete().args(["keycloak", "prepare", "--help"]), b"");
    assert_eq!(ended.code, Some(0));
    for part in [
        "Examples:",
        "--oauth-client [<ID>]",
        "KETE_ADMIN_PASSWORD",
        "Exit codes: 0",
    ] {
        assert!(
            ended.stdout.contains(part),
            "{part:?} is not in\n{}",
            ended.stdout
        );
    }
    let wide = ended.stdout.lines().find(|line| line.chars().count() > 100);
    assert_eq!(wide, None);
    for option in ["--admin-password", "--client-secret"] {
        let ended = run_to_end(&mut prepare(&[option, "x"]), b"");
        assert_eq!(ended.code, Some(2), "{option}");
    }
}
