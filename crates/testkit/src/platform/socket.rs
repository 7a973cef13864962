//! Connections that can be asked whether their client is gone.
//!
//! A worker that gives a bot away closes its connection before the next worker opens one, but the server's tasks may
//! learn of it in the other order: that would be counted as two polls at once. The kernel knows, so it is asked.

use std::io;
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// Accepts connections for the platform.
pub(super) struct Accept(pub(super) TcpListener);

/// A connection of which others hold a handle, too.
pub(super) struct Socket(Arc<TcpStream>);

/// Who makes a request.
#[derive(Clone)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    stream: Arc<TcpStream>,
}

impl Peer {
    /// Closes the connection under whoever serves it.
    pub(super) fn hang_up(&self) {
        // One that is closed already is as good.
        let _closed = socket2::SockRef::from(&*self.stream).shutdown(Shutdown::Both);
    }

    /// Whether the client has closed the connection, or died.
    pub(super) fn is_gone(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        match socket2::SockRef::from(&*self.stream).peek(&mut byte) {
            Ok(read) => read == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }
}

impl Listener for Accept {
    type Io = Socket;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Socket, SocketAddr) {
        loop {
            match self.0.accept().await {
                Ok((stream, address)) => return (Socket(Arc::new(stream)), address),
                // Of descriptors, for instance: some are free again in a moment.
                Err(error) => {
                    tracing::warn!("the platform can't accept a connection: {error}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, Accept>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Accept>) -> Self {
        Self { address: *stream.remote_addr(), stream: Arc::clone(&stream.io().0) }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(context))?;
            match self.0.try_read(buffer.initialize_unfilled()) {
                Ok(read) => {
                    buffer.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(context))?;
            match self.0.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(socket2::SockRef::from(&*self.0).shutdown(Shutdown::Write))
    }
}
