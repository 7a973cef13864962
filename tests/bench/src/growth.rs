//! What a message costs when there are more and more channels: the same closed loop, spread over all of them.
//!
//! Each channel is a user's own. What must hold: the cost of a message does not depend on how many channels there are that
//! nobody writes to at the moment, and what an idle one costs is memory alone.

use std::time::{Duration, Instant};

use crate::load::{Load, Outcome};
use crate::machine::Usage;
use crate::stack::Stack;

/// One size.
pub(crate) struct Size {
    pub(crate) channels: usize,
    /// How long it took to make those that were missing, by the API.
    pub(crate) made_in: Duration,
    pub(crate) outcome: Outcome,
    /// CPU by process.
    pub(crate) cost: String,
    /// RSS by role, after the load.
    pub(crate) memory: String,
}

/// Grows to each size in turn and measures it.
pub(crate) async fn run(
    stack: &Stack,
    load: &mut Load,
    sizes: &[usize],
    clients: usize,
    (warm_up, time): (Duration, Duration),
) -> anyhow::Result<Vec<Size>> {
    let mut measured = Vec::new();
    for &channels in sizes {
        let began = Instant::now();
        load.grow(stack, channels).await?;
        let made_in = began.elapsed();
        load.spread(channels, clients, warm_up).await;
        let before = Usage::of(&stack.processes());
        let outcome = load.spread(channels, clients, time).await;
        let cost = Usage::of(&stack.processes()).since(&before).per_message(outcome.delivered);
        measured.push(Size { channels, made_in, outcome, cost, memory: stack.memory() });
    }
    Ok(measured)
}
