//! What an answer says of the mail that it answers: its id, those before it, its subject.
//!
//! A message that is sent names only the thread, by the id of its first mail, or the mail that it answers. The rest stands in the
//! mailbox, and what came while this process had the channel is remembered.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::Email;
use super::compose::bare_thread;
use super::incoming::{self, Thread, clean_id};
use crate::{ChannelError, Part};

/// Threads that are remembered; more are looked up again.
const MOST: usize = 500;
/// Bytes of a mail in which its headers are.
const HEADERS: usize = 64 * 1024;

/// The last mail of each thread, by the id of its first one.
#[derive(Default)]
pub(super) struct Threads(Mutex<HashMap<String, Thread>>);

impl Threads {
    pub(super) fn learn(&self, root: &str, thread: Thread) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST && !known.contains_key(root) {
            known.clear();
        }
        known.insert(root.to_owned(), thread);
    }

    fn known(&self, root: &str) -> Option<Thread> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(root).cloned()
    }
}

impl Email {
    /// The thread in which a part stands, if it is an answer.
    pub(super) async fn thread(&self, part: &Part<'_>) -> Result<Option<Thread>, ChannelError> {
        self.thread_behind(part, part.piece.reply_to.as_deref().and_then(clean_id)).await
    }

    /// The same of a part that answers this mail.
    pub(super) async fn thread_behind(
        &self,
        part: &Part<'_>,
        answered: Option<String>,
    ) -> Result<Option<Thread>, ChannelError> {
        let root = part.thread_id.and_then(clean_id);
        let known = root.as_deref().and_then(|root| self.threads.known(root));
        match (answered, root, known) {
            // The mail that is answered is the last one, as in most cases.
            (Some(answered), _, Some(known)) if known.last == answered => Ok(Some(known)),
            (None, _, Some(known)) => Ok(Some(known)),
            (Some(answered), ..) => {
                let found = self.find(&format!("HEADER Message-ID \"{answered}\"")).await?;
                Ok(found.or_else(|| bare_thread(&answered)))
            }
            (None, Some(root), None) => {
                let found = self
                    .find(&format!("OR HEADER Message-ID \"{root}\" HEADER References \"{root}\""))
                    .await?;
                if let Some(found) = &found {
                    self.threads.learn(&root, found.clone());
                }
                Ok(found.or_else(|| bare_thread(&root)))
            }
            (None, None, None) => Ok(None),
        }
    }

    /// The last mail that a search finds, in any of the channel's folders.
    async fn find(&self, what: &str) -> Result<Option<Thread>, ChannelError> {
        let mut imap = self.imap().await?;
        let mut found = None;
        for folder in &self.mailbox.folders {
            imap.open(folder).await?;
            let Some(uid) = imap.search(what).await?.pop() else { continue };
            found = imap.mail(uid, HEADERS).await?.as_deref().and_then(incoming::thread);
            if found.is_some() {
                break;
            }
        }
        imap.sign_out().await;
        Ok(found)
    }
}
