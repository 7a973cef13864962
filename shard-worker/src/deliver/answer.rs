//! What a backend says in its answer to a webhook: something to show at once, and the answer itself, if it works while it is
//! asked. Here it is one piece of JSON; an answer that comes bit by bit is a [stream](super::stream), and ends here, too.
//!
//! A 2xx means that the backend has the message, whatever the body says. So a body that can't be used never makes the message
//! go out again: what is good in it is sent, and what is not is told in the message's record and its `message.delivered` event.
//!
//! Must hold: what is to be sent is committed before the webhook counts as answered, under keys made of the message's id. So a
//! crash in between makes the backend hear of the message again, and the person reads each answer once. What only stands for the
//! answer has a key of its own: the answer of a second attempt must not be taken for it.

use std::sync::Arc;

use claw_channels::kit::answer::{self, ReadError, excerpt};
use claw_channels::send_body::{self, SendBody};
use claw_store::NewMessage;
use claw_telemetry::trace::{self, Context};
use claw_types::{Invalid, MessageId, Outbound, Placeholder, ReplyTo, WebhookBody, Work};
use futures::future::try_join_all;
use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::placeholder;
use crate::channels::manners::Placeholder as Manner;
use crate::core::Core;
use crate::shard::Shard;

/// An answer longer than this is not read.
const MAX_BYTES: usize = 256 * 1024;
/// Most messages of one answer.
pub(super) const MAX_REPLIES: usize = 10;
/// Where what stands for the answer is among its messages: behind all that an answer can have.
pub(super) const STANDS: usize = MAX_REPLIES + 1;
/// Characters of why an answer could not be used.
const MAX_TROUBLE: usize = 500;

/// What a 2xx brought, not yet looked into: most bring nothing.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    immediate: Option<Box<RawValue>>,
    replies: Vec<Box<RawValue>>,
    /// Why something of it can't be used.
    trouble: Option<String>,
    /// Our message that showed it while it was being written.
    replaces: Option<MessageId>,
}

/// The keys that we read; others are the backend's own affair.
#[derive(Debug, Deserialize)]
pub(super) struct Keys {
    pub(super) immediate_reply: Option<Box<RawValue>>,
    pub(super) reply: Option<Box<RawValue>>,
    pub(super) replies: Option<Vec<Box<RawValue>>>,
}

/// Reads the body of a 2xx.
///
/// # Errors
/// When it breaks off: there may have been an answer in it, so the backend is to be asked again.
pub(crate) async fn read(response: Response) -> Result<Answer, reqwest::Error> {
    let is_json = |value: &HeaderValue| value.to_str().is_ok_and(|text| text.contains("json"));
    let says_json = response.headers().get(CONTENT_TYPE).is_some_and(is_json);
    match answer::read(response, MAX_BYTES).await {
        Ok(body) => Ok(Answer::of(&body, says_json)),
        Err(ReadError::TooLarge) => Ok(Answer::unusable(format!("it has more than {} KiB", MAX_BYTES >> 10))),
        Err(ReadError::Broken(error)) => Err(error),
    }
}

impl Answer {
    /// What does not look like JSON (an `OK`, a page) is nobody's attempt to answer.
    fn of(body: &[u8], says_json: bool) -> Self {
        let body = body.trim_ascii();
        if body.is_empty() || !says_json && !body.starts_with(b"{") {
            return Self::default();
        }
        match serde_json::from_slice::<Keys>(body) {
            Ok(keys) => Self {
                immediate: keys.immediate_reply,
                replies: keys.reply.into_iter().chain(keys.replies.into_iter().flatten()).collect(),
                ..Self::default()
            },
            Err(error) => Self::unusable(error.to_string()),
        }
    }

    /// What a stream brought in the end; `replaces` showed it meanwhile.
    pub(super) fn streamed(
        replies: Vec<Box<RawValue>>,
        trouble: &[String],
        replaces: Option<MessageId>,
    ) -> Self {
        let trouble = (!trouble.is_empty()).then(|| trouble.join("; "));
        Self { immediate: None, replies, trouble, replaces }
    }

    fn unusable(trouble: String) -> Self {
        Self { trouble: Some(trouble), ..Self::default() }
    }

    fn is_nothing(&self) -> bool {
        self.immediate.is_none() && self.replies.is_empty()
    }

    /// The messages to the person, in order, and what could not be made one. What is shown at once stands for the answer if that
    /// does not come with it.
    fn messages(
        self,
        to: &ReplyTo,
        stands: Placeholder,
        allow_private: bool,
    ) -> (Vec<Outbound>, Option<String>) {
        let placeholder = self.replies.is_empty().then_some(stands);
        let mut trouble: Vec<String> = self.trouble.into_iter().collect();
        if self.replies.len() > MAX_REPLIES {
            trouble.push(format!("it has {} replies, of which {MAX_REPLIES} are sent", self.replies.len()));
        }
        let immediate = self.immediate.map(|raw| ("immediate_reply".to_owned(), raw, placeholder));
        let replies = self.replies.into_iter().take(MAX_REPLIES).enumerate();
        let replies = replies.map(|(n, raw)| (format!("reply {}", n + 1), raw, None));
        let (mut messages, replaces) = (Vec::<Outbound>::new(), self.replaces);
        for (name, raw, placeholder) in immediate.into_iter().chain(replies) {
            match one(&raw, to, allow_private) {
                Ok(message) => messages.extend(message.map(|message| Outbound { placeholder, ..message })),
                Err(why) => trouble.push(format!("{name}: {why}")),
            }
        }
        if let Some(first) = messages.first_mut() {
            first.replaces = replaces;
        }
        (messages, (!trouble.is_empty()).then(|| trouble.join("; ")))
    }
}

/// Any bytes as the body of a 2xx, for [`crate::fuzzing`].
pub(crate) fn fuzz(body: &[u8]) {
    let to = ReplyTo { channel: "c".to_owned(), recipient: "1".to_owned(), thread_id: None };
    for says_json in [false, true] {
        let answer = Answer::of(body, says_json);
        let (messages, trouble) = answer.messages(&to, Placeholder::default(), false);
        assert!(messages.len() <= STANDS, "{} messages", messages.len());
        assert!(trouble.is_none_or(|trouble| !trouble.is_empty()), "a trouble says what it is");
    }
}

/// One answer: a text, or a body as that of a send. `None` for a blank text.
pub(super) fn one(raw: &RawValue, to: &ReplyTo, allow_private: bool) -> Result<Option<Outbound>, String> {
    let body = match raw.get().as_bytes().first() {
        Some(b'"') => {
            let text: String = serde_json::from_str(raw.get()).map_err(|error| error.to_string())?;
            if text.trim().is_empty() {
                return Ok(None);
            }
            SendBody::from(text)
        }
        Some(b'{') => serde_json::from_str(raw.get()).map_err(|error| error.to_string())?,
        _ => return Err("it must be text, or an object like the body of a send".to_owned()),
    };
    send_body::answer(body, to, allow_private).map(Some).map_err(|Invalid(sentence)| sentence)
}

/// What stands for the answer to this message, which is its work.
pub(super) fn stands(work: &Work, question: &WebhookBody) -> Placeholder {
    Placeholder {
        question: question.platform_message_id.clone(),
        question_id: Some(work.id),
        asker: question.sender.as_ref().map(|sender| sender.platform_id.clone()),
        ..Placeholder::default()
    }
}

/// An answer that is this text.
pub(super) fn text(text: String, to: &ReplyTo) -> Result<Outbound, Invalid> {
    // There is no address in it that could be private.
    send_body::answer(SendBody::from(text), to, false)
}

/// Commits what the backend, which was `asked` at that time, wants shown to the person. Says what of it can't be used.
///
/// # Errors
/// When it was not committed.
pub(crate) async fn commit(
    core: &Arc<Core>,
    shard: &Arc<Shard>,
    work: &Work,
    answer: Answer,
    asked: Instant,
) -> claw_store::Result<Option<String>> {
    if answer.is_nothing() {
        return Ok(answer.trouble.map(|why| told(work, &why)));
    }
    // Boxed: most bring nothing, and a future is as large as its largest branch.
    Box::pin(commit_messages(core, shard, work, answer, asked)).await
}

async fn commit_messages(
    core: &Arc<Core>,
    shard: &Arc<Shard>,
    work: &Work,
    mut answer: Answer,
    asked: Instant,
) -> claw_store::Result<Option<String>> {
    let question = match serde_json::from_str::<WebhookBody>(work.payload.get()) {
        Ok(body) => body,
        Err(error) => return Ok(Some(told(work, &format!("the message has no address: {error}")))),
    };
    let Some(to) = &question.reply_to else {
        debug!(message.id = %work.id, "message {} came from nobody, so nobody sees the answer", work.id);
        return Ok(None);
    };
    let manner = placeholder::manner_of(shard, work.channel_id);
    if manner == Manner::Off {
        answer.immediate = None;
    }
    if answer.replaces.is_none() {
        // An earlier attempt may have seen more than this one's end.
        answer.replaces = placeholder::begun(shard, work);
    }
    let (mut messages, trouble) =
        answer.messages(to, stands(work, &question), core.deps.http.allows_private());
    // Nothing comes with what stands for the answer.
    let only_stands = messages.first().is_some_and(|message| message.placeholder.is_some());
    if only_stands && !is_wanted(core, work, manner, &mut messages, asked).await? {
        messages.clear();
    }
    if core.erased.has(work) {
        return Ok(None);
    }
    // An answer that comes with the question's is part of its trace.
    let traceparent = trace::current().map(Context::header);
    for message in &mut messages {
        message.traceparent.clone_from(&traceparent);
    }
    let first = if only_stands { STANDS } else { 0 };
    let new = messages
        .iter()
        .zip(first..)
        .map(|(message, index)| NewMessage::answer(work, index, message, &core.ids))
        .collect::<claw_store::Result<Vec<_>>>()?;
    // Submitted together and in order: they are one batch, and in its order.
    let accepted = try_join_all(new.into_iter().map(|message| core.accept(shard, message))).await?;
    if let (false, Some(reply), Some(None)) = (only_stands, messages.first(), accepted.first())
        && key_was_taken(core, work).await?
    {
        core.accept(shard, NewMessage::answer(work, STANDS, reply, &core.ids)?).await?;
    }
    Ok(trouble.map(|why| told(work, &why)))
}

/// Whether what only stands for the answer is to be shown, as far as can be known now: from where on an answer makes it needless is
/// noted in it. Queries, but only for who shows one.
async fn is_wanted(
    core: &Core,
    work: &Work,
    manner: Manner,
    messages: &mut [Outbound],
    asked: Instant,
) -> claw_store::Result<bool> {
    // An earlier attempt brought the answer; or this, and was made by a version that gave it the answer's key.
    if core.store.answer_begun(work).await?.is_some() {
        return Ok(false);
    }
    for message in messages.iter_mut().filter(|_| manner == Manner::Replace) {
        let Some(behind) = unanswered(core, work, message, asked).await? else { return Ok(false) };
        if let Some(stands) = &mut message.placeholder {
            stands.behind = Some(behind);
        }
    }
    Ok(true)
}

/// Whether the answer's key is that of what only stands for it, as the version before this one had it: the answer is still to be said.
async fn key_was_taken(core: &Core, work: &Work) -> claw_store::Result<bool> {
    let begun = core.store.answer_begun(work).await?;
    let stands = |body: String| {
        serde_json::from_str::<Outbound>(&body).is_ok_and(|message| message.placeholder.is_some())
    };
    Ok(begun.is_some_and(stands))
}

/// Up to which place the backend has sent no answer since it was asked, behind which `shown` would stand for nothing; `None` when it
/// has.
pub(super) async fn unanswered(
    core: &Core,
    work: &Work,
    shown: &Outbound,
    asked: Instant,
) -> claw_store::Result<Option<i64>> {
    let Some(stands) = &shown.placeholder else { return Ok(Some(work.seq)) };
    let store = &core.store;
    let sent = store.messages_sent_after(work.channel_id, &shown.conversation(), work.seq).await?;
    // Measured after the ages were: what was sent in the first moment must not be taken for older than the question.
    let since = asked.elapsed();
    if sent.iter().any(|sent| sent.age <= since && placeholder::is_answer(sent, stands, None)) {
        return Ok(None);
    }
    Ok(Some(sent.iter().map(|sent| sent.seq).fold(work.seq, i64::max)))
}

/// For the message's record, where its user finds it, and for the log.
fn told(work: &Work, why: &str) -> String {
    let why = format!("the backend's answer can't be used as it is: {}", excerpt(why, MAX_TROUBLE));
    warn!(message.id = %work.id, user.id = %work.user_id, "message {}: {why}", work.id);
    why
}

#[cfg(test)]
mod tests;
