//! One connection: bytes in both directions until a side ends, a cut is due, or all are reset.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;

use crate::state::{Mode, State};

const READ_SIZE: usize = 64 * 1024;

/// How a connection came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Both sides had said everything.
    Finished,
    /// A cut was due, all were reset, or a side broke: both get a reset.
    Broken,
}

/// Relays one client until its end.
pub(crate) async fn connection(client: TcpStream, state: Arc<State>) {
    state.connections.fetch_add(1, Relaxed);
    state.open.fetch_add(1, Relaxed);
    let mut resets = state.resets();
    let server = tokio::select! {
        server = reach_target(&state) => server,
        _ = resets.changed() => None,
    };
    match server {
        Some(server) => relay(client, server, &state, resets).await,
        None => crate::reset(client),
    }
    state.open.fetch_sub(1, Relaxed);
}

async fn reach_target(state: &State) -> Option<TcpStream> {
    state
        .mode()
        .wait_for(|mode| *mode == Mode::Forward)
        .await
        .ok()?;
    TcpStream::connect(state.target()).await.ok()
}

async fn relay(
    mut client: TcpStream,
    mut server: TcpStream,
    state: &State,
    mut resets: watch::Receiver<u64>,
) {
    // A relay that collects small writes would hide the sender's own batching.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let end = {
        let (client_read, client_write) = client.split();
        let (server_read, server_write) = server.split();
        let (mode, cut) = (state.mode(), state.next_cut());
        let up = Pump {
            mode: mode.clone(),
            state,
            cut,
            bytes: &state.upstream_bytes,
        };
        let down = Pump {
            mode,
            state,
            cut: None,
            bytes: &state.downstream_bytes,
        };
        let both = async {
            tokio::try_join!(
                up.run(client_read, server_write),
                down.run(server_read, client_write)
            )
        };
        tokio::select! {
            ended = both => if ended.is_ok() { End::Finished } else { End::Broken },
            _ = resets.changed() => End::Broken,
        }
    };
    if end == End::Broken {
        crate::reset(client);
        crate::reset(server);
    }
}

/// One direction.
struct Pump<'a> {
    mode: watch::Receiver<Mode>,
    state: &'a State,
    cut: Option<u64>,
    bytes: &'a AtomicU64,
}

impl Pump<'_> {
    /// Runs until the reading side ends properly; any other end is an error.
    async fn run(mut self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> io::Result<()> {
        let mut buffer = vec![0; READ_SIZE];
        loop {
            let count = from.read(&mut buffer).await?;
            // In a black hole what was read stays here and nothing more is read.
            let closed = self
                .mode
                .wait_for(|mode| *mode != Mode::BlackHole)
                .await
                .is_err();
            if closed {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            if count == 0 {
                return to.shutdown().await;
            }
            let allowed = self.allowed(count);
            to.write_all(&buffer[..allowed]).await?;
            self.bytes.fetch_add(allowed as u64, Relaxed);
            if allowed < count {
                self.state.cut.fetch_add(1, Relaxed);
                return Err(io::ErrorKind::ConnectionReset.into());
            }
        }
    }

    /// How many of the bytes may pass before the cut.
    fn allowed(&mut self, count: usize) -> usize {
        let Some(left) = self.cut.filter(|_| self.state.cutting()) else {
            return count;
        };
        let allowed = usize::try_from(left).unwrap_or(usize::MAX).min(count);
        self.cut = Some(left - allowed as u64);
        allowed
    }
}
