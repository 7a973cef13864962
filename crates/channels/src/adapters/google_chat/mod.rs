//! Google Chat apps (<https://developers.google.com/workspace/chat/overview>), by interaction events and the Chat API.
//!
//! Google posts events with a token, of one of three kinds by what the app's owner chose (`poster`); `event` and `incoming` read them. Answers are
//! sent by the API, never in the answer to an event: an agent may need longer than an event is waited for, and a message by the API has a
//! request id, by which a call that is made again counts once.
//!
//! What people do in a space without addressing the app comes another way, where there is a topic: by subscriptions (`subscriptions`), whose
//! events Pub/Sub posts to the same address (`push`, `told`).
//!
//! Must hold: nothing of a body is looked at before its token was checked; each part has one request id, whoever sends it and
//! however often; the service account's key leaves this process in signatures only.

mod account;
mod api;
mod calls;
mod event;
mod exam;
mod incoming;
mod lacks;
mod poster;
mod push;
mod subscriptions;
#[cfg(test)]
mod tests;
mod told;

use std::time::Duration;

use async_trait::async_trait;
use claw_secrets::signature::sha256;
use claw_types::{Inbound, MediaKind, MediaRef};
use serde::Deserialize;
use serde_json::{Map, json};
use tokio_util::sync::CancellationToken;

use self::account::Account;
use self::api::Api;
use self::poster::{Poster, Posters, is_number};
use crate::exam::Examinee;
use crate::{
    About, Adapter, Albums, ButtonCaps, Caps, Channel, ChannelError, Deps, Dialect, Field, FieldKind, Limits,
    MediaStream, Part, Probe, Rate, RawRequest, Receipt, Reply, Reports, Sink, TextUnit,
};

/// A message may have 32,000 bytes, cards and all
/// (<https://developers.google.com/workspace/chat/api/reference/rest/v1/spaces.messages/create>): 4,096 characters have 16,384 at most
/// and leave room for buttons. Google lets people upload files
/// (<https://developers.google.com/workspace/chat/api/reference/rest/v1/media/upload>) and react
/// (<https://developers.google.com/workspace/chat/api/reference/rest/v1/spaces.messages.reactions/create>), not apps by themselves, so
/// pictures are shown in a card by their address, several in one, and other files go as links. Of edits, deletions and people's reactions it
/// tells only where the channel has a topic (`events_topic`), and in named spaces.
static CAPS: Caps = Caps {
    max_text: 4096,
    max_caption: 4096,
    unit: TextUnit::Chars,
    markdown: Dialect::GoogleChat,
    media: &[MediaKind::Image],
    // Widgets of one card. As many as a message may have; with a text and common addresses they are far below the 32,000 bytes.
    albums: Some(&Albums { max: 10, groups: &[&[MediaKind::Image]] }),
    threads: true,
    reply_to: true,
    buttons: ButtonCaps::ALL,
    edit: true,
    delete: true,
    reports: Reports::DEEDS,
    tells_programs: true,
    placeholders: true,
    limits: Some(&LIMITS),
    lacks: lacks::LACKS,
    ..Caps::TEXT_ONLY
};

/// 3,000 messages in a minute of one project, and 60 into one space, which all apps in it share
/// (<https://developers.google.com/workspace/chat/limits>).
static LIMITS: Limits = Limits {
    bot: Rate { every: Duration::from_millis(21), burst: 100 },
    chat: SPACE_PACE,
    group: SPACE_PACE,
};
const SPACE_PACE: Rate = Rate { every: Duration::from_millis(1200), burst: 10 };

/// The fields.
#[derive(Deserialize)]
pub struct Config {
    service_account_env: String,
    audience: String,
    addon_account: Option<String>,
    events_topic: Option<String>,
    events_account: Option<String>,
    #[serde(default)]
    space_ids: Vec<String>,
    api_url: Option<String>,
}

/// An app.
pub struct GoogleChat {
    posters: Posters,
    /// The Pub/Sub topic of the subscriptions, where there are to be some.
    topic: Option<String>,
    spaces: Vec<String>,
    api: Api,
    deps: Deps,
}

impl Adapter for GoogleChat {
    const NAME: &'static str = "google_chat";
    const ABOUT: About = About {
        display_name: "Google Chat",
        category: "chat",
        description: "A Google Chat app, in direct messages and spaces of a Google Workspace.",
        setup: &[
            "In the Google Cloud console, enable the Google Chat API in a project and make a service account; add a key of the type JSON to it, which is downloaded.",
            "Put the content of that file in here, and the project number (Cloud overview) as the audience.",
            "In the Google Chat API's configuration, switch interactive features on and choose HTTP endpoint URL: the channel's webhook_path behind the gateway's address, which must be reachable by https.",
            "There, choose Project Number as the authentication audience, uncheck \"Build this Chat app as a Workspace add-on\", and say for whom the app is visible. An app that is an add-on already has the HTTP endpoint URL as its audience, and its connection settings show the service account's email that goes into the add-on account.",
            "For commands, add them under Commands; they reach the agent as messages.",
            "To have edits, deletions, reactions and messages that do not mention the app read in named spaces, too: make a Pub/Sub topic in the project, let chat-api-push@system.gserviceaccount.com publish to it, have it push to the same URL with a token for the audience above, and have an administrator approve the app; the page of this type in the documentation has the steps.",
        ],
        docs_url: "https://developers.google.com/workspace/chat/configure-chat-api",
    };
    const CAPS: &'static Caps = &CAPS;
    const FIELDS: &'static [Field] = &[
        Field::new(
            "service_account_env",
            "Service account key",
            FieldKind::Secret,
            "the content of the service account's key file, a JSON document.",
        )
        .required()
        .like("{\"type\": \"service_account\", ...}"),
        Field::new(
            "audience",
            "Authentication audience",
            FieldKind::Text,
            "what the Chat API's configuration has as the authentication audience: the project's number, or the HTTP endpoint URL.",
        )
        .required()
        .like("123456789012"),
        Field::new(
            "addon_account",
            "Add-on account",
            FieldKind::Text,
            "where the app is a Workspace add-on: the service account's email that the Chat API's connection settings show; the audience is \
             the HTTP endpoint URL then.",
        )
        .advanced()
        .like("service-123456789012@gcp-sa-gsuiteaddons.iam.gserviceaccount.com"),
        Field::new(
            "events_topic",
            "Topic of events",
            FieldKind::Text,
            "the Pub/Sub topic by which Google tells of edits, deletions, reactions and messages that do not mention the app, in named spaces; without \
             it they are not read. An administrator has to approve the app for it.",
        )
        .advanced()
        .like("projects/my-project/topics/chat-events"),
        Field::new(
            "events_account",
            "Account of the topic",
            FieldKind::Text,
            "the email of the service account by which the topic's push subscription authenticates itself; not given, that of the key.",
        )
        .advanced()
        .like("push@my-project.iam.gserviceaccount.com"),
        Field::new(
            "space_ids",
            "Spaces",
            FieldKind::List,
            "the spaces and direct messages in which the app listens, as spaces/AAAA; empty means all.",
        )
        .advanced()
        .like("spaces/AAAABBBBccc"),
        Field::new(
            "api_url",
            "API server",
            FieldKind::Url,
            "another server in place of https://chat.googleapis.com, https://workspaceevents.googleapis.com, https://oauth2.googleapis.com and \
             https://www.googleapis.com.",
        )
        .advanced()
        .receives(&["service_account_env"])
        .like("https://chat.example.org"),
    ];
    type Config = Config;

    fn new(config: Config, deps: Deps) -> Result<Self, ChannelError> {
        let account = Account::read(&config.service_account_env).map_err(ChannelError::Config)?;
        let topic = config.events_topic;
        if topic.as_deref().is_some_and(|topic| !is_topic(topic)) {
            return Err(ChannelError::Config(
                "events_topic is not the full name of a Pub/Sub topic, like projects/my-project/topics/chat-events"
                    .to_owned(),
            ));
        }
        if topic.is_none() && config.events_account.is_some() {
            return Err(ChannelError::Config(
                "events_account says who posts what comes by the events_topic, which is missing: give that, too"
                    .to_owned(),
            ));
        }
        let pushes = || config.events_account.unwrap_or_else(|| account.email().to_owned());
        let pushes = topic.is_some().then(pushes);
        let posters = Posters::new(config.audience, config.addon_account, pushes)?;
        let spaces = config.space_ids.iter().map(|space| resource(space)).collect();
        let api = Api::new(config.api_url.as_deref(), account, &deps)?;
        Ok(Self { posters, topic, spaces, api, deps })
    }

    /// A hash, because it is kept in the open, of the account and not of its key, of which there may be several; and the project, which has
    /// one app (<https://developers.google.com/workspace/chat/configure-chat-api>) and may have several accounts. Where the audience is an
    /// address it is the channel's own.
    fn credentials(config: &Config) -> Vec<String> {
        let account = Account::read(&config.service_account_env).ok();
        let account = account.map(|account| hex::encode(sha256(account.email().as_bytes())));
        account.into_iter().chain(is_number(&config.audience).then(|| config.audience.clone())).collect()
    }

    fn examinee() -> &'static dyn Examinee {
        &exam::Exam
    }
}

/// Whether this is the full name of a topic
/// (<https://developers.google.com/workspace/events/reference/rest/v1/subscriptions#NotificationEndpoint>).
fn is_topic(name: &str) -> bool {
    let segments: Vec<&str> = name.split('/').collect();
    matches!(segments.as_slice(), ["projects", project, "topics", topic] if !project.is_empty() && !topic.is_empty())
}

/// A space's name, also where only its id was given.
fn resource(space: &str) -> String {
    if space.starts_with("spaces/") { space.to_owned() } else { format!("spaces/{space}") }
}

#[async_trait]
impl Channel for GoogleChat {
    fn caps(&self) -> &'static Caps {
        &CAPS
    }

    async fn prepare(&self, request: &RawRequest) -> Result<(), ChannelError> {
        self.posters.prepare(&self.deps, &self.api, &request.headers).await
    }

    /// What is in the answer becomes the app's message; an empty object is none
    /// (<https://github.com/googleworkspace/google-chat-samples/issues/36>).
    fn taken(&self, _: &RawRequest) -> Option<Reply> {
        Some(Reply::empty_object())
    }

    fn decode(&self, request: &RawRequest) -> Result<Vec<Inbound>, ChannelError> {
        let mut messages = match self.posters.poster(&self.deps, &self.api, &request.headers)? {
            Poster::Chat => {
                incoming::understood(event::read(&request.body).map_err(ChannelError::BadRequest)?)
            }
            Poster::Topic => told::understood(push::read(&request.body).map_err(ChannelError::BadRequest)?),
        };
        messages.retain(|message| self.listens_in(&message.recipient));
        Ok(messages)
    }

    fn is_followed_up(&self, request: &RawRequest) -> bool {
        self.topic.is_some() && event::may_be_added(&request.body)
    }

    /// Subscribes to the spaces to which the app was added; the owner's next look would, too, but some minutes later.
    async fn follow_up(&self, request: &RawRequest) -> Result<(), ChannelError> {
        let is_added = event::read(&request.body).is_ok_and(|event| event.r#type == event::ADDED);
        match &self.topic {
            Some(topic) if is_added => self.subscribe(topic).await,
            _ => Ok(()),
        }
    }

    fn fuzz(&self, data: &[u8]) {
        if let Ok(event) = event::read(data) {
            drop(incoming::understood(event));
        }
        if let Ok(event) = push::read(data) {
            drop(told::understood(event));
        }
        api::fuzz(data);
        subscriptions::fuzz(data);
        drop(Account::read(&String::from_utf8_lossy(data)));
    }

    async fn send(&self, part: &Part<'_>) -> Result<Receipt, ChannelError> {
        let call = calls::of_part(part, self.function())?;
        let answered = match part.piece.reply_to.as_deref() {
            Some(question) => self.answer(&call, question).await?,
            None => self.api.call(&call).await?,
        };
        let target = part.piece.content.target().map(str::to_owned);
        // It was taken. Asked again with the same request id, Google says the name once more.
        let name = target
            .or(answered.name)
            .ok_or_else(|| ChannelError::Retryable("Google's answer names no message".to_owned()))?;
        Ok(Receipt { platform_message_id: name })
    }

    async fn probe(&self) -> Result<Probe, ChannelError> {
        self.api.try_credential().await?;
        let account = self.api.account();
        let details = Map::from_iter([("project_id".to_owned(), json!(account.project()))]);
        Ok(Probe { account: Some(account.email().to_owned()), details })
    }

    async fn listen(&self, sink: &dyn Sink, stop: CancellationToken) -> Result<(), ChannelError> {
        match &self.topic {
            Some(topic) => {
                stop.run_until_cancelled(self.subscribe_for_ever(topic, sink)).await;
            }
            None => stop.cancelled().await,
        }
        Ok(())
    }

    async fn open_media(&self, media: &MediaRef) -> Result<MediaStream, ChannelError> {
        self.api.open(&media.handle).await
    }
}

impl GoogleChat {
    /// What a pressed button calls: of an app of its own by any name, of an add-on by its address
    /// (<https://developers.google.com/workspace/add-ons/guides/alternate-runtimes>).
    fn function(&self) -> &str {
        if self.posters.has_addon() { &self.posters.audience } else { calls::PRESSED }
    }

    /// Sends what quotes a message. What is gone, or is in another thread, can't be quoted and does not keep the answer back: a call that
    /// was refused made no message, so the request id is still free.
    async fn answer(&self, call: &calls::Call, question: &str) -> Result<api::Message, ChannelError> {
        let version = match self.api.call(&calls::get(question)?).await {
            Ok(message) => message.version(),
            Err(ChannelError::Permanent(_)) => None,
            Err(error) => return Err(error),
        };
        let Some(version) = version else { return self.api.call(call).await };
        match self.api.call(&call.quoting(question, &version)).await {
            Err(ChannelError::Permanent(_)) => self.api.call(call).await,
            answered => answered,
        }
    }

    fn listens_in(&self, space: &str) -> bool {
        self.spaces.is_empty() || self.spaces.iter().any(|allowed| allowed == space)
    }
}
