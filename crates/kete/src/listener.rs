//! A listener that cannot be filled up: few connections at a time, and none that stays silent.
//!
//! Health, metrics and the control socket are asked a few times a minute. Whoever opens more
//! connections than that waits, and whoever does not say what it wants loses its connection, so
//! that nobody can make the process hold what it does not need.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream, unix};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep_until};

/// The wait after the system refused to accept, because it is out of files for instance.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// What connections come from.
pub(crate) trait Accept: Send + 'static {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// Whose it is.
    type Address: Send;

    /// The next connection.
    fn next(&self) -> impl Future<Output = io::Result<(Self::Stream, Self::Address)>> + Send;

    /// Where it listens.
    fn address(&self) -> io::Result<Self::Address>;
}

/// How much a listener puts up with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The most connections at a time.
    pub(crate) connections: usize,
    /// How long a connection may go without a whole request, and an answer without a reader.
    pub(crate) patience: Duration,
}

/// The listener.
pub(crate) struct Bounded<L> {
    listener: L,
    free: Arc<Semaphore>,
    patience: Duration,
}

/// One of its connections.
pub(crate) struct Impatient<S> {
    stream: S,
    patience: Duration,
    deadline: Pin<Box<Sleep>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl<L: Accept> Bounded<L> {
    /// Bounds a listener that is bound already.
    pub(crate) fn new(listener: L, limits: Limits) -> Bounded<L> {
        Bounded {
            listener,
            free: Arc::new(Semaphore::new(limits.connections)),
            patience: limits.patience,
        }
    }
}

impl Accept for TcpListener {
    type Stream = TcpStream;
    type Address = SocketAddr;

    async fn next(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.accept().await
    }

    fn address(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }
}

impl Accept for UnixListener {
    type Stream = UnixStream;
    type Address = unix::SocketAddr;

    async fn next(&self) -> io::Result<(UnixStream, unix::SocketAddr)> {
        self.accept().await
    }

    fn address(&self) -> io::Result<unix::SocketAddr> {
        self.local_addr()
    }
}

impl<L: Accept> axum::serve::Listener for Bounded<L> {
    type Io = Impatient<L::Stream>;
    type Addr = L::Address;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        // The semaphore is never closed, so there is a permit sooner or later.
        let place = Arc::clone(&self.free).acquire_owned().await.ok();
        loop {
            match self.listener.next().await {
                Ok((stream, peer)) => return (Impatient::new(stream, self.patience, place), peer),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep_until(Instant::now() + AFTER_FAILURE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.address()
    }
}

impl<S> Impatient<S> {
    fn new(stream: S, patience: Duration, place: Option<OwnedSemaphorePermit>) -> Impatient<S> {
        let deadline = Box::pin(sleep_until(Instant::now() + patience));
        Impatient {
            stream,
            patience,
            deadline,
            _place: place,
        }
    }

    /// Fails once the deadline has passed; polled wherever the peer keeps us waiting.
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.deadline.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }

    /// An answer is going out, so the next request has all the time again.
    fn answered(&mut self) {
        let deadline = Instant::now() + self.patience;
        self.deadline.as_mut().reset(deadline);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(_)) = written {
            self.answered();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
