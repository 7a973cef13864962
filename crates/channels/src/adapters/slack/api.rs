//! Calls of the Web API (<https://docs.slack.dev/apis/web-api>) and what their failures mean. Slack says with status 200 that a call
//! failed, so the status says little: `ok` says it.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use reqwest::{RequestBuilder, StatusCode};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Map, Value};
use url::Url;
use url::form_urlencoded::Serializer;

use crate::kit::answer::{ReadError, excerpt, read, retry_after};
use crate::kit::http::{classify, repeatable};
use crate::{ChannelError, Deps};

/// Bytes of an answer: who chose `api_url` may have chosen a server that never stops.
const MAX_ANSWER: usize = 1024 * 1024;
/// Characters of what the platform says that are quoted.
const MAX_QUOTE: usize = 300;
/// For a refusal for pace that says no wait: messages may come once in a second
/// (<https://docs.slack.dev/apis/web-api/rate-limits>).
const PAUSE: Duration = Duration::from_secs(1);

/// One app's calls in one workspace.
pub(super) struct Api {
    server: Url,
    token: String,
    pub(super) deps: Deps,
}

/// One call.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    /// The method's name.
    pub(super) method: &'static str,
    /// Its arguments.
    pub(super) arguments: Map<String, Value>,
    /// How they are written: a form is what all methods take; JSON, which only some do, may have lists and objects in it.
    pub(super) form: bool,
    /// Whether a second time makes no difference. Slack knows no call again: of a message's `client_msg_id` its own clients know,
    /// the documentation of `chat.postMessage` does not.
    pub(super) again: bool,
}

impl Call {
    /// A call that sends something anew.
    pub(super) fn new(method: &'static str) -> Self {
        Self { method, arguments: Map::new(), form: false, again: false }
    }

    /// A call that may just be made again.
    pub(super) fn repeatable(method: &'static str) -> Self {
        Self { again: true, ..Self::new(method) }
    }

    /// One whose arguments are a form.
    pub(super) fn form(method: &'static str) -> Self {
        Self { form: true, ..Self::repeatable(method) }
    }

    pub(super) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.arguments.insert(key.to_owned(), value.into());
        self
    }

    fn body(&self) -> (&'static str, String) {
        if !self.form {
            let json = Value::Object(self.arguments.clone()).to_string();
            // Without the character set, Slack warns in each answer.
            return ("application/json; charset=utf-8", json);
        }
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let pairs = self.arguments.iter().map(|(key, value)| (key, text(value)));
        ("application/x-www-form-urlencoded", Serializer::new(String::new()).extend_pairs(pairs).finish())
    }
}

/// What every answer begins with.
#[derive(Deserialize)]
struct Head {
    ok: bool,
    #[serde(default)]
    error: String,
    /// The scope that is missing.
    needed: Option<String>,
    #[serde(default)]
    response_metadata: Metadata,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    /// What is wrong with blocks, for instance.
    messages: Vec<String>,
}

/// The app in its workspace (<https://docs.slack.dev/reference/methods/auth.test>).
#[derive(Deserialize)]
pub(super) struct Identity {
    pub(super) user: String,
    pub(super) user_id: String,
    #[serde(default)]
    pub(super) team: String,
    #[serde(default)]
    pub(super) team_id: String,
    #[serde(default)]
    pub(super) url: String,
}

#[derive(Deserialize)]
struct Opened {
    channel: Named,
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

impl Api {
    pub(super) fn new(server: &str, token: String, deps: Deps) -> Result<Self, ChannelError> {
        let server = deps.http.check(server).map_err(|why| ChannelError::Config(format!("api_url {why}")))?;
        Ok(Self { server, token, deps })
    }

    /// Makes a call with the bot's token.
    pub(super) async fn call<T: DeserializeOwned>(&self, call: &Call) -> Result<T, ChannelError> {
        self.call_as(&self.token, call).await
    }

    /// Makes a call of which only matters that it worked.
    pub(super) async fn act(&self, call: &Call) -> Result<(), ChannelError> {
        self.call::<IgnoredAny>(call).await.map(drop)
    }

    /// Makes a call with another token than the bot's.
    pub(super) async fn call_as<T: DeserializeOwned>(
        &self,
        token: &str,
        call: &Call,
    ) -> Result<T, ChannelError> {
        let (content_type, body) = call.body();
        let request = self.deps.http.calls().post(self.address(call.method)?);
        let request = request.bearer_auth(token).header(CONTENT_TYPE, content_type).body(body);
        let (status, wait, answer) = self.answered(request, call.again).await?;
        understood(status, &answer, wait, call.again)
    }

    /// Who the bot is.
    pub(super) async fn identity(&self) -> Result<Identity, ChannelError> {
        self.call(&Call::repeatable("auth.test")).await
    }

    /// The conversation to send to: a person's id stands for the direct messages with them.
    pub(super) async fn conversation(&self, recipient: &str) -> Result<String, ChannelError> {
        if !is_person(recipient) {
            return Ok(recipient.to_owned());
        }
        let open = Call::repeatable("conversations.open").with("users", recipient);
        Ok(self.call::<Opened>(&open).await?.channel.id)
    }

    /// The bot's token, for what Slack keeps behind it.
    pub(super) fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        request.bearer_auth(&self.token)
    }

    /// Whether the address is one of Slack's, or of the server that was given in its place: nobody else may get the token.
    pub(super) fn is_ours(&self, url: &Url) -> bool {
        let of_slack = |host: &str| host == "slack.com" || host.ends_with(".slack.com");
        url.origin() == self.server.origin()
            || url.scheme() == "https" && url.host_str().is_some_and(of_slack)
    }

    /// Sends a request and reads its answer.
    pub(super) async fn answered(
        &self,
        request: RequestBuilder,
        again: bool,
    ) -> Result<(StatusCode, Option<Duration>, Bytes), ChannelError> {
        let broken = |error: reqwest::Error| {
            let error = error.without_url();
            if again { repeatable(&error) } else { classify(&error) }
        };
        let response = request.send().await.map_err(broken)?;
        let status = response.status();
        let wait = retry_after(response.headers(), self.deps.clock.now().timestamp());
        match read(response, MAX_ANSWER).await {
            Ok(bytes) => Ok((status, wait, bytes)),
            Err(ReadError::Broken(error)) => Err(broken(error)),
            // Read on as what is no JSON.
            Err(ReadError::TooLarge) => Ok((status, wait, Bytes::new())),
        }
    }

    fn address(&self, method: &str) -> Result<Url, ChannelError> {
        let mut url = self.server.clone();
        let no_base = |()| ChannelError::Config("api_url can't have a path behind it".to_owned());
        url.path_segments_mut().map_err(no_base)?.pop_if_empty().extend(["api", method]);
        Ok(url)
    }
}

/// Ids of people begin with U or, of an organization's, with W (<https://docs.slack.dev/reference/objects/user-object>).
pub(super) fn is_person(id: &str) -> bool {
    id.starts_with(['U', 'W'])
}

/// What an answer means.
fn understood<T: DeserializeOwned>(
    status: StatusCode,
    answer: &[u8],
    wait: Option<Duration>,
    again: bool,
) -> Result<T, ChannelError> {
    let unclear =
        |why: String| if again { ChannelError::Retryable(why) } else { ChannelError::Uncertain(why) };
    if let Some(error) = by_status(status, wait) {
        return Err(error);
    }
    let head: Head = match serde_json::from_slice(answer) {
        Ok(head) => head,
        Err(_) if status.is_success() => return Err(unclear("Slack's answer can't be read".to_owned())),
        Err(_) => return Err(ChannelError::Permanent(format!("Slack answered {}", status.as_u16()))),
    };
    if !head.ok {
        return Err(refused(&head, wait, unclear));
    }
    serde_json::from_slice(answer)
        .map_err(|_| unclear("Slack's answer lacks what belongs into it".to_owned()))
}

/// Where the status alone says it: too fast (<https://docs.slack.dev/apis/web-api/rate-limits>), or a fault of theirs.
pub(super) fn by_status(status: StatusCode, wait: Option<Duration>) -> Option<ChannelError> {
    match status.as_u16() {
        429 => Some(ChannelError::RateLimited(wait.unwrap_or(PAUSE))),
        408 | 500..=599 => Some(ChannelError::Retryable(format!("Slack answered {}", status.as_u16()))),
        _ => None,
    }
}

/// Errors: the table of each method, such as <https://docs.slack.dev/reference/methods/chat.postMessage#errors>.
fn refused(head: &Head, wait: Option<Duration>, unclear: impl Fn(String) -> ChannelError) -> ChannelError {
    let error = excerpt(&head.error, MAX_QUOTE);
    let said = [format!("Slack answered {error}")]
        .into_iter()
        .chain(head.response_metadata.messages.iter().cloned());
    let mut text = excerpt(&said.collect::<Vec<_>>().join("; "), MAX_QUOTE);
    match error.as_str() {
        "invalid_auth"
        | "not_authed"
        | "token_revoked"
        | "token_expired"
        | "account_inactive"
        | "not_allowed_token_type" => ChannelError::BadCredentials(text),
        "ratelimited" | "rate_limited" => ChannelError::RateLimited(wait.unwrap_or(PAUSE)),
        // "It's possible some aspect of the operation succeeded."
        "internal_error" | "fatal_error" => unclear(text),
        "service_unavailable" | "request_timeout" | "team_added_to_org" => ChannelError::Retryable(text),
        "missing_scope" => {
            let needed = excerpt(head.needed.as_deref().unwrap_or("that the call needs"), MAX_QUOTE);
            ChannelError::Permanent(format!("{text}: give the app the scope {needed} and install it again"))
        }
        other => {
            if let Some(advice) = advice(other) {
                text = format!("{text}: {advice}");
            }
            ChannelError::Permanent(text)
        }
    }
}

/// What its user can do.
fn advice(error: &str) -> Option<&'static str> {
    Some(match error {
        "channel_not_found" => {
            "there is no such conversation, or the bot can't see it; the recipient is an id like C024BE91L, and the bot must be \
             invited to a private channel"
        }
        "not_in_channel" => {
            "invite the bot to the channel (/invite @bot), or give the app the scope chat:write.public"
        }
        "is_archived" => "the channel is archived",
        "cant_update_message" | "cant_delete_message" => "a bot can only change and delete its own messages",
        "edit_window_closed" => "the workspace allows no edits of messages as old as this one",
        "restricted_action" => "the workspace's administrators don't let the bot do this here",
        "user_not_found" | "user_disabled" => "there is no such person in the workspace (any more)",
        _ => return None,
    })
}

/// Whether Slack refused with this error.
pub(super) fn said(error: &ChannelError, code: &str) -> bool {
    let ChannelError::Permanent(text) = error else { return false };
    let Some(rest) = text.strip_prefix("Slack answered ") else { return false };
    rest.split([':', ';']).next() == Some(code)
}

/// For [`crate::Channel::fuzz`].
pub(super) fn fuzz(data: &[u8]) {
    drop(understood::<Identity>(StatusCode::OK, data, None, true));
    drop(understood::<Opened>(StatusCode::OK, data, None, false));
    drop(understood::<IgnoredAny>(StatusCode::BAD_REQUEST, data, None, false));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, answer: &str, again: bool) -> ChannelError {
        let status = StatusCode::from_u16(status).unwrap();
        understood::<Identity>(status, answer.as_bytes(), Some(Duration::from_secs(7)), again)
            .map(drop)
            .unwrap_err()
    }

    fn error(code: &str) -> ChannelError {
        of(200, &format!(r#"{{"ok": false, "error": "{code}"}}"#), false)
    }

    #[test]
    fn a_refusal_with_status_200_is_an_error_of_its_own_kind() {
        for code in ["invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive"] {
            assert!(matches!(error(code), ChannelError::BadCredentials(why) if why.contains(code)), "{code}");
        }
        for code in ["ratelimited", "rate_limited"] {
            assert_eq!(error(code), ChannelError::RateLimited(Duration::from_secs(7)));
        }
        for (code, advice) in
            [("not_in_channel", "/invite"), ("channel_not_found", "invited"), ("is_archived", "archived")]
        {
            assert!(matches!(error(code), ChannelError::Permanent(why) if why.contains(advice)), "{code}");
        }
        assert!(matches!(error("service_unavailable"), ChannelError::Retryable(_)));
        let scope = of(200, r#"{"ok": false, "error": "missing_scope", "needed": "chat:write"}"#, false);
        assert!(matches!(scope, ChannelError::Permanent(why) if why.contains("chat:write")));
        let blocks = r#"{"ok": false, "error": "invalid_blocks", "response_metadata": {"messages": ["[ERROR] no more than 50"]}}"#;
        assert!(
            matches!(of(200, blocks, false), ChannelError::Permanent(why) if why.ends_with("no more than 50"))
        );
    }

    #[test]
    fn what_may_have_happened_is_not_tried_again_unless_that_is_the_same() {
        for answer in [r#"{"ok": false, "error": "internal_error"}"#, "no json", r#"{"ok": true}"#] {
            assert!(matches!(of(200, answer, false), ChannelError::Uncertain(_)), "{answer}");
            assert!(matches!(of(200, answer, true), ChannelError::Retryable(_)), "{answer}");
        }
    }

    #[test]
    fn some_statuses_say_it_all() {
        assert_eq!(of(429, "", false), ChannelError::RateLimited(Duration::from_secs(7)));
        assert!(matches!(of(503, r#"{"ok": true}"#, false), ChannelError::Retryable(_)));
        assert!(matches!(of(404, "<html>", false), ChannelError::Permanent(_)));
    }

    #[test]
    fn a_form_has_what_is_no_text_as_json() {
        let call = Call::form("files.info").with("file", "F1 &").with("length", 3);
        assert_eq!(call.body().1, "file=F1+%26&length=3");
    }

    #[test]
    fn an_error_is_known_by_its_code() {
        assert!(
            said(&error("no_reaction"), "no_reaction") && said(&error("not_in_channel"), "not_in_channel")
        );
        assert!(!said(&error("no_reaction"), "no") && !said(&error("invalid_auth"), "invalid_auth"));
    }
}
