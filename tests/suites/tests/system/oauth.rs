//! OAuth with tokens of a real Keycloak, against a Socket.IO server that verifies them: signature,
//! issuer, expiry.

use std::collections::HashSet;

use anyhow::{Context, Result, ensure};
use kete_suites::{
    Answers, Arrival, Certificates, Kete, Relay, Server, check_delivery, from_stdin, generate,
    named, sockets,
};
use serde_json::json;

use crate::token_server::{CLIENT, TokenServer, owned, route, signs_with, with_secret};

/// Longer than any test.
const LONG: u32 = 300;
/// Short enough to end several times in a test.
const SHORT: u32 = 5;

/// What is fed between two looks.
const PORTION: usize = 5;

#[tokio::test]
async fn a_token_is_sent_wherever_the_server_looks_for_it() -> Result<()> {
    let ways: [(&str, &[&str], &[&str]); 4] = [
        ("usual", &[], &["header"]),
        ("auth", &["oauth.send-as=auth"], &["auth"]),
        ("query", &["oauth.send-as=query"], &["query"]),
        (
            "all",
            &["oauth.send-as=header,auth,query"],
            &["header", "query", "auth"],
        ),
    ];
    let events = generate(121, 5, 40);
    let tokens = TokenServer::start("carriers", LONG).await?;
    let server = tokens.verifier().start().await?;
    let mut configuration = vec![from_stdin()];
    for (name, keys, _) in ways {
        let oauth = with_secret(&tokens.endpoint.url());
        configuration.push(route(name, &server.url(), &[oauth, owned(keys)]));
    }
    let mut kete = Kete::run(&configuration).await?;
    kete.feed_events(&events).await?;
    kete.finish().await?;

    let arrivals = server.arrivals().await?;
    for (name, _, carriers) in ways {
        let arrivals = named(name, &arrivals);
        check_delivery(&events, &arrivals).context(name)?;
        for arrival in &arrivals {
            let token = arrival.token()?;
            ensure!(token.carriers == carriers, "{name}: {token:?}");
            ensure!(token.client == CLIENT, "{name}: {token:?}");
        }
    }
    ensure!(server.counted("refusedTokens").await? == 0);
    Ok(())
}

#[tokio::test]
async fn all_connections_of_a_route_share_one_token() -> Result<()> {
    let events = generate(122, 200, 6_000);
    let tokens = TokenServer::start("shared", LONG).await?;
    let server = tokens.verifier().start().await?;
    let several = ["pool.max-total=4", "max-in-flight=64"];
    let mut kete = Kete::run(&tokens.configuration(&server.url(), &several)).await?;
    kete.feed_events(&events).await?;
    kete.finish().await?;

    let arrivals = server.arrivals().await?;
    check_delivery(&events, &arrivals)?;
    let connections = sockets(&arrivals).len();
    ensure!(connections == 4, "it came over {connections} connections");
    let requests = tokens.endpoint.requests().len();
    ensure!(requests == 1, "there were {requests} requests for a token");
    Ok(())
}

#[tokio::test]
async fn a_client_proves_itself_in_every_way_that_keycloak_takes() -> Result<()> {
    let events = generate(123, 5, 40);
    let tokens = TokenServer::start("proofs", LONG).await?;
    let realm = tokens.realm();
    let server = tokens.verifier().start().await?;
    let audience = format!("oauth.assertion-audience={}", realm.token_url());
    let post = vec!["oauth.client-auth=client-secret-post".to_owned()];
    let by_secret = with_secret(&tokens.endpoint.url());
    let mut configuration = vec![
        from_stdin(),
        route(CLIENT, &server.url(), &[by_secret.clone(), post]),
    ];
    for key in ["rsa", "p256", "p384"] {
        realm.create_client(key, signs_with(key)?).await?;
        let (_, file) = Certificates::get()?.client(key);
        let oauth = vec![
            "oauth.enabled=true".to_owned(),
            "oauth.client-auth=private-key-jwt".to_owned(),
            format!("oauth.token-url={}", tokens.endpoint.url()),
            format!("oauth.client-id={key}"),
            format!("oauth.key-path={}", file.display()),
            audience.clone(),
        ];
        configuration.push(route(key, &server.url(), &[oauth]));
    }
    let mut kete = Kete::run(&configuration).await?;
    kete.feed_events(&events).await?;
    kete.finish().await?;

    let arrivals = server.arrivals().await?;
    for client in [CLIENT, "rsa", "p256", "p384"] {
        check_delivery(&events, &named(client, &arrivals)).context(client)?;
        came_with_tokens_of(client, &named(client, &arrivals))?;
    }
    for request in tokens.endpoint.requests() {
        ensure!(request.authorization.is_empty(), "a header: {request:?}");
        let secret = request.field("client_secret").is_some();
        let assertion = request.field("client_assertion").is_some();
        ensure!(secret != assertion, "one of them: {request:?}");
    }
    Ok(())
}

/// An assertion that somebody else has signed and put into a file, as Kubernetes does it. Here it
/// is one of kete's own, which Keycloak has not seen.
#[tokio::test]
async fn a_client_proves_itself_with_a_token_from_a_file() -> Result<()> {
    let events = generate(124, 5, 40);
    let mut tokens = TokenServer::start("file", LONG).await?;
    let server = tokens.verifier().start().await?;
    let audience = tokens.realm().token_url();
    tokens
        .realm()
        .create_client("rsa", signs_with("rsa")?)
        .await?;
    let (_, key) = Certificates::get()?.client("rsa");
    let oauth = vec![
        "oauth.enabled=true".to_owned(),
        format!("oauth.token-url={}", tokens.endpoint.url()),
        "oauth.client-id=rsa".to_owned(),
    ];
    let signing = vec![
        "oauth.client-auth=private-key-jwt".to_owned(),
        format!("oauth.key-path={}", key.display()),
        format!("oauth.assertion-audience={audience}"),
    ];
    tokens.endpoint.answer(Answers::Held);
    let signer = [
        from_stdin(),
        route("all", &server.url(), &[oauth.clone(), signing]),
    ];
    let signer = Kete::run(&signer).await?;
    let asked = tokens.endpoint.asked(1).await?;
    let assertion = asked[0].field("client_assertion").context("no assertion")?;
    drop(signer);
    // What is held back must never reach Keycloak, which takes an assertion once.
    tokens.endpoint.down().await;
    tokens.endpoint.answer(Answers::Real);
    tokens.endpoint.up().await?;

    let directory = tempfile::tempdir()?;
    let file = directory.path().join("token");
    std::fs::write(&file, format!("{assertion}\n"))?;
    let from_file = vec![
        "oauth.client-auth=jwt-file".to_owned(),
        format!("oauth.jwt-path={}", file.display()),
    ];
    let configuration = [
        from_stdin(),
        route("all", &server.url(), &[oauth, from_file]),
    ];
    let mut kete = Kete::run(&configuration).await?;
    kete.feed_events(&events).await?;
    kete.finish().await?;

    let arrivals = server.arrivals().await?;
    check_delivery(&events, &arrivals)?;
    came_with_tokens_of("rsa", &arrivals)
}

/// RFC 8705, section 2.1, over the token endpoint's own TLS.
#[tokio::test]
async fn a_client_proves_itself_with_its_certificate() -> Result<()> {
    let events = generate(125, 5, 40);
    let tokens = TokenServer::start("certificate", LONG).await?;
    let (realm, certificates) = (tokens.realm(), Certificates::get()?);
    let by_certificate = json!({
        "clientAuthenticatorType": "client-x509",
        "attributes": {
            "x509.subjectdn": "CN=kete-p256,O=kete tests",
            "x509.allow.regex.pattern.comparison": "false",
        },
    });
    realm.create_client("p256", by_certificate).await?;
    let issuer = realm.tls_issuer()?;
    let plan = Server::node().verifies_tokens(&realm.jwks_url(), &issuer);
    let server = plan.start().await?;
    let oauth = vec![
        "oauth.enabled=true".to_owned(),
        "oauth.client-auth=tls-client-auth".to_owned(),
        format!("oauth.token-url={issuer}/protocol/openid-connect/token"),
        "oauth.client-id=p256".to_owned(),
    ];
    let section = "kete.routes.all.destination.oauth.tls";
    let mut kete = Kete::run(&[
        from_stdin(),
        route("all", &server.url(), &[oauth]),
        certificates.trusted(section),
        certificates.presented(section, "p256"),
    ])
    .await?;
    kete.feed_events(&events).await?;
    kete.finish().await?;

    let arrivals = server.arrivals().await?;
    check_delivery(&events, &arrivals)?;
    came_with_tokens_of("p256", &arrivals)
}

/// The server disconnects whoever's token has ended, and a network breaks now and then. No token
/// is shown that has ended.
#[tokio::test]
async fn tokens_of_five_seconds_are_never_shown_stale() -> Result<()> {
    let events = generate(126, 20, 30_000);
    let tokens = TokenServer::start("short", SHORT).await?;
    let plan = tokens.verifier().with("jwt-expired", "disconnect");
    let server = plan.start().await?;
    let relay = Relay::to(server.port()).await?;
    let mut kete = Kete::run(&tokens.configuration(&relay.url(), &[])).await?;

    let (mut fed, mut cut_after) = (0, 1);
    while server.counted("endedTokens").await? < 3 {
        fed = feed_more(&mut kete, &events, fed).await?;
        if tokens.endpoint.requests().len() > cut_after {
            cut_after = tokens.endpoint.requests().len();
            relay.reset_all();
        }
    }
    kete.finish().await?;

    let arrivals = server.arrivals().await?;
    check_delivery(&events[..fed], &arrivals)?;
    let used = token_ids(&arrivals)?.len();
    ensure!(used >= 3, "only {used} tokens were used");
    let refused = server.counted("refusedTokens").await?;
    ensure!(refused == 0, "{refused} tokens were refused");
    ensure!(kete.dead_letters()?.is_empty(), "an event was given up");
    Ok(())
}

#[tokio::test]
async fn with_reconnect_before_expiry_no_token_ends_on_a_connection() -> Result<()> {
    let events = generate(127, 20, 30_000);
    let tokens = TokenServer::start("retired", SHORT).await?;
    let plan = tokens.verifier().with("jwt-expired", "disconnect");
    let server = plan.start().await?;
    let keys = ["oauth.reconnect-before-expiry=true", "pool.max-total=2"];
    let mut kete = Kete::run(&tokens.configuration(&server.url(), &keys)).await?;

    let mut fed = 0;
    while token_ids(&server.arrivals().await?)?.len() < 4 {
        fed = feed_more(&mut kete, &events, fed).await?;
    }
    kete.finish().await?;

    check_delivery(&events[..fed], &server.arrivals().await?)?;
    for counted in ["endedTokens", "refusedTokens"] {
        let count = server.counted(counted).await?;
        ensure!(count == 0, "{counted}: {count}");
    }
    Ok(())
}

/// Feeds the next few events and waits for them; returns how many were fed so far.
async fn feed_more(kete: &mut Kete, events: &[kete_suites::Sample], fed: usize) -> Result<usize> {
    let end = fed + PORTION;
    let next = events.get(fed..end).context("the events are used up")?;
    kete.feed_events(next).await?;
    kete.wait_until("they are delivered", |now| {
        now.forwarded("all") >= end as u64
    })
    .await?;
    Ok(end)
}

fn token_ids(arrivals: &[Arrival]) -> Result<HashSet<&str>> {
    let mut ids = HashSet::new();
    for arrival in arrivals {
        ids.insert(arrival.token()?.id.as_str());
    }
    Ok(ids)
}

fn came_with_tokens_of(client: &str, arrivals: &[Arrival]) -> Result<()> {
    for arrival in arrivals {
        let token = arrival.token()?;
        ensure!(token.client == client, "{client}: {token:?}");
    }
    Ok(())
}
