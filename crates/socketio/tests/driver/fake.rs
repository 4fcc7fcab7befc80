//! The server's end of an in-memory stream, moved by hand.

use futures_util::{SinkExt, StreamExt};
use kete_socketio::{
    ConnectError, Emit, EventName, Notification, Options, Receiver, Sender, connect_over,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio_tungstenite::{
    WebSocketStream, accept_async,
    tungstenite::{Message, handshake::derive_accept_key},
};

/// The open packet of a server that pings every 25 seconds and gives 20 seconds to answer.
pub(crate) const OPEN: &str =
    r#"0{"sid":"engine","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":100}"#;
/// How long that server may be silent.
pub(crate) const LIVENESS: std::time::Duration = std::time::Duration::from_secs(45);

pub(crate) fn options() -> Options {
    Options::new("http://fake.test".parse().unwrap())
}

/// An event with a one-argument payload.
pub(crate) fn emit(payload: &str, ack: Option<u32>) -> Emit {
    let name = EventName::new("x").unwrap();
    Emit {
        name,
        payload: payload.to_owned().into(),
        ack,
    }
}

/// A stream with so much room in each direction, and the fake at its other end.
pub(crate) fn pair(room: usize) -> (DuplexStream, Http) {
    let (client, server) = duplex(room);
    (client, Http { stream: server })
}

/// The fake before the upgrade.
pub(crate) struct Http {
    stream: DuplexStream,
}

impl Http {
    /// Reads the whole request.
    pub(crate) async fn request(&mut self) -> String {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            assert_ne!(
                self.stream.read_buf(&mut request).await.unwrap(),
                0,
                "no request"
            );
        }
        String::from_utf8(request).unwrap()
    }

    pub(crate) async fn write(&mut self, bytes: &str) {
        self.stream.write_all(bytes.as_bytes()).await.unwrap();
    }

    /// Answers the upgrade as RFC 6455 wants it, and nothing more.
    pub(crate) async fn switch_protocols(&mut self) {
        let request = self.request().await;
        let key = request
            .lines()
            .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
        let accept = derive_accept_key(key.unwrap().as_bytes());
        self.write(&format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        ))
        .await;
    }

    pub(crate) async fn websocket(self) -> Server {
        Server {
            socket: accept_async(self.stream).await.unwrap(),
        }
    }
}

/// The fake behind the upgrade.
pub(crate) struct Server<S = DuplexStream> {
    pub(crate) socket: WebSocketStream<S>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Server<S> {
    pub(crate) async fn say(&mut self, text: &str) {
        self.socket
            .send(Message::text(text.to_owned()))
            .await
            .unwrap();
    }

    pub(crate) async fn hear(&mut self) -> Message {
        self.socket.next().await.unwrap().unwrap()
    }

    pub(crate) async fn hear_text(&mut self) -> String {
        match self.hear().await {
            Message::Text(text) => text.to_string(),
            other => panic!("{other:?} is no text"),
        }
    }

    /// Opens the session and lets the client in.
    pub(crate) async fn welcome(&mut self) {
        self.say(OPEN).await;
        assert!(self.hear_text().await.starts_with("40"));
        self.say(r#"40{"sid":"socket"}"#).await;
    }
}

/// Runs a connection attempt against a fake that does `script` and then keeps the stream open.
pub(crate) async fn attempt<F>(options: &Options, script: impl FnOnce(Http) -> F) -> ConnectError
where
    F: Future,
{
    let (client, http) = pair(64 * 1024);
    let (connected, _server) = tokio::join!(connect_over(client, options), script(http));
    connected.map(|_| ()).unwrap_err()
}

/// A connection that is ready, over a stream with so much room.
pub(crate) async fn connected(room: usize) -> (Sender, Receiver, Server) {
    let (client, http) = pair(room);
    let options = options();
    let welcome = async {
        let mut server = http.websocket().await;
        server.welcome().await;
        server
    };
    let (connected, server) = tokio::join!(connect_over(client, &options), welcome);
    let (sender, receiver) = connected.unwrap();
    (sender, receiver, server)
}

/// The next notification, as text.
pub(crate) async fn next(receiver: &mut Receiver) -> String {
    format!("{:?}", receiver.next().await.unwrap())
}

/// The reason for the end, after any other notifications.
pub(crate) async fn end(receiver: &mut Receiver) -> kete_socketio::CloseReason {
    loop {
        if let Notification::Closed(reason) = receiver.next().await.expect("an end is reported") {
            assert!(
                receiver.next().await.is_none(),
                "nothing comes after the end"
            );
            return reason;
        }
    }
}
