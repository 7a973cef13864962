//! `GET /api/cluster`.

use std::collections::HashSet;

use axum::Json;
use axum::extract::State;
use claw_rpc::CallError;
use claw_store::{MemberStatus, Partition, ShardClaim};
use futures::future::join_all;
use serde::Deserialize;
use utoipa::IntoParams;

use super::DUTY;
use super::view::{Adapters, AwayBackend, Claim, Cluster, Lag, Leader, Member, Schema, Shards};
use crate::app::{App, Shared};
use crate::error::Problem;
use crate::query::Query;

/// Counting pending messages ends here: an operator has to know whether it is a few or far too many, and a count of
/// millions would cost the database what it lacks then.
const MOST_COUNTED: i64 = 10_000;

/// Of the partitions that were dropped, the newest ones.
const DROPPED_SHOWN: usize = 3;

/// How much to show.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Show {
    /// Whether to list every shard with its owner and epoch.
    #[serde(default)]
    shards: bool,
}

/// The cluster at this moment: who takes part, who owns how much, who leads, and what waits. Live members are asked
/// themselves, at most 2 s.
///
/// # Errors
/// 403 for a key of one user.
#[utoipa::path(
    get, path = "/api/cluster", tag = "cluster", operation_id = "get_cluster", params(Show),
    responses((status = 200, description = "The cluster.", body = Cluster))
)]
pub async fn handle(State(app): State<Shared>, Query(show): Query<Show>) -> Result<Json<Cluster>, Problem> {
    let facts = app.store.cluster_facts().await?;
    let members = app.store.members().await?;
    let claims = app.store.shard_claims().await?;
    let lag = app.store.lag(MOST_COUNTED).await?;
    let leader = app.store.leader(DUTY).await?;
    let shards = shards(&members, claims, show.shards);
    let members = join_all(members.into_iter().map(|member| ask(&app, member))).await;
    Ok(Json(Cluster {
        id: app.cluster,
        version: env!("CARGO_PKG_VERSION"),
        time: facts.now,
        schema: Schema { version: facts.schema, oldest: facts.oldest_schema },
        adapters: adapters(&members),
        members,
        shards,
        leader: leader.map(|leader| Leader {
            name: leader.name,
            term: leader.term,
            elected_at: leader.elected_at,
            live: leader.live,
        }),
        lag: Lag {
            pending: lag.pending,
            counted_up_to: MOST_COUNTED,
            oldest_ms: u64::try_from(lag.oldest.as_millis()).unwrap_or(u64::MAX),
        },
        partitions: shown(app.store.partitions().await?).into_iter().map(Into::into).collect(),
    }))
}

/// Without those that were dropped long ago.
fn shown(mut partitions: Vec<Partition>) -> Vec<Partition> {
    let dropped = partitions.iter().filter(|partition| partition.dropped_at.is_some()).count();
    let mut old = dropped.saturating_sub(DROPPED_SHOWN);
    partitions.retain(|partition| {
        let goes = partition.dropped_at.is_some() && old > 0;
        old -= usize::from(goes);
        !goes
    });
    partitions
}

/// A member with what it says of itself, if it is alive.
async fn ask(app: &App, member: MemberStatus) -> Member {
    let mut shown = Member {
        heartbeat_age_ms: u64::try_from(member.silent.as_millis()).unwrap_or(u64::MAX),
        name: member.name,
        role: member.role,
        version: member.version,
        rpc_address: member.rpc_address,
        started_at: member.started_at,
        live: member.live,
        draining: member.draining,
        weight: member.weight,
        shards: member.shards,
        channels: None,
        failed_channels: None,
        away_backends: None,
        streams: None,
        sockets: None,
        unreachable: None,
    };
    if shown.live {
        let asked = complete(app, &mut shown).await;
        shown.unreachable = asked.err().map(|error| error.to_string());
    }
    shown
}

async fn complete(app: &App, member: &mut Member) -> Result<(), CallError> {
    let address = &member.rpc_address;
    match member.role.as_str() {
        "worker" => {
            let said = app.peers.worker_status(address).await?;
            (member.channels, member.failed_channels) = (Some(said.channels), said.failed);
            member.draining |= said.draining;
            member.away_backends = Some(said.away.into_iter().map(away).collect());
        }
        "gateway" => {
            let said = app.peers.gateway_status(address).await?;
            (member.streams, member.sockets) = (Some(said.streams), Some(said.sockets));
        }
        _ => {
            app.peers.scheduler_status(address).await?;
        }
    }
    Ok(())
}

fn away(backend: claw_rpc::AwayBackend) -> AwayBackend {
    AwayBackend {
        user_id: backend.user,
        origin: backend.origin,
        away_ms: u64::try_from(backend.time.as_millis()).unwrap_or(u64::MAX),
        state: if backend.half_open { "half_open" } else { "open" },
    }
}

fn shards(members: &[MemberStatus], claims: Vec<ShardClaim>, all: bool) -> Shards {
    let live: HashSet<&str> = members.iter().filter(|m| m.live).map(|m| m.name.as_str()).collect();
    let owned = claims.iter().filter(|claim| claim.owner.as_deref().is_some_and(|o| live.contains(o)));
    let (count, owned) = (claims.len(), owned.count());
    let claims = claims.into_iter();
    let claims = claims.map(|claim| Claim { shard: claim.shard.0, owner: claim.owner, epoch: claim.epoch.0 });
    Shards { count, owned, unowned: count - owned, claims: all.then(|| claims.collect()) }
}

fn adapters(members: &[Member]) -> Adapters {
    let mut sum = Adapters { running: 0, failed: 0, unknown_workers: Vec::new() };
    for worker in members.iter().filter(|member| member.role == "worker" && member.live) {
        match (worker.channels, worker.failed_channels) {
            (Some(all), Some(failed)) => {
                sum.running += all.saturating_sub(failed);
                sum.failed += failed;
            }
            _ => sum.unknown_workers.push(worker.name.clone()),
        }
    }
    sum
}
