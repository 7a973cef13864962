//! Putting the worker together.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use claw_bus::Bus;
use claw_channels::kit::http::{Http, operator_client};
use claw_channels::{Deps, Live, NoMemory};
use claw_config::WorkerSettings;
use claw_launch::{JoinError, join};
use claw_runtime::{Backoff, Lifecycle};
use claw_store::Vault;
use claw_telemetry::metrics::Role;
use claw_types::ChannelId;
use secrecy::ExposeSecret as _;
use uuid::Uuid;

use crate::core::Core;
use crate::deliver::backend::{Backend, Secrets, Target};
use crate::deliver::stream::Streams;
use crate::deliver::typing;
use crate::ports::Postgres;
use crate::service::Service;
use crate::{placement, tasks};

/// Why the worker could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not join the cluster.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// It could not read where messages go.
    #[error("can't read the users' backends")]
    Backends(#[from] claw_store::Error),
    /// TLS.
    #[error("TLS can't be set up")]
    Http(#[from] reqwest::Error),
}

/// Reaches the gateways' sockets over NATS.
struct BusLive(Arc<Bus>);

#[async_trait]
impl Live for BusLive {
    async fn publish(&self, channel: ChannelId, conversation: &str, frame: Bytes) {
        self.0.publish_live(channel, conversation, frame).await;
    }
}

/// Starts the worker; it runs under `lifecycle`. Answers where its RPC listens.
///
/// # Errors
/// When a setting is wrong, or the database or NATS can't be reached.
pub async fn start(settings: WorkerSettings, lifecycle: &Lifecycle) -> Result<SocketAddr, Error> {
    let (webhook, secret) = settings.backend.webhook().map_err(JoinError::from)?;
    let connections = settings.store.database_connections;
    let joined = join(
        Role::Worker,
        settings.weight,
        connections,
        &settings.store,
        &settings.keys,
        &settings.rpc,
        lifecycle,
    )
    .await?;
    claw_launch::trace(Role::Worker, &joined.member.name, &settings.traces, &joined.clock)
        .map_err(JoinError::from)?;
    let deps = Deps {
        channel_id: ChannelId(Uuid::nil()),
        owner: None,
        public_url: settings.backend.public_url.clone(),
        http: Http::new(settings.urls.allow_private)?,
        clock: Arc::clone(&joined.clock),
        ids: joined.ids.clone(),
        random: Arc::clone(&joined.random),
        live: Arc::new(BusLive(Arc::clone(&joined.bus))),
        memory: Arc::new(NoMemory),
    };
    let client = operator_client(settings.backend.webhook_timeout())?;
    let former = settings.backend.ai_webhook_secret_previous.iter();
    let secrets = Secrets {
        first: secret.expose_secret().to_owned(),
        others: former.map(|former| former.expose_secret().to_owned()).collect(),
    };
    let limit = settings.backend.webhook_timeout();
    let target = Target { client, url: webhook, secrets, limit };
    let backend = Backend::new(target, deps.http.clone(), Arc::clone(&joined.random));
    claw_launch::warn_of_unknown_keys(&joined.store, &joined.keys.master).await?;
    let vault = Vault::new(Arc::clone(&joined.keys.master), Arc::clone(&joined.random));
    let core = Core::new(
        joined.member.name.clone(),
        joined.store,
        joined.bus,
        vault,
        joined.ids,
        deps,
        backend,
        Backoff::message_for(settings.backend.retry_for()),
        Duration::from_secs(settings.send_ttl_secs.into()),
        settings.backend.public_url(),
        settings.backend.typing(),
        Streams::new(settings.backend.streams.into(), settings.backend.stream()),
        lifecycle,
    );
    // Before anything is ours: a message must not go to the operator's backend because its own is not known yet.
    core.backend.look(&core.store, &core.vault).await?;
    let leases = Arc::new(Postgres::new(joined.lease_url, joined.member));
    lifecycle.spawn("placement", placement::run(Arc::clone(&core.pipeline), leases, joined.shards));
    lifecycle.spawn("sweep", tasks::sweep::run(Arc::clone(&core.pipeline)));
    lifecycle.spawn("changes", tasks::changes::listen(Arc::clone(&core)));
    lifecycle.spawn("destinations", tasks::destinations::run(Arc::clone(&core)));
    lifecycle.spawn("typing", typing::run(Arc::clone(&core)));
    lifecycle.spawn("disputes", tasks::disputes::run(Arc::clone(&core)));
    lifecycle.spawn("worker metrics", tasks::measure::run(Arc::clone(&core)));
    lifecycle.spawn("changed rows", tasks::changes::look(Arc::clone(&core)));
    claw_rpc::serve_worker(lifecycle, joined.listener, &joined.credentials, Arc::new(Service(core)))
        .map_err(JoinError::from)?;
    let address = joined.address;
    tracing::info!(%address, "the worker's RPC listens on {address}");
    Ok(address)
}
