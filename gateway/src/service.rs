//! What the gateway answers to its peers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use claw_rpc::{GatewayStatus, Health};

use crate::app::Shared;
use crate::routes::health;

/// The gateway's side of the RPC.
pub struct Service(pub Shared);

/// How many sockets of web chats are open.
#[derive(Debug, Clone, Default)]
pub struct Sockets(Arc<AtomicUsize>);

/// One of them; it counts until it is dropped.
#[derive(Debug)]
pub struct Socket(Sockets);

impl Sockets {
    /// One more.
    pub fn opened(&self) -> Socket {
        self.0.fetch_add(1, Ordering::Relaxed);
        Socket(self.clone())
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[async_trait]
impl Health for Service {
    async fn ready(&self) -> Result<(), String> {
        let missing = health::missing(&self.0).await;
        if missing.is_empty() { Ok(()) } else { Err(missing.join(", ")) }
    }
}

#[async_trait]
impl claw_rpc::GatewayService for Service {
    async fn status(&self) -> GatewayStatus {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        GatewayStatus {
            name: self.0.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime: self.0.started.elapsed(),
            streams: count(self.0.streams.open()),
            sockets: count(self.0.sockets.count()),
        }
    }
}
