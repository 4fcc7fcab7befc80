//! Who may prepare a client, and what is said to those who may not.

use kete_credentials::keycloak::{Account, RegistrationError};
use kete_credentials::{Secret, SecretText};
use serde_json::json;

use super::fake::{Fake, PASSWORD, REGISTRAR_SECRET, TOKEN, administrator, registrar};

const ID: &str = "kete-oauth-client";

fn user(realm: &str, user: &str, password: &str) -> Account {
    Account::Administrator {
        realm: realm.to_owned(),
        user: user.to_owned(),
        password: Secret::new(password.to_owned()),
    }
}

fn client(realm: &str, client_id: &str, secret: &str) -> Account {
    Account::Client {
        realm: realm.to_owned(),
        client_id: client_id.to_owned(),
        secret: SecretText::Given(Secret::new(secret.to_owned())),
    }
}

/// What is said, in which no secret may be.
async fn refusal(keycloak: &Fake, account: &Account) -> RegistrationError {
    let error = keycloak.prepare(account, ID).await.unwrap_err();
    let said = format!("{error} {error:?} {account:?}");
    for secret in [PASSWORD, REGISTRAR_SECRET, TOKEN, "wrong-secret"] {
        assert!(!said.contains(secret), "{secret} is in {said}");
    }
    error
}

#[tokio::test]
async fn a_login_that_is_refused_names_the_account_and_the_way_out() {
    let keycloak = Fake::start().await;
    let token = |realm| {
        format!(
            "{}realms/{realm}/protocol/openid-connect/token",
            keycloak.keycloak().url
        )
    };
    for (account, expected) in [
        (
            client("demo", "registrar", "wrong-secret"),
            format!(
                "the client registrar of realm demo cannot log in: {} refused the client: 401 \
                 unauthorized_client: Invalid client or Invalid client credentials; are its id \
                 and its secret right, is it enabled, and has it a service account?",
                token("demo")
            ),
        ),
        (
            user("master", "admin", "wrong-secret"),
            format!(
                "the user admin of realm master cannot log in: {} refused the client: 401 \
                 invalid_grant: Invalid user credentials; the name or the password is wrong, or \
                 Keycloak wants a one-time password as well, which cannot be given here: use \
                 another account, or a client that may manage clients",
                token("master")
            ),
        ),
        (
            user("gone", "admin", PASSWORD),
            format!(
                "the user admin of realm gone cannot log in: {} refused the client: 404 Realm \
                 does not exist; is there a realm gone, and does kete.keycloak.url have the right \
                 path?",
                token("gone")
            ),
        ),
    ] {
        let error = refusal(&keycloak, &account).await;
        assert_eq!(error.to_string(), expected);
        assert!(!error.can_retry_help());
    }
    assert_eq!(keycloak.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn logins_that_need_somebody_to_act_say_who_and_how() {
    for (status, code, description, expected) in [
        (
            400,
            "invalid_grant",
            "Account is not fully set up",
            "log in with a browser once",
        ),
        (
            400,
            "unauthorized_client",
            "Client not allowed for direct access grants",
            "admin-cli",
        ),
    ] {
        let keycloak = Fake::start().await;
        let body = json!({ "error": code, "error_description": description }).to_string();
        keycloak.instead("POST", "/token", status, &body);
        let error = refusal(&keycloak, &administrator()).await.to_string();
        assert!(
            error.contains(description) && error.contains(expected),
            "{error}"
        );
    }
}

#[tokio::test]
async fn what_a_server_says_about_a_login_is_cut_and_has_no_secret() {
    let keycloak = Fake::start().await;
    let description = format!("\u{1b}[2J{PASSWORD} is wrong{}", " very".repeat(100));
    let body = json!({ "error": PASSWORD, "error_description": description }).to_string();
    keycloak.instead("POST", "/token", 401, &body);
    let error = refusal(&keycloak, &administrator()).await.to_string();
    assert!(
        error.contains("\\u{1b}[2J(hidden) is wrong very"),
        "{error}"
    );
    assert!(error.len() < 600 && error.contains('…'), "{error}");
}

#[tokio::test]
async fn an_answer_without_a_token_is_not_a_login() {
    for (status, body) in [
        (200, "<html>welcome</html>"),
        (502, "bad gateway"),
        (200, "{}"),
    ] {
        let keycloak = Fake::start().await;
        keycloak.instead("POST", "/token", status, body);
        let error = refusal(&keycloak, &administrator()).await;
        let said = error.to_string();
        assert!(
            said.contains(&format!("answered {status}, but not with a token")),
            "{said}"
        );
        assert!(
            !said.contains("welcome") && !said.contains("gateway"),
            "{said}"
        );
        assert_eq!(error.can_retry_help(), status == 502);
    }
}

#[tokio::test]
async fn an_account_without_the_role_learns_which_one_it_needs() {
    let master_client = client("master", "registrar", "x");
    let other_client = client("other", "registrar", "x");
    let token = json!({ "access_token": TOKEN, "token_type": "Bearer" }).to_string();
    for (account, expected) in [
        (
            registrar(),
            "403: the client registrar of realm demo may not manage the clients of realm demo; \
             give its service account the role manage-clients of the client realm-management in \
             realm demo",
        ),
        (
            administrator(),
            "403: the user admin of realm master may not manage the clients of realm demo; give \
             it the role manage-clients of the client demo-realm in realm master",
        ),
        (
            master_client,
            "403: the client registrar of realm master may not manage the clients of realm demo; \
             give its service account the role manage-clients of the client demo-realm in realm \
             master",
        ),
        (
            other_client,
            "403: the client registrar of realm other may not manage the clients of realm demo; \
             only accounts of realm demo itself, or of master, can",
        ),
    ] {
        // Those who may not see clients, and those who may only see them.
        for method in ["GET", "POST"] {
            let keycloak = Fake::start().await;
            keycloak.instead("POST", "/token", 200, &token);
            keycloak.instead(method, "/clients", 403, r#"{"error":"HTTP 403 Forbidden"}"#);
            let error = refusal(&keycloak, &account).await;
            assert_eq!(error.to_string(), expected);
        }
    }
}

#[tokio::test]
async fn a_realm_that_is_not_there_is_named() {
    let keycloak = Fake::start().await;
    let error = keycloak
        .prepare_in("gone", &administrator(), ID)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "404 for realm gone: is its name right, and does kete.keycloak.url have the right path?"
    );
}

#[tokio::test]
async fn the_account_that_registers_is_not_prepared_itself() {
    let keycloak = Fake::start().await;
    keycloak.has("registrar", &json!({}));
    let error = keycloak
        .prepare(&registrar(), "registrar")
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("it is the account that registers clients"),
        "{error}"
    );
    assert_eq!(keycloak.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn an_administrator_is_logged_out_whatever_came_of_it() {
    let keycloak = Fake::start().await;
    keycloak.prepare(&registrar(), ID).await.unwrap();
    assert_eq!(keycloak.logouts(), Vec::<String>::new(), "no session");
    let logout = "/realms/master/protocol/openid-connect/logout?client_id=admin-cli&\
                  refresh_token=refresh%2Bvery-secret";
    keycloak.prepare(&administrator(), ID).await.unwrap();
    assert_eq!(keycloak.logouts(), [logout]);
    keycloak.instead("GET", "/clients", 403, "{}");
    keycloak.prepare(&administrator(), ID).await.unwrap_err();
    assert_eq!(keycloak.logouts(), [logout, logout]);
    keycloak.instead("POST", "/logout", 400, "{}");
    keycloak.prepare(&administrator(), ID).await.unwrap();
}
