//! How our own roles know one another: by a token derived from the master key and, where files for it are set, by
//! certificates.
//!
//! While the master key is replaced, roles have different ones: each shows the token of its current key and takes those of all
//! keys that it knows.

use std::sync::Arc;

use claw_config::TlsFiles;
use claw_runtime::Lifecycle;
use claw_secrets::{KeyRing, signature};
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
    /// Of the cluster with these master keys; with TLS when there are files for it, which are read again when they change.
    ///
    /// # Errors
    /// When the files can't be used.
    pub async fn new(
        keys: &KeyRing,
        files: Option<TlsFiles>,
        lifecycle: &Lifecycle,
    ) -> Result<Self, TlsError> {
        let credentials = Self::once(keys, files).await?;
        if let Some(tls) = &credentials.tls {
            lifecycle.spawn("certificates", tls.clone().watch(lifecycle.soft()));
        }
        Ok(credentials)
    }

    /// The same for a command that ends soon: the files are read once.
    ///
    /// # Errors
    /// When the files can't be used.
    pub async fn once(keys: &KeyRing, files: Option<TlsFiles>) -> Result<Self, TlsError> {
        let tls = match files {
            Some(files) => Some(Tls::load(files).await?),
            None => None,
        };
        Ok(Self { token: ClusterToken::new(keys), tls })
    }
}

/// The cluster's token: clients attach that of the current master key, servers require that of any.
#[derive(Clone)]
pub struct ClusterToken {
    /// What the header may be, the current key's first.
    values: Arc<[String]>,
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
    /// From the master keys, of which every role of the cluster has the current one or knows it.
    pub fn new(keys: &KeyRing) -> Self {
        let values: Vec<_> = keys.keys().map(|key| format!("Bearer {}", key.cluster_token())).collect();
        Self { header: values.first().and_then(|current| current.parse().ok()), values: values.into() }
    }

    pub(crate) fn attach(&self) -> Attach {
        Attach(self.header.clone())
    }

    /// Refuses every call without it.
    pub(crate) fn require(&self) -> impl Interceptor + Clone + use<> {
        let expected = Arc::clone(&self.values);
        move |request: Request<()>| {
            let given = request.metadata().get(HEADER).map(MetadataValue::as_bytes);
            let is_ours = |given| expected.iter().any(|token| signature::same(given, token.as_bytes()));
            if given.is_some_and(is_ours) {
                return Ok(request);
            }
            Err(Status::unauthenticated(
                "the cluster token does not match: all roles need the same II_CLAW_MASTER_KEY (or API key), or \
                 the caller's among II_CLAW_OTHER_MASTER_KEYS",
            ))
        }
    }
}
