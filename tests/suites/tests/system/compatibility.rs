//! The blocks that users of KETE have for TLS and OAuth: they are used as they stand, and only
//! hosts and paths are other ones.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use kete_suites::{
    Arrival, Certificates, Kete, Keycloak, Server, check_configuration, check_delivery, from_stdin,
    generate, project,
};
use serde_json::json;

/// What the blocks for OAuth leave out.
const SOCKETIO: &str = "kete.routes.socketio.destination.kind=socketio\n\
                        kete.routes.socketio.destination.event-name=keycloak-event\n";

#[tokio::test]
async fn ketes_block_for_a_private_authority_delivers() -> Result<()> {
    let server = Server::node().tls("good").start().await?;
    let ca = Certificates::get()?.ca().display().to_string();
    let block = block(
        "private-ca",
        &[
            ("https://socketio-server.example.com", &server.url()),
            ("/certs/ca.pem", &ca),
        ],
    )?;
    deliver(block, &server).await?;
    Ok(())
}

#[tokio::test]
async fn ketes_block_for_mutual_tls_delivers() -> Result<()> {
    let plan = Server::node().tls("good").requires_client_certificate();
    let server = plan.start().await?;
    let certificates = Certificates::get()?;
    let directory = tempfile::tempdir()?;
    let store = directory.path().join("client.p12");
    export(&certificates, &store)?;
    let block = block(
        "mutual-tls",
        &[
            ("https://socketio.internal.example.com", &server.url()),
            ("/certs/ca.pem", &certificates.ca().display().to_string()),
            ("/certs/client.p12", &store.display().to_string()),
        ],
    )?;
    for arrival in deliver(block, &server).await? {
        let seen = arrival.client()?;
        ensure!(seen.subject == "kete-p256", "the server sees {seen:?}");
    }
    Ok(())
}

#[tokio::test]
async fn ketes_block_for_an_external_authorization_server_delivers() -> Result<()> {
    let keycloak = Keycloak::shared().await?;
    let realm = keycloak.create_realm("external").await?;
    realm.create_scope("events:write").await?;
    let client = json!({ "secret": "secret", "optionalClientScopes": ["events:write"] });
    realm.create_client("keycloak-client", client).await?;
    let plan = Server::node().verifies_tokens(&realm.jwks_url(), &realm.issuer());
    let server = plan.start().await?;
    let block = block(
        "oauth-external",
        &[("https://auth.example.com/oauth/token", &realm.token_url())],
    )?;
    let url = format!("kete.routes.socketio.destination.url={}\n", server.url());
    for arrival in deliver(SOCKETIO.to_owned() + &url + &block, &server).await? {
        let token = arrival.token()?;
        ensure!(
            token.client == "keycloak-client",
            "another token: {token:?}"
        );
    }
    Ok(())
}

/// The realm is the one whose events are polled, and the client is not there before.
#[tokio::test]
async fn ketes_block_for_the_current_keycloak_delivers() -> Result<()> {
    let keycloak = Keycloak::shared().await?;
    let realm = keycloak.realm("demo");
    realm
        .create_client("registrar", json!({ "secret": "registrar-secret" }))
        .await?;
    realm.let_manage("registrar", &["manage-clients"]).await?;
    let plan = Server::node().verifies_tokens(&realm.jwks_url(), &realm.issuer());
    let server = plan.start().await?;
    let polled = format!(
        "kete.keycloak.url={}\n\
         kete.keycloak.client-id=kete\n\
         kete.keycloak.client-secret=kete-secret\n\
         kete.keycloak.realms=demo\n\
         kete.keycloak.registration.client-id=registrar\n\
         kete.keycloak.registration.client-secret=registrar-secret\n\
         kete.sources.keycloak.kind=admin-api\n\
         kete.sources.keycloak.poll-interval=500ms\n",
        keycloak.url()
    );
    let url = format!("kete.routes.socketio.destination.url={}\n", server.url());
    let configuration = [
        polled,
        SOCKETIO.to_owned(),
        url,
        block("oauth-internal", &[])?,
    ];
    passes_the_check(&configuration).await?;
    let kete = Kete::run(&configuration).await?;

    let logged_in = keycloak.log_in("alice", "alice-password").await?;
    ensure!(logged_in, "alice cannot log in");
    kete.wait_until("her login is delivered", |now| {
        now.forwarded("socketio") > 0
    })
    .await?;
    for arrival in server.arrivals().await? {
        let token = arrival.token()?;
        ensure!(
            token.client == "kete-oauth-client",
            "another token: {token:?}"
        );
    }
    Ok(())
}

/// A block as it stands in `tests/data`, with these texts replaced, each of which has to be there.
fn block(name: &str, replacements: &[(&str, &str)]) -> Result<String> {
    let path = project(&format!("tests/suites/tests/data/{name}.properties"));
    let mut text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    for (old, new) in replacements {
        ensure!(text.contains(old), "there is no {old} in {name}");
        text = text.replace(old, new);
    }
    Ok(text)
}

/// Sends events through the route of a block.
async fn deliver(block: String, server: &Server) -> Result<Vec<Arrival>> {
    let events = generate(141, 5, 50);
    let configuration = [from_stdin(), block];
    passes_the_check(&configuration).await?;
    let mut kete = Kete::run(&configuration).await?;
    kete.feed_events(&events).await?;
    kete.finish().await?;
    let arrivals = server.arrivals().await?;
    check_delivery(&events, &arrivals)?;
    Ok(arrivals)
}

async fn passes_the_check(configuration: &[String]) -> Result<()> {
    let checked = check_configuration(configuration, &[]).await?;
    ensure!(checked.code == 0, "it does not pass: {}", checked.stdout);
    Ok(())
}

/// The certificate and key of a client, under the password that KETE's documentation has.
fn export(certificates: &Certificates, store: &Path) -> Result<()> {
    let (certificate, key) = certificates.client("p256");
    let exported = Command::new("openssl")
        .args(["pkcs12", "-export", "-passout", "pass:changeit", "-in"])
        .arg(certificate)
        .arg("-inkey")
        .arg(key)
        .arg("-out")
        .arg(store)
        .output()
        .context("openssl does not run")?;
    let errors = String::from_utf8_lossy(&exported.stderr);
    ensure!(exported.status.success(), "openssl: {errors}");
    Ok(())
}
