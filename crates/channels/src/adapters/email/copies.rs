//! Copies of what was sent, in the mailbox's own folder for that, so that people who look into it see both sides of a conversation.
//!
//! They are put there beside everything else, a little later: a send does not wait for its copy, and one that fails has been sent all
//! the same. Large providers keep a copy by themselves, so a mail that lies there already is left alone. A copy that waits when its
//! worker ends is lost; the mail is not.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use claw_runtime::Backoff;
use tokio::sync::Notify;
use tracing::{debug, warn};

use super::Email;
use super::imap::{Imap, utf7};
use crate::ChannelError;

/// How long a copy waits: for others, which take the same connection, and for the provider that keeps one by itself.
const GATHER: Duration = Duration::from_secs(5);
/// Bytes of the copies that wait.
const MOST_BYTES: usize = 32 << 20;
/// How often it is tried to put copies into their folder, before they are given up.
const TRIES: u32 = 3;
/// Where Gmail is told by: it keeps a copy of what goes out by its server
/// (<https://developers.google.com/workspace/gmail/imap/imap-extensions>).
const GMAIL: &str = "X-GM-EXT-1";

/// The copies that wait.
pub(super) struct Copies {
    waiting: Mutex<VecDeque<Sent>>,
    more: Notify,
    /// How long they do.
    pub(super) gather: Duration,
}

impl Default for Copies {
    fn default() -> Self {
        Self { waiting: Mutex::default(), more: Notify::new(), gather: GATHER }
    }
}

/// A mail that was sent.
#[derive(Debug, Clone)]
struct Sent {
    id: String,
    mail: Vec<u8>,
}

impl Copies {
    /// Keeps one until it is in its folder; not when too much waits.
    fn keep(&self, sent: Sent) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: usize = waiting.iter().map(|sent| sent.mail.len()).sum();
        let fits = bytes + sent.mail.len() <= MOST_BYTES;
        if fits {
            waiting.push_back(sent);
            self.more.notify_one();
        }
        fits
    }

    fn first(&self) -> Option<Sent> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).front().cloned()
    }

    fn done(&self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    }

    /// How many there were.
    fn give_up(&self) -> usize {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner)).len()
    }
}

impl Email {
    /// Has a copy made of a mail that was sent.
    pub(super) fn keep_copy(&self, id: &str, mail: Vec<u8>) {
        if !self.mailbox.keeps_copies {
            return;
        }
        if !self.copies.keep(Sent { id: id.to_owned(), mail }) {
            warn!(channel.id = %self.deps.channel_id, "too many copies wait for the folder of what was sent: one less is kept");
        }
    }

    /// Puts copies into their folder as they come. Goes on whatever fails: nothing depends on it.
    pub(super) async fn copy_for_ever(&self) {
        loop {
            self.copies.more.notified().await;
            tokio::time::sleep(self.copies.gather).await;
            let mut failed = 0;
            while let Err(error) = self.copy_waiting().await {
                failed += 1;
                if failed >= TRIES
                    || !matches!(error, ChannelError::Retryable(_) | ChannelError::RateLimited(_))
                {
                    let lost = self.copies.give_up();
                    warn!(channel.id = %self.deps.channel_id, lost, "what was sent has no copy in its folder: {error}");
                    break;
                }
                let pause = Backoff::RECONNECT.wait(failed, &*self.deps.random);
                tokio::time::sleep(pause.unwrap_or(GATHER)).await;
            }
        }
    }

    /// The folder for copies, as its name goes over the wire; `None` where none are made.
    pub(super) async fn copies_in(&self, imap: &mut Imap) -> Result<Option<String>, ChannelError> {
        match &self.mailbox.sent_folder {
            _ if !self.mailbox.keeps_copies || imap.offers(GMAIL) => Ok(None),
            Some(named) => Ok(Some(utf7(named))),
            None => imap.sent_folder().await,
        }
    }

    async fn copy_waiting(&self) -> Result<(), ChannelError> {
        if self.copies.first().is_none() {
            return Ok(());
        }
        let mut imap = self.imap().await?;
        let Some(folder) = self.copies_in(&mut imap).await? else {
            debug!(channel.id = %self.deps.channel_id, "the server keeps copies by itself, or has no folder for them");
            self.copies.give_up();
            imap.sign_out().await;
            return Ok(());
        };
        while let Some(sent) = self.copies.first() {
            if !imap.has(&folder, &sent.id).await? {
                imap.append(&folder, &sent.mail).await?;
            }
            self.copies.done();
        }
        imap.sign_out().await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_waits_than_memory_is_for() {
        let copies = Copies::default();
        let of = |bytes: usize| Sent { id: "x@y".to_owned(), mail: vec![0; bytes] };
        assert!(copies.keep(of(MOST_BYTES - 10)) && !copies.keep(of(11)) && copies.keep(of(10)));
        copies.done();
        assert!(copies.keep(of(11)));
        assert_eq!((copies.give_up(), copies.give_up()), (2, 0));
    }
}
