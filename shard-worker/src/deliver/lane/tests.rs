use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use async_trait::async_trait;
use claw_runtime::{Lifecycle, ManualClock, SeededRandom};
use claw_store::{Error, Look, Pending, Result};
use claw_types::{ChannelId, Epoch, MessageId, ShardId, UserId};
use uuid::Uuid;

use super::*;
use crate::outcomes::Answer;
use crate::ports::{Acts, Log};
use crate::testing;

/// A world in which attempts end as was told, and what waits is woken as long after that as was told.
#[derive(Default)]
struct World {
    ends: Mutex<VecDeque<Attempt>>,
    recovers_after: Mutex<VecDeque<Duration>>,
    /// How long an attempt takes, unless it hears before that nobody waits for it.
    takes: Duration,
    /// So many times what became of one can't be written.
    unwritten: Mutex<usize>,
    /// Whether somebody else owns the shard by now.
    is_taken: bool,
    attempted: Mutex<Vec<Instant>>,
    settled: Mutex<Vec<Settlement>>,
    /// What is stored and pending behind what is in memory.
    behind: Mutex<Vec<Work>>,
    /// From when on nobody wants these.
    wanted_until: HashMap<MessageId, Instant>,
}

#[async_trait]
impl Log for World {
    async fn high_water(&self) -> Result<i64> {
        Ok(1)
    }

    async fn pending(&self, _looks: &[Look], _limit: usize) -> Result<Vec<(Work, f64)>> {
        Ok(Vec::new())
    }

    async fn places(&self, _looks: &[Look], _limit: usize) -> Result<Vec<Pending>> {
        Ok(Vec::new())
    }

    async fn pending_in(&self, _lane: &LaneKey, after: i64, limit: usize) -> Result<Vec<Work>> {
        let behind = self.behind.lock().unwrap();
        Ok(behind.iter().filter(|work| work.seq > after).take(limit).cloned().collect())
    }

    async fn settle(&self, settlement: Settlement) -> Result<bool> {
        {
            let mut unwritten = self.unwritten.lock().unwrap();
            if *unwritten > 0 {
                *unwritten -= 1;
                return Err(Error::NotCommitted("the connection broke".to_owned()));
            }
        }
        if settlement.state != MessageState::Pending {
            self.behind.lock().unwrap().retain(|work| work.id != settlement.id);
        }
        self.settled.lock().unwrap().push(settlement);
        Ok(!self.is_taken)
    }
}

#[async_trait]
impl Acts for World {
    async fn attend(&self, _pipeline: &Arc<Pipeline>, _shard: Arc<Shard>) {}

    async fn attempt(&self, _pipeline: &Arc<Pipeline>, shard: &Arc<Shard>, _work: &mut Work) -> Attempt {
        self.attempted.lock().unwrap().push(Instant::now());
        if !self.takes.is_zero() {
            let taken = tokio::time::sleep(self.takes);
            // Given up, it ends as well, as a send does.
            let _given_up = shard.giving_up().run_until_cancelled(taken).await.is_none();
        }
        self.ends.lock().unwrap().pop_front().unwrap()
    }

    fn outlived(&self, _shard: &Shard, work: &Work) -> Option<Attempt> {
        let is_over = self.wanted_until.get(&work.id).is_some_and(|until| *until <= Instant::now());
        is_over.then(|| Attempt::Over { state: MessageState::Expired, error: Some("too late".to_owned()) })
    }

    async fn recovered(&self, _user: &UserId, _lane: &LaneKey) {
        let after = self.recovers_after.lock().unwrap().pop_front();
        match after {
            Some(after) => tokio::time::sleep(after).await,
            None => std::future::pending().await,
        }
    }
}

fn again() -> Attempt {
    Attempt::Again { after: None, error: "the backend answered 500".to_owned() }
}

fn done() -> Attempt {
    Attempt::Over { state: MessageState::Done, error: None }
}

/// A shard in which this is to be done.
fn with_work(world: &Arc<World>, work: Work) -> (Arc<Pipeline>, Arc<Shard>, LaneKey) {
    let clock = Arc::new(ManualClock::new(chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap()));
    let pipeline = Arc::new(Pipeline::new(
        "one".to_owned(),
        Arc::clone(world) as Arc<dyn Log>,
        Arc::new(testing::NoRoad),
        Arc::clone(world) as Arc<dyn Acts>,
        clock,
        Arc::new(SeededRandom::new(7)),
        &Lifecycle::new(),
    ));
    let now = Instant::now();
    pipeline.lease.renew(now, Duration::from_hours(24));
    let shard = Arc::new(Shard::new(ShardId(0), Epoch(1)));
    let key = {
        let mut queue = shard.queue();
        queue.begin_page(0, now);
        queue.end_page(Vec::new(), false, now);
        queue.offer(work).unwrap()
    };
    (pipeline, shard, key)
}

/// Works a message off that was attempted 20 times and is next tried an hour after it fails: when it was attempted, and what was
/// written.
async fn worked_off(ends: Vec<Attempt>, recovers_after: &[u64]) -> (Vec<Duration>, Vec<Settlement>) {
    let recovers_after = recovers_after.iter().map(|secs| Duration::from_secs(*secs)).collect();
    let world = Arc::new(World {
        ends: Mutex::new(ends.into()),
        recovers_after: Mutex::new(recovers_after),
        ..World::default()
    });
    let began = Instant::now();
    let (pipeline, shard, key) = with_work(&world, Work { attempts: 20, ..testing::work() });
    run(&pipeline, &shard, &key).await;
    let attempted = world.attempted.lock().unwrap();
    let attempted = attempted.iter().map(|at| at.duration_since(began)).collect();
    (attempted, std::mem::take(&mut *world.settled.lock().unwrap()))
}

#[tokio::test(start_paused = true)]
async fn what_waits_goes_when_its_destination_is_well_again_and_costs_no_attempt_if_it_fails() {
    let away = Attempt::NotYet { after: Duration::from_secs(1), why: "away again".to_owned() };
    let (attempted, settled) = worked_off(vec![again(), away, again(), done()], &[10, 10, 10]).await;
    let attempted: Vec<_> = attempted.iter().map(Duration::as_secs).collect();
    assert_eq!(attempted, [0, 10, 20, 30]);
    let written: Vec<_> = settled.iter().map(|settled| (settled.state, settled.attempts)).collect();
    assert_eq!(written, [(MessageState::Pending, 21), (MessageState::Done, 22)]);
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_to_wait_is_not_woken_before() {
    let asked = || Attempt::Again { after: Some(Duration::from_secs(600)), error: "503".to_owned() };
    let (attempted, settled) =
        worked_off(vec![asked(), asked(), again(), done()], &[10, 20, 1_000, 10]).await;
    let [first, woken, again, last] = attempted[..] else { panic!("{attempted:?}") };
    assert_eq!((first.as_secs(), woken.as_secs()), (0, 600), "when it may be, though it was well before");
    assert_eq!(again.as_secs(), 1_200, "the same once more");
    assert!(last.as_secs() > 2_600 && (last.as_secs_f64() - settled[0].due_in).abs() < 0.1, "{attempted:?}");
    let written: Vec<_> = settled.iter().map(|settled| (settled.state, settled.attempts)).collect();
    assert_eq!(written, [(MessageState::Pending, 21), (MessageState::Done, 22)], "woken ones don't count");
}

#[tokio::test(start_paused = true)]
async fn what_fails_when_it_is_woken_waits_until_when_it_would_have() {
    let asked = Attempt::Again { after: Some(Duration::from_secs(60)), error: "429".to_owned() };
    let (attempted, settled) = worked_off(vec![again(), asked, again(), done()], &[10]).await;
    let [_, woken, due, last] = attempted[..] else { panic!("{attempted:?}") };
    assert_eq!(woken.as_secs(), 10);
    assert!(due.as_secs() > 2_600 && (due.as_secs_f64() - settled[0].due_in).abs() < 0.1, "{attempted:?}");
    assert!(last.saturating_sub(due).as_secs() > 2_600, "nobody woke it");
    assert_eq!(settled.iter().map(|settled| settled.attempts).collect::<Vec<_>>(), [21, 22, 23]);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_at_the_time_that_was_asked_for_costs_one_although_the_destination_was_well_before() {
    let asked = || Attempt::Again { after: Some(Duration::from_hours(1)), error: "503".to_owned() };
    let (attempted, settled) = worked_off(vec![asked(), asked(), asked(), done()], &[10, 20, 30]).await;
    let attempted: Vec<_> = attempted.iter().map(Duration::as_secs).collect();
    assert_eq!(attempted, [0, 3_600, 7_200, 10_800]);
    let written: Vec<_> = settled.iter().map(|settled| (settled.state, settled.attempts)).collect();
    let pending = MessageState::Pending;
    assert_eq!(written, [(pending, 21), (pending, 22), (pending, 23), (MessageState::Done, 24)]);
}

fn sent() -> Work {
    Work { direction: Direction::Out, ..testing::work() }
}

/// Gives a shard away while an attempt at this is under way that takes so long, and what became of it can't be written so many times:
/// how many seconds that took, and as what the message was written down.
async fn given_away_during(work: Work, takes: u64, unwritten: usize) -> (u64, Vec<MessageState>) {
    let (ends, unwritten) = (Mutex::new(VecDeque::from([done()])), Mutex::new(unwritten));
    let world = Arc::new(World { ends, takes: Duration::from_secs(takes), unwritten, ..World::default() });
    let (pipeline, shard, key) = with_work(&world, work);
    start(&pipeline, &shard, key);
    while world.attempted.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let began = Instant::now();
    let patience = async { tokio::time::sleep(Duration::from_secs(60)).await };
    shard.stop(Duration::from_secs(3), patience).await;
    let settled = world.settled.lock().unwrap().iter().map(|settled| settled.state).collect();
    (began.elapsed().as_secs(), settled)
}

#[tokio::test(start_paused = true)]
async fn a_shard_is_given_away_when_what_is_sent_is_written_down_and_what_is_posted_again_is_not_waited_for()
{
    assert_eq!(given_away_during(sent(), 6, 0).await, (6, vec![MessageState::Done]));
    assert_eq!(given_away_during(testing::work(), 6, 0).await, (3, vec![]));
    let webhook = Work { channel_id: ChannelId::NONE, ..sent() };
    assert_eq!(given_away_during(webhook, 6, 0).await, (3, vec![]), "a job's is posted again, too");
}

#[tokio::test(start_paused = true)]
async fn what_became_of_a_send_is_written_down_although_the_database_fails_while_its_shard_is_given_away() {
    let done = vec![MessageState::Done];
    assert_eq!(given_away_during(sent(), 1, 3).await, (1, done.clone()));
    assert_eq!(given_away_during(sent(), 6, 3).await, (6, done.clone()));
    assert_eq!(given_away_during(sent(), 3_600, 3).await, (63, done), "given up, it is written down as well");
    assert_eq!(given_away_during(sent(), 6, usize::MAX).await, (66, vec![]), "and nobody waits for ever");
    assert_eq!(given_away_during(testing::work(), 1, 3).await, (1, vec![]), "a post is made again");
}

#[tokio::test(start_paused = true)]
async fn what_became_of_a_send_is_not_tried_on_without_the_lease() {
    let world = Arc::new(World { unwritten: Mutex::new(usize::MAX), ..World::default() });
    let (pipeline, shard, _) = with_work(&world, sent());
    pipeline.lease.revoke();
    let work = sent();
    let written = tokio::time::timeout(Duration::from_mins(1), progress(&pipeline, &shard, &work)).await;
    assert_eq!(written.ok(), Some(false));
}

#[tokio::test(start_paused = true)]
async fn who_hears_of_a_newer_claim_steps_down_and_counts_it() {
    let ends = Mutex::new(VecDeque::from([done()]));
    let world = Arc::new(World { ends, is_taken: true, ..World::default() });
    let (pipeline, shard, key) = with_work(&world, testing::work());
    assert_eq!(testing::fenced("settle"), 0);
    run(&pipeline, &shard, &key).await;
    assert_eq!(testing::fenced("settle"), 1);
    assert!(shard.stopping().is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn what_waits_behind_one_that_waits_for_hours_is_over_when_nobody_wants_it() {
    let began = Instant::now();
    let behind: Vec<Work> = (2..=4_u8)
        .map(|n| Work { id: MessageId(Uuid::from_u128(n.into())), seq: n.into(), ..sent() })
        .collect();
    let [soon, later, wanted] = [behind[0].id, behind[1].id, behind[2].id];
    let asked = Attempt::Again { after: Some(Duration::from_hours(10)), error: "429".to_owned() };
    let world = Arc::new(World {
        ends: Mutex::new(VecDeque::from([asked, done()])),
        behind: Mutex::new(behind),
        wanted_until: HashMap::from([
            (soon, began + Duration::from_secs(90)),
            (later, began + Duration::from_hours(9)),
        ]),
        ..World::default()
    });
    let (pipeline, shard, key) = with_work(&world, sent());
    let first = sent().id;
    let Answer::Coming(mut told) = pipeline.outcomes.ask(later) else { panic!("it is not over yet") };
    start(&pipeline, &shard, key.clone());
    tokio::time::sleep(Duration::from_secs(121)).await;
    let settled = || -> Vec<(MessageId, MessageState)> {
        world.settled.lock().unwrap().iter().map(|settled| (settled.id, settled.state)).collect()
    };
    let mut expected = vec![(first, MessageState::Pending), (soon, MessageState::Expired)];
    assert_eq!(settled(), expected, "within a minute of its end, and no other one");
    // One that is in memory by now goes from there, too.
    let in_memory = world.behind.lock().unwrap()[0].clone();
    assert!(shard.queue().offer(in_memory).is_none());
    tokio::time::sleep(Duration::from_hours(11)).await;
    expected.extend([(later, MessageState::Expired), (first, MessageState::Done)]);
    assert_eq!(settled(), expected);
    assert_eq!(world.attempted.lock().unwrap().len(), 2, "the first one's");
    assert_eq!(world.behind.lock().unwrap().iter().map(|work| work.id).collect::<Vec<_>>(), [wanted]);
    assert!(!shard.queue().holds(later) && told.try_recv().is_ok());
}
