//! A token endpoint in trouble: a relay before Keycloak's, which on command is away, holds requests
//! back, or answers something else. What it passes on is real, the tokens included.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::eventually::eventually;
use crate::http;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// The real endpoint answers it.
    Real,
    /// It waits until another answer is commanded, or until whoever asked has gone.
    Held,
    /// It gets this.
    Fixed {
        /// The HTTP status.
        status: u16,
        /// The media type of the body.
        content_type: &'static str,
        /// The body.
        body: &'static str,
    },
}

/// A request for a token, as it was made.
#[derive(Debug, Clone)]
pub struct TokenRequest {
    /// The header `Authorization`; blank if there was none.
    pub authorization: String,
    /// The form in the body, encoded as it came.
    pub form: String,
}

/// A relay before a token endpoint.
pub struct TokenEndpoint {
    port: u16,
    shared: Arc<Shared>,
    task: Option<JoinHandle<()>>,
}

struct Shared {
    target: String,
    client: reqwest::Client,
    answers: watch::Sender<Answers>,
    requests: Mutex<Vec<TokenRequest>>,
    tokens: Mutex<Vec<String>>,
}

impl TokenRequest {
    /// A field of the form, encoded as it came.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self
            .form
            .split('&')
            .filter_map(|field| field.split_once('='));
        fields
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value)
    }
}

impl TokenEndpoint {
    /// Listens on a free port and passes everything on to the endpoint at this URL.
    ///
    /// # Errors
    ///
    /// There is no free port.
    pub async fn before(target: &str) -> Result<TokenEndpoint> {
        let shared = Arc::new(Shared {
            target: target.to_owned(),
            client: http::client()?,
            answers: watch::Sender::new(Answers::Real),
            requests: Mutex::default(),
            tokens: Mutex::default(),
        });
        let mut endpoint = TokenEndpoint {
            port: 0,
            shared,
            task: None,
        };
        endpoint.up().await?;
        Ok(endpoint)
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/token", self.port)
    }

    /// Answers like this from now on.
    pub fn answer(&self, answers: Answers) {
        self.shared.answers.send_replace(answers);
    }

    /// Refuses connections from now on, and cuts those there are.
    pub async fn down(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            // It was just cancelled, which is what this returns.
            let _cancelled = task.await;
        }
    }

    /// Takes connections again, on the same port.
    ///
    /// # Errors
    ///
    /// Somebody else has the port.
    pub async fn up(&mut self) -> Result<()> {
        let listener = eventually("the port is free", async || {
            Ok(TcpListener::bind(("127.0.0.1", self.port)).await?)
        })
        .await?;
        self.port = listener.local_addr()?.port();
        self.task = Some(tokio::spawn(accept(listener, Arc::clone(&self.shared))));
        Ok(())
    }

    /// All requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<TokenRequest> {
        locked(&self.shared.requests).clone()
    }

    /// All access tokens that were given out so far.
    #[must_use]
    pub fn tokens(&self) -> Vec<String> {
        locked(&self.shared.tokens).clone()
    }

    /// Waits until there were so many requests.
    ///
    /// # Errors
    ///
    /// There are not.
    pub async fn asked(&self, count: usize) -> Result<Vec<TokenRequest>> {
        eventually(&format!("{count} requests for a token"), async || {
            let requests = self.requests();
            ensure!(requests.len() >= count, "there are {}", requests.len());
            Ok(requests)
        })
        .await
    }
}

impl Drop for TokenEndpoint {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

/// One request per connection. A connection that breaks is the client's affair.
async fn serve(mut stream: TcpStream, shared: Arc<Shared>) -> Result<()> {
    let request = read(&mut stream).await?;
    locked(&shared.requests).push(request.clone());
    let mut answers = shared.answers.subscribe();
    let mut more = [0; 1];
    let answers = tokio::select! {
        answers = answers.wait_for(|answers| *answers != Answers::Held) => *answers?,
        _gone = stream.read(&mut more) => return Ok(()),
    };
    let (status, content_type, body) = match answers {
        Answers::Fixed {
            status,
            content_type,
            body,
        } => (status, content_type.to_owned(), body.as_bytes().to_vec()),
        Answers::Real | Answers::Held => shared.ask(&request).await?,
    };
    let head = format!(
        "HTTP/1.1 {status} Answer\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body).await?;
    Ok(stream.shutdown().await?)
}

impl Shared {
    async fn ask(&self, request: &TokenRequest) -> Result<(u16, String, Vec<u8>)> {
        let mut asked = self
            .client
            .post(&self.target)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(request.form.clone());
        if !request.authorization.is_empty() {
            asked = asked.header("authorization", &request.authorization);
        }
        let answer = asked.send().await?;
        let status = answer.status().as_u16();
        let content_type = answer.headers().get("content-type");
        let content_type = content_type
            .map_or(Ok(""), |value| value.to_str())?
            .to_owned();
        let body = answer.bytes().await?.to_vec();
        let said: Value = serde_json::from_slice(&body).unwrap_or_default();
        if let Some(token) = said["access_token"].as_str() {
            locked(&self.tokens).push(token.to_owned());
        }
        Ok((status, content_type, body))
    }
}

async fn read(stream: &mut TcpStream) -> Result<TokenRequest> {
    let mut bytes = Vec::new();
    let head = loop {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = end {
            break end;
        }
        more(stream, &mut bytes).await?;
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let header = |name: &str| {
        let mut headers = text.lines().filter_map(|line| line.split_once(": "));
        let found = headers.find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value).to_owned()
    };
    let length: usize = header("content-length").parse().context("no length")?;
    while bytes.len() < head + 4 + length {
        more(stream, &mut bytes).await?;
    }
    Ok(TokenRequest {
        authorization: header("authorization"),
        form: String::from_utf8_lossy(&bytes[head + 4..]).into_owned(),
    })
}

async fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<()> {
    match stream.read_buf(bytes).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}
