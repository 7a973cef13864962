//! Keeps a subscription of every named space that the app is in, by which Google tells of what it does not post to the webhook: messages that
//! do not mention the app, edits, deletions and reactions (<https://developers.google.com/workspace/events/guides/events-chat>).
//!
//! The channel's owner compares the spaces with the subscriptions every few minutes and makes what is missing. Both are asked of Google, which has
//! them anyway, so nothing is remembered: whoever owns the channel next goes on with what there is, and a subscription that is suspended,
//! expired or about to be is found by the same look as a space to which the app was added. The events that tell of that need no answer but
//! this. A gateway that is told of a new space looks at once; what two make at the same time Google makes once.
//!
//! Events have the message in them, so none costs a call; such subscriptions last for 4 hours at most. Those of spaces that the app left, or
//! does not listen in any more, are not renewed.
//!
//! Must hold: the webhook goes on whatever becomes of the subscriptions; the user is told, once they stand still, why; one space that refuses
//! does not keep the others without.
//!
//! Rejected: direct messages and group chats. Google refuses direct messages to who has an administrator's approval, and posts to the webhook all
//! that people write there; group chats have no threads, which an event does not say.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use claw_runtime::Backoff;
use http::Method;
use serde::Deserialize;
use serde_json::json;
use tokio::time::sleep;

use super::GoogleChat;
use super::api::Server;
use super::calls::Call;
use super::incoming::time;
use crate::kit::answer::excerpt;
use crate::{ChannelError, Sink};

/// What is told of each space.
const EVENTS: [&str; 5] = [
    "google.workspace.chat.message.v1.created",
    "google.workspace.chat.message.v1.updated",
    "google.workspace.chat.message.v1.deleted",
    "google.workspace.chat.reaction.v1.created",
    "google.workspace.chat.reaction.v1.deleted",
];
/// How the names of spaces begin among those of all of Google's.
const CHAT: &str = "//chat.googleapis.com/";
/// How often they are looked at.
const EVERY: Duration = Duration::from_secs(300);
/// How long before its end a subscription is renewed: Google's last reminder comes as early.
const MARGIN: TimeDelta = TimeDelta::hours(1);
/// After a look that failed; for ever.
const AGAIN: Backoff = Backoff { first: Duration::from_secs(5), factor: 2.0, cap: EVERY, attempts: u32::MAX };
/// Pages of a list that are read, of a hundred each.
const PAGES: usize = 100;
/// Characters of what Google says that are quoted.
const MAX_QUOTE: usize = 300;

/// A page of either list, or all of one.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Page {
    spaces: Vec<Space>,
    subscriptions: Vec<Subscription>,
    next_page_token: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Space {
    name: String,
    space_type: String,
}

/// (<https://developers.google.com/workspace/events/reference/rest/v1/subscriptions>).
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Subscription {
    name: String,
    target_resource: String,
    notification_endpoint: Endpoint,
    state: String,
    expire_time: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Endpoint {
    pubsub_topic: String,
}

/// What comes of a change (<https://developers.google.com/workspace/events/reference/rest/v1/operations>).
#[derive(Default, Deserialize)]
#[serde(default)]
struct Operation {
    error: Option<Status>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    code: i64,
    message: String,
}

/// By which numbers Google says that there is such a subscription already: as the status of an answer, and within one.
const THERE: [i64; 2] = [409, 6];

impl GoogleChat {
    /// Keeps them until it is dropped. Whatever is under way then, the next look finds.
    pub(super) async fn subscribe_for_ever(&self, topic: &str, sink: &dyn Sink) {
        let mut failed = 0;
        loop {
            let pause = match self.subscribe(topic).await {
                Ok(()) => {
                    if failed > 0 {
                        sink.trouble(None).await;
                    }
                    failed = 0;
                    EVERY
                }
                Err(error) => {
                    failed += 1;
                    sink.trouble(Some(&warning(&error))).await;
                    self.pause(&error, failed)
                }
            };
            sleep(pause).await;
        }
    }

    fn pause(&self, error: &ChannelError, failed: u32) -> Duration {
        let usual = AGAIN.wait(failed, &*self.deps.random).unwrap_or(EVERY);
        match error {
            ChannelError::RateLimited(wait) | ChannelError::ChatLimited { wait, .. } => usual.max(*wait),
            _ => usual,
        }
    }

    /// Looks once, and makes what is missing.
    ///
    /// # Errors
    /// When not all of it was made; what is there is used.
    pub(super) async fn subscribe(&self, topic: &str) -> Result<(), ChannelError> {
        let spaces = self.all(Server::Chat, spaces).await?.spaces;
        let kept = self.all(Server::Events, subscriptions).await?.subscriptions;
        let kept: HashMap<_, _> = kept.iter().map(|one| (one.target_resource.as_str(), one)).collect();
        let now = self.deps.clock.now();
        let mut refused = None;
        for space in spaces.iter().filter(|space| space.space_type == "SPACE" && self.listens_in(&space.name))
        {
            let target = format!("{CHAT}{}", space.name);
            let there = kept.get(target.as_str()).copied();
            for call in due(&target, topic, there, now) {
                match self.change(&call).await {
                    Ok(()) => {}
                    Err(ChannelError::Permanent(why)) => {
                        refused.get_or_insert_with(|| format!("{}: {why}", space.name));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        refused.map_or(Ok(()), |why| Err(ChannelError::Permanent(why)))
    }

    /// All of a list.
    async fn all(&self, server: Server, page: fn(&str) -> Call) -> Result<Page, ChannelError> {
        let mut all = Page::default();
        for _ in 0..PAGES {
            let answer = self.api.ask(server, &page(&all.next_page_token)).await?;
            let page: Page = serde_json::from_slice(&answer).map_err(|_| {
                ChannelError::Retryable(
                    "Google's list of spaces or of subscriptions can't be read".to_owned(),
                )
            })?;
            all.spaces.extend(page.spaces);
            all.subscriptions.extend(page.subscriptions);
            all.next_page_token = page.next_page_token;
            if all.next_page_token.is_empty() {
                break;
            }
        }
        Ok(all)
    }

    async fn change(&self, call: &Call) -> Result<(), ChannelError> {
        let answer = self.api.ask(Server::Events, call).await?;
        // One that is still under way says nothing yet; the next look sees what came of it.
        let Operation { error } = serde_json::from_slice(&answer).unwrap_or_default();
        match error {
            Some(said) if !THERE.contains(&said.code) => {
                Err(ChannelError::Permanent(excerpt(&said.message, MAX_QUOTE)))
            }
            _ => Ok(()),
        }
    }
}

/// For [`crate::Channel::fuzz`].
pub(super) fn fuzz(data: &[u8]) {
    drop(serde_json::from_slice::<Page>(data));
    drop(serde_json::from_slice::<Operation>(data));
}

fn warning(error: &ChannelError) -> String {
    format!(
        "edits, deletions, reactions and messages that do not mention the app are not told of in every space: {error}; it is tried \
         again. If this stays, look whether an administrator has approved the app's permissions and whether the topic takes what \
         Google Chat publishes"
    )
}

/// What has to be done so that there is a subscription of this space for this topic.
fn due(target: &str, topic: &str, there: Option<&Subscription>, now: DateTime<Utc>) -> Vec<Call> {
    let Some(there) = there.filter(|there| there.state != "DELETED") else {
        return vec![create(target, topic)];
    };
    if there.notification_endpoint.pubsub_topic != topic {
        // That can't be changed.
        return vec![delete(&there.name), create(target, topic)];
    }
    if there.state == "SUSPENDED" {
        return vec![reactivate(&there.name)];
    }
    let lasts = time(&there.expire_time).is_some_and(|end| end > now + MARGIN);
    if lasts { Vec::new() } else { vec![renew(&there.name)] }
}

/// (<https://developers.google.com/workspace/chat/api/reference/rest/v1/spaces/list>).
fn spaces(page: &str) -> Call {
    listed("spaces", "spaceType = \"SPACE\"".to_owned(), page)
}

/// (<https://developers.google.com/workspace/events/reference/rest/v1/subscriptions/list>).
fn subscriptions(page: &str) -> Call {
    listed("subscriptions", format!("event_types:\"{}\"", EVENTS[0]), page)
}

fn listed(resource: &str, filter: String, page: &str) -> Call {
    let mut query = vec![("filter", filter), ("pageSize", "100".to_owned())];
    if !page.is_empty() {
        query.push(("pageToken", page.to_owned()));
    }
    Call { method: Method::GET, resource: resource.to_owned(), query, body: None }
}

/// Without a time to live it is as long as can be
/// (<https://developers.google.com/workspace/events/reference/rest/v1/subscriptions/create>).
fn create(target: &str, topic: &str) -> Call {
    let body = json!({
        "targetResource": target,
        "eventTypes": EVENTS,
        "payloadOptions": {"includeResource": true},
        "notificationEndpoint": {"pubsubTopic": topic},
    });
    Call { method: Method::POST, resource: "subscriptions".to_owned(), query: Vec::new(), body: Some(body) }
}

/// For as long as can be, which is what a time to live of nothing says
/// (<https://developers.google.com/workspace/events/guides/update-subscription>).
fn renew(name: &str) -> Call {
    let query = vec![("updateMask", "ttl".to_owned())];
    Call { method: Method::PATCH, resource: name.to_owned(), query, body: Some(json!({"ttl": "0s"})) }
}

/// (<https://developers.google.com/workspace/events/guides/reactivate-subscription>).
fn reactivate(name: &str) -> Call {
    let resource = format!("{name}:reactivate");
    Call { method: Method::POST, resource, query: Vec::new(), body: Some(json!({})) }
}

fn delete(name: &str) -> Call {
    Call { method: Method::DELETE, resource: name.to_owned(), query: Vec::new(), body: None }
}
