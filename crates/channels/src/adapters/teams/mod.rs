//! Microsoft Teams, by the Bot Connector (<https://learn.microsoft.com/en-us/azure/bot-service/rest-api/bot-framework-rest-connector-api-reference>).
//!
//! Microsoft posts activities with a token that says for whom they are and which address serves their conversation; `activity`
//! and `incoming` read them, `calls` and `card` make ours. An activity's `serviceUrl` has to be the signed one, but is not sent to: a
//! recipient is a conversation's id and nothing else, and calls go to the address that serves all conversations of the public
//! cloud. If the region were kept in the recipient, a conversation would become another one whenever Microsoft moves it, which it
//! does, while every address goes on serving it
//! (<https://devblogs.microsoft.com/microsoft365dev/updates-for-microsoft-teams-bots-in-multi-geo-environments/>); and whoever may
//! send could have the bot's token sent to a server of their own.
//!
//! Must hold: nothing of a body is looked at before its token was checked; the bot's token goes to the connector and nowhere
//! else.

mod activity;
mod api;
mod calls;
mod card;
mod exam;
mod incoming;
#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use claw_types::{Inbound, MediaKind, MediaRef};
use serde::Deserialize;
use serde_json::{Map, json};
use uuid::Uuid;

use self::api::Api;
use self::incoming::Bot;
use crate::exam::Examinee;
use crate::kit::jwt::{self, Expected, NotGenuine, Verified};
use crate::{
    About, Adapter, ButtonCaps, Caps, Channel, ChannelError, Deps, Dialect, Field, FieldKind, Limits,
    MediaStream, Part, Probe, Rate, RawRequest, Receipt, Reports, TextUnit,
};

/// Who signs what is posted to bots
/// (<https://learn.microsoft.com/en-us/azure/bot-service/rest-api/bot-framework-rest-connector-authentication#connector-to-bot>).
const ISSUER: &str = "https://api.botframework.com";
/// What the Bot Connector calls Teams.
const CHANNEL: &str = "msteams";

/// A message may have 28 to 40 KB in UTF-16, cards and all
/// (<https://learn.microsoft.com/en-us/microsoftteams/platform/bots/how-to/format-your-bot-messages>); far less is read with pleasure.
/// Pictures are shown in a card by their address; for any other file Teams first asks the person for consent, in chats with one
/// person only (<https://learn.microsoft.com/en-us/microsoftteams/platform/bots/how-to/bots-filesv4>), so these go as links.
static CAPS: Caps = Caps {
    max_text: 4000,
    max_caption: 4000,
    unit: TextUnit::Utf16,
    markdown: Dialect::Teams,
    media: &[MediaKind::Image],
    threads: true,
    buttons: ButtonCaps::ALL,
    edit: true,
    delete: true,
    typing: true,
    // It goes out after some seconds, of which Microsoft says no number.
    typing_every: Some(Duration::from_secs(4)),
    reports: Reports::DEEDS,
    placeholders: true,
    limits: Some(&LIMITS),
    ..Caps::TEXT_ONLY
};

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
    api_url: Option<String>,
}

/// A bot.
pub struct Teams {
    bot: Bot,
    tenant: Option<String>,
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
            "Make an app package with the bot's App ID (Teams Developer Portal) and install it for people, in chats and in teams.",
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
            "api_url",
            "API server",
            FieldKind::Url,
            "another server in place of https://login.microsoftonline.com, https://login.botframework.com and \
             https://smba.trafficmanager.net/teams.",
        )
        .advanced()
        .receives(&["app_password_env"])
        .like("https://teams.example.org"),
    ];
    type Config = Config;

    fn new(config: Config, deps: Deps) -> Result<Self, ChannelError> {
        let Config { app_id, app_password_env: password, tenant_id: tenant, api_url } = config;
        for (key, id) in [("app_id", Some(&app_id)), ("tenant_id", tenant.as_ref())] {
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
        // As tokens name it.
        let app_id = app_id.to_ascii_lowercase();
        let api = Api::new(api_url.as_deref(), &app_id, &password, tenant.as_deref(), &deps)?;
        Ok(Self { bot: Bot::of_app(app_id), tenant, api, deps })
    }

    /// Each activity is posted to one endpoint.
    fn credential(config: &Config) -> Option<String> {
        Some(config.app_id.to_ascii_lowercase())
    }

    fn examinee() -> &'static dyn Examinee {
        &exam::Exam
    }
}

#[async_trait]
impl Channel for Teams {
    fn caps(&self) -> &'static Caps {
        &CAPS
    }

    /// Ids of group chats and channels begin with 19:
    /// (<https://learn.microsoft.com/en-us/microsoftteams/platform/bots/how-to/conversations/conversation-messages>).
    fn is_group(&self, recipient: &str) -> bool {
        recipient.starts_with("19:")
    }

    async fn prepare(&self, request: &RawRequest) -> Result<(), ChannelError> {
        // What can't be genuine is refused without keys, too.
        let Ok(key) = jwt::bearer(&request.headers).and_then(jwt::key_of) else { return Ok(()) };
        self.deps.http.keys().prepare(&self.deps, self.api.keys(), &key).await
    }

    fn decode(&self, request: &RawRequest) -> Result<Vec<Inbound>, ChannelError> {
        let now = self.deps.clock.now().timestamp();
        let forged = |why: NotGenuine| ChannelError::BadSignature(why.to_string());
        let token = jwt::bearer(&request.headers).map_err(forged)?;
        let keys =
            self.deps.http.keys().known(self.api.keys(), now).ok_or_else(|| forged(NotGenuine::Key))?;
        let expected = Expected { issuers: &[ISSUER], audience: &self.bot.app_id };
        let verified = keys.verify(token, expected, now).map_err(forged)?;
        let activity = activity::read(&request.body).map_err(ChannelError::BadRequest)?;
        is_vouched_for(&verified, &activity).map_err(|why| ChannelError::BadSignature(why.to_owned()))?;
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
        api::fuzz(data);
    }

    async fn send(&self, part: &Part<'_>) -> Result<Receipt, ChannelError> {
        let call = calls::of_part(part)?;
        let answered = self.api.call(&call).await?;
        let target = part.piece.content.target().map(str::to_owned);
        let id = target.or(answered).ok_or_else(|| {
            ChannelError::Uncertain("the Bot Connector's answer names no message".to_owned())
        })?;
        Ok(Receipt { platform_message_id: id })
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

/// Whether the token vouches for what the activity says of itself, as Microsoft asks for (see [`ISSUER`]): the address that serves
/// it, and that the key may speak for Teams.
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
