//! Microsoft Teams, by the Bot Connector (<https://learn.microsoft.com/en-us/azure/bot-service/rest-api/bot-framework-rest-connector-api-reference>).
//!
//! Microsoft posts activities with a token that says for whom they are and which address serves their conversation; `activity`
//! and `incoming` read them, `calls` and `card` make ours. An activity's `serviceUrl` has to be the signed one, but is not sent to: a
//! recipient is a conversation's id and nothing else, and calls go to the address that serves all conversations of the bot's
//! `cloud`. If the region were kept in the recipient, a conversation would become another one whenever Microsoft moves it, which it
//! does, while every address goes on serving it
//! (<https://devblogs.microsoft.com/microsoft365dev/updates-for-microsoft-teams-bots-in-multi-geo-environments/>); and whoever may
//! send could have the bot's token sent to a server of their own.
//!
//! Files are given in two steps (`consent`): a part is the question whether the person wants it, and the upload follows their answer.
//!
//! Must hold: nothing of a body is looked at before its token was checked; the bot's token goes to connectors of its cloud and
//! nowhere else.

mod activity;
mod api;
mod calls;
mod card;
mod cloud;
mod consent;
mod exam;
mod files;
mod incoming;
mod lacks;
mod reactions;
#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use claw_types::{Inbound, MediaKind, MediaRef};
use serde::Deserialize;
use serde_json::{Map, json};
use uuid::Uuid;

use self::api::{Account, Api};
use self::cloud::Cloud;
use self::consent::Consents;
use self::incoming::Bot;
use crate::exam::Examinee;
use crate::kit::jwt::{Expected, Verified};
use crate::kit::plan::{Content, part_id};
use crate::kit::upload::Uploads;
use crate::{
    About, Adapter, Albums, ButtonCaps, Caps, Channel, ChannelError, Deps, Dialect, Field, FieldKind, Limits,
    MediaStream, Part, Probe, Rate, RawRequest, Receipt, Reports, TextUnit,
};

/// What the Bot Connector calls Teams.
const CHANNEL: &str = "msteams";

/// A message may have 28 to 40 KB in UTF-16, cards and all
/// (<https://learn.microsoft.com/en-us/microsoftteams/platform/bots/how-to/format-your-bot-messages>); far less is read with pleasure.
/// Pictures are shown in a card by their address, several in one; for any other file Teams first asks the person for consent ([`consent`]).
const PERSONAL: Caps = Caps {
    max_text: 4000,
    // A text beside a picture would be a message of its own that has no id; before or behind it, it has one ([`calls`]).
    max_caption: 0,
    unit: TextUnit::Utf16,
    markdown: Dialect::Teams,
    media: &[MediaKind::Image, MediaKind::Video, MediaKind::Audio, MediaKind::Voice, MediaKind::File],
    // No page says how many pictures a card has. Ten, which is all that a message may have, are within those 28 KB with addresses of 800
    // characters and the longest text.
    albums: Some(&Albums { max: 10, groups: &[&[MediaKind::Image]] }),
    threads: true,
    reply_to: true,
    // A quote is a sign in a text, which a card can't have beside it.
    only_texts_reply: true,
    buttons: ButtonCaps::ALL,
    edit: true,
    delete: true,
    reactions: true,
    typing: true,
    // It goes out after some seconds, of which Microsoft says no number.
    typing_every: Some(Duration::from_secs(4)),
    reports: Reports { receipts: true, ..Reports::DEEDS },
    tells_programs: true,
    placeholders: true,
    limits: Some(&LIMITS),
    lacks: lacks::LACKS,
    ..Caps::TEXT_ONLY
};

static CAPS: Caps = PERSONAL;

/// Bots give files in chats with one person only
/// (<https://learn.microsoft.com/en-us/microsoftteams/platform/bots/how-to/bots-filesv4>).
static GROUP_CAPS: Caps = Caps { media: &[MediaKind::Image], ..PERSONAL };

/// Into one conversation 7 in a second, 60 in 30 s and 1,800 in an hour; 50 in a second of one bot in one organisation
/// (<https://learn.microsoft.com/en-us/microsoftteams/platform/bots/how-to/rate-limit>).
static LIMITS: Limits =
    Limits { bot: Rate { every: Duration::from_millis(25), burst: 10 }, chat: CHAT_PACE, group: CHAT_PACE };
const CHAT_PACE: Rate = Rate { every: Duration::from_millis(2020), burst: 7 };

/// The fields.
#[derive(Deserialize)]
pub struct Config {
    app_id: String,
    app_password_env: String,
    tenant_id: Option<String>,
    cloud: Option<String>,
    files: Option<String>,
    service_url: Option<String>,
    api_url: Option<String>,
}

/// How files are given: by consent, which is meant where nothing is said, or as links.
const FILES: &[&str] = &["consent", "link"];

/// A bot.
pub struct Teams {
    bot: Bot,
    tenant: Option<String>,
    cloud: Cloud,
    /// Where people are asked whether they want a file.
    consents: Option<Consents>,
    uploads: Uploads,
    api: Api,
    deps: Deps,
}

impl Adapter for Teams {
    const NAME: &'static str = "teams";
    const ABOUT: About = About {
        display_name: "Microsoft Teams",
        category: "chat",
        description: "A Microsoft Teams bot, in personal chats, group chats and channels of teams.",
        setup: &[
            "In the Azure portal, create an Azure Bot; choose Single Tenant and let it create a new Microsoft App ID.",
            "Under Configuration, copy the Microsoft App ID and the App Tenant ID; under Manage Password, make a client secret and copy its value.",
            "Put all three in here. The channel's webhook_path, behind the gateway's address, is the messaging endpoint (Configuration): it must be reachable by https.",
            "Under Channels, add Microsoft Teams.",
            "Make an app package with the bot's App ID (Teams Developer Portal) and install it for people, in chats and in teams. So that people can send the bot files and get some, its manifest says \"supportsFiles\": true.",
        ],
        docs_url: "https://learn.microsoft.com/en-us/azure/bot-service/bot-service-quickstart-registration",
    };
    const CAPS: &'static Caps = &CAPS;
    const FIELDS: &'static [Field] = &[
        Field::new("app_id", "App ID", FieldKind::Text, "the bot's Microsoft App ID.")
            .required()
            .like("3f2504e0-4f89-41d3-9a0c-0305e82c3301"),
        Field::new(
            "app_password_env",
            "Client secret",
            FieldKind::Secret,
            "the value of a client secret of the app; not the secret's ID.",
        )
        .required(),
        Field::new(
            "tenant_id",
            "Tenant ID",
            FieldKind::Text,
            "the organisation (Microsoft Entra tenant) that the bot belongs to: it gets its tokens there, and what people of another \
             one write is refused; without it the bot is a multi-tenant one and takes all.",
        )
        .like("6ba7b810-9dad-41d1-80b4-00c04fd430c8"),
        Field::new(
            "cloud",
            "Cloud",
            FieldKind::Choice(cloud::NAMES),
            "Microsoft's cloud in which the bot is; public if not set.",
        )
        .advanced(),
        Field::new(
            "files",
            "Files",
            FieldKind::Choice(FILES),
            "how people get files in chats with the bot alone, by consent if not set: the app's manifest must say supportsFiles then; in \
             gcc_high and dod they are links in any case.",
        )
        .advanced(),
        Field::new(
            "service_url",
            "Service URL",
            FieldKind::Url,
            "the serviceUrl of the bot's activities, where calls are to go to that one; needed in china. It must be one of the cloud's.",
        )
        .advanced()
        .like("https://smba.trafficmanager.net/emea"),
        Field::new(
            "api_url",
            "API server",
            FieldKind::Url,
            "another server in place of all of Microsoft's: those for tokens, for public keys and for calls.",
        )
        .advanced()
        .receives(&["app_password_env"])
        .like("https://teams.example.org"),
    ];
    type Config = Config;

    fn new(config: Config, deps: Deps) -> Result<Self, ChannelError> {
        let Config { app_id, app_password_env: password, tenant_id: tenant, .. } = &config;
        for (key, id) in [("app_id", Some(app_id)), ("tenant_id", tenant.as_ref())] {
            if id.is_some_and(|id| Uuid::try_parse(id).is_err()) {
                return Err(ChannelError::Config(format!(
                    "{key} is not an id like 3f2504e0-4f89-41d3-9a0c-0305e82c3301; the Azure portal shows it under Configuration"
                )));
            }
        }
        if password.is_empty() {
            return Err(ChannelError::Config(
                "app_password_env is empty; the Azure portal makes a client secret under Manage Password"
                    .to_owned(),
            ));
        }
        let cloud = Cloud::named(config.cloud.as_deref()).ok_or_else(|| {
            ChannelError::Config(format!("cloud must be one of: {}", cloud::NAMES.join(", ")))
        })?;
        // As tokens name it.
        let app_id = app_id.to_ascii_lowercase();
        let account = Account {
            app_id: &app_id,
            password,
            tenant: tenant.as_deref(),
            cloud,
            service_url: config.service_url.as_deref(),
            api_url: config.api_url.as_deref(),
        };
        let api = Api::new(&account, &deps)?;
        let asks = cloud.files && config.files.as_deref().is_none_or(|files| files == FILES[0]);
        let consents = asks.then(|| Consents::of(password));
        let (bot, tenant) = (Bot::of_app(app_id), config.tenant_id);
        Ok(Self { bot, tenant, cloud, consents, uploads: Uploads::new(&deps), api, deps })
    }

    /// Each activity is posted to one endpoint. An app's client secrets, of which it may have several, work with its id only.
    fn credentials(config: &Config) -> Vec<String> {
        vec![config.app_id.to_ascii_lowercase()]
    }

    fn caps_in(recipient: &str) -> &'static Caps {
        if is_group(recipient) { &GROUP_CAPS } else { &CAPS }
    }

    fn examinee() -> &'static dyn Examinee {
        &exam::Exam
    }
}

/// Ids of group chats and channels begin with 19:
/// (<https://learn.microsoft.com/en-us/microsoftteams/platform/bots/how-to/conversations/conversation-messages>).
fn is_group(recipient: &str) -> bool {
    recipient.starts_with("19:")
}

#[async_trait]
impl Channel for Teams {
    fn caps(&self) -> &'static Caps {
        &CAPS
    }

    fn caps_in(&self, recipient: &str) -> &'static Caps {
        <Self as Adapter>::caps_in(recipient)
    }

    fn is_group(&self, recipient: &str) -> bool {
        is_group(recipient)
    }

    async fn prepare(&self, request: &RawRequest) -> Result<(), ChannelError> {
        self.deps.http.keys().prepare_for(&self.deps, self.api.keys(), &request.headers).await
    }

    fn decode(&self, request: &RawRequest) -> Result<Vec<Inbound>, ChannelError> {
        let (keys, expected) =
            (self.deps.http.keys(), Expected { issuers: &[self.cloud.issuer], audience: &self.bot.app_id });
        let activity = keys.genuine(&self.deps, self.api.keys(), &request.headers, expected, |token| {
            let activity = activity::read(&request.body).map_err(ChannelError::BadRequest)?;
            let vouched = is_vouched_for(token, &activity);
            vouched.map_err(|why| ChannelError::BadSignature(why.to_owned()))?;
            Ok(activity)
        })?;
        if self.tenant.as_deref().is_some_and(|tenant| activity.tenant() != Some(tenant)) {
            return Err(ChannelError::BadRequest(
                "the activity is of another organisation than the channel's tenant_id".to_owned(),
            ));
        }
        Ok(incoming::understood(activity, &self.bot))
    }

    fn fuzz(&self, data: &[u8]) {
        if let Ok(activity) = activity::read(data) {
            drop(incoming::understood(activity, &self.bot));
        }
        if let (Some(consents), Ok(activity)) = (&self.consents, activity::read(data)) {
            drop(consents.accepted(activity));
        }
        api::fuzz(data);
    }

    async fn send(&self, part: &Part<'_>) -> Result<Receipt, ChannelError> {
        let call = match &part.piece.content {
            Content::Media { media, .. } if media.kind != MediaKind::Image => self.file(part, media).await?,
            _ => calls::of_part(part)?,
        };
        let answered = self.api.call(&call).await?;
        let target = part.piece.content.target().map(str::to_owned);
        // It was taken. The part's own id stands for the one that nobody will ever know.
        let id = target.or(answered).unwrap_or_else(|| part_id(part.message_id, part.index));
        Ok(Receipt { platform_message_id: id })
    }

    fn is_followed_up(&self, request: &RawRequest) -> bool {
        let name = consent::ANSWERED.as_bytes();
        self.consents.is_some() && request.body.windows(name.len()).any(|part| part == name)
    }

    async fn follow_up(&self, request: &RawRequest) -> Result<(), ChannelError> {
        self.consented(&request.body).await
    }

    async fn probe(&self) -> Result<Probe, ChannelError> {
        self.api.try_credential().await?;
        let tenant = self.tenant.as_ref().map_or(json!(null), |tenant| json!(tenant));
        let details =
            Map::from_iter([("app_id".to_owned(), json!(self.bot.app_id)), ("tenant_id".to_owned(), tenant)]);
        Ok(Probe { account: Some(self.bot.app_id.clone()), details })
    }

    async fn typing(&self, recipient: &str, thread_id: Option<&str>) -> Result<(), ChannelError> {
        self.api.call(&calls::typing(recipient, thread_id)).await.map(drop)
    }

    async fn open_media(&self, media: &MediaRef) -> Result<MediaStream, ChannelError> {
        self.api.open(&media.handle).await
    }
}

/// Whether the token vouches for what the activity says of itself, as Microsoft asks for
/// (<https://learn.microsoft.com/en-us/azure/bot-service/rest-api/bot-framework-rest-connector-authentication#connector-to-bot>): the
/// address that serves it, and that the key may speak for Teams.
fn is_vouched_for(verified: &Verified<'_>, activity: &activity::Activity) -> Result<(), &'static str> {
    let same = |a: &str, b: &str| a.trim_end_matches('/') == b.trim_end_matches('/');
    if !verified.text("serviceurl").is_some_and(|signed| same(signed, &activity.service_url)) {
        return Err("the activity's serviceUrl is not the one that is signed");
    }
    if activity.channel_id != CHANNEL {
        return Err("the activity is not of Microsoft Teams");
    }
    if !verified.key.endorsements.iter().any(|channel| channel == CHANNEL) {
        return Err("the key that signed the activity may not speak for Microsoft Teams");
    }
    Ok(())
}
