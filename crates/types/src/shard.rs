//! Shards: the unit of ownership.
//!
//! `shard = xxh3_64(len(user_id) as u32 LE, user_id, instance) mod N`. The length prefix keeps
//! (`ab`, `c`) and (`a`, `bc`) apart. The function is part of the stored data (every channel and message row
//! carries its shard), so it never changes; the test vectors below are the specification.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::{InstanceId, UserId};

/// One of the cluster's N shards, `0..N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShardId(pub u16);

impl ShardId {
    /// The column's type.
    pub fn as_i32(self) -> i32 {
        i32::from(self.0)
    }
}

impl std::fmt::Display for ShardId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Counts the claims of one shard. Only the holder of the newest epoch may write for the shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub i64);

/// How many shards the cluster has, 1 to 32,767; changed only while all of it is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardCount(u16);

impl ShardCount {
    /// What a new cluster gets unless told otherwise.
    pub const DEFAULT: Self = Self(256);

    /// `None` unless `count` is in 1..=32767.
    pub fn new(count: u16) -> Option<Self> {
        (1..=32_767).contains(&count).then_some(Self(count))
    }

    /// The number.
    pub fn get(self) -> u16 {
        self.0
    }

    /// All shards, in order.
    pub fn all(self) -> impl Iterator<Item = ShardId> {
        (0..self.0).map(ShardId)
    }

    /// The shard of anything else that an owner looks after; `user` is `None` for the operator's.
    pub fn shard_of_item(self, user: Option<&UserId>, id: uuid::Uuid) -> ShardId {
        let hash = stable_hash(user.map_or("operator", UserId::as_str), &id.to_string());
        ShardId(u16::try_from(hash % u64::from(self.0)).unwrap_or_default())
    }

    /// The shard of a channel.
    pub fn shard_of(self, user: &UserId, instance: &InstanceId) -> ShardId {
        let hash = stable_hash(user.as_str(), instance.as_str());
        // The remainder of a u16 divisor fits a u16.
        ShardId(u16::try_from(hash % u64::from(self.0)).unwrap_or_default())
    }
}

fn stable_hash(user: &str, instance: &str) -> u64 {
    let mut hasher = Xxh3::new();
    let length = u32::try_from(user.len()).unwrap_or(u32::MAX);
    hasher.update(&length.to_le_bytes());
    hasher.update(user.as_bytes());
    hasher.update(instance.as_bytes());
    hasher.digest()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_never_changes() {
        for (user, instance, hash, shard) in VECTORS {
            assert_eq!(stable_hash(user, instance), hash, "{user} {instance}");
            let id = ShardCount::DEFAULT.shard_of(&user.parse().unwrap(), &instance.parse().unwrap());
            assert_eq!(id, ShardId(shard), "{user} {instance}");
        }
    }

    #[test]
    fn the_boundary_between_user_and_instance_counts() {
        assert_ne!(stable_hash("ab", "c"), stable_hash("a", "bc"));
    }

    // Computed by the reference C library's Python binding (xxhash 3), not by this code.
    const VECTORS: [(&str, &str, u64, u16); 4] = [
        ("local", "webchat_local", 0x0dbb_40a6_eb6e_c428, 40),
        ("7f9c24e8-3b12-4f6f-9b8e-2a1d3c4b5a69", "discord_a1b2c3d4", 0xedae_7350_02ea_fe46, 70),
        ("u", "i", 0xe87c_269b_6c33_d9e4, 228),
        ("jörg", "telegram_1", 0x8884_d726_19bb_0d1d, 29),
    ];
}
