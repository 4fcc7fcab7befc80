//! What the OAuth tests share: a realm of a real Keycloak with a client for tokens, a relay before
//! its token endpoint, and a Socket.IO server that verifies the tokens.

use anyhow::{Context, Result};
use kete_suites::{
    Certificates, Keycloak, Realm, Server, ServerPlan, TokenEndpoint, from_stdin, to_socketio,
};
use serde_json::{Value, json};

/// The client of every realm, and its secret.
pub(crate) const CLIENT: &str = "events";
pub(crate) const CLIENT_SECRET: &str = "events-secret-3f9c";

/// A realm for one test.
pub(crate) struct TokenServer {
    keycloak: Keycloak,
    realm: String,
    pub(crate) endpoint: TokenEndpoint,
}

impl TokenServer {
    /// A realm of this name, whose client gets tokens of this lifetime.
    pub(crate) async fn start(realm: &str, lifetime_seconds: u32) -> Result<TokenServer> {
        let keycloak = Keycloak::shared().await?;
        let created = keycloak.create_realm(realm).await?;
        let lifetime = json!({ "access.token.lifespan": lifetime_seconds.to_string() });
        created
            .create_client(
                CLIENT,
                json!({ "secret": CLIENT_SECRET, "attributes": lifetime }),
            )
            .await?;
        let endpoint = TokenEndpoint::before(&created.token_url()).await?;
        Ok(TokenServer {
            keycloak,
            realm: realm.to_owned(),
            endpoint,
        })
    }

    pub(crate) fn realm(&self) -> Realm<'_> {
        self.keycloak.realm(&self.realm)
    }

    /// A Node server that lets in whoever shows a token of the realm.
    pub(crate) fn verifier(&self) -> ServerPlan {
        let realm = self.realm();
        Server::node().verifies_tokens(&realm.jwks_url(), &realm.issuer())
    }

    /// A configuration with one route, `all`, to this URL; `keys` are below `destination`.
    pub(crate) fn configuration(&self, url: &str, keys: &[&str]) -> Vec<String> {
        let oauth = with_secret(&self.endpoint.url());
        vec![from_stdin(), route("all", url, &[oauth, owned(keys)])]
    }
}

/// The keys below `destination` with which the client gets tokens at this URL by its secret.
pub(crate) fn with_secret(token_url: &str) -> Vec<String> {
    vec![
        "oauth.enabled=true".to_owned(),
        format!("oauth.token-url={token_url}"),
        format!("oauth.client-id={CLIENT}"),
        format!("oauth.client-secret={CLIENT_SECRET}"),
    ]
}

/// A route whose events are called like itself; the keys are below `destination`.
pub(crate) fn route(name: &str, url: &str, keys: &[Vec<String>]) -> String {
    let mut lines = vec![format!("destination.event-name={name}")];
    lines.extend(keys.concat().iter().map(|key| format!("destination.{key}")));
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    to_socketio(name, url, &lines)
}

pub(crate) fn owned(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

/// What makes a client of Keycloak prove itself with the key of this certificate.
pub(crate) fn signs_with(client: &str) -> Result<Value> {
    Ok(json!({
        "clientAuthenticatorType": "client-jwt",
        "attributes": { "jwt.credential.certificate": certificate_of(client)? },
    }))
}

/// A client's certificate in base64, as it stands in its PEM file.
fn certificate_of(client: &str) -> Result<String> {
    let (file, _) = Certificates::get()?.client(client);
    let text = std::fs::read_to_string(file)?;
    let (_, text) = text
        .split_once("-----BEGIN CERTIFICATE-----")
        .context("no certificate")?;
    let (text, _) = text.split_once("-----END").context("no end")?;
    Ok(text.split_whitespace().collect())
}
