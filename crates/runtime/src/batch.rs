//! Group commit: many callers, one round trip.
//!
//! An item that arrives while nothing is in flight goes at once, alone; what arrives while a batch is in flight is
//! the next batch. So an idle system has the latency of one commit and a busy one the throughput of large batches.
//! Nothing waits for company. Two [paces](Pace) differ: where callers can wait, a busy system saves round trips by a short
//! pause; where they can't, many need not wait for the batch before theirs.
//!
//! Must hold: an item's caller hears of it only after its batch was flushed; dropping a caller does not take its
//! item out of a batch (it may already be committed); items that must keep their order are flushed in the order in which
//! they were submitted.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use claw_telemetry::metrics::Histogram;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
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

/// How one batch follows another.
#[derive(Debug, Clone, Copy)]
pub enum Pace<T> {
    /// One at a time, each as soon as the one before it is over.
    OneByOne,
    /// One at a time, with a pause after each batch of many, in which the next one grows: as long as that one took, at most
    /// `longest`. Where there are few, the pause would be what limits them.
    Gathering {
        /// How long the pause is at most.
        longest: Duration,
    },
    /// As soon as at least `least` wait, they do not wait for the batch that is under way: a second one goes beside it. Fewer would
    /// cost more than they save. Items of one `place` keep their order: none goes beside another one of its place.
    Beside {
        /// How many make it worth a batch.
        least: usize,
        /// What must stay in order among itself. Two places of one number are as good as one.
        place: fn(&T) -> u64,
    },
}

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
        Self::paced(lifecycle, name, limit, Pace::OneByOne, flush)
    }

    /// As [`Batcher::start`], at another pace.
    pub fn paced<F, Fut>(
        lifecycle: &Lifecycle,
        name: &'static str,
        limit: usize,
        pace: Pace<T>,
        flush: F,
    ) -> Self
    where
        F: Fn(Vec<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<R>, E>> + Send,
    {
        let (queue, mut inbox) = mpsc::channel::<Entry<T, R, E>>(4 * limit);
        lifecycle.spawn(name, async move {
            let mut line = Line { waiting: Vec::with_capacity(limit), busy: HashSet::new(), under_way: 0, limit, pace };
            let mut flushes = FuturesUnordered::new();
            let mut open = true;
            while open || line.under_way > 0 || !line.waiting.is_empty() {
                while let Some(batch) = line.next() {
                    flushes.push(timed(name, &flush, batch));
                }
                let room = line.room();
                tokio::select! {
                    Some((places, size, took)) = flushes.next() => {
                        line.over(&places);
                        if let Some(pause) = line.pause(size, took) {
                            tokio::time::sleep(pause).await;
                        }
                    }
                    received = inbox.recv_many(&mut line.waiting, room), if open && room > 0 => open = received > 0,
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

/// What waits, and what is under way.
struct Line<T, R, E> {
    waiting: Vec<Entry<T, R, E>>,
    /// The places in order of all that is under way.
    busy: HashSet<u64>,
    under_way: usize,
    limit: usize,
    pace: Pace<T>,
}

impl<T, R, E> Line<T, R, E> {
    /// How many more are to be taken in before something ends.
    fn room(&self) -> usize {
        // With nothing to begin they stay where they are, which wakes nobody.
        let batches = if matches!(self.pace, Pace::Beside { .. }) { 2 } else { 1 };
        if self.under_way < batches { self.limit.saturating_sub(self.waiting.len()) } else { 0 }
    }

    /// The next batch, if there is one to begin with now.
    fn next(&mut self) -> Option<Batch<T, R, E>> {
        let least = match (&self.pace, self.under_way) {
            (_, 0) => 1,
            (Pace::Beside { least, .. }, 1) => *least,
            _ => return None,
        };
        if self.waiting.len() < least {
            return None;
        }
        let places = self.free_places();
        let size = places.as_ref().map_or(self.waiting.len(), Vec::len);
        if size < least {
            return None;
        }
        self.under_way += 1;
        let places = places.unwrap_or_default();
        self.busy.extend(&places);
        Some(Batch { entries: self.waiting.drain(..size).collect(), places })
    }

    /// The places of those in front that go beside nothing of their own place; `None` where places don't matter.
    fn free_places(&self) -> Option<Vec<u64>> {
        let Pace::Beside { place, .. } = &self.pace else { return None };
        let places = self.waiting.iter().map(|(item, _)| place(item));
        Some(places.take_while(|place| !self.busy.contains(place)).collect())
    }

    /// These places are free again.
    fn over(&mut self, places: &[u64]) {
        self.under_way -= 1;
        for place in places {
            self.busy.remove(place);
        }
    }

    fn pause(&self, size: usize, took: Duration) -> Option<Duration> {
        match self.pace {
            // After a full batch there is enough to do.
            Pace::Gathering { longest } if (MANY..self.limit).contains(&size) => Some(took.min(longest)),
            _ => None,
        }
    }
}

/// What is flushed at once.
struct Batch<T, R, E> {
    entries: Vec<Entry<T, R, E>>,
    /// Of each, where places matter.
    places: Vec<u64>,
}

/// Flushes a batch; its places, its size and how long it took.
async fn timed<T, R, E, F, Fut>(
    name: &'static str,
    flush: &F,
    batch: Batch<T, R, E>,
) -> (Vec<u64>, usize, Duration)
where
    T: Clone,
    E: FlushError,
    F: Fn(Vec<T>) -> Fut,
    Fut: Future<Output = Result<Vec<R>, E>>,
{
    let (began, size) = (Instant::now(), batch.entries.len());
    flush_all(flush, batch.entries.into_iter()).await;
    let took = began.elapsed();
    measure(name, size, took);
    (batch.places, size, took)
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

    use futures::FutureExt as _;
    use futures::future::BoxFuture;
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
        let batcher = Batcher::paced(
            &lifecycle,
            "test",
            100,
            Pace::Gathering { longest },
            move |items: Vec<u32>| async move {
                tokio::time::sleep(takes).await;
                let size = items.len();
                Ok::<_, Failed>(vec![size; size])
            },
        );
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

    /// What began to be flushed, and what ends it.
    type Begun = mpsc::UnboundedReceiver<(Vec<u32>, oneshot::Sender<()>)>;

    fn gated(pace: Pace<u32>) -> (Batcher<u32, u32, Failed>, Begun) {
        let (begun, flushes) = mpsc::unbounded_channel();
        let batcher = Batcher::paced(&Lifecycle::new(), "test", 100, pace, move |items: Vec<u32>| {
            let (end, ended) = oneshot::channel();
            begun.send((items.clone(), end)).unwrap();
            async move {
                ended.await.unwrap();
                Ok(items)
            }
        });
        (batcher, flushes)
    }

    /// All of these are submitted when it returns.
    fn submit(batcher: &Batcher<u32, u32, Failed>, items: &[u32]) -> BoxFuture<'static, Vec<u32>> {
        let each = items.iter().map(|&item| {
            let batcher = batcher.clone();
            async move { batcher.submit(item).await.unwrap() }
        });
        let mut all = futures::future::join_all(each).boxed();
        assert!(all.as_mut().now_or_never().is_none());
        all
    }

    const BESIDE: Pace<u32> = Pace::Beside { least: 3, place: |item| u64::from(item % 10) };

    #[tokio::test]
    async fn many_do_not_wait_for_the_batch_before_theirs_and_few_do() {
        let (batcher, mut flushes) = gated(BESIDE);
        let first = submit(&batcher, &[1]);
        let (items, end_first) = flushes.recv().await.unwrap();
        assert_eq!(items, [1]);
        let second = submit(&batcher, &[2, 3]);
        tokio::task::yield_now().await;
        assert!(flushes.try_recv().is_err(), "two are too few to go beside the first");
        let third = submit(&batcher, &[4]);
        let (items, end_second) = flushes.recv().await.unwrap();
        assert_eq!(items, [2, 3, 4], "three are enough");
        let rest = submit(&batcher, &[5, 6, 7, 8]);
        tokio::task::yield_now().await;
        assert!(flushes.try_recv().is_err(), "no third one beside two");
        end_second.send(()).unwrap();
        assert_eq!((second.await, third.await), (vec![2, 3], vec![4]));
        let (items, end_third) = flushes.recv().await.unwrap();
        assert_eq!(items, [5, 6, 7, 8]);
        end_first.send(()).unwrap();
        end_third.send(()).unwrap();
        assert_eq!((first.await, rest.await), (vec![1], vec![5, 6, 7, 8]));
    }

    #[tokio::test]
    async fn nothing_goes_beside_or_past_what_it_must_follow() {
        let (batcher, mut flushes) = gated(BESIDE);
        let first = submit(&batcher, &[1]);
        let (_, end_first) = flushes.recv().await.unwrap();
        let rest = submit(&batcher, &[2, 3, 4, 11, 5, 6, 12]);
        let (items, end_second) = flushes.recv().await.unwrap();
        assert_eq!(items, [2, 3, 4], "11 follows 1, and what is behind 11 stays behind it");
        end_first.send(()).unwrap();
        first.await;
        let (items, end_third) = flushes.recv().await.unwrap();
        assert_eq!(items, [11, 5, 6], "12 follows 2");
        end_second.send(()).unwrap();
        end_third.send(()).unwrap();
        let (items, end_last) = flushes.recv().await.unwrap();
        assert_eq!(items, [12]);
        end_last.send(()).unwrap();
        assert_eq!(rest.await, [2, 3, 4, 11, 5, 6, 12]);
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
