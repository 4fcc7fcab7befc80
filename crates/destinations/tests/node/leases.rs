//! Connections that are replaced because the token they were made with ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use kete_pipeline::{ConnectionEvent, Destination};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::recorder::Recorder;
use crate::route::{Lane, destination};

/// A token endpoint whose tokens live one second, and how many it gave out.
async fn token_endpoint() -> (String, Arc<AtomicU32>) {
    const TOKEN: &str = r#"{"access_token":"right","token_type":"Bearer","expires_in":1}"#;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    let given = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&given);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = Vec::new();
            while !asked.ends_with(b"client_credentials") {
                assert_ne!(stream.read_buf(&mut asked).await.unwrap(), 0);
            }
            count.fetch_add(1, Ordering::SeqCst);
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
            let length = TOKEN.len();
            let answer = format!("{head}\r\ncontent-length: {length}\r\n\r\n{TOKEN}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (url, given)
}

/// A destination whose tokens live one second, and whose connections are replaced before that.
fn with_tokens(server: &Recorder, token_url: &str) -> Arc<dyn Destination> {
    let lines = [
        "oauth.enabled=true",
        &format!("oauth.token-url={token_url}"),
        "oauth.client-id=c",
        "oauth.client-secret=s",
        "oauth.reconnect-before-expiry=true",
        "pool.time-between-eviction-runs-seconds=0",
    ];
    destination(&server.url(), &lines)
}

#[tokio::test]
async fn the_lane_is_told_once_and_what_is_on_the_connection_is_still_confirmed() {
    let (token_url, _) = token_endpoint().await;
    let server = Recorder::start(&["--token=right", "--token-check=401"]).await;
    let destination = with_tokens(&server, &token_url);
    let mut lane = Lane::connect(&*destination).await;
    assert_eq!(lane.next().await, Some(ConnectionEvent::Retire));
    let last = lane.send([r#"{"id":"1"}"#]);
    assert_eq!(lane.confirmed(last).await, []);
    lane.release();
    // It was not kept to be used again.
    server.reaches(0).await;
    assert_eq!(server.count().await, 1);
    destination.close().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_the_next_has_another_token() {
    let (token_url, given) = token_endpoint().await;
    let server = Recorder::start(&["--token=right", "--token-check=401"]).await;
    let destination = with_tokens(&server, &token_url);
    Lane::connect(&*destination).await.release();
    server.reaches(0).await;
    let before = given.load(Ordering::SeqCst);
    Lane::connect(&*destination).await.release();
    assert!(given.load(Ordering::SeqCst) > before);
    destination.close().await;
}
