//! A client whose secret only Keycloak knows, from settings to token.
//!
//! A scripted Keycloak, because a real one does not change a secret at the right moment.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use kete_config::{Diagnostics, Loader};
use kete_credentials::oauth::{OauthSettings, TokenError, TokenSource};
use serde_json::json;

use crate::server::{Asked, Reply, Server, pass, text};

/// `user:password` as HTTP Basic authentication sends them.
fn basic(user: &str, password: &str) -> String {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// The secret that Keycloak holds, and how often it was shown.
#[derive(Clone)]
struct Keycloak {
    secret: Arc<Mutex<String>>,
    shown: Arc<AtomicUsize>,
}

impl Keycloak {
    fn answer(&self, asked: &Asked) -> Reply {
        let authorization = asked.header("authorization").unwrap_or_default();
        let secret = self.secret.lock().unwrap().clone();
        let (path, _query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
        match path {
            "/auth/realms/demo/protocol/openid-connect/token" => {
                if authorization == basic("registrar", "registrars") {
                    Reply::token("of-registrar", 60)
                } else if authorization == basic("kete-oauth-client", &secret) {
                    Reply::token(&format!("with-{secret}"), 300)
                } else {
                    let error = json!({"error": "unauthorized_client"});
                    Reply::json(401, &error)
                }
            }
            "/auth/admin/realms/demo/clients" => {
                assert_eq!(authorization, "Bearer of-registrar");
                let client = json!({
                    "id": "17", "clientId": "kete-oauth-client", "protocol": "openid-connect",
                    "enabled": true, "publicClient": false, "bearerOnly": false,
                    "serviceAccountsEnabled": true, "clientAuthenticatorType": "client-secret",
                });
                Reply::json(200, &json!([client]))
            }
            "/auth/admin/realms/demo/clients/17/client-secret" => {
                self.shown.fetch_add(1, Ordering::SeqCst);
                Reply::json(200, &json!({"type": "secret", "value": secret}))
            }
            other => panic!("{other} is asked for"),
        }
    }
}

/// What the settings of an issue's example make: nothing but `mode=internal`.
async fn internal() -> (Keycloak, Arc<Server>, TokenSource) {
    let server = Server::start().await;
    let keycloak = Keycloak {
        secret: Arc::new(Mutex::new("s3cret-1".to_owned())),
        shown: Arc::default(),
    };
    let answering = keycloak.clone();
    server.answers_with(move |asked| answering.answer(asked));
    let address = server.url.origin().ascii_serialization();
    let source = source(&format!("{address}/auth"), &[SECRET]);
    (keycloak, server, source)
}

const SECRET: &str = "kete.keycloak.registration.client-secret=registrars";

/// A source of a client of this Keycloak, with more settings.
fn source(keycloak: &str, more: &[&str]) -> TokenSource {
    let diagnostics = Diagnostics::new();
    let url = format!("kete.keycloak.url={keycloak}");
    let settings = [
        "oauth.enabled=true",
        "oauth.mode=internal",
        "kete.keycloak.registration.client-id=registrar",
        &url,
    ];
    let loader = settings
        .iter()
        .chain(more)
        .fold(Loader::new("kete"), |loader, set| loader.set(*set));
    let settings = loader.load(&diagnostics);
    let scope = settings.scope("oauth", &diagnostics);
    let read = OauthSettings::read(&scope, Some("demo")).flatten();
    let read = read.unwrap_or_else(|| panic!("{diagnostics}"));
    read.build().unwrap()
}

#[tokio::test]
async fn keycloak_is_asked_directly_and_the_token_endpoint_through_the_proxy() {
    let (_keycloak, server, _source) = internal().await;
    let proxy = Server::start().await;
    let address = server.url.origin().ascii_serialization();
    let url = format!(
        "oauth.proxy.url={}",
        proxy.url.origin().ascii_serialization()
    );
    let elsewhere = "oauth.token-url=http://auth.example.com/token";
    let source = source(&format!("{address}/auth"), &[SECRET, elsewhere, &url]);
    assert_eq!(text(&source).await, "one");
    assert_eq!(proxy.asked().path, "http://auth.example.com/token");
    assert_eq!(proxy.count(), 1, "no secret of Keycloak's went that way");
    assert_eq!(server.count(), 3);
}

#[test]
fn keycloak_may_go_by_another_name_although_there_is_a_proxy() {
    source(
        "https://keycloak.example.com",
        &[
            SECRET,
            "kete.keycloak.tls.server-name=inside.example.com",
            "oauth.token-url=https://auth.example.com/token",
            "oauth.proxy.url=http://proxy.example.com:3128",
        ],
    );
}

#[tokio::test]
async fn the_secret_of_the_account_may_be_in_a_file() {
    let (_keycloak, server, _source) = internal().await;
    let address = server.url.origin().ascii_serialization();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    std::fs::write(&path, "registrars\n").unwrap();
    let key = "kete.keycloak.registration.client-secret-file";
    let file = format!("{key}={}", path.display());
    let source = source(&format!("{address}/auth"), &[&file]);
    std::fs::remove_file(&path).unwrap();
    let error = source.token().await.unwrap_err();
    assert!(matches!(error, TokenError::File { .. }), "{error}");
    std::fs::write(&path, "registrars\n").unwrap();
    pass(1).await;
    assert_eq!(text(&source).await, "with-s3cret-1");
}

#[tokio::test]
async fn its_secret_is_asked_for_once() {
    let (keycloak, server, source) = internal().await;
    assert_eq!(
        server.count(),
        0,
        "nothing is asked before a token is wanted"
    );
    assert_eq!(text(&source).await, "with-s3cret-1");
    pass(290).await;
    assert_eq!(text(&source).await, "with-s3cret-1");
    assert_eq!(keycloak.shown.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_secret_that_was_changed_is_asked_for_again() {
    let (keycloak, _server, source) = internal().await;
    text(&source).await;
    *keycloak.secret.lock().unwrap() = "s3cret-2".to_owned();
    pass(301).await;
    let error = source.token().await.unwrap_err();
    assert!(matches!(error, TokenError::Refused { status: 401, .. }));
    assert_eq!(
        keycloak.shown.load(Ordering::SeqCst),
        1,
        "it was not doubted yet"
    );
    pass(1).await;
    assert_eq!(text(&source).await, "with-s3cret-2");
    assert_eq!(keycloak.shown.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn why_there_is_no_secret_is_said_without_any() {
    let (_keycloak, server, source) = internal().await;
    server.answers_with(|asked| {
        let said = json!({
            "error": "unauthorized_client",
            "error_description": asked.header("authorization"),
        });
        Reply::json(401, &said)
    });
    let error = source.token().await.unwrap_err();
    let TokenError::NotRegistered { .. } = &error else {
        panic!("{error}");
    };
    assert!(!error.can_retry_help(), "{error}");
    let shown = format!("{error} {error:?} {source:?}");
    assert!(
        shown.contains("registrar of realm demo cannot log in"),
        "{shown}"
    );
    for secret in ["registrars", &basic("registrar", "registrars")] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert_eq!(server.count(), 1);
    assert_eq!(source.token().await.unwrap_err(), error, "it is shared");
    assert_eq!(server.count(), 1);
}
