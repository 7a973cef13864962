//! The backend: takes webhooks, sometimes refuses, sometimes is away; and sometimes its answer is lost.

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

/// What a webhook comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is taken.
    Taken,
    /// It is refused.
    Refused,
    /// It is taken, and nobody hears of it.
    Lost,
}

/// A webhook arrives.
pub fn receive(world: &mut World, work: &Work) -> Answer {
    if world.backend.refuses || world.chance(0.01) {
        return Answer::Refused;
    }
    world.backend.taken += 1;
    world.findings.delivered(work);
    if world.chance(0.01) { Answer::Lost } else { Answer::Taken }
}
