//! The gateway: one connection after the other, one session for as long as Discord keeps it
//! (<https://docs.discord.com/developers/events/gateway#connection-lifecycle>).
//!
//! Connections break all the time; a session outlives them for minutes, with all that happens meanwhile. So what ends is looked at
//! for one thing only: whether the session is gone. If not, the next connection resumes it, from the last event that was
//! committed. Nothing is ever closed by us with 1000 or 1001, which would end the session, too
//! (<https://docs.discord.com/developers/events/gateway#initiating-a-disconnect>); a worker that is told to stop just hangs up,
//! and the next one resumes.
//!
//! 4009 ("session timed out") is tried by a resume, too: that costs nothing, and Discord says by itself when the session is gone.
//!
//! Must hold: the number that a heartbeat confirms is in the database; an event that was not committed comes again.

pub(super) mod budget;
pub(super) mod frame;
pub(super) mod session;

use std::convert::Infallible;
use std::time::Duration;

use claw_runtime::Backoff;
use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;
use url::Url;

use self::frame::{Event, Frame, Raw};
use self::session::{Kept, Session};
use super::{Discord, commands, incoming, interaction};
use crate::kit::socket::{Said, Socket};
use crate::{ChannelError, Sink, SinkError};

/// Bytes of one frame: a server with many members is told in one.
const MAX_FRAME: usize = 16 * 1024 * 1024;
/// How long the gateway may take for its first word.
const HELLO_LIMIT: Duration = Duration::from_secs(10);
/// The code with which a connection is given up that does not answer: any but 1000 and 1001 keeps the session.
const ABANDONED: u16 = 4900;
/// After so many connections without success a session is resumed elsewhere: its own address may be gone.
const TRUSTED: u32 = 3;
/// After an invalid session, one to five seconds: those who lose theirs together don't come back together.
const SPREAD: (f64, f64) = (1.0, 4.0);

/// What comes after a connection.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// Resume.
    Resume,
    /// Begin a new session.
    Renew,
}

/// How it went so far.
#[derive(Debug, Default)]
struct Luck {
    /// Connections in a row that were of no use.
    failed: u32,
    /// Whether the channel's user was told of trouble that is not over.
    is_told: bool,
}

/// Follows the gateway until `stop`.
pub(super) async fn listen(
    bot: &Discord,
    sink: &dyn Sink,
    stop: CancellationToken,
) -> Result<(), ChannelError> {
    let cursor = sink.cursor().await.map_err(lost)?;
    let mut kept = Kept::new(cursor.as_deref(), &bot.key);
    let ended = tokio::select! {
        ended = follow(bot, sink, &mut kept) => ended,
        () = stop.cancelled() => {
            // What is not saved comes again, and counts once: nothing is lost when this fails.
            if let Err(error) = kept.save(sink).await {
                debug!(channel = %bot.deps.channel_id, "the session's last place was not saved: {error}");
            }
            return Ok(());
        }
    };
    match ended? {}
}

async fn follow(bot: &Discord, sink: &dyn Sink, kept: &mut Kept) -> Result<Infallible, ChannelError> {
    commands::register(bot, sink).await?;
    let mut luck = Luck::default();
    loop {
        let pause = match connection(bot, sink, kept, &mut luck).await {
            // The first time at once: connections break, and as a rule the next one stands.
            Ok(Next::Resume) if luck.failed == 0 => Duration::ZERO,
            Ok(Next::Resume) => backoff(bot, luck.failed),
            Ok(Next::Renew) => {
                kept.session = None;
                Duration::from_secs_f64(SPREAD.0 + SPREAD.1 * bot.deps.random.unit())
            }
            Err(error @ (ChannelError::BadCredentials(_) | ChannelError::Config(_))) => return Err(error),
            Err(error) => {
                sink.trouble(Some(&in_words(&error))).await;
                luck.is_told = true;
                match error {
                    ChannelError::RateLimited(wait) => wait,
                    _ => backoff(bot, luck.failed + 1),
                }
            }
        };
        luck.failed += 1;
        sleep(pause).await;
    }
}

fn backoff(bot: &Discord, failed: u32) -> Duration {
    Backoff::RECONNECT.wait(failed, &*bot.deps.random).unwrap_or(Duration::from_secs(5))
}

fn in_words(error: &ChannelError) -> String {
    match error {
        ChannelError::RateLimited(wait) => format!(
            "Discord lets this bot connect again in {} min: it has begun too many sessions or made too many calls today",
            wait.as_secs().div_ceil(60)
        ),
        error => error.to_string(),
    }
}

/// One connection, from its beginning to its end.
async fn connection(
    bot: &Discord,
    sink: &dyn Sink,
    kept: &mut Kept,
    luck: &mut Luck,
) -> Result<Next, ChannelError> {
    let url = match &kept.session {
        Some(session) if luck.failed < TRUSTED => session.url.clone(),
        _ => entrance(bot, kept.session.is_none()).await?,
    };
    let mut socket = Socket::connect(&bot.deps, &address(&url)?, MAX_FRAME).await?;
    let interval = match hello(&mut socket).await? {
        Ok(interval) => interval,
        Err(next) => return Ok(next),
    };
    let first = if let Some(session) = &kept.session {
        frame::resume(bot.api.token(), session)
    } else {
        bot.budget.begins();
        frame::identify(bot.api.token(), bot.intents)
    };
    say(&mut socket, &first).await?;
    let beat = Instant::now() + interval.mul_f64(bot.deps.random.unit());
    let line = Line { bot, sink, socket, interval, beat, acked: true };
    line.follow(kept, luck).await
}

/// Where to connect, as Discord says; a new session is begun only within its budget.
async fn entrance(bot: &Discord, is_new: bool) -> Result<String, ChannelError> {
    let gateway = bot.api.gateway().await?;
    if is_new {
        gateway.session_start_limit.allow()?;
        sleep(bot.budget.pause(&*bot.deps.random)).await;
    }
    Ok(gateway.url)
}

/// With the version and the encoding (<https://docs.discord.com/developers/events/gateway#connecting>).
fn address(url: &str) -> Result<String, ChannelError> {
    let mut url = Url::parse(url)
        .map_err(|_| ChannelError::Retryable("Discord named no address to connect to".to_owned()))?;
    url.set_query(Some("v=10&encoding=json"));
    Ok(url.into())
}

/// The gateway's first word: how often it wants a heartbeat, or that it wants to be called again.
async fn hello(socket: &mut Socket) -> Result<Result<Duration, Next>, ChannelError> {
    let late = || ChannelError::Retryable("the gateway did not say hello in time".to_owned());
    match timeout(HELLO_LIMIT, socket.next()).await.map_err(|_| late())?? {
        Said::Text(text) => match Raw::read(&text).as_ref().map(Raw::frame) {
            Some(Frame::Hello(interval)) => Ok(Ok(interval)),
            Some(Frame::Reconnect) => Ok(Err(Next::Resume)),
            _ => Err(ChannelError::Retryable("what the gateway says is no hello".to_owned())),
        },
        Said::Binary(_) => Err(ChannelError::Retryable("what the gateway says is no hello".to_owned())),
        Said::Closed { code, reason } => closed(code, &reason).map(Err),
    }
}

async fn say(socket: &mut Socket, frame: &Value) -> Result<(), ChannelError> {
    match socket.send_text(frame.to_string()).await {
        // Nothing that is said here is said for good.
        Err(ChannelError::Uncertain(why)) => Err(ChannelError::Retryable(why)),
        other => other,
    }
}

/// A connection that stands.
struct Line<'a> {
    bot: &'a Discord,
    sink: &'a dyn Sink,
    socket: Socket,
    interval: Duration,
    /// When the next heartbeat is due.
    beat: Instant,
    /// Whether the last one was answered.
    acked: bool,
}

impl Line<'_> {
    async fn follow(mut self, kept: &mut Kept, luck: &mut Luck) -> Result<Next, ChannelError> {
        loop {
            let said = tokio::select! {
                said = self.socket.next() => said?,
                () = sleep_until(self.beat) => {
                    if !self.acked {
                        debug!(channel = %self.bot.deps.channel_id, "the gateway does not answer; it is called anew");
                        self.socket.close(ABANDONED).await;
                        return Ok(Next::Resume);
                    }
                    self.beat += self.interval;
                    self.acked = false;
                    self.heartbeat(kept).await?;
                    continue;
                }
            };
            let text = match said {
                Said::Text(text) => text,
                Said::Binary(_) => continue,
                Said::Closed { code, reason } => return closed(code, &reason),
            };
            let Some(raw) = Raw::read(&text) else { continue };
            match raw.frame() {
                Frame::Ack => self.acked = true,
                Frame::Beat => self.heartbeat(kept).await?,
                Frame::Reconnect | Frame::Invalid { resumable: true } => return Ok(Next::Resume),
                Frame::Invalid { resumable: false } => return Ok(Next::Renew),
                Frame::Event(event) => self.event(event, kept, luck).await?,
                Frame::Hello(_) | Frame::Other => {}
            }
        }
    }

    /// Confirms what was committed, once the database knows that it was.
    async fn heartbeat(&mut self, kept: &mut Kept) -> Result<(), ChannelError> {
        kept.save(self.sink).await?;
        let seq = kept.session.as_ref().map(|session| session.seq);
        say(&mut self.socket, &frame::heartbeat(seq)).await
    }

    async fn event(
        &mut self,
        event: Event<'_>,
        kept: &mut Kept,
        luck: &mut Luck,
    ) -> Result<(), ChannelError> {
        match event.name {
            "READY" => {
                let session = Session::begun(event, &self.bot.key);
                let unreadable = || ChannelError::Retryable("Discord's READY can't be read".to_owned());
                kept.session = Some(session.ok_or_else(unreadable)?);
                // At once: without it, whoever takes over would have to begin a new one.
                kept.save(self.sink).await?;
                self.is_over(luck).await;
            }
            "RESUMED" => self.is_over(luck).await,
            _ => {
                let Some(session) = &kept.session else { return Ok(()) };
                self.take(event, session).await?;
                luck.failed = 0;
            }
        }
        if let Some(session) = &mut kept.session {
            session.seq = event.seq.max(session.seq);
        }
        Ok(())
    }

    /// The session is there: what trouble there was is over.
    async fn is_over(&self, luck: &mut Luck) {
        if std::mem::take(&mut luck.is_told) {
            self.sink.trouble(None).await;
        }
    }

    /// Commits what people did, and only then answers a press of theirs.
    async fn take(&self, event: Event<'_>, session: &Session) -> Result<(), ChannelError> {
        let taken = incoming::take(self.bot, session, event).await?;
        if taken.messages.is_empty() {
            return Ok(());
        }
        self.sink.accept(taken.messages).await.map_err(lost)?;
        if let Some(press) = &taken.press {
            interaction::answer(self.bot, press).await;
        }
        Ok(())
    }
}

/// What the end of a connection means
/// (<https://docs.discord.com/developers/topics/opcodes-and-status-codes#gateway-gateway-close-event-codes>).
fn closed(code: Option<u16>, reason: &str) -> Result<Next, ChannelError> {
    let config =
        |what: &str| Err(ChannelError::Config(format!("Discord closed the connection: {reason} {what}")));
    match code {
        // "Invalid seq": the same would happen again. "Not authenticated": "this session has been invalidated".
        Some(4003 | 4007) => Ok(Next::Renew),
        Some(4004) => Err(ChannelError::BadCredentials(
            "Discord does not know the bot's token (4004): copy it anew from the Developer Portal, Bot, Reset Token".to_owned(),
        )),
        Some(4010..=4012) => config("(the bot is in too many servers for one connection, or this version is too old)"),
        Some(4013) => config("(4013: intents is no sum of gateway intents; leave the field empty for 37376)"),
        Some(4014) => config(
            "(4014: intents asks for more than the bot is allowed; switch Message Content Intent on in the Developer Portal, Bot)",
        ),
        code => {
            debug!("the gateway ended a connection ({code:?} {reason})");
            Ok(Next::Resume)
        }
    }
}

/// What was not committed is not confirmed; it comes again.
pub(super) fn lost(error: SinkError) -> ChannelError {
    match error {
        SinkError::NotCommitted(why) => ChannelError::Retryable(why),
        SinkError::LostOwnership => ChannelError::Config(error.to_string()),
    }
}
