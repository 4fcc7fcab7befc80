//! The HTTP request that turns a stream of bytes into a WebSocket (RFC 6455, section 4.1).
//!
//! The request and its answer are handled here rather than by the WebSocket library because that
//! one gives up the stream when the answer is no upgrade, and with it most of what the server had
//! to say. No extension is offered, so no frame is ever compressed. All reads are bounded, and the
//! caller's deadline ends them.

use std::{io, time::Duration};

use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use tokio_tungstenite::tungstenite::handshake::{
    client::{Response, generate_key},
    derive_accept_key,
    machine::TryParse,
};
use url::{Position, Url};

use crate::{
    dial::ByteStream,
    error::{CloseReason, ConnectError, HttpRefusal, Stage, UpgradeFault},
    excerpt::Excerpt,
    options::Target,
};

/// The largest header of an answer that is read.
const HEAD_LIMIT: usize = 64 * 1024;
/// How long the body of a refusal is waited for; the status alone is worth reporting.
const BODY_WAIT: Duration = Duration::from_millis(500);
/// What an answer in plain HTTP starts with. No WebSocket frame that a server may send does.
const HTTP: &[u8] = b"HTTP/";

/// Asks for the upgrade. What the server sent behind its answer is returned.
pub(crate) async fn upgrade(
    stream: &mut impl ByteStream,
    target: &Target,
) -> Result<Vec<u8>, ConnectError> {
    let key = generate_key();
    stream
        .write_all(&request(target, &key))
        .await
        .map_err(lost(Stage::Upgrade))?;
    stream.flush().await.map_err(lost(Stage::Upgrade))?;
    let mut received = Vec::new();
    let (head, response) = loop {
        match Response::try_parse(&received) {
            Ok(Some(parsed)) => break parsed,
            Ok(None) if received.len() > HEAD_LIMIT => {
                return Err(ConnectError::Upgrade {
                    fault: UpgradeFault::HeadTooLong,
                });
            }
            Ok(None) => read_more(stream, &mut received, Stage::Upgrade).await?,
            Err(_) => {
                let fault = UpgradeFault::NotHttp {
                    received: Excerpt::new(&received),
                };
                return Err(ConnectError::Upgrade { fault });
            }
        }
    };
    let tail = received.split_off(head);
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(refusal(stream, target, response, tail).await.into());
    }
    match missing_header(response.headers(), &key) {
        Some(name) => Err(ConnectError::Upgrade {
            fault: UpgradeFault::Header(name),
        }),
        None => Ok(tail),
    }
}

/// Looks at the first bytes behind the upgrade: socket.io 4 answers an Engine.IO version that it
/// does not accept with `101` and then with HTTP in place of frames.
pub(crate) async fn refuse_http(
    stream: &mut impl ByteStream,
    tail: &mut Vec<u8>,
) -> Result<(), ConnectError> {
    while tail.len() < HTTP.len() && HTTP.starts_with(tail) {
        read_more(stream, tail, Stage::OpenPacket).await?;
    }
    if !tail.starts_with(HTTP) {
        return Ok(());
    }
    read_up_to(stream, tail, Excerpt::LIMIT + 1).await;
    Err(ConnectError::HttpAfterUpgrade {
        received: Excerpt::new(tail),
    })
}

/// The words of the WebSocket handshake are written in their usual case, for some servers compare
/// them as they are.
fn request(target: &Target, key: &str) -> Vec<u8> {
    let mut request = format!(
        "GET {} HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n",
        target.request
    )
    .into_bytes();
    for (name, value) in &target.headers {
        let name = if name == header::HOST {
            "Host"
        } else {
            name.as_str()
        };
        request.extend_from_slice(name.as_bytes());
        request.extend_from_slice(b": ");
        request.extend_from_slice(value.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    request
}

fn missing_header(headers: &HeaderMap, key: &str) -> Option<&'static str> {
    let has = |name: &header::HeaderName, word: &str| {
        let values = headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok());
        values
            .flat_map(|value| value.split(','))
            .any(|part| part.trim().eq_ignore_ascii_case(word))
    };
    if !has(&header::UPGRADE, "websocket") {
        return Some("Upgrade");
    }
    if !has(&header::CONNECTION, "upgrade") {
        return Some("Connection");
    }
    let accept = derive_accept_key(key.as_bytes());
    let accepted = headers
        .get(header::SEC_WEBSOCKET_ACCEPT)
        .is_some_and(|value| *value == accept);
    (!accepted).then_some("Sec-WebSocket-Accept")
}

async fn refusal(
    stream: &mut impl ByteStream,
    target: &Target,
    response: Response,
    mut body: Vec<u8>,
) -> Box<HttpRefusal> {
    let headers = response.headers();
    let chunked = headers.contains_key(header::TRANSFER_ENCODING);
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let wanted = length.unwrap_or(usize::MAX).min(Excerpt::LIMIT + 1);
    read_up_to(stream, &mut body, wanted).await;
    let location = headers
        .get(header::LOCATION)
        .and_then(|value| redirect(&target.address, value));
    let body = if chunked { first_chunk(&body) } else { &body };
    Box::new(HttpRefusal {
        status: response.status(),
        moved_to: location
            .as_ref()
            .and_then(|location| moved_to(&target.address, location)),
        location: location.map(|location| Excerpt::new(location.as_str().as_bytes())),
        body: Excerpt::new(body),
    })
}

/// Where a redirect leads, without user, query and fragment: servers repeat the query that they
/// were asked with, which may hold a token.
fn redirect(asked: &Url, location: &HeaderValue) -> Option<Url> {
    let mut url = asked.join(str::from_utf8(location.as_bytes()).ok()?).ok()?;
    url.set_query(None);
    url.set_fragment(None);
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    url.has_host().then_some(url)
}

/// The other origin at which the same endpoint is, if that is what a redirect says.
fn moved_to(asked: &Url, location: &Url) -> Option<String> {
    let place = |url: &Url| {
        let secure = matches!(url.scheme(), "https" | "wss");
        (
            secure,
            url.host_str().map(str::to_owned),
            url.port_or_known_default(),
        )
    };
    let elsewhere = location.path() == asked.path() && place(location) != place(asked);
    elsewhere.then(|| location[..Position::BeforePath].to_owned())
}

/// The content of the first chunk of a chunked body, which holds any short message in full.
fn first_chunk(body: &[u8]) -> &[u8] {
    let Some(end) = memchr::memchr(b'\n', body) else {
        return body;
    };
    let size = body[..end]
        .trim_ascii()
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or_default();
    let size = str::from_utf8(size)
        .ok()
        .and_then(|size| usize::from_str_radix(size, 16).ok());
    let content = &body[end + 1..];
    match size {
        Some(size) => &content[..size.min(content.len())],
        None => body,
    }
}

/// Reads until there are so many bytes, the stream ends or [`BODY_WAIT`] is over.
async fn read_up_to(stream: &mut impl ByteStream, received: &mut Vec<u8>, wanted: usize) {
    let reading = async {
        while received.len() < wanted && stream.read_buf(received).await.is_ok_and(|read| read > 0)
        {
        }
    };
    // Whatever has come by then is what the message shows.
    let _ = timeout(BODY_WAIT, reading).await;
}

async fn read_more(
    stream: &mut impl ByteStream,
    received: &mut Vec<u8>,
    stage: Stage,
) -> Result<(), ConnectError> {
    match stream.read_buf(received).await {
        Ok(0) => Err(ConnectError::Closed {
            stage,
            reason: Box::new(CloseReason::Dropped),
        }),
        Ok(_) => Ok(()),
        Err(error) => Err(lost(stage)(error)),
    }
}

fn lost(stage: Stage) -> impl Fn(io::Error) -> ConnectError {
    move |error| ConnectError::Closed {
        stage,
        reason: Box::new(CloseReason::from_io(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_is_shown_without_what_may_be_secret() {
        let asked: Url = "ws://host:3000/socket.io/".parse().unwrap();
        for (location, shown, moved) in [
            (
                "https://me:pw@b.test/socket.io/?token=t#f",
                Some("https://b.test/socket.io/"),
                Some("https://b.test"),
            ),
            (
                "https://host:3000/socket.io/?token=t",
                Some("https://host:3000/socket.io/"),
                Some("https://host:3000"),
            ),
            (
                "http://host:3000/socket.io/?again",
                Some("http://host:3000/socket.io/"),
                None,
            ),
            ("/login?next=t", Some("ws://host:3000/login"), None),
            ("//sso.test/in", Some("ws://sso.test/in"), None),
            ("?token=t", Some("ws://host:3000/socket.io/"), None),
            ("mailto:t", None, None),
            ("https://", None, None),
        ] {
            let found = redirect(&asked, &HeaderValue::from_str(location).unwrap());
            assert_eq!(found.as_ref().map(Url::as_str), shown, "{location}");
            let found = found.and_then(|location| moved_to(&asked, &location));
            assert_eq!(found.as_deref(), moved, "{location}");
        }
    }

    #[test]
    fn the_first_chunk_is_shown_without_its_size() {
        assert_eq!(first_chunk(b"5;x=y\r\nhello\r\n0\r\n\r\n"), b"hello");
        assert_eq!(first_chunk(b"ff\r\nhel"), b"hel");
        assert_eq!(first_chunk(b"no size\r\n"), b"no size\r\n");
        assert_eq!(first_chunk(b""), b"");
    }
}
