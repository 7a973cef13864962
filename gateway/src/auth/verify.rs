//! Whether a token is a key: the operator's, or a stored one that is in force.
//!
//! A stored key looks like `iic_<id>_<secret>`; the id finds the row, SHA-256 of the whole is compared in constant time.
//! Good keys are remembered for some seconds, so that a call costs no query; a change of keys is told over NATS. A wrong
//! secret for a remembered id costs none either.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use claw_bus::Bus;
use claw_runtime::{Ids, Lifecycle};
use claw_secrets::signature;
use moka::future::Cache;
use secrecy::ExposeSecret as _;
use tracing::warn;
use uuid::Uuid;

use super::Principal;
use crate::app::App;
use crate::error::Problem;
use crate::fresh::Fresh;

/// How long a revoked key may still be taken by a gateway that NATS did not reach.
const TTL: Duration = Duration::from_secs(5);
/// What every stored key begins with: secret scanners find it.
const PREFIX: &str = "iic_";
/// Random bytes of a key.
const SECRET: usize = 24;

/// Remembers good keys by their id.
pub struct Verifier {
    good: Fresh<Uuid, Arc<Known>>,
}

struct Known {
    digest: [u8; 32],
    principal: Principal,
    /// Whether its use was noted since it was read.
    used: AtomicBool,
}

impl Default for Verifier {
    fn default() -> Self {
        Self { good: Fresh::new(Cache::builder().max_capacity(10_000).time_to_live(TTL).build()) }
    }
}

/// A new key for this id.
pub fn token(id: Uuid, ids: &Ids) -> String {
    format!("{PREFIX}{}_{}", id.simple(), ids.token(SECRET))
}

/// What is stored of a key.
pub fn digest(token: &[u8]) -> [u8; 32] {
    signature::sha256(token)
}

fn id_of(token: &[u8]) -> Option<Uuid> {
    let text = std::str::from_utf8(token).ok()?.strip_prefix(PREFIX)?;
    Uuid::try_parse(text.split_once('_')?.0).ok()
}

impl Verifier {
    /// Whose key this is, if it is one, as somebody at this address says it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn verify(
        &self,
        app: &App,
        token: &[u8],
        address: Option<IpAddr>,
    ) -> Result<Option<Principal>, Problem> {
        if signature::same(token, app.keys.api_key.expose_secret().as_bytes()) {
            return Ok(Some(Principal::operator()));
        }
        let Some(id) = id_of(token) else { return Ok(None) };
        let read = async || {
            let _turn = app.throttle.turn(address).await?;
            load(app, id).await
        };
        let Some(known) = self.good.get_or_load(&id, read).await? else { return Ok(None) };
        if !signature::same(&known.digest, &digest(token)) {
            return Ok(None);
        }
        if !known.used.swap(true, Ordering::Relaxed)
            && let Err(error) = app.store.key_used(id).await
        {
            warn!(key.id = %id, %error, "the use of key {id} was not noted: {error}");
        }
        let in_force = known.principal.expires_at.is_none_or(|end| app.clock.now() < end);
        Ok(in_force.then(|| Principal { address, ..known.principal.clone() }))
    }

    /// Asks the database when this key is next used.
    pub async fn forget(&self, id: Uuid) {
        self.good.forget(&id).await;
    }

    /// Forgets all keys whenever NATS says that some changed, until the shutdown.
    pub fn watch(self: &Arc<Self>, bus: &Arc<Bus>, lifecycle: &Lifecycle) {
        let (this, bus, soft) = (Arc::clone(self), Arc::clone(bus), lifecycle.soft());
        lifecycle.spawn("key changes", async move {
            let until_stopped = soft.run_until_cancelled(async {
                loop {
                    match bus.subscribe_keys().await {
                        Ok(mut frames) => {
                            while frames.next().await.is_some() {
                                this.good.forget_all().await;
                            }
                        }
                        Err(error) => warn!(%error, "changes of keys are seen {TTL:?} late: {error}"),
                    }
                    this.good.forget_all().await;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            });
            until_stopped.await;
        });
    }
}

/// A key that is in force.
async fn load(app: &App, id: Uuid) -> Result<Option<Arc<Known>>, Problem> {
    let Some((key, hash)) = app.store.key_in_force(id).await? else { return Ok(None) };
    let digest = hash.try_into().map_err(|_| Problem::internal())?;
    let principal = Principal {
        name: format!("key {} ({id})", key.name),
        user: key.user_id,
        scopes: key.scopes,
        expires_at: key.expires_at,
        address: None,
    };
    Ok(Some(Arc::new(Known { digest, principal, used: AtomicBool::new(false) })))
}

#[cfg(test)]
mod tests {
    use claw_runtime::{OsRandom, SystemClock};

    use super::*;

    #[test]
    fn a_key_names_its_row_and_is_long() {
        let ids = Ids::new(Arc::new(SystemClock), Arc::new(OsRandom));
        let id = ids.next();
        let made = token(id, &ids);
        assert_eq!(id_of(made.as_bytes()), Some(id));
        assert_eq!(made.len(), 4 + 32 + 1 + 2 * SECRET);
        assert_ne!(digest(made.as_bytes()), digest(token(id, &ids).as_bytes()));
        for other in ["", "iic_", "iic_x_y", "key", "iic_00000000000000000000000000000001"] {
            assert_eq!(id_of(other.as_bytes()), None, "{other}");
        }
    }
}
