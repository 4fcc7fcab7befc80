//! Secrets are in nothing that anybody could print.

use std::fs;

use kete_credentials::Secret;
use kete_credentials::oauth::{ClientAuth, ClientCredentials, TokenError};
use serde_json::json;

use crate::server::{Asked, CLIENT_SECRET, Reply, Server, pass, source};

/// The secret in the forms in which it travels.
const FORMS: [&str; 3] = [
    CLIENT_SECRET,
    "pa%3Ass+word",
    "a2V0ZSthcHA6cGElM0Fzcyt3b3Jk",
];

/// A server that tells everybody what it was asked.
fn echo(asked: &Asked) -> Reply {
    let authorization = asked.header("authorization").unwrap_or_default();
    let form: Vec<_> = asked.form().into_values().collect();
    let said = format!("{authorization} {} {}", asked.body, form.join(" "));
    let body = json!({"error": format!("no {authorization}"), "error_description": said});
    Reply::json(401, &body)
}

fn assert_hidden(error: &TokenError, secrets: &[&str]) {
    for shown in [
        error.to_string(),
        format!("{error:?}"),
        format!("{error:#?}"),
    ] {
        for secret in secrets {
            assert!(!shown.contains(secret), "{secret} is in {shown}");
        }
        assert!(shown.contains("(hidden)"), "{shown}");
    }
}

#[tokio::test]
async fn a_server_that_echoes_secrets_does_not_get_them_into_errors() {
    let server = Server::start().await;
    server.answers_with(echo);
    let error = server.source().token().await.unwrap_err();
    assert_hidden(&error, &FORMS);
    let with_parameter = ClientCredentials {
        parameters: vec![("api-key".to_owned(), Secret::new("k3y".to_owned()))],
        ..server.credentials()
    };
    let error = source(with_parameter).token().await.unwrap_err();
    assert_hidden(&error, &["k3y"]);
    let in_the_body = ClientAuth::SecretPost(Secret::new(CLIENT_SECRET.to_owned()).into());
    let source = source(server.credentials_with(in_the_body));
    assert_hidden(&source.token().await.unwrap_err(), &FORMS);
}

#[tokio::test]
async fn a_server_that_echoes_an_assertion_does_not_get_it_into_errors() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    fs::write(&path, "aaaa.bbbb.cccc").unwrap();
    let server = Server::start().await;
    server.answers_with(echo);
    let source = source(server.credentials_with(ClientAuth::JwtFile(path)));
    let error = source.token().await.unwrap_err();
    assert_hidden(&error, &["aaaa.bbbb.cccc"]);
}

#[tokio::test]
async fn a_server_that_echoes_an_earlier_token_does_not_get_it_into_errors() {
    let server = Server::start().await;
    server.answers(Reply::token("t0ken-0ne", 300));
    let source = server.source();
    let token = source.token().await.unwrap();
    let body =
        json!({"error": "x", "error_description": "was t0ken-0ne", "error_uri": "t0ken-0ne"});
    server.answers(Reply::json(400, &body));
    source.refuse(&token);
    assert_hidden(&source.token().await.unwrap_err(), &["t0ken-0ne"]);
    pass(60).await;
    let mut elsewhere = Reply::json(302, &json!({}));
    let location = "https://t0ken-0ne.example/".to_owned();
    elsewhere.headers.push(("location", location));
    server.answers(elsewhere);
    assert_hidden(&source.token().await.unwrap_err(), &["t0ken-0ne"]);
    pass(60).await;
    server.answers(Reply::new(500, "text/t0ken-0ne", "t0ken-0ne"));
    assert_hidden(&source.token().await.unwrap_err(), &["t0ken-0ne"]);
}

#[tokio::test]
async fn nothing_prints_a_secret() {
    let server = Server::start().await;
    server.answers(Reply::token("t0ken-0ne", 300));
    let parameters = vec![("api-key".to_owned(), Secret::new("k3y".to_owned()))];
    let credentials = ClientCredentials {
        parameters,
        ..server.credentials()
    };
    let source = source(credentials.clone());
    let token = source.token().await.unwrap();
    for shown in [
        format!("{credentials:#?}"),
        format!("{source:#?}"),
        format!("{token:#?}"),
        format!("{:?}", token.bearer()),
        format!("{:?}", Secret::new(CLIENT_SECRET.to_owned())),
    ] {
        assert!(
            !FORMS.iter().any(|form| shown.contains(form))
                && !shown.contains("t0ken-0ne")
                && !shown.contains("k3y"),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn addresses_are_shown_without_what_may_be_secret_in_them() {
    let server = Server::start().await;
    let mut token_url = server.url.clone();
    token_url.set_username("ann").unwrap();
    token_url.set_password(Some("hunter2")).unwrap();
    token_url.set_query(Some("key=hunter2"));
    let source = source(ClientCredentials {
        token_url,
        ..server.credentials()
    });
    server.answers(Reply::json(401, &json!({"error": "invalid_client"})));
    let error = source.token().await.unwrap_err();
    let expected = format!("{} refused the client: 401 invalid_client", server.url);
    assert_eq!(error.to_string(), expected);
    assert_eq!(server.asked().path, "/token?key=hunter2", "it is sent");
}
