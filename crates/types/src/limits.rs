//! What a message to a person may hold, whatever the platform: the same bounds for all, so that a caller need not know
//! where the message goes. Platforms that take less are helped by the channels' plan.
//!
//! Pure: no I/O. Addresses are looked at by their form only; whether they may be fetched is asked where they are.

use crate::{Act, Button, ButtonAction, Location, Media, Outbound, Poll};

/// Most attachments of a message.
pub const MEDIA: usize = 10;
/// Most rows of buttons.
pub const BUTTON_ROWS: usize = 8;
/// Most buttons in a row.
pub const BUTTONS_IN_ROW: usize = 8;
/// Longest text on a button, in characters.
pub const BUTTON_TEXT: usize = 64;
/// Longest data of a button, in bytes.
pub const BUTTON_DATA: usize = 64;
/// Longest address behind a button, in bytes.
pub const BUTTON_URL: usize = 2048;
/// Longest question of a poll, in characters.
pub const POLL_QUESTION: usize = 300;
/// Fewest answers of a poll.
pub const POLL_MIN_OPTIONS: usize = 2;
/// Most answers of a poll.
pub const POLL_MAX_OPTIONS: usize = 10;
/// Longest answer of a poll, in characters.
pub const POLL_OPTION: usize = 100;
/// Longest name and longest address of a place, in characters.
pub const PLACE_TEXT: usize = 255;
/// Longest id of a platform's message, in bytes.
pub const PLATFORM_ID: usize = 512;
/// Longest reaction, in bytes: emoji can be made of many characters.
pub const EMOJI: usize = 64;

/// Longest time to live, in seconds: a week.
pub const TTL_MAX: u32 = 7 * 24 * 3600;

/// What a message holds that it may not; the sentence names the key and says what to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

impl Invalid {
    /// With this sentence.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

type Check = Result<(), Invalid>;

fn invalid(sentence: impl Into<String>) -> Check {
    Err(Invalid::new(sentence))
}

/// Refuses a text that is too long or can't be shown.
///
/// # Errors
/// A sentence that names the key.
pub fn printable(key: &str, text: &str, limit: usize) -> Result<(), Invalid> {
    let length = text.chars().count();
    if length > limit {
        return invalid(format!("{key:?} has {length} characters; at most {limit} are allowed"));
    }
    match text.chars().find(|c| c.is_control()) {
        None => Ok(()),
        Some(c) => invalid(format!("{key:?} may not contain the control character {c:?}")),
    }
}

impl Outbound {
    /// Checks everything but the recipient and the length of the text, which are the caller's.
    ///
    /// # Errors
    /// A sentence that begins with the path of the key that is wrong.
    pub fn validate(&self) -> Result<(), Invalid> {
        if self.ttl_seconds.is_some_and(|seconds| !(1..=TTL_MAX).contains(&seconds)) {
            return invalid(format!("ttl_seconds must be from 1 to {TTL_MAX}"));
        }
        if let Some(id) = &self.reply_to {
            platform_id("reply_to", id)?;
        }
        match &self.act {
            Act::Post => self.validate_post()?,
            Act::Edit { message_id } => {
                platform_id("message_id", message_id)?;
                self.validate_edit()?;
            }
            Act::Delete { message_ids } => {
                if message_ids.is_empty() {
                    return invalid("message_ids is empty; name the message to delete");
                }
                for (i, id) in message_ids.iter().enumerate() {
                    platform_id(&format!("message_ids[{i}]"), id)?;
                }
                self.validate_bare("a deletion")?;
            }
            Act::React { message_id, emoji } => {
                platform_id("message_id", message_id)?;
                reaction(emoji.as_deref())?;
                self.validate_bare("a reaction")?;
            }
        }
        self.media.iter().enumerate().try_for_each(|(i, media)| attachment(i, media))?;
        buttons(&self.buttons)?;
        self.poll.as_ref().map_or(Ok(()), poll)?;
        self.location.as_ref().map_or(Ok(()), place)
    }

    fn validate_post(&self) -> Check {
        let something = self.written().is_some()
            || !self.media.is_empty()
            || self.poll.is_some()
            || self.location.is_some();
        match something {
            true if self.media.len() > MEDIA => {
                invalid(format!("media has {} attachments; at most {MEDIA} are allowed", self.media.len()))
            }
            true => Ok(()),
            false if self.buttons.is_empty() => {
                invalid("there is nothing to send: give a text, media, a poll or a location")
            }
            false => {
                invalid("buttons need something to stand below: give a text, media, a poll or a location")
            }
        }
    }

    fn validate_edit(&self) -> Check {
        match self.unexpected(false) {
            Some(key) => invalid(format!("{key} can't be changed; an edit takes a text and buttons")),
            None if self.written().is_none() && self.buttons.is_empty() => {
                invalid("there is nothing to change: give a text or buttons")
            }
            None => Ok(()),
        }
    }

    fn validate_bare(&self, act: &str) -> Check {
        match self.unexpected(true) {
            Some(key) => invalid(format!("{key} does not belong to {act}; leave it out")),
            None => Ok(()),
        }
    }

    /// The first key that only a new message has or, when `bare`, that carries anything at all.
    fn unexpected(&self, bare: bool) -> Option<&'static str> {
        let keys = [
            ("media", !self.media.is_empty()),
            ("poll", self.poll.is_some()),
            ("location", self.location.is_some()),
            ("reply_to", self.reply_to.is_some()),
            ("text", bare && self.written().is_some()),
            ("buttons", bare && !self.buttons.is_empty()),
        ];
        keys.into_iter().find(|(_, there)| *there).map(|(key, _)| key)
    }
}

fn attachment(i: usize, media: &Media) -> Check {
    if media.url.trim().is_empty() {
        return invalid(format!("media[{i}].url is empty"));
    }
    Ok(())
}

fn buttons(rows: &[Vec<Button>]) -> Check {
    if rows.len() > BUTTON_ROWS {
        return invalid(format!("buttons has {} rows; at most {BUTTON_ROWS} are allowed", rows.len()));
    }
    for (r, row) in rows.iter().enumerate() {
        match row.len() {
            0 => return invalid(format!("buttons[{r}] is empty; leave out rows without buttons")),
            1..=BUTTONS_IN_ROW => {}
            n => {
                return invalid(format!(
                    "buttons[{r}] has {n} buttons; at most {BUTTONS_IN_ROW} are allowed in a row"
                ));
            }
        }
        row.iter().enumerate().try_for_each(|(c, one)| button(&format!("buttons[{r}][{c}]"), one))?;
    }
    Ok(())
}

fn button(path: &str, button: &Button) -> Check {
    line(&format!("{path}.text"), &button.text, BUTTON_TEXT)?;
    match &button.action {
        ButtonAction::Url(url) => {
            let web = ["https://", "http://"].iter().any(|scheme| url.starts_with(scheme));
            if !web || url.contains(|c: char| c.is_whitespace() || c.is_control()) {
                return invalid(format!(
                    "{path}.url must be an address that starts with https:// or http://"
                ));
            }
            bytes(&format!("{path}.url"), url, BUTTON_URL)
        }
        ButtonAction::Data(data) => {
            bytes(&format!("{path}.data"), data, BUTTON_DATA)?;
            no_control(&format!("{path}.data"), data)
        }
    }
}

fn poll(poll: &Poll) -> Check {
    line("poll.question", &poll.question, POLL_QUESTION)?;
    let count = poll.options.len();
    if !(POLL_MIN_OPTIONS..=POLL_MAX_OPTIONS).contains(&count) {
        return invalid(format!(
            "poll.options has {count} answers; {POLL_MIN_OPTIONS} to {POLL_MAX_OPTIONS} are allowed"
        ));
    }
    let mut options = poll.options.iter().enumerate();
    options.try_for_each(|(i, option)| line(&format!("poll.options[{i}]"), option, POLL_OPTION))
}

fn place(place: &Location) -> Check {
    degrees("location.latitude", place.latitude, 90.0)?;
    degrees("location.longitude", place.longitude, 180.0)?;
    for (key, text) in [("location.title", &place.title), ("location.address", &place.address)] {
        text.as_ref().map_or(Ok(()), |text| line(key, text, PLACE_TEXT))?;
    }
    Ok(())
}

fn degrees(path: &str, value: f64, limit: f64) -> Check {
    // Also false for what is no number.
    if value.abs() <= limit {
        Ok(())
    } else {
        invalid(format!("{path} must be between -{limit} and {limit}"))
    }
}

/// Whether this can be a reaction. Which emoji there are is for the platform to say: some have pictures of their own, which
/// are known by a name or a number.
pub fn is_emoji(text: &str) -> bool {
    (1..=EMOJI).contains(&text.len()) && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

fn reaction(emoji: Option<&str>) -> Check {
    let Some(emoji) = emoji else { return Ok(()) };
    bytes("emoji", emoji, EMOJI)?;
    if !is_emoji(emoji) {
        return invalid("emoji must be one emoji, without white space");
    }
    Ok(())
}

fn platform_id(path: &str, id: &str) -> Check {
    bytes(path, id, PLATFORM_ID)?;
    no_control(path, id)
}

/// One line of text with something on it.
fn line(path: &str, text: &str, limit: usize) -> Check {
    if text.trim().is_empty() {
        return invalid(format!("{path} is empty"));
    }
    match text.chars().count() {
        n if n > limit => invalid(format!("{path} has {n} characters; at most {limit} are allowed")),
        _ => no_control(path, text),
    }
}

fn bytes(path: &str, text: &str, limit: usize) -> Check {
    match text.len() {
        0 => invalid(format!("{path} is empty")),
        n if n > limit => invalid(format!("{path} has {n} bytes; at most {limit} are allowed")),
        _ => Ok(()),
    }
}

fn no_control(path: &str, text: &str) -> Check {
    if text.contains(char::is_control) {
        return invalid(format!("{path} may not contain control characters, such as line breaks"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(extra: &Value) -> Result<(), String> {
        let mut json = json!({"recipient": "1"});
        json.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        serde_json::from_value::<Outbound>(json).unwrap().validate().map_err(|Invalid(sentence)| sentence)
    }

    #[test]
    fn what_is_within_the_limits_passes() {
        let row: Vec<_> = (0..8).map(|_| json!({"text": "é".repeat(64), "data": "x".repeat(64)})).collect();
        let media: Vec<_> = (0..10).map(|_| json!({"kind": "image", "url": "https://x/y"})).collect();
        let fine = [
            json!({"text": "hi", "buttons": vec![row; 8], "reply_to": "5"}),
            json!({"media": media}),
            json!({"poll": {"question": "?".repeat(300), "options": vec!["x".repeat(100); 10]}}),
            json!({"location": {"latitude": -90.0, "longitude": 180.0, "title": "Pole"}}),
            json!({"act": {"type": "edit", "message_id": "5"}, "buttons": [[{"text": "a", "url": "http://x"}]]}),
            json!({"act": {"type": "delete", "message_ids": ["5", "6"]}}),
            json!({"act": {"type": "react", "message_id": "5"}}),
        ];
        for message in fine {
            assert_eq!(check(&message), Ok(()), "{message}");
        }
    }

    #[test]
    fn refusals_name_the_key() {
        let button = |button: Value| json!({"text": "x", "buttons": [[{"text": "a", "data": "b"}, button]]});
        let refused = [
            (json!({"text": " "}), "there is nothing to send: give a text, media, a poll or a location"),
            (
                json!({"buttons": [[{"text": "a", "data": "b"}]]}),
                "buttons need something to stand below: give a text, media, a poll or a location",
            ),
            (json!({"text": "x", "buttons": [[]]}), "buttons[0] is empty; leave out rows without buttons"),
            (
                button(json!({"text": "x".repeat(65), "data": "b"})),
                "buttons[0][1].text has 65 characters; at most 64 are allowed",
            ),
            (
                button(json!({"text": "x", "data": "é".repeat(33)})),
                "buttons[0][1].data has 66 bytes; at most 64 are allowed",
            ),
            (
                button(json!({"text": "x", "url": "javascript:alert(1)"})),
                "buttons[0][1].url must be an address that starts with https:// or http://",
            ),
            (
                json!({"poll": {"question": "q", "options": ["a"]}}),
                "poll.options has 1 answers; 2 to 10 are allowed",
            ),
            (json!({"poll": {"question": "q", "options": ["a", " "]}}), "poll.options[1] is empty"),
            (
                json!({"location": {"latitude": 90.5, "longitude": 0.0}}),
                "location.latitude must be between -90 and 90",
            ),
            (
                json!({"text": "x", "reply_to": "a\u{0}"}),
                "reply_to may not contain control characters, such as line breaks",
            ),
            (
                json!({"act": {"type": "edit", "message_id": "5"}}),
                "there is nothing to change: give a text or buttons",
            ),
            (
                json!({"act": {"type": "edit", "message_id": "5"}, "text": "x", "reply_to": "4"}),
                "reply_to can't be changed; an edit takes a text and buttons",
            ),
            (
                json!({"act": {"type": "delete", "message_ids": []}}),
                "message_ids is empty; name the message to delete",
            ),
            (
                json!({"act": {"type": "react", "message_id": "5", "emoji": "a b"}}),
                "emoji must be one emoji, without white space",
            ),
            (
                json!({"act": {"type": "delete", "message_ids": ["5"]}, "text": "x"}),
                "text does not belong to a deletion; leave it out",
            ),
        ];
        for (message, sentence) in refused {
            assert_eq!(check(&message), Err(sentence.to_owned()), "{message}");
        }
        let media: Vec<_> = (0..11).map(|_| json!({"kind": "image", "url": "https://x/y"})).collect();
        let many = check(&json!({"media": media}));
        assert_eq!(many, Err("media has 11 attachments; at most 10 are allowed".to_owned()));
        let rows = vec![vec![json!({"text": "a", "data": "b"})]; 9];
        let many = check(&json!({"text": "x", "buttons": rows}));
        assert_eq!(many, Err("buttons has 9 rows; at most 8 are allowed".to_owned()));
    }

    #[test]
    fn not_a_number_is_no_place() {
        assert!(degrees("x", f64::NAN, 90.0).is_err());
        assert!(degrees("x", f64::INFINITY, 90.0).is_err());
    }
}
