//! Accepting messages: committed first, told to the owner second, answered last.

use claw_store::{Accepted, NewMessage};
use claw_types::Inbound;
use futures::future::join_all;

use crate::app::App;
use crate::channel_cache::Known;
use crate::error::Problem;

/// Accepts what people wrote as far as the channel's policy lets it; returns once all of that is committed. What is ignored is
/// not among the answers.
///
/// # Errors
/// When one was not: the platform sends them all again, and those that were committed are recognised then.
pub async fn accept(app: &App, known: &Known, messages: Vec<Inbound>) -> Result<Vec<Accepted>, Problem> {
    let make = |message| NewMessage::inbound(&known.channel, message, &app.ids, &*app.clock);
    let admitted = messages.into_iter().filter(|message| known.intake.admit(message).is_ok());
    let messages = admitted.map(make).collect::<claw_store::Result<Vec<_>>>()?;
    // Together, so that they are one batch; in order, because submitting is in order.
    let committed = join_all(messages.into_iter().map(|message| app.writer.accept(message))).await;
    for accepted in committed.iter().flatten() {
        announce(app, accepted).await;
    }
    Ok(committed.into_iter().collect::<claw_store::Result<Vec<_>>>()?)
}

/// Accepts one message, in either direction.
///
/// # Errors
/// When it was not committed.
pub async fn accept_one(app: &App, message: NewMessage) -> Result<Accepted, Problem> {
    let accepted = app.writer.accept(message).await?;
    announce(app, &accepted).await;
    Ok(accepted)
}

async fn announce(app: &App, accepted: &Accepted) {
    if let Accepted::New(work) = accepted {
        app.bus.publish_work(work).await;
        if work.media.is_some() {
            app.bus.publish_media(work.id).await;
        }
    }
}
