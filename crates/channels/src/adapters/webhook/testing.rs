//! What the tests of this adapter, and of others, stand on.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use bytes::Bytes;
use chrono::DateTime;
use claw_runtime::{Ids, ManualClock, SeededRandom};
use claw_types::ChannelId;
use url::Url;
use uuid::Uuid;

use super::{Config, Webhook};
use crate::kit::http::Http;
use crate::{Adapter as _, Change, Deps, Live, Memory, NoMemory, Remembered, SinkError};

/// Seconds since 1970 at which the clock of [`deps`] stands.
pub const NOW: i64 = 1_700_000_000;
/// The reference library's own example.
pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Remembers what was published.
#[derive(Default)]
pub struct Recorder(pub Mutex<Vec<(ChannelId, String, Bytes)>>);

#[async_trait]
impl Live for Recorder {
    async fn publish(&self, channel: ChannelId, conversation: &str, frame: Bytes) {
        self.0.lock().unwrap().push((channel, conversation.to_owned(), frame));
    }
}

/// Remembers, for as many workers as there are.
#[derive(Clone, Default)]
pub struct Notes {
    /// What is remembered, by name.
    pub rows: Arc<Mutex<HashMap<String, Remembered>>>,
    /// Whether nothing can be saved just now.
    pub is_away: Arc<AtomicBool>,
}

#[async_trait]
impl Memory for Notes {
    async fn load(&self, names: &[String]) -> Result<HashMap<String, Remembered>, SinkError> {
        let rows = self.rows.lock().unwrap();
        Ok(names.iter().filter_map(|name| Some((name.clone(), rows.get(name)?.clone()))).collect())
    }

    async fn save(&self, changes: Vec<Change>) -> Result<(), SinkError> {
        let mut rows = self.rows.lock().unwrap();
        let version = |name: &str| rows.get(name).map_or(0, |row| row.version);
        if self.is_away.load(Ordering::Relaxed) || changes.iter().any(|new| new.version != version(&new.name))
        {
            return Err(SinkError::NotCommitted("a test".to_owned()));
        }
        for Change { name, text, version, .. } in changes {
            match text {
                Some(text) => drop(rows.insert(name, Remembered { text, version: version + 1 })),
                None => drop(rows.remove(&name)),
            }
        }
        Ok(())
    }
}

/// What a channel works with in tests: time stands still, dice are seeded, private addresses may be called.
pub fn deps(live: Arc<dyn Live>) -> Deps {
    // Another test may have been first.
    drop(rustls::crypto::ring::default_provider().install_default());
    let clock = Arc::new(ManualClock::new(DateTime::from_timestamp(NOW, 0).unwrap()));
    let random = Arc::new(SeededRandom::new(1));
    Deps {
        channel_id: ChannelId(Uuid::from_u128(7)),
        owner: None,
        public_url: Some(Url::parse("https://claw.example.org").unwrap()),
        http: Http::new(true).unwrap(),
        ids: Ids::new(clock.clone(), random.clone()),
        clock,
        random,
        live,
        memory: Arc::new(NoMemory),
    }
}

/// A channel with [`SECRET`].
pub fn channel(callback_url: Option<String>) -> Webhook {
    let config = Config { secret_env: SECRET.to_owned(), callback_url, post_albums: false };
    Webhook::new(config, deps(Arc::new(Recorder::default()))).unwrap()
}

/// Serves until the test ends; its address.
#[expect(clippy::disallowed_methods, reason = "a test has no lifecycle; its runtime ends the task")]
pub async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}
