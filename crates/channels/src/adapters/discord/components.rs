//! Buttons (<https://docs.discord.com/developers/components/reference#button>).

use claw_types::{Button, ButtonAction};
use serde_json::{Value, json};

use crate::ChannelError;

/// Of a message and of a row (<https://docs.discord.com/developers/components/reference#action-row>).
const ROWS: usize = 5;
const IN_A_ROW: usize = 5;
/// Characters on a button; longer words end in an ellipsis.
const MAX_LABEL: usize = 80;
/// Characters of an address.
const MAX_URL: usize = 512;

const ACTION_ROW: u64 = 1;
const BUTTON: u64 = 2;
const SECONDARY: u64 = 2;
const LINK: u64 = 5;

/// Rows of buttons. Rows that are too long go on in the next one.
pub(super) fn of(rows: &[Vec<Button>]) -> Result<Value, ChannelError> {
    let short: Vec<&[Button]> = rows.iter().flat_map(|row| row.chunks(IN_A_ROW)).collect();
    if short.len() > ROWS {
        return Err(ChannelError::Permanent(format!(
            "Discord has at most {ROWS} rows of {IN_A_ROW} buttons; these would be {} rows",
            short.len()
        )));
    }
    let mut number = 0;
    let mut all = Vec::with_capacity(short.len());
    for row in short {
        let mut buttons = Vec::with_capacity(row.len());
        for one in row {
            buttons.push(button(one, number)?);
            number += 1;
        }
        all.push(json!({"type": ACTION_ROW, "components": buttons}));
    }
    Ok(Value::Array(all))
}

/// Each button of a message must have an id of its own, two with the same data, too: so its number stands before the data.
fn button(button: &Button, number: usize) -> Result<Value, ChannelError> {
    let label = shortened(&button.text);
    Ok(match &button.action {
        ButtonAction::Data(data) => {
            json!({"type": BUTTON, "style": SECONDARY, "label": label, "custom_id": format!("{number}:{data}")})
        }
        ButtonAction::Url(url) if url.chars().count() > MAX_URL => {
            return Err(ChannelError::Permanent(format!(
                "Discord takes addresses of at most {MAX_URL} characters behind a button"
            )));
        }
        ButtonAction::Url(url) => json!({"type": BUTTON, "style": LINK, "label": label, "url": url}),
    })
}

fn shortened(label: &str) -> String {
    if label.chars().count() <= MAX_LABEL {
        return label.to_owned();
    }
    label.chars().take(MAX_LABEL - 1).chain(['…']).collect()
}

/// What a button sends, out of its id.
pub(super) fn data(custom_id: &str) -> &str {
    match custom_id.split_once(':') {
        Some((number, data)) if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => data,
        _ => custom_id,
    }
}

/// What is on the button with this id, of a message's components.
pub(super) fn label<'a>(components: &'a Value, custom_id: &str) -> Option<&'a str> {
    let rows = components.as_array()?;
    let mut buttons = rows.iter().filter_map(|row| row["components"].as_array()).flatten();
    buttons.find(|button| button["custom_id"] == custom_id)?["label"].as_str()
}
