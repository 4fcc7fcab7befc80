//! The blocks that KETE users have already have to work. The example files are checked by the
//! whole-system tests, which have the certificates that some of them name.

use super::harness::{run_to_end, with_settings};

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
    (
        "OAuth with an external server",
        &[
            "kind=socketio",
            "url=https://dashboard.example.com",
            "event-name=event",
            "oauth.enabled=true",
            "oauth.token-url=https://auth.example.com/oauth/token",
            "oauth.client-id=keycloak-client",
            "oauth.client-secret=very-secret",
            "oauth.scope=events:write",
        ],
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
        for secret in ["token123", "my-api-key", "very-secret"] {
            assert!(!ended.stdout.contains(secret), "{name}: {}", ended.stdout);
        }
    }
}
