//! What can be seen from outside: the owners' writes, the polls of bots, what bots sent.

use std::collections::BTreeSet;
use std::time::Duration;

use claw_checker::Event;
use claw_testkit::Platform;
use claw_testkit::platform::{End, Gap};
use sqlx::Row as _;
use sqlx::postgres::PgConnection;
use tokio::time::Instant;

use crate::backend::Witness;
use crate::load::BOTS;

/// Notes under which epoch an owner writes a channel's state and which one is the newest, in the write's own transaction.
const NOTE_WRITES: [&str; 3] = [
    "create table chaos_writes (n bigserial primary key, shard integer, epoch bigint, newest bigint)",
    "create function chaos_note() returns trigger language plpgsql security definer as $$
     begin
         insert into chaos_writes (shard, epoch, newest)
         select s.shard, new.epoch, s.epoch from channels c join shards s using (shard) where c.id = new.channel_id;
         return null;
     end $$",
    "create trigger chaos_note after insert or update on channel_state for each row execute function chaos_note()",
];

pub(crate) async fn note_writes(database: &mut PgConnection) -> anyhow::Result<()> {
    for statement in NOTE_WRITES {
        sqlx::query(statement).execute(&mut *database).await?;
    }
    Ok(())
}

/// Tells the checker of every write that was noted, and of the epochs as they stand.
pub(crate) async fn tell_writes(database: &mut PgConnection, witness: &Witness) -> anyhow::Result<usize> {
    let rows = sqlx::query(
        "select shard, epoch, newest, n from chaos_writes
         union all select shard, epoch, epoch, 9223372036854775807 from shards where epoch > 0
         order by n",
    );
    // In the order of the commits' numbers; the epochs as they stand come last.
    let rows = rows.fetch_all(database).await?;
    for row in &rows {
        let shard = u16::try_from(row.try_get::<i32, _>("shard")?)?;
        let event = Event::Committed { shard, epoch: row.try_get("epoch")?, newest: row.try_get("newest")? };
        witness.checker().record(event);
    }
    Ok(rows.len())
}

/// Which bots a worker holds.
pub(crate) async fn bots_of(database: &mut PgConnection, worker: &str) -> anyhow::Result<BTreeSet<u32>> {
    let users: Vec<String> = sqlx::query_scalar(
        "select c.user_id from channels c join shards s using (shard)
         where s.owner = $1 and c.channel_type = 'telegram'",
    )
    .bind(worker)
    .fetch_all(database)
    .await?;
    Ok(users.iter().filter_map(|user| user.strip_prefix("bot-")?.parse().ok()).collect())
}

/// When a bot was let go after `since` and when it was polled again: its longest time without a poll.
pub(crate) fn handed_over(platform: &Platform, bot: u32, since: Instant) -> Option<(Duration, Duration)> {
    let gaps = platform.gaps(bot).into_iter().filter(|gap: &Gap| gap.began + gap.lasted > since);
    let gap = gaps.max_by_key(|gap| gap.lasted)?;
    Some((gap.began.saturating_duration_since(since), (gap.began + gap.lasted).duration_since(since)))
}

/// A worker that was stopped in its tracks: its kernel kept its connections open, and it neither knew nor could act.
pub(crate) struct Frozen {
    pub(crate) bots: BTreeSet<u32>,
    pub(crate) from: Instant,
    pub(crate) until: Instant,
}

/// Who goes on again has let go of what is no longer its own within this.
const NOTICES_WITHIN: Duration = Duration::from_millis(500);

impl Frozen {
    /// Whether such a poll is what a frozen worker had open; it counts as held until the freeze.
    fn excuses(&self, bot: u32, began: Instant, ended: Instant) -> bool {
        let during = began < self.from && ended > self.from && ended < self.until + NOTICES_WITHIN;
        during && self.bots.contains(&bot)
    }
}

/// Tells the checker who polled when. `epoch` is the beginning of the test's clock.
pub(crate) fn tell_polls(platform: &Platform, witness: &Witness, epoch: Instant, frozen: &[Frozen]) {
    let at = |when: Instant| u64::try_from(when.duration_since(epoch).as_millis()).unwrap_or(u64::MAX);
    for n in 1..=BOTS {
        let polls = platform.polls(n);
        let mut moments = Vec::new();
        for (place, poll) in polls.iter().enumerate() {
            moments.push((poll.began, 1, place));
            if let Some((ended, end)) = poll.ended {
                // The newer of two polls at a time began before the platform ended the older one.
                let order = if end == End::Conflict { 2 } else { 0 };
                let freeze = frozen.iter().find(|freeze| freeze.excuses(n, poll.began, ended));
                moments.push(freeze.map_or((ended, order, place), |freeze| (freeze.from, 0, place)));
            }
        }
        moments.sort();
        for (when, kind, place) in moments {
            let (bot, by) = (format!("bot{n}"), format!("poll {place}"));
            let at = at(when);
            witness.checker().record(if kind == 1 {
                Event::Held { bot, by, at }
            } else {
                Event::LetGo { bot, by, at }
            });
        }
    }
}
