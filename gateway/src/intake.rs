//! Accepting messages: committed first, told to the owner second, answered last.

use std::sync::Arc;

use claw_bus::Bus;
use claw_intake::Desk;
use claw_store::{Accepted, Announce, NewMessage};
use claw_telemetry::trace::{Kind, Mark, Span, mark};
use claw_types::{Direction, Inbound, MessageId, Work};
use futures::future::{BoxFuture, join_all};

use crate::app::App;
use crate::channel_cache::Known;
use crate::error::Problem;

/// What became of a batch; what is ignored or kept as context is not in it.
#[derive(Debug, Default)]
pub struct Taken {
    /// The messages that go to the backend.
    pub messages: Vec<Accepted>,
    /// Those that were dealt with and go no further now: of people who wait to be let in, and orders of owners.
    pub handled: Vec<MessageId>,
    /// Whether something that was done to a message was taken, whether or not the backend is told of it.
    pub feedback: bool,
}

/// What decides about people's messages works with this.
pub fn desk(app: &App) -> Desk<'_> {
    Desk { store: &app.store, ids: &app.ids, clock: &*app.clock }
}

/// Accepts what people wrote and did as far as the channel's policy lets it; returns once all of that is committed. `began` is when it
/// came, if that is traced.
///
/// # Errors
/// When one was not: the platform sends them all again, and those that were committed are recognised then.
pub async fn accept(
    app: &App,
    known: &Known,
    messages: Vec<Inbound>,
    began: Option<Mark>,
) -> Result<Taken, Problem> {
    let mut made = known.intake.make(desk(app), &known.channel, messages).await?;
    let _spans = made.received(&known.channel, Kind::Server, began);
    for work in &made.committed {
        announce(app, work).await;
    }
    // Together, so that they are one batch; in order, because submitting is in order.
    let committed = join_all(made.take().into_iter().map(|message| app.writer.accept(message))).await;
    let messages = committed.into_iter().collect::<claw_store::Result<Vec<_>>>()?;
    let handled = std::mem::take(&mut made.handled);
    let feedback = made.has_feedback();
    made.tell(&app.store, &known.channel, &app.ids).await?;
    let stored: Vec<MessageId> = messages.iter().filter_map(new).map(|work| work.id).collect();
    made.settle(&app.store, &stored).await;
    Ok(Taken { messages, handled, feedback })
}

fn new(accepted: &Accepted) -> Option<&Work> {
    match accepted {
        Accepted::New(work) => Some(work),
        Accepted::Duplicate(_) => None,
    }
}

/// Accepts one message, in either direction.
///
/// # Errors
/// When it was not committed.
pub async fn accept_one(app: &App, message: NewMessage) -> Result<Accepted, Problem> {
    let mut first = match message.direction {
        Direction::In => Span::first(message.id.0.as_u128(), "receive", Kind::Server, mark()),
        Direction::Out => Span::none(),
    };
    if first.is_recorded() {
        first.set("message.id", message.id.to_string());
    }
    Ok(app.writer.accept(message).await?)
}

/// Tells the owner of a message that was committed by something else than the gateway's writer, which does so by itself.
pub async fn announce(app: &App, work: &Work) {
    app.bus.publish_accepted(&[work]).await;
}

/// To whom the writer tells what it committed.
pub struct Owners(pub Arc<Bus>);

impl Announce for Owners {
    fn announce<'a>(&'a self, accepted: &'a [&'a Work]) -> BoxFuture<'a, ()> {
        Box::pin(self.0.publish_accepted(accepted))
    }
}
