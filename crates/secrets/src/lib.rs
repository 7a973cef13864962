//! Keys and what they protect: sealed channel secrets, signed URLs, signed webhooks.
//!
//! One master key (32 bytes), and others beside it while it is replaced; every use gets its own key from it by HKDF-SHA256
//! (RFC 5869), so that a leak of one use tells nothing about another. Randomness for nonces comes from the caller.

pub mod master;
pub mod ring;
pub mod sealed;
pub mod signature;

pub use master::{KeyError, MasterKey, Purpose};
pub use ring::{KeyRing, WebhookSecrets};
pub use sealed::{SealError, Sealed};
