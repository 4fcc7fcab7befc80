//! A client's connection as one half to read from and one to write to, plain or through TLS.
//!
//! The halves of a TLS connection share its state. It is locked while bytes are encrypted or
//! decrypted and never while a read waits, so that the server's pings do not wait either.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::{ServerConfig, ServerConnection};

use crate::frames::READ_SIZE;

/// The type of the first record of a TLS connection: handshake (RFC 8446, section 5.1). No HTTP
/// request begins with it.
const HANDSHAKE: u8 = 22;

/// What comes from the client.
pub(crate) enum Incoming {
    Plain(TcpStream),
    Tls(Decrypter),
}

/// What goes to the client.
pub(crate) enum Outgoing {
    Plain(TcpStream),
    Tls(Arc<Encrypted>),
}

/// A TLS connection.
pub(crate) struct Encrypted {
    socket: TcpStream,
    state: Mutex<ServerConnection>,
}

/// Reads a TLS connection.
pub(crate) struct Decrypter {
    shared: Arc<Encrypted>,
    records: Vec<u8>,
    unread: Range<usize>,
}

/// Waits for the client's first byte and, if that begins TLS and there is a configuration for it,
/// until the handshake is over.
pub(crate) fn open(
    socket: TcpStream,
    tls: Option<&Arc<ServerConfig>>,
) -> io::Result<(Incoming, Outgoing)> {
    if let Some(config) = tls {
        let mut first = [0];
        socket.peek(&mut first)?;
        if first == [HANDSHAKE] {
            return accept(socket, config);
        }
    }
    let writer = socket.try_clone()?;
    Ok((Incoming::Plain(socket), Outgoing::Plain(writer)))
}

fn accept(socket: TcpStream, config: &Arc<ServerConfig>) -> io::Result<(Incoming, Outgoing)> {
    let mut state = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
    // What was encrypted is sent at once, so there is never much.
    state.set_buffer_limit(None);
    while state.is_handshaking() {
        if state.complete_io(&mut &socket)? == (0, 0) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    send(&mut state, &socket)?;
    let shared = Arc::new(Encrypted {
        socket,
        state: Mutex::new(state),
    });
    let decrypter = Decrypter {
        shared: Arc::clone(&shared),
        records: vec![0; READ_SIZE],
        unread: 0..0,
    };
    Ok((Incoming::Tls(decrypter), Outgoing::Tls(shared)))
}

/// Sends what is ready to be sent.
fn send(state: &mut ServerConnection, mut socket: &TcpStream) -> io::Result<()> {
    while state.wants_write() {
        state.write_tls(&mut socket)?;
    }
    Ok(())
}

impl Incoming {
    pub(crate) fn is_encrypted(&self) -> bool {
        matches!(self, Incoming::Tls(_))
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        match self {
            Incoming::Plain(socket) => socket,
            Incoming::Tls(decrypter) => &decrypter.shared.socket,
        }
    }
}

impl Read for Incoming {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Incoming::Plain(socket) => socket.read(room),
            Incoming::Tls(decrypter) => decrypter.read(room),
        }
    }
}

impl Decrypter {
    /// Fills `room` as far as possible without waiting, but waits for at least one byte. Zero
    /// bytes: the client is gone.
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        loop {
            let mut state = self.shared.lock();
            match state.reader().read(&mut room[filled..]) {
                // There is no more room, or the client said goodbye.
                Ok(0) => return Ok(filled),
                Ok(count) => filled += count,
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                Err(_) if !self.unread.is_empty() => {
                    let mut records = &self.records[self.unread.clone()];
                    self.unread.start += state.read_tls(&mut records)?;
                    let processed = state.process_new_packets();
                    send(&mut state, &self.shared.socket)?;
                    processed.map_err(io::Error::other)?;
                }
                Err(_) if filled > 0 => return Ok(filled),
                Err(_) => {
                    drop(state);
                    self.unread = 0..(&self.shared.socket).read(&mut self.records)?;
                    if self.unread.is_empty() {
                        return Ok(0);
                    }
                }
            }
        }
    }
}

impl Outgoing {
    /// Says that nothing more will come.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        let Outgoing::Tls(shared) = self else {
            return Ok(());
        };
        let mut state = shared.lock();
        state.send_close_notify();
        send(&mut state, &shared.socket)
    }
}

impl Write for Outgoing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Outgoing::Plain(socket) => socket.write(bytes),
            Outgoing::Tls(shared) => {
                let mut state = shared.lock();
                let count = state.writer().write(bytes)?;
                send(&mut state, &shared.socket)?;
                Ok(count)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Encrypted {
    fn lock(&self) -> MutexGuard<'_, ServerConnection> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
