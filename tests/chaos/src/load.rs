//! The load: people who write to webhook channels and to bots, and a backend that sends.
//!
//! Within a conversation the next message is sent only once the former was accepted, and one that was not accepted is sent
//! again under its own name until it is: only so does "in order" mean something.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use claw_channels::kit::http::operator_client;
use claw_secrets::signature;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::backend::Witness;
use crate::world::{API_KEY, World};

/// Channels of type webhook.
const HOOKS: u32 = 24;
/// Channels of type telegram.
pub(crate) const BOTS: u32 = 60;
/// The first of them have traffic, half of it in, half out. The others are quiet: a busy bot's polls end early because what
/// they brought can't be kept, a quiet one's only when its owner lets it go.
pub(crate) const BUSY: u32 = 30;
/// Of ten messages, so many come in by webhook channels, by bots' polls, and go out.
const SHARES: [u32; 3] = [6, 2, 2];
const CHANNEL_SECRET: &str = "chaos-channel-secret-0123456789";
/// A sender hears nothing for so long and asks the next gateway.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two attempts of a sender.
const AGAIN: Duration = Duration::from_millis(100);

/// What every sender uses.
struct Senders {
    client: Client,
    gateways: Vec<String>,
    witness: Witness,
    stopping: AtomicBool,
    refused: AtomicU64,
}

/// The running load.
pub(crate) struct Load {
    senders: Arc<Senders>,
    tasks: Vec<JoinHandle<()>>,
}

impl Load {
    /// Configures every channel and starts to send `rate` messages a second.
    pub(crate) async fn start(world: &World, rate: u32) -> anyhow::Result<Self> {
        let senders = Arc::new(Senders {
            client: operator_client(PATIENCE)?,
            gateways: world.gateways(),
            witness: world.witness.clone(),
            stopping: AtomicBool::new(false),
            refused: AtomicU64::new(0),
        });
        let mut tasks = Vec::new();
        let [hooks, inbound, outbound] = [(HOOKS, SHARES[0]), (BUSY, SHARES[1]), (BUSY, SHARES[2])]
            .map(|(count, share)| Duration::from_secs(u64::from(count) * 10) / (rate * share).max(1));
        for n in 1..=HOOKS {
            let fields = json!({"secret_env": CHANNEL_SECRET});
            let channel = senders.configure(&format!("hook-{n}"), "webhook", &fields).await?;
            let path = channel["webhook_path"].as_str().context("a channel without webhook_path")?.to_owned();
            tasks.push(spawn(Arc::clone(&senders).push(n, path, hooks)));
        }
        for n in 1..=BOTS {
            let fields = json!({"bot_token_env": world.platform.bot(n), "api_url": world.platform_url()});
            senders.configure(&format!("bot-{n}"), "telegram", &fields).await?;
            if n > BUSY {
                continue;
            }
            let platform = Arc::clone(&world.platform);
            tasks.push(spawn(Arc::clone(&senders).write(n, platform, inbound)));
            tasks.push(spawn(Arc::clone(&senders).send(n, outbound)));
        }
        Ok(Self { senders, tasks })
    }

    /// No new messages; those that were begun are sent until they are accepted. Answers how many attempts were refused.
    pub(crate) async fn stop(self) -> anyhow::Result<u64> {
        self.senders.stopping.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await?;
        }
        Ok(self.senders.refused.load(Ordering::Relaxed))
    }
}

fn spawn(sender: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    #[expect(clippy::disallowed_methods, reason = "awaited when the load stops")]
    tokio::spawn(sender)
}

impl Senders {
    async fn configure(&self, user: &str, channel_type: &str, fields: &Value) -> anyhow::Result<Value> {
        let url = format!("{}/api/users/{user}/channels/main/configure", self.gateways[0]);
        let body = json!({"channel_type": channel_type, "fields": fields});
        let response = self.client.post(url).bearer_auth(API_KEY).json(&body).send().await?;
        let status = response.status();
        ensure!(status.is_success(), "configuring {user}: {status} {}", response.text().await?);
        Ok(response.json().await?)
    }

    /// A third party posts to a webhook channel.
    async fn push(self: Arc<Self>, n: u32, path: String, every: Duration) {
        let conversation = format!("hook{n}");
        self.in_order(&conversation, every, |gateway, id| {
            let body =
                json!({"message_id": id, "sender": {"id": "ada", "name": "Ada"}, "text": id}).to_string();
            let signature = signature::sign(CHANNEL_SECRET.as_bytes(), body.as_bytes());
            let request = self.client.post(format!("{gateway}{path}")).header(signature::HEADER, signature);
            request.header("content-type", "application/json").body(body)
        })
        .await;
    }

    /// The backend sends through a bot.
    async fn send(self: Arc<Self>, n: u32, every: Duration) {
        let conversation = format!("out{n}");
        self.in_order(&conversation, every, |gateway, id| {
            let url = format!("{gateway}/api/users/bot-{n}/channels/main/send");
            let body = json!({"recipient": format!("{}", 9000 + n), "message": id});
            self.client.post(url).bearer_auth(API_KEY).header("idempotency-key", id).json(&body)
        })
        .await;
    }

    /// A person writes to a bot: the platform has it and hands it out until the bot confirms it.
    async fn write(self: Arc<Self>, n: u32, platform: Arc<claw_testkit::Platform>, every: Duration) {
        let conversation = format!("in{n}");
        let mut tick = ticks(every);
        for number in 1_u64.. {
            tick.tick().await;
            if self.stopping.load(Ordering::Relaxed) {
                return;
            }
            let id = format!("{conversation}:{number}");
            self.witness.accepted(&conversation, &id);
            platform.inject(n, i64::from(7000 + n), &id);
        }
    }

    async fn in_order(
        &self,
        conversation: &str,
        every: Duration,
        request: impl Fn(&str, &str) -> RequestBuilder,
    ) {
        let mut tick = ticks(every);
        let mut gateway = conversation.len();
        for number in 1_u64.. {
            tick.tick().await;
            if self.stopping.load(Ordering::Relaxed) {
                return;
            }
            let id = format!("{conversation}:{number}");
            loop {
                gateway += 1;
                let answer = request(&self.gateways[gateway % self.gateways.len()], &id).send().await;
                if answer.is_ok_and(|answer| answer.status().is_success()) {
                    self.witness.accepted(conversation, &id);
                    break;
                }
                self.refused.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

fn ticks(every: Duration) -> tokio::time::Interval {
    let mut tick = tokio::time::interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick
}
