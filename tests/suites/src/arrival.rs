//! What a server recorded of one event, and of whoever sent it.

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// What a server recorded of one event.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrival {
    /// The name of the Socket.IO event.
    pub event: String,
    /// Its argument.
    pub body: Value,
    /// The arguments after that.
    pub more: Vec<Value>,
    /// The connection, as the server calls it.
    pub socket: String,
    /// The namespace.
    pub namespace: String,
    /// What the connection showed of the client, if it was encrypted.
    pub client: Option<TlsClient>,
    /// The token of the connection, if the server verifies tokens.
    pub token: Option<ShownToken>,
}

/// What a TLS connection showed of the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsClient {
    /// The common name in its certificate; blank if it showed none.
    pub subject: String,
    /// The common name of whoever signed that.
    pub issuer: String,
    /// SHA-256 of the certificate, as openssl writes it.
    pub fingerprint: String,
    /// The common names from the client's certificate up to the authority; blank on Python.
    pub chain: Vec<String>,
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: String,
    /// The name that it asked for (SNI).
    pub server_name: String,
    /// It went on with a session of an earlier connection.
    pub resumed: bool,
}

/// A token that the server has verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownToken {
    /// Where it was: `header`, `query`, `auth`.
    pub carriers: Vec<String>,
    /// Its own name, the claim `jti`.
    pub id: String,
    /// Whom it was given to, the claim `azp`.
    pub client: String,
    /// When it ends, in seconds since 1970.
    pub expires: u64,
}

impl Arrival {
    /// The event's id; blank if it has none.
    #[must_use]
    pub fn id(&self) -> &str {
        self.body["id"].as_str().unwrap_or_default()
    }

    /// Whether it says of itself that it is a replay; a route says so with `event-id=argument`.
    #[must_use]
    pub fn is_replay(&self) -> bool {
        let mark = self.more.first().map(|mark| &mark["replay"]);
        mark == Some(&Value::Bool(true))
    }

    /// Reads a line of a record.
    ///
    /// # Errors
    ///
    /// It is not JSON.
    pub(crate) fn parse(line: &[u8]) -> Result<Arrival> {
        let mut line: Value = serde_json::from_slice(line).context("a line of the record")?;
        Ok(Arrival {
            event: text(&line["event"]),
            more: line["more"].as_array().cloned().unwrap_or_default(),
            socket: text(&line["socket"]),
            namespace: text(&line["namespace"]),
            client: Some(&line["client"])
                .filter(|seen| seen.is_object())
                .map(TlsClient::read),
            token: Some(&line["token"])
                .filter(|seen| seen.is_object())
                .map(ShownToken::read),
            body: std::mem::replace(&mut line["body"], json!(null)),
        })
    }

    /// What the connection showed of the client.
    ///
    /// # Errors
    ///
    /// It was not encrypted.
    pub fn client(&self) -> Result<&TlsClient> {
        self.client.as_ref().context("it came without TLS")
    }

    /// The token of the connection.
    ///
    /// # Errors
    ///
    /// The server verifies none.
    pub fn token(&self) -> Result<&ShownToken> {
        self.token.as_ref().context("it came without a token")
    }
}

impl TlsClient {
    fn read(seen: &Value) -> TlsClient {
        TlsClient {
            subject: text(&seen["subject"]),
            issuer: text(&seen["issuer"]),
            fingerprint: text(&seen["fingerprint"]),
            chain: texts(&seen["chain"]),
            version: text(&seen["version"]),
            server_name: text(&seen["serverName"]),
            resumed: seen["resumed"].as_bool().unwrap_or_default(),
        }
    }
}

impl ShownToken {
    fn read(seen: &Value) -> ShownToken {
        ShownToken {
            carriers: texts(&seen["carriers"]),
            id: text(&seen["id"]),
            client: text(&seen["client"]),
            expires: seen["expires"].as_u64().unwrap_or_default(),
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    let all = value.as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().map(text).collect()
}
