//! The cheapest thing that a Socket.IO client takes for a server: it counts events and drops them.
//!
//! It exists to measure clients: frames are scanned, not unmasked, so that it is never the slower
//! end. It prints its address at the start and a count at the end of every connection, and answers
//! what a sender needs answered: the open packet, CONNECT, WebSocket pings and closes.
//!
//! ```text
//! cargo run --release -p kete-socketio --example sink -- 127.0.0.1:3999
//! ```

use std::{env, error::Error};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

type AnyError = Box<dyn Error + Send + Sync>;

const OPEN: &[u8] =
    br#"0{"sid":"sink","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
const CONNECTED: &[u8] = br#"40{"sid":"sink"}"#;

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), AnyError> {
    let address = env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                stream.set_nodelay(true)?;
                connections.spawn(serve(stream));
            }
            Some(ended) = connections.join_next() => match ended? {
                Ok(events) => println!("{events} events"),
                Err(error) => println!("connection failed: {error}"),
            },
        }
    }
}

async fn serve(mut stream: TcpStream) -> Result<u64, AnyError> {
    let mut buffer = BytesMut::with_capacity(512 * 1024);
    let key = read_key(&mut stream, &mut buffer).await?;
    let accept = derive_accept_key(key.as_bytes());
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(response.as_bytes()).await?;
    let mut answers = Vec::new();
    put_frame(&mut answers, TEXT, OPEN);
    let mut events = 0;
    loop {
        stream.write_all(&answers).await?;
        answers.clear();
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(events);
        }
        while let Some((opcode, length, mask, start)) = frame(&buffer) {
            if buffer.len() < start + length {
                buffer.reserve(start + length - buffer.len());
                break;
            }
            buffer.advance(start);
            let payload = &buffer[..length];
            match opcode {
                TEXT if length > 2 && payload[1] ^ mask[1] == b'2' => events += 1,
                TEXT if length >= 2 && payload[1] ^ mask[1] == b'0' => {
                    put_frame(&mut answers, TEXT, CONNECTED);
                }
                PING => put_frame(&mut answers, PONG, &unmasked(payload, mask)),
                CLOSE => put_frame(&mut answers, CLOSE, &unmasked(payload, mask)),
                _ => {}
            }
            buffer.advance(length);
        }
    }
}

/// Reads the request and takes the one header that has to be answered.
async fn read_key(stream: &mut TcpStream, buffer: &mut BytesMut) -> Result<String, AnyError> {
    while !buffer.ends_with(b"\r\n\r\n") {
        if stream.read_buf(buffer).await? == 0 {
            return Err("no request".into());
        }
    }
    let request = String::from_utf8_lossy(buffer).into_owned();
    buffer.clear();
    let key = request
        .lines()
        .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
    Ok(key.ok_or("no WebSocket request")?.to_owned())
}

/// The head of the next frame: opcode, payload length, mask, and where the payload starts.
fn frame(buffer: &[u8]) -> Option<(u8, usize, [u8; 4], usize)> {
    let (opcode, length) = (buffer.first()? & 0x0f, buffer.get(1)? & 0x7f);
    let (length, start) = match length {
        126 => (
            usize::from(u16::from_be_bytes(buffer.get(2..4)?.try_into().ok()?)),
            4,
        ),
        127 => (
            usize::try_from(u64::from_be_bytes(buffer.get(2..10)?.try_into().ok()?)).ok()?,
            10,
        ),
        short => (usize::from(short), 2),
    };
    let mask = buffer.get(start..start + 4)?.try_into().ok()?;
    Some((opcode, length, mask, start + 4))
}

fn unmasked(payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    payload
        .iter()
        .zip(mask.iter().cycle())
        .map(|(byte, mask)| byte ^ mask)
        .collect()
}

/// Appends an unmasked frame of at most 125 bytes.
fn put_frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.extend_from_slice(&[0x80 | opcode, payload.len() as u8]);
    out.extend_from_slice(payload);
}
