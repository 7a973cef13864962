//! Traffic both ways through a cluster whose processes are replaced one after another, and whether any of it was lost.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use claw_system_tests::{Api, Cluster, token};
use claw_testkit::{Claw, Receiver, eventually};
use reqwest::StatusCode;
use serde_json::json;
use sqlx::Row as _;
use tokio::task::JoinHandle;

/// Channels of the load, so that each worker has some.
const CHANNELS: usize = 8;
/// How many people write and are written to at the same time, and how long each pauses in between.
const PEOPLE: usize = 8;
const PAUSE: Duration = Duration::from_millis(25);

/// Messages both ways, through whichever gateways are there, and what was accepted of them.
pub(crate) struct Load {
    pub(crate) gateways: Mutex<Vec<Api>>,
    platform: Receiver,
    channels: Vec<String>,
    secret: String,
    people: Mutex<HashSet<String>>,
    answers: Mutex<HashSet<String>>,
    stop: AtomicBool,
}

/// People who write until they are told to stop.
pub(crate) struct Loading(Vec<JoinHandle<()>>);

impl Load {
    /// Configures the channels at this gateway and begins.
    pub(crate) async fn start(api: &Api) -> (Arc<Self>, Loading) {
        let (platform, secret) = (Receiver::start().await, token(16));
        let mut channels = Vec::new();
        for n in 0..CHANNELS {
            let fields = json!({"secret_env": secret, "callback_url": platform.url()});
            channels.push(api.configure("ada", &format!("hook_{n}"), "webhook", fields).await);
        }
        let load = Arc::new(Self {
            gateways: Mutex::new(vec![api.clone()]),
            platform,
            channels,
            secret,
            people: Mutex::default(),
            answers: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        #[expect(clippy::disallowed_methods, reason = "joined by `finish`")]
        let people = (0..PEOPLE).map(|person| tokio::spawn(Arc::clone(&load).run(person))).collect();
        (load, Loading(people))
    }

    async fn run(self: Arc<Self>, person: usize) {
        for n in 0.. {
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            let gateways = self.gateways.lock().unwrap().clone();
            let api = &gateways[n % gateways.len()];
            let (id, channel) = (format!("m{person}-{n}"), (person + n) % CHANNELS);
            let body = json!({"message_id": id, "sender": {"id": format!("p{person}")}, "text": id});
            if api.push(&self.channels[channel], &self.secret, &body).await == Some(StatusCode::OK) {
                self.people.lock().unwrap().insert(id.clone());
            }
            let slug = format!("hook_{channel}");
            let path = format!("/api/users/ada/channels/{slug}/send");
            let sent = api
                .client
                .post(format!("{}{path}", api.base))
                .bearer_auth(claw_system_tests::API_KEY)
                .json(&json!({"recipient": format!("p{person}"), "message": id}))
                .send()
                .await;
            if sent.is_ok_and(|answer| matches!(answer.status(), StatusCode::OK | StatusCode::ACCEPTED)) {
                self.answers.lock().unwrap().insert(id);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn accepted(&self) -> (HashSet<String>, HashSet<String>) {
        (self.people.lock().unwrap().clone(), self.answers.lock().unwrap().clone())
    }

    /// Waits until messages were accepted that come after this call.
    pub(crate) async fn goes_on(&self) {
        let before = self.accepted().0.len();
        eventually("the load to go on", Duration::from_secs(20), async || {
            (self.accepted().0.len() > before + 20).then_some(())
        })
        .await;
    }

    /// Stops, and waits until everything that was accepted is where it belongs.
    pub(crate) async fn finish(&self, loading: Loading, backend: &Receiver) {
        self.stop.store(true, Ordering::SeqCst);
        for person in loading.0 {
            person.await.unwrap();
        }
        nothing_is_missing(self, backend, &self.platform).await;
    }
}

async fn owner_of(cluster: &Cluster, slug: &str) -> Option<String> {
    let sql = "select s.owner from channels c join shards s on s.shard = c.shard where c.instance = $1";
    let mut database = cluster.database.connect().await;
    sqlx::query(sql).bind(slug).fetch_one(&mut database).await.unwrap().get(0)
}

/// Waits until these workers, and no others, own all shards; sorted by name.
pub(crate) async fn wait_for_owners(cluster: &Cluster, names: &[&str]) {
    eventually(&format!("all shards owned by {names:?}"), Duration::from_secs(60), async || {
        let mut database = cluster.database.connect().await;
        let sql = "select coalesce(owner, '-') from shards group by 1 order by 1";
        let owners: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut database).await.unwrap();
        (owners == names).then_some(())
    })
    .await;
}

/// A send that the shard's owner answers: the platform has it, and the gateway has heard so from the worker.
pub(crate) async fn answered_by_the_owner(cluster: &Cluster, api: &Api, worker: &str) {
    let mut asked = 0;
    for n in 0..CHANNELS {
        let slug = format!("hook_{n}");
        if owner_of(cluster, &slug).await.as_deref() == Some(worker) {
            let (status, answer) = api.send("ada", &slug, "ada", "across").await;
            assert_eq!(status, StatusCode::OK, "{worker} through {}: {answer}", api.base);
            asked += 1;
        }
    }
    assert!(asked > 0, "{worker} owns no channel");
}

/// Ends a process as an operator would.
pub(crate) async fn end(mut process: Claw) {
    process.signal("TERM").await;
    assert_eq!(process.wait().await, Some(0), "{}", process.output());
}

async fn nothing_is_missing(load: &Load, backend: &Receiver, platform: &Receiver) {
    let (people, answers) = load.accepted();
    let texts = |receiver: &Receiver| -> HashSet<String> {
        let deliveries = receiver.deliveries();
        deliveries
            .iter()
            .map(|delivery| delivery.json()["text"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    let lost = || {
        let (heard, seen) = (texts(backend), texts(platform));
        (people.difference(&heard).count(), answers.difference(&seen).count())
    };
    eventually("everything accepted, at its destination", Duration::from_secs(60), async || {
        (lost() == (0, 0)).then_some(())
    })
    .await;
    println!("{} messages from people, {} to people, lost: {:?}", people.len(), answers.len(), lost());
}
