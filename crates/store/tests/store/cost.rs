//! What accepting, settling and firing cost: `make cost`, for the figures of docs/adr/0004.

use std::time::Instant;

use claw_store::cron::START;
use claw_store::{Accepted, Firing, Lease, NewMessage, Settlement};
use claw_types::{Direction, Epoch, MessageId, MessageState, ShardId, Work};
use futures::future::join_all;
use serde_json::value::to_raw_value;

use crate::Bench;
use crate::firing::{due_at_once, firing};
use crate::timers::{DUTY, elect};

const BATCH: u128 = 200;
const BATCHES: u128 = 100;

fn message(bench: &Bench, n: u128) -> NewMessage {
    let payload = serde_json::json!({"text": "a message of ordinary length, as people write them", "n": n.to_string(),
        "sender": {"platform_id": "1234567", "display_name": "Somebody"}, "metadata": {"chat_id": "1234567"}});
    NewMessage {
        id: MessageId(bench.ids.next()),
        user_id: format!("user-{}", n % 50).parse().unwrap(),
        channel_id: uuid::Uuid::from_u128(n % 50).into(),
        shard: ShardId(u16::try_from(n % 8).unwrap()),
        direction: Direction::In,
        conversation: format!("conversation-{}", n % 500),
        payload: to_raw_value(&payload).unwrap(),
        media: None,
        key: Some(format!("in:{n}")),
        digest: None,
        source: Some("person".to_owned()),
        debounce_ms: 0,
    }
}

fn settlement(work: &Work, epochs: &[Epoch]) -> Settlement {
    Settlement {
        id: work.id,
        shard: work.shard,
        epoch: epochs[usize::from(work.shard.0)],
        state: MessageState::Done,
        due_in: 0.0,
        attempts: 1,
        retries: 0,
        platform_message_ids: Vec::new(),
        error: None,
        burst: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures, proves nothing"]
#[expect(clippy::print_stdout, reason = "the figures")]
async fn cost() {
    let bench = Bench::new().await;
    let mut lease = Lease::open(bench.database.url(), Bench::member("one")).await.unwrap();
    let shards: Vec<ShardId> = (0..8).map(ShardId).collect();
    let mut claimed = lease.claim(&shards).await.unwrap();
    claimed.sort_by_key(|claim| claim.shard);
    let epochs: Vec<Epoch> = claimed.into_iter().map(|claim| claim.epoch).collect();
    let (mut accepting, mut settling) = (0.0, 0.0);
    for batch in 0..BATCHES {
        let messages = (0..BATCH).map(|n| message(&bench, batch * BATCH + n));
        let began = Instant::now();
        let accepted = join_all(messages.map(|message| bench.writer.accept(message))).await;
        accepting += began.elapsed().as_secs_f64();
        let works: Vec<Work> = accepted
            .into_iter()
            .map(|accepted| match accepted.unwrap() {
                Accepted::New(work) => *work,
                Accepted::Duplicate(id) => panic!("{id}"),
            })
            .collect();
        let began = Instant::now();
        let settled = join_all(works.iter().map(|work| bench.writer.settle(settlement(work, &epochs)))).await;
        settling += began.elapsed().as_secs_f64();
        assert!(settled.into_iter().all(|settled| settled.unwrap()));
    }
    let all = f64::from(u32::try_from(BATCH * BATCHES).unwrap());
    println!(
        "accept {:.0}/s, settle {:.0}/s, both {:.0}/s",
        all / accepting,
        all / settling,
        all / (accepting + settling)
    );
}

/// Jobs that are due at the same time.
const JOBS: i32 = 20_000;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures, proves nothing"]
#[expect(clippy::print_stdout, reason = "the figures")]
async fn cost_of_firing() {
    let bench = Bench::new().await;
    let term = elect(&bench, "clock").await;
    due_at_once(&bench, JOBS).await;
    let (mut reading, mut writing) = (0.0, 0.0);
    let mut place = Some(START);
    while let Some(after) = place {
        let began = Instant::now();
        let page = bench.store.jobs_due(after, 1_000).await.unwrap();
        reading += began.elapsed().as_secs_f64();
        let firings: Vec<Firing> = page.jobs.iter().map(|job| firing(&bench, job)).collect();
        let (one, two) = firings.split_at(firings.len() / 2);
        let began = Instant::now();
        let fired =
            tokio::join!(bench.store.jobs_fire(DUTY, term, one), bench.store.jobs_fire(DUTY, term, two));
        writing += began.elapsed().as_secs_f64();
        assert_eq!(fired.0.unwrap().messages.len() + fired.1.unwrap().messages.len(), firings.len());
        place = page.next;
    }
    let all = f64::from(JOBS);
    println!(
        "read {:.0}/s, fire {:.0}/s, both {:.0}/s",
        all / reading,
        all / writing,
        all / (reading + writing)
    );
}
