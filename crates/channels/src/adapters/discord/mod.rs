//! Discord bots: events by the gateway's WebSocket, calls by REST, both of version 10
//! (<https://docs.discord.com/developers/reference#api-versioning>).
//!
//! Types are our own, small and forgiving ones, because a library's models refuse a whole message for one kind that they do not
//! know (`docs/adr/0010-own-discord-types.md`). A session of the gateway is kept in the database, so that whoever goes on with the
//! channel resumes it: Discord counts new sessions and resets the token of a bot that starts too many.
//!
//! Must hold: an event is confirmed (by the number in a heartbeat, and in the database) only after it was committed; a new session
//! begins only when the old one is gone and Discord's own budget allows it; no answer can ping everybody.

mod api;
mod buckets;
mod calls;
mod commands;
mod components;
mod event;
mod exam;
mod gateway;
mod incoming;
mod interaction;
mod invoked;
mod media;
mod names;
mod places;
mod posts;
mod reaction;
mod send;
#[cfg(test)]
mod tests;
mod words;

use std::time::Duration;

use async_trait::async_trait;
use claw_types::{MediaKind, MediaRef};
use serde::Deserialize;
use serde_json::{Map, json};
use tokio_util::sync::CancellationToken;

use self::api::Api;
use self::gateway::budget::Budget;
use self::places::Places;
use crate::exam::Examinee;
use crate::kit::commands::{COMMANDS, Command};
use crate::kit::length;
use crate::kit::upload::Uploads;
use crate::{
    About, Adapter, Albums, ButtonCaps, Caps, Channel, ChannelError, Deps, Dialect, Feature, Field,
    FieldKind, Lack, Limits, MediaStream, Part, Probe, Rate, Receipt, Reports, Sink, TextUnit,
};

const ALL_MEDIA: &[MediaKind] =
    &[MediaKind::Image, MediaKind::Video, MediaKind::Audio, MediaKind::Voice, MediaKind::File];

/// What may stand together in a message: a voice message is one of its own.
const TOGETHER: &[MediaKind] = &[MediaKind::Image, MediaKind::Video, MediaKind::Audio, MediaKind::File];

/// A message has 2,000 characters (<https://docs.discord.com/developers/resources/message#create-message>), counted as code
/// points (<https://github.com/discord/discord-api-docs/issues/1315>), with its formatting, and ten attachments.
static CAPS: Caps = Caps {
    max_text: 2000,
    max_caption: 2000,
    // Nothing else may be in a voice message: <https://docs.discord.com/developers/resources/message#voice-messages>.
    uncaptioned: &[MediaKind::Voice],
    unit: TextUnit::Chars,
    markdown: Dialect::Discord,
    media: ALL_MEDIA,
    albums: Some(&Albums { max: 10, groups: &[TOGETHER] }),
    threads: true,
    reply_to: true,
    buttons: ButtonCaps::ALL,
    polls: true,
    edit: true,
    delete: true,
    reactions: true,
    typing: true,
    // It is shown for ten seconds: <https://docs.discord.com/developers/resources/channel#trigger-typing-indicator>.
    typing_every: Some(Duration::from_secs(8)),
    reports: Reports::DEEDS,
    commands: true,
    tells_programs: true,
    placeholders: true,
    limits: Some(&LIMITS),
    lacks: &[
        Lack::cant(
            &[Feature::Location],
            "Discord has no messages that are places",
            "https://docs.discord.com/developers/resources/message#message-object",
        ),
        Lack::cant(
            &[Feature::Receipts],
            "Discord tells bots neither what arrived nor what was read",
            "https://docs.discord.com/developers/events/gateway-events",
        ),
    ],
    ..Caps::TEXT_ONLY
};

/// 50 calls in a second (<https://docs.discord.com/developers/topics/rate-limits#global-rate-limit>), of which some are left to
/// those that are no messages. How fast one chat takes messages is not to be written down anywhere, says the same page: answers
/// tell, and [`buckets`] keeps to it.
static LIMITS: Limits = Limits { bot: PACE, chat: PACE, group: PACE };
const PACE: Rate = Rate { every: Duration::from_millis(25), burst: 10 };

/// The platform's own server.
const SERVER: &str = "https://discord.com";
/// `GUILD_MESSAGES`, `DIRECT_MESSAGES` and `MESSAGE_CONTENT`
/// (<https://docs.discord.com/developers/events/gateway#list-of-intents>).
const INTENTS: u64 = 37376;
/// Intents are a number of 53 bits, as in JSON.
const MOST_INTENTS: u64 = (1 << 53) - 1;

/// The configuration.
#[derive(Deserialize)]
pub struct Config {
    bot_token_env: String,
    #[serde(default)]
    allowed_guilds: Vec<String>,
    intents: Option<u64>,
    #[serde(default)]
    auto_thread: bool,
    #[serde(default)]
    commands: Vec<String>,
    #[serde(default)]
    private_commands: bool,
    api_url: Option<String>,
}

/// A bot.
pub struct Discord {
    api: Api,
    guilds: Vec<String>,
    intents: u64,
    /// What a session is begun with; of another, it can't be resumed.
    key: String,
    auto_thread: bool,
    commands: Vec<Command>,
    private_commands: bool,
    places: Places,
    budget: Budget,
    uploads: Uploads,
    deps: Deps,
}

impl Adapter for Discord {
    const NAME: &'static str = "discord";
    const ABOUT: About = About {
        display_name: "Discord",
        category: "chat",
        description: "A Discord bot, in servers, threads and direct messages.",
        setup: &[
            "In the Discord Developer Portal, make an application; under Bot, press Reset Token and copy the token.",
            "On the same page, switch on Message Content Intent: without it the bot gets texts only where it is mentioned.",
            "Under OAuth2, make a URL with the scopes bot and applications.commands and the permissions View Channels, Send Messages, Send Messages in Threads, Create Public Threads, Attach Files, Send Voice Messages, Add Reactions and Read Message History; open it to invite the bot.",
            "Put the token in here. Nothing has to be reachable from outside.",
        ],
        docs_url: "https://docs.discord.com/developers/quick-start/getting-started",
    };
    const CAPS: &'static Caps = &CAPS;
    const FIELDS: &'static [Field] = &[
        Field::new(
            "bot_token_env",
            "Bot token",
            FieldKind::Secret,
            "the bot's token, which the Developer Portal shows once after Reset Token.",
        )
        .required()
        .like("MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs"),
        Field::new(
            "allowed_guilds",
            "Allowed servers",
            FieldKind::List,
            "ids of the servers in which the bot listens; empty means all. Direct messages have none and are not concerned.",
        )
        .advanced()
        .like("197038439483310086"),
        Field::new(
            "intents",
            "Intents",
            FieldKind::Number,
            "which events Discord sends, as the sum of its gateway intents; 37376 if not set: messages with their texts. Add 9216 to hear of reactions.",
        )
        .advanced()
        .up_to(MOST_INTENTS)
        .like("37376"),
        Field::new(
            "auto_thread",
            "Answer in threads",
            FieldKind::Bool,
            "whether a message in a server's channel that addresses the bot is answered in a thread of its own; false if not set.",
        )
        .advanced(),
        Field {
            label: "Slash commands",
            help: "slash commands that people are offered, each as name: what it does; what is typed behind it is sent along. If not set, the bot's commands are left as they are.",
            ..COMMANDS
        },
        Field::new(
            "private_commands",
            "Private commands",
            FieldKind::Bool,
            "whether only who gives a slash command sees it in the chat; false if not set. The answer is seen by everybody there.",
        )
        .advanced(),
        Field::new(
            "api_url",
            "API server",
            FieldKind::Url,
            "another server in place of https://discord.com.",
        )
        .advanced()
        .receives(&["bot_token_env"])
        .like(SERVER),
    ];
    type Config = Config;

    fn new(config: Config, deps: Deps) -> Result<Self, ChannelError> {
        let token = config.bot_token_env.trim().trim_start_matches("Bot ").to_owned();
        let Some(id) = bot_of(&token) else {
            return Err(ChannelError::Config(
                "bot_token_env is not a bot's token: it has three parts with dots between, like MTk4NjIy....Cl2FMQ.ZnCjm1XV... \
                 (Developer Portal, Bot, Reset Token)"
                    .to_owned(),
            ));
        };
        let commands = commands::RULES.read(&config.commands)?;
        let server = config.api_url.as_deref().unwrap_or(SERVER);
        let intents = config.intents.unwrap_or(INTENTS);
        let key = format!("{id} {server} {intents}");
        Ok(Self {
            api: Api::new(server, token, deps.clone())?,
            guilds: config.allowed_guilds,
            intents,
            key,
            auto_thread: config.auto_thread,
            commands,
            private_commands: config.private_commands,
            places: Places::default(),
            budget: Budget::default(),
            uploads: Uploads::new(&deps),
            deps,
        })
    }

    fn credentials(config: &Config) -> Vec<String> {
        // The first part is the bot's id: a renewed token is still the same bot.
        let bot = bot_of(config.bot_token_env.trim().trim_start_matches("Bot "));
        bot.map(str::to_owned).into_iter().collect()
    }

    fn examinee() -> &'static dyn Examinee {
        &exam::Exam
    }
}

/// The first part of a token (<https://docs.discord.com/developers/reference#authentication>), which stands for the bot; `None`
/// for what is no token.
fn bot_of(token: &str) -> Option<&str> {
    let plain = |part: &&str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'='))
    };
    let parts: Vec<&str> = token.split('.').filter(plain).collect();
    let whole = parts.len() == 3 && token.bytes().filter(|b| *b == b'.').count() == 2;
    whole.then(|| parts[0]).filter(|_| token.len() >= 30)
}

#[async_trait]
impl Channel for Discord {
    fn caps(&self) -> &'static Caps {
        &CAPS
    }

    fn fuzz(&self, data: &[u8]) {
        gateway::frame::fuzz(data);
        api::fuzz(data);
        incoming::fuzz(data);
        let _ = length::of(data);
    }

    async fn send(&self, part: &Part<'_>) -> Result<Receipt, ChannelError> {
        send::send(self, part).await
    }

    /// Who the bot is, how many sessions it may still begin today, and how many it should have.
    async fn probe(&self) -> Result<Probe, ChannelError> {
        let bot = self.api.me().await?;
        let gateway = self.api.gateway().await?;
        let details = Map::from_iter([
            ("id".to_owned(), json!(bot.id)),
            ("session_starts_left".to_owned(), json!(gateway.session_start_limit.remaining)),
            ("shards".to_owned(), json!(gateway.shards)),
        ]);
        Ok(Probe { account: Some(bot.username), details })
    }

    async fn typing(&self, recipient: &str, thread_id: Option<&str>) -> Result<(), ChannelError> {
        send::typing(&self.api, recipient, thread_id).await
    }

    async fn listen(&self, sink: &dyn Sink, stop: CancellationToken) -> Result<(), ChannelError> {
        gateway::listen(self, sink, stop).await
    }

    async fn open_media(&self, media: &MediaRef) -> Result<MediaStream, ChannelError> {
        media::open(&self.api, &media.handle).await
    }
}
