//! Requests through a proxy that really makes connections.

use std::env;
use std::process::Command;

use kete_config::{Diagnostics, Loader};
use kete_credentials::http::HttpClient;
use kete_credentials::proxy::{PROXY_KEYS, ProxySettings};
use kete_credentials::tls::{TLS_KEYS, TlsSettings};
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use url::Url;

use crate::fixtures::{TRUSTING, tls, trusting};
use crate::http::get;
use crate::server::{Clients, Server, header, read_head};

/// `alice` and `proxy-password`.
const LOGIN: &str = "Basic YWxpY2U6cHJveHktcGFzc3dvcmQ=";

/// A proxy; it stops when this is dropped.
struct Proxy {
    port: u16,
    /// The first lines of the requests that it granted.
    granted: mpsc::UnboundedReceiver<String>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// Whoever logs in is connected to the port that they ask for on this machine, whatever the
    /// host is called.
    async fn start() -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (report, granted) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(pass(stream, report.clone()));
            }
        });
        Proxy {
            port,
            granted,
            task,
        }
    }

    fn url(&self) -> String {
        format!("url=http://localhost:{}", self.port)
    }
}

async fn pass(mut stream: TcpStream, report: mpsc::UnboundedSender<String>) {
    let Some(head) = read_head(&mut stream).await else {
        return;
    };
    if header(&head, "proxy-authorization").as_deref() != Some(LOGIN) {
        let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(refusal.as_bytes()).await.unwrap();
        return;
    }
    let first = head.lines().next().unwrap().to_owned();
    report.send(first.clone()).unwrap();
    if !first.starts_with("CONNECT ") {
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nproxy";
        stream.write_all(answer.as_bytes()).await.unwrap();
        return;
    }
    let authority = first.split(' ').nth(1).unwrap();
    let (_, port) = authority.rsplit_once(':').unwrap();
    let port: u16 = port.parse().unwrap();
    let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let granted = "HTTP/1.1 200 Connection established\r\n\r\n";
    stream.write_all(granted.as_bytes()).await.unwrap();
    // Either side may go first.
    let _ = copy_bidirectional(&mut stream, &mut server).await;
}

/// What a section `proxy` says, and what is said of it.
pub(crate) fn read(assignments: &[&str]) -> (Option<Option<ProxySettings>>, String) {
    let diagnostics = Diagnostics::new();
    let set = |loader: Loader, text: &&str| loader.set(format!("proxy.{text}"));
    let settings = assignments.iter().fold(Loader::new("proxy"), set);
    let settings = settings.load(&diagnostics);
    let scope = settings.scope("proxy", &diagnostics);
    scope.check_unknown(&[PROXY_KEYS]);
    let read = ProxySettings::read(&scope);
    assert_eq!(read.is_none(), diagnostics.has_errors(), "{diagnostics}");
    (read, diagnostics.to_string())
}

/// A client of the tests' own authority that goes through a proxy.
fn client(assignments: &[&str]) -> HttpClient {
    let (proxy, text) = read(assignments);
    assert_eq!(text, "");
    HttpClient::new(Some(tls(&TRUSTING)), proxy.unwrap()).unwrap()
}

#[tokio::test]
async fn an_encrypted_request_goes_through_a_tunnel() {
    let mut proxy = Proxy::start().await;
    let server = Server::start("good", Clients::NotAsked).await;
    // A name that only the proxy knows.
    let url = format!("https://a.wild.localhost:{}/", server.port);
    let login = ["username=alice", "password=proxy-password"];
    let through = client(&[&proxy.url(), login[0], login[1]]);
    let host = format!("a.wild.localhost:{}", server.port);
    assert_eq!(get(&through, &url).await, Ok(host.clone()));
    let granted = proxy.granted.recv().await.unwrap();
    assert_eq!(granted, format!("CONNECT {host} HTTP/1.1"));
}

#[tokio::test]
async fn who_does_not_log_in_does_not_get_through() {
    let mut proxy = Proxy::start().await;
    let server = Server::start("good", Clients::NotAsked).await;
    let url = format!("https://localhost:{}/", server.port);
    let wrong: [&[&str]; 2] = [&[], &["username=alice", "password=wrong-password"]];
    for login in wrong {
        let url_key = proxy.url();
        let mut assignments = vec![url_key.as_str()];
        assignments.extend(login);
        let problem = get(&client(&assignments), &url).await.unwrap_err();
        assert!(
            problem.contains("proxy authorization required"),
            "{problem}"
        );
        assert!(!problem.contains("wrong-password"), "{problem}");
    }
    assert!(proxy.granted.try_recv().is_err());
}

#[tokio::test]
async fn a_plain_request_is_handed_to_the_proxy() {
    let mut proxy = Proxy::start().await;
    let login = ["username=alice", "password=proxy-password"];
    let through = client(&[&proxy.url(), login[0], login[1]]);
    let answer = get(&through, "http://nowhere.example/path").await;
    assert_eq!(answer.as_deref(), Ok("proxy"));
    let granted = proxy.granted.recv().await.unwrap();
    assert_eq!(granted, "GET http://nowhere.example/path HTTP/1.1");
}

#[tokio::test]
async fn hosts_can_be_left_out() {
    let mut proxy = Proxy::start().await;
    let server = Server::start("good", Clients::NotAsked).await;
    for (no_proxy, host) in [
        ("localhost", "localhost"),
        ("elsewhere.example, localhost", "localhost"),
        ("127.0.0.0/8", "127.0.0.1"),
        ("*", "localhost"),
    ] {
        let no_proxy = format!("no-proxy={no_proxy}");
        let direct = client(&[&proxy.url(), &no_proxy]);
        let url = format!("https://{host}:{}/", server.port);
        let expected = format!("{host}:{}", server.port);
        assert_eq!(get(&direct, &url).await, Ok(expected), "{no_proxy}");
    }
    assert!(proxy.granted.try_recv().is_err());
}

/// The environment is the process's, so this test asks in a process of its own: itself.
#[tokio::test]
async fn the_environment_counts_only_where_it_is_said() {
    const NAME: &str = "proxy::the_environment_counts_only_where_it_is_said";
    if let Ok(url) = env::var("KETE_TEST_URL") {
        let from_env = env::var("KETE_TEST_FROM_ENV").unwrap();
        let answer = get(&client(&[&from_env]), &url).await;
        assert_eq!(answer, Ok(env::var("KETE_TEST_EXPECTED").unwrap()));
        return;
    }
    let mut proxy = Proxy::start().await;
    let server = Server::start("good", Clients::NotAsked).await;
    let host = format!("localhost:{}", server.port);
    for (from_env, uses_proxy) in [("from-env=true", true), ("from-env=false", false)] {
        let login = "alice:proxy-password";
        let variable = format!("http://{login}@localhost:{}", proxy.port);
        let mut child = Command::new(env::current_exe().unwrap());
        child
            .args(["--exact", NAME])
            .env("HTTPS_PROXY", variable)
            .env("KETE_TEST_FROM_ENV", from_env)
            .env("KETE_TEST_EXPECTED", &host)
            .env("KETE_TEST_URL", format!("https://{host}/"));
        let ran = tokio::task::spawn_blocking(move || child.output());
        let ran = ran.await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success() && said.contains("1 passed"), "{said}");
        assert_eq!(proxy.granted.try_recv().is_ok(), uses_proxy, "{from_env}");
    }
}

#[test]
fn wrong_sections_are_explained() {
    for (assignments, expected) in WRONG {
        let (_, text) = read(assignments);
        assert_eq!(text.trim_end(), *expected, "{assignments:?}");
    }
}

const WRONG: &[(&[&str], &str)] = &[
    (&[], ""),
    (&["from-env=true"], ""),
    (&["url=https://proxy.example:3128/"], ""),
    (
        &["url=proxy.example:3128"],
        "error[bad-value]: --set: proxy.url = \"proxy.example:3128\"\n  expected scheme, host and \
         port of a proxy, such as http://proxy:3128, but it does not begin with a scheme, // and \
         a host\n  write http:// or https:// before the host",
    ),
    (
        &["url=socks5://proxy.example"],
        "error[bad-value]: --set: proxy.url = \"socks5://proxy.example\"\n  expected scheme, host \
         and port of a proxy, such as http://proxy:3128, but its scheme is another\n  write \
         http:// or https://",
    ),
    (
        &["url=http://alice:proxy-password@proxy.example"],
        "error[bad-value]: --set: proxy.url = \"http://(hidden)@proxy.example\"\n  expected \
         scheme, host and port of a proxy, such as http://proxy:3128, but it says who logs in\n  \
         write them into the keys username and password",
    ),
    (
        &["url=http://proxy.example/path"],
        "error[bad-value]: --set: proxy.url = \"http://proxy.example/path\"\n  expected scheme, \
         host and port of a proxy, such as http://proxy:3128, but it has more than that\n  leave \
         out what follows the port",
    ),
    (
        &["url=http://proxy.example", "from-env=true"],
        "error[contradiction]: --set: proxy.from-env = \"true\"\n  url names a proxy, and only \
         one of them can count\n  leave one of them out",
    ),
    (
        &["username=alice", "password=proxy-password", "no-proxy=a"],
        "error[missing-key]: proxy.url\n  this key is required, because username is set\n  \
         expected scheme, host and port of a proxy, such as http://proxy:3128",
    ),
    (
        &["url=http://proxy.example", "password=proxy-password"],
        "error[missing-key]: proxy.username\n  this key is required, because password is set",
    ),
    (
        &["url=http://proxy.example", "username=al:ice"],
        "error[bad-value]: --set: proxy.username = \"al:ice\"\n  a user name of Basic \
         authentication has no colon (RFC 7617, section 2)",
    ),
    (
        &["from-env=true", "no-proxy=localhost"],
        "warning[no-effect]: --set: proxy.no-proxy = \"localhost\"\n  the environment says this, \
         because from-env is true",
    ),
    (
        &["url=http://proxy.example", "no-proxy=a,,b"],
        "error[bad-value]: --set: proxy.no-proxy = \"a,,b\"\n  expected a comma-separated list, \
         but one of its parts is empty",
    ),
];

#[test]
fn a_server_name_beside_a_proxy_is_an_error_at_once() {
    let diagnostics = Diagnostics::new();
    let settings = Loader::new("x")
        .set("x.tls.server-name=elsewhere.example")
        .set("x.proxy.url=http://proxy.example")
        .load(&diagnostics);
    let scope = settings.scope("x.proxy", &diagnostics);
    let url: Url = "https://localhost".parse().unwrap();
    let tls_scope = settings.scope("x.tls", &diagnostics);
    tls_scope.check_unknown(&[TLS_KEYS]);
    let named = TlsSettings::read(&tls_scope, Some(&url)).unwrap();
    let proxy = ProxySettings::read(&scope).unwrap().unwrap();
    assert!(proxy.check_tls(&scope, &TlsSettings::default_for(&url)));
    assert!(diagnostics.is_empty());
    assert!(!proxy.check_tls(&scope, &named));
    assert_eq!(
        diagnostics.to_string(),
        "error[contradiction]: --set: x.proxy.url = \"http://proxy.example\"\n  tls.server-name \
         is elsewhere.example, and a proxy would connect to that instead of the url's host\n  \
         leave out server-name, or go without a proxy\n"
    );
}

#[test]
fn who_logs_in_is_not_in_debug_output() {
    let login = ["username=alice", "password=proxy-password"];
    let (proxy, _) = read(&["url=http://proxy.example", login[0], login[1]]);
    let shown = format!("{proxy:?}");
    assert!(shown.contains("proxy.example"), "{shown}");
    assert!(
        !shown.contains("alice") && !shown.contains("password"),
        "{shown}"
    );
    let client = HttpClient::new(Some(tls(&trusting(&[]))), proxy.unwrap()).unwrap();
    let shown = format!("{client:?}");
    assert!(!shown.contains("proxy-password"), "{shown}");
}
