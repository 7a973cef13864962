//! A job that posts to a URL of its user's: the action as it is kept with the job, and the post as it is stored as a message.

#![allow(unused_qualifications, reason = "the macro that describes the API writes them")]

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Always `webhook`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WebhookTag {
    /// The only one.
    #[default]
    Webhook,
}

/// A signed POST to a URL. There are no headers of the caller's: who receives it knows by the signature whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookCall {
    /// What kind of action.
    pub r#type: WebhookTag,
    /// Where to; private addresses only if the operator allows them.
    #[schema(min_length = 1, max_length = 2000, example = "https://example.org/reports")]
    pub url: String,
    /// What is posted beside the names of job and run; at most 16,384 bytes.
    #[schema(value_type = Option<Object>)]
    pub body: Option<Map<String, Value>>,
}

/// The JSON of the `messages.payload` column of a post.
///
/// It reads as an [`crate::Outbound`], too: so lists of messages show where it goes, and a worker of a version that knows nothing of
/// posts finds a message to a person whose channel does not exist, which it refuses.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WebhookPost {
    /// The origin of the URL: what lists show.
    pub recipient: String,
    /// Where to.
    pub url: String,
    /// Seconds after which nobody wants it any more.
    pub ttl_seconds: u32,
    /// The exact bytes to post.
    pub body: Box<RawValue>,
}

impl WebhookPost {
    /// For how long after it was accepted it may be posted.
    pub fn time_to_live(&self) -> Duration {
        Duration::from_secs(self.ttl_seconds.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Outbound;

    #[test]
    fn a_version_that_knows_no_posts_reads_it_as_a_message_to_a_person() {
        let post = WebhookPost {
            recipient: "https://example.org".to_owned(),
            url: "https://example.org/reports".to_owned(),
            ttl_seconds: 60,
            body: RawValue::from_string(r#"{"type": "cron.run"}"#.to_owned()).unwrap(),
        };
        let stored = serde_json::to_string(&post).unwrap();
        let read: Outbound = serde_json::from_str(&stored).unwrap();
        assert_eq!((read.recipient.as_str(), read.ttl_seconds), ("https://example.org", Some(60)));
        let read: WebhookPost = serde_json::from_str(&stored).unwrap();
        assert_eq!(read.body.get(), r#"{"type": "cron.run"}"#, "to the byte");
    }
}
