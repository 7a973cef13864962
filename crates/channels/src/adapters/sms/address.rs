//! The address that Twilio posts to, and the signature over it (<https://www.twilio.com/docs/usage/security#validating-requests>).
//!
//! What is signed is the whole address as it stands in the console, with the names and values of the form behind it in the order
//! of the names. A gateway behind a load balancer does not see that address, so it is a field of the channel. Without the field the
//! request's `Host` is taken. That needs no trust in who sent it: the path names this channel, and who makes up a host still has
//! to sign it with the account's token. `X-Forwarded-Host` and the like are not looked at.

use claw_secrets::signature::verify_sha1_base64;
use claw_types::ChannelId;
use http::HeaderMap;
use http::header::HOST;
use url::Url;

use super::incoming::Form;
use crate::{Adapter as _, ChannelError, RawRequest};

/// The header with the signature.
pub(super) const SIGNATURE: &str = "x-twilio-signature";
/// Twilio signs with another key and says so here, where an account has a rule for it
/// (<https://www.twilio.com/docs/usage/webhooks/webhook-rules>).
const SETTINGS: &str = "x-twilio-webhooks-signature-settings";

/// Where a channel is posted to.
pub(super) struct Address {
    /// Scheme and host, as the channel's field says.
    public: Option<String>,
    path: String,
}

impl Address {
    pub(super) fn new(public_url: Option<&str>, channel: ChannelId) -> Result<Self, ChannelError> {
        let public = public_url.map(public).transpose()?;
        Ok(Self { public, path: format!("/webhooks/{}/{channel}", super::Sms::NAME) })
    }

    /// Where Twilio tells what became of a message.
    pub(super) fn callback(&self) -> Option<String> {
        Some(format!("{}{}", self.public.as_ref()?, self.path))
    }

    /// Whether Twilio sent it.
    pub(super) fn check(&self, request: &RawRequest, form: &Form, token: &str) -> Result<(), ChannelError> {
        let given = text(&request.headers, SIGNATURE)
            .ok_or_else(|| ChannelError::BadSignature(format!("the request has no {SIGNATURE}")))?;
        if request.headers.contains_key(SETTINGS) {
            return Err(ChannelError::BadSignature(
                "Twilio signed it by a webhook rule, with another key than the auth token: take the rule for this address away"
                    .to_owned(),
            ));
        }
        let fields = form.signed();
        let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
        let is_signed = |server: &String| {
            let signed = format!("{server}{}{query}{fields}", self.path);
            verify_sha1_base64(token.as_bytes(), signed.as_bytes(), given)
        };
        if self.servers(&request.headers).iter().any(is_signed) {
            return Ok(());
        }
        let hint = match &self.public {
            Some(public) => format!("{public}{}", self.path),
            None => format!("its Host and {}; where a proxy changes the Host, set public_url", self.path),
        };
        Err(ChannelError::BadSignature(format!(
            "{SIGNATURE} is not that of this form with the channel's auth_token_env, posted to {hint}"
        )))
    }

    /// As what Twilio may know us. Whether it signs the port that is the scheme's own depends on what stands in the console, and
    /// its own libraries try both.
    fn servers(&self, headers: &HeaderMap) -> Vec<String> {
        let of_host = || {
            let host = text(headers, HOST);
            ["https", "http"].map(|scheme| host.map(|host| format!("{scheme}://{host}")))
        };
        let known = self.public.clone().map_or_else(|| of_host().to_vec(), |public| vec![Some(public)]);
        known.into_iter().flatten().flat_map(|server| [with_port(&server), server]).collect()
    }
}

/// Scheme and host of the field.
fn public(text: &str) -> Result<String, ChannelError> {
    let wrong = || {
        ChannelError::Config(
            "public_url is not an address like https://claw.example.org: scheme and host, and nothing behind them but \
             perhaps a path"
                .to_owned(),
        )
    };
    let url = Url::parse(text).map_err(|_| wrong())?;
    let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !plain {
        return Err(wrong());
    }
    // As it was written: the console has it so, and so it is signed.
    Ok(text.trim_end_matches('/').to_owned())
}

/// With the scheme's own port, where there is none.
fn with_port(server: &str) -> String {
    let Some((scheme, rest)) = server.split_once("://") else { return server.to_owned() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    // The last colon of an IPv6 address is within its brackets.
    let has_port =
        host.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    if has_port {
        return server.to_owned();
    }
    let port = if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
    format!("{scheme}://{host}:{port}{path}")
}

fn text(headers: &HeaderMap, name: impl http::header::AsHeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}
