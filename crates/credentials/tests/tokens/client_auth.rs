//! How the client proves itself, as the server sees it.

use std::fs;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use kete_credentials::oauth::{
    ClientAuth, ClientCredentials, ClientSecret, PrivateKeyJwt, TokenError,
};
use kete_credentials::{Secret, SecretText};
use serde_json::json;

use crate::fixtures::{KEY_PASSWORD, fixture};
use crate::jwt::verify;
use crate::server::{Asked, CLIENT_ID, CLIENT_SECRET, Reply, Server, pass, source, text};

const AUDIENCE: &str = "https://auth.example.com/realms/demo";

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

/// By a key in a file of the fixtures.
fn by_key(name: &str) -> PrivateKeyJwt {
    PrivateKeyJwt {
        key_path: fixture(name),
        key_password: None,
        key_id: None,
        audience: AUDIENCE.to_owned(),
    }
}

/// The one request with which a client gets a token.
async fn asked_by(auth: ClientAuth) -> Asked {
    let server = Server::start().await;
    assert_eq!(text(&source(server.credentials_with(auth))).await, "one");
    server.asked()
}

/// The assertion in a request that has nothing else to prove the client.
fn assertion(asked: &Asked) -> String {
    assert_eq!(asked.header("authorization"), None);
    let mut form = asked.form();
    let assertion = form.remove("client_assertion").unwrap();
    let rest: Vec<_> = form
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let assertion_type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    assert_eq!(
        rest,
        [
            ("client_assertion_type", assertion_type),
            ("client_id", CLIENT_ID),
            ("grant_type", "client_credentials"),
        ]
    );
    assertion
}

#[tokio::test]
async fn a_secret_goes_into_the_header_form_encoded() {
    let server = Server::start().await;
    text(&server.source()).await;
    let asked = server.asked();
    // base64 of `kete+app:pa%3Ass+word`, form-encoded first as RFC 6749, section 2.3.1 says.
    assert_eq!(
        asked.header("authorization"),
        Some("Basic a2V0ZSthcHA6cGElM0Fzcyt3b3Jk")
    );
    assert_eq!(asked.body, "grant_type=client_credentials");
    assert_eq!(
        asked.header("content-type"),
        Some("application/x-www-form-urlencoded")
    );
    assert_eq!(asked.header("accept"), Some("application/json"));
    assert_eq!(asked.path, "/token");
}

#[tokio::test]
async fn a_secret_goes_into_the_body_if_that_is_wanted() {
    let asked = asked_by(ClientAuth::SecretPost(secret(CLIENT_SECRET).into())).await;
    assert_eq!(asked.header("authorization"), None);
    assert_eq!(
        asked.body,
        "grant_type=client_credentials&client_id=kete+app&client_secret=pa%3Ass+word"
    );
}

#[tokio::test]
async fn scopes_and_parameters_are_part_of_the_request() {
    let server = Server::start().await;
    let parameters = [
        ("audience", "https://events.example.com/?a=b&c"),
        ("resource", "ä"),
    ];
    let credentials = ClientCredentials {
        scopes: vec!["events:write".to_owned(), "profile".to_owned()],
        parameters: parameters
            .map(|(name, value)| (name.to_owned(), secret(value)))
            .into(),
        ..server.credentials()
    };
    text(&source(credentials)).await;
    assert_eq!(
        server.asked().body,
        "grant_type=client_credentials&scope=events%3Awrite+profile\
         &audience=https%3A%2F%2Fevents.example.com%2F%3Fa%3Db%26c&resource=%C3%A4"
    );
}

#[tokio::test]
async fn an_assertion_is_signed_by_each_kind_of_key_and_says_who_and_for_whom() {
    for client in ["rsa", "p256", "p384", "ed25519"] {
        let before = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let jwt = PrivateKeyJwt {
            key_id: Some(format!("key of {client}")),
            ..by_key(&format!("clients/{client}.key"))
        };
        let asked = asked_by(ClientAuth::PrivateKeyJwt(jwt)).await;
        let after = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let (header, claims) = verify(&assertion(&asked), client);
        assert_eq!(header["kid"], format!("key of {client}"));
        assert_eq!(header["typ"], "JWT");
        for (claim, expected) in [("iss", CLIENT_ID), ("sub", CLIENT_ID), ("aud", AUDIENCE)] {
            assert_eq!(claims[claim], expected, "{claim}");
        }
        let issued_at = claims["iat"].as_u64().unwrap();
        assert!((before..=after).contains(&issued_at), "{claims}");
        assert_eq!(claims["exp"], issued_at + 60);
        assert!(claims["jti"].as_str().unwrap().len() >= 20, "{claims}");
        assert_eq!(claims.as_object().unwrap().len(), 6, "{claims}");
    }
}

#[tokio::test]
async fn keys_may_be_written_in_every_way_that_is_used() {
    for (name, client) in [
        ("stores/client-rsa-pkcs1.pem", "rsa"),
        ("stores/client-rsa-pkcs1.der", "rsa"),
        ("stores/client-p256-sec1.pem", "p256"),
        ("stores/client-p256-sec1.der", "p256"),
        ("stores/client-p256-pkcs8.der", "p256"),
        ("stores/client-p256.pem", "p256"),
    ] {
        let asked = asked_by(ClientAuth::PrivateKeyJwt(by_key(name))).await;
        let (header, _) = verify(&assertion(&asked), client);
        assert_eq!(header.get("kid"), None, "{name}");
    }
    let directory = tempfile::tempdir().unwrap();
    let password_file = directory.path().join("password");
    fs::write(&password_file, format!("{KEY_PASSWORD}\n")).unwrap();
    for password in [
        SecretText::Given(secret(KEY_PASSWORD)),
        SecretText::File(password_file),
    ] {
        let jwt = PrivateKeyJwt {
            key_password: Some(password),
            ..by_key("stores/client-rsa-encrypted.key")
        };
        let asked = asked_by(ClientAuth::PrivateKeyJwt(jwt)).await;
        verify(&assertion(&asked), "rsa");
    }
}

#[tokio::test]
async fn each_request_has_an_assertion_of_its_own_by_the_key_that_is_there_then() {
    let directory = tempfile::tempdir().unwrap();
    let key_path = directory.path().join("key.pem");
    let put = |client: &str| fs::copy(fixture(&format!("clients/{client}.key")), &key_path);
    put("p256").unwrap();
    let server = Server::start().await;
    let jwt = PrivateKeyJwt {
        key_path: key_path.clone(),
        ..by_key("")
    };
    let source = source(server.credentials_with(ClientAuth::PrivateKeyJwt(jwt)));
    let mut ids = Vec::new();
    for client in ["p256", "p256", "ed25519"] {
        put(client).unwrap();
        text(&source).await;
        let (_, claims) = verify(&assertion(&server.asked()), client);
        ids.push(claims["jti"].clone());
        pass(290).await;
    }
    ids.dedup();
    assert_eq!(ids.len(), 3, "{ids:?}");

    fs::write(&key_path, "half a ke").unwrap();
    assert_eq!(text(&source).await, "one", "the token is still good");
    pass(60).await;
    let error = source.token().await.unwrap_err();
    assert!(
        matches!(&error, TokenError::File { .. })
            && error.can_retry_help()
            && error.to_string().contains(key_path.to_str().unwrap()),
        "{error}"
    );
    put("p384").unwrap();
    pass(60).await;
    text(&source).await;
    verify(&assertion(&server.asked()), "p384");
    assert_eq!(server.count(), 4, "nothing is asked without a key");
}

#[tokio::test]
async fn a_jwt_of_somebody_else_is_read_for_each_request() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    fs::write(&path, "aaa.bbb.ccc\n").unwrap();
    let server = Server::start().await;
    let source = source(server.credentials_with(ClientAuth::JwtFile(path.clone())));
    text(&source).await;
    assert_eq!(assertion(&server.asked()), "aaa.bbb.ccc");
    fs::write(&path, "ddd.eee.fff").unwrap();
    pass(290).await;
    text(&source).await;
    assert_eq!(assertion(&server.asked()), "ddd.eee.fff");
    fs::remove_file(&path).unwrap();
    pass(301).await;
    let error = source.token().await.unwrap_err();
    let expected = format!(
        "{} is not asked for a token: there is no file {}",
        server.url,
        path.display()
    );
    assert_eq!(error.to_string(), expected);
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_secret_in_a_file_is_read_for_each_request() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    fs::write(&path, "first\r\n").unwrap();
    let server = Server::start().await;
    let in_file = ClientSecret::Text(SecretText::File(path.clone()));
    let source = source(server.credentials_with(ClientAuth::SecretPost(in_file)));
    for secret in ["first", "second"] {
        fs::write(&path, secret).unwrap();
        text(&source).await;
        let form = server.asked().form();
        assert_eq!(form.get("client_secret").unwrap(), secret);
        pass(290).await;
    }
}

#[tokio::test]
async fn a_certificate_is_named_by_the_id_alone() {
    let asked = asked_by(ClientAuth::TlsClientAuth).await;
    assert_eq!(asked.header("authorization"), None);
    assert_eq!(
        asked.body,
        "grant_type=client_credentials&client_id=kete+app"
    );
}

async fn error_of_key(jwt: PrivateKeyJwt) -> String {
    let server = Server::start().await;
    let source = source(server.credentials_with(ClientAuth::PrivateKeyJwt(jwt)));
    let error = source.token().await.unwrap_err();
    assert_eq!(server.count(), 0);
    let prefix = format!("{} is not asked for a token: ", server.url);
    error.to_string().strip_prefix(&prefix).unwrap().to_owned()
}

#[tokio::test]
async fn keys_that_cannot_sign_are_refused_with_their_file() {
    for name in [
        "stores/client-p521.pem",
        "stores/client-secp256k1.pem",
        "stores/client-ed448.pem",
        "stores/client-dsa.pem",
        "stores/client-rsa1024.pem",
        "stores/client-p256-public.pem",
        "clients/p256.pem",
        "stores/client-rsa-encrypted.key",
        "stores/client-p256.p12",
    ] {
        let error = error_of_key(by_key(name)).await;
        let path = fixture(name);
        assert!(error.starts_with(path.to_str().unwrap()), "{error}");
        assert!(error.len() > path.to_str().unwrap().len() + 10, "{error}");
    }
    let wrong = PrivateKeyJwt {
        key_password: Some(SecretText::Given(secret("wr0ng"))),
        ..by_key("stores/client-rsa-encrypted.key")
    };
    let error = error_of_key(wrong).await;
    assert!(!error.contains("wr0ng"), "{error}");
    let nowhere = PrivateKeyJwt {
        key_path: PathBuf::from("/nowhere/key.pem"),
        ..by_key("")
    };
    assert_eq!(
        error_of_key(nowhere).await,
        "there is no file /nowhere/key.pem"
    );
}

#[tokio::test]
async fn the_private_key_is_in_nothing_that_is_printed() {
    let path = fixture("clients/p256.key");
    let server = Server::start().await;
    let jwt = by_key("clients/p256.key");
    let source = source(server.credentials_with(ClientAuth::PrivateKeyJwt(jwt)));
    server.answers_with(|asked| {
        let assertion = asked.form().remove("client_assertion").unwrap();
        let said = json!({"error": "invalid_client", "error_description": assertion});
        Reply::json(401, &said)
    });
    let error = source.token().await.unwrap_err();
    let shown = format!("{error} {error:?} {source:#?}");
    assert!(!shown.contains(&assertion(&server.asked())), "{shown}");
    assert!(shown.contains("(hidden)"), "{shown}");
    let pem = fs::read_to_string(&path).unwrap();
    for line in pem.lines() {
        assert!(!shown.contains(line), "{shown}");
    }
}
