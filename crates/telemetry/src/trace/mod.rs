//! Traces: what becomes of one message, from its platform through our processes to the backend, and of the answer on its way back.
//!
//! - **A message's id is its trace's id.** Both are 16 bytes, and a message is known by its id wherever it goes: in its row, on NATS, in
//!   a sweep after a crash, at another owner. So nothing has to be carried for the way in, no row grows, and who looks at a message
//!   finds its trace. The first span's id follows from the trace's ([`Context::of_message`]), so whoever works on a message later
//!   knows its parent without having been told. An answer belongs to the trace of its question, so its context is
//!   carried: as `traceparent` from the backend, in the stored message, and to another role.
//! - **Whether a trace is recorded follows from its id**, too: the same everywhere, decided by nobody's header. A caller
//!   who holds the operator's key decides for its own calls; whoever else calls decides nothing.
//! - **Off, it costs a look at an atomic**; on, a message that is not recorded costs some comparisons and no allocation.
//!   That is why spans are made here by hand and not out of `tracing`'s (docs/adr/0018-own-spans.md).
//! - **Nothing waits for the collector.** Spans that find the queue full are dropped and counted.
//!
//! A span says ids, counts and outcomes; never a text, a name, an address or who the user is.

mod context;
pub mod otlp;
mod scope;
mod span;

use std::sync::OnceLock;
use std::time::Instant;

use tokio::sync::mpsc;

pub use context::{Context, HEADER};
pub use scope::{current, within};
pub use span::{Finished, Kind, Span, Value};

use crate::metrics::Counter;

/// Spans that wait to be exported: the default of OpenTelemetry's batch processors
/// (<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#batch-span-processor>).
const QUEUE: usize = 2048;
/// The bits of a trace's id that are random, by W3C's Trace Context, level 2 (<https://www.w3.org/TR/trace-context-2/#random-trace-id-flag>):
/// the last seven bytes. Those of a `UUIDv7` are (RFC 9562, section 5.7).
const RANDOM_BITS: u32 = 56;

/// What traces are made with.
pub struct Settings {
    /// The part of all traces that is recorded, 0 to 1.
    pub share: f64,
    /// The time of day, in nanoseconds since 1970, the same on every machine of the cluster.
    pub clock: Box<dyn Fn() -> u64 + Send + Sync>,
    /// New ids of spans.
    pub random: Box<dyn Fn() -> u64 + Send + Sync>,
}

struct Tracer {
    /// Of 2^56: traces whose random bits are below are recorded.
    below: u64,
    clock: Box<dyn Fn() -> u64 + Send + Sync>,
    random: Box<dyn Fn() -> u64 + Send + Sync>,
    queue: mpsc::Sender<Finished>,
}

static TRACER: OnceLock<Tracer> = OnceLock::new();

/// Begins to trace, for the whole process; the finished spans come out of what this returns. `None` when it had begun before.
pub fn begin(settings: Settings) -> Option<mpsc::Receiver<Finished>> {
    let (queue, spans) = mpsc::channel(QUEUE);
    let Settings { share, clock, random } = settings;
    let tracer = Tracer { below: below(share), clock, random, queue };
    TRACER.set(tracer).ok().map(|()| spans)
}

/// Whether anything is traced in this process.
pub fn is_on() -> bool {
    TRACER.get().is_some()
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "0 to 2^56, which is exact"
)]
fn below(share: f64) -> u64 {
    ((1_u64 << RANDOM_BITS) as f64 * share.clamp(0.0, 1.0)) as u64
}

impl Tracer {
    fn records(&self, trace: u128) -> bool {
        #[expect(clippy::cast_possible_truncation, reason = "the last bits are wanted")]
        let last = trace as u64 & ((1 << RANDOM_BITS) - 1);
        last < self.below
    }

    fn finished(&self, span: Finished) {
        if self.queue.try_send(span).is_err() {
            Counter::SpansDropped.add(&["full"]);
        }
    }
}

/// A moment at which something began that may turn out to be part of a trace.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    /// By the cluster's clock, in nanoseconds since 1970.
    at: u64,
    /// By this machine's, which nobody sets: durations are told from it.
    since: Instant,
}

/// Now; `None` when nothing is traced.
pub fn mark() -> Option<Mark> {
    TRACER.get().map(|tracer| Mark { at: (tracer.clock)(), since: Instant::now() })
}

#[cfg(test)]
mod tests;
