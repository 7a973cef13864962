//! Pictures, and buttons with their text, as an Adaptive Card
//! (<https://learn.microsoft.com/en-us/adaptive-cards/schema-explorer/adaptive-card>).
//!
//! The text is in runs, each with its formatting, and not in Markdown: of that a card knows neither code nor quotes
//! (<https://learn.microsoft.com/en-us/microsoftteams/platform/task-modules-and-cards/cards/cards-format>), and Teams' programs for phones
//! show the backslashes that keep signs from being read.

use claw_types::{Button, ButtonAction, Media};
use serde_json::{Value, json};
use url::Url;

use super::calls::PRESSED;
use crate::kit::markdown::{Run, Style, runs};
use crate::kit::plan::Text;
use crate::{ChannelError, TextUnit};

/// The content type of a card (<https://learn.microsoft.com/en-us/microsoftteams/platform/task-modules-and-cards/cards/cards-reference>).
const CARD: &str = "application/vnd.microsoft.card.adaptive";
/// What all of Teams' programs show; `ActionSet` came with 1.2.
const VERSION: &str = "1.4";
/// Most actions side by side
/// (<https://learn.microsoft.com/en-us/microsoftteams/platform/task-modules-and-cards/cards/design-effective-cards>); more go to the next row.
const ROW: usize = 6;
/// Most UTF-16 code units of a text's runs; one with more of them is shown without its formatting. They are 20 KB of the 28 that a message may
/// have at least (<https://learn.microsoft.com/en-us/microsoftteams/platform/bots/how-to/format-your-bot-messages>).
const MOST_RUNS: usize = 10_000;

/// The attachment with a text, pictures, one below the other, and buttons.
///
/// Several pictures are one card and not an attachment each: of an activity with several cards Teams makes several messages, and names none
/// of them in its answer (<https://github.com/OfficeDev/BotBuilder-MicrosoftTeams/issues/125>).
pub(super) fn attachment(
    text: Option<&Text>,
    pictures: &[Media],
    rows: &[Vec<Button>],
) -> Result<Value, ChannelError> {
    let mut body: Vec<Value> = text.map(words).into_iter().collect();
    for picture in pictures {
        body.push(image(picture)?);
    }
    for row in rows.iter().flat_map(|row| row.chunks(ROW)) {
        let actions: Vec<_> = row.iter().map(action).collect();
        body.push(json!({"type": "ActionSet", "actions": actions}));
    }
    let card = json!({
        "type": "AdaptiveCard", "$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "version": VERSION, "body": body,
    });
    Ok(json!({"contentType": CARD, "content": card}))
}

/// A text as runs (<https://learn.microsoft.com/en-us/adaptive-cards/schema-explorer/text-run>).
fn words(text: &Text) -> Value {
    let block = |inlines: Vec<Value>| json!({"type": "RichTextBlock", "inlines": inlines});
    let bare = |text: &str| block(vec![json!({"type": "TextRun", "text": text})]);
    if !text.formatted {
        return bare(&text.body);
    }
    let words = block(runs(&text.body).into_iter().map(inline).collect());
    if TextUnit::Utf16.count(&words.to_string()) > MOST_RUNS { bare(&text.plain) } else { words }
}

fn inline(run: Run) -> Value {
    let Run { text, style: Style { bold, italic, strike, code, link } } = run;
    let mut inline = json!({"type": "TextRun", "text": text});
    if bold {
        inline["weight"] = json!("Bolder");
    }
    if code {
        inline["fontType"] = json!("Monospace");
    }
    for (key, has) in [("italic", italic), ("strikethrough", strike)] {
        if has {
            inline[key] = json!(true);
        }
    }
    if let Some(address) = link {
        inline["selectAction"] = json!({"type": "Action.OpenUrl", "url": address});
    }
    inline
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
