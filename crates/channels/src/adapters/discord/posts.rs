//! Posts of forums. A forum takes no messages: what is sent to it begins a post, a thread with its first message
//! (<https://docs.discord.com/developers/resources/channel#start-thread-in-forum-or-media-channel>).
//!
//! Must hold: the parts of one message are one post, as long as the worker runs that began it, and else the further ones begin another;
//! while it runs, a part that began a post, or may have, begins none again, because Discord takes no nonce here. One that is killed before the
//! receipt is written down leaves a post that the next worker begins once more.

use std::sync::{Mutex, PoisonError};

use claw_types::MessageId;
use serde::Deserialize;

use super::api::Failure;
use super::media::Uploaded;
use super::send::attempt;
use super::{Discord, calls};
use crate::kit::newest::Newest;
use crate::{ChannelError, Part, Receipt};

/// Messages whose posts are remembered. It takes only as long as their parts are sent.
const MANY: usize = 1000;

/// The posts that messages began.
pub(super) struct Posts(Mutex<Newest<Begun>>);

impl Default for Posts {
    fn default() -> Self {
        Self(Mutex::new(Newest::of(MANY)))
    }
}

impl Posts {
    fn of(&self, message: MessageId) -> Option<Begun> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&message.to_string()).cloned()
    }

    fn began(&self, message: MessageId, post: Begun) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(message.to_string(), post);
    }
}

/// A post.
#[derive(Clone)]
struct Begun {
    /// Of its thread; its first message has the same id.
    id: String,
    /// Which part of the message it began with.
    with: usize,
}

/// The thread, as Discord tells of it.
#[derive(Deserialize)]
struct Thread {
    id: String,
}

/// Begins a post in a forum, or goes on with the one that the message began. Its id is the receipt's.
pub(super) async fn send(bot: &Discord, part: &Part<'_>, files: &Uploaded) -> Result<Receipt, Failure> {
    let posts = &bot.places.posts;
    match posts.of(part.message_id) {
        Some(post) if post.with == part.index => return Ok(Receipt { platform_message_id: post.id }),
        Some(post) => return attempt(bot, part, &post.id, files).await,
        None => {}
    }
    let Some(call) = calls::post(part, files)? else {
        return Err(ChannelError::Permanent(
            "a forum has no messages of its own: give the post's id as thread_id".to_owned(),
        )
        .into());
    };
    let Thread { id } = bot.api.ask(&call).await?;
    posts.began(part.message_id, Begun { id: id.clone(), with: part.index });
    Ok(Receipt { platform_message_id: id })
}
