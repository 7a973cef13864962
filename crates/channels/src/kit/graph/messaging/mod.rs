//! Conversations of a Page by the Messenger Platform
//! (<https://developers.facebook.com/documentation/business-messaging/messenger-platform>): those on Messenger and, of the Instagram account
//! that is linked to the Page, those on Instagram. Both have the same events and the same Send API; what only one of them can is
//! said by its [`Kind`].

mod attachment;
pub mod calls;
mod channel;
pub mod incoming;
pub mod offers;
mod profile;
mod send;

use std::time::Duration;

use claw_secrets::signature::sha256;
use claw_types::Inbound;

use self::calls::Kind;
pub use self::channel::{Conversations, Product};
use super::Hook;
use super::api::{Api, Tokens, Twice};
use super::fields::PAGE_TOKEN;
use super::posted::{Elsewhere, Posted};
use crate::kit::commands::Command;
use crate::kit::names::Names;
use crate::kit::public;
use crate::kit::upload::Uploads;
use crate::{ChannelError, Deps, Limits, MediaStream, Part, Rate, RawRequest, Receipt};

/// 300 calls in a second for an account, 10 with audio or video
/// (<https://developers.facebook.com/documentation/business-messaging/messenger-platform/overview/rate-limiting>); of single conversations it says
/// only that there is a limit.
pub static LIMITS: Limits = Limits { bot: PACE, chat: PACE, group: PACE };
const PACE: Rate = Rate { every: Duration::from_millis(5), burst: 100 };
/// How long a sign of writing is shown is not said; an agent that works on is shown to.
pub const TYPING_EVERY: Duration = Duration::from_secs(15);
/// What can be done after 24 hours. Only people may answer then: Meta's tag for that (`HUMAN_AGENT`) is not for what programs write
/// (<https://developers.facebook.com/docs/messenger-platform/send-messages/message-tags/>), so it is never set here.
pub const WINDOW: &str =
    "let a person answer in the account's inbox, for which Meta gives 7 days, or wait until they write again";

/// An account on either platform.
pub struct Page {
    kind: &'static Kind,
    hook: Hook,
    account: Option<String>,
    api: Api,
    uploads: Uploads,
    elsewhere: Elsewhere,
    names: Names,
    /// What people are offered.
    commands: Vec<Command>,
}

/// The fields that both have.
pub struct Fields {
    /// The token of a Page or of an account.
    pub token: String,
    /// What the App Dashboard was told to prove itself with.
    pub verify_token: String,
    /// The app's secret.
    pub app_secret: String,
    /// The account whose events are ours; all of the app's if not given.
    pub account: Option<String>,
    /// What people are offered, a line for each.
    pub commands: Vec<String>,
    /// The server that is called.
    pub api_url: String,
    /// What becomes of that server's tokens.
    pub tokens: Tokens,
}

/// What only one channel may use: the account's id, by which even a renewed token is known, and the token, which is one account's, because
/// a channel need not have the id. Of the token a hash, because it is kept in the open.
pub fn credentials(token: &str, account: Option<&str>) -> Vec<String> {
    account.map(str::to_owned).into_iter().chain([hex::encode(sha256(token.as_bytes()))]).collect()
}

impl Page {
    /// Checks the fields. No I/O.
    ///
    /// # Errors
    /// [`ChannelError::Config`], with what to change.
    pub fn new(kind: &'static Kind, fields: Fields, deps: Deps) -> Result<Self, ChannelError> {
        let Fields { token, verify_token, app_secret, account, commands, api_url, tokens } = fields;
        super::filled(PAGE_TOKEN, &token, "generate an access token in Meta's App Dashboard")?;
        let commands = kind.offers.rules.read(&commands)?;
        let hook = Hook::new(app_secret, verify_token)?;
        let uploads = Uploads::new(&deps);
        let api = Api::new(kind.platform, &api_url, token, hook.app_secret(), deps)?.with(tokens);
        Ok(Self {
            kind,
            hook,
            account,
            api,
            uploads,
            elsewhere: Elsewhere::default(),
            names: Names::default(),
            commands,
        })
    }

    fn decode(&self, request: &RawRequest) -> Result<Vec<Inbound>, ChannelError> {
        self.hook.verify(request)?;
        let read = self.read(&request.body).map_err(ChannelError::BadRequest)?;
        Ok(self.elsewhere.leave(read))
    }

    async fn complete(&self, messages: &mut [Inbound]) {
        profile::complete(&self.api, &self.names, self.kind.profile, messages).await;
    }

    fn fuzz(&self, data: &[u8]) {
        drop(self.read(data));
        super::refusal::fuzz(self.kind.platform, data);
    }

    fn read(&self, body: &[u8]) -> Result<Posted, String> {
        incoming::read(body, self.kind.object, self.account.as_deref())
    }

    async fn send(&self, part: &Part<'_>) -> Result<Receipt, ChannelError> {
        send::send(&self.api, &self.uploads, self.kind, part).await
    }

    async fn act(&self, recipient: &str, action: &str) -> Result<(), ChannelError> {
        let body = calls::action(recipient, action);
        self.api.post::<serde::de::IgnoredAny>(&calls::MESSAGES, &body, Twice::Harmless).await.map(drop)
    }

    /// Meta's servers hand out what people attach to whoever knows the address.
    async fn open(&self, url: &str) -> Result<MediaStream, ChannelError> {
        public::open(&self.api.deps().http, url, "the attachment").await
    }
}
