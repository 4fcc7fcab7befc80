//! A real Keycloak, with the realm `demo` of `tests/keycloak/demo-realm.json`.

mod realm;

use std::path::PathBuf;
use std::sync::{Arc, Weak};

use anyhow::{Context, Result, ensure};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::sync::Mutex;

use crate::eventually::PATIENCE;
use crate::{Certificates, environment, http};

pub use realm::Realm;

/// A running Keycloak.
pub struct Keycloak {
    running: Arc<Running>,
    client: Client,
}

/// The process.
struct Running {
    url: String,
    tls_url: Option<String>,
    pid: u64,
    /// Whoever runs the tests stops it; otherwise it is stopped and removed when this is dropped.
    kept: bool,
}

impl Keycloak {
    /// Starts one that nobody else uses, and waits until it is ready.
    ///
    /// # Errors
    ///
    /// It is not installed, or does not start.
    pub async fn start() -> Result<Keycloak> {
        let said = Running::start(&[]).await?;
        Keycloak::of(Arc::new(Running::read(&said, false)?))
    }

    /// One that tests share; it also speaks TLS. Each has to create a realm of its own.
    ///
    /// It is started by the first of them. If `KETE_TEST_KEYCLOAK_KEPT` names a file, what
    /// `tests/keycloak/start` has printed is written to it, and it is kept; else it is stopped
    /// when nobody uses it any more.
    ///
    /// # Errors
    ///
    /// As [`Keycloak::start`].
    pub async fn shared() -> Result<Keycloak> {
        static SHARED: Mutex<Weak<Running>> = Mutex::const_new(Weak::new());
        let mut shared = SHARED.lock().await;
        let running = match shared.upgrade() {
            Some(running) => running,
            None => Arc::new(Running::shared().await?),
        };
        *shared = Arc::downgrade(&running);
        Keycloak::of(running)
    }

    /// Connections belong to the runtime of a test, so every test has a client of its own.
    fn of(running: Arc<Running>) -> Result<Keycloak> {
        let client = http::client()?;
        Ok(Keycloak { running, client })
    }

    /// Its base URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.running.url
    }

    /// Its base URL with TLS. It has the good certificate, and asks clients for theirs.
    ///
    /// # Errors
    ///
    /// It was started without TLS.
    pub fn tls_url(&self) -> Result<&str> {
        let url = self.running.tls_url.as_deref();
        url.context("this Keycloak does not speak TLS")
    }

    /// A user of the realm logs in with a password; says whether that was right.
    ///
    /// # Errors
    ///
    /// Keycloak answers neither yes nor no.
    pub async fn log_in(&self, user: &str, password: &str) -> Result<bool> {
        self.realm("demo").log_in(user, password).await
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
        let path = format!("/admin/realms/demo/{kind}");
        self.admin(Method::POST, &path, Some(representation))
            .await?;
        Ok(())
    }

    /// The user events of the realm, as the Admin API has them.
    ///
    /// # Errors
    ///
    /// Keycloak refuses.
    pub async fn events(&self) -> Result<Vec<Value>> {
        self.realm("demo").events().await
    }

    /// The admin events of the realm, as the Admin API has them.
    ///
    /// # Errors
    ///
    /// Keycloak refuses.
    pub async fn admin_events(&self) -> Result<Vec<Value>> {
        self.realm("demo").admin_events().await
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
        let url = format!(
            "{}/realms/{realm}/protocol/openid-connect/token",
            self.url()
        );
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

impl Running {
    async fn shared() -> Result<Running> {
        let kept = std::env::var_os("KETE_TEST_KEYCLOAK_KEPT").map(PathBuf::from);
        if let Some(said) = kept.as_ref().filter(|file| file.exists()) {
            return Running::read(&std::fs::read(said)?, true);
        }
        let certificates = Certificates::get()?.file("").display().to_string();
        let said = Running::start(&["--certificates", &certificates]).await?;
        if let Some(file) = &kept {
            std::fs::write(file, &said)?;
        }
        Running::read(&said, kept.is_some())
    }

    /// Starts a Keycloak; returns what `tests/keycloak/start` says of it.
    async fn start(options: &[&str]) -> Result<Vec<u8>> {
        let mut command = Command::new(environment::keycloak_script("start")?);
        command.args(options).kill_on_drop(true);
        let started = tokio::time::timeout(2 * PATIENCE, command.output());
        let started = started.await.context("Keycloak does not start")??;
        let errors = String::from_utf8_lossy(&started.stderr).into_owned();
        ensure!(
            started.status.success(),
            "Keycloak does not start:\n{errors}"
        );
        Ok(started.stdout)
    }

    fn read(said: &[u8], kept: bool) -> Result<Running> {
        let said: Value = serde_json::from_slice(said).context("tests/keycloak/start")?;
        Ok(Running {
            url: said["url"].as_str().context("no url")?.to_owned(),
            tls_url: said["tls"].as_str().map(str::to_owned),
            pid: said["pid"].as_u64().context("no pid")?,
            kept,
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
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
