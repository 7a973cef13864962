//! As much of SMTP as handing a mail to one's own server needs (<https://www.rfc-editor.org/rfc/rfc5321>, submission by
//! <https://www.rfc-editor.org/rfc/rfc6409>).
//!
//! docs/adr/0013 says why this is not a crate: what matters here is whether a connection broke before the server had the whole mail,
//! which never happened then, or after that, when nobody knows.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::time::Instant;

use super::login::{Login, Mechanism, Proof};
use super::wire::{Protection, Server, Wire};
use crate::ChannelError;
use crate::kit::answer::excerpt;
use crate::kit::http::Http;

/// Lines of one reply that are read.
const MAX_LINES: usize = 100;
/// Characters of what a server says that are quoted.
const MAX_QUOTE: usize = 300;
/// How long to wait after a server said that it gets too much: none says for how long.
pub(super) const PAUSE: Duration = Duration::from_secs(60);
/// How servers say that they get too much: there is no code for it
/// (<https://support.google.com/a/answer/3726730>, <https://www.postfix.org/anvil.8.html>).
const TOO_MUCH: [&str; 5] = ["too quickly", "too many", "unusual rate", "rate limit", "limit exceeded"];
/// A connection that was not used for this long is not used again: servers end them after minutes (RFC 5321, section 4.5.3.2.7).
const FRESH: Duration = Duration::from_secs(60);

/// A mail on its way.
pub(super) struct Envelope<'a> {
    /// The mail's own id, by which servers name it that support reports (<https://www.rfc-editor.org/rfc/rfc3461#section-4.4>).
    pub(super) id: &'a str,
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    pub(super) mail: &'a [u8],
}

/// A connection of somebody who is signed in.
#[derive(Debug)]
pub(super) struct Smtp {
    wire: Wire,
    used: Instant,
    /// Bytes of a mail that it takes at most (<https://www.rfc-editor.org/rfc/rfc1870>); 0 where it does not say.
    most: usize,
    /// Whether it knows what a report on a mail is to return (<https://www.rfc-editor.org/rfc/rfc3461>).
    reports: bool,
}

struct Reply {
    code: u16,
    lines: Vec<String>,
}

impl Smtp {
    /// Connects and signs in; `own` is the domain of the channel's address.
    pub(super) async fn sign_in(
        server: &Server,
        http: &Http,
        own: &str,
        login: &Login,
    ) -> Result<Self, ChannelError> {
        let wire = Wire::connect(server, http).await?;
        let mut smtp = Self { wire, used: Instant::now(), most: 0, reports: false };
        smtp.reply().await?.expect(220)?;
        let hello = format!("EHLO {own}");
        let mut offers = smtp.ask(&hello).await?.expect(250)?;
        if server.protection == Protection::StartTls {
            smtp.ask("STARTTLS").await?.expect(220).map_err(|_| {
                ChannelError::Config(format!(
                    "the SMTP server at {}:{} has no STARTTLS; use its port for TLS, often 465",
                    server.host, server.port
                ))
            })?;
            smtp = Self { wire: smtp.wire.secured().await?, ..smtp };
            offers = smtp.ask(&hello).await?.expect(250)?;
        }
        smtp.most = offers.number("SIZE").unwrap_or(0);
        smtp.reports = offers.has("DSN");
        smtp.authenticate(&offers, login).await?;
        Ok(smtp)
    }

    async fn authenticate(&mut self, offers: &Reply, login: &Login) -> Result<(), ChannelError> {
        let answered = match &login.proof {
            Proof::Password(password) => self.say(offers, &login.username, password).await?,
            Proof::Token(token) => self.show(offers, &login.username, token).await?,
        };
        // 535 and its like (https://www.rfc-editor.org/rfc/rfc4954#section-6); a 4yz is no matter of the password.
        answered.expect(235).map(drop).map_err(|error| match error {
            ChannelError::Permanent(why) | ChannelError::BadCredentials(why) => {
                let why = login.hidden(&why);
                ChannelError::BadCredentials(format!("{} are not taken: {why}", login.what()))
            }
            other => other,
        })
    }

    async fn say(&mut self, offers: &Reply, username: &str, password: &str) -> Result<Reply, ChannelError> {
        if offers.offers("AUTH", "PLAIN") {
            let both = STANDARD.encode(format!("\0{username}\0{password}"));
            self.ask(&format!("AUTH PLAIN {both}")).await
        } else if offers.offers("AUTH", "LOGIN") {
            self.ask("AUTH LOGIN").await?.expect(334)?;
            self.ask(&STANDARD.encode(username)).await?.expect(334)?;
            self.ask(&STANDARD.encode(password)).await
        } else {
            Err(ChannelError::Config(
                "the SMTP server takes no user name and password (no AUTH PLAIN or LOGIN); check smtp_host and smtp_port"
                    .to_owned(),
            ))
        }
    }

    /// Shows an access token. One that is refused is challenged first, and refused when that was answered.
    async fn show(&mut self, offers: &Reply, username: &str, token: &str) -> Result<Reply, ChannelError> {
        let mechanism = Mechanism::offered(|name| offers.offers("AUTH", name)).ok_or_else(|| {
            ChannelError::Config(
                "the SMTP server takes no access tokens (no AUTH XOAUTH2 or OAUTHBEARER); check smtp_host and sign_in".to_owned(),
            )
        })?;
        let response = mechanism.response(username, token, self.wire.server());
        let answered = self.ask(&format!("AUTH {} {response}", mechanism.name())).await?;
        if answered.code == 334 { self.ask(mechanism.go_on()).await } else { Ok(answered) }
    }

    /// Whether it is worth another mail: used not long ago, and the server still answers.
    pub(super) async fn is_alive(&mut self) -> bool {
        self.used.elapsed() < FRESH && matches!(self.ask("RSET").await, Ok(reply) if reply.code == 250)
    }

    /// Hands a mail over. What breaks before the last line of it has not happened.
    pub(super) async fn send(&mut self, envelope: &Envelope<'_>) -> Result<(), ChannelError> {
        let Envelope { id, from, to, mail } = envelope;
        let body = stuffed(mail);
        if self.most > 0 && body.len() > self.most {
            return Err(ChannelError::Permanent(format!(
                "the mail has {} bytes and the SMTP server takes {}; send less or smaller attachments",
                body.len(),
                self.most
            )));
        }
        let reports = if self.reports { format!(" RET=HDRS ENVID={}", xtext(id)) } else { String::new() };
        self.ask(&format!("MAIL FROM:<{from}>{reports}")).await?.expect(250)?;
        self.ask(&format!("RCPT TO:<{to}>")).await?.expect(250)?;
        self.ask("DATA").await?.expect(354)?;
        self.wire.write(&body).await?;
        let ended = match self.wire.write(b".\r\n").await {
            Ok(()) => self.reply().await,
            Err(error) => Err(error),
        };
        self.used = Instant::now();
        // It may have been taken.
        let reply = ended.map_err(|error| ChannelError::Uncertain(error.to_string()))?;
        reply.expect(250).map(drop)
    }

    /// Ends the connection; a server that does not answer has ended it, too.
    pub(super) async fn sign_out(mut self) {
        drop(self.ask("QUIT").await);
    }

    async fn ask(&mut self, command: &str) -> Result<Reply, ChannelError> {
        self.wire.write(format!("{command}\r\n").as_bytes()).await?;
        self.reply().await
    }

    /// `250-first`, `250 last`.
    async fn reply(&mut self) -> Result<Reply, ChannelError> {
        let mut reply = Reply { code: 0, lines: Vec::new() };
        while reply.lines.len() < MAX_LINES {
            let line = String::from_utf8_lossy(&self.wire.line().await?).into_owned();
            let Some((code, is_last, text)) = read_line(&line) else {
                return Err(ChannelError::Retryable(format!(
                    "{} does not speak SMTP: {}",
                    self.wire.server().what,
                    excerpt(&line, 60)
                )));
            };
            reply.code = code;
            reply.lines.push(text.to_owned());
            if is_last {
                return Ok(reply);
            }
        }
        Err(ChannelError::Retryable("the SMTP server's reply has no end".to_owned()))
    }
}

impl Reply {
    /// The reply, if it is what is needed to go on (251: it is forwarded).
    fn expect(self, code: u16) -> Result<Self, ChannelError> {
        if self.code == code || code == 250 && self.code == 251 { Ok(self) } else { Err(self.refusal()) }
    }

    /// What a refusal means (RFC 5321, section 4.2.1).
    fn refusal(&self) -> ChannelError {
        let said = excerpt(&self.lines.join(" "), MAX_QUOTE);
        let text = format!("the SMTP server answered {}: {said}", self.code);
        let small = said.to_ascii_lowercase();
        match self.code {
            // Sign in first, the password is too weak or wrong, the mechanism wants TLS (RFC 4954, section 6).
            530 | 534 | 535 | 538 => ChannelError::BadCredentials(text),
            400..=499 if TOO_MUCH.iter().any(|words| small.contains(words)) => {
                ChannelError::RateLimited(PAUSE)
            }
            500..=599 => ChannelError::Permanent(text),
            _ => ChannelError::Retryable(text),
        }
    }

    /// Whether an extension is offered with a word.
    fn offers(&self, extension: &str, word: &str) -> bool {
        self.words(extension).any(|known| known.eq_ignore_ascii_case(word))
    }

    /// Whether an extension is offered that has no words.
    fn has(&self, extension: &str) -> bool {
        self.lines.iter().any(|line| line.trim().eq_ignore_ascii_case(extension))
    }

    fn number(&self, extension: &str) -> Option<usize> {
        self.words(extension).next()?.parse().ok()
    }

    fn words<'r>(&'r self, extension: &'r str) -> impl Iterator<Item = &'r str> {
        // "AUTH=LOGIN" is how servers wrote it before there was a standard.
        let lines = self.lines.iter().filter_map(|line| line.split_once([' ', '=']));
        lines
            .filter(move |(name, _)| name.eq_ignore_ascii_case(extension))
            .flat_map(|(_, rest)| rest.split(' '))
    }
}

fn read_line(line: &str) -> Option<(u16, bool, &str)> {
    let (code, rest) = line.split_at_checked(3)?;
    let code = code.parse().ok().filter(|code| (200..600).contains(code))?;
    match rest.as_bytes().first() {
        None => Some((code, true, "")),
        Some(b' ') => Some((code, true, &rest[1..])),
        Some(b'-') => Some((code, false, &rest[1..])),
        Some(_) => None,
    }
}

/// A text as a parameter's value (RFC 3461, section 4).
fn xtext(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'+' | b'=');
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("+{byte:02X}") })
        .collect()
}

/// A mail as it goes over the wire: every line ends with CR LF, and a line that begins with a point gets another one
/// (RFC 5321, section 4.5.2). A single CR or LF in it would let it end before its end (<https://smtpsmuggling.com>).
fn stuffed(mail: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(mail.len() + mail.len() / 50);
    let mail = mail.strip_suffix(b"\n").unwrap_or(mail);
    for line in mail.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.first() == Some(&b'.') {
            out.push(b'.');
        }
        out.extend(line.iter().map(|byte| if *byte == b'\r' { b' ' } else { *byte }));
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// Reads what a server may say, for fuzzing.
pub(super) fn fuzz(data: &[u8]) {
    if let Some((code, _, text)) = read_line(&String::from_utf8_lossy(data)) {
        let reply = Reply { code, lines: vec![text.to_owned()] };
        drop((reply.refusal(), reply.offers("AUTH", "PLAIN"), reply.number("SIZE")));
    }
    drop(stuffed(data));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: u16, text: &str) -> ChannelError {
        Reply { code, lines: vec![text.to_owned()] }.refusal()
    }

    #[test]
    fn replies_map_to_what_can_be_done() {
        assert!(matches!(of(535, "5.7.8 Error: authentication failed"), ChannelError::BadCredentials(_)));
        assert!(matches!(
            of(530, "5.7.0 Must issue a STARTTLS command first"),
            ChannelError::BadCredentials(_)
        ));
        assert!(matches!(of(451, "4.7.1 Greylisting in action"), ChannelError::Retryable(_)));
        assert!(matches!(of(421, "4.3.0 Temporary System Problem"), ChannelError::Retryable(_)));
        assert!(matches!(of(454, "4.7.0 Temporary authentication failure"), ChannelError::Retryable(_)));
        let slow = "4.2.1 The user you are trying to contact is receiving mail too quickly.";
        assert_eq!(of(450, slow), ChannelError::RateLimited(PAUSE));
        assert_eq!(
            of(421, "4.7.0 Error: too many connections from 192.0.2.1"),
            ChannelError::RateLimited(PAUSE)
        );
        let said = "the SMTP server answered 550: 5.1.1 <x@y>: User unknown";
        assert_eq!(of(550, "5.1.1 <x@y>: User unknown"), ChannelError::Permanent(said.to_owned()));
        // What is over for today is not worth a minute's wait.
        assert!(matches!(of(550, "5.4.5 Daily user sending limit exceeded"), ChannelError::Permanent(_)));
    }

    #[test]
    fn an_id_stands_in_a_command_as_one_word() {
        assert_eq!(xtext("0190.1.claw@example.org"), "0190.1.claw@example.org");
        assert_eq!(xtext("a+b=c d\r\n"), "a+2Bb+3Dc+20d+0D+0A");
    }

    #[test]
    fn a_mail_ends_where_it_ends() {
        assert_eq!(stuffed(b"a\r\n.\r\n.b\nc\r\n"), b"a\r\n..\r\n..b\r\nc\r\n");
        assert_eq!(stuffed(b"a\n.\nMAIL FROM:<x>"), b"a\r\n..\r\nMAIL FROM:<x>\r\n");
        assert_eq!(stuffed(b"a\r.\rb"), b"a . b\r\n");
    }

    #[test]
    fn what_a_server_offers_is_read_by_words() {
        let reply = Reply {
            code: 250,
            lines: ["mx.example.org", "SIZE 35882577", "auth PLAIN LOGIN XOAUTH2"]
                .map(str::to_owned)
                .to_vec(),
        };
        assert!(reply.offers("AUTH", "plain") && !reply.offers("AUTH", "CRAM-MD5"));
        assert_eq!(reply.number("SIZE"), Some(35_882_577));
        assert_eq!(read_line("250-SIZE"), Some((250, false, "SIZE")));
        assert_eq!((read_line("999 x"), read_line("25"), read_line("250xOK")), (None, None, None));
    }
}
