//! One connection, from its beginning to its end.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::debug;
use url::Url;

use super::budget::Permit;
use super::frame::{self, Event, Frame, Raw};
use super::session::Session;
use super::{Shared, Shift};
use crate::ChannelError;
use crate::adapters::discord::api::Gateway;
use crate::adapters::discord::{Discord, incoming, interaction};
use crate::kit::socket::{Said, Socket};

/// Bytes of one frame: a server with many members is told in one.
const MAX_FRAME: usize = 16 * 1024 * 1024;
/// How long the gateway may take for its first word.
const HELLO_LIMIT: Duration = Duration::from_secs(10);
/// The code with which a connection is given up that does not answer: any but 1000 and 1001 keeps the session.
const ABANDONED: u16 = 4900;
/// After so many connections without success a session is resumed elsewhere: its own address may be gone.
const TRUSTED: u32 = 3;

/// What comes after a connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Resume.
    Resume,
    /// Begin a new session.
    Renew,
    /// Begin all sessions anew, with another number of shards.
    Reshard(Shards),
}

/// How many shards there are to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shards {
    /// So many.
    Of(usize),
    /// As many as Discord recommends, which has refused those that there are.
    Others,
}

/// Makes a connection of a shard's and follows it to its end.
pub(super) async fn connection(shared: &Shared<'_>, shift: &mut Shift<'_>) -> Result<Next, ChannelError> {
    let bot = shared.bot;
    let (url, permit) = match &*shift.session {
        Some(session) if shift.failed < TRUSTED => (session.url.clone(), None),
        Some(_) => (bot.api.gateway().await?.url, None),
        None => match begin(bot, shift).await? {
            Ok((gateway, permit)) => (gateway.url, Some(permit)),
            Err(next) => return Ok(next),
        },
    };
    let mut socket = Socket::connect(&bot.deps, &address(&url)?, MAX_FRAME).await?;
    let interval = match hello(&mut socket).await? {
        Ok(interval) => interval,
        Err(next) => return Ok(next),
    };
    let first = match &*shift.session {
        Some(session) => frame::resume(bot.api.token(), session),
        None => frame::identify(bot.api.token(), bot.intents, shift.shard),
    };
    if let Some(permit) = &permit {
        permit.begins();
    }
    say(&mut socket, &first).await?;
    drop(permit);
    let beat = Instant::now() + interval.mul_f64(bot.deps.random.unit());
    Line { shared, socket, interval, beat, acked: true }.follow(shift).await
}

/// Where a new session is begun, once Discord's own budget allows it; or that more shards are to be made first. Their number is
/// left alone while others' sessions live, because another number would divide the servers anew.
async fn begin<'a>(
    bot: &'a Discord,
    shift: &Shift<'_>,
) -> Result<Result<(Gateway, Permit<'a>), Next>, ChannelError> {
    sleep(bot.budget.pause(shift.shard.number, &*bot.deps.random)).await;
    let door = bot.budget.enter().await;
    let gateway = bot.api.gateway().await?;
    if shift.shard.of == 1 && gateway.shards > 1 {
        return Ok(Err(Next::Reshard(Shards::Of(gateway.shards))));
    }
    gateway.session_start_limit.allow()?;
    let permit = bot.budget.permit(door, shift.shard.number, &gateway.session_start_limit).await;
    Ok(Ok((gateway, permit)))
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
    shared: &'a Shared<'a>,
    socket: Socket,
    interval: Duration,
    /// When the next heartbeat is due.
    beat: Instant,
    /// Whether the last one was answered.
    acked: bool,
}

impl Line<'_> {
    async fn follow(mut self, shift: &mut Shift<'_>) -> Result<Next, ChannelError> {
        loop {
            let said = tokio::select! {
                said = self.socket.next() => said?,
                () = sleep_until(self.beat) => {
                    if !self.acked {
                        let channel = self.shared.bot.deps.channel_id;
                        debug!(channel.id = %channel, "the gateway does not answer; it is called anew");
                        self.socket.close(ABANDONED).await;
                        return Ok(Next::Resume);
                    }
                    self.beat += self.interval;
                    self.acked = false;
                    self.heartbeat(shift).await?;
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
                Frame::Beat => self.heartbeat(shift).await?,
                Frame::Reconnect | Frame::Invalid { resumable: true } => return Ok(Next::Resume),
                Frame::Invalid { resumable: false } => return Ok(Next::Renew),
                Frame::Event(event) => self.event(event, shift).await?,
                Frame::Hello(_) | Frame::Other => {}
            }
        }
    }

    /// Confirms what was committed, once the database knows that it was.
    async fn heartbeat(&mut self, shift: &Shift<'_>) -> Result<(), ChannelError> {
        self.save(shift).await?;
        let seq = shift.session.as_ref().map(|session| session.seq);
        say(&mut self.socket, &frame::heartbeat(seq)).await
    }

    async fn save(&self, shift: &Shift<'_>) -> Result<(), ChannelError> {
        let Shared { sink, stored, .. } = self.shared;
        stored.save(*sink, shift.shard.number, shift.session.as_ref()).await
    }

    async fn event(&mut self, event: Event<'_>, shift: &mut Shift<'_>) -> Result<(), ChannelError> {
        match event.name {
            "READY" => {
                let session = Session::begun(event, &self.shared.bot.key);
                let unreadable = || ChannelError::Retryable("Discord's READY can't be read".to_owned());
                *shift.session = Some(session.ok_or_else(unreadable)?);
                // At once: without it, whoever takes over would have to begin a new one.
                self.save(shift).await?;
                self.shared.is_over(&mut shift.is_told).await;
            }
            "RESUMED" => self.shared.is_over(&mut shift.is_told).await,
            _ => {
                let Some(session) = &*shift.session else { return Ok(()) };
                self.take(event, session).await?;
                shift.failed = 0;
            }
        }
        if let Some(session) = &mut *shift.session {
            session.seq = event.seq.max(session.seq);
        }
        Ok(())
    }

    /// Commits what people did, and only then answers a press of theirs.
    async fn take(&self, event: Event<'_>, session: &Session) -> Result<(), ChannelError> {
        let taken = incoming::take(self.shared.bot, session, event).await?;
        if taken.messages.is_empty() {
            return Ok(());
        }
        self.shared.sink.accept(taken.messages).await?;
        if let Some(press) = &taken.press {
            interaction::answer(self.shared.bot, press).await;
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
        // "Invalid shard", "sharding required": each shard takes part in 2,500 servers at most.
        Some(4010 | 4011) => Ok(Next::Reshard(Shards::Others)),
        Some(4012) => config("(4012: this version is too old for Discord's gateway)"),
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
