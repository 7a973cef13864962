//! A server with a folder for what comes and one for what was sent, which speaks as much IMAP as a client needs that only reads, and
//! keeps copies.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::{DateTime, NaiveDate};
use http::{HeaderMap, Method};
use mail_parser::MessageParser;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::exam::doors::Stage;
use crate::exam::{Asked, Mood};

/// What the server has beside what every server has.
const OFFERS: &str = "IDLE SASL-IR AUTH=PLAIN AUTH=XOAUTH2 SPECIAL-USE LIST-EXTENDED";

/// A folder, and behind it that of what was sent.
#[derive(Clone, Default)]
pub(crate) struct Mails(Arc<Inner>);

#[derive(Default)]
struct Inner {
    mails: Mutex<Vec<(u32, Vec<u8>)>>,
    validity: Mutex<u32>,
    arrived: Notify,
    sent: Mutex<Option<Mails>>,
    /// The access token that is taken; any, where there is none.
    token: Mutex<Option<String>>,
    /// What it has beside [`OFFERS`].
    offers: Mutex<&'static str>,
}

impl Mails {
    /// A mail arrives.
    pub(crate) fn arrive(&self, mail: Vec<u8>) {
        let mut mails = self.mails();
        let uid = mails.last().map_or(1, |(uid, _)| uid + 1);
        mails.push((uid, mail));
        self.0.arrived.notify_one();
    }

    /// The folder is made anew: its mails get other ids.
    #[cfg(test)]
    pub(crate) fn renumber(&self) {
        *locked(&self.0.validity) += 1;
    }

    /// The folder of what was sent.
    pub(crate) fn sent(&self) -> Self {
        locked(&self.0.sent).get_or_insert_default().clone()
    }

    /// Takes this access token and no other.
    #[cfg(test)]
    pub(crate) fn takes(&self, token: &str) {
        *locked(&self.0.token) = Some(token.to_owned());
    }

    /// Has this, too.
    #[cfg(test)]
    pub(crate) fn has_too(&self, extension: &'static str) {
        *locked(&self.0.offers) = extension;
    }

    /// What lies there.
    #[cfg(test)]
    pub(crate) fn all(&self) -> Vec<Vec<u8>> {
        self.mails().iter().map(|(_, mail)| mail.clone()).collect()
    }

    /// Returns once something arrived since the last time.
    #[cfg(test)]
    pub(crate) async fn arrived(&self) {
        self.0.arrived.notified().await;
    }

    fn is_taken(&self, response: &str) -> bool {
        let shown = STANDARD.decode(response.trim()).unwrap_or_default();
        let shown = String::from_utf8_lossy(&shown).into_owned();
        locked(&self.0.token)
            .as_ref()
            .is_none_or(|token| shown.contains(&format!("auth=Bearer {token}\u{1}")))
    }

    fn mails(&self) -> MutexGuard<'_, Vec<(u32, Vec<u8>)>> {
        locked(&self.0.mails)
    }

    fn opened(&self) -> String {
        let mails = self.mails();
        let next = mails.last().map_or(1, |(uid, _)| uid + 1);
        let validity = 7 + *locked(&self.0.validity);
        format!(
            "* {} EXISTS\r\n* FLAGS (\\Seen)\r\n* OK [UIDVALIDITY {validity}] valid\r\n* OK [UIDNEXT {next}] next\r\n",
            mails.len()
        )
    }

    /// Those of a range like `7:*` or of one id.
    fn range(&self, range: &str) -> Vec<(usize, u32, Vec<u8>)> {
        let (from, is_open) = range.strip_suffix(":*").map_or((range, false), |from| (from, true));
        let from: u32 = from.parse().unwrap_or(u32::MAX);
        let mails = self.mails();
        let numbered = mails.iter().enumerate().map(|(index, (uid, mail))| (index + 1, *uid, mail.clone()));
        let last = mails.len();
        // As servers do: the last one is in every open range.
        numbered
            .filter(|(number, uid, _)| if is_open { *uid >= from || *number == last } else { *uid == from })
            .collect()
    }

    /// The ids of those in which a header has what stands behind its name in quotes, or that were written since a day; else of all.
    fn search(&self, what: &str) -> Vec<u32> {
        if let Some((_, day)) = what.split_once(" SENTSINCE ") {
            return self.written_since(day);
        }
        let pieces: Vec<&str> = what.split('"').collect();
        let wanted: Vec<_> = pieces
            .chunks_exact(2)
            .filter_map(|pair| Some((pair[0].split_whitespace().next_back()?, pair[1])))
            .collect();
        let has = |mail: &[u8], (name, value): &(&str, &str)| {
            let start = format!("{name}:").to_ascii_lowercase();
            String::from_utf8_lossy(mail)
                .lines()
                .any(|line| line.to_ascii_lowercase().starts_with(&start) && line.contains(value))
        };
        let mails = self.mails();
        let found = mails
            .iter()
            .filter(|(_, mail)| wanted.is_empty() || wanted.iter().any(|wanted| has(mail, wanted)));
        found.map(|(uid, _)| *uid).collect()
    }

    /// By what they say of themselves: it does not keep when they arrived.
    fn written_since(&self, day: &str) -> Vec<u32> {
        let day = NaiveDate::parse_from_str(day.trim(), "%d-%b-%Y").ok();
        let written = |mail: &[u8]| {
            let date = MessageParser::default().parse(mail)?.date()?.to_timestamp();
            Some(DateTime::from_timestamp(date, 0)?.date_naive())
        };
        let mails = self.mails();
        let found = mails.iter().filter(|(_, mail)| day.is_some() && written(mail) >= day);
        found.map(|(uid, _)| *uid).collect()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) async fn serve(stream: TcpStream, stage: Stage) {
    match stage.mood() {
        Mood::Cuts => {}
        Mood::Silent => std::future::pending().await,
        Mood::Well | Mood::Refuses(_) => drop(speak(stream, Mails::default(), Some(stage)).await),
    }
}

/// Speaks with one client, until it goes.
pub(crate) async fn speak(stream: TcpStream, mails: Mails, stage: Option<Stage>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"* OK exam\r\n").await?;
    let mut opened = mails.clone();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let (tag, command) = line.trim_end().split_once(' ').unwrap_or_default();
        let small = command.to_ascii_uppercase();
        let word = small.split(' ').next().unwrap_or_default();
        let answer = match word {
            "LOGIN" => sign_in(stage.as_ref()),
            "AUTHENTICATE" => authenticate(&mut stream, &mails, stage.as_ref()).await?,
            "CAPABILITY" => Ok(format!("* CAPABILITY IMAP4rev1 {OFFERS} {}\r\n", *locked(&mails.0.offers))),
            "LIST" => {
                Ok("* LIST () \"/\" INBOX\r\n* LIST (\\HasNoChildren \\Sent) \"/\" \"Sent\"\r\n".to_owned())
            }
            "EXAMINE" => {
                opened = if command.contains("Sent") { mails.sent() } else { mails.clone() };
                Ok(opened.opened())
            }
            "APPEND" => {
                let mail = literal(&mut stream, command).await?;
                mails.sent().arrive(mail);
                Ok(String::new())
            }
            "UID" => Ok(uid(&mut stream, &opened, command).await?),
            "IDLE" => {
                idle(&mut stream, &mails, stage.as_ref()).await?;
                Ok(String::new())
            }
            "LOGOUT" => {
                return stream.write_all(format!("* BYE\r\n{tag} OK\r\n").as_bytes()).await;
            }
            _ => Err("BAD what?"),
        };
        let answer = match answer {
            Ok(told) => format!("{told}{tag} OK done\r\n"),
            Err(why) => format!("{tag} {why}\r\n"),
        };
        stream.write_all(answer.as_bytes()).await?;
    }
}

fn sign_in(stage: Option<&Stage>) -> Result<String, &'static str> {
    let Some(stage) = stage else { return Ok(String::new()) };
    let target = "imap:LOGIN".to_owned();
    stage.note(Asked { method: Method::GET, target, headers: HeaderMap::new(), body: Bytes::new() });
    match stage.mood() {
        Mood::Refuses(401) => Err("NO [AUTHENTICATIONFAILED] who are you?"),
        _ => Ok(String::new()),
    }
}

/// By an access token: one that is not taken is challenged, and refused when that was answered.
async fn authenticate(
    stream: &mut BufReader<TcpStream>,
    mails: &Mails,
    stage: Option<&Stage>,
) -> std::io::Result<Result<String, &'static str>> {
    let mut line = String::new();
    stream.write_all(b"+ \r\n").await?;
    stream.read_line(&mut line).await?;
    let answer =
        if mails.is_taken(&line) { sign_in(stage) } else { Err("NO [AUTHENTICATIONFAILED] who are you?") };
    if answer.is_err() {
        stream.write_all(b"+ eyJzdGF0dXMiOiI0MDAifQ==\r\n").await?;
        stream.read_line(&mut line).await?;
    }
    Ok(answer)
}

/// The bytes whose number stands at the end of a command.
async fn literal(stream: &mut BufReader<TcpStream>, command: &str) -> std::io::Result<Vec<u8>> {
    let length = command.rsplit(['{', '}']).nth(1).and_then(|length| length.parse().ok()).unwrap_or(0);
    stream.write_all(b"+ go on\r\n").await?;
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await?;
    stream.read_line(&mut String::new()).await?;
    Ok(bytes)
}

async fn uid(stream: &mut BufReader<TcpStream>, mails: &Mails, command: &str) -> std::io::Result<String> {
    let words: Vec<&str> = command.splitn(4, ' ').collect();
    let ["UID", verb, range, items] = words.as_slice() else {
        let found: Vec<_> = mails.search("").iter().map(u32::to_string).collect();
        return Ok(format!("* SEARCH {}\r\n", found.join(" ")));
    };
    if verb.eq_ignore_ascii_case("SEARCH") {
        let found: Vec<_> = mails.search(command).iter().map(u32::to_string).collect();
        return Ok(format!("* SEARCH {}\r\n", found.join(" ")));
    }
    for (number, uid, mail) in mails.range(range) {
        if items.contains("BODY.PEEK[]") {
            let head = format!("* {number} FETCH (UID {uid} BODY[]<0> {{{}}}\r\n", mail.len());
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&mail).await?;
            stream.write_all(b")\r\n").await?;
        } else {
            let line = format!("* {number} FETCH (UID {uid} RFC822.SIZE {})\r\n", mail.len());
            stream.write_all(line.as_bytes()).await?;
        }
    }
    Ok(String::new())
}

/// Until the client says DONE.
async fn idle(
    stream: &mut BufReader<TcpStream>,
    mails: &Mails,
    stage: Option<&Stage>,
) -> std::io::Result<()> {
    stream.write_all(b"+ waiting\r\n").await?;
    if let Some(payload) = stage.and_then(Stage::payload) {
        mails.arrive(super::lines(payload.as_bytes()).unwrap_or_default());
    }
    if let Some(stage) = stage {
        stage.polled();
    }
    let mut line = String::new();
    loop {
        tokio::select! {
            read = stream.read_line(&mut line) => {
                read?;
                return Ok(());
            }
            () = mails.0.arrived.notified() => {}
        }
        let count = mails.mails().len();
        stream.write_all(format!("* {count} EXISTS\r\n").as_bytes()).await?;
    }
}
