//! Who posts to the channel's webhook address: Google Chat, or Pub/Sub for the topic of the subscriptions.
//!
//! Both bring a token of Google's in the same header, and what the token says decides how the body is read. Nothing in the body does, which is
//! not looked at before.

use http::HeaderMap;
use serde_json::Value;
use url::Url;

use super::api::Api;
use crate::kit::jwt::{Expected, Verified, bearer, key_of};
use crate::{ChannelError, Deps};

/// Who posts events. It signs by itself where the audience is the project's number; where it is an address, Google's sign-in signs for it
/// (<https://developers.google.com/workspace/chat/verify-requests-from-chat>).
pub(super) const CHAT: &str = "chat@system.gserviceaccount.com";
/// Google's sign-in
/// (<https://developers.google.com/identity/openid-connect/openid-connect#validatinganidtoken>).
const SIGN_IN: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];
/// How the accounts end that Google has for add-ons, one for each project.
const ADDONS: &str = "@gcp-sa-gsuiteaddons.iam.gserviceaccount.com";
/// How the accounts end that people make.
const ACCOUNTS: &str = ".gserviceaccount.com";

/// Who posted a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Poster {
    /// Google Chat, or the add-on.
    Chat,
    /// Pub/Sub.
    Topic,
}

/// Who may post.
#[derive(Debug)]
pub(super) struct Posters {
    /// For whom every token must be.
    pub(super) audience: String,
    signer: Signer,
    /// The account for which Google's sign-in signs what Pub/Sub posts
    /// (<https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions>).
    topic: Option<String>,
}

/// Who signs what Google Chat posts.
#[derive(Debug, PartialEq, Eq)]
enum Signer {
    /// Google Chat itself, for a project's number.
    Chat,
    /// Google's sign-in, for an address: for this account of Google's. That of Chat serves all its apps. An add-on has one of its project's
    /// own: of another project's, anybody can make an add-on that posts to any address
    /// (<https://developers.google.com/workspace/chat/verify-requests-from-chat>).
    SignIn(String),
}

impl Posters {
    /// By the fields; `topic` is the account of the topic's push subscription, where there is one.
    pub(super) fn new(
        audience: String,
        addon: Option<String>,
        topic: Option<String>,
    ) -> Result<Self, ChannelError> {
        let refused = |why: &str| Err(ChannelError::Config(why.to_owned()));
        if !is_number(&audience) && !audience.starts_with("https://") {
            return refused(
                "audience must be the project's number or the HTTP endpoint URL, whichever the Chat API's configuration has",
            );
        }
        let is_of_everybody = |account: &String| account == CHAT || account.ends_with(ADDONS);
        if topic.as_ref().is_some_and(|account| !account.ends_with(ACCOUNTS) || is_of_everybody(account)) {
            return refused(
                "events_account is not the email of a service account of yours, like push@my-project.iam.gserviceaccount.com",
            );
        }
        let signer = match addon {
            Some(account) if !(account.starts_with("service-") && account.ends_with(ADDONS)) => {
                return refused(
                    "addon_account is not an email like service-123456789012@gcp-sa-gsuiteaddons.iam.gserviceaccount.com: the Chat API's \
                     connection settings show it",
                );
            }
            Some(_) if is_number(&audience) => {
                return refused("audience must be the HTTP endpoint URL where there is an addon_account");
            }
            Some(account) => Signer::SignIn(account),
            None if is_number(&audience) => Signer::Chat,
            None => Signer::SignIn(CHAT.to_owned()),
        };
        Ok(Self { audience, signer, topic })
    }

    /// Whether the app is an add-on.
    pub(super) fn has_addon(&self) -> bool {
        matches!(&self.signer, Signer::SignIn(account) if account != CHAT)
    }

    /// Sees to it that the key is known by which a request says it is signed. Where the two posters have keys at two addresses, the second one
    /// is asked only for what the first one does not have.
    pub(super) async fn prepare(
        &self,
        deps: &Deps,
        api: &Api,
        headers: &HeaderMap,
    ) -> Result<(), ChannelError> {
        let keys = deps.http.keys();
        let (own, sign_in) = (api.chat_keys(), api.sign_in_keys());
        if self.signer != Signer::Chat {
            return keys.prepare_for(deps, sign_in, headers).await;
        }
        if self.topic.is_none() {
            return keys.prepare_for(deps, own, headers).await;
        }
        let Ok(key) = bearer(headers).and_then(key_of) else { return Ok(()) };
        let now = deps.clock.now().timestamp();
        let has = |address: &Url| keys.known(address, now).is_some_and(|known| known.has(&key));
        if !has(sign_in) {
            keys.prepare(deps, own, &key).await?;
        }
        if has(own) { Ok(()) } else { keys.prepare(deps, sign_in, &key).await }
    }

    /// Who posted a request with these headers; no I/O.
    pub(super) fn poster(&self, deps: &Deps, api: &Api, headers: &HeaderMap) -> Result<Poster, ChannelError> {
        let keys = deps.http.keys();
        if self.signer == Signer::Chat {
            let expected = Expected { issuers: &[CHAT], audience: &self.audience };
            let by_chat = keys.genuine(deps, api.chat_keys(), headers, expected, |_| Ok(Poster::Chat));
            if by_chat.is_ok() || self.topic.is_none() {
                return by_chat;
            }
        }
        let expected = Expected { issuers: &SIGN_IN, audience: &self.audience };
        keys.genuine(deps, api.sign_in_keys(), headers, expected, |token| self.named(token))
    }

    /// Whom Google's sign-in vouches for, and not for anybody else who got a token for the same address.
    fn named(&self, token: &Verified<'_>) -> Result<Poster, ChannelError> {
        let is_verified = token.claims.get("email_verified") == Some(&Value::Bool(true));
        let email = token.text("email").filter(|_| is_verified);
        match (email, &self.signer) {
            (Some(email), Signer::SignIn(account)) if email == account => Ok(Poster::Chat),
            (Some(email), _) if self.topic.as_deref() == Some(email) => Ok(Poster::Topic),
            _ => Err(ChannelError::BadSignature(
                "the bearer token is Google's, but for none of the accounts that may post here".to_owned(),
            )),
        }
    }
}

/// Whether the audience is a project's number.
pub(super) fn is_number(audience: &str) -> bool {
    !audience.is_empty() && audience.bytes().all(|byte| byte.is_ascii_digit())
}
