//! Accepting messages: committed first, told to the owner second, answered last.

use claw_intake::Desk;
use claw_store::{Accepted, NewMessage};
use claw_types::Inbound;
use futures::future::join_all;

use crate::app::App;
use crate::channel_cache::Known;
use crate::error::Problem;

/// What became of a batch.
pub struct Taken {
    /// The messages that were accepted. What is ignored or kept as context is not among them.
    pub messages: Vec<Accepted>,
    /// Whether something that was done to a message was taken, whether or not the backend is told of it.
    pub feedback: bool,
}

/// Accepts what people wrote and did as far as the channel's policy lets it; returns once all of that is committed.
///
/// # Errors
/// When one was not: the platform sends them all again, and those that were committed are recognised then.
pub async fn accept(app: &App, known: &Known, messages: Vec<Inbound>) -> Result<Taken, Problem> {
    let desk = Desk { store: &app.store, ids: &app.ids, clock: &*app.clock };
    let mut made = known.intake.make(desk, &known.channel, messages).await?;
    // Together, so that they are one batch; in order, because submitting is in order.
    let committed = join_all(made.take().into_iter().map(|message| app.writer.accept(message))).await;
    for accepted in committed.iter().flatten() {
        announce(app, accepted).await;
    }
    let committed = committed.into_iter().collect::<claw_store::Result<Vec<_>>>()?;
    let feedback = made.has_feedback();
    made.tell(&app.store, &known.channel, &app.ids).await?;
    made.settle(&app.store).await;
    Ok(Taken { messages: committed, feedback })
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
