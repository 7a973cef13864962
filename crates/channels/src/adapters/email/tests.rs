use std::sync::{Arc, Mutex};
use std::time::Duration;

use claw_types::{Deed, Inbound, MediaKind, MessageId, Outbound, Reaction};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::exam::Mails;
use super::*;
use crate::SinkError;
use crate::adapters::webhook::testing::{NOW, Recorder, deps};
use crate::kit::http::Http;
use crate::kit::plan::plan;

crate::exam::conformance!(Email);

mod copies;
mod peer;
mod signing_in;

const SOON: Duration = Duration::from_secs(20);

/// A mailbox at a server of the test.
#[derive(Clone)]
struct Room {
    mails: Mails,
    imap: u16,
}

impl Room {
    #[expect(clippy::disallowed_methods, reason = "a test has no lifecycle; its runtime ends the task")]
    async fn enter() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (mails, imap) = (Mails::default(), listener.local_addr().unwrap().port());
        let served = mails.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(exam::speak(stream, served.clone(), None));
            }
        });
        Self { mails, imap }
    }

    fn channel(&self) -> Email {
        made(&json!({"imap_port": self.imap})).unwrap()
    }

    fn arrive(&self, id: &str, headers: &str) {
        let mail = format!(
            "From: Ada <ada@example.com>\r\nTo: claw@example.org\r\nSubject: {id}\r\nMessage-ID: <{id}@x>\r\n{headers}\r\n\
             Hello from {id}\r\n"
        );
        self.mails.arrive(mail.into_bytes());
    }
}

fn config(extra: &Value) -> Value {
    let mut config = json!({"imap_host": "127.0.0.1", "smtp_host": "127.0.0.1", "smtp_port": 1, "username": "claw@example.org",
        "password_env": "secret", "encryption": "none"});
    config.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    config
}

fn made(extra: &Value) -> Result<Email, ChannelError> {
    Email::new(serde_json::from_value(config(extra)).unwrap(), deps(Arc::new(Recorder::default())))
}

/// Takes what comes in, and remembers how far it came, as the database does.
struct Taken {
    cursor: Mutex<Option<String>>,
    /// Whether it is committed.
    commits: bool,
    subjects: mpsc::UnboundedSender<String>,
    saved: mpsc::UnboundedSender<String>,
    trouble: mpsc::UnboundedSender<Option<String>>,
}

/// What a [`Taken`] tells.
struct Told {
    subjects: mpsc::UnboundedReceiver<String>,
    saved: mpsc::UnboundedReceiver<String>,
    trouble: mpsc::UnboundedReceiver<Option<String>>,
}

fn sink(cursor: Option<String>, commits: bool) -> (Taken, Told) {
    let ((subjects, told), (saved, cursors)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
    let (trouble, troubles) = mpsc::unbounded_channel();
    let taken = Taken { cursor: Mutex::new(cursor), commits, subjects, saved, trouble };
    (taken, Told { subjects: told, saved: cursors, trouble: troubles })
}

#[async_trait]
impl Sink for Taken {
    async fn accept(&self, messages: Vec<Inbound>) -> Result<(), SinkError> {
        for message in messages {
            self.subjects.send(message.metadata["subject"].as_str().unwrap().to_owned()).unwrap();
        }
        if self.commits { Ok(()) } else { Err(SinkError::LostOwnership) }
    }

    async fn cursor(&self) -> Result<Option<String>, SinkError> {
        Ok(self.cursor.lock().unwrap().clone())
    }

    async fn save_cursor(&self, cursor: String) -> Result<(), SinkError> {
        *self.cursor.lock().unwrap() = Some(cursor.clone());
        self.saved.send(cursor).unwrap();
        Ok(())
    }

    async fn trouble(&self, error: Option<&str>) {
        // Some tests don't ask.
        drop(self.trouble.send(error.map(str::to_owned)));
    }
}

/// Listens while something else happens, and stops when it has.
async fn meanwhile<T>(channel: &Email, sink: &Taken, other: impl Future<Output = T>) -> T {
    let stop = CancellationToken::new();
    let ends = async {
        let done = tokio::time::timeout(SOON, other).await.expect("it happens soon");
        stop.cancel();
        done
    };
    let (listened, done) = futures::join!(channel.listen(sink, stop.clone()), ends);
    listened.unwrap();
    done
}

#[tokio::test]
async fn what_was_there_before_is_nobodys_question_and_a_restart_goes_on() {
    let room = Room::enter().await;
    room.arrive("old", "");
    let (first, mut told) = sink(None, true);
    meanwhile(&room.channel(), &first, async {
        told.saved.recv().await.unwrap();
        room.arrive("new", "");
        assert_eq!(told.subjects.recv().await.unwrap(), "new");
        told.saved.recv().await.unwrap();
    })
    .await;
    let cursor = first.cursor().await.unwrap();
    room.arrive("while-away", "");
    let (second, mut told) = sink(cursor, true);
    meanwhile(&room.channel(), &second, async {
        assert_eq!(told.subjects.recv().await.unwrap(), "while-away");
        told.saved.recv().await.unwrap();
    })
    .await;
    let (third, mut told) = sink(second.cursor().await.unwrap(), true);
    meanwhile(&room.channel(), &third, async {
        room.arrive("last", "");
        assert_eq!(told.subjects.recv().await.unwrap(), "last", "and nothing twice");
    })
    .await;
}

#[tokio::test]
async fn what_is_not_committed_is_read_again() {
    let room = Room::enter().await;
    let (taken, mut told) = sink(Some(r#"{"INBOX":[7,1]}"#.to_owned()), false);
    room.arrive("lost", "");
    let ended = room.channel().listen(&taken, CancellationToken::new()).await;
    assert!(matches!(ended, Err(ChannelError::Config(_))), "the channel is another worker's now: {ended:?}");
    assert_eq!(told.subjects.recv().await.unwrap(), "lost");
    assert!(told.saved.try_recv().is_err(), "its place is not behind it");
}

#[tokio::test]
async fn a_folder_that_was_made_anew_does_not_bring_old_mail() {
    let room = Room::enter().await;
    room.arrive("old", "");
    room.mails.renumber();
    let (taken, mut told) = sink(Some(r#"{"INBOX":[7,1]}"#.to_owned()), true);
    meanwhile(&room.channel(), &taken, async {
        assert_eq!(told.saved.recv().await.unwrap(), r#"{"INBOX":[8,2]}"#);
        room.arrive("new", "");
        assert_eq!(told.subjects.recv().await.unwrap(), "new");
    })
    .await;
    let told = told.trouble.recv().await.unwrap();
    assert!(told.is_some_and(|told| told.contains("\"INBOX\" anew: reading goes on with what comes now")));
}

#[tokio::test]
async fn what_came_while_a_folder_was_made_anew_is_not_lost() {
    let room = Room::enter().await;
    let dated = |seconds: i64| {
        let date = chrono::DateTime::from_timestamp(NOW + seconds, 0).unwrap();
        format!("Date: {}\r\n", date.to_rfc2822())
    };
    room.arrive("old", &dated(-10 * 86_400));
    room.arrive("before-the-last-look", &dated(-3700));
    room.arrive("behind-it", &dated(-3500));
    room.mails.renumber();
    let cursor = json!({"": [NOW - 3600, 0], "INBOX": [7, 100]}).to_string();
    let (taken, mut told) = sink(Some(cursor), true);
    meanwhile(&room.channel(), &taken, async {
        // What was taken before has the id by which the database knows it.
        assert_eq!(told.subjects.recv().await.unwrap(), "before-the-last-look");
        assert_eq!(told.subjects.recv().await.unwrap(), "behind-it");
        let saved: Value = serde_json::from_str(&told.saved.recv().await.unwrap()).unwrap();
        assert_eq!(saved, json!({"": [NOW - 3600, 0], "INBOX": [8, 4]}));
        let trouble = told.trouble.recv().await.unwrap().expect("its user is told");
        assert!(trouble.contains("since 13-Nov-2023 was read again"), "{trouble}");
        room.arrive("new", &dated(0));
        assert_eq!(told.subjects.recv().await.unwrap(), "new");
        assert_eq!(told.trouble.recv().await.unwrap(), None, "it is over with the next look");
    })
    .await;
}

#[tokio::test]
async fn what_is_read_anew_counts_only_when_it_is_committed() {
    let room = Room::enter().await;
    room.arrive("mail", "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n");
    room.mails.renumber();
    let cursor = json!({"": [NOW, 0], "INBOX": [7, 1]}).to_string();
    let (taken, mut told) = sink(Some(cursor), false);
    let ended = room.channel().listen(&taken, CancellationToken::new()).await;
    assert!(matches!(ended, Err(ChannelError::Config(_))), "{ended:?}");
    assert_eq!(told.subjects.recv().await.unwrap(), "mail");
    assert!(told.saved.try_recv().is_err(), "the next one reads it anew, too");
}

fn message(extra: &Value) -> Outbound {
    let mut message = json!({"recipient": "ada@example.com"});
    message.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    let message: Outbound = serde_json::from_value(message).unwrap();
    message.validate().unwrap();
    message
}

/// In which thread the first part of a message would go.
async fn thread_of(channel: &Email, extra: &Value) -> Option<incoming::Thread> {
    let message = message(extra);
    let plan = plan(&message, &CAPS).unwrap();
    channel.thread(&part(&message, &plan.parts[0])).await.unwrap()
}

fn part<'a>(message: &'a Outbound, piece: &'a crate::kit::plan::Piece) -> Part<'a> {
    Part {
        message_id: MessageId(Uuid::from_u128(9)),
        seq: 1,
        index: 0,
        recipient: &message.recipient,
        thread_id: message.thread_id.as_deref(),
        piece,
        accepted_at: chrono::DateTime::UNIX_EPOCH,
        replaces: None,
    }
}

/// A worker that has just taken the channel over knows no thread: it finds them in the mailbox.
#[tokio::test]
async fn an_answer_goes_to_the_last_mail_of_its_thread() {
    let room = Room::enter().await;
    room.arrive("first", "");
    room.arrive("second", "In-Reply-To: <ours@x>\r\nReferences: <first@x> <ours@x>\r\n");
    room.arrive("other", "");
    let channel = room.channel();
    let found = thread_of(&channel, &json!({"text": "a", "thread_id": "first@x"})).await.unwrap();
    let expected = incoming::Thread {
        last: "second@x".to_owned(),
        references: vec!["first@x".to_owned(), "ours@x".to_owned()],
        subject: "second".to_owned(),
    };
    assert_eq!(found, expected);
    let answered = json!({"text": "a", "thread_id": "first@x", "reply_to": "first@x"});
    assert_eq!(thread_of(&channel, &answered).await.unwrap().last, "first@x");
    let unknown = thread_of(&channel, &json!({"text": "a", "thread_id": "gone@x"})).await.unwrap();
    assert_eq!((unknown.last.as_str(), unknown.references.len()), ("gone@x", 0));
    assert_eq!(thread_of(&channel, &json!({"text": "a"})).await, None);
    let smuggled = json!({"text": "a", "thread_id": "x\" DELETED"});
    assert_eq!(thread_of(&channel, &smuggled).await, None, "what is no id is in no search");
}

#[test]
fn a_mail_says_what_it_answers() {
    let message = message(&json!({"text": "**1 + 1** is 2 & so on", "thread_id": "first@x"}));
    let plan = plan(&message, &CAPS).unwrap();
    let Content::Text(text) = &plan.parts[0].content else { panic!("a text") };
    let thread = incoming::Thread {
        last: "second@x".to_owned(),
        references: vec!["first@x".to_owned()],
        subject: "Grüße".to_owned(),
    };
    let id = compose::message_id(MessageId(Uuid::from_u128(9)), 1, "claw@example.org");
    let mail = compose::mail(&compose::Draft {
        from: ("Claw, Ünicode", "claw@example.org"),
        to: "ada@example.com",
        id: id.clone(),
        at: chrono::DateTime::UNIX_EPOCH,
        text: Some(text),
        files: Vec::new(),
        thread: Some(thread),
    })
    .unwrap();
    let read = mail_parser::MessageParser::default().parse(&mail).unwrap();
    assert_eq!(id, "00000000-0000-0000-0000-000000000009.1.claw@example.org");
    assert!(incoming::is_ours(&id, "claw@example.org"));
    assert_eq!((read.message_id(), read.subject()), (Some(id.as_str()), Some("Re: Grüße")));
    let again = incoming::thread(&mail).unwrap();
    assert_eq!(again.references, ["first@x", "second@x"]);
    assert_eq!(read.in_reply_to().as_text(), Some("second@x"));
    assert_eq!(read.header_raw("Auto-Submitted").map(str::trim), Some("auto-replied"));
    assert_eq!(read.body_text(0).unwrap().trim(), "1 + 1 is 2 & so on");
    let html = read.body_html(0).unwrap();
    assert!(html.contains("<b>1 + 1</b> is 2 &amp; so on"), "{html}");
    let place = incoming::Place { folder: "INBOX", validity: 1, uid: 1 };
    let rules = incoming::Rules { own: "claw@example.org".to_owned(), allowed: Vec::new(), vouching: None };
    assert!(incoming::read(&mail, place, &rules)[0].is_own, "what comes back to us is known");
}

#[test]
fn a_reaction_is_a_mail_that_reads_as_one() {
    let thread = incoming::Thread {
        last: "second@x".to_owned(),
        references: vec!["first@x".to_owned()],
        subject: "Numbers".to_owned(),
    };
    let draft = compose::Draft {
        from: ("Claw", "claw@example.org"),
        to: "ada@example.com",
        id: "liked.claw@example.org".to_owned(),
        at: chrono::DateTime::UNIX_EPOCH,
        text: None,
        files: Vec::new(),
        thread: Some(thread),
    };
    let mail = compose::reaction(&draft, "👍").unwrap();
    let read = mail_parser::MessageParser::default().parse(&mail).unwrap();
    assert_eq!((read.in_reply_to().as_text(), read.subject()), (Some("second@x"), Some("Re: Numbers")));
    // By the standard, as Gmail has it, and for who knows neither.
    let forms: Vec<_> = read.parts[1..].iter().map(|part| part.text_contents().unwrap().trim()).collect();
    assert_eq!((forms.len(), forms[0], read.body_text(0).unwrap().trim()), (3, "👍", "👍"));
    let gmail: Value = serde_json::from_str(forms[1]).unwrap();
    assert_eq!(gmail, json!({"version": 1, "emoji": "👍"}));
    assert!(read.body_html(0).unwrap().contains('👍'));
    let told = String::from_utf8(mail.clone()).unwrap().to_ascii_lowercase();
    assert!(told.contains("content-disposition: reaction\r\n"), "{told}");
    let place = incoming::Place { folder: "INBOX", validity: 1, uid: 1 };
    let rules = incoming::Rules { own: "claw@example.org".to_owned(), allowed: Vec::new(), vouching: None };
    let came_back = incoming::read(&mail, place, &rules).remove(0);
    let added = vec!["👍".to_owned()];
    let reaction = Reaction { to: "second@x".to_owned(), added, ..Reaction::default() };
    assert_eq!((came_back.deed, came_back.is_own), (Deed::Reacted(reaction), true));
}

#[tokio::test]
async fn what_can_be_no_reaction_is_refused_with_a_sentence() {
    let channel = made(&json!({})).unwrap();
    for (message_id, emoji, said) in [
        ("first@x", json!(null), "can't be taken away"),
        ("first@x", json!("+1"), "no emoji"),
        ("no<id", json!("👍"), "platform_message_id"),
    ] {
        let message = message(&json!({"act": {"type": "react", "message_id": message_id, "emoji": emoji}}));
        let plan = plan(&message, &CAPS).unwrap();
        let sent = channel.send(&part(&message, &plan.parts[0])).await;
        assert!(matches!(&sent, Err(ChannelError::Permanent(why)) if why.contains(said)), "{sent:?}");
    }
}

#[tokio::test]
async fn an_attachment_is_opened_where_its_mail_lies() {
    let room = Room::enter().await;
    let payload = exam::Exam.payloads().iter().find(|payload| payload.name == "attachments").unwrap();
    room.arrive("other", "");
    room.mails.arrive(exam::lines(payload.sent.as_bytes()).unwrap());
    let channel = room.channel();
    let (taken, mut told) = sink(Some(r#"{"INBOX":[7,1]}"#.to_owned()), true);
    meanwhile(&channel, &taken, async { while told.subjects.recv().await.unwrap() != "Two files" {} }).await;
    let place = incoming::Place { folder: "INBOX", validity: 7, uid: 2 };
    let mail = exam::lines(payload.sent.as_bytes()).unwrap();
    let read = incoming::read(&mail, place, &channel.mailbox.rules);
    let kinds: Vec<_> = read.iter().map(|message| message.media.clone().unwrap()).collect();
    assert_eq!(kinds.iter().map(|media| media.kind).collect::<Vec<_>>(), [MediaKind::Image, MediaKind::File]);
    let mut opened = channel.open_media(&kinds[1]).await.unwrap();
    assert_eq!(opened.content_type.as_deref(), Some("application/pdf"));
    assert_eq!(opened.bytes.next().await.unwrap().unwrap(), "%PDF-1.4");
    room.mails.renumber();
    let gone = channel.open_media(&kinds[1]).await.err();
    assert!(matches!(gone, Some(ChannelError::Permanent(_))), "{gone:?}");
}

#[test]
fn fields_that_make_no_sense_are_told_with_what_to_change() {
    let why = |extra: Value| match made(&extra) {
        Err(ChannelError::Config(why)) => why,
        other => panic!("{extra}: {:?}", other.err()),
    };
    for host in ["", "https://imap.example.org", "imap.example.org:993", "a b", "imap/x"] {
        assert!(why(json!({"imap_host": host})).starts_with("imap_host is no name"), "{host}");
    }
    assert!(why(json!({"smtp_port": 0})).starts_with("smtp_port is no port"));
    assert!(why(json!({"username": "claw"})).contains("address has to be set"));
    assert!(why(json!({"username": ""})).contains("can't be empty"));
    assert!(why(json!({"password_env": ""})).starts_with("password_env is needed"));
    assert!(why(json!({"folders": vec!["x"; 11]})).contains("at most 10"));
    assert!(made(&json!({"username": "claw", "address": "claw@example.org"})).is_ok());
}

#[test]
fn a_password_goes_in_clear_only_where_the_operator_allows_it() {
    let guarded = |extra: &Value| {
        let deps = Deps { http: Http::new(false).unwrap(), ..deps(Arc::new(Recorder::default())) };
        Email::new(serde_json::from_value(config(extra)).unwrap(), deps).err()
    };
    let named = json!({"imap_host": "imap.example.org", "smtp_host": "smtp.example.org"});
    assert!(matches!(guarded(&named), Some(ChannelError::Config(why)) if why.contains("encryption")));
    let mut encrypted = named.clone();
    encrypted["encryption"] = json!("tls");
    assert_eq!(guarded(&encrypted), None);
    encrypted["smtp_host"] = json!("10.0.0.1");
    assert!(matches!(guarded(&encrypted), Some(ChannelError::Config(why)) if why.contains("private")));
}

#[test]
fn one_mailbox_is_in_one_channel() {
    let credentials = |extra: Value| Email::credentials(&serde_json::from_value(config(&extra)).unwrap());
    assert_eq!(credentials(json!({"username": "Claw@example.org"})), credentials(json!({"imap_port": 143})));
    assert_ne!(credentials(json!({})), credentials(json!({"username": "other@example.org"})));
    assert!(!credentials(json!({})).concat().contains("secret"));
    assert_eq!(credentials(json!({"address": "team@example.org"})).len(), 1, "several may send under it");
}
