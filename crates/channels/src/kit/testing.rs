//! What the tests of several adapters share.

use std::sync::Arc;

use chrono::DateTime;
use claw_types::{Inbound, MessageId, Outbound};
use serde_json::{Value, json};
use uuid::Uuid;

use super::plan::plan;
use crate::adapters::webhook::testing::{Recorder, deps};
use crate::{Adapter, Caps, Channel, ChannelError, Part, RawRequest};

/// The message of which [`each_part`] is made.
pub const MESSAGE: Uuid = Uuid::from_u128(9);

/// A channel of these fields.
pub fn made<A: Adapter>(fields: Value) -> Result<A, ChannelError> {
    A::new(serde_json::from_value(fields).unwrap(), deps(Arc::new(Recorder::default())))
}

/// What comes of a request at the channel's webhook address.
pub async fn read(channel: &dyn Channel, request: &RawRequest) -> Result<Vec<Inbound>, ChannelError> {
    channel.prepare(request).await?;
    channel.decode(request)
}

/// Why a request at that address is none of the platform's.
pub async fn forged(channel: &dyn Channel, request: &RawRequest) -> String {
    match read(channel, request).await {
        Err(ChannelError::BadSignature(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// What `to` makes of each part of a message to `recipient` with these keys.
pub fn each_part<T>(recipient: &str, extra: &Value, caps: &Caps, to: impl Fn(&Part<'_>) -> T) -> Vec<T> {
    let mut message = json!({"recipient": recipient});
    message.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    let message: Outbound = serde_json::from_value(message).unwrap();
    message.validate().unwrap();
    let one = |(index, piece)| {
        to(&Part {
            message_id: MessageId(MESSAGE),
            seq: 1,
            index,
            recipient: &message.recipient,
            thread_id: message.thread_id.as_deref(),
            piece,
            accepted_at: DateTime::UNIX_EPOCH,
            replaces: None,
        })
    };
    plan(&message, caps).unwrap().parts.iter().enumerate().map(one).collect()
}
