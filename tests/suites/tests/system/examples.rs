//! What the project shows works, and so do the blocks that users of KETE have already: they are
//! used as they are, and only the address of the server is another one.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use kete_suites::{
    Arrival, Certificates, Kete, Server, ServerPlan, check, check_delivery, from_stdin, generate,
    project,
};
use tempfile::TempDir;

/// The files that examples name below `/etc/kete`, and which of the test's files they are here.
const NAMED: [(&str, &str); 5] = [
    ("tls/ca.pem", "ca.pem"),
    ("tls/client.p12", "stores/client-p256.p12"),
    ("tls/client.pem", "clients/p256.pem"),
    ("tls/client.key", "clients/p256.key"),
    ("oauth/client.key", "clients/p256.key"),
];

#[tokio::test]
async fn every_example_and_quickstart_passes_the_check() -> Result<()> {
    let etc = etc_kete()?;
    let mut files = properties(&project("config-examples"))?;
    ensure!(files.len() >= 18, "there are only {} examples", files.len());
    for quickstart in std::fs::read_dir(project("quickstarts"))? {
        files.extend(properties(&quickstart?.path())?);
    }
    ensure!(
        files.contains(&project("quickstarts/socketio/kete.properties")),
        "no quickstart"
    );
    for file in files {
        let path = file.display().to_string();
        let text = std::fs::read_to_string(&file)?;
        ensure!(text.starts_with("# "), "{path} does not say what it is for");
        let here = etc.path().join("example.properties");
        std::fs::write(
            &here,
            text.replace("/etc/kete", &etc.path().display().to_string()),
        )?;
        let ended = check(&["--config", &here.display().to_string()]).await?;
        // A quickstart that stays on one machine may be warned of being unencrypted.
        let clean = ended
            .stdout
            .contains("the configuration is right: no mistakes")
            || file.starts_with(project("quickstarts"));
        ensure!(ended.code == 0 && clean, "{path}: {}", ended.stdout);
    }
    Ok(())
}

/// A directory with everything that examples name below `/etc/kete`.
fn etc_kete() -> Result<TempDir> {
    let (etc, certificates) = (TempDir::with_prefix("etc-kete-")?, Certificates::get()?);
    for directory in ["tls", "oauth"] {
        std::fs::create_dir(etc.path().join(directory))?;
    }
    for (name, file) in NAMED {
        std::fs::copy(certificates.file(file), etc.path().join(name))?;
    }
    std::fs::write(etc.path().join("tls/store-password"), "store-password\n")?;
    std::fs::write(etc.path().join("oauth/client-secret"), "any-secret\n")?;
    Ok(etc)
}

#[tokio::test]
async fn ketes_simplest_block_delivers() -> Result<()> {
    let arrivals = deliver("simplest", "events", "", Server::node()).await?;
    all_are_called("keycloak-event", &arrivals)
}

#[tokio::test]
async fn ketes_block_with_static_headers_delivers() -> Result<()> {
    let server = Server::node()
        .with("token", "token123")
        .with("token-check", "401");
    let arrivals = deliver("static-headers", "socketio-auth", "", server).await?;
    all_are_called("event", &arrivals)
}

#[tokio::test]
async fn ketes_block_with_a_name_per_event_type_delivers() -> Result<()> {
    let kind = "kete.routes.socketio.destination.kind=socketio\n";
    let arrivals = deliver("name-per-type", "socketio", kind, Server::node()).await?;
    for arrival in &arrivals {
        let event_type = arrival.body["type"]
            .as_str()
            .unwrap_or("user_create")
            .to_lowercase();
        let operation = arrival.body["operationType"].as_str();
        let expected = match operation {
            Some(operation) => format!("keycloak-user_{}", operation.to_lowercase()),
            None => format!("keycloak-{event_type}"),
        };
        ensure!(
            arrival.event == expected,
            "{} instead of {expected}",
            arrival.event
        );
    }
    Ok(())
}

#[tokio::test]
async fn ketes_block_with_a_name_per_realm_delivers() -> Result<()> {
    let kind = "kete.routes.socketio.destination.kind=socketio\n";
    let arrivals = deliver("name-per-realm", "socketio", kind, Server::node()).await?;
    all_are_called("demo-event", &arrivals)
}

#[tokio::test]
async fn ketes_block_with_namespace_and_path_delivers() -> Result<()> {
    let server = Server::node()
        .with("namespaces", "/,/keycloak")
        .with("path", "/ws/");
    let arrivals = deliver("namespace-and-path", "ns-events", "", server).await?;
    ensure!(
        arrivals
            .iter()
            .all(|arrival| arrival.namespace == "/keycloak"),
        "another namespace"
    );
    all_are_called("user-event", &arrivals)
}

#[tokio::test]
async fn ketes_block_for_high_throughput_delivers() -> Result<()> {
    let server = Server::node().with("namespaces", "/,/admin");
    let arrivals = deliver("high-throughput", "dashboard", "", server).await?;
    ensure!(
        arrivals.iter().all(|arrival| arrival.namespace == "/admin"),
        "another namespace"
    );
    all_are_called("event", &arrivals)
}

/// Sends events through the route of a block as it stands in `tests/data`; the lines that the
/// block leaves out and the address of the server are added.
async fn deliver(
    block: &str,
    route: &str,
    added: &str,
    server: ServerPlan,
) -> Result<Vec<Arrival>> {
    let path = project(&format!("tests/suites/tests/data/{block}.properties"));
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let server = server.start().await?;
    let url_key = format!("kete.routes.{route}.destination.url=");
    let mut lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with(&url_key))
        .collect();
    let url = format!("{url_key}{}", server.url());
    lines.push(&url);
    let route = lines.join("\n") + "\n";

    let events = generate(71, 5, 50);
    let mut kete = Kete::run(&[from_stdin(), route, added.to_owned()]).await?;
    kete.feed_events(&events).await?;
    kete.finish().await?;
    let arrivals = server.arrivals().await?;
    check_delivery(&events, &arrivals)?;
    Ok(arrivals)
}

fn all_are_called(name: &str, arrivals: &[Arrival]) -> Result<()> {
    let other = arrivals.iter().find(|arrival| arrival.event != name);
    ensure!(
        other.is_none(),
        "{:?} is not called {name}",
        other.map(|other| &other.event)
    );
    Ok(())
}

fn properties(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "properties")
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
