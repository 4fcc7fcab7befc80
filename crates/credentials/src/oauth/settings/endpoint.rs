//! Which token endpoint is asked, and how it is reached.

use kete_config::{AnyKey, Diagnostics, Scope, Setting, code};
use url::{Host, Url};

use super::keys::{MODE, Mode, REALM, TOKEN_URL};
use crate::codes;
use crate::keycloak::{self, Keycloak, OwnClient};
use crate::proxy::ProxySettings;
use crate::tls::TlsSettings;

/// The code of the same warning about `kete.keycloak.url`.
const PLAIN_HTTP: &str = "plain-http";

/// What the settings say of the token endpoint. What is wrong is missing, and has been reported.
pub(super) struct Endpoint {
    pub(super) mode: Option<Mode>,
    pub(super) token_url: Option<Url>,
    /// Only with `mode=internal`.
    pub(super) keycloak: Option<Keycloak>,
    /// Only with `mode=internal`, where it may be missing if there is a `token-url`.
    pub(super) realm: Option<String>,
}

impl Endpoint {
    pub(super) fn read(scope: &Scope<'_>, only_realm: Option<&str>) -> Endpoint {
        let mode = scope.read(&MODE);
        let written = scope.read_optional(&TOKEN_URL);
        let is_written = !matches!(written, Some(None));
        let written = written.flatten().and_then(|url| check_url(scope, url));
        let realm = scope.read(&REALM);
        if mode == Some(Mode::Internal) {
            let written = is_written.then_some(written);
            let realm = realm.or_else(|| default_realm(scope, only_realm));
            return Endpoint::of_keycloak(scope, written, realm);
        }
        if mode == Some(Mode::External) && !is_written {
            reject_missing_url(scope);
        }
        if mode == Some(Mode::External) && realm.is_some() {
            let message = "only mode=internal has a realm; elsewhere it is a part of token-url";
            scope.warn(REALM.name(), codes::NO_EFFECT, message, None);
        }
        Endpoint {
            mode,
            token_url: written,
            keycloak: None,
            realm: None,
        }
    }

    /// `written` is the `token-url`, if there is one; `Some(None)` if it is wrong.
    fn of_keycloak(
        scope: &Scope<'_>,
        written: Option<Option<Url>>,
        realm: Option<String>,
    ) -> Endpoint {
        let keycloak = read_keycloak(scope);
        if realm.is_none() && written.is_none() {
            reject_missing_realm(scope);
        }
        let own = || Some(keycloak.as_ref()?.token_endpoint(realm.as_deref()?));
        Endpoint {
            mode: Some(Mode::Internal),
            token_url: written.unwrap_or_else(own),
            keycloak,
            realm,
        }
    }

    /// How it is reached. `None` if diagnostics say what is wrong.
    pub(super) fn read_way(
        &self,
        scope: &Scope<'_>,
    ) -> Option<(TlsSettings, Option<ProxySettings>)> {
        let tls = self.read_tls(scope);
        let proxy_scope = scope.child("proxy");
        let proxy = ProxySettings::read(&proxy_scope);
        let (tls, proxy) = (tls?, proxy?);
        let fits = |proxy: &ProxySettings| proxy.check_tls(&proxy_scope, &tls);
        proxy.as_ref().is_none_or(fits).then_some((tls, proxy))
    }

    /// What `tls` says, else what is said of Keycloak if that is who is asked.
    fn read_tls(&self, scope: &Scope<'_>) -> Option<TlsSettings> {
        let own = scope.child("tls");
        let token_url = self.token_url.as_ref();
        if self.mode == Some(Mode::Internal) && !has_keys(&own) {
            let keycloak = self.keycloak.as_ref()?;
            if keycloak.url.scheme() == token_url?.scheme() {
                return Some(keycloak.tls.clone());
            }
        }
        TlsSettings::read(&own, token_url)
    }

    /// Whether this client logs in there too.
    pub(super) fn is_that_of(&self, client: &OwnClient, scope: &Scope<'_>) -> bool {
        let mut realms = client.realms.iter();
        if realms.any(|realm| self.realm.as_ref() == Some(realm)) {
            return true;
        }
        // What is wrong with `kete.keycloak` is reported where it is used.
        let unheard = Diagnostics::new();
        let keycloak = self.keycloak.clone();
        let keycloak = keycloak.or_else(|| Keycloak::read(scope.settings(), &unheard));
        let (Some(keycloak), Some(token_url)) = (keycloak, &self.token_url) else {
            return false;
        };
        let is_here = |realm: &String| is_same_place(&keycloak.token_endpoint(realm), token_url);
        client.realms.iter().any(is_here)
    }
}

/// Reports that no realm is named where one is needed.
pub(super) fn reject_missing_realm(scope: &Scope<'_>) {
    let message = "the realm of the client is needed, and neither the matchers of the route nor \
                   kete.keycloak name exactly one";
    let help = format!(
        "write the realm whose tokens the receiver takes, such as {}=demo",
        scope.full_name(REALM.name())
    );
    scope.reject(REALM.name(), code::MISSING_KEY, message, help);
}

fn reject_missing_url(scope: &Scope<'_>) {
    let message = "this key is required with mode=external, which is the default";
    let help = "write the token endpoint of the authorization server, such as \
                https://auth.example.com/oauth/token\nif tokens come from the Keycloak of \
                kete.keycloak.url, write mode=internal instead";
    let name = TOKEN_URL.name();
    scope.reject(name, code::MISSING_KEY, message, help.to_owned());
}

fn read_keycloak(scope: &Scope<'_>) -> Option<Keycloak> {
    let (settings, diagnostics) = (scope.settings(), scope.diagnostics());
    if settings.scope(keycloak::SECTION, diagnostics).is_set("url") {
        return Keycloak::read(settings, diagnostics);
    }
    let message = "the tokens are those of the current Keycloak, and nothing says where it is";
    let help = "set kete.keycloak.url, or write mode=external with a token-url";
    scope.reject(MODE.name(), code::MISSING_KEY, message, help.to_owned());
    None
}

/// The realm where `realm` does not say it: that of the route, else the one in which kete itself
/// logs in.
fn default_realm(scope: &Scope<'_>, only_realm: Option<&str>) -> Option<String> {
    if let Some(realm) = only_realm {
        return Some(realm.to_owned());
    }
    let unheard = Diagnostics::new();
    let keycloak = scope.settings().scope(keycloak::SECTION, &unheard);
    let text = |name| Some(keycloak.raw(name)?.0).filter(|text| !text.is_empty());
    text("auth-realm").or_else(|| {
        let mut realms = Vec::<String>::parse(&text("realms")?).ok()?;
        realms.pop().filter(|_| realms.is_empty())
    })
}

fn check_url(scope: &Scope<'_>, url: Url) -> Option<Url> {
    let (message, help) = if !matches!(url.scheme(), "http" | "https") {
        (
            "it must begin with http:// or https://",
            "write the address of the token endpoint",
        )
    } else if !url.username().is_empty() || url.password().is_some() {
        (
            "it must not hold a user or password",
            "client-id and client-secret are the places for them",
        )
    } else if url.fragment().is_some() {
        (
            "it has a fragment, which no server ever sees",
            "leave out what follows #",
        )
    } else {
        if url.scheme() == "http" && !is_local(&url) {
            let message = "what proves the client, and its tokens, travel in the clear";
            let help = "use https, unless something else protects this connection".to_owned();
            scope.warn(TOKEN_URL.name(), PLAIN_HTTP, message, help);
        }
        return Some(url);
    };
    let name = TOKEN_URL.name();
    scope.reject(name, code::BAD_VALUE, message, help.to_owned());
    None
}

fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    }
}

/// Whether both lead to the same endpoint. One server may be reached over http and over https, and
/// has a port for each.
fn is_same_place(one: &Url, other: &Url) -> bool {
    let path = |url: &Url| url.path().trim_end_matches('/').to_owned();
    let same_port = one.port_or_known_default() == other.port_or_known_default();
    let same_port = same_port || one.scheme() != other.scheme();
    one.host() == other.host() && same_port && path(one) == path(other)
}

/// Whether any key of a section is written.
pub(super) fn has_keys(section: &Scope<'_>) -> bool {
    let beginning = format!("{}.", section.prefix());
    let mut keys = section.settings().keys();
    keys.any(|(key, _)| key.starts_with(&beginning))
}
