//! Group commit: many callers, one round trip.
//!
//! An item that arrives while nothing is in flight goes at once, alone; what arrives while a batch is in flight is
//! the next batch. So an idle system has the latency of one commit and a busy one the throughput of large batches.
//! Nothing waits for company, unless its callers can wait: then a busy system saves round trips by a short
//! [pause](Batcher::gathering).
//!
//! Must hold: an item's caller hears of it only after its batch was flushed; dropping a caller does not take its
//! item out of a batch (it may already be committed).

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use claw_telemetry::metrics::Histogram;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::Lifecycle;

/// Why an item was not flushed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BatchError<E> {
    /// The flush failed.
    #[error(transparent)]
    Flush(Arc<E>),
    /// The process is stopping.
    #[error("the process is stopping; send it again to another one")]
    Stopped,
}

/// Tells failures of a whole batch from failures of one of its items.
pub trait FlushError {
    /// Whether one bad item can be why a batch failed, so that each is worth trying alone. When the server is away, each
    /// would only wait as long again, one after the other, while everybody behind them waits for all of them.
    fn may_be_one_item(&self) -> bool;
}

/// What a batch has at least that is followed by a pause.
const MANY: usize = 8;

type Entry<T, R, E> = (T, oneshot::Sender<Result<R, BatchError<E>>>);

/// Hands items to a flush function in batches. Cheap to clone.
pub struct Batcher<T, R, E> {
    queue: mpsc::Sender<Entry<T, R, E>>,
}

impl<T, R, E> Clone for Batcher<T, R, E> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone() }
    }
}

impl<T, R, E> Batcher<T, R, E>
where
    T: Clone + Send + 'static,
    R: Send + 'static,
    E: FlushError + Send + Sync + 'static,
{
    /// Starts the task that flushes; it ends when every handle is gone or `lifecycle` is forced to end. `name` is among the
    /// metrics' values of the label `batch`.
    ///
    /// `flush` returns one result for each item, in order. When it fails for a batch of several and
    /// [one may be to blame](FlushError), each item is flushed alone, so that one bad item fails only itself.
    pub fn start<F, Fut>(lifecycle: &Lifecycle, name: &'static str, limit: usize, flush: F) -> Self
    where
        F: Fn(Vec<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<R>, E>> + Send,
    {
        Self::gathering(lifecycle, name, limit, Duration::ZERO, flush)
    }

    /// As [`Batcher::start`], with a pause after each batch of many, in which the next one grows: as long as that one took, at
    /// most `longest`. Where there are few, the pause would be what limits them.
    pub fn gathering<F, Fut>(
        lifecycle: &Lifecycle,
        name: &'static str,
        limit: usize,
        longest: Duration,
        flush: F,
    ) -> Self
    where
        F: Fn(Vec<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<R>, E>> + Send,
    {
        let (queue, mut inbox) = mpsc::channel::<Entry<T, R, E>>(4 * limit);
        let hard = lifecycle.hard();
        lifecycle.spawn(name, async move {
            let mut entries = Vec::with_capacity(limit);
            loop {
                let received = tokio::select! {
                    n = inbox.recv_many(&mut entries, limit) => n,
                    () = hard.cancelled() => 0,
                };
                if received == 0 {
                    return;
                }
                let began = Instant::now();
                flush_all(&flush, entries.drain(..)).await;
                measure(name, received, began.elapsed());
                // After a full batch there is enough to do.
                if !longest.is_zero() && (MANY..limit).contains(&received) {
                    tokio::select! {
                        () = tokio::time::sleep(began.elapsed().min(longest)) => {}
                        () = hard.cancelled() => {}
                    }
                }
            }
        });
        Self { queue }
    }

    /// Waits until `item` is flushed.
    ///
    /// # Errors
    /// When the flush failed or the process is stopping.
    pub async fn submit(&self, item: T) -> Result<R, BatchError<E>> {
        let (reply, answer) = oneshot::channel();
        self.queue.send((item, reply)).await.map_err(|_| BatchError::Stopped)?;
        answer.await.map_err(|_| BatchError::Stopped)?
    }
}

#[expect(clippy::cast_precision_loss, reason = "batches have at most some thousand items")]
fn measure(name: &'static str, size: usize, took: Duration) {
    Histogram::BatchSize.observe(&[name], size as f64);
    Histogram::BatchDuration.observe(&[name], took.as_secs_f64());
}

async fn flush_all<T, R, E, F, Fut>(flush: &F, entries: impl Iterator<Item = Entry<T, R, E>>)
where
    T: Clone,
    E: FlushError,
    F: Fn(Vec<T>) -> Fut,
    Fut: Future<Output = Result<Vec<R>, E>>,
{
    let (items, replies): (Vec<T>, Vec<_>) = entries.unzip();
    // Keep what is needed to go one by one only when there is a choice.
    let again = (items.len() > 1).then(|| items.clone());
    match (flush(items).await, again) {
        (Ok(results), _) => {
            debug_assert_eq!(results.len(), replies.len(), "one result for each item");
            // A caller that went away does not care any more.
            replies.into_iter().zip(results).for_each(|(reply, result)| drop(reply.send(Ok(result))));
        }
        (Err(error), Some(items)) if error.may_be_one_item() => {
            for (item, reply) in items.into_iter().zip(replies) {
                let result = flush(vec![item]).await;
                let result = result
                    .map_err(|e| BatchError::Flush(Arc::new(e)))
                    .and_then(|mut one| one.pop().ok_or(BatchError::Stopped));
                drop(reply.send(result));
            }
        }
        (Err(error), _) => {
            let error = Arc::new(error);
            for reply in replies {
                drop(reply.send(Err(BatchError::Flush(Arc::clone(&error)))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::sync::Semaphore;

    use super::*;

    #[derive(Debug)]
    enum Failed {
        BadItem,
        Away,
    }

    impl FlushError for Failed {
        fn may_be_one_item(&self) -> bool {
            matches!(self, Self::BadItem)
        }
    }

    #[tokio::test]
    async fn what_arrives_during_a_flush_is_the_next_batch() {
        let lifecycle = Lifecycle::new();
        let gate = Arc::new(Semaphore::new(0));
        let sizes = Arc::new(Mutex::new(Vec::new()));
        let (flush_gate, flush_sizes) = (Arc::clone(&gate), Arc::clone(&sizes));
        let batcher = Batcher::start(&lifecycle, "test", 100, move |items: Vec<u32>| {
            let (gate, sizes) = (Arc::clone(&flush_gate), Arc::clone(&flush_sizes));
            async move {
                sizes.lock().unwrap().push(items.len());
                gate.acquire().await.unwrap().forget();
                Ok::<_, Failed>(items.iter().map(|i| i * 2).collect())
            }
        });
        let first = batcher.submit(1);
        let rest = futures::future::join_all((2..=10).map(|i| batcher.submit(i)));
        let both = futures::future::join(first, rest);
        gate.add_permits(2);
        let (first, rest) = both.await;
        assert_eq!(first.unwrap(), 2);
        assert_eq!(rest.into_iter().map(Result::unwrap).sum::<u32>(), 108);
        assert_eq!(sizes.lock().unwrap().iter().sum::<usize>(), 10);
        assert!(sizes.lock().unwrap().len() <= 2);
    }

    #[tokio::test(start_paused = true)]
    async fn where_callers_can_wait_a_busy_one_gathers() {
        let lifecycle = Lifecycle::new();
        let (takes, longest) = (Duration::from_millis(4), Duration::from_millis(2));
        let batcher =
            Batcher::gathering(&lifecycle, "test", 100, longest, move |items: Vec<u32>| async move {
                tokio::time::sleep(takes).await;
                let size = items.len();
                Ok::<_, Failed>(vec![size; size])
            });
        let all = |range: std::ops::Range<u32>| futures::future::join_all(range.map(|i| batcher.submit(i)));
        let begun = Instant::now();
        all(0..7).await;
        assert_eq!(batcher.submit(2).await.unwrap(), 1);
        assert_eq!(begun.elapsed(), 2 * takes, "few are followed by no pause");
        all(0..8).await;
        let first = batcher.submit(5);
        let second = async {
            tokio::time::sleep(longest / 2).await;
            batcher.submit(6).await
        };
        let gathered = futures::future::join(first, second).await;
        assert_eq!((gathered.0.unwrap(), gathered.1.unwrap()), (2, 2), "the second one came in the pause");
        assert_eq!(begun.elapsed(), 4 * takes + longest);
    }

    #[tokio::test]
    async fn a_bad_item_fails_alone() {
        let lifecycle = Lifecycle::new();
        let batcher = Batcher::start(&lifecycle, "test", 100, |items: Vec<u32>| async move {
            if items.contains(&3) { Err(Failed::BadItem) } else { Ok(items) }
        });
        let results = futures::future::join_all((1..=5).map(|i| batcher.submit(i))).await;
        let failed: Vec<_> = results.iter().map(Result::is_err).collect();
        assert_eq!(failed, [false, false, true, false, false]);
    }

    #[tokio::test]
    async fn when_the_server_is_away_nobody_is_tried_alone() {
        let lifecycle = Lifecycle::new();
        let tried = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&tried);
        let batcher = Batcher::start(&lifecycle, "test", 100, move |_: Vec<u32>| {
            *counted.lock().unwrap() += 1;
            async { Err::<Vec<u32>, _>(Failed::Away) }
        });
        let results = futures::future::join_all((1..=50).map(|i| batcher.submit(i))).await;
        assert!(results.iter().all(Result::is_err));
        assert!(*tried.lock().unwrap() < 50, "{} flushes", tried.lock().unwrap());
    }
}
