//! Keycloak is polled over TLS with `kete.keycloak.tls`, and renewed files count without a restart.

use anyhow::{Result, ensure};
use kete_suites::{Certificates, Kete, Keycloak, Server, check_configuration, to_socketio, trust};
use tempfile::TempDir;

use crate::keycloak::polling;

#[tokio::test]
async fn an_authority_that_is_put_right_lets_polling_begin_without_a_restart() -> Result<()> {
    let keycloak = Keycloak::shared().await?;
    let certificates = Certificates::get()?;
    let directory = TempDir::with_prefix("kete-trust-")?;
    let trusted = directory.path().join("ca.pem");
    std::fs::copy(certificates.file("other-ca.pem"), &trusted)?;
    let server = Server::node().start().await?;
    let configuration = [
        polling(keycloak.tls_url()?, "100ms"),
        trust("kete.keycloak.tls", &trusted),
        certificates.presented("kete.keycloak.tls", "p256"),
        to_socketio("all", &server.url(), &[]),
    ];
    let checked = check_configuration(&configuration, &[]).await?;
    for store in ["trust-store", "key-store"] {
        let listed = format!("certificates of kete.keycloak.tls.{store}\n");
        ensure!(checked.stdout.contains(&listed), "{}", checked.stdout);
    }

    let mut kete = Kete::run(&configuration).await?;
    kete.wait_for_log("a certificate that is not trusted", |line| {
        line.text("message") == "polling failed" && line.text("error").contains("certificate")
    })
    .await?;
    std::fs::copy(certificates.ca(), &trusted)?;
    ensure!(
        keycloak.log_in("alice", "alice-password").await?,
        "alice cannot log in"
    );
    server.wait_for(1).await?;
    let metrics = kete.metrics_text().await?;
    for store in ["trust-store", "key-store"] {
        let label = format!("store=\"kete.keycloak.tls.{store}\"");
        let shown = |line: &str| line.contains("certificate_days_left") && line.contains(&label);
        ensure!(
            metrics.lines().any(shown),
            "no days of the {store}: {metrics}"
        );
    }
    kete.terminate()?;
    let ended = kete.ended().await?;
    ensure!(ended.code == 0, "kete ended with {}", ended.code);
    Ok(())
}
