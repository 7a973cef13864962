//! What the adapters of Meta's Graph API share (<https://developers.facebook.com/docs/graph-api>): how its webhooks are known to be
//! genuine, its calls, what their failures mean, and the conversations of Pages ([`messaging`]), which two platforms have in common.
//!
//! Must hold: nothing of a request is parsed before its signature was checked; the token goes in a header and into no
//! address but that of the call which renews it, whose page has it there, and to no other server than Meta's own or the one that the channel
//! names.

pub mod api;
pub(crate) mod exam;
pub mod fields;
pub mod messaging;
pub mod posted;
pub mod refusal;
#[cfg(test)]
pub(crate) mod testing;

use claw_secrets::signature;
use url::form_urlencoded;

use crate::{ChannelError, RawRequest, Reply};

/// The header with the signature: `sha256=` and the HMAC of the exact body with the app's secret
/// (<https://developers.facebook.com/docs/graph-api/webhooks/getting-started#validate-payloads>).
pub const SIGNATURE: &str = "x-hub-signature-256";
/// The Graph API, in the version that its own pages show (<https://developers.facebook.com/docs/graph-api/changelog/versions>).
pub const CLOUD: &str = "https://graph.facebook.com/v25.0";
/// Longest challenge that is given back; Meta's have ten digits.
const MAX_CHALLENGE: usize = 1024;

/// A platform that is reached by the Graph API, as its errors are told.
#[derive(Debug, Clone, Copy)]
pub struct Platform {
    /// Its name.
    pub name: &'static str,
    /// What can be done when a person wrote too long ago to be answered.
    pub window: &'static str,
}

/// The webhook address of one channel.
pub struct Hook {
    app_secret: String,
    verify_token: String,
}

impl Hook {
    /// Checks that neither is empty.
    ///
    /// # Errors
    /// [`ChannelError::Config`], with the name of the field.
    pub fn new(app_secret: String, verify_token: String) -> Result<Self, ChannelError> {
        filled("app_secret", &app_secret, "copy it from the app's Basic settings in Meta's App Dashboard")?;
        filled("verify_token", &verify_token, "choose a text, and give the same to the App Dashboard")?;
        Ok(Self { app_secret, verify_token })
    }

    /// The app's secret, of which calls bring a proof.
    pub fn app_secret(&self) -> &str {
        &self.app_secret
    }

    /// Checks that Meta posted this.
    ///
    /// # Errors
    /// [`ChannelError::BadSignature`].
    pub fn verify(&self, request: &RawRequest) -> Result<(), ChannelError> {
        let given = request.headers.get(SIGNATURE).and_then(|value| value.to_str().ok());
        let given =
            given.ok_or_else(|| ChannelError::BadSignature(format!("the request has no {SIGNATURE}")))?;
        if signature::verify(self.app_secret.as_bytes(), &request.body, given) {
            return Ok(());
        }
        Err(ChannelError::BadSignature(format!(
            "{SIGNATURE} is not that of this exact body with the channel's app_secret"
        )))
    }

    /// Answers the request by which Meta asks whether the address is ours: the challenge, if it knows the verify token
    /// (<https://developers.facebook.com/docs/graph-api/webhooks/getting-started#verification-requests>). `None` when it is none.
    ///
    /// # Errors
    /// [`ChannelError::BadSignature`] for another token, [`ChannelError::BadRequest`] for a question of another kind.
    pub fn handshake(&self, request: &RawRequest) -> Result<Option<Reply>, ChannelError> {
        let value = |wanted: &str| {
            let mut pairs = form_urlencoded::parse(request.query.as_bytes());
            pairs.find(|(key, _)| key == wanted).map(|(_, value)| value.into_owned())
        };
        let Some(mode) = value("hub.mode").filter(|_| request.body.is_empty()) else { return Ok(None) };
        let token = value("hub.verify_token").unwrap_or_default();
        if !signature::same(token.as_bytes(), self.verify_token.as_bytes()) {
            return Err(ChannelError::BadSignature(
                "hub.verify_token is not the channel's verify_token: give the App Dashboard the same text"
                    .to_owned(),
            ));
        }
        match value("hub.challenge") {
            Some(challenge) if mode == "subscribe" && challenge.len() <= MAX_CHALLENGE => {
                Ok(Some(Reply::text(challenge)))
            }
            _ => Err(ChannelError::BadRequest(
                "a verification has hub.mode subscribe and a hub.challenge".to_owned(),
            )),
        }
    }
}

/// A required field that may not be empty.
///
/// # Errors
/// [`ChannelError::Config`], with the field and where to find what belongs there.
pub fn filled(key: &str, value: &str, how: &str) -> Result<(), ChannelError> {
    if value.is_empty() { Err(ChannelError::Config(format!("{key} is empty: {how}"))) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn hook() -> Hook {
        Hook::new("secret".to_owned(), "a token & more".to_owned()).unwrap()
    }

    fn asked(query: &str, body: &'static str) -> Result<Option<Reply>, ChannelError> {
        let request = RawRequest { headers: HeaderMap::new(), query: query.to_owned(), body: body.into() };
        hook().handshake(&request)
    }

    #[test]
    fn who_knows_the_verify_token_gets_the_challenge_back() {
        let right = "hub.mode=subscribe&hub.verify_token=a+token+%26+more&hub.challenge=1158201444";
        assert_eq!(asked(right, ""), Ok(Some(Reply::text("1158201444"))));
        assert_eq!(asked("", ""), Ok(None), "not a question");
        assert_eq!(asked(right, "{}"), Ok(None), "a post is read as one, whatever its address");
    }

    #[test]
    fn nothing_is_given_back_to_anybody_else() {
        for query in [
            "hub.mode=subscribe&hub.verify_token=a+token&hub.challenge=1",
            "hub.mode=subscribe&hub.challenge=1",
            "hub.mode=subscribe&hub.verify_token=&hub.challenge=1",
        ] {
            assert!(matches!(asked(query, ""), Err(ChannelError::BadSignature(_))), "{query}");
        }
        let long = format!(
            "hub.mode=subscribe&hub.verify_token=a+token+%26+more&hub.challenge={}",
            "1".repeat(1025)
        );
        for query in [
            "hub.mode=unsubscribe&hub.verify_token=a+token+%26+more&hub.challenge=1",
            "hub.mode=subscribe&hub.verify_token=a+token+%26+more",
            long.as_str(),
        ] {
            assert!(matches!(asked(query, ""), Err(ChannelError::BadRequest(_))), "{query}");
        }
    }

    #[test]
    fn an_empty_secret_would_let_everybody_sign() {
        for (secret, token, key) in [("", "t", "app_secret"), ("s", "", "verify_token")] {
            match Hook::new(secret.to_owned(), token.to_owned()) {
                Err(ChannelError::Config(why)) => assert!(why.starts_with(key), "{why}"),
                other => panic!("{:?}", other.map(|_| ())),
            }
        }
    }
}
