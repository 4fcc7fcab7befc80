//! Where the server is and how it is greeted: `url`, `namespace`, `path`, headers, query, auth.
//!
//! Unlike KETE, which glues the namespace onto the text of the URL, the parts are kept apart: a
//! path in the URL is the namespace, a query goes with the handshake. What cannot work is refused
//! here; values of headers, query and auth are secrets and never in a message.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use kete_config::{AnyKey, Diagnostic, Scope};
use kete_socketio::{BARRIER_NAMESPACES, Options};
use serde_json::{Map, Value};
use url::{Position, Url};

use super::settings::{AUTH, HEADERS, NAMESPACE, PATH, QUERY, TIMEOUT_SECONDS, URL};
use crate::codes;

/// Header names that KETE keeps for itself, exactly so spelt.
const KETE_HEADERS: [&str; 3] = ["eventkind", "eventtype", "contenttype"];

/// Headers that belong to the connection; another value would break it.
const CONNECTION_HEADERS: [&str; 5] = [
    "host",
    "connection",
    "upgrade",
    "content-length",
    "transfer-encoding",
];

/// Reads everything that connecting needs, without TLS configuration and payload limit.
pub(crate) fn read(scope: &Scope<'_>) -> Option<Options> {
    let address = read_address(scope);
    let namespace_in_url = address
        .as_ref()
        .and_then(|address| address.namespace.clone());
    let namespace = read_namespace(scope, namespace_in_url);
    let path = read_path(scope);
    let timeout = scope.read(&TIMEOUT_SECONDS);
    let headers = read_headers(scope);
    let query_in_url = address.as_ref().map(|address| address.query.clone());
    let query = read_query(scope, query_in_url.unwrap_or_default());
    let auth = read_auth(scope);
    let mut options = Options::new(address?.origin);
    options.namespace = namespace?;
    options.path = path?;
    options.connect_timeout = Duration::from_secs(timeout?.get().into());
    options.headers = headers?;
    options.query = query?;
    options.auth = auth;
    Some(options)
}

/// What a connection is called in messages: origin and namespace, nothing secret.
pub(crate) fn peer(options: &Options) -> String {
    let origin = &options.url[..Position::BeforePath];
    match options.namespace.as_str() {
        "/" => origin.to_owned(),
        namespace => format!("{origin} namespace {namespace}"),
    }
}

/// A URL taken apart.
struct Address {
    origin: Url,
    namespace: Option<String>,
    query: Vec<(String, String)>,
}

fn read_address(scope: &Scope<'_>) -> Option<Address> {
    let mut url = scope.read(&URL)?;
    check_origin(scope, &url)?;
    let namespace = Some(url.path())
        .filter(|path| !matches!(*path, "" | "/"))
        .map(str::to_owned);
    let query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    if !query.is_empty() {
        // The query may be a secret, so the value of the key is not shown with this.
        let message = "the query in the url is sent with the handshake";
        let warning = Diagnostic::warning(codes::URL_PARTS, message)
            .key(scope.full_name(URL.name()))
            .at(scope.origin(URL.name()))
            .hidden_value()
            .help("write it as query.<NAME>".to_owned());
        scope.diagnostics().push(warning);
    }
    url.set_query(None);
    url.set_path("");
    Some(Address {
        origin: url,
        namespace,
        query,
    })
}

fn check_origin(scope: &Scope<'_>, url: &Url) -> Option<()> {
    let reject = |message: String, help: &str| {
        scope.reject(URL.name(), codes::BAD_URL, message, help.to_owned());
    };
    if !matches!(url.scheme(), "http" | "https" | "ws" | "wss") {
        let message = format!(
            "no Socket.IO server is reached by the scheme {}",
            url.scheme()
        );
        reject(message, "use http, https, ws or wss");
        return None;
    }
    if !url.username().is_empty() || url.password().is_some() {
        let message = "a user name or password in the url would not be sent".to_owned();
        reject(
            message,
            "write headers.Authorization=Basic …, or auth.<KEY>",
        );
        return None;
    }
    if url.fragment().is_some() {
        reject(
            "a # in the url has no meaning".to_owned(),
            "leave out the # and what follows it",
        );
        return None;
    }
    Some(())
}

fn read_namespace(scope: &Scope<'_>, in_url: Option<String>) -> Option<String> {
    let written = scope.read(&NAMESPACE);
    let (name, namespace) = match (written, in_url) {
        (Some(_), Some(in_url)) => {
            let message = format!("the url has a namespace already, its path {in_url}");
            let help = "leave the path out of url".to_owned();
            scope.reject(NAMESPACE.name(), codes::CONTRADICTION, message, help);
            return None;
        }
        (None, Some(in_url)) => {
            let message = format!("the path in the url is the namespace, {in_url}");
            let help = format!("write namespace={in_url}; the Engine.IO endpoint is path");
            scope.warn(URL.name(), codes::URL_PARTS, message, help);
            (URL.name(), in_url)
        }
        (written, None) => (NAMESPACE.name(), written.unwrap_or_default()),
    };
    let namespace = format!("/{}", namespace.trim_start_matches('/'));
    let problem = if BARRIER_NAMESPACES.contains(&namespace.as_str()) {
        "this namespace is asked for on purpose, as one that no server has"
    } else if name == URL.name() && namespace.contains('%') {
        "a namespace with special characters cannot be read from the url"
    } else if namespace.contains([',', '?', '#']) || namespace.contains(char::is_control) {
        "a namespace cannot contain a comma, a question mark, a # or a control character"
    } else {
        return Some(namespace);
    };
    scope.reject(
        name,
        codes::BAD_NAMESPACE,
        problem,
        "choose another namespace".to_owned(),
    );
    None
}

/// The path ends with a slash as with other clients, which add one too.
fn read_path(scope: &Scope<'_>) -> Option<String> {
    let path = scope.read(&PATH)?;
    if !path.starts_with('/') {
        let help = format!("write /{path}");
        scope.reject(
            PATH.name(),
            codes::BAD_PATH,
            "it has to begin with a slash",
            help,
        );
        return None;
    }
    if path.contains(['?', '#']) {
        let help = "a query is written as query.<NAME>".to_owned();
        scope.reject(
            PATH.name(),
            codes::BAD_PATH,
            "it cannot contain ? or #",
            help,
        );
        return None;
    }
    Some(if path.ends_with('/') {
        path
    } else {
        path + "/"
    })
}

/// Reads the headers. Only names are ever in a message.
fn read_headers(scope: &Scope<'_>) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    let mut right = true;
    for (name, value) in scope.map(&HEADERS) {
        let key = format!("{}.{name}", HEADERS.name());
        if KETE_HEADERS.contains(&name.as_str()) {
            let message = "KETE keeps this name for itself, so the header is not sent";
            scope.warn(&key, codes::HEADER_NOT_SENT, message, None);
            continue;
        }
        if value.is_empty() {
            let message = "it is blank, so the header is not sent";
            scope.warn(&key, codes::HEADER_NOT_SENT, message, None);
            continue;
        }
        match header(&name, &value) {
            Ok((name, _)) if headers.contains_key(&name) => {
                right = false;
                let message = "this header is given twice, in different letter case";
                scope.reject(&key, codes::BAD_HEADER, message, None);
            }
            Ok((name, value)) => drop(headers.insert(name, value)),
            Err(problem) => {
                right = false;
                scope.reject(&key, codes::BAD_HEADER, problem, None);
            }
        }
    }
    right.then_some(headers)
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), &'static str> {
    let name: HeaderName = name.parse().map_err(|_| "a header cannot have this name")?;
    let reserved = name.as_str().starts_with("sec-websocket-");
    if reserved || CONNECTION_HEADERS.contains(&name.as_str()) {
        return Err("this header belongs to the connection itself and cannot be set");
    }
    let visible = |value: &HeaderValue| value.to_str().is_ok();
    let mut value = HeaderValue::from_str(value)
        .ok()
        .filter(visible)
        .ok_or("the value has a character that a header cannot hold")?;
    value.set_sensitive(true);
    Ok((name, value))
}

fn read_query(scope: &Scope<'_>, in_url: Vec<(String, String)>) -> Option<Vec<(String, String)>> {
    let mut right = true;
    let mut query = in_url;
    let given = query.len();
    for (name, value) in scope.map(&QUERY) {
        let key = format!("{}.{name}", QUERY.name());
        if ["EIO", "transport", "sid"].contains(&name.as_str()) {
            right = false;
            let message = "this parameter belongs to the protocol and cannot be set";
            scope.reject(&key, codes::BAD_QUERY, message, None);
        }
        if query[..given].iter().any(|(in_url, _)| *in_url == name) {
            right = false;
            let help = "leave it out of url".to_owned();
            scope.reject(
                &key,
                codes::CONTRADICTION,
                "the url has this parameter already",
                help,
            );
        }
        query.push((name, value));
    }
    right.then_some(query)
}

/// The auth object; a dot in a key is part of the key.
fn read_auth(scope: &Scope<'_>) -> Option<Bytes> {
    let members: Map<String, Value> = scope
        .map(&AUTH)
        .into_iter()
        .map(|(key, value)| (key, value.into()))
        .collect();
    (!members.is_empty()).then(|| Value::Object(members).to_string().into())
}

#[cfg(test)]
mod tests;
