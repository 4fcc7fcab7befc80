//! `oauth.mode=internal`: the Keycloak that kete knows gives out the tokens, and the client for
//! them is registered in it.

use anyhow::{Context, Result, ensure};
use kete_suites::{
    Kete, Keycloak, Server, check_configuration, check_delivery, from_stdin, generate, to_socketio,
};
use serde_json::{Value, json};

const CLIENT: &str = "kete-oauth-client";

#[tokio::test]
async fn a_fresh_realm_gets_a_client_which_the_second_start_adopts() -> Result<()> {
    let keycloak = Keycloak::shared().await?;
    let realm = keycloak.create_realm("fresh").await?;
    realm
        .create_client("registrar", json!({ "secret": "registrar-secret" }))
        .await?;
    realm.let_manage("registrar", &["manage-clients"]).await?;
    let plan = Server::node().verifies_tokens(&realm.jwks_url(), &realm.issuer());
    let server = plan.start().await?;
    let configuration = [
        from_stdin(),
        format!(
            "kete.keycloak.url={}\n\
             kete.keycloak.registration.client-id=registrar\n\
             kete.keycloak.registration.client-secret=registrar-secret\n",
            keycloak.url()
        ),
        internal(&server.url(), "fresh", &[]),
    ];
    ensure!(realm.client(CLIENT).await?.is_none(), "it is there already");
    let events = generate(151, 5, 80);
    let mut registered = Vec::new();
    for part in events.chunks(40) {
        let mut kete = Kete::run(&configuration).await?;
        kete.feed_events(part).await?;
        kete.finish().await?;
        let client = realm.client(CLIENT).await?.context("it is not there")?;
        let secret = client["secret"].as_str().context("no secret")?;
        ensure!(
            !kete.log_text().contains(secret),
            "the secret is in the log"
        );
        registered.push((client["id"].clone(), client["secret"].clone()));
        can_do_nothing_else(&client)?;
    }
    ensure!(registered[0] == registered[1], "it is another one");

    let arrivals = server.arrivals().await?;
    check_delivery(&events, &arrivals)?;
    for arrival in &arrivals {
        let token = arrival.token()?;
        ensure!(token.client == CLIENT, "another token: {token:?}");
    }
    Ok(())
}

/// It gets tokens for itself, and nobody logs in with it.
fn can_do_nothing_else(client: &Value) -> Result<()> {
    let expected = json!({
        "enabled": true, "publicClient": false, "serviceAccountsEnabled": true,
        "standardFlowEnabled": false, "implicitFlowEnabled": false,
        "directAccessGrantsEnabled": false, "clientAuthenticatorType": "client-secret",
    });
    for (name, value) in expected.as_object().context("no object")? {
        ensure!(client[name] == *value, "{name} is {}", client[name]);
    }
    Ok(())
}

#[tokio::test]
async fn without_an_account_that_registers_the_command_that_prepares_is_named() -> Result<()> {
    let configuration = [
        from_stdin(),
        "kete.keycloak.url=https://keycloak.example.com\n".to_owned(),
        internal("https://localhost:1", "shop", &[]),
    ];
    is_refused(
        &configuration,
        &["kete keycloak prepare", "--oauth-client", "shop"],
    )
    .await
}

#[tokio::test]
async fn a_destination_must_not_log_in_with_the_client_that_polls() -> Result<()> {
    let own = ["client-id=kete", "client-secret=kete-secret"];
    let configuration = [
        "kete.keycloak.url=https://keycloak.example.com\n\
         kete.keycloak.client-id=kete\n\
         kete.keycloak.client-secret=kete-secret\n\
         kete.keycloak.realms=shop\n"
            .to_owned(),
        internal("https://localhost:1", "shop", &own),
    ];
    is_refused(
        &configuration,
        &["kete.routes.all.destination.oauth.client-id", "events"],
    )
    .await
}

/// A route that gets its tokens from this realm; `more` is below its `oauth` section.
fn internal(url: &str, realm: &str, more: &[&str]) -> String {
    let section = "destination.oauth";
    let mut keys = vec![
        format!("{section}.enabled=true"),
        format!("{section}.mode=internal"),
        format!("{section}.realm={realm}"),
    ];
    keys.extend(more.iter().map(|key| format!("{section}.{key}")));
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    to_socketio("all", url, &keys)
}

async fn is_refused(configuration: &[String], words: &[&str]) -> Result<()> {
    let checked = check_configuration(configuration, &[]).await?;
    ensure!(checked.code == 2, "it ended with {}", checked.code);
    for word in words {
        ensure!(
            checked.stdout.contains(word),
            "no {word} in {}",
            checked.stdout
        );
    }
    Ok(())
}
