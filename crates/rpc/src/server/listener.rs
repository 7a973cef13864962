//! Connections that come in: plain ones, and TLS where certificates are set.
//!
//! The handshake is part of a connection's first read, not of accepting it, so that a peer that dawdles holds up nobody
//! else.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};
use tracing::warn;

use crate::Tls;
use crate::tls;

/// The first byte of a TLS connection: a handshake record. HTTP begins with a letter.
const HANDSHAKE: u8 = 22;
/// A connection says what it is, and is through with its handshake, within this.
const PATIENCE: Duration = Duration::from_secs(5);

/// Accepts connections of either kind.
pub(super) struct Listener {
    tcp: TcpListener,
    tls: Option<Tls>,
}

/// Who is at the other end.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    secured: Arc<AtomicBool>,
}

impl Peer {
    /// Whether it has shown a certificate of the cluster's authority.
    pub(super) fn is_secured(&self) -> bool {
        self.secured.load(Ordering::Acquire)
    }
}

impl Connected<IncomingStream<'_, Listener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Listener>) -> Self {
        stream.io().peer.clone()
    }
}

impl Listener {
    pub(super) fn new(tcp: TcpListener, tls: Option<Tls>) -> Self {
        Self { tcp, tls }
    }
}

impl axum::serve::Listener for Listener {
    type Io = Stream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Stream, SocketAddr) {
        let (tcp, address) = axum::serve::Listener::accept(&mut self.tcp).await;
        if let Err(error) = tcp.set_nodelay(true) {
            warn!(%error, "TCP_NODELAY was refused: {error}");
        }
        let peer = Peer { address, secured: Arc::default() };
        let state = match &self.tls {
            // The certificates of this moment.
            Some(tls) => State::Fresh(tcp, TlsAcceptor::from(tls.server())),
            None => State::Plain(tcp),
        };
        (Stream { state, peer, patience: Box::pin(tokio::time::sleep(PATIENCE)) }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// A connection.
pub(super) struct Stream {
    state: State,
    peer: Peer,
    patience: Pin<Box<Sleep>>,
}

enum State {
    /// Nothing was read yet.
    Fresh(TcpStream, TlsAcceptor),
    Handshake(Box<Accept<TcpStream>>),
    Tls(Box<TlsStream<TcpStream>>),
    Plain(TcpStream),
    /// The handshake failed.
    Ended,
}

impl Stream {
    /// Ready when the connection may be read and written.
    fn poll_established(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match &mut self.state {
                State::Tls(_) | State::Plain(_) => return Poll::Ready(Ok(())),
                State::Ended => return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
                State::Fresh(tcp, _) => {
                    let mut first = [0; 1];
                    let peeked = tcp.poll_peek(cx, &mut ReadBuf::new(&mut first));
                    if peeked.is_pending() {
                        ready!(self.patience.as_mut().poll(cx));
                        return self.end("it said nothing in time");
                    }
                    let is_tls = matches!(peeked, Poll::Ready(Ok(1..))) && first[0] == HANDSHAKE;
                    if let State::Fresh(tcp, acceptor) = std::mem::replace(&mut self.state, State::Ended) {
                        self.state = if is_tls {
                            State::Handshake(Box::new(acceptor.accept(tcp)))
                        } else {
                            State::Plain(tcp)
                        };
                    }
                }
                State::Handshake(accept) => match Pin::new(accept).poll(cx) {
                    Poll::Ready(Ok(stream)) => {
                        self.peer.secured.store(true, Ordering::Release);
                        self.state = State::Tls(Box::new(stream));
                    }
                    Poll::Ready(Err(error)) => {
                        let reason = tls::explain(&error).unwrap_or_else(|| error.to_string());
                        return self.end(&reason);
                    }
                    Poll::Pending => {
                        ready!(self.patience.as_mut().poll(cx));
                        return self.end("it did not finish its handshake in time");
                    }
                },
            }
        }
    }

    fn end(&mut self, reason: &str) -> Poll<io::Result<()>> {
        let address = self.peer.address;
        warn!(peer = %address, reason, "refused a connection from {address}: {reason}");
        self.state = State::Ended;
        Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_established(cx))?;
        match &mut this.state {
            State::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
            State::Plain(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            _ => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_established(cx))?;
        match &mut this.state {
            State::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
            State::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            _ => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().state {
            State::Tls(stream) => Pin::new(stream).poll_flush(cx),
            State::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            // Nothing was written yet.
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().state {
            State::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            State::Plain(tcp) | State::Fresh(tcp, _) => Pin::new(tcp).poll_shutdown(cx),
            _ => Poll::Ready(Ok(())),
        }
    }
}
