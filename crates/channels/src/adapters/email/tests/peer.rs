//! A conversation with real servers, which `make peer-mail` starts (tests/peers/mail): Dovecot and Postfix, with TLS.

use mail_parser::MessageParser;

use super::*;

/// Set by tests/peers/mail/run.sh: the password of both mailboxes.
const PEER: &str = "II_CLAW_MAIL_PEER";

/// A person with a mailbox there. The one signs in by TLS from the first byte, the other by TLS that begins with a command.
fn person(name: &str, password: &str, imap: u16, smtp: u16) -> Email {
    made(&json!({"imap_host": "localhost", "imap_port": imap, "smtp_host": "localhost", "smtp_port": smtp, "encryption": "tls",
        "username": format!("{name}@example.org"), "password_env": password}))
    .unwrap()
}

/// Protections by their usual ports, which belong to others on this machine.
fn begins_with_a_command(mut email: Email) -> Email {
    email.mailbox.imap.protection = wire::Protection::StartTls;
    email
}

fn from_the_first_byte(mut email: Email) -> Email {
    email.mailbox.smtp.protection = wire::Protection::Tls;
    email
}

const QUESTION: &str = "From: Ada <ada@example.org>\r\nTo: claw@example.org\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\
    Message-ID: <question@ada.example.org>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
    --b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nWhat is 1 + 1?\r\n.\r\n..dots\r\n\
    --b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\
    Content-Disposition: attachment; filename=cat.png\r\n\r\niVBORw0KGgo=\r\n--b--\r\n";

#[tokio::test]
async fn a_conversation_with_real_servers() {
    let Ok(password) = std::env::var(PEER) else {
        eprintln!("SKIPPED: {PEER} is not set; `make peer-mail` starts the servers");
        return;
    };
    let refused = from_the_first_byte(person("claw", "another", 21_993, 21_465)).probe().await;
    assert!(matches!(refused, Err(ChannelError::BadCredentials(_))), "{refused:?}");
    let claw = from_the_first_byte(person("claw", &password, 21_993, 21_465));
    let ada = begins_with_a_command(person("ada", &password, 21_143, 21_587));
    for person in [&claw, &ada] {
        let probe = person.probe().await.unwrap();
        assert_eq!(probe.details["told_of_new_mail"], json!(true), "Dovecot has IDLE");
    }
    let mut adas = ada.smtp().await.unwrap();
    let to = |to: &'static str| Envelope { from: "ada@example.org", to, mail: QUESTION.as_bytes() };
    let unknown = adas.send(&to("nobody@example.org")).await;
    assert!(matches!(unknown, Err(ChannelError::Permanent(_))), "{unknown:?}");
    assert!(adas.is_alive().await, "after a refusal the connection serves on");
    let (taken, mut told) = sink(None, true);
    meanwhile(&claw, &taken, async {
        told.saved.recv().await.unwrap();
        adas.send(&to("claw@example.org")).await.unwrap();
        assert_eq!(told.subjects.recv().await.unwrap(), "Grüße");
        told.saved.recv().await.unwrap();
    })
    .await;
    asked(&claw).await;
    answered(&claw, &ada).await;
    let (again, mut told) = sink(taken.cursor().await.unwrap(), true);
    meanwhile(&claw, &again, async {
        adas.send(&to("claw@example.org")).await.unwrap();
        told.subjects.recv().await.unwrap();
        told.saved.recv().await.unwrap();
    })
    .await;
    assert!(told.subjects.try_recv().is_err(), "a restart brings nothing twice");
}

/// The question lies in the mailbox as it was written, and its attachment opens.
async fn asked(claw: &Email) {
    let mut imap = claw.imap().await.unwrap();
    let folder = imap.open("INBOX").await.unwrap();
    let (uid, _) = imap.sizes(1).await.unwrap().pop().unwrap();
    let mail = imap.mail(uid, MAX_MAIL).await.unwrap().unwrap();
    let place = incoming::Place { folder: "INBOX", validity: folder.validity, uid };
    let read = incoming::read(&mail, place, &claw.mailbox.rules);
    assert_eq!(read[0].text.as_deref(), Some("Grüße\n\nWhat is 1 + 1?\n.\n..dots"));
    let mut opened = claw.open_media(read[0].media.as_ref().unwrap()).await.unwrap();
    assert_eq!(opened.bytes.next().await.unwrap().unwrap(), b"\x89PNG\r\n\x1a\n".as_slice());
}

/// A worker that knows nothing of the thread answers in it.
async fn answered(claw: &Email, ada: &Email) {
    let stranger = from_the_first_byte(person("claw", claw.mailbox.login().password, 21_993, 21_465));
    let answer = json!({"recipient": "ada@example.org", "thread_id": "question@ada.example.org", "text": "It is **2**.\n.\n"});
    let answer = message(&answer);
    let plan = plan(&answer, &CAPS).unwrap();
    let id = stranger.send(&part(&answer, &plan.parts[0])).await.unwrap().platform_message_id;
    let mut imap = ada.imap().await.unwrap();
    let found = async {
        loop {
            imap.open("INBOX").await.unwrap();
            if let Some(uid) = imap.search(&format!("HEADER Message-ID \"{id}\"")).await.unwrap().pop() {
                return uid;
            }
            imap.idle(Duration::from_secs(1)).await.unwrap();
        }
    };
    let uid = tokio::time::timeout(SOON, found).await.unwrap();
    let mail = imap.mail(uid, MAX_MAIL).await.unwrap().unwrap();
    let mail = MessageParser::default().parse(&mail).unwrap();
    assert_eq!(mail.subject(), Some("Re: Grüße"));
    assert_eq!(mail.in_reply_to().as_text(), Some("question@ada.example.org"));
    assert_eq!(mail.body_text(0).unwrap().trim().replace("\r\n", "\n"), "It is 2.\n.");
}
