//! With every detail logged, through success and failure: no password, client secret, token, key or
//! header value is in the log, in the output, in dead letters, in metrics or in what the check
//! prints.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use kete_suites::{
    Answers, Certificates, Kete, Sample, TokenEndpoint, all_wait, base64, check_configuration,
    from_stdin, generate, sample_with, trust,
};
use tempfile::TempDir;

use crate::token_server::with_secret;
use crate::token_server::{CLIENT, CLIENT_SECRET, TokenServer, owned, route, signs_with};

const STORE_PASSWORD: &str = "Zt7-store-Zt7";
const KEY_PASSWORD: &str = "Qm4-key-Qm4";
const PROXY_PASSWORD: &str = "Lw2-proxy-Lw2";
const HEADER: &str = "Rk9-header-Rk9";
const QUERY: &str = "Hv3-query-Hv3";
const MEMBER: &str = "Nc6-member-Nc6";

/// What makes the server refuse an event.
const REFUSED: &str = "please-refuse-this";

#[tokio::test]
async fn no_secret_is_shown_anywhere() -> Result<()> {
    let tokens = TokenServer::start("secrets", 300).await?;
    tokens
        .realm()
        .create_client("rsa", signs_with("rsa")?)
        .await?;
    let plan = tokens
        .verifier()
        .tls("good")
        .requires_client_certificate()
        .with("ack", "refuse-matching")
        .with("refuse", REFUSED);
    let server = plan.start().await?;
    let angry = TokenEndpoint::before(&tokens.realm().token_url()).await?;
    angry.answer(QUOTING);
    let files = Files::new()?;
    let configuration = [
        from_stdin(),
        "kete.log.level=trace\nkete.shutdown.grace=1s\n".to_owned(),
        by_secret(&tokens, &files, &server.url()),
        by_key(&tokens, &files, &server.url()),
        refused("angry", &angry, &files, &server.url()),
        // An identity that the server does not know.
        unknown(&tokens, &server.url())?,
    ];
    let checked = [
        check_configuration(&configuration, &["--format", "human"]).await?,
        check_configuration(&configuration, &["--format", "json"]).await?,
    ];
    let mut kete = Kete::run(&configuration).await?;

    let events = [generate(161, 5, 30), vec![sample_with(REFUSED, 9, 1, 1)]].concat();
    kete.feed_events(&events).await?;
    delivered_or_refused(&kete, &events, &["secret", "key"]).await?;
    for route in ["angry", "unknown"] {
        all_wait(&kete, route, events.len(), "").await?;
    }
    let metrics = kete.metrics_text().await?;
    kete.terminate()?;
    let ended = kete.ended().await?;
    let letters = kete.dead_letters()?;
    ensure!(letters.len() >= 2, "there are no dead letters to look at");
    ensure!(
        kete.log_text().contains("\"DEBUG\""),
        "not every detail is logged"
    );

    let letters: Vec<String> = letters.iter().map(ToString::to_string).collect();
    let mut places = vec![
        ("the log", kete.log_text()),
        ("the output", ended.stdout),
        ("dead letters", letters.concat()),
        ("metrics", metrics),
    ];
    for checked in checked {
        ensure!(checked.code == 0, "it does not pass: {}", checked.stdout);
        places.push(("what the check prints", checked.stdout + &checked.stderr));
    }
    let secrets = secrets(&tokens, &angry)?;
    for (place, text) in &places {
        let looked_at = text.contains("\"secret\"") || text.contains("route secret");
        ensure!(looked_at || *place == "the output", "{place}: {text}");
        for (name, secret) in &secrets {
            ensure!(!text.contains(secret), "{place} shows {name}: {secret}");
        }
    }
    Ok(())
}

/// A token endpoint that repeats what it was told.
const QUOTING: Answers = Answers::Fixed {
    status: 401,
    content_type: "application/json",
    body: r#"{"error":"invalid_client","error_description":"no events:events-secret-3f9c"}"#,
};

/// A route with a secret in every place that can have one.
fn by_secret(tokens: &TokenServer, files: &Files, url: &str) -> String {
    let more = owned(&[
        "oauth.send-as=header,auth,query",
        &format!("headers.X-API-Key={HEADER}"),
        &format!("query.key={QUERY}"),
        &format!("auth.key={MEMBER}"),
        "oauth.proxy.url=http://127.0.0.1:9",
        "oauth.proxy.username=somebody",
        &format!("oauth.proxy.password={PROXY_PASSWORD}"),
        "oauth.proxy.no-proxy=127.0.0.1",
        "confirm=ack",
        "ack.error-pointer=/error",
    ]);
    let oauth = with_secret(&tokens.endpoint.url());
    route("secret", url, &[oauth, more]) + &files.identity("secret")
}

/// A route with a locked key that signs.
fn by_key(tokens: &TokenServer, files: &Files, url: &str) -> String {
    let oauth = owned(&[
        "oauth.enabled=true",
        "oauth.client-auth=private-key-jwt",
        "oauth.client-id=rsa",
        &format!("oauth.token-url={}", tokens.endpoint.url()),
        &format!("oauth.assertion-audience={}", tokens.realm().token_url()),
        &format!("oauth.key-path={}", files.path("rsa.key").display()),
        &format!("oauth.key-password={KEY_PASSWORD}"),
        "confirm=ack",
        "ack.error-pointer=/error",
    ]);
    route("key", url, &[oauth]) + &files.identity("key")
}

/// A route whose token endpoint gives it none.
fn refused(name: &str, endpoint: &TokenEndpoint, files: &Files, url: &str) -> String {
    route(name, url, &[with_secret(&endpoint.url())]) + &files.identity(name)
}

/// A route that the server does not let in.
fn unknown(tokens: &TokenServer, url: &str) -> Result<String> {
    let certificates = Certificates::get()?;
    let section = "kete.routes.unknown.destination.tls";
    let route = route("unknown", url, &[with_secret(&tokens.endpoint.url())]);
    let presented = certificates.presented(section, "other-ca");
    Ok(route + &certificates.trusted(section) + &presented)
}

/// Everything that must not be found, with a name for it.
fn secrets(tokens: &TokenServer, angry: &TokenEndpoint) -> Result<Vec<(String, String)>> {
    let mut secrets = Vec::new();
    let chosen = [
        ("the client secret", CLIENT_SECRET.to_owned()),
        ("the client's proof", format!("{CLIENT}:{CLIENT_SECRET}")),
        ("the store's password", STORE_PASSWORD.to_owned()),
        ("the key's password", KEY_PASSWORD.to_owned()),
        ("the proxy's password", PROXY_PASSWORD.to_owned()),
        ("the proxy's proof", format!("somebody:{PROXY_PASSWORD}")),
        ("a header", HEADER.to_owned()),
        ("a query parameter", QUERY.to_owned()),
        ("a member of auth", MEMBER.to_owned()),
    ];
    for (name, secret) in chosen {
        secrets.push((format!("{name} in base64"), base64(secret.as_bytes())));
        secrets.push((name.to_owned(), secret));
    }
    let given = tokens.endpoint.tokens();
    ensure!(given.len() >= 2, "there are only {} tokens", given.len());
    for token in given {
        // Claims and signature, for a part of a token is as bad.
        for part in token.split('.').skip(1) {
            secrets.push(("a token".to_owned(), part.to_owned()));
        }
    }
    let requests = [tokens.endpoint.requests(), angry.requests()].concat();
    let proof = base64(format!("{CLIENT}:{CLIENT_SECRET}").as_bytes());
    let proved = requests
        .iter()
        .any(|request| request.authorization.contains(&proof));
    ensure!(proved, "the client did not prove itself like that");
    let assertions = requests
        .iter()
        .filter_map(|request| request.field("client_assertion"));
    let signatures: Vec<&str> = assertions
        .filter_map(|text| text.rsplit('.').next())
        .collect();
    ensure!(!signatures.is_empty(), "nobody has signed anything");
    for signature in signatures {
        secrets.push(("an assertion".to_owned(), signature.to_owned()));
    }
    for client in ["rsa", "p256", "other-ca"] {
        let (_, key) = Certificates::get()?.client(client);
        let text = std::fs::read_to_string(key)?;
        // A short last line could be anywhere.
        let material = text
            .lines()
            .filter(|line| line.len() >= 40 && !line.contains('-'));
        secrets.extend(material.map(|line| (format!("the key of {client}"), line.to_owned())));
    }
    Ok(secrets)
}

/// Waits until of these routes everything is settled: all but one event by delivery.
async fn delivered_or_refused(kete: &Kete, events: &[Sample], routes: &[&str]) -> Result<()> {
    let good = events.len() as u64 - 1;
    kete.wait_until("all but one event are delivered", |now| {
        routes
            .iter()
            .all(|route| now.forwarded(route) == good && now.failed(route) == 1)
    })
    .await?;
    Ok(())
}

/// Stores with passwords that are found nowhere by chance.
struct Files {
    directory: TempDir,
    made: Certificates,
}

impl Files {
    fn new() -> Result<Files> {
        let files = Files {
            directory: TempDir::with_prefix("kete-secrets-")?,
            made: Certificates::get()?,
        };
        let (certificate, key) = files.made.client("p256");
        let password = format!("pass:{STORE_PASSWORD}");
        let export = ["pkcs12", "-export", "-passout", &password, "-in"];
        let more = [certificate, PathBuf::from("-inkey"), key];
        openssl(&export, &more, &files.path("client.p12"))?;
        let (_, key) = files.made.client("rsa");
        let password = format!("pass:{KEY_PASSWORD}");
        let lock = ["pkcs8", "-topk8", "-passout", &password, "-in"];
        openssl(&lock, &[key], &files.path("rsa.key"))?;
        Ok(files)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The lines with which a route knows who it is and whom it trusts.
    fn identity(&self, route: &str) -> String {
        let section = format!("kete.routes.{route}.destination.tls");
        let store = self.path("client.p12");
        trust(&section, &self.made.ca())
            + &format!(
                "{section}.key-store.loader.kind=pkcs12-file-path\n\
                 {section}.key-store.loader.path={}\n\
                 {section}.key-store.password={STORE_PASSWORD}\n",
                store.display()
            )
    }
}

fn openssl(options: &[&str], files: &[PathBuf], out: &Path) -> Result<()> {
    let mut command = Command::new("openssl");
    command.args(options).args(files).arg("-out").arg(out);
    let done = command.output().context("openssl does not run")?;
    let errors = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "openssl: {errors}");
    Ok(())
}
