//! Three users with backends of their own. Two write as much whether their backends are healthy or one is dead and the other
//! takes 10 s for each message: so what the third one feels is what the backends do, not what the load does. Both are
//! measured in turns: a machine's speed changes within minutes.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::MissedTickBehavior;

use crate::load::{Load, Outcome};
use crate::receiver::{Receiver, SECRET};
use crate::stack::{API_KEY, Stack};

/// Conversations of each user.
const CHANNELS: usize = 64;
/// Messages a second of each neighbour.
const NEIGHBOURS: u32 = 20;
/// How often each state of the neighbours is measured.
const TURNS: usize = 3;
/// How long the slow one takes.
const SLOW: Duration = Duration::from_secs(10);
/// Workers hear of a change at once or, when they missed it, within 3 s; by then what was under way has ended, too.
const HEARD: Duration = Duration::from_secs(14);

/// What was measured.
pub(crate) struct Beside {
    /// Nobody else writes.
    pub(crate) alone: Outcome,
    /// The two others write, and their backends are healthy.
    pub(crate) healthy: Outcome,
    /// They write as much, and one backend is dead and the other slow.
    pub(crate) sick: Outcome,
    /// Messages of the neighbours.
    pub(crate) posted: u64,
}

/// Measures the third user at this rate: alone, beside healthy neighbours, beside a dead and a slow one.
pub(crate) async fn run(
    stack: &Stack,
    receiver: &Arc<Receiver>,
    rate: u32,
    (warm_up, time): (Duration, Duration),
) -> anyhow::Result<Beside> {
    let backends = Backends { client: claw_channels::kit::http::operator_client(SLOW)?, stack };
    let mut loads = Vec::new();
    for user in ["dead", "slow", "well"] {
        backends.set(user, &receiver.url()).await?;
        loads.push(Load::of(Some(user), stack, Arc::clone(receiver), CHANNELS).await?);
    }
    let [dead, slow, well] = loads.as_slice() else { unreachable!("three were made") };
    well.fixed_rate(rate, warm_up).await;
    let alone = well.fixed_rate(rate, time).await;
    let mut posted = 0;
    let mut measure = async |time| {
        let (outcome, one, other) =
            tokio::join!(well.fixed_rate(rate, time), write(dead, time), write(slow, time));
        posted += one + other;
        outcome
    };
    // Nobody listens there once it is dropped.
    let nobody = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let (dead_url, slow_url) = (format!("http://{nobody}/hook"), slow_backend().await?);
    let (mut healthy, mut sick) = (Outcome::new()?, Outcome::new()?);
    for _ in 0..TURNS {
        backends.set("dead", &receiver.url()).await?;
        backends.set("slow", &receiver.url()).await?;
        tokio::time::sleep(HEARD).await;
        measure(warm_up).await;
        healthy.merge(&measure(time).await)?;
        backends.set("dead", &dead_url).await?;
        backends.set("slow", &slow_url).await?;
        tokio::time::sleep(HEARD).await;
        measure(warm_up).await;
        sick.merge(&measure(time).await)?;
        let state = backends.state("dead").await?;
        ensure!(state != "closed", "the dead backend was believed to answer");
    }
    Ok(Beside { alone, healthy, sick, posted })
}

/// Posts a user's messages, whatever becomes of them; tells how many were accepted.
async fn write(load: &Load, time: Duration) -> u64 {
    let (mut tick, mut accepted) = (tokio::time::interval(Duration::from_secs(1) / NEIGHBOURS), 0);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let over = tokio::time::sleep(time);
    let mut over = std::pin::pin!(over);
    for hook in (0..CHANNELS).cycle() {
        tokio::select! {
            biased;
            () = &mut over => break,
            _ = tick.tick() => {}
        }
        // The third user awaits texts of its own.
        let text = format!("{} of a neighbour", load.text());
        accepted += u64::from(load.post(hook, "ada", &text).await);
    }
    accepted
}

/// Starts a backend that takes everything, late; tells its URL.
async fn slow_backend() -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/hook", listener.local_addr()?);
    let answer = post(async || {
        tokio::time::sleep(SLOW).await;
        StatusCode::OK
    });
    #[expect(clippy::disallowed_methods, reason = "ends with the process")]
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/hook", answer)).await });
    Ok(url)
}

/// The users' backends, by the API.
struct Backends<'a> {
    client: reqwest::Client,
    stack: &'a Stack,
}

impl Backends<'_> {
    fn path(&self, user: &str) -> String {
        format!("{}/api/users/{user}/backend", self.stack.gateway_url())
    }

    async fn set(&self, user: &str, url: &str) -> anyhow::Result<()> {
        let body = json!({"url": url, "secrets": [SECRET]});
        let response = self.client.put(self.path(user)).bearer_auth(API_KEY).json(&body).send().await?;
        ensure!(response.status().is_success(), "setting a backend was answered {}", response.status());
        Ok(())
    }

    async fn state(&self, user: &str) -> anyhow::Result<String> {
        let shown: Value = self.client.get(self.path(user)).bearer_auth(API_KEY).send().await?.json().await?;
        Ok(shown["state"].as_str().context("no worker told how the backend is")?.to_owned())
    }
}
