//! `kete keycloak prepare` against a real Keycloak.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use kete_suites::{
    Certificates, Keycloak, Output, Realm, Server, check_configuration, check_delivery, from_stdin,
    generate, kete_command, to_socketio,
};
use serde_json::{Value, json};
use tempfile::TempDir;

const CLIENT: &str = "kete-oauth-client";

/// An administrator, with the password in a file.
struct Administrator {
    directory: TempDir,
    url: String,
}

impl Administrator {
    fn of(keycloak: &Keycloak, password: &str) -> Result<Administrator> {
        let directory = TempDir::with_prefix("kete-prepare-")?;
        std::fs::write(directory.path().join("password"), password)?;
        let url = keycloak.url().to_owned();
        Ok(Administrator { directory, url })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Prepares the usual client in this realm.
    async fn prepare(&self, realm: &str, more: &[&str]) -> Result<Output> {
        let password = self.file("password").display().to_string();
        let login = ["--admin-user", "admin", "--admin-password-file", &password];
        let target = ["--realm", realm, "--url", &self.url, "--oauth-client"];
        prepare(&[&login[..], &target, more].concat()).await
    }
}

async fn prepare(arguments: &[&str]) -> Result<Output> {
    kete_command(&[&["keycloak", "prepare"], arguments].concat()).await
}

/// The secret that Keycloak holds.
async fn secret(realm: &Realm<'_>) -> Result<String> {
    let client = realm.client(CLIENT).await?.context("there is no client")?;
    let secret = client["secret"].as_str().context("no secret")?;
    Ok(secret.to_owned())
}

/// All that Keycloak holds of the client. It lists scopes in any order.
async fn settings(realm: &Realm<'_>) -> Result<Value> {
    let mut client = realm.client(CLIENT).await?.context("there is no client")?;
    for name in ["defaultClientScopes", "optionalClientScopes"] {
        let scopes = client[name].as_array_mut().context("no scopes")?;
        scopes.sort_by_key(Value::to_string);
    }
    Ok(client)
}

fn succeeded(output: &Output) -> Result<()> {
    ensure!(output.code == 0, "{}: {}", output.code, output.stderr);
    ensure!(output.stderr.is_empty(), "it says {}", output.stderr);
    Ok(())
}

/// It failed with all of these words, and did not print anything that could be taken for lines.
fn failed_with(output: &Output, words: &[&str]) -> Result<()> {
    ensure!(output.code == 1, "it ended with {}", output.code);
    ensure!(output.stdout.is_empty(), "it prints {}", output.stdout);
    for word in words {
        ensure!(
            output.stderr.contains(word),
            "no {word} in {}",
            output.stderr
        );
    }
    Ok(())
}

#[tokio::test]
async fn what_it_prints_makes_a_route_send_tokens() -> Result<()> {
    let keycloak = Keycloak::shared().await?;
    let realm = keycloak.create_realm("prepared").await?;
    let administrator = Administrator::of(&keycloak, "admin")?;
    let first = administrator
        .prepare("prepared", &["--route", "all"])
        .await?;
    succeeded(&first)?;
    ensure!(first.stdout.contains("was created"), "{}", first.stdout);
    let held = secret(&realm).await?;
    ensure!(
        first.stdout.contains(&held),
        "another secret: {}",
        first.stdout
    );

    let plan = Server::node().verifies_tokens(&realm.jwks_url(), &realm.issuer());
    let server = plan.start().await?;
    let configuration = [
        from_stdin(),
        to_socketio("all", &server.url(), &[]),
        format!("kete.keycloak.url={}\n{}\n", keycloak.url(), first.stdout),
    ];
    let events = generate(17, 5, 40);
    let mut kete = kete_suites::Kete::run(&configuration).await?;
    kete.feed_events(&events).await?;
    kete.finish().await?;
    let arrivals = server.arrivals().await?;
    check_delivery(&events, &arrivals)?;
    for arrival in &arrivals {
        ensure!(arrival.token()?.client == CLIENT, "{:?}", arrival.token);
    }
    Ok(())
}

#[tokio::test]
async fn the_second_time_the_client_is_there_and_stays_as_it_is() -> Result<()> {
    let keycloak = Keycloak::shared().await?;
    let realm = keycloak.create_realm("prepared-twice").await?;
    let administrator = Administrator::of(&keycloak, "admin")?;
    let first = administrator.prepare("prepared-twice", &[]).await?;
    succeeded(&first)?;
    let change = json!({ "description": "ours now", "directAccessGrantsEnabled": true });
    realm.change_client(CLIENT, change).await?;
    let before = settings(&realm).await?;
    let second = administrator.prepare("prepared-twice", &[]).await?;
    succeeded(&second)?;
    ensure!(
        second.stdout.contains("was there already"),
        "{}",
        second.stdout
    );
    let lines = |output: &Output| {
        let lines = output.stdout.lines().skip(1).map(str::to_owned);
        lines.collect::<Vec<_>>()
    };
    ensure!(
        lines(&first) == lines(&second),
        "other lines: {}",
        second.stdout
    );
    ensure!(settings(&realm).await? == before, "it was changed");
    Ok(())
}

#[tokio::test]
async fn several_at_the_same_time_agree_on_the_secret() -> Result<()> {
    let keycloak = Keycloak::shared().await?;
    let realm = keycloak.create_realm("prepared-at-once").await?;
    let administrator = Administrator::of(&keycloak, "admin")?;
    let prepare = || administrator.prepare("prepared-at-once", &[]);
    let outputs = tokio::try_join!(prepare(), prepare(), prepare(), prepare())?;
    let held = secret(&realm).await?;
    let mut created = 0;
    for output in <[Output; 4]>::from(outputs) {
        succeeded(&output)?;
        ensure!(
            output.stdout.contains(&held),
            "another secret: {}",
            output.stdout
        );
        created += usize::from(output.stdout.contains("was created"));
    }
    ensure!(created == 1, "{created} have created it");
    Ok(())
}

#[tokio::test]
async fn a_client_without_a_secret_gets_one_that_works() -> Result<()> {
    let keycloak = Keycloak::shared().await?;
    let realm = keycloak.create_realm("prepared-empty").await?;
    realm.create_client(CLIENT, json!({})).await?;
    realm.change_client(CLIENT, json!({ "secret": "" })).await?;
    let administrator = Administrator::of(&keycloak, "admin")?;
    let output = administrator
        .prepare("prepared-empty", &["--format", "json"])
        .await?;
    succeeded(&output)?;
    let answer: Value = serde_json::from_str(&output.stdout)?;
    ensure!(answer["created"] == false, "{answer}");
    let secret = answer["clientSecret"].as_str().context("no secret")?;
    ensure!(!secret.is_empty(), "it is empty");
    ensure!(realm.accepts(CLIENT, secret).await?, "Keycloak refuses it");
    Ok(())
}

#[tokio::test]
async fn the_secret_goes_into_a_file_for_its_owner_only() -> Result<()> {
    let keycloak = Keycloak::shared().await?;
    let realm = keycloak.create_realm("prepared-file").await?;
    let administrator = Administrator::of(&keycloak, "admin")?;
    let path = administrator.file("secret");
    let shown = path.display().to_string();
    let more = ["--secret-file", &shown, "--route", "all"];
    for _twice in 0..2 {
        let output = administrator.prepare("prepared-file", &more).await?;
        succeeded(&output)?;
        let held = secret(&realm).await?;
        ensure!(
            std::fs::read_to_string(&path)? == format!("{held}\n"),
            "another secret"
        );
        let mode = std::fs::metadata(&path)?.permissions().mode() & 0o777;
        ensure!(mode == 0o600, "others may read it: {mode:o}");
        ensure!(!output.stdout.contains(&held), "it is printed as well");
        let configuration = [
            from_stdin(),
            to_socketio("all", "https://localhost:1", &[]),
            format!("kete.keycloak.url={}\n{}\n", keycloak.url(), output.stdout),
        ];
        let checked = check_configuration(&configuration, &[]).await?;
        ensure!(checked.code == 0, "{}", checked.stdout);
    }
    std::fs::write(&path, "somebody else's")?;
    let output = administrator.prepare("prepared-file", &more).await?;
    failed_with(&output, &[&shown, "something else in it"])?;
    ensure!(
        std::fs::read_to_string(&path)? == "somebody else's",
        "it is overwritten"
    );
    Ok(())
}

#[tokio::test]
async fn whoever_may_not_is_told_why() -> Result<()> {
    let keycloak = Keycloak::shared().await?;
    let realm = keycloak.create_realm("prepared-never").await?;
    let wrong = Administrator::of(&keycloak, "wrong-password")?;
    let output = wrong.prepare("prepared-never", &[]).await?;
    failed_with(
        &output,
        &["the user admin of realm master", "the password is wrong"],
    )?;
    ensure!(
        !output.stderr.contains("wrong-password"),
        "{}",
        output.stderr
    );

    let administrator = Administrator::of(&keycloak, "admin")?;
    let output = administrator.prepare("prepared-nowhere", &[]).await?;
    failed_with(&output, &["404 for realm prepared-nowhere"])?;
    let output = administrator
        .prepare("prepared-never", &["--admin-realm", "gone"])
        .await?;
    failed_with(&output, &["is there a realm gone"])?;
    ensure!(realm.client(CLIENT).await?.is_none(), "it is there");
    Ok(())
}

#[tokio::test]
async fn an_account_that_registers_needs_one_role() -> Result<()> {
    let keycloak = Keycloak::shared().await?;
    let realm = keycloak.create_realm("prepared-by-client").await?;
    realm
        .create_client("weak", json!({ "secret": "weak-secret" }))
        .await?;
    let registration = "kete.keycloak.registration";
    let [id, right, wrong] = [
        "client-id=weak",
        "client-secret=weak-secret",
        "client-secret=no",
    ]
    .map(|setting| format!("{registration}.{setting}"));
    let target = [
        "--oauth-client",
        "--realm",
        "prepared-by-client",
        "--url",
        keycloak.url(),
    ];
    let output = prepare(&[&target[..], &["--set", &id, "--set", &right]].concat()).await?;
    let role = "give its service account the role manage-clients of the client realm-management \
                in realm prepared-by-client";
    failed_with(
        &output,
        &["403: the client weak of realm prepared-by-client", role],
    )?;
    let output = prepare(&[&target[..], &["--set", &id, "--set", &wrong]].concat()).await?;
    failed_with(
        &output,
        &[
            "the client weak of realm prepared-by-client cannot log in",
            "401",
        ],
    )?;
    ensure!(realm.client(CLIENT).await?.is_none(), "it is there");

    realm.let_manage("weak", &["manage-clients"]).await?;
    let output = prepare(&[&target[..], &["--set", &id, "--set", &right]].concat()).await?;
    succeeded(&output)?;
    ensure!(
        realm.accepts(CLIENT, &secret(&realm).await?).await?,
        "it gets no token"
    );
    Ok(())
}

#[tokio::test]
async fn a_client_that_could_get_no_token_is_named_with_what_is_wrong() -> Result<()> {
    let keycloak = Keycloak::shared().await?;
    let realm = keycloak.create_realm("prepared-odd").await?;
    let administrator = Administrator::of(&keycloak, "admin")?;
    realm.create_client(CLIENT, json!({})).await?;
    for (change, repair, word) in [
        (
            json!({ "enabled": false }),
            json!({ "enabled": true }),
            "enabled=false",
        ),
        (
            json!({ "serviceAccountsEnabled": false }),
            json!({ "serviceAccountsEnabled": true }),
            "serviceAccountsEnabled=false",
        ),
        (
            json!({ "clientAuthenticatorType": "client-jwt" }),
            json!({ "clientAuthenticatorType": "client-secret" }),
            "clientAuthenticatorType=client-jwt",
        ),
        (
            json!({ "publicClient": true }),
            json!({ "publicClient": false, "serviceAccountsEnabled": true }),
            "publicClient=true",
        ),
    ] {
        realm.change_client(CLIENT, change).await?;
        let before = settings(&realm).await?;
        let output = administrator.prepare("prepared-odd", &[]).await?;
        failed_with(&output, &["cannot be used", word])?;
        ensure!(settings(&realm).await? == before, "{word}: it was changed");
        realm.change_client(CLIENT, repair).await?;
        succeeded(&administrator.prepare("prepared-odd", &[]).await?)?;
    }
    Ok(())
}

#[tokio::test]
async fn keycloak_is_asked_over_tls_with_the_authority_that_is_named() -> Result<()> {
    let keycloak = Keycloak::shared().await?;
    let realm = keycloak.create_realm("prepared-tls").await?;
    let administrator = Administrator {
        url: keycloak.tls_url()?.to_owned(),
        ..Administrator::of(&keycloak, "admin")?
    };
    let output = administrator.prepare("prepared-tls", &[]).await?;
    failed_with(&output, &["certificate"])?;
    let configuration = administrator.file("kete.properties");
    std::fs::write(
        &configuration,
        Certificates::get()?.trusted("kete.keycloak.tls"),
    )?;
    let configuration = configuration.display().to_string();
    let output = administrator
        .prepare("prepared-tls", &["--config", &configuration])
        .await?;
    succeeded(&output)?;
    ensure!(
        output.stdout.contains(&secret(&realm).await?),
        "{}",
        output.stdout
    );
    Ok(())
}
