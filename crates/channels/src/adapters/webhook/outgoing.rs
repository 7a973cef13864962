//! What the channel posts: the request, and what its answer means.

use std::time::Duration;

use chrono::{DateTime, Utc};
use claw_secrets::signature;
use claw_types::Media;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::Response;
use serde::{Deserialize, Serialize};

use super::{Webhook, excerpt, header, is_id, repeatable};
use crate::{ChannelError, Part, Receipt};

/// All that is read of a callback's answer.
const MAX_ANSWER: usize = 64 * 1024;
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

impl Webhook {
    /// Posts a part to the callback.
    pub(super) async fn post(&self, callback: &str, part: &Part<'_>) -> Result<Receipt, ChannelError> {
        let url = self.deps.http.check(callback);
        let url = url.map_err(|e| ChannelError::Permanent(format!("callback_url {e}")))?;
        let outgoing = Outgoing::of(part);
        let body = serde_json::to_vec(&outgoing).map_err(|e| ChannelError::Permanent(e.to_string()))?;
        // The time of this attempt: by the time of acceptance, receivers would take a late retry for a replay.
        let now = self.deps.clock.now().timestamp();
        let key = signature::standard_key(&self.secret);
        let request = self.deps.http.calls().post(url);
        let request = request
            .header(CONTENT_TYPE, "application/json")
            .header(signature::HEADER, signature::sign(self.secret.as_bytes(), &body))
            .header("webhook-id", &outgoing.id)
            .header("webhook-timestamp", now)
            .header("webhook-signature", signature::sign_standard(&key, &outgoing.id, now, &body));
        let response = request.body(body).send().await.map_err(|e| repeatable(&e))?;
        receipt(response, outgoing.id).await
    }
}

/// A part as it is posted to the callback.
#[derive(Serialize)]
struct Outgoing<'a> {
    id: String,
    recipient: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    media: Option<&'a Media>,
    timestamp: DateTime<Utc>,
}

impl<'a> Outgoing<'a> {
    fn of(part: &Part<'a>) -> Self {
        let id = match part.index {
            0 => part.message_id.to_string(),
            index => format!("{}:{index}", part.message_id),
        };
        let (recipient, text, thread_id) = (part.recipient, part.text, part.thread_id);
        Self { id, recipient, text, thread_id, media: part.media, timestamp: part.accepted_at }
    }
}

/// What the callback's answer means.
async fn receipt(response: Response, id: String) -> Result<Receipt, ChannelError> {
    let (status, wait) = (response.status(), retry_after(response.headers()));
    let body = beginning(response).await;
    let refused = format!("the callback answered {status}");
    match status.as_u16() {
        200..=299 => Ok(Receipt { platform_message_id: answered_id(&body).unwrap_or(id) }),
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
    use claw_types::{MediaKind, MessageId};
    use http::StatusCode;
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::super::testing::{NOW, channel, serve};
    use super::*;
    use crate::{Channel as _, RawRequest};

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

    async fn send(callback_url: Option<String>) -> Result<Receipt, ChannelError> {
        let media = Media { kind: MediaKind::File, url: "https://x/y".into(), filename: None };
        let part = Part {
            message_id: MessageId(Uuid::from_u128(9)),
            seq: 1,
            index: 1,
            recipient: "room",
            thread_id: Some("t"),
            text: Some("hello"),
            media: Some(&media),
            accepted_at: DateTime::from_timestamp(NOW - 7200, 0).unwrap(),
        };
        channel(callback_url).send(&part).await
    }

    #[tokio::test]
    async fn a_callback_gets_a_signed_message() {
        let (url, seen) = receiver("ok").await;
        assert_eq!(send(Some(url)).await, Ok(Receipt { platform_message_id: ID.to_owned() }));
        let request = seen.lock().unwrap().remove(0);
        assert_eq!(
            serde_json::from_slice::<Value>(&request.body).unwrap(),
            json!({"id": ID, "recipient": "room", "text": "hello", "thread_id": "t",
                "media": {"kind": "file", "url": "https://x/y"}, "timestamp": "2023-11-14T20:13:20Z"})
        );
        // Either scheme alone is enough, and our own receiving side is as strict as any.
        let receiving = channel(None);
        assert_eq!(receiving.verify(&request), Ok(Some(ID.to_owned())));
        let mut plain = request;
        plain.headers.remove("webhook-signature");
        assert_eq!(receiving.verify(&plain), Ok(None));
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
