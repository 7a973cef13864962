//! Pictures and buttons as an Adaptive Card (<https://learn.microsoft.com/en-us/adaptive-cards/schema-explorer/adaptive-card>).
//!
//! The text stays outside of it: there, Teams reads all of its formatting.

use claw_types::{Button, ButtonAction, Media};
use serde_json::{Value, json};
use url::Url;

use super::calls::PRESSED;
use crate::ChannelError;

/// The content type of a card (<https://learn.microsoft.com/en-us/microsoftteams/platform/task-modules-and-cards/cards/cards-reference>).
const CARD: &str = "application/vnd.microsoft.card.adaptive";
/// What all of Teams' programs show; `ActionSet` came with 1.2.
const VERSION: &str = "1.4";
/// Most actions side by side
/// (<https://learn.microsoft.com/en-us/microsoftteams/platform/task-modules-and-cards/cards/design-effective-cards>); more go to the next row.
const ROW: usize = 6;

/// The attachment with pictures, one below the other, and buttons; `None` where there are neither.
///
/// Several pictures are one card and not an attachment each: of an activity with several cards Teams makes several messages, and names none
/// of them in its answer (<https://github.com/OfficeDev/BotBuilder-MicrosoftTeams/issues/125>).
pub(super) fn attachment(pictures: &[Media], rows: &[Vec<Button>]) -> Result<Option<Value>, ChannelError> {
    let mut body = pictures.iter().map(image).collect::<Result<Vec<_>, _>>()?;
    for row in rows.iter().flat_map(|row| row.chunks(ROW)) {
        let actions: Vec<_> = row.iter().map(action).collect();
        body.push(json!({"type": "ActionSet", "actions": actions}));
    }
    if body.is_empty() {
        return Ok(None);
    }
    let card = json!({
        "type": "AdaptiveCard", "$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "version": VERSION, "body": body,
    });
    Ok(Some(json!({"contentType": CARD, "content": card})))
}

/// Teams fetches it by itself, and only by https.
fn image(media: &Media) -> Result<Value, ChannelError> {
    let is_https = Url::parse(&media.url).is_ok_and(|url| url.scheme() == "https");
    if !is_https {
        return Err(ChannelError::Permanent(
            "Teams fetches pictures by https only: give an address that begins with https://".to_owned(),
        ));
    }
    // So that it can be opened in its full size
    // (<https://learn.microsoft.com/en-us/microsoftteams/platform/task-modules-and-cards/cards/cards-format>).
    let mut image = json!({"type": "Image", "url": media.url, "msteams": {"allowExpand": true}});
    if let Some(name) = &media.filename {
        image["altText"] = json!(name);
    }
    Ok(image)
}

fn action(button: &Button) -> Value {
    match &button.action {
        ButtonAction::Url(url) => json!({"type": "Action.OpenUrl", "title": button.text, "url": url}),
        ButtonAction::Data(data) => {
            let pressed = json!({"data": data, "text": button.text});
            json!({"type": "Action.Submit", "title": button.text, "data": {PRESSED: pressed}})
        }
    }
}
