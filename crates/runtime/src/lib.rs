//! What every role runs on: the clock, randomness, retry schedules, batching, turns and the lifecycle of tasks.
//!
//! There is one of each, injected, so that a test can hold time still and a simulation can replay a seed.

pub mod batch;
pub mod clock;
pub mod ids;
pub mod lifecycle;
pub mod random;
pub mod retry;
pub mod turns;

pub use batch::{BatchError, Batcher, FlushError, Pace};
pub use clock::{Clock, ManualClock, SyncedClock, SystemClock};
pub use ids::Ids;
pub use lifecycle::{Failure, Lifecycle};
pub use random::{OsRandom, Random, SeededRandom};
pub use retry::Backoff;
