//! The folder with what was sent, and how a copy gets there.

use super::text::{marked_folder, quoted};
use super::{Imap, Said};
use crate::ChannelError;

impl Imap {
    /// The folder that the server marks as that of what was sent, as its name goes over the wire (special use, RFC 6154, or what Gmail
    /// had before there was a standard, <https://developers.google.com/workspace/gmail/imap/imap-extensions>). `None` where it marks none.
    pub(in super::super) async fn sent_folder(&mut self) -> Result<Option<String>, ChannelError> {
        let command = if self.offers("SPECIAL-USE") && self.offers("LIST-EXTENDED") {
            "LIST \"\" \"*\" RETURN (SPECIAL-USE)"
        } else if self.offers("XLIST") && !self.offers("SPECIAL-USE") {
            "XLIST \"\" \"*\""
        } else {
            // Servers with special use may tell it here, too (RFC 6154, section 2).
            "LIST \"\" \"*\""
        };
        let told = self.command(command).await?;
        Ok(told.iter().find_map(|Said { line, .. }| marked_folder(line, "\\SENT")))
    }

    /// Whether a folder has a mail of this id.
    pub(in super::super) async fn has(&mut self, folder: &str, id: &str) -> Result<bool, ChannelError> {
        self.command(&format!("EXAMINE {}", quoted(folder)?)).await?;
        Ok(!self.search(&format!("HEADER Message-ID {}", quoted(id)?)).await?.is_empty())
    }

    /// Puts a mail into a folder, as one that was read (RFC 9051, section 6.3.12).
    pub(in super::super) async fn append(&mut self, folder: &str, mail: &[u8]) -> Result<(), ChannelError> {
        let tag = self.send(&format!("APPEND {} (\\Seen) {{{}}}", quoted(folder)?, mail.len())).await?;
        if !self.wants_more(&tag).await? {
            return Err(ChannelError::Retryable("the IMAP server took a mail before it had it".to_owned()));
        }
        self.wire.write(mail).await?;
        self.wire.write(b"\r\n").await?;
        self.answer(&tag, super::SHORT).await.map(drop)
    }
}
