//! Matrix, as an account on any homeserver, by the client-server API (<https://spec.matrix.org/latest/client-server-api/>).
//!
//! The calls are our own, over the HTTP client that all channels share, and events are read with serde: why no SDK, says
//! `docs/adr/0015-own-matrix-calls.md`. A room is a chat, direct when nobody but one person is there with the bot; a thread is named by
//! its first message. What is encrypted is read where `encryption` is set (`crypto`); where it can't be, its people are told so once.
//!
//! Must hold: the place in the homeserver's stream is saved only behind what was committed, so nothing is lost and what comes again is
//! known by its event's id; whatever is sent has one id, whoever sends it and however often, by which the homeserver makes one event of
//! it; the token goes to the homeserver and nowhere else.

mod api;
mod aside;
mod calls;
#[cfg(feature = "matrix-encryption")]
mod crypto;
#[cfg(not(feature = "matrix-encryption"))]
#[path = "crypto_off.rs"]
mod crypto;
mod exam;
mod fuzzing;
mod incoming;
mod lacks;
mod listen;
mod mention;
mod rooms;
mod send;
mod sync;
#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use claw_secrets::signature::sha256;
use claw_types::{MediaKind, MediaRef};
use serde::Deserialize;
use serde_json::{Map, json};
use tokio_util::sync::CancellationToken;

use self::api::Api;
use self::crypto::Crypto;
use crate::exam::Examinee;
use crate::kit::upload::Uploads;
use crate::{
    About, Adapter, Caps, Channel, ChannelError, Deps, Dialect, Field, FieldKind, Limits, MediaStream, Part,
    Probe, Rate, Receipt, Reports, Sink, TextUnit,
};

/// How long a poll is held open when there is nothing to tell.
const HOLD: Duration = Duration::from_secs(30);
/// How often the sign that an answer is being written is shown anew.
const TYPING_EVERY: Duration = Duration::from_secs(8);

/// Bytes, because events are limited by them; see [`calls::MAX_TEXT`]. Markdown is cut as it was written and becomes HTML then.
const ALL: Caps = Caps {
    max_text: calls::MAX_TEXT,
    max_caption: calls::MAX_TEXT,
    unit: TextUnit::Bytes,
    markdown: Dialect::Markdown,
    media: &[MediaKind::Image, MediaKind::Video, MediaKind::Audio, MediaKind::Voice, MediaKind::File],
    threads: true,
    reply_to: true,
    polls: true,
    location: true,
    edit: true,
    delete: true,
    reactions: true,
    typing: true,
    typing_every: Some(TYPING_EVERY),
    reports: Reports { receipts: true, ..Reports::DEEDS },
    tells_programs: true,
    placeholders: true,
    limits: Some(&LIMITS),
    lacks: lacks::LACKS,
    ..Caps::TEXT_ONLY
};

/// What the type can.
static CAPS: Caps = ALL;

/// Of a channel that did not ask for polls: the specification has none, and programs that know none show nothing where one is.
static WITHOUT_POLLS: Caps = Caps { polls: false, ..ALL };

/// Each homeserver has limits of its own, and tells how long to wait (<https://spec.matrix.org/latest/client-server-api/#rate-limiting>).
/// Synapse allows an account ten messages at once and one in five seconds after that, if nobody changed it
/// (<https://element-hq.github.io/synapse/latest/usage/configuration/config_documentation.html#rc_message>). So that an answer that
/// grows does not use all of that up in a moment, a chat's pace is slower; of people who write to the bot nobody waits longer for it than
/// the homeserver would have them wait.
static LIMITS: Limits = Limits { bot: PACE, chat: CHAT_PACE, group: CHAT_PACE };
const PACE: Rate = Rate { every: Duration::from_millis(200), burst: 10 };
const CHAT_PACE: Rate = Rate { every: Duration::from_secs(2), burst: 5 };

/// The fields.
#[derive(Deserialize)]
pub struct Config {
    homeserver_url: String,
    user_id: String,
    access_token_env: String,
    #[serde(default)]
    allowed_rooms: Vec<String>,
    auto_accept_invites: Option<bool>,
    encryption: Option<bool>,
    polls: Option<bool>,
}

/// An account.
pub struct Matrix {
    api: Api,
    /// Its id, like `@bot:example.org`.
    account: String,
    /// The rooms in which it reads; all of them when there are none.
    allowed: Vec<String>,
    enters: bool,
    /// Its device, where it reads encrypted rooms.
    crypto: Option<Crypto>,
    caps: &'static Caps,
    uploads: Uploads,
    deps: Deps,
}

impl Adapter for Matrix {
    const NAME: &'static str = "matrix";
    const ABOUT: About = About {
        display_name: "Matrix",
        category: "chat",
        description: "An account on a Matrix homeserver, in direct chats, rooms and threads, encrypted ones if you like.",
        setup: &[
            "On your homeserver, register an account for the bot, and sign in as it, in Element for instance.",
            "Copy its access token: All settings, Help & About, Advanced, Access Token. Then close the window without signing out, which would end the token.",
            "Put in here the homeserver's address (Help & About shows it, too), the account's id and the token.",
            "Invite the account to a room, or begin a chat with it. In Element, switch encryption off when you make the room, or set `encryption`, for which the session must be a new one: see below.",
        ],
        docs_url: "https://matrix.org/docs/chat_basics/matrix-for-im/",
    };
    const CAPS: &'static Caps = &CAPS;
    const FIELDS: &'static [Field] = &[
        Field::new(
            "homeserver_url",
            "Homeserver",
            FieldKind::Url,
            "the address at which the homeserver's API is; often not the name behind the colon of its accounts.",
        )
        .required()
        .receives(&["access_token_env"])
        .like("https://matrix.example.org"),
        Field::new("user_id", "Account", FieldKind::Text, "the id of the bot's account.")
            .required()
            .like("@helper:example.org"),
        Field::new(
            "access_token_env",
            "Access token",
            FieldKind::Secret,
            "the access token of one of the account's sessions, which nobody else uses.",
        )
        .required()
        .like("syt_aGVscGVy_AbCdEfGhIjKlMnOpQrSt_0aBcDe"),
        Field::new(
            "allowed_rooms",
            "Allowed rooms",
            FieldKind::List,
            "the ids of the rooms that the bot reads and enters, direct chats among them; empty for all.",
        )
        .advanced()
        .like("!AbCdEfGhIjKlMnOpQr:example.org"),
        Field::new(
            "auto_accept_invites",
            "Accept invitations",
            FieldKind::Bool,
            "whether the bot enters rooms that it is invited to, and those that take the place of a room it is in; true if not set.",
        )
        .advanced(),
        Field::new(
            "encryption",
            "Encrypted rooms",
            FieldKind::Bool,
            "whether the bot reads encrypted rooms and answers there; then the access token has to be of a session that no other program used for encryption; false if not set.",
        )
        .advanced(),
        Field::new(
            "polls",
            "Polls",
            FieldKind::Bool,
            "whether a poll is one that can be voted in, as Element and others know it; programs that do not know it show nothing of it; false if not set: a poll is a text with numbered answers.",
        )
        .advanced(),
    ];
    type Config = Config;

    fn new(config: Config, deps: Deps) -> Result<Self, ChannelError> {
        let Config {
            homeserver_url,
            user_id,
            access_token_env: token,
            allowed_rooms,
            auto_accept_invites,
            encryption,
            polls,
        } = config;
        if !mention::is_id(&user_id) {
            return Err(ChannelError::Config(format!(
                "user_id {user_id:?} is not an account's id: it looks like @helper:example.org"
            )));
        }
        if token.contains(char::is_whitespace) || !token.is_ascii() || token.is_empty() {
            return Err(ChannelError::Config(
                "access_token_env is not an access token: it has neither spaces nor letters beyond ASCII"
                    .to_owned(),
            ));
        }
        if let Some(other) = allowed_rooms.iter().find(|room| calls::room_id(room).is_err()) {
            return Err(ChannelError::Config(format!(
                "allowed_rooms has {other:?}, which is not a room's id: it looks like !abc:example.org, and the room's settings show it (Advanced)"
            )));
        }
        let crypto = encryption.unwrap_or(false).then(|| Crypto::new(&user_id, &deps)).transpose()?;
        Ok(Self {
            api: Api::new(&homeserver_url, token, deps.clone())?,
            account: user_id,
            allowed: allowed_rooms,
            enters: auto_accept_invites.unwrap_or(true),
            crypto,
            caps: if polls.unwrap_or(false) { &CAPS } else { &WITHOUT_POLLS },
            uploads: Uploads::new(&deps),
            deps,
        })
    }

    /// A homeserver tells every session of an account the same: two channels would both answer. A session has one token, whatever stands
    /// beside it as the account.
    fn credentials(config: &Config) -> Vec<String> {
        vec![config.user_id.clone(), hex::encode(sha256(config.access_token_env.as_bytes()))]
    }

    fn examinee() -> &'static dyn Examinee {
        &exam::Exam
    }
}

impl Matrix {
    /// Whether the bot reads this room.
    fn allows(&self, room: &str) -> bool {
        self.allowed.is_empty() || self.allowed.iter().any(|allowed| allowed == room)
    }

    /// Whether it enters this room when it is invited.
    fn enters(&self, room: &str) -> bool {
        self.enters && self.allows(room)
    }

    /// The note on a room that its people were told of what can't be read there.
    fn notice(&self) -> &'static str {
        if self.crypto.is_some() { sync::TOLD_OF_LOSS } else { sync::TOLD }
    }
}

#[async_trait]
impl Channel for Matrix {
    fn caps(&self) -> &'static Caps {
        self.caps
    }

    fn fuzz(&self, data: &[u8]) {
        fuzzing::read(data, &self.account);
    }

    async fn send(&self, part: &Part<'_>) -> Result<Receipt, ChannelError> {
        self.send_part(part).await
    }

    async fn probe(&self) -> Result<Probe, ChannelError> {
        let who = self.api.whoami().await?;
        if who.user_id != self.account {
            return Err(ChannelError::BadCredentials(format!(
                "the access token is of {}, not of {}: change user_id or access_token_env",
                who.user_id, self.account
            )));
        }
        if self.crypto.is_some() && who.device_id.is_none() {
            return Err(ChannelError::Config(crypto::NO_SESSION.to_owned()));
        }
        let details = Map::from_iter([("device_id".to_owned(), json!(who.device_id))]);
        Ok(Probe { account: Some(who.user_id), details })
    }

    async fn typing(&self, recipient: &str, _thread_id: Option<&str>) -> Result<(), ChannelError> {
        self.api.typing(calls::room_id(recipient)?, &self.account, &calls::typing()).await
    }

    async fn listen(&self, sink: &dyn Sink, stop: CancellationToken) -> Result<(), ChannelError> {
        // A poll that is cut off saves no place: what it would have told comes again.
        tokio::select! {
            result = self.listen_for_ever(sink) => result,
            () = stop.cancelled() => Ok(()),
        }
    }

    async fn open_media(&self, media: &MediaRef) -> Result<MediaStream, ChannelError> {
        let Some((mxc, secret)) = media.handle.split_once('#') else {
            return self.api.open(&media.handle).await;
        };
        let MediaStream { bytes, .. } = self.api.open(mxc).await?;
        Ok(MediaStream { content_type: None, bytes: crypto::file::open(secret, bytes)? })
    }
}
