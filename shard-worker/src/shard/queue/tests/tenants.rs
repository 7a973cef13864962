//! Several tenants in one shard, on a database of a map, with publishes that are lost and attempts that fail.

use std::collections::BTreeMap;

use super::super::tenants::{TENANT_RESERVE, TENANT_WAITING, TENANT_WINDOW};
use super::*;

/// As the worker's page.
const PAGE: usize = 100;

/// A shard, its database and its runners.
struct World {
    queue: ShardQueue,
    now: Instant,
    pending: BTreeMap<i64, Work>,
    accepted: i64,
    runners: Vec<LaneKey>,
    /// The places that were attempted first, by tenant and conversation.
    seen: BTreeMap<(UserId, String), Vec<i64>>,
    random: u64,
}

impl World {
    fn new(random: u64) -> Self {
        let now = Instant::now();
        let (pending, seen) = (BTreeMap::new(), BTreeMap::new());
        Self { queue: settled(now), now, pending, accepted: 0, runners: Vec::new(), seen, random }
    }

    /// One in so many times, by a linear congruential generator.
    fn one_in(&mut self, times: u64) -> bool {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33).is_multiple_of(times)
    }

    fn commit(&mut self, user: &str, conversation: &str) -> Work {
        self.accepted += 1;
        let same = |before: &&Work| before.conversation == conversation;
        let ahead = self.pending.values().rev().filter(same).take(4).map(|before| before.id).collect();
        let work = Work { ahead, ..of(user, work(self.accepted, conversation)) };
        self.pending.insert(work.seq, Work { ahead: Vec::new(), ..work.clone() });
        work
    }

    fn accept(&mut self, user: &str, conversation: &str) -> bool {
        let work = self.commit(user, conversation);
        let lane = self.queue.offer(work);
        let started = lane.is_some();
        self.runners.extend(lane);
        started
    }

    fn read(&self, after: i64, wanted: impl Fn(&Work) -> bool, limit: usize) -> Vec<Work> {
        let behind = self.pending.range(after + 1..).map(|(_, work)| work);
        behind.filter(|work| wanted(work)).take(limit).cloned().collect()
    }

    /// What the worker's sweep does in a round.
    fn sweep(&mut self) {
        let after = self.queue.begin_page(self.accepted, self.now);
        let over = self.queue.passed_over();
        let page = self.read(after, |work| !over.contains(&work.user_id), PAGE);
        let full = page.len() == PAGE;
        self.runners.extend(self.queue.end_page(due(page), full, self.now));
        for user in self.queue.tenants_wanting() {
            let Some(after) = self.queue.begin_tenant(&user) else { continue };
            let page = self.read(after, |work| work.user_id == user, PAGE);
            let full = page.len() == PAGE;
            self.runners.extend(self.queue.end_tenant(&user, due(page), full, self.now));
        }
    }

    /// Lets a runner do what is next; `false` when it has ended.
    fn step(&mut self, lane: &LaneKey, failing: bool) -> bool {
        match self.queue.next(lane, self.now, 0) {
            Next::Finished => return false,
            Next::WaitUntil(_) => {}
            Next::Load { after, limit } => {
                let page = self.read(after, |work| LaneKey::of(work) == *lane, limit);
                let full = page.len() == limit;
                self.queue.loaded(lane, page, full);
            }
            Next::Attempt(work) => return self.attempt(lane, *work, failing),
            other @ (Next::Burst(_) | Next::Gather { .. }) => panic!("nobody writes in bursts: {other:?}"),
        }
        true
    }

    fn attempt(&mut self, lane: &LaneKey, mut work: Work, failing: bool) -> bool {
        if work.attempts == 0 {
            let key = (work.user_id.clone(), work.conversation.clone());
            self.seen.entry(key).or_default().push(work.seq);
        }
        work.attempts += 1;
        if failing || (work.attempts == 1 && self.one_in(20)) {
            self.pending.insert(work.seq, work.clone());
            self.queue.retry(lane, work, self.now + Duration::from_secs(2))
        } else {
            self.pending.remove(&work.seq);
            self.queue.finished(lane, self.now);
            true
        }
    }

    /// Every runner once, and a second later a sweep.
    fn second(&mut self) {
        for lane in std::mem::take(&mut self.runners) {
            if self.step(&lane, false) {
                self.runners.push(lane);
            }
        }
        self.now += Duration::from_secs(1);
        self.sweep();
    }

    fn in_memory(&self, user: &str) -> usize {
        let works = self.queue.lanes.values().flat_map(|lane| &lane.works);
        works.filter(|work| work.user_id.as_str() == user).count()
    }

    /// Until all is done; each conversation's messages were attempted in their order, and none was left out.
    fn finish(mut self) {
        let mut seconds = 0;
        while !self.pending.is_empty() {
            self.second();
            seconds += 1;
            assert!(seconds < 100_000, "{} messages are never attempted", self.pending.len());
        }
        assert_eq!(self.seen.values().map(Vec::len).sum::<usize>(), usize::try_from(self.accepted).unwrap());
        for (conversation, seen) in &self.seen {
            assert!(seen.is_sorted(), "out of order in {conversation:?}: {seen:?}");
        }
        while !self.runners.is_empty() {
            self.second();
        }
        assert!(self.queue.known.is_empty() && self.queue.lanes.is_empty());
        assert_eq!((self.queue.beside, self.queue.waiting), (0, 0));
        assert!(self.queue.passed_over().is_empty());
    }
}

#[tokio::test]
async fn a_tenant_with_a_long_queue_leaves_the_window_to_the_others() {
    for conversations in [10_000, 300, 1] {
        let mut world = World::new(conversations);
        for n in 0..10_000 {
            world.accept("many", &format!("m{}", n % conversations));
        }
        assert!(world.in_memory("many") <= TENANT_WINDOW + TENANT_RESERVE * LEAST_LOAD);
        assert!(!world.queue.wants_pass(), "it is the tenant's matter, not the shard's");
        assert!(world.accept("one", "a"), "taken at once");
        let lane = world.runners.last().cloned().unwrap();
        world.step(&lane, false);
        assert_eq!(
            world.seen.values().next_back(),
            Some(&vec![10_001]),
            "and without a look at the database"
        );
        world.finish();
    }
}

#[tokio::test]
async fn a_claimed_shard_reads_others_past_a_tenant_with_a_long_queue() {
    let mut world = World::new(7);
    for n in 0..10_000 {
        world.commit("many", &format!("m{n}"));
    }
    world.commit("one", "a");
    world.queue = ShardQueue::new();
    let pages = (0..200).take_while(|_| {
        world.sweep();
        world.in_memory("one") == 0
    });
    let pages = pages.count();
    assert!(pages < 10, "its message was read with page {pages}");
    assert!(world.in_memory("many") <= TENANT_WINDOW);
    world.finish();
}

#[tokio::test]
async fn the_order_holds_when_tenants_fall_behind_and_publishes_are_lost() {
    for seed in 1..=8 {
        let mut world = World::new(seed);
        for n in 0..6_000_u64 {
            let (user, conversations) = if n % 10 == 0 { ("few", 5) } else { ("many", 900) };
            let conversation = format!("{user}-{}", (n * 7 + seed) % conversations);
            if world.one_in(50) {
                world.commit(user, &conversation);
            } else {
                world.accept(user, &conversation);
            }
            if world.one_in(400) {
                world.queue.leave_to_sweep();
            }
            if world.one_in(40) {
                world.second();
            }
        }
        world.finish();
    }
}

#[tokio::test]
async fn conversations_that_wait_for_another_attempt_leave_the_window_to_the_others() {
    let mut world = World::new(3);
    for n in 0..TENANT_WAITING {
        world.accept("u", &format!("away-{n}"));
        while let Some(lane) = world.runners.pop() {
            // Until it waits.
            while world.in_memory("u") > 0 && !world.queue.lanes[&lane].waiting {
                world.step(&lane, true);
            }
        }
    }
    assert_eq!(world.queue.waiting, TENANT_WAITING);
    assert_eq!(world.queue.held(), 0);
    assert!(world.queue.has_room());
    assert!(world.accept("u", "healthy") && world.accept("another", "healthy too"));
    assert_eq!(world.queue.waiting, TENANT_WAITING);
}
