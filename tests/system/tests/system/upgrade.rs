//! A rolling upgrade: the version before this one and this one as one cluster, under load, until the old one is gone.
//!
//! `make upgrade-test` builds the old version and runs this.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use claw_system_tests::{Api, Cluster, token};
use claw_testkit::{Claw, Receiver, eventually};
use reqwest::StatusCode;
use serde_json::json;
use sqlx::Row as _;

/// Channels of the load, so that each worker has some.
const CHANNELS: usize = 8;
/// How many people write and are written to at the same time, and how long each pauses in between.
const PEOPLE: usize = 8;
const PAUSE: Duration = Duration::from_millis(25);

fn previous() -> PathBuf {
    std::env::var_os("II_CLAW_PREVIOUS_BIN").map(PathBuf::from).expect("`make upgrade-test` sets it")
}

/// Messages both ways, through whichever gateways are there, and what was accepted of them.
struct Load {
    gateways: Mutex<Vec<Api>>,
    channels: Vec<String>,
    secret: String,
    people: Mutex<HashSet<String>>,
    answers: Mutex<HashSet<String>>,
    stop: AtomicBool,
}

impl Load {
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
}

async fn owner_of(cluster: &Cluster, slug: &str) -> Option<String> {
    let sql = "select s.owner from channels c join shards s on s.shard = c.shard where c.instance = $1";
    let mut database = cluster.database.connect().await;
    sqlx::query(sql).bind(slug).fetch_one(&mut database).await.unwrap().get(0)
}

async fn wait_for_owners(cluster: &Cluster, names: &[&str]) {
    eventually(&format!("all shards owned by {names:?}"), Duration::from_secs(60), async || {
        let mut database = cluster.database.connect().await;
        let sql = "select coalesce(owner, '-') from shards group by 1 order by 1";
        let owners: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut database).await.unwrap();
        (owners == names).then_some(())
    })
    .await;
}

/// A send that the shard's owner answers: the platform has it, and the gateway has heard so from the worker.
async fn answered_by_the_owner(cluster: &Cluster, api: &Api, worker: &str) {
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

async fn end(mut process: Claw) {
    process.signal("TERM").await;
    assert_eq!(process.wait().await, Some(0), "{}", process.output());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the version before this one: make upgrade-test"]
async fn two_versions_are_one_cluster_until_the_old_one_is_gone() {
    let mut cluster = Cluster::empty(&claw_testkit::nats_url()).await;
    cluster.program = Some(previous());
    assert_eq!(cluster.start(&["migrate"], &[]).wait().await, Some(0));
    let (old_gateway, old_api) = cluster.gateway().await;
    let old_worker = cluster.worker("old", &old_api.base).await;
    let (mut old_scheduler, _) = cluster.scheduler("old-clock").await;
    old_scheduler.wait_for_line("elected: leading term 1").await;

    let platform = Receiver::start().await;
    let secret = token(16);
    let mut channels = Vec::new();
    for n in 0..CHANNELS {
        let fields = json!({"secret_env": secret, "callback_url": platform.url()});
        channels.push(old_api.configure("ada", &format!("hook_{n}"), "webhook", fields).await);
    }
    let load = Arc::new(Load {
        gateways: Mutex::new(vec![old_api.clone()]),
        channels,
        secret,
        people: Mutex::default(),
        answers: Mutex::default(),
        stop: AtomicBool::new(false),
    });
    #[expect(clippy::disallowed_methods, reason = "joined below")]
    let loading: Vec<_> = (0..PEOPLE).map(|person| tokio::spawn(Arc::clone(&load).run(person))).collect();
    cluster.receiver.wait_for(20).await;

    cluster.program = None;
    let mut migrate = cluster.start(&["migrate"], &[]);
    assert_eq!(migrate.wait().await, Some(0), "beside the old version: {}", migrate.output());
    let (new_gateway, new_api) = cluster.gateway().await;
    let new_worker = cluster.worker("new", &new_api.base).await;
    let (mut new_scheduler, _) = cluster.scheduler("new-clock").await;
    load.gateways.lock().unwrap().push(new_api.clone());
    wait_for_owners(&cluster, &["new", "old"]).await;
    for api in [&old_api, &new_api] {
        for worker in ["old", "new"] {
            answered_by_the_owner(&cluster, api, worker).await;
        }
    }
    let (status, seen) = new_api.call("GET", "/api/cluster", None).await;
    assert_eq!(status, StatusCode::OK, "{seen}");
    let members = seen["members"].as_array().unwrap();
    assert!(members.iter().all(|member| member["live"] == true && member["unreachable"].is_null()), "{seen}");

    // One after another, the old ones go.
    end(old_worker).await;
    wait_for_owners(&cluster, &["new"]).await;
    end(old_scheduler).await;
    new_scheduler.wait_for_line("elected: leading term 2").await;
    load.gateways.lock().unwrap().remove(0);
    let before = load.accepted().0.len();
    eventually("the load to go on", Duration::from_secs(10), async || {
        (load.accepted().0.len() > before + 20).then_some(())
    })
    .await;
    end(old_gateway).await;
    load.stop.store(true, Ordering::SeqCst);
    for person in loading {
        person.await.unwrap();
    }
    nothing_is_missing(&load, &cluster.receiver, &platform).await;
    for process in [new_worker, new_scheduler, new_gateway] {
        end(process).await;
    }
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
