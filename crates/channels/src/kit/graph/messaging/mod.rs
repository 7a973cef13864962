//! Conversations of a Page by the Messenger Platform
//! (<https://developers.facebook.com/documentation/business-messaging/messenger-platform>): those on Messenger and, of the Instagram account
//! that is linked to the Page, those on Instagram. Both have the same events and the same Send API; what only one of them can is
//! said by its [`Kind`].

mod attachment;
pub mod calls;
pub mod incoming;
mod send;

use claw_types::Inbound;

use self::calls::Kind;
use super::Hook;
use super::api::{Api, Twice, open_public};
use crate::kit::upload::Uploads;
use crate::{ChannelError, Deps, MediaStream, Part, RawRequest, Receipt, Reply};

/// What the adapter of either platform is made of.
pub struct Page {
    kind: &'static Kind,
    hook: Hook,
    account: Option<String>,
    api: Api,
    uploads: Uploads,
}

/// The fields that both have.
pub struct Fields {
    /// A Page access token.
    pub token: String,
    /// What the App Dashboard was told to prove itself with.
    pub verify_token: String,
    /// The app's secret.
    pub app_secret: String,
    /// The account whose events are ours; all of the app's if not given.
    pub account: Option<String>,
    /// Another server than Meta's.
    pub api_url: Option<String>,
}

impl Page {
    /// Checks the fields. No I/O.
    ///
    /// # Errors
    /// [`ChannelError::Config`], with what to change.
    pub fn new(kind: &'static Kind, fields: Fields, deps: Deps) -> Result<Self, ChannelError> {
        let Fields { token, verify_token, app_secret, account, api_url } = fields;
        super::filled("page_token_env", &token, "make a Page access token in Meta's App Dashboard")?;
        let hook = Hook::new(app_secret, verify_token)?;
        let uploads = Uploads::new(&deps);
        let api = Api::new(kind.platform, api_url.as_deref(), token, hook.app_secret(), deps)?;
        Ok(Self { kind, hook, account, api, uploads })
    }

    /// The calls, for what only one platform asks.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// [`crate::Channel::handshake`].
    ///
    /// # Errors
    /// As there.
    pub fn handshake(&self, request: &RawRequest) -> Result<Option<Reply>, ChannelError> {
        self.hook.handshake(request)
    }

    /// [`crate::Channel::decode`].
    ///
    /// # Errors
    /// As there.
    pub fn decode(&self, request: &RawRequest) -> Result<Vec<Inbound>, ChannelError> {
        self.hook.verify(request)?;
        self.read(&request.body).map_err(ChannelError::BadRequest)
    }

    /// [`crate::Channel::fuzz`].
    pub fn fuzz(&self, data: &[u8]) {
        drop(self.read(data));
        super::refusal::fuzz(self.kind.platform, data);
    }

    fn read(&self, body: &[u8]) -> Result<Vec<Inbound>, String> {
        incoming::read(body, self.kind.object, self.account.as_deref())
    }

    /// [`crate::Channel::send`].
    ///
    /// # Errors
    /// As there.
    pub async fn send(&self, part: &Part<'_>) -> Result<Receipt, ChannelError> {
        send::send(&self.api, &self.uploads, self.kind, part).await
    }

    /// [`crate::Channel::typing`].
    ///
    /// # Errors
    /// As there.
    pub async fn typing(&self, recipient: &str) -> Result<(), ChannelError> {
        self.act(recipient, "typing_on").await
    }

    /// [`crate::Channel::answering`]: the person sees, too, that their messages were seen.
    ///
    /// # Errors
    /// As there.
    pub async fn answering(&self, recipient: &str) -> Result<(), ChannelError> {
        self.act(recipient, "mark_seen").await?;
        self.typing(recipient).await
    }

    async fn act(&self, recipient: &str, action: &str) -> Result<(), ChannelError> {
        let body = calls::action(recipient, action);
        self.api.post::<serde::de::IgnoredAny>(&calls::MESSAGES, &body, Twice::Harmless).await.map(drop)
    }

    /// [`crate::Channel::open_media`]. Meta's servers hand out what people attach to whoever knows the address.
    ///
    /// # Errors
    /// As there.
    pub async fn open(&self, url: &str) -> Result<MediaStream, ChannelError> {
        open_public(self.api.deps(), url).await
    }
}
