//! What the tests of these adapters stand on: messages as their owner plans them, and a Graph API that answers as it is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use chrono::DateTime;
use claw_types::{Inbound, MessageId};
use http::{HeaderMap, StatusCode, Uri, header};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::adapters::webhook::testing::{NOW, serve};
use crate::{Caps, Channel, ChannelError, Receipt, Sink, SinkError};

/// The first bytes of a picture.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and so on";

/// Messages and their parts.
pub(crate) mod parts_of {
    use claw_types::Outbound;
    use serde_json::json;

    use super::{Caps, DateTime, MessageId, NOW, Uuid, Value};
    use crate::Part;
    use crate::kit::plan::plan;

    /// A message to somebody.
    pub(crate) fn message(recipient: &str, extra: &Value) -> Outbound {
        let mut message = json!({ "recipient": recipient });
        message.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let message: Outbound = serde_json::from_value(message).unwrap();
        message.validate().unwrap();
        message
    }

    /// Something of each part, in order.
    pub(crate) fn each<T>(message: &Outbound, caps: &Caps, mut of: impl FnMut(&Part<'_>) -> T) -> Vec<T> {
        let pieces = plan(message, caps).unwrap().parts;
        pieces.iter().enumerate().map(|(index, piece)| of(&part(message, index, piece))).collect()
    }

    /// A part of a message.
    pub(crate) fn part<'a>(
        message: &'a Outbound,
        index: usize,
        piece: &'a crate::kit::plan::Piece,
    ) -> Part<'a> {
        Part {
            message_id: MessageId(Uuid::from_u128(9)),
            seq: 1,
            index,
            recipient: &message.recipient,
            thread_id: None,
            piece,
            accepted_at: DateTime::from_timestamp(NOW, 0).unwrap(),
            replaces: None,
        }
    }
}

/// Sends a message, part by part.
pub(crate) async fn send(
    channel: &dyn Channel,
    caps: &Caps,
    recipient: &str,
    extra: &Value,
) -> Vec<Result<Receipt, ChannelError>> {
    let message = parts_of::message(recipient, extra);
    let pieces = crate::kit::plan::plan(&message, caps).unwrap().parts;
    let mut sent = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        sent.push(channel.send(&parts_of::part(&message, index, piece)).await);
    }
    sent
}

/// A call that was made.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    /// What of it is text.
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

#[derive(Default)]
struct Shared {
    answers: Mutex<VecDeque<(u16, Value)>>,
    asked: Mutex<Vec<Asked>>,
}

/// A Graph API, and a host with a picture.
pub(crate) struct Meta {
    url: String,
    shared: Arc<Shared>,
}

impl Meta {
    pub(crate) async fn start() -> Self {
        let shared = Arc::<Shared>::default();
        let picture = async || ([(header::CONTENT_TYPE, "image/png")], PNG);
        let router =
            Router::new().route("/cat.png", get(picture)).fallback(answer).with_state(Arc::clone(&shared));
        Self { url: serve(router).await, shared }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn api_url(&self) -> String {
        format!("{}/v25.0", self.url)
    }

    pub(crate) fn file_url(&self) -> String {
        format!("{}/cat.png", self.url)
    }

    /// What it answers next, after what it was told before.
    pub(crate) fn will(&self, status: u16, body: &Value) {
        self.shared.answers.lock().unwrap().push_back((status, body.clone()));
    }

    /// What it was asked since the last time.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.shared.asked.lock().unwrap())
    }
}

/// Has a channel's owner listen until Meta was asked so often; what it was asked.
pub(crate) async fn listened(channel: &dyn Channel, meta: &Meta, calls: usize) -> Vec<Asked> {
    let stop = CancellationToken::new();
    let asked = async {
        while meta.shared.asked.lock().unwrap().len() < calls {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    };
    let (ended, ()) = tokio::join!(channel.listen(&Nobody, stop.clone()), asked);
    assert_eq!(ended, Ok(()));
    meta.asked()
}

/// Whom nothing is told: what people write is posted elsewhere.
struct Nobody;

#[async_trait]
impl Sink for Nobody {
    async fn accept(&self, _: Vec<Inbound>) -> Result<(), SinkError> {
        Ok(())
    }

    async fn cursor(&self) -> Result<Option<String>, SinkError> {
        Ok(None)
    }

    async fn save_cursor(&self, _: String) -> Result<(), SinkError> {
        Ok(())
    }

    async fn trouble(&self, _: Option<&str>) {}
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    let (path, query) = (uri.path().to_owned(), uri.query().unwrap_or_default().to_owned());
    let body = String::from_utf8_lossy(&body).into_owned();
    shared.asked.lock().unwrap().push(Asked { path, query, headers, body });
    let answer = shared.answers.lock().unwrap().pop_front();
    let (status, body) = answer.unwrap_or_else(|| (500, Value::from("nothing planned")));
    (StatusCode::from_u16(status).unwrap(), axum::Json(body))
}
