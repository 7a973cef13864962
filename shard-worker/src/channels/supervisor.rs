//! Brings the running channels of a shard in line with their rows, one event after another.
//!
//! Only a channel whose revision changed, or that had failed, is restarted; the others go on undisturbed. The old
//! connection has ended before the new one begins.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use claw_channels::{ChannelError, registry};
use claw_runtime::Backoff;
use claw_store::{Channel, Loaded, Observation, chain};
use claw_types::ChannelId;
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::active::Active;
use super::manners::Manners;
use super::measure::Measured;
use super::sink::{AsLoaded, ShardSink};
use super::{Event, Health, Running, observe};
use crate::core::Core;
use crate::deliver::placeholder;
use crate::shard::Shard;

/// A channel whose credential is refused is tried again this often: it may have been unblocked at the platform.
const REFUSED_PAUSE: Duration = Duration::from_secs(300);
/// Rows that are loaded by one query: a shard may have so many channels that all at once would be too much memory.
const AT_ONCE: usize = 500;
/// A listener that does not end within this is cut off.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// A channel that failed runs again once it has lasted for this long, which is more than any platform call may take:
/// each attempt would look like a recovery otherwise, and its user would be told of one after another.
const STEADY: Duration = Duration::from_secs(40);

/// Runs for as long as the shard is ours.
pub(crate) async fn run(core: Arc<Core>, shard: Arc<Shard>) {
    let (sender, mut events) = mpsc::unbounded_channel();
    let mut failed = 0;
    while let Err(error) = begin(&core, &shard).await {
        failed += 1;
        warn!(shard.id = %shard.id, "loading channels failed: {}", chain(&error));
        tokio::select! {
            () = tokio::time::sleep(Backoff::RECONNECT.wait(failed, &*core.random).unwrap_or_default()) => {}
            () = shard.stopping().cancelled() => return,
        }
    }
    shard.channels.accept_events(sender);
    // What changed while they were loaded was told to nobody.
    shard.channels.notify(Event::All);
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = shard.stopping().cancelled() => None,
        };
        let handled = match event {
            None => break,
            Some(Event::All) => load_all(&core, &shard).await,
            Some(Event::Revision(id, revision)) if is_current(&shard, id, revision) => Ok(()),
            Some(Event::Changed(id) | Event::Revision(id, _)) => refresh(&core, &shard, &[id]).await,
        };
        if let Err(error) = handled {
            // The periodic look at changed rows comes back to it.
            warn!(shard.id = %shard.id, "looking into a channel failed: {}", chain(&error));
        }
    }
    stop_all(&shard).await;
}

/// What was shown before is known before anything is sent.
async fn begin(core: &Arc<Core>, shard: &Arc<Shard>) -> claw_store::Result<()> {
    placeholder::load(core, shard).await?;
    load_all(core, shard).await
}

fn is_current(shard: &Shard, id: ChannelId, revision: i64) -> bool {
    shard.channels.running().get(&id).is_some_and(|running| running.revision == revision)
}

async fn load_all(core: &Arc<Core>, shard: &Arc<Shard>) -> claw_store::Result<()> {
    let rows = core.store.channels_in(&[shard.id]).await?;
    let due = rows.into_iter().filter(|(id, _, revision)| !is_current(shard, *id, *revision));
    let due: Vec<ChannelId> = due.map(|(id, ..)| id).collect();
    for some in due.chunks(AT_ONCE) {
        refresh(core, shard, some).await?;
    }
    Ok(())
}

/// Makes what runs what the rows say.
async fn refresh(core: &Arc<Core>, shard: &Arc<Shard>, ids: &[ChannelId]) -> claw_store::Result<()> {
    let mut rows: HashMap<ChannelId, Loaded> =
        core.store.channels_load(&core.vault, ids).await?.into_iter().map(|row| (row.id, row)).collect();
    for id in ids {
        match rows.remove(id) {
            Some(row) => apply(core, shard, row).await?,
            None => drop(stop(shard, *id).await),
        }
    }
    Ok(())
}

async fn apply(core: &Arc<Core>, shard: &Arc<Shard>, row: Loaded) -> claw_store::Result<()> {
    let Loaded { id, revision, cursor, channel } = row;
    let (channel, secrets) = match channel {
        // Sealed with another key: its user and the operator are told, instead of trying for ever.
        Err(claw_store::Error::Secrets(error)) => {
            stop(shard, id).await;
            fail(core, shard, (id, revision), Measured::unknown(), &error.to_string());
            return Ok(());
        }
        other => other?,
    };
    if !channel.enabled || channel.shard != shard.id {
        stop(shard, id).await;
        return Ok(());
    }
    let healthy = shard.channels.running().get(&id).is_some_and(|running| {
        running.revision == revision && matches!(running.health, Health::Running(_)) && !running.refused
    });
    if !healthy {
        // A former connection of ours may have saved a newer one after the row was read; one of a former owner can't.
        let loaded = (!stop(shard, id).await).then_some(AsLoaded(cursor));
        start(core, shard, channel, &secrets, loaded);
    }
    Ok(())
}

fn fail(
    core: &Arc<Core>,
    shard: &Arc<Shard>,
    (id, revision): (ChannelId, i64),
    measured: Arc<Measured>,
    error: &str,
) {
    warn!(channel.id = %id, "channel {id} can't start: {error}");
    observe::soon(core, shard, id, Observation::Failed { revision, error: error.to_owned() });
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    tasks.close();
    let health = Health::Failed(error.to_owned());
    let running = Running { revision, health, refused: false, trouble: None, measured, stop, tasks };
    shard.channels.running().insert(id, running);
}

fn start(
    core: &Arc<Core>,
    shard: &Arc<Shard>,
    channel: Channel,
    secrets: &Map<String, Value>,
    cursor: Option<AsLoaded>,
) {
    let entry = registry::find(&channel.channel_type);
    let made = match entry {
        Some(entry) => entry.make(&channel.config, secrets, core.deps_for(shard, &channel)),
        None => Err(ChannelError::Config(format!(
            "this version does not know channels of type {:?}",
            channel.channel_type
        ))),
    };
    let (id, revision) = (channel.id, channel.revision);
    let measured = Measured::of(&channel.channel_type);
    let made = match made {
        Ok(made) => made,
        Err(error) => return fail(core, shard, (id, revision), measured, &error.to_string()),
    };
    info!(channel.id = %id, shard.id = %shard.id, "channel {id} starts");
    let (stop, tasks) = (shard.stopping().child_token(), TaskTracker::new());
    let manners = Manners::of(&channel.config);
    let sink = ShardSink::new(Arc::clone(core), Arc::clone(shard), channel, cursor);
    let listener = listen(sink, Arc::clone(&made), stop.clone());
    // Before the listener runs: it may have something to say about itself.
    let health = Health::Running(Arc::new(Active::new(made, Arc::clone(&measured), manners)));
    let running =
        Running { revision, health, refused: false, trouble: None, measured, stop, tasks: tasks.clone() };
    shard.channels.running().insert(id, running);
    shard.spawn(tasks.track_future(listener));
    tasks.close();
}

/// Tells whether it ran.
async fn stop(shard: &Shard, id: ChannelId) -> bool {
    let Some(running) = shard.channels.running().remove(&id) else { return false };
    running.stop.cancel();
    if tokio::time::timeout(STOP_LIMIT, running.tasks.wait()).await.is_err() {
        warn!(channel.id = %id, "channel {id} did not stop within {STOP_LIMIT:?}");
    }
    true
}

async fn stop_all(shard: &Shard) {
    let running: Vec<Running> = shard.channels.running().drain().map(|(_, running)| running).collect();
    for channel in &running {
        channel.stop.cancel();
    }
    let all = futures::future::join_all(running.iter().map(|running| running.tasks.wait()));
    drop(tokio::time::timeout(STOP_LIMIT, all).await);
}

/// Listens again and again until told to stop.
async fn listen(sink: ShardSink, made: Arc<dyn claw_channels::Channel>, stop: CancellationToken) {
    let (core, shard) = (&sink.core, &sink.shard);
    let (id, revision) = (sink.channel.id, sink.channel.revision);
    let mut failed = 0;
    while !stop.is_cancelled() && core.lease.holds() {
        let began = tokio::time::Instant::now();
        // The adapter is asked to stop and, when it does not, cut off by the shard's end.
        let mut listening = std::pin::pin!(made.listen(&sink, stop.clone()));
        let mut early = None;
        if failed > 0 {
            early = tokio::time::timeout(STEADY, &mut listening).await.ok();
        }
        let ended = if let Some(ended) = early {
            ended
        } else {
            shard.channels.troubled(id, None);
            observe::soon(core, shard, id, Observation::Running { revision });
            listening.await
        };
        let Err(error) = ended else { return };
        shard.channels.reconnects(id);
        warn!(channel.id = %id, "channel {id} stopped receiving: {error}");
        shard.channels.troubled(id, Some(error.to_string()));
        observe::soon(core, shard, id, Observation::Failed { revision, error: error.to_string() });
        failed = if began.elapsed() > Duration::from_secs(60) { 1 } else { failed + 1 };
        let pause = match error {
            ChannelError::BadCredentials(_) | ChannelError::Config(_) => {
                shard.channels.refused(id, true);
                REFUSED_PAUSE
            }
            _ => Backoff::RECONNECT.wait(failed, &*core.random).unwrap_or(REFUSED_PAUSE),
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => shard.channels.refused(id, false),
            () = stop.cancelled() => return,
        }
    }
}
