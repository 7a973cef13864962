//! A message to a person: planned as its platform needs, sent part by part, what was sent remembered.

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use claw_channels::{Channel, ChannelError, Part, Unsupported, plan};
use claw_types::{MessageState, Outbound, Work};

use super::Attempt;
use crate::channels::Lookup;
use crate::core::Core;
use crate::shard::Shard;

/// An answer older than this is not sent any more: after an outage nobody wants yesterday's replies. A retry is
/// somebody's word that this one is wanted all the same.
const TIME_TO_LIVE_MS: i64 = 24 * 3600 * 1000;
/// No part may take longer. Adapters end their calls sooner, uploads by their size (`kit/transfer.rs`): this is for one that
/// does not.
const PART_LIMIT: Duration = Duration::from_mins(10);
/// How soon to look again for a channel that is about to run.
const STARTING: Duration = Duration::from_millis(200);
/// How soon to look again for a channel that is switched off or broken.
const NOT_RUNNING: Duration = Duration::from_secs(15);

pub(crate) async fn attempt(core: &Arc<Core>, shard: &Arc<Shard>, work: &mut Work) -> Attempt {
    let body: Outbound = match serde_json::from_str(work.payload.get()) {
        Ok(body) => body,
        Err(error) => return failed(format!("unreadable: {error}")),
    };
    if core.clock.now().timestamp_millis() - work.fresh_at_ms() > TIME_TO_LIVE_MS {
        return failed("not sent within 24 hours, so not sent at all".to_owned());
    }
    let channel = match shard.channels.lookup(work.channel_id) {
        Lookup::Running(channel) => channel,
        Lookup::Starting => return not_yet(STARTING, "the channel is starting"),
        Lookup::Failed(why) => return not_yet(NOT_RUNNING, &format!("the channel does not run: {why}")),
        Lookup::Unknown => match still_there(core, work).await {
            Ok(true) => return not_yet(NOT_RUNNING, "the channel is switched off"),
            Ok(false) => return failed("the channel was deleted".to_owned()),
            Err(error) => return not_yet(STARTING, &error),
        },
    };
    send_parts(core, &*channel, work, &body).await
}

async fn still_there(core: &Core, work: &Work) -> Result<bool, String> {
    match core.store.channel_load(&core.vault, work.channel_id).await {
        Ok(channel) => Ok(channel.is_some()),
        Err(error) => Err(claw_store::chain(&error)),
    }
}

async fn send_parts(core: &Core, channel: &dyn Channel, work: &mut Work, body: &Outbound) -> Attempt {
    let pieces = match plan(body, channel.caps()) {
        Ok(plan) => plan.parts,
        Err(Unsupported(reason)) => return failed(reason),
    };
    let accepted_at = DateTime::from_timestamp_millis(work.accepted_at_ms).unwrap_or_default();
    // What an earlier attempt sent is not sent again.
    for (index, piece) in pieces.iter().enumerate().skip(work.platform_message_ids.len()) {
        if !core.lease.holds() {
            return Attempt::NotOurs;
        }
        let part = Part {
            message_id: work.id,
            seq: work.seq,
            index,
            recipient: &body.recipient,
            thread_id: body.thread_id.as_deref(),
            piece,
            accepted_at,
        };
        let sent = tokio::time::timeout(PART_LIMIT, channel.send(&part)).await;
        let sent =
            sent.unwrap_or_else(|_| Err(ChannelError::Uncertain("the platform did not answer".to_owned())));
        match sent {
            Ok(receipt) => work.platform_message_ids.push(receipt.platform_message_id),
            Err(error) => return refused(&error, index, pieces.len()),
        }
    }
    Attempt::Over { state: MessageState::Done, error: None }
}

fn refused(error: &ChannelError, index: usize, of: usize) -> Attempt {
    let place = if of > 1 { format!("part {} of {of}: ", index + 1) } else { String::new() };
    let reason = format!("{place}{error}");
    match error {
        ChannelError::RateLimited(wait) => Attempt::Again { after: Some(*wait), error: reason },
        ChannelError::Retryable(_) => Attempt::Again { after: None, error: reason },
        ChannelError::Uncertain(_) => Attempt::Over { state: MessageState::Uncertain, error: Some(reason) },
        ChannelError::Permanent(_)
        | ChannelError::BadCredentials(_)
        | ChannelError::BadSignature(_)
        | ChannelError::BadRequest(_)
        | ChannelError::Unsupported(_)
        | ChannelError::Config(_) => Attempt::Over { state: MessageState::Failed, error: Some(reason) },
    }
}

fn not_yet(after: Duration, why: &str) -> Attempt {
    Attempt::NotYet { after, why: why.to_owned() }
}

fn failed(error: String) -> Attempt {
    Attempt::Over { state: MessageState::Failed, error: Some(error) }
}
