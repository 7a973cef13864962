//! LINE Official Accounts, by the Messaging API (<https://developers.line.biz/en/reference/messaging-api/>).
//!
//! Messages are pushed, never sent as replies: a reply token is good once and for about a minute, an agent may need longer, and
//! only a push takes a retry key, by which a call that is made again counts once. What that costs is told on the type's page:
//! pushes count for the account's monthly quota.
//!
//! Must hold: nothing is parsed before its signature was checked; each part has one retry key, whoever sends it and however often.

mod api;
mod calls;
mod exam;
mod incoming;
#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use claw_secrets::signature;
use claw_types::{Inbound, MediaKind, MediaRef};
use serde::Deserialize;
use serde_json::{Map, json};

use self::api::Api;
use crate::exam::Examinee;
use crate::{
    About, Adapter, ButtonCaps, Caps, Channel, ChannelError, Deps, Field, FieldKind, Limits, MediaStream,
    Part, Probe, Rate, RawRequest, Receipt, Reports, TextUnit,
};

/// The header with the signature (<https://developers.line.biz/en/docs/messaging-api/verify-webhook-signature/>).
const SIGNATURE: &str = "x-line-signature";
/// The platform's own servers: one for calls, one for what people attach.
const CALLS: &str = "https://api.line.me";
const DATA: &str = "https://api-data.line.me";

/// A text has 5,000 characters, counted as UTF-16 code units
/// (<https://developers.line.biz/en/docs/messaging-api/text-character-count/>). A film needs a picture of it and a sound its
/// length, which a send does not have, so these go as links, like files, for which LINE has no message.
static CAPS: Caps = Caps {
    max_text: 5000,
    unit: TextUnit::Utf16,
    media: &[MediaKind::Image],
    buttons: ButtonCaps::ALL,
    location: true,
    typing: true,
    // It is shown for `calls::LOADING_SECONDS`, or until a message comes.
    typing_every: Some(Duration::from_secs(15)),
    reports: Reports { edits: false, deletions: true, reactions: false, replies: true, receipts: false },
    limits: Some(&LIMITS),
    ..Caps::TEXT_ONLY
};

/// 2,000 calls in a second (<https://developers.line.biz/en/reference/messaging-api/#rate-limits>), and 100 for the loading
/// animation, which is by far the rarer call. Of chats it says nothing.
static LIMITS: Limits = Limits { bot: CALLS_PACE, chat: CALLS_PACE, group: CALLS_PACE };
const CALLS_PACE: Rate = Rate { every: Duration::from_millis(1), burst: 100 };

/// The fields.
#[derive(Deserialize)]
pub struct Config {
    channel_secret_env: String,
    access_token_env: String,
    api_url: Option<String>,
}

/// A LINE Official Account.
pub struct Line {
    secret: String,
    api: Api,
}

impl Adapter for Line {
    const NAME: &'static str = "line";
    const ABOUT: About = About {
        display_name: "LINE",
        category: "chat",
        description: "A LINE Official Account, in chats with one person, groups and rooms.",
        setup: &[
            "In the LINE Official Account Manager, make an account and switch the Messaging API on.",
            "In the LINE Developers Console, copy the channel secret (Basic settings) and issue a long-lived channel access token (Messaging API).",
            "Put both in here. The channel's webhook_path, behind the gateway's address, is the webhook URL: it must be reachable by https.",
            "In the console, switch on Use webhook and Webhook redelivery; to have the bot in groups, allow it to join them.",
        ],
        docs_url: "https://developers.line.biz/en/docs/messaging-api/getting-started/",
    };
    const CAPS: &'static Caps = &CAPS;
    const FIELDS: &'static [Field] = &[
        Field::new(
            "channel_secret_env",
            "Channel secret",
            FieldKind::Secret,
            "the channel secret, with which LINE signs what it posts.",
        )
        .required()
        .like("8c570fa6dd201bb328f1c1eac23a96d8"),
        Field::new(
            "access_token_env",
            "Channel access token",
            FieldKind::Secret,
            "a long-lived channel access token, with which messages are sent.",
        )
        .required(),
        Field::new(
            "api_url",
            "API server",
            FieldKind::Url,
            "another server in place of https://api.line.me and https://api-data.line.me.",
        )
        .advanced()
        .receives(&["access_token_env"])
        .like(CALLS),
    ];
    type Config = Config;

    fn new(config: Config, deps: Deps) -> Result<Self, ChannelError> {
        let Config { channel_secret_env: secret, access_token_env: token, api_url } = config;
        for (key, value) in [("channel_secret_env", &secret), ("access_token_env", &token)] {
            if value.is_empty() {
                return Err(ChannelError::Config(format!(
                    "{key} is empty; the LINE Developers Console shows what belongs there"
                )));
            }
        }
        let server = |own: &'static str| api_url.as_deref().unwrap_or(own);
        let api = Api::new(server(CALLS), server(DATA), token, deps)?;
        Ok(Self { secret, api })
    }

    fn credential(config: &Config) -> Option<String> {
        // A hash, because it is kept in the open. The secret, because of tokens an account may have several.
        Some(hex::encode(signature::sha256(config.channel_secret_env.as_bytes())))
    }

    fn examinee() -> &'static dyn Examinee {
        &exam::Exam
    }
}

#[async_trait]
impl Channel for Line {
    fn caps(&self) -> &'static Caps {
        &CAPS
    }

    /// Ids of groups begin with C, those of rooms with R (<https://developers.line.biz/en/docs/messaging-api/getting-user-ids/>).
    fn is_group(&self, recipient: &str) -> bool {
        recipient.starts_with(['C', 'R'])
    }

    fn decode(&self, request: &RawRequest) -> Result<Vec<Inbound>, ChannelError> {
        let given = request.headers.get(SIGNATURE).and_then(|value| value.to_str().ok());
        let given =
            given.ok_or_else(|| ChannelError::BadSignature(format!("the request has no {SIGNATURE}")))?;
        if !signature::verify_base64(self.secret.as_bytes(), &request.body, given) {
            return Err(ChannelError::BadSignature(format!(
                "{SIGNATURE} is not that of this exact body with the channel's channel_secret_env"
            )));
        }
        incoming::read(&request.body).map_err(ChannelError::BadRequest)
    }

    fn fuzz(&self, data: &[u8]) {
        drop(incoming::read(data));
        api::fuzz(data);
    }

    async fn send(&self, part: &Part<'_>) -> Result<Receipt, ChannelError> {
        let key = calls::retry_key(part.message_id, part.index);
        let platform_message_id = self.api.push(&calls::push(part)?, key).await?;
        Ok(Receipt { platform_message_id })
    }

    async fn probe(&self) -> Result<Probe, ChannelError> {
        let bot = self.api.bot().await?;
        let details = Map::from_iter([
            ("id".to_owned(), json!(bot.user_id)),
            ("name".to_owned(), json!(bot.display_name)),
            ("chat_mode".to_owned(), json!(bot.chat_mode)),
        ]);
        Ok(Probe { account: Some(bot.basic_id), details })
    }

    async fn typing(&self, recipient: &str, _thread_id: Option<&str>) -> Result<(), ChannelError> {
        if self.is_group(recipient) {
            return Err(ChannelError::Unsupported(
                "LINE shows its loading animation to one person only, not in groups",
            ));
        }
        self.api.load(&calls::loading(recipient)).await
    }

    async fn open_media(&self, media: &MediaRef) -> Result<MediaStream, ChannelError> {
        self.api.open(&media.handle).await
    }
}
