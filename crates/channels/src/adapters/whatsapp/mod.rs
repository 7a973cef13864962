//! WhatsApp numbers of a business, by Meta's Cloud API (<https://developers.facebook.com/documentation/business-messaging/whatsapp>).
//!
//! A business may answer for 24 hours after a person wrote, and later only by a template that Meta has approved. So a send that comes
//! too late is refused with what to do, and a template can be sent as a text of its own form (`calls`).
//!
//! Must hold: nothing is parsed before its signature was checked; what is posted of another number of the same app is left alone; the
//! token goes to Meta's servers only, also when an attachment is fetched.

mod calls;
mod commands;
mod exam;
mod files;
mod ids;
mod incoming;
mod kinds;
mod lacks;
mod send;
#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use claw_types::{Inbound, MediaKind, MediaRef};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, json};
use tokio_util::sync::CancellationToken;

use self::calls::To;
use crate::exam::Examinee;
use crate::kit::commands::{COMMANDS, Command};
use crate::kit::graph::api::{Api, Twice};
use crate::kit::graph::fields::{APP_SECRET, VERIFY_TOKEN, api_url};
use crate::kit::graph::posted::Elsewhere;
use crate::kit::graph::{CLOUD, Hook, Platform, filled, refusal};
use crate::kit::upload::Uploads;
use crate::{
    About, Adapter, ButtonCaps, Caps, Channel, ChannelError, Deps, Dialect, Field, FieldKind, Limits,
    MediaStream, Part, Probe, Rate, RawRequest, Receipt, Reply, Reports, Sink, TextUnit,
};

/// A text has 4,096 characters (<https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/text-messages>), a caption 1,024
/// (`MediaObject` of Meta's description). As what these are counted neither says; no way of counting gives more than UTF-16.
const PERSONAL: Caps = Caps {
    max_text: 4096,
    max_caption: 1024,
    uncaptioned: &[MediaKind::Audio, MediaKind::Voice],
    unit: TextUnit::Utf16,
    markdown: Dialect::WhatsApp,
    media: &[MediaKind::Image, MediaKind::Video, MediaKind::Audio, MediaKind::Voice, MediaKind::File],
    reply_to: true,
    buttons: ButtonCaps { room: Some(&calls::BUTTONS), ..ButtonCaps::ALL },
    location: true,
    reactions: true,
    typing: true,
    // It is shown for 25 seconds, or until a message comes
    // (<https://developers.facebook.com/documentation/business-messaging/whatsapp/typing-indicators>).
    typing_every: Some(Duration::from_secs(20)),
    // Edits and deletions only of numbers that are used with the WhatsApp Business app, too.
    reports: Reports { edits: true, deletions: true, reactions: true, replies: true, receipts: true },
    commands: true,
    limits: Some(&LIMITS),
    lacks: lacks::LACKS,
    ..Caps::TEXT_ONLY
};

static CAPS: Caps = PERSONAL;

/// Groups take no interactive messages (<https://developers.facebook.com/documentation/business-messaging/whatsapp/groups/>, "Limits").
static GROUP_CAPS: Caps = Caps { buttons: ButtonCaps::NONE, ..PERSONAL };

/// 80 messages in a second for a number, both ways together
/// (<https://developers.facebook.com/documentation/business-messaging/whatsapp/throughput>); one in six seconds to a person, and up to 45 at once that
/// have to be waited for afterwards
/// (<https://developers.facebook.com/documentation/business-messaging/whatsapp/about-the-platform#pair-rate-limits>).
static LIMITS: Limits = Limits {
    bot: Rate { every: Duration::from_millis(20), burst: 30 },
    chat: Rate { every: Duration::from_secs(6), burst: 40 },
    group: Rate { every: Duration::from_secs(6), burst: 40 },
};

static PLATFORM: Platform = Platform {
    name: "WhatsApp",
    window: "send an approved template, as docs/channels/whatsapp.md says, or wait until they write again",
};

/// The fields.
#[derive(Deserialize)]
pub struct Config {
    access_token_env: String,
    phone_number_id: String,
    verify_token: String,
    app_secret: String,
    #[serde(default)]
    commands: Vec<String>,
    api_url: Option<String>,
}

/// The number itself (`PhoneNumberInfo` of Meta's description).
#[derive(Deserialize)]
struct Account {
    display_phone_number: Option<String>,
    verified_name: Option<String>,
    quality_rating: Option<String>,
}

/// A number of a business.
pub struct WhatsApp {
    number: String,
    /// What people are offered.
    commands: Vec<Command>,
    hook: Hook,
    api: Api,
    uploads: Uploads,
    elsewhere: Elsewhere,
}

impl Adapter for WhatsApp {
    const NAME: &'static str = "whatsapp";
    const ABOUT: About = About {
        display_name: "WhatsApp",
        category: "chat",
        description: "A business's WhatsApp number by Meta's Cloud API, in chats with one person and in groups that the business made.",
        setup: &[
            "In Meta's App Dashboard, make an app with the product WhatsApp and add a phone number.",
            "Make a system user's permanent token with whatsapp_business_messaging and whatsapp_business_management.",
            "Put the token, the number's phone number id and the app's secret (App settings, Basic) in here, and a verify token: any text that you choose.",
            "As the callback URL give the gateway's address and the channel's webhook_path, reachable by https, with the same verify token, and subscribe to messages.",
        ],
        docs_url: "https://developers.facebook.com/documentation/business-messaging/whatsapp/get-started",
    };
    const CAPS: &'static Caps = &CAPS;
    const FIELDS: &'static [Field] = &[
        Field::new(
            "access_token_env",
            "Access token",
            FieldKind::Secret,
            "a system user's access token, with which messages are sent.",
        )
        .required(),
        Field::new(
            "phone_number_id",
            "Phone number id",
            FieldKind::Text,
            "the id of the number, which is not the number: the App Dashboard shows both (WhatsApp, API Setup).",
        )
        .required()
        .like("106540352242922"),
        VERIFY_TOKEN,
        APP_SECRET,
        COMMANDS,
        api_url(&["access_token_env"]),
    ];
    type Config = Config;

    fn new(config: Config, deps: Deps) -> Result<Self, ChannelError> {
        let Config {
            access_token_env: token,
            phone_number_id: number,
            verify_token,
            app_secret,
            commands,
            api_url,
        } = config;
        filled("access_token_env", &token, "make a system user's token in Meta's Business Settings")?;
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(ChannelError::Config(
                "phone_number_id has digits only: it is the number's id and not the number (WhatsApp, API Setup)"
                    .to_owned(),
            ));
        }
        let commands = commands::RULES.read(&commands)?;
        let hook = Hook::new(app_secret, verify_token)?;
        let uploads = Uploads::new(&deps);
        let api = Api::new(PLATFORM, api_url.as_deref().unwrap_or(CLOUD), token, hook.app_secret(), deps)?;
        Ok(Self { number, commands, hook, api, uploads, elsewhere: Elsewhere::default() })
    }

    fn credentials(config: &Config) -> Vec<String> {
        // A system user's token is good for all numbers that it was given, and the app's secret for all of the app's.
        vec![config.phone_number_id.clone()]
    }

    fn caps_in(recipient: &str) -> &'static Caps {
        if To::of(recipient) == To::Group { &GROUP_CAPS } else { &CAPS }
    }

    fn examinee() -> &'static dyn Examinee {
        &exam::Exam
    }
}

#[async_trait]
impl Channel for WhatsApp {
    fn caps(&self) -> &'static Caps {
        &CAPS
    }

    fn caps_in(&self, recipient: &str) -> &'static Caps {
        <Self as Adapter>::caps_in(recipient)
    }

    fn is_group(&self, recipient: &str) -> bool {
        To::of(recipient) == To::Group
    }

    fn decode(&self, request: &RawRequest) -> Result<Vec<Inbound>, ChannelError> {
        self.hook.verify(request)?;
        let read = incoming::read(&request.body, &self.number).map_err(ChannelError::BadRequest)?;
        Ok(self.elsewhere.leave(read))
    }

    fn handshake(&self, request: &RawRequest) -> Result<Option<Reply>, ChannelError> {
        self.hook.handshake(request)
    }

    fn fuzz(&self, data: &[u8]) {
        drop(incoming::read(data, &self.number));
        refusal::fuzz(PLATFORM, data);
        if let Ok(text) = std::str::from_utf8(data) {
            drop(calls::template(text));
        }
    }

    async fn send(&self, part: &Part<'_>) -> Result<Receipt, ChannelError> {
        send::send(&self.api, &self.uploads, &self.number, part).await
    }

    async fn probe(&self) -> Result<Probe, ChannelError> {
        let fields = [("fields", "display_phone_number,verified_name,quality_rating")];
        let account: Account = self.api.get(&[&self.number], &fields).await?;
        let details = Map::from_iter([
            ("name".to_owned(), json!(account.verified_name)),
            ("quality_rating".to_owned(), json!(account.quality_rating)),
        ]);
        Ok(Probe { account: account.display_phone_number, details })
    }

    async fn typing(&self, _recipient: &str, _thread_id: Option<&str>) -> Result<(), ChannelError> {
        Err(ChannelError::Unsupported(
            "WhatsApp shows that an answer is being written only while a message is being answered",
        ))
    }

    async fn answering(
        &self,
        recipient: &str,
        _thread_id: Option<&str>,
        question: &str,
    ) -> Result<(), ChannelError> {
        if self.is_group(recipient) {
            return Err(ChannelError::Unsupported("WhatsApp shows no business as writing in groups"));
        }
        let path = [self.number.as_str(), "messages"];
        self.api.post::<IgnoredAny>(&path, &calls::answering(question), Twice::Harmless).await.map(drop)
    }

    /// Messages are posted to the gateways.
    async fn listen(&self, _sink: &dyn Sink, stop: CancellationToken) -> Result<(), ChannelError> {
        stop.run_until_cancelled(self.offer_commands()).await;
        stop.cancelled().await;
        Ok(())
    }

    async fn open_media(&self, media: &MediaRef) -> Result<MediaStream, ChannelError> {
        send::open(&self.api, &self.number, &media.handle).await
    }
}
