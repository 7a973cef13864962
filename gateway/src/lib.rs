//! The gateway: REST, platform webhooks and web chat. It keeps no state, so any number of them serve side by side.
//!
//! - `router` lists every path; `routes` has one file for each endpoint.
//! - `auth` knows who calls and what they may; `openapi` makes the API's document of the handlers' own annotations.
//! - `listener` is the socket; it ends connections whose clients take nothing.
//! - `path`, `query` and `body` check what comes in; `error` and `answers` are what goes out when it is wrong.
//! - `edit` makes and changes channels; `channel_cache` keeps those in use; `memory` has what they remember, to read.
//! - `intake` has messages committed and tells their owner, before anyone is answered.
//! - `wake` makes events of what no person wrote.
//! - `membership` has it in the cluster's list, `service` is what it answers to other roles.
//! - `measure` counts calls and what stays open.
//! - `erasing` removes what is kept of a user who is to be forgotten.
//! - `perform` does what a scheduled job is to do.
//! - `events` streams what happens.
//! - `hub` serves the adapters whose people connect to the gateway itself.

#![allow(unused_qualifications, reason = "the macros that describe the API write them")]

mod answers;
mod app;
mod auth;
mod body;
mod channel_cache;
mod dispatch;
mod edit;
mod erasing;
mod error;
mod events;
mod fresh;
#[doc(hidden)]
pub mod fuzzing;
mod hub;
mod idempotency;
mod intake;
mod listener;
mod measure;
mod media_ahead;
mod media_expiry;
mod membership;
mod memory;
mod openapi;
mod path;
mod perform;
mod query;
mod router;
mod routes;
mod service;
mod traced;
mod view;
mod wake;

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::sync::Arc;

use claw_config::{ConfigError, GatewaySettings, RpcSettings};
use claw_rpc::{ServeError, TlsError};
use claw_runtime::Lifecycle;
use claw_store::Member;
use claw_telemetry::metrics::Role;
use claw_types::ChannelId;
use tokio::net::TcpListener;
use tracing::info;

pub use router::document;

use app::Shared;
use membership::Membership;
use service::Service;

/// Why a gateway did not start; each names the setting concerned.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is missing or wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database can't be reached.
    #[error("DATABASE_URL: can't connect")]
    Database(#[source] claw_store::Error),
    /// The database is there, but not for this binary.
    #[error("DATABASE_URL: this database can't be used")]
    Schema(#[source] claw_store::Error),
    /// NATS can't be reached.
    #[error("NATS_URL")]
    Bus(#[source] claw_bus::Error),
    /// TLS for calls to platforms can't be set up.
    #[error("can't set up TLS")]
    Http(#[source] Box<dyn StdError + Send + Sync>),
    /// Traces can't be exported.
    #[error(transparent)]
    Traces(#[from] claw_launch::TraceError),
    /// Attachments can't be kept.
    #[error("II_CLAW_MEDIA: attachments can't be kept there")]
    Media(#[source] claw_media::Error),
    /// The certificates can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The RPC can't be served.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// It can't be a member under this name.
    #[error(transparent)]
    Member(claw_store::Error),
    /// The API's document can't be written.
    #[error("the API's document can't be written")]
    Document(#[source] serde_json::Error),
    /// An address can't be had.
    #[error("{setting} {address}")]
    Listen {
        /// Which setting.
        setting: &'static str,
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// The gateway role.
pub struct Gateway;

impl Gateway {
    /// Starts a gateway: it answers when this returns, and until the lifecycle's end. `home` is the channel that the
    /// front page shows. Tells the address it listens on.
    ///
    /// The process must have installed a TLS provider (`rustls::crypto::ring`).
    ///
    /// # Errors
    /// Naming the setting concerned.
    pub async fn start(
        settings: GatewaySettings,
        home: Option<ChannelId>,
        lifecycle: &Lifecycle,
    ) -> Result<SocketAddr, Error> {
        let media_days = settings.media_days()?;
        claw_telemetry::metrics::begin();
        routes::webhooks::expose();
        let app = app::App::connect(&settings, home, lifecycle).await?;
        claw_launch::trace(Role::Gateway, &app.name, &settings.traces, &app.clock)?;
        claw_launch::observe(Role::Gateway, &app.store, &app.bus, &app.clock, lifecycle);
        lifecycle.spawn("open streams", measure::streams(Arc::clone(&app)));
        let (listener, address) = bind("II_CLAW_LISTEN", settings.listen).await?;
        join(&app, &settings.rpc, lifecycle).await?;
        lifecycle.spawn("media expiry", media_expiry::run(Arc::clone(&app), media_days));
        lifecycle.spawn("media ahead", media_ahead::run(Arc::clone(&app)));
        lifecycle.spawn("erasing", erasing::run(Arc::clone(&app)));
        let router = router::router(&app).map_err(Error::Document)?;
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let (soft, on_failure) = (lifecycle.soft(), lifecycle.clone());
        lifecycle.spawn("http", async move {
            let listener = listener::tuned(listener, listener::PATIENCE);
            let served = axum::serve(listener, service).with_graceful_shutdown(soft.cancelled_owned()).await;
            if let Err(error) = served {
                on_failure.fail(format!("the gateway's listener failed: {error}"));
            }
        });
        info!(%address, "the gateway listens on {address}");
        Ok(address)
    }
}

async fn bind(setting: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let failed = |source| Error::Listen { setting, address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Takes a place among the members and serves the RPC.
async fn join(app: &Shared, rpc: &RpcSettings, lifecycle: &Lifecycle) -> Result<(), Error> {
    let (listener, address) = bind("II_CLAW_RPC_LISTEN", rpc.rpc_listen).await?;
    let member = Member {
        name: app.name.clone(),
        role: "gateway",
        rpc_address: rpc.advertised(address),
        version: env!("CARGO_PKG_VERSION"),
        weight: 1.0,
    };
    let joined = Membership::join(app.store.clone(), member, app.ids.next()).await;
    lifecycle.spawn("membership", joined.map_err(Error::Member)?.stay(lifecycle.clone()));
    claw_rpc::serve_gateway(lifecycle, listener, &app.credentials, Arc::new(Service(Arc::clone(app))))?;
    info!(%address, "its RPC is at {address}");
    Ok(())
}
