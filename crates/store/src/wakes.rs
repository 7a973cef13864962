//! Waking an agent: an event that is a message at once, or a timer until the user's next heartbeat.

use chrono::{DateTime, Utc};
use claw_types::{MessageId, UserId, WakeMode, Work};

use crate::{NewMessage, Result, Store, Tenant};

/// When an event goes to the backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// As soon as it is stored.
    Now,
    /// At the user's next heartbeat.
    NextHeartbeat,
}

impl From<WakeMode> for When {
    fn from(mode: WakeMode) -> Self {
        match mode {
            WakeMode::Now => Self::Now,
            WakeMode::NextHeartbeat => Self::NextHeartbeat,
        }
    }
}

/// What makes a repeated call the same call.
#[derive(Debug, Clone, Copy)]
pub struct Once<'a> {
    /// The kind of call.
    pub kind: &'a str,
    /// The caller's key.
    pub key: &'a str,
    /// SHA-256 of the body.
    pub digest: [u8; 32],
}

/// An event that is safely stored.
#[derive(Debug, Clone)]
pub struct Woken {
    /// The message's id, now or later.
    pub id: MessageId,
    /// The message to tell its owner of, when it is one by now and this call made it.
    pub work: Option<Work>,
    /// When it goes to the backend, when it still waits.
    pub due_at: Option<DateTime<Utc>>,
    /// Whether an earlier call stored it.
    pub duplicate: bool,
}

impl Store {
    /// What an earlier call stored, if this is that call again.
    ///
    /// # Errors
    /// [`crate::Error::KeyReused`], or when the database fails.
    pub async fn woken(&self, user: &UserId, once: Once<'_>) -> Result<Option<Woken>> {
        let mut tenant = self.tenant(user).await?;
        match tenant.made_before(once.kind, once.key, once.digest).await? {
            Some(before) => Ok(Some(tenant.woken_before(MessageId(before)).await?)),
            None => Ok(None),
        }
    }

    /// The heartbeat that an event waits for; `None` when it does not wait, or not any more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn wake_due(&self, user: &UserId, id: MessageId) -> Result<Option<DateTime<Utc>>> {
        self.tenant(user).await?.timer_due(id).await
    }

    /// Stores an event, which will not be lost then.
    ///
    /// # Errors
    /// [`crate::Error::KeyReused`], or when the database fails; then nothing was stored.
    pub async fn wake(&self, event: &NewMessage, when: When, once: Option<Once<'_>>) -> Result<Woken> {
        let mut tenant = self.tenant(&event.user_id).await?;
        if let Some(once) = once
            && let Some(before) = tenant.once(once.kind, once.key, once.digest, event.id.0).await?
        {
            return tenant.woken_before(MessageId(before)).await;
        }
        let (work, due_at) = match when {
            When::Now => (Some(tenant.message_accept(event).await?), None),
            When::NextHeartbeat => (None, Some(tenant.wake_later(event).await?)),
        };
        tenant.commit().await?;
        Ok(Woken { id: event.id, work, due_at, duplicate: false })
    }
}

impl Tenant {
    async fn woken_before(&mut self, id: MessageId) -> Result<Woken> {
        Ok(Woken { id, work: None, due_at: self.timer_due(id).await?, duplicate: true })
    }
}
