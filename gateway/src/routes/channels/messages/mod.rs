//! What is done to a message after it was sent or received.
//!
//! A message is named by our id of it or by the platform's. Ours says in which chat it is; with the platform's, the
//! caller says so.

pub mod delete;
pub mod edit;
pub mod react;

use axum::response::Response;
use claw_channels::send_body;
use claw_types::{Act, MessageId, MessageState, Outbound};
use uuid::Uuid;

use crate::app::App;
use crate::body::lenient::Ident;
use crate::channel_cache::Known;
use crate::dispatch::{self, Once};
use crate::error::Problem;
use crate::path::MessagePath;

/// A call that does something to a message.
struct Call<'a> {
    /// Which message.
    path: &'a MessagePath,
    /// Its chat, and the thread in it, where the caller says so.
    recipient: Option<&'a Ident>,
    thread_id: Option<&'a Ident>,
    /// The `Idempotency-Key`.
    key: Option<&'a str>,
    /// What is asked for, beside the path.
    asked: &'a [u8],
}

impl Call<'_> {
    /// Does to the message what `act` makes of it, and waits for that as for a send.
    ///
    /// # Errors
    /// Those of [`target`], of `act`, and of a send.
    async fn perform(
        self,
        app: &App,
        act: impl FnOnce(Target) -> Result<Outbound, Problem>,
    ) -> Result<Response, Problem> {
        let Self { path, recipient, thread_id, key, asked } = self;
        let known = dispatch::channel(app, &path.channel).await?;
        let target = target(app, &known, path, recipient, thread_id).await;
        let message = target.and_then(act).and_then(|message| Ok(send_body::checked(message)?));
        let once = Once { key, digest: path.digest(asked) };
        Ok(dispatch::dispatch(app, &known, message, once).await?.answer())
    }
}

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
    /// What is sent to have something done to it, in its chat.
    fn with(self, act: Act) -> Outbound {
        Outbound { recipient: self.recipient, thread_id: self.thread_id, act, ..Outbound::default() }
    }

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
