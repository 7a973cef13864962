//! The gateway: of each shard one connection after the other, one session for as long as Discord keeps it
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
//! Of a bot in many servers Discord wants several sessions, each with a part of the servers
//! (<https://docs.discord.com/developers/events/gateway#sharding>). Their number is Discord's recommendation at the time when the
//! first one begins; they are followed side by side by one task, each with its own luck. The number changes when there is only
//! one session and that is gone, or when Discord refuses it (4010, 4011).
//!
//! Must hold: the number that a heartbeat confirms is in the database; an event that was not committed comes again; a session that
//! breaks stops no other.

pub(super) mod budget;
mod connection;
pub(super) mod frame;
pub(super) mod session;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use claw_runtime::Backoff;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use self::connection::{Next, Shards, connection};
use self::frame::Shard;
use self::session::{MAX_SHARDS, Session, Stored};
use super::{Discord, commands};
use crate::{ChannelError, Sink};

/// After an invalid session, one to five seconds: those who lose theirs together don't come back together.
const SPREAD: (f64, f64) = (1.0, 4.0);

/// What the shards of a bot have in common.
struct Shared<'a> {
    bot: &'a Discord,
    sink: &'a dyn Sink,
    stored: Stored,
    /// Shards whose trouble the channel's user was told of and which is not over.
    troubled: AtomicUsize,
}

/// One shard, and how it went so far.
struct Shift<'a> {
    shard: Shard,
    session: &'a mut Option<Session>,
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
    let cursor = sink.cursor().await?;
    let mut sessions = session::read(cursor.as_deref(), &bot.key);
    let stored = Stored::new(sessions.clone());
    let shared = Shared { bot, sink, stored, troubled: AtomicUsize::new(0) };
    tokio::select! {
        error = shared.follow(&mut sessions) => return Err(error),
        () = stop.cancelled() => {}
    }
    // What is not saved comes again, and counts once: nothing is lost when this fails.
    if let Err(error) = shared.stored.save_all(sink, &sessions).await {
        debug!(channel.id = %bot.deps.channel_id, "the session's last place was not saved: {error}");
    }
    Ok(())
}

impl Shared<'_> {
    /// Follows all shards; what it returns is why nothing comes any more.
    async fn follow(&self, sessions: &mut Vec<Option<Session>>) -> ChannelError {
        if let Err(error) = commands::register(self.bot, self.sink).await {
            return error;
        }
        loop {
            let refused = sessions.len();
            let shards = match self.side_by_side(sessions).await {
                Ok(Shards::Of(shards)) => shards,
                Ok(Shards::Others) => match self.others(refused).await {
                    Ok(shards) => shards,
                    Err(error) => return error,
                },
                Err(error) => return error,
            };
            if shards > MAX_SHARDS {
                return ChannelError::Config(format!(
                    "Discord wants {shards} connections of this bot; at most {MAX_SHARDS} are made"
                ));
            }
            info!(channel.id = %self.bot.deps.channel_id, "the bot has {shards} shards now");
            *sessions = vec![None; shards];
            self.stored.renumbered(shards).await;
        }
    }

    /// Follows each shard until one of them finds that there are to be others, or that the channel can't go on.
    async fn side_by_side(&self, sessions: &mut [Option<Session>]) -> Result<Shards, ChannelError> {
        let of = sessions.len();
        // What trouble there was before is over when the first shard's session is there.
        let is_troubled = self.troubled.load(Ordering::Relaxed) > 0;
        self.troubled.store(usize::from(is_troubled), Ordering::Relaxed);
        let mut shards = FuturesUnordered::new();
        for (number, session) in sessions.iter_mut().enumerate() {
            let is_told = is_troubled && number == 0;
            shards.push(self.one(Shift { shard: Shard { number, of }, session, failed: 0, is_told }));
        }
        shards.next().await.unwrap_or(Ok(Shards::Others))
    }

    /// Makes one connection of a shard after the other.
    async fn one(&self, mut shift: Shift<'_>) -> Result<Shards, ChannelError> {
        let bot = self.bot;
        loop {
            let pause = match connection(self, &mut shift).await {
                // The first time at once: connections break, and as a rule the next one stands.
                Ok(Next::Resume) if shift.failed == 0 => Duration::ZERO,
                Ok(Next::Resume) => backoff(bot, shift.failed),
                Ok(Next::Renew) => {
                    *shift.session = None;
                    Duration::from_secs_f64(SPREAD.0 + SPREAD.1 * bot.deps.random.unit())
                }
                Ok(Next::Reshard(shards)) => return Ok(shards),
                Err(error) => self.trouble(error, shift.shard, &mut shift.is_told, shift.failed).await?,
            };
            shift.failed += 1;
            sleep(pause).await;
        }
    }

    /// How many shards Discord recommends in place of so many, which it has refused. As long as it recommends the same nothing is
    /// begun: each try would cost one of the day's sessions.
    async fn others(&self, refused: usize) -> Result<usize, ChannelError> {
        let (mut failed, mut is_told) = (0, false);
        loop {
            let error = match self.bot.api.gateway().await {
                Ok(gateway) if gateway.shards != refused => return Ok(gateway.shards),
                Ok(_) => ChannelError::Retryable(format!(
                    "Discord refuses {refused} connections of this bot (4010 or 4011), and recommends no other number"
                )),
                Err(error) => error,
            };
            let pause = self.trouble(error, Shard { number: 0, of: 1 }, &mut is_told, failed).await?;
            failed += 1;
            sleep(pause).await;
        }
    }

    /// Tells the channel's user of an error; how long to wait after it. One that ends the channel is returned.
    async fn trouble(
        &self,
        error: ChannelError,
        shard: Shard,
        is_told: &mut bool,
        failed: u32,
    ) -> Result<Duration, ChannelError> {
        if matches!(error, ChannelError::BadCredentials(_) | ChannelError::Config(_)) {
            return Err(error);
        }
        self.sink.trouble(Some(&in_words(&error, shard))).await;
        if !std::mem::replace(is_told, true) {
            self.troubled.fetch_add(1, Ordering::Relaxed);
        }
        Ok(match error {
            ChannelError::RateLimited(wait) => wait,
            _ => backoff(self.bot, failed + 1),
        })
    }

    /// A shard's session is there: what trouble it had is over, and all trouble if no other has some.
    async fn is_over(&self, is_told: &mut bool) {
        if std::mem::take(is_told) && self.troubled.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.sink.trouble(None).await;
        }
    }
}

fn backoff(bot: &Discord, failed: u32) -> Duration {
    Backoff::RECONNECT.wait(failed, &*bot.deps.random).unwrap_or(Duration::from_secs(5))
}

fn in_words(error: &ChannelError, shard: Shard) -> String {
    let words = match error {
        ChannelError::RateLimited(wait) => format!(
            "Discord lets this bot connect again in {} min: it has begun too many sessions or made too many calls today",
            wait.as_secs().div_ceil(60)
        ),
        error => error.to_string(),
    };
    match shard {
        Shard { of: 1, .. } => words,
        Shard { number, of } => format!("connection {} of {of}: {words}", number + 1),
    }
}
