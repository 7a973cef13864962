//! The worker's ports, onto the simulated world.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use claw_bus::Numbered;
use claw_shard_worker::Attempt;
use claw_shard_worker::pipeline::Pipeline;
use claw_shard_worker::ports::{Acts, LeaseConnection, Leases, Log, Road};
use claw_shard_worker::shard::Shard;
use claw_shard_worker::shard::queue::LaneKey;
use claw_store::{Claimed, Error, Look, Peer, Pending, Result, Settlement};
use claw_types::{MessageState, ShardId, Work};
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use tokio::sync::mpsc;

use crate::backend::{self, Answer};
use crate::database::SessionId;
use crate::messages;
use crate::platform::ConnectionId;
use crate::road;
use crate::world::{Gone, HostId, Net, Server, World};

/// One host's way to everything.
#[derive(Clone)]
pub struct Ports {
    /// The world.
    pub net: Net,
    /// Who asks.
    pub host: HostId,
    /// Its name in the cluster.
    pub name: String,
    last: Arc<Mutex<Option<SessionId>>>,
}

impl Ports {
    /// Of this host.
    pub fn new(net: Net, host: HostId, name: String) -> Self {
        Self { net, host, name, last: Arc::default() }
    }

    /// The last session of this process.
    fn last(&self) -> MutexGuard<'_, Option<SessionId>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn database<R: Send + 'static>(
        &self,
        request: impl FnOnce(&mut World) -> R + Send + 'static,
    ) -> Result<R> {
        let answer = self.net.call(self.host, Server::Database, request).await;
        answer.map_err(|Gone| Error::NotCommitted("the connection was reset".to_owned()))
    }
}

/// An open lease connection.
struct SimulatedLease {
    ports: Ports,
    session: SessionId,
}

#[async_trait]
impl Leases for Ports {
    async fn open(&self) -> Result<Box<dyn LeaseConnection>> {
        let (host, name) = (self.host, self.name.clone());
        let before = *self.last();
        let session =
            self.database(move |world| world.database.open(world.now, host, &name, before)).await??;
        *self.last() = Some(session);
        Ok(Box::new(SimulatedLease { ports: self.clone(), session }))
    }
}

#[async_trait]
impl LeaseConnection for SimulatedLease {
    async fn heartbeat(&mut self) -> Result<Vec<Peer>> {
        let (session, name) = (self.session, self.ports.name.clone());
        self.ports.database(move |world| world.database.heartbeat(world.now, session, &name)).await?
    }

    async fn claim(&mut self, shards: &[ShardId]) -> Result<Vec<Claimed>> {
        let (session, name, shards) = (self.session, self.ports.name.clone(), shards.to_vec());
        self.ports.database(move |world| world.database.claim(world.now, session, &name, &shards)).await?
    }

    async fn release(&mut self, shards: &[ShardId]) -> Result<()> {
        let (session, name, shards) = (self.session, self.ports.name.clone(), shards.to_vec());
        self.ports.database(move |world| world.database.release(world.now, session, &name, &shards)).await?
    }

    async fn break_frozen(&mut self, shards: &[ShardId]) -> Result<usize> {
        let (session, shards) = (self.session, shards.to_vec());
        self.ports.database(move |world| world.database.break_frozen(world.now, session, &shards)).await?
    }

    async fn set_draining(&mut self, draining: bool) -> Result<()> {
        let (session, name) = (self.session, self.ports.name.clone());
        let request =
            move |world: &mut World| world.database.set_draining(world.now, session, &name, draining);
        self.ports.database(request).await?
    }

    async fn close(self: Box<Self>) -> Result<()> {
        let (session, name) = (self.session, self.ports.name.clone());
        self.ports.database(move |world| world.database.close(session, &name)).await
    }
}

#[async_trait]
impl Log for Ports {
    async fn high_water(&self) -> Result<i64> {
        self.database(|world| world.database.high_water()).await
    }

    async fn pending(&self, looks: &[Look], limit: usize) -> Result<Vec<(Work, f64)>> {
        let looks = looks.to_vec();
        self.database(move |world| world.database.pending_of(world.now, &looks, limit)).await
    }

    async fn places(&self, looks: &[Look], limit: usize) -> Result<Vec<Pending>> {
        let looks = looks.to_vec();
        self.database(move |world| world.database.places_of(&looks, limit)).await
    }

    async fn pending_in(&self, lane: &LaneKey, after: i64, limit: usize) -> Result<Vec<Work>> {
        let lane = lane.clone();
        self.database(move |world| world.database.pending_in(&lane, after, limit)).await
    }

    async fn settle(&self, settlement: Settlement) -> Result<bool> {
        self.database(move |world| {
            let newest = world.database.epoch(settlement.shard);
            let taken = world.database.settle(world.now, &settlement);
            if taken {
                world.findings.committed(settlement.shard, settlement.epoch, newest);
            }
            taken
        })
        .await
    }
}

/// What is received, until the sender is dropped.
fn received<T: Send + 'static>(receiver: mpsc::UnboundedReceiver<T>) -> BoxStream<'static, T> {
    let next = async |mut from: mpsc::UnboundedReceiver<T>| Some((from.recv().await?, from));
    stream::unfold(receiver, next).boxed()
}

#[async_trait]
impl Road for Ports {
    async fn work(
        &self,
        shard: ShardId,
    ) -> std::result::Result<BoxStream<'static, Numbered>, claw_bus::Error> {
        Ok(received(self.net.world().road.subscribe(self.host, shard)))
    }

    async fn members(&self) -> std::result::Result<BoxStream<'static, ()>, claw_bus::Error> {
        Ok(received(self.net.world().road.subscribe_members(self.host)))
    }

    async fn tell_members(&self) {
        road::tell_members(&mut self.net.world());
    }

    async fn flush(&self) {}
}

/// How long a webhook may take.
const WEBHOOK_LIMIT: Duration = Duration::from_secs(15);
/// How long the platform holds a poll that has nothing.
const POLL: Duration = Duration::from_millis(500);

/// Lets go of a bot's connection when it is dropped, as a closed socket does.
struct Connection {
    ports: Ports,
    bot: usize,
    id: ConnectionId,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.ports.net.world().platform.disconnect(self.bot, self.id);
    }
}

#[async_trait]
impl Acts for Ports {
    async fn attend(&self, pipeline: &Arc<Pipeline>, shard: Arc<Shard>) {
        let bots: Vec<usize> = {
            let world = self.net.world();
            let here = world.platform.bots.iter().enumerate().filter(|(_, bot)| bot.shard == shard.id);
            here.map(|(number, _)| number).collect()
        };
        let running = bots.into_iter().map(|bot| self.poll(pipeline, &shard, bot));
        let all = futures::future::join_all(running);
        tokio::select! {
            biased;
            () = shard.stopping().cancelled() => {}
            _ = all => {}
        }
    }

    async fn attempt(&self, pipeline: &Arc<Pipeline>, shard: &Arc<Shard>, work: &mut Work) -> Attempt {
        if !pipeline.lease.holds() {
            return Attempt::NotOurs;
        }
        let posted = {
            let work = work.clone();
            self.net.call(self.host, Server::Backend, move |world| backend::receive(world, &work))
        };
        let _owner = shard;
        match tokio::time::timeout(WEBHOOK_LIMIT, posted).await {
            Ok(Ok(Answer::Taken)) => Attempt::Over { state: MessageState::Done, error: None },
            Ok(Ok(Answer::Refused)) => Attempt::Again { after: None, error: "refused".to_owned() },
            Ok(Ok(Answer::Lost) | Err(Gone)) => Attempt::Again { after: None, error: "reset".to_owned() },
            Err(_) => Attempt::Again { after: None, error: "no answer".to_owned() },
        }
    }
}

impl Ports {
    /// A bot's long poll: what it brings is committed, then noted, then confirmed by the next one.
    async fn poll(&self, pipeline: &Arc<Pipeline>, shard: &Arc<Shard>, bot: usize) {
        let connection = {
            let mut world = self.net.world();
            let id = world.platform.connect(bot, self.host);
            Connection { ports: self.clone(), bot, id }
        };
        while pipeline.lease.holds() && !shard.stopping().is_cancelled() {
            if self.receive(pipeline, shard, bot).await.is_err() {
                tokio::time::sleep(POLL).await;
            }
        }
        drop(connection);
    }

    async fn receive(&self, pipeline: &Arc<Pipeline>, shard: &Arc<Shard>, bot: usize) -> Result<()> {
        let confirmed = self.database(move |world| world.database.cursor(bot)).await?;
        let poll =
            self.net.call(self.host, Server::Platform, move |world| world.platform.poll(bot, confirmed));
        let reset = |Gone| Error::NotCommitted("the platform is away".to_owned());
        let updates = poll.await.map_err(reset)?;
        let Some(last) = updates.last().map(|update| update.id) else {
            tokio::time::sleep(POLL).await;
            return Ok(());
        };
        if !pipeline.lease.holds() || shard.stopping().is_cancelled() {
            return Ok(());
        }
        for update in updates {
            let accepted = self.database(move |world| messages::from_update(world, bot, &update)).await?;
            if let Some(work) = accepted {
                pipeline.offer(shard, work);
            }
        }
        let (id, epoch) = (shard.id, shard.epoch);
        self.database(move |world| {
            let newest = world.database.epoch(id);
            if world.database.save_cursor(id, epoch, bot, last) {
                world.findings.committed(id, epoch, newest);
            }
        })
        .await
    }
}
