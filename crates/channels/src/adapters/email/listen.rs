//! Receiving: folder by folder, mail by mail, each committed before the next counts.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
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

/// How old the stored time of the last look may get, in seconds: a write a day for a mailbox to which nothing comes.
const LOOK_STORED: u32 = 86_400;
/// How far before the last look mail is searched for again: servers search by days, in whatever time zone.
const MARGIN: TimeDelta = TimeDelta::days(1);
/// From where on a look is too long ago to go by. What was taken is known by its id for 7 days, and must not be taken again.
const KNOWN: TimeDelta = TimeDelta::days(4);
/// In what is stored, the time of the last look stands where a folder without a name would: versions that know nothing of it keep
/// it as one.
const LOOKED: &str = "";

/// How far a mailbox was read.
#[derive(Debug, Default)]
struct Reading {
    /// Of each folder: which mailbox it is, and the first id that was not read.
    folders: BTreeMap<String, Folder>,
    /// When the last look into all folders began, in seconds since 1970.
    looked: Option<u32>,
    /// What of that is stored.
    stored: Option<u32>,
    /// How many connections in a row have failed.
    failed: u32,
    /// Whether the user was told of something that they are to hear is over.
    troubled: bool,
}

impl Email {
    pub(super) async fn listen_for_ever(&self, sink: &dyn Sink) -> Result<(), ChannelError> {
        let stored = sink.cursor().await?;
        let mut reading = stored.as_deref().map(read_cursor).unwrap_or_default();
        loop {
            let came_to = self.session(sink, &mut reading).await;
            match came_to {
                Err(error @ (ChannelError::BadCredentials(_) | ChannelError::Config(_))) => {
                    return Err(error);
                }
                Err(error) => {
                    (reading.failed, reading.troubled) = (reading.failed + 1, true);
                    sink.trouble(Some(&error.to_string())).await;
                    let pause = Backoff::RECONNECT.wait(reading.failed, &*self.deps.random);
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
        reading: &mut Reading,
    ) -> Result<std::convert::Infallible, ChannelError> {
        let mut imap = self.imap().await?;
        loop {
            let began = u32::try_from(self.deps.clock.now().timestamp()).ok();
            if reading.folders.is_empty() {
                // Of what came before the channel, nothing is missing.
                reading.looked = began;
            }
            let mut anew = None;
            // The first is the last that is opened: it is the one to wait in.
            for folder in self.mailbox.folders.iter().rev() {
                anew = self.read_folder(&mut imap, folder, sink, reading).await?.or(anew);
            }
            reading.looked = began;
            if reading.is_stored_too_long_ago() {
                reading.save(sink).await?;
            }
            reading.failed = 0;
            let was_troubled = std::mem::replace(&mut reading.troubled, anew.is_some());
            if was_troubled || anew.is_some() {
                sink.trouble(anew.as_deref()).await;
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

    /// What is new in a folder. Tells what its user has to know if the server numbers its mail anew.
    async fn read_folder(
        &self,
        imap: &mut Imap,
        folder: &str,
        sink: &dyn Sink,
        reading: &mut Reading,
    ) -> Result<Option<String>, ChannelError> {
        let now = imap.open(folder).await?;
        let mut from = match reading.folders.get(folder) {
            Some(known) if known.validity == now.validity => *known,
            Some(_) => return self.read_anew(imap, folder, now, sink, reading).await.map(Some),
            None => {
                reading.came_to(sink, folder, now).await?;
                return Ok(None);
            }
        };
        if from.next >= now.next {
            return Ok(None);
        }
        for (uid, size) in imap.sizes(from.next).await? {
            self.read_mail(imap, Place { folder, validity: from.validity, uid }, size, sink).await?;
            from.next = uid.saturating_add(1);
            reading.came_to(sink, folder, from).await?;
        }
        if from.next < now.next {
            // The last ones went away before they were read.
            reading.came_to(sink, folder, now).await?;
        }
        Ok(None)
    }

    /// What came since the last look to a folder whose mail has other ids now (RFC 9051, section 2.3.1.1), by the days on which it
    /// came and was written: a mailbox that was moved may say of all its mail that it came today, and old mail is not answered. Nothing counts as read
    /// before all of it is committed; what was taken before is known by its `Message-ID`.
    async fn read_anew(
        &self,
        imap: &mut Imap,
        folder: &str,
        now: Folder,
        sink: &dyn Sink,
        reading: &mut Reading,
    ) -> Result<String, ChannelError> {
        let since = reading.since(self.deps.clock.now());
        if let Some(since) = &since {
            let found = imap.search(&format!("SINCE {since} SENTSINCE {since}")).await?;
            let sizes = match found.first() {
                Some(first) => imap.sizes(*first).await?,
                None => Vec::new(),
            };
            for (uid, size) in sizes {
                // What comes while this is read is read by its number.
                if uid >= now.next || found.binary_search(&uid).is_err() {
                    continue;
                }
                self.read_mail(imap, Place { folder, validity: now.validity, uid }, size, sink).await?;
            }
        }
        reading.came_to(sink, folder, now).await?;
        let read = since.map_or_else(
            || "reading goes on with what comes now".to_owned(),
            |since| format!("what came and was written since {since} was read again"),
        );
        let told = format!(
            "the server numbers the mail in the folder {folder:?} anew: {read}; look into the folder for mail that was not answered"
        );
        warn!(channel.id = %self.deps.channel_id, folder, "{told}");
        Ok(told)
    }

    async fn read_mail(
        &self,
        imap: &mut Imap,
        place: Place<'_>,
        size: u32,
        sink: &dyn Sink,
    ) -> Result<(), ChannelError> {
        let uid = place.uid;
        if usize::try_from(size).is_ok_and(|size| size > MAX_MAIL) {
            warn!(channel.id = %self.deps.channel_id, platform_id = uid, bytes = size, "a mail is too large, and only its beginning is read");
        }
        match imap.mail(uid, MAX_MAIL).await? {
            Some(mail) => self.take(&mail, place, sink).await,
            None => Ok(()),
        }
    }

    async fn take(&self, mail: &[u8], place: Place<'_>, sink: &dyn Sink) -> Result<(), ChannelError> {
        let messages = incoming::read(mail, place, &self.mailbox.rules);
        let Some(first) = messages.first() else {
            debug!(channel.id = %self.deps.channel_id, platform_id = place.uid, "a mail without anything to take");
            return Ok(());
        };
        // Nobody answers a reaction.
        let is_reaction = first.content_type == incoming::REACTION;
        if let (Some(root), Some(thread), false) = (&first.thread_id, incoming::thread(mail), is_reaction) {
            self.threads.learn(root, thread);
        }
        Ok(sink.accept(messages).await?)
    }
}

impl Reading {
    /// A folder was read up to here; committed when it returns.
    async fn came_to(&mut self, sink: &dyn Sink, folder: &str, upto: Folder) -> Result<(), ChannelError> {
        self.folders.insert(folder.to_owned(), upto);
        self.save(sink).await
    }

    async fn save(&mut self, sink: &dyn Sink) -> Result<(), ChannelError> {
        let folders = self.folders.iter();
        let mut written: serde_json::Map<_, _> =
            folders.map(|(name, folder)| (name.clone(), json!([folder.validity, folder.next]))).collect();
        if let Some(looked) = self.looked {
            written.insert(LOOKED.to_owned(), json!([looked, 0]));
        }
        sink.save_cursor(serde_json::Value::Object(written).to_string()).await?;
        self.stored = self.looked;
        Ok(())
    }

    fn is_stored_too_long_ago(&self) -> bool {
        match (self.looked, self.stored) {
            (Some(looked), Some(stored)) => looked.saturating_sub(stored) >= LOOK_STORED,
            (looked, None) => looked.is_some(),
            (None, Some(_)) => false,
        }
    }

    /// The day since when mail may have come that was not read, as servers take it (RFC 9051, section 9, `date`).
    fn since(&self, now: DateTime<Utc>) -> Option<String> {
        let looked = DateTime::from_timestamp(i64::from(self.looked?), 0)?;
        let since = looked.max(now - KNOWN) - MARGIN;
        Some(since.format("%-d-%b-%Y").to_string())
    }
}

/// What can't be read is as if nothing was read yet: old mail is not answered.
fn read_cursor(text: &str) -> Reading {
    let mut read: BTreeMap<String, [u32; 2]> = serde_json::from_str(text).unwrap_or_default();
    let looked = read.remove(LOOKED).map(|[looked, _]| looked);
    let folders = read.into_iter().map(|(name, [validity, next])| (name, Folder { validity, next }));
    Reading { folders: folders.collect(), looked, stored: looked, ..Reading::default() }
}
