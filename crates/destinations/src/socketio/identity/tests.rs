use std::convert::Infallible;

use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::socketio::settings;
use crate::testing::read_section;

const PEER: &str = "http://h";

/// A token endpoint that gives out `t1`, `t2` and so on, each for so many seconds. Its URL.
async fn token_endpoint(seconds: u64) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for number in 1_u32.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"client_credentials") {
                assert_ne!(stream.read_buf(&mut asked).await.unwrap(), 0);
            }
            let token = format!(
                r#"{{"access_token":"t{number}","token_type":"Bearer","expires_in":{seconds}}}"#
            );
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
            let length = token.len();
            let answer = format!("{head}\r\ncontent-length: {length}\r\n\r\n{token}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        unreachable!("numbers do not end") as Infallible
    });
    url
}

async fn identity(seconds: u64, more: &[&str]) -> Identity {
    let token_url = format!("oauth.token-url={}", token_endpoint(seconds).await);
    let usual = [
        "url=http://127.0.0.1:1",
        "event-name=e",
        "oauth.enabled=true",
        "oauth.client-id=c",
        "oauth.client-secret=s",
        &token_url,
    ];
    let (settings, said) = read_section(&[&usual, more].concat(), |scope| {
        settings::read(scope, None)
    });
    let settings = settings.unwrap_or_else(|| panic!("{said}"));
    settings.identity.build(settings.options).unwrap()
}

fn header(attempt: &Attempt) -> Option<&str> {
    let header = attempt.options.headers.get(AUTHORIZATION)?;
    Some(header.to_str().unwrap())
}

fn auth(attempt: &Attempt) -> Value {
    let auth = attempt.options.auth.as_deref().unwrap_or(b"null");
    serde_json::from_slice(auth).unwrap()
}

#[tokio::test]
async fn a_token_stands_where_it_is_wanted_and_nowhere_else() {
    let own = [
        "headers.Authorization=Basic a",
        "auth.token=b",
        "auth.room=r",
        "query.token=c",
        "query.x=y",
    ];
    let in_header = identity(300, &own).await.attempt(PEER).await.unwrap();
    assert_eq!(header(&in_header), Some("Bearer t1"));
    assert_eq!(auth(&in_header)["token"], "b");

    let elsewhere = [&own[..], &["oauth.send-as=auth,query"]].concat();
    let elsewhere = identity(300, &elsewhere).await.attempt(PEER).await.unwrap();
    assert_eq!(header(&elsewhere), Some("Basic a"));
    assert_eq!(
        auth(&elsewhere),
        serde_json::json!({"room": "r", "token": "t1"})
    );
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        elsewhere.options.query,
        [pair("x", "y"), pair("token", "t1")]
    );

    let named = ["oauth.send-as=auth", "oauth.auth-key=jwt"];
    let named = identity(300, &named).await.attempt(PEER).await.unwrap();
    assert_eq!(header(&named), None);
    assert_eq!(auth(&named), serde_json::json!({"jwt": "t1"}));
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let identity = identity(300, &[]).await;
    let first = identity.attempt(PEER).await.unwrap();
    let same = identity.attempt(PEER).await.unwrap();
    assert_eq!(header(&same), header(&first));
    assert!(identity.refused(&first), "another token may do");
    let second = identity.attempt(PEER).await.unwrap();
    assert_eq!(header(&second), Some("Bearer t2"));
    assert!(!identity.refused(&second), "a third would be no better");
}

#[tokio::test]
async fn a_lease_ends_before_its_token_but_not_before_the_connection_was_of_use() {
    for (seconds, least, most) in [(300, 240, 270), (4, 1, 2), (1, 1, 1)] {
        let identity = identity(seconds, &["oauth.reconnect-before-expiry=true"]).await;
        let attempt = identity.attempt(PEER).await.unwrap();
        let now = Instant::now();
        let stay = attempt.into_lease(now).until.unwrap() - now;
        assert!(stay >= Duration::from_secs(least), "{seconds}: {stay:?}");
        assert!(stay <= Duration::from_secs(most), "{seconds}: {stay:?}");
    }
}

#[tokio::test]
async fn connections_of_one_token_are_not_replaced_all_at_once() {
    let identity = identity(300, &["oauth.reconnect-before-expiry=true"]).await;
    let now = Instant::now();
    let mut ends = Vec::new();
    for _ in 0..20 {
        let attempt = identity.attempt(PEER).await.unwrap();
        ends.push(attempt.into_lease(now).until.unwrap());
    }
    ends.sort();
    ends.dedup();
    assert!(ends.len() > 10, "only {} different ends", ends.len());
}

#[tokio::test]
async fn without_the_wish_a_lease_has_no_end() {
    let identity = identity(300, &[]).await;
    let mut lease = identity
        .attempt(PEER)
        .await
        .unwrap()
        .into_lease(Instant::now());
    assert!(lease.over().now_or_never().is_none());
}

#[tokio::test]
async fn a_renewal_ends_a_lease_and_whoever_renews_may_go() {
    let (counter, renewals) = watch::channel(0);
    let mut lease = Lease {
        until: None,
        renewals: Some(renewals),
    };
    assert!(lease.over().now_or_never().is_none());
    counter.send_modify(|count| *count += 1);
    assert!(lease.over().now_or_never().is_some());
    drop(counter);
    assert!(lease.over().now_or_never().is_none());
}
