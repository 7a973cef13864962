//! As much of IMAP as reading a mailbox needs (<https://www.rfc-editor.org/rfc/rfc9051>, and what older servers of
//! <https://www.rfc-editor.org/rfc/rfc3501> make of it).
//!
//! Folders are opened to be read only: what people see as unread stays unread. All that is written is a copy of what was sent. docs/adr/0013 says why this is not a crate.
//!
//! Must hold: the server is somebody's, perhaps nobody's friend: a literal is taken only as large as was asked for; the password is
//! in no error, even where a server repeats what it was told.

mod sent;
mod text;

use std::collections::BTreeSet;
use std::time::Duration;

pub(super) use self::text::fuzz;
pub(super) use self::text::utf7;
use self::text::{fetched, literal_length, number_behind, quoted, starts, strip, tells};
use super::login::{Login, Mechanism, Proof};
use super::wire::{Protection, Server, Wire};
use crate::ChannelError;
use crate::kit::answer::excerpt;
use crate::kit::http::Http;

/// Bytes of the lines of an answer to one command. A folder's mails since the last time are a line of some sixty bytes each.
const MAX_LINES: usize = 4 << 20;
/// Characters of what a server says that are quoted.
const MAX_QUOTE: usize = 200;
/// A literal where only short texts are expected.
const SHORT: usize = 64 * 1024;

/// A session of somebody who is signed in.
#[derive(Debug)]
pub(super) struct Imap {
    wire: Wire,
    tag: u32,
    /// Whether the server tells of new mail by itself (<https://www.rfc-editor.org/rfc/rfc2177>).
    pub(super) idles: bool,
    /// The extensions that it has (RFC 9051, section 7.2.2), in capitals.
    offers: Vec<String>,
}

/// A folder that was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Folder {
    /// Which mailbox it is: with another number, all its ids are others (RFC 9051, section 2.3.1.1).
    pub(super) validity: u32,
    /// The id that the next mail gets.
    pub(super) next: u32,
}

/// A line of an answer, and the literals in it.
struct Said {
    line: String,
    literals: Vec<Vec<u8>>,
}

impl Imap {
    /// Connects and signs in.
    pub(super) async fn sign_in(server: &Server, http: &Http, login: &Login) -> Result<Self, ChannelError> {
        let mut imap =
            Self { wire: Wire::connect(server, http).await?, tag: 0, idles: false, offers: Vec::new() };
        let greeting = String::from_utf8_lossy(&imap.wire.line().await?).into_owned();
        if !starts(&greeting, "* OK") && !starts(&greeting, "* PREAUTH") {
            return Err(ChannelError::Retryable(format!(
                "the IMAP server refuses: {}",
                excerpt(&greeting, MAX_QUOTE)
            )));
        }
        if server.protection == Protection::StartTls {
            imap.command("STARTTLS").await?;
            imap = Self { wire: imap.wire.secured().await?, ..imap };
        }
        imap.authenticate(login).await?;
        imap.ask_what_it_offers().await?;
        imap.idles = imap.offers("IDLE");
        Ok(imap)
    }

    async fn ask_what_it_offers(&mut self) -> Result<(), ChannelError> {
        let told = self.command("CAPABILITY").await?;
        let offers = told.iter().filter_map(|said| strip(&said.line, "* CAPABILITY "));
        self.offers = offers.flat_map(|line| line.split(' ')).map(str::to_ascii_uppercase).collect();
        Ok(())
    }

    /// Whether the server has an extension, by its name in capitals.
    pub(super) fn offers(&self, extension: &str) -> bool {
        self.offers.iter().any(|known| known == extension)
    }

    async fn authenticate(&mut self, login: &Login) -> Result<(), ChannelError> {
        let answered = match &login.proof {
            Proof::Password(password) => {
                let command = format!("LOGIN {} {}", quoted(&login.username)?, quoted(password)?);
                self.command(&command).await.map(drop)
            }
            Proof::Token(token) => self.show(&login.username, token).await,
        };
        answered.map_err(|error| match error {
            // Those are other reasons than the password (https://www.rfc-editor.org/rfc/rfc5530).
            ChannelError::Permanent(why) => {
                let why = login.hidden(&why);
                let passing = ["[UNAVAILABLE]", "[INUSE]", "[LIMIT]", "[SERVERBUG]"];
                if passing.iter().any(|code| why.contains(code)) {
                    ChannelError::Retryable(why)
                } else {
                    let what = login.what();
                    ChannelError::BadCredentials(format!("the IMAP server does not take {what}: {why}"))
                }
            }
            other => other,
        })
    }

    /// Shows an access token (RFC 9051, section 6.2.2). One that is refused is challenged first, and refused when that was answered.
    async fn show(&mut self, username: &str, token: &str) -> Result<(), ChannelError> {
        self.ask_what_it_offers().await?;
        let mechanism = Mechanism::offered(|name| self.offers(&format!("AUTH={name}"))).ok_or_else(|| {
            ChannelError::Config(
                "the IMAP server takes no access tokens (no AUTH=XOAUTH2 or AUTH=OAUTHBEARER); check imap_host and sign_in".to_owned(),
            )
        })?;
        let response = mechanism.response(username, token, self.wire.server());
        let tag = self.send(&format!("AUTHENTICATE {}", mechanism.name())).await?;
        for line in [response.as_str(), mechanism.go_on()] {
            if !self.wants_more(&tag).await? {
                return Ok(());
            }
            self.wire.write(format!("{line}\r\n").as_bytes()).await?;
        }
        self.answer(&tag, SHORT).await.map(drop)
    }

    /// Whether the server waits for more of a command ("+"); if not, it is done with it. [`ChannelError::Permanent`] when it refuses it.
    async fn wants_more(&mut self, tag: &str) -> Result<bool, ChannelError> {
        let mut left = SHORT;
        loop {
            let said = self.said(&mut left).await?;
            if said.line.starts_with('+') {
                return Ok(true);
            }
            if let Some(status) = strip(&said.line, tag) {
                return if starts(status, "OK") { Ok(false) } else { Err(refused(status)) };
            }
        }
    }

    /// Opens a folder for reading.
    pub(super) async fn open(&mut self, folder: &str) -> Result<Folder, ChannelError> {
        let told =
            self.command(&format!("EXAMINE {}", quoted(&utf7(folder))?)).await.map_err(
                |error| match error {
                    ChannelError::Permanent(why) => ChannelError::Config(format!(
                        "the folder {folder:?} can't be opened, see folders and sent_folder: {why}"
                    )),
                    other => other,
                },
            )?;
        let number = |key: &str| told.iter().find_map(|said| number_behind(&said.line, key));
        let validity = number("[UIDVALIDITY ").unwrap_or(0);
        // Servers have to tell both (RFC 9051, section 6.3.2); old ones may leave out what comes next.
        let next = match number("[UIDNEXT ") {
            Some(next) => next,
            None => self.search("ALL").await?.last().map_or(1, |last| last.saturating_add(1)),
        };
        Ok(Folder { validity, next })
    }

    /// The mails from an id on, with how many bytes each has, in the order of their ids.
    pub(super) async fn sizes(&mut self, from: u32) -> Result<Vec<(u32, u32)>, ChannelError> {
        // A range to "*" has the last mail in it, whatever its id.
        let told = self.command(&format!("UID FETCH {from}:* (UID RFC822.SIZE)")).await?;
        let mut sizes: Vec<_> = told.iter().filter_map(|said| fetched(&said.line)).collect();
        sizes.retain(|(uid, _)| *uid >= from);
        sizes.sort_unstable();
        sizes.dedup();
        Ok(sizes)
    }

    /// The first `limit` bytes of a mail; `None` when it is gone.
    pub(super) async fn mail(&mut self, uid: u32, limit: usize) -> Result<Option<Vec<u8>>, ChannelError> {
        let told =
            self.command_within(&format!("UID FETCH {uid} (UID BODY.PEEK[]<0.{limit}>)"), limit).await?;
        let of_it = |said: &Said| number_behind(&said.line.to_ascii_uppercase(), "UID ") == Some(uid);
        Ok(told.into_iter().find(|said| of_it(said)).and_then(|said| said.literals.into_iter().next_back()))
    }

    /// The ids of mails that a search finds, in their order.
    pub(super) async fn search(&mut self, what: &str) -> Result<Vec<u32>, ChannelError> {
        let told = self.command(&format!("UID SEARCH {what}")).await?;
        let found = told.iter().filter_map(|said| strip(&said.line, "* SEARCH"));
        let found: BTreeSet<u32> =
            found.flat_map(str::split_whitespace).filter_map(|id| id.parse().ok()).collect();
        Ok(found.into_iter().collect())
    }

    /// Waits until the server tells of something, for so long at most.
    pub(super) async fn idle(&mut self, time: Duration) -> Result<(), ChannelError> {
        let tag = self.send("IDLE").await?;
        let mut told = false;
        // "+": it listens from here on. What it tells before that counts, too.
        loop {
            let line = String::from_utf8_lossy(&self.wire.line().await?).into_owned();
            if line.starts_with('+') {
                break;
            }
            told |= tells(&line);
            if let Some(status) = strip(&line, &tag) {
                return Err(ChannelError::Retryable(format!(
                    "the IMAP server won't wait: {}",
                    excerpt(status, MAX_QUOTE)
                )));
            }
        }
        let ends = tokio::time::Instant::now() + time;
        while !told {
            let left = ends.saturating_duration_since(tokio::time::Instant::now());
            match tokio::time::timeout(left, self.wire.line_within(time)).await {
                Ok(line) => told = tells(&String::from_utf8_lossy(&line?)),
                // No line is half read: one that had begun would go on in what DONE is answered.
                Err(_) => break,
            }
        }
        self.wire.write(b"DONE\r\n").await?;
        self.answer(&tag, SHORT).await.map(drop)
    }

    /// Ends the session; a server that does not answer has ended it, too.
    pub(super) async fn sign_out(mut self) {
        drop(self.command("LOGOUT").await);
    }

    async fn command(&mut self, command: &str) -> Result<Vec<Said>, ChannelError> {
        self.command_within(command, SHORT).await
    }

    async fn command_within(&mut self, command: &str, literal: usize) -> Result<Vec<Said>, ChannelError> {
        let tag = self.send(command).await?;
        self.answer(&tag, literal).await
    }

    async fn send(&mut self, command: &str) -> Result<String, ChannelError> {
        self.tag += 1;
        let tag = format!("c{} ", self.tag);
        self.wire.write(format!("{tag}{command}\r\n").as_bytes()).await?;
        Ok(tag)
    }

    /// What the server says until it is done with a command. [`ChannelError::Permanent`] when it refuses it.
    async fn answer(&mut self, tag: &str, literal: usize) -> Result<Vec<Said>, ChannelError> {
        let mut told = Vec::new();
        let mut left = MAX_LINES + literal;
        loop {
            let said = self.said(&mut left).await?;
            let Some(status) = strip(&said.line, tag) else {
                told.push(said);
                continue;
            };
            if starts(status, "OK") {
                return Ok(told);
            }
            return Err(refused(status));
        }
    }

    /// A line with the literals in it (RFC 9051, section 4.3): `{5}` at its end, then five bytes, then it goes on. `left` is how many
    /// bytes the server may still send.
    async fn said(&mut self, left: &mut usize) -> Result<Said, ChannelError> {
        let too_much =
            || ChannelError::Retryable("the IMAP server sends more than it was asked for".to_owned());
        let (mut line, mut literals) = (String::new(), Vec::new());
        loop {
            let more = self.wire.line().await?;
            // Empty lines, too, come to an end.
            *left = left.checked_sub(more.len() + 2).ok_or_else(too_much)?;
            line.push_str(&String::from_utf8_lossy(&more));
            let Some(length) = literal_length(&line) else { return Ok(Said { line, literals }) };
            *left = left.checked_sub(length).ok_or_else(too_much)?;
            literals.push(self.wire.bytes(length).await?);
        }
    }
}

fn refused(status: &str) -> ChannelError {
    ChannelError::Permanent(excerpt(status, MAX_QUOTE))
}
