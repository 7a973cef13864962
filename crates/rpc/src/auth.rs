//! Our own roles know one another by a token derived from the master key.

use std::sync::Arc;

use claw_secrets::{MasterKey, signature};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};

const HEADER: &str = "authorization";

/// The cluster's token: clients attach it, servers require it.
#[derive(Clone)]
pub struct ClusterToken {
    value: Arc<str>,
    header: Option<MetadataValue<Ascii>>,
}

impl ClusterToken {
    /// From the master key that every role of the cluster has.
    pub fn new(key: &MasterKey) -> Self {
        let value = format!("Bearer {}", key.cluster_token());
        Self { header: value.parse().ok(), value: value.into() }
    }

    /// Attaches the token to every call.
    pub fn attach(&self) -> impl Interceptor + Clone + use<> {
        let header = self.header.clone();
        move |mut request: Request<()>| {
            if let Some(header) = &header {
                request.metadata_mut().insert(HEADER, header.clone());
            }
            Ok(request)
        }
    }

    /// Refuses every call without it.
    pub fn require(&self) -> impl Interceptor + Clone + use<> {
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
