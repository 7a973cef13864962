//! Slack apps, by the Web API and either of the two roads by which Slack tells of what happens: over sockets (Socket Mode), for which
//! nothing has to be reachable from outside, or posted to the channel's webhook address (Events API).
//!
//! Calls and what is read of events are our own, on the clients that all channels share; ADR 11 says why not slack-morphism. What a
//! person and a conversation are, only ids tell, so everything goes by ids.
//!
//! Must hold: what comes is confirmed only once it is committed, by either road; a message counts once, however often and by whichever
//! event Slack tells of it; the bot's token goes to Slack's servers and no others.

mod api;
mod calls;
mod emoji;
mod event;
mod exam;
mod files;
mod incoming;
mod message;
mod names;
mod send;
mod signed;
mod sockets;
#[cfg(test)]
mod tests;
mod text;

use std::time::Duration;

use async_trait::async_trait;
use claw_secrets::signature;
use claw_types::{Inbound, MediaKind, MediaRef};
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::{Map, json};
use tokio_util::sync::CancellationToken;

use self::api::Api;
use self::names::People;
use self::sockets::Sockets;
use crate::exam::Examinee;
use crate::kit::upload::Uploads;
use crate::{
    About, Adapter, Albums, ButtonCaps, Caps, Channel, ChannelError, Deps, Dialect, Feature, Field,
    FieldKind, Lack, Limits, MediaStream, Part, Probe, Rate, RawRequest, Receipt, Reply, Reports, Sink,
    TextUnit,
};

/// Of a message Slack advises 4,000 characters and cuts at 40,000 (<https://docs.slack.dev/reference/methods/chat.postMessage#truncating>),
/// but a text with buttons below it is a block, and these have 3,000
/// (<https://docs.slack.dev/reference/block-kit/blocks/section-block>). It does not say how it counts; in UTF-16 nothing is counted short.
static CAPS: Caps = Caps {
    max_text: 3000,
    max_caption: 3000,
    unit: TextUnit::Utf16,
    markdown: Dialect::Slack,
    media: &[MediaKind::Image, MediaKind::Video, MediaKind::Audio, MediaKind::Voice, MediaKind::File],
    albums: Some(&Albums {
        max: 10,
        groups: &[&[MediaKind::Image, MediaKind::Video, MediaKind::Audio, MediaKind::Voice, MediaKind::File]],
    }),
    threads: true,
    reply_to: true,
    buttons: ButtonCaps::ALL,
    edit: true,
    delete: true,
    reactions: true,
    typing: true,
    // It is shown for two minutes: <https://docs.slack.dev/reference/methods/assistant.threads.setStatus>.
    typing_every: Some(Duration::from_mins(1)),
    reports: Reports::DEEDS,
    tells_programs: true,
    placeholders: true,
    limits: Some(&LIMITS),
    lacks: &[
        Lack::cant(
            &[Feature::Polls, Feature::Location],
            "Slack has no blocks for it; polls are apps of their own there",
            "https://docs.slack.dev/reference/block-kit/blocks",
        ),
        Lack::cant(
            &[Feature::Receipts],
            "Slack tells apps neither what arrived nor what was read",
            "https://docs.slack.dev/reference/events",
        ),
        Lack::cant(
            &[Feature::Commands],
            "commands are in the app's manifest, which none of the app's own tokens may change; they are read",
            "https://docs.slack.dev/app-manifests/configuring-apps-with-app-manifests",
        ),
    ],
    ..Caps::TEXT_ONLY
};

/// A message in a second into a conversation but for short bursts, and several hundred in a minute into all of a workspace
/// (<https://docs.slack.dev/apis/web-api/rate-limits>).
static LIMITS: Limits =
    Limits { bot: Rate { every: Duration::from_millis(200), burst: 20 }, chat: CHAT, group: CHAT };
const CHAT: Rate = Rate { every: Duration::from_secs(1), burst: 3 };

/// The platform's own server.
const CLOUD: &str = "https://slack.com";

/// The configuration.
#[derive(Deserialize)]
pub struct Config {
    bot_token_env: String,
    app_token_env: Option<String>,
    signing_secret: Option<String>,
    #[serde(default)]
    allowed_channels: Vec<String>,
    api_url: Option<String>,
}

/// An app in one workspace.
pub struct Slack {
    api: Api,
    app_token: Option<String>,
    signing_secret: Option<String>,
    allowed_channels: Vec<String>,
    people: People,
    uploads: Uploads,
}

impl Adapter for Slack {
    const NAME: &'static str = "slack";
    const ABOUT: About = About {
        display_name: "Slack",
        category: "chat",
        description: "A Slack app, in direct messages, channels and threads.",
        setup: &[
            "At https://api.slack.com/apps choose Create New App, From a manifest, and paste the manifest that stands further down on this page.",
            "Install the app to the workspace; OAuth & Permissions shows the bot token (xoxb-...).",
            "Basic Information, App-Level Tokens: make one with the scope connections:write (xapp-...). Put both in here; nothing has to be reachable from outside.",
            "Or have Slack post to the gateway: switch Socket Mode off, put the signing secret (Basic Information) in here, and the channel's webhook_path, behind the gateway's address, as the Request URL of Event Subscriptions, Interactivity and each slash command.",
            "Invite the bot to the channels that it is to read: /invite @bot.",
        ],
        docs_url: "https://docs.slack.dev/app-management/quickstart-app-settings",
    };
    const CAPS: &'static Caps = &CAPS;
    const FIELDS: &'static [Field] = &[
        Field::new("bot_token_env", "Bot token", FieldKind::Secret, "the bot token of the installed app, with which messages are sent.")
            .required()
            .like("xoxb-0000000000-0000000000000-abcdefghijklmnopqrstuvwx"),
        Field::new(
            "app_token_env",
            "App-level token",
            FieldKind::Secret,
            "an app-level token with the scope connections:write, with which messages are received over a socket; or \
             signing_secret, for an app without Socket Mode.",
        )
        .required_unless("signing_secret")
        .like("xapp-1-A0000000000-0000000000000-0123456789abcdef"),
        Field::new(
            "signing_secret",
            "Signing secret",
            FieldKind::Secret,
            "with which Slack signs what it posts to webhook_path; for apps without Socket Mode.",
        )
        .like("8f742231b10e8888abcd99yyyzzz85a5"),
        Field::new(
            "allowed_channels",
            "Allowed channels",
            FieldKind::List,
            "in which channels the bot listens, by their ids; empty means all. Direct messages are not among them.",
        )
        .advanced()
        .like("C024BE91L"),
        Field::new("api_url", "API server", FieldKind::Url, "another server in place of https://slack.com.")
            .advanced()
            .receives(&["bot_token_env", "app_token_env"])
            .like(CLOUD),
    ];
    type Config = Config;

    fn new(config: Config, deps: Deps) -> Result<Self, ChannelError> {
        let given = |secret: Option<String>| secret.filter(|secret| !secret.is_empty());
        let (app_token, signing_secret) = (given(config.app_token_env), given(config.signing_secret));
        // A token that is renewed by itself has something in front.
        if !config.bot_token_env.contains("xoxb-") {
            return Err(ChannelError::Config(
                "bot_token_env is not a bot token: it begins with xoxb- (OAuth & Permissions in the app's settings)".to_owned(),
            ));
        }
        if app_token.as_ref().is_some_and(|token| !token.starts_with("xapp-")) {
            return Err(ChannelError::Config(
                "app_token_env is not an app-level token: it begins with xapp- (Basic Information in the app's settings)".to_owned(),
            ));
        }
        if app_token.is_none() && signing_secret.is_none() {
            return Err(ChannelError::Config(
                "app_token_env or signing_secret is needed: without one of them nothing that people write arrives".to_owned(),
            ));
        }
        let uploads = Uploads::new(&deps);
        let server = config.api_url.as_deref().unwrap_or(CLOUD);
        let api = Api::new(server, config.bot_token_env, deps)?;
        Ok(Self {
            api,
            app_token,
            signing_secret,
            allowed_channels: config.allowed_channels,
            people: People::default(),
            uploads,
        })
    }

    fn examinee() -> &'static dyn Examinee {
        &exam::Exam
    }

    fn credentials(config: &Config) -> Vec<String> {
        // Any of an app's sockets gets its messages, of every workspace in which it is installed, and its posts go to one address, so only
        // one channel may have the app: known by its id, of which a renewed token is, too, or by the secret of its posts. The bot's token
        // tells that two channels of these roads are one app's, of which one would hear nothing. Rejected: that token alone. An app's sockets
        // could be in the channels of two workspaces then, which would get each other's messages.
        let app = config.app_token_env.as_deref().and_then(app_id).map(str::to_owned);
        let secret = config.signing_secret.as_deref().filter(|secret| !secret.is_empty());
        // Hashes, because they are kept in the open.
        let hash = |secret: &str| hex::encode(signature::sha256(secret.as_bytes()));
        app.into_iter().chain(secret.map(hash)).chain([hash(&config.bot_token_env)]).collect()
    }
}

/// The app's id in an app-level token: `xapp-1-A0000000000-...`.
fn app_id(token: &str) -> Option<&str> {
    let id = token.split('-').nth(2)?;
    (id.starts_with('A') && id.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())).then_some(id)
}

impl Slack {
    /// What may come in: everything but messages of channels that are not among those that were given.
    fn admitted(&self, mut messages: Vec<Inbound>) -> Vec<Inbound> {
        if !self.allowed_channels.is_empty() {
            messages
                .retain(|message| !message.is_group || self.allowed_channels.contains(&message.recipient));
        }
        messages
    }

    fn check(&self, request: &RawRequest) -> Result<(), ChannelError> {
        let Some(secret) = &self.signing_secret else {
            return Err(ChannelError::BadRequest(
                "this channel takes no posts: give it the app's signing_secret, or switch Socket Mode on for the app".to_owned(),
            ));
        };
        let now = self.api.deps.clock.now().timestamp();
        signed::verify(secret, &request.headers, &request.body, now).map_err(ChannelError::BadSignature)
    }
}

/// A refusal of a call into a conversation. Slack limits apps, methods and conversations, and its answer does not say which it was.
fn in_chat(error: ChannelError) -> ChannelError {
    match error {
        ChannelError::RateLimited(wait) => ChannelError::ChatLimited { wait, told: false },
        other => other,
    }
}

fn is_form(request: &RawRequest) -> bool {
    let content_type = request.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|content_type| content_type.starts_with("application/x-www-form-urlencoded"))
}

#[async_trait]
impl Channel for Slack {
    fn caps(&self) -> &'static Caps {
        &CAPS
    }

    /// Of a person's id the direct messages with them are meant.
    fn is_group(&self, recipient: &str) -> bool {
        !message::is_direct(recipient) && !api::is_person(recipient)
    }

    fn handshake(&self, request: &RawRequest) -> Result<Option<Reply>, ChannelError> {
        // Each event passes here, and hardly one is a question.
        if !incoming::may_be_challenge(&request.body) {
            return Ok(None);
        }
        self.check(request)?;
        Ok(incoming::challenge(&request.body).map(Reply::text))
    }

    async fn complete(&self, messages: &mut [Inbound]) {
        self.people.complete(&self.api, messages).await;
    }

    /// Of what a command is answered, people would be shown the text.
    fn taken(&self, _: &RawRequest) -> Option<Reply> {
        Some(Reply::text(""))
    }

    fn decode(&self, request: &RawRequest) -> Result<Vec<Inbound>, ChannelError> {
        self.check(request)?;
        let messages = incoming::posted(&request.body, is_form(request)).map_err(ChannelError::BadRequest)?;
        Ok(self.admitted(messages))
    }

    fn fuzz(&self, data: &[u8]) {
        drop(incoming::challenge(data));
        for is_form in [false, true] {
            drop(incoming::posted(data, is_form));
        }
        if let Ok(text) = std::str::from_utf8(data) {
            for kind in ["events_api", "slash_commands", "interactive"] {
                drop(incoming::enveloped(kind, text));
            }
            drop(text::readable(text));
        }
        api::fuzz(data);
    }

    async fn send(&self, part: &Part<'_>) -> Result<Receipt, ChannelError> {
        send::send(&self.api, &self.uploads, part).await.map_err(in_chat)
    }

    async fn probe(&self) -> Result<Probe, ChannelError> {
        let bot = self.api.identity().await?;
        if let Some(token) = &self.app_token {
            sockets::address(self, token).await?;
        }
        let shows_names = match names::of(&self.api, &bot.user_id).await {
            Err(error) if names::lacks_scope(&error) => false,
            asked => asked.map(|_| true)?,
        };
        let details = Map::from_iter([
            ("shows_names".to_owned(), json!(shows_names)),
            ("id".to_owned(), json!(bot.user_id)),
            ("team".to_owned(), json!(bot.team)),
            ("team_id".to_owned(), json!(bot.team_id)),
            ("url".to_owned(), json!(bot.url)),
        ]);
        Ok(Probe { account: Some(format!("@{}", bot.user)), details })
    }

    async fn typing(&self, recipient: &str, thread_id: Option<&str>) -> Result<(), ChannelError> {
        let Some(thread) = thread_id else {
            return Err(ChannelError::Unsupported(
                "Slack shows only in threads that an answer is being written",
            ));
        };
        let channel = self.api.conversation(recipient).await?;
        self.api.act(&calls::typing(&channel, thread)?).await.map_err(in_chat)
    }

    async fn listen(&self, sink: &dyn Sink, stop: CancellationToken) -> Result<(), ChannelError> {
        let Some(token) = &self.app_token else {
            stop.cancelled().await;
            return Ok(());
        };
        let sockets = Sockets::new(self, token, sink);
        // What was not acknowledged comes again.
        tokio::select! {
            result = sockets.receive() => result,
            () = stop.cancelled() => Ok(()),
        }
    }

    async fn open_media(&self, media: &MediaRef) -> Result<MediaStream, ChannelError> {
        files::open(&self.api, &media.handle).await
    }
}
