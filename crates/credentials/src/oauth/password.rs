//! A token for a person who is there: the resource owner password grant (RFC 6749, section 4.3).
//!
//! Only for a command that an administrator runs once. OAuth 2.1 drops this grant.

use std::time::Duration;

use oauth2::{ClientId, ResourceOwnerPassword, ResourceOwnerUsername, TokenResponse, TokenUrl};
use tokio::time::timeout;
use url::Url;

use super::answer::Explainer;
use super::clock::Moment;
use super::request::{OauthClient, Transport, judge};
use super::{KnownSecrets, Token, TokenError, endpoint};
use crate::Secret;
use crate::http::HttpClient;

/// Asks once for a token, as a client without a secret and in the name of a user. With it comes the
/// refresh token by which the login can be ended, if there is one.
///
/// # Errors
///
/// There is none.
pub(crate) async fn token_by_password(
    http: &HttpClient,
    token_url: &Url,
    client_id: &str,
    (user, password): (&str, &Secret),
    deadline: Duration,
) -> Result<(Token, Option<Secret>), TokenError> {
    let asked_at = Moment::now();
    let mut known = KnownSecrets::default();
    known.add(password.reveal());
    let client = OauthClient::new(ClientId::new(client_id.to_owned()))
        .set_token_uri(TokenUrl::from_url(token_url.clone()));
    let user = ResourceOwnerUsername::new(user.to_owned());
    let password = ResourceOwnerPassword::new(password.reveal().to_owned());
    let transport = Transport::new(http, token_url);
    let request = client.exchange_password(&user, &password);
    let answer = timeout(deadline, request.request_async(&transport)).await;
    let answer = answer.map_err(|_late| TokenError::Timeout {
        endpoint: endpoint(token_url),
        deadline,
    })?;
    let refresh_token = answer.as_ref().ok().and_then(TokenResponse::refresh_token);
    let refresh_token = refresh_token.map(|token| Secret::new(token.secret().clone()));
    let explainer = Explainer { token_url, known };
    let token = judge(answer, transport.into_head(), explainer, asked_at)?;
    Ok((token, refresh_token))
}
