//! What an `oauth` section says.
//!
//! Names and defaults are KETE's where KETE has the key (kete-reference 2.6 and 9). Where KETE
//! takes what it does not know for something else, this is an error. Every key is read before
//! anything is given up, so that all mistakes come out together.

mod client;
mod endpoint;
mod keys;

use std::collections::BTreeSet;
use std::time::Duration;

use kete_config::{AnyKey, Scope};

use self::endpoint::Endpoint;
use self::keys::{
    AUTH_KEY, ENABLED, PARAMETERS, RECONNECT_BEFORE_EXPIRY, SCOPE, SEND_AS, TIMEOUT_SECONDS,
};
use super::TokenSource;
use super::client_auth::{ClientCredentials, DEFAULT_DEADLINE};
use crate::Secret;
use crate::codes;
use crate::http::{HttpClient, HttpError};
use crate::proxy::ProxySettings;
use crate::tls::{StoreCertificate, TlsSettings};

pub use self::keys::{OAUTH_KEYS, OAUTH_SECTIONS, SendAs};

/// What a request says by itself, and the key that decides it.
const OWN_PARAMETERS: [(&str, Option<&str>); 6] = [
    ("grant_type", None),
    ("client_id", Some("client-id")),
    ("client_secret", Some("client-secret")),
    ("client_assertion", Some("client-auth")),
    ("client_assertion_type", Some("client-auth")),
    ("scope", Some("scope")),
];

/// A checked `oauth` section that is enabled.
#[derive(Debug, Clone)]
pub struct OauthSettings {
    credentials: ClientCredentials,
    tls: TlsSettings,
    proxy: Option<ProxySettings>,
    send_as: SendAs,
    auth_key: String,
    reconnect_before_expiry: bool,
}

impl OauthSettings {
    /// Reads the section (`scope` is the one of `oauth` itself). `only_realm` is the one literal
    /// realm of the route's matchers, if there is one. `None` if diagnostics say what is wrong,
    /// `Some(None)` if it is not enabled.
    ///
    /// Files are read here, on the calling thread.
    pub fn read(scope: &Scope<'_>, only_realm: Option<&str>) -> Option<Option<OauthSettings>> {
        let enabled = scope.read(&ENABLED);
        if enabled == Some(false) {
            warn_of_disabled(scope);
            return Some(None);
        }
        let endpoint = Endpoint::read(scope, only_realm);
        let way = endpoint.read_way(scope);
        let tls = way.as_ref().map(|(tls, _)| tls);
        let client_id = client::read_id(scope, &endpoint);
        let client_auth = client::read_auth(scope, &endpoint, client_id.as_deref(), tls);
        let scopes = scope.read_optional(&SCOPE);
        let parameters = read_parameters(scope);
        let deadline = read_deadline(scope);
        let send_as = scope.read(&SEND_AS);
        let auth_key = read_auth_key(scope, send_as);
        let reconnect_before_expiry = scope.read(&RECONNECT_BEFORE_EXPIRY);
        let scopes = scopes?.unwrap_or_default();
        let credentials = ClientCredentials {
            token_url: endpoint.token_url?,
            client_id: client_id?,
            client_auth: client_auth?,
            scopes: scopes.split_whitespace().map(str::to_owned).collect(),
            parameters: parameters?,
            deadline: deadline?,
        };
        let (tls, proxy) = way?;
        let settings = OauthSettings {
            credentials,
            tls,
            proxy,
            send_as: send_as?,
            auth_key: auth_key?,
            reconnect_before_expiry: reconnect_before_expiry?,
        };
        enabled.map(|_| Some(settings))
    }

    /// Where tokens are put.
    #[must_use]
    pub fn send_as(&self) -> SendAs {
        self.send_as
    }

    /// What the member of the auth object or the query parameter is called.
    #[must_use]
    pub fn auth_key(&self) -> &str {
        &self.auth_key
    }

    /// Whether a connection is to be replaced before its token ends.
    #[must_use]
    pub fn reconnect_before_expiry(&self) -> bool {
        self.reconnect_before_expiry
    }

    /// The certificates of the stores for the token endpoint: those of `oauth.tls`, or those of
    /// `kete.keycloak.tls` where these are used.
    #[must_use]
    pub fn certificates(&self) -> Vec<StoreCertificate> {
        self.tls.certificates()
    }

    /// What gives out tokens. Asks nothing yet.
    ///
    /// # Errors
    ///
    /// As `HttpClient::new` and `TlsSettings::build`.
    pub fn build(&self) -> Result<TokenSource, HttpError> {
        let http = HttpClient::new(self.tls.build()?, self.proxy.clone())?;
        let credentials = self.credentials.clone();
        let Some(client) = credentials.client_auth.registered() else {
            return Ok(TokenSource::new(credentials, http));
        };
        // Keycloak may be reached in another way than its token endpoint: as `kete.keycloak` says,
        // and directly, as by whoever else asks it. The proxy is that of the token endpoint.
        let keycloak_http = HttpClient::new(client.keycloak.tls.build()?, None)?;
        Ok(TokenSource::with_registration(
            credentials,
            http,
            keycloak_http,
        ))
    }
}

/// Says that a section has no effect, unless that is just what it says itself.
fn warn_of_disabled(scope: &Scope<'_>) {
    if endpoint::has_keys(scope) && !scope.is_set(ENABLED.name()) {
        let message = "nothing of this section has an effect, because it is not enabled";
        let help = format!(
            "write {}=true, or false to keep it for later",
            scope.full_name(ENABLED.name())
        );
        scope.warn(ENABLED.name(), codes::NO_EFFECT, message, help);
    }
}

fn read_parameters(scope: &Scope<'_>) -> Option<Vec<(String, Secret)>> {
    let mut parameters = scope.map(&PARAMETERS);
    parameters.retain(|(_, value)| !value.is_empty());
    let names: BTreeSet<&str> = parameters.iter().map(|(name, _)| name.as_str()).collect();
    let own = OWN_PARAMETERS.into_iter();
    let own: Vec<_> = own.filter(|(name, _)| names.contains(name)).collect();
    for (name, key) in &own {
        let key_name = format!("{}.{name}", PARAMETERS.name());
        let help = key.map(|key| format!("{} is the key for it", scope.full_name(key)));
        let message = "every request says this by itself";
        scope.reject(&key_name, codes::CONTRADICTION, message, help);
    }
    let hidden = |(name, value)| (name, Secret::new(value));
    own.is_empty()
        .then(|| parameters.into_iter().map(hidden).collect())
}

fn read_deadline(scope: &Scope<'_>) -> Option<Duration> {
    let seconds = scope.read(&TIMEOUT_SECONDS)?;
    if seconds == 0 {
        let message =
            format!("in KETE that is no end at all; here it is the default, {DEFAULT_DEADLINE:?}");
        let help = "write how many seconds a token may take".to_owned();
        scope.warn(TIMEOUT_SECONDS.name(), codes::NO_EFFECT, message, help);
        return Some(DEFAULT_DEADLINE);
    }
    Some(Duration::from_secs(seconds.into()))
}

fn read_auth_key(scope: &Scope<'_>, send_as: Option<SendAs>) -> Option<String> {
    let auth_key = scope.read(&AUTH_KEY)?;
    let in_use = send_as.is_none_or(|send_as| send_as.auth || send_as.query);
    if !in_use && scope.is_set(AUTH_KEY.name()) {
        let message = "it names a member of the auth object or of the query, and send-as has \
                       neither";
        let help = "leave it out, or write send-as=auth or send-as=query".to_owned();
        scope.warn(AUTH_KEY.name(), codes::NO_EFFECT, message, help);
    }
    Some(auth_key)
}
