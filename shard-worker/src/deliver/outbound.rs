//! A message to a person: planned as its platform needs, sent part by part at the platform's pace, what was sent
//! remembered.
//!
//! Must hold: a part whose outcome is not known is never sent again by itself, also when the shard is given away
//! meanwhile; between two parts it is stored which were sent; waiting for the platform's pace is no attempt, ends when
//! the shard or the message's time to live does, and is over before the lease is asked.

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use claw_channels::kit::plan::{Content, Piece, in_place};
use claw_channels::{ChannelError, Part, Receipt, Unsupported, plan};
use claw_runtime::Clock;
use claw_store::chain;
use claw_types::{Act, MessageState, Outbound, Work};
use tracing::debug;

use super::placeholder::{self, Mine, removal};
use super::{Attempt, lane};
use crate::channels::Lookup;
use crate::channels::active::{Active, Turn};
use crate::channels::limiter::Priority;
use crate::channels::manners::Manners;
use crate::core::Core;
use crate::shard::Shard;

/// No part may take longer. Adapters end their calls sooner, uploads by their size (`kit/transfer.rs`): this is for one that
/// does not.
const PART_LIMIT: Duration = Duration::from_mins(10);
/// How soon to look again for a channel that is about to run.
const STARTING: Duration = Duration::from_millis(200);
/// How soon to look again for a channel that is switched off or broken.
const NOT_RUNNING: Duration = Duration::from_secs(15);
/// How often a placeholder's removal is tried while the platform asks to wait: a conversation waits behind it.
const REMOVALS: usize = 3;

pub(crate) async fn attempt(core: &Arc<Core>, shard: &Arc<Shard>, work: &mut Work) -> Attempt {
    let body: Outbound = match serde_json::from_str(work.payload.get()) {
        Ok(body) => body,
        Err(error) => return failed(format!("unreadable: {error}")),
    };
    let (active, why) = match shard.channels.lookup(work.channel_id) {
        Lookup::Running(active) => (Some(active), String::new()),
        Lookup::Starting => return not_yet(STARTING, "the channel is starting"),
        Lookup::Failed(why) => (None, format!("the channel does not run: {why}")),
        Lookup::Unknown => (None, "the channel is switched off".to_owned()),
    };
    let Some(active) = active else {
        return match still_there(core, work).await {
            Ok(Some(manners)) => {
                too_late(core, &manners, work, &body).unwrap_or_else(|| not_yet(NOT_RUNNING, &why))
            }
            Ok(None) => failed("the channel was deleted".to_owned()),
            Err(error) => not_yet(STARTING, &error),
        };
    };
    send_parts(core, shard, &active, work, &body).await
}

/// The manners of a channel that does not run; `None` when it is not there any more.
async fn still_there(core: &Core, work: &Work) -> Result<Option<Manners>, String> {
    match core.store.channel_load(&core.vault, work.channel_id).await {
        Ok(channel) => Ok(channel.map(|(channel, _)| Manners::of(&channel.config))),
        Err(error) => Err(chain(&error)),
    }
}

/// Whether nobody wants it any more, and what to say then. For how long it is wanted it may say itself, else its channel's `manners`
/// do. Its time to live counts anew from a retry, which is somebody's word that it is wanted all the same.
fn too_late(core: &Core, manners: &Manners, work: &Work, body: &Outbound) -> Option<Attempt> {
    let time_to_live = wanted_for(core, manners, body);
    left(&*core.clock, work, time_to_live).is_none().then(|| late(work, time_to_live))
}

/// As [`too_late`], of a message that waits behind others; of one of which something was sent, its own attempt decides.
pub(crate) fn outlived(core: &Core, shard: &Shard, work: &Work) -> Option<Attempt> {
    if work.is_webhook() || !work.platform_message_ids.is_empty() {
        return None;
    }
    let Lookup::Running(active) = shard.channels.lookup(work.channel_id) else { return None };
    let body: Outbound = serde_json::from_str(work.payload.get()).ok()?;
    too_late(core, active.manners(), work, &body)
}

fn wanted_for(core: &Core, manners: &Manners, body: &Outbound) -> Duration {
    body.time_to_live(manners.time_to_live.unwrap_or(core.send_ttl))
}

/// What is left of a message's time to live; `None` when that is over.
fn left(clock: &dyn Clock, work: &Work, time_to_live: Duration) -> Option<Duration> {
    let age = clock.now().timestamp_millis() - work.fresh_at_ms();
    // By a clock that was set back it may be younger than nothing.
    time_to_live.checked_sub(Duration::from_millis(u64::try_from(age).unwrap_or(0)))
}

/// How long until the time to live is over.
fn until_late(clock: &dyn Clock, work: &Work, time_to_live: Duration) -> Duration {
    let left = left(clock, work, time_to_live);
    left.map_or(Duration::ZERO, |left| left.saturating_add(Duration::from_millis(1)))
}

/// What is waited for; `None` when the message's time to live is over before.
async fn in_time<T>(
    clock: &dyn Clock,
    work: &Work,
    time_to_live: Duration,
    waiting: impl Future<Output = T>,
) -> Option<T> {
    let over = async {
        // Looked at again: the clock, which is the database's, may have been set meanwhile.
        while left(clock, work, time_to_live).is_some() {
            tokio::time::sleep(until_late(clock, work, time_to_live)).await;
        }
    };
    tokio::select! {
        biased;
        came = waiting => Some(came),
        () = over => None,
    }
}

fn late(work: &Work, time_to_live: Duration) -> Attempt {
    let error = expired(time_to_live, work.platform_message_ids.len());
    Attempt::Over { state: MessageState::Expired, error: Some(error) }
}

fn expired(time_to_live: Duration, sent: usize) -> String {
    let within = match time_to_live.as_secs() {
        seconds if seconds >= 7200 && seconds.is_multiple_of(3600) => format!("{} hours", seconds / 3600),
        seconds => format!("{seconds} s"),
    };
    match sent {
        0 => format!("not sent within {within}, its time to live, so not sent at all"),
        _ => format!(
            "only the first {sent} of its parts were sent within {within}, its time to live; send the rest as a new message"
        ),
    }
}

async fn send_parts(
    core: &Arc<Core>,
    shard: &Arc<Shard>,
    active: &Active,
    work: &mut Work,
    body: &Outbound,
) -> Attempt {
    let pieces = match plan(body, active.caps_in(&body.recipient)) {
        Ok(plan) => plan.parts,
        Err(Unsupported(reason)) => return failed(reason),
    };
    // Of one that was sent, only what stood for it is left to be taken away.
    if work.platform_message_ids.len() < pieces.len()
        && let Some(late) = too_late(core, active.manners(), work, body)
    {
        return late;
    }
    if body.act == Act::Post && body.placeholder.is_none() {
        core.typing.end(work);
    }
    let mine = match placeholder::take(core, shard, active, work, body, &pieces).await {
        Ok(mine) => mine,
        Err(error) => return not_yet(STARTING, &format!("the placeholder is not known: {}", chain(&error))),
    };
    let mut instead = mine.iter().find_map(|mine| placeholder::in_place(mine, pieces.first()?));
    // What an earlier attempt sent is not sent again.
    while let Some(piece) = pieces.get(work.platform_message_ids.len()) {
        let index = work.platform_message_ids.len();
        let edit = instead.take().filter(|_| index == 0);
        let piece = edit.as_ref().unwrap_or(piece);
        let turn = match turn(core, shard, active, work, body, piece).await {
            Ok(turn) => turn,
            Err(without) => return without,
        };
        match send(shard, active, turn, work, body, (index, piece)).await {
            Ok(receipt) => work.platform_message_ids.push(receipt.platform_message_id),
            // It was deleted, or is too old: the answer is sent like any other, by the next turn of this loop.
            Err(ChannelError::Permanent(why)) if edit.is_some() => {
                debug!(message.id = %work.id, "the placeholder can't become the answer: {why}");
                continue;
            }
            Err(error) => {
                let left = until_late(&*core.clock, work, wanted_for(core, active.manners(), body));
                return refused(&error, (index, pieces.len()), left);
            }
        }
        // With the last part the message is over, which is written anyway.
        if index + 1 < pieces.len() && !lane::progress(core, shard, work).await {
            return Attempt::NotOurs;
        }
    }
    placeholder::shown(core, shard, active, work, body, &pieces).await;
    end_of(core, shard, active, work, body, &mine).await
}

/// It was sent.
const OVER: Attempt = Attempt::Over { state: MessageState::Done, error: None };

/// The message was sent: the placeholders that it took go, unless one became the answer.
async fn end_of(
    core: &Arc<Core>,
    shard: &Arc<Shard>,
    active: &Active,
    work: &Work,
    body: &Outbound,
    mine: &[Mine],
) -> Attempt {
    let left: Vec<&Mine> = mine.iter().filter(|mine| mine.is_left(work)).collect();
    // The chat's pace may keep the calls waiting: it must not be forgotten meanwhile that all was sent.
    if !left.is_empty() && !lane::progress(core, shard, work).await {
        return Attempt::NotOurs;
    }
    for mine in left {
        if active.caps().drafts {
            if let Err(error) = removal::store(core, shard, work, body, mine).await {
                let why = format!("that the placeholder goes is not stored: {}", chain(&error));
                return not_yet(STARTING, &why);
            }
        } else if !take_away(core, shard, active, work, body, mine).await {
            return Attempt::NotOurs;
        }
    }
    for mine in mine {
        placeholder::done(shard, work, mine);
    }
    OVER
}

/// Waits for the right to send a part; or says what becomes of the message without.
async fn turn(
    core: &Core,
    shard: &Shard,
    active: &Active,
    work: &Work,
    body: &Outbound,
    piece: &Piece,
) -> Result<Turn, Attempt> {
    let time_to_live = wanted_for(core, active.manners(), body);
    let waiting = placeholder::turn(core, shard, active, work, body, cost(piece));
    let turn = tokio::select! {
        biased;
        () = shard.stopping().cancelled() => return Err(Attempt::NotOurs),
        turn = in_time(&*core.clock, work, time_to_live, waiting) => match turn {
            Some(Ok(Some(turn))) => turn,
            Some(Ok(None)) => return Err(needless()),
            Some(Err(error)) => {
                return Err(not_yet(STARTING, &format!("it is not known what was sent: {}", chain(&error))));
            }
            None => return Err(late(work, time_to_live)),
        },
    };
    match too_late(core, active.manners(), work, body) {
        Some(late) => Err(late),
        None if core.lease.holds() => Ok(turn),
        None => Err(Attempt::NotOurs),
    }
}

/// It stood for an answer that people read already, or will next.
fn needless() -> Attempt {
    let error = "the answer came before this could be shown, so it is not shown";
    Attempt::Over { state: MessageState::Discarded, error: Some(error.to_owned()) }
}

/// Takes away a placeholder that did not become the answer. Left as it is when the platform refuses, or has no room for that as long as
/// the answer would have been wanted: it is only "Processing..." more than there should be. `false` when that is for the shard's next owner
/// to do.
async fn take_away(
    core: &Core,
    shard: &Shard,
    active: &Active,
    work: &Work,
    body: &Outbound,
    mine: &Mine,
) -> bool {
    let piece = removal::call(mine);
    let time_to_live = wanted_for(core, active.manners(), body);
    for _ in 0..REMOVALS {
        let waiting = active.turn(Priority::Answer, &body.recipient, cost(&piece));
        let turn = tokio::select! {
            biased;
            () = shard.stopping().cancelled() => return false,
            turn = in_time(&*core.clock, work, time_to_live, waiting) => turn,
        };
        let Some(turn) = turn else { return true };
        if !core.lease.holds() {
            return false;
        }
        match send(shard, active, turn, work, body, (work.platform_message_ids.len(), &piece)).await {
            Ok(_) => return true,
            // The next turn comes when the platform's pace allows it.
            Err(ChannelError::RateLimited(_) | ChannelError::ChatLimited { .. }) => {}
            Err(error) => {
                debug!(message.id = %work.id, "a placeholder was not taken away: {error}");
                return true;
            }
        }
    }
    true
}

/// As how many messages platforms count it.
fn cost(piece: &Piece) -> u32 {
    match &piece.content {
        Content::Album { media, .. } => u32::try_from(media.len()).unwrap_or(u32::MAX),
        _ => 1,
    }
}

async fn send(
    shard: &Shard,
    active: &Active,
    turn: Turn,
    work: &Work,
    body: &Outbound,
    (index, piece): (usize, &Piece),
) -> Result<Receipt, ChannelError> {
    let part = Part {
        message_id: work.id,
        seq: work.seq,
        index,
        recipient: &body.recipient,
        thread_id: body.thread_id.as_deref(),
        piece,
        accepted_at: DateTime::from_timestamp_millis(work.accepted_at_ms).unwrap_or_default(),
        replaces: body.replaces,
    };
    let sent = tokio::time::timeout(PART_LIMIT, active.send(turn, &part));
    let Some(sent) = shard.giving_up().run_until_cancelled(sent).await else {
        let why = "the platform had not answered when this worker had to give its shard to another one";
        return Err(ChannelError::Uncertain(why.to_owned()));
    };
    sent.unwrap_or_else(|_| Err(ChannelError::Uncertain("the platform did not answer".to_owned())))
}

/// What becomes of a message that a platform did not take a part of. It waits no longer than until nobody wants it, so that who sent it
/// hears of that then.
fn refused(error: &ChannelError, (index, of): (usize, usize), left: Duration) -> Attempt {
    let reason = format!("{}{error}", in_place(index, of));
    match error {
        ChannelError::RateLimited(wait) | ChannelError::ChatLimited { wait, .. } => {
            Attempt::Again { after: Some(left.min(*wait)), error: reason }
        }
        ChannelError::Retryable(_) => Attempt::Again { after: None, error: reason },
        ChannelError::Uncertain(_) => Attempt::Over { state: MessageState::Uncertain, error: Some(reason) },
        ChannelError::Permanent(_)
        | ChannelError::BadCredentials(_)
        | ChannelError::BadSignature(_)
        | ChannelError::BadRequest(_)
        | ChannelError::Unsupported(_)
        | ChannelError::Config(_) => Attempt::Over { state: MessageState::Failed, error: Some(reason) },
    }
}

fn not_yet(after: Duration, why: &str) -> Attempt {
    Attempt::NotYet { after, why: why.to_owned() }
}

fn failed(error: String) -> Attempt {
    Attempt::Over { state: MessageState::Failed, error: Some(error) }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use tokio::time::Instant;

    use super::*;
    use crate::channels::limiter::Limiter;
    use crate::testing;

    const DAY: Duration = Duration::from_hours(24);

    /// What it says goes on with tokio's time.
    struct Going {
        from: Instant,
    }

    impl Clock for Going {
        fn now(&self) -> DateTime<Utc> {
            DateTime::UNIX_EPOCH + self.from.elapsed()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_a_silent_chat_gives_up_when_its_time_to_live_is_over() {
        let clock = Going { from: Instant::now() };
        // Accepted when the clock began to go.
        let work = testing::work();
        let limiter = Limiter::new(None);
        limiter.silence_chat("chat", Duration::from_hours(10), true);
        let turn = async |time_to_live: u64| {
            let time_to_live = Duration::from_secs(time_to_live);
            let came =
                in_time(&clock, &work, time_to_live, limiter.turn(Priority::Answer, "chat", false, 1)).await;
            (came.is_some(), clock.from.elapsed().as_secs())
        };
        assert_eq!(turn(60).await, (false, 60));
        assert_eq!(
            turn(7_200).await,
            (false, 7_200),
            "from its acceptance on, not from when it began to wait"
        );
        assert_eq!(turn(60).await, (false, 7_200), "at once when it is over already");
        assert_eq!(turn(86_400).await, (true, 36_000), "it is sent when the silence ends");
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_waits_as_long_as_the_platform_asks_but_not_beyond_its_time_to_live() {
        let clock = Going { from: Instant::now() };
        let work = testing::work();
        let asked = ChannelError::ChatLimited { wait: Duration::from_hours(10), told: true };
        let waits = |time_to_live: Duration| {
            let left = until_late(&clock, &work, time_to_live);
            match refused(&asked, (0, 1), left) {
                Attempt::Again { after: Some(after), .. } => after,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(waits(DAY), Duration::from_hours(10));
        let minute = waits(Duration::from_mins(1));
        tokio::time::advance(minute).await;
        assert_eq!(left(&clock, &work, Duration::from_mins(1)), None, "then it is over, {minute:?}");
        assert!(minute < Duration::from_secs(61));
        assert_eq!(waits(Duration::from_mins(1)), Duration::ZERO);
    }

    #[test]
    fn every_class_of_error_ends_as_it_must() {
        let why = || "why".to_owned();
        let wait = Duration::from_secs(7);
        for error in [ChannelError::RateLimited(wait), ChannelError::ChatLimited { wait, told: true }] {
            assert!(
                matches!(refused(&error, (0, 1), DAY), Attempt::Again { after: Some(after), .. } if after == wait)
            );
        }
        let again = refused(&ChannelError::Retryable(why()), (1, 2), DAY);
        assert!(matches!(again, Attempt::Again { after: None, error } if error == "part 2 of 2: why"));
        let over = |error: &ChannelError| match refused(error, (0, 1), DAY) {
            Attempt::Over { state, error: Some(_) } => state,
            _ => panic!("{error:?} is tried again"),
        };
        assert_eq!(over(&ChannelError::Uncertain(why())), MessageState::Uncertain);
        for error in [
            ChannelError::Permanent(why()),
            ChannelError::BadCredentials(why()),
            ChannelError::Unsupported("why"),
            ChannelError::Config(why()),
        ] {
            assert_eq!(over(&error), MessageState::Failed, "{error:?}");
        }
    }

    #[test]
    fn what_came_too_late_says_how_much_of_it_was_sent() {
        let day = expired(Duration::from_hours(24), 0);
        assert_eq!(day, "not sent within 24 hours, its time to live, so not sent at all");
        let part = expired(Duration::from_secs(90), 2);
        assert!(part.starts_with("only the first 2 of its parts were sent within 90 s"), "{part}");
    }
}
