//! Clients that are there and cannot be used, and answers that nobody wants.

use kete_credentials::keycloak::{RegistrationError, prepare_client};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::fake::{Fake, administrator, http, keycloak, registrar};

const ID: &str = "kete-oauth-client";

async fn unusable(changes: Value) -> String {
    let keycloak = Fake::start().await;
    keycloak.has(ID, &changes);
    let before = keycloak.client(ID);
    let error = keycloak.prepare(&registrar(), ID).await.unwrap_err();
    assert!(
        matches!(error, RegistrationError::Unusable { .. }),
        "{error:?}"
    );
    assert!(!error.can_retry_help());
    assert_eq!(keycloak.client(ID), before, "it is left alone");
    let said = error.to_string();
    let start = format!("the client {ID} of realm demo cannot be used: ");
    said.strip_prefix(&start).unwrap().to_owned()
}

#[tokio::test]
async fn a_client_that_can_get_no_token_is_refused_with_the_setting() {
    for (changes, expected) in [
        (
            json!({ "enabled": false }),
            "it is disabled (enabled=false); enable it in Keycloak, or choose another client id",
        ),
        (
            json!({ "bearerOnly": true }),
            "it never logs in (bearerOnly=true); choose another client id",
        ),
        (
            json!({ "publicClient": true, "serviceAccountsEnabled": false }),
            "it is public and has no secret (publicClient=true); switch on Client authentication \
             for it in Keycloak, or choose another client id",
        ),
        (
            json!({ "serviceAccountsEnabled": false }),
            "it has no service account (serviceAccountsEnabled=false); switch on Service account \
             roles for it in Keycloak, or choose another client id",
        ),
        (
            json!({ "clientAuthenticatorType": "client-jwt" }),
            "it has no plain secret (clientAuthenticatorType=client-jwt); choose Client Id and \
             Secret under Credentials in Keycloak, or another client id",
        ),
        (
            json!({ "protocol": "saml" }),
            "its protocol is saml; choose another client id",
        ),
        (
            json!({ "secret": "${vault.kete}" }),
            "its secret lies in a vault, which Keycloak does not show; write the secret itself \
             into client-secret or client-secret-file",
        ),
    ] {
        assert_eq!(unusable(changes).await, expected);
    }
}

#[tokio::test]
async fn a_client_that_a_policy_changed_at_once_is_refused_too() {
    let keycloak = Fake::start().await;
    keycloak.on_create(|clients, mut client| {
        client["clientAuthenticatorType"] = "client-jwt".into();
        clients.push(client);
        201
    });
    let error = keycloak.prepare(&registrar(), ID).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("clientAuthenticatorType=client-jwt"),
        "{error}"
    );
}

#[tokio::test]
async fn settings_that_are_not_shown_are_not_held_against_a_client() {
    let keycloak = Fake::start().await;
    let shown = json!([{ "id": "id-of-kete-oauth-client", "clientId": ID }]);
    keycloak.has(ID, &json!({}));
    keycloak.instead("GET", "/clients", 200, &shown.to_string());
    assert!(keycloak.prepare(&registrar(), ID).await.is_ok());
}

#[tokio::test]
async fn a_client_that_exists_and_is_not_shown_is_said_to() {
    let keycloak = Fake::start().await;
    keycloak.on_create(|_clients, _ours| 409);
    let error = keycloak.prepare(&registrar(), ID).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Keycloak says that the client kete-oauth-client of realm demo exists, but does not show \
         it to the client registrar of realm demo: is it just being deleted?"
    );
    assert!(error.can_retry_help());
}

#[tokio::test]
async fn a_secret_that_is_never_shown_is_an_error() {
    let keycloak = Fake::start().await;
    keycloak.has(ID, &json!({}));
    for method in ["GET", "POST"] {
        keycloak.instead(method, "/client-secret", 200, r#"{"type":"secret"}"#);
    }
    let error = keycloak.prepare(&registrar(), ID).await.unwrap_err();
    assert!(
        error.to_string().contains("Keycloak shows no secret of it"),
        "{error}"
    );
}

#[tokio::test]
async fn every_other_answer_has_its_own_error() {
    for (status, body, expected, may_pass) in [
        (401, "{}", "401 even with a new token", false),
        (302, "", "302: a redirect; kete.keycloak.url must be", false),
        (503, "{}", "503: Keycloak cannot answer now", true),
        (429, "{}", "429: Keycloak cannot answer now", true),
        (
            400,
            r#"{"error":"invalid_client_metadata"}"#,
            "400 {\\\"error\\\":\\\"invalid",
            false,
        ),
        (
            200,
            "<html>very-secret</html>",
            "not Keycloak's (Syntax error in its JSON)",
            false,
        ),
        (
            200,
            r#"{"clientId":"very-secret"}"#,
            "not Keycloak's (Data error",
            false,
        ),
        (200, "", "not Keycloak's (Eof error", false),
    ] {
        let keycloak = Fake::start().await;
        keycloak.instead("GET", "/clients", status, body);
        let error = keycloak.prepare(&registrar(), ID).await.unwrap_err();
        let said = error.to_string();
        assert!(said.contains(expected), "{said}");
        assert!(!said.contains("very-secret"), "{said}");
        assert_eq!(error.can_retry_help(), may_pass, "{said}");
    }
}

#[tokio::test]
async fn a_refusal_that_repeats_secrets_is_cut_and_cleaned() {
    let keycloak = Fake::start().await;
    keycloak.on_create(|_clients, _client| 400);
    let error = keycloak.prepare(&administrator(), ID).await.unwrap_err();
    let said = error.to_string();
    let start =
        r#"Keycloak refuses: 400 {\"errorMessage\":\"(hidden) and \\\"(hidden)\\\" and more"#;
    assert!(said.starts_with(start), "{said}");
    assert!(said.len() < 300 && said.ends_with('…'), "{said}");
}

#[tokio::test]
async fn an_answer_of_any_size_is_not_held_in_memory() {
    let keycloak = Fake::start().await;
    keycloak.instead("GET", "/clients", 200, &"x".repeat(2 << 20));
    let error = keycloak.prepare(&registrar(), ID).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the answer is larger than 1048576 bytes"),
        "{error}"
    );
}

#[tokio::test]
async fn a_keycloak_that_is_away_cannot_be_reached() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let away = keycloak(&[&format!("kete.keycloak.url=http://{address}")]);
    let http = http();
    for account in [registrar(), administrator()] {
        let prepared = prepare_client(&http, &away, &account, "demo", ID);
        let error = prepared.await.unwrap_err();
        assert!(
            error.to_string().contains("cannot be asked for a token"),
            "{error}"
        );
        assert!(error.can_retry_help());
    }
}
