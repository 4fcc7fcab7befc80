//! A webhook on a port of its own in front of a whole pipeline, and a client that sees every byte.

use kete_pipeline::Report;
use kete_queue::{Limits, Memory, Queue};
use kete_routes::RouteRules;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::*;
use crate::testing::{Collector, Pipeline, ROOMY, SOON};

pub(super) struct Fixture {
    pub(super) pipeline: Pipeline,
    pub(super) address: SocketAddr,
}

/// An answer, or what came of it before the connection ended.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Value,
}

pub(super) fn settings() -> Settings {
    Settings {
        bind: SocketAddr::from(([127, 0, 0, 1], 0)),
        path: "/events".to_owned(),
        max_body_size: 1 << 20,
        respond_when: RespondWhen::Safe,
        respond_timeout: SOON,
        realm_names: RealmNames::always("shop"),
    }
}

pub(super) async fn bound(settings: Settings) -> Webhook {
    Plan {
        name: Arc::from("test"),
        settings,
    }
    .bind()
    .await
    .unwrap()
}

pub(super) async fn start(settings: Settings) -> Fixture {
    start_with(settings, Bounds::default(), ROOMY, Collector::confirming()).await
}

pub(super) async fn start_with(
    settings: Settings,
    bounds: Bounds,
    limits: Limits,
    collected: Collector,
) -> Fixture {
    start_on(Arc::new(Memory::new(limits)), settings, bounds, collected).await
}

/// Starts with a queue that is there.
pub(super) async fn start_on(
    queue: Arc<dyn Queue>,
    settings: Settings,
    bounds: Bounds,
    collected: Collector,
) -> Fixture {
    let webhook = Webhook {
        bounds,
        ..bound(settings).await
    };
    let address = webhook.listener.local_addr().unwrap();
    let pipeline = Pipeline::on(queue, webhook, false, collected, RouteRules::default());
    Fixture { pipeline, address }
}

pub(super) fn post(body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut request = format!(
        "POST /events HTTP/1.1\r\nHost: kete\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

impl Fixture {
    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes and reads until the connection ends.
    pub(super) async fn exchange(&self, request: impl AsRef<[u8]>) -> Reply {
        let mut stream = self.connect().await;
        stream.write_all(request.as_ref()).await.unwrap();
        read_reply(&mut stream).await
    }

    pub(super) async fn post(&self, body: impl AsRef<[u8]>) -> Reply {
        self.exchange(post(body)).await
    }

    pub(super) async fn stopped(self) -> Report {
        self.pipeline.stopped().await
    }
}

pub(super) async fn read_reply(stream: &mut TcpStream) -> Reply {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(SOON, stream.read_to_end(&mut bytes)).await;
    read.expect("the connection ends").unwrap();
    parse_reply(&bytes)
}

pub(super) fn parse_reply(bytes: &[u8]) -> Reply {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0);
    let body = serde_json::from_str(body).unwrap_or(Value::Null);
    Reply {
        status,
        head: head.to_lowercase(),
        body,
    }
}
