//! Text messages (SMS and MMS) of a number at Twilio, by its Messaging API (<https://www.twilio.com/docs/messaging/api>).
//!
//! People's messages are posted to the channel's webhook address, answers are calls. Twilio knows no repeated call: one without an
//! answer is uncertain, and what became of it, the person's phone knows. It queues what it can't send at once, cuts a text into
//! segments by itself and puts them together again.
//!
//! Must hold: nothing is taken of a request before its signature was checked; a person's message counts once by its id, which is
//! signed, and not by the token of the request (`I-Twilio-Idempotency-Token`), which is not.

mod address;
mod api;
mod calls;
mod errors;
mod exam;
mod incoming;
mod lacks;
#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use claw_types::{Inbound, MediaKind, MediaRef};
use serde::Deserialize;
use serde_json::{Map, json};

use self::address::Address;
use self::api::{Api, Signer};
use self::calls::Source;
use self::incoming::Form;
use crate::exam::Examinee;
use crate::{
    About, Adapter, Albums, Caps, Channel, ChannelError, Deps, Field, FieldKind, Limits, MediaStream, Part,
    Probe, Rate, RawRequest, Receipt, Reply, Reports, TextUnit,
};

/// The platform's own server.
const CLOUD: &str = "https://api.twilio.com";

/// A body has 1,600 characters and a message ten attachments (<https://www.twilio.com/docs/messaging/api/message-resource>). The
/// page does not say how characters outside the basic plane count; as UTF-16, which is how they are sent, none counts too little.
static CAPS: Caps = Caps {
    max_text: 1600,
    max_caption: 1600,
    unit: TextUnit::Utf16,
    media: KINDS,
    albums: Some(&Albums { max: 10, groups: &[KINDS] }),
    reports: Reports { receipts: true, ..Reports::NONE },
    limits: Some(&LIMITS),
    lacks: lacks::LACKS,
    ..Caps::TEXT_ONLY
};

/// All kinds have types that are taken (<https://www.twilio.com/docs/messaging/guides/accepted-mime-types>).
const KINDS: &[MediaKind] =
    &[MediaKind::Image, MediaKind::Video, MediaKind::Audio, MediaKind::Voice, MediaKind::File];

/// An account has so many calls on their way at once, and is answered 429 beyond that
/// (<https://www.twilio.com/docs/api/errors/20429>). How many, Twilio does not publish: this stays far below the hundred that is
/// told. Numbers have a pace of their own, for which Twilio queues.
static LIMITS: Limits = Limits { bot: CALLS_PACE, chat: CALLS_PACE, group: CALLS_PACE };
const CALLS_PACE: Rate = Rate { every: Duration::from_millis(50), burst: 20 };

/// The fields.
#[derive(Deserialize)]
pub struct Config {
    account_sid: String,
    auth_token_env: String,
    api_key_sid: Option<String>,
    api_key_secret_env: Option<String>,
    smart_encoding: Option<bool>,
    from: String,
    public_url: Option<String>,
    api_url: Option<String>,
}

/// A number, or a Messaging Service with several.
pub struct Sms {
    address: Address,
    token: String,
    from: Source,
    /// Whether Twilio replaces characters that would make for more segments.
    smart_encoding: bool,
    api: Api,
}

impl Adapter for Sms {
    const NAME: &'static str = "sms";
    const ABOUT: About = About {
        display_name: "SMS",
        category: "chat",
        description: "Text and picture messages (SMS, MMS) of a phone number at Twilio.",
        setup: &[
            "In the Twilio Console, buy a number that can do SMS, or make a Messaging Service.",
            "Copy the Account SID and the Auth Token (Account > API keys & tokens), and put them in here with the number.",
            "Put the address in here by which Twilio reaches this gateway (public_url).",
            "At the number, Messaging > A message comes in: Webhook, HTTP POST, and as the URL that address with the channel's webhook_path behind it.",
        ],
        docs_url: "https://www.twilio.com/docs/messaging/guides/webhook-request",
    };
    const CAPS: &'static Caps = &CAPS;
    const FIELDS: &'static [Field] = &[
        Field::new(
            "account_sid",
            "Account SID",
            FieldKind::Text,
            "the account's id at Twilio: AC and 32 digits or letters from a to f.",
        )
        .required()
        .like("AC00000000000000000000000000000000"),
        Field::new(
            "auth_token_env",
            "Auth token",
            FieldKind::Secret,
            "the account's auth token, with which Twilio signs what it posts, and with which messages are sent if there is no API key.",
        )
        .required(),
        Field::new(
            "api_key_sid",
            "API key",
            FieldKind::Text,
            "an API key with which messages are sent in place of the auth token: SK and 32 digits or letters from a to f.",
        )
        .advanced()
        .like("SK00000000000000000000000000000000"),
        Field::new("api_key_secret_env", "API key's secret", FieldKind::Secret, "the secret that was shown when the API key was made.")
            .advanced(),
        Field::new(
            "from",
            "Number",
            FieldKind::Text,
            "who messages are from: a number like +15017122661, a short code, or the id of a Messaging Service (MG...).",
        )
        .required()
        .like("+15017122661"),
        Field::new(
            "public_url",
            "Public address",
            FieldKind::Text,
            "the address by which Twilio reaches this gateway, as it stands in the Twilio Console before the webhook_path; without \
             it, the request's Host is taken and nothing is told of messages that arrived.",
        )
        .like("https://claw.example.org"),
        Field::new("api_url", "API server", FieldKind::Url, "another server in place of https://api.twilio.com.")
            .advanced()
            .receives(&["auth_token_env", "api_key_secret_env"])
            .like(CLOUD),
        Field::new(
            "smart_encoding",
            "Fewer segments",
            FieldKind::Bool,
            "whether Twilio replaces characters outside the GSM alphabet with similar ones in it, such as curly quotes with straight \
             ones, which makes for fewer segments; false if not set.",
        )
        .advanced(),
    ];
    type Config = Config;

    fn new(config: Config, deps: Deps) -> Result<Self, ChannelError> {
        let Config { account_sid, auth_token_env: token, from, public_url, api_url, .. } = &config;
        if !is_sid(account_sid, "AC") {
            return Err(ChannelError::Config(
                "account_sid is not that of an account: it is AC and 32 digits or letters from a to f, and stands on the first \
                 page of the Twilio Console"
                    .to_owned(),
            ));
        }
        if token.is_empty() {
            return Err(ChannelError::Config(
                "auth_token_env is empty; the Twilio Console shows the auth token beside the Account SID"
                    .to_owned(),
            ));
        }
        let address = Address::new(public_url.as_deref(), deps.channel_id)?;
        let from = Source::new(from)?;
        let signer = signer(&config)?;
        let api = Api::new(api_url.as_deref().unwrap_or(CLOUD), account_sid.clone(), signer, deps)?;
        let smart_encoding = config.smart_encoding == Some(true);
        Ok(Self { address, token: token.clone(), from, smart_encoding, api })
    }

    fn credentials(config: &Config) -> Vec<String> {
        // Twilio posts what comes to a number to one address. The auth token and API keys are all numbers' of an account.
        vec![format!("{}:{}", config.account_sid, config.from)]
    }

    fn examinee() -> &'static dyn Examinee {
        &exam::Exam
    }
}

/// With what calls are made.
fn signer(config: &Config) -> Result<Signer, ChannelError> {
    let wrong = |sentence: &str| Err(ChannelError::Config(sentence.to_owned()));
    match (&config.api_key_sid, &config.api_key_secret_env) {
        (Some(key), _) if !is_sid(key, "SK") => {
            wrong("api_key_sid is not that of an API key: it is SK and 32 digits or letters from a to f")
        }
        (Some(key), Some(secret)) if !secret.is_empty() => {
            Ok(Signer { name: key.clone(), secret: secret.clone() })
        }
        (Some(_), _) => {
            wrong("api_key_secret_env is missing: the secret was shown when the API key was made")
        }
        (None, _) => Ok(Signer { name: config.account_sid.clone(), secret: config.auth_token_env.clone() }),
    }
}

/// Whether it is one of Twilio's ids, by its two letters (<https://www.twilio.com/docs/glossary/what-is-a-sid>).
fn is_sid(text: &str, prefix: &str) -> bool {
    let rest = text.strip_prefix(prefix);
    rest.is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[async_trait]
impl Channel for Sms {
    fn caps(&self) -> &'static Caps {
        &CAPS
    }

    fn decode(&self, request: &RawRequest) -> Result<Vec<Inbound>, ChannelError> {
        // The fields are what is signed, so they are told apart first; nothing is made of them.
        let form = Form::of(&request.body);
        self.address.check(request, &form, &self.token)?;
        incoming::read(&form, self.from.number()).map_err(ChannelError::BadRequest)
    }

    /// Twilio takes an answer for what it is to do next, and reports one that is not in its language
    /// (<https://www.twilio.com/docs/api/errors/12300>). This one says: nothing.
    fn taken(&self, _: &RawRequest) -> Option<Reply> {
        Some(Reply { content_type: "text/xml", body: Bytes::from_static(b"<Response/>") })
    }

    fn fuzz(&self, data: &[u8]) {
        let form = Form::of(data);
        drop(incoming::read(&form, self.from.number()));
        api::fuzz(data);
    }

    async fn send(&self, part: &Part<'_>) -> Result<Receipt, ChannelError> {
        let mut form = calls::message(part, &self.from, self.address.callback().as_deref())?;
        if self.smart_encoding {
            form.push(("SmartEncoded", "true".to_owned()));
        }
        Ok(Receipt { platform_message_id: self.api.create(&form).await? })
    }

    async fn probe(&self) -> Result<Probe, ChannelError> {
        let Some(account) = self.api.account().await? else {
            return Ok(Probe { account: Some(self.from.to_string()), details: Map::new() });
        };
        if account.status != "active" {
            return Err(ChannelError::BadCredentials(format!(
                "the account is {}: Twilio sends nothing for it; see the Twilio Console",
                crate::kit::answer::excerpt(&account.status, 30)
            )));
        }
        let details = Map::from_iter([
            ("name".to_owned(), json!(account.friendly_name)),
            ("type".to_owned(), json!(account.r#type)),
        ]);
        Ok(Probe { account: Some(self.from.to_string()), details })
    }

    async fn open_media(&self, media: &MediaRef) -> Result<MediaStream, ChannelError> {
        self.api.open(&media.handle).await
    }
}
