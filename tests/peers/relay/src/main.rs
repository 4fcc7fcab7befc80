//! A TCP relay that breaks connections on demand, to show what survives it.
//!
//! It prints {"port":N,"control":M}: clients connect to `port` and are passed on to `--target`;
//! `control` is HTTP:
//!
//! - `POST /reset`: every open connection ends with a TCP reset, on both sides
//! - `POST /cuts?seed=1&min=10000&max=200000`: from now on every new connection is reset after
//!   between `min` and `max` bytes from its client, in a sequence that only the seed decides
//! - `POST /cuts/off`, also for connections that are already open
//! - `POST /mode/black-hole`: connections are accepted and nothing passes any more
//! - `POST /mode/refuse`: new connections are refused, as by a host without a server
//! - `POST /mode/forward`: back to normal; what waited in a black hole passes
//! - `POST /target?port=N`: new connections go there, on 127.0.0.1
//! - `GET /stats`
//!
//! SIGTERM ends it with status 0; open connections are reset.

mod control;
mod cuts;
mod pump;
mod state;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Result;
use clap::Parser;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use crate::state::{Mode, State};

/// Connections at a time; more are dropped at once.
const MOST_CONNECTIONS: usize = 1024;

/// A TCP relay that breaks connections on demand.
#[derive(Parser)]
struct Options {
    /// Port on 127.0.0.1 for clients; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Port on 127.0.0.1 for orders; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    control: u16,
    /// Where connections are passed on to.
    #[arg(long)]
    target: SocketAddr,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let options = Options::parse();
    let state = Arc::new(State::new(options.target));
    let clients = listen(SocketAddr::from((Ipv4Addr::LOCALHOST, options.port)))?;
    let control = TcpListener::bind((Ipv4Addr::LOCALHOST, options.control)).await?;
    let (port, orders) = (clients.local_addr()?.port(), control.local_addr()?.port());
    println!("{}", serde_json::json!({ "port": port, "control": orders }));
    let mut term = signal(SignalKind::terminate())?;
    tokio::select! {
        ended = relay(clients, &state) => ended,
        ended = axum::serve(control, control::router(Arc::clone(&state))) => Ok(ended?),
        _ = term.recv() => Ok(()),
    }
}

async fn relay(listener: TcpListener, state: &Arc<State>) -> Result<()> {
    let address = listener.local_addr()?;
    let mut mode = state.mode();
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        if *mode.borrow_and_update() == Mode::Refuse {
            // Only a port that nobody listens on refuses.
            drop(listener.take());
            mode.wait_for(|mode| *mode != Mode::Refuse).await?;
        }
        let open = match listener.take() {
            Some(open) => open,
            None => listen(address)?,
        };
        tokio::select! {
            accepted = open.accept() => {
                let (client, _) = accepted?;
                if connections.len() < MOST_CONNECTIONS {
                    connections.spawn(pump::connection(client, Arc::clone(state)));
                }
            }
            changed = mode.changed() => changed?,
            Some(_) = connections.join_next() => {}
        }
        listener = Some(open);
    }
}

/// The port can be taken again at once, although connections of before still linger.
fn listen(address: SocketAddr) -> Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket.listen(128)?)
}

/// Ends a connection with a reset instead of a farewell.
fn reset(stream: TcpStream) {
    // Without the option the stream is closed politely, which a test would notice.
    let _ = stream.set_zero_linger();
}
