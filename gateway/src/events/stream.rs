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
use crate::listener::PATIENCE;

/// Frames that wait for the connection.
const QUEUE: usize = 32;
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

/// Starts a stream. A reader that takes nothing is cut off; it can come back to where it was.
pub fn open(
    app: &Shared,
    opening: Opening,
    slot: Slot,
) -> impl Stream<Item = Result<Frame, Infallible>> + use<> {
    let (frames, queue) = mpsc::channel(QUEUE);
    let soft = app.lifecycle.soft();
    let stream = Running { app: Arc::clone(app), opening, frames, soft, beat: Instant::now() + HEARTBEAT };
    app.lifecycle.spawn("event stream", stream.run());
    body(queue, slot)
}

/// The connection's end of a stream. It has the slot: as long as there is a connection, it counts, also when nobody fills
/// it any more because its reader takes nothing.
fn body(
    mut queue: mpsc::Receiver<Frame>,
    slot: Slot,
) -> impl Stream<Item = Result<Frame, Infallible>> + use<> {
    futures::stream::poll_fn(move |context| {
        let _held = &slot;
        queue.poll_recv(context).map(|frame| frame.map(Ok))
    })
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
                Err(RecvError::Lagged(_)) => self.catch_up().await?,
                Err(RecvError::Closed) => return Err(Ended),
            }
        }
    }

    async fn take(&mut self, batch: &Batch) -> Result<(), Ended> {
        if batch.gap || batch.after > self.opening.place {
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
                warn!(
                    user.id = user.map(display),
                    "an event stream ends, its events can't be read: {}",
                    chain(&error)
                );
                Ended
            })?;
            if page.gap {
                let oldest = page.events.first().map_or(page.upto, |event| event.place);
                self.gap(oldest).await?;
            }
            for event in page.events {
                let place = event.place;
                let told = Told::new(event).map_err(|error| {
                    warn!(
                        user.id = self.opening.user.as_ref().map(display),
                        "an event stream ends, event {place} can't be written: {}",
                        chain(&error)
                    );
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use axum::Router;
    use axum::response::Sse;
    use axum::routing::get;
    use claw_runtime::Lifecycle;
    use claw_testkit::eventually;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::events::slots::Slots;
    use crate::listener;

    #[tokio::test]
    async fn a_reader_that_takes_nothing_keeps_its_slot_until_it_is_cut_off() {
        let (slots, lifecycle) = (Arc::new(Slots::default()), Lifecycle::new());
        let (frames, queue) = mpsc::channel(QUEUE);
        let body = Arc::new(Mutex::new(Some(body(queue, slots.take(None).unwrap()))));
        let router =
            Router::new().route("/", get(async move || Sse::new(body.lock().unwrap().take().unwrap())));
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let (listener, soft) = (listener::tuned(tcp, Duration::from_secs(1)), lifecycle.soft());
        lifecycle.spawn("http", async move {
            axum::serve(listener, router).with_graceful_shutdown(soft.cancelled_owned()).await.unwrap();
        });
        let mut reader = TcpStream::connect(address).await.unwrap();
        reader.write_all(b"GET / HTTP/1.1\r\nhost: example\r\n\r\n").await.unwrap();
        let frame = Frame::default().data("x".repeat(100_000));
        while frames.send_timeout(frame.clone(), Duration::from_millis(300)).await.is_ok() {}
        assert_eq!(slots.open(), 1, "the connection is there");
        // Who fills the stream has given up.
        drop(frames);
        assert_eq!(slots.open(), 1, "and still is");
        eventually("the slot to be free", Duration::from_secs(20), async || {
            (slots.open() == 0).then_some(())
        })
        .await;
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(20), reader.read_to_end(&mut rest)).await;
        assert!(ended.unwrap().is_err(), "reset, not finished");
        lifecycle.finish(Duration::from_secs(5)).await.expect("nothing keeps the server");
    }
}
