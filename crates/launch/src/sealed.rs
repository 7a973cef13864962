//! Whether what is sealed in the database can be opened by this process.

use claw_secrets::KeyRing;
use claw_store::{Store, sealed};

/// Says in the log, at a start, which sealed values name a master key that this process does not know. It starts all the same:
/// everything else works, and what can't be opened any more can only be deleted through a running gateway.
///
/// # Errors
/// When the database fails.
pub async fn warn_of_unknown_keys(store: &Store, ring: &KeyRing) -> claw_store::Result<()> {
    for (key, counts) in store.sealed_by_unknown(ring).await? {
        let counts = sealed::counted(&counts);
        tracing::error!(
            master_key.id = %key,
            "the secrets of {counts} are sealed under master key {key}, which this process does not know (it knows {ring}), and can't be \
             used: add that key to II_CLAW_OTHER_MASTER_KEYS"
        );
    }
    Ok(())
}
