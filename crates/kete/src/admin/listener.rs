//! A listener that cannot be filled up: few connections at a time, and none that stays silent.
//!
//! Health and metrics are asked for a few times a minute. Whoever opens more connections than that
//! waits, and whoever does not say what it wants loses its connection, so that nobody can make the
//! process hold what it does not need.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep_until};

/// The most connections at a time.
const MAX_CONNECTIONS: usize = 32;
/// How long a connection may go without a whole request, and an answer without a reader.
const PATIENCE: Duration = Duration::from_secs(30);
/// The wait after the system refused to accept, because it is out of files for instance.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// The listener.
pub(super) struct Bounded {
    listener: TcpListener,
    free: Arc<Semaphore>,
}

/// One of its connections.
pub(super) struct Impatient {
    stream: TcpStream,
    deadline: Pin<Box<Sleep>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Bounded {
    pub(super) async fn bind(address: SocketAddr) -> io::Result<Bounded> {
        let listener = TcpListener::bind(address).await?;
        Ok(Bounded {
            listener,
            free: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
        })
    }
}

impl axum::serve::Listener for Bounded {
    type Io = Impatient;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Impatient, SocketAddr) {
        // The semaphore is never closed, so there is a permit sooner or later.
        let place = Arc::clone(&self.free).acquire_owned().await.ok();
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => return (Impatient::new(stream, place), peer),
                Err(error) => {
                    tracing::warn!(%error, "admin connection could not be accepted");
                    sleep_until(Instant::now() + AFTER_FAILURE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Impatient {
    fn new(stream: TcpStream, place: Option<OwnedSemaphorePermit>) -> Impatient {
        let deadline = Box::pin(sleep_until(Instant::now() + PATIENCE));
        Impatient {
            stream,
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
        self.deadline.as_mut().reset(Instant::now() + PATIENCE);
    }
}

impl AsyncRead for Impatient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Impatient {
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
