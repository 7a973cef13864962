//! A person's attachments in the body of the webhook, as links that are made for each attempt, because they are short-lived.
//!
//! A message has one attachment at most. What is delivered as one may have several: an album. Then `media_url` is that of the
//! message whose id the webhook carries, and `metadata.attachments` has all of them, so that a backend which reads only one still
//! reads what it always did. Each attachment is kept under the id of its own message, and its link names that.

use bytes::Bytes;
use claw_types::{MediaRef, MessageId, WebhookBody, Work};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

/// The key of `metadata` with all attachments, where there are others than the message's own.
const KEY: &str = "attachments";

/// What [`Work::media`] of a delivery has. That of a stored message is always its own.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Attached {
    Own(MediaRef),
    Several(Vec<Part>),
}

/// An attachment, and the message that it belongs to.
#[derive(Serialize, Deserialize)]
struct Part {
    id: MessageId,
    media: MediaRef,
    content_type: String,
    duration_seconds: Option<u32>,
}

/// An attachment as the backend reads it: the keys are those of the body.
#[derive(Serialize)]
struct Told<'a> {
    id: MessageId,
    content_type: &'a str,
    media_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    media_filename: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    media_duration_seconds: Option<u32>,
}

/// What the delivery of these messages, whose bodies are given, has as [`Work::media`].
pub(super) fn joined(works: &[Work], bodies: &[WebhookBody]) -> serde_json::Result<Option<Box<RawValue>>> {
    let Some((last, before)) = works.split_last() else { return Ok(None) };
    if before.iter().all(|work| work.media.is_none()) {
        return Ok(last.media.clone());
    }
    let parts = works.iter().zip(bodies).filter_map(|(work, body)| Part::of(work, body));
    let parts: Vec<Part> = parts.collect::<serde_json::Result<_>>()?;
    to_raw_value(&Attached::Several(parts)).map(Some)
}

/// The body of the webhook: the stored bytes; with attachments, links to them put in.
pub(super) fn body(work: &Work, link: impl Fn(MessageId, &MediaRef) -> String) -> serde_json::Result<Bytes> {
    let Some(media) = &work.media else { return Ok(Bytes::copy_from_slice(work.payload.get().as_bytes())) };
    let mut body: WebhookBody = serde_json::from_str(work.payload.get())?;
    let attached: Attached = serde_json::from_str(media.get())?;
    match attached {
        Attached::Own(media) => body.media_url = Some(link(work.id, &media)),
        Attached::Several(parts) => {
            let own = parts.iter().find(|part| part.id == work.id);
            body.media_url = own.map(|part| link(part.id, &part.media));
            let told = parts.iter().map(|part| part.told(link(part.id, &part.media)));
            let told: Vec<Value> = told.collect::<serde_json::Result<_>>()?;
            body.metadata.insert(KEY.to_owned(), Value::Array(told));
        }
    }
    serde_json::to_vec(&body).map(Bytes::from)
}

impl Part {
    /// That of a message, if it has one.
    fn of(work: &Work, body: &WebhookBody) -> Option<serde_json::Result<Self>> {
        let media = work.media.as_ref()?;
        Some(serde_json::from_str(media.get()).map(|media| Self {
            id: work.id,
            media,
            content_type: body.content_type.clone(),
            duration_seconds: body.media_duration_seconds,
        }))
    }

    fn told(&self, media_url: String) -> serde_json::Result<Value> {
        serde_json::to_value(Told {
            id: self.id,
            content_type: &self.content_type,
            media_url,
            media_filename: self.media.filename.as_deref(),
            media_duration_seconds: self.duration_seconds,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::testing::work;

    fn message(n: u128, content_type: &str, file: Option<&str>) -> Work {
        let payload = json!({"user_id": "u", "channel": "c", "instance_name": "c_1", "content_type": content_type,
            "is_group": false, "timestamp": "2026-01-01T00:00:00Z", "metadata": {"album": "7"}});
        let media =
            file.map(|file| to_raw_value(&json!({"kind": "video", "handle": file, "filename": file})));
        Work {
            id: MessageId(Uuid::from_u128(n)),
            payload: to_raw_value(&payload).unwrap(),
            media: media.transpose().unwrap(),
            ..work()
        }
    }

    /// The body of the delivery of these.
    fn delivered(works: &[Work]) -> Value {
        let mut bodies: Vec<WebhookBody> =
            works.iter().map(|work| serde_json::from_str(work.payload.get()).unwrap()).collect();
        bodies[0].media_duration_seconds = Some(4);
        let media = joined(works, &bodies).unwrap();
        let last = Work { media, ..works.last().unwrap().clone() };
        let body = body(&last, |id, media| format!("/{}/{}", id.0.as_u128(), media.handle)).unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    #[test]
    fn an_album_has_all_its_attachments_each_by_its_own_message() {
        let body = delivered(&[message(1, "video", Some("a.mp4")), message(2, "image", Some("b.jpg"))]);
        assert_eq!((&body["content_type"], &body["media_url"]), (&json!("image"), &json!("/2/b.jpg")));
        let id = |n| MessageId(Uuid::from_u128(n));
        assert_eq!(
            body["metadata"],
            json!({"album": "7", "attachments": [
                {"id": id(1), "content_type": "video", "media_url": "/1/a.mp4", "media_filename": "a.mp4",
                 "media_duration_seconds": 4},
                {"id": id(2), "content_type": "image", "media_url": "/2/b.jpg", "media_filename": "b.jpg"}]})
        );
    }

    #[test]
    fn one_attachment_of_the_last_message_is_told_as_that_of_any() {
        let body = delivered(&[message(1, "text", None), message(2, "image", Some("b.jpg"))]);
        assert_eq!((&body["media_url"], &body["metadata"]), (&json!("/2/b.jpg"), &json!({"album": "7"})));
    }

    #[test]
    fn words_behind_an_attachment_do_not_hide_it() {
        let body = delivered(&[message(1, "image", Some("a.jpg")), message(2, "text", None)]);
        assert_eq!(body.get("media_url"), None);
        assert_eq!(body["metadata"]["attachments"][0]["media_url"], "/1/a.jpg");
    }

    #[test]
    fn without_an_attachment_the_stored_bytes_are_sent() {
        let alone = message(1, "text", None);
        let body = body(&alone, |_, _| "none".to_owned()).unwrap();
        assert_eq!(body, alone.payload.get().as_bytes());
    }
}
