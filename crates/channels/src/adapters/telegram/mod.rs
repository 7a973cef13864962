//! Telegram bots, by long poll on the shared client (<https://core.telegram.org/bots/api#getupdates>) or by webhook (`hook.rs`).
//!
//! Types are teloxide's; the calls are our own, because a bot object for each channel would bring a client, an error
//! type and a retry policy of its own. An update is confirmed (by asking for the next offset) only after it was
//! committed; the offset is kept in the database, so another worker goes on where this one stopped. Attachments are
//! fetched here and uploaded; `files` says as what.
//!
//! Must hold: the token never leaves this folder (it is part of every URL, so errors and links are made without it),
//! and only the owner polls: Telegram ends the older of two polls with a 409.

mod api;
mod callback;
mod calls;
mod commands;
mod exam;
mod files;
mod hook;
mod own;
mod poll;
mod reaction;
mod send;
#[cfg(test)]
mod tests;
mod topics;
mod update;
mod who;

use std::time::Duration;

use async_trait::async_trait;
use claw_types::{Inbound, MediaKind, MediaRef};
use serde::Deserialize;
use serde_json::{Map, json};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use self::api::{Api, RawUpdate};
use self::hook::Hook;
use self::own::Own;
use self::topics::Topics;
use crate::exam::Examinee;
use crate::kit::commands::{COMMANDS, Command};
use crate::kit::upload::Uploads;
use crate::{
    About, Adapter, Albums, ButtonCaps, Caps, Channel, ChannelError, Deps, Dialect, Feature, Field,
    FieldKind, Lack, Limits, MediaStream, Part, Probe, Rate, RawRequest, Receipt, Reply, Reports, Sink,
    TextUnit,
};

/// Limits: <https://core.telegram.org/bots/api#sendmessage>: "1-4096 characters after entities parsing", in UTF-16
/// code units; captions 1024; albums as <https://core.telegram.org/bots/api#sendmediagroup> mixes them.
static CAPS: Caps = Caps {
    max_text: 4096,
    max_caption: 1024,
    uncaptioned: &[],
    unit: TextUnit::Utf16,
    markdown: Dialect::Html,
    media: &[MediaKind::Image, MediaKind::Video, MediaKind::Audio, MediaKind::Voice, MediaKind::File],
    albums: Some(&Albums {
        max: 10,
        groups: &[&[MediaKind::Image, MediaKind::Video], &[MediaKind::Audio], &[MediaKind::File]],
    }),
    threads: true,
    reply_to: true,
    only_texts_reply: false,
    buttons: ButtonCaps::ALL,
    polls: true,
    location: true,
    edit: true,
    delete: true,
    reactions: true,
    typing: true,
    // It is shown for five seconds: <https://core.telegram.org/bots/api#sendchataction>.
    typing_every: Some(Duration::from_secs(4)),
    reports: Reports { deletions: false, ..Reports::DEEDS },
    commands: true,
    tells_programs: true,
    placeholders: true,
    drafts: false,
    limits: Some(&LIMITS),
    lacks: &[
        Lack::cant(
            &[Feature::Deletions],
            "of deletions Telegram tells in chats of business accounts only, in which a bot of ours is not",
            UPDATE,
        ),
        Lack::cant(
            &[Feature::Receipts],
            "Telegram tells bots neither what arrived nor what was read",
            UPDATE,
        ),
    ],
};

/// <https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this>: about 30 messages in a second in
/// all, one in a second into a chat but for short bursts, and 20 in a minute into a group.
static LIMITS: Limits = Limits {
    bot: Rate { every: Duration::from_millis(40), burst: 5 },
    chat: Rate { every: Duration::from_secs(1), burst: 3 },
    group: Rate { every: Duration::from_secs(4), burst: 5 },
};

/// What bots are told.
const UPDATE: &str = "https://core.telegram.org/bots/api#update";

/// How updates come: `mode`.
const MODES: &[&str] = &["polling", WEBHOOK];
const WEBHOOK: &str = "webhook";

/// The platform's own server.
const CLOUD: &str = "https://api.telegram.org";

/// The configuration.
#[derive(Deserialize)]
pub struct Config {
    bot_token_env: String,
    poll_interval_secs: Option<u64>,
    mode: Option<String>,
    public_url: Option<String>,
    #[serde(default)]
    commands: Vec<String>,
    api_url: Option<String>,
}

/// A bot.
pub struct Telegram {
    api: Api,
    id: u64,
    /// Its @name, without the @, once it was needed.
    name: OnceCell<String>,
    topics: Topics,
    poll: Duration,
    /// Where updates are posted to; `None` where they are polled.
    hook: Option<Hook>,
    /// What people are offered.
    commands: Vec<Command>,
    uploads: Uploads,
    deps: Deps,
}

impl Adapter for Telegram {
    const NAME: &'static str = "telegram";
    const ABOUT: About = About {
        display_name: "Telegram",
        category: "chat",
        description: "A Telegram bot, in private chats, groups and forum topics.",
        setup: &[
            "In Telegram, write to @BotFather and send /newbot.",
            "Choose a name and a username; @BotFather answers with the bot's token.",
            "Put the token in here. Nothing has to be reachable from outside.",
            "To have the bot read everything in groups, send /setprivacy to @BotFather and choose Disable.",
        ],
        docs_url: "https://core.telegram.org/bots/features#botfather",
    };
    const CAPS: &'static Caps = &CAPS;
    const FIELDS: &'static [Field] = &[
        Field::new(
            "bot_token_env",
            "Bot token",
            FieldKind::Secret,
            "the token that @BotFather gave you, like 123456:ABC...",
        )
        .required()
        .like("123456789:AAEabcdefghijklmnopqrstuvwxyz012345"),
        Field::new(
            "poll_interval_secs",
            "Long poll (seconds)",
            FieldKind::Number,
            "seconds that one long poll is held open, 1 to 50; 30 if not set; messages arrive at once all the same",
        )
        .advanced()
        .like("30"),
        Field::new(
            "mode",
            "Receive by",
            FieldKind::Choice(MODES),
            "how updates come: the gateway asks for them (polling), or Telegram posts them (webhook); polling if not set",
        )
        .advanced(),
        Field::new(
            "public_url",
            "Gateway's address",
            FieldKind::Text,
            "for webhook: the https address at which Telegram reaches the gateways, with port 443, 80, 88 or 8443",
        )
        .advanced()
        .like("https://claw.example.org"),
        COMMANDS,
        Field::new(
            "api_url",
            "Bot API server",
            FieldKind::Url,
            "your own Bot API server; default https://api.telegram.org",
        )
        .advanced()
        .receives(&["bot_token_env"])
        .like(CLOUD),
    ];
    type Config = Config;

    fn new(config: Config, deps: Deps) -> Result<Self, ChannelError> {
        let token = config.bot_token_env;
        let Some(id) = bot_id(&token) else {
            return Err(ChannelError::Config(
                "bot_token_env is not a bot token: it looks like 123456789:AAE... (ask @BotFather)"
                    .to_owned(),
            ));
        };
        let hook = if config.mode.as_deref() == Some(WEBHOOK) {
            Some(Hook::new(config.public_url.as_deref(), &token, deps.channel_id)?)
        } else {
            None
        };
        let commands = commands::RULES.read(&config.commands)?;
        let base = config.api_url.as_deref().unwrap_or(CLOUD).trim_end_matches('/').to_owned();
        Ok(Self {
            api: Api::new(base, token, deps.http.clone()),
            id,
            name: OnceCell::new(),
            topics: Topics::default(),
            poll: Duration::from_secs(config.poll_interval_secs.unwrap_or(30).clamp(1, 50)),
            hook,
            commands,
            uploads: Uploads::new(&deps),
            deps,
        })
    }

    fn examinee() -> &'static dyn Examinee {
        &exam::Exam
    }

    fn credentials(config: &Config) -> Vec<String> {
        // The number before the colon is the bot, whether it polls or is posted to: a renewed token is still the same bot.
        config.bot_token_env.split_once(':').map(|(bot, _)| bot.to_owned()).into_iter().collect()
    }
}

/// The number before a token's colon; `None` for what is no token.
fn bot_id(token: &str) -> Option<u64> {
    let (bot, secret) = token.split_once(':')?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    let is_secret = secret.len() >= 20 && secret.bytes().all(plain);
    // A sign would parse, too.
    let is_number = bot.bytes().all(|b| b.is_ascii_digit());
    if is_secret && is_number { bot.parse().ok() } else { None }
}

/// A refusal of a call into a chat. Telegram limits bots, chats and groups, and its answer does not say which limit it was:
/// only how long to wait (<https://core.telegram.org/bots/api#responseparameters>).
fn in_chat(error: ChannelError) -> ChannelError {
    match error {
        ChannelError::RateLimited(wait) => ChannelError::ChatLimited { wait, told: false },
        other => other,
    }
}

#[async_trait]
impl Channel for Telegram {
    fn caps(&self) -> &'static Caps {
        &CAPS
    }

    /// Groups and channels have numbers below zero (<https://core.telegram.org/bots/api#chat>), public ones also names.
    fn is_group(&self, recipient: &str) -> bool {
        recipient.starts_with(['-', '@'])
    }

    fn decode(&self, request: &RawRequest) -> Result<Vec<Inbound>, ChannelError> {
        let Some(hook) = &self.hook else {
            return Err(ChannelError::BadRequest("this channel polls: its mode is not webhook".to_owned()));
        };
        hook.check(request)?;
        hook::read(request, self.id, &self.topics)
    }

    fn taken(&self, request: &RawRequest) -> Option<Reply> {
        hook::answer(request)
    }

    fn fuzz(&self, data: &[u8]) {
        api::fuzz(data);
        let Ok(json) = serde_json::from_slice(data) else { return };
        let update = RawUpdate { update_id: 1, json };
        for name in [None, Some("example_bot")] {
            if let Some(mut message) = update::inbound(&update, Own { id: self.id, name }) {
                self.topics.complete(&update, &mut message);
            }
        }
    }

    async fn send(&self, part: &Part<'_>) -> Result<Receipt, ChannelError> {
        send::send(&self.api, &self.uploads, part).await.map_err(in_chat)
    }

    async fn probe(&self) -> Result<Probe, ChannelError> {
        let bot = self.api.me().await?;
        let name = bot.username.map(|name| format!("@{name}"));
        let details = Map::from_iter([
            ("id".to_owned(), json!(bot.id)),
            ("name".to_owned(), json!(bot.first_name)),
            ("reads_all_group_messages".to_owned(), json!(bot.can_read_all_group_messages)),
        ]);
        Ok(Probe { account: name, details })
    }

    async fn typing(&self, recipient: &str, thread_id: Option<&str>) -> Result<(), ChannelError> {
        self.api.act(&calls::typing(recipient, thread_id)?).await.map_err(in_chat)
    }

    async fn listen(&self, sink: &dyn Sink, stop: CancellationToken) -> Result<(), ChannelError> {
        // A long poll that is cut off confirms nothing: its updates come again.
        let receiving = async {
            self.offer_commands().await;
            match &self.hook {
                Some(hook) => self.be_told(hook, sink).await,
                None => self.poll_for_ever(sink).await,
            }
        };
        tokio::select! {
            result = receiving => result,
            () = stop.cancelled() => Ok(()),
        }
    }

    async fn open_media(&self, media: &MediaRef) -> Result<MediaStream, ChannelError> {
        self.api.open(&media.handle).await
    }
}
