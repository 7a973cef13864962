//! kill -9 of everything in the middle of a thousand messages: every accepted one is delivered.

use std::collections::HashSet;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use claw_system_tests::{API_KEY, Api, SECRET, address_in, token};
use claw_testkit::{Claw, Receiver, eventually};
use futures::StreamExt as _;
use reqwest::StatusCode;
use serde_json::json;
use tokio::process::Command;

const MESSAGES: usize = 1_000;

async fn start(folder: &Path, receiver: &Receiver) -> (Claw, Api) {
    let data = folder.join(".ii-claw");
    let mut up = Claw::start(
        &["up"],
        &[
            ("II_CLAW_DATA", data.to_str().unwrap()),
            ("II_CLAW_LISTEN", "127.0.0.1:0"),
            ("II_CLAW_API_KEY", API_KEY),
            ("AI_WEBHOOK_URL", &receiver.url()),
            ("AI_WEBHOOK_SECRET", SECRET),
        ],
    );
    let address = address_in(&up.wait_for_line("the gateway listens on").await);
    up.wait_for_line("is up").await;
    (up, Api::new(&format!("http://{address}")))
}

/// SIGKILL to the whole of it: our process, the private Postgres with all its children, the private NATS.
async fn kill_everything(up: &mut Claw, folder: &Path) {
    let data = folder.join(".ii-claw");
    let read = |name: &str| std::fs::read_to_string(data.join(name)).unwrap();
    let postmaster = read("postgres/data/postmaster.pid").lines().next().unwrap().trim().to_owned();
    let nats = read("nats/nats.pid").trim().to_owned();
    let children = Command::new("pgrep").args(["-P", &postmaster]).output().await.unwrap();
    let children = String::from_utf8(children.stdout).unwrap();
    up.kill().await;
    let all = children.split_whitespace().map(str::to_owned).chain([postmaster.clone(), nats.clone()]);
    // A child of the postmaster may be gone by now.
    Command::new("kill").arg("-9").args(all).stderr(Stdio::null()).status().await.unwrap();
    eventually("the servers to be gone", Duration::from_secs(10), async || {
        let gone = |pid: &str| !Path::new("/proc").join(pid).exists();
        (gone(&postmaster) && gone(&nats)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_accepted_is_lost_when_everything_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start().await;
    let (mut up, api) = start(folder.path(), &receiver).await;
    let secret = token(16);
    let channel = api.configure("ada", "hook", "webhook", json!({"secret_env": secret})).await;
    api.wait_for_status("ada", "hook", "running").await;

    // Accepted means: answered 200. What is cut off may or may not be in.
    let pushing = futures::stream::iter(0..MESSAGES)
        .map(|n| {
            let (api, channel, secret) = (api.clone(), channel.clone(), secret.clone());
            async move {
                let sender = json!({"id": format!("person-{}", n % 50)});
                let body =
                    json!({"message_id": format!("m{n}"), "sender": sender, "text": format!("text {n}")});
                let answered = api.push(&channel, &secret, &body).await;
                answered.filter(StatusCode::is_success).map(|_| format!("m{n}"))
            }
        })
        .buffer_unordered(16)
        .filter_map(std::future::ready)
        .collect::<HashSet<String>>();
    let killing = async {
        receiver.wait_for(MESSAGES / 3).await;
        kill_everything(&mut up, folder.path()).await;
    };
    let (accepted, ()) = futures::join!(pushing, killing);
    assert!(accepted.len() >= MESSAGES / 3, "only {} accepted before the kill", accepted.len());
    assert!(accepted.len() < MESSAGES, "the kill came after everything was accepted");

    let (mut up, _api) = start(folder.path(), &receiver).await;
    let missing = || {
        let delivered: HashSet<String> = receiver
            .deliveries()
            .iter()
            .map(|delivery| delivery.json()["platform_message_id"].as_str().unwrap().to_owned())
            .collect();
        accepted.difference(&delivered).cloned().collect::<Vec<_>>()
    };
    eventually("every accepted message at the backend", Duration::from_secs(60), async || {
        missing().is_empty().then_some(())
    })
    .await;
    println!("{} accepted before everything was killed, {} lost", accepted.len(), missing().len());
    up.signal("TERM").await;
    assert_eq!(up.wait().await, Some(0), "{}", up.output());
}
