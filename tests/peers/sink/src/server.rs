//! Listens, gives every client a thread, sends the server's pings, and stops all of it.
//!
//! Threads rather than tasks: a thread that reads one socket costs less per byte than anything
//! else, and the benchmarks open a handful of connections.

use std::collections::HashMap;
use std::io::Write;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Scope};
use std::time::Duration;

use anyhow::Result;
use measure::tls::{self, Identity, Sessions};
use rustls::ServerConfig;

use crate::Options;
use crate::control::Request;
use crate::packets;
use crate::session::{Session, Writer};
use crate::stream::{self, Incoming};
use crate::totals::Totals;

/// A client that takes longer for its request, or to read an answer, is dropped.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Server {
    options: Options,
    tls: Option<Arc<ServerConfig>>,
    listener: TcpListener,
    totals: Totals,
    /// Every connection that is open, to be pinged and, in the end, shut down.
    clients: Mutex<HashMap<u64, Client>>,
    stopping: AtomicBool,
}

struct Client {
    socket: TcpStream,
    /// Missing until the client has its WebSocket: before that a ping would break the handshake.
    writer: Option<Writer>,
}

impl Server {
    pub(crate) fn bind(options: Options) -> Result<Server> {
        let files = options.tls_cert.as_deref().zip(options.tls_key.as_deref());
        let identity = files.map(|(certificates, key)| Identity { certificates, key });
        let tls = identity.map(|identity| tls::server(identity, None, Sessions::Resumable));
        let tls = tls.transpose()?.map(Arc::new);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))?;
        let (totals, clients) = (Totals::default(), Mutex::default());
        Ok(Server {
            options,
            tls,
            listener,
            totals,
            clients,
            stopping: AtomicBool::new(false),
        })
    }

    pub(crate) fn port(&self) -> Result<u16> {
        Ok(self.listener.local_addr()?.port())
    }

    /// Serves until something comes through the channel, which `POST /stop` sees to as well, and
    /// returns what arrived.
    pub(crate) fn run(self, stop: SyncSender<()>, stopped: &Receiver<()>) -> Result<Totals> {
        let address = self.listener.local_addr()?;
        thread::scope(|scope| {
            scope.spawn(|| self.accept(scope, &stop));
            let interval = Duration::from_millis(self.options.ping_interval);
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                self.ping_all();
            }
            self.stopping.store(true, Relaxed);
            for client in self.clients().values() {
                let _ = client.socket.shutdown(Shutdown::Both);
            }
            // Wakes the accepting thread, which then sees that the server is stopping.
            drop(TcpStream::connect(address));
        });
        Ok(self.totals)
    }

    fn accept<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, stop: &SyncSender<()>) {
        for (number, stream) in (1..).zip(self.listener.incoming()) {
            if self.stopping.load(Relaxed) {
                return;
            }
            let Ok(stream) = stream else { continue };
            let stop = stop.clone();
            scope.spawn(move || {
                if let Err(error) = self.serve(number, stream, &stop) {
                    eprintln!("sink: connection {number}: {error}");
                }
                self.clients().remove(&number);
            });
        }
    }

    fn serve(&self, number: u64, socket: TcpStream, stop: &SyncSender<()>) -> Result<()> {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let client = Client {
            socket: socket.try_clone()?,
            writer: None,
        };
        self.clients().insert(number, client);
        let (mut incoming, mut outgoing) = stream::open(socket, self.tls.as_ref())?;
        let request = Request::read(&mut incoming)?;
        let refused = self.tls.is_some() && !incoming.is_encrypted();
        let accept = request.websocket_accept().filter(|_| !refused);
        let Some(accept) = accept else {
            request.answer(&mut outgoing, &self.totals, || _ = stop.try_send(()))?;
            return Ok(outgoing.finish()?);
        };
        incoming.socket().set_read_timeout(None)?;
        let writer: Writer = Arc::new(Mutex::new(outgoing));
        self.totals.connections.fetch_add(1, Relaxed);
        self.totals.open.fetch_add(1, Relaxed);
        let ended = self.converse(number, incoming, &writer, &accept);
        self.totals.open.fetch_sub(1, Relaxed);
        let mut outgoing = writer.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever left need not hear of the end.
        let _ = outgoing.finish();
        ended
    }

    fn converse(
        &self,
        number: u64,
        incoming: Incoming,
        writer: &Writer,
        accept: &str,
    ) -> Result<()> {
        let (writer, shared) = (Arc::clone(writer), Arc::clone(writer));
        let mut session = Session::new(number, incoming, writer, &self.totals, &self.options);
        session.open(accept, &self.options)?;
        if let Some(client) = self.clients().get_mut(&number) {
            client.writer = Some(shared);
        }
        session.run()
    }

    /// Engine.IO 4: the server pings, the client answers.
    fn ping_all(&self) {
        let mut ping = Vec::new();
        packets::push_text(&mut ping, "2");
        let writers: Vec<Writer> = self
            .clients()
            .values()
            .filter_map(|client| client.writer.clone())
            .collect();
        for writer in writers {
            // A client that cannot be written to is dropped by its own thread.
            let _ = writer
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .write_all(&ping);
        }
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<u64, Client>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
