//! Connections to servers that speak something else than HTTP, by the same rules as the calls of [`super::http`]: to public addresses
//! only where the operator does not allow others, with TLS whose certificates this machine trusts.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::guard::{UrlError, is_public};
use super::http::Http;
use crate::ChannelError;

/// A connection stands within this, or it is not waited for.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Connects to a host by one of the addresses that it may have; `what` names it in a sentence, like `the IMAP server`.
///
/// # Errors
/// [`ChannelError::Config`] when none of its addresses may be called, [`ChannelError::Retryable`] when none answers.
pub async fn connect(http: &Http, what: &str, host: &str, port: u16) -> Result<TcpStream, ChannelError> {
    let late =
        || ChannelError::Retryable(format!("{what} at {host}:{port} can't be reached: it does not answer"));
    timeout(CONNECT_LIMIT, async {
        let addresses = addresses(http, host, port).await.map_err(|why| match why {
            // A name server that is away looks the same.
            UrlError::Unresolved => ChannelError::Retryable(format!("the name of {what}, {host}, {why}")),
            why => ChannelError::Config(format!("the name of {what}, {host}, {why}")),
        })?;
        let stream = TcpStream::connect(addresses.as_slice()).await.map_err(|error| {
            ChannelError::Retryable(format!("{what} at {host}:{port} can't be reached: {}", error.kind()))
        })?;
        // Commands are short, and each is waited for.
        drop(stream.set_nodelay(true));
        Ok(stream)
    })
    .await
    .unwrap_or_else(|_| Err(late()))
}

/// Only those that may be called: the connection goes to exactly the addresses that were looked at.
async fn addresses(http: &Http, host: &str, port: u16) -> Result<Vec<SocketAddr>, UrlError> {
    let found = tokio::net::lookup_host((host, port)).await.map_err(|_| UrlError::Unresolved)?;
    let found: Vec<_> = found.collect();
    if found.is_empty() {
        return Err(UrlError::Unresolved);
    }
    let allowed = |address: &SocketAddr| http.allows_private() || is_public(address.ip());
    let allowed: Vec<_> = found.into_iter().filter(allowed).collect();
    if allowed.is_empty() { Err(UrlError::Private) } else { Ok(allowed) }
}

/// Speaks TLS from here on, with who this machine trusts.
///
/// # Errors
/// [`ChannelError::Retryable`] when the server is not who it must be, or does not speak TLS: its certificate may be renewed.
pub async fn secure<S>(stream: S, what: &str, host: &str) -> Result<TlsStream<S>, ChannelError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    secure_by(trust()?, stream, what, host).await
}

/// The same with those who are trusted.
pub(super) async fn secure_by<S>(
    trust: Arc<ClientConfig>,
    stream: S,
    what: &str,
    host: &str,
) -> Result<TlsStream<S>, ChannelError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| ChannelError::Config(format!("{host} is no name of a server")))?;
    let connected = timeout(CONNECT_LIMIT, TlsConnector::from(trust).connect(name, stream)).await;
    let why = match connected {
        Ok(Ok(stream)) => return Ok(stream),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it does not answer".to_owned(),
    };
    Err(ChannelError::Retryable(format!("no TLS with {what} at {host}: {why}")))
}

/// Whom this machine trusts, read once for all channels.
pub(super) fn trust() -> Result<Arc<ClientConfig>, ChannelError> {
    static TRUST: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(known) = TRUST.get() {
        return Ok(Arc::clone(known));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let made = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(BuilderVerifierExt::with_platform_verifier);
    let made =
        made.map_err(|error| ChannelError::Config(format!("TLS can't be set up on this machine: {error}")))?;
    Ok(Arc::clone(TRUST.get_or_init(|| Arc::new(made.with_no_client_auth()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_at_home_are_called_only_where_that_is_allowed() {
        drop(rustls::crypto::ring::default_provider().install_default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["127.0.0.1", "localhost"] {
            let told = connect(&Http::new(false).unwrap(), "the server", host, port).await;
            let Err(ChannelError::Config(why)) = told else { panic!("{host}: {told:?}") };
            assert!(why.contains("private or loopback"), "{why}");
            assert!(connect(&Http::new(true).unwrap(), "the server", host, port).await.is_ok(), "{host}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_nowhere_is_tried_again() {
        drop(rustls::crypto::ring::default_provider().install_default());
        let told = connect(&Http::new(false).unwrap(), "the server", "nowhere.invalid", 1).await;
        assert!(matches!(told, Err(ChannelError::Retryable(_))), "{told:?}");
    }
}
