//! Listens, gives every client a thread, sends the server's pings, and stops all of it.
//!
//! Threads rather than tasks: a thread that reads one socket costs less per byte than anything
//! else, and the benchmarks open a handful of connections.

use std::collections::HashMap;
use std::io::Write;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Scope};
use std::time::Duration;

use anyhow::Result;

use crate::Options;
use crate::control::Request;
use crate::packets;
use crate::session::{Session, Writer};
use crate::totals::Totals;

/// A client that takes longer for its request, or to read an answer, is dropped.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Server {
    options: Options,
    listener: TcpListener,
    totals: Totals,
    /// Every connection that is open, to be pinged and, in the end, shut down.
    clients: Mutex<HashMap<u64, Client>>,
    stopping: AtomicBool,
}

struct Client {
    writer: Writer,
    /// False until the client has its WebSocket: before that a ping would break the handshake.
    upgraded: bool,
}

impl Server {
    pub(crate) fn bind(options: Options) -> Result<Server> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))?;
        let (totals, clients) = (Totals::default(), Mutex::default());
        Ok(Server {
            options,
            listener,
            totals,
            clients,
            stopping: AtomicBool::new(false),
        })
    }

    pub(crate) fn port(&self) -> Result<u16> {
        Ok(self.listener.local_addr()?.port())
    }

    /// Serves until it is told to stop, and returns what arrived.
    pub(crate) fn run(self) -> Result<Totals> {
        let (stop, stopped) = mpsc::sync_channel(1);
        let signal = stop.clone();
        ctrlc::set_handler(move || _ = signal.try_send(()))?;
        let address = self.listener.local_addr()?;
        thread::scope(|scope| {
            scope.spawn(|| self.accept(scope, &stop));
            let interval = Duration::from_millis(self.options.ping_interval);
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                self.ping_all();
            }
            self.stopping.store(true, Relaxed);
            for client in self.clients().values() {
                let _ = client.writer().shutdown(Shutdown::Both);
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

    fn serve(&self, number: u64, mut stream: TcpStream, stop: &SyncSender<()>) -> Result<()> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let writer: Writer = Arc::new(Mutex::new(stream.try_clone()?));
        let client = Client {
            writer: Arc::clone(&writer),
            upgraded: false,
        };
        self.clients().insert(number, client);
        let request = Request::read(&mut stream)?;
        let Some(accept) = request.websocket_accept() else {
            return request.answer(&mut stream, &self.totals, || _ = stop.try_send(()));
        };
        stream.set_read_timeout(None)?;
        self.totals.connections.fetch_add(1, Relaxed);
        self.totals.open.fetch_add(1, Relaxed);
        let mut session = Session::new(number, stream, writer, &self.totals, &self.options);
        let ended = session.open(&accept, &self.options).and_then(|()| {
            if let Some(client) = self.clients().get_mut(&number) {
                client.upgraded = true;
            }
            session.run()
        });
        self.totals.open.fetch_sub(1, Relaxed);
        ended
    }

    /// Engine.IO 4: the server pings, the client answers.
    fn ping_all(&self) {
        let mut ping = Vec::new();
        packets::push_text(&mut ping, "2");
        let writers: Vec<Writer> = self
            .clients()
            .values()
            .filter(|client| client.upgraded)
            .map(|client| Arc::clone(&client.writer))
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

impl Client {
    fn writer(&self) -> MutexGuard<'_, TcpStream> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
