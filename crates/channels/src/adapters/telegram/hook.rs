//! Receiving by webhook: Telegram posts each update to a gateway (<https://core.telegram.org/bots/api#setwebhook>).
//!
//! The owner says where to, and looks now and then whether it still is so; what is posted any gateway takes. Nothing has to be
//! stored for that: the secret that comes back with each update is made of the bot's token and the channel's id, and the bot's name, which
//! has to be asked for, is a part of the address that Telegram is told.
//!
//! Must hold: nothing is parsed before the secret was compared, in constant time; what Telegram keeps for the bot is never dropped, not
//! when the webhook is set and not when it is taken away; a webhook that is somebody else's is left alone.

use std::time::Duration;

use claw_secrets::signature;
use claw_types::{ChannelId, Inbound};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tracing::debug;
use url::Url;

use super::api::{RawUpdate, UPDATES};
use super::calls::Call;
use super::own::Own;
use super::topics::Topics;
use super::{Telegram, callback, calls, update};
use crate::{ChannelError, RawRequest, Reply, Sink};

/// The header with the secret (<https://core.telegram.org/bots/api#setwebhook>, `secret_token`).
pub(super) const SECRET: &str = "x-telegram-bot-api-secret-token";
/// The parameter of the address with the bot's name.
pub(super) const NAME: &str = "bot";
/// How often the owner looks whether updates still come.
const LOOK_EVERY: Duration = Duration::from_mins(5);
/// Ports to which Telegram posts (<https://core.telegram.org/bots/api#setwebhook>, "Ports currently supported for webhooks").
const PORTS: [u16; 4] = [443, 80, 88, 8443];

/// What Telegram says of the webhook (<https://core.telegram.org/bots/api#webhookinfo>).
#[derive(Deserialize)]
pub(super) struct Info {
    url: String,
    #[serde(default)]
    pending_update_count: u64,
    last_error_date: Option<i64>,
    last_error_message: Option<String>,
}

/// Where a channel's updates are posted to.
pub(super) struct Hook {
    address: Url,
    secret: String,
}

impl Hook {
    /// Behind the gateways' address.
    ///
    /// # Errors
    /// [`ChannelError::Config`] when Telegram would not post there.
    pub(super) fn new(
        public_url: Option<&str>,
        token: &str,
        channel: ChannelId,
    ) -> Result<Self, ChannelError> {
        let wrong = |why: &str| ChannelError::Config(format!("public_url {why}"));
        let given = public_url.ok_or_else(|| {
            wrong("is missing: by webhook, Telegram has to be told at which https address it reaches the gateways")
        })?;
        let mut address =
            Url::parse(given).map_err(|_| wrong("is not an address like https://claw.example.org"))?;
        if address.scheme() != "https" {
            return Err(wrong("must start with https://: Telegram posts nowhere else"));
        }
        if !address.port_or_known_default().is_some_and(|port| PORTS.contains(&port)) {
            return Err(wrong("must have one of the ports to which Telegram posts: 443, 80, 88 or 8443"));
        }
        address.set_query(None);
        address.set_fragment(None);
        let no_base = |()| wrong("is not an address like https://claw.example.org");
        address.path_segments_mut().map_err(no_base)?.pop_if_empty().extend(path(channel).split('/'));
        Ok(Self { address, secret: secret(token, channel) })
    }

    /// Whether a request carries the secret, and only Telegram can have sent it.
    pub(super) fn check(&self, request: &RawRequest) -> Result<(), ChannelError> {
        let given = request.headers.get(SECRET);
        let given =
            given.ok_or_else(|| ChannelError::BadSignature(format!("the request has no {SECRET}")))?;
        if signature::same(given.as_bytes(), self.secret.as_bytes()) {
            return Ok(());
        }
        Err(ChannelError::BadSignature(format!("{SECRET} is not what Telegram was told for this channel")))
    }

    /// The address with the bot's name.
    fn of(&self, name: &str) -> String {
        let mut address = self.address.clone();
        if !name.is_empty() {
            address.query_pairs_mut().append_pair(NAME, name);
        }
        address.into()
    }
}

/// Behind the gateways' address.
fn path(channel: ChannelId) -> String {
    format!("webhooks/telegram/{channel}")
}

/// 1 to 256 characters of letters, digits, `_` and `-`.
pub(super) fn secret(token: &str, channel: ChannelId) -> String {
    hex::encode(signature::hmac_sha256(token.as_bytes(), &[b"webhook of ", channel.to_string().as_bytes()]))
}

/// The update in a request.
fn posted(request: &RawRequest) -> serde_json::Result<RawUpdate> {
    #[derive(Deserialize)]
    struct Head {
        update_id: i64,
    }
    let json: Box<RawValue> = serde_json::from_slice(&request.body)?;
    let Head { update_id } = serde_json::from_str(json.get())?;
    Ok(RawUpdate { update_id, json })
}

/// The message or the deed in an update that was posted.
pub(super) fn read(request: &RawRequest, id: u64, topics: &Topics) -> Result<Vec<Inbound>, ChannelError> {
    let wrong = |_| ChannelError::BadRequest("the body is no update of the Bot API".to_owned());
    let update = posted(request).map_err(wrong)?;
    let name = url::form_urlencoded::parse(request.query.as_bytes()).find(|(key, _)| key == NAME);
    let own = Own { id, name: name.as_ref().map(|(_, name)| name.as_ref()) };
    let mut message = update::inbound(&update, own);
    if let Some(message) = &mut message {
        topics.complete(&update, message);
    }
    Ok(message.into_iter().collect())
}

/// The call that ends the waiting sign on a button that was pressed, as the answer to what told of the press: Telegram makes the one
/// call that stands there (<https://core.telegram.org/bots/api#making-requests-when-getting-updates>). No gateway has to make one of
/// its own, and the sign ends no sooner than the press is committed.
pub(super) fn answer(request: &RawRequest) -> Option<Reply> {
    const PRESS: &[u8] = b"\"callback_query\"";
    // Each update passes here, and few are presses.
    if !request.body.windows(PRESS.len()).any(|part| part == PRESS) {
        return None;
    }
    let Call { method, mut body, .. } = calls::answer(&callback::id(&posted(request).ok()?)?);
    body.insert("method".to_owned(), json!(method));
    Some(Reply { content_type: "application/json", body: Value::Object(body).to_string().into() })
}

impl Telegram {
    /// Has updates posted here, and looks whether they are.
    pub(super) async fn be_told(&self, hook: &Hook, sink: &dyn Sink) -> Result<(), ChannelError> {
        let mut failed = 0;
        let mut is_set = false;
        loop {
            let looked = async {
                let name = self.known_name().await?;
                let url = hook.of(name);
                let info = self.api.webhook_info().await?;
                // The secret can't be read back, so the first time it is set whatever is there.
                if !is_set || info.url != url {
                    self.api.set_webhook(&set(&url, &hook.secret)).await?;
                }
                Ok(info)
            };
            match looked.await {
                Ok(info) => {
                    sink.trouble(self.complaint(&info, is_set).as_deref()).await;
                    (failed, is_set) = (0, true);
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                Err(
                    error @ (ChannelError::BadCredentials(_)
                    | ChannelError::Config(_)
                    | ChannelError::Permanent(_)),
                ) => {
                    return Err(error);
                }
                Err(error) => {
                    failed += 1;
                    sink.trouble(Some(&error.to_string())).await;
                    tokio::time::sleep(self.pause(&error, failed)).await;
                }
            }
        }
    }

    /// Why updates did not arrive, if that was since the last look.
    fn complaint(&self, info: &Info, is_set: bool) -> Option<String> {
        let since = self.deps.clock.now().timestamp() - i64::try_from(LOOK_EVERY.as_secs()).unwrap_or(0);
        let is_new = is_set && info.last_error_date.is_some_and(|at| at >= since);
        let why = info.last_error_message.as_deref().filter(|_| is_new)?;
        Some(format!(
            "Telegram can't post updates to public_url, {} are waiting: {}",
            info.pending_update_count,
            crate::kit::answer::excerpt(why, 300)
        ))
    }

    /// Takes a webhook of this channel's away, which it had before it polled: one that is left there ends every poll.
    pub(super) async fn end_hook(&self) -> Result<(), ChannelError> {
        let info = self.api.webhook_info().await?;
        let is_ours =
            Url::parse(&info.url).is_ok_and(|url| url.path().ends_with(&path(self.deps.channel_id)));
        if !is_ours {
            return Err(ChannelError::Retryable(
                "the bot has a webhook set by another program: take it away there, or give this channel another bot".to_owned(),
            ));
        }
        debug!(channel.id = %self.deps.channel_id, "the webhook that was set before is taken away");
        self.api.delete_webhook(&json!({"drop_pending_updates": false})).await
    }
}

fn set(url: &str, secret: &str) -> Value {
    json!({"url": url, "secret_token": secret, "allowed_updates": UPDATES, "drop_pending_updates": false})
}
