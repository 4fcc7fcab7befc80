//! A network that breaks on command: a TCP relay in front of a server.
//!
//! It can reset connections (both ends see a reset, and what was under way is gone), after numbers
//! of bytes that a seed decides or at once, and it can swallow: connections stay open and carry
//! nothing.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::events::Random;

/// A relay; its connections are reset when it is dropped.
pub struct Relay {
    port: u16,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    target: u16,
    cuts: Mutex<Cuts>,
    /// Counted up to reset every connection.
    resets: watch::Sender<u64>,
    swallows: watch::Sender<bool>,
}

/// Which connections are cut, and where.
struct Cuts {
    random: Random,
    left: u32,
    done: u32,
    after_bytes: Range<u64>,
}

impl Relay {
    /// Listens on a free port and passes everything on to this one.
    ///
    /// # Errors
    ///
    /// There is no free port.
    pub async fn to(target: u16) -> Result<Relay> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let cuts = Cuts {
            random: Random::new(0),
            left: 0,
            done: 0,
            after_bytes: 0..1,
        };
        let shared = Arc::new(Shared {
            target,
            cuts: Mutex::new(cuts),
            resets: watch::Sender::new(0),
            swallows: watch::Sender::new(false),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Relay { port, shared, task })
    }

    /// Its address as a URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Cuts the next connections, so many of them, each when the client has sent a number of bytes
    /// that the seed decides. Later ones are left alone, so that every test comes to an end.
    pub fn cut_at_random(&self, seed: u64, connections: u32, after_bytes: Range<u64>) {
        let random = Random::new(seed);
        *self.shared.cuts() = Cuts {
            random,
            left: connections,
            done: 0,
            after_bytes,
        };
    }

    /// How many connections were cut by [`Relay::cut_at_random`].
    #[must_use]
    pub fn cuts_done(&self) -> u32 {
        self.shared.cuts().done
    }

    /// Resets every connection there is.
    pub fn reset_all(&self) {
        self.shared.resets.send_modify(|resets| *resets += 1);
    }

    /// Carries nothing any more, or again. New connections are taken meanwhile.
    pub fn swallow(&self, swallows: bool) {
        self.shared.swallows.send_replace(swallows);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn cuts(&self) -> std::sync::MutexGuard<'_, Cuts> {
        self.cuts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cuts {
    /// After how many bytes the next connection is cut, if it is.
    fn next(&mut self) -> Option<u64> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let Range { start, end } = self.after_bytes;
        Some(start + self.random.below(end - start))
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let budget = shared.cuts().next();
        connections.spawn(carry(client, Arc::clone(&shared), budget));
        while connections.try_join_next().is_some() {}
    }
}

/// Why a connection is reset.
enum Broken {
    /// It has carried what it was allowed to.
    Cut,
    /// One of its ends broke.
    Failed,
}

impl From<io::Error> for Broken {
    fn from(_: io::Error) -> Broken {
        Broken::Failed
    }
}

async fn carry(mut client: TcpStream, shared: Arc<Shared>, budget: Option<u64>) {
    let mut resets = shared.resets.subscribe();
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", shared.target)).await else {
        reset(client);
        return;
    };
    let broken = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let upwards = pass(from_client, to_server, budget, shared.swallows.subscribe());
        let downwards = pass(from_server, to_client, None, shared.swallows.subscribe());
        tokio::select! {
            passed = async { tokio::try_join!(upwards, downwards) } => passed.err(),
            _ = resets.changed() => Some(Broken::Failed),
        }
    };
    if matches!(broken, Some(Broken::Cut)) {
        shared.cuts().done += 1;
    }
    if broken.is_some() {
        reset(client);
        reset(server);
    }
}

async fn pass(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut budget: Option<u64>,
    mut swallows: watch::Receiver<bool>,
) -> Result<(), Broken> {
    let mut buffer = [0; 16 * 1024];
    loop {
        let most = budget.map_or(buffer.len(), |budget| {
            buffer
                .len()
                .min(usize::try_from(budget).unwrap_or(usize::MAX))
        });
        if most == 0 {
            return Err(Broken::Cut);
        }
        let length = from.read(&mut buffer[..most]).await?;
        if swallows.wait_for(|swallows| !swallows).await.is_err() {
            return Err(Broken::Failed);
        }
        if length == 0 {
            return Ok(to.shutdown().await?);
        }
        to.write_all(&buffer[..length]).await?;
        budget = budget.map(|budget| budget - length as u64);
    }
}

/// Ends a connection so that its other end sees a reset, and loses what it has not read.
fn reset(stream: TcpStream) {
    // Without it the connection ends all the same, only more gently.
    let _best_effort = stream.set_zero_linger();
}
