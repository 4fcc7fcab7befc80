//! The proxy that HTTP requests go through.
//!
//! Without this section there is none: variables such as `HTTPS_PROXY` count only where
//! `from-env=true` says so. A proxy that is itself spoken to by https is verified, and shown the
//! client's certificate if it asks, as the `tls` section of the same requests says.

use std::fmt;

use kete_config::{AnyKey, Key, KeyTable, Scope, Setting, code};
use reqwest::{ClientBuilder, NoProxy, Proxy};
use url::Url;

use crate::http::is_in_the_clear;
use crate::tls::TlsSettings;
use crate::{Secret, codes};

static URL: Key<ProxyUrl> = Key::optional(
    "url",
    "scheme (http or https), host and port of the proxy; requests to https addresses go through a \
     tunnel (CONNECT)",
);
static USERNAME: Key<String> = Key::optional("username", "who logs in to the proxy (Basic)");
static PASSWORD: Key<String> = Key::optional(
    "password",
    "the password of username; without it, an empty one",
)
.secret();
static NO_PROXY: Key<Vec<String>> = Key::optional(
    "no-proxy",
    "where to connect to directly: host names, which stand for what is below them too, addresses, \
     networks such as 10.0.0.0/8, or *",
);
static FROM_ENV: Key<bool> = Key::with_default(
    "from-env",
    "false",
    "whether HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY of the environment count",
);

/// The keys of a `proxy` section.
pub static PROXY_KEYS: KeyTable = &[&URL, &USERNAME, &PASSWORD, &NO_PROXY, &FROM_ENV];

/// `url`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ProxyUrl(Url);

impl Setting for ProxyUrl {
    const EXPECTED: &'static str = "scheme, host and port of a proxy, such as http://proxy:3128";
    const BLANK_IS_ABSENT: bool = true;
    const IS_ADDRESS: bool = true;

    fn parse(text: &str) -> Result<ProxyUrl, String> {
        let url = <Url as Setting>::parse(text)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("its scheme is another\nwrite http:// or https://".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            let way_out = "write them into the keys username and password";
            return Err(format!("it says who logs in\n{way_out}"));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err("it has more than that\nleave out what follows the port".to_owned());
        }
        Ok(ProxyUrl(url))
    }
}

/// A checked `proxy` section that names a proxy.
#[derive(Debug, Clone)]
pub struct ProxySettings(Chosen);

#[derive(Clone)]
enum Chosen {
    FromEnvironment,
    Named { proxy: Box<Proxy>, url: Url },
}

/// Without the library's own, which could show who logs in.
impl fmt::Debug for Chosen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Chosen::FromEnvironment => formatter.write_str("FromEnvironment"),
            Chosen::Named { url, .. } => write!(formatter, "Named({url})"),
        }
    }
}

impl ProxySettings {
    /// Reads the section. `None` if diagnostics say what is wrong, `Some(None)` if there is no
    /// proxy.
    pub fn read(scope: &Scope<'_>) -> Option<Option<ProxySettings>> {
        let url = scope.read_optional(&URL);
        let username = scope.read_optional(&USERNAME);
        let password = scope.read_optional(&PASSWORD);
        let no_proxy = scope.read_optional(&NO_PROXY);
        let from_env = scope.read(&FROM_ENV);
        let login = match (&username, &password) {
            (Some(username), Some(password)) => check_login(scope, username, password),
            _ => None,
        };
        let (url, no_proxy, from_env) = (url?, no_proxy?, from_env?);
        let needs_url = [USERNAME.name(), PASSWORD.name(), NO_PROXY.name()];
        let mut needs_url = needs_url.into_iter().filter(|name| scope.is_set(name));
        match url {
            Some(_) if from_env => {
                let message = "url names a proxy, and only one of them can count";
                let help = "leave one of them out".to_owned();
                scope.reject(FROM_ENV.name(), codes::CONTRADICTION, message, help);
                None
            }
            Some(ProxyUrl(url)) => named(scope, url, login?, no_proxy).map(Some),
            None if from_env => {
                for name in needs_url {
                    let message = "the environment says this, because from-env is true";
                    scope.warn(name, codes::NO_EFFECT, message, None);
                }
                login?;
                Some(Some(ProxySettings(Chosen::FromEnvironment)))
            }
            None => match needs_url.next() {
                Some(name) => {
                    let message = format!("this key is required, because {name} is set");
                    let help = format!("expected {}", ProxyUrl::EXPECTED);
                    scope.reject(URL.name(), code::MISSING_KEY, message, help);
                    None
                }
                None => Some(None),
            },
        }
    }

    /// Whether requests that go through the proxy can be made with this TLS configuration; if not,
    /// that is reported. `scope` is that of the `proxy` section.
    ///
    /// The proxy looks up the name that it is to connect to, so `server-name` cannot be another.
    pub fn check_tls(&self, scope: &Scope<'_>, tls: &TlsSettings) -> bool {
        let Some(server_name) = tls.server_name() else {
            return true;
        };
        let message = format!(
            "tls.server-name is {server_name}, and a proxy would connect to that instead of the \
             url's host"
        );
        let help = "leave out server-name, or go without a proxy".to_owned();
        let name = match self.0 {
            Chosen::FromEnvironment => FROM_ENV.name(),
            Chosen::Named { .. } => URL.name(),
        };
        scope.reject(name, codes::CONTRADICTION, message, help);
        false
    }

    /// Has a client use it.
    pub(crate) fn apply(&self, builder: ClientBuilder) -> ClientBuilder {
        match &self.0 {
            // The library reads the environment unless it is told otherwise.
            Chosen::FromEnvironment => builder,
            Chosen::Named { proxy, .. } => builder.proxy(Proxy::clone(proxy)),
        }
    }
}

/// `None` if it is wrong, `Some(None)` if nobody logs in.
#[expect(clippy::option_option, reason = "wrong and absent are two things")]
fn check_login(
    scope: &Scope<'_>,
    username: &Option<String>,
    password: &Option<String>,
) -> Option<Option<(String, Secret)>> {
    match (username, password) {
        (Some(username), _) if username.contains(':') => {
            let message = "a user name of Basic authentication has no colon (RFC 7617, section 2)";
            scope.reject(USERNAME.name(), code::BAD_VALUE, message, None);
            None
        }
        (Some(username), password) => {
            let password = Secret::new(password.clone().unwrap_or_default());
            Some(Some((username.clone(), password)))
        }
        (None, Some(_)) => {
            let message = format!("this key is required, because {} is set", PASSWORD.name());
            scope.reject(USERNAME.name(), code::MISSING_KEY, message, None);
            None
        }
        (None, None) => Some(None),
    }
}

fn named(
    scope: &Scope<'_>,
    url: Url,
    login: Option<(String, Secret)>,
    no_proxy: Option<Vec<String>>,
) -> Option<ProxySettings> {
    let mut proxy = match Proxy::all(url.clone()) {
        Ok(proxy) => proxy,
        Err(error) => {
            let message = format!("this cannot be used as a proxy: {}", error.without_url());
            scope.reject(URL.name(), code::BAD_VALUE, message, None);
            return None;
        }
    };
    if let Some((username, password)) = login {
        if is_in_the_clear(&url) {
            let message = "the user name and the password for it travel in the clear";
            let help = "write https:// if the proxy can be spoken to so, unless something else \
                        protects this connection";
            scope.warn(URL.name(), codes::PLAIN_HTTP, message, help.to_owned());
        }
        proxy = proxy.basic_auth(&username, password.reveal());
    }
    let no_proxy = no_proxy.and_then(|hosts| NoProxy::from_string(&hosts.join(",")));
    Some(ProxySettings(Chosen::Named {
        proxy: Box::new(proxy.no_proxy(no_proxy)),
        url,
    }))
}
