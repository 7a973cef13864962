//! TLS on both sides of every connection between roles, from three files that are read again when they change.
//!
//! One certificate serves a process as server and as client; it is signed by the cluster's authority and is for the DNS
//! name `ii-claw`, whatever the process's address: addresses of pods come and go, and what has to be known of a peer is
//! that it belongs to the cluster.
//!
//! Must hold: new files count from the next handshake on, without a restart; files that can't be used change nothing, and
//! the log says so. Sessions are not resumed, for a resumed one would not look at the certificate again.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use claw_config::TlsFiles;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{CertificateError, ClientConfig, InvalidMessage, RootCertStore, ServerConfig};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// The DNS name for which every certificate of the cluster has to be.
pub const SERVER_NAME: &str = "ii-claw";
/// How often the files are looked at: certificates are renewed days before they expire.
const EVERY: Duration = Duration::from_secs(2);

/// Files that can't be used for TLS; each names the setting concerned.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read.
    #[error("{setting} {path}: can't be read")]
    Read {
        /// Which setting.
        setting: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{setting}: {what}")]
    Content {
        /// Which setting.
        setting: &'static str,
        /// What is wrong.
        what: String,
    },
}

/// The present configurations; cheap to clone, all clones are one.
#[derive(Clone)]
pub struct Tls {
    files: Arc<TlsFiles>,
    loaded: Arc<RwLock<Loaded>>,
}

struct Loaded {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    from: Content,
}

/// What was in the files.
#[derive(Clone, PartialEq, Eq)]
struct Content {
    cert: Vec<u8>,
    key: Vec<u8>,
    ca: Vec<u8>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// When one can't be read, or they do not fit.
    pub async fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let loaded = build(Content::read(&files).await?)?;
        Ok(Self { files: Arc::new(files), loaded: Arc::new(RwLock::new(loaded)) })
    }

    /// Reads the files again whenever they changed, until `stop`.
    pub(crate) async fn watch(self, stop: CancellationToken) {
        let mut refused = None;
        loop {
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = stop.cancelled() => return,
            }
            let read = Content::read(&self.files).await;
            let known = self.loaded.read().unwrap_or_else(PoisonError::into_inner).from.clone();
            // Each fault is told once, not every two seconds.
            if read.as_ref().is_ok_and(|content| *content == known) {
                refused = None;
                continue;
            }
            match read.and_then(build) {
                Ok(loaded) => {
                    *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = loaded;
                    refused = None;
                    info!("certificates were read again: new connections use them");
                }
                Err(error) => {
                    let line = claw_store::chain(&error);
                    if refused.as_ref() != Some(&line) {
                        warn!("the changed certificates can't be used, going on with the old ones: {line}");
                        refused = Some(line);
                    }
                }
            }
        }
    }

    /// For connections that come in from now on.
    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.loaded.read().unwrap_or_else(PoisonError::into_inner).server)
    }

    /// For connections that are made from now on.
    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.loaded.read().unwrap_or_else(PoisonError::into_inner).client)
    }
}

impl Content {
    async fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        Ok(Self {
            cert: read(TlsFiles::CERT, &files.cert).await?,
            key: read(TlsFiles::KEY, &files.key).await?,
            ca: read(TlsFiles::CA, &files.ca).await?,
        })
    }
}

async fn read(setting: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    let read = tokio::fs::read(path).await;
    read.map_err(|source| TlsError::Read { setting, path: path.to_owned(), source })
}

fn build(from: Content) -> Result<Loaded, TlsError> {
    let wrong = |setting| move |what: String| TlsError::Content { setting, what };
    let (cert, ca) = (wrong(TlsFiles::CERT), wrong(TlsFiles::CA));
    let chain = certificates(&from.cert).map_err(&cert)?;
    let key = PrivateKeyDer::from_pem_slice(&from.key)
        .map_err(|error| wrong(TlsFiles::KEY)(format!("holds no private key in PEM: {error}")))?;
    let mut roots = RootCertStore::empty();
    for root in certificates(&from.ca).map_err(&ca)? {
        roots.add(root).map_err(|error| ca(error.to_string()))?;
    }
    let roots = Arc::new(roots);
    let provider: Arc<CryptoProvider> = Arc::new(rustls::crypto::ring::default_provider());
    let versions = [&rustls::version::TLS13];
    let unfit = |error: rustls::Error| cert(format!("does not fit the key: {error}"));
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider));
    let verifier = verifier.build().map_err(|error| ca(error.to_string()))?;
    let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions)
        .map_err(|error| cert(error.to_string()))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain.clone(), key.clone_key())
        .map_err(unfit)?;
    server.alpn_protocols = vec![b"h2".to_vec()];
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .map_err(|error| cert(error.to_string()))?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(unfit)?;
    client.alpn_protocols = vec![b"h2".to_vec()];
    client.resumption = Resumption::disabled();
    Ok(Loaded { server: Arc::new(server), client: Arc::new(client), from })
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match read {
        Ok(some) if !some.is_empty() => Ok(some),
        Ok(_) => Err("holds no certificate in PEM".to_owned()),
        Err(error) => Err(format!("holds no certificate in PEM: {error}")),
    }
}

/// Whom a client expects.
pub(crate) fn server_name() -> io::Result<ServerName<'static>> {
    ServerName::try_from(SERVER_NAME).map_err(io::Error::other)
}

/// A failed handshake in words that say what to change; `None` when the error is about something else.
pub(crate) fn explain(error: &io::Error) -> Option<String> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(match error {
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "the other side does not speak TLS: give it II_CLAW_RPC_TLS_CERT, _KEY and _CA, too".to_owned()
        }
        rustls::Error::NoCertificatesPresented => "it has no certificate".to_owned(),
        rustls::Error::InvalidCertificate(wrong) => certificate(wrong),
        other => refusal(&other.to_string()).unwrap_or_else(|| other.to_string()),
    })
}

/// The other side's refusal, in words that say what to change. By its text, for HTTP/2 keeps no more of an error; a
/// client's certificate is refused only after the client's part of the handshake.
pub(crate) fn refusal(text: &str) -> Option<String> {
    let (_, alert) = text.split_once("received fatal alert: ")?;
    let why = match alert {
        "CertificateExpired" => "our certificate has expired",
        // The latter: another authority of the same name.
        "UnknownCA" | "DecryptError" => "its II_CLAW_RPC_TLS_CA did not sign our certificate",
        "CertificateRequired" => "it wants a certificate",
        other => other,
    };
    Some(format!("the other side refused us: {why}"))
}

fn certificate(wrong: &CertificateError) -> String {
    match wrong {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its certificate was not signed by the authority in II_CLAW_RPC_TLS_CA".to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("its certificate is not for the DNS name {SERVER_NAME}")
        }
        other => format!("its certificate is wrong: {other}"),
    }
}
