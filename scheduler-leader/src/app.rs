//! Putting the scheduler together.

use std::net::SocketAddr;
use std::sync::Arc;

use claw_config::SchedulerSettings;
use claw_launch::join;
use claw_runtime::Lifecycle;
use claw_telemetry::metrics::Role;
use tokio::sync::mpsc;

use crate::duties::Maker;
use crate::duties::timers::Timers;
use crate::elector::{Elector, Leadership, lead};
use crate::measure;
use crate::service::Service;

pub use claw_launch::JoinError as Error;

/// It asks little: a few connections are enough whatever the others have.
const CONNECTIONS: u32 = 6;

/// Starts the scheduler; it runs under `lifecycle`. Answers where its RPC listens.
///
/// # Errors
/// When a setting is wrong, or the database or NATS can't be reached.
pub async fn start(settings: SchedulerSettings, lifecycle: &Lifecycle) -> Result<SocketAddr, Error> {
    let retention = settings.retention.checked()?;
    let connections = settings.store.database_connections.min(CONNECTIONS);
    let joined =
        join(Role::Scheduler, 1.0, connections, &settings.store, &settings.keys, &settings.rpc, lifecycle)
            .await?;
    claw_launch::trace(Role::Scheduler, &joined.member.name, &settings.traces, &joined.clock)?;
    let leadership = Arc::new(Leadership::default());
    let (step_down, asked) = mpsc::channel(1);
    let timers = Arc::new(Timers {
        store: joined.store.clone(),
        bus: joined.bus,
        make: Maker { shards: joined.shards, ids: joined.ids, clock: joined.clock },
        random: Arc::clone(&joined.random),
        leadership: Arc::clone(&leadership),
        lifecycle: lifecycle.clone(),
    });
    let service =
        Service { name: joined.member.name.clone(), timers: Arc::clone(&timers), retention, step_down };
    let elector = Elector {
        store: joined.store.clone(),
        lease_url: joined.lease_url,
        member: joined.member,
        leadership: Arc::clone(&leadership),
        random: joined.random,
        lifecycle: lifecycle.clone(),
        step_down: asked,
        stand_by_until: None,
    };
    lifecycle.spawn("elector", elector.run());
    let counting = measure::run(joined.store.clone(), Arc::clone(&leadership), lifecycle.clone());
    lifecycle.spawn("cluster metrics", counting);
    timers.start();
    lifecycle.spawn("duties", lead(joined.store, leadership, retention, lifecycle.clone()));
    claw_rpc::serve_scheduler(lifecycle, joined.listener, &joined.credentials, Arc::new(service))?;
    let address = joined.address;
    tracing::info!(%address, "the scheduler's RPC listens on {address}");
    Ok(address)
}
