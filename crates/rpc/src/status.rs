//! What roles tell one another.

use std::time::Duration;

use claw_types::{ChannelId, Epoch, ShardId, UserId};

/// What a worker says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerStatus {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it owns.
    pub shards: Vec<ShardId>,
    /// Channels it runs, working or not.
    pub channels: u32,
    /// Of those, the ones that do not work. `None`: its version does not count them.
    pub failed: Option<u32>,
    /// Whether it is leaving, or told to own nothing.
    pub draining: bool,
    /// The backends that do not answer it, the operator's first.
    pub away: Vec<AwayBackend>,
}

/// A backend that does not answer a worker, which therefore posts nothing to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwayBackend {
    /// Whose it is; `None` for the operator's.
    pub user: Option<String>,
    /// `https://host:port`
    pub origin: String,
    /// For how long.
    pub time: Duration,
    /// Whether the next attempt, or one under way, is to find out whether it answers again.
    pub half_open: bool,
}

/// What a scheduler says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchedulerStatus {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The term that it leads, if it does.
    pub leading: Option<i64>,
}

/// What a gateway says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayStatus {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// For how long it has served.
    pub uptime: Duration,
    /// Open event streams.
    pub streams: u32,
    /// Open sockets of web chats.
    pub sockets: u32,
}

/// What a platform said when it was asked whether a channel's credential works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// Why it does not; `None` when it does.
    pub error: Option<String>,
    /// The account's name there, where it has one.
    pub account: Option<String>,
    /// What else the platform tells: a JSON object.
    pub details: String,
}

/// What became of showing a person that an answer is being written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Typing {
    /// It is shown.
    Shown,
    /// Not called for: answers need the platform's pace, or the platform asked for silence.
    Skipped,
    /// The platform can't, or refused it, and why.
    Refused(String),
    /// It could not be reached, and why.
    Failed(String),
}

/// A channel that a worker runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adapter {
    /// The channel.
    pub channel: ChannelId,
    /// Whose; empty, like the next two, when its row can't be read.
    pub user: String,
    /// Its slug.
    pub instance: String,
    /// Its platform.
    pub channel_type: String,
    /// Where it belongs.
    pub shard: ShardId,
    /// The claim under which it runs.
    pub epoch: Epoch,
    /// Why it does not work; `None` when it does.
    pub error: Option<String>,
}

/// Some of a worker's adapters, by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterPage {
    /// They.
    pub adapters: Vec<Adapter>,
    /// Whether others come after them.
    pub more: bool,
}

/// What is to be looked at again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reload {
    /// One channel.
    Channel(ChannelId, ShardId),
    /// Every channel of a user that the worker owns.
    User(UserId),
}

/// A term that ended because somebody asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SteppedDown {
    /// Which.
    pub term: i64,
    /// For how long the scheduler lets others be elected.
    pub stands_by: Duration,
}

/// What a leader did when it was asked to do its duties at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RanNow {
    /// Timers that became messages.
    pub fired: u32,
    /// Rows that nobody needed any more.
    pub forgotten: u64,
}
