//! Commands that Messenger offers people by a menu and while they write
//! (<https://developers.facebook.com/documentation/business-messaging/messenger-platform/reference/messenger-profile-api/commands>). Chosen ones
//! come as what people write.

use serde_json::{Value, json};

use crate::kit::commands::{Command, Rules};
use crate::kit::graph::messaging::offers::Offers;

/// Limits: the page above, which does not say what a name may be made of.
pub(super) const OFFERS: Offers = Offers {
    rules: Rules {
        most: 100,
        name: 32,
        description: 64,
        may_have: |c| c.is_alphanumeric() || matches!(c, '-' | '_'),
        characters: "letters, digits, - and _",
    },
    property: "commands",
    query: &[],
    of: property,
};

fn property(commands: &[Command]) -> Value {
    let one = |Command { name, description }: &Command| json!({"name": name, "description": description});
    json!([{"locale": "default", "commands": commands.iter().map(one).collect::<Value>()}])
}
