//! The webhook of a job: a message that goes to a URL of its user's, signed with that user's own secret.
//!
//! It is a message to the pipeline and never the backend's: its body, its secret and its places are apart from those of people's
//! messages, which pay nothing for it. The operator's secret signs none of it, because whoever receives it could pass it on to the
//! backend, and it would be believed.
//!
//! Its time to live is what its run may take, so the run hears in time what became of it: an attempt that would come too late is
//! not waited for. A receiver that does not answer is left alone by its origin, for this user, as a backend is
//! ([`super::backend`]); one that answers 410 wants no more, and the job is switched off.
//!
//! Must hold: the URL is checked at each attempt, and its name by the resolver of the connection; redirects are not followed.

mod places;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use claw_channels::kit::answer::excerpt;
use claw_channels::kit::signed_post::{PostError, Posted, SignedBy, SignedPost};
use claw_runtime::Backoff;
use claw_store::{Actor, chain};
use claw_types::{MessageState, WebhookPost, Work};
use tracing::{info, warn};

pub(crate) use self::places::Places;
use self::places::{Place, Room};
use super::Attempt;
use super::backend::{Author, Pass, Sign, asks_to_rest};
use crate::core::Core;
use crate::erased::Erased;
use crate::shard::Shard;

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(15);
/// The last attempt may take so much longer than its run: less is no attempt.
const SHORTEST: Duration = Duration::from_secs(1);
/// 410 Gone: it wants no more.
const GONE: u16 = 410;
/// Characters of an answer that the run's history shows.
const SHOWN: usize = 200;
/// 1 s, 2 s, 4 s ... capped at a quarter of an hour; the time to live ends it.
const SCHEDULE: Backoff =
    Backoff { first: Duration::from_secs(1), factor: 2.0, cap: Duration::from_secs(900), attempts: u32::MAX };

pub(crate) async fn attempt(core: &Core, shard: &Shard, work: &Work) -> Attempt {
    let post: WebhookPost = match serde_json::from_str(work.payload.get()) {
        Ok(post) => post,
        Err(error) => return over(MessageState::Failed, format!("unreadable: {error}")),
    };
    if time_left(core, work, &post).is_zero() {
        return too_late(&post);
    }
    let place = core.webhooks.place(&work.user_id, &post.recipient, work.accepted_at_ms, &core.random);
    let (room, mut pass) = match leave(core, shard, work, &post, &place).await {
        Ok(leave) => leave,
        Err(without) => return without,
    };
    // Waiting for room may have taken long.
    let left = time_left(core, work, &post);
    if left.is_zero() {
        return too_late(&post);
    }
    let limit = left.clamp(SHORTEST, LIMIT);
    let answered = post_once(core, work, &post, limit).await;
    if let Some(sign) = sign(&answered) {
        if let Ok((Posted { status, retry_after: Some(time) }, _)) = &answered
            && asks_to_rest(*status)
        {
            pass.rest(&work.user_id, *time, sign);
        }
        pass.settle(Author { tenant: &work.user_id, message: work.id }, sign);
    }
    drop(room);
    judged(core, work, &post, answered).await
}

async fn post_once(
    core: &Core,
    work: &Work,
    post: &WebhookPost,
    limit: Duration,
) -> Result<(Posted, Bytes), PostError> {
    // While the master key is replaced: by each that is known, so that receivers may have the secret of either.
    let secrets = core.vault.keys().webhook_secrets(work.user_id.as_str());
    let signed = SignedPost {
        url: &post.url,
        by: SignedBy { secret: &secrets.current, others: &secrets.others },
        id: &work.id.to_string(),
        timestamp: core.clock.now().timestamp(),
        body: Bytes::copy_from_slice(post.body.get().as_bytes()),
        limit,
    };
    signed.ask(&core.deps.http).await
}

/// Room and leave to post, or what becomes of it without.
async fn leave(
    core: &Core,
    shard: &Shard,
    work: &Work,
    post: &WebhookPost,
    place: &Arc<Place>,
) -> Result<(Room, Pass), Attempt> {
    if let Some(after) = place.gate.wait(&work.user_id) {
        return Err(away(core, work, post, after));
    }
    // Waited for before the lease is asked: it may take as long as another post's answer.
    let room = tokio::select! {
        biased;
        room = room(core, place, work) => room,
        () = shard.stopping().cancelled() => return Err(Attempt::NotOurs),
    };
    if core.erased.has(work) {
        return Err(Erased::over());
    }
    if !core.lease.holds() {
        return Err(Attempt::NotOurs);
    }
    let pass = place.gate.admit(&work.user_id).map_err(|after| away(core, work, post, after))?;
    Ok((room, pass))
}

/// Room to post, and not too much that was posted and is not written down.
async fn room(core: &Core, place: &Arc<Place>, work: &Work) -> Room {
    let room = core.webhooks.room(place, &work.user_id).await;
    core.pipeline.unsettled.until_few(work).await;
    room
}

/// Nothing is attempted while the receiver does not answer, unless that is longer than anybody waits for it.
fn away(core: &Core, work: &Work, post: &WebhookPost, after: Duration) -> Attempt {
    if after >= time_left(core, work, post) {
        return over(
            MessageState::Dead,
            "its receiver has not answered for a while, or only with errors, or asked to wait, and is left alone"
                .to_owned(),
        );
    }
    Attempt::NotYet {
        after,
        why: "its receiver does not answer, or only with errors, or asked to wait".to_owned(),
    }
}

/// What becomes of it after an attempt.
async fn judged(
    core: &Core,
    work: &Work,
    post: &WebhookPost,
    answered: Result<(Posted, Bytes), PostError>,
) -> Attempt {
    let (reason, asked) = match answered {
        Ok((posted, _)) if posted.taken() => {
            return Attempt::Over { state: MessageState::Done, error: None };
        }
        Ok((posted, said)) if posted.status == GONE => {
            let reason = refusal(posted.status, &said);
            switch_off(core, work, &reason).await;
            return over(MessageState::Failed, reason);
        }
        Ok((posted, said)) => (refusal(posted.status, &said), posted.retry_after),
        // Its user has to change it.
        Err(refused @ PostError::Url(_)) => return over(MessageState::Failed, refused.to_string()),
        Err(error) => (error.to_string(), None),
    };
    let scheduled = SCHEDULE.wait(work.attempts + 1, &*core.random).unwrap_or(SCHEDULE.cap);
    let wait = asked.map_or(scheduled, |asked| asked.max(scheduled));
    if wait >= time_left(core, work, post) {
        return over(MessageState::Dead, reason);
    }
    Attempt::Again { after: Some(wait), error: reason }
}

/// The job whose receiver wants no more.
async fn switch_off(core: &Core, work: &Work, reason: &str) {
    let why = format!("its receiver wants no more of it: {reason}");
    match core.store.job_gone(&work.user_id, work.id, &why, &Actor::named(&core.name)).await {
        Ok(true) => info!(message.id = %work.id, "a job is switched off: {why}"),
        // Changed meanwhile, deleted, or a test.
        Ok(false) => {}
        Err(error) => warn!(message.id = %work.id, "switching a job off failed: {}", chain(&error)),
    }
}

/// How long it may still be posted. Counts anew from a retry, which is somebody's word that it is wanted all the same.
fn time_left(core: &Core, work: &Work, post: &WebhookPost) -> Duration {
    let age = core.clock.now().timestamp_millis().saturating_sub(work.fresh_at_ms());
    post.time_to_live().saturating_sub(Duration::from_millis(u64::try_from(age).unwrap_or_default()))
}

/// What an attempt says of its destination; nothing if there was none.
fn sign(answered: &Result<(Posted, Bytes), PostError>) -> Option<Sign> {
    match answered {
        Ok((Posted { status: 502..=504, .. }, _)) | Err(PostError::Timeout(_) | PostError::Broken) => {
            Some(Sign::Silent)
        }
        Ok((Posted { status: 500..=599, .. }, _)) => Some(Sign::Failing),
        Ok(_) => Some(Sign::Answered),
        Err(PostError::Connect) => Some(Sign::Unreachable),
        Err(PostError::Url(_)) => None,
    }
}

/// What was answered, as the run's history shows it.
fn refusal(status: u16, said: &[u8]) -> String {
    let said = excerpt(String::from_utf8_lossy(said).trim(), SHOWN);
    let hint = if (300..400).contains(&status) { "; redirects are not followed" } else { "" };
    if said.is_empty() {
        format!("it answered {status}{hint}")
    } else {
        format!("it answered {status}{hint}: {said}")
    }
}

fn too_late(post: &WebhookPost) -> Attempt {
    let within = post.ttl_seconds;
    over(MessageState::Dead, format!("not taken within {within} s, which is all that its run has"))
}

fn over(state: MessageState, reason: String) -> Attempt {
    Attempt::Over { state, error: Some(reason) }
}

#[cfg(test)]
mod tests {
    use claw_channels::kit::guard::UrlError;

    use super::*;

    #[test]
    fn a_refusal_tells_what_was_answered_in_a_line() {
        assert_eq!(refusal(500, b""), "it answered 500");
        assert_eq!(refusal(500, b" \n"), "it answered 500");
        assert_eq!(refusal(404, b"no\0such\nthing"), "it answered 404: no such thing");
        assert_eq!(refusal(302, b""), "it answered 302; redirects are not followed");
        assert_eq!(refusal(500, "x".repeat(1_000).as_bytes()).len(), "it answered 500: ".len() + SHOWN);
        assert!(refusal(500, &[0xff, b'a']).ends_with('a'));
    }

    #[test]
    fn silence_and_errors_speak_against_a_receiver() {
        let answered = |status| Ok((Posted { status, retry_after: None }, Bytes::new()));
        for (came, expected) in [
            (answered(200), Some(Sign::Answered)),
            (answered(404), Some(Sign::Answered)),
            (answered(500), Some(Sign::Failing)),
            (answered(599), Some(Sign::Failing)),
            (answered(503), Some(Sign::Silent)),
            (Err(PostError::Connect), Some(Sign::Unreachable)),
            (Err(PostError::Timeout(15)), Some(Sign::Silent)),
            (Err(PostError::Url(UrlError::Private)), None),
        ] {
            assert_eq!(sign(&came), expected, "{came:?}");
        }
    }
}
