//! The gateway's clients: HTTP/1.1 connections that stay open, each used by one client at a time.
//!
//! Not a client library: its CPU is the measured machine's, and what it is for (addresses, redirects, proxies, limits on idle
//! connections) is of no use here.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Connections to one server.
#[derive(Clone)]
pub(crate) struct Poster {
    /// `host:port`.
    server: Arc<str>,
    host: HeaderValue,
    idle: Arc<Mutex<Vec<SendRequest<Full<Bytes>>>>>,
}

impl Poster {
    /// To the server at this `http` URL.
    pub(crate) fn to(url: &str) -> anyhow::Result<Self> {
        let server = url.strip_prefix("http://").context("the gateway's URL begins with http://")?;
        let server = server.trim_end_matches('/');
        let host = HeaderValue::from_str(server)?;
        Ok(Self { server: server.into(), host, idle: Arc::default() })
    }

    /// Sends a request whose URI is a path; the status of the answer, whose body is read to its end.
    pub(crate) async fn send(&self, mut request: Request<Full<Bytes>>) -> anyhow::Result<StatusCode> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match idle.filter(|connection| !connection.is_closed()) {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        request.headers_mut().insert(HOST, self.host.clone());
        connection.ready().await?;
        let response = connection.send_request(request).await?;
        let status = response.status();
        response.into_body().collect().await?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        Ok(status)
    }

    async fn connect(&self) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(&*self.server).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // Ends when the sender is dropped.
        #[expect(clippy::disallowed_methods, reason = "ends with the process")]
        tokio::spawn(connection);
        Ok(sender)
    }
}
