//! The HTTP client that token endpoints and Keycloak's Admin API are asked with.
//!
//! The HTTP library takes a TLS configuration when a client is made, so there is a new client
//! whenever files are renewed. The connections of the old one end with the requests on them.

pub(crate) mod address;
mod dial;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Client, Method, header};
use rustls::ClientConfig;
use url::Url;

use crate::proxy::ProxySettings;
use crate::tls::{self, StoreCertificate, Tls, TlsError};
use dial::Target;

pub use address::is_in_the_clear;

/// How long a connection may take to open, whatever the deadline of the request.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an idle connection is kept. Keycloak closes its own after a minute or so.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The TLS configuration is missing.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The HTTP library refuses to start.
    #[error("the HTTP client cannot be made: {0}")]
    Library(#[source] reqwest::Error),
    /// The proxy looks up the name that it is to connect to.
    #[error(
        "requests cannot go through a proxy while tls.server-name is {server_name}: the proxy \
         would connect to that instead of the url's host"
    )]
    ServerNameThroughProxy {
        /// The name.
        server_name: String,
    },
}

/// An HTTP client whose TLS material is always current. Clones share their connections.
///
/// It follows no redirect, because a redirect could carry credentials elsewhere, and uses no
/// proxy but the one it is given. Each request names its own deadline.
#[derive(Debug, Clone)]
pub struct HttpClient(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    tls: Option<Tls>,
    proxy: Option<ProxySettings>,
    clients: Mutex<Clients>,
}

/// The clients of one TLS configuration. There is more than one only where the server goes by
/// another name than its host: then the library has to be told for each host.
#[derive(Debug)]
struct Clients {
    config: Option<Arc<ClientConfig>>,
    by_host: HashMap<Option<url::Host>, Client>,
}

impl HttpClient {
    /// Without `tls` it can only speak plain HTTP.
    ///
    /// # Errors
    ///
    /// The library refuses the configuration, or a proxy is given and the TLS configuration has a
    /// server name.
    pub fn new(tls: Option<Tls>, proxy: Option<ProxySettings>) -> Result<HttpClient, HttpError> {
        let server_name = tls.as_ref().and_then(Tls::server_name);
        if let (Some(server_name), Some(_)) = (server_name, &proxy) {
            let server_name = server_name.to_owned();
            return Err(HttpError::ServerNameThroughProxy { server_name });
        }
        let config = tls.as_ref().map(Tls::current);
        let client = build(config.as_deref(), proxy.as_ref(), None)?;
        let clients = Mutex::new(Clients {
            config,
            by_host: HashMap::from([(None, client)]),
        });
        Ok(HttpClient(Arc::new(Shared {
            tls,
            proxy,
            clients,
        })))
    }

    /// The certificates of the stores that are in use now.
    #[must_use]
    pub fn certificates(&self) -> Vec<StoreCertificate> {
        self.0.tls.as_ref().map_or(Vec::new(), Tls::certificates)
    }

    /// Looks at the files of its TLS for ever, as [`Tls::watch_files`]. Returns at once if there is
    /// none.
    pub async fn watch_files(&self) {
        if let Some(tls) = &self.0.tls {
            tls.watch_files().await;
        }
    }

    /// Whether both are clones of one.
    pub(crate) fn is(&self, other: &HttpClient) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Where the settings of its TLS stand.
    #[must_use]
    pub fn tls_section(&self) -> &str {
        self.0.tls.as_ref().map_or("tls", Tls::section)
    }

    /// A request to be completed and sent. Renewed files count from here on.
    ///
    /// # Errors
    ///
    /// Renewed material is refused by the library.
    pub async fn request(
        &self,
        method: Method,
        url: Url,
    ) -> Result<reqwest::RequestBuilder, HttpError> {
        let (mut config, mut target) = (None, None);
        if let Some(tls) = &self.0.tls {
            config = Some(tls.config().await);
            target = tls.server_name().and_then(|name| Target::new(&url, name));
        }
        let client = self.0.client(config, target.as_ref())?;
        Ok(match target {
            Some(target) => {
                let request = client.request(method, target.url);
                request.header(header::HOST, target.authority)
            }
            None => client.request(method, url),
        })
    }
}

impl Shared {
    /// The client for this configuration and target.
    fn client(
        &self,
        config: Option<Arc<ClientConfig>>,
        target: Option<&Target>,
    ) -> Result<Client, HttpError> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let known = clients.config.as_ref().map(Arc::as_ptr);
        if known != config.as_ref().map(Arc::as_ptr) {
            clients.config = config;
            clients.by_host.clear();
        }
        let host = target.map(|target| target.host.clone());
        if let Some(client) = clients.by_host.get(&host) {
            return Ok(client.clone());
        }
        let client = build(clients.config.as_deref(), self.proxy.as_ref(), target)?;
        clients.by_host.insert(host, client.clone());
        Ok(client)
    }
}

fn build(
    config: Option<&ClientConfig>,
    proxy: Option<&ProxySettings>,
    target: Option<&Target>,
) -> Result<Client, HttpError> {
    let config = match config {
        Some(config) => config.clone(),
        None => tls::trusting_nobody()?,
    };
    let mut builder = Client::builder()
        .tls_backend_preconfigured(config)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("kete/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT);
    builder = match proxy {
        Some(proxy) => proxy.apply(builder),
        None => builder.no_proxy(),
    };
    if let Some(target) = target {
        builder = builder.dns_resolver(target.resolver());
    }
    builder.build().map_err(HttpError::Library)
}

/// The causes of a failed request in one line, without its URL, and what to do if TLS is one;
/// `tls_section` is where its settings stand.
#[must_use]
pub fn causes(error: reqwest::Error, tls_section: &str) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    match tls::advice(&error, tls_section) {
        Some(advice) => format!("{text}; {advice}"),
        None => text,
    }
}
