//! Receiving: folder by folder, mail by mail, each committed before the next counts.

use std::collections::BTreeMap;
use std::time::Duration;

use claw_runtime::Backoff;
use serde_json::json;
use tracing::{debug, warn};

use super::imap::{Folder, Imap};
use super::incoming::{self, Place};
use super::{Email, MAX_MAIL};
use crate::{ChannelError, Sink};

/// How long one IDLE lasts. Servers may end those of 29 minutes and more (<https://www.rfc-editor.org/rfc/rfc2177>); what stands
/// between forgets a silent connection much sooner.
const IDLE: Duration = Duration::from_secs(9 * 60);
/// The same where there are other folders, which nothing is told of meanwhile.
const IDLE_AMONG_SEVERAL: Duration = Duration::from_secs(60);
/// How often a server is asked that tells nothing by itself.
const ASK_EVERY: Duration = Duration::from_secs(30);

/// How far each folder was read: which mailbox it is, and the first id that was not read.
type Cursor = BTreeMap<String, Folder>;

impl Email {
    pub(super) async fn listen_for_ever(&self, sink: &dyn Sink) -> Result<(), ChannelError> {
        let stored = sink.cursor().await?;
        let mut cursor = stored.as_deref().map(read_cursor).unwrap_or_default();
        let mut failed = 0;
        loop {
            let came_to = self.session(sink, &mut cursor, &mut failed).await;
            match came_to {
                Err(error @ (ChannelError::BadCredentials(_) | ChannelError::Config(_))) => {
                    return Err(error);
                }
                Err(error) => {
                    failed += 1;
                    sink.trouble(Some(&error.to_string())).await;
                    let pause = Backoff::RECONNECT.wait(failed, &*self.deps.random);
                    tokio::time::sleep(pause.unwrap_or(Duration::from_secs(5))).await;
                }
                Ok(never) => match never {},
            }
        }
    }

    /// One connection, for as long as it holds.
    async fn session(
        &self,
        sink: &dyn Sink,
        cursor: &mut Cursor,
        failed: &mut u32,
    ) -> Result<std::convert::Infallible, ChannelError> {
        let mut imap = self.imap().await?;
        loop {
            // The first is the last that is opened: it is the one to wait in.
            for folder in self.mailbox.folders.iter().rev() {
                self.read_folder(&mut imap, folder, sink, cursor).await?;
            }
            if *failed > 0 {
                *failed = 0;
                sink.trouble(None).await;
            }
            self.wait(&mut imap).await?;
        }
    }

    async fn wait(&self, imap: &mut Imap) -> Result<(), ChannelError> {
        if imap.idles {
            let one = self.mailbox.folders.len() == 1;
            return imap.idle(if one { IDLE } else { IDLE_AMONG_SEVERAL }).await;
        }
        tokio::time::sleep(ASK_EVERY).await;
        Ok(())
    }

    /// What is new in a folder.
    async fn read_folder(
        &self,
        imap: &mut Imap,
        folder: &str,
        sink: &dyn Sink,
        cursor: &mut Cursor,
    ) -> Result<(), ChannelError> {
        let now = imap.open(folder).await?;
        let mut from = match cursor.get(folder) {
            Some(known) if known.validity == now.validity => *known,
            known => {
                if known.is_some() {
                    warn!(channel = %self.deps.channel_id, folder, "the server numbers the mail in a folder anew: reading goes on with what comes now");
                }
                save(sink, cursor, folder, now).await?;
                now
            }
        };
        if from.next >= now.next {
            return Ok(());
        }
        for (uid, size) in imap.sizes(from.next).await? {
            let place = Place { folder, validity: from.validity, uid };
            let too_large = usize::try_from(size).is_ok_and(|size| size > MAX_MAIL);
            if too_large {
                warn!(channel = %self.deps.channel_id, uid, size, "a mail is too large, and only its beginning is read");
            }
            if let Some(mail) = imap.mail(uid, MAX_MAIL).await? {
                self.take(&mail, place, sink).await?;
            }
            from.next = uid.saturating_add(1);
            save(sink, cursor, folder, from).await?;
        }
        if from.next < now.next {
            // The last ones went away before they were read.
            save(sink, cursor, folder, now).await?;
        }
        Ok(())
    }

    async fn take(&self, mail: &[u8], place: Place<'_>, sink: &dyn Sink) -> Result<(), ChannelError> {
        let messages = incoming::read(mail, place, &self.mailbox.rules);
        let Some(first) = messages.first() else {
            debug!(channel = %self.deps.channel_id, uid = place.uid, "a mail without anything to take");
            return Ok(());
        };
        if let (Some(root), Some(thread)) = (&first.thread_id, incoming::thread(mail)) {
            self.threads.learn(root, thread);
        }
        Ok(sink.accept(messages).await?)
    }
}

async fn save(sink: &dyn Sink, cursor: &mut Cursor, name: &str, folder: Folder) -> Result<(), ChannelError> {
    cursor.insert(name.to_owned(), folder);
    let written: serde_json::Map<_, _> =
        cursor.iter().map(|(name, folder)| (name.clone(), json!([folder.validity, folder.next]))).collect();
    Ok(sink.save_cursor(serde_json::Value::Object(written).to_string()).await?)
}

/// What can't be read is as if nothing was read yet: old mail is not answered.
fn read_cursor(text: &str) -> Cursor {
    let read: BTreeMap<String, [u32; 2]> = serde_json::from_str(text).unwrap_or_default();
    read.into_iter().map(|(name, [validity, next])| (name, Folder { validity, next })).collect()
}
