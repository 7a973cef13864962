//! The fields: that they come back as they were given, that no secret of theirs lies in the open, that people are told of all.

use serde_json::Value;

use super::page::{self, WRITTEN_BY_HAND};
use super::room::Room;
use super::{Found, Outcome};
use crate::fields::Fields;
use crate::kit::http::Http;
use crate::{Entry, FieldKind};

pub(super) fn round_trips(room: &Room<'_>) -> Found {
    let server = room.server.url();
    let fields = room.given(&server)?;
    let example = room.fields(&server);
    for field in room.entry.own_fields {
        let is_open = fields.config.contains_key(field.key);
        let is_sealed = fields.secrets.contains_key(field.key);
        if !is_open && !is_sealed {
            return Err(format!("the example lacks the field {:?}", field.key));
        }
        if is_open == (field.kind == FieldKind::Secret) {
            return Err(format!("the field {:?} is kept in the wrong place", field.key));
        }
    }
    let secrets: Vec<&str> = fields.secrets.values().filter_map(Value::as_str).collect();
    let open = Value::Object(fields.config.clone()).to_string();
    if secrets.iter().any(|secret| open.contains(secret)) {
        return Err("a secret of the example stands in another field, too".to_owned());
    }
    // As the API shows it and a caller with real types sends it back: nothing changes.
    let given = fields.config.iter().chain(&fields.secrets);
    let native = given.map(|(key, value)| (key.clone(), value.clone())).collect();
    let (name, all) = (room.entry.name, room.entry.fields());
    let again = Fields::default().merge(name, &all, native).map_err(|error| error.to_string())?;
    if again != fields {
        return Err(format!("{example} comes back as {again:?}"));
    }
    let http = Http::new(true).map_err(|error| error.to_string())?;
    if room.channel_at(&server, http)?.caps() != room.entry.caps {
        return Err("the channel has other capabilities than its type".to_owned());
    }
    Ok(Outcome::Met)
}

pub(super) fn is_documented(room: &Room<'_>) -> Found {
    let expected = page::of(room.entry);
    let shown = room.examinee.page();
    if shown.is_empty() {
        return Ok(described(room.entry));
    }
    let generated = shown.find(WRITTEN_BY_HAND).map_or(shown, |at| &shown[..at]);
    if generated.trim_end() == expected.trim_end() {
        return Ok(Outcome::Met);
    }
    let lines = || generated.lines().zip(expected.lines());
    let differing = lines().find(|(is, should)| is != should);
    let at = differing.map_or_else(
        || "one is longer than the other".to_owned(),
        |(is, should)| format!("it says {is:?} and should say {should:?}"),
    );
    Err(format!("docs/channels/{}.md is not what the code says: {at}", room.entry.name))
}

/// Without a page, people are told by what the catalogue shows: the same words, which must be there.
fn described(entry: &Entry) -> Outcome {
    let about = entry.about;
    let said = [about.display_name, about.description].into_iter().chain(about.setup.iter().copied());
    let missing =
        said.chain(entry.own_fields.iter().map(|field| field.help)).any(|words| words.trim().is_empty());
    if missing || about.setup.is_empty() || !about.docs_url.starts_with("https://") {
        return Outcome::Failed(
            "without a page, its ABOUT must have a name, a description, steps of set-up and an https:// \
                                docs_url, and each of its FIELDS a sentence"
                .to_owned(),
        );
    }
    Outcome::Met
}
