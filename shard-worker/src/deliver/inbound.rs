//! A person's message to the backend.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use claw_channels::kit::media_link;
use claw_store::chain;
use claw_types::{ChannelId, MediaRef, MessageState, Work};
use tokio::time::Instant;

use super::answer::{self, Answer};
use super::backend::{Destination, Pass, Refused, Room};
use super::turns::Cause;
use super::{Attempt, ack, attached, measure, stream};
use crate::channels::{Lookup, observe};
use crate::core::Core;
use crate::erased::Erased;
use crate::shard::Shard;

/// What its backend keeps waiting is looked at again after this long at the latest: it may go to another one by then.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

pub(crate) async fn attempt(core: &Arc<Core>, shard: &Arc<Shard>, work: &Work) -> Attempt {
    let body = match body(core, work) {
        Ok(body) => body,
        Err(error) => {
            // Stored by a version that wrote it differently: kept for people to look at.
            return Attempt::Over {
                state: MessageState::Failed,
                error: Some(format!("unreadable: {error}")),
            };
        }
    };
    if work.channel_id != ChannelId::NONE {
        observe::inbound(core, shard, work.channel_id);
    }
    let (to, room, pass) = match leave(core, shard, work).await {
        Ok(leave) => leave,
        Err(without) => return without,
    };
    if let Lookup::Running(active) = shard.channels.lookup(work.channel_id) {
        active.question(&work.payload);
        core.typing.begin(&active, shard, work);
        ack::begin(core, shard, active, work);
    }
    let (asked, now) = (Instant::now(), core.clock.now());
    measure::handed_over(work, now.timestamp_millis());
    let answered = match to.post(pass, work, body, now.timestamp()).await {
        Ok(reply) if stream::is_one(&reply.response) => {
            return Box::pin(stream::attempt(core, shard, work, reply, room, asked)).await;
        }
        Ok(reply) => to.read(asked, reply).await,
        Err(refused) => Err(refused),
    };
    drop(room);
    match answered {
        Ok(answer) => answered_with(core, shard, work, answer, asked).await,
        Err(refused) => {
            core.typing.end(work);
            Box::pin(again(core, &to, refused)).await
        }
    }
}

/// The backend has the message, and this is its answer.
pub(super) async fn answered_with(
    core: &Arc<Core>,
    shard: &Arc<Shard>,
    work: &Work,
    answer: Answer,
    asked: Instant,
) -> Attempt {
    match answer::commit(core, shard, work, answer, asked).await {
        Ok(error) => Attempt::Over { state: MessageState::Done, error },
        // The backend gets it again under the same id, and the person still sees one answer.
        Err(error) => Attempt::Again { after: None, error: chain(&error) },
    }
}

/// Room and leave to post to where the message goes, or what becomes of it without.
async fn leave(core: &Core, shard: &Shard, work: &Work) -> Result<(Arc<Destination>, Room, Pass), Attempt> {
    loop {
        let to = core.backend.of(work);
        if let Some(reason) = to.own.as_ref().and_then(|own| own.disabled.as_deref()) {
            return Err(switched_off(reason));
        }
        if let Some(after) = to.wait(&work.user_id) {
            return Err(away(core, work, after));
        }
        // Waited for before the lease is asked: it may take as long as another message's answer.
        let room = tokio::select! {
            biased;
            room = room(core, &to, work) => room,
            () = shard.stopping().cancelled() => return Err(Attempt::NotOurs),
        };
        if core.erased.has(work) {
            return Err(Erased::over());
        }
        if !core.lease.holds() {
            return Err(Attempt::NotOurs);
        }
        // It may go elsewhere by now.
        if Arc::ptr_eq(&to, &core.backend.of(work)) {
            let pass = to.admit(&work.user_id).map_err(|after| away(core, work, after))?;
            return Ok((to, room, pass));
        }
    }
}

/// Room to post, and not too much that was posted and is not written down.
async fn room(core: &Core, to: &Destination, work: &Work) -> Room {
    let room = to.room(&work.user_id, Cause::of(work)).await;
    core.pipeline.unsettled.until_few(work).await;
    room
}

/// Nothing is attempted while the backend does not answer, or only with errors, or asked to wait, and no attempt is counted. But
/// as late as its schedule would end a message that was accepted now, it ends for this one, too.
fn away(core: &Core, work: &Work, after: Duration) -> Attempt {
    let age = core.clock.now().timestamp_millis().saturating_sub(work.fresh_at_ms());
    waits(after, age, core.schedule.lasts())
}

/// As [`away`], of a message that is so many milliseconds old.
fn waits(after: Duration, age_ms: i64, tried_for: Duration) -> Attempt {
    if u128::try_from(age_ms).is_ok_and(|age| age > tried_for.as_millis()) {
        let error = "the backend was away, had errors or asked to wait for as long as messages are tried";
        return Attempt::Over { state: MessageState::Dead, error: Some(error.to_owned()) };
    }
    Attempt::NotYet {
        after: after.min(LOOK_AGAIN),
        why: "the backend does not answer, or only with errors, or asked to wait".to_owned(),
    }
}

/// A backend that wants no more is not asked again. The operator's is: a gateway without any backend is of no use.
async fn again(core: &Core, to: &Destination, refused: Refused) -> Attempt {
    match &to.own {
        Some(own) if refused.gone => {
            core.backend.disable(&core.store, &core.vault, own, &refused.reason).await;
            switched_off(&refused.reason)
        }
        _ => Attempt::Again { after: refused.retry_after, error: refused.reason },
    }
}

fn switched_off(reason: &str) -> Attempt {
    let error =
        format!("{reason}: it is switched off; configure it again, then have this message tried again");
    Attempt::Over { state: MessageState::Dead, error: Some(error) }
}

fn body(core: &Core, work: &Work) -> serde_json::Result<Bytes> {
    let now = core.clock.now();
    let link = |id, media: &MediaRef| {
        let path = media_link::of(&core.media_key, id, media, now);
        format!("{}{path}", core.public_url)
    };
    attached::body(work, link)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    #[test]
    fn what_a_backend_keeps_waiting_is_looked_at_again_soon_as_it_may_go_to_another_one() {
        for (asked, waits_for) in [(3_600, 60), (61, 60), (60, 60), (2, 2)] {
            let Attempt::NotYet { after, .. } = waits(Duration::from_secs(asked), 0, DAY) else {
                panic!("it does not wait, asked for {asked} s")
            };
            assert_eq!(after.as_secs(), waits_for, "asked for {asked} s");
        }
    }

    #[test]
    fn what_waited_as_long_as_messages_are_tried_is_dead() {
        let day = 24 * 3_600 * 1_000;
        let second = Duration::from_secs(1);
        for age in [-5, 0, day] {
            assert!(matches!(waits(second, age, DAY), Attempt::NotYet { .. }), "{age}");
        }
        assert!(matches!(waits(second, day + 1, DAY), Attempt::Over { state: MessageState::Dead, .. }));
        assert!(matches!(waits(second, i64::MAX, Duration::MAX), Attempt::NotYet { .. }), "tried for ever");
    }
}
