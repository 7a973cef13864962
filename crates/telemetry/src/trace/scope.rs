//! Which span the running task is in.

use futures::future::Either;
use tokio::task::futures::TaskLocalFuture;
use tracing::instrument::{Instrument as _, Instrumented};

use super::{Context, TRACER};

tokio::task_local! {
    static CURRENT: Context;
}

/// The span that this runs in, if it is recorded.
pub fn current() -> Option<Context> {
    TRACER.get()?;
    CURRENT.try_with(|context| *context).ok()
}

/// Runs `work` in a span: what it begins are children of that, and its log lines say `trace_id` and `span_id`. Without a
/// context, or in a trace that is not recorded, it is run as it is.
pub fn within<F: Future>(
    context: Option<Context>,
    work: F,
) -> Either<F, Instrumented<TaskLocalFuture<Context, F>>> {
    let Some(context) = context.and_then(Context::sampled) else { return Either::Left(work) };
    let Context { trace, span, .. } = context;
    // Of the highest level, so that it is there for the lines of every level that is wanted.
    let lines =
        tracing::error_span!("trace", trace_id = format!("{trace:032x}"), span_id = format!("{span:016x}"));
    Either::Right(CURRENT.scope(context, work).instrument(lines))
}
