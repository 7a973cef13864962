//! A message as the API shows it.

use chrono::{DateTime, Utc};
use claw_channels::kit::plan::outcomes;
use claw_channels::{Channel, PartOutcome, plan, registry};
use claw_store::{AttemptRow, MessageDetail, MessagePlace, MessageRow};
use claw_types::{Direction, MessageState, Outbound};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use super::filter::{StateView, cursor};
use crate::query;

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Direction)]
pub enum DirectionView {
    /// From a person to the backend.
    In,
    /// From the backend to a person.
    Out,
}

impl From<DirectionView> for Direction {
    fn from(direction: DirectionView) -> Self {
        match direction {
            DirectionView::In => Self::In,
            DirectionView::Out => Self::Out,
        }
    }
}

/// The channel of a message.
#[derive(Debug, Serialize, ToSchema)]
pub struct MessageChannel {
    id: Uuid,
    /// Its name within its user; null when it was removed from the database.
    instance_name_id: Option<String>,
    /// Its type; null when it was removed from the database.
    channel_type: Option<String>,
}

/// A message, as lists show it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Message)]
pub struct MessageView {
    /// Our id of it; the `webhook-id` of an inbound one.
    id: Uuid,
    /// Whose it is.
    user_id: String,
    direction: DirectionView,
    channel: MessageChannel,
    /// Messages of one conversation are worked off in order.
    conversation: String,
    /// The platform's id of the chat; null when the body has none.
    recipient: Option<String>,
    /// The first 200 characters of its text; null when it has none.
    text: Option<String>,
    /// `text`, `image`, `poll`, ...; of a change to a sent message, `edit`, `delete` or `react`. Null when it is not known.
    content_type: Option<String>,
    state: StateView,
    /// Attempts made since it was accepted or last set back to work.
    attempts: u32,
    /// How often it was set back to work.
    retries: u32,
    /// Why the last attempt failed.
    error: Option<String>,
    /// Why it was discarded.
    discard_reason: Option<String>,
    /// The platform's ids of the parts that were sent so far.
    platform_message_ids: Vec<String>,
    accepted_at: DateTime<Utc>,
    /// When it was last set back to work.
    retried_at: Option<DateTime<Utc>>,
    /// When it ended; null while it is pending.
    finished_at: Option<DateTime<Utc>>,
    /// When the platform told that the person's device has it, or that it was read; null where it does not tell, or not yet.
    delivered_at: Option<DateTime<Utc>>,
    /// When the platform told that the person saw it; null where it does not tell, or not yet.
    read_at: Option<DateTime<Utc>>,
    /// When the next attempt is due; null unless it is pending. An attempt waits for the messages before it, too.
    next_attempt_at: Option<DateTime<Utc>>,
}

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = AttemptOutcome)]
pub enum OutcomeView {
    /// The backend or the platform has it.
    Done,
    /// It failed, and there was to be another.
    Again,
    /// Refused for good.
    Failed,
    /// No answer came.
    Uncertain,
    /// It failed and was the last one.
    Dead,
}

/// An attempt that is over.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Attempt)]
pub struct AttemptView {
    /// 0 before the message was set back to work for the first time, 1 after that, and so on.
    retry: u32,
    /// Counts from 1 within `retry`.
    n: u32,
    /// When it ended.
    at: DateTime<Utc>,
    outcome: OutcomeView,
    /// Why it failed.
    error: Option<String>,
}

/// What is known of a message's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReceiptKind {
    /// It was accepted, and is safe.
    Queued,
    /// It was set back to work.
    Requeued,
    /// The platform has it.
    Sent,
    /// The backend has it; of a message to a person, the person's device does.
    Delivered,
    /// The person saw it.
    Read,
}

/// A step of a message's way.
#[derive(Debug, Serialize, ToSchema)]
pub struct Receipt {
    kind: ReceiptKind,
    at: DateTime<Utc>,
}

/// A message with all that is known of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MessageDetail)]
pub struct DetailView {
    #[serde(flatten)]
    message: MessageView,
    /// The body: of an inbound message what the webhook carries, without the link to an attachment, which is made for
    /// each attempt; of an outbound one the message.
    #[schema(value_type = Object)]
    payload: Box<RawValue>,
    /// The attempts, in order; the newest 200.
    attempt_log: Vec<AttemptView>,
    /// The steps of its way, in order.
    receipts: Vec<Receipt>,
    /// The parts that the platform gets of a message to a person, in order, and what became of each; null of an inbound one.
    parts: Option<Vec<PartOutcome>>,
}

/// Messages, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Messages {
    messages: Vec<MessageView>,
    /// The cursor of the next page; null on the last one.
    next_cursor: Option<String>,
}

impl Messages {
    /// A page of what was read, with one more if there is more.
    pub fn page(found: Vec<MessageRow>, limit: i64) -> Self {
        let place = |row: &MessageRow| -> MessagePlace { row.place };
        let (messages, last) = query::page(found, limit, place);
        Self {
            messages: messages.into_iter().map(MessageView::from).collect(),
            next_cursor: last.map(|place| cursor(&place)),
        }
    }
}

impl From<MessageRow> for MessageView {
    fn from(row: MessageRow) -> Self {
        Self {
            id: row.id.0,
            user_id: row.user_id,
            direction: match row.direction {
                Direction::In => DirectionView::In,
                Direction::Out => DirectionView::Out,
            },
            channel: MessageChannel {
                id: row.channel_id.0,
                instance_name_id: row.instance,
                channel_type: row.channel_type,
            },
            conversation: row.conversation,
            recipient: row.recipient,
            text: row.text,
            content_type: row.content_type,
            state: row.state.into(),
            attempts: row.attempts,
            retries: row.retries,
            error: row.error,
            discard_reason: row.discard_reason,
            platform_message_ids: row.platform_message_ids,
            accepted_at: row.place.accepted_at,
            retried_at: row.retried_at,
            finished_at: row.finished_at,
            delivered_at: row.delivered_at,
            read_at: row.read_at,
            next_attempt_at: row.next_attempt_at,
        }
    }
}

impl DetailView {
    /// Of a message and, if its channel can be made, its channel.
    pub fn of(detail: MessageDetail, channel: Option<&dyn Channel>) -> Self {
        let MessageDetail { row, payload, attempts } = detail;
        Self {
            receipts: receipts(&row),
            parts: (row.direction == Direction::Out).then(|| parts(&row, &payload, channel)),
            attempt_log: attempts.into_iter().map(AttemptView::from).collect(),
            payload,
            message: row.into(),
        }
    }
}

impl From<AttemptRow> for AttemptView {
    fn from(attempt: AttemptRow) -> Self {
        let AttemptRow { retry, n, at, outcome, error } = attempt;
        let outcome = match outcome {
            MessageState::Done => OutcomeView::Done,
            MessageState::Pending => OutcomeView::Again,
            // Its error says why.
            MessageState::Failed | MessageState::Expired => OutcomeView::Failed,
            MessageState::Uncertain => OutcomeView::Uncertain,
            // No attempt ends with a message discarded: people do that.
            MessageState::Dead | MessageState::Discarded => OutcomeView::Dead,
        };
        Self { retry, n, at, outcome, error }
    }
}

/// The parts as they are planned now for the channel or, where it is gone, for its type; a body of which that can't be told any more
/// has those that were sent.
fn parts(row: &MessageRow, payload: &RawValue, channel: Option<&dyn Channel>) -> Vec<PartOutcome> {
    let planned = serde_json::from_str::<Outbound>(payload.get()).ok().and_then(|message| {
        let of_type = || Some((registry::find(row.channel_type.as_deref()?)?.caps_in)(&message.recipient));
        let caps = channel.map(|channel| channel.caps_in(&message.recipient)).or_else(of_type)?;
        plan(&message, caps).ok()
    });
    let kinds = planned.map(|planned| planned.kinds()).unwrap_or_default();
    outcomes(&kinds, row.state, &row.platform_message_ids, row.error.as_deref())
}

/// The message's own times are its receipts.
fn receipts(row: &MessageRow) -> Vec<Receipt> {
    let mut receipts = vec![Receipt { kind: ReceiptKind::Queued, at: row.place.accepted_at }];
    receipts.extend(row.retried_at.map(|at| Receipt { kind: ReceiptKind::Requeued, at }));
    if let (MessageState::Done, Some(at)) = (row.state, row.finished_at) {
        let kind = match row.direction {
            Direction::In => ReceiptKind::Delivered,
            Direction::Out => ReceiptKind::Sent,
        };
        receipts.push(Receipt { kind, at });
    }
    receipts.extend(row.delivered_at.map(|at| Receipt { kind: ReceiptKind::Delivered, at }));
    receipts.extend(row.read_at.map(|at| Receipt { kind: ReceiptKind::Read, at }));
    receipts
}
