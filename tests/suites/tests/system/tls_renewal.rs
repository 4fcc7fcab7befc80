//! Certificates that change while events flow: nothing is lost, the server sees the new ones
//! without a restart of anybody, and a renewal that is broken changes nothing.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use kete_suites::{
    Arrival, Certificates, Kete, Metrics, Relay, Sample, Server, all_wait, check_delivery,
    from_stdin, generate, sockets, to_socketio, trust,
};
use tempfile::TempDir;

const SECTION: &str = "kete.routes.all.destination.tls";

/// What is fed between two looks at what has arrived.
const PORTION: usize = 20;

#[tokio::test]
async fn twenty_thousand_events_survive_three_renewals_and_a_broken_one() -> Result<()> {
    let events = generate(111, 200, 20_000);
    let files = Files::new()?;
    files.put("client.pem", &files.identity("p256")?)?;
    files.put("trust.pem", &files.read("ca.pem")?)?;
    let mut world = World::start(
        &events,
        &files,
        &[
            "destination.pool.max-total=4",
            "destination.tls.reconnect-on-renewal=true",
        ],
    )
    .await?;

    world.feed(3_000).await?;
    files.put("client.pem", &files.identity("renewed")?)?;
    world.renewed(1).await?;
    world.feed(3_000).await?;
    world.until_seen(&fingerprint("renewed")?).await?;

    files.put("client.pem", &files.identity("rsa")?[..900])?;
    world
        .kete
        .wait_for_log("the store that is broken is named", |line| {
            line.text("key").ends_with("key-store.loader.path")
                && line.text("problem").contains("cut off")
        })
        .await?;
    world.feed(3_000).await?;
    world.cut().await?;
    world.until_seen(&fingerprint("renewed")?).await?;

    world.feed(3_000).await?;
    files.put("client.pem", &files.identity("rsa")?)?;
    world.renewed(2).await?;
    world.until_seen(&fingerprint("rsa")?).await?;

    let both = [
        files.read("ca.pem")?,
        files.read("servers/self-signed.pem")?,
    ]
    .concat();
    files.put("trust.pem", &both)?;
    world.renewed(3).await?;
    world.server.show("self-signed").await?;
    world.feed(3_000).await?;
    world.cut().await?;
    world.until_seen(&fingerprint("rsa")?).await?;

    world.feed(usize::MAX).await?;
    world.kete.finish().await?;
    let arrivals = world.server.arrivals().await?;
    check_delivery(&events, &arrivals)?;
    ensure!(arrivals[0].client()?.fingerprint == fingerprint("p256")?);
    ensure!(
        world.kete.dead_letters()?.is_empty(),
        "an event was given up"
    );
    Ok(())
}

/// As Kubernetes does it: files are links through a directory that is a link itself, and that one
/// is replaced.
#[tokio::test]
async fn without_reconnect_on_renewal_only_new_connections_show_the_new_certificate() -> Result<()>
{
    let events = generate(112, 5, 2_000);
    let files = Files::new()?;
    files.mount("p256", 1)?;
    for name in ["client.pem", "client.key"] {
        symlink(PathBuf::from("..data").join(name), files.path(name))?;
    }
    files.put("trust.pem", &files.read("ca.pem")?)?;
    let key = format!(
        "destination.tls.key-store.loader.key-path={}",
        files.path("client.key").display()
    );
    let mut world = World::start(&events, &files, &[&key]).await?;

    world.feed(PORTION).await?;
    let first = world.arrived(PORTION).await?;
    files.mount("renewed", 2)?;
    world.renewed(1).await?;
    world.feed(PORTION).await?;
    let second = world.arrived(2 * PORTION).await?;
    ensure!(sockets(&second) == sockets(&first), "it has reconnected");

    world.cut().await?;
    world.until_seen(&fingerprint("renewed")?).await?;

    // Nobody waits for a look at the files: a new connection takes one.
    files.mount("rsa", 3)?;
    world.cut().await?;
    let before = world.server.arrivals().await?.len();
    world.feed(PORTION).await?;
    let third = world.arrived(before + PORTION).await?;
    for arrival in &third[before..] {
        let seen = arrival.client()?;
        ensure!(seen.subject == "kete-rsa", "the server sees {seen:?}");
    }
    world.feed(usize::MAX).await?;
    world.kete.finish().await?;
    check_delivery(&events, &world.server.arrivals().await?)
}

#[tokio::test]
async fn an_authority_that_was_missing_is_added_while_events_wait() -> Result<()> {
    let events = generate(113, 5, 100);
    let files = Files::new()?;
    files.put("client.pem", &files.identity("p256")?)?;
    files.put("trust.pem", &files.read("other-ca.pem")?)?;
    let mut world = World::start(&events, &files, &[]).await?;

    world.feed(usize::MAX).await?;
    all_wait(&world.kete, "all", events.len(), "tls").await?;
    files.put("trust.pem", &files.read("ca.pem")?)?;
    world.kete.finish().await?;
    check_delivery(&events, &world.server.arrivals().await?)
}

#[tokio::test]
async fn the_days_that_are_left_are_those_of_the_certificate_in_use() -> Result<()> {
    let events = generate(114, 5, 100);
    let files = Files::new()?;
    files.put("client.pem", &files.identity("soon")?)?;
    files.put("trust.pem", &files.read("ca.pem")?)?;
    let mut world = World::start(&events, &files, &[]).await?;
    let store = format!("{SECTION}.key-store");
    let days = |now: &Metrics| now.sum("kete_certificate_days_left", &[("store", &store)]);

    world.feed(PORTION).await?;
    world.arrived(PORTION).await?;
    let left = days(&world.kete.metrics().await?);
    ensure!((1..=10).contains(&left), "it says {left} days");

    files.put("client.pem", &files.identity("p256")?)?;
    world.cut().await?;
    world.until_seen(&fingerprint("p256")?).await?;
    let left = days(&world.kete.metrics().await?);
    ensure!((300..=366).contains(&left), "it says {left} days");
    world.feed(usize::MAX).await?;
    world.kete.finish().await?;
    check_delivery(&events, &world.server.arrivals().await?)
}

/// A kete with files of its own, a network that can be cut, and a server that asks who it is.
struct World {
    kete: Kete,
    relay: Relay,
    server: Server,
    events: Vec<Sample>,
    fed: usize,
    /// Connections that were cut.
    gone: HashSet<String>,
}

impl World {
    async fn start(events: &[Sample], files: &Files, keys: &[&str]) -> Result<World> {
        let plan = Server::node().tls("good").requires_client_certificate();
        let server = plan.start().await?;
        let relay = Relay::to(server.port()).await?;
        let url = relay.url().replace("http://127.0.0.1", "https://localhost");
        let identity = format!(
            "{SECTION}.key-store.loader.kind=pem-file-path\n\
             {SECTION}.key-store.loader.path={}\n",
            files.path("client.pem").display()
        );
        let kete = Kete::run(&[
            from_stdin(),
            to_socketio("all", &url, keys),
            trust(SECTION, &files.path("trust.pem")),
            identity,
        ])
        .await?;
        Ok(World {
            kete,
            relay,
            server,
            events: events.to_vec(),
            fed: 0,
            gone: HashSet::new(),
        })
    }

    /// Feeds the next events, so many of them or all there are.
    async fn feed(&mut self, count: usize) -> Result<()> {
        let end = self.fed.saturating_add(count).min(self.events.len());
        self.kete.feed_events(&self.events[self.fed..end]).await?;
        self.fed = end;
        Ok(())
    }

    /// Waits until so many events have arrived.
    async fn arrived(&self, count: usize) -> Result<Vec<Arrival>> {
        self.kete
            .wait_until("they are delivered", |now| {
                now.forwarded("all") >= count as u64
            })
            .await?;
        self.server.arrivals().await
    }

    /// Cuts every connection.
    async fn cut(&mut self) -> Result<()> {
        let arrivals = self.server.arrivals().await?;
        self.gone
            .extend(sockets(&arrivals).into_iter().map(str::to_owned));
        self.relay.reset_all();
        Ok(())
    }

    /// Feeds events until the latest arrival came with this client certificate, and over none of
    /// the connections that were cut.
    async fn until_seen(&mut self, fingerprint: &str) -> Result<()> {
        loop {
            let arrivals = self.arrived(self.fed).await?;
            let last = arrivals.last().context("nothing has arrived")?;
            let seen = last.client()?;
            if seen.fingerprint == fingerprint && !self.gone.contains(&last.socket) {
                return Ok(());
            }
            ensure!(self.fed < self.events.len(), "it still shows {seen:?}");
            self.feed(PORTION).await?;
        }
    }

    /// Waits until kete has said so often that it has new certificates.
    async fn renewed(&self, times: usize) -> Result<()> {
        let said = || {
            let log = self.kete.log();
            let renewals = log
                .iter()
                .filter(|line| line.text("message").contains("renewed"));
            renewals.count()
        };
        self.kete
            .wait_for_log(&format!("renewal number {times}"), |_| said() >= times)
            .await?;
        Ok(())
    }
}

/// The files that kete is told to use.
struct Files {
    directory: TempDir,
    made: Certificates,
}

impl Files {
    fn new() -> Result<Files> {
        Ok(Files {
            directory: TempDir::with_prefix("kete-certificates-")?,
            made: Certificates::get()?,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Replaces a file at once, as a program does that renews certificates.
    fn put(&self, name: &str, content: &str) -> Result<()> {
        let written = self.path("new");
        fs::write(&written, content)?;
        Ok(fs::rename(written, self.path(name))?)
    }

    /// Replaces certificate and key together.
    fn mount(&self, client: &str, number: u32) -> Result<()> {
        let version = format!("..version-{number}");
        fs::create_dir(self.path(&version))?;
        let (certificate, key) = self.made.client(client);
        fs::copy(certificate, self.path(&version).join("client.pem"))?;
        fs::copy(key, self.path(&version).join("client.key"))?;
        symlink(&version, self.path("..new"))?;
        Ok(fs::rename(self.path("..new"), self.path("..data"))?)
    }

    /// What is in a file of `tests/certificates/make`.
    fn read(&self, path: &str) -> Result<String> {
        Ok(fs::read_to_string(self.made.file(path))?)
    }

    /// A client's certificate, its chain and its key in one.
    fn identity(&self, client: &str) -> Result<String> {
        let certificate = self.read(&format!("clients/{client}.pem"))?;
        Ok(certificate + &self.read(&format!("clients/{client}.key"))?)
    }
}

/// SHA-256 of a client's certificate, as a server tells it.
fn fingerprint(client: &str) -> Result<String> {
    let (certificate, _) = Certificates::get()?.client(client);
    let asked = std::process::Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
        .arg(certificate)
        .output()
        .context("openssl does not run")?;
    let said = String::from_utf8(asked.stdout)?;
    let (_, fingerprint) = said.trim().split_once('=').context("no fingerprint")?;
    Ok(fingerprint.to_owned())
}
