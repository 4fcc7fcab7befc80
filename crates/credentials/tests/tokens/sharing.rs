//! Many callers, one request: for a token, for its renewal, and for a failure.

use std::sync::Arc;

use kete_credentials::oauth::{TokenError, TokenSource};
use tokio::task::JoinHandle;

use crate::server::{Reply, Server, pass, text};

type Caller = JoinHandle<Result<String, TokenError>>;

fn caller(source: &Arc<TokenSource>) -> Caller {
    let source = Arc::clone(source);
    tokio::spawn(async move { Ok(source.token().await?.reveal().to_owned()) })
}

/// Fifty of them. On the runtime of a test they run in turn, so all of them are waiting before
/// anything is heard from the server.
fn fifty(source: &Arc<TokenSource>) -> Vec<Caller> {
    (0..50).map(|_| caller(source)).collect()
}

#[tokio::test]
async fn callers_at_once_share_one_request() {
    let server = Server::start().await;
    let source = Arc::new(server.source());
    server.hold();
    let callers = fifty(&source);
    server.has_been_asked(1).await;
    server.release();
    for caller in callers {
        assert_eq!(caller.await.unwrap().unwrap(), "one");
    }
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn callers_at_once_share_one_failure() {
    let server = Server::start().await;
    server.answers(Reply::new(502, "text/html", "<html>"));
    let source = Arc::new(server.source());
    server.hold();
    let callers = fifty(&source);
    server.has_been_asked(1).await;
    server.release();
    for caller in callers {
        let error = caller.await.unwrap().unwrap_err();
        assert!(
            matches!(error, TokenError::NotAToken { status: 502, .. }),
            "{error}"
        );
    }
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn an_endpoint_in_trouble_is_not_hammered_and_asked_again_later() {
    let server = Server::start().await;
    let source = server.source();
    server.answers(Reply::new(502, "text/html", "<html>"));
    let error = source.token().await.unwrap_err();
    tokio::time::pause();
    for _ in 0..100 {
        assert_eq!(source.token().await.unwrap_err(), error);
    }
    tokio::time::resume();
    assert_eq!(server.count(), 1, "the failure is shared");
    server.answers(Reply::token("well", 300));
    pass(1).await;
    assert_eq!(text(&source).await, "well");
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_the_request_to_the_next() {
    let server = Server::start().await;
    let source = Arc::new(server.source());
    server.hold();
    let first = caller(&source);
    server.has_been_asked(1).await;
    let second = caller(&source);
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    server.has_been_asked(2).await;
    server.release();
    assert_eq!(second.await.unwrap().unwrap(), "one");
    assert_eq!(text(&source).await, "one");
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_token_that_is_being_renewed_is_given_out_meanwhile() {
    let server = Server::start().await;
    let source = Arc::new(server.source());
    text(&source).await;
    pass(275).await;
    server.answers(Reply::token("two", 300));
    server.hold();
    let renewing = caller(&source);
    server.has_been_asked(2).await;
    assert_eq!(text(&source).await, "one", "without waiting");
    server.release();
    assert_eq!(renewing.await.unwrap().unwrap(), "two");
    assert_eq!(text(&source).await, "two");
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_token_that_ends_in_a_moment_is_not_given_out_while_it_is_renewed() {
    let server = Server::start().await;
    let source = Arc::new(server.source());
    text(&source).await;
    pass(297).await;
    server.answers(Reply::token("two", 300));
    server.hold();
    let callers = fifty(&source);
    server.has_been_asked(2).await;
    server.release();
    for caller in callers {
        assert_eq!(caller.await.unwrap().unwrap(), "two");
    }
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_refused_token_is_fetched_anew_once() {
    let server = Server::start().await;
    let source = server.source();
    let first = source.token().await.unwrap();
    server.answers(Reply::token("two", 300));
    assert!(source.refuse(&first), "another try is worth it");
    let second = source.token().await.unwrap();
    assert_eq!((second.reveal(), server.count()), ("two", 2));
    assert!(source.refuse(&first));
    assert_eq!(text(&source).await, "two", "an old token is refused late");
    assert!(!source.refuse(&second), "the new one was refused too");
    server.answers(Reply::token("three", 300));
    assert_eq!(text(&source).await, "three");
    assert_eq!(server.count(), 3);
}

#[tokio::test]
async fn callers_whose_token_was_refused_share_one_request_too() {
    let server = Server::start().await;
    let source = Arc::new(server.source());
    let token = source.token().await.unwrap();
    server.answers(Reply::token("two", 300));
    server.hold();
    for _ in 0..50 {
        assert!(source.refuse(&token));
    }
    let callers = fifty(&source);
    server.has_been_asked(2).await;
    server.release();
    for caller in callers {
        assert_eq!(caller.await.unwrap().unwrap(), "two");
    }
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_token_that_worked_may_be_refused_again_later() {
    let server = Server::start().await;
    let source = server.source();
    let first = source.token().await.unwrap();
    source.refuse(&first);
    source.token().await.unwrap();
    pass(290).await;
    let renewed = source.token().await.unwrap();
    assert!(source.refuse(&renewed), "it was just time for it");
    assert_eq!(server.count(), 3);
}

#[tokio::test]
async fn a_refusal_is_worth_a_request_even_after_a_failed_renewal() {
    let server = Server::start().await;
    let source = server.source();
    let token = source.token().await.unwrap();
    pass(280).await;
    server.answers(Reply::new(503, "text/plain", "later"));
    assert_eq!(text(&source).await, "one");
    server.answers(Reply::token("two", 300));
    source.refuse(&token);
    assert_eq!(text(&source).await, "two");
    assert_eq!(server.count(), 3);
}
