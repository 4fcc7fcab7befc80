//! The real Socket.IO servers: started, stopped, frozen and killed as a test wants, always on the
//! same port and with the same record of what arrived.

use std::ffi::OsString;
use std::fmt::Display;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::eventually::eventually;
use crate::process::Process;
use crate::{Arrival, Certificates, environment, http};

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `socket.io` 4 on Node.
    Node,
    /// `python-socketio` on aiohttp.
    Python,
    /// `socketioxide`.
    Oxide,
}

/// A server to be started; its options are those of `tests/servers/node/options.mjs`.
#[derive(Debug, Clone)]
pub struct ServerPlan {
    kind: Kind,
    options: Vec<(String, String)>,
    /// The name of its certificate, if it has one.
    certificate: Option<String>,
    asks_for_certificates: bool,
}

/// A server and what it recorded.
pub struct Server {
    plan: ServerPlan,
    port: u16,
    /// Where it is controlled; another port than for clients if those need TLS.
    control: u16,
    directory: TempDir,
    process: Option<Process>,
}

impl ServerPlan {
    /// A server without options.
    #[must_use]
    pub fn new(kind: Kind) -> ServerPlan {
        ServerPlan {
            kind,
            options: Vec::new(),
            certificate: None,
            asks_for_certificates: false,
        }
    }

    /// Sets an option, such as `ack`.
    #[must_use]
    pub fn with(mut self, option: &str, value: impl Display) -> ServerPlan {
        self.options.push((option.to_owned(), value.to_string()));
        self
    }

    /// Speaks TLS with a certificate of `tests/certificates/make`, such as `good`.
    #[must_use]
    pub fn tls(mut self, certificate: &str) -> ServerPlan {
        self.certificate = Some(certificate.to_owned());
        self
    }

    /// Lets in only clients with a certificate of the good authority.
    #[must_use]
    pub fn requires_client_certificate(mut self) -> ServerPlan {
        self.asks_for_certificates = true;
        self
    }

    /// Verifies tokens with the keys at `jwks`; they have to name this issuer.
    #[must_use]
    pub fn verifies_tokens(self, jwks: &str, issuer: &str) -> ServerPlan {
        self.with("jwt-jwks", jwks).with("jwt-issuer", issuer)
    }

    /// Starts it on a free port.
    ///
    /// # Errors
    ///
    /// It is not installed, or does not start.
    pub async fn start(self) -> Result<Server> {
        self.start_on(0).await
    }

    /// Starts it on this port, as soon as that is free.
    ///
    /// # Errors
    ///
    /// It is not installed, or does not start.
    pub async fn start_on(self, port: u16) -> Result<Server> {
        let directory = TempDir::with_prefix("kete-server-")?;
        let mut server = Server {
            plan: self,
            port,
            control: port,
            directory,
            process: None,
        };
        server.start_again().await?;
        Ok(server)
    }

    fn command(&self, port: u16, record: PathBuf) -> Result<Command> {
        let mut command = match self.kind {
            Kind::Node => {
                let mut node = Command::new("node");
                node.arg(environment::node_server()?);
                node
            }
            Kind::Python => {
                let (python, server) = environment::python_server()?;
                let mut command = Command::new(python);
                command.arg(server);
                command
            }
            Kind::Oxide => Command::new(environment::peer("oxide-recorder")?),
        };
        command.args(["--port".into(), OsString::from(port.to_string())]);
        command.args(["--record".into(), record.into_os_string()]);
        for (option, value) in &self.options {
            command.arg(format!("--{option}={value}"));
        }
        command.args(self.tls_arguments()?);
        Ok(command)
    }

    fn tls_arguments(&self) -> Result<Vec<String>> {
        let Some(name) = &self.certificate else {
            return Ok(Vec::new());
        };
        let certificates = Certificates::get()?;
        let (certificate, key) = certificates.server(name);
        let mut arguments = vec![
            format!("--tls-cert={}", certificate.display()),
            format!("--tls-key={}", key.display()),
        ];
        if self.asks_for_certificates {
            arguments.push(format!("--tls-client-ca={}", certificates.ca().display()));
        }
        Ok(arguments)
    }
}

impl Server {
    /// `socket.io` 4 on Node, with options to be set.
    #[must_use]
    pub fn node() -> ServerPlan {
        ServerPlan::new(Kind::Node)
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address as a URL.
    #[must_use]
    pub fn url(&self) -> String {
        match self.plan.certificate {
            Some(_) => self.url_of("localhost"),
            None => self.url_of("127.0.0.1"),
        }
    }

    /// Its address as a URL with this host.
    #[must_use]
    pub fn url_of(&self, host: &str) -> String {
        let secure = self.plan.certificate.as_ref().map_or("", |_| "s");
        format!("http{secure}://{host}:{}", self.port)
    }

    /// Stops it as a supervisor would: connections are closed properly, and it ends with 0.
    ///
    /// # Errors
    ///
    /// It does not run, or ends otherwise.
    pub async fn stop(&mut self) -> Result<()> {
        self.running()?.signal(Signal::TERM)?;
        let status = self.running()?.ended().await?;
        let errors = self.process.take().map(|process| process.stderr.text());
        ensure!(
            status.success(),
            "the server ended with {status}: {errors:?}"
        );
        Ok(())
    }

    /// Kills it, as the kernel does when memory is short.
    ///
    /// # Errors
    ///
    /// It does not run.
    pub async fn kill(&mut self) -> Result<()> {
        self.running()?.signal(Signal::KILL)?;
        self.running()?.ended().await?;
        self.process = None;
        Ok(())
    }

    /// Stops it from running, without anybody being told.
    ///
    /// # Errors
    ///
    /// It does not run.
    pub fn freeze(&mut self) -> Result<()> {
        self.running()?.signal(Signal::STOP)
    }

    /// Lets it run again.
    ///
    /// # Errors
    ///
    /// It was not started.
    pub fn thaw(&mut self) -> Result<()> {
        self.running()?.signal(Signal::CONT)
    }

    /// Starts it again with the same options, port and record.
    ///
    /// # Errors
    ///
    /// It does not start.
    pub async fn start_again(&mut self) -> Result<()> {
        // Somebody may have the port for a moment as the near end of a connection.
        let started = eventually("the port is free", async || {
            match self.try_start().await? {
                Ok(started) => Ok(Ok(started)),
                Err(problem) if problem.contains("ddress already in use") => bail!("{problem}"),
                Err(problem) => Ok(Err(problem)),
            }
        });
        let (process, said) = started
            .await?
            .map_err(|problem| anyhow!("the server does not start: {problem}"))?;
        self.process = Some(process);
        self.port = u16::try_from(said["port"].as_u64().context("no port")?)?;
        self.control = u16::try_from(said["control"].as_u64().unwrap_or(self.port.into()))?;
        Ok(())
    }

    /// The process and its first line, or what it said when it ended instead.
    async fn try_start(&self) -> Result<Result<(Process, Value), String>> {
        let mut command = self.plan.command(self.port, self.record())?;
        let mut process = Process::spawn("the server", &mut command)?;
        let line = eventually("the first line of the server", async || {
            if let Some(line) = process.stdout.lines().first() {
                return Ok(Some(line.clone()));
            }
            process.has_ended()?.context("it runs and says nothing")?;
            Ok(None)
        });
        let Some(line) = line.await? else {
            process.ended().await?;
            return Ok(Err(process.stderr.text()));
        };
        let said = serde_json::from_str(&line).context("the server's first line")?;
        Ok(Ok((process, said)))
    }

    /// Stops it and starts it with other options, on the same port and with the same record.
    ///
    /// # Errors
    ///
    /// It does not stop or start.
    pub async fn become_another(&mut self, plan: ServerPlan) -> Result<()> {
        self.stop().await?;
        self.start_as(plan).await
    }

    /// Starts it with other options, on the same port and with the same record.
    ///
    /// # Errors
    ///
    /// It does not start.
    pub async fn start_as(&mut self, plan: ServerPlan) -> Result<()> {
        self.plan = plan;
        self.start_again().await
    }

    /// Shows another certificate of `tests/certificates/make` to new connections.
    ///
    /// # Errors
    ///
    /// It refuses.
    pub async fn show(&mut self, certificate: &str) -> Result<()> {
        let (file, key) = Certificates::get()?.server(certificate);
        self.set_mode(json!({ "tlsCert": file, "tlsKey": key }))
            .await?;
        self.plan.certificate = Some(certificate.to_owned());
        Ok(())
    }

    /// What it counted, such as `refusedTokens`.
    ///
    /// # Errors
    ///
    /// It does not answer.
    pub async fn counted(&self, what: &str) -> Result<u64> {
        let answer = http::client()?.get(self.control("summary")).send().await?;
        let summary: Value = answer.error_for_status()?.json().await?;
        summary[what]
            .as_u64()
            .with_context(|| format!("no {what} in {summary}"))
    }

    /// Changes the mode of a running Node server, such as its token.
    ///
    /// # Errors
    ///
    /// It refuses.
    pub async fn set_mode(&self, mode: Value) -> Result<()> {
        let answer = http::client()?.post(self.control("mode")).json(&mode);
        let answer = answer.send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(
            status.is_success(),
            "the server does not take {mode}: {text}"
        );
        Ok(())
    }

    /// Everything it recorded, in order of arrival. A line that a kill cut off is no arrival.
    ///
    /// What a server has read it handles a moment later; a server that runs is therefore asked
    /// something first, which it answers when it has.
    ///
    /// # Errors
    ///
    /// The record cannot be read.
    pub async fn arrivals(&self) -> Result<Vec<Arrival>> {
        if self.process.is_some() {
            let count = http::client()?.get(self.control("count"));
            count.send().await?.error_for_status()?;
        }
        let text = std::fs::read(self.record()).context("the server's record")?;
        let whole = text
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        let lines = text[..whole].split(|byte| *byte == b'\n');
        lines
            .filter(|line| !line.is_empty())
            .map(Arrival::parse)
            .collect()
    }

    /// Waits until so many different events have arrived.
    ///
    /// # Errors
    ///
    /// They do not.
    pub async fn wait_for(&self, count: usize) -> Result<Vec<Arrival>> {
        eventually(&format!("the arrival of {count} events"), async || {
            let arrivals = self.arrivals().await?;
            let found = crate::arrived(&arrivals).len();
            ensure!(found >= count, "there are {found}");
            Ok(arrivals)
        })
        .await
    }

    fn control(&self, what: &str) -> String {
        format!("http://127.0.0.1:{}/{what}", self.control)
    }

    /// The file of what it recorded.
    #[must_use]
    pub fn record(&self) -> PathBuf {
        self.directory.path().join("record.ndjson")
    }

    fn running(&mut self) -> Result<&mut Process> {
        self.process.as_mut().context("the server does not run")
    }
}
