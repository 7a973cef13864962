//! What all of Meta's webhooks have around what they tell
//! (<https://developers.facebook.com/docs/graph-api/webhooks/getting-started#event-notifications>).
//!
//! An entry that can't be read must not hide the others, so each is read by itself. All accounts of an app may be posted to one
//! address: what is not of the channel's own is left alone, and counted, because it may mean that the wrong id was configured.

use std::sync::atomic::{AtomicBool, Ordering};

use claw_telemetry::metrics::Counter;
use claw_types::Inbound;
use serde::Deserialize;
use serde_json::value::RawValue;
use tracing::{debug, warn};

use crate::kit::answer::excerpt;

/// Characters of an id that are logged; Meta's have about twenty.
const MAX_ID: usize = 64;

/// What was read of a webhook.
#[derive(Debug, Default, PartialEq)]
pub struct Posted {
    /// Of the channel's own account.
    pub messages: Vec<Inbound>,
    /// The accounts of what is another's: one for each thing that was told.
    pub elsewhere: Vec<String>,
}

/// The entries of a body that is known to be genuine, about what calls itself `object`.
///
/// # Errors
/// What is wrong with it.
pub fn entries<'a>(body: &'a [u8], object: &str) -> Result<Vec<&'a RawValue>, String> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        object: String,
        #[serde(borrow)]
        entry: Vec<&'a RawValue>,
    }
    let posted: Envelope<'_> =
        serde_json::from_slice(body).map_err(|error| format!("the body is not Meta's: {error}"))?;
    if posted.object != object {
        return Err(format!(
            "the body is about {:?} and not about {object:?}: subscribe this address to that product's webhooks only",
            posted.object
        ));
    }
    Ok(posted.entry)
}

/// One of several, or nothing if it can't be read.
pub fn parsed<'a, T: Deserialize<'a>>(json: &'a RawValue) -> Option<T> {
    serde_json::from_str(json.get()).ok()
}

/// Counts what was posted of other accounts than the channel's.
#[derive(Default)]
pub struct Elsewhere {
    told: AtomicBool,
}

impl Elsewhere {
    /// Of one webhook; what is left is the channel's. It is logged loudly once, since a busy other account would fill the log.
    pub fn leave(&self, posted: Posted) -> Vec<Inbound> {
        for _ in &posted.elsewhere {
            Counter::MessagesIgnored.add(&["other_account"]);
        }
        if let Some(account) = posted.elsewhere.first() {
            let account = excerpt(account, MAX_ID);
            if self.told.swap(true, Ordering::Relaxed) {
                debug!(account, "what was posted of another account of the app is left alone: {account}");
            } else {
                warn!(
                    account,
                    "what was posted of another account of the app is left alone: {account}; give each an address of its own"
                );
            }
        }
        posted.messages
    }
}

#[cfg(test)]
mod tests {
    use claw_telemetry::metrics;

    use super::*;

    fn counted() -> f64 {
        let line = r#"claw_messages_ignored_total{reason="other_account"} "#;
        let text = metrics::scrape();
        text.lines().find_map(|one| one.strip_prefix(line)).map_or(0.0, |count| count.parse().unwrap())
    }

    #[test]
    fn what_is_of_another_account_is_counted_and_the_rest_goes_on() {
        metrics::begin();
        let (elsewhere, before) = (Elsewhere::default(), counted());
        let ours = Inbound { recipient: "42".to_owned(), ..Inbound::default() };
        let both = Posted { messages: vec![ours.clone()], elsewhere: vec!["8".to_owned(), "9".to_owned()] };
        assert_eq!(elsewhere.leave(both), [ours]);
        // Other tests of this process may count, too.
        assert!(counted() >= before + 2.0, "{} after {before}", counted());
    }

    #[test]
    fn a_body_about_something_else_says_what_to_subscribe_to() {
        let why = entries(br#"{"object": "page", "entry": []}"#, "instagram").unwrap_err();
        assert!(why.contains("\"page\"") && why.contains("\"instagram\""), "{why}");
        assert!(entries(b"[]", "page").is_err());
        assert_eq!(entries(br#"{"object": "page", "entry": [7, {}]}"#, "page").unwrap().len(), 2);
    }
}
