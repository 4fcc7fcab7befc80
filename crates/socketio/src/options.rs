//! What a connection is made with, and the check that it can work at all.
//!
//! [`Options`] is plain data that the caller fills in. [`Target`] is the same after every mistake
//! that can be seen without a network has been refused, so nothing below it checks again. Header
//! values, query values and the `auth` object are secrets: no message and no `Debug` shows them.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Uri, header};
use thiserror::Error;
use url::{Host, Position, Url};

use crate::{answers::BARRIER_NAMESPACES, secrets::Secrets};

/// How to reach a Socket.IO server and how to introduce oneself.
///
/// ```
/// use kete_socketio::Options;
///
/// let mut options = Options::new("http://localhost:3000".parse()?);
/// options.namespace = "/audit".to_owned();
/// # Ok::<(), url::ParseError>(())
/// ```
#[derive(Clone)]
pub struct Options {
    /// Scheme (`http`, `https`, `ws`, `wss`), host and port; nothing after them.
    pub url: Url,
    /// The path of the Engine.IO endpoint, sent as given; almost every server insists on the
    /// trailing slash of `/socket.io/`.
    pub path: String,
    /// The namespace to join, `/` being the main one.
    pub namespace: String,
    /// Extra query parameters of the handshake request, in this order, after `EIO` and `transport`.
    pub query: Vec<(String, String)>,
    /// Extra headers of the handshake request. No `Origin` is sent unless it is given here, since
    /// python-socketio refuses foreign ones.
    pub headers: HeaderMap,
    /// The JSON object that goes with the CONNECT packet (`auth` in the JavaScript client).
    pub auth: Option<Bytes>,
    /// One deadline for name resolution, TCP, TLS, the upgrade, the open packet and CONNECT.
    pub connect_timeout: Duration,
    /// The TLS configuration, needed for `https` and `wss`.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// The name to ask for in the TLS handshake (SNI) and to verify; without it, the host of the
    /// URL.
    pub server_name: Option<String>,
    /// Which packets are too large to send.
    pub max_payload: MaxPayload,
}

/// The largest packet that may be sent; see [`crate::Sender::fits`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MaxPayload {
    /// What the server advertised in its open packet; no limit where it advertised none.
    #[default]
    Advertised,
    /// No limit, whatever the server says.
    Off,
    /// This many bytes, whatever the server says.
    Bytes(u64),
}

impl Options {
    /// The defaults of the JavaScript client: `/socket.io/`, namespace `/`, 20 seconds to connect.
    pub fn new(url: Url) -> Options {
        Options {
            url,
            path: "/socket.io/".to_owned(),
            namespace: "/".to_owned(),
            query: Vec::new(),
            headers: HeaderMap::new(),
            auth: None,
            connect_timeout: Duration::from_secs(20),
            tls: None,
            server_name: None,
            max_payload: MaxPayload::default(),
        }
    }

    /// Checks everything that can be checked without a network.
    ///
    /// # Errors
    /// The first thing that can never work. Trying again with the same options cannot help.
    pub fn check(&self) -> Result<(), OptionsError> {
        let target = Target::new(self)?;
        if target.secure {
            self.needed_tls().map(|_| ())
        } else {
            Ok(())
        }
    }
}

impl Options {
    /// The TLS configuration, for a URL that needs one.
    pub(crate) fn needed_tls(&self) -> Result<Arc<rustls::ClientConfig>, OptionsError> {
        let missing = || OptionsError::TlsMissing {
            scheme: self.url.scheme().to_owned(),
        };
        self.tls.clone().ok_or_else(missing)
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parameters: Vec<&str> = self.query.iter().map(|(name, _)| name.as_str()).collect();
        let headers: Vec<&str> = self.headers.keys().map(HeaderName::as_str).collect();
        formatter
            .debug_struct("Options")
            .field("url", &&self.url[..Position::BeforeUsername])
            .field("host", &self.url.host_str())
            .field("port", &self.url.port_or_known_default())
            .field("path", &self.path)
            .field("namespace", &self.namespace)
            .field("query", &parameters)
            .field("headers", &headers)
            .field("auth", &self.auth.is_some())
            .field("connect_timeout", &self.connect_timeout)
            .field("tls", &self.tls.is_some())
            .field("server_name", &self.server_name)
            .field("max_payload", &self.max_payload)
            .finish()
    }
}

/// Options that can never work; trying again with the same ones does not help.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// The scheme is not one that leads to a Socket.IO server.
    #[error("the URL scheme \"{scheme}\" is not one of http, https, ws, wss")]
    Scheme {
        /// The scheme found.
        scheme: String,
    },
    /// The URL has no host.
    #[error("the URL has no host")]
    NoHost,
    /// The URL has something that belongs into another option.
    #[error("the URL may hold scheme, host and port only, its {part} belongs elsewhere")]
    NotAnOrigin {
        /// `user name`, `path`, `query` or `fragment`.
        part: &'static str,
    },
    /// The path cannot be requested.
    #[error("the path \"{path}\" must start with a slash")]
    Path {
        /// The path found.
        path: String,
    },
    /// The namespace cannot be written in a packet.
    #[error("the namespace \"{namespace}\" must start with a slash and cannot contain a comma")]
    Namespace {
        /// The namespace found.
        namespace: String,
    },
    /// The namespace is one of [`BARRIER_NAMESPACES`].
    #[error("the namespace \"{namespace}\" is used for barriers, choose another one")]
    BarrierNamespace {
        /// The namespace found.
        namespace: String,
    },
    /// The header is part of the WebSocket handshake.
    #[error("the header {name} belongs to the WebSocket handshake and cannot be set")]
    Header {
        /// The header found.
        name: HeaderName,
    },
    /// The `auth` payload is not a JSON object.
    #[error("the auth payload is not a JSON object")]
    Auth,
    /// `https` or `wss` without [`Options::tls`].
    #[error("{scheme} needs a TLS configuration and none was given")]
    TlsMissing {
        /// The scheme found.
        scheme: String,
    },
}

/// Checked options, in the form the dialler and the upgrade need.
pub(crate) struct Target {
    pub(crate) host: Host<String>,
    pub(crate) port: u16,
    pub(crate) secure: bool,
    /// The URL of the endpoint, without the query.
    pub(crate) address: Url,
    /// Path and query of the handshake request.
    pub(crate) request: Uri,
    /// Every header of the request that the WebSocket handshake itself does not need.
    pub(crate) headers: HeaderMap,
    /// What no error may repeat.
    pub(crate) secrets: Secrets,
}

impl Target {
    pub(crate) fn new(options: &Options) -> Result<Target, OptionsError> {
        let secure = is_secure(&options.url)?;
        let (host, port) = origin(&options.url)?;
        check_namespace(&options.namespace)?;
        check_auth(options.auth.as_ref())?;
        let headers = request_headers(options)?;
        let address = address(options)?;
        Ok(Target {
            host,
            port,
            secure,
            request: request_uri(address.clone(), options)?,
            address,
            headers,
            secrets: Secrets::of(options),
        })
    }
}

fn is_secure(url: &Url) -> Result<bool, OptionsError> {
    match url.scheme() {
        "http" | "ws" => Ok(false),
        "https" | "wss" => Ok(true),
        other => Err(OptionsError::Scheme {
            scheme: other.to_owned(),
        }),
    }
}

fn origin(url: &Url) -> Result<(Host<String>, u16), OptionsError> {
    let extra = [
        (
            "user name",
            !url.username().is_empty() || url.password().is_some(),
        ),
        ("path", !matches!(url.path(), "" | "/")),
        ("query", url.query().is_some()),
        ("fragment", url.fragment().is_some()),
    ];
    if let Some((part, _)) = extra.into_iter().find(|(_, present)| *present) {
        return Err(OptionsError::NotAnOrigin { part });
    }
    let host = url.host().ok_or(OptionsError::NoHost)?.to_owned();
    let port = url.port_or_known_default().ok_or(OptionsError::NoHost)?;
    Ok((host, port))
}

fn check_namespace(namespace: &str) -> Result<(), OptionsError> {
    let owned = || namespace.to_owned();
    if BARRIER_NAMESPACES.contains(&namespace) {
        return Err(OptionsError::BarrierNamespace { namespace: owned() });
    }
    if !namespace.starts_with('/') || namespace.contains(',') {
        return Err(OptionsError::Namespace { namespace: owned() });
    }
    Ok(())
}

fn check_auth(auth: Option<&Bytes>) -> Result<(), OptionsError> {
    type Object = serde_json::Map<String, serde_json::Value>;
    match auth {
        Some(json) if serde_json::from_slice::<Object>(json).is_err() => Err(OptionsError::Auth),
        _ => Ok(()),
    }
}

fn request_headers(options: &Options) -> Result<HeaderMap, OptionsError> {
    let ours = [header::CONNECTION, header::UPGRADE];
    for name in options.headers.keys() {
        if ours.contains(name) || name.as_str().starts_with("sec-websocket-") {
            return Err(OptionsError::Header { name: name.clone() });
        }
    }
    let mut headers = options.headers.clone();
    if !headers.contains_key(header::HOST) {
        let host = &options.url[Position::BeforeHost..Position::AfterPort];
        let value = host.parse().map_err(|_| OptionsError::NoHost)?;
        headers.insert(header::HOST, value);
    }
    Ok(headers)
}

fn address(options: &Options) -> Result<Url, OptionsError> {
    if !options.path.starts_with('/') {
        return Err(bad_path(options));
    }
    let mut url = options.url.clone();
    url.set_path(&options.path);
    Ok(url)
}

fn request_uri(mut url: Url, options: &Options) -> Result<Uri, OptionsError> {
    url.query_pairs_mut()
        .append_pair("EIO", "4")
        .append_pair("transport", "websocket")
        .extend_pairs(&options.query);
    url[Position::BeforePath..Position::AfterQuery]
        .parse()
        .map_err(|_| bad_path(options))
}

fn bad_path(options: &Options) -> OptionsError {
    OptionsError::Path {
        path: options.path.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(url: &str) -> Options {
        Options::new(url.parse().unwrap())
    }

    #[test]
    fn the_request_keeps_the_path_as_given_and_escapes_the_query() {
        let mut options = options("http://localhost:3000");
        options.path = "/my/path".to_owned();
        options.query = vec![("token".to_owned(), "a b&c".to_owned())];
        let target = Target::new(&options).unwrap();
        assert_eq!(
            target.request,
            "/my/path?EIO=4&transport=websocket&token=a+b%26c"
        );
        assert_eq!(target.headers[header::HOST], "localhost:3000");
        assert!(!target.headers.contains_key(header::ORIGIN));
    }

    #[test]
    fn default_ports_follow_the_scheme_and_stay_out_of_the_host_header() {
        let target = Target::new(&options("ws://[::1]/")).unwrap();
        assert_eq!(target.port, 80);
        assert_eq!(target.headers[header::HOST], "[::1]");
    }

    #[test]
    fn what_can_never_work_is_refused_with_its_reason() {
        type Case = (&'static str, fn(&mut Options), OptionsError);
        let cases: [Case; 8] = [
            (
                "ftp://host",
                |_| (),
                OptionsError::Scheme {
                    scheme: "ftp".to_owned(),
                },
            ),
            (
                "https://host",
                |_| (),
                OptionsError::TlsMissing {
                    scheme: "https".to_owned(),
                },
            ),
            (
                "http://host/admin",
                |_| (),
                OptionsError::NotAnOrigin { part: "path" },
            ),
            (
                "http://me@host",
                |_| (),
                OptionsError::NotAnOrigin { part: "user name" },
            ),
            (
                "http://host",
                |options| options.path = "socket.io/".to_owned(),
                OptionsError::Path {
                    path: "socket.io/".to_owned(),
                },
            ),
            (
                "http://host",
                |options| options.namespace = "/a,b".to_owned(),
                OptionsError::Namespace {
                    namespace: "/a,b".to_owned(),
                },
            ),
            (
                "http://host",
                |options| options.auth = Some(Bytes::from_static(b"[1]")),
                OptionsError::Auth,
            ),
            (
                "http://host",
                |options| {
                    drop(
                        options
                            .headers
                            .insert(header::UPGRADE, "h2c".parse().unwrap()),
                    )
                },
                OptionsError::Header {
                    name: header::UPGRADE,
                },
            ),
        ];
        for (url, change, expected) in cases {
            let mut options = options(url);
            change(&mut options);
            assert_eq!(options.check(), Err(expected), "{url}");
        }
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let mut options = options("http://me:hunter2@host");
        options
            .headers
            .insert(header::AUTHORIZATION, "Bearer hunter2".parse().unwrap());
        options.query = vec![("token".to_owned(), "hunter2".to_owned())];
        options.auth = Some(Bytes::from_static(br#"{"token":"hunter2"}"#));
        let shown = format!("{options:?}");
        assert!(
            shown.contains("token") && shown.contains("authorization"),
            "{shown}"
        );
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
