//! A client for tokens is created where it is missing, and adopted where it is not.

use kete_config::{Diagnostics, Loader};
use kete_credentials::keycloak::{Prepared, Registration};
use serde_json::{Value, json};

use super::fake::{Fake, REGISTRAR_SECRET, administrator, http, registrar, usable};

const ID: &str = "kete-oauth-client";

#[tokio::test]
async fn a_client_that_is_missing_is_created_and_later_adopted() {
    let keycloak = Fake::start().await;
    let first = keycloak.prepare(&registrar(), ID).await.unwrap();
    assert!(first.created);
    let mut client = keycloak.client(ID).unwrap();
    assert_eq!(client["secret"], first.secret.reveal());
    let description = client["description"].take();
    assert!(description.as_str().unwrap().contains("kete"));
    assert_eq!(
        client,
        json!({
            "id": "new-0", "clientId": ID, "secret": first.secret.reveal(),
            "description": null, "protocol": "openid-connect", "enabled": true,
            "publicClient": false, "bearerOnly": false, "clientAuthenticatorType": "client-secret",
            "serviceAccountsEnabled": true, "standardFlowEnabled": false,
            "implicitFlowEnabled": false, "directAccessGrantsEnabled": false,
        })
    );
    let second = keycloak.prepare(&registrar(), ID).await.unwrap();
    let adopted = Prepared {
        created: false,
        ..first
    };
    assert_eq!(second, adopted);
}

#[tokio::test]
async fn every_new_secret_is_another_one_and_long_enough() {
    let keycloak = Fake::start().await;
    let one = keycloak.prepare(&registrar(), "one").await.unwrap().secret;
    let two = keycloak
        .prepare(&administrator(), "two")
        .await
        .unwrap()
        .secret;
    for secret in [&one, &two] {
        let text = secret.reveal();
        assert_eq!(text.len(), 64, "32 bytes");
        assert!(text.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
    assert_ne!(one, two);
}

#[tokio::test]
async fn nothing_of_a_client_that_is_there_is_changed() {
    let keycloak = Fake::start().await;
    let changes = json!({ "description": "ours", "standardFlowEnabled": true });
    keycloak.has(ID, &changes);
    let before = keycloak.client(ID);
    let prepared = keycloak.prepare(&administrator(), ID).await.unwrap();
    assert_eq!(
        (prepared.secret.reveal(), prepared.created),
        ("its-own-very-secret", false)
    );
    assert_eq!(keycloak.client(ID), before);
    assert_eq!(
        keycloak.requests(),
        [
            format!("GET /admin/realms/demo/clients?clientId={ID}"),
            format!("GET /admin/realms/demo/clients/id-of-{ID}/client-secret"),
        ]
    );
}

#[tokio::test]
async fn whoever_is_quicker_decides_about_the_secret() {
    let keycloak = Fake::start().await;
    keycloak.on_create(|clients, _ours| {
        clients.push(usable(ID));
        409
    });
    let prepared = keycloak.prepare(&registrar(), ID).await.unwrap();
    assert_eq!(
        (prepared.secret.reveal(), prepared.created),
        ("its-own-very-secret", false)
    );
}

#[tokio::test]
async fn the_secret_that_counts_is_the_one_that_keycloak_holds() {
    let keycloak = Fake::start().await;
    keycloak.on_create(|clients, mut client| {
        client["secret"] = "of-a-policy-very-secret".into();
        clients.push(client);
        201
    });
    let prepared = keycloak.prepare(&registrar(), ID).await.unwrap();
    assert_eq!(
        (prepared.secret.reveal(), prepared.created),
        ("of-a-policy-very-secret", true)
    );
}

#[tokio::test]
async fn a_client_without_a_secret_gets_one() {
    for none in [json!(""), Value::Null] {
        let keycloak = Fake::start().await;
        keycloak.has(ID, &json!({ "secret": none }));
        let prepared = keycloak.prepare(&registrar(), ID).await.unwrap();
        assert_eq!(
            (prepared.secret.reveal(), prepared.created),
            ("made-1-very-secret", false)
        );
        let again = keycloak.prepare(&registrar(), ID).await.unwrap();
        assert_eq!(again, prepared, "it is made once");
    }
}

#[tokio::test]
async fn a_client_of_another_id_is_not_taken_for_the_wanted_one() {
    let keycloak = Fake::start().await;
    let others = json!([usable("kete-oauth-client-2"), usable("KETE-OAUTH-CLIENT")]);
    keycloak.instead("GET", "/clients", 200, &others.to_string());
    assert!(keycloak.prepare(&registrar(), ID).await.unwrap().created);
}

#[tokio::test]
async fn ids_may_have_any_characters() {
    let keycloak = Fake::start().await;
    for id in ["a b/ü\"\\&clientId=x", "#?%"] {
        let first = keycloak.prepare(&registrar(), id).await.unwrap();
        let second = keycloak.prepare(&registrar(), id).await.unwrap();
        assert_eq!((first.created, second.created), (true, false), "{id}");
        assert_eq!(first.secret, second.secret, "{id}");
    }
}

#[tokio::test]
async fn the_account_of_the_settings_registers() {
    let keycloak = Fake::start().await;
    let diagnostics = Diagnostics::new();
    let settings = Loader::new("kete")
        .set("kete.keycloak.registration.client-id=registrar")
        .set(format!(
            "kete.keycloak.registration.client-secret={REGISTRAR_SECRET}"
        ))
        .load(&diagnostics);
    let registration = Registration::read(&settings, &diagnostics)
        .unwrap()
        .unwrap();
    let (http, at) = (http(), keycloak.keycloak());
    let first = registration
        .client_secret(&http, &at, "demo", ID)
        .await
        .unwrap();
    let second = registration
        .client_secret(&http, &at, "demo", ID)
        .await
        .unwrap();
    assert_eq!(first, second);
    assert_eq!(keycloak.client(ID).unwrap()["secret"], first.reveal());
    // Without a realm of its own, it logs in where the client is wanted.
    let error = registration
        .client_secret(&http, &at, "other", ID)
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the client registrar of realm other"),
        "{error}"
    );
}
