//! What comes in: read as it was meant, from nobody but the platform, once.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use claw_types::{Deed, Inbound};
use http::{HeaderMap, header};
use serde_json::Value;

use super::room::Room;
use super::{Case, Found, NOW, Outcome, Payload, Road, record};
use crate::{ChannelError, RawRequest};

/// Longer than any tolerance for a clock that is off.
const LATER: TimeDelta = TimeDelta::days(1);
/// By which the backend tells sessions apart; the first that there is counts.
const SESSION_KEYS: [&str; 4] = ["thread_id", "message_thread_id", "channel_id", "chat_id"];

pub(super) async fn payloads_decode(room: &Room<'_>) -> Found {
    if room.examinee.payloads().is_empty() {
        return Err("there are no payloads".to_owned());
    }
    for payload in room.examinee.payloads() {
        let read = record::of(&read(room, payload).await?);
        let expected: Value = serde_json::from_str(payload.read)
            .map_err(|error| format!("payloads/{}.read.json is no JSON: {error}", payload.name))?;
        if read != expected {
            return Err(format!("payload {:?} is read as\n{read:#}\nand not as\n{expected:#}", payload.name));
        }
    }
    Ok(Outcome::Met)
}

async fn read(room: &Room<'_>, payload: &Payload) -> Result<Vec<Inbound>, String> {
    room.read(payload).await.map_err(|why| format!("payload {:?}: {why}", payload.name))
}

/// What comes by the webhook's address; adapters that take no requests must refuse them all.
fn webhook(room: &Room<'_>) -> Result<Option<(&'static str, super::Sign)>, String> {
    if let Road::Webhook { secret, sign } = room.road {
        return Ok(Some((secret, sign)));
    }
    let body = room.examinee.payloads().first().map_or("{}", |payload| payload.sent);
    let request = RawRequest { headers: HeaderMap::new(), query: String::new(), body: body.into() };
    match room.channel()?.decode(&request) {
        Err(ChannelError::BadRequest(_)) => Ok(None),
        other => Err(format!("a request to an address that takes none came to {other:?}")),
    }
}

const NO_WEBHOOK: &str = "nothing is posted to it: the webhook's address refuses whatever comes";

pub(super) async fn forged_is_refused(room: &Room<'_>) -> Found {
    let Some((secret, sign)) = webhook(room)? else { return Ok(Outcome::cant(NO_WEBHOOK)) };
    let channel = room.channel()?;
    for payload in room.examinee.payloads() {
        let genuine = sign(secret, payload.sent, NOW);
        let understood = room.decode(&*channel, &genuine).await.map_err(|error| room.said(&error))?;
        let without = |headers| RawRequest { headers, ..genuine.clone() };
        let altered = RawRequest { body: format!("{} ", payload.sent).into(), ..genuine.clone() };
        let unsigned_body = room.examinee.unsigned_body();
        if let Some(why) = unsigned_body
            && room.decode(&*channel, &altered).await.is_err()
        {
            return Err(format!("a body that was changed is refused, so \"{why}\" is not so"));
        }
        let mut forged = vec![
            ("another secret".to_owned(), sign("not-the-secret-of-this-channel", payload.sent, NOW)),
            ("no headers".to_owned(), without(HeaderMap::new())),
        ];
        forged.extend(unsigned_body.is_none().then(|| ("a body that was changed".to_owned(), altered)));
        for name in genuine.headers.keys().filter(|name| **name != header::CONTENT_TYPE) {
            let mut headers = genuine.headers.clone();
            headers.remove(name);
            forged.push((format!("no {name}"), without(headers.clone())));
            headers.insert(name, header::HeaderValue::from_static("x"));
            forged.push((format!("another {name}"), without(headers)));
        }
        for (what, request) in forged {
            match room.decode(&*channel, &request).await {
                Err(error @ ChannelError::BadSignature(_)) => drop(room.said(&error)),
                // A header that the signature does not need.
                Ok(messages)
                    if what.starts_with("no ") && messages == understood && !request.headers.is_empty() => {}
                other => return Err(format!("payload {:?} with {what} came to {other:?}", payload.name)),
            }
        }
    }
    Ok(room.examinee.unsigned_body().map_or(Outcome::Met, Outcome::cant))
}

pub(super) async fn replayed_counts_once(room: &Room<'_>) -> Found {
    let Some((secret, sign)) = webhook(room)? else { return Ok(Outcome::cant(NO_WEBHOOK)) };
    let channel = room.channel()?;
    let key = |message: &Inbound| message.dedup_key.clone().or_else(|| message.platform_message_id.clone());
    let requests: Vec<_> = room
        .examinee
        .payloads()
        .iter()
        .map(|payload| (payload.name, sign(secret, payload.sent, NOW)))
        .collect();
    let mut first = Vec::new();
    for (_, request) in &requests {
        first.push(room.decode(&*channel, request).await.map_err(|error| room.said(&error))?);
    }
    room.advance(LATER);
    for ((name, request), first) in requests.iter().zip(first) {
        match room.decode(&*channel, request).await {
            Err(ChannelError::BadSignature(_)) => {}
            Ok(again)
                if again.iter().all(|message| key(message).is_some())
                    && again.iter().map(key).eq(first.iter().map(key)) => {}
            other => return Err(format!("payload {name:?} counts again a day later: {other:?}")),
        }
    }
    Ok(Outcome::Met)
}

pub(super) async fn own_is_marked(room: &Room<'_>) -> Found {
    let case = room.examinee.own();
    for payload in room.examinee.payloads() {
        let expected = case == Case::Payload(payload.name);
        let messages = read(room, payload).await?;
        // That a person has it may come with what the account wrote, and is the person's.
        let mut written = messages.iter().filter(|message| !matches!(message.deed, Deed::Received(_)));
        if written.any(|message| message.is_own != expected) {
            return Err(format!("payload {:?}: is_own is not {expected}", payload.name));
        }
    }
    told(room, case)
}

pub(super) async fn mention_is_told(room: &Room<'_>) -> Found {
    for (case, expected) in [(room.examinee.addressed(), true), (room.examinee.unaddressed(), false)] {
        if let Some((why, outcome)) = case.lacking() {
            if expected {
                no_groups(room, why).await?;
            } else {
                all_addressed(room, why).await?;
            }
            return Ok(outcome);
        }
        let messages = read(room, room.payload(case)?).await?;
        let right = |message: &Inbound| message.is_group && message.mentioned == Some(expected);
        if messages.is_empty() || !messages.iter().all(right) {
            return Err(format!("{case:?} must be a group's with mentioned {expected}: {messages:?}"));
        }
    }
    Ok(Outcome::Met)
}

async fn no_groups(room: &Room<'_>, why: &str) -> Result<(), String> {
    for payload in room.examinee.payloads() {
        if read(room, payload).await?.iter().any(|message| message.is_group) {
            return Err(format!("payload {:?} is a group's, so \"{why}\" is not so", payload.name));
        }
    }
    Ok(())
}

/// Of groups it is told only what addresses the bot, or of no groups at all.
async fn all_addressed(room: &Room<'_>, why: &str) -> Result<(), String> {
    for payload in room.examinee.payloads() {
        let messages = read(room, payload).await?;
        if messages.iter().any(|message| message.is_group && message.mentioned != Some(true)) {
            return Err(format!(
                "payload {:?} does not address the bot, so \"{why}\" is not so",
                payload.name
            ));
        }
    }
    Ok(())
}

/// A case that there is counts as met only if its payload exists.
fn told(room: &Room<'_>, case: Case) -> Found {
    match case.lacking() {
        Some((_, outcome)) => Ok(outcome),
        None => room.payload(case).map(|_| Outcome::Met),
    }
}

pub(super) async fn session_is_stable(room: &Room<'_>) -> Found {
    let mut keys: BTreeMap<String, (String, usize)> = BTreeMap::new();
    for payload in room.examinee.payloads() {
        for message in read(room, payload).await? {
            let key = session(&message).ok_or_else(|| {
                format!("payload {:?} has none of {SESSION_KEYS:?} as a text", payload.name)
            })?;
            let (known, count) = keys.entry(message.conversation()).or_insert_with(|| (key.clone(), 0));
            *count += 1;
            if *known != key {
                return Err(format!("one conversation has the keys {known:?} and {key:?}"));
            }
            let sender = message.sender.as_ref().map(|sender| sender.platform_id.as_str());
            if message.is_group && sender == Some(message.recipient.as_str()) {
                return Err(format!(
                    "payload {:?}: an answer would go to the person, not the group",
                    payload.name
                ));
            }
        }
    }
    let mut distinct: Vec<_> = keys.values().map(|(key, _)| key).collect();
    distinct.sort();
    distinct.dedup();
    if distinct.len() != keys.len() {
        return Err(format!("two conversations share a key: {keys:?}"));
    }
    if keys.len() < 2 || keys.values().all(|(_, count)| *count < 2) {
        return Err("the payloads need two conversations, one of them with two messages".to_owned());
    }
    Ok(Outcome::Met)
}

fn session(message: &Inbound) -> Option<String> {
    let key = SESSION_KEYS.into_iter().find_map(|key| message.metadata.get(key))?;
    key.as_str().map(str::to_owned)
}
