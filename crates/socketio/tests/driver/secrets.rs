//! Whatever a server quotes of the query, the headers or `auth`, no error repeats it.

use kete_socketio::{ConnectError, Options};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::fake::{Http, OPEN, attempt, end, options, pair};

/// Options full of secrets: one that URLs escape, one for CONNECT, one in a header.
fn secretive() -> Options {
    let mut options = options();
    options.query = vec![("token".to_owned(), "hunter 2+".to_owned())];
    options.auth = Some(r#"{"key":"sesame-9"}"#.into());
    options
        .headers
        .insert("authorization", "Bearer s3cr3t".parse().unwrap());
    options
}

fn assert_hidden(shown: &str) {
    for secret in ["hunter", "sesame", "s3cr3t"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[tokio::test]
async fn a_redirect_that_repeats_the_query_shows_no_secret() {
    let options = secretive();
    for status in ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"] {
        let to = "https://b.test/socket.io/?EIO=4&transport=websocket&token=hunter+2%2B";
        let body = format!("<p>Redirecting to {}</p>", to.replace('&', "&amp;"));
        let answer = format!(
            "HTTP/1.1 {status}\r\nLocation: {to}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let error = attempt(&options, async |mut http: Http| {
            http.request().await;
            http.write(&answer).await;
            http
        });
        let error = error.await;
        let shown = error.to_string();
        assert_hidden(&format!("{shown} {error:?}"));
        assert!(
            shown.contains("redirects to, https://b.test/socket.io/; it said: <p>Redirecting to "),
            "{shown}"
        );
        assert!(shown.ends_with("token=…</p>"), "{shown}");
        let ConnectError::Http(refusal) = error else {
            panic!("{error:?}")
        };
        assert_eq!(refusal.moved_to.as_deref(), Some("https://b.test"));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_server_quotes_shows_no_secret_at_any_stage() {
    let options = secretive();
    let said = "hunter 2+ hunter+2%2B sesame-9 Bearer s3cr3t";
    for answer in [
        format!("HTTP/1.1 403 Forbidden\r\nContent-Length: 44\r\n\r\n{said}"),
        format!("220 {said}\r\n"),
    ] {
        let error = attempt(&options, async |mut http: Http| {
            http.request().await;
            http.write(&answer).await;
            http
        });
        assert_hidden(&format!("{:?}", error.await));
    }
    let error = attempt(&options, async |mut http: Http| {
        http.switch_protocols().await;
        http.write(&format!("HTTP/1.1 400 {said}\r\n\r\n")).await;
        http
    });
    assert_hidden(&format!("{:?}", error.await));
    let first = attempt(&options, async |http: Http| {
        let mut server = http.websocket().await;
        server.say(said).await;
        server
    });
    assert_hidden(&format!("{:?}", first.await));
    let refused = attempt(&options, async |http: Http| {
        let mut server = http.websocket().await;
        server.say(OPEN).await;
        server.hear_text().await;
        server.say(&format!("44\"no: {said}\"")).await;
        server
    });
    let shown = refused.await.to_string();
    assert!(shown.ends_with("\"no: … … … …\""), "{shown}");
}

#[tokio::test]
async fn the_end_of_a_connection_shows_no_secret() {
    let (client, http) = pair(64 * 1024);
    let server = async {
        let mut server = http.websocket().await;
        server.welcome().await;
        let frame = CloseFrame {
            code: 4003.into(),
            reason: "sesame-9 was revoked".into(),
        };
        server.socket.close(Some(frame)).await.unwrap();
        server
    };
    let options = secretive();
    let (connected, _server) = tokio::join!(kete_socketio::connect_over(client, &options), server);
    let (_sender, mut receiver) = connected.unwrap();
    let shown = end(&mut receiver).await.to_string();
    assert!(shown.ends_with("it said: … was revoked"), "{shown}");
}
