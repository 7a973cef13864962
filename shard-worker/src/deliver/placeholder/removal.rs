//! Taking away a placeholder that did not become the answer.
//!
//! Where people see what a platform keeps, the platform is called for it ([`call`]). Where they see what we store, on a page that
//! shows drafts, the deletion is a message of ours behind the answer ([`store`]): pages that are open hear of it as of any deletion, and who
//! reads the history later is not shown what it took away. An answer in the placeholder's place would be seen beside it there.
//!
//! Must hold: a deletion is stored before the answer counts as sent, under a key made of the placeholder's id. So a worker that dies in
//! between leaves it to the next one, which has the same answer to end, and one is made.

use std::sync::Arc;

use claw_channels::kit::plan::{Content, Piece};
use claw_store::NewMessage;
use claw_types::{Act, Outbound, Work};

use super::Mine;
use crate::core::Core;
use crate::shard::Shard;

/// As a call to the platform.
pub(in crate::deliver) fn call(mine: &Mine) -> Piece {
    let content = Content::Delete { message_id: mine.platform_id.clone() };
    Piece { content, reply_to: None, buttons: Vec::new() }
}

/// As a message of the conversation that this answer, which was sent, is in.
///
/// # Errors
/// When it was not committed.
pub(in crate::deliver) async fn store(
    core: &Arc<Core>,
    shard: &Arc<Shard>,
    work: &Work,
    answer: &Outbound,
    mine: &Mine,
) -> claw_store::Result<()> {
    if core.erased.has(work) {
        return Ok(());
    }
    let message = deletion(answer, mine);
    core.accept(shard, NewMessage::removal(work, mine.message, &message, &core.ids)?).await?;
    Ok(())
}

fn deletion(answer: &Outbound, mine: &Mine) -> Outbound {
    Outbound {
        recipient: answer.recipient.clone(),
        thread_id: answer.thread_id.clone(),
        act: Act::Delete { message_ids: vec![mine.platform_id.clone()] },
        traceparent: answer.traceparent.clone(),
        ..Outbound::default()
    }
}

#[cfg(test)]
mod tests {
    use claw_types::MessageId;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_deletion_goes_where_the_answer_went_and_says_nothing_else() {
        let to = Outbound {
            recipient: "visitor".to_owned(),
            thread_id: Some("7".to_owned()),
            ..Outbound::default()
        };
        let answer = Outbound { text: Some("hi".to_owned()), ttl_seconds: Some(1), ..to.clone() };
        let mine =
            Mine { message: MessageId(Uuid::from_u128(1)), platform_id: "p1".to_owned(), in_place: false };
        let made = deletion(&answer, &mine);
        assert_eq!(made, Outbound { act: Act::Delete { message_ids: vec!["p1".to_owned()] }, ..to });
        assert_eq!(made.conversation(), answer.conversation());
    }
}
