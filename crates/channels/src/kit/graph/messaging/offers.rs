//! What a channel's commands become on an account: a property of its profile
//! (<https://developers.facebook.com/documentation/business-messaging/messenger-platform/reference/messenger-profile-api>).
//!
//! Must hold: the property is the channel's alone, so that of other languages is replaced with it; the profile's others stay. Meta takes
//! ten calls of it in ten minutes.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::Page;
use crate::ChannelError;
use crate::kit::commands::{Command, Rules, offer};

/// Where profiles are: the account is known by its token.
const PROFILE: [&str; 2] = ["me", "messenger_profile"];

/// How one platform is told.
pub struct Offers {
    /// What it takes.
    pub rules: Rules,
    /// The property of a profile.
    pub property: &'static str,
    /// What is in the query of each call.
    pub query: &'static [(&'static str, &'static str)],
    /// The property's value for these commands.
    pub of: fn(&[Command]) -> Value,
}

/// Properties that are not set are left out.
#[derive(Deserialize)]
struct Profile {
    #[serde(default)]
    data: Vec<Map<String, Value>>,
}

impl Page {
    /// Has the account offer the channel's commands, if there are some and it offers others.
    pub(super) async fn offer_commands(&self) {
        offer(self.api.deps().channel_id, &self.commands, self.replace_commands()).await;
    }

    async fn replace_commands(&self) -> Result<bool, ChannelError> {
        let Offers { property, query, of, .. } = self.kind.offers;
        let fields = [&[("fields", property)][..], query].concat();
        let profile: Profile = self.api.get(&PROFILE, &fields).await?;
        let wanted = of(&self.commands);
        let is_there =
            profile.data.iter().filter_map(|one| one.get(property)).any(|there| has(there, &wanted));
        if is_there {
            return Ok(false);
        }
        let body = Value::Object(Map::from_iter([(property.to_owned(), wanted)]));
        self.api.set(&PROFILE, query, &body).await?;
        Ok(true)
    }
}

/// Whether what is there is what is wanted: Meta may tell more of it than it was told, but no more and no others in a list.
fn has(there: &Value, wanted: &Value) -> bool {
    match (there, wanted) {
        (Value::Object(there), Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| there.get(key).is_some_and(|there| has(there, wanted)))
        }
        (Value::Array(there), Value::Array(wanted)) => {
            there.len() == wanted.len() && there.iter().zip(wanted).all(|(there, wanted)| has(there, wanted))
        }
        (there, wanted) => there == wanted,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_meta_tells_beside_changes_nothing() {
        let wanted = json!([{"locale": "default", "items": [{"title": "Ask"}]}]);
        assert!(has(&wanted, &wanted));
        assert!(has(
            &json!([{"locale": "default", "disabled": false, "items": [{"title": "Ask", "x": 1}]}]),
            &wanted
        ));
        for other in [
            json!([]),
            json!([{"locale": "default", "items": [{"title": "Ask"}, {"title": "Help"}]}]),
            json!([{"locale": "default", "items": [{"title": "Help"}]}]),
            json!([{"locale": "default"}]),
            json!([{"locale": "default", "items": [{"title": "Ask"}]}, {"locale": "zh_CN", "items": []}]),
            json!("Ask"),
        ] {
            assert!(!has(&other, &wanted), "{other}");
        }
    }
}
