//! A realm of a real Keycloak, changed as an administrator does it.

use anyhow::{Context, Result, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::Keycloak;

/// Where Keycloak keeps its signing keys among its components.
const KEY_PROVIDER: &str = "org.keycloak.keys.KeyProvider";

/// What `tests/keycloak/start` imports.
const DEMO: &str = include_str!("../../../keycloak/demo-realm.json");

/// Beyond what the events of one test can be.
const MOST_EVENTS: usize = 1_000;

/// A realm.
pub struct Realm<'k> {
    keycloak: &'k Keycloak,
    name: String,
}

impl Keycloak {
    /// A new realm without anything in it.
    ///
    /// # Errors
    ///
    /// Keycloak refuses.
    pub async fn create_realm(&self, name: &str) -> Result<Realm<'_>> {
        let realm = json!({ "realm": name, "enabled": true });
        self.admin(Method::POST, "/admin/realms", Some(&realm))
            .await?;
        Ok(self.realm(name))
    }

    /// A new realm that is like `demo`.
    ///
    /// # Errors
    ///
    /// Keycloak refuses.
    pub async fn copy_demo(&self, name: &str) -> Result<Realm<'_>> {
        let mut realm: Value = serde_json::from_str(DEMO)?;
        realm["realm"] = name.into();
        self.admin(Method::POST, "/admin/realms", Some(&realm))
            .await?;
        Ok(self.realm(name))
    }

    /// A realm that is there.
    #[must_use]
    pub fn realm(&self, name: &str) -> Realm<'_> {
        Realm {
            keycloak: self,
            name: name.to_owned(),
        }
    }

    /// Asks the Admin API; what it answers is JSON, or null if it answers nothing.
    pub(super) async fn admin(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value> {
        let what = format!("{method} {path}");
        let mut request = self.client.request(method, format!("{}{path}", self.url()));
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request
            .bearer_auth(self.admin_token().await?)
            .send()
            .await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(
            status.is_success(),
            "{what} is answered with {status}: {text}"
        );
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }
}

impl Realm<'_> {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The issuer of its tokens, if they are asked for without TLS.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("{}/realms/{}", self.keycloak.url(), self.name)
    }

    /// Where its tokens are given out.
    #[must_use]
    pub fn token_url(&self) -> String {
        format!("{}/protocol/openid-connect/token", self.issuer())
    }

    /// The keys that its tokens are verified with.
    #[must_use]
    pub fn jwks_url(&self) -> String {
        format!("{}/protocol/openid-connect/certs", self.issuer())
    }

    /// The issuer of its tokens, if they are asked for with TLS.
    ///
    /// # Errors
    ///
    /// Keycloak was started without TLS.
    pub fn tls_issuer(&self) -> Result<String> {
        Ok(format!("{}/realms/{}", self.keycloak.tls_url()?, self.name))
    }

    /// A user logs in with a password, by the client `app` of `demo`; says whether that was right.
    ///
    /// # Errors
    ///
    /// Keycloak answers neither yes nor no.
    pub async fn log_in(&self, user: &str, password: &str) -> Result<bool> {
        let form = [
            ("grant_type", "password"),
            ("client_id", "app"),
            ("client_secret", "app-secret"),
            ("username", user),
            ("password", password),
        ];
        let answer = self.keycloak.token(&self.name, &form).await?;
        match answer.status() {
            StatusCode::OK => Ok(true),
            StatusCode::UNAUTHORIZED => Ok(false),
            status => anyhow::bail!("Keycloak answers a login with {status}"),
        }
    }

    /// Its user events, as the Admin API has them.
    ///
    /// # Errors
    ///
    /// Keycloak refuses.
    pub async fn events(&self) -> Result<Vec<Value>> {
        self.list("events").await
    }

    /// Its admin events, as the Admin API has them.
    ///
    /// # Errors
    ///
    /// Keycloak refuses.
    pub async fn admin_events(&self) -> Result<Vec<Value>> {
        self.list("admin-events").await
    }

    async fn list(&self, kind: &str) -> Result<Vec<Value>> {
        let path = format!("{kind}?max={MOST_EVENTS}");
        let events = self.ask(Method::GET, &path, None).await?;
        let events = events.as_array().context("no list")?.clone();
        ensure!(events.len() < MOST_EVENTS, "there may be more {kind}");
        Ok(events)
    }

    /// Creates a client with a service account; `more` is what else it has.
    ///
    /// # Errors
    ///
    /// Keycloak refuses.
    pub async fn create_client(&self, client_id: &str, more: Value) -> Result<()> {
        let mut client = json!({
            "clientId": client_id, "enabled": true, "publicClient": false,
            "serviceAccountsEnabled": true, "standardFlowEnabled": false,
        });
        merge(&mut client, more);
        self.ask(Method::POST, "clients", Some(&client)).await?;
        Ok(())
    }

    /// Creates a scope that clients may be given.
    ///
    /// # Errors
    ///
    /// Keycloak refuses.
    pub async fn create_scope(&self, name: &str) -> Result<()> {
        let scope = json!({ "name": name, "protocol": "openid-connect" });
        self.ask(Method::POST, "client-scopes", Some(&scope))
            .await?;
        Ok(())
    }

    /// A client as the Admin API has it, if it is there.
    ///
    /// # Errors
    ///
    /// Keycloak refuses.
    pub async fn client(&self, client_id: &str) -> Result<Option<Value>> {
        let path = format!("clients?clientId={client_id}");
        let found = self.ask(Method::GET, &path, None).await?;
        Ok(found
            .as_array()
            .and_then(|clients| clients.first().cloned()))
    }

    /// Changes members of a client that is there.
    ///
    /// # Errors
    ///
    /// There is none, or Keycloak refuses.
    pub async fn change_client(&self, client_id: &str, change: Value) -> Result<()> {
        let client = self.client(client_id).await?;
        let mut client = client.with_context(|| format!("there is no client {client_id}"))?;
        merge(&mut client, change);
        let path = format!("clients/{}", id(&client)?);
        self.ask(Method::PUT, &path, Some(&client)).await?;
        Ok(())
    }

    /// Lets the service account of a client administer something of the realm; the roles are
    /// those of the client `realm-management`, such as `manage-clients`.
    ///
    /// # Errors
    ///
    /// There is no such client or role, or Keycloak refuses.
    pub async fn let_manage(&self, client_id: &str, roles: &[&str]) -> Result<()> {
        let client = self.client(client_id).await?.context("no client")?;
        let account = format!("clients/{}/service-account-user", id(&client)?);
        let account = self.ask(Method::GET, &account, None).await?;
        let management = self
            .client("realm-management")
            .await?
            .context("no realm-management")?;
        let management = id(&management)?;
        let mut granted = Vec::new();
        for role in roles {
            let path = format!("clients/{management}/roles/{role}");
            granted.push(self.ask(Method::GET, &path, None).await?);
        }
        let path = format!("users/{}/role-mappings/clients/{management}", id(&account)?);
        self.ask(Method::POST, &path, Some(&granted.into())).await?;
        Ok(())
    }

    /// Signs with a new key from now on; with the old ones nothing can be verified any more.
    ///
    /// # Errors
    ///
    /// Keycloak refuses.
    pub async fn rotate_keys(&self) -> Result<()> {
        let realm = self.ask(Method::GET, "", None).await?;
        let path = format!("components?type={KEY_PROVIDER}");
        let old = self.ask(Method::GET, &path, None).await?;
        let new = json!({
            "name": "rotated", "providerId": "rsa-generated", "providerType": KEY_PROVIDER,
            "parentId": id(&realm)?,
            "config": { "priority": ["200"], "enabled": ["true"], "active": ["true"],
                        "algorithm": ["RS256"], "keySize": ["2048"] },
        });
        self.ask(Method::POST, "components", Some(&new)).await?;
        let old = old.as_array().context("no list of keys")?;
        for key in old
            .iter()
            .filter(|key| key["providerId"] == "rsa-generated")
        {
            let path = format!("components/{}", id(key)?);
            self.ask(Method::DELETE, &path, None).await?;
        }
        Ok(())
    }

    /// The names (`kid`) of the keys that tokens are verified with.
    ///
    /// # Errors
    ///
    /// Keycloak does not answer.
    pub async fn key_names(&self) -> Result<Vec<String>> {
        let keys = self.keycloak.client.get(self.jwks_url()).send().await?;
        let keys: Value = keys.error_for_status()?.json().await?;
        let keys = keys["keys"].as_array().context("no keys")?;
        let signing = keys.iter().filter(|key| key["use"] == "sig");
        Ok(signing
            .filter_map(|key| key["kid"].as_str())
            .map(str::to_owned)
            .collect())
    }

    /// Whether this client gets a token with this secret.
    ///
    /// # Errors
    ///
    /// Keycloak answers neither yes nor no.
    pub async fn accepts(&self, client_id: &str, secret: &str) -> Result<bool> {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", client_id),
            ("client_secret", secret),
        ];
        let answer = self.keycloak.token(&self.name, &form).await?;
        match answer.status() {
            StatusCode::OK => Ok(true),
            StatusCode::UNAUTHORIZED => Ok(false),
            status => anyhow::bail!("Keycloak answers a client with {status}"),
        }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let path = format!("/admin/realms/{}/{path}", self.name);
        self.keycloak
            .admin(method, path.trim_end_matches('/'), body)
            .await
    }
}

/// Members of `change` replace those of `value`; objects in them are merged likewise.
fn merge(value: &mut Value, change: Value) {
    match (value, change) {
        (Value::Object(members), Value::Object(changes)) => {
            for (name, change) in changes {
                merge(members.entry(name).or_insert(Value::Null), change);
            }
        }
        (value, change) => *value = change,
    }
}

fn id(representation: &Value) -> Result<&str> {
    representation["id"].as_str().context("it has no id")
}
