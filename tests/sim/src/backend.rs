//! The backend: takes webhooks, sometimes refuses, sometimes is away.

use claw_types::Work;

use crate::world::World;

/// The server.
#[derive(Debug, Default)]
pub struct Backend {
    /// Every answer is 503.
    pub refuses: bool,
    /// Webhooks taken.
    pub taken: u64,
}

/// A webhook arrives; answers whether it is taken.
pub fn receive(world: &mut World, work: &Work) -> bool {
    if world.backend.refuses || world.chance(0.01) {
        return false;
    }
    world.backend.taken += 1;
    world.findings.delivered(work);
    true
}
