use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

use axum::Router;
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};

use super::{Answer, Client, ClientError, Question, Refused, Server, SocketError};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Number {
    number: u32,
}

async fn doubled(Question(Number { number }): Question<Number>) -> Result<Answer<Number>, Refused> {
    match number.checked_mul(2) {
        Some(number) => Ok(Answer(Number { number })),
        None => Err(Refused::wrong(format!("{number} is too large"))),
    }
}

fn router() -> Router {
    Router::new()
        .route("/double", post(doubled))
        .route("/seven", get(async || Answer(Number { number: 7 })))
}

async fn client(path: &Path) -> Client {
    Client::connect(path).await.unwrap().unwrap()
}

#[tokio::test]
async fn questions_are_answered_and_refusals_come_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let server = Server::start(&path, router()).await.unwrap();
    let client = client(&path).await;
    let seven: Number = client.ask("/seven").await.unwrap();
    assert_eq!(seven, Number { number: 7 });
    let doubled: Number = client.call("/double", &seven).await.unwrap();
    assert_eq!(doubled, Number { number: 14 });
    let large = Number { number: u32::MAX };
    let refused = client.call::<_, Number>("/double", &large).await;
    assert_eq!(refused.unwrap_err().to_string(), "4294967295 is too large");
    for (path, question) in [("/double", "seven"), ("/triple", "7")] {
        let refused = client.call::<_, Number>(path, &question).await.unwrap_err();
        assert!(
            matches!(&refused, ClientError::Refused(words) if words.contains("another version")),
            "{refused}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn a_question_that_is_too_large_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let server = Server::start(&path, router()).await.unwrap();
    let question = "x".repeat(1024 * 1024);
    let refused = client(&path)
        .await
        .call::<_, Number>("/double", &question)
        .await;
    assert!(
        matches!(refused, Err(ClientError::Refused(_))),
        "{refused:?}"
    );
    server.stop().await;
}

#[tokio::test]
async fn only_the_owner_may_use_it_and_it_goes_with_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    assert!(Client::connect(&path).await.unwrap().is_none());
    let server = Server::start(&path, router()).await.unwrap();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    server.stop().await;
    assert!(!path.exists());
    assert!(Client::connect(&path).await.unwrap().is_none());
}

#[tokio::test]
async fn what_a_dead_process_left_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(Client::connect(&path).await.unwrap().is_none());
    let server = Server::start(&path, router()).await.unwrap();
    let _seven: Number = client(&path).await.ask("/seven").await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn the_socket_of_another_process_and_other_files_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let other = UnixListener::bind(&path).unwrap();
    let taken = Server::start(&path, router()).await.err().unwrap();
    assert!(matches!(taken, SocketError::Taken(_)), "{taken}");
    drop(other);
    let file = folder.path().join("notes");
    fs::write(&file, "mine").unwrap();
    let taken = Server::start(&file, router()).await.err().unwrap();
    assert!(matches!(taken, SocketError::NotASocket(_)), "{taken}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
}

#[tokio::test]
async fn the_socket_of_a_later_server_is_not_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let first = Server::start(&path, router()).await.unwrap();
    fs::remove_file(&path).unwrap();
    let second = Server::start(&path, router()).await.unwrap();
    first.stop().await;
    let _seven: Number = client(&path).await.ask("/seven").await.unwrap();
    second.stop().await;
}

#[tokio::test]
async fn a_path_that_is_too_long_is_refused_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x".repeat(107));
    let length = path.as_os_str().len();
    let words = format!("its path has {length} bytes, and the system takes 107");
    let server = Server::start(&path, router())
        .await
        .err()
        .unwrap()
        .to_string();
    let client = Client::connect(&path).await.unwrap_err().to_string();
    for refused in [server, client] {
        assert!(refused.contains(&words), "{refused}");
        assert!(refused.contains("kete.control.socket"), "{refused}");
    }
}

#[tokio::test]
async fn a_place_that_cannot_have_a_socket_is_named_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("notes"), "mine").unwrap();
    for (path, expected) in [
        (path("none/c.sock"), "/none; create it, writable for kete"),
        (
            path("notes/c.sock"),
            "/notes is not a directory; choose another path",
        ),
    ] {
        let refused = Server::start(&path, router()).await.err().unwrap();
        let refused = refused.to_string();
        assert!(refused.contains(expected), "{refused}");
        assert!(refused.contains("kete.control.socket"), "{refused}");
        assert!(!refused.contains("os error"), "{refused}");
        assert!(Client::connect(&path).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_kete_that_ends_before_it_has_answered_is_named_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let client = client(&path).await;
    // The first connection was the client's look whether somebody listens.
    let gone = std::thread::spawn(move || {
        drop(listener.accept().unwrap());
        drop(listener.accept().unwrap());
    });
    let failed = client
        .ask::<Number>("/seven")
        .await
        .unwrap_err()
        .to_string();
    gone.join().unwrap();
    assert!(
        failed.contains("was gone before it had answered ("),
        "{failed}"
    );
    assert!(failed.ends_with("); ask again"), "{failed}");
    let failed = client
        .ask::<Number>("/seven")
        .await
        .unwrap_err()
        .to_string();
    assert!(
        failed.contains("was gone before it had answered ("),
        "{failed}"
    );
}
