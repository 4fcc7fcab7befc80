//! A real socket.io server that records what it receives: `tests/servers/node` of the project.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::OnceCell;
use tokio::time::{interval, timeout};

/// How long anything may take before a test has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The server process; it ends with this value.
pub(crate) struct Recorder {
    child: Child,
    pub(crate) port: u16,
}

impl Recorder {
    pub(crate) async fn start(arguments: &[&str]) -> Recorder {
        let mut child = Command::new("node")
            .current_dir(installed().await)
            .arg("server.mjs")
            .args(arguments)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node has to be installed");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines
            .next_line()
            .await
            .unwrap()
            .expect("the server says its port");
        let said: Value = serde_json::from_str(&line).unwrap();
        let port = said["port"]
            .as_u64()
            .and_then(|port| port.try_into().ok())
            .unwrap();
        Recorder { child, port }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The events that were received, in order: `event`, `body`, `socket`, `namespace`.
    pub(crate) async fn events(&self) -> Vec<Value> {
        let events = self.ask("GET /events?limit=100000", "").await;
        serde_json::from_value(events).unwrap()
    }

    pub(crate) async fn count(&self) -> u64 {
        self.ask("GET /count", "").await["count"].as_u64().unwrap()
    }

    pub(crate) async fn connections(&self) -> u64 {
        self.ask("GET /summary", "").await["connections"]
            .as_u64()
            .unwrap()
    }

    /// Waits until the server has received exactly so many events.
    pub(crate) async fn counts(&self, events: u64) {
        let counted = async {
            let mut moments = interval(Duration::from_millis(20));
            while self.count().await != events {
                moments.tick().await;
            }
        };
        let counted = timeout(PATIENCE, counted).await;
        assert!(
            counted.is_ok(),
            "{} events, not {events}",
            self.count().await
        );
    }

    /// Changes the running server.
    pub(crate) async fn change(&self, mode: Value) {
        let answer = self.ask("POST /mode", &mode.to_string()).await;
        assert_eq!(answer.get("error"), None, "{answer}");
    }

    /// Waits until the server has exactly so many connections.
    pub(crate) async fn reaches(&self, connections: u64) {
        let reached = async {
            let mut moments = interval(Duration::from_millis(20));
            while self.connections().await != connections {
                moments.tick().await;
            }
        };
        let reached = timeout(PATIENCE, reached).await;
        assert!(
            reached.is_ok(),
            "{} connections, not {connections}",
            self.connections().await
        );
    }

    /// Stops the process without ending it, as a hung server would.
    pub(crate) async fn freeze(&self) {
        let process = self.child.id().unwrap().to_string();
        let status = Command::new("kill")
            .args(["-STOP", &process])
            .status()
            .await
            .unwrap();
        assert!(status.success());
    }

    /// Ends the process in order.
    pub(crate) async fn stop(mut self) {
        let process = self.child.id().unwrap().to_string();
        let status = Command::new("kill")
            .args(["-TERM", &process])
            .status()
            .await
            .unwrap();
        assert!(status.success());
        timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap();
    }

    /// Ends the process as a crash would.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    async fn ask(&self, request: &str, body: &str) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let length = body.len();
        let request = format!(
            "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut answer))
            .await
            .unwrap()
            .unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let body = if head.contains("chunked") {
            dechunked(body)
        } else {
            body.to_owned()
        };
        serde_json::from_str(&body).unwrap()
    }
}

fn dechunked(mut chunked: &str) -> String {
    let mut body = String::new();
    while let Some((size, rest)) = chunked.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            break;
        }
        body.push_str(&rest[..size]);
        chunked = &rest[size + 2..];
    }
    body
}

/// The directory of the server, with its packages in place: a test that is skipped for want of
/// them would prove nothing.
async fn installed() -> &'static Path {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    let directory = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/servers/node"
    ));
    let install = || async {
        // npm writes this file when everything else is in place.
        if directory.join("node_modules/.package-lock.json").exists() {
            return;
        }
        let mut npm = Command::new("npm");
        let npm = npm
            .current_dir(directory)
            .args(["ci", "--no-audit", "--no-fund"]);
        let status = npm
            .stdout(Stdio::null())
            .status()
            .await
            .expect("npm has to be installed");
        assert!(status.success(), "npm ci failed in {}", directory.display());
    };
    INSTALLED.get_or_init(install).await;
    directory
}
