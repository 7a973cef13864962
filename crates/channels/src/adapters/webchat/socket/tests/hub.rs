//! A hub that lives in memory.

use async_trait::async_trait;
use claw_types::{Answered, Direction, ReplyTo};
use serde_json::value::to_raw_value;

use super::super::super::frames::tests::{answer, send};
use super::*;
use crate::{Hosted, Stored, Upload, UploadError};

/// One channel, one lane.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) messages: Mutex<Vec<HistoryItem>>,
    /// What was done to messages.
    pub(super) done: Mutex<Vec<Inbound>>,
    /// What the last message answers.
    pub(super) answered: Mutex<Option<Answered>>,
    /// Files, and the messages that they are.
    pub(super) files: Mutex<Vec<(Inbound, Vec<u8>)>>,
    /// The channel's field `events`.
    pub(super) told: Mutex<Vec<&'static str>>,
    /// Its field `commands`.
    pub(super) offered: Mutex<Vec<&'static str>>,
    pub(super) listeners: Mutex<Vec<mpsc::Sender<Bytes>>>,
    pub(super) database_is_away: Mutex<bool>,
    pub(super) bus_is_away: Mutex<bool>,
    pub(super) draining: CancellationToken,
}

impl Memory {
    fn store(&self, item: HistoryItem) {
        self.messages.lock().unwrap().push(item);
    }

    /// Stores an answer and publishes it, as its owner does.
    pub(super) async fn answer(&self, seq: i64, text: &str) {
        self.post(answer(seq, &conversation_id(CHANNEL, VISITOR), text, vec![])).await;
    }

    pub(super) async fn post(&self, item: HistoryItem) {
        let frames = send(&item).await;
        self.store(item);
        self.publish(&frames).await;
    }

    pub(super) async fn publish(&self, frames: &[Bytes]) {
        let listeners = self.listeners.lock().unwrap().clone();
        for frame in frames {
            for listener in &listeners {
                // A socket that ended does not matter here.
                drop(listener.send(frame.clone()).await);
            }
        }
    }

    fn check(&self) -> Result<(), HubError> {
        if *self.database_is_away.lock().unwrap() { Err(HubError::Unavailable) } else { Ok(()) }
    }
}

#[async_trait]
impl Hub for Memory {
    fn home(&self) -> Option<ChannelId> {
        Some(CHANNEL)
    }

    async fn channel(&self, channel_type: &str, id: ChannelId) -> Result<Hosted, HubError> {
        assert_eq!(channel_type, "webchat");
        if id != CHANNEL {
            return Err(HubError::NoChannel);
        }
        let told = self.told.lock().unwrap().clone();
        let offered = self.offered.lock().unwrap().clone();
        let config = json!({"title": "A <b>", "allowed_origins": ["https://shop.example", "bad;"],
                            "greeting": "Hi", "events": told, "commands": offered,
                            "max_file_mib": 1, "file_kinds": ["image", "file"]});
        Ok(Hosted { name: "chat".to_owned(), config: config.as_object().cloned().unwrap() })
    }

    async fn accept(&self, id: ChannelId, message: Inbound) -> Result<Option<Stored>, HubError> {
        self.check()?;
        if message.deed != Deed::Wrote {
            self.done.lock().unwrap().push(message);
            return Ok(None);
        }
        assert_eq!(message.metadata["chat_id"], json!(message.recipient));
        self.answered.lock().unwrap().clone_from(&message.answers);
        let mut messages = self.messages.lock().unwrap();
        let body = WebhookBody {
            user_id: "u".parse().unwrap(),
            agent_id: None,
            channel: "webchat".to_owned(),
            instance_name: "w".parse().unwrap(),
            platform_message_id: message.platform_message_id,
            sender: message.sender,
            content_type: message.content_type,
            text: message.text,
            media_url: None,
            media_filename: None,
            media_duration_seconds: None,
            is_group: message.is_group,
            thread_id: None,
            timestamp: message.timestamp.unwrap(),
            metadata: message.metadata,
            reply_to: Some(ReplyTo {
                channel: "webchat".to_owned(),
                recipient: message.recipient,
                thread_id: None,
            }),
        };
        let payload = to_raw_value(&body).unwrap();
        if let Some(known) = messages.iter().find(|item| item.payload.get() == payload.get()) {
            return Ok(Some(Stored { id: known.id, seq: 0, duplicate: true }));
        }
        let seq = i64::try_from(messages.len()).unwrap() + 1;
        let id = MessageId(Uuid::from_u128(id.0.as_u128() << 8 | messages.len() as u128));
        messages.push(HistoryItem {
            media: None,
            id,
            seq,
            direction: Direction::In,
            payload,
            accepted_at: self.now(),
        });
        Ok(Some(Stored { id, seq, duplicate: false }))
    }

    async fn accept_upload(
        &self,
        id: ChannelId,
        message: Inbound,
        upload: Upload,
    ) -> Result<Option<Stored>, UploadError> {
        let mut bytes = upload.bytes;
        let mut file = Vec::new();
        while let Some(chunk) = bytes.next().await {
            file.extend_from_slice(&chunk.map_err(|_| UploadError::Broken)?);
            if file.len() as u64 > upload.max_bytes {
                return Err(UploadError::TooLarge);
            }
        }
        let stored = self.accept(id, message.clone()).await?;
        self.files.lock().unwrap().push((message, file));
        Ok(stored)
    }

    fn max_upload(&self) -> u64 {
        50 << 20
    }

    async fn history(
        &self,
        _: ChannelId,
        conversation: &str,
        after: i64,
    ) -> Result<Vec<HistoryItem>, HubError> {
        self.check()?;
        let messages = self.messages.lock().unwrap();
        let own = |item: &&HistoryItem| item.payload.get().contains(conversation) && item.seq > after;
        Ok(messages.iter().filter(own).cloned().collect())
    }

    async fn subscribe(&self, _: ChannelId, _: &str) -> Result<mpsc::Receiver<Bytes>, HubError> {
        if *self.bus_is_away.lock().unwrap() {
            return Err(HubError::Unavailable);
        }
        let (sender, receiver) = mpsc::channel(16);
        self.listeners.lock().unwrap().push(sender);
        Ok(receiver)
    }

    fn draining(&self) -> CancellationToken {
        self.draining.clone()
    }

    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH
    }

    fn token(&self, n: usize) -> String {
        "5a".repeat(n)
    }
}
