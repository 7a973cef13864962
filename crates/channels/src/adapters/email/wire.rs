//! A connection to a mail server, line by line. IMAP and SMTP are alike in that: lines that end with CR LF, with bytes of a known
//! number between them (IMAP), and TLS from the beginning or from a command on.
//!
//! Must hold: whatever the server says, no more is read than was asked for; nothing that was said before TLS counts after it began
//! (<https://nostarttls.secvuln.info>).

use std::fmt;
use std::time::Duration;

use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::time::timeout;

use crate::ChannelError;
use crate::kit::http::Http;
use crate::kit::tcp;

/// The longest line that is read. IMAP's may be long, as those with the ids of what was found.
const MAX_LINE: u64 = 256 * 1024;
/// Bytes that are read or written without looking at the time.
const CHUNK: usize = 64 * 1024;

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protection {
    /// By TLS from its first byte.
    Tls,
    /// By TLS after a command.
    StartTls,
    /// Not at all.
    None,
}

/// A server of the channel's.
#[derive(Debug, Clone)]
pub(super) struct Server {
    /// What it is called in a sentence: `the IMAP server`.
    pub(super) what: &'static str,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) protection: Protection,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A connection.
pub(super) struct Wire {
    stream: BufReader<Box<dyn Stream>>,
    server: Server,
    /// How long a line is waited for.
    patience: Duration,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Wire {
    /// Connects; with [`Protection::StartTls`], TLS is still to come.
    pub(super) async fn connect(server: &Server, http: &Http) -> Result<Self, ChannelError> {
        let tcp = tcp::connect(http, server.what, &server.host, server.port).await?;
        let stream: Box<dyn Stream> = match server.protection {
            Protection::Tls => Box::new(tcp::secure(tcp, server.what, &server.host).await?),
            Protection::StartTls | Protection::None => Box::new(tcp),
        };
        Ok(Self { stream: BufReader::new(stream), server: server.clone(), patience: http.limit() })
    }

    /// TLS from here on.
    pub(super) async fn secured(self) -> Result<Self, ChannelError> {
        let Self { stream, server, patience } = self;
        if !stream.buffer().is_empty() {
            let why =
                format!("{} said something between STARTTLS and TLS, which nobody vouches for", server.what);
            return Err(ChannelError::Retryable(why));
        }
        let secure = tcp::secure(stream.into_inner(), server.what, &server.host).await?;
        let stream: Box<dyn Stream> = Box::new(secure);
        Ok(Self { stream: BufReader::new(stream), server, patience })
    }

    /// Its server.
    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// The next line, without its end.
    pub(super) async fn line(&mut self) -> Result<Vec<u8>, ChannelError> {
        self.line_within(self.patience).await
    }

    /// The next line, if it comes within a time.
    pub(super) async fn line_within(&mut self, time: Duration) -> Result<Vec<u8>, ChannelError> {
        let mut line = Vec::new();
        let mut reader = (&mut self.stream).take(MAX_LINE);
        let read = timeout(time, reader.read_until(b'\n', &mut line)).await;
        read.map_err(|_| self.silent())?.map_err(|error| self.broke(&error))?;
        if line.pop() != Some(b'\n') {
            return Err(if line.len() < CHUNK { self.gone() } else { self.endless() });
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(line)
    }

    /// So many bytes.
    pub(super) async fn bytes(&mut self, count: usize) -> Result<Vec<u8>, ChannelError> {
        let mut bytes = Vec::new();
        while bytes.len() < count {
            let wanted = CHUNK.min(count - bytes.len());
            let mut reader = (&mut self.stream).take(wanted as u64);
            let read = timeout(self.patience, reader.read_buf(&mut bytes)).await;
            if read.map_err(|_| self.silent())?.map_err(|error| self.broke(&error))? == 0 {
                return Err(self.gone());
            }
        }
        Ok(bytes)
    }

    /// Hands bytes over, to the last.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), ChannelError> {
        for chunk in bytes.chunks(CHUNK) {
            let written = timeout(self.patience, self.stream.write_all(chunk)).await;
            written.map_err(|_| self.silent())?.map_err(|error| self.broke(&error))?;
        }
        let flushed = timeout(self.patience, self.stream.flush()).await;
        flushed.map_err(|_| self.silent())?.map_err(|error| self.broke(&error))
    }

    fn silent(&self) -> ChannelError {
        ChannelError::Retryable(format!("{} did not answer in time", self.server.what))
    }

    fn gone(&self) -> ChannelError {
        ChannelError::Retryable(format!("{} ended the connection", self.server.what))
    }

    fn endless(&self) -> ChannelError {
        ChannelError::Retryable(format!("{} sends a line without an end", self.server.what))
    }

    fn broke(&self, error: &std::io::Error) -> ChannelError {
        ChannelError::Retryable(format!("the connection to {} broke: {}", self.server.what, error.kind()))
    }
}
