//! What the channel posts: the request, and what its answer means.

use std::time::Duration;

use chrono::{DateTime, SubsecRound as _, Utc};
use claw_secrets::signature;
use claw_types::{Button, Format, Location, Media, Poll};
use http::HeaderMap;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::Response;
use serde::{Deserialize, Serialize};

use super::{Webhook, excerpt, header, is_id, repeatable};
use crate::kit::plan::{Content, Text};
use crate::{ChannelError, Part};

/// All that is read of a callback's answer.
const MAX_ANSWER: usize = 64 * 1024;
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

impl Webhook {
    /// Posts something to the callback under `id`; the id that the other side gave it, if any.
    pub(super) async fn post(
        &self,
        callback: &str,
        id: &str,
        outgoing: &impl Serialize,
    ) -> Result<Option<String>, ChannelError> {
        let url = self.deps.http.check(callback);
        let url = url.map_err(|e| ChannelError::Permanent(format!("callback_url {e}")))?;
        let body = serde_json::to_vec(outgoing).map_err(|e| ChannelError::Permanent(e.to_string()))?;
        // The time of this attempt: by the time of acceptance, receivers would take a late retry for a replay.
        let now = self.deps.clock.now().timestamp();
        let key = signature::standard_key(&self.secret);
        let request = self.deps.http.calls().post(url);
        let request = request
            .header(CONTENT_TYPE, "application/json")
            .header(signature::HEADER, signature::sign(self.secret.as_bytes(), &body))
            .header("webhook-id", id)
            .header("webhook-timestamp", now)
            .header("webhook-signature", signature::sign_standard(&key, id, now, &body));
        let response = request.body(body).send().await.map_err(|e| repeatable(&e))?;
        answered(response).await
    }

    /// Posts what is no message.
    pub(super) async fn notify(
        &self,
        callback: &str,
        act: &'static str,
        recipient: Option<&str>,
        thread_id: Option<&str>,
    ) -> Result<(), ChannelError> {
        let id = self.deps.ids.next().to_string();
        let outgoing = Outgoing {
            recipient,
            thread_id,
            ..Outgoing::bare(&id, act, self.deps.clock.now().trunc_subsecs(3))
        };
        self.post(callback, &id, &outgoing).await.map(drop)
    }
}

/// The id of a part: of the first one the message's own.
pub(super) fn part_id(part: &Part<'_>) -> String {
    match part.index {
        0 => part.message_id.to_string(),
        index => format!("{}:{index}", part.message_id),
    }
}

/// What is posted to the callback: everything as data, so that the other side does with it what it can.
#[derive(Serialize)]
pub(super) struct Outgoing<'a> {
    id: &'a str,
    act: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    /// How the text is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    media: Option<&'a Media>,
    /// Several together; only where the type declares albums.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    album: &'a [Media],
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    buttons: &'a [Vec<Button>],
    #[serde(skip_serializing_if = "Option::is_none")]
    poll: Option<&'a Poll>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<&'a Location>,
    #[serde(skip_serializing_if = "Option::is_none")]
    emoji: Option<&'a str>,
    timestamp: DateTime<Utc>,
}

impl<'a> Outgoing<'a> {
    fn bare(id: &'a str, act: &'static str, timestamp: DateTime<Utc>) -> Self {
        Self {
            id,
            act,
            recipient: None,
            message_id: None,
            text: None,
            format: None,
            thread_id: None,
            media: None,
            album: &[],
            reply_to: None,
            buttons: &[],
            poll: None,
            location: None,
            emoji: None,
            timestamp,
        }
    }

    pub(super) fn of(part: &Part<'a>, id: &'a str) -> Self {
        let piece = part.piece;
        let base = Self {
            recipient: Some(part.recipient),
            thread_id: part.thread_id,
            reply_to: piece.reply_to.as_deref(),
            buttons: &piece.buttons,
            message_id: piece.content.target(),
            ..Self::bare(id, "post", part.accepted_at)
        };
        match &piece.content {
            Content::Text(text) => base.with_text(Some(text)),
            Content::Media { media, caption } => {
                Self { media: Some(media), ..base }.with_text(caption.as_ref())
            }
            Content::Album { media, caption } => Self { album: media, ..base }.with_text(caption.as_ref()),
            Content::Location(place) => Self { location: Some(place), ..base },
            Content::Poll(poll) => Self { poll: Some(poll), ..base },
            Content::Edit { text, .. } => Self { act: "edit", ..base }.with_text(text.as_ref()),
            Content::Delete { .. } => Self { act: "delete", ..base },
            Content::React { emoji, .. } => Self { act: "react", emoji: emoji.as_deref(), ..base },
        }
    }

    fn with_text(self, text: Option<&'a Text>) -> Self {
        let format = |text: &Text| if text.formatted { Format::Markdown } else { Format::Plain };
        Self { text: text.map(|text| text.body.as_str()), format: text.map(format), ..self }
    }
}

/// What the callback's answer means.
async fn answered(response: Response) -> Result<Option<String>, ChannelError> {
    let (status, wait) = (response.status(), retry_after(response.headers()));
    let body = beginning(response).await;
    let refused = format!("the callback answered {status}");
    match status.as_u16() {
        200..=299 => Ok(answered_id(&body)),
        401 | 403 => Err(ChannelError::BadCredentials(format!(
            "{refused}; check that it verifies with this channel's secret_env"
        ))),
        408 | 425 | 429 | 500..=599 => {
            Err(wait.map_or(ChannelError::Retryable(refused), ChannelError::RateLimited))
        }
        _ => {
            let said = excerpt(&String::from_utf8_lossy(&body), 200);
            Err(ChannelError::Permanent(format!("{refused}: {said}")))
        }
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = header(headers, RETRY_AFTER.as_str())?.trim().parse().ok()?;
    // Zero would have us call again without a pause.
    Some(Duration::from_secs(seconds.max(1)).min(MAX_RETRY_AFTER))
}

/// As much of the answer as we are willing to read. Where it breaks off does not matter: the status said it all.
async fn beginning(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER {
            break;
        }
    }
    body
}

fn answered_id(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Answer {
        id: String,
    }
    serde_json::from_slice::<Answer>(body).ok().map(|answer| answer.id).filter(|id| is_id(id))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::response::IntoResponse;
    use axum::routing::any;
    use bytes::Bytes;
    use claw_types::{MediaKind, MessageId, Outbound};
    use http::StatusCode;
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::super::CAPS;
    use super::super::testing::{NOW, channel, serve};
    use super::*;
    use crate::kit::plan::{Piece, plan};
    use crate::{Channel as _, RawRequest, Receipt};

    const ID: &str = "00000000-0000-0000-0000-000000000009:1";

    /// A server that answers with `answer` and remembers what it was asked.
    async fn receiver(
        answer: impl IntoResponse + Clone + Send + Sync + 'static,
    ) -> (String, Arc<Mutex<Vec<RawRequest>>>) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let requests = Arc::clone(&seen);
        let handler = any(move |headers: HeaderMap, body: Bytes| {
            requests.lock().unwrap().push(RawRequest { headers, query: String::new(), body });
            std::future::ready(answer.clone())
        });
        (serve(Router::new().route("/in", handler)).await + "/in", seen)
    }

    fn media() -> Content {
        let media = Media { kind: MediaKind::File, url: "https://x/y".into(), filename: None };
        let text = Text { body: "*hello*".into(), formatted: true, plain: "hello".into() };
        Content::Media { media, caption: Some(text) }
    }

    async fn send_content(callback_url: Option<String>, content: Content) -> Result<Receipt, ChannelError> {
        let piece = Piece { content, reply_to: None, buttons: Vec::new() };
        send_piece(callback_url, &piece).await
    }

    async fn send_piece(callback_url: Option<String>, piece: &Piece) -> Result<Receipt, ChannelError> {
        let part = Part {
            message_id: MessageId(Uuid::from_u128(9)),
            seq: 1,
            index: 1,
            recipient: "room",
            thread_id: Some("t"),
            piece,
            accepted_at: DateTime::from_timestamp(NOW - 7200, 0).unwrap(),
        };
        channel(callback_url).send(&part).await
    }

    async fn send(callback_url: Option<String>) -> Result<Receipt, ChannelError> {
        send_content(callback_url, media()).await
    }

    fn body(seen: &Mutex<Vec<RawRequest>>) -> Value {
        serde_json::from_slice(&seen.lock().unwrap().remove(0).body).unwrap()
    }

    #[tokio::test]
    async fn a_callback_gets_a_signed_message() {
        let (url, seen) = receiver("ok").await;
        assert_eq!(send(Some(url)).await, Ok(Receipt { platform_message_id: ID.to_owned() }));
        let request = seen.lock().unwrap().remove(0);
        assert_eq!(
            serde_json::from_slice::<Value>(&request.body).unwrap(),
            json!({"id": ID, "act": "post", "recipient": "room", "text": "*hello*", "format": "markdown",
                "thread_id": "t", "media": {"kind": "file", "url": "https://x/y"},
                "timestamp": "2023-11-14T20:13:20Z"})
        );
        // Either scheme alone is enough, and our own receiving side is as strict as any.
        let receiving = channel(None);
        assert_eq!(receiving.verify(&request), Ok(Some(ID.to_owned())));
        let mut plain = request;
        plain.headers.remove("webhook-signature");
        assert_eq!(receiving.verify(&plain), Ok(None));
    }

    #[tokio::test]
    async fn everything_goes_as_data() {
        let (url, seen) = receiver("ok").await;
        let message: Outbound = serde_json::from_value(json!({
            "recipient": "room", "format": "plain", "text": "*a*", "reply_to": "5",
            "buttons": [[{"text": "Yes", "data": "y"}]],
        }))
        .unwrap();
        let plan = plan(&message, &CAPS).unwrap();
        assert_eq!(plan.degraded, []);
        send_piece(Some(url.clone()), &plan.parts[0]).await.unwrap();
        assert_eq!(
            body(&seen),
            json!({"id": ID, "act": "post", "recipient": "room", "text": "*a*", "format": "plain", "thread_id": "t",
                "reply_to": "5", "buttons": [[{"text": "Yes", "data": "y"}]], "timestamp": "2023-11-14T20:13:20Z"})
        );
        let head = |act: &str, message_id: &str| {
            json!({"id": ID, "act": act, "recipient": "room", "thread_id": "t", "message_id": message_id,
                "timestamp": "2023-11-14T20:13:20Z"})
        };
        let delete = Content::Delete { message_id: "5".into() };
        let receipt = send_content(Some(url.clone()), delete).await;
        assert_eq!(receipt, Ok(Receipt { platform_message_id: "5".to_owned() }));
        assert_eq!(body(&seen), head("delete", "5"));
        let react = Content::React { message_id: "5".into(), emoji: Some("👍".into()) };
        send_content(Some(url.clone()), react).await.unwrap();
        let mut expected = head("react", "5");
        expected["emoji"] = json!("👍");
        assert_eq!(body(&seen), expected);
        let place = Location { latitude: 1.0, longitude: 2.0, title: None, address: None };
        send_content(Some(url.clone()), Content::Location(place)).await.unwrap();
        assert_eq!(body(&seen)["location"], json!({"latitude": 1.0, "longitude": 2.0}));
        let poll = Poll { question: "q".into(), options: vec!["a".into()], multiple: false, anonymous: true };
        send_content(Some(url), Content::Poll(poll)).await.unwrap();
        assert_eq!(body(&seen)["poll"]["question"], "q");
    }

    #[tokio::test]
    async fn a_ping_proves_that_the_callback_takes_our_signature() {
        let (url, seen) = receiver("ok").await;
        let probe = channel(Some(url.clone())).probe().await.unwrap();
        assert_eq!(probe.details["callback_url"], json!(url));
        let request = seen.lock().unwrap().remove(0);
        let ping: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(ping, json!({"id": ping["id"], "act": "ping", "timestamp": "2023-11-14T22:13:20Z"}));
        assert_eq!(channel(None).verify(&request), Ok(ping["id"].as_str().map(str::to_owned)));
        let (away, _) = receiver(StatusCode::UNAUTHORIZED).await;
        assert!(matches!(channel(Some(away)).probe().await, Err(ChannelError::BadCredentials(_))));
        assert_eq!(channel(None).probe().await.unwrap().details["callback_url"], Value::Null);
        channel(Some(url)).typing("room", Some("t")).await.unwrap();
        let typing = body(&seen);
        assert_eq!((&typing["act"], &typing["recipient"]), (&json!("typing"), &json!("room")));
        assert!(matches!(channel(None).typing("room", None).await, Err(ChannelError::Permanent(_))));
    }

    #[tokio::test]
    async fn answers_mean_what_the_caller_can_do() {
        let (url, _) = receiver(r#"{"id": "theirs"}"#).await;
        assert_eq!(send(Some(url)).await, Ok(Receipt { platform_message_id: "theirs".to_owned() }));
        let (url, _) = receiver(r#"{"id": "\u0000"}"#).await;
        assert_eq!(send(Some(url)).await, Ok(Receipt { platform_message_id: ID.to_owned() }));
        let (url, _) = receiver((StatusCode::TOO_MANY_REQUESTS, [("retry-after", "7")])).await;
        assert_eq!(send(Some(url)).await, Err(ChannelError::RateLimited(Duration::from_secs(7))));
        let (url, _) = receiver((StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "999999")])).await;
        assert_eq!(send(Some(url)).await, Err(ChannelError::RateLimited(MAX_RETRY_AFTER)));
        let (url, _) = receiver(StatusCode::INTERNAL_SERVER_ERROR).await;
        let said = "the callback answered 500 Internal Server Error".to_owned();
        assert_eq!(send(Some(url)).await, Err(ChannelError::Retryable(said)));
        let (url, _) = receiver(StatusCode::UNAUTHORIZED).await;
        assert!(matches!(send(Some(url)).await, Err(ChannelError::BadCredentials(_))));
        let (url, _) = receiver((StatusCode::BAD_REQUEST, format!("no\0{}", "x".repeat(999)))).await;
        let said = format!("the callback answered 400 Bad Request: no {}", "x".repeat(197));
        assert_eq!(send(Some(url)).await, Err(ChannelError::Permanent(said)));
        let (url, _) = receiver((StatusCode::FOUND, [("location", "http://127.0.0.1:1/")])).await;
        assert!(matches!(send(Some(url)).await, Err(ChannelError::Permanent(_))));
    }

    #[tokio::test]
    async fn what_never_arrived_or_may_have_is_sent_again() {
        // Bound and dropped: nobody listens there.
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let refused = send(Some(format!("http://{address}/"))).await;
        assert_eq!(refused, Err(ChannelError::Retryable("can't connect to the platform".to_owned())));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (broken, ()) = futures::join!(send(Some(url)), async { drop(listener.accept().await) });
        assert_eq!(broken, Err(ChannelError::Retryable("the connection to the platform broke".to_owned())));
        assert!(matches!(send(None).await, Err(ChannelError::Permanent(_))));
        let unsafe_url = send(Some("ftp://example.org".to_owned())).await;
        assert_eq!(
            unsafe_url,
            Err(ChannelError::Permanent("callback_url must start with https:// or http://".to_owned()))
        );
    }
}
