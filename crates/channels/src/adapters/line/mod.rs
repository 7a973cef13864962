//! LINE Official Accounts, by the Messaging API (<https://developers.line.biz/en/reference/messaging-api/>).
//!
//! An answer within a minute goes as a reply, which costs nothing; everything else is pushed, which counts for the account's monthly
//! quota. Only a push takes a retry key, by which a call that is made again counts once. So a reply that is not answered is not tried
//! again in any form, and whoever wants each answer to be tried until it arrives switches replies off.
//!
//! Must hold: nothing is parsed before its signature was checked; each part has one retry key, whoever sends it and however often; no
//! reply token is used twice.

mod api;
mod calls;
mod exam;
mod incoming;
mod lacks;
mod media;
mod names;
mod preview;
#[cfg(test)]
mod tests;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use claw_secrets::signature;
use claw_types::{ChannelId, Inbound, MediaKind, MediaRef};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tracing::debug;

use self::api::{Api, Sent};
use self::media::{Form, Looks};
use self::tokens::Tokens;
use crate::exam::Examinee;
use crate::kit::length;
use crate::kit::names::Names;
use crate::{
    About, Adapter, ButtonCaps, Caps, Channel, ChannelError, Deps, Field, FieldKind, Hub, Limits,
    MediaStream, Part, Probe, Rate, RawRequest, Receipt, Reports, TextUnit,
};

/// The header with the signature (<https://developers.line.biz/en/docs/messaging-api/verify-webhook-signature/>).
const SIGNATURE: &str = "x-line-signature";
/// The platform's own servers: one for calls, one for what people attach.
const CALLS: &str = "https://api.line.me";
const DATA: &str = "https://api-data.line.me";

/// A text has 5,000 characters, counted as UTF-16 code units
/// (<https://developers.line.biz/en/docs/messaging-api/text-character-count/>). Files go as links, as LINE has no message for them, and
/// so do the films and sounds that it does not play ([`media`]).
static CAPS: Caps = Caps {
    max_text: 5000,
    unit: TextUnit::Utf16,
    media: &[MediaKind::Image, MediaKind::Video, MediaKind::Audio, MediaKind::Voice],
    reply_to: true,
    buttons: ButtonCaps { room: Some(&calls::BUTTONS), ..ButtonCaps::ALL },
    location: true,
    typing: true,
    // It is shown for `calls::LOADING_SECONDS`, or until a message comes.
    typing_every: Some(Duration::from_secs(15)),
    // Edits in groups: chats with one person have none.
    reports: Reports { edits: true, deletions: true, reactions: false, replies: true, receipts: false },
    limits: Some(&LIMITS),
    lacks: lacks::LACKS,
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
    replies: Option<bool>,
    api_url: Option<String>,
}

/// A LINE Official Account.
pub struct Line {
    secret: String,
    replies: bool,
    api: Api,
    tokens: Tokens,
    names: Names,
    looks: Looks,
    channel: ChannelId,
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
            "replies",
            "Free replies",
            FieldKind::Bool,
            "whether an answer within a minute is sent as a reply, which does not count for the monthly messages, but is not tried again \
             when LINE does not say what became of it; true if not set.",
        )
        .advanced(),
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
        let Config { channel_secret_env: secret, access_token_env: token, replies, api_url } = config;
        for (key, value) in [("channel_secret_env", &secret), ("access_token_env", &token)] {
            if value.is_empty() {
                return Err(ChannelError::Config(format!(
                    "{key} is empty; the LINE Developers Console shows what belongs there"
                )));
            }
        }
        let server = |own: &'static str| api_url.as_deref().unwrap_or(own);
        let channel = deps.channel_id;
        let api = Api::new(server(CALLS), server(DATA), token, deps.clone())?;
        let looks = Looks::new(&deps, api.server());
        let (tokens, names) = (Tokens::default(), Names::default());
        Ok(Self { secret, replies: replies.unwrap_or(true), api, tokens, names, looks, channel })
    }

    fn credentials(config: &Config) -> Vec<String> {
        // Hashes, because they are kept in the open. First the secret, because of tokens an account may have several; the token, because it
        // sends for the account whatever secret stands beside it.
        let secrets = [&config.channel_secret_env, &config.access_token_env];
        secrets.map(|secret| hex::encode(signature::sha256(secret.as_bytes()))).into()
    }

    fn examinee() -> &'static dyn Examinee {
        &exam::Exam
    }

    fn routes(_hub: Arc<dyn Hub>) -> Option<axum::Router> {
        Some(preview::routes())
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

    async fn complete(&self, messages: &mut [Inbound]) {
        names::complete(&self.api, &self.names, messages).await;
    }

    fn fuzz(&self, data: &[u8]) {
        drop(incoming::read(data));
        tokens::fuzz(data);
        api::fuzz(data);
        let _ = length::of(data);
    }

    fn question(&self, message: &RawValue) {
        self.tokens.note(message.get());
    }

    async fn send(&self, part: &Part<'_>) -> Result<Receipt, ChannelError> {
        let quote = part.piece.reply_to.as_deref().and_then(|answered| self.quote(answered));
        let form = self.looks.form(part).await?;
        if let Form::Link(why) = form {
            debug!(channel.id = %self.channel, "an attachment goes as a link: {why}");
        }
        let message = calls::message(part, &form, quote.as_deref())?;
        let Sent { id, quote_token } = self.handed(part, &message).await?;
        if let Some(quote) = quote_token {
            self.tokens.sent(id.clone(), quote);
        }
        Ok(Receipt { platform_message_id: id })
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

    /// The question is marked as read, too, where LINE lets that be done (its chat is switched on).
    async fn answering(
        &self,
        recipient: &str,
        thread_id: Option<&str>,
        question: &str,
    ) -> Result<(), ChannelError> {
        if let Some(token) = self.tokens.take_read(question)
            && let Err(error) = self.api.mark_read(&calls::read(&token)).await
        {
            debug!(channel.id = %self.channel, "message {question} is not marked as read: {error}");
        }
        self.typing(recipient, thread_id).await
    }

    async fn open_media(&self, media: &MediaRef) -> Result<MediaStream, ChannelError> {
        self.api.open(&media.handle).await
    }
}

impl Line {
    /// The token of the message that is answered. Ids have digits only; a caller may name the token itself, which works
    /// however long ago the message was.
    fn quote(&self, answered: &str) -> Option<String> {
        if !answered.bytes().all(|b| b.is_ascii_digit()) {
            return Some(answered.to_owned());
        }
        let known = self.tokens.quote(answered);
        if known.is_none() {
            debug!(channel.id = %self.channel, "message {answered} is not quoted, because its token is not known any more");
        }
        known
    }

    /// As a reply if the chat has a token for one, else as a push.
    async fn handed(&self, part: &Part<'_>, message: &Value) -> Result<Sent, ChannelError> {
        let token = self.replies.then(|| self.tokens.take_reply(part.recipient, self.api.now())).flatten();
        if let Some(token) = token
            && let Some(sent) = self.api.reply(&calls::reply(&token, message)).await?
        {
            return Ok(sent);
        }
        let key = calls::retry_key(part.message_id, part.index);
        self.api.push(&calls::push(part.recipient, message), key).await
    }
}
