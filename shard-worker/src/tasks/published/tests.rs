use std::sync::Mutex;

use async_trait::async_trait;
use chrono::TimeDelta;
use claw_runtime::{Lifecycle, ManualClock, SeededRandom};
use claw_store::{Look, Pending, Result, Settlement};
use claw_types::{Epoch, MessageId, MessageState, ShardId};
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use super::*;
use crate::deliver::Attempt;
use crate::ports::{Acts, Log};
use crate::shard::queue::LaneKey;
use crate::tasks::sweep;
use crate::testing::{self, place};

/// A database in which this is pending, and destinations that take everything.
#[derive(Default)]
struct World {
    pending: Mutex<Vec<Work>>,
    attempted: Mutex<Vec<i64>>,
    settled: Notify,
}

impl World {
    fn rows(&self, is_meant: impl Fn(&Work) -> bool) -> Vec<Work> {
        self.pending.lock().unwrap().iter().filter(|work| is_meant(work)).cloned().collect()
    }
}

#[async_trait]
impl Log for World {
    async fn high_water(&self) -> Result<i64> {
        Ok(100)
    }

    async fn pending(&self, looks: &[Look], _limit: usize) -> Result<Vec<(Work, f64)>> {
        let rows = self.rows(|work| looks.iter().any(|look| work.seq > look.after));
        Ok(rows.into_iter().map(|work| (work, 0.0)).collect())
    }

    async fn places(&self, _looks: &[Look], _limit: usize) -> Result<Vec<Pending>> {
        Ok(self.rows(|_| true).iter().map(place).collect())
    }

    async fn pending_in(&self, lane: &LaneKey, after: i64, _limit: usize) -> Result<Vec<Work>> {
        Ok(self.rows(|work| LaneKey::of(work) == *lane && work.seq > after))
    }

    async fn settle(&self, settlement: Settlement) -> Result<bool> {
        assert_eq!(settlement.state, MessageState::Done);
        self.pending.lock().unwrap().retain(|work| work.id != settlement.id);
        self.settled.notify_one();
        Ok(true)
    }
}

#[async_trait]
impl Acts for World {
    async fn attend(&self, _pipeline: &Arc<Pipeline>, _shard: Arc<Shard>) {}

    async fn attempt(&self, _pipeline: &Arc<Pipeline>, _shard: &Arc<Shard>, work: &mut Work) -> Attempt {
        self.attempted.lock().unwrap().push(work.seq);
        Attempt::Over { state: MessageState::Done, error: None }
    }
}

fn id(seq: i64) -> MessageId {
    MessageId(Uuid::from_u128(seq.unsigned_abs().into()))
}

/// A shard that was just claimed, and has caught up.
fn claimed(pipeline: &Pipeline) -> Arc<Shard> {
    let shard = Arc::new(Shard::new(ShardId(0), Epoch(1)));
    {
        let (mut queue, now) = (shard.queue(), Instant::now());
        queue.begin_page(0, now);
        queue.end_page(Vec::new(), false, now);
    }
    pipeline.own(Arc::clone(&shard));
    shard
}

/// A worker with a shard that has caught up, and one publisher.
struct Rig {
    world: Arc<World>,
    clock: Arc<ManualClock>,
    pipeline: Arc<Pipeline>,
    shard: Arc<Shard>,
    gaps: Gaps,
    published: u64,
}

impl Rig {
    fn new() -> Self {
        let world = Arc::new(World::default());
        let clock = Arc::new(ManualClock::new(chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap()));
        let pipeline = Arc::new(Pipeline::new(
            "one".to_owned(),
            Arc::clone(&world) as Arc<dyn Log>,
            Arc::new(testing::NoRoad),
            Arc::clone(&world) as Arc<dyn Acts>,
            Arc::clone(&clock) as Arc<dyn claw_runtime::Clock>,
            Arc::new(SeededRandom::new(7)),
            &Lifecycle::new(),
        ));
        pipeline.lease.renew(Instant::now(), Duration::from_hours(24));
        let shard = claimed(&pipeline);
        Self { world, clock, pipeline, shard, gaps: Gaps::default(), published: 0 }
    }

    /// A message of a conversation of its own that is committed now.
    fn commit(&self, seq: i64) -> Work {
        let accepted_at_ms = self.pipeline.clock.now().timestamp_millis();
        let work =
            Work { id: id(seq), seq, conversation: format!("chat {seq}"), accepted_at_ms, ..testing::work() };
        self.world.pending.lock().unwrap().push(work.clone());
        work
    }

    /// Another owner did it.
    fn done_elsewhere(&self, work: &Work) {
        self.world.pending.lock().unwrap().retain(|pending| pending.id != work.id);
    }

    async fn pass(&self, secs: u32) {
        self.clock.advance(TimeDelta::seconds(secs.into()));
        tokio::time::advance(Duration::from_secs(secs.into())).await;
    }

    /// The word of it arrives, and what it begins comes to its end.
    async fn word(&mut self, work: &Work) {
        self.published += 1;
        let numbered =
            Numbered { publisher: Uuid::from_u128(9), number: self.published, work: Some(work.clone()) };
        take(&self.pipeline, &self.shard, &mut self.gaps, numbered);
        while self.shard.queue().user(&LaneKey::of(work)).is_some() {
            tokio::task::yield_now().await;
        }
    }

    fn attempted(&self) -> Vec<i64> {
        self.world.attempted.lock().unwrap().clone()
    }
}

#[tokio::test(start_paused = true)]
async fn a_word_of_what_was_done_and_is_forgotten_brings_no_attempt() {
    let mut rig = Rig::new();
    rig.pass(600).await;
    let first = rig.commit(1);
    rig.word(&first).await;
    for seq in 2..=3 {
        rig.pass(61).await;
        let later = rig.commit(seq);
        rig.word(&later).await;
    }
    assert!(!rig.shard.queue().knows(&place(&first)), "forgotten: memory alone can't tell");
    rig.word(&first).await;
    assert_eq!(rig.attempted(), [1, 2, 3]);
    assert!(!rig.shard.queue().wants_sweep(), "its conversation was read, and that was all");
}

#[tokio::test(start_paused = true)]
async fn a_late_word_of_what_was_not_done_is_delivered_once() {
    let mut rig = Rig::new();
    let late = rig.commit(1);
    rig.pass(150).await;
    rig.word(&late).await;
    assert_eq!(rig.attempted(), [1]);
    rig.word(&late).await;
    assert_eq!(rig.attempted(), [1], "it is remembered again");
}

#[tokio::test(start_paused = true)]
async fn a_late_word_behind_what_is_not_known_is_left_to_the_sweep_which_delivers_it_once() {
    let mut rig = Rig::new();
    let late = Work { ahead: vec![id(77)], ..rig.commit(1) };
    rig.pass(150).await;
    rig.word(&late).await;
    assert!(rig.attempted().is_empty() && rig.shard.queue().wants_sweep());
    rig.pipeline.lifecycle.spawn("sweep", sweep::run(Arc::clone(&rig.pipeline)));
    rig.world.settled.notified().await;
    rig.word(&late).await;
    assert_eq!(rig.attempted(), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_word_of_what_the_owner_before_has_done_brings_no_attempt() {
    let mut rig = Rig::new();
    let done = rig.commit(1);
    rig.done_elsewhere(&done);
    rig.pass(3).await;
    rig.shard = claimed(&rig.pipeline);
    rig.pass(4).await;
    rig.word(&done).await;
    assert!(rig.attempted().is_empty(), "it was done before the claim");
    rig.pass(4).await;
    let new = rig.commit(2);
    rig.word(&new).await;
    assert_eq!(rig.attempted(), [2]);
}

#[test]
fn words_are_taken_as_they_are_within_the_bound_and_since_the_claim() {
    let (long, at_ms) = (Duration::from_hours(1), 1_700_000_000_000);
    let work = Work { accepted_at_ms: at_ms, ..testing::work() };
    assert!(would_know(&work, at_ms + 29_000, long));
    assert!(would_know(&work, at_ms + 30_000, long), "the bound");
    assert!(!would_know(&work, at_ms + 30_001, long));
    assert!(would_know(&work, at_ms - 5_000, long), "our clock is behind");
    assert!(!would_know(&work, at_ms + 3_600_000, long), "our clock is an hour ahead: only slower");
    let owned = Duration::from_secs(10);
    assert!(would_know(&work, at_ms + 8_000, owned) && !would_know(&work, at_ms + 8_001, owned));
    let revived = Work { retries: 1, retried_at_ms: at_ms + 3_600_000, ..work };
    assert!(would_know(&revived, at_ms + 3_601_000, long), "its place is new, and so is it");
}
