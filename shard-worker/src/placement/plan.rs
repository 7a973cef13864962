//! What is to be claimed and what to be given back; pure.
//!
//! Owners follow from rendezvous hashing alone, so every worker comes to the same plan. Two rules keep it gentle: a shard is
//! given to a newcomer only once that one has been there for a while ([`Peer::settled`], by database time), so a process
//! that starts and fails over and over does not make the whole cluster reconnect; and few shards are in motion at
//! once, so that their channels are connected elsewhere before the next ones are let go. Shards that nobody holds are
//! claimed at once, all of them: their people wait.

use std::collections::{BTreeMap, BTreeSet};

use claw_store::Peer;
use claw_types::{Candidate, ShardCount, ShardId, owner_of};

/// What is to change.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// To be given back.
    pub(crate) release: Vec<ShardId>,
    /// Ours, and not yet claimed.
    pub(crate) claim: Vec<ShardId>,
}

/// Who owns which shard, for the present members.
pub(crate) struct Planner {
    me: String,
    shards: ShardCount,
    members: Vec<Peer>,
    /// By shard: the owner's index.
    owners: Vec<Option<usize>>,
}

impl Planner {
    pub(crate) fn new(me: String, shards: ShardCount) -> Self {
        Self { me, shards, members: Vec::new(), owners: vec![None; usize::from(shards.get())] }
    }

    /// The present members. Computed anew only when they changed: it takes a hash for each shard and member.
    pub(crate) fn update(&mut self, mut members: Vec<Peer>) {
        members.sort_by(|a, b| a.name.cmp(&b.name));
        let candidates = |peers: &[Peer]| -> Vec<Candidate> {
            peers.iter().map(|peer| Candidate { name: peer.name.clone(), weight: peer.weight }).collect()
        };
        let now = candidates(&members);
        if now != candidates(&self.members) {
            let index: BTreeMap<&str, usize> =
                now.iter().enumerate().map(|(at, one)| (one.name.as_str(), at)).collect();
            let owner = |shard| owner_of(shard, &now).and_then(|one| index.get(one.name.as_str()).copied());
            self.owners = self.shards.all().map(owner).collect();
        }
        self.members = members;
    }

    /// How many shards are ours by the present members.
    pub(crate) fn ours(&self) -> usize {
        self.shards
            .all()
            .filter(|shard| self.owner(*shard).is_some_and(|owner| owner.name == self.me))
            .count()
    }

    fn owner(&self, shard: ShardId) -> Option<&Peer> {
        self.owners.get(usize::from(shard.0)).copied().flatten().and_then(|at| self.members.get(at))
    }

    /// Whether a shard that we hold goes to somebody else now. Who leaves waits for nobody.
    fn goes(&self, shard: ShardId, leaving: bool) -> bool {
        match self.owner(shard) {
            Some(owner) if owner.name == self.me => leaving,
            Some(owner) => owner.settled || leaving,
            None => true,
        }
    }

    /// What to do, given what is held and what is being given back; `room` more may be set in motion.
    pub(crate) fn plan(
        &self,
        held: impl Iterator<Item = ShardId>,
        releasing: &BTreeSet<ShardId>,
        leaving: bool,
        room: usize,
    ) -> Plan {
        let held: BTreeSet<ShardId> = held.collect();
        let release = held.iter().copied().filter(|shard| self.goes(*shard, leaving)).take(room).collect();
        let ours =
            |shard: &ShardId| !leaving && self.owner(*shard).is_some_and(|owner| owner.name == self.me);
        let free = |shard: &ShardId| !held.contains(shard) && !releasing.contains(shard);
        let claim = self.shards.all().filter(|shard| free(shard) && ours(shard)).collect();
        Plan { release, claim }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(name: &str, settled: bool) -> Peer {
        Peer { name: name.to_owned(), weight: 1.0, settled }
    }

    fn planner(members: Vec<Peer>) -> Planner {
        let mut planner = Planner::new("one".to_owned(), ShardCount::DEFAULT);
        planner.update(members);
        planner
    }

    fn all() -> impl Iterator<Item = ShardId> {
        ShardCount::DEFAULT.all()
    }

    #[test]
    fn the_first_worker_claims_everything_at_once() {
        let plan = planner(vec![peer("one", false)]).plan(std::iter::empty(), &BTreeSet::new(), false, 16);
        assert_eq!(plan, Plan { release: vec![], claim: all().collect() });
        assert_eq!(planner(vec![peer("one", false)]).ours(), all().count());
        assert_eq!(planner(vec![]).ours(), 0);
    }

    #[test]
    fn a_newcomer_is_given_its_share_once_it_has_settled_and_little_by_little() {
        let mut planner = planner(vec![peer("one", true), peer("two", false)]);
        assert_eq!(planner.plan(all(), &BTreeSet::new(), false, 16), Plan::default());
        planner.update(vec![peer("two", true), peer("one", true)]);
        let plan = planner.plan(all(), &BTreeSet::new(), false, 16);
        assert_eq!((plan.release.len(), plan.claim.len()), (16, 0));
        let whole = planner.plan(all(), &BTreeSet::new(), false, 256).release;
        assert!((90..=166).contains(&whole.len()), "{}", whole.len());
        assert_eq!(plan.release, whole[..16], "the first ones first");
    }

    #[test]
    fn what_is_being_given_back_is_not_claimed_meanwhile() {
        let planner = planner(vec![peer("one", true)]);
        let releasing = BTreeSet::from([ShardId(3)]);
        let claim = planner.plan(all().skip(5), &releasing, false, 16).claim;
        assert_eq!(claim, [0, 1, 2, 4].map(ShardId));
    }

    #[test]
    fn who_leaves_gives_everything_back_and_claims_nothing() {
        // Its own row still says that it is there.
        for members in [vec![], vec![peer("one", true), peer("two", false)]] {
            let plan = planner(members).plan(all().take(3), &BTreeSet::new(), true, 2);
            assert_eq!(plan, Plan { release: vec![ShardId(0), ShardId(1)], claim: vec![] });
        }
    }

    #[test]
    fn a_change_of_weight_is_a_change() {
        let mut planner = planner(vec![peer("one", true), peer("two", true)]);
        let before = planner.owners.clone();
        planner.update(vec![peer("one", true), Peer { weight: 5.0, ..peer("two", true) }]);
        assert_ne!(planner.owners, before);
    }
}
