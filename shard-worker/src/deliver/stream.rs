//! An answer that the backend writes while it is read: server-sent events in the body of its 2xx. People watch it grow, where
//! the platform edits; elsewhere they get it when it is whole.
//!
//! [`event`] folds what comes into an answer, [`read`] says for how long, [`pace`] when it is shown, and [`preview`] shows it.
//! In the end it is an [answer](super::answer) like others: committed before the webhook counts as answered, under the keys
//! of any other, in the place of what was shown. So a worker that dies in mid-stream leaves a preview; the backend is asked
//! again, the same preview shows what it writes then, and the person sees one answer.
//!
//! A stream may last for minutes, so it has a place among this worker's streams and leaves the one that it was posted from.
//! While there is no place for it, it is not read, and the backend waits. One that breaks off counts against its destination as
//! one that never began, and one that begins with an error as a 5xx. Must hold: no tenant's streams take more than a quarter of the places; a stream ends at once when its
//! shard is given away, and when its user is erased.

mod event;
mod pace;
mod preview;
mod read;

use std::sync::Arc;
use std::time::Duration;

use claw_store::chain;
use claw_types::Work;
use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

pub(crate) use self::event::{Folded, Reader};
use self::preview::Preview;
use self::read::{Ending, Limits};
use super::answer::Answer;
use super::backend::{Reply, Room};
use super::turns::{Cause, Turn, Turns};
use super::{Attempt, inbound};
use crate::core::Core;
use crate::erased::Erased;
use crate::shard::Shard;

/// The streams of a worker.
pub(crate) struct Streams {
    turns: Arc<Turns>,
    /// How long one may last.
    lasts: Duration,
}

impl Streams {
    /// At most `most` at once, each of at most this length.
    pub(crate) fn new(most: usize, lasts: Duration) -> Self {
        Self { turns: Arc::new(Turns::new(most, most.div_ceil(4))), lasts }
    }
}

/// Whether the answer comes as a stream.
pub(crate) fn is_one(response: &Response) -> bool {
    let essence = |value: &HeaderValue| {
        let text = value.to_str().unwrap_or_default();
        text.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/event-stream")
    };
    response.headers().get(CONTENT_TYPE).is_some_and(essence)
}

/// Reads the answer of a backend that was `asked` at that time, shows it as it grows, and commits it.
pub(crate) async fn attempt(
    core: &Arc<Core>,
    shard: &Arc<Shard>,
    work: &Work,
    reply: Reply<'_>,
    room: Room,
    asked: Instant,
) -> Attempt {
    let _place = match place(core, shard, work).await {
        Ok(place) => place,
        Err(without) => return without,
    };
    drop(room);
    let folded = watch::Sender::new(Folded::default());
    let mut preview = Preview::new(core, shard, work, asked);
    let ended = CancellationToken::new();
    let limits = Limits { silence: core.backend.limit(), whole: core.streams.lasts };
    let reading = async {
        let Reply { response, verdict } = reply;
        let reading = read::read(response.bytes_stream(), limits, shard.stopping(), &folded);
        let ending = tokio::select! {
            biased;
            () = core.erased.wait_for(work) => Ending::Erased,
            ending = verdict.follow(reading, limits.silence, Ending::sign) => ending,
        };
        ended.cancel();
        ending
    };
    let (ending, (), ()) = tokio::join!(
        reading,
        pace::pace(folded.subscribe(), &ended, &mut preview),
        core.typing.go_on(shard, work, &ended),
    );
    match ending {
        Ending::NotOurs => Attempt::NotOurs,
        Ending::Erased => {
            core.typing.end(work);
            Erased::over()
        }
        Ending::Broken(error) | Ending::Failed(error) | Ending::TooLong(error) => again(core, work, error),
        Ending::Complete => match answer(&folded, preview) {
            Ok(answer) => inbound::answered_with(core, shard, work, answer, asked).await,
            Err(error) => again(core, work, chain(&error)),
        },
    }
}

/// Waits for a place among the streams, or says what becomes of the message without.
async fn place(core: &Core, shard: &Shard, work: &Work) -> Result<Turn, Attempt> {
    let place = timeout(core.backend.limit(), core.streams.turns.take(Some(&work.user_id), Cause::of(work)));
    match shard.stopping().run_until_cancelled(place).await {
        Some(Ok(place)) => Ok(place),
        Some(Err(_)) => Err(again(core, work, "too many answers are being written".to_owned())),
        None => Err(Attempt::NotOurs),
    }
}

fn again(core: &Core, work: &Work, error: String) -> Attempt {
    core.typing.end(work);
    Attempt::Again { after: None, error }
}

fn answer(folded: &watch::Sender<Folded>, preview: Preview<'_>) -> serde_json::Result<Answer> {
    let (replies, mut trouble) = folded.send_replace(Folded::default()).finish()?;
    trouble.extend(preview.trouble);
    Ok(Answer::streamed(replies, &trouble, preview.stands))
}

#[cfg(test)]
mod tests;
