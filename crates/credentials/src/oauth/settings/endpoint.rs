//! Which token endpoint is asked, and how it is reached.

use kete_config::{AnyKey, Diagnostics, Scope, Setting, code};
use url::Url;

use super::keys::{MODE, Mode, REALM, TOKEN_URL};
use crate::codes;
use crate::http::address::{self, Rules};
use crate::keycloak::{self, Keycloak, OwnClient};
use crate::proxy::ProxySettings;
use crate::tls::TlsSettings;

/// What `token-url` may be.
const TOKEN_URL_RULES: Rules = Rules {
    other_scheme: "write the address of the token endpoint",
    login: "client-id and client-secret are the places for them",
    too_much: |url| {
        let message = "it has a fragment, which no server ever sees";
        let too_much = (message, "leave out what follows #");
        url.fragment().is_some().then_some(too_much)
    },
    in_the_clear: "what proves the client, and its tokens, travel in the clear",
};

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
        let written = written
            .flatten()
            .and_then(|url| address::check(scope, TOKEN_URL.name(), url, &TOKEN_URL_RULES));
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

    /// What `tls` says, else what is said of Keycloak if that is who is asked. What weakens or
    /// proves something there is meant for that server and for no other.
    fn read_tls(&self, scope: &Scope<'_>) -> Option<TlsSettings> {
        let own = scope.child("tls");
        let token_url = self.token_url.as_ref();
        if self.mode == Some(Mode::Internal) && !has_keys(&own) {
            let keycloak = self.keycloak.as_ref()?;
            if keycloak.url.origin() == token_url?.origin() {
                return Some(keycloak.tls.clone());
            }
            warn_of_other_server(scope);
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

    /// Whether it may be where this client logs in, under another name: servers have several.
    pub(super) fn resembles_that_of(&self, client: &OwnClient, scope: &Scope<'_>) -> bool {
        let unheard = Diagnostics::new();
        let keycloak = Keycloak::read(scope.settings(), &unheard);
        let (Some(keycloak), Some(token_url)) = (keycloak, &self.token_url) else {
            return false;
        };
        let mut realms = client.realms.iter();
        realms.any(|realm| path(&keycloak.token_endpoint(realm)) == path(token_url))
    }
}

/// Says that what stands in `kete.keycloak.tls` does not count, if anything stands there.
fn warn_of_other_server(scope: &Scope<'_>) {
    let keycloak = scope
        .settings()
        .scope(keycloak::SECTION, scope.diagnostics());
    if has_keys(&keycloak.child("tls")) {
        let message = "it is another server than that of kete.keycloak.url, so kete.keycloak.tls \
                       is not used for it";
        let help = format!(
            "write what this server needs below {}",
            scope.full_name("tls")
        );
        scope.warn(TOKEN_URL.name(), codes::NO_EFFECT, message, help);
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
    let unheard = Diagnostics::new();
    let keycloak = scope.settings().scope(keycloak::SECTION, &unheard);
    let text = |name| Some(keycloak.raw(name)?.0).filter(|text| !text.is_empty());
    let auth_realm = text("auth-realm");
    let realms = text("realms").and_then(|realms| Vec::<String>::parse(&realms).ok());
    let mut realms = realms.unwrap_or_default();
    if let Some(realm) = only_realm {
        return Some(as_keycloak_spells(
            realm,
            auth_realm.into_iter().chain(realms),
        ));
    }
    auth_realm.or_else(|| realms.pop().filter(|_| realms.is_empty()))
}

/// Matchers do not mind the letter case of a realm; the paths of Keycloak do. So one of the names
/// that are known to be right counts, if there is one.
fn as_keycloak_spells(realm: &str, known: impl Iterator<Item = String>) -> String {
    let mut same: Vec<String> = known
        .filter(|name| name.eq_ignore_ascii_case(realm))
        .collect();
    match same.iter().any(|name| name == realm) {
        true => realm.to_owned(),
        false => same.pop().unwrap_or_else(|| realm.to_owned()),
    }
}

/// Whether both lead to the same endpoint. One server may be reached over http and over https, and
/// has a port for each.
fn is_same_place(one: &Url, other: &Url) -> bool {
    let same_port = one.port_or_known_default() == other.port_or_known_default();
    let same_port = same_port || one.scheme() != other.scheme();
    one.host() == other.host() && same_port && path(one) == path(other)
}

fn path(url: &Url) -> &str {
    url.path().trim_end_matches('/')
}

/// Whether any key of a section is written.
pub(super) fn has_keys(section: &Scope<'_>) -> bool {
    let beginning = format!("{}.", section.prefix());
    let mut keys = section.settings().keys();
    keys.any(|(key, _)| key.starts_with(&beginning))
}
