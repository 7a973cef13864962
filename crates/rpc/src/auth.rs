//! How our own roles know one another: by a token derived from the master key and, where files for it are set, by
//! certificates.

use std::sync::Arc;

use claw_config::TlsFiles;
use claw_runtime::Lifecycle;
use claw_secrets::{MasterKey, signature};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};

use crate::{Tls, TlsError};

const HEADER: &str = "authorization";

/// What a role shows its peers and expects of them. Cheap to clone.
#[derive(Clone)]
pub struct Credentials {
    /// On every call.
    pub(crate) token: ClusterToken,
    /// On every connection, both ways.
    pub(crate) tls: Option<Tls>,
}

impl Credentials {
    /// Of the cluster with this master key; with TLS when there are files for it, which are read again when they change.
    ///
    /// # Errors
    /// When the files can't be used.
    pub async fn new(
        key: &MasterKey,
        files: Option<TlsFiles>,
        lifecycle: &Lifecycle,
    ) -> Result<Self, TlsError> {
        let credentials = Self::once(key, files).await?;
        if let Some(tls) = &credentials.tls {
            lifecycle.spawn("certificates", tls.clone().watch(lifecycle.soft()));
        }
        Ok(credentials)
    }

    /// The same for a command that ends soon: the files are read once.
    ///
    /// # Errors
    /// When the files can't be used.
    pub async fn once(key: &MasterKey, files: Option<TlsFiles>) -> Result<Self, TlsError> {
        let tls = match files {
            Some(files) => Some(Tls::load(files).await?),
            None => None,
        };
        Ok(Self { token: ClusterToken::new(key), tls })
    }
}

/// The cluster's token: clients attach it, servers require it.
#[derive(Clone)]
pub struct ClusterToken {
    value: Arc<str>,
    header: Option<MetadataValue<Ascii>>,
}

/// Attaches the token to every call.
#[derive(Clone)]
pub(crate) struct Attach(Option<MetadataValue<Ascii>>);

impl Interceptor for Attach {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(header) = &self.0 {
            request.metadata_mut().insert(HEADER, header.clone());
        }
        Ok(request)
    }
}

impl ClusterToken {
    /// From the master key that every role of the cluster has.
    pub fn new(key: &MasterKey) -> Self {
        let value = format!("Bearer {}", key.cluster_token());
        Self { header: value.parse().ok(), value: value.into() }
    }

    pub(crate) fn attach(&self) -> Attach {
        Attach(self.header.clone())
    }

    /// Refuses every call without it.
    pub(crate) fn require(&self) -> impl Interceptor + Clone + use<> {
        let expected = Arc::clone(&self.value);
        move |request: Request<()>| {
            let given = request.metadata().get(HEADER).map(MetadataValue::as_bytes);
            match given {
                Some(given) if signature::same(given, expected.as_bytes()) => Ok(request),
                _ => Err(Status::unauthenticated(
                    "the cluster token does not match: all roles need the same II_CLAW_MASTER_KEY (or API key)",
                )),
            }
        }
    }
}
