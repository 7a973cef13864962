//! The socket that the gateway listens on.
//!
//! An HTTP server that waits for a client to take what it was sent waits for ever: TCP keeps a silent client's connection
//! as long as it answers. So the kernel is told to end connections that take nothing.

use std::time::Duration;

use axum::serve::{ListenerExt as _, TapIo};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tracing::warn;

/// A client that takes nothing for this long is cut off: whoever reads a stream of events, an attachment, a web chat's
/// socket. Shorter than the time that a stopping gateway has (25 s), which such a client must not use up.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Small answers leave at once, and a connection ends whose client takes nothing for `patience`.
pub fn tuned(
    listener: TcpListener,
    patience: Duration,
) -> TapIo<TcpListener, impl FnMut(&mut TcpStream) + Send + 'static> {
    listener.tap_io(move |tcp| {
        if let Err(error) = tcp.set_nodelay(true) {
            warn!(%error, "TCP_NODELAY was refused: {error}");
        }
        if let Err(error) = SockRef::from(&*tcp).set_tcp_user_timeout(Some(patience)) {
            warn!(%error, "TCP_USER_TIMEOUT was refused: {error}");
        }
    })
}
