//! A real Keycloak, with the realm `demo` of `tests/keycloak/demo-realm.json`.

use anyhow::{Context, Result, ensure};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::eventually::PATIENCE;
use crate::{environment, http};

/// Beyond what the events of one test can be.
const MOST_EVENTS: usize = 1_000;

/// A running Keycloak; it is stopped and removed when this is dropped.
pub struct Keycloak {
    url: String,
    pid: u64,
    client: Client,
}

impl Keycloak {
    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    ///
    /// It is not installed, or does not start.
    pub async fn start() -> Result<Keycloak> {
        let mut command = Command::new(environment::keycloak_script("start")?);
        let started = tokio::time::timeout(2 * PATIENCE, command.kill_on_drop(true).output());
        let started = started.await.context("Keycloak does not start")??;
        let errors = String::from_utf8_lossy(&started.stderr).into_owned();
        ensure!(
            started.status.success(),
            "Keycloak does not start:\n{errors}"
        );
        let said: Value =
            serde_json::from_slice(&started.stdout).context("tests/keycloak/start")?;
        let url = said["url"].as_str().context("no url")?.to_owned();
        let pid = said["pid"].as_u64().context("no pid")?;
        Ok(Keycloak {
            url,
            pid,
            client: http::client()?,
        })
    }

    /// Its base URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A user of the realm logs in with a password; says whether that was right.
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
        let answer = self.token("demo", &form).await?;
        match answer.status() {
            StatusCode::OK => Ok(true),
            StatusCode::UNAUTHORIZED => Ok(false),
            status => anyhow::bail!("Keycloak answers a login with {status}"),
        }
    }

    /// Creates a user with a password, as an administrator does.
    ///
    /// # Errors
    ///
    /// Keycloak refuses.
    pub async fn create_user(&self, user: &str, password: &str) -> Result<()> {
        let credentials = json!([{ "type": "password", "value": password, "temporary": false }]);
        let email = format!("{user}@example.com");
        let user = json!({
            "username": user, "enabled": true, "email": email, "emailVerified": true,
            "firstName": user, "lastName": "Example", "credentials": credentials,
        });
        self.create("users", &user).await
    }

    /// Creates a client with a signing key, as an administrator does. Keycloak 26.4 writes the key
    /// into its event as it is (keycloak/keycloak #51241).
    ///
    /// # Errors
    ///
    /// Keycloak refuses.
    pub async fn create_client(&self, client: &str, private_key: &str) -> Result<()> {
        let attributes = json!({ "saml.signing.private.key": private_key });
        self.create(
            "clients",
            &json!({ "clientId": client, "attributes": attributes }),
        )
        .await
    }

    async fn create(&self, kind: &str, representation: &Value) -> Result<()> {
        let url = format!("{}/admin/realms/demo/{kind}", self.url);
        let request = self.client.post(url).json(representation);
        let answer = request
            .bearer_auth(self.admin_token().await?)
            .send()
            .await?;
        ensure!(
            answer.status() == StatusCode::CREATED,
            "Keycloak creates none of {kind}: {}",
            answer.text().await?
        );
        Ok(())
    }

    /// The user events of the realm, as the Admin API has them.
    ///
    /// # Errors
    ///
    /// Keycloak refuses.
    pub async fn events(&self) -> Result<Vec<Value>> {
        self.list("events").await
    }

    /// The admin events of the realm, as the Admin API has them.
    ///
    /// # Errors
    ///
    /// Keycloak refuses.
    pub async fn admin_events(&self) -> Result<Vec<Value>> {
        self.list("admin-events").await
    }

    async fn list(&self, kind: &str) -> Result<Vec<Value>> {
        let url = format!("{}/admin/realms/demo/{kind}?max={MOST_EVENTS}", self.url);
        let request = self.client.get(url).bearer_auth(self.admin_token().await?);
        let events: Vec<Value> = request.send().await?.error_for_status()?.json().await?;
        ensure!(events.len() < MOST_EVENTS, "there may be more {kind}");
        Ok(events)
    }

    async fn admin_token(&self) -> Result<String> {
        let form = [
            ("grant_type", "password"),
            ("client_id", "admin-cli"),
            ("username", "admin"),
            ("password", "admin"),
        ];
        let answer = self.token("master", &form).await?.error_for_status()?;
        let answer: Value = answer.json().await?;
        Ok(answer["access_token"]
            .as_str()
            .context("no access token")?
            .to_owned())
    }

    async fn token(&self, realm: &str, form: &[(&str, &str)]) -> Result<reqwest::Response> {
        let url = format!("{}/realms/{realm}/protocol/openid-connect/token", self.url);
        let body: Vec<String> = form
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let request = self.client.post(url).body(body.join("&"));
        Ok(request
            .header("content-type", "application/x-www-form-urlencoded")
            .send()
            .await?)
    }
}

impl Drop for Keycloak {
    fn drop(&mut self) {
        let Ok(script) = environment::keycloak_script("stop") else {
            return;
        };
        let stopped = std::process::Command::new(script)
            .arg(self.pid.to_string())
            .status();
        if !stopped.is_ok_and(|status| status.success()) {
            eprintln!("Keycloak with pid {} was not stopped", self.pid);
        }
    }
}
