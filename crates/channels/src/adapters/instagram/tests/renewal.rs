//! Tokens of Instagram Login, which end: renewed in time by the channel's owner, used by all, and never in what is logged or said.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use claw_runtime::ManualClock;
use claw_types::Inbound;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::instrument::WithSubscriber as _;
use tracing::level_filters::LevelFilter;

use super::*;
use crate::adapters::webhook::testing::NOW;
use crate::{Memory, NoMemory, SinkError};

/// The one that the channel was given, in November 2023 ([`NOW`] is the 14th).
const GIVEN: &str = "IGAAexamTokenOfTheAccount0123456789";
/// Two that came of it.
const SECOND: &str = "IGAAexamTokenThatCameNext0123456789";
const THIRD: &str = "IGAAexamTokenThatCameThen0123456789";
/// One that its user gives it later.
const OTHER: &str = "IGAAexamTokenOfTheSameAccount987654";
/// In seconds, as Meta's page shows it: nearly 60 days.
const LASTS: u32 = 5_183_944;

/// Passes on what the user is told; an empty text is that it is over.
struct Told(mpsc::UnboundedSender<String>);

#[async_trait]
impl Sink for Told {
    async fn accept(&self, _: Vec<Inbound>) -> Result<(), SinkError> {
        Ok(())
    }

    async fn cursor(&self) -> Result<Option<String>, SinkError> {
        Ok(None)
    }

    async fn save_cursor(&self, _: String) -> Result<(), SinkError> {
        Ok(())
    }

    async fn trouble(&self, error: Option<&str>) {
        self.0.send(error.unwrap_or_default().to_owned()).unwrap();
    }
}

/// One account, its platform, and what its user is told.
struct Bench {
    meta: Meta,
    notes: Notes,
    sink: Told,
    heard: mpsc::UnboundedReceiver<String>,
}

impl Bench {
    async fn start() -> Self {
        let (told, heard) = mpsc::unbounded_channel();
        Self { meta: Meta::start().await, notes: Notes::default(), sink: Told(told), heard }
    }

    /// The channel as a process makes it that has begun so many days after the first, with this token.
    fn made(&self, days: i64, token: &str) -> Instagram {
        made(days, token, &self.meta, Arc::new(self.notes.clone()))
    }

    /// Its owner looks once.
    async fn look(&self, channel: &Instagram) {
        let stop = CancellationToken::new();
        stop.cancel();
        channel.listen(&self.sink, stop).await.unwrap();
    }

    /// It was first used on the first day; that long after that it is to be renewed.
    async fn two_days_later(&self) -> Instagram {
        self.look(&self.made(0, GIVEN)).await;
        self.made(2, GIVEN)
    }

    fn will_give(&self, token: &str) {
        self.meta.will(200, &json!({"access_token": token, "token_type": "bearer", "expires_in": LASTS}));
    }

    /// With which token it sends.
    async fn sends_with(&self, channel: &Instagram) -> String {
        sends_with(channel, &self.meta).await
    }

    /// Which tokens it was asked to renew since the last time that anything was looked at.
    fn renewed(&self) -> Vec<String> {
        let asked = self.meta.asked().into_iter().map(|asked| {
            assert_eq!(asked.path, "/refresh_access_token", "it is beside the versions");
            assert!(!asked.headers.contains_key("authorization"));
            let token = asked.query.strip_prefix("grant_type=ig_refresh_token&access_token=");
            token.unwrap_or_else(|| panic!("{}", asked.query)).to_owned()
        });
        asked.collect()
    }
}

fn made(days: i64, token: &str, meta: &Meta, memory: Arc<dyn Memory>) -> Instagram {
    at(days, token, &meta.api_url(), memory)
}

/// The same, at this address.
fn at(days: i64, token: &str, api_url: &str, memory: Arc<dyn Memory>) -> Instagram {
    let now = DateTime::from_timestamp(NOW, 0).unwrap() + TimeDelta::days(days);
    let clock = Arc::new(ManualClock::new(now));
    let deps = Deps { clock, memory, ..deps(Arc::new(Recorder::default())) };
    let fields = json!({"login": "instagram", "page_token_env": token, "api_url": api_url});
    Instagram::new(config(&fields), deps).unwrap()
}

async fn sends_with(channel: &Instagram, meta: &Meta) -> String {
    meta.will(200, &json!({"recipient_id": "42", "message_id": "m9"}));
    assert!(send(channel, &CAPS, "42", &json!({"text": "hi"})).await[0].is_ok());
    let asked = meta.asked().pop().unwrap();
    let token = asked.headers["authorization"].to_str().unwrap().strip_prefix("Bearer ");
    token.unwrap().to_owned()
}

#[tokio::test]
async fn a_token_is_renewed_once_and_all_call_with_the_newer_one() {
    let mut bench = Bench::start().await;
    let first = bench.made(0, GIVEN);
    bench.look(&first).await;
    assert_eq!(bench.renewed(), [""; 0], "it may be younger than a day");
    let owner = bench.made(2, GIVEN);
    assert_eq!(bench.sends_with(&owner).await, GIVEN);
    bench.will_give(SECOND);
    bench.look(&owner).await;
    bench.look(&owner).await;
    assert_eq!(bench.renewed(), [GIVEN]);
    assert_eq!(bench.sends_with(&owner).await, SECOND);
    // The next owner, and gateways, which ask for the account and for names.
    let another = bench.made(3, GIVEN);
    assert_eq!(bench.sends_with(&another).await, SECOND);
    bench.meta.will(200, &json!({"user_id": "8", "username": "ada"}));
    another.probe().await.unwrap();
    assert_eq!(bench.meta.asked()[0].headers["authorization"], format!("Bearer {SECOND}"));
    assert!(bench.heard.try_recv().is_err(), "nobody has to do anything");
}

#[tokio::test]
async fn a_newer_token_is_renewed_when_half_of_its_time_is_over() {
    let bench = Bench::start().await;
    bench.will_give(SECOND);
    bench.look(&bench.two_days_later().await).await;
    bench.look(&bench.made(31, GIVEN)).await;
    assert_eq!(bench.renewed(), [GIVEN], "30 days have not gone by");
    bench.will_give(THIRD);
    let owner = bench.made(32, GIVEN);
    bench.look(&owner).await;
    assert_eq!(bench.renewed(), [SECOND]);
    assert_eq!(bench.sends_with(&owner).await, THIRD);
}

#[tokio::test]
async fn a_token_that_is_given_later_wins() {
    let bench = Bench::start().await;
    bench.will_give(SECOND);
    bench.look(&bench.two_days_later().await).await;
    let changed = bench.made(3, OTHER);
    assert_eq!(bench.sends_with(&changed).await, OTHER);
    bench.look(&changed).await;
    assert_eq!(bench.renewed(), [""; 0], "its own day begins");
    assert_eq!(bench.sends_with(&changed).await, OTHER);
    assert_eq!(bench.sends_with(&bench.made(3, GIVEN)).await, GIVEN, "what came of it is forgotten");
}

#[tokio::test]
async fn a_newer_token_goes_to_its_own_server_only() {
    let (bench, elsewhere) = (Bench::start().await, Meta::start().await);
    bench.will_give(SECOND);
    bench.look(&bench.two_days_later().await).await;
    let moved = made(3, GIVEN, &elsewhere, Arc::new(bench.notes.clone()));
    assert_eq!(sends_with(&moved, &elsewhere).await, GIVEN);
}

#[tokio::test]
async fn a_refusal_leaves_the_token_in_use_and_its_user_is_told() {
    let mut bench = Bench::start().await;
    let owner = bench.two_days_later().await;
    let refusal = json!({"message": format!("Malformed access token {GIVEN}"), "code": 190});
    bench.meta.will(400, &json!({ "error": refusal }));
    bench.look(&owner).await;
    let warning = bench.heard.try_recv().unwrap();
    for part in ["2024-01-13", "code 190", "Malformed access token [token]", "generate a new one"] {
        assert!(warning.contains(part), "{part}: {warning}");
    }
    assert_eq!(bench.sends_with(&owner).await, GIVEN);
}

#[tokio::test]
async fn an_answer_without_a_token_is_a_failure() {
    let mut bench = Bench::start().await;
    let owner = bench.two_days_later().await;
    for answer in [
        json!({}),
        json!({"access_token": SECOND}),
        json!({"access_token": "", "expires_in": LASTS}),
        json!({"access_token": "two words", "expires_in": LASTS}),
    ] {
        bench.meta.will(200, &answer);
        bench.look(&owner).await;
        assert!(bench.heard.try_recv().unwrap().contains("was not renewed"), "{answer}");
        assert_eq!(bench.sends_with(&owner).await, GIVEN);
    }
}

#[tokio::test]
async fn it_is_tried_again_until_it_is_renewed_and_then_the_warning_is_over() {
    let mut bench = Bench::start().await;
    let owner = bench.two_days_later().await;
    bench.meta.will(500, &json!({}));
    bench.will_give(SECOND);
    let stop = CancellationToken::new();
    let Bench { sink, heard, .. } = &mut bench;
    let told = async {
        assert!(heard.recv().await.unwrap().contains("tried again"));
        assert_eq!(heard.recv().await.unwrap(), "");
        stop.cancel();
    };
    let (ended, ()) = tokio::join!(owner.listen(sink, stop.clone()), told);
    ended.unwrap();
    assert_eq!(bench.renewed(), [GIVEN, GIVEN]);
    assert_eq!(bench.sends_with(&owner).await, SECOND);
}

/// It takes the call and says nothing.
#[tokio::test]
async fn a_platform_that_does_not_answer_keeps_no_channel_from_ending() {
    let mut bench = Bench::start().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let made = |days| at(days, GIVEN, &url, Arc::new(bench.notes.clone()));
    bench.look(&made(0)).await;
    let (owner, stop) = (made(2), CancellationToken::new());
    let stopping = async {
        let called = silent.accept().await.unwrap();
        stop.cancel();
        called
    };
    let both = async { tokio::join!(owner.listen(&bench.sink, stop.clone()), stopping) };
    // The call itself is given up after 30 s.
    let (ended, _called) = timeout(Duration::from_secs(10), both).await.expect("it ends when it is asked to");
    ended.unwrap();
    assert!(bench.heard.try_recv().is_err(), "nothing went wrong");
}

#[tokio::test]
async fn what_was_not_remembered_is_not_used() {
    let mut bench = Bench::start().await;
    let owner = bench.two_days_later().await;
    bench.notes.is_away.store(true, Ordering::Relaxed);
    bench.will_give(SECOND);
    bench.look(&owner).await;
    assert!(bench.heard.try_recv().unwrap().contains("not committed"));
    assert_eq!(bench.sends_with(&owner).await, GIVEN);
    bench.notes.is_away.store(false, Ordering::Relaxed);
    bench.will_give(THIRD);
    bench.look(&owner).await;
    assert_eq!(bench.sends_with(&owner).await, THIRD);
}

#[tokio::test]
async fn who_does_not_own_the_channel_renews_nothing() {
    let mut bench = Bench::start().await;
    let channel = made(2, GIVEN, &bench.meta, Arc::new(NoMemory));
    // It returns by itself.
    channel.listen(&bench.sink, CancellationToken::new()).await.unwrap();
    assert_eq!(bench.renewed(), [""; 0]);
    assert!(bench.heard.try_recv().is_err(), "its owner has no trouble");
}

/// All that is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_token_is_logged_or_told() {
    let mut bench = Bench::start().await;
    let owner = bench.two_days_later().await;
    let (log, away) = (Log::default(), "http://127.0.0.1:1/v25.0");
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let said = async {
        for status in [400, 500] {
            bench.meta.will(status, &json!({"error": {"message": format!("what is {GIVEN}?"), "code": 190}}));
            bench.look(&owner).await;
        }
        // Nobody answers: the address, which has the token in it, must not be told.
        let fields = json!({"login": "instagram", "page_token_env": GIVEN, "api_url": away});
        let clock = DateTime::from_timestamp(NOW, 0).unwrap();
        for days in [0, 2] {
            let clock = Arc::new(ManualClock::new(clock + TimeDelta::days(days)));
            let memory = Arc::new(bench.notes.clone());
            let deps = Deps { clock, memory, ..deps(Arc::new(Recorder::default())) };
            bench.look(&Instagram::new(config(&fields), deps).unwrap()).await;
        }
        bench.will_give(SECOND);
        bench.look(&bench.two_days_later().await).await;
        bench.meta.will(400, &json!({"error": {"message": format!("what is {SECOND}?"), "code": 190}}));
        let refused = send(&bench.made(3, GIVEN), &CAPS, "42", &json!({"text": "hi"})).await.remove(0);
        format!("{refused:?}")
    };
    let mut said = said.with_subscriber(subscriber).await;
    let mut told = 0;
    while let Ok(warning) = bench.heard.try_recv() {
        said.push_str(&warning);
        told += 1;
    }
    assert_eq!(told, 3, "{said}");
    said.push_str(&String::from_utf8_lossy(&log.0.lock().unwrap()));
    assert!(said.contains("what is [token]?"), "{said}");
    for token in [GIVEN, SECOND] {
        assert!(!said.contains(token), "{}", said.replace(token, "HERE"));
    }
}
