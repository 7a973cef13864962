//! One stream of events: a task that fills a short queue, which the connection empties.
//!
//! It holds a place. What is behind it comes from the feed when the feed's batch begins at or before it, and from the
//! database otherwise; either way it is in order, and what is not behind the place was sent already. So whatever goes
//! wrong, nothing is missing and nothing comes twice.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::response::sse::Event as Frame;
use claw_store::{EventFilter, Place, chain};
use claw_types::UserId;
use futures::Stream;
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::feed::{Batch, Told};
use super::slots::Slot;
use crate::app::Shared;
use crate::auth::{self, Principal};

/// Frames that wait for the connection.
const QUEUE: usize = 32;
/// A reader that takes nothing for this long is cut off; it can come back to where it was.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a sign of life is sent and the key is looked at again.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Events read from the database at once.
const PAGE: i64 = 200;
/// How soon a client is to come back when the stream has ended.
const RETRY: Duration = Duration::from_secs(2);

/// What a stream is made of.
pub struct Opening {
    /// Whose events; `None` for everybody's.
    pub user: Option<UserId>,
    /// Which of them.
    pub filter: EventFilter,
    /// Those behind this place.
    pub place: Place,
    /// Whether to go on when the present is reached.
    pub follow: bool,
    /// Who listens.
    pub principal: Principal,
    /// The request's headers, with the key.
    pub headers: HeaderMap,
}

/// The stream is over: the reader is gone or too slow, or the gateway drains.
struct Ended;

/// Starts a stream; it keeps its slot until it is over.
pub fn open(
    app: &Shared,
    opening: Opening,
    slot: Slot,
) -> impl Stream<Item = Result<Frame, Infallible>> + use<> {
    let (frames, queue) = mpsc::channel(QUEUE);
    let soft = app.lifecycle.soft();
    let stream = Running { app: Arc::clone(app), opening, frames, soft, beat: Instant::now() + HEARTBEAT };
    app.lifecycle.spawn("event stream", async move {
        stream.run().await;
        drop(slot);
    });
    futures::stream::unfold(queue, async |mut queue| Some((Ok(queue.recv().await?), queue)))
}

struct Running {
    app: Shared,
    opening: Opening,
    frames: mpsc::Sender<Frame>,
    soft: CancellationToken,
    /// When the next sign of life is due.
    beat: Instant,
}

impl Running {
    async fn run(mut self) {
        if self.serve().await.is_err() && self.soft.is_cancelled() {
            let bye = Frame::default().comment("the gateway goes down; come back to another").retry(RETRY);
            // A queue that is full by now belongs to a reader who will find out by the connection's end.
            drop(self.frames.try_send(bye));
        }
    }

    async fn serve(&mut self) -> Result<(), Ended> {
        // Listening begins before the past is read: what happens meanwhile is in one of them.
        let mut live = self.opening.follow.then(|| self.app.feed.listen());
        // The id alone, without data, is no event, but a place to come back to.
        let hello = Frame::default().comment("events").retry(RETRY).id(self.opening.place.to_string());
        self.send(hello).await?;
        self.catch_up().await?;
        let Some(live) = &mut live else { return Ok(()) };
        let (soft, frames) = (self.soft.clone(), self.frames.clone());
        loop {
            let batch = tokio::select! {
                batch = live.recv() => batch,
                () = tokio::time::sleep_until(self.beat) => { self.heartbeat().await?; continue }
                () = frames.closed() => return Err(Ended),
                () = soft.cancelled() => return Err(Ended),
            };
            match batch {
                Ok(batch) => self.take(&batch).await?,
                // The next batch begins behind our place, and shows the hole.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Err(Ended),
            }
        }
    }

    async fn take(&mut self, batch: &Batch) -> Result<(), Ended> {
        if batch.after > self.opening.place {
            return self.catch_up().await;
        }
        for event in batch.events.iter().filter(|event| event.place > self.opening.place) {
            self.tell(event).await?;
        }
        self.opening.place = self.opening.place.max(batch.upto);
        Ok(())
    }

    /// Everything that the database has behind the place.
    async fn catch_up(&mut self) -> Result<(), Ended> {
        loop {
            let user = self.opening.user.as_ref();
            let read = self.app.store.events_after(user, self.opening.place, PAGE).await;
            let page = read.map_err(|error| {
                warn!("an event stream ends, its events can't be read: {}", chain(&error));
                Ended
            })?;
            if page.gap {
                let oldest = page.events.first().map_or(page.upto, |event| event.place);
                self.gap(oldest).await?;
            }
            for event in page.events {
                let place = event.place;
                let told = Told::new(event).map_err(|error| {
                    warn!("an event stream ends, event {place} can't be written: {}", chain(&error));
                    Ended
                })?;
                self.tell(&told).await?;
            }
            self.opening.place = page.upto;
            if !page.more {
                return Ok(());
            }
            if Instant::now() >= self.beat {
                self.heartbeat().await?;
            }
        }
    }

    /// Without an id: who is cut off right now is told again.
    async fn gap(&self, oldest: Place) -> Result<(), Ended> {
        let data = json!({"after": self.opening.place.to_string(), "oldest": oldest.to_string()});
        self.send(Frame::default().event("gap").data(data.to_string())).await
    }

    async fn tell(&self, event: &Told) -> Result<(), Ended> {
        let Opening { user, filter, .. } = &self.opening;
        // The feed has everybody's.
        let own = user.as_ref().is_none_or(|user| event.user.as_deref() == Some(user.as_str()));
        if !own || !filter.wants(&event.kind, event.slug.as_deref()) {
            return Ok(());
        }
        self.send(Frame::default().id(event.place.to_string()).event(&event.kind).data(&event.json)).await
    }

    async fn heartbeat(&mut self) -> Result<(), Ended> {
        self.beat = Instant::now() + HEARTBEAT;
        if !auth::still_good(&self.app, &self.opening.headers, &self.opening.principal).await {
            self.send(Frame::default().comment("the key is not good any more")).await?;
            return Err(Ended);
        }
        // With the place: a stream that is told little must not come back to one that is long forgotten.
        self.send(Frame::default().comment("still here").id(self.opening.place.to_string())).await
    }

    async fn send(&self, frame: Frame) -> Result<(), Ended> {
        tokio::select! {
            sent = self.frames.send_timeout(frame, PATIENCE) => sent.map_err(|_| Ended),
            () = self.soft.cancelled() => Err(Ended),
        }
    }
}
