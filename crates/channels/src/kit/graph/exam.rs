//! What the adapters of the Graph API bring to their exams alike: how Meta signs, refuses and hands out files.

use claw_secrets::signature::sign as signature;
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

use super::SIGNATURE;
use super::fields::PAGE_TOKEN;
use crate::RawRequest;
use crate::exam::body::at;
use crate::exam::{Answer, Asked, Case, Examinee, Payload, Platform, Road};

/// The signature has no time in it: what is posted again is known by its ids.
pub(crate) fn sign(secret: &str, body: &str, _: i64) -> RawRequest {
    let mut headers = HeaderMap::new();
    if let Ok(signature) = HeaderValue::try_from(signature(secret.as_bytes(), body.as_bytes())) {
        headers.insert(SIGNATURE, signature);
    }
    RawRequest { headers, query: String::new(), body: body.to_owned().into() }
}

/// A refusal with Meta's own code for it, where it has one.
pub(crate) fn refusal(status: u16) -> Answer {
    let code = match status {
        401 => 190,
        429 => 4,
        500.. => 2,
        _ => 100,
    };
    let error =
        json!({"message": "refused by the exam", "type": "OAuthException", "code": code, "fbtrace_id": "A1"});
    let refusal = Answer::json(status, &json!({ "error": error }));
    if status == 429 { refusal.with("retry-after", "7") } else { refusal }
}

/// What every call must have: the token in its header and nowhere else, and the proof.
pub(crate) fn proven(asked: &Asked) -> Result<(), String> {
    if asked.headers.get("authorization").is_none() {
        return Err(format!("{} lacks the token", asked.path()));
    }
    if !asked.target.contains("appsecret_proof=") {
        return Err(format!("{} lacks the proof", asked.path()));
    }
    Ok(())
}

/// The version in the path of the calls of an exam.
pub(crate) const VERSION: &str = "/v25.0/";

/// A call's path behind the version.
pub(crate) fn path(asked: &Asked) -> &str {
    asked.path().strip_prefix(VERSION).unwrap_or(asked.path())
}

/// What the apps of these exams sign with.
pub(crate) const SECRET: &str = "1f6a2c7e9b3d4085a1c2e3f405162738";
/// What proves to a channel of an exam that Meta asks.
pub(crate) const VERIFY: &str = "chosen for the exam";
const TOKEN: &str = "EAAGexamTokenOfThePage0123456789";
/// What that token is renewed to, where it is.
const RENEWED: &str = "IGAAexamTokenThatCameNext0123456789";
/// A person's id, as Messenger and Instagram give them.
const PERSON: &str = "1254459154682919";

/// The address of the exam's server, as `api_url` has it.
pub(crate) fn api_url(server: &str) -> String {
    format!("{server}{}", VERSION.trim_end_matches('/'))
}

/// What an adapter with the conversations of an account ([`super::messaging`]) brings to its exam: in what the two differ.
pub(crate) struct PageExam {
    /// Its page of the documentation.
    pub(crate) page: &'static str,
    /// What Meta posts.
    pub(crate) payloads: &'static [Payload],
    /// The field with the account's id, and the id.
    pub(crate) account: (&'static str, &'static str),
    /// What else its fields are.
    pub(crate) more: &'static [(&'static str, &'static str)],
    /// What of these is otherwise where a channel is set up the other way; empty where there is none.
    pub(crate) otherwise: &'static [(&'static str, &'static str)],
    /// Why there are no groups.
    pub(crate) no_groups: &'static str,
    /// A person.
    pub(crate) chat: &'static str,
    /// A message of theirs.
    pub(crate) message_id: &'static str,
    /// Where in the body of a call the first command stands that people are offered.
    pub(crate) offered: &'static str,
    /// A reaction that can be put on it.
    pub(crate) reaction: &'static str,
    /// Meta.
    pub(crate) platform: &'static PagePlatform,
}

/// Meta, as the exam's server plays it for these adapters.
pub(crate) struct PagePlatform {
    /// Which account the token belongs to.
    pub(crate) me: fn() -> Value,
    /// Why the token of a channel with these fields is in addresses, where it is.
    pub(crate) token_in_addresses: fn(fields: &Value) -> Option<&'static str>,
}

impl Examinee for PageExam {
    fn fields(&self, server: &str) -> Value {
        let fields = [
            (PAGE_TOKEN, TOKEN.to_owned()),
            ("verify_token", VERIFY.to_owned()),
            ("app_secret", SECRET.to_owned()),
            ("commands", "ask: Ask the assistant".to_owned()),
            ("api_url", api_url(server)),
        ];
        let own = self.more.iter().chain([&self.account]).map(|(key, value)| (*key, (*value).to_owned()));
        fields.into_iter().chain(own).map(|(key, value)| (key.to_owned(), Value::from(value))).collect()
    }

    fn page(&self) -> &'static str {
        self.page
    }

    fn road(&self) -> Road {
        Road::Webhook { secret: SECRET, sign }
    }

    fn other_road(&self, server: &str) -> Option<(Value, Road)> {
        if self.otherwise.is_empty() {
            return None;
        }
        let mut fields = self.fields(server);
        for (key, value) in self.otherwise {
            fields[*key] = json!(value);
        }
        Some((fields, self.road()))
    }

    fn payloads(&self) -> &'static [Payload] {
        self.payloads
    }

    fn addressed(&self) -> Case {
        Case::PlatformCant(self.no_groups)
    }

    fn unaddressed(&self) -> Case {
        self.addressed()
    }

    fn chat(&self) -> (&'static str, Option<&'static str>) {
        (self.chat, None)
    }

    fn message_id(&self) -> &'static str {
        self.message_id
    }

    fn reaction(&self) -> &'static str {
        self.reaction
    }

    fn texts(&self, body: &[u8]) -> Vec<String> {
        at(body, "/message/text")
    }

    fn answered(&self, body: &[u8]) -> Vec<String> {
        at(body, "/reply_to/mid")
    }

    fn offered(&self, body: &[u8]) -> Vec<String> {
        at(body, self.offered).iter().map(|command| command.trim_start_matches('/').to_owned()).collect()
    }

    fn platform(&self) -> Option<&'static dyn Platform> {
        Some(self.platform)
    }
}

/// Meta's pages show these answers beside each call.
impl Platform for PagePlatform {
    fn answer(&self, asked: &Asked) -> Answer {
        let answer = match path(asked) {
            "me" => (self.me)(),
            "/refresh_access_token" => {
                json!({"access_token": RENEWED, "token_type": "bearer", "expires_in": 5_183_944})
            }
            // A person.
            id if !id.contains('/') => json!({"name": "Ada", "id": id}),
            "me/messenger_profile" if asked.json().is_null() => json!({"data": []}),
            "me/messenger_profile" => json!({"result": "success"}),
            "me/message_attachments" => json!({"attachment_id": "1857777774821032"}),
            _ if asked.json().get("sender_action").is_some() => json!({"recipient_id": PERSON}),
            _ => json!({"recipient_id": PERSON, "message_id": "m_AG5Hz2Uq7tuwNEhXfYYKj8mJEM"}),
        };
        Answer::json(200, &answer)
    }

    fn refusal(&self, status: u16) -> Answer {
        refusal(status)
    }

    fn check(&self, asked: &Asked) -> Result<(), String> {
        proven(asked)
    }

    fn described_by(&self) -> Option<&'static str> {
        None
    }

    fn hands_out(&self) -> &'static [&'static str] {
        &[RENEWED]
    }

    fn secret_in_addresses(&self, fields: &Value) -> Option<&'static str> {
        (self.token_in_addresses)(fields)
    }

    fn knows_repeated_calls(&self) -> bool {
        false
    }
}
