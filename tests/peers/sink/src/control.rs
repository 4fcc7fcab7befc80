//! The few HTTP requests that the sink answers, and the head of the request that a WebSocket
//! begins with. One request per connection.

use std::io::{Read, Write};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tungstenite::handshake::derive_accept_key;

use crate::totals::Totals;

const LONGEST_HEAD: usize = 16 * 1024;

/// What came before the empty line.
pub(crate) struct Request {
    method: String,
    path: String,
    websocket_key: Option<String>,
}

impl Request {
    /// Reads byte by byte, so that not one byte of the first frame is taken by mistake.
    pub(crate) fn read(stream: &mut impl Read) -> Result<Request> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() == LONGEST_HEAD || stream.read(&mut byte)? == 0 {
                bail!("not an HTTP request");
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8(head)?;
        let mut lines = head.lines();
        let mut words = lines.next().context("no request line")?.split(' ');
        let method = words.next().unwrap_or_default().to_owned();
        let path = words.next().unwrap_or_default().to_owned();
        let websocket_key = lines.find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("sec-websocket-key")
                .then(|| value.trim().to_owned())
        });
        Ok(Request {
            method,
            path,
            websocket_key,
        })
    }

    /// The `Sec-WebSocket-Accept` that this request earns, if it asks for a WebSocket.
    pub(crate) fn websocket_accept(&self) -> Option<String> {
        self.websocket_key
            .as_ref()
            .map(|key| derive_accept_key(key.as_bytes()))
    }

    /// Answers a request that is not for a WebSocket; `stop` is called for `POST /stop`.
    pub(crate) fn answer(
        &self,
        stream: &mut impl Write,
        totals: &Totals,
        stop: impl FnOnce(),
    ) -> Result<()> {
        match (self.method.as_str(), self.path.as_str()) {
            ("GET", "/health") => respond(stream, "200 OK", &json!({ "status": "up" })),
            ("GET", "/count") => respond(stream, "200 OK", &json!({ "count": totals.events() })),
            ("GET", "/summary") => respond(stream, "200 OK", &totals.summary()),
            ("POST", "/reset") => {
                totals.reset();
                respond(stream, "200 OK", &json!({ "count": 0 }))
            }
            ("POST", "/stop") => {
                let answered = respond(stream, "200 OK", &totals.summary());
                stop();
                answered
            }
            _ => {
                let refusal = json!({ "code": 0, "message": "Transport unknown" });
                respond(stream, "400 Bad Request", &refusal)
            }
        }
    }
}

fn respond(stream: &mut impl Write, status: &str, body: &Value) -> Result<()> {
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes())?;
    Ok(())
}
