//! When a placeholder is shown: when there is room for it, and only if its answer is not there yet.
//!
//! It is of no more use than another text for it, so it takes no place of the platform's pace from answers. What comes behind it in its
//! conversation must not wait for that. So it is looked then what that is: the answer makes it needless, and for anything else it goes
//! at once, like any message.
//!
//! Must hold: it is decided last of all whether there is an answer. When it was accepted the answer may have been about to be.

use claw_store::SentSince;
use claw_types::{Act, MessageId, Outbound, Placeholder as Asked, Work};

use super::stands;
use crate::channels::active::{Active, Turn};
use crate::channels::limiter::Priority;
use crate::core::Core;
use crate::shard::Shard;
use crate::shard::queue::LaneKey;

/// What a message stands for, if an answer may make it needless: nothing of it was sent, and the answer would take its place.
fn may_be_needless<'b>(active: &Active, work: &Work, body: &'b Outbound) -> Option<&'b Asked> {
    let asked = body.placeholder.as_ref()?;
    (work.platform_message_ids.is_empty() && stands(active, asked)).then_some(asked)
}

/// Waits for the right to send a part that counts as `cost` messages. `None` when it stands for an answer that is there.
///
/// # Errors
/// When it is not known whether the answer is there.
pub(in crate::deliver) async fn turn(
    core: &Core,
    shard: &Shard,
    active: &Active,
    work: &Work,
    body: &Outbound,
    cost: u32,
) -> claw_store::Result<Option<Turn>> {
    let as_message = || active.turn(Priority::Answer, &body.recipient, cost);
    let Some(asked) = may_be_needless(active, work, body) else { return Ok(Some(as_message().await)) };
    let turn = tokio::select! {
        biased;
        () = followed(shard, work) => {
            if is_answered(core, work, asked).await? {
                return Ok(None);
            }
            as_message().await
        }
        turn = active.turn(Priority::Preview, &body.recipient, cost) => turn,
    };
    Ok((!is_answered(core, work, asked).await?).then_some(turn))
}

/// Waits until something comes behind it in its conversation.
async fn followed(shard: &Shard, work: &Work) {
    let key = LaneKey::of(work);
    loop {
        let news = shard.queue().alone(&key);
        let Some(news) = news else { return };
        news.notified().await;
    }
}

/// Whether the answer was accepted, be it before what stands for it.
async fn is_answered(core: &Core, work: &Work, asked: &Asked) -> claw_store::Result<bool> {
    let from = asked.behind.unwrap_or(work.seq);
    let sent = core.store.messages_sent_after(work.channel_id, &work.conversation, from).await?;
    Ok(sent.iter().any(|sent| is_answer(sent, asked, Some(work.id))))
}

/// Whether what was sent is the answer that a placeholder stands for, by all that it says; `shown` is our message that shows it, if
/// there is one already.
pub(in crate::deliver) fn is_answer(sent: &SentSince, asked: &Asked, shown: Option<MessageId>) -> bool {
    let Ok(sent) = serde_json::from_str::<Outbound>(&sent.body) else { return false };
    if sent.act != Act::Post || sent.placeholder.is_some() {
        return false;
    }
    match (sent.replaces, asked.begins) {
        // Our message that stands for it or, where that is a draft, the question.
        (Some(named), _) => Some(named) == shown || Some(named) == asked.question_id,
        // Only the answer that has begun can end it.
        (None, Some(_)) => false,
        (None, None) => match (&sent.reply_to, &asked.question) {
            (Some(answered), Some(question)) => answered == question,
            _ => true,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;

    fn sent(body: &Outbound) -> SentSince {
        SentSince { seq: 9, age: Duration::ZERO, body: serde_json::to_string(body).unwrap() }
    }

    #[test]
    fn an_answer_is_a_message_that_does_not_say_it_is_anothers() {
        let (shown, other) = (MessageId(Uuid::from_u128(1)), MessageId(Uuid::from_u128(2)));
        let waits = Asked { question: Some("5".into()), ..Asked::default() };
        let begun = Asked { begins: Some(other), ..waits.clone() };
        let (asked, elsewhere) = (MessageId(Uuid::from_u128(3)), MessageId(Uuid::from_u128(4)));
        let on_a_page = Asked { question_id: Some(asked), ..waits.clone() };
        for (named, ends) in [(asked, true), (elsewhere, false)] {
            let answer = sent(&Outbound { replaces: Some(named), ..Outbound::default() });
            assert_eq!(is_answer(&answer, &on_a_page, None), ends, "the answer to {named}");
        }
        let plain = Outbound::default();
        let table = [
            (plain.clone(), true, false),
            (Outbound { reply_to: Some("5".into()), ..plain.clone() }, true, false),
            (Outbound { reply_to: Some("6".into()), ..plain.clone() }, false, false),
            (Outbound { replaces: Some(shown), ..plain.clone() }, true, true),
            (Outbound { replaces: Some(other), ..plain.clone() }, false, false),
            (Outbound { placeholder: Some(waits.clone()), ..plain.clone() }, false, false),
            (Outbound { act: Act::Edit { message_id: "5".into() }, ..plain }, false, false),
        ];
        for (body, ends_waiting, ends_begun) in table {
            let body = sent(&body);
            assert_eq!(is_answer(&body, &waits, Some(shown)), ends_waiting, "{body:?}");
            assert_eq!(is_answer(&body, &begun, Some(shown)), ends_begun, "{body:?}");
        }
        let unreadable = SentSince { body: "5".to_owned(), ..sent(&Outbound::default()) };
        assert!(!is_answer(&unreadable, &waits, Some(shown)));
    }
}
