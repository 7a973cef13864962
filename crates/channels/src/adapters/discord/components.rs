//! Buttons (<https://docs.discord.com/developers/components/reference#button>) and, where there are more than fit, menus to choose
//! from (<https://docs.discord.com/developers/components/reference#string-select>).

use claw_types::{Button, ButtonAction};
use serde_json::{Value, json};

use crate::ChannelError;

/// Of a message and of a row (<https://docs.discord.com/developers/components/reference#action-row>).
const ROWS: usize = 5;
const IN_A_ROW: usize = 5;
/// Of a menu, which takes a row by itself.
const IN_A_MENU: usize = 25;
/// Characters on a button; longer words end in an ellipsis. A line of a menu has more.
const MAX_LABEL: usize = 80;
/// Characters of an address.
const MAX_URL: usize = 512;

const ACTION_ROW: u64 = 1;
const BUTTON: u64 = 2;
const STRING_SELECT: u64 = 3;
const TEXT_DISPLAY: u64 = 10;
const SECONDARY: u64 = 2;
const LINK: u64 = 5;

/// Rows of buttons, of which those that are too long go on in the next one. More than fit become menus, of those that send
/// something back, above those that open an address.
pub(super) fn of(rows: &[Vec<Button>]) -> Result<Value, ChannelError> {
    let short: Vec<Vec<&Button>> =
        rows.iter().flat_map(|row| row.chunks(IN_A_ROW)).map(|row| row.iter().collect()).collect();
    if short.len() <= ROWS {
        return buttons(&short, 0);
    }
    let is_link = |button: &&Button| matches!(button.action, ButtonAction::Url(_));
    let (links, choices): (Vec<&Button>, Vec<&Button>) = rows.iter().flatten().partition(is_link);
    let menus = choices.len().div_ceil(IN_A_MENU);
    let links: Vec<Vec<&Button>> = links.chunks(IN_A_ROW).map(<[_]>::to_vec).collect();
    if menus + links.len() > ROWS {
        return Err(ChannelError::Permanent(format!(
            "Discord has at most {ROWS} rows, of {IN_A_ROW} buttons or of a menu with {IN_A_MENU} lines each; these would be \
             {} rows: send fewer buttons with addresses",
            menus + links.len()
        )));
    }
    // Of the same length each, so that none has a single line.
    let length = choices.len().div_ceil(menus.max(1)).max(1);
    let first = choices.len();
    let mut all: Vec<Value> =
        choices.chunks(length).enumerate().map(|(n, some)| menu(n, n * length, some)).collect();
    if let Value::Array(links) = buttons(&links, first)? {
        all.extend(links);
    }
    Ok(Value::Array(all))
}

/// Rows of buttons, the first of which has this number.
fn buttons(rows: &[Vec<&Button>], first: usize) -> Result<Value, ChannelError> {
    let mut number = first;
    let mut all = Vec::with_capacity(rows.len());
    for row in rows {
        let mut buttons = Vec::with_capacity(row.len());
        for one in row {
            buttons.push(button(one, number)?);
            number += 1;
        }
        all.push(json!({"type": ACTION_ROW, "components": buttons}));
    }
    Ok(Value::Array(all))
}

/// A menu. Its lines have ids of their own for the same reason as buttons; from where to where it goes stands on it as long as
/// nothing was chosen.
fn menu(which: usize, first: usize, choices: &[&Button]) -> Value {
    let option = |(n, one): (usize, &&Button)| {
        let (ButtonAction::Data(data) | ButtonAction::Url(data)) = &one.action;
        json!({"label": shortened(&one.text), "value": format!("{}:{data}", first + n)})
    };
    let options: Vec<Value> = choices.iter().enumerate().map(option).collect();
    let mut menu = json!({"type": STRING_SELECT, "custom_id": format!("menu:{which}"), "options": options});
    if let [from, .., to] = choices {
        menu["placeholder"] = json!(format!("{} – {}", shortened(&from.text), shortened(&to.text)));
    }
    json!({"type": ACTION_ROW, "components": [menu]})
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

/// What was pressed or chosen: what it sends, and what is on it. `None` for what is neither a button nor a menu's line.
pub(super) fn chosen(pressed: &Value, components: &Value) -> Option<(String, Option<String>)> {
    let id = pressed["custom_id"].as_str()?;
    let Some(values) = pressed["values"].as_array() else {
        return Some((data(id).to_owned(), label(components, id).map(str::to_owned)));
    };
    let values: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
    let sent: Vec<&str> = values.iter().map(|value| data(value)).collect();
    let labels: Vec<&str> = values.iter().filter_map(|value| label(components, value)).collect();
    Some((sent.join(", "), Some(labels.join(", ")).filter(|labels| !labels.is_empty())))
}

/// What a button or a line sends, out of its id.
fn data(id: &str) -> &str {
    match id.split_once(':') {
        Some((number, data)) if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => data,
        _ => id,
    }
}

/// What is on the button or line with this id, wherever it is in a message's components.
fn label<'a>(components: &'a Value, id: &str) -> Option<&'a str> {
    components.as_array()?.iter().find_map(|one| {
        if one["custom_id"] == id || one["value"] == id {
            return one["label"].as_str();
        }
        ["components", "options"].into_iter().find_map(|inner| label(&one[inner], id))
    })
}

/// What is written in components instead of in the message
/// (<https://docs.discord.com/developers/components/reference#text-display>), of however many layers.
pub(super) fn texts(components: &Value, lines: &mut Vec<String>) {
    for one in components.as_array().into_iter().flatten() {
        if one["type"] == TEXT_DISPLAY {
            lines.extend(one["content"].as_str().map(str::to_owned));
        }
        texts(&one["components"], lines);
    }
}
