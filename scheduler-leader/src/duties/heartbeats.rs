//! Heartbeats that come by themselves: what each becomes is decided in memory, and written with its timer's next time.
//!
//! One that nobody led for comes late, but once: its next time is counted from now. Outside of its user's hours it does not come
//! at all any more, for these are the hours in which the agent may be woken.

use chrono::TimeDelta;
use claw_store::intake::session;
use claw_store::timers::LATE_SECS;
use claw_store::{
    AgentEvent, Channel, Chat, DueHeartbeat, Error, Heartbeat, NewMessage, News, Preferences, Result, chain,
};
use claw_types::preferences::Beat;
use serde_json::{Map, json};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::jobs::action::{Channels, Maker};
use super::timers::Timers;
use crate::elector::DUTY;

/// Heartbeats in one statement.
const BATCH: i64 = 500;
/// One that is no later than this comes although its hours are over.
const GRACE: TimeDelta = TimeDelta::seconds(LATE_SECS);
/// When settings that can't be read are looked at again.
const UNREADABLE: TimeDelta = TimeDelta::hours(1);
/// What its messages come from.
const HEARTBEAT: &str = "heartbeat";

/// Tells of all that are due, as long as this process leads. Answers how many that were.
pub(super) async fn fire_all(timers: &Timers, stop: &CancellationToken) -> Result<u64> {
    let mut all = 0;
    while let Some(term) = timers.leadership.term().filter(|_| !stop.is_cancelled()) {
        let due = timers.store.heartbeats_due(BATCH).await?;
        if due.is_empty() {
            break;
        }
        let full = i64::try_from(due.len()).is_ok_and(|found| found >= BATCH);
        let targets = due.iter().filter_map(|due| {
            let chat = due.set.as_ref().ok()?.heartbeat.as_ref()?.chat()?;
            Some((due.user_id.clone(), chat.channel))
        });
        let channels = timers.store.channels_meant(targets.collect()).await?;
        let beats =
            due.iter().map(|due| becomes(&timers.make, due, &channels)).collect::<Result<Vec<_>>>()?;
        let (told, messages) = timers.store.heartbeats_fire(DUTY, term, &beats).await?;
        timers.bus.publish_made(&messages).await;
        info!(
            heartbeats = told,
            messages = messages.len(),
            "{told} heartbeats came, {} were told",
            messages.len()
        );
        all += told;
        // What was passed over is looked at again with the next tick.
        if !full || told == 0 {
            break;
        }
    }
    Ok(all)
}

/// What becomes of one that is due.
fn becomes(make: &Maker, due: &DueHeartbeat, channels: &Channels) -> Result<Heartbeat> {
    let (user, now) = (&due.user_id, due.now);
    let mut becomes = Heartbeat {
        timer: due.timer,
        was_due: due.due_at,
        was_changed: due.changed_at,
        next: None,
        message: None,
        news: None,
    };
    let read = due.set.as_ref().map(|set| (set, set.next_heartbeat(user, now), comes(set, due)));
    let (beat, next, comes) = match read {
        Ok((set, Ok(next), Ok(comes))) => (set.heartbeat.as_ref(), next, comes),
        Ok((_, Err(error), _) | (_, _, Err(error))) => return Ok(put_off(becomes, due, &error)),
        Err(error) => return Ok(put_off(becomes, due, error)),
    };
    // Nothing is set any more, and nobody took its timer along.
    let Some(beat) = beat else { return Ok(becomes) };
    becomes.next = Some(next);
    if !comes {
        return Ok(becomes);
    }
    let channel = beat.chat().map(|chat| channels.get(&(user.clone(), chat.channel)));
    let (channel, off) = match channel {
        None => (None, None),
        Some(Some(Ok(channel))) if channel.enabled => (Some(channel), None),
        Some(Some(Ok(_))) => (None, Some("channel_off")),
        Some(Some(Err(_)) | None) => (None, Some("no_channel")),
    };
    match off {
        Some(why) => {
            warn!(user.id = %user, "a heartbeat is skipped: its channel is switched off or not there ({why})");
            let data = json!({"due_at": due.due_at, "why": why});
            becomes.news = Some(News { kind: "heartbeat.skipped", channel: None, message: None, data });
        }
        None => becomes.message = Some(message(make, due, beat, channel)?),
    }
    Ok(becomes)
}

/// Whether it is in time, or late and still within the hours.
pub(super) fn comes(set: &Preferences, due: &DueHeartbeat) -> Result<bool> {
    let hours = set.active(&due.user_id)?;
    Ok(due.now - due.due_at <= GRACE || hours.is_none_or(|hours| hours.contains(due.now)))
}

fn put_off(beat: Heartbeat, due: &DueHeartbeat, why: &Error) -> Heartbeat {
    warn!(user.id = %due.user_id, "a heartbeat is put off by an hour: {}", chain(why));
    Heartbeat { next: Some(due.now + UNREADABLE), ..beat }
}

/// What the agent is told: in the session of wake-ups, or of the chat, so that it comes behind what waited for it.
fn message(make: &Maker, due: &DueHeartbeat, beat: &Beat, channel: Option<&Channel>) -> Result<NewMessage> {
    let agent_id = beat.agent_id.as_deref().unwrap_or_default();
    let session = session("wake", &due.user_id, agent_id);
    let chat = channel.zip(beat.chat()).map(|(channel, chat)| Chat {
        channel,
        recipient: chat.recipient.0,
        thread_id: chat.thread_id.map(|thread| thread.0),
        answer: true,
    });
    let event = AgentEvent {
        user: &due.user_id,
        agent_id,
        source: HEARTBEAT,
        session: Some(&session),
        text: beat.text.clone(),
        metadata: Map::from_iter([("heartbeat".to_owned(), true.into())]),
        chat,
        key: None,
    };
    NewMessage::event(event, make.shards, &make.ids, &*make.clock)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::{DateTime, Utc};
    use claw_runtime::{Ids, SystemClock};
    use claw_types::preferences::Hours;
    use claw_types::{ShardCount, WebhookBody};
    use uuid::Uuid;

    use super::*;

    fn maker() -> Maker {
        let clock = Arc::new(SystemClock);
        let ids = Ids::new(clock.clone(), Arc::new(claw_runtime::OsRandom));
        Maker { shards: ShardCount::new(4).unwrap(), ids, clock }
    }

    fn at(time: &str) -> DateTime<Utc> {
        time.parse().unwrap()
    }

    fn due(due_at: &str, now: &str, set: Result<Preferences>) -> DueHeartbeat {
        DueHeartbeat {
            timer: Uuid::from_u128(1),
            user_id: "ada".parse().unwrap(),
            due_at: at(due_at),
            set,
            changed_at: None,
            now: at(now),
        }
    }

    fn set(chat: bool) -> Preferences {
        let hours = Hours { from: "08:00".to_owned(), to: "22:00".to_owned(), tz: String::new(), days: None };
        let beat = json!({"text": "Look around.", "agent_id": "research"});
        let with = json!({"text": "Look around.", "channel": "page", "recipient": "7"});
        let heartbeat = serde_json::from_value(if chat { with } else { beat }).unwrap();
        Preferences { heartbeat: Some(heartbeat), active_hours: Some(hours), ..Preferences::default() }
    }

    #[test]
    fn one_in_time_is_told_in_the_session_of_wake_ups() {
        let due = due("2026-11-27T21:59:59Z", "2026-11-27T22:00:00Z", Ok(set(false)));
        let beat = becomes(&maker(), &due, &Channels::new()).unwrap();
        let message = beat.message.unwrap();
        assert_eq!(
            (message.source.as_deref(), message.conversation.as_str()),
            (Some("heartbeat"), "ada/hook:wake:ada:research")
        );
        let body: WebhookBody = serde_json::from_str(message.payload.get()).unwrap();
        assert_eq!(
            (body.text.as_deref(), body.agent_id.as_deref()),
            (Some("Look around."), Some("research"))
        );
        assert_eq!(
            (&body.metadata["heartbeat"], &body.metadata["source"]),
            (&json!(true), &json!("heartbeat"))
        );
        let next = beat.next.unwrap();
        assert!(next >= at("2026-11-28T08:00:00Z") && next < at("2026-11-28T08:30:00Z"), "{next}");
    }

    #[test]
    fn a_late_one_comes_within_the_hours_only_and_once() {
        let becomes = |now| {
            becomes(&maker(), &due("2026-11-27T09:00:00Z", now, Ok(set(false))), &Channels::new()).unwrap()
        };
        let late = becomes("2026-11-27T15:00:00Z");
        assert!(
            late.message.is_some() && late.next.unwrap() > at("2026-11-27T15:00:00Z"),
            "no more of those missed"
        );
        let night = becomes("2026-11-27T23:00:00Z");
        assert!(night.message.is_none() && night.news.is_none());
        assert!(night.next.unwrap() >= at("2026-11-28T08:00:00Z"));
    }

    #[test]
    fn one_whose_channel_is_gone_is_skipped_and_the_next_one_is_due() {
        let due = due("2026-11-27T09:00:00Z", "2026-11-27T09:00:00Z", Ok(set(true)));
        let beat = becomes(&maker(), &due, &Channels::new()).unwrap();
        assert!(beat.message.is_none() && beat.next.is_some());
        assert_eq!(beat.news.unwrap().data["why"], "no_channel");
    }

    #[test]
    fn settings_that_say_nothing_end_it_and_unreadable_ones_put_it_off() {
        let (time, make) = ("2026-11-27T09:00:00Z", maker());
        let ended = becomes(&make, &due(time, time, Ok(Preferences::default())), &Channels::new()).unwrap();
        assert!(ended.next.is_none() && ended.message.is_none());
        let mut odd = set(false);
        odd.active_hours.as_mut().unwrap().tz = "Moon/Base".to_owned();
        for unreadable in [Ok(odd), Err(Error::NotFound("setting"))] {
            let beat = becomes(&make, &due(time, time, unreadable), &Channels::new()).unwrap();
            assert_eq!((beat.next, beat.message.is_none()), (Some(at("2026-11-27T10:00:00Z")), true));
        }
    }
}
