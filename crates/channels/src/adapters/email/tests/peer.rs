//! A conversation with real servers, which `make peer-mail` starts (tests/peers/mail): Dovecot and Postfix, with TLS.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claw_runtime::{Clock as _, SystemClock};
use claw_secrets::signature;
use mail_parser::MessageParser;

use super::*;
use crate::adapters::webhook::testing::serve;

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
    let to = |to: &'static str| Envelope {
        id: "question@ada.example.org",
        from: "ada@example.org",
        to,
        mail: QUESTION.as_bytes(),
    };
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
    answered(&password, &ada).await;
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
async fn answered(password: &str, ada: &Email) {
    let stranger = from_the_first_byte(person("claw", password, 21_993, 21_465));
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

/// Access tokens that Dovecot takes: signed with the password.
fn token(password: &str, address: &str) -> String {
    let now = SystemClock.now().timestamp();
    let claims = json!({"sub": address, "email": address, "iat": now, "nbf": now - 60, "exp": now + 3600});
    let unsigned =
        [json!({"alg": "HS256", "typ": "JWT"}), claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let unsigned = unsigned.join(".");
    let signature = signature::hmac_sha256(password.as_bytes(), &[unsigned.as_bytes()]);
    format!("{unsigned}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The mailbox, by access tokens of a server that gives this one.
async fn by_token(token: String) -> Email {
    let give = async move || axum::Json(json!({"access_token": token, "expires_in": 3600}));
    let server = serve(axum::Router::new().route("/token", axum::routing::post(give))).await;
    from_the_first_byte(
        made(&json!({"imap_host": "localhost", "imap_port": 21_993, "smtp_host": "localhost", "smtp_port": 21_465,
            "encryption": "tls", "password_env": null, "sign_in": "oauth2", "client_id": "c", "refresh_token_env": "r",
            "token_url": format!("{server}/token")}))
        .unwrap(),
    )
}

/// Sends a text; its mail's id.
async fn say(from: &Email, to: &str, text: &str) -> String {
    let said = message(&json!({"recipient": to, "text": text}));
    let plan = plan(&said, &CAPS).unwrap();
    from.send(&part(&said, &plan.parts[0])).await.unwrap().platform_message_id
}

/// Takes what comes in, and tells of failed receipts.
struct Receipts(mpsc::UnboundedSender<claw_types::Receipts>, mpsc::UnboundedSender<()>);

#[async_trait]
impl Sink for Receipts {
    async fn accept(&self, messages: Vec<Inbound>) -> Result<(), SinkError> {
        for message in messages {
            if let Deed::Received(receipts) = message.deed {
                self.0.send(receipts).unwrap();
            }
        }
        Ok(())
    }

    async fn cursor(&self) -> Result<Option<String>, SinkError> {
        Ok(None)
    }

    async fn save_cursor(&self, _: String) -> Result<(), SinkError> {
        _ = self.1.send(());
        Ok(())
    }

    async fn trouble(&self, _: Option<&str>) {}
}

#[tokio::test]
async fn by_access_tokens_copies_are_kept_and_what_comes_back_is_a_failed_receipt() {
    let Ok(password) = std::env::var(PEER) else {
        eprintln!("SKIPPED: {PEER} is not set; `make peer-mail` starts the servers");
        return;
    };
    let forged = by_token(token("another", "claw@example.org")).await.probe().await;
    assert!(matches!(forged, Err(ChannelError::BadCredentials(_))), "{forged:?}");
    let mut claw = by_token(token(&password, "claw@example.org")).await;
    claw.copies.gather = Duration::ZERO;
    assert_eq!(claw.probe().await.unwrap().details["copies_in"], json!("Sent"));
    let (failed, mut receipts) = mpsc::unbounded_channel();
    let (saved, mut cursors) = mpsc::unbounded_channel();
    let (sink, stop) = (Receipts(failed, saved), CancellationToken::new());
    let comes_back = async {
        cursors.recv().await.unwrap();
        let id = say(&claw, "gone@example.org", "are you there?").await;
        let receipt = tokio::time::timeout(SOON, receipts.recv()).await.expect("it comes back").unwrap();
        let is_kept = async {
            let mut imap = claw.imap().await.unwrap();
            while !imap.has("Sent", &id).await.unwrap() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(SOON, is_kept).await.expect("the copy is kept");
        stop.cancel();
        (id, receipt)
    };
    let (ended, (id, receipt)) = futures::join!(claw.listen(&sink, stop.clone()), comes_back);
    ended.unwrap();
    assert_eq!(receipt.messages, [claw_types::Named::Platform(id)]);
    let why = receipt.failed.unwrap();
    assert!(why.starts_with("the mail to gone@example.org came back: there is no such mailbox"), "{why}");
}
