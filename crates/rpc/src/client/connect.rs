//! Making a connection, with TLS where it is set, and saying in words why there is none.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Status};

use super::CallError;
use crate::Tls;
use crate::tls;

/// A connection, its handshake included, stands within this.
const CONNECT: Duration = Duration::from_secs(1);

trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// A connection to `address`, made at the first call and again after it broke, each time with the certificates of
/// that moment.
pub(super) fn lazily(address: &str, tls: Option<Tls>) -> Result<Channel, CallError> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"));
    let endpoint = endpoint.map_err(|_| CallError::Address(address.to_owned()))?;
    Ok(endpoint
        .connect_timeout(CONNECT)
        .http2_keep_alive_interval(Duration::from_secs(5))
        .keep_alive_timeout(Duration::from_secs(3))
        .keep_alive_while_idle(true)
        .connect_with_connector_lazy(tower::service_fn(move |uri: Uri| connect(uri, tls.clone()))))
}

async fn connect(uri: Uri, tls: Option<Tls>) -> io::Result<TokioIo<Box<dyn Io>>> {
    let no_port = || io::Error::new(io::ErrorKind::InvalidInput, "the address has no port");
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let tcp = TcpStream::connect((host, uri.port_u16().ok_or_else(no_port)?)).await?;
    tcp.set_nodelay(true)?;
    let Some(tls) = tls else { return Ok(TokioIo::new(Box::new(tcp))) };
    let connector = TlsConnector::from(tls.client());
    Ok(TokioIo::new(Box::new(connector.connect(tls::server_name()?, tcp).await?)))
}

/// Whether the connection failed, rather than the call.
pub(super) fn is_broken(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable)
        || (status.code() == Code::Unknown && status.source().is_some())
}

/// Why a call failed, down to the cause that somebody can do something about.
pub(super) fn reason(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut next = status.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        let words = cause.downcast_ref::<io::Error>().and_then(tls::explain).or_else(|| tls::refusal(&said));
        let words = words.unwrap_or(said);
        if !words.is_empty() && !text.contains(&words) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&words);
        }
        next = StdError::source(cause);
    }
    text
}
