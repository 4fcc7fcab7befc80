//! What the project shows people has to work: the example files, and the blocks that KETE users
//! have already.

use std::fs;

use super::harness::{kete, project, run_to_end, with_settings};

#[test]
fn every_example_passes() {
    let mut count = 0;
    for entry in fs::read_dir(project("config-examples")).unwrap() {
        let path = entry.unwrap().path();
        let ended = run_to_end(kete().arg("check").arg("--config").arg(&path), b"");
        assert_eq!(ended.code, Some(0), "{}: {}", path.display(), ended.stdout);
        let clean = ended
            .stdout
            .starts_with("the configuration is right: no mistakes\n");
        assert!(clean, "{}: {}", path.display(), ended.stdout);
        assert!(
            fs::read_to_string(&path).unwrap().starts_with("# "),
            "{}",
            path.display()
        );
        count += 1;
    }
    assert!(count >= 9, "only {count} examples");
}

#[test]
fn every_quickstart_passes() {
    let mut count = 0;
    for quickstart in fs::read_dir(project("quickstarts")).unwrap() {
        for entry in fs::read_dir(quickstart.unwrap().path()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|is| is != "properties") {
                continue;
            }
            let ended = run_to_end(kete().arg("check").arg("--config").arg(&path), b"");
            assert_eq!(ended.code, Some(0), "{}: {}", path.display(), ended.stdout);
            count += 1;
        }
    }
    assert!(count >= 1, "no quickstart has a properties file");
}

/// The keys below `kete.routes.` of each block that users of KETE's Socket.IO destination have.
const BLOCKS: &[(&str, &[&str])] = &[
    (
        "simplest",
        &[
            "kind=socketio",
            "url=http://dashboard:3000",
            "event-name=keycloak-event",
        ],
    ),
    (
        "static headers",
        &[
            "kind=socketio",
            "url=https://socketio.example.com",
            "event-name=event",
            "headers.Authorization=Bearer token123",
            "headers.X-API-Key=my-api-key",
        ],
    ),
    (
        "a name per type",
        &[
            "kind=socketio",
            "url=http://dashboard:3000",
            "event-name=keycloak-${eventTypeLowerCase}",
        ],
    ),
    (
        "a name per realm",
        &[
            "kind=socketio",
            "url=http://dashboard:3000",
            "event-name=${realmLowerCase}-event",
        ],
    ),
    (
        "namespace and path",
        &[
            "kind=socketio",
            "url=http://socketio-server:3000",
            "event-name=user-event",
            "namespace=/keycloak",
            "path=/ws/",
        ],
    ),
    (
        "high throughput",
        &[
            "kind=socketio",
            "url=http://realtime-dashboard:3000",
            "event-name=event",
            "namespace=/admin",
            "timeout-seconds=30",
            "pool.min-idle=5",
            "pool.max-idle=15",
            "pool.max-total=30",
        ],
    ),
];

/// Blocks whose keys come later: what has to be said about them.
const NOT_YET: &[(&str, &[&str])] = &[
    (
        "a private certificate authority",
        &[
            "tls.trust-store.loader.kind=pem-file-path",
            "tls.trust-store.loader.path=/certs/ca.pem",
        ],
    ),
    (
        "mutual TLS",
        &[
            "tls.trust-store.loader.kind=pem-file-path",
            "tls.trust-store.loader.path=/certs/ca.pem",
            "tls.key-store.loader.kind=pkcs12-file-path",
            "tls.key-store.loader.path=/certs/client.p12",
            "tls.key-store.loader.password=changeit",
        ],
    ),
    (
        "OAuth with an external server",
        &[
            "oauth.enabled=true",
            "oauth.token-url=https://auth.example.com/oauth/token",
            "oauth.client-id=keycloak-client",
            "oauth.client-secret=secret",
            "oauth.scope=events:write",
        ],
    ),
    (
        "OAuth of the current Keycloak",
        &["oauth.enabled=true", "oauth.mode=internal"],
    ),
];

fn check_destination(keys: &[&str]) -> super::harness::Ended {
    let mut settings = vec!["kete.sources.input.kind=stdin".to_owned()];
    settings.extend(
        keys.iter()
            .map(|key| format!("kete.routes.ours.destination.{key}")),
    );
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    run_to_end(&mut with_settings("check", &settings), b"")
}

#[test]
fn blocks_of_kete_users_pass_unchanged() {
    for (name, keys) in BLOCKS {
        let ended = check_destination(keys);
        assert_eq!(ended.code, Some(0), "{name}: {}", ended.stdout);
        let clean = ended
            .stdout
            .starts_with("the configuration is right: no mistakes\n");
        assert!(clean, "{name}: {}", ended.stdout);
        for secret in ["token123", "my-api-key"] {
            assert!(!ended.stdout.contains(secret), "{name}: {}", ended.stdout);
        }
    }
}

#[test]
fn blocks_that_come_later_are_refused_key_by_key() {
    let usual = [
        "kind=socketio",
        "url=https://a.example.com",
        "event-name=event",
    ];
    for (name, keys) in NOT_YET {
        let ended = check_destination(&[&usual, *keys].concat());
        assert_eq!(ended.code, Some(2), "{name}");
        let refused = ended
            .stdout
            .matches("error[not-yet]: --set: kete.routes.ours.")
            .count();
        assert_eq!(refused, keys.len(), "{name}: {}", ended.stdout);
        assert_eq!(
            ended.stdout.matches("error[").count(),
            keys.len(),
            "{name}: {}",
            ended.stdout
        );
        assert!(
            !ended.stdout.contains("changeit"),
            "{name}: {}",
            ended.stdout
        );
    }
}
