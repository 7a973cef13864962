//! What is done to a message after it was sent or received.
//!
//! A message is named by our id of it or by the platform's. Ours says in which chat it is; with the platform's, the
//! caller says so.

pub mod delete;
pub mod edit;
pub mod react;

use claw_channels::send_body;
use claw_types::{MessageId, MessageState};
use uuid::Uuid;

use crate::app::App;
use crate::body::lenient::Ident;
use crate::channel_cache::Known;
use crate::error::Problem;
use crate::path::MessagePath;

/// A message on its platform.
pub struct Target {
    recipient: String,
    thread_id: Option<String>,
    message_ids: Vec<String>,
    from_person: bool,
}

/// The message that a path names.
///
/// # Errors
/// 404 when it is not known, 409 when the platform does not have it, 400 when its chat has to be said.
async fn target(
    app: &App,
    known: &Known,
    path: &MessagePath,
    recipient: Option<&Ident>,
    thread_id: Option<&Ident>,
) -> Result<Target, Problem> {
    if let Ok(id) = Uuid::try_parse(&path.message) {
        let found =
            app.store.message_on_platform(&path.channel.user, known.channel.id, MessageId(id)).await?;
        if let Some(found) = found {
            if found.state == MessageState::Pending && !found.from_person {
                // Some parts may be there already; what is done to these would not be done to the others.
                return Err(Problem::conflict(
                    "the platform does not have this message yet, or not all of it: try again when it is sent",
                ));
            }
            if found.message_ids.is_empty() {
                return Err(Problem::conflict("the platform does not have this message"));
            }
            return Ok(Target {
                recipient: found.recipient,
                thread_id: found.thread_id,
                message_ids: found.message_ids,
                from_person: found.from_person,
            });
        }
        if recipient.is_none() {
            return Err(Problem::not_found(
                "there is no such message in this channel; with the platform's own id, say the chat in \"recipient\"",
            ));
        }
    }
    Ok(Target {
        recipient: send_body::recipient(recipient)?,
        thread_id: send_body::id("thread_id", thread_id)?,
        message_ids: vec![path.message.clone()],
        from_person: false,
    })
}

impl Target {
    /// The one message that it is.
    ///
    /// # Errors
    /// 409 when it was sent in parts.
    fn single(&self) -> Result<String, Problem> {
        match self.message_ids.as_slice() {
            [one] => Ok(one.clone()),
            parts => Err(Problem::conflict(format!(
                "this message was sent in {} parts: name one of them by the platform's id",
                parts.len()
            ))),
        }
    }

    /// Refuses what only we wrote may have done to it.
    ///
    /// # Errors
    /// 409 for a person's message.
    fn ours(self) -> Result<Self, Problem> {
        if self.from_person {
            return Err(Problem::conflict(
                "this message was written by a person; only what was sent can be changed",
            ));
        }
        Ok(self)
    }
}
