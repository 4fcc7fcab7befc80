//! A real Keycloak: what it reports arrives, once and with the name of its realm, and the secrets
//! in it are nowhere.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use kete_suites::{Arrival, Ended, Kete, Keycloak, Server, check_each_once, full, to_socketio};
use serde_json::Value;

/// As good as any, and easy to find.
const PASSWORD: &str = "correct-horse-battery-staple-7";
/// Keycloak itself takes passwords out of its events, but not this.
const PRIVATE_KEY: &str = "MIIEpAIBAAKCAQEA7-not-really-a-key";
/// What nobody may find anywhere.
const SECRETS: [&str; 3] = [PASSWORD, PRIVATE_KEY, "kete-secret"];

#[tokio::test]
async fn every_event_of_a_real_keycloak_arrives_once_and_without_secrets() -> Result<()> {
    let keycloak = Keycloak::start().await?;
    let server = Server::node().start().await?;
    let mut kete = Kete::run(&[
        polling(keycloak.url(), "500ms"),
        to_socketio(
            "all",
            &server.url(),
            &["destination.event-name=${eventTypeKebabCase}"],
        ),
    ])
    .await?;

    for round in 0..if full() { 20 } else { 3 } {
        let user = format!("user-{round}");
        ensure!(
            keycloak.log_in("alice", "alice-password").await?,
            "alice cannot log in"
        );
        ensure!(
            !keycloak.log_in("alice", "not-her-password").await?,
            "alice needs no password"
        );
        ensure!(
            !keycloak.log_in("nobody", "whatever").await?,
            "nobody can log in"
        );
        keycloak.create_user(&user, PASSWORD).await?;
        keycloak
            .create_client(&format!("client-{round}"), PRIVATE_KEY)
            .await?;
        ensure!(
            keycloak.log_in(&user, PASSWORD).await?,
            "{user} cannot log in"
        );
    }
    let reported = reported(&keycloak).await?;
    server.wait_for(reported.len()).await?;
    kete.terminate()?;
    let ended = kete.ended().await?;

    ensure!(ended.code == 0, "kete ended with {}", ended.code);
    let arrivals = server.arrivals().await?;
    check_each_once(&arrivals)?;
    same_events(&reported, &arrivals)?;
    let names: Vec<&str> = arrivals
        .iter()
        .map(|arrival| arrival.event.as_str())
        .collect();
    for name in ["login", "login-error", "user-create", "client-create"] {
        ensure!(names.contains(&name), "no {name} among {names:?}");
    }
    let told = reported
        .values()
        .any(|event| event.to_string().contains(PRIVATE_KEY));
    ensure!(
        told,
        "Keycloak tells no secret, so that none arrives shows nothing"
    );
    no_secret_is_anywhere(&arrivals, &ended, &kete)
}

/// The lines that poll a Keycloak at this address from its first event on.
pub(crate) fn polling(url: &str, interval: &str) -> String {
    format!(
        "kete.keycloak.url={url}\n\
         kete.keycloak.client-id=kete\n\
         kete.keycloak.client-secret=kete-secret\n\
         kete.keycloak.realms=demo\n\
         kete.sources.keycloak.kind=admin-api\n\
         kete.sources.keycloak.start-from=earliest\n\
         kete.sources.keycloak.poll-interval={interval}\n"
    )
}

/// What Keycloak's own Admin API says has happened, by id, without the logins of kete itself.
async fn reported(keycloak: &Keycloak) -> Result<HashMap<String, Value>> {
    let of_kete = |event: &Value| event["type"] == "CLIENT_LOGIN" && event["clientId"] == "kete";
    let mut events = keycloak.events().await?;
    ensure!(events.iter().any(of_kete), "kete has not logged in");
    events.retain(|event| !of_kete(event));
    events.extend(keycloak.admin_events().await?);
    let mut reported = HashMap::new();
    for event in events {
        let id = event["id"]
            .as_str()
            .context("an event without an id")?
            .to_owned();
        reported.insert(id, event);
    }
    Ok(reported)
}

/// Every member that Keycloak reports is there, beside the realm's name.
fn same_events(reported: &HashMap<String, Value>, arrivals: &[Arrival]) -> Result<()> {
    ensure!(
        arrivals.len() == reported.len(),
        "{} of {}",
        arrivals.len(),
        reported.len()
    );
    for arrival in arrivals {
        let event = reported
            .get(arrival.id())
            .context("Keycloak has no such event")?;
        ensure!(
            arrival.body["realmName"] == "demo",
            "another realm: {}",
            arrival.body
        );
        for (name, value) in event.as_object().context("no object")? {
            let found = &arrival.body[name];
            let same = match name.as_str() {
                // A secret in it is masked.
                "representation" => found.is_string() == value.is_string(),
                "authDetails" => found["userId"] == value["userId"],
                _ => found == value,
            };
            ensure!(same, "{name} is {found} instead of {value}");
        }
    }
    Ok(())
}

fn no_secret_is_anywhere(arrivals: &[Arrival], ended: &Ended, kete: &Kete) -> Result<()> {
    for secret in SECRETS {
        let there = arrivals
            .iter()
            .any(|arrival| arrival.body.to_string().contains(secret));
        ensure!(!there, "{secret} arrived");
        ensure!(!kete.log_text().contains(secret), "{secret} is in the log");
        ensure!(!ended.stdout.contains(secret), "{secret} is in the output");
    }
    let letters = kete.dead_letters()?;
    ensure!(letters.is_empty(), "there are dead letters: {letters:?}");
    Ok(())
}
