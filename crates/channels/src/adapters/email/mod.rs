//! A mailbox: mail is read by IMAP and sent by SMTP.
//!
//! One connection waits in a folder and is told of new mail (IDLE); what a server does not tell is asked for every half minute. How far
//! a folder was read is kept in the database, so another worker goes on where this one stopped, and what was there before the channel
//! is nobody's question. What people wrote is only read: no mail is marked, moved or deleted. A copy of what is sent is put beside it.
//!
//! Must hold: a mail counts as read only after its messages were committed; only a mail whose last line the SMTP server may have
//! is uncertain; nothing that answers by itself is answered.

mod bounce;
mod compose;
mod config;
mod copies;
mod exam;
mod html;
mod imap;
mod incoming;
mod lacks;
mod listen;
mod login;
mod newly;
mod oauth;
mod origin;
mod smtp;
#[cfg(test)]
mod tests;
mod threads;
mod wire;

use async_trait::async_trait;
use bytes::Bytes;
use claw_types::{Media, MediaRef};
use futures::StreamExt as _;
use serde_json::{Map, json};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use self::config::{CAPS, Mailbox};
use self::copies::Copies;
use self::imap::Imap;
use self::smtp::{Envelope, Smtp};
use self::threads::Threads;
use crate::exam::Examinee;
use crate::kit::fetch::Fetched;
use crate::kit::plan::{Content, Text};
use crate::kit::upload::{Held, Uploads};
use crate::{
    About, Adapter, Caps, Channel, ChannelError, Deps, Field, MediaStream, Part, Probe, Receipt, Sink,
};

/// Bytes of a mail that are read: more than what large providers take (25 MB,
/// <https://support.google.com/mail/answer/6584>), with what Base64 adds.
const MAX_MAIL: usize = 40 << 20;
/// Bytes of all attachments of a mail that is sent: with what Base64 adds, less than those 25 MB.
const MAX_FILES: usize = 18_000_000;

/// A mailbox.
pub struct Email {
    mailbox: Mailbox,
    threads: Threads,
    /// The last connection, for the next mail.
    kept: Mutex<Option<Smtp>>,
    /// Those of what was sent.
    copies: Copies,
    uploads: Uploads,
    deps: Deps,
}

impl Adapter for Email {
    const NAME: &'static str = "email";
    const ABOUT: About = config::ABOUT;
    const CAPS: &'static Caps = &CAPS;
    const FIELDS: &'static [Field] = config::FIELDS;
    type Config = config::Config;

    fn new(config: Self::Config, deps: Deps) -> Result<Self, ChannelError> {
        let mailbox = Mailbox::new(config, &deps)?;
        let uploads = Uploads::new(&deps);
        let (threads, kept, copies) = (Threads::default(), Mutex::default(), Copies::default());
        Ok(Self { mailbox, threads, kept, copies, uploads, deps })
    }

    fn credentials(config: &Self::Config) -> Vec<String> {
        // Two channels on one mailbox would both answer every mail. Neither the address, which several mailboxes may send under, nor the
        // refresh token, by which a person opens mailboxes that are shared with them, is one mailbox's.
        vec![format!("{}@{}", config.username.to_lowercase(), config.imap_host.to_lowercase())]
    }

    fn examinee() -> &'static dyn Examinee {
        &exam::Exam
    }
}

impl Email {
    async fn imap(&self) -> Result<Imap, ChannelError> {
        let Mailbox { imap, .. } = &self.mailbox;
        let login = self.mailbox.login().await?;
        match Imap::sign_in(imap, &self.deps.http, &login).await {
            Err(ChannelError::BadCredentials(why)) => {
                let login = self.mailbox.renewed(&login).await?.ok_or(ChannelError::BadCredentials(why))?;
                Imap::sign_in(imap, &self.deps.http, &login).await
            }
            signed_in => signed_in,
        }
    }

    async fn smtp(&self) -> Result<Smtp, ChannelError> {
        let (Mailbox { smtp, .. }, own) = (&self.mailbox, self.mailbox.domain());
        let login = self.mailbox.login().await?;
        match Smtp::sign_in(smtp, &self.deps.http, own, &login).await {
            Err(ChannelError::BadCredentials(why)) => {
                let login = self.mailbox.renewed(&login).await?.ok_or(ChannelError::BadCredentials(why))?;
                Smtp::sign_in(smtp, &self.deps.http, own, &login).await
            }
            signed_in => signed_in,
        }
    }

    /// The kept connection if it still serves, else a new one.
    async fn connection(&self) -> Result<Smtp, ChannelError> {
        let kept = self.kept.lock().await.take();
        if let Some(mut kept) = kept
            && kept.is_alive().await
        {
            return Ok(kept);
        }
        self.smtp().await
    }

    async fn attachments(&self, part: &Part<'_>, media: &[Media]) -> Result<Option<Held>, ChannelError> {
        if media.is_empty() {
            return Ok(None);
        }
        self.uploads.fetch(media, part.accepted_at, MAX_FILES).await.map(Some)
    }

    async fn hand_over(
        &self,
        part: &Part<'_>,
        text: Option<&Text>,
        media: &[Media],
    ) -> Result<Receipt, ChannelError> {
        let to = compose::recipient(part.recipient)?;
        let held = self.attachments(part, media).await?;
        let files: &[Fetched] = held.as_ref().map_or(&[], |held| &held.files);
        let id = compose::message_id(part.message_id, part.index, &self.mailbox.rules.own);
        let mail = compose::mail(&compose::Draft {
            from: (&self.mailbox.name, &self.mailbox.rules.own),
            to,
            id: id.clone(),
            at: part.accepted_at,
            text,
            files: media.iter().zip(files).collect(),
            thread: self.thread(part).await?,
        })?;
        self.post(&id, to, mail).await?;
        Ok(Receipt { platform_message_id: id })
    }

    /// A reaction is a mail of its own.
    async fn react(
        &self,
        part: &Part<'_>,
        message_id: &str,
        emoji: Option<&str>,
    ) -> Result<Receipt, ChannelError> {
        let emoji = emoji.ok_or_else(|| {
            ChannelError::Permanent(
                "a reaction by mail can't be taken away: it lies in another mailbox".to_owned(),
            )
        })?;
        let emoji = compose::emoji(emoji)?;
        let to = compose::recipient(part.recipient)?;
        let answered = incoming::clean_id(message_id).ok_or_else(|| {
            ChannelError::Permanent(format!(
                "message_id {message_id:?} is no mail's: take it from platform_message_id"
            ))
        })?;
        let id = compose::message_id(part.message_id, part.index, &self.mailbox.rules.own);
        let draft = compose::Draft {
            from: (&self.mailbox.name, &self.mailbox.rules.own),
            to,
            id: id.clone(),
            at: part.accepted_at,
            text: None,
            files: Vec::new(),
            thread: self.thread_behind(part, Some(answered)).await?,
        };
        self.post(&id, to, compose::reaction(&draft, emoji)?).await?;
        Ok(Receipt { platform_message_id: message_id.to_owned() })
    }

    /// Hands a mail to the server.
    async fn post(&self, id: &str, to: &str, mail: Vec<u8>) -> Result<(), ChannelError> {
        let mut smtp = self.connection().await?;
        smtp.send(&Envelope { id, from: &self.mailbox.rules.own, to, mail: &mail }).await?;
        *self.kept.lock().await = Some(smtp);
        self.keep_copy(id, mail);
        Ok(())
    }
}

#[async_trait]
impl Channel for Email {
    fn caps(&self) -> &'static Caps {
        &CAPS
    }

    fn fuzz(&self, data: &[u8]) {
        let mail = exam::lines(data).unwrap_or_else(|| data.to_vec());
        let place = incoming::Place { folder: "INBOX", validity: 1, uid: 1 };
        drop(incoming::read(&mail, place, &self.mailbox.rules));
        drop(incoming::thread(&mail));
        drop(incoming::part(&mail, 1));
        imap::fuzz(data);
        smtp::fuzz(data);
    }

    async fn send(&self, part: &Part<'_>) -> Result<Receipt, ChannelError> {
        match &part.piece.content {
            Content::Text(text) => self.hand_over(part, Some(text), &[]).await,
            Content::Media { media, caption } => {
                self.hand_over(part, caption.as_ref(), std::slice::from_ref(media)).await
            }
            Content::Album { media, caption } => self.hand_over(part, caption.as_ref(), media).await,
            Content::React { message_id, emoji } => self.react(part, message_id, emoji.as_deref()).await,
            // The plan makes none of these, by what the adapter declares.
            Content::Location(_) | Content::Poll(_) | Content::Edit { .. } | Content::Delete { .. } => {
                Err(ChannelError::Unsupported("mail has no such thing"))
            }
        }
    }

    async fn probe(&self) -> Result<Probe, ChannelError> {
        let mut imap = self.imap().await?;
        for folder in &self.mailbox.folders {
            imap.open(folder).await?;
        }
        if let Some(folder) = self.mailbox.sent_folder.as_ref().filter(|_| self.mailbox.keeps_copies) {
            imap.open(folder).await?;
        }
        let (idles, copies) = (imap.idles, self.copies_in(&mut imap).await?);
        imap.sign_out().await;
        self.smtp().await?.sign_out().await;
        let details = Map::from_iter([
            ("folders".to_owned(), json!(self.mailbox.folders)),
            ("told_of_new_mail".to_owned(), json!(idles)),
            ("copies_in".to_owned(), json!(copies)),
        ]);
        Ok(Probe { account: Some(self.mailbox.rules.own.clone()), details })
    }

    async fn listen(&self, sink: &dyn Sink, stop: CancellationToken) -> Result<(), ChannelError> {
        // A connection that is dropped has marked nothing: what was not committed is read again.
        tokio::select! {
            result = self.listen_for_ever(sink) => result,
            () = self.copy_for_ever() => Ok(()),
            () = stop.cancelled() => Ok(()),
        }
    }

    async fn open_media(&self, media: &MediaRef) -> Result<MediaStream, ChannelError> {
        let gone = || {
            ChannelError::Permanent("the mail with the attachment is not in its folder any more".to_owned())
        };
        let (place, number) = incoming::place_of(&media.handle).ok_or_else(gone)?;
        let mut imap = self.imap().await?;
        if imap.open(place.folder).await?.validity != place.validity {
            return Err(gone());
        }
        let mail = imap.mail(place.uid, MAX_MAIL).await?.ok_or_else(gone)?;
        imap.sign_out().await;
        let (content_type, bytes) = incoming::part(&mail, number).ok_or_else(gone)?;
        let bytes = futures::stream::iter([Ok(Bytes::from(bytes))]).boxed();
        Ok(MediaStream { content_type: Some(content_type), bytes })
    }
}
